"""Which rows of which files were refused, as the catalogue kept them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from etl.checks.finding import RULE_TITLES

MARKS = ("行号", "规则", "原因")
"""Columns that a rejects file has beside the delivered ones: row, rules, reasons."""


class RejectsError(ValueError):
    """Rejected rows that cannot be written back; the message says why, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is wrong with one row of a file; several rules are joined by ；."""

    row: int
    rules: str
    reasons: str

    @property
    def cells(self) -> tuple[str, str, str]:
        """In the order of MARKS."""
        return str(self.row), self.rules, self.reasons


Marks = Mapping[int, Mark]
"""Marks of one file or part by row number (1-based, as the reader counts), in file order."""


def marks_of_runs(connection: psycopg.Connection[Any], runs: Sequence[int]) -> dict[str, Marks]:
    """Refused rows by file label (`FileSource.label`); rows that were only warned of are loaded."""
    found = connection.execute(
        """
        SELECT file, source_row,
               array_agg(rule ORDER BY rule), array_agg(reason ORDER BY rule)
        FROM (
            SELECT DISTINCT file, source_row, rule, reason FROM catalog.reject
            WHERE run = ANY (%s) AND severity <> 'warn'
                AND file IS NOT NULL AND source_row IS NOT NULL
        ) AS refused
        GROUP BY file, source_row ORDER BY file, source_row
        """,
        [list(runs)],
    )
    out: dict[str, dict[int, Mark]] = {}
    for file, row, rules, reasons in found:
        titles = dict.fromkeys(RULE_TITLES.get(rule, rule).partition(" ")[0] for rule in rules)
        out.setdefault(file, {})[int(row)] = Mark(
            int(row), "；".join(titles), "；".join(dict.fromkeys(reasons))
        )
    return dict(out)
