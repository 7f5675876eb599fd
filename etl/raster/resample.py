"""Values at positions between pixels: nearest, bilinear, cubic; what is nodata stays nodata.

A target pixel is valid exactly where the source pixel it falls into is valid: borders of nodata
move by no more than the half pixel of any resampling, alike for all bands and methods, and no
value is mixed with nodata. Bilinear weights leave nodata neighbours out; cubic (Keys, a = -0.5)
falls back to bilinear where any of its sixteen is nodata.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from etl.datum.coordsys import FloatArray

Method = Literal["nearest", "bilinear", "cubic"]
METHODS: tuple[Method, ...] = ("nearest", "bilinear", "cubic")
MARGIN = 3
"""Source pixels that a method needs around a position."""
_SNAP = 1e-6


def resample(
    values: NDArray[Any],
    valid: NDArray[np.bool_],
    columns: FloatArray,
    rows: FloatArray,
    method: Method,
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Values (h, w) as float64 (nearest: as they are) and which are valid, at pixel positions.

    values, valid: one band (H, W); columns, rows: (h, w), centres at .5, NaN where there is none.
    """
    high, wide = values.shape
    inside = (columns >= 0) & (columns < wide) & (rows >= 0) & (rows < high)
    safe_c, safe_r = np.where(inside, columns, 0.5), np.where(inside, rows, 0.5)
    at_c, at_r = safe_c.astype(np.int64), safe_r.astype(np.int64)
    good = inside & valid[at_r, at_c]
    if method == "nearest":
        return values[at_r, at_c], good
    u, v = _snapped(safe_c - 0.5), _snapped(safe_r - 0.5)
    found = _bilinear(values, valid, u, v)
    if method == "cubic":
        found = _cubic(values, valid, u, v, found)
    return np.where(good, found, 0.0), good


def _snapped(position: FloatArray) -> FloatArray:
    """Positions that are a centre but for rounding give that pixel's very value."""
    whole = np.round(position)
    return np.where(np.abs(position - whole) < _SNAP, whole, position)


def _bilinear(
    values: NDArray[Any], valid: NDArray[np.bool_], u: FloatArray, v: FloatArray
) -> FloatArray:
    high, wide = values.shape
    i, j = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    fi, fj = u - i, v - j
    total, weight = np.zeros(u.shape), np.zeros(u.shape)
    for dj, down in ((0, 1 - fj), (1, fj)):
        for di, across in ((0, 1 - fi), (1, fi)):
            c, r = np.clip(i + di, 0, wide - 1), np.clip(j + dj, 0, high - 1)
            share = down * across * valid[r, c]
            total += share * np.where(valid[r, c], values[r, c], 0)
            weight += share
    return np.divide(total, weight, out=np.zeros(u.shape), where=weight > 0)


def _cubic(
    values: NDArray[Any],
    valid: NDArray[np.bool_],
    u: FloatArray,
    v: FloatArray,
    otherwise: FloatArray,
) -> FloatArray:
    high, wide = values.shape
    i, j = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    across, down = _keys(u - i), _keys(v - j)
    total, whole = np.zeros(u.shape), np.ones(u.shape, dtype=bool)
    for dj in range(4):
        for di in range(4):
            c, r = i + di - 1, j + dj - 1
            whole &= (c >= 0) & (c < wide) & (r >= 0) & (r < high)
            c, r = np.clip(c, 0, wide - 1), np.clip(r, 0, high - 1)
            whole &= valid[r, c]
            total += down[dj] * across[di] * np.where(valid[r, c], values[r, c], 0)
    return np.where(whole, total, otherwise)


def _keys(f: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Weights of the four neighbours of a fraction (Keys 1981, a = -0.5)."""
    return (
        ((-0.5 * f + 1.0) * f - 0.5) * f,
        (1.5 * f - 2.5) * f * f + 1.0,
        ((-1.5 * f + 2.0) * f + 0.5) * f,
        (0.5 * f - 0.5) * f * f,
    )
