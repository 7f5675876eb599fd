"""Edits of single features: a handful of changes, staged and written like any delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from layers import tables
from layers.access import Principal
from layers.definition import LayerDefinition
from layers.staging import Staging, create_staging
from layers.write import Deletes, WriteError, WriteResult, write


class Operation(StrEnum):
    """What a change does to the feature of its id."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


class Unchanged:
    """Type of UNCHANGED."""


UNCHANGED: Final = Unchanged()
"""A change that keeps the geometry as it is."""


@dataclass(frozen=True)
class Change:
    """A change of one feature.

    An update sets the properties it names and keeps the others; a value of None clears a field.
    `geometry_wkb` is WKB in EPSG:4490 with x = longitude; None means no geometry.
    """

    operation: Operation
    id: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    geometry_wkb: bytes | Unchanged | None = UNCHANGED


def write_changes(
    connection: psycopg.Connection[Any],
    definition: LayerDefinition,
    changes: Sequence[Change],
    *,
    run: int | None = None,
    principal: Principal,
) -> WriteResult:
    """Write all changes as one revision; the caller commits.

    The layer is locked before its rows are read, so that two updates of different fields of one
    feature both survive. Raises WriteError for an unknown or existing id, an unknown property or
    two changes of one feature; then nothing was changed.
    """
    if not connection.autocommit and connection.info.transaction_status is TransactionStatus.IDLE:
        connection.execute("SELECT 1")  # the caller's transaction; ours is inside
    with connection.transaction():
        connection.execute(
            "SELECT 1 FROM catalog.layer WHERE name = %s FOR UPDATE", [definition.name]
        )
        staging = create_staging(connection, definition, temporary=True)
        for change in changes:
            _stage(connection, staging, change)
        result = write(
            connection,
            definition,
            staging,
            run=run,
            principal=principal,
            deletes=Deletes.EXPLICIT,
        )
        connection.execute(sql.SQL("DROP TABLE {}").format(staging.table))
    return result


def _stage(connection: psycopg.Connection[Any], staging: Staging, change: Change) -> None:
    definition = staging.definition
    values = _values(definition, change)
    known = connection.execute(
        sql.SQL("SELECT FROM {} WHERE id = %s").format(tables.layer_table(definition.name)),
        [change.id],
    ).rowcount
    if change.operation is Operation.INSERT:
        if known:
            raise WriteError(f"{definition.name}: 标识码已存在 id {change.id} exists already")
        targets = ("id", *values)
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            staging.table,
            tables.columns(targets),
            sql.SQL(", ").join([sql.Placeholder("id"), *(_bound(definition, n) for n in values)]),
        )
        connection.execute(statement, {"id": change.id, **values})
        return
    if not known:
        raise WriteError(f"{definition.name}: 没有标识码为 {change.id} 的要素 (no such feature)")
    content = tables.content_columns(definition)
    statement = sql.SQL(
        "INSERT INTO {staging} (operation, id, {targets})"
        " SELECT %(operation)s, id, {sources} FROM {live} WHERE id = %(id)s"
    ).format(
        staging=staging.table,
        targets=tables.columns(content),
        sources=sql.SQL(", ").join(
            _bound(definition, name) if name in values else sql.Identifier(name) for name in content
        ),
        live=tables.layer_table(definition.name),
    )
    deletes = change.operation is Operation.DELETE
    connection.execute(
        statement, {"operation": "delete" if deletes else None, "id": change.id, **values}
    )


def _values(definition: LayerDefinition, change: Change) -> dict[str, Any]:
    """Return the columns that the change sets; raises WriteError for one the layer lacks."""
    if change.operation is Operation.DELETE:
        return {}
    unknown = set(change.properties) - set(definition.field_names)
    if unknown:
        raise WriteError(
            f"{definition.name}: 没有字段 no such fields {sorted(unknown)}; "
            f"可用 known: {list(definition.field_names)}"
        )
    values = dict(change.properties)
    if not isinstance(change.geometry_wkb, Unchanged):
        if definition.geometry is None:
            raise WriteError(f"{definition.name}: 图层没有图形 (the layer has no geometry)")
        values["geom"] = change.geometry_wkb
    return values


def _bound(definition: LayerDefinition, name: str) -> sql.Composed:
    """Return the typed placeholder of a column."""
    if name == "geom":
        return sql.SQL("ST_GeomFromWKB({}::bytea, 4490)").format(sql.Placeholder(name))
    kind = definition.field_by_name[name].type.postgres
    return sql.SQL("{}::{}").format(sql.Placeholder(name), tables.type_sql(kind))
