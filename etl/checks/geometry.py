"""Checks of geometries: present, of the layer's type, finite, inside the city, valid."""

from __future__ import annotations

import math

import numpy as np
import shapely
from pyproj import Geod

from etl.checks.finding import BoolArray, Finding, RuleBook, Severity
from etl.places import Places, Points, ShapeArray, Shapes, describe, without
from layers.city import CityProfile
from layers.definition import GeometryType, LayerDefinition

_GRS80 = Geod(ellps="GRS80")
# GEOS type ids: point, line string, linear ring, polygon, multi point, multi line, multi polygon
_FITS = {
    GeometryType.POINT: (0, 4),
    GeometryType.MULTILINESTRING: (1, 2, 5),
    GeometryType.MULTIPOLYGON: (3, 6),
}
_NAMES = {
    0: "Point", 1: "LineString", 2: "LinearRing", 3: "Polygon", 4: "MultiPoint",
    5: "MultiLineString", 6: "MultiPolygon", 7: "GeometryCollection",
}  # fmt: skip


def fit_type(
    book: RuleBook, definition: LayerDefinition, shapes: ShapeArray, unreadable: BoolArray
) -> tuple[ShapeArray, list[Finding]]:
    """Geometries as the layer stores them (Multi*, Z kept or dropped); misfits become None.

    `unreadable` rows were reported already. A layer with Z refuses rows without heights, a layer
    without Z drops them.
    """
    wanted = definition.geometry
    if wanted is None:
        return shapes, []
    empty = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    kinds = shapely.get_type_id(shapes)
    misfit = ~empty & ~np.isin(kinds, _FITS[wanted])
    if wanted is GeometryType.POINT:
        misfit |= ~empty & (kinds == 4) & (shapely.get_num_geometries(shapes) != 1)
    findings = book.finding(
        "geometry_type",
        misfit,
        lambda row: (
            f"几何是 {_NAMES[int(kinds[row])]}，图层 {definition.title.zh} 须为 {wanted.value} "
            f"(geometry of another type)"
        ),
    )
    shapes = without(shapes, misfit | empty)
    findings += book.finding(
        "no_geometry",
        empty & ~unreadable,
        lambda _row: "没有几何或几何为空 (geometry is null or empty)",
    )
    shapes = _promoted(shapes, wanted)
    if not definition.has_z:
        # points become coordinate arrays, which leave z behind; force_2d copies every geometry
        if wanted is not GeometryType.POINT and bool(shapely.has_z(shapes).any()):
            shapes = shapely.force_2d(shapes)
        return shapes, findings
    flat = ~shapely.is_missing(shapes) & ~_heights_complete(shapes)
    findings += missing_heights(book, flat)
    return without(shapes, flat), findings


def fit_points(
    book: RuleBook, definition: LayerDefinition, places: Points, unreadable: BoolArray
) -> tuple[Points, list[Finding]]:
    """What `fit_type` does, for coordinate arrays and a layer of points."""
    present = places.finite()
    findings = book.finding(
        "no_geometry",
        ~present & ~unreadable,
        lambda _row: "没有几何或几何为空 (geometry is null or empty)",
    )
    if not definition.has_z:
        return Points(places.x, places.y, None), findings
    heights = np.full(len(places.x), np.nan) if places.z is None else places.z
    flat = present & ~np.isfinite(heights)
    findings += missing_heights(book, flat)
    return Points(np.where(flat, np.nan, places.x), np.where(flat, np.nan, places.y), heights), (
        findings
    )


def _promoted(shapes: ShapeArray, wanted: GeometryType) -> ShapeArray:
    out = shapes.copy()
    kinds = shapely.get_type_id(shapes)
    if wanted is GeometryType.POINT:
        several = kinds == 4
        out[several] = shapely.get_geometry(shapes[several], 0)
    elif wanted is GeometryType.MULTILINESTRING:
        ring = kinds == 2
        out[ring] = (
            shapely.linestrings(
                shapely.get_coordinates(shapes[ring], include_z=True),
                indices=_indices(shapes[ring]),
            )
            if ring.any()
            else out[ring]
        )
        single = (kinds == 1) | ring
        out[single] = shapely.multilinestrings(out[single][:, np.newaxis])
    else:
        single = kinds == 3
        out[single] = shapely.multipolygons(shapes[single][:, np.newaxis])
    return out


def _indices(shapes: ShapeArray) -> np.ndarray:
    return np.repeat(np.arange(len(shapes)), shapely.get_num_coordinates(shapes))


def _heights_complete(shapes: ShapeArray) -> BoolArray:
    coordinates, index = shapely.get_coordinates(shapes, include_z=True, return_index=True)
    complete = np.ones(len(shapes), dtype=bool)
    complete[index[~np.isfinite(coordinates[:, 2])]] = False
    return complete


def missing_heights(book: RuleBook, missing: BoolArray) -> list[Finding]:
    """Rows of a layer with Z that have a position and no height."""
    return book.finding(
        "height_required", missing, lambda _row: "缺少高程 z，图层要求三维坐标 (z is required)"
    )


def inside_frame(book: RuleBook, places: Places, coordsys: str, frame: CityProfile,
                 others: tuple[CityProfile, ...]) -> list[Finding]:  # fmt: skip
    """Rows that reach outside the extent of the city; rows without a position are left out.

    `places` are CGCS2000 degrees. The reason says where the row lies and what would be right.
    """
    extent = frame.extent
    west, south, east, north = places.bounds().T
    outside = (west < extent.west) | (south < extent.south)
    outside |= (east > extent.east) | (north > extent.north)
    place = describe(places)

    def reason(row: int) -> str:
        x, y = (west[row] + east[row]) / 2, (south[row] + north[row]) / 2
        return (
            f"位置 {place(row)}（CGCS2000，经度、纬度）在{frame.title.zh}范围 "
            f"{extent.west}–{extent.east}°E, {extent.south}–{extent.north}°N 之外："
            f"{_whereabouts(float(x), float(y), coordsys, frame, others)}"
        )

    return book.finding("frame", outside, reason)


def _whereabouts(
    x: float, y: float, coordsys: str, frame: CityProfile, others: tuple[CityProfile, ...]
) -> str:
    if frame.extent.contains(y, x):
        return "经纬度颠倒了，对调即在范围内 (longitude and latitude are exchanged)"
    if not (abs(x) <= 180 and abs(y) <= 90):
        return f"不是地球上的位置，坐标系 {coordsys} 写错了 (no place on Earth, wrong coordsys)"
    for other in others:
        if other.name != frame.name and other.extent.contains(x, y):
            return (
                f"它在{other.title.zh}，应由城市配置 {other.name} 接收 "
                f"(it lies in {other.title.en}: load it under the profile {other.name})"
            )
    lon, lat = frame.center
    azimuth, _, metres = _GRS80.inv(lon, lat, x, y)
    compass = ("北", "东北", "东", "东南", "南", "西南", "西", "西北")
    direction = compass[round((azimuth % 360) / 45) % 8]
    if math.hypot(x, y) < 1:
        return "坐标接近 0, 0，是缺值或米当成度 (near 0, 0: a missing value)"
    return (
        f"在城市中心{direction}方 {metres / 1000:.1f} km；请核对坐标系 {coordsys} 和列的次序 "
        f"({metres / 1000:.1f} km from the centre: check coordsys and column order)"
    )


def repair(book: RuleBook, places: Places) -> tuple[Places, list[Finding]]:
    """Invalid geometries mended by make_valid (structure), logged with the change of area.

    Rejected where mending would change the type (a ring without area, a line of one place).
    Runs only where the layer asks for `valid_geometry`; its severity concerns the refusals.
    """
    if book.asked("valid_geometry") is None or isinstance(places, Points):
        return places, []
    shapes = places.geometries
    rows = np.flatnonzero(~shapely.is_missing(shapes) & ~shapely.is_valid(shapes))
    if not len(rows):
        return places, []
    broken = shapes[rows]
    why = shapely.is_valid_reason(broken)
    mended = shapely.make_valid(broken, method="structure", keep_collapsed=False)
    kind = 3 if int(shapely.get_dimensions(broken[0])) == 2 else 1
    same = np.isin(shapely.get_type_id(mended), (kind, kind + 3)) & ~shapely.is_empty(mended)
    out = shapes.copy()
    target = GeometryType.MULTIPOLYGON if kind == 3 else GeometryType.MULTILINESTRING
    out[rows[same]] = _promoted(mended[same], target)
    out[rows[~same]] = None
    findings: list[Finding] = []
    if same.any():
        reasons = [
            f"几何无效（{reason}），已修复，面积 {_area(old):.2f} → {_area(new):.2f} m² "
            f"(invalid geometry, repaired)"
            for reason, old, new in zip(why[same], broken[same], mended[same], strict=True)
        ]
        findings.append(Finding("valid_geometry", Severity.WARN, rows[same], reasons))
    lost = np.zeros(len(shapes), dtype=bool)
    lost[rows[~same]] = True
    reason_of = dict(zip(rows.tolist(), why, strict=True))
    findings += book.finding(
        "valid_geometry",
        lost,
        lambda row: f"几何无效（{reason_of[row]}），修复会改变几何类型 (repair changes its type)",
    )
    return Shapes(out), findings


def _area(shape: shapely.Geometry) -> float:
    area, _ = _GRS80.geometry_area_perimeter(shapely.force_2d(shape))
    return abs(float(area))
