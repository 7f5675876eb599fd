"""A layer as it was at a revision: live versions that are old enough, and superseded ones.

A version is valid from its `revision` until `replaced_by_revision`, both commit order; a time of
day is first turned into the revision that was newest then (`revision_at`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from layers import tables
from layers.definition import LayerDefinition


def versions(definition: LayerDefinition) -> sql.Composed:
    """Return a subquery of the rows that were live at the bound revision ``%(as_of)s``.

    Columns: fid, id, revision, run, source_ref, row_hash, the layer's fields, geom. Fields that
    were retired since are not in it; they are in the history table.
    """
    names = (*tables.SYSTEM_TYPES, *tables.content_columns(definition))
    return sql.SQL(
        "(SELECT {names} FROM {live} WHERE revision <= %(as_of)s"
        " UNION ALL"
        " SELECT {names} FROM {history}"
        " WHERE revision <= %(as_of)s AND replaced_by_revision > %(as_of)s)"
    ).format(
        names=tables.columns(names),
        live=tables.layer_table(definition.name),
        history=tables.history_table(definition.name),
    )


def revision_at(connection: psycopg.Connection[Any], layer: str, moment: datetime) -> int:
    """Return the newest revision of the layer at a moment; 0 before the first."""
    row = connection.execute(
        "SELECT revision FROM catalog.revision WHERE layer = %s AND at <= %s"
        " ORDER BY at DESC LIMIT 1",
        [layer, moment],
    ).fetchone()
    return 0 if row is None else int(row[0])
