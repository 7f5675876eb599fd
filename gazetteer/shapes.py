"""Shapes of addresses: the text with its digits put to 0, and readings carried back from it.

``…路12号3栋502`` and ``…路98号1栋603`` have one shape. Runs of digits before 号 or 栋 become one;
others up to three, or above five digits (no number of a house has so many) six.
"""

from __future__ import annotations

import re

from gazetteer.levels import Kind
from gazetteer.numbers import part_of
from gazetteer.readings import Edge, Reading

_RUN = re.compile("([0-9]{1,5})(?=号(?!房)|栋|幢|座|单元|楼|层)|[0-9]+")
_LONGEST = 5


def shape_of(key: str) -> tuple[str, tuple[int, ...]]:
    """The shape of a key, and for each border between its characters the border in the key."""
    pieces: list[str] = []
    borders: list[int] = []
    position = 0
    for run in _RUN.finditer(key):
        start, end = run.span()
        pieces.append(key[position:start])
        borders.extend(range(position, start))
        length = end - start
        kept = 1 if run[1] else min(length, 3) if length <= _LONGEST else 6
        pieces.append("0" * kept)
        # a border inside a run has no counterpart; none is ever used
        borders.extend([start] * kept)
        position = end
    pieces.append(key[position:])
    borders.extend(range(position, len(key) + 1))
    return "".join(pieces), tuple(borders)


def reshaped(reading: Reading, key: str, borders: tuple[int, ...]) -> Reading:
    """The reading of a shape as a reading of the key: ranges moved, numbers read again."""
    moved = {id(edge): _moved(edge, key, borders) for edge in reading.edges}
    return Reading(
        tuple(moved.values()),
        reading.cost,
        reading.codes,
        reading.deepest,
        tuple(
            (_moved(one, key, borders), _moved(other, key, borders))
            for one, other in reading.conflicts
        ),
        reading.restarted,
        reading.outside,
    )


def _moved(edge: Edge, key: str, borders: tuple[int, ...]) -> Edge:
    start, end = borders[edge.start], borders[edge.end]
    value, number = edge.value, edge.number
    if not edge.places and edge.kind >= Kind.GROUP:
        part = part_of(edge.kind, key[start:end])
        if part is not None:
            value, number = part
        elif edge.kind is Kind.NOTE:
            value = key[start:end].strip("()")
    return Edge(
        start, end, edge.kind, value, edge.cost, edge.status, edge.form, edge.places, number,
        edge.codes,
    )  # fmt: skip
