"""DXF of CASS (南方) and other survey programs through ezdxf.

GDAL's reader shows neither XDATA nor the insertion points of blocks: here a block insert is a
point with its height (GCD spot heights are inserts of GC200), the code that CASS keeps under the
XDATA application SOUTH is the field `Code`, a closed polyline is a polygon. Bulges, arcs, circles
and splines become lines no further than 1 cm from the curve.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import shapely
from ezdxf.entities.dxfentity import DXFEntity
from ezdxf.entities.dxfgfx import DXFGraphic
from ezdxf.entities.insert import Insert
from ezdxf.filemanagement import readfile
from ezdxf.lldxf.const import DXFError
from ezdxf.math import Vec3

from etl.readers.encoding import text_encoding
from etl.readers.memory import MemoryLayer, MemorySource
from etl.readers.model import ReadError, ReadOptions

SAGITTA_M = 0.01
"""Largest distance between a curve and its line, in drawing units (metres)."""

MAX_BYTES = 1_000_000_000
MAX_CHORDS = 10_000
Vertex = tuple[float, float]
APPLICATION = "SOUTH"

NAMES = (
    "Layer", "PaperSpace", "SubClasses", "Linetype", "EntityHandle", "Text",
    "Entity", "Block", "Code", "Xdata", "Attributes", "Elevation", "Rotation",
)  # fmt: skip
"""Fields: the first six as GDAL names them."""

# ezdxf answers damage with whatever the damaged tag breaks in its tables of tags.
_DAMAGE = (
    DXFError, ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError,
    OSError, struct.error, RecursionError, StopIteration, AssertionError,
)  # fmt: skip


def is_cass(path: Path) -> bool:
    """Whether a text DXF knows the XDATA application SOUTH (a line of its own)."""
    tail = b""
    with path.open("rb") as stream:
        if stream.read(22).startswith(b"AutoCAD Binary DXF"):
            return False
        stream.seek(0)
        while piece := stream.read(4_000_000):
            text = tail + piece
            if any(mark in text for mark in (b"\nSOUTH\r", b"\nSOUTH\n")):
                return True
            tail = text[-16:]
    return False


def _xdata(entity: DXFEntity) -> tuple[str | None, str | None]:
    """(code of SOUTH, all of its values joined by |)."""
    if not entity.has_xdata(APPLICATION):
        return None, None
    values = [str(tag.value) for tag in entity.get_xdata(APPLICATION) if tag.code != 1001]
    texts = [str(tag.value).strip() for tag in entity.get_xdata(APPLICATION) if tag.code == 1000]
    return (texts[0] if texts else None), "|".join(values)


def _bulge(start: Vertex, end: Vertex, bulge: float) -> list[Vertex]:
    """Points after `start` up to `end` on the arc of a bulge (tangent of a quarter of its angle).

    Computed on the circle itself: ezdxf's paths go through Bézier curves, 2.7 cm off at R = 100 m.
    """
    (x1, y1), (x2, y2) = start, end
    chord = math.hypot(x2 - x1, y2 - y1)
    if bulge == 0 or chord == 0:
        return [end]
    angle = 4 * math.atan(bulge)
    radius = chord / 2 / abs(math.sin(angle / 2))
    # from the middle of the chord to the centre, left of it for a positive bulge below a half turn
    away = chord / 2 / math.tan(angle / 2)
    cx = (x1 + x2) / 2 - away * (y2 - y1) / chord
    cy = (y1 + y2) / 2 + away * (x2 - x1) / chord
    step = 2 * math.acos(max(0.0, 1 - SAGITTA_M / radius))
    count = min(MAX_CHORDS, max(1, math.ceil(abs(angle) / step))) if step else MAX_CHORDS
    begin = math.atan2(y1 - cy, x1 - cx)
    inner = [begin + angle * i / count for i in range(1, count)]
    return [*((cx + radius * math.cos(t), cy + radius * math.sin(t)) for t in inner), end]


def _polyline(points: list[tuple[float, float, float]], closed: bool) -> list[Vertex]:
    """Vertices of (x, y, bulge) points, the first one again at the end where it is closed."""
    out = [(x, y) for x, y, _ in points[:1]]
    around = [*points, points[0]] if closed and points else points
    for (x1, y1, bulge), (x2, y2, _) in itertools.pairwise(around):
        out += _bulge((x1, y1), (x2, y2), bulge)
    return out


def _vertices(entity: Any) -> tuple[Iterable[Any], bool]:
    """(vertices in world coordinates, whether they close) of a curve."""
    kind = entity.dxftype()
    if kind == "LWPOLYLINE":
        flat = _polyline(list(entity.get_points("xyb")), entity.closed)
        height = float(entity.dxf.elevation)
        return entity.ocs().points_to_wcs(Vec3(x, y, height) for x, y in flat), entity.closed
    if kind == "POLYLINE" and entity.is_2d_polyline:
        rows = [(v.dxf.location.x, v.dxf.location.y, v.dxf.bulge) for v in entity.vertices]
        height = float(entity.dxf.elevation.z)
        flat = _polyline(rows, entity.is_closed)
        return entity.ocs().points_to_wcs(Vec3(x, y, height) for x, y in flat), entity.is_closed
    if kind == "POLYLINE" and entity.is_3d_polyline:
        points = [v.dxf.location for v in entity.vertices]
        return [*points, *(points[:1] if entity.is_closed else [])], entity.is_closed
    if kind == "LINE":
        return [entity.dxf.start, entity.dxf.end], False
    if kind in ("ARC", "CIRCLE", "ELLIPSE", "SPLINE"):
        points = list(entity.flattening(SAGITTA_M))
        closed = kind == "CIRCLE" or (kind != "ARC" and len(points) > 3 and points[0].isclose(
            points[-1]))  # fmt: skip
        return points, closed
    corners = entity.wcs_vertices(close=True)
    return corners, True


def _curve(entity: DXFGraphic) -> shapely.Geometry | None:
    """Line, or polygon where it closes; Z where it is not flat at zero; None below two points."""
    vertices, closed = _vertices(entity)
    table = np.array([(v.x, v.y, v.z) for v in vertices], dtype=float).reshape(-1, 3)
    if len(table) > 1:
        table = table[np.append(True, np.any(np.diff(table, axis=0) != 0, axis=1))]
    if len(table) < 2:
        return None
    coordinates = table if table[:, 2].any() else table[:, :2]
    if closed and len(np.unique(table[:, :2], axis=0)) >= 3:
        return shapely.Polygon(coordinates)
    return shapely.LineString(coordinates)


def _place(at: Any) -> shapely.Geometry:
    """Point; a height of exactly 0 is how a DXF says that there is none."""
    x, y, z = (float(value) for value in at)
    return shapely.Point(x, y, z) if z else shapely.Point(x, y)


def _shape(entity: DXFGraphic) -> shapely.Geometry | None:
    """Geometry in world coordinates; None for what has no place in plan."""
    kind = entity.dxftype()
    if kind == "POINT":
        return _place(entity.dxf.location)
    if kind in ("INSERT", "TEXT", "ATTRIB"):
        return _place(entity.ocs().to_wcs(entity.dxf.insert))
    if kind == "MTEXT":
        return _place(entity.dxf.insert)
    return _curve(entity)


_CURVES = {"LINE", "LWPOLYLINE", "POLYLINE", "ARC", "CIRCLE", "ELLIPSE", "SPLINE", "SOLID",
           "3DFACE", "TRACE"}  # fmt: skip
_KINDS = _CURVES | {"POINT", "INSERT", "TEXT", "MTEXT"}


def _record(entity: DXFGraphic, paper: bool) -> dict[str, str | None]:
    dxf, kind = entity.dxf, entity.dxftype()
    code, values = _xdata(entity)
    record: dict[str, str | None] = {
        "Layer": dxf.layer,
        "PaperSpace": "1" if paper else None,
        "SubClasses": kind,
        "Linetype": dxf.get("linetype"),
        "EntityHandle": dxf.handle,
        "Entity": kind,
        "Code": code,
        "Xdata": values,
    }
    if kind == "TEXT":
        record["Text"] = dxf.text
    elif kind == "MTEXT":
        record["Text"] = cast("Any", entity).plain_text()
    elif kind == "INSERT":
        insert = cast("Insert", entity)
        record["Block"] = dxf.name
        if insert.attribs:
            record["Attributes"] = "|".join(f"{a.dxf.tag}={a.dxf.text}" for a in insert.attribs)
    if kind == "LWPOLYLINE" and dxf.hasattr("elevation"):
        record["Elevation"] = repr(float(dxf.elevation))
    if kind in ("INSERT", "TEXT", "MTEXT") and dxf.hasattr("rotation"):
        record["Rotation"] = repr(float(dxf.rotation))
    return record


def _entities(drawing: Any) -> Iterator[tuple[DXFGraphic, bool]]:
    for entity in drawing.modelspace():
        yield entity, False
    for layout in drawing.layouts:
        if layout.name != "Model":
            for entity in layout:
                yield entity, True


def open_cass(path: Path, options: ReadOptions) -> MemorySource:
    """Read a DXF whole; ReadError where it is damaged, row problems for single entities."""
    if path.stat().st_size > MAX_BYTES:
        raise ReadError(
            path,
            "DXF 大于 1 GB，请按图幅分开交付。",
            "a DXF over 1 GB; deliver it by map sheets.",
        )
    encoding, detected = text_encoding(path, options.encoding)
    try:
        drawing = readfile(path, encoding=encoding.lower(), errors="strict")
    except _DAMAGE as error:
        raise ReadError(
            path,
            "DXF 损坏或被截断。",
            f"the DXF is damaged or cut off ({' '.join(str(error).split())[:200]}).",
        ) from error
    layer = MemoryLayer("entities", "Geometry", NAMES)
    left_out: dict[str, int] = {}
    for ordinal, (entity, paper) in enumerate(_entities(drawing), start=1):
        kind = entity.dxftype()
        if kind not in _KINDS:
            left_out[kind] = left_out.get(kind, 0) + 1
            continue
        reason, shape, record = "", None, {"EntityHandle": entity.dxf.get("handle")}
        try:
            record = _record(entity, paper)
            shape = _shape(entity)
        except _DAMAGE as error:
            reason = f"{kind} 不能成图 cannot be drawn ({' '.join(str(error).split())[:80]})"
        else:
            if shape is None:
                reason = f"{kind} 少于两点 has fewer than two points"
            elif not np.isfinite(shapely.get_coordinates(shape)).all():
                reason = f"{kind} 坐标不是有限的数 has coordinates that are not finite"
        layer.add(ordinal, record, shape, reason)
    notes = [
        f"曲线按 {SAGITTA_M} 米弦高折线化 curves are lines within {SAGITTA_M} m",
        "DXF 不写坐标系，须在交付文件写明 coordsys a DXF states no CRS",
    ]
    if left_out:
        listed = ", ".join(f"{kind} {count}" for kind, count in sorted(left_out.items()))
        notes.append(f"未读的实体 entities left out: {listed}")
    return MemorySource(path, options, "DXF", (layer,), detected or encoding, tuple(notes))
