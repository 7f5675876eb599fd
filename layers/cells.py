"""Cells of the outbox counted on the way: how many rows of a bulk run lie where.

The same cells as ``sql/outbox_cells.sql``: zoom 14 of Web Mercator, a feature in the cell of its
envelope's centre. Counting while rows are sent spares the server a pass over the new table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
_SIDE = 1 << 14


@dataclass(frozen=True, slots=True)
class Cell:
    """Column and row at zoom 14, the envelope of what lies there in degrees, and how many.

    Column and row are -1 and the envelope None for features without a geometry.
    """

    column: int
    row: int
    envelope: tuple[float, float, float, float] | None
    count: int


def cells_of(bounds: FloatArray | None, rows: int) -> list[Cell]:
    """Cells of one batch: `bounds` (n, 4) west, south, east, north, NaN without a geometry."""
    if bounds is None:
        return [Cell(-1, -1, None, rows)] if rows else []
    west, south, east, north = bounds.T
    known = np.isfinite(west) & np.isfinite(south) & np.isfinite(east) & np.isfinite(north)
    lost = rows - int(known.sum())
    cells = [Cell(-1, -1, None, lost)] if lost else []
    if lost == rows:
        return cells
    west, south, east, north = (values[known] for values in (west, south, east, north))
    middle = np.clip((south + north) / 2, -85, 85)
    column = np.floor((west + east + 360.0) / 720.0 * _SIDE).astype(np.int64)
    turned = np.log(np.tan(np.radians(45 + middle / 2)))
    row = np.floor((1 - turned / np.pi) / 2 * _SIDE).astype(np.int64)
    key = column * 2 * _SIDE + row
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    counts = np.diff(np.append(first, len(order)))
    columns, rows_of = column[order][first], row[order][first]
    edges = np.column_stack(
        (
            np.minimum.reduceat(west[order], first),
            np.minimum.reduceat(south[order], first),
            np.maximum.reduceat(east[order], first),
            np.maximum.reduceat(north[order], first),
        )
    )
    return cells + [
        Cell(c, r, (w, s, e, n), k)
        for c, r, (w, s, e, n), k in zip(
            columns.tolist(), rows_of.tolist(), edges.tolist(), counts.tolist(), strict=True
        )
    ]


def merged(cells: Iterable[Cell]) -> list[Cell]:
    """Each cell once, by column and row; those without a place last."""
    found: dict[tuple[int, int], Cell] = {}
    for cell in cells:
        before = found.setdefault((cell.column, cell.row), cell)
        if before is not cell:
            found[(cell.column, cell.row)] = replace(
                cell,
                envelope=_joined(before.envelope, cell.envelope),
                count=before.count + cell.count,
            )
    return sorted(found.values(), key=lambda cell: (cell.envelope is None, cell.column, cell.row))


def _joined(
    one: tuple[float, float, float, float] | None, other: tuple[float, float, float, float] | None
) -> tuple[float, float, float, float] | None:
    if one is None or other is None:
        return None
    return (
        min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])
    )  # fmt: skip
