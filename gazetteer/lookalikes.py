"""Characters that are taken for each other by their shape: 坑 and 炕 (lookalikes.txt)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources


@cache
def _alike() -> Mapping[str, frozenset[str]]:
    text = resources.files("gazetteer").joinpath("lookalikes.txt").read_text("utf-8")
    return {line[0]: frozenset(line[1:]) for line in text.splitlines() if line[:1] not in ("#", "")}


def look_alike(one: str, other: str) -> bool:
    """Whether two characters are easily mistaken for each other when read or scanned."""
    known = _alike()
    return other in known.get(one, ()) or one in known.get(other, ())
