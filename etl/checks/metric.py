"""Metres between near positions in degrees, whole arrays at a time."""

from __future__ import annotations

import numpy as np

from etl.checks.finding import IntArray
from etl.datum.coordsys import FloatArray

_A = 6378137.0
_E2 = 0.00669438002290
"""GRS80, the ellipsoid of CGCS2000 (EPSG:7024)."""


def metres_per_degree(lat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Length (m) of one degree of longitude and of latitude at `lat` (n,) degrees, on GRS80."""
    phi = np.radians(lat)
    w2 = 1.0 - _E2 * np.sin(phi) ** 2
    radian = np.pi / 180.0
    return (
        np.asarray(_A * np.cos(phi) / np.sqrt(w2) * radian),
        np.asarray(_A * (1.0 - _E2) / w2**1.5 * radian),
    )


def east_north(
    lon: FloatArray, lat: FloatArray, to_lon: FloatArray, to_lat: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Metres east and north from one position (n,) to the other; exact to 1e-6 within 1 km."""
    per_lon, per_lat = metres_per_degree((lat + to_lat) / 2)
    return (to_lon - lon) * per_lon, (to_lat - lat) * per_lat


def local_plane(lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Metres on one scale for all: to search neighbours in, not to measure (0.8 % a degree)."""
    middle = np.asarray(float(np.nanmedian(lat)) if np.isfinite(lat).any() else 0.0)
    per_lon, per_lat = metres_per_degree(middle)
    return lon * float(per_lon), lat * float(per_lat)


def pairs_within(x: FloatArray, y: FloatArray, distance: float) -> tuple[IntArray, IntArray]:
    """Pairs (i < j) of points (n,) not farther apart than `distance`, in the unit of x and y.

    Four shifted lattices of cells twice as wide as the distance: two near points share a cell
    of one of them. Sorting keys is linear work where no two are near, which is the rule.
    """
    width = 2.0 * distance
    finite = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(finite) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    left, low = float(x[finite].min()), float(y[finite].min())
    found: list[IntArray] = []
    u, v = (x[finite] - left) / width, (y[finite] - low) / width
    for dx, dy in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5)):
        row = (v + dy).astype(np.int64)  # not negative: cutting off is rounding down
        keys = (u + dx).astype(np.int64) * (int(row.max()) + 2) + row
        ordered = np.sort(keys)
        shared = ordered[1:][ordered[1:] == ordered[:-1]]
        if len(shared):
            at = np.searchsorted(shared, keys).clip(max=len(shared) - 1)
            crowded = np.flatnonzero(shared[at] == keys)
            found.append(_in_one_cell(finite[crowded], keys[crowded]))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    both = np.unique(np.concatenate(found), axis=0)
    first, second = both[:, 0], both[:, 1]
    near = np.hypot(x[first] - x[second], y[first] - y[second]) <= distance
    return first[near], second[near]


_NEIGHBOURS = 32
"""Members of a crowded cell are compared with so many others and with the cell's first."""


def _in_one_cell(rows: IntArray, keys: IntArray) -> IntArray:
    """(m, 2) pairs of `rows`, the lesser first, whose keys are equal."""
    order = np.argsort(keys, kind="stable")
    rows, keys = rows[order], keys[order]
    start = np.concatenate([[True], keys[1:] != keys[:-1]])
    begin = np.maximum.accumulate(np.where(start, np.arange(len(keys)), 0))
    far = np.flatnonzero(np.arange(len(keys)) - begin > _NEIGHBOURS)
    pairs = [np.column_stack([rows[begin[far]], rows[far]])]
    for step in range(1, min(_NEIGHBOURS, len(keys) - 1) + 1):
        same = np.flatnonzero(keys[step:] == keys[:-step])
        if not len(same):
            break
        pairs.append(np.column_stack([rows[same], rows[same + step]]))
    return np.sort(np.concatenate(pairs), axis=1)
