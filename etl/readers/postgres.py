"""A table of another PostgreSQL/PostGIS that a delivery names by its URL.

`postgresql://host/database?table=schema.table`; the password stands in the pgpass file of the
service or in an environment variable that the delivery names, never in the delivery. The table is
read in one read-only transaction through a cursor. `since` with `since_column` asks for rows whose
column is at or after that time.
"""

from __future__ import annotations

import datetime as dt
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import shapely
from psycopg import sql
from psycopg.conninfo import make_conninfo

from etl.readers.http import Credentials
from etl.readers.model import (
    Batch,
    FieldInfo,
    LayerInfo,
    ReadError,
    ReadOptions,
    RowProblem,
    SourceInfo,
    choose_layer,
)

CONNECT_SECONDS = 15
STATEMENT_SECONDS = 600


@dataclass(frozen=True)
class TableUrl:
    """A URL taken apart: what libpq connects to, and the table."""

    conninfo: str
    host: str
    schema: str
    table: str


def parse(url: str) -> TableUrl:
    """Take a URL apart; ReadError without a table or with a password."""
    parts = urllib.parse.urlsplit(url)
    place = Path(parts.hostname or "postgresql")
    query = dict(urllib.parse.parse_qsl(parts.query))
    named = query.pop("table", "")
    if parts.password is not None or "password" in query:
        raise ReadError(
            place,
            "地址里不能写密码，请写入服务的 pgpass 文件，或用 credentials 写环境变量名。",
            "a URL in a delivery must not hold a password: put it into the service's pgpass file, "
            "or name an environment variable in `credentials`.",
        )
    if not named:
        raise ReadError(
            place, "地址须写明 ?table=模式.表。", "the URL must name ?table=schema.table."
        )
    schema, dot, table = named.rpartition(".")
    conninfo = parts._replace(query=urllib.parse.urlencode(query)).geturl()
    return TableUrl(conninfo, parts.hostname or "", schema if dot else "public", table)


_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), t.typname
    FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum
"""


@dataclass(frozen=True)
class PostgresSource:
    """One table or view; all values but the geometry come as text."""

    url: TableUrl
    options: ReadOptions
    since: dt.datetime | None = None
    since_column: str | None = None
    credentials: Credentials | None = None

    def _connect(self) -> psycopg.Connection[Any]:
        secret: dict[str, str] = {}
        if self.credentials is not None:
            secret["password"] = self.credentials.value(self.credentials.password, self.url.host)
            if self.credentials.user is not None:
                secret["user"] = self.credentials.value(self.credentials.user, self.url.host)
        connection: psycopg.Connection[Any] = psycopg.connect(
            make_conninfo(self.url.conninfo, **secret), connect_timeout=CONNECT_SECONDS
        )
        connection.read_only = True
        connection.execute("SELECT set_config('statement_timeout', %s, false)",
                           [f"{STATEMENT_SECONDS}s"])  # fmt: skip
        return connection

    def _failed(self, error: Exception) -> ReadError:
        said = " ".join(str(error).split())[:200]
        return ReadError(
            Path(f"{self.url.host or 'postgresql'}.{self.url.schema}.{self.url.table}"),
            "数据库不能连接或查询失败。",
            f"the database cannot be reached or the query failed ({said}).",
        )

    @cached_property
    def _columns(self) -> tuple[list[tuple[str, str]], str | None]:
        """(columns without geometry, geometry column)."""
        try:
            with self._connect() as connection:
                rows = connection.execute(_COLUMNS, [self.url.schema, self.url.table]).fetchall()
        except psycopg.Error as error:
            raise self._failed(error) from error
        if not rows:
            raise self._failed(ValueError("no such table"))
        shapes = [name for name, _, kind in rows if kind in ("geometry", "geography")]
        plain = [(name, kind) for name, kind, base in rows if base not in ("geometry", "geography")]
        return plain, (shapes[0] if shapes else None)

    @cached_property
    def layer(self) -> LayerInfo:
        """The table with its count; the CRS is that of the first geometry."""
        plain, shape = self._columns
        table = sql.Identifier(self.url.schema, self.url.table)
        where, values = self._where
        declared = None
        try:
            with self._connect() as connection:
                counted = connection.execute(
                    sql.SQL("SELECT count(*) FROM {} {}").format(table, where), values
                ).fetchone()
                if shape is not None:
                    query = sql.SQL(
                        "SELECT ST_SRID({geom}::geometry), auth_name, auth_srid FROM {table}"
                        " LEFT JOIN spatial_ref_sys ON srid = ST_SRID({geom}::geometry)"
                        " WHERE {geom} IS NOT NULL LIMIT 1"
                    ).format(geom=sql.Identifier(shape), table=table)
                    found = connection.execute(query).fetchone()
                    if found is not None and found[1] is not None:
                        declared = f"{found[1]}:{found[2]}"
        except psycopg.Error as error:
            raise self._failed(error) from error
        fields = tuple(FieldInfo(name, kind) for name, kind in plain)
        count = None if counted is None else int(counted[0])
        kind = None if shape is None else "Geometry"
        return LayerInfo(f"{self.url.schema}.{self.url.table}", kind, fields, declared, count, None)

    @property
    def _where(self) -> tuple[sql.Composable, list[Any]]:
        if self.since is None or self.since_column is None:
            return sql.SQL(""), []
        return sql.SQL("WHERE {} >= %s").format(sql.Identifier(self.since_column)), [self.since]

    @cached_property
    def info(self) -> SourceInfo:
        """The one table."""
        return SourceInfo(Path(self.layer.name), "PostgreSQL", (self.layer,))

    def batches(self) -> Iterator[Batch]:
        """Stream the rows in the order that the database gives them."""
        choose_layer(self.info, self.options.layer)
        plain, shape = self._columns
        where, values = self._where
        picked: list[sql.Composable] = [
            sql.SQL("{}::text").format(sql.Identifier(name)) for name, _ in plain
        ]
        if shape is not None:
            picked.append(sql.SQL("ST_AsEWKB({}::geometry)").format(sql.Identifier(shape)))
        query = sql.SQL("SELECT {} FROM {} {}").format(
            sql.SQL(", ").join(picked), sql.Identifier(self.url.schema, self.url.table), where
        )
        done = 0
        try:
            with self._connect() as connection, connection.cursor("pull", binary=True) as cursor:
                cursor.execute(query, values)
                while rows := cursor.fetchmany(self.options.batch_rows):
                    yield _batch(done, rows, [name for name, _ in plain], shape is not None)
                    done += len(rows)
        except psycopg.Error as error:
            raise self._failed(error) from error


def _batch(done: int, records: list[tuple[Any, ...]], names: list[str], placed: bool) -> Batch:
    rows = np.arange(done + 1, done + 1 + len(records), dtype=np.int64)
    columns = {
        name: pa.array([record[i] for record in records], pa.string())
        for i, name in enumerate(names)
    }
    table = pa.table(columns) if columns else pa.table({"row": pa.array(rows)})
    if not placed:
        return Batch(rows, np.full(len(rows), None, dtype=object), table)
    wkb = [None if record[-1] is None else bytes(record[-1]) for record in records]
    shapes = np.asarray(shapely.from_wkb(np.array(wkb, dtype=object), on_invalid="ignore"))
    bad = tuple(
        RowProblem(int(row), None, "图形无法解析 the geometry cannot be read")
        for row, raw, shape in zip(rows, wkb, shapes, strict=True)
        if raw is not None and shape is None
    )
    return Batch(rows, shapes, table, bad)


def open_table_url(
    url: str,
    options: ReadOptions,
    since: dt.datetime | None = None,
    since_column: str | None = None,
    credentials: Credentials | None = None,
) -> PostgresSource:
    """Open a table of another database; ReadError when it cannot be reached or does not exist."""
    named = parse(url)
    if (since is None) != (since_column is None):
        raise ReadError(
            Path(named.host or "postgresql"),
            "since 和 since_column 须同时写明。",
            "`since` needs `since_column`, and the other way round.",
        )
    source = PostgresSource(named, options, since, since_column, credentials)
    _ = source.info
    return source
