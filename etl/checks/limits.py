"""Limits keyed by class, laying method, pressure...: rows of a layer definition, the first wins.

A row is ``{when: {field: value or list}, …numbers…, clause: …, unverified: true}``; without
`when` it holds for all that no row before took. A row with no number sets these rows free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.checks.finding import BoolArray, CheckError, IntArray
from etl.datum.coordsys import FloatArray


@dataclass(frozen=True)
class Limits:
    """Which row of a list of limits holds for each of n records; -1 where none does."""

    rows: Sequence[Mapping[str, Any]]
    chosen: IntArray

    def number(self, name: str) -> FloatArray:
        """(n,) a number of the chosen rows; NaN where there is none."""
        values = np.array([float(row.get(name, np.nan)) for row in self.rows] + [np.nan])
        return np.asarray(values[self.chosen])

    def flag(self, name: str) -> BoolArray:
        """(n,) a true-or-false of the chosen rows."""
        values = np.array([bool(row.get(name, False)) for row in self.rows] + [False])
        return np.asarray(values[self.chosen])

    def source(self, record: int) -> str:
        """Clause of the row that holds for a record, and whether its number is a setting only."""
        row = self.rows[int(self.chosen[record])]
        clause = str(row.get("clause", "本市配置 set by the city"))
        return f"{clause}，数值未与标准原文核对 (not verified)" if row.get("unverified") else clause


def matching(when: Mapping[str, Any], columns: Mapping[str, pa.Array], size: int) -> BoolArray:
    """(n,) records whose fields have one of the values; CheckError for a field that is none."""
    hit = np.ones(size, dtype=bool)
    for name, wanted in when.items():
        if name not in columns:
            raise CheckError(f"when: 没有字段 no field {name}; 可用 known: {', '.join(columns)}")
        values = [str(v) for v in (wanted if isinstance(wanted, list) else [wanted])]
        column = columns[name].cast(pa.string())
        hit &= np.asarray(
            pc.is_in(column, pa.array(values, pa.string())).to_numpy(zero_copy_only=False),
            dtype=bool,
        )
    return hit


def choose(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, pa.Array], size: int) -> Limits:
    """The limits of each record."""
    chosen = np.full(size, -1, dtype=np.int64)
    for at, row in enumerate(rows):
        free = chosen < 0
        if free.any():
            chosen[free & matching(row.get("when", {}), columns, size)] = at
    return Limits(rows, chosen)


def fields_of(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Fields that the conditions of limits read."""
    return {name for row in rows for name in row.get("when", {})}
