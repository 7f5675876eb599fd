"""Positions of the sample city in any frame, by formulas of this test's own.

`etl.datum` is what these files test, so none of it is used: projections are PROJ definitions
written out, GCJ-02 and BD-09 are the sample city's independent forward formulas.

Beijing 1954 and Xian 1980 are a plane shift in Gauss-Krueger metres with central meridian 117,
as paired boreholes of Guangdong show it: to CGCS2000 (+54.4 E, -58.8 N) m and (+117.3 E, +0.2 N)
m. On top lie what a real city adds and no detector may know: a constant of its own (1.5 m, one
sigma, each axis), a scale and rotation of a few ppm, and a wave of 0.35 m over some 40 km, the
strain of the old network. x = east or lon, y = north or lat everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyproj
from numpy.typing import NDArray

from geoserver_py.sample_city.obfuscation import bd09_from_wgs84, gcj02_from_wgs84
from geoserver_py.sample_city.plane import geographic

FloatArray = NDArray[np.float64]

ELLIPSOIDS = {
    "cgcs2000": "+a=6378137 +rf=298.257222101",
    "beijing54": "+a=6378245 +rf=298.3",
    "xian80": "+a=6378140 +rf=298.257",
}
SHIFTS = {"beijing54": (54.4, -58.8), "xian80": (117.3, 0.2)}
"""East and north metres that lead from the old datum to CGCS2000 (Guangdong, measured)."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A Gauss-Krueger grid: datum, central meridian, false easting, width of its zones."""

    datum: str
    meridian: int
    false_easting: float
    width: int = 3


def _grids() -> dict[str, Grid]:
    """EPSG codes of domain facts' appendix 1, checked against PROJ by a test."""
    made: dict[str, Grid] = {}
    three = {"cgcs2000": (4523, 4544), "xian80": (2359, 2380), "beijing54": (2411, 2432)}
    six = {"cgcs2000": (4497, 4508), "xian80": (2333, 2344), "beijing54": (21419, 21459)}
    for datum, (zone, plain) in three.items():
        for step in range(7):
            meridian = 105 + 3 * step
            made[f"epsg:{zone + step}"] = Grid(datum, meridian, (35 + step) * 1e6 + 5e5)
            made[f"epsg:{plain + step}"] = Grid(datum, meridian, 5e5)
    for datum, (zone, plain) in six.items():
        for step in range(2):
            meridian = 111 + 6 * step
            made[f"epsg:{zone + step}"] = Grid(datum, meridian, (19 + step) * 1e6 + 5e5, 6)
            made[f"epsg:{plain + step}"] = Grid(datum, meridian, 5e5, 6)
    return made


GRIDS = _grids()
GEOGRAPHIC = {
    "cgcs2000": "cgcs2000", "wgs84": "cgcs2000", "gcj02": "gcj02", "bd09": "bd09",
    "epsg:4214": "beijing54", "epsg:4610": "xian80",
}  # fmt: skip


@lru_cache(maxsize=64)
def _projection(ellipsoid: str, meridian: int) -> pyproj.Transformer:
    return pyproj.Transformer.from_pipeline(
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad"
        f" +step +proj=tmerc +lat_0=0 +lon_0={meridian} +k=1 +x_0=500000 +y_0=0 {ellipsoid}"
    )


def _project(lonlat: FloatArray, ellipsoid: str, meridian: int) -> FloatArray:
    return np.column_stack(_projection(ellipsoid, meridian).transform(lonlat[:, 0], lonlat[:, 1]))


def _unproject(xy: FloatArray, ellipsoid: str, meridian: int) -> FloatArray:
    inverse = pyproj.enums.TransformDirection.INVERSE
    moved = _projection(ellipsoid, meridian).transform(xy[:, 0], xy[:, 1], direction=inverse)
    return np.column_stack(moved)


@dataclass(frozen=True, slots=True)
class OldNetwork:
    """One city's own deviation from the measured shift; `plain` has none."""

    east: float = 0.0
    north: float = 0.0
    scale_ppm: float = 0.0
    turn_ppm: float = 0.0
    phase: float = 0.0
    wave_m: float = 0.0

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> OldNetwork:
        """A city drawn at random."""
        east, north = map(float, rng.normal(0, 1.5, 2))
        scale, turn = map(float, rng.normal(0, 4, 2))
        return cls(east, north, scale, turn, float(rng.uniform(0, 2 * np.pi)), 0.35)

    def shift(self, xy: FloatArray, datum: str) -> FloatArray:
        """(n, 2) metres from the old datum to CGCS2000 at EPSG:4548 positions."""
        u, v = (xy - (410_000.0, 2_687_000.0)).T
        wave = self.wave_m * np.sin(2 * np.pi * u / 37_000 + self.phase)
        other = self.wave_m * np.cos(2 * np.pi * v / 43_000 - self.phase)
        east, north = SHIFTS[datum]
        return np.column_stack(
            [
                east + self.east + 1e-6 * (self.scale_ppm * u - self.turn_ppm * v) + wave,
                north + self.north + 1e-6 * (self.turn_ppm * u + self.scale_ppm * v) + other,
            ]
        )


def in_frame(xy: FloatArray, system: str, network: OldNetwork | None = None) -> FloatArray:
    """True EPSG:4548 metres (n, 2) as numbers of `system`; KeyError for an unknown name."""
    if system in GEOGRAPHIC:
        datum = GEOGRAPHIC[system]
        if datum in SHIFTS:
            return _old_degrees(xy, datum, network)
        lonlat = geographic(xy)
        if datum == "gcj02":
            return np.column_stack(gcj02_from_wgs84(lonlat[:, 0], lonlat[:, 1]))
        if datum == "bd09":
            return np.column_stack(bd09_from_wgs84(lonlat[:, 0], lonlat[:, 1]))
        return lonlat
    grid = GRIDS[system]
    lonlat = geographic(xy) if grid.datum == "cgcs2000" else _old_degrees(xy, grid.datum, network)
    plane = _project(lonlat, ELLIPSOIDS[grid.datum], grid.meridian)
    return np.add(plane, (grid.false_easting - 5e5, 0.0))


def _old_degrees(xy: FloatArray, datum: str, network: OldNetwork | None) -> FloatArray:
    moved = xy - (network or OldNetwork()).shift(xy, datum)
    return _unproject(moved, ELLIPSOIDS[datum], 117)


def datum_of(system: str) -> str:
    """cgcs2000, beijing54, xian80, gcj02 or bd09; WGS 84 counts as CGCS2000."""
    return GEOGRAPHIC[system] if system in GEOGRAPHIC else GRIDS[system].datum


def is_degrees(system: str) -> bool:
    """Whether the numbers of the system are degrees."""
    return system in GEOGRAPHIC
