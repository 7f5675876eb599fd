"""Uploads in the catalogue: what a web worker reads and notes, what their own process does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from geoserver_py.process_locks import GRACE_SECONDS, HELD_BY_NONE
from layers.access import AccessClass, Principal, Right

LOCK_CLASS = 0x6773_7570
"""First key of the advisory lock that the process of an upload holds while it lives."""
QUOTA_CLASS = LOCK_CLASS + 4
"""First key of the advisory lock under which what a bureau has spent is read and noted."""
UNDER_WAY = ("received", "inspecting", "queued", "running")

_SELECT = sql.SQL("""
SELECT id, name, bureau, key, message, size_bytes, delivery, runs, progress, inspection,
    created_at, updated_at,
    -- without a size it is still arriving, in the web worker that takes it in
    CASE WHEN state = ANY (%(under_way)s)
            AND updated_at < clock_timestamp() - CASE WHEN size_bytes = 0
                THEN interval '1 day' ELSE make_interval(secs => %(grace)s) END
            AND {held_by_none}
        THEN 'broken' ELSE state END AS state
FROM catalog.upload AS upload
""").format(held_by_none=HELD_BY_NONE)
_BOUND = {"under_way": list(UNDER_WAY), "grace": GRACE_SECONDS, "lock": LOCK_CLASS}


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload. `state` is that of the table, or "broken": its process is gone."""

    id: int
    name: str
    bureau: str
    key: str
    state: str
    message: str | None
    size_bytes: int
    delivery: str | None
    runs: Sequence[int]
    progress: Mapping[str, Any]
    inspection: Mapping[str, Any] | None
    created_at: datetime
    updated_at: datetime


async def uploads_of(
    connection: psycopg.AsyncConnection[Any], bureau: str | None, limit: int
) -> list[Upload]:
    """The latest uploads of a bureau (None: of all), newest first."""
    async with connection.cursor(row_factory=class_row(Upload)) as cursor:
        await cursor.execute(
            _SELECT
            + sql.SQL(
                " WHERE %(bureau)s::text IS NULL OR bureau = %(bureau)s"
                " ORDER BY id DESC LIMIT %(limit)s"
            ),
            {**_BOUND, "bureau": bureau, "limit": limit},
        )
        return await cursor.fetchall()


async def upload_by_id(connection: psycopg.AsyncConnection[Any], number: int) -> Upload | None:
    """One upload, or None."""
    async with connection.cursor(row_factory=class_row(Upload)) as cursor:
        await cursor.execute(_SELECT + sql.SQL(" WHERE id = %(id)s"), {**_BOUND, "id": number})
        return await cursor.fetchone()


@dataclass(frozen=True, slots=True)
class Spent:
    """What a bureau has done: uploads under way, uploads and bytes within the last 24 hours.

    `frees_in`: seconds until the oldest of those is no longer counted.
    """

    under_way: int
    count: int
    size_bytes: int
    frees_in: int


_ALONE = """
-- of one bureau one at a time: two that come together must see each other
SELECT pg_advisory_xact_lock(%(lock)s, hashtext(%(bureau)s));
"""
_SPENT = """
SELECT
    -- today's only: older ones are broken off
    count(*) FILTER (WHERE state = ANY (%(under_way)s)
        AND updated_at > clock_timestamp() - interval '1 day') AS under_way,
    count(*) FILTER (WHERE fresh) AS count,
    coalesce(sum(size_bytes) FILTER (WHERE fresh), 0)::bigint AS size_bytes,
    coalesce(greatest(1, ceil(extract(epoch FROM
        min(created_at) FILTER (WHERE fresh) + interval '1 day' - clock_timestamp()))), 1)::integer
        AS frees_in
FROM catalog.upload,
    LATERAL (SELECT created_at > clock_timestamp() - interval '1 day' AS fresh) AS age
WHERE bureau = %(bureau)s
"""


async def _spent(connection: psycopg.AsyncConnection[Any], bureau: str) -> Spent:
    await connection.execute(_ALONE, {"lock": QUOTA_CLASS, "bureau": bureau})
    async with connection.cursor(row_factory=class_row(Spent)) as cursor:
        await cursor.execute(_SPENT, {"bureau": bureau, "under_way": list(UNDER_WAY)})
        spent = await cursor.fetchone()
    if spent is None:
        raise RuntimeError("an aggregate gave no row")
    return spent


async def note_upload(
    dsn: str, name: str, bureau: str, key: str, admit: Callable[[Spent], None]
) -> int:
    """Open an upload; its number. What `admit` raises of what was spent before keeps it out."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        admit(await _spent(connection, bureau))
        found = await connection.execute(
            "INSERT INTO catalog.upload (name, bureau, key) VALUES (%s, %s, %s) RETURNING id",
            [name, bureau, key],
        )
        row = await found.fetchone()
    if row is None:
        raise RuntimeError("INSERT ... RETURNING gave no row")
    return int(row[0])


async def note_size(
    dsn: str, upload: int, bureau: str, size: int, admit: Callable[[Spent], None]
) -> None:
    """All bytes of an upload are there; `admit` as in `note_upload`, this one not counted."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        admit(await _spent(connection, bureau))
        await connection.execute(
            "UPDATE catalog.upload SET size_bytes = %s, updated_at = clock_timestamp()"
            " WHERE id = %s",
            [size, upload],
        )


async def forget_upload(dsn: str, upload: int) -> None:
    """An upload that never came whole leaves nothing."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("DELETE FROM catalog.upload WHERE id = %s", [upload])


async def queue_upload(dsn: str, seen: Upload) -> bool:
    """Put an upload in line to run, unless somebody else did since it was `seen`."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        changed = await connection.execute(
            "UPDATE catalog.upload SET state = 'queued', message = NULL, progress = '{}',"
            " updated_at = clock_timestamp() WHERE id = %s AND updated_at = %s",
            [seen.id, seen.updated_at],
        )
        return changed.rowcount == 1


def hold(connection: psycopg.Connection[Any], upload: int) -> bool:
    """Hold the lock of an upload until the connection closes; False where another process does.

    The process before may still be on its way out: it is given some seconds.
    """
    connection.execute("SELECT set_config('lock_timeout', '20s', false)")
    try:
        connection.execute("SELECT pg_advisory_lock(%s, %s)", [LOCK_CLASS, upload])
    except psycopg.errors.LockNotAvailable:
        return False
    connection.execute("SELECT set_config('lock_timeout', '0', false)")
    return True


def let_go(connection: psycopg.Connection[Any], upload: int) -> None:
    """Give the lock of an upload back."""
    connection.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_CLASS, upload])


def ended_before(
    connection: psycopg.Connection[Any], days: float, number: int | None = None
) -> list[int]:
    """Uploads (or that one) of which nothing is under way since so many days, oldest first."""
    found = connection.execute(
        "SELECT id FROM catalog.upload WHERE (%(id)s::bigint IS NULL OR id = %(id)s)"
        " AND updated_at <= clock_timestamp() - make_interval(secs => %(seconds)s)"
        # a process long gone left the others: none runs for a day
        " AND (state <> ALL (%(under_way)s)"
        "  OR updated_at < clock_timestamp() - interval '1 day')"
        " ORDER BY id",
        {"id": number, "seconds": days * 86_400, "under_way": list(UNDER_WAY)},
    )
    return [int(row[0]) for row in found.fetchall()]


def numbers_of(connection: psycopg.Connection[Any], bureau: str) -> list[int]:
    """All uploads of a bureau."""
    found = connection.execute("SELECT id FROM catalog.upload WHERE bureau = %s", [bureau])
    return [int(row[0]) for row in found.fetchall()]


async def numbers_of_async(connection: psycopg.AsyncConnection[Any], bureau: str) -> list[int]:
    """As `numbers_of`."""
    found = await connection.execute("SELECT id FROM catalog.upload WHERE bureau = %s", [bureau])
    return [int(row[0]) for row in await found.fetchall()]


def read(connection: psycopg.Connection[Any], number: int) -> Upload | None:
    """One upload, for its own process."""
    with connection.cursor(row_factory=class_row(Upload)) as cursor:
        cursor.execute(_SELECT + sql.SQL(" WHERE id = %(id)s"), {**_BOUND, "id": number})
        return cursor.fetchone()


def note(connection: psycopg.Connection[Any], upload: int, state: str, **values: Any) -> None:
    """Set the state; `values` are message, delivery, runs, progress or inspection."""
    connection.execute(
        """
        UPDATE catalog.upload SET state = %(state)s, updated_at = clock_timestamp(),
            message = %(message)s,
            delivery = coalesce(%(delivery)s, delivery),
            runs = coalesce(%(runs)s, runs),
            progress = coalesce(%(progress)s, progress),
            inspection = coalesce(%(inspection)s, inspection)
        WHERE id = %(id)s
        """,
        {
            "id": upload,
            "state": state,
            "message": values.get("message"),
            "delivery": values.get("delivery"),
            "runs": values.get("runs"),
            "progress": Jsonb(values["progress"]) if "progress" in values else None,
            "inspection": Jsonb(values["inspection"]) if "inspection" in values else None,
        },
    )


def principal_of_key(connection: psycopg.Connection[Any], key: str) -> Principal | None:
    """What a key may do now; None once it is revoked."""
    row = connection.execute(
        "SELECT bureau, classes, rights, layers FROM catalog.api_key"
        " WHERE name = %s AND revoked_at IS NULL",
        [key],
    ).fetchone()
    if row is None:
        return None
    bureau, classes, rights, layers = row
    return Principal(
        key,
        bureau,
        frozenset(map(AccessClass, classes)),
        frozenset(map(Right, rights)),
        None if layers is None else frozenset(layers),
    )
