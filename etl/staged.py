"""What staging itself is asked: repeated ids, its rows, and the deletes of full loads.

All of it in the database, so that memory does not grow with the delivery; rules over whole
layers are in etl.judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, LiteralString

import psycopg
import shapely
from psycopg import sql

from etl.checks.finding import Severity
from etl.ledger import Rejection
from layers import tables
from layers.building import Building
from layers.staging import Staging

_REPEATED = """
WITH repeated AS (
    SELECT id FROM {table} GROUP BY id HAVING count(*) > 1
), ranked AS (
    SELECT
        s.ctid AS place, {file} AS source_file, {row} AS source_row, s.id,
        jsonb_strip_nulls(to_jsonb(s)) - %(own)s::text[] AS record,
        {geometry} AS geom,
        row_number() OVER every AS nth,
        row_number() OVER (ORDER BY {arrival}) AS arrived,
        first_value({file}) OVER every AS first_file,
        first_value({row}) OVER every AS first_row
    FROM {table} AS s JOIN repeated USING (id)
    -- in their order of arrival
    WINDOW every AS (PARTITION BY s.id ORDER BY {arrival})
), removed AS (
    DELETE FROM {table} AS s USING ranked WHERE s.ctid = ranked.place AND ranked.nth > 1
)
SELECT source_file, source_row, id, record, geom, first_file, first_row
FROM ranked WHERE nth > 1 ORDER BY arrived
"""

_EVERYWHERE = sql.SQL("true")

_ABSENT = """
WITH undone AS (
    -- rollbacks, and runs that are rolled back: rows are of the bureau that they had before
    SELECT id FROM catalog.run WHERE reverts IS NOT NULL
    UNION
    SELECT back.reverts FROM catalog.run AS back
    WHERE back.status = 'succeeded' AND back.reverts IS NOT NULL AND NOT EXISTS (
        SELECT FROM catalog.run AS redo WHERE redo.reverts = back.id AND redo.status = 'succeeded'
    )
)
INSERT INTO {staging} (operation, id)
SELECT 'delete', live.id
FROM {live} AS live
JOIN catalog.run AS origin ON origin.id = CASE
    -- an edit is no run: the row still is of the bureau that delivered it last
    WHEN live.run IS NULL OR live.run IN (SELECT id FROM undone) THEN coalesce((
        SELECT past.run FROM {history} AS past
        WHERE past.id = live.id AND past.run IS NOT NULL
            AND past.run NOT IN (SELECT id FROM undone)
        ORDER BY past.revision DESC LIMIT 1
    ), live.run)
    ELSE live.run
END
WHERE origin.bureau = %(bureau)s AND {inside}
    AND NOT EXISTS (SELECT FROM {staging} AS staged WHERE staged.id = live.id)
    AND NOT EXISTS (
        SELECT FROM catalog.reject
        WHERE run = %(run)s AND severity <> 'warn' AND reject.id = live.id
    )
"""


def remove_repeated(connection: psycopg.Connection, staging: Staging) -> list[Rejection]:
    """Take all rows but the first of each id out of staging, each naming the first."""
    # ctid is the order of arrival: nothing was deleted from the table before
    return _remove_repeated(connection, staging, "s.source_file", "s.source_row", "s.ctid", {})


def remove_repeated_built(built: Building, files: Sequence[str]) -> list[Rejection]:
    """The same for a table built beside its layer; `files` are the run's files in their order."""
    return _remove_repeated(
        built.connection,
        built,
        tables.source_file("s"),
        tables.source_row("s"),
        "s.source_ref, s.ctid",
        {"files": list(files)},
    )


def _remove_repeated(
    connection: psycopg.Connection,
    target: Staging | Building,
    file: LiteralString | sql.Composable,
    row: LiteralString | sql.Composable,
    arrival: LiteralString,
    values: Mapping[str, object],
) -> list[Rejection]:
    has_geometry = target.definition.geometry is not None
    geometry = "ST_AsBinary(ST_PointOnSurface(ST_Force2D(s.geom)))" if has_geometry else "NULL"
    statement = sql.SQL(_REPEATED).format(
        table=target.table,
        geometry=sql.SQL(geometry),
        file=sql.SQL(file) if isinstance(file, str) else file,
        row=sql.SQL(row) if isinstance(row, str) else row,
        arrival=sql.SQL(arrival),
    )
    own = ["geom", "tile_geom", *(name for name in tables.SYSTEM_TYPES if name != "id")]
    return [
        Rejection(
            file=file_label,
            row=source_row,
            id=ident,
            rule="unique_id",
            reason=f"标识码 {ident} 已在 {first_file} 第 {first_row} 行出现 "
            f"(delivered before in row {first_row})",
            severity=Severity.REJECT,
            record=record,
            place=None if place is None else _point(bytes(place)),
        )
        for file_label, source_row, ident, record, place, first_file, first_row in (
            connection.execute(statement, {"own": own, **values})
        )
    ]


def _point(wkb: bytes) -> shapely.Point:
    shape = shapely.from_wkb(wkb)
    return shape if isinstance(shape, shapely.Point) else shapely.Point()


def count(connection: psycopg.Connection, staging: Staging) -> int:
    """Number of staged rows."""
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(staging.table)).fetchone()
    return 0 if row is None else int(row[0])


def stage_deletes(
    connection: psycopg.Connection,
    staging: Staging,
    bureau: str,
    run: int,
    *,
    inside: sql.Composable = _EVERYWHERE,
    bound: Mapping[str, Any] = MappingProxyType({}),
) -> int:
    """Mark what a full delivery no longer holds: live rows that this bureau delivered.

    `inside` (a predicate on ``live``, with its values in `bound`) limits it to a part of them.

    Rows of other bureaus stay, and so do earlier versions of rows that this run rejected: a
    faulty record is no order to delete.
    """
    live = sql.Identifier("layer", staging.definition.name)
    history = sql.Identifier("history", staging.definition.name)
    statement = sql.SQL(_ABSENT).format(
        staging=staging.table, live=live, history=history, inside=inside
    )
    return connection.execute(statement, {"bureau": bureau, "run": run, **bound}).rowcount
