"""Database connections by class of work, with admission, time limits and cancellation.

Each class has its own limit, so that one kind of work cannot starve another: `reads` for answers
of one statement, `lookups` for those that one plan serves whatever the values (the gazetteer's,
pages in key order, features by id), `areas` for pages that a rectangle alone chooses, which one
plan serves as well, `streams` for the pages of long downloads, `control` for the service's own
upkeep (it alone sees keys). pygeoapi reads no features, so it has none; ETL and migrations never
borrow.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from starlette.requests import Request

from geoserver_py.problems import Problem
from geoserver_py.settings import Settings
from geoserver_py.waiting import WatchingConnection

READER_ROLE = "geoserver_py_reader"
T = TypeVar("T")


@dataclass(frozen=True)
class PoolLimits:
    """Bounds of one class of work.

    ``waiting`` requests may stand in line for ``wait_seconds``; the rest are told 503 at once.
    A statement that runs for ``statement_seconds`` is cancelled; one that waits so long as
    ``lock_seconds`` for a table (a first load locks its own until it commits) is refused, or
    requests for that one layer would fill the pool for all.
    """

    connections: int
    waiting: int
    wait_seconds: float
    statement_seconds: float
    lock_seconds: float = 0.0
    """0 waits for as long as the statement may run."""
    plans: str = "force_custom_plan"
    """PostgreSQL's plan_cache_mode."""


# a running statement takes a core, so many more connections than cores only add switching; what
# does not fit waits here in the order of arrival, not in PostgreSQL
READS = PoolLimits(
    connections=4, waiting=256, wait_seconds=5.0, statement_seconds=20.0, lock_seconds=1.0
)
# look-ups by key and by nearness have one good plan whatever the values: planned anew each time a
# reverse took 1.3 ms of CPU instead of 0.7, and a first page of ten features twice its time
LOOKUPS = PoolLimits(
    connections=4,
    waiting=256,
    wait_seconds=5.0,
    statement_seconds=20.0,
    lock_seconds=1.0,
    plans="force_generic_plan",
)
# 0.3 ms of 4 for 1 000 polygons: planning reads the statistics of their places, and they are large
AREAS = LOOKUPS


def shared(limits: PoolLimits, workers: int) -> PoolLimits:
    """Return the limits of a class of work in one of so many workers on this machine.

    Two connections a core over all workers: with two workers on two cores, four each made a
    reverse wait for the other seven in PostgreSQL's own queue, and its 95th percentile was 11 ms
    instead of 5.
    """
    fair = math.ceil(2 * (os.cpu_count() or 1) / workers)
    return replace(limits, connections=min(max(fair, 2), limits.connections))


STREAMS = PoolLimits(
    connections=2, waiting=64, wait_seconds=30.0, statement_seconds=20.0, lock_seconds=1.0
)
CONTROL = PoolLimits(connections=2, waiting=32, wait_seconds=10.0, statement_seconds=120.0)

# custom plans see the bound area, and so its selectivity; JIT and parallel workers cost more than
# these short statements take (3 times with ST_Transform in the query)
_SESSION = {
    "application_name": "geoserver_py",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "default_transaction_read_only": "on",
    "timezone": "UTC",
    "client_encoding": "UTF8",
}

_SETTLE = sql.SQL(
    "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS s (name, value)"
)


def _session(name: str, limits: PoolLimits) -> dict[str, str]:
    return {
        **_SESSION,
        "application_name": f"geoserver_py {name}",
        "plan_cache_mode": limits.plans,
        "statement_timeout": f"{int(limits.statement_seconds * 1000)}ms",
        "lock_timeout": f"{int(limits.lock_seconds * 1000)}ms",
    }


def _busy(seconds: float) -> Problem:
    return Problem(
        503,
        "busy",
        zh="服务繁忙或图层正在入库，请稍后重试。",
        en="(all database connections are busy, or the layer is being loaded; retry later)",
        headers={"Retry-After": str(max(1, round(seconds)))},
    )


def _too_slow(limits: PoolLimits) -> Problem:
    return Problem(
        503,
        "query-timeout",
        zh=f"查询超过 {limits.statement_seconds:g} 秒，已取消；请缩小范围或减少条数。",
        en=f"(cancelled after {limits.statement_seconds:g} s; ask for a smaller area or fewer)",
        headers={"Retry-After": "5"},
    )


class ReadPool:
    """Async read-only connections of one class; refusals are Problems 503 with Retry-After.

    They act in the reader role where the database has it and grants it.
    """

    def __init__(
        self, name: str, dsn: str, limits: PoolLimits, role: str | None = READER_ROLE
    ) -> None:
        self.name = name
        self.role = role
        self.limits = limits
        self._turns = asyncio.Semaphore(limits.connections)
        self._waiting = 0
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] = AsyncConnectionPool(
            dsn,
            connection_class=WatchingConnection,
            # all from the start: a pool that was to grow under load once stayed at one connection
            # for minutes, and served a third of what the machine could
            min_size=limits.connections,
            max_size=limits.connections,
            timeout=limits.wait_seconds,
            configure=self._configure,
            kwargs={"autocommit": True, "prepare_threshold": 0},
            name=name,
            open=False,
        )

    async def _configure(self, connection: psycopg.AsyncConnection[Any]) -> None:
        session = _session(self.name, self.limits)
        await connection.execute(_SETTLE, [list(session), list(session.values())])
        if self.role is None:
            return
        found = await connection.execute(
            "SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = %s", [self.role]
        )
        row = await found.fetchone()
        if row is not None and row[0]:  # an outside database may have no such role
            await connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(self.role)))

    async def open(self) -> None:
        """Start the pool; connections are made in the background."""
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close(timeout=2.0)

    @contextlib.asynccontextmanager
    async def __call__(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """Borrow a connection; raises Problem 503 when none is free, a table is locked, or the
        statement is too slow.

        A query under way when the block is cancelled is cancelled on the server too: psycopg
        does so, and the connection goes back usable.
        """
        with self._refusals():
            async with self._turn(), self._pool.connection() as connection:
                yield connection

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except (PoolTimeout, psycopg.errors.LockNotAvailable) as full:
            raise _busy(2.0) from full
        except psycopg.errors.QueryCanceled as slow:
            raise _too_slow(self.limits) from slow

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Stand in line here: in the pool's own line each makes a task, a tenth of a short
        answer's CPU. Raises Problem 503 where the line is full, or did not move."""
        await self._take_turn()
        try:
            yield
        finally:
            self._turns.release()

    async def _take_turn(self) -> None:
        if not self._turns.locked():
            await self._turns.acquire()
            return
        if self._waiting >= self.limits.waiting:
            raise _busy(2.0)
        self._waiting += 1
        try:
            async with asyncio.timeout(self.limits.wait_seconds):
                await self._turns.acquire()
        except TimeoutError as long:
            raise _busy(2.0) from long
        finally:
            self._waiting -= 1

    async def fetch_raw(
        self, text: bytes, params: Any, *, binary: bool = False
    ) -> list[bytes | None]:
        """Return the one row as the server's own bytes, None for NULL; in PostgreSQL's text
        format, or its binary one, in which a bytea is itself.

        Bytes that are only forwarded are never decoded: text and back is 1.4 ms for 716 KB.
        """
        with self._refusals():
            # taken and given back by hand: every connection is in autocommit, so the pool's own
            # block has nothing to commit, and it is a thirtieth of a short answer's CPU
            await self._take_turn()
            try:
                connection = await self._pool.getconn()
                try:
                    cursor = await connection.execute(text, params, binary=binary)
                finally:
                    await self._pool.putconn(connection)
            finally:
                self._turns.release()
        result = cursor.pgresult
        if result is None or result.ntuples != 1:
            raise psycopg.DataError("the statement must return one row")
        return [result.get_value(0, column) for column in range(result.nfields)]


@dataclass(frozen=True)
class Pools:
    """The pools of one worker process; called to borrow: `async with pools.reads() as c`."""

    reads: ReadPool
    lookups: ReadPool
    areas: ReadPool
    streams: ReadPool
    control: ReadPool


@contextlib.asynccontextmanager
async def open_pools(settings: Settings) -> AsyncIterator[Pools]:
    """Open all pools for the settings' database and close them at the end."""
    dsn = settings.dsn()
    pools = Pools(
        reads=ReadPool("reads", dsn, shared(READS, settings.workers)),
        lookups=ReadPool("lookups", dsn, shared(LOOKUPS, settings.workers)),
        areas=ReadPool("areas", dsn, shared(AREAS, settings.workers)),
        streams=ReadPool("streams", dsn, STREAMS),
        control=ReadPool("control", dsn, CONTROL, role=None),
    )
    async with contextlib.AsyncExitStack() as stack:
        for pool in (pools.reads, pools.lookups, pools.areas, pools.streams, pools.control):
            await pool.open()
            stack.push_async_callback(pool.close)
        yield pools


class ClientGone(Problem):
    """The client closed the connection and its query was cancelled; nobody reads the answer."""

    def __init__(self) -> None:
        super().__init__(408, "client-gone", zh="客户端已断开。", en="(the client went away)")


WATCHED_AFTER_SECONDS = 0.05
"""Shorter work is done before its query could be cancelled, and most is: a task to watch over each
is a twentieth of a short answer's CPU."""


async def run_cancellable(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` gives, or cancel it (and so its query) when the client goes away.

    Starlette watches for `http.disconnect` in streams only. Raises ClientGone then. For requests
    whose body, if any, has been read.
    """
    current = asyncio.current_task()
    if current is None:
        raise RuntimeError("run_cancellable needs a running task")
    watcher: asyncio.Task[None] | None = None

    def watch() -> None:
        nonlocal watcher
        watcher = asyncio.ensure_future(_cancel_when_gone(request, current))

    timer = asyncio.get_running_loop().call_later(WATCHED_AFTER_SECONDS, watch)
    try:
        return await work
    except asyncio.CancelledError:
        if watcher is None or not watcher.done():  # another's cancellation, e.g. the server stops
            raise
        current.uncancel()
        raise ClientGone from None
    finally:
        timer.cancel()
        if watcher is not None:
            watcher.cancel()


async def _cancel_when_gone(request: Request, task: asyncio.Task[Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
    task.cancel()
