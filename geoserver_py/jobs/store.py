"""Jobs in the catalogue and their folders on disk: what a web worker and a job's process share."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from geoserver_py.process_locks import GRACE_SECONDS, HELD_BY_NONE
from geoserver_py.settings import Settings

LOCK_CLASS = 0x6773_7071
"""First key of the advisory lock that the process of a job holds while it lives."""
SLOT_CLASS = LOCK_CLASS + 1
UNDER_WAY = ("arriving", "accepted", "running")
BROKEN = (
    "处理进程中断（可能超时或内存不足），请重新提交"
    " (the process of the job was ended, perhaps for lack of time or memory; start it again)"
)

_SELECT = sql.SQL("""
SELECT id, process, key, CASE WHEN broken THEN 'failed' ELSE state END AS state,
    CASE WHEN broken THEN %(broken)s ELSE message END AS message,
    inputs, media_type, rows_done, rows_total, created_at, started_at, finished_at, updated_at
FROM (
    SELECT *, state IN ('accepted', 'running')
        AND updated_at < clock_timestamp() - make_interval(secs => %(grace)s)
        AND {held_by_none} AS broken
    FROM catalog.process_job
) AS job
""").format(held_by_none=HELD_BY_NONE)
_BOUND = {"broken": BROKEN, "grace": GRACE_SECONDS, "lock": LOCK_CLASS}


@dataclass(frozen=True, slots=True)
class Job:
    """A job; ``state`` is OGC's status, "failed" also where its process is gone."""

    id: int
    process: str
    key: str
    state: str
    message: str | None
    inputs: Mapping[str, Any]
    media_type: str
    rows_done: int
    rows_total: int | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class JobFolder:
    """The files of a job."""

    root: Path

    @property
    def received(self) -> Path:
        """The table as it came."""
        return self.root / "received"

    @property
    def result(self) -> Path:
        """The table that was made; there once the job was successful."""
        return self.root / "result"

    @property
    def log(self) -> Path:
        """What the process said."""
        return self.root / "log.txt"


def job_folder(home: Path, job: int) -> JobFolder:
    """The folder of a job below `home`: by its number, never by what a client named."""
    return JobFolder(home / str(int(job)))


async def jobs_of(
    connection: psycopg.AsyncConnection[Any], key: str, limit: int = 1000
) -> list[Job]:
    """The jobs of a key, newest first."""
    async with connection.cursor(row_factory=class_row(Job)) as cursor:
        await cursor.execute(
            _SELECT
            + sql.SQL(
                " WHERE key = %(key)s AND state <> 'arriving' ORDER BY id DESC LIMIT %(limit)s"
            ),
            {**_BOUND, "key": key, "limit": limit},
        )
        return await cursor.fetchall()


async def job_of(connection: psycopg.AsyncConnection[Any], key: str, number: int) -> Job | None:
    """One job of a key; None for one that is absent and for another key's alike."""
    async with connection.cursor(row_factory=class_row(Job)) as cursor:
        await cursor.execute(
            _SELECT + sql.SQL(" WHERE key = %(key)s AND id = %(id)s AND state <> 'arriving'"),
            {**_BOUND, "key": key, "id": number},
        )
        return await cursor.fetchone()


async def open_job(
    dsn: str, process: str, key: str, inputs: Mapping[str, Any], media_type: str, most: int
) -> int | None:
    """Note a job whose table arrives; its number, or None where the key has `most` under way."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        # one at a time for each key, or two requests would both see room for one
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [key])
        found = await connection.execute(
            _SELECT
            + sql.SQL(
                " WHERE key = %(key)s AND state = ANY (%(under_way)s)"
                " AND updated_at > clock_timestamp() - interval '1 day'"
            ),
            {**_BOUND, "key": key, "under_way": list(UNDER_WAY)},
        )
        if len(await found.fetchall()) >= most:
            return None
        found = await connection.execute(
            "INSERT INTO catalog.process_job (process, key, inputs, media_type)"
            " VALUES (%s, %s, %s, %s) RETURNING id",
            [process, key, Jsonb(dict(inputs)), media_type],
        )
        row = await found.fetchone()
        return None if row is None else int(row[0])


async def accept(dsn: str, job: int) -> None:
    """The table of a job is there."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(
            "UPDATE catalog.process_job SET state = 'accepted', updated_at = clock_timestamp()"
            " WHERE id = %s",
            [job],
        )


async def forget(dsn: str, job: int) -> None:
    """A job whose table never came whole leaves nothing."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("DELETE FROM catalog.process_job WHERE id = %s", [job])


async def dismiss(dsn: str, job: int) -> bool:
    """End a job, or give up its results; False where that was done before."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        changed = await connection.execute(
            "UPDATE catalog.process_job SET state = 'dismissed', message = NULL,"
            " finished_at = coalesce(finished_at, clock_timestamp()),"
            " updated_at = clock_timestamp() WHERE id = %s AND state <> 'dismissed'",
            [job],
        )
        return changed.rowcount == 1


async def numbers_of(connection: psycopg.AsyncConnection[Any], key: str) -> list[int]:
    """All jobs of a key."""
    found = await connection.execute("SELECT id FROM catalog.process_job WHERE key = %s", [key])
    return [int(row[0]) for row in await found.fetchall()]


def read(connection: psycopg.Connection[Any], number: int) -> Job | None:
    """One job, for its own process."""
    with connection.cursor(row_factory=class_row(Job)) as cursor:
        cursor.execute(_SELECT + sql.SQL(" WHERE id = %(id)s"), {**_BOUND, "id": number})
        return cursor.fetchone()


def note(connection: psycopg.Connection[Any], job: int, state: str, **values: Any) -> bool:
    """Set state, rows_done, rows_total, message of a job that is not dismissed; else False."""
    changed = connection.execute(
        """
        UPDATE catalog.process_job SET state = %(state)s, updated_at = clock_timestamp(),
            message = %(message)s,
            rows_done = coalesce(%(rows_done)s, rows_done),
            rows_total = coalesce(%(rows_total)s, rows_total),
            started_at = coalesce(started_at,
                CASE WHEN %(state)s = 'running' THEN clock_timestamp() END),
            finished_at = CASE WHEN %(state)s IN ('successful', 'failed')
                THEN clock_timestamp() END
        WHERE id = %(id)s AND state <> 'dismissed'
        """,
        {
            "id": job,
            "state": state,
            "message": values.get("message"),
            "rows_done": values.get("rows_done"),
            "rows_total": values.get("rows_total"),
        },
    )
    return changed.rowcount == 1


def sweep(settings: Settings) -> int:
    """Remove jobs that ended `job_keep_days` ago, and their files; how many went."""
    with psycopg.connect(settings.dsn(), autocommit=True) as connection:
        gone = connection.execute(
            "DELETE FROM catalog.process_job WHERE updated_at <= clock_timestamp()"
            " - make_interval(secs => %s) AND (state <> ALL (%s)"
            # a process long gone left the others: none runs for a day
            " OR updated_at < clock_timestamp() - interval '1 day') RETURNING id",
            [settings.job_keep_days * 86_400, list(UNDER_WAY)],
        ).fetchall()
    for (number,) in gone:
        shutil.rmtree(job_folder(settings.job_home, number).root, ignore_errors=True)
    return len(gone)
