"""The datums the bureaus deliver in: synthetic city parameters, and exact ways into each.

Parameters of this kind are confidential in a real city; these are invented. `DATUM_YAML` is what
a delivery registers; the functions here are written from the published definitions and do not use
`etl.datum`, which is tested against them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from geoserver_py.sample_city.obfuscation import bd09_from_wgs84, gcj02_from_wgs84
from geoserver_py.sample_city.plane import FloatArray, along, geographic

SEVEN = {"x": -130.0, "y": -65.3, "z": 3.3, "rx": 0.31, "ry": -0.52, "rz": 0.74, "s": 1.2}
"""Xian 1980 to CGCS2000, coordinate frame: some 117 m to the east, as measured in Guangdong."""
LOCAL_GRID = "local:meizhou-sample"
FOUR = {"dE": 352218.4173, "dN": 2651990.2652, "A": 0.99986451, "B": -0.01462187}
"""Local independent grid to EPSG:4548."""
ACCURACY_M = 0.04

DATUM_YAML: dict[str, Any] = {
    "grids": {LOCAL_GRID: "梅州独立坐标系（模拟） Meizhou local grid (synthetic)"},
    "links": [
        {
            "kind": "helmert",
            "name": "西安80→CGCS2000 七参数（模拟） (synthetic)",
            "source": "epsg:4610",
            "target": "epsg:4490",
            "accuracy_m": ACCURACY_M,
            "authority": "示范城市的虚构参数 invented for the synthetic sample city",
            "parameters": SEVEN | {"convention": "coordinate_frame"},
        },
        {
            "kind": "similarity",
            "name": "梅州独立坐标系→CGCS2000 四参数（模拟） (synthetic)",
            "source": LOCAL_GRID,
            "target": "epsg:4548",
            "accuracy_m": ACCURACY_M,
            "authority": "示范城市的虚构参数 invented for the synthetic sample city",
            "parameters": FOUR,
        },
    ],
}

_IAG75, _GRS80 = "+a=6378140 +rf=298.257", "+a=6378137 +rf=298.257222101"
_SHIFT = " ".join(f"+{key}={value}" for key, value in SEVEN.items())
_XIAN80_TO_CGCS2000 = (
    "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad"
    f" +step +proj=cart {_IAG75} +step +proj=helmert {_SHIFT} +convention=coordinate_frame"
    f" +step +inv +proj=cart {_GRS80} +step +proj=unitconvert +xy_in=rad +xy_out=deg"
)
_XIAN80_ZONE39 = (
    "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad"
    f" +step +proj=tmerc +lat_0=0 +lon_0=117 +k=1 +x_0=39500000 +y_0=0 {_IAG75}"
)
ZONE_39 = 39_000_000.0
"""EPSG:4527 is EPSG:4548 with the zone number before the easting."""


def xian80_zone39(xy: FloatArray) -> FloatArray:
    """EPSG:4548 to EPSG:2363 (n, 2) east, north: the position whose forward image is the truth.

    The plan position on the ellipsoid (height 0) is iterated, since the step back would give it
    a height that a Shapefile does not hold.
    """
    wanted = geographic(xy)
    guess = wanted.copy()
    for _ in range(6):
        guess += wanted - along(_XIAN80_TO_CGCS2000, guess)
    return along(_XIAN80_ZONE39, guess)


def local_grid(xy: FloatArray) -> FloatArray:
    """EPSG:4548 to the local grid: the four parameters solved backwards."""
    matrix = np.array([[FOUR["A"], -FOUR["B"]], [FOUR["B"], FOUR["A"]]])
    return np.linalg.solve(matrix, (xy - [FOUR["dE"], FOUR["dN"]]).T).T


def zone39(xy: FloatArray) -> FloatArray:
    """EPSG:4548 to EPSG:4527."""
    return np.add(xy, (ZONE_39, 0.0))


def gcj02(xy: FloatArray) -> FloatArray:
    """EPSG:4548 to GCJ-02 lon, lat (CGCS2000 taken as WGS 84, as everyone does)."""
    lonlat = geographic(xy)
    return np.column_stack(gcj02_from_wgs84(lonlat[:, 0], lonlat[:, 1]))


def bd09(xy: FloatArray) -> FloatArray:
    """EPSG:4548 to BD-09 lon, lat."""
    lonlat = geographic(xy)
    return np.column_stack(bd09_from_wgs84(lonlat[:, 0], lonlat[:, 1]))
