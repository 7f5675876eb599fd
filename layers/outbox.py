"""The outbox: what changed in a layer, in the order of its revisions, for every consumer.

A consumer keeps a cursor per layer and reads whole revisions after it. Since revisions become
visible in their order (layers/revision.py), ``revision > cursor`` misses nothing. NOTIFY only
wakes consumers; they also poll.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

CHANNEL = "outbox"


@dataclass(frozen=True)
class OutboxEntry:
    """A changed feature, or (operation 'bulk') the changed features of a z14 cell.

    `envelope` is (west, south, east, north) in EPSG:4490 around old and new positions; None for
    layers without geometry. `feature_count` is 1 for a feature; for a cell, how many changed.
    """

    layer: str
    revision: int
    ordinal: int
    operation: str
    fid: int | None
    id: str | None
    envelope: tuple[float, float, float, float] | None
    feature_count: int


def read(
    connection: psycopg.Connection[Any], consumer: str, layer: str, limit: int = 10_000
) -> list[OutboxEntry]:
    """Return the entries after the consumer's cursor, oldest first.

    Revisions are never cut: as many whole ones as fit into `limit` entries, and at least one.
    """
    rows = connection.execute(
        """
        WITH pending AS (
            SELECT revision, ordinal FROM catalog.outbox
            WHERE layer = %(layer)s AND revision > coalesce(
                (SELECT revision FROM catalog.outbox_cursor
                 WHERE consumer = %(consumer)s AND layer = %(layer)s), 0)
            ORDER BY revision, ordinal LIMIT %(limit)s + 1
        ),
        bound AS (
            SELECT CASE
                WHEN count(*) <= %(limit)s OR min(revision) = max(revision) THEN max(revision)
                ELSE max(revision) - 1
            END AS last, min(revision) AS first
            FROM pending
        )
        SELECT
            layer, revision, ordinal, operation, fid, id,
            ST_XMin(envelope), ST_YMin(envelope), ST_XMax(envelope), ST_YMax(envelope),
            feature_count
        FROM catalog.outbox, bound
        WHERE layer = %(layer)s AND revision BETWEEN bound.first AND bound.last
        ORDER BY revision, ordinal
        """,
        {"consumer": consumer, "layer": layer, "limit": limit},
    )
    return [
        OutboxEntry(
            layer=row[0],
            revision=row[1],
            ordinal=row[2],
            operation=row[3],
            fid=row[4],
            id=row[5],
            envelope=None if row[6] is None else (row[6], row[7], row[8], row[9]),
            feature_count=row[10],
        )
        for row in rows
    ]


def advance(connection: psycopg.Connection[Any], consumer: str, layer: str, revision: int) -> None:
    """Set the consumer's cursor to a revision that it has dealt with wholly; never backwards.

    In the transaction of the consumer's own work this makes the work happen exactly once.
    """
    connection.execute(
        """
        INSERT INTO catalog.outbox_cursor AS known (consumer, layer, revision)
        VALUES (%s, %s, %s)
        ON CONFLICT (consumer, layer) DO UPDATE
            SET revision = excluded.revision, updated_at = clock_timestamp()
            WHERE known.revision < excluded.revision
        """,
        [consumer, layer, revision],
    )


def cursor(connection: psycopg.Connection[Any], consumer: str, layer: str) -> int:
    """Return the last revision that the consumer has dealt with; 0 before the first."""
    row = connection.execute(
        "SELECT revision FROM catalog.outbox_cursor WHERE consumer = %s AND layer = %s",
        [consumer, layer],
    ).fetchone()
    return 0 if row is None else int(row[0])


def behind(connection: psycopg.Connection[Any], consumer: str) -> dict[str, int]:
    """Return the layers that have revisions after the consumer's cursor, and the newest one."""
    rows = connection.execute(
        """
        SELECT layer.name, layer.revision
        FROM catalog.layer
        LEFT JOIN catalog.outbox_cursor AS seen
            ON seen.layer = layer.name AND seen.consumer = %s
        WHERE layer.revision > coalesce(seen.revision, 0)
        ORDER BY layer.name
        """,
        [consumer],
    )
    return {str(name): int(revision) for name, revision in rows}


def listen(
    connection: psycopg.Connection[Any], *, poll_seconds: float = 5.0
) -> Iterator[frozenset[str]]:
    """Yield, for ever, the layers that changed; an empty set after `poll_seconds` of silence.

    The connection must be in autocommit mode and is used for nothing else. A missed notification
    costs a poll, so consumers call `behind` on every turn.
    """
    if not connection.autocommit:
        raise ValueError("listen 需要 autocommit 连接 (notifications come between transactions)")
    connection.execute("LISTEN outbox")
    while True:
        received = connection.notifies(timeout=poll_seconds, stop_after=1)
        yield frozenset(notification.payload for notification in received)


def prune(connection: psycopg.Connection[Any], *, keep_days: int = 30) -> int:
    """Delete entries that are older than `keep_days` and that every consumer has passed.

    Returns their number. catalog.revision and history stay.
    """
    gone = connection.execute(
        """
        DELETE FROM catalog.outbox USING catalog.revision
        WHERE outbox.layer = revision.layer AND outbox.revision = revision.revision
            AND revision.at < clock_timestamp() - make_interval(days => %s)
            AND outbox.revision <= (
                SELECT min(seen.revision) FROM catalog.outbox_cursor AS seen
                WHERE seen.layer = outbox.layer
            )
        """,
        [keep_days],
    )
    return gone.rowcount
