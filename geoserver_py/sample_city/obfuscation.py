"""GCJ-02 and BD-09 forward, written from the published formulas, independent of `etl.datum`.

The ETL is tested against files made here: sharing its code would prove nothing. Degrees,
x = lon, y = lat. Source: the formulas published alike in prcoords and coord-convert.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_AXIS, _ECCENTRICITY2 = 6378245.0, 0.00669342162296594323  # Krassovsky
_PI = np.pi


def gcj02_from_wgs84(lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Obfuscate positions inside China; arrays (n,) of degrees in and out."""
    x, y = lon - 105.0, lat - 35.0

    def waves(t: FloatArray, *terms: tuple[float, float]) -> FloatArray:
        total = np.zeros_like(t)
        for amplitude, frequency in terms:
            total += amplitude * np.sin(t * frequency * _PI)
        return total * 2.0 / 3.0

    common = waves(x, (20.0, 6.0), (20.0, 2.0))
    north = -100.0 + 2 * x + 3 * y + 0.2 * y**2 + 0.1 * x * y + 0.2 * np.sqrt(np.abs(x)) + common
    north += waves(y, (20.0, 1.0), (40.0, 1 / 3), (160.0, 1 / 12), (320.0, 1 / 30))
    east = 300.0 + x + 2 * y + 0.1 * x**2 + 0.1 * x * y + 0.1 * np.sqrt(np.abs(x)) + common
    east += waves(x, (20.0, 1.0), (40.0, 1 / 3), (150.0, 1 / 12), (300.0, 1 / 30))
    w = 1.0 - _ECCENTRICITY2 * np.sin(lat / 180.0 * _PI) ** 2
    d_lat = north * 180.0 / (_AXIS * (1.0 - _ECCENTRICITY2) / (w * np.sqrt(w)) * _PI)
    d_lon = east * 180.0 / (_AXIS / np.sqrt(w) * np.cos(lat / 180.0 * _PI) * _PI)
    return lon + d_lon, lat + d_lat


def bd09_from_wgs84(lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Baidu's second obfuscation on top of GCJ-02."""
    x, y = gcj02_from_wgs84(lon, lat)
    turn = _PI * 3000.0 / 180.0
    radius = np.hypot(x, y) + 0.00002 * np.sin(y * turn)
    angle = np.arctan2(y, x) + 0.000003 * np.cos(x * turn)
    return radius * np.cos(angle) + 0.0065, radius * np.sin(angle) + 0.006
