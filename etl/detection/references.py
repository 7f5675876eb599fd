"""Trusted positions to compare with: lines, points, and positions paired row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.datum.coordsys import FloatArray

FAR_M = 600.0
"""Distances are measured up to here; farther counts as this."""
_CELL_M = 130.0
_SPACING_M = 12.0
_MOST_POINTS = 600_000


def to_local(
    lon: FloatArray, lat: FloatArray, lon0: float, lat0: float
) -> tuple[FloatArray, FloatArray]:
    """Metres about a centre: good to 1 % over a prefecture, enough to tell 20 m from 500."""
    per_lon, per_lat = scale(lat0)
    return (lon - lon0) * per_lon, (lat - lat0) * per_lat


def scale(lat0: float) -> tuple[float, float]:
    """Metres of a degree of longitude and of latitude at `lat0`."""
    phi = np.radians(lat0)
    per_lat = 111_132.95 - 559.85 * np.cos(2 * phi) + 1.17 * np.cos(4 * phi)
    per_lon = 111_412.88 * np.cos(phi) - 93.5 * np.cos(3 * phi)
    return float(per_lon), float(per_lat)


@dataclass(frozen=True)
class Channel:
    """One trusted layer in local metres: segments or points, searchable."""

    name: str
    shapes: NDArray[Any]
    xy: FloatArray

    @cached_property
    def tree(self) -> shapely.STRtree:
        """Index over segments or points."""
        return shapely.STRtree(self.shapes)

    @cached_property
    def _hash(self) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.int64]]:
        cell = _cell(self.xy)
        order = np.argsort(cell, kind="stable")
        return self.xy[order], cell[order], np.arange(len(order))

    def distances(self, xy: FloatArray, most: float = FAR_M) -> FloatArray:
        """(n,) metres to the nearest shape, FAR_M where it is farther than `most`."""
        out: FloatArray = np.full(len(xy), FAR_M)
        good = np.isfinite(xy).all(axis=1)
        where = np.full(len(xy), None, dtype=object)
        where[good] = shapely.points(xy[good])
        found, distance = self.tree.query_nearest(
            where, max_distance=most, return_distance=True, all_matches=False
        )
        out[found[0]] = distance
        return out

    def offsets(self, xy: FloatArray, radius: float) -> tuple[FloatArray, NDArray[np.int64]]:
        """Vectors (m, 2) from points to all reference points within `radius`, and whose (m,)."""
        points, cells, _ = self._hash
        reach = int(np.ceil(radius / _CELL_M))
        vectors, owners = [], []
        for dx in range(-reach, reach + 1):
            for dy in range(-reach, reach + 1):
                cell = _cell(xy + np.array([dx, dy]) * _CELL_M)
                low = np.searchsorted(cells, cell, "left")
                count = np.searchsorted(cells, cell, "right") - low
                owner = np.repeat(np.arange(len(xy)), count)
                start = np.repeat(low - np.concatenate([[0], np.cumsum(count)[:-1]]), count)
                vector = points[start + np.arange(len(owner))] - xy[owner]
                near = (np.abs(vector) <= radius).all(axis=1)
                vectors.append(vector[near])
                owners.append(owner[near])
        return np.concatenate(vectors), np.concatenate(owners)


def _cell(xy: FloatArray) -> NDArray[np.int64]:
    i = np.floor(xy / _CELL_M).astype(np.int64)
    return np.asarray(i[:, 0] * 1_000_003 + i[:, 1], dtype=np.int64)


@dataclass(frozen=True)
class References:
    """Trusted layers around one centre (lon0, lat0), and positions paired with the rows.

    `paired` (n, 2) lon, lat in CGCS2000 of the same rows as the coordinates judged (known
    points), NaN where unknown. `paired_name` says where they come from; `paired_raw` means that
    nobody vouches for their datum (another pair of columns of the same file).
    """

    lon0: float
    lat0: float
    channels: tuple[Channel, ...] = ()
    paired: FloatArray | None = None
    paired_raw: bool = False

    @classmethod
    def from_geometries(
        cls, geometries: Sequence[Any], name: str = "reference", *, beside: References | None = None
    ) -> References | None:
        """From lines, polygons (their boundaries and centroids) or points; None without any.

        Geometries are CGCS2000, x = lon, y = lat. `beside` adds the layer to other references.
        """
        kept = [g for g in geometries if g is not None and not shapely.is_empty(g)]
        if not kept:
            return beside
        all_of = np.array(kept, dtype=object)
        if beside is None:
            west, south, east, north = shapely.total_bounds(all_of)
            beside = cls(float(west + east) / 2, float(south + north) / 2)
        dimension = shapely.get_dimensions(all_of)
        channels = list(beside.channels)
        lines = np.concatenate([all_of[dimension == 1], shapely.boundary(all_of[dimension == 2])])
        if len(lines):
            channels.append(_line_channel(name, lines, beside))
        points = shapely.get_coordinates(all_of[dimension == 0])
        if len(points):
            channels.append(_point_channel(name, points, beside))
        areas = all_of[dimension == 2]
        if len(areas) >= 20:
            centres = shapely.get_coordinates(shapely.centroid(areas))
            channels.append(_point_channel(f"{name} centroid", centres, beside))
        return replace(beside, channels=tuple(channels))

    @classmethod
    def from_points(
        cls, lon: Any, lat: Any, name: str = "known points", *, beside: References | None = None
    ) -> References | None:
        """From (n,) trusted positions, CGCS2000 degrees."""
        xy = np.column_stack([np.asarray(lon, np.float64), np.asarray(lat, np.float64)])
        return cls.from_geometries(
            list(np.asarray(shapely.points(xy[np.isfinite(xy).all(axis=1)]), dtype=object)),
            name,
            beside=beside,
        )

    def with_pairs(self, lon: Any, lat: Any, *, raw: bool = False) -> References:
        """The same with known positions row by row."""
        pairs = np.column_stack([np.asarray(lon, np.float64), np.asarray(lat, np.float64)])
        return replace(self, paired=pairs, paired_raw=raw)

    @classmethod
    def pairs(cls, lon: Any, lat: Any, *, raw: bool = False) -> References:
        """Known positions row by row and nothing else."""
        lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
        if not (np.isfinite(lon) & np.isfinite(lat)).any():
            return cls(0.0, 0.0)
        return cls(float(np.nanmedian(lon)), float(np.nanmedian(lat))).with_pairs(lon, lat, raw=raw)

    def local(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        """(n, 2) metres about the centre."""
        return np.column_stack(to_local(lon, lat, self.lon0, self.lat0))


def _line_channel(name: str, lines: Any, at: References) -> Channel:
    parts = shapely.get_parts(shapely.get_parts(lines))
    xy, owner = shapely.get_coordinates(parts, return_index=True)
    xy = at.local(xy[:, 0], xy[:, 1])
    same = owner[:-1] == owner[1:]
    first, last = xy[:-1][same], xy[1:][same]
    length = np.hypot(*(last - first).T)
    keep = length > 0
    first, last, length = first[keep], last[keep], length[keep]
    shapes = shapely.linestrings(np.stack([first, last], axis=1))
    spacing = max(_SPACING_M, float(length.sum()) / _MOST_POINTS)
    count = np.maximum(1, np.ceil(length / spacing)).astype(np.int64)
    owners = np.repeat(np.arange(len(count)), count)
    step = np.arange(len(owners)) - np.repeat(np.cumsum(count) - count, count)
    share = ((step + 0.5) / count[owners])[:, None]
    dense = first[owners] + share * (last - first)[owners]
    return Channel(name, np.asarray(shapes, dtype=object), dense)


def _point_channel(name: str, lonlat: FloatArray, at: References) -> Channel:
    xy = at.local(lonlat[:, 0], lonlat[:, 1])
    return Channel(name, np.asarray(shapely.points(xy), dtype=object), xy)
