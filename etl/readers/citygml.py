"""CityGML 2 with PLATEAU's extensions, streamed member by member.

GML writes coordinates in the authority's axis order (north first for EPSG:10169 and 6697); they
leave here as x = east/lon, y = north/lat. Of a member with several levels of detail the lowest
one that has a geometry counts: it is the plan. Layers are the feature types (WaterPipe, ...).
Solids have no plan geometry and come with a reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from pyproj.exceptions import CRSError

from etl.readers.model import (
    Batch,
    Bounds,
    FieldInfo,
    LayerInfo,
    ReadError,
    ReadOptions,
    RowBuffer,
    RowProblem,
    SourceInfo,
    choose_layer,
)
from etl.readers.ogr import OgrSource, open_ogr
from etl.readers.xml import local, release, stream

_GML_ID = "{http://www.opengis.net/gml}id"
_LOD = re.compile(r"lod(\d)")
_CODE = re.compile(r"EPSG(?:::|/\d+(?:\.\d+)?/|:)(\d{4,6})", re.I)


class GmlValueError(ValueError):
    """A coordinate list that cannot be a geometry; the sentence becomes the row's reason."""


@dataclass(frozen=True, slots=True)
class Frame:
    """CRS of the file: EPSG code, dimension, and whether its first axis is northing/latitude."""

    code: int
    dimension: int
    north_first: bool

    def coordinates(self, text: str) -> Any:
        """(n, 2 or 3) array, x = east/lon first, of a pos or posList."""
        try:
            values = np.array(text.split(), dtype=np.float64)
        except ValueError as error:
            raise GmlValueError("坐标不是数字 a coordinate is not a number") from error
        if values.size == 0 or values.size % self.dimension:
            raise GmlValueError("坐标个数不对 the number of coordinates does not fit")
        table = values.reshape(-1, self.dimension)
        if not np.isfinite(table).all():
            raise GmlValueError("坐标不是有限的数 a coordinate is not finite")
        if self.north_first:
            table = table[:, [1, 0, 2][: self.dimension]]
        return table


def parse_frame(path: Path, srs: str | None, dimension: str | None) -> Frame:
    """Frame of a srsName; ReadError where none is stated, since nothing else tells the axes."""
    match = _CODE.search(srs or "")
    if match is None:
        raise ReadError(
            path,
            f"没有可识别的 srsName（{srs}）。",
            f"no recognisable srsName ({srs}).",
        )
    try:
        crs = pyproj.CRS.from_epsg(int(match[1]))
    except CRSError as error:
        raise ReadError(
            path, f"EPSG 没有代码 {match[1]}。", f"EPSG has no code {match[1]}."
        ) from error
    axes = crs.axis_info
    size = int(dimension) if dimension in {"2", "3"} else max(2, len(axes))
    return Frame(int(match[1]), size, axes[0].direction == "north")


def _ring(element: Any, frame: Frame) -> Any:
    texts = [c.text or "" for c in element.iter() if local(c) in {"posList", "pos"}]
    if not texts:
        raise GmlValueError("环没有坐标 a ring has no coordinates")
    table = frame.coordinates(" ".join(texts))
    if len(table) < 4:
        raise GmlValueError("环少于四点 a ring has fewer than four points")
    return table


def _shapes(root: Any, frame: Frame) -> Any:
    """Multi-geometry of the surfaces, else the curves, else the points below `root`; or None."""
    polygons, lines, points = [], [], []
    for element in root.iter():
        name = local(element) if isinstance(element.tag, str) else ""
        if name == "Polygon":
            rings = [c for c in element.iter() if local(c) == "LinearRing"]
            if not rings:
                raise GmlValueError("面没有边界 a polygon has no ring")
            outer, *holes = (_ring(ring, frame) for ring in rings)
            polygons.append(shapely.Polygon(outer, holes))
        elif name in {"LineStringSegment", "LineString"}:
            table = frame.coordinates(" ".join(c.text or "" for c in element.iter() if c.text))
            if len(table) < 2:
                raise GmlValueError("线少于两点 a line has fewer than two points")
            lines.append(shapely.LineString(table))
        elif name == "Point":
            texts = [c.text or "" for c in element.iter() if local(c) in {"pos", "coordinates"}]
            points.append(shapely.Point(frame.coordinates(texts[0] if texts else "")[0]))
    if polygons:
        return shapely.MultiPolygon(polygons)
    if lines:
        return shapely.MultiLineString(lines)
    if points:
        return points[0] if len(points) == 1 else shapely.MultiPoint(points)
    return None


def _geometry(member: Any, frame: Frame) -> Any:
    """Plan geometry of the lowest level of detail; None if there is none."""
    found: dict[int, Any] = {}
    for element in member.iter():
        match = _LOD.match(local(element)) if isinstance(element.tag, str) else None
        if match is not None and len(element) and "Solid" not in local(element):
            found.setdefault(int(match[1]), element)
    for level in sorted(found):
        shape = _shapes(found[level], frame)
        if shape is not None:
            return shape
    return None


def _attributes(member: Any) -> dict[str, str]:
    """Leaf texts by local name (the first of a name wins), geometry left out."""
    out = {"feature_type": local(member), "gml_id": member.get(_GML_ID, "")}
    inside: set[Any] = set()
    for element in member.iter():
        if not isinstance(element.tag, str):
            continue
        parent = element.getparent()
        name = local(element)
        if _LOD.match(name) and (len(element) or "}lod" in element.tag):
            numeric_leaf = not len(element)
            if not numeric_leaf:
                inside.add(element)
                continue
        if parent in inside:
            inside.add(element)
            continue
        if len(element) == 0 and element.text and element.text.strip() and element is not member:
            out.setdefault(name, element.text.strip())
    return out


@dataclass(frozen=True)
class CityGmlSource:
    """A CityGML file; `layer` picks a feature type, none reads all members."""

    path: Path
    options: ReadOptions

    def _members(self) -> Iterator[tuple[int, Any]]:
        ordinal = 0
        for element in stream(self.path):
            if local(element) == "cityObjectMember" and len(element):
                ordinal += 1
                yield ordinal, element[0]
                release(element)

    @cached_property
    def _scan(self) -> tuple[Frame, Bounds | None, dict[str, tuple[int, dict[str, None]]]]:
        """Frame, extent and the feature types with their counts and field names."""
        frame: Frame | None = None
        bounds: Bounds | None = None
        types: dict[str, tuple[int, dict[str, None]]] = {}
        for element in stream(self.path):
            name = local(element)
            if name == "Envelope" and frame is None:
                frame = parse_frame(self.path, element.get("srsName"), element.get("srsDimension"))
                bounds = _envelope(element, frame)
            elif name == "cityObjectMember" and len(element):
                member = element[0]
                if frame is None:
                    stated = next((e for e in member.iter() if e.get("srsName")), member)
                    frame = parse_frame(
                        self.path, stated.get("srsName"), stated.get("srsDimension")
                    )
                kind = local(member)
                count, names = types.get(kind, (0, {}))
                types[kind] = (count + 1, names | dict.fromkeys(_attributes(member)))
                release(element)
        if frame is None or not types:
            raise ReadError(
                self.path, "没有 CityGML 要素。", "it holds no CityGML members with a srsName."
            )
        return frame, bounds, types

    @cached_property
    def info(self) -> SourceInfo:
        """Feature types as layers; the extent is the file's own envelope."""
        frame, bounds, types = self._scan
        layers = tuple(
            LayerInfo(
                name=kind,
                geometry_type="Geometry",
                fields=tuple(FieldInfo(name, "String") for name in names),
                declared_crs=f"EPSG:{frame.code}",
                feature_count=count,
                extent=bounds,
            )
            for kind, (count, names) in types.items()
        )
        axes = "north first, turned" if frame.north_first else "east first"
        note = f"轴序已转为 东/经 在前 axis order of EPSG:{frame.code}: {axes}"
        return SourceInfo(self.path, "CityGML", layers, "UTF-8", "UTF-8", (note,))

    @cached_property
    def layer(self) -> LayerInfo:
        """The feature type, or all members as one layer."""
        if self.options.layer is not None or len(self.info.layers) == 1:
            return choose_layer(self.info, self.options.layer)
        frame, bounds, types = self._scan
        names: dict[str, None] = {}
        for _, titles in types.values():
            names |= titles
        count = sum(number for number, _ in types.values())
        fields = tuple(FieldInfo(name, "String") for name in names)
        declared = f"EPSG:{frame.code}"
        return LayerInfo("cityObjectMember", "Geometry", fields, declared, count, bounds)

    def batches(self) -> Iterator[Batch]:
        """Stream the members; the ordinal of the member in the file is its row."""
        layer, frame = self.layer, self._scan[0]
        buffer = RowBuffer(tuple(field.name for field in layer.fields))
        for ordinal, member in self._members():
            if layer.name not in ("cityObjectMember", local(member)):
                continue
            reason = "没有平面图形（只有立体） no plan geometry (a solid only)"
            try:
                shape = _geometry(member, frame)
            except GmlValueError as error:
                shape, reason = None, str(error)
            if shape is None:
                buffer.problems.append(RowProblem(ordinal, None, reason))
            buffer.rows.append(ordinal)
            buffer.records.append(_attributes(member))
            buffer.geometry.append(shape)
            if len(buffer.rows) >= self.options.batch_rows:
                yield buffer.take()
        if buffer.rows:
            yield buffer.take()


def _envelope(element: Any, frame: Frame) -> Bounds | None:
    corners = [c.text or "" for c in element if local(c) in {"lowerCorner", "upperCorner"}]
    if len(corners) != 2:
        return None
    try:
        low, high = (frame.coordinates(text)[0] for text in corners)
    except GmlValueError:
        return None
    return (float(low[0]), float(low[1]), float(high[0]), float(high[1]))


def open_citygml(path: Path, options: ReadOptions) -> CityGmlSource | OgrSource:
    """Open a .gml: CityGML here, any other GML through GDAL."""
    with path.open("rb") as stream_:
        head = stream_.read(4096)
    if b"CityModel" not in head:
        return open_ogr(path, options)
    source = CityGmlSource(path, options)
    _ = source.info
    return source
