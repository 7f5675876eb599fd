"""The area of a partial delivery: what the delivery file says of it, and the polygon it means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import shapely
from psycopg import sql

from etl.datum import DatumRegistry
from etl.datum.coordsys import FloatArray
from etl.readers import ReadOptions, open_source

if TYPE_CHECKING:
    from etl.delivery import _At

DIVISIONS = ("division_county", "division_town", "division_village")
_BORDER_STEP = 32
"""Parts that each side of a rectangle is cut into: straight in its own grid, not in degrees."""


class Crossing(StrEnum):
    """What a partial delivery does with features that cross the border of its area.

    carry: it must carry them whole; those it lacks stay and are reported. centre: a feature is
    inside if its centroid is. keep: they are none of its business.
    """

    CARRY = "carry"
    CENTRE = "centre"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class EdgeRule:
    """Edge matching: ends up to `search_m` apart belong together, and are reported; up to
    `tolerance_m` (None: never) the delivered one is moved onto the one outside, and reported."""

    search_m: float = 1.0
    tolerance_m: float | None = None


@dataclass(frozen=True, slots=True)
class AreaKeys:
    """`area` and `edges` of a load: exactly one of file, division, grid, bbox.

    `bbox` is west, south, east, north in `coordsys` (degrees, or metres of a plane grid).
    """

    file: Path | None = None
    encoding: str | None = None
    layer: str | None = None
    division: str | None = None
    grid: str | None = None
    bbox: tuple[float, float, float, float] | None = None
    coordsys: str | None = None
    crossing: Crossing = Crossing.CARRY
    edges: EdgeRule = EdgeRule()


@dataclass(frozen=True)
class Area:
    """A polygon in EPSG:4490 (x = longitude), and how the report calls it."""

    shape: shapely.Polygon | shapely.MultiPolygon
    title: str


class AreaError(ValueError):
    """The area cannot be had; the message says what is missing."""


_SOURCES = ("file", "division", "grid", "bbox")
_SIDES = ("west", "south", "east", "north")


def parse_area(value: Any, edges: Any, at: _At, path: Path) -> AreaKeys:
    """Read the keys `area` and `edges` of a load whose mode is partial."""
    inner = at.inside("area")
    known = (*_SOURCES, "coordsys", "encoding", "layer", "crossing")
    keys = inner.mapping(value, known)
    given = [name for name in _SOURCES if name in keys]
    if len(given) != 1:
        raise at.error("area", f"须恰有其一 (exactly one of): {', '.join(_SOURCES)}")
    try:
        crossing = Crossing(keys.get("crossing", Crossing.CARRY))
    except ValueError as bad:
        raise inner.error("crossing", "须为 carry、centre 或 keep (one of these)") from bad
    bbox = None
    if "bbox" in keys:
        sides = inner.inside("bbox").mapping(keys["bbox"], _SIDES, required=_SIDES)
        numbers = [sides[side] for side in _SIDES]
        if any(isinstance(n, bool) or not isinstance(n, int | float) for n in numbers):
            raise inner.error("bbox", "须为四个数 (four numbers: west, south, east, north)")
        bbox = (float(numbers[0]), float(numbers[1]), float(numbers[2]), float(numbers[3]))
        if not (bbox[0] < bbox[2] and bbox[1] < bbox[3]):
            raise inner.error("bbox", "west 须小于 east，south 须小于 north (west < east, south < "
                              "north)")  # fmt: skip
        if keys.get("coordsys") is None:
            raise inner.error("coordsys", "bbox 须写明坐标系 (a bbox states its coordsys)")
    return AreaKeys(
        file=path.parent / inner.text(keys["file"], "file") if "file" in keys else None,
        encoding=inner.optional(keys.get("encoding"), "encoding"),
        layer=inner.optional(keys.get("layer"), "layer"),
        division=inner.optional(keys.get("division"), "division"),
        grid=inner.optional(keys.get("grid"), "grid"),
        bbox=bbox,
        coordsys=inner.optional(keys.get("coordsys"), "coordsys"),
        crossing=crossing,
        edges=_edges(edges, at),
    )


def _edges(value: Any, at: _At) -> EdgeRule:
    if value is None:
        return EdgeRule()
    inner = at.inside("edges")
    keys = inner.mapping(value, ("search_m", "tolerance_m"))
    for name, number in keys.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not number > 0:
            raise inner.error(name, "须为大于 0 的米数 (must be metres above 0)")
    tolerance = keys.get("tolerance_m")
    search = float(keys.get("search_m", max(1.0, tolerance or 0.0)))
    if tolerance is not None and tolerance > search:
        raise inner.error("tolerance_m", "不得大于 search_m (must not exceed search_m)")
    return EdgeRule(search, None if tolerance is None else float(tolerance))


def resolve_area(keys: AreaKeys, connection: psycopg.Connection, registry: DatumRegistry) -> Area:
    """Return the polygon that the keys mean; AreaError, ReadError or DatumError with the reason."""
    if keys.file is not None:
        return _from_file(keys, keys.file, registry)
    if keys.bbox is not None and keys.coordsys is not None:
        side = np.linspace(0, 1, _BORDER_STEP, endpoint=False)
        west, south, east, north = keys.bbox
        wide, high, same = (east - west) * side, (north - south) * side, np.ones(_BORDER_STEP)
        x = np.concatenate([west + wide, east * same, east - wide, west * same])
        y = np.concatenate([south * same, south + high, north * same, north - high])
        lon, lat, _ = registry.chain(keys.coordsys).apply(x, y)
        shape = shapely.Polygon(np.column_stack([lon, lat]))
        return Area(_polygon(shape, "bbox"), f"{keys.coordsys} {keys.bbox}")
    if keys.division is not None:
        return _named(connection, DIVISIONS, keys.division)
    return _named(connection, ("unit_grid",), str(keys.grid))


def _named(connection: psycopg.Connection, layers: tuple[str, ...], wanted: str) -> Area:
    """A live feature of one of the layers by id, or by its only name."""
    found: list[tuple[str, str, bytes]] = []
    for layer in layers:
        there = connection.execute(
            "SELECT to_regclass(format('layer.%%I', %s::text)) IS NOT NULL", [layer]
        ).fetchone()
        if there != (True,):
            continue
        name = sql.SQL("id" if layer == "unit_grid" else "name")
        rows = connection.execute(
            sql.SQL(
                "SELECT id, {name}, ST_AsBinary(geom) FROM {table}"
                " WHERE (id = %(wanted)s OR {name} = %(wanted)s) AND geom IS NOT NULL"
            ).format(name=name, table=sql.Identifier("layer", layer)),
            {"wanted": wanted},
        )
        found += [(str(ident), str(title), bytes(wkb)) for ident, title, wkb in rows]
    if not found:
        raise AreaError(
            f"area: 图层 {'、'.join(layers)} 中没有 {wanted} (no such area is loaded there)"
        )
    if len(found) > 1:
        choices = "、".join(f"{ident} {title}" for ident, title, _ in found[:5])
        raise AreaError(f"area: {wanted} 不唯一，请写代码 (several; give the code): {choices}")
    ident, title, wkb = found[0]
    label = ident if title == ident else f"{ident} {title}"
    return Area(_polygon(shapely.from_wkb(wkb), label), label)


def _from_file(keys: AreaKeys, file: Path, registry: DatumRegistry) -> Area:
    from etl.inspect import declared_name  # that module reads files too

    source = open_source(file, ReadOptions(encoding=keys.encoding, layer=keys.layer))
    stated = keys.coordsys or declared_name(source.layer.declared_crs, registry)
    if stated is None:
        raise AreaError(
            f"area: {file.name}: 没有声明坐标系，请写 coordsys (state the area's coordsys)"
        )
    chain = registry.chain(stated)

    def moved(xy: FloatArray) -> FloatArray:
        lon, lat, _ = chain.apply(xy[:, 0], xy[:, 1])
        return np.column_stack([lon, lat])

    parts = [
        shapely.transform(shapely.force_2d(shape), moved)
        for batch in source.batches()
        for shape in batch.geometry
        if shape is not None
    ]
    return Area(_polygon(shapely.union_all(parts), file.name), f"{file.name} ({stated})")


def _polygon(shape: Any, label: str) -> shapely.Polygon | shapely.MultiPolygon:
    if not isinstance(shape, shapely.Polygon | shapely.MultiPolygon) or shape.is_empty:
        raise AreaError(f"area: {label}: 须为面 (must be a polygon, got {shape.geom_type})")
    if not shape.is_valid:
        raise AreaError(f"area: {label}: 面无效 (invalid): {shapely.is_valid_reason(shape)}")
    return shape
