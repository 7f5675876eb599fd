"""Other names of divisions: former ones with their years and successors, aliases, and those of
other cities, which only tell that an address lies elsewhere. Facts in ``histories/``.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class OtherName:
    """A name that is not official today. ``code`` is the division that bears it now.

    ``former`` names were official in ``years`` (from, to; empty where not known), others are
    aliases. ``reason`` says in Chinese what became of the name.
    """

    name: str
    code: str
    former: bool
    years: tuple[str, str]
    reason: str


@cache
def other_names(city_code: str) -> tuple[OtherName, ...]:
    """Former names and aliases of a city's divisions; none for a city without a list."""
    return tuple(
        OtherName(
            row["name"],
            row["code"],
            row["kind"] == "former",
            (row["from"], row["to"]),
            row["reason"],
        )
        for row in _rows(f"{city_code}.csv")
    )


@cache
def counties_elsewhere(city_code: str) -> Mapping[str, frozenset[str]]:
    """Codes of the counties of other cities by name."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in _rows("counties.csv"):
        if not row["code"].startswith(city_code):
            found[row["name"]].add(row["code"])
    return {name: frozenset(codes) for name, codes in found.items()}


def _rows(name: str) -> Iterator[dict[str, str]]:
    file = resources.files("gazetteer") / "histories" / name
    if not file.is_file():
        return
    lines = file.read_text("utf-8").splitlines()
    yield from csv.DictReader(line for line in lines if not line.startswith("#"))
