"""Coordinate reference systems at the edge: names, axis order, decimals, rectangles.

Storage is EPSG:4490 with x = longitude, y = latitude. A client names a CRS by URI and gets the
axis order of its authority (OGC API Features Part 2, 6.2): latitude first in EPSG:4490, northing
first in EPSG:4548, easting first in EPSG:3857, longitude first in CRS84.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

import numpy as np
import pyproj
import shapely

from layers.city import CityProfile
from layers.definition import LayerDefinition

STORAGE_SRID = 4490
CRS84_URI = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
CRS84H_URI = "http://www.opengis.net/def/crs/OGC/0/CRS84h"
STORAGE_CRS_URI = "http://www.opengis.net/def/crs/EPSG/0/4490"

Bounds = tuple[float, float, float, float]
"""A rectangle as min x, min y, max x, max y, always x before y."""

DEGREE_DECIMALS = 9
"""0.1 mm on the ground; the usual 7 of PostGIS and GDAL err by 5.6 mm."""
METRE_DECIMALS = 4

NULL_STEP_CODES = frozenset({"CRS84", "CRS84h", "4326", "4490"})
"""Geographic CRSs that take CGCS2000's numbers as they are (null step, stated accuracy 1 m)."""

DOMAIN_MARGIN_DEGREES = 12.0
"""Rectangles in a plane grid are cut to its area of use and this much around it.

Beyond, a Gauss-Krueger inverse folds over; inside, it is injective and free of the antimeridian
for all Chinese zones. Cities do use grids outside their official area (Wuhua lies 0.3 degrees
west of that of EPSG:4548).
"""

SAGITTA_M = 1e-4
"""Largest distance between a rectangle's true edge and its image in 4490, where in reach."""
MAX_PARTS = 4096
"""Vertices an edge may be cut into: 0.1 mm up to edges of some 400 km at 24 N."""
_PROBES = 64


class UnknownCrs(ValueError):  # noqa: N818 - named after what the client sent
    """A text that names no CRS, or one that is not offered; the message says what is."""


class CrsDomainError(ValueError):
    """Coordinates that cannot lie in the CRS; the message names its axis order and range."""


@dataclass(frozen=True)
class OutputCrs:
    """A CRS as offered at the edge.

    ``srid`` is what ST_Transform goes to: 4490 itself for the null-step CRSs. ``axis_order`` is
    the authority's; ``yx`` means that the store's x and y are flipped on the way out.
    """

    uri: str
    code: str
    srid: int
    axis_order: Literal["xy", "yx"]
    decimals: int
    geographic: bool
    title: str

    @property
    def axes(self) -> str:
        """Axis order in words for messages, zh and en."""
        if self.geographic:
            return "纬度,经度 lat,lon" if self.axis_order == "yx" else "经度,纬度 lon,lat"
        return "北,东 north,east" if self.axis_order == "yx" else "东,北 east,north"


_CRS_FORMS = re.compile(
    r"""(?: https?://(?:www\.)?opengis\.net/def/crs/(?P<a1>EPSG|OGC)/[\d.]+/(?P<c1>\w+)
          | urn:ogc:def:crs:(?P<a2>EPSG|OGC):[\d.]*:(?P<c2>\w+)
          | \[? (?P<a3>EPSG|OGC):(?P<c3>\w+) \]?
          | (?P<c4>CRS84h?) )""",
    re.VERBOSE | re.IGNORECASE,
)


@lru_cache(maxsize=256)
def crs_code(text: str) -> str:
    """Return the code ("4548", "CRS84") that a URI, URN, safe CURIE or alias names.

    Raises UnknownCrs when the text has none of these forms.
    """
    match = _CRS_FORMS.fullmatch(text.strip())
    if match is None:
        raise UnknownCrs(
            f"{text[:80]!r} 不是坐标参考系标识（应如 {STORAGE_CRS_URI}）; "
            f"not a CRS identifier such as {CRS84_URI}, EPSG:4490 or CRS84"
        )
    authority = match["a1"] or match["a2"] or match["a3"] or "OGC"
    code = match["c1"] or match["c2"] or match["c3"] or match["c4"]
    ogc = {"crs84": "CRS84", "crs84h": "CRS84h"}.get(code.lower())
    if (authority.upper() == "OGC") != (ogc is not None) or (ogc is None and not code.isdecimal()):
        raise UnknownCrs(f"{text[:80]!r}: {authority.upper()} 没有此代码 has no such code")
    return ogc or code.lstrip("0")


def parse_crs(text: str) -> OutputCrs:
    """Return the CRS that a text names, any of EPSG's 2D ones; raises UnknownCrs.

    For what clients send use `find_crs`, which knows only the offered ones.
    """
    return _output_crs(crs_code(text))


def find_crs(text: str, offered: Sequence[OutputCrs]) -> OutputCrs:
    """Return the offered CRS that a text names; UnknownCrs lists the offered URIs."""
    code = crs_code(text)
    for crs in offered:
        if crs.code == code:
            return crs
    known = ", ".join(crs.uri for crs in offered)
    raise UnknownCrs(f"未提供坐标系 CRS not offered: {text[:80]!r}; 可用 offered: {known}")


def crs_for_layer(definition: LayerDefinition, profile: CityProfile) -> tuple[OutputCrs, ...]:
    """Return the CRSs a layer is offered in, the default (CRS84, CRS84h where heights) first.

    Plane grids are those of the profile the layer's coordinates lie in. Heights pass every CRS
    unchanged. A layer without geometry has none.
    """
    if definition.geometry is None:
        return ()
    codes = ["CRS84h", "CRS84"] if definition.has_z else ["CRS84"]
    codes += ["4490", "4326", "3857"]
    if profile.name == definition.frame:
        grid = profile.plane_grid
        named = [] if grid is None else [grid.crs, *filter(None, [grid.prefixed_crs])]
        codes += [crs_code(name) for name in (*named, *profile.other_grids)]
    return tuple(_output_crs(code) for code in dict.fromkeys(codes))


@cache
def _output_crs(code: str) -> OutputCrs:
    if code in ("CRS84", "CRS84h"):
        uri = CRS84_URI if code == "CRS84" else CRS84H_URI
        title = "WGS 84 lon/lat" if code == "CRS84" else "WGS 84 lon/lat/h"
        return OutputCrs(uri, code, STORAGE_SRID, "xy", DEGREE_DECIMALS, True, title)
    try:
        crs = pyproj.CRS.from_epsg(int(code))
    except pyproj.exceptions.CRSError as unknown:
        raise UnknownCrs(f"EPSG:{code} 不存在 does not exist") from unknown
    if len(crs.axis_info) != 2:
        raise UnknownCrs(f"EPSG:{code} 不是二维坐标系 is not a two-dimensional CRS")
    first = crs.axis_info[0].direction.lower()
    return OutputCrs(
        uri=f"http://www.opengis.net/def/crs/EPSG/0/{code}",
        code=code,
        srid=STORAGE_SRID if code in NULL_STEP_CODES else int(code),
        axis_order="yx" if first in ("north", "south") else "xy",
        decimals=DEGREE_DECIMALS if crs.is_geographic else METRE_DECIMALS,
        geographic=crs.is_geographic,
        title=crs.name,
    )


@cache
def _to_storage(srid: int) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(srid, STORAGE_SRID, always_xy=True)


@cache
def _domain(srid: int) -> Bounds:
    """Rectangle of a plane CRS within which its inverse is taken, x before y."""
    crs = pyproj.CRS.from_epsg(srid)
    area = crs.area_of_use
    if area is None:
        raise UnknownCrs(f"EPSG:{srid} 没有适用范围 has no area of use")
    west, east = area.west - DOMAIN_MARGIN_DEGREES, area.east + DOMAIN_MARGIN_DEGREES
    south, north = area.south - DOMAIN_MARGIN_DEGREES, area.north + DOMAIN_MARGIN_DEGREES
    if area.east - area.west > 180:  # a world grid (Web Mercator) has its own border
        west, south, east, north = area.bounds
    else:
        south, north = max(south, -75.0), min(north, 75.0)
    bounds = pyproj.Transformer.from_crs(STORAGE_SRID, srid, always_xy=True).transform_bounds(
        west, south, east, north, densify_pts=41
    )
    return (bounds[0], bounds[1], bounds[2], bounds[3])


def check_rectangle(bounds: Bounds, crs: OutputCrs) -> None:
    """Raise CrsDomainError for a rectangle (x before y, units of the CRS) with numbers that no
    rectangle has, or that lies outside of what longitude and latitude can be.
    """
    low_x, low_y, high_x, high_y = bounds
    if not all(math.isfinite(value) for value in bounds):
        raise CrsDomainError("不是有限数 coordinates must be finite numbers")
    if low_y > high_y or (low_x > high_x and not crs.geographic):
        raise CrsDomainError(f"最小值大于最大值 a minimum exceeds its maximum; {_order(crs)}")
    if crs.geographic and (max(abs(low_x), abs(high_x)) > 180 or max(abs(low_y), abs(high_y)) > 90):
        raise CrsDomainError(
            f"经度须在 ±180、纬度在 ±90 之内 longitude within 180, latitude within 90; "
            f"{_order(crs)}"
        )


def rectangle_in_storage(bounds: Bounds, crs: OutputCrs) -> shapely.Geometry:
    """Return the area of a rectangle with edges straight in `crs`, in EPSG:4490 (x = lon).

    `bounds` are in the CRS's units, x before y. In geographic CRSs west > east crosses the
    antimeridian and gives two parts. Edges are cut so finely that the image errs by less than
    `SAGITTA_M`. A rectangle without width or height is a line or a point.
    Raises CrsDomainError for coordinates that the CRS cannot have.
    """
    check_rectangle(bounds, crs)
    low_x, low_y, high_x, high_y = bounds
    if crs.geographic:
        if low_x > high_x:
            return shapely.union_all(
                [_plain((low_x, low_y, 180, high_y)), _plain((-180, low_y, high_x, high_y))]
            )
        return _plain(bounds)
    domain = _domain(crs.srid)
    cut = (
        max(low_x, domain[0]),
        max(low_y, domain[1]),
        min(high_x, domain[2]),
        min(high_y, domain[3]),
    )
    if cut[0] > cut[2] or cut[1] > cut[3]:
        raise CrsDomainError(
            f"范围在 EPSG:{crs.code} 适用区之外 outside the area of EPSG:{crs.code} "
            f"(x {domain[0]:.0f}…{domain[2]:.0f}, y {domain[1]:.0f}…{domain[3]:.0f}); {_order(crs)}"
        )
    return _curved(cut, crs)


def _order(crs: OutputCrs) -> str:
    return f"轴序 axis order of {crs.code}: {crs.axes}"


def _plain(bounds: Bounds) -> shapely.Geometry:
    low_x, low_y, high_x, high_y = bounds
    if low_x == high_x and low_y == high_y:
        return shapely.Point(low_x, low_y)
    if low_x == high_x or low_y == high_y:
        return shapely.LineString([(low_x, low_y), (high_x, high_y)])
    return shapely.box(low_x, low_y, high_x, high_y)


def _curved(bounds: Bounds, crs: OutputCrs) -> shapely.Geometry:
    plain = _plain(bounds)
    if isinstance(plain, shapely.Point):
        return shapely.Point(_to_storage(crs.srid).transform(plain.x, plain.y))
    ring = plain.exterior if isinstance(plain, shapely.Polygon) else plain
    corners = shapely.get_coordinates(ring)
    parts = [_edge(start, end, crs)[:-1] for start, end in itertools.pairwise(corners)]
    last = np.array(_to_storage(crs.srid).transform(*corners[-1]))
    line = np.vstack([*parts, last])
    return shapely.Polygon(line) if isinstance(plain, shapely.Polygon) else shapely.LineString(line)


def _edge(start: np.ndarray, end: np.ndarray, crs: OutputCrs) -> np.ndarray:
    """Image of a straight edge in 4490, cut finely enough.

    A smooth curve cut into n parts leaves the chords by 1/8 of its second difference across, and
    that falls with 1/n^2 (for Gauss-Krueger at 24 N: curvature tan(lat)/R = 7e-8 per metre, so
    0.1 mm at 107 m). It is measured on some probes, not assumed: CRS84 and Web Mercator edges are
    straight and stay whole.
    """
    probes = _sample(start, end, _PROBES, crs)
    scale = np.array([111_320.0 * math.cos(math.radians(float(probes[0, 1]))), 111_320.0])
    metres = probes * scale
    bend, along = np.diff(metres, n=2, axis=0), metres[2:] - metres[:-2]
    across = np.abs(bend[:, 0] * along[:, 1] - bend[:, 1] * along[:, 0])
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)  # an edge may be a dot
    sagitta = float((across / length).max()) / 8
    count = math.ceil(_PROBES * math.sqrt(sagitta / SAGITTA_M))
    return _sample(start, end, min(max(count, 1), MAX_PARTS), crs)


def _sample(start: np.ndarray, end: np.ndarray, parts: int, crs: OutputCrs) -> np.ndarray:
    ratio = np.linspace(0.0, 1.0, parts + 1)[:, None]
    x, y = (start + (end - start) * ratio).T
    return np.column_stack(_to_storage(crs.srid).transform(x, y))
