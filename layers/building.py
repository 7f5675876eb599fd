"""A first load beside its layer: a table filled and indexed unseen, that then takes its place.

Rows are written once, in the stored form, while the client still reads; indexes are built over two
connections; readers of the empty layer wait for some catalogue changes and not for a load. The
table is of schema staging and locked as staging tables are, so that what a killed run leaves is
cleaned away. The swap is part of the caller's transaction, by the one write function.
"""

from __future__ import annotations

import contextlib
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql

from layers import hilbert, rights, schema, tables
from layers.cells import Cell, cells_of
from layers.copying import Encoded, encode, send
from layers.definition import LayerDefinition
from layers.revision import Revision
from layers.sql import text
from layers.staging import LOCK_CLASS, Staging, clean_staging, create_staging

BULK_MEMORY = "256MB"
"""Memory of a first load's sort and of each of its index builds."""
BUSY = "2s"
"""How long the swap waits for readers of the empty layer; after that the rows are copied."""

Connect = Callable[[], psycopg.Connection]
FloatArray = hilbert.FloatArray


@dataclass(frozen=True, slots=True)
class Arranged:
    """Rows ready to be added to a building, and where they lie."""

    rows: Encoded
    cells: Sequence[Cell]


@dataclass
class Building:
    """A table under construction. `connection` is its own; `begin` makes one."""

    definition: LayerDefinition
    name: str
    revision: int
    """Revision that its rows carry; it fits the layer while that is the next one."""
    run: int | None
    next_fid: int
    connection: psycopg.Connection
    connect: Connect
    rows: int = 0
    cells: list[Cell] | None = field(default_factory=list)
    """Where the rows lie, counted as they came; None when rows were taken out again."""

    @property
    def table(self) -> sql.Identifier:
        """The table's qualified name."""
        return sql.Identifier("staging", self.name)

    def arrange(self, batch: pa.Table, bounds: FloatArray | None) -> Arranged:
        """Make rows ready to be added: along a Hilbert curve, with `fid` in that order.

        The batch holds `id`, fields, `source_ref`, and `geom`: WKB of the stored type, EPSG:4490,
        x = longitude; `bounds` are (n, 4) west, south, east, north, NaN without a geometry, None
        for a layer without. Of a city's rows in any order, a call of 100 000 and more keeps small
        windows of the map on few pages. It asks nothing of the database, so that one thread may
        arrange rows while another adds those before.
        """
        if bounds is not None:
            along = hilbert.order(
                (bounds[:, 0] + bounds[:, 2]) / 2, (bounds[:, 1] + bounds[:, 3]) / 2
            )
            batch = batch.take(pa.array(along))
        fids = np.arange(self.next_fid, self.next_fid + batch.num_rows, dtype=np.int64)
        self.next_fid += batch.num_rows
        return Arranged(
            encode(batch.append_column("fid", pa.array(fids))), cells_of(bounds, batch.num_rows)
        )

    def add(self, arranged: Arranged) -> None:
        """Append rows, in the order in which they were arranged."""
        self.rows += send(self.connection, self.table, arranged.rows, freeze=True)
        if self.cells is not None:
            self.cells += arranged.cells

    def staged(self, files: Sequence[str]) -> Staging:
        """The rows as a staging table: a view with file and row of the source; rows can be deleted.

        `files` are the labels of the run's files in their order. `recounted` after deletes.
        """
        view = sql.Identifier("staging", f"{self.name}_v")
        content = ("id", *tables.content_columns(self.definition))
        self.connection.execute(
            sql.SQL(
                "CREATE VIEW {} AS SELECT ({}::text[])[(source_ref >> {}) + 1] AS source_file,"
                " source_ref & {} AS source_row, NULL::text AS operation, {} FROM {}"
            ).format(
                view,
                sql.Literal(list(files)),
                sql.Literal(tables.SOURCE_ROW_BITS),
                sql.Literal((1 << tables.SOURCE_ROW_BITS) - 1),
                tables.columns(content),
                self.table,
            )
        )
        return Staging(self.definition, view, self.name)

    def recounted(self, rows: int) -> None:
        """Take note of how many rows are left, after some may have been deleted again."""
        if rows != self.rows:
            self.rows, self.cells = rows, None

    @contextlib.contextmanager
    def indexing(self) -> Iterator[None]:
        """Make the rows durable; build indexes beside the block, then the statistics.

        No rows can be added after that, but the block may read them, or delete some, by another
        connection. Raises psycopg's UniqueViolation for a repeated id.
        """
        self.connection.commit()
        indexes = tables.secondary_indexes(self.definition, self.name)
        # the longest first, so that both connections end at the same time
        waiting = deque(
            index.statement
            for index in sorted((*indexes, _key(self.name)), key=lambda i: i.method != "gist")
        )
        with self.connect() as second, ThreadPoolExecutor(max_workers=2) as builders:
            # locked before the block begins: a delete of the block waits for the builds, never
            # they for it
            for connection in (self.connection, second):
                connection.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(self.table))
            building = [
                builders.submit(_build, connection, waiting)
                for connection in (self.connection, second)
            ]
            yield
            for one in building:
                one.result()
        self.connection.autocommit = True
        # what no index is on costs twice the time to sample and decides no plan
        columns = tables.columns(tuple(index.column for index in indexes))
        self.connection.execute(sql.SQL("ANALYZE {} ({})").format(self.table, columns))

    def finish(self) -> None:
        """`indexing` with nothing beside it."""
        with self.indexing():
            pass

    def close(self) -> None:
        """Drop the table, if no layer took it, and end the connection; after the transaction."""
        # a server that is gone leaves nothing to drop: the next run cleans up
        with contextlib.suppress(psycopg.OperationalError), self.connection as connection:
            connection.rollback()
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {} CASCADE").format(self.table))


def begin(connect: Connect, definition: LayerDefinition, run: int | None) -> Building | None:
    """Start the table of an empty layer; None where only staging will do.

    That is: the layer has rows, or its table is not quite as `layers apply` made it (views,
    triggers, columns granted apart...), or this login may not replace it.
    """
    connection = connect()
    try:
        connection.autocommit = True
        clean_staging(connection)
        connection.autocommit = False
        state = connection.execute(text("building"), {"layer": definition.name}).fetchone()
        if state is None or not state[0] or schema.plan(connection, definition):
            connection.close()
            return None
        _, revision, next_fid = state
        name = f"{definition.name[:40]}_{secrets.token_hex(6)}"  # its indexes' names are longer
        connection.execute(tables.create_building(definition, name, revision, run))
        connection.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", [LOCK_CLASS, name])
    except BaseException:
        connection.close()
        raise
    return Building(definition, name, revision, run, next_fid, connection, connect)


def fits(connection: psycopg.Connection, building: Building) -> bool:
    """Whether the layer can still be replaced; locks its row and, if so, its table.

    False when another writer came first or a reader holds the table for long: see `unpack`.
    """
    layer = building.definition.name
    found = connection.execute(
        "SELECT revision, feature_count FROM catalog.layer WHERE name = %s FOR UPDATE", [layer]
    ).fetchone()
    if found != (building.revision - 1, 0):
        return False
    try:
        with connection.transaction():
            connection.execute("SELECT set_config('lock_timeout', %s, true)", [BUSY])
            connection.execute(
                sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(tables.layer_table(layer))
            )
            connection.execute("SELECT set_config('lock_timeout', '0', true)")
    except psycopg.errors.LockNotAvailable:
        return False
    state = connection.execute(text("building"), {"layer": layer}).fetchone()
    return state is not None and bool(state[0])


def unpack(connection: psycopg.Connection, rows: Staging) -> Staging:
    """The rows of a building (`Building.staged`) as an ordinary staging table.

    For a layer that can no longer be replaced.
    """
    staging = create_staging(connection, rows.definition)
    names = ("source_file", "source_row", "id", *tables.content_columns(rows.definition))
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
            staging.table, tables.columns(names), tables.columns(names), rows.table
        )
    )
    return staging


def adopt(connection: psycopg.Connection, building: Building, taken: Revision) -> None:
    """Put the table in the layer's place, as `layers apply` would have made it.

    Owner and privileges are those of the table that it replaces. Call it after `fits` in the same
    transaction.
    """
    definition = building.definition
    layer, mine = tables.layer_table(definition.name), sql.Identifier(definition.name)
    if taken.number != building.revision or taken.feature_count:
        raise ValueError(f"{definition.name}: revision {taken.number}, not {building.revision}")
    had = rights.rights_of(connection, definition.name)
    named = [
        (index.name, final.name)
        for index, final in zip(
            tables.secondary_indexes(definition, building.name),
            tables.secondary_indexes(definition),
            strict=True,
        )
    ]
    statements = [
        sql.SQL("DROP VIEW IF EXISTS {}").format(sql.Identifier("staging", f"{building.name}_v")),
        sql.SQL("DROP TABLE {}").format(layer),
        sql.SQL("ALTER TABLE {} SET SCHEMA layer").format(building.table),
        sql.SQL("ALTER TABLE {} RENAME TO {}").format(sql.Identifier("layer", building.name), mine),
        *(
            sql.SQL("ALTER INDEX {} RENAME TO {}").format(
                sql.Identifier("layer", old), sql.Identifier(new)
            )
            for old, new in named
        ),
        sql.SQL(
            "ALTER TABLE {} ALTER COLUMN row_hash DROP EXPRESSION,"
            " ALTER COLUMN revision DROP DEFAULT, ALTER COLUMN run DROP DEFAULT,"
            " ADD CONSTRAINT {} PRIMARY KEY USING INDEX {},"
            " ALTER COLUMN fid ADD GENERATED ALWAYS AS IDENTITY,"
            " RESET (autovacuum_enabled)"
        ).format(
            layer,
            sql.Identifier(f"{definition.name}_pkey"),
            sql.Identifier(_key(building.name).name),
        ),
    ]
    for statement in statements:
        connection.execute(statement)
    rights.restore(connection, definition.name, had)
    connection.execute(
        "SELECT setval(pg_get_serial_sequence(format('layer.%%I', %s::text), 'fid'), %s)",
        [definition.name, building.next_fid - 1],
    )


def _build(connection: psycopg.Connection, waiting: deque[sql.Composed]) -> None:
    """Build the indexes that wait, beside others who do, and commit: one wait for the disk."""
    connection.execute("SELECT set_config('maintenance_work_mem', %s, true)", [BULK_MEMORY])
    with contextlib.suppress(IndexError):  # none is left
        while True:
            connection.execute(waiting.popleft())
    connection.commit()


def _key(building: str) -> tables.Index:
    return tables.Index(
        f"{building}_key",
        "fid",
        sql.Identifier("staging", building),
        "btree",
        sql.Identifier("fid"),
        unique=True,
    )
