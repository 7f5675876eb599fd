"""GCJ-02 and BD-09: the published formulas and their exact inverses.

Source: the forward formulas as published alike in eviltransform, coord-convert and prcoords
(Krassovsky a = 6378245 m). All functions take and give degrees, arrays of one shape, x = lon,
y = lat. The inverse solves forward(w) = g by fixed-point iteration to 1e-12 degrees (0.1 um):
the shift changes by at most about 3.4 m per km, so each round gains two to three digits; the
usual one-shot inverse 2g - f(g) errs by up to 2.4 m, BD-09's closed form by 0.1 m.

The formula reaches only a box (72.004..137.8347 E, 0.8293..55.8271 N) and leaves coordinates
outside as they are; the box is not China: Hong Kong, Seoul, Hanoi and Delhi are inside. At its
edge lies a step of some 0.5 km where a GCJ-02 value has two originals or none: the inverse
answers NaN there rather than choosing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from etl.datum.coordsys import FloatArray

_A = 6378245.0
_EE = 0.00669342162296594323
_BD = np.pi * 3000.0 / 180.0
BOX = (72.004, 0.8293, 137.8347, 55.8271)  # west, south, east, north
TOLERANCE_DEG = 1e-12
_MAX_ROUNDS = 40


def inside_box(lon: FloatArray, lat: FloatArray) -> NDArray[np.bool_]:
    """Where the published formula shifts coordinates at all."""
    west, south, east, north = BOX
    return (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)


def _shift(lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """GCJ-02 minus WGS 84 in degrees, without regard to the box; inf counts as NaN."""
    lon, lat = np.where(np.isfinite(lon), lon, np.nan), np.where(np.isfinite(lat), lat, np.nan)
    x, y = lon - 105.0, lat - 35.0
    root = np.sqrt(np.abs(x))
    wave = (20.0 * np.sin(6.0 * x * np.pi) + 20.0 * np.sin(2.0 * x * np.pi)) * 2.0 / 3.0
    d_lat = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + wave
    d_lat += (20.0 * np.sin(y * np.pi) + 40.0 * np.sin(y / 3.0 * np.pi)) * 2.0 / 3.0
    d_lat += (160.0 * np.sin(y / 12.0 * np.pi) + 320.0 * np.sin(y * np.pi / 30.0)) * 2.0 / 3.0
    d_lon = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + wave
    d_lon += (20.0 * np.sin(x * np.pi) + 40.0 * np.sin(x / 3.0 * np.pi)) * 2.0 / 3.0
    d_lon += (150.0 * np.sin(x / 12.0 * np.pi) + 300.0 * np.sin(x / 30.0 * np.pi)) * 2.0 / 3.0
    phi = np.radians(lat)
    magic = 1.0 - _EE * np.sin(phi) ** 2
    meridian = _A * (1.0 - _EE) / (magic * np.sqrt(magic))
    parallel = _A / np.sqrt(magic) * np.cos(phi)
    return np.degrees(d_lon / parallel), np.degrees(d_lat / meridian)


def wgs84_to_gcj02(lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Published forward formula; unchanged outside the box."""
    d_lon, d_lat = _shift(lon, lat)
    inside = inside_box(lon, lat)
    return np.where(inside, lon + d_lon, lon), np.where(inside, lat + d_lat, lat)


def gcj02_to_wgs84(lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Exact inverse of the published formula; NaN where it has no single original."""
    w_lon, w_lat = lon.copy(), lat.copy()
    for _ in range(_MAX_ROUNDS):
        d_lon, d_lat = _shift(w_lon, w_lat)
        n_lon, n_lat = lon - d_lon, lat - d_lat
        moved = np.fmax(np.abs(n_lon - w_lon), np.abs(n_lat - w_lat))
        w_lon, w_lat = n_lon, n_lat
        if not np.any(moved > TOLERANCE_DEG):
            break
    from_inside = inside_box(w_lon, w_lat) & (moved <= 10 * TOLERANCE_DEG)
    from_outside = ~inside_box(lon, lat) & np.isfinite(lon) & np.isfinite(lat)
    out_lon = np.where(from_inside, w_lon, lon)
    out_lat = np.where(from_inside, w_lat, lat)
    undecidable = from_inside == from_outside
    return np.where(undecidable, np.nan, out_lon), np.where(undecidable, np.nan, out_lat)


def gcj02_to_bd09(lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Published forward formula of Baidu."""
    radius = np.hypot(lon, lat) + 0.00002 * np.sin(lat * _BD)
    theta = np.arctan2(lat, lon) + 0.000003 * np.cos(lon * _BD)
    return radius * np.cos(theta) + 0.0065, radius * np.sin(theta) + 0.006


def bd09_to_gcj02(lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Exact inverse of `gcj02_to_bd09`; NaN where the iteration does not settle."""
    g_lon, g_lat = lon - 0.0065, lat - 0.006
    moved = np.full_like(lon, np.inf)
    for _ in range(_MAX_ROUNDS):
        f_lon, f_lat = gcj02_to_bd09(g_lon, g_lat)
        d_lon, d_lat = lon - f_lon, lat - f_lat
        g_lon, g_lat = g_lon + d_lon, g_lat + d_lat
        moved = np.fmax(np.abs(d_lon), np.abs(d_lat))
        if not np.any(moved > TOLERANCE_DEG):
            break
    settled = moved <= 10 * TOLERANCE_DEG
    return np.where(settled, g_lon, np.nan), np.where(settled, g_lat, np.nan)
