"""What happens under way: clients that leave or stall, long downloads, writers at the same time."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import shapely

from geoserver_py.pools import PoolLimits, ReadPool
from geoserver_py.problems import Problem
from layers.access import SYSTEM
from layers.edit import Change, Operation, write_changes
from layers.staging import create_staging, drop_staging
from layers.write import Deletes, write
from tests.features import town
from tests.features.conftest import Served


def _until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def _running(watch: psycopg.Connection[Any]) -> int:
    row = watch.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'geoserver_py %'"
        " AND state = 'active' AND datname = current_database()"
    ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("query", ["", "?bbox=0,0,180,80"])
def test_a_client_that_goes_away_cancels_its_query(served: Served, query: str) -> None:
    path = f"/collections/t_area/items{query}"
    host, _, port = served.url.removeprefix("http://").partition(":")

    def outlives_its_client() -> bool:
        """Whether the query went on until its time for a lock (1 s) had passed."""
        with socket.create_connection((host, int(port))) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert _until(lambda: _running(watch) == 1)
        return not _until(lambda: _running(watch) == 0, seconds=0.7)

    with (
        psycopg.connect(served.superuser_dsn, autocommit=True) as watch,
        psycopg.connect(served.superuser_dsn) as holder,
    ):
        # the lock makes the query last, whatever the machine's speed
        holder.execute("LOCK TABLE layer.t_area IN ACCESS EXCLUSIVE MODE")
        # a busy machine may be late once, not five times
        assert not all(outlives_its_client() for _ in range(5))
        holder.rollback()
    assert httpx.get(f"{served.url}{path}").status_code == 200


def _resident_mb(pid: int, field: str = "VmRSS") -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def _pages(client: httpx.Client, limit: int) -> list[str]:
    seen: list[str] = []
    url: str | None = f"/collections/t_big/items?limit={limit}&properties=floors&skipGeometry=true"
    while url is not None:
        page = client.get(url).json()
        seen += [feature["id"] for feature in page["features"]]
        url = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
    return seen


def test_the_server_stays_small_while_100_000_features_stream(
    served: Served, client: httpx.Client
) -> None:
    count = 0
    url: str | None = "/collections/t_big/items?limit=10000&f=json"
    peak = 0.0
    while url is not None:
        with client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer:
            body = bytearray()
            for part in answer.iter_raw():
                body += part
                peak = max(peak, _resident_mb(served.pid))
        count += body.count(b'"type":"Feature",')
        link = answer.headers["link"]
        tail = bytes(body[-4000:]).decode()
        assert 'rel="self"' in link
        start = tail.find('"rel":"next"')
        url = None if start < 0 else tail[start:].partition('"href":"')[2].partition('"')[0]
    assert count == town.BIG
    assert peak < 200, f"{peak:.0f} MB resident"


def test_three_stalled_downloads_slow_nobody(served: Served, client: httpx.Client) -> None:
    path = "/collections/t_big/items?limit=10"
    long = "/collections/t_big/items?limit=10000"
    client.get(path)
    host, _, port = served.url.removeprefix("http://").partition(":")
    stalled = []
    try:
        for _ in range(3):
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect((host, int(port)))
            peer.sendall(f"GET {long} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            peer.recv(100)
            stalled.append(peer)
        time.sleep(0.5)
        with psycopg.connect(served.superuser_dsn, autocommit=True) as watch:
            held = watch.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name ="
                " 'geoserver_py streams' AND state <> 'idle' AND datname = current_database()"
            ).fetchone()
            assert held == (0,), "a stalled download holds a connection"
        assert client.get(path).elapsed.total_seconds() < 1
        started = time.monotonic()
        assert client.get(long).json()["numberReturned"] == 10_000
        assert time.monotonic() - started < 10
    finally:
        for peer in stalled:
            peer.close()


def test_paging_visits_every_feature_once_while_others_write(
    served: Served, client: httpx.Client
) -> None:
    stop = threading.Event()
    written: list[int] = []

    def writer() -> None:
        definition = town.LAYERS["t_big"]
        number = 0
        with psycopg.connect(served.dsn) as connection:
            while not stop.is_set():
                staging = create_staging(connection, definition, temporary=True)
                for id_, floors in ((f"NEW{number}", 1), (f"B{number * 997 + 1}", 77)):
                    connection.execute(
                        psycopg.sql.SQL(
                            "INSERT INTO {} (id, floors, geom) VALUES (%s, %s, "
                            "ST_SetSRID(ST_GeomFromText(%s), 4490))"
                        ).format(staging.table),
                        [id_, floors, shapely.Point(*town.CENTRE).wkt],
                    )
                write(
                    connection, definition, staging, run=None, principal=SYSTEM,
                    deletes=Deletes.NONE,
                )  # fmt: skip
                connection.commit()
                drop_staging(connection, staging)
                connection.commit()
                written.append(number)
                number += 1

    thread = threading.Thread(target=writer)
    thread.start()
    try:
        seen = _pages(client, 10_000)
    finally:
        stop.set()
        thread.join()
    assert written, "nothing was written meanwhile"
    old = [id_ for id_ in seen if not id_.startswith("NEW")]
    assert len(seen) == len(set(seen))
    assert sorted(old) == sorted(f"B{i}" for i in range(1, town.BIG + 1))


def test_a_full_pool_refuses_with_retry_after(served: Served) -> None:
    limits = PoolLimits(connections=1, waiting=1, wait_seconds=0.3, statement_seconds=30)

    async def scenario() -> list[Problem]:
        pool = ReadPool("trial", served.dsn, limits)
        await pool.open()
        refusals: list[Problem] = []

        async def sleep() -> None:
            try:
                await pool.fetch_raw(b"SELECT pg_sleep(1)", {})
            except Problem as refusal:
                refusals.append(refusal)

        await asyncio.gather(*(sleep() for _ in range(3)))
        await pool.close()
        return refusals

    refusals = asyncio.run(scenario())
    assert [(r.status, r.code) for r in refusals] == [(503, "busy")] * 2
    assert all(int(r.headers["Retry-After"]) >= 1 for r in refusals)


def test_a_query_that_takes_too_long_is_cancelled_and_says_so(served: Served) -> None:
    limits = PoolLimits(connections=1, waiting=1, wait_seconds=1, statement_seconds=0.2)

    async def scenario() -> bytes | None:
        pool = ReadPool("trial", served.dsn, limits)
        await pool.open()
        with pytest.raises(Problem) as refusal:
            await pool.fetch_raw(b"SELECT pg_sleep(10)", {})
        assert refusal.value.status == 503
        assert "Retry-After" in refusal.value.headers
        value = (await pool.fetch_raw(b"SELECT current_setting('transaction_read_only')", {}))[0]
        await pool.close()
        return value

    assert asyncio.run(scenario()) == b"on"


def test_request_pools_cannot_write_or_read_keys(served: Served) -> None:
    limits = PoolLimits(connections=1, waiting=1, wait_seconds=1, statement_seconds=5)

    async def attempt(text: bytes) -> None:
        pool = ReadPool("trial", served.dsn, limits)
        await pool.open()
        try:
            await pool.fetch_raw(text, {})
        finally:
            await pool.close()

    for text in (b"DELETE FROM layer.t_area RETURNING 1", b"SELECT hash FROM catalog.api_key"):
        with pytest.raises(psycopg.Error):
            asyncio.run(attempt(text))


def test_a_long_answer_beside_movers_keeps_its_word(served: Served, client: httpx.Client) -> None:
    """docs/architecture.md: at most once each; whoever matched throughout is there, whole."""
    west, east = town.CENTRE[0] - 1.0, town.CENTRE[0]
    box = f"{west},{town.CENTRE[1] - 1},{east},{town.CENTRE[1] + 1}"
    definition = town.LAYERS["t_big"]
    with psycopg.connect(served.dsn, autocommit=True) as connection:
        inside = [
            id_ for (id_,) in connection.execute(
                "SELECT id FROM layer.t_big WHERE ST_Intersects(geom,"
                " ST_MakeEnvelope(%s, %s, %s, %s, 4490)) ORDER BY fid LIMIT 10000",
                [west, town.CENTRE[1] - 1, east, town.CENTRE[1] + 1],
            )
        ]  # fmt: skip
        gone, come = inside[9::400], (town.CENTRE[0] + 0.05, town.CENTRE[1])
        moved = [
            Change(Operation.UPDATE, id_, geometry_wkb=shapely.to_wkb(shapely.Point(*come)))
            for id_ in gone
        ]
        query = {"bbox": box, "limit": 10_000, "f": "jsonl"}
        plain = {"Accept-Encoding": "identity"}
        path = "/collections/t_big/items"
        with client.stream("GET", path, params=query, headers=plain) as answer:
            parts = answer.iter_raw(16_384)
            text = next(parts)
            write_changes(connection, definition, moved, principal=SYSTEM)
            text += b"".join(parts)
    features = [json.loads(line) for line in text.decode().split("\x1e") if line.strip()]
    seen = [feature["id"] for feature in features]
    assert len(seen) == len(set(seen))
    stayed = set(inside) - set(gone)
    assert stayed & set(seen) == stayed
    places = {f["id"]: f["geometry"]["coordinates"][0] for f in features}
    assert all(places[id_] <= east for id_ in seen)  # as it was when its page was read
