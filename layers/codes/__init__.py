"""Code lists of the national standards: CSV files, each naming its standard in its first line.

Lines that start with ``#`` say where the list is from and what its columns mean. The columns
``code, zh, en`` are in every list, further ones are particular to it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType


@dataclass(frozen=True)
class CodeEntry:
    """One code with its names; `extra` holds the list's own columns, empty text where unknown."""

    code: str
    zh: str
    en: str
    extra: Mapping[str, str]


@dataclass(frozen=True)
class CodeList:
    """A code list in the order of its standard; `note` is the head of its file."""

    name: str
    note: str
    entries: Mapping[str, CodeEntry]

    def by_name(self, zh: str) -> CodeEntry | None:
        """Return the first entry with this Chinese name: deliveries often hold words for codes."""
        return next((entry for entry in self.entries.values() if entry.zh == zh), None)


@cache
def code_list(name: str) -> CodeList:
    """Return a list by the name that definitions use in ``domain``.

    Raises KeyError that lists the known names.
    """
    source = resources.files("layers") / "codes" / f"{name}.csv"
    if not name.isidentifier() or not source.is_file():
        raise KeyError(f"没有代码表 no code list {name!r}; 可用 known: {', '.join(code_lists())}")
    lines = source.read_text("utf-8").splitlines()
    note = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
    entries: dict[str, CodeEntry] = {}
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        code, zh, en = row.pop("code"), row.pop("zh"), row.pop("en")
        if code in entries:
            raise ValueError(f"{name}.csv: 代码重复 code {code} occurs twice")
        entries[code] = CodeEntry(code, zh, en, MappingProxyType(row))
    return CodeList(name, "\n".join(note), MappingProxyType(entries))


@cache
def code_lists() -> tuple[str, ...]:
    """Names of all lists."""
    root = resources.files("layers") / "codes"
    return tuple(sorted(e.name.removesuffix(".csv") for e in root.iterdir() if ".csv" in e.name))
