"""Where the rows of a layer lie: a coarse grid of the planner's own statistics.

A page of an area is found through the GiST index or in key order, whichever reads fewer rows; that
takes a guess at the hits. Asked of the database with every page, the guess and the statement that
acts on it took as long as a thousand features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from layers.crs import Bounds
from layers.sql import text

CELLS = 32
"""Cells along each axis. PostGIS keeps some 100 by 100 for the default statistics target."""

_ANALYSED = text("densities")
_CELLS = text("density_cells")


@dataclass(frozen=True, eq=False)
class Density:
    """Rows of a layer by cell of its extent, as they were when it was last analysed.

    `bounds` in EPSG:4490 degrees (x = lon); `cells` (CELLS, CELLS) are counts from the south and
    from the west, of rows in every cell that their box meets.
    """

    rows: float
    analysed_at: datetime | None
    bounds: Bounds
    cells: NDArray[np.float64]

    def rows_in(self, area: Bounds) -> float:
        """Return about how many rows meet (west, south, east, north), EPSG:4490 degrees."""
        west, south, east, north = self.bounds
        left, right = _place(area[0], west, east), _place(area[2], west, east)
        low, high = _place(area[1], south, north), _place(area[3], south, north)
        return (
            self._before(high, right)
            - self._before(high, left)
            - self._before(low, right)
            + self._before(low, left)
        )

    @cached_property
    def _sums(self) -> list[list[float]]:
        """Rows south and west of each corner of the grid: four of them give any rectangle."""
        sums = np.zeros((CELLS + 1, CELLS + 1))
        sums[1:, 1:] = self.cells.cumsum(axis=0).cumsum(axis=1)
        return [[float(value) for value in line] for line in sums]

    def _before(self, y: float, x: float) -> float:
        """Rows south and west of a place of the grid, spread evenly within each cell."""
        row, column = min(int(y), CELLS - 1), min(int(x), CELLS - 1)
        up, along = y - row, x - column
        lower, upper = self._sums[row], self._sums[row + 1]
        below = lower[column] + along * (lower[column + 1] - lower[column])
        above = upper[column] + along * (upper[column + 1] - upper[column])
        return below + up * (above - below)


def _place(value: float, first: float, last: float) -> float:
    """Return where a coordinate lies on an axis of CELLS cells, ends included."""
    if last <= first:  # all rows on one meridian or parallel
        return 0.0 if value < first else float(CELLS)
    return min(max((value - first) / (last - first), 0.0), 1.0) * CELLS


async def load_densities(
    connection: psycopg.AsyncConnection[Any], known: Mapping[str, Density]
) -> dict[str, Density]:
    """Return the density of every analysed layer with geometry; those in `known` that were not
    analysed again are taken over, for the others take some 20 ms each.
    """
    found: dict[str, Density] = {}
    rows: Sequence[tuple[Any, ...]]
    rows = await (await connection.execute(_ANALYSED)).fetchall()
    for name, count, analysed_at, west, south, east, north in rows:
        before = known.get(name)
        if before is not None and (before.rows, before.analysed_at) == (count, analysed_at):
            found[name] = before
            continue
        bounds = (west, south, east, north)
        values = {"layer": name, "cells": CELLS}
        values |= dict(zip(("west", "south", "east", "north"), bounds, strict=True))
        row: Any = await (await connection.execute(_CELLS, values)).fetchone()
        cells = np.array(row[0], dtype=float).reshape(CELLS, CELLS) * count
        found[name] = Density(count, analysed_at, bounds, cells)
    return found
