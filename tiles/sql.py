"""The SQL of a vector tile: one SELECT per layer, all layers of a tile in one statement.

Rules, each measured on PostGIS 3.3.2 (docs/decisions/0012-tile-statement.md):

- the geometry column is already in the grid's CRS, and ``&&`` with the buffer margin is the only
  condition: ST_AsMVTGeom clips, so ST_Intersects would do the work twice;
- no ``WHERE geom IS NOT NULL`` around ST_AsMVTGeom: the planner pulls the subquery up and encodes
  every feature twice. ST_AsMVT skips rows whose geometry became NULL, and gives no bytes for none;
- ``ORDER BY fid`` inside the aggregate makes the bytes of a tile a function of its rows;
- no LIMIT: it would drop features at random and differently on both sides of a seam;
- dates become text here, because ST_AsMVT would print them in the session's date style.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from psycopg import sql
from psycopg.types.numeric import Int4

from layers.definition import Field, FieldType, LayerDefinition
from tiles.grids import Grid

EXTENT = 4096
"""Width of a tile in its own integer units."""

BUFFER = 64
"""Margin around a tile in its units: 8 screen pixels, the radius of symbols and outlines."""

ID_ZOOMS_LATER = 2
"""Zooms after a layer's first at which tiles carry the business key, to identify by click."""

LABEL_ZOOMS = 6
"""Zooms from a layer's first on at which named areas carry label points."""

LABEL_SUFFIX = "_label"


@dataclass(frozen=True)
class TileField:
    """A property of the features of a tile layer, present from ``zoom`` on."""

    name: str
    type: FieldType
    zoom: int
    field: Field | None
    """None for the business key."""


def tile_fields(definition: LayerDefinition) -> tuple[TileField, ...]:
    """Properties that tiles of a layer may carry: its fields with a tile zoom, and its ``id``."""
    identity = TileField("id", FieldType.TEXT, definition.minimum_zoom + ID_ZOOMS_LATER, None)
    return (
        identity,
        *(
            TileField(f.name, f.type, max(f.tile_zoom, definition.minimum_zoom), f)
            for f in definition.fields
            if f.tile_zoom is not None
        ),
    )


def has_tiles(definition: LayerDefinition) -> bool:
    """Whether a layer can be drawn at all."""
    return definition.geometry is not None


def in_zoom_range(definition: LayerDefinition, zoom: int) -> bool:
    """Whether a layer is drawn at a zoom."""
    return has_tiles(definition) and definition.minimum_zoom <= zoom <= definition.maximum_zoom


def label_zooms(definition: LayerDefinition) -> range:
    """Zooms at which a layer also has label points (``<layer>_label``); mostly none.

    Named areas that are shown with their name from the first zoom on (divisions) span many tiles;
    a renderer that labels polygons repeats the name in each. A point lies in exactly one tile.
    """
    if definition.geometry is None or definition.geometry.dimension != 2:
        return range(0)
    field = definition.field_by_name.get(definition.label_field or "")
    if field is None or field.tile_zoom is None or field.tile_zoom > definition.minimum_zoom:
        return range(0)
    last = min(definition.maximum_zoom, definition.minimum_zoom + LABEL_ZOOMS)
    return range(definition.minimum_zoom, last + 1)


def tile_statement(
    definitions: Iterable[LayerDefinition], grid: Grid, zoom: int
) -> sql.Composed | None:
    """One SELECT of one ``bytea``: the layers, in the given order, as one Mapbox Vector Tile.

    Bind ``tile_parameters``. None where no layer is drawn at this zoom.
    """
    parts: list[sql.Composable] = []
    for definition in definitions:
        if in_zoom_range(definition, zoom):
            parts.append(_features(definition, grid, zoom))
            if zoom in label_zooms(definition):
                parts.append(_labels(definition, grid))
    if not parts:
        return None
    return sql.SQL("SELECT ") + sql.SQL(" || ").join(sql.SQL("({})").format(part) for part in parts)


def tile_parameters(zoom: int, row: int, col: int) -> Mapping[str, Int4]:
    """Parameters of a tile statement; of one type whatever their value, so that one prepared
    statement serves all tiles (psycopg would choose int2 or int4 by size).
    """  # fmt: skip
    return {"z": Int4(zoom), "x": Int4(col), "y": Int4(row)}


def _features(definition: LayerDefinition, grid: Grid, zoom: int) -> sql.Composed:
    geometry: sql.Composable = sql.Identifier("t", grid.column)
    if definition.has_z and grid.column == "geom":
        geometry = sql.SQL("ST_Force2D({})").format(geometry)
    columns = [_column(f) for f in tile_fields(definition) if f.zoom <= zoom]
    return sql.SQL(
        "SELECT ST_AsMVT(\"M\", {name}, {extent}, 'geom', 'fid' ORDER BY \"M\".fid)"
        " FROM (SELECT ST_AsMVTGeom({geometry}, {envelope}, {extent}, {buffer}) AS geom, {columns}"
        ' FROM {table} AS t WHERE {column} && {margin}) AS "M"'
    ).format(
        name=sql.Literal(definition.name),
        extent=sql.Literal(EXTENT),
        buffer=sql.Literal(BUFFER),
        geometry=geometry,
        envelope=_envelope(grid),
        margin=_envelope(grid, margin=True),
        column=sql.Identifier("t", grid.column),
        table=sql.Identifier("layer", definition.name),
        columns=sql.SQL(", ").join([sql.Identifier("t", "fid"), *columns]),
    )


def _labels(definition: LayerDefinition, grid: Grid) -> sql.Composed:
    """Label points inside the tile without its buffer.

    ``OFFSET 0`` keeps the point from being computed once per use. A point exactly on a seam may
    come in two tiles; both name the same place.
    """
    return sql.SQL(
        "SELECT ST_AsMVT(\"M\", {name}, {extent}, 'geom', 'fid' ORDER BY \"M\".fid)"
        ' FROM (SELECT ST_AsMVTGeom(p."POINT", {envelope}, {extent}, 0) AS geom, p.fid, p.{label}'
        ' FROM (SELECT ST_PointOnSurface({column}) AS "POINT", t.fid, t.{label}'
        " FROM {table} AS t WHERE {column} && {envelope} OFFSET 0) AS p"
        ' WHERE p."POINT" && {envelope}) AS "M"'
    ).format(
        name=sql.Literal(definition.name + LABEL_SUFFIX),
        extent=sql.Literal(EXTENT),
        envelope=_envelope(grid),
        column=sql.Identifier("t", grid.column),
        label=sql.Identifier(definition.label_field or ""),
        table=sql.Identifier("layer", definition.name),
    )


def _envelope(grid: Grid, *, margin: bool = False) -> sql.Composed:
    """The tile's extent in the grid's CRS, folded to a constant when the statement is planned."""
    west, south, east, north = grid.square
    bounds = sql.SQL("ST_MakeEnvelope({}, {}, {}, {}, {})").format(
        *(sql.Literal(value) for value in (west, south, east, north, grid.srid))
    )
    return sql.SQL("ST_TileEnvelope({z}, {x}, {y}, {bounds}{margin})").format(
        z=sql.Placeholder("z"),
        x=sql.Placeholder("x"),
        y=sql.Placeholder("y"),
        bounds=bounds,
        margin=sql.SQL(", {}::float8").format(sql.Literal(BUFFER / EXTENT))
        if margin
        else sql.SQL(""),
    )


def _column(field: TileField) -> sql.Composed:
    column = sql.Identifier("t", field.name)
    name = sql.Identifier(field.name)
    if field.type is FieldType.DATE:
        return sql.SQL("to_char({}, 'YYYY-MM-DD') AS {}").format(column, name)
    if field.type is FieldType.TIMESTAMP:
        return sql.SQL(
            "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS {}"
        ).format(column, name)
    return sql.SQL("{} AS {}").format(column, name)
