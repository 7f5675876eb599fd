"""A table of another PostGIS: CRS, geometry and text, whole or changed since."""

from __future__ import annotations

import datetime as dt
from urllib.parse import quote

import psycopg
import pytest

from etl.readers import ReadError, ReadOptions, open_source
from etl.readers.postgres import open_table_url


def url_of(dsn: str, table: str) -> str:
    """The fixture's DSN as a delivery writes it: a URL with the table."""
    return f"{dsn}{'&' if '?' in dsn else '?'}table={quote(table)}"


@pytest.fixture
def table(postgis: str) -> str:
    with psycopg.connect(postgis) as connection:
        connection.execute(
            "CREATE TABLE 部件 (id text, 名称 text, n int, edited timestamptz, "
            "geom geometry(PointZ, 4548))"
        )
        connection.cursor().executemany(
            "INSERT INTO 部件 VALUES (%s, %s, %s, %s, ST_GeomFromText(%s, 4548))",
            [
                (f"{i:03}", "輋𣒍村", i, dt.datetime(2026, 11, 1 + i, tzinfo=dt.UTC),
                 f"POINT Z ({410413.24 + i} 2687537.854 78.5)" if i else None)
                for i in range(7)
            ],
        )  # fmt: skip
    return postgis


def test_a_table_is_pulled_whole_or_changed_since(table):
    source = open_source(url_of(table, "public.部件"), ReadOptions(batch_rows=3))
    assert source.layer.declared_crs == "EPSG:4548"
    assert source.layer.feature_count == 7
    batches = list(source.batches())
    assert [len(batch.rows) for batch in batches] == [3, 3, 1]
    assert batches[0].geometry[0] is None
    assert batches[0].geometry[1].coords[0] == (410414.24, 2687537.854, 78.5)
    record = batches[0].attributes.to_pylist()[1]
    assert (record["id"], record["名称"], record["n"]) == ("001", "輋𣒍村", "1")
    since = dt.datetime(2026, 11, 5, tzinfo=dt.UTC)
    changed = open_table_url(url_of(table, "部件"), ReadOptions(), since, "edited")
    assert changed.layer.feature_count == 3
    assert sum(len(batch.rows) for batch in changed.batches()) == 3


def test_what_cannot_be_pulled_is_said(table):
    with pytest.raises(ReadError, match="no such table"):
        open_source(url_of(table, "public.x'; DROP TABLE 部件; --"))
    with pytest.raises(ReadError, match=r"\?table=schema\.table"):
        open_source(table)
    with pytest.raises(ReadError, match="must not hold a password") as caught:
        open_source("postgresql://u:secret@127.0.0.1/x?table=a")
    assert "secret" not in str(caught.value)
    with pytest.raises(ReadError, match="cannot be reached"):
        open_source("postgresql://127.0.0.1:9/x?table=a")
    with pytest.raises(ReadError, match="since_column"):
        open_table_url(url_of(table, "部件"), ReadOptions(), dt.datetime.now(dt.UTC))
