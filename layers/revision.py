"""The steps that every change of a layer goes through, whatever made it: revision to NOTIFY.

`take` locks the layer's catalogue row until the caller's transaction ends; so two writers of a
layer wait for each other and commit order is revision order (a plain sequence lost one event in
five to readers that polled ``seq > last``). The set of changes is the temporary table
``change_set (operation, fid, id)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from layers import tables
from layers.access import Principal
from layers.cells import Cell, merged
from layers.definition import FieldType, GeometryType, LayerDefinition
from layers.sql import text

EDIT_LIMIT = 5_000
"""Up to so many changes the outbox names each feature; above, a row a z14 cell (6 times faster)."""


class NotAppliedError(LookupError):
    """The layer has no catalogue row: `layers apply` has not been run for its definition."""


@dataclass(frozen=True)
class Revision:
    """A revision being written; `at` is later than every earlier revision's commit."""

    layer: str
    number: int
    feature_count: int
    """Live features before this revision."""
    at: datetime


def take(connection: psycopg.Connection, layer: str) -> Revision:
    """Lock the layer and count its revision up; the lock ends with the transaction or savepoint.

    Raises NotAppliedError when the catalogue does not know the layer.
    """
    row = connection.execute(
        "UPDATE catalog.layer SET revision = revision + 1 WHERE name = %s"
        " RETURNING revision, feature_count, clock_timestamp()",
        [layer],
    ).fetchone()
    if row is None:
        raise NotAppliedError(f"图层 {layer} 未发布 (run `geoserver-py layers apply` first)")
    # now() and the RETURNING clock are from before the wait for the lock; this is from after it
    after = connection.execute("SELECT clock_timestamp()").fetchone()
    return Revision(layer, int(row[0]), int(row[1]), after[0] if after else row[2])


def lock_layers(connection: psycopg.Connection, layers: Iterable[str]) -> None:
    """Lock several layers in the order of their names, for a transaction that will write them all.

    One after the other in any order, two such transactions could wait for each other for ever;
    and what the caller reads from here on (what is to be deleted) no other writer can change.
    """
    connection.execute(
        "SELECT 1 FROM catalog.layer WHERE name = ANY(%s) ORDER BY name FOR UPDATE", [list(layers)]
    )


def begin_changes(connection: psycopg.Connection) -> None:
    """Create the empty set of changes of this transaction."""
    connection.execute("DROP TABLE IF EXISTS pg_temp.change_set")
    connection.execute(
        "CREATE TEMPORARY TABLE change_set (operation text NOT NULL, fid bigint, id text NOT NULL)"
        " ON COMMIT DROP"
    )


def count_changes(connection: psycopg.Connection) -> dict[str, int]:
    """Return how many changes of each operation the set holds."""
    rows = connection.execute("SELECT operation, count(*) FROM pg_temp.change_set GROUP BY 1")
    return {str(operation): int(count) for operation, count in rows}


def supersede(
    connection: psycopg.Connection, definition: LayerDefinition, revision: Revision
) -> None:
    """Copy the live versions that the set of changes replaces or deletes into history."""
    names = ("id", "revision", "run", "source_ref", "row_hash", *tables.content_columns(definition))
    connection.execute(
        text("supersede").format(
            history=tables.history_table(definition.name),
            live=tables.layer_table(definition.name),
            version_columns=tables.columns(names),
            live_version_columns=tables.columns(names, "live"),
        ),
        {"revision": revision.number},
    )


def announce(
    connection: psycopg.Connection,
    definition: LayerDefinition,
    revision: Revision,
    counts: dict[str, int],
    *,
    run: int | None,
    principal: Principal,
    first_load: bool = False,
    cells: Iterable[Cell] | None = None,
) -> None:
    """Write outbox, catalogue row and revision record, and wake the consumers.

    With `first_load` every live row is new and the set of changes is not looked at; `cells` are
    those of its rows, where they were counted already.
    """
    total = sum(counts.values())
    if cells is not None:
        _outbox_counted(connection, revision, merged(cells))
    elif first_load:
        _outbox_cells(connection, revision, _all_versions(definition))
    elif total <= EDIT_LIMIT:
        _outbox_features(connection, definition, revision)
    else:
        _outbox_cells(connection, revision, _changed_versions(definition))
    inserted, deleted = counts.get("insert", 0), counts.get("delete", 0)
    values = {
        "layer": revision.layer,
        "revision": revision.number,
        "at": revision.at,
        "run": run,
        "principal": principal.name,
        "inserted": inserted,
        "updated": counts.get("update", 0),
        "deleted": deleted,
    }
    emptied = revision.feature_count + inserted == deleted
    exact = total > EDIT_LIMIT and inserted < total
    connection.execute(
        text("publish").format(
            extent=_extent(definition, emptied=emptied, exact=exact),
            time_from=_time_bound(definition, "min"),
            time_to=_time_bound(definition, "max"),
        ),
        values,
    )
    connection.execute(
        "INSERT INTO catalog.revision"
        " (layer, revision, at, run, principal, inserted, updated, deleted)"
        " VALUES (%(layer)s, %(revision)s, %(at)s, %(run)s, %(principal)s,"
        " %(inserted)s, %(updated)s, %(deleted)s)",
        values,
    )
    connection.execute("SELECT pg_notify('outbox', %(layer)s)", values)


def _outbox_features(
    connection: psycopg.Connection, definition: LayerDefinition, revision: Revision
) -> None:
    envelope: sql.Composable = sql.SQL("NULL")
    if definition.geometry is not None:
        envelope = sql.SQL(
            "ST_MakeEnvelope("
            "least(ST_XMin(new.geom), ST_XMin(old.geom)),"
            "least(ST_YMin(new.geom), ST_YMin(old.geom)),"
            "greatest(ST_XMax(new.geom), ST_XMax(old.geom)),"
            "greatest(ST_YMax(new.geom), ST_YMax(old.geom)), 4490)"
        )
    connection.execute(
        text("outbox_features").format(
            envelope=envelope,
            live=tables.layer_table(definition.name),
            history=tables.history_table(definition.name),
        ),
        {"layer": revision.layer, "revision": revision.number},
    )


def _outbox_cells(
    connection: psycopg.Connection, revision: Revision, versions: sql.Composed
) -> None:
    connection.execute(
        text("outbox_cells").format(versions=versions),
        {"layer": revision.layer, "revision": revision.number},
    )


def _outbox_counted(
    connection: psycopg.Connection, revision: Revision, cells: Sequence[Cell]
) -> None:
    edges = zip(*(cell.envelope or (None,) * 4 for cell in cells), strict=True)
    west, south, east, north = (list(values) for values in edges)
    connection.execute(
        text("outbox_counted"),
        {
            "layer": revision.layer,
            "revision": revision.number,
            "west": west,
            "south": south,
            "east": east,
            "north": north,
            "counts": [cell.count for cell in cells],
        },
    )


def _bounds(definition: LayerDefinition, qualifier: str) -> sql.Composable:
    if definition.geometry is None:
        nothing = "NULL::float8 AS west, NULL::float8 AS south, NULL::float8 AS east"
        return sql.SQL(nothing + ", NULL::float8 AS north")
    if definition.geometry is GeometryType.POINT:
        return sql.SQL(
            "ST_X({g}) AS west, ST_Y({g}) AS south, ST_X({g}) AS east, ST_Y({g}) AS north"
        ).format(g=sql.Identifier(qualifier, "geom"))
    return sql.SQL(
        "ST_XMin({g}) AS west, ST_YMin({g}) AS south, ST_XMax({g}) AS east, ST_YMax({g}) AS north"
    ).format(g=sql.Identifier(qualifier, "geom"))


def _all_versions(definition: LayerDefinition) -> sql.Composed:
    return sql.SQL("SELECT {bounds}, 1 AS weight FROM {live} AS live").format(
        bounds=_bounds(definition, "live"), live=tables.layer_table(definition.name)
    )


def _changed_versions(definition: LayerDefinition) -> sql.Composed:
    return sql.SQL(
        "SELECT {new}, 1 AS weight FROM pg_temp.change_set AS change"
        " JOIN {live} AS live ON live.id = change.id WHERE change.operation <> 'delete'"
        " UNION ALL"
        " SELECT {old}, CASE change.operation WHEN 'delete' THEN 1 ELSE 0 END"
        " FROM pg_temp.change_set AS change"
        " JOIN {history} AS past ON past.fid = change.fid"
        " AND past.replaced_by_revision = %(revision)s"
    ).format(
        new=_bounds(definition, "live"),
        old=_bounds(definition, "past"),
        live=tables.layer_table(definition.name),
        history=tables.history_table(definition.name),
    )


def _extent(definition: LayerDefinition, *, emptied: bool, exact: bool) -> sql.Composable:
    """Expression of the new extent, a rectangle in EPSG:4490."""
    if definition.geometry is None or emptied:
        return sql.SQL("NULL")
    measured = (
        "(SELECT ST_MakeEnvelope(min(ST_XMin({g})), min(ST_YMin({g})),"
        " max(ST_XMax({g})), max(ST_YMax({g})), 4490) FROM {source})"
    )
    if exact:
        return sql.SQL(measured).format(
            g=sql.Identifier("geom"), source=tables.layer_table(definition.name)
        )
    grown = sql.SQL(
        "(SELECT envelope FROM catalog.outbox"
        " WHERE layer = %(layer)s AND revision = %(revision)s UNION ALL SELECT extent) AS place"
    )
    return sql.SQL(measured).format(g=sql.Identifier("envelope"), source=grown)


def _time_bound(definition: LayerDefinition, aggregate: str) -> sql.Composable:
    """Expression of the first or last time of the layer's features; a date counts as UTC."""
    if definition.time_field is None:
        return sql.SQL("NULL")
    bound = sql.SQL("{}({})").format(
        sql.SQL("min" if aggregate == "min" else "max"), sql.Identifier(definition.time_field)
    )
    if definition.field_by_name[definition.time_field].type is FieldType.DATE:
        bound = sql.SQL("({}::timestamp AT TIME ZONE 'UTC')").format(bound)
    return sql.SQL("(SELECT {} FROM {})").format(bound, tables.layer_table(definition.name))


def current(connection: psycopg.Connection, layer: str) -> int:
    """Return the layer's newest committed revision; raises NotAppliedError for an unknown layer."""
    row: Any = connection.execute(
        "SELECT revision FROM catalog.layer WHERE name = %s", [layer]
    ).fetchone()
    if row is None:
        raise NotAppliedError(f"图层 {layer} 未发布 (run `geoserver-py layers apply` first)")
    return int(row[0])
