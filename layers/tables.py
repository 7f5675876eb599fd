"""The tables of a layer as data: names, columns, indexes. No I/O; schema.py and write.py use it.

`layer.<name>` holds the live versions, `history.<name>` the superseded ones. Both carry the
geometry in EPSG:4490 with x = longitude, y = latitude.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, replace

from psycopg import sql

from layers.definition import GeometryType, LayerDefinition

SRID = 4490
"""CGCS2000 geographic: the one CRS of storage."""

SYSTEM_TYPES = {
    "fid": "bigint",
    "id": "text",
    "revision": "bigint",
    "run": "bigint",
    "source_ref": "bigint",
    "row_hash": "bigint",
}
HISTORY_TYPES = {"replaced_by_revision": "bigint", "operation": "text"}


@dataclass(frozen=True)
class Index:
    """A secondary index: its name, the column it begins with, and what it is over."""

    name: str
    column: str
    table: sql.Identifier
    method: str
    keys: sql.Composable
    unique: bool = False

    @property
    def statement(self) -> sql.Composed:
        """The statement that creates it."""
        return sql.SQL("CREATE {kind} {name} ON {table} USING {method} ({keys})").format(
            kind=sql.SQL("UNIQUE INDEX") if self.unique else sql.SQL("INDEX"),
            name=sql.Identifier(self.name),
            table=self.table,
            method=sql.SQL("gist") if self.method == "gist" else sql.SQL("btree"),
            keys=self.keys,
        )


def layer_table(name: str) -> sql.Identifier:
    """Qualified name of the table of live versions."""
    return sql.Identifier("layer", name)


def history_table(name: str) -> sql.Identifier:
    """Qualified name of the table of superseded versions."""
    return sql.Identifier("history", name)


def field_types(definition: LayerDefinition) -> dict[str, str]:
    """PostgreSQL type of every field, in definition order."""
    return {field.name: field.type.postgres for field in definition.fields}


def geometry_type(definition: LayerDefinition) -> str | None:
    """Column type of `geom`, e.g. ``geometry(MultiPolygonZ,4490)``; None without geometry."""
    kind = definition.postgis_type
    return None if kind is None else f"geometry({kind},{SRID})"


def tile_geometry_type(definition: LayerDefinition) -> str | None:
    """Column type of `tile_geom`, always two-dimensional Web Mercator."""
    kind = definition.geometry
    return None if kind is None else f"geometry({kind.value},3857)"


def content_columns(definition: LayerDefinition) -> tuple[str, ...]:
    """Columns whose values make up a version: the fields, and the geometry where there is one."""
    return definition.field_names + (("geom",) if definition.geometry is not None else ())


def columns(names: tuple[str, ...], qualifier: str | None = None) -> sql.Composed:
    """Comma-separated quoted names, each behind ``qualifier.`` when given."""
    return sql.SQL(", ").join(
        sql.Identifier(name) if qualifier is None else sql.Identifier(qualifier, name)
        for name in names
    )


def stored_geometry(definition: LayerDefinition, qualifier: str) -> sql.Composable:
    """Make the expression that turns a staged geometry into the stored type.

    Lines and polygons become Multi*; coordinates are never touched.
    """
    column = sql.Identifier(qualifier, "geom")
    if definition.geometry is GeometryType.POINT:
        return column
    return sql.SQL("ST_Multi({})").format(column)


SOURCE_ROW_BITS = 40
"""`source_ref` of a version: ordinal of the run's file, from 0, above so many bits of source row.

8 bytes a row say what a table of (layer, feature, revision, file, row) would need 60 for.
"""


def source_ref(staged: str) -> sql.Composed:
    """Expression of `source_ref` for a staged row; needs ``%(files)s``, labels in their order.

    NULL where the row or its file is not known (edits, rollbacks).
    """
    return sql.SQL(
        "((array_position(%(files)s::text[], {file}) - 1)::bigint << {bits}) | {row}"
    ).format(
        file=sql.Identifier(staged, "source_file"),
        row=sql.Identifier(staged, "source_row"),
        bits=sql.Literal(SOURCE_ROW_BITS),
    )


def source_file(qualifier: str) -> sql.Composed:
    """Expression: file label of a row's `source_ref`; needs ``%(files)s`` as `source_ref` does."""
    return sql.SQL("(%(files)s::text[])[({} >> {})::int + 1]").format(
        sql.Identifier(qualifier, "source_ref"), sql.Literal(SOURCE_ROW_BITS)
    )


def source_row(qualifier: str) -> sql.Composed:
    """Expression: source row of a row's `source_ref`."""
    return sql.SQL("({} & {})").format(
        sql.Identifier(qualifier, "source_ref"), sql.Literal((1 << SOURCE_ROW_BITS) - 1)
    )


def row_hash(definition: LayerDefinition, qualifier: str) -> sql.Composed:
    """Expression: 64-bit hash of a version's content, for telling changed rows from unchanged.

    PostGIS's own hash knows no 64-bit form and ignores Z: points go in as their coordinates (half
    the cost), other geometries as EWKB.
    """
    parts = [sql.SQL("{}").format(sql.Identifier(qualifier, n)) for n in definition.field_names]
    geom = sql.Identifier(qualifier, "geom")
    if definition.geometry is GeometryType.POINT:
        parts.append(sql.SQL("ST_X({0}), ST_Y({0}), ST_Z({0})").format(geom))
    elif definition.geometry is not None:
        parts.append(sql.SQL("ST_AsEWKB({})").format(geom))
    return sql.SQL("hash_record_extended(ROW({}), 0)").format(sql.SQL(", ").join(parts))


def index_name(layer: str, column: str) -> str:
    """Name of the index on a column, within PostgreSQL's 63 bytes."""
    name = f"{layer}_{column}_ix"
    if len(name) <= 63:
        return name
    return f"{layer[:24]}_{column[:24]}_{zlib.crc32(name.encode()):08x}_ix"


def secondary_indexes(
    definition: LayerDefinition, building: str | None = None
) -> tuple[Index, ...]:
    """All indexes of the live table except its primary key, in the order they are built.

    With `building` they are those of that table in schema staging, in the same order, named after
    it: it will take the layer's place (see layers.building).
    """
    found = [_index(definition.name, "id", "btree", unique=True)]
    if definition.geometry is not None:
        found += [_index(definition.name, column, "gist") for column in ("geom", "tile_geom")]
    found += [
        _index(definition.name, field.name, "btree")
        for field in definition.fields
        if field.indexed or field.name == definition.time_field
    ]
    found += [_number_index(definition.name, *pair) for pair in definition.number_indexes]
    if building is None:
        return tuple(found)
    table = sql.Identifier("staging", building)
    return tuple(
        replace(index, name=f"{building}_{at}", table=table) for at, index in enumerate(found)
    )


def history_indexes(definition: LayerDefinition) -> tuple[Index, ...]:
    """Indexes of the history table: by the revision that replaced a version, by id, by place."""
    found = [
        _index(definition.name, column, "btree", schema="history")
        for column in ("replaced_by_revision", "id")
    ]
    if definition.geometry is not None:
        found.append(_index(definition.name, "geom", "gist", schema="history"))
    return tuple(found)


def _index(
    layer: str, column: str, method: str, *, unique: bool = False, schema: str = "layer"
) -> Index:
    table, name = sql.Identifier(schema, layer), index_name(layer, column)
    return Index(name, column, table, method, sql.Identifier(column), unique)


def _number_index(layer: str, field: str, numbered: str) -> Index:
    """Index on a field and the main number of another, e.g. all plates of a road in order."""
    keys = sql.SQL("{}, (gazetteer.main_number({}))").format(
        sql.Identifier(field), sql.Identifier(numbered)
    )
    name = index_name(layer, f"{field}_{numbered}")
    return Index(name, field, layer_table(layer), "btree", keys)


def column_definitions(types: dict[str, str]) -> list[sql.Composed]:
    """``name type`` pairs; the types are ours (FieldType.postgres), never a client's text."""
    return [
        sql.SQL("{} {}").format(sql.Identifier(name), type_sql(kind))
        for name, kind in types.items()
    ]


def type_sql(kind: str) -> sql.SQL:
    """Type name as SQL, e.g. ``double precision`` or ``geometry(PointZ,4490)``."""
    if re.fullmatch(r"[a-z ]+(\([A-Za-z]+,\d+\))?", kind) is None:
        raise ValueError(f"not a column type: {kind!r}")
    return sql.SQL(kind)  # checked just now


def create_layer(definition: LayerDefinition) -> sql.Composed:
    """DDL of the live table without its secondary indexes."""
    parts = [
        sql.SQL("fid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
        sql.SQL("id text NOT NULL"),
        sql.SQL("revision bigint NOT NULL"),
        sql.SQL("run bigint"),
        sql.SQL("source_ref bigint"),
        sql.SQL("row_hash bigint NOT NULL"),
        *_content(definition),
    ]
    return sql.SQL("CREATE TABLE {} ({})").format(
        layer_table(definition.name), sql.SQL(", ").join(parts)
    )


def create_building(
    definition: LayerDefinition, name: str, revision: int, run: int | None
) -> sql.Composed:
    """DDL of a table in schema staging that will take the layer's place (see layers.building).

    The columns of `create_layer` in their order. What is the same in every row are defaults, and
    the hash is made as rows come in: COPY needs neither. No key, no index yet.
    """
    parts = [
        sql.SQL("fid bigint NOT NULL"),
        sql.SQL("id text NOT NULL"),
        sql.SQL("revision bigint NOT NULL DEFAULT {}").format(sql.Literal(revision)),
        sql.SQL("run bigint DEFAULT {}").format(sql.Literal(run)),
        sql.SQL("source_ref bigint"),
        sql.SQL("row_hash bigint NOT NULL GENERATED ALWAYS AS ({}) STORED").format(
            row_hash(definition, name)
        ),
        *_content(definition),
    ]
    return sql.SQL("CREATE TABLE {} ({}) WITH (autovacuum_enabled = off)").format(
        sql.Identifier("staging", name), sql.SQL(", ").join(parts)
    )


def _content(definition: LayerDefinition) -> list[sql.Composed]:
    """Column definitions of the fields, `geom` and `tile_geom`."""
    parts = column_definitions(field_types(definition))
    geom, tile = geometry_type(definition), tile_geometry_type(definition)
    if geom is not None and tile is not None:
        parts.append(sql.SQL("geom {}").format(type_sql(geom)))
        parts.append(
            sql.SQL(
                "tile_geom {} GENERATED ALWAYS AS (ST_Transform(ST_Force2D(geom), 3857)) STORED"
            ).format(type_sql(tile))
        )
    return parts


def create_history(definition: LayerDefinition) -> sql.Composed:
    """DDL of the history table; a version is named by its feature and the revision it came with."""
    parts = [
        sql.SQL("fid bigint NOT NULL"),
        sql.SQL("id text NOT NULL"),
        sql.SQL("revision bigint NOT NULL"),
        sql.SQL("run bigint"),
        sql.SQL("source_ref bigint"),
        sql.SQL("row_hash bigint NOT NULL"),
        *column_definitions(field_types(definition)),
    ]
    geom = geometry_type(definition)
    if geom is not None:
        parts.append(sql.SQL("geom {}").format(type_sql(geom)))
    parts += [
        sql.SQL("replaced_by_revision bigint NOT NULL"),
        sql.SQL("operation text NOT NULL CHECK (operation IN ('update', 'delete'))"),
        sql.SQL("PRIMARY KEY (fid, revision)"),
    ]
    return sql.SQL("CREATE TABLE {} ({})").format(
        history_table(definition.name), sql.SQL(", ").join(parts)
    )
