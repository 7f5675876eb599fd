"""Names of coordinate systems: what a person, an app or a delivery may state.

Coordinates are in traditional GIS order everywhere in this package: x = longitude or easting,
y = latitude or northing, whatever the authority's axis order is. `cgcs2000` is EPSG:4490 and
`wgs84` is EPSG:4326; GCJ-02 and BD-09 have no EPSG code and are names of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.exceptions import CRSError

from etl.datum.errors import UnknownCoordsys

FloatArray = NDArray[np.float64]

_ALIASES = {
    "cgcs2000": "cgcs2000",
    "2000国家大地坐标系": "cgcs2000",
    "国家2000": "cgcs2000",
    "wgs84": "wgs84",
    "crs84": "wgs84",
    "gcj02": "gcj02",
    "火星坐标": "gcj02",
    "火星坐标系": "gcj02",
    "bd09": "bd09",
    "bd09ll": "bd09",
    "百度坐标": "bd09",
}
# Geographic systems that are refused without registered parameters, by the names people use.
_CLASSICAL = {
    "beijing54": 4214,
    "北京54": 4214,
    "1954北京坐标系": 4214,
    "xian80": 4610,
    "西安80": 4610,
    "1980西安坐标系": 4610,
}
_NAMED_EPSG = {4490: "cgcs2000", 4326: "wgs84"}
_EPSG = re.compile(
    r"(?:epsg:|urn:ogc:def:crs:epsg:[0-9.]*:|https?://www\.opengis\.net/def/crs/epsg/[0-9.]+/)"
    r"([0-9]{4,6})"
)
_CRS84 = re.compile(
    r"(?:urn:ogc:def:crs:ogc:[0-9.]*:|https?://www\.opengis\.net/def/crs/ogc/[0-9.]+/)crs84h?"
)
ACCEPTED = ("cgcs2000", "wgs84", "gcj02", "bd09", "epsg:NNNN")

_TITLES = {
    "cgcs2000": "2000国家大地坐标系 CGCS2000",
    "wgs84": "WGS 84",
    "gcj02": "GCJ-02 (火星坐标, obfuscated)",
    "bd09": "BD-09 (百度坐标, obfuscated)",
}


@dataclass(frozen=True, slots=True)
class Coordsys:
    """A coordinate system by its canonical name.

    `kind` says which pair a position carries: geographic = lon, lat in degrees (x=lon, y=lat);
    plane = north, east in metres (x=east, y=north). `epsg` is None for GCJ-02, BD-09 and
    local grids.
    """

    name: str
    kind: Literal["geographic", "plane"]
    epsg: int | None = None
    title: str = ""

    def __str__(self) -> str:
        return self.name

    @property
    def uri(self) -> str:
        """OGC URI, or a project URN where EPSG has no code."""
        if self.epsg is not None:
            return f"http://www.opengis.net/def/crs/EPSG/0/{self.epsg}"
        return f"urn:geoserver-py:coordsys:{self.name}"


@lru_cache(maxsize=256)
def horizontal_crs(epsg: int) -> pyproj.CRS:
    """Two-dimensional horizontal part of EPSG code `epsg`; pyproj CRSError if there is none.

    Heights pass through unchanged (no public quasi-geoid of China), so compound and 3D systems
    count by their horizontal part.
    """
    crs = pyproj.CRS.from_epsg(epsg)
    if crs.is_compound:
        crs = crs.sub_crs_list[0]
    crs = crs.to_2d()
    if not (crs.is_projected or crs.is_geographic) or crs.is_geocentric:
        raise CRSError(f"EPSG:{epsg} is not a geographic or projected system")
    return crs


@lru_cache(maxsize=256)
def false_easting(epsg: int) -> float | None:
    """False easting of a transverse Mercator grid in metres, None for anything else."""
    operation = horizontal_crs(epsg).coordinate_operation
    if operation is None or "Transverse Mercator" not in operation.method_name:
        return None
    for parameter in operation.params:
        if parameter.name == "False easting":
            return float(parameter.value)
    return None


def datum_key(epsg: int) -> str:
    """Name of the geodetic datum (or ensemble) of an EPSG code: equal keys, equal datum."""
    geodetic = horizontal_crs(epsg).geodetic_crs
    if geodetic is None or geodetic.datum is None:
        raise CRSError(f"EPSG:{epsg} has no geodetic datum")
    # pyproj names the one datum of EPSG:4326 and 3857 with and without "ensemble".
    return str(geodetic.datum.name).removesuffix(" ensemble")


def parse_coordsys(text: str, grids: Iterable[str] = ()) -> Coordsys:
    """Canonical `Coordsys` of a name: cgcs2000, wgs84, gcj02, bd09, epsg:NNNN, or one of `grids`.

    OGC URIs and URNs of EPSG codes and CRS84 count too. Raises `UnknownCoordsys`, whose
    `accepted` lists the names.
    """
    known = tuple(grids)
    stripped = text.strip()
    if stripped in known:
        return Coordsys(stripped, "plane", None, stripped)
    low = stripped.lower()
    accepted = ACCEPTED + known
    for grid in known:
        if grid.lower() == low:
            return Coordsys(grid, "plane", None, grid)
    name = _ALIASES.get(low) or _ALIASES.get(re.sub(r"[\s_-]", "", low))
    if name is None and _CRS84.fullmatch(low):
        name = "wgs84"
    if name is not None:
        code = {"cgcs2000": 4490, "wgs84": 4326}.get(name)
        return Coordsys(name, "geographic", code, _TITLES[name])
    if low in _CLASSICAL:
        low = f"epsg:{_CLASSICAL[low]}"
    match = _EPSG.fullmatch(low)
    if match is None:
        raise UnknownCoordsys(stripped, accepted)
    code = int(match[1])
    if code in _NAMED_EPSG:
        return parse_coordsys(_NAMED_EPSG[code])
    try:
        crs = horizontal_crs(code)
    except CRSError as error:
        why = f"EPSG:{code} 不是地理或投影坐标系 no geographic or projected system"
        raise UnknownCoordsys(stripped, accepted, why) from error
    kind: Literal["geographic", "plane"] = "plane" if crs.is_projected else "geographic"
    return Coordsys(f"epsg:{code}", kind, code, str(crs.name))
