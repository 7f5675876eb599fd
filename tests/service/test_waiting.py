"""The service's own way to wait for PostgreSQL: answers, errors and cancellations are psycopg's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from geoserver_py.waiting import WatchingConnection
from tests.conftest import MakeDatabase

Work = Callable[[WatchingConnection], Awaitable[Any]]


@pytest.fixture(scope="module")
def dsn(make_database: MakeDatabase) -> str:
    return make_database("waiting")


def run(dsn: str, work: Work) -> Any:
    async def connected() -> Any:
        async with await WatchingConnection.connect(dsn, autocommit=True) as connection:
            return await work(connection)

    return asyncio.run(connected())


async def value(connection: WatchingConnection, text: Any, *values: Any) -> Any:
    row = await (await connection.execute(text, values)).fetchone()
    assert row is not None
    return row[0]


def test_an_answer_and_a_question_of_many_parts_come_whole(dsn: str) -> None:
    # both larger than what a socket holds: reading and writing are waited for
    sent = bytes(range(256)) * 40_000

    async def work(connection: WatchingConnection) -> None:
        assert await value(connection, "SELECT %b::bytea", sent) == sent
        assert await value(connection, "SELECT repeat('路', 3000000)") == "路" * 3_000_000

    run(dsn, work)


def test_statements_of_one_connection_take_turns_and_of_several_run_beside(dsn: str) -> None:
    async def work(connection: WatchingConnection) -> None:
        async with await WatchingConnection.connect(dsn, autocommit=True) as other:
            wanted = list(range(50))
            texts = [
                value(
                    (connection, other)[n % 2], "SELECT %s::int + 0 * length(pg_sleep(0)::text)", n
                )
                for n in wanted
            ]
            assert await asyncio.gather(*texts) == wanted

    run(dsn, work)


def test_an_error_is_raised_where_it_is_awaited_and_the_connection_goes_on(dsn: str) -> None:
    async def work(connection: WatchingConnection) -> None:
        for _ in range(3):
            with pytest.raises(psycopg.errors.DivisionByZero):
                await connection.execute("SELECT 1 / 0")
            assert await value(connection, "SELECT 7") == 7

    run(dsn, work)


@pytest.mark.parametrize("after", [0.0, 0.2])
def test_a_cancelled_statement_is_ended_in_the_server_and_the_connection_goes_on(
    dsn: str, after: float
) -> None:
    async def work(connection: WatchingConnection) -> None:
        task = asyncio.ensure_future(connection.execute("SELECT pg_sleep(60)"))
        await asyncio.sleep(after)
        task.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 4  # not the minute, nor the time given to stop
        assert await value(connection, "SELECT 7") == 7
        active = (
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
            " AND starts_with(query, 'SELECT pg_sleep(60)')"
        )
        assert await value(connection, active) == 0

    run(dsn, work)


def test_a_statement_that_fails_while_it_is_cancelled_ends_as_cancelled(dsn: str) -> None:
    # what the server says to the cancellation must not stand in its place: a time limit around the
    # statement would go by unseen
    stubborn = """DO $$ BEGIN PERFORM pg_sleep(60);
        EXCEPTION WHEN query_canceled THEN RAISE EXCEPTION 'another error'; END $$"""

    async def work(connection: WatchingConnection) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await connection.execute(stubborn)
        assert connection.closed  # not known to be usable: the pool makes another

    run(dsn, work)


def test_a_connection_that_is_lost_says_so_at_once(dsn: str) -> None:
    async def work(connection: WatchingConnection) -> None:
        pid = connection.info.backend_pid
        task = asyncio.ensure_future(connection.execute("SELECT pg_sleep(60)"))
        await asyncio.sleep(0.2)
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as other:
            await other.execute("SELECT pg_terminate_backend(%s)", [pid])
        with pytest.raises(psycopg.OperationalError):
            await asyncio.wait_for(task, 5)
        assert connection.closed

    run(dsn, work)
