"""Pixel grids and where a target pixel lies in the source, by the chain of registered steps.

GDAL's own warper asks PROJ for an operation between two datums and takes a "ballpark" one, which
moves nothing, where there is none; GCJ-02 it cannot express at all. So positions come from our
chain, run backwards, and only the reading and writing of files is GDAL's.
Pixel coordinates are (column, row) with the corner of the first pixel at 0, 0: centres at .5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio import Affine

from etl.datum import DatumChain
from etl.datum.coordsys import FloatArray

STEP = 16
"""Pixels between the nodes of the dense grid where the chain is computed exactly."""
TOLERANCE = 0.01
"""Pixels by which positions between nodes may differ from the chain's; else all are exact."""
_SAME = 1e-6
"""Pixels within which a chain moves nothing, so that no value is resampled."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A raster's frame: pixel to coordinates (x = lon or east) and its size."""

    transform: Affine
    width: int
    height: int

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north of all corners."""
        columns, rows = np.array([0, 1, 1, 0]) * self.width, np.array([0, 0, 1, 1]) * self.height
        x, y = self.places(columns.astype(float), rows.astype(float))
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())

    def places(self, columns: FloatArray, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coordinates of pixel positions."""
        t = self.transform
        return t.a * columns + t.b * rows + t.c, t.d * columns + t.e * rows + t.f

    def pixels(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Pixel positions of coordinates."""
        t = ~self.transform
        return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f

    @property
    def straight(self) -> bool:
        """North up, without rotation."""
        return bool(self.transform.b == 0 and self.transform.d == 0 and self.transform.e < 0)


def _outline(grid: Grid, parts: int = 64) -> tuple[FloatArray, FloatArray]:
    """Positions along the border and across the middle, in pixels."""
    side = np.linspace(0, 1, parts + 1)
    flat = np.zeros_like(side)
    columns = np.concatenate([side, side, flat, flat + 1, side, flat + 0.5]) * grid.width
    rows = np.concatenate([flat, flat + 1, side, side, flat + 0.5, side]) * grid.height
    return columns, rows


def target_grid(source: Grid, chain: DatumChain, resolution: float | None = None) -> Grid | None:
    """The grid that holds the whole source in the target system; None where nothing gets there.

    Without a stated resolution pixels are square and as fine as the finer side of the source's in
    the middle; where the chain moves nothing (a null step) the source's own grid is kept. Borders
    stand at whole multiples of the resolution, so that neighbouring sheets share a grid.
    """
    columns, rows = _outline(source)
    x, y = source.places(columns, rows)
    tx, ty, _ = chain.apply(x, y)
    if not (np.isfinite(tx).all() and np.isfinite(ty).all()):
        return None
    unmoved = Grid(source.transform, source.width, source.height)
    back = unmoved.pixels(tx, ty)
    still = max(np.abs(back[0] - columns).max(), np.abs(back[1] - rows).max()) < _SAME
    if still and source.straight and resolution is None:
        return unmoved
    size = resolution if resolution is not None else _finest(source, chain)
    west, north = np.floor(tx.min() / size), np.ceil(ty.max() / size)
    east, south = np.ceil(tx.max() / size), np.floor(ty.min() / size)
    transform = Affine(size, 0.0, west * size, 0.0, -size, north * size)
    return Grid(transform, int(east - west), int(north - south))


def _finest(source: Grid, chain: DatumChain) -> float:
    """Length of the shorter side of the middle pixel, in units of the target."""
    middle = np.array([source.width, source.height]) / 2
    columns = middle[0] + np.array([-0.5, 0.5, 0.0, 0.0])
    rows = middle[1] + np.array([0.0, 0.0, -0.5, 0.5])
    x, y, _ = chain.apply(*source.places(columns, rows))
    return float(min(np.hypot(x[1] - x[0], y[1] - y[0]), np.hypot(x[3] - x[2], y[3] - y[2])))


@dataclass(frozen=True, slots=True)
class Positions:
    """Where the centres of a window of target pixels lie in the source, (h, w) each, in pixels.

    `error` is the largest difference from the chain at the places between the nodes.
    """

    columns: FloatArray
    rows: FloatArray
    error: float


def positions(
    target: Grid, source: Grid, back: DatumChain, window: tuple[int, int, int, int]
) -> Positions:
    """Source positions of the target window (column, row, width, height); `back` runs backwards."""
    column, row, width, height = window
    wide, high = _nodes(width), _nodes(height)
    node = _exact(target, source, back, wide + (column + 0.5), high + (row + 0.5))
    across: FloatArray = wide[:-1] + wide[1:] + (2 * column + 1)
    down: FloatArray = high[:-1] + high[1:] + (2 * row + 1)
    between = _exact(target, source, back, across * 0.5, down * 0.5)
    middle = [(n[:-1, :-1] + n[:-1, 1:] + n[1:, :-1] + n[1:, 1:]) / 4 for n in node]
    away = [np.abs(m - b).max(initial=0.0) for m, b in zip(middle, between, strict=True)]
    error = float(max(away))
    if not error <= TOLERANCE:  # NaN too
        every = np.arange(width, dtype=float), np.arange(height, dtype=float)
        columns, rows = _exact(
            target, source, back, every[0] + (column + 0.5), every[1] + (row + 0.5)
        )
        return Positions(columns, rows, 0.0)
    filled = [_fill(n, wide, high, width, height) for n in node]
    return Positions(filled[0], filled[1], error)


def _nodes(size: int) -> FloatArray:
    """Pixels 0, STEP, ... and the last; two at least, so that there is something between."""
    inner = np.arange(0, max(size - 1, 1), STEP, dtype=float)
    return np.append(inner, float(max(size - 1, 1)))


def _exact(
    target: Grid, source: Grid, back: DatumChain, columns: FloatArray, rows: FloatArray
) -> tuple[FloatArray, FloatArray]:
    wide, high = np.meshgrid(columns, rows)
    x, y = target.places(wide.ravel(), high.ravel())
    sx, sy, _ = back.apply(x, y)
    found = source.pixels(sx, sy)
    return found[0].reshape(wide.shape), found[1].reshape(wide.shape)


def _fill(
    node: FloatArray, wide: FloatArray, high: FloatArray, width: int, height: int
) -> FloatArray:
    """Bilinear between the nodes."""
    i, fi = _between(wide, width)
    j, fj = _between(high, height)
    top = node[np.ix_(j, i)] * (1 - fi) + node[np.ix_(j, i + 1)] * fi
    low = node[np.ix_(j + 1, i)] * (1 - fi) + node[np.ix_(j + 1, i + 1)] * fi
    down = fj[:, None]
    filled: FloatArray = top * (1 - down) + low * down
    return filled


def _between(nodes: FloatArray, size: int) -> tuple[NDArray[np.int64], FloatArray]:
    pixels = np.arange(size, dtype=float)
    at = np.clip(np.searchsorted(nodes, pixels, side="right") - 1, 0, len(nodes) - 2)
    return at, (pixels - nodes[at]) / (nodes[at + 1] - nodes[at])
