"""Staging: where a delivery waits, in EPSG:4490, until the write function compares it.

A staging table is UNLOGGED in schema staging; its session holds an advisory lock on it, so that
the leftovers of a killed run are told apart from the tables of live ones.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import psycopg
import pyarrow as pa
from psycopg import sql

from layers import tables
from layers.copying import Encoded, encode, send
from layers.definition import LayerDefinition

LOCK_CLASS = 0x6773_7074
"""First key of the advisory locks that sessions hold on their staging tables."""

SYSTEM_COLUMNS = ("source_file", "source_row", "operation", "id")


@dataclass(frozen=True)
class Staging:
    """A staging table.

    Columns: source_file text, source_row bigint, operation text ('delete' or NULL; read with
    Deletes.EXPLICIT), id text, the layer's fields, geom (any geometry type, EPSG:4490, Z as the
    layer has it).
    """

    definition: LayerDefinition
    table: sql.Identifier
    name: str


def create_staging(
    connection: psycopg.Connection, definition: LayerDefinition, *, temporary: bool = False
) -> Staging:
    """Create an empty staging table and lock it for the life of the connection.

    Removes the leftovers of killed runs first. With `temporary` the table is the session's own
    (edits; it goes with the transaction).
    """
    parts = [
        sql.SQL("source_file text, source_row bigint, operation text, id text"),
        *tables.column_definitions(tables.field_types(definition)),
    ]
    if definition.geometry is not None:
        dimension = "GeometryZ" if definition.has_z else "Geometry"
        kind = tables.type_sql(f"geometry({dimension},{tables.SRID})")
        parts.append(sql.SQL("geom {}").format(kind))
    body = sql.SQL(", ").join(parts)
    if temporary:
        name = f"edit_{secrets.token_hex(4)}"
        connection.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} ({}) ON COMMIT DROP").format(
                sql.Identifier(name), body
            )
        )
        return Staging(definition, sql.Identifier("pg_temp", name), name)
    clean_staging(connection)
    name = f"{definition.name}_{secrets.token_hex(6)}"
    table = sql.Identifier("staging", name)
    with connection.transaction():
        connection.execute(
            sql.SQL("CREATE UNLOGGED TABLE {} ({}) WITH (autovacuum_enabled = off)").format(
                table, body
            )
        )
        connection.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", [LOCK_CLASS, name])
    return Staging(definition, table, name)


def drop_staging(connection: psycopg.Connection, staging: Staging) -> None:
    """Drop the table and give its lock back; harmless when the transaction took it already."""
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(staging.table))
    connection.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", [LOCK_CLASS, staging.name])


def clean_staging(connection: psycopg.Connection) -> list[str]:
    """Drop staging tables whose session is gone; return their names."""
    rows = connection.execute(
        """
        SELECT tablename FROM pg_tables
        WHERE schemaname = 'staging' AND NOT EXISTS (
            SELECT FROM pg_locks
            WHERE locktype = 'advisory' AND objsubid = 2 AND classid = %s::bigint::oid
                AND objid = (hashtext(tablename)::bigint & 4294967295)::oid
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        )
        """,
        [LOCK_CLASS],
    ).fetchall()
    leftovers = [str(name) for (name,) in rows]
    for name in leftovers:
        connection.execute(
            sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(sql.Identifier("staging", name))
        )
    return leftovers


def copy_into(
    connection: psycopg.Connection, staging: Staging, batch: pa.RecordBatch | pa.Table | Encoded
) -> int:
    """Append Arrow rows, encoded already or not, to a staging table; return their number.

    The batch holds `id`, fields (those absent become NULL), and optionally `operation`,
    `source_file`, `source_row`, and `geom`: WKB or EWKB, EPSG:4490, x = longitude.
    Raises ValueError for a column that the layer does not have.
    """
    known = {*SYSTEM_COLUMNS, *tables.content_columns(staging.definition)}
    names = batch.columns if isinstance(batch, Encoded) else batch.schema.names
    unknown = set(names) - known
    if unknown:
        raise ValueError(
            f"{staging.definition.name}: 没有这些列 no such columns {sorted(unknown)}; "
            f"可用 known: {sorted(known)}"
        )
    if isinstance(batch, pa.RecordBatch):
        batch = pa.Table.from_batches([batch])
    encoded = encode(batch) if isinstance(batch, pa.Table) else batch
    return send(connection, staging.table, encoded)
