"""Geometries of a batch: moved through datum steps, written as WKB.

Point layers are plain coordinate arrays (10 times faster than geometry objects), others are
arrays of shapely geometries. x = longitude or easting, y = latitude or northing throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from etl.checks.finding import BoolArray
from etl.datum import DatumChain
from etl.datum.coordsys import FloatArray

ShapeArray = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Points:
    """Coordinates (n,) of points; NaN in x marks a row without a position. `z` may be absent."""

    x: FloatArray
    y: FloatArray
    z: FloatArray | None

    def moved(self, chain: DatumChain) -> Points:
        """The points after the datum steps; heights stay."""
        x, y, _ = chain.apply(self.x, self.y, self.z)
        return replace(self, x=x, y=y)

    def finite(self) -> BoolArray:
        """Rows whose plan coordinates are numbers."""
        return np.asarray(np.isfinite(self.x) & np.isfinite(self.y))

    def bounds(self) -> FloatArray:
        """(n, 4) west, south, east, north."""
        return np.column_stack((self.x, self.y, self.x, self.y))

    def take(self, keep: BoolArray) -> Points:
        """The rows of a mask."""
        return Points(self.x[keep], self.y[keep], None if self.z is None else self.z[keep])

    def wkb(self, has_z: bool) -> pa.Array:
        """WKB (ISO, little endian) of every row; null where there is no position.

        ValueError for heights asked for that are not there: 0 m is a height too.
        """
        if has_z and self.z is None and bool(self.finite().any()):
            raise ValueError("points without heights cannot be written with them")
        size = len(self.x)
        layout = [("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")]
        if has_z:
            layout.append(("z", "<f8"))
        records = np.empty(size, dtype=np.dtype(layout))
        records["order"] = 1
        records["type"] = 1001 if has_z else 1
        records["x"], records["y"] = self.x, self.y
        if has_z:
            records["z"] = np.nan if self.z is None else self.z
        width = records.dtype.itemsize
        offsets = np.arange(0, (size + 1) * width, width, dtype=np.int32)
        packed = pa.Array.from_buffers(
            pa.binary(), size, [None, pa.py_buffer(offsets), pa.py_buffer(records)]
        )
        finite = self.finite()
        if finite.all():
            return packed
        return pa.array(packed.to_numpy(zero_copy_only=False), pa.binary(), mask=~finite)

    def shapes(self) -> ShapeArray:
        """Shapely points; None without a position."""
        made: ShapeArray = np.atleast_1d(np.asarray(shapely.points(self.x, self.y), dtype=object))
        return without(made, ~self.finite())


@dataclass(frozen=True, slots=True)
class Shapes:
    """Shapely geometries (n,), None for a row without one."""

    geometries: ShapeArray

    def moved(self, chain: DatumChain) -> Shapes:
        """Every vertex after the datum steps; edges stay straight between them."""
        has_z = bool(np.any(shapely.has_z(self.geometries)))
        coordinates = shapely.get_coordinates(self.geometries, include_z=has_z)
        z = coordinates[:, 2] if has_z else None
        if len(coordinates):
            x, y, _ = chain.apply(coordinates[:, 0], coordinates[:, 1], z)
            coordinates[:, 0], coordinates[:, 1] = x, y
        return Shapes(shapely.set_coordinates(self.geometries.copy(), coordinates))

    def finite(self) -> BoolArray:
        """Rows all of whose plan coordinates are numbers."""
        coordinates, index = shapely.get_coordinates(self.geometries, return_index=True)
        good = np.ones(len(self.geometries), dtype=bool)
        good[index[~np.isfinite(coordinates).all(axis=1)]] = False
        return good

    def bounds(self) -> FloatArray:
        """(n, 4) west, south, east, north; NaN without a geometry."""
        return np.asarray(shapely.bounds(self.geometries), dtype=np.float64)

    def take(self, keep: BoolArray) -> Shapes:
        """The rows of a mask."""
        return Shapes(self.geometries[keep])

    def wkb(self, has_z: bool) -> pa.Array:
        """WKB (ISO, little endian) of every row; null without a geometry."""
        made = shapely.to_wkb(self.geometries, output_dimension=3 if has_z else 2, flavor="iso")
        return pa.array(made, pa.binary())

    def shapes(self) -> ShapeArray:
        """The geometries."""
        return self.geometries


@dataclass(frozen=True, slots=True)
class Boxes:
    """Where rows lie, once their geometries are written: (n, 4) west, south, east, north."""

    corners: FloatArray

    def bounds(self) -> FloatArray:
        """(n, 4) west, south, east, north; NaN without a geometry."""
        return self.corners


Places = Points | Shapes


def without(shapes: ShapeArray, mask: BoolArray) -> ShapeArray:
    """The geometries with those of `mask` set to None."""
    if not mask.any():
        return shapes
    out = shapes.copy()
    out[mask] = None
    return out


def points_of(shapes: ShapeArray, *, has_z: bool) -> Points:
    """Coordinates of an array that holds points or None only."""
    z = shapely.get_z(shapes) if has_z else None
    return Points(shapely.get_x(shapes), shapely.get_y(shapes), z)


def describe(places: Places) -> Callable[[int], str]:
    """A function that says where a row lies: its centre with 6 decimals, or 3 of metres."""
    bounds = places.bounds()

    def where(row: int) -> str:
        west, south, east, north = bounds[row]
        x, y = (west + east) / 2, (south + north) / 2
        decimals = 6 if abs(x) <= 360 and abs(y) <= 90 else 3
        return f"{x:.{decimals}f}, {y:.{decimals}f}"

    return where
