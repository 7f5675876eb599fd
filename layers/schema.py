"""`layers apply`: make schemas layer and history what the definitions say, and record the DDL.

Adding a layer or field creates it; a dropped field leaves the live table and stays in history;
a changed title or access class is a catalogue row. Whatever would lose data is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from layers import tables
from layers.definition import LayerDefinition
from layers.retire import retire_field

LOCK_TIMEOUT = "5s"
"""How long DDL waits for a reader or writer; a longer wait would queue all readers behind it."""

_WIDENINGS = {
    ("bigint", "double precision"),
    ("bigint", "text"),
    ("double precision", "text"),
    ("boolean", "text"),
    ("date", "text"),
}


class SchemaError(ValueError):
    """A definition that the existing table cannot follow; the message says what would do."""


@dataclass(frozen=True)
class DdlStep:
    """One thing that apply does: a statement, and the field it retires if it does that."""

    layer: str
    statement: sql.Composed
    retires: str | None = None

    def text(self, connection: psycopg.Connection) -> str:
        """Return the statement as it is run and recorded."""
        return self.statement.as_string(connection)


def apply(
    connection: psycopg.Connection,
    definitions: Iterable[LayerDefinition],
    *,
    dry_run: bool = False,
) -> list[DdlStep]:
    """Create or alter the tables of the definitions; return the steps (none: all was so already).

    Each layer is one transaction (a savepoint inside the caller's, if there is one). Layers that
    are not among the definitions stay as they are. Raises SchemaError for a change that would
    lose data or when a table is busy for longer than LOCK_TIMEOUT.
    """
    done: list[DdlStep] = []
    for definition in definitions:
        if dry_run:
            done += plan(connection, definition)
            continue
        try:
            with connection.transaction():
                done += _apply_one(connection, definition)
        except psycopg.errors.LockNotAvailable as busy:
            raise SchemaError(
                f"图层 {definition.name} 正被使用 (in use for more than {LOCK_TIMEOUT}); "
                "run `layers apply` again when the long reader or load has ended"
            ) from busy
    return done


def _apply_one(connection: psycopg.Connection, definition: LayerDefinition) -> list[DdlStep]:
    connection.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
    changed = _publish(connection, definition)
    steps = plan(connection, definition)
    for step in steps:
        if step.retires is not None:
            retire_field(connection, definition, step.retires)
        connection.execute(step.statement)
        connection.execute(
            "INSERT INTO catalog.ddl (layer, statement) VALUES (%s, %s)",
            [definition.name, step.text(connection)],
        )
    if steps or changed:
        connection.execute("SELECT catalog.bump_generation()")
    connection.execute("SELECT set_config('lock_timeout', '0', true)")
    return steps


def _publish(connection: psycopg.Connection, definition: LayerDefinition) -> bool:
    """Write the catalogue row and thereby take the layer's lock; tell whether it changed."""
    row = {
        "name": definition.name,
        "definition": Jsonb(dict(definition.source)),
        "access": definition.access.value,
    }
    connection.execute("SELECT 1 FROM catalog.layer WHERE name = %(name)s FOR UPDATE", row)
    changed = connection.execute(
        """
        INSERT INTO catalog.layer AS known (name, definition, access)
        VALUES (%(name)s, %(definition)s, %(access)s)
        ON CONFLICT (name) DO UPDATE
            SET definition = excluded.definition, access = excluded.access,
                updated_at = clock_timestamp()
            WHERE (known.definition, known.access)
                IS DISTINCT FROM (excluded.definition, excluded.access)
        RETURNING true
        """,
        row,
    )
    return changed.fetchone() is not None


def plan(connection: psycopg.Connection, definition: LayerDefinition) -> list[DdlStep]:
    """Return what apply would do for one layer; raises SchemaError like it."""
    live = _columns(connection, "layer", definition.name)
    if not live:
        return [DdlStep(definition.name, s) for s in _creation(definition)]
    past = _columns(connection, "history", definition.name)
    _require_same_geometry(definition, live)
    surplus, missing = _index_steps(connection, definition)
    steps = surplus  # before the columns: dropping a column takes its index with it
    wanted = tables.field_types(definition)
    for schema, existing in (("layer", live), ("history", past)):
        for name, kind in wanted.items():
            steps += _align(definition.name, schema, name, kind, existing.get(name))
    system = {*tables.SYSTEM_TYPES, *tables.HISTORY_TYPES, "geom", "tile_geom"}
    for name in live:
        if name not in wanted and name not in system:
            statement = sql.SQL("ALTER TABLE {} DROP COLUMN {}").format(
                tables.layer_table(definition.name), sql.Identifier(name)
            )
            steps.append(DdlStep(definition.name, statement, retires=name))
    return steps + missing


def _creation(definition: LayerDefinition) -> Iterable[sql.Composed]:
    live, past = tables.layer_table(definition.name), tables.history_table(definition.name)
    yield tables.create_layer(definition)
    yield tables.create_history(definition)
    for index in tables.secondary_indexes(definition) + tables.history_indexes(definition):
        yield index.statement
    for table in (live, past):
        yield sql.SQL("ALTER TABLE {} OWNER TO geoserver_py_owner").format(table)
        yield sql.SQL(
            "GRANT SELECT ON {} TO geoserver_py_reader, geoserver_py_editor, geoserver_py_loader"
        ).format(table)
        yield sql.SQL("GRANT INSERT, UPDATE, DELETE ON {} TO geoserver_py_loader").format(table)


def _align(layer: str, schema: str, name: str, kind: str, existing: str | None) -> list[DdlStep]:
    table, column = sql.Identifier(schema, layer), sql.Identifier(name)
    if existing is None:
        statement = sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
            table, column, tables.type_sql(kind)
        )
        return [DdlStep(layer, statement)]
    present = "timestamptz" if existing == "timestamp with time zone" else existing
    if present == kind:
        return []
    if (present, kind) not in _WIDENINGS:
        raise SchemaError(
            f"{layer}.{name}: 类型不能由 {present} 改为 {kind} (values could be lost); "
            f"add a field with another name, or retire {name} first"
        )
    statement = sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE {}").format(
        table, column, tables.type_sql(kind)
    )
    return [DdlStep(layer, statement)]


def _require_same_geometry(definition: LayerDefinition, live: dict[str, str]) -> None:
    wanted = tables.geometry_type(definition)
    if live.get("geom") != wanted:
        raise SchemaError(
            f"{definition.name}: 几何类型不能由 {live.get('geom')} 改为 {wanted} "
            "(publish it as a new layer)"
        )


def _index_steps(
    connection: psycopg.Connection, definition: LayerDefinition
) -> tuple[list[DdlStep], list[DdlStep]]:
    """Return the steps that drop surplus indexes and those that create missing ones."""
    drops: list[DdlStep] = []
    creations: list[DdlStep] = []
    for schema, wanted in (
        ("layer", tables.secondary_indexes(definition)),
        ("history", tables.history_indexes(definition)),
    ):
        rows = connection.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = %s AND tablename = %s"
            " AND right(indexname, 3) = '_ix'",
            [schema, definition.name],
        )
        present = {str(name) for (name,) in rows}
        for surplus in sorted(present - {index.name for index in wanted}):
            statement = sql.SQL("DROP INDEX {}").format(sql.Identifier(schema, surplus))
            drops.append(DdlStep(definition.name, statement))
        for index in wanted:
            if index.name not in present:
                creations.append(DdlStep(definition.name, index.statement))  # noqa: PERF401
    return drops, creations


def _columns(connection: psycopg.Connection, schema: str, table: str) -> dict[str, str]:
    rows = connection.execute(
        """
        SELECT attname, format_type(atttypid, atttypmod)
        FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid
        JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = %s AND relname = %s AND attnum > 0 AND NOT attisdropped
        ORDER BY attnum
        """,
        [schema, table],
    )
    return {str(name): str(kind) for name, kind in rows}
