"""Where the rows of a layer lie: a coarse grid of the planner's own statistics.

A page of an area is found through the GiST index or in key order, whichever reads fewer rows; that
takes a guess at the hits. Asked of the database with every page, the guess and the statement that
acts on it took as long as a thousand features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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

    def rows_in(self, area: Sequence[float]) -> float:
        """Return about how many rows meet (west, south, east, north), EPSG:4490 degrees."""
        west, south, east, north = self.bounds
        columns = _shares(area[0], area[2], west, east)
        rows = _shares(area[1], area[3], south, north)
        return float(rows @ self.cells @ columns)


def _shares(low: float, high: float, first: float, last: float) -> NDArray[np.float64]:
    """What share of each of the cells from `first` to `last` lies between `low` and `high`."""
    edges = np.linspace(first, last, CELLS + 1)
    inside = np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1])
    width = (last - first) / CELLS
    return np.clip(inside / width, 0.0, 1.0) if width > 0 else (inside >= 0).astype(float)


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
