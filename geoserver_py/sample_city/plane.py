"""From the drawing board to the ground: one smooth bend of the plane, and the true projection.

Everything is drawn on a square lattice in metres; `bend` turns it into natural-looking curves
in EPSG:4548. Shared corners stay shared: equal input gives equal output to the millimetre.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Geometries = NDArray[np.object_]

BLOCK = 200.0
"""Metres between street centre lines on the drawing board."""
CELL = 100.0
"""Side of a unit grid cell on the drawing board: about 10 000 m2 on the ground."""
CENTRE = (410413.240, 2687537.854)
"""Where the middle of cell (0, 0) lands: the city's centre in EPSG:4548, east and north."""

_TURN = np.radians(7.0)
# wave length (m), amplitude (m), phase: slopes stay below 0.5 in sum, so the bend never folds
_WAVES = (
    (81_000.0, 2300.0, 0.4),
    (23_000.0, 420.0, 1.9),
    (5_300.0, 60.0, 4.1),
    (1_900.0, 9.0, 2.2),
)

_GRID = "+proj=tmerc +lat_0=0 +lon_0=117 +k=1 +x_0=500000 +y_0=0 +a=6378137 +rf=298.257222101"
TRUE_GEOGRAPHIC = (
    f"+proj=pipeline +step +inv {_GRID} +step +proj=unitconvert +xy_in=rad +xy_out=deg"
)
"""EPSG:4548 (x = east) to CGCS2000 degrees (x = lon), the definition of the grid written out."""


def _shift(u: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray]:
    du, dv = np.zeros_like(u), np.zeros_like(v)
    for length, amplitude, phase in _WAVES:
        k = 2 * np.pi / length
        du += amplitude * np.sin(k * v + phase) * np.cos(0.6 * k * u + phase)
        dv += amplitude * np.sin(k * u + 2 * phase) * np.cos(0.6 * k * v - phase)
    return du, dv


def bend(u: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Drawing board (metres) to EPSG:4548 east and north, rounded to the millimetre."""
    middle = np.array([CELL / 2])
    du, dv = _shift(u, v)
    du0, dv0 = _shift(middle, middle)
    x, y = u + du - (CELL / 2 + du0[0]), v + dv - (CELL / 2 + dv0[0])
    east = CENTRE[0] + np.cos(_TURN) * x - np.sin(_TURN) * y
    north = CENTRE[1] + np.sin(_TURN) * x + np.cos(_TURN) * y
    return np.round(east, 3), np.round(north, 3)


def bent(geometries: Geometries) -> Geometries:
    """Geometries of the drawing board in EPSG:4548; heights unchanged."""

    def move(xy: FloatArray) -> FloatArray:
        return np.column_stack(bend(xy[:, 0], xy[:, 1]))

    return np.asarray(shapely.transform(geometries, move))


@lru_cache(maxsize=8)
def _pipeline(definition: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_pipeline(definition)


def along(definition: str, xy: FloatArray, *, inverse: bool = False) -> FloatArray:
    """Apply an explicit PROJ pipeline to (n, 2) coordinates, x east or lon."""
    direction = (
        pyproj.enums.TransformDirection.INVERSE
        if inverse
        else (pyproj.enums.TransformDirection.FORWARD)
    )
    x, y = _pipeline(definition).transform(xy[:, 0], xy[:, 1], direction=direction)
    return np.column_stack([x, y])


def geographic(xy: FloatArray) -> FloatArray:
    """EPSG:4548 (n, 2) east, north to CGCS2000 (n, 2) lon, lat in degrees."""
    return along(TRUE_GEOGRAPHIC, xy)


def rings(corners: FloatArray) -> Geometries:
    """Polygons from (n, k, 2) corner arrays of the drawing board (not closed), bent."""
    closed = np.concatenate([corners, corners[:, :1]], axis=1)
    east, north = bend(closed[..., 0].ravel(), closed[..., 1].ravel())
    moved = np.stack([east, north], axis=-1).reshape(closed.shape)
    return np.asarray(shapely.polygons(moved))


def points(u: FloatArray, v: FloatArray) -> Geometries:
    """Points of the drawing board, bent."""
    east, north = bend(u, v)
    return np.asarray(shapely.points(east, north))


def outline(west: int, south: int, east: int, north: int) -> FloatArray:
    """Corners and every 100 m between, of a rectangle given in blocks: (k, 2), not closed.

    Neighbours at all levels share these vertices, so bent borders leave no gap.
    """
    step = int(BLOCK // CELL)
    w, s, e, n = (value * step for value in (west, south, east, north))
    bottom = [(x, s) for x in range(w, e)]
    right = [(e, y) for y in range(s, n)]
    top = [(x, n) for x in range(e, w, -1)]
    left = [(w, y) for y in range(n, s, -1)]
    return np.array(bottom + right + top + left, dtype=np.float64) * CELL
