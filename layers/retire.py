"""Taking a field out of a live table without losing its values: they become history first."""

from __future__ import annotations

import psycopg
from psycopg import sql

from layers import revision, tables
from layers.access import SYSTEM
from layers.definition import LayerDefinition


def retire_field(connection: psycopg.Connection, definition: LayerDefinition, name: str) -> None:
    """Move the versions that hold a value of field `name` to history, as one revision.

    `definition` no longer has the field. The rows stay live under a new revision; the caller drops
    the column. Without a value in any row nothing happens.
    """
    live, column = tables.layer_table(definition.name), sql.Identifier(name)
    revision.begin_changes(connection)
    connection.execute(
        sql.SQL(
            "INSERT INTO pg_temp.change_set SELECT 'update', fid, id FROM {} WHERE {} IS NOT NULL"
        ).format(live, column)
    )
    counts = revision.count_changes(connection)
    if not counts:
        return
    taken = revision.take(connection, definition.name)
    revision.supersede(connection, definition, taken)
    connection.execute(
        sql.SQL(
            "UPDATE {} AS past SET {column} = live.{column} FROM {} AS live"
            " WHERE past.fid = live.fid AND past.replaced_by_revision = %s"
        ).format(tables.history_table(definition.name), live, column=column),
        [taken.number],
    )
    connection.execute(
        sql.SQL(
            "UPDATE {} AS live SET revision = %s, row_hash = {}"
            " FROM pg_temp.change_set AS change WHERE change.fid = live.fid"
        ).format(live, tables.row_hash(definition, "live")),
        [taken.number],
    )
    revision.announce(connection, definition, taken, counts, run=None, principal=SYSTEM)
