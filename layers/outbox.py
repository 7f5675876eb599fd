"""The outbox: what changed in a layer, in the order of its revisions, for every consumer.

A consumer keeps a cursor per layer and reads whole revisions after it. Since revisions become
visible in their order (layers/revision.py), ``revision > cursor`` misses nothing. NOTIFY only
wakes consumers; they also poll.

Old entries are pruned. What was pruned is remembered as a floor per layer: a consumer that stands
below it gets OutboxGap instead of a list with a hole, reads the whole layer, and goes on from
there (`restart`). History and `catalog.revision` are never pruned, so that exports "as of" a
revision (layers/asof.py) do not depend on the outbox.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
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


class OutboxGap(LookupError):  # noqa: N818 - it names a state, not a fault
    """Entries that the consumer has not read are pruned: it must read the whole layer anew."""

    def __init__(self, layer: str, cursor: int, floor: int) -> None:
        super().__init__(
            f"{layer}: 版本 {cursor + 1} 至 {floor} 的变更记录已清除，请重读整个图层 "
            f"(revisions {cursor + 1} to {floor} are pruned: read the whole layer, see "
            f"layers.outbox.restart)"
        )
        self.layer, self.cursor, self.floor = layer, cursor, floor


def read(
    connection: psycopg.Connection[Any], consumer: str, layer: str, limit: int = 10_000
) -> list[OutboxEntry]:
    """Return the entries after the consumer's cursor, oldest first.

    Revisions are never cut: as many whole ones as fit into `limit` entries, and at least one.
    Raises OutboxGap when entries after the cursor were pruned.
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
    ).fetchall()
    # after the entries: a prune between the two statements shows as a gap, never as a hole
    position, lowest = cursor(connection, consumer, layer), floor(connection, layer)
    if position < lowest:
        raise OutboxGap(layer, position, lowest)
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


def floor(connection: psycopg.Connection[Any], layer: str) -> int:
    """Return the newest revision whose entries may be pruned; 0 while all are there."""
    row = connection.execute(
        "SELECT revision FROM catalog.outbox_floor WHERE layer = %s", [layer]
    ).fetchone()
    return 0 if row is None else int(row[0])


def restart(connection: psycopg.Connection[Any], consumer: str, layer: str) -> int:
    """Set the cursor to the layer's newest revision and return it: the way over a gap.

    Call it in the REPEATABLE READ transaction in which the consumer reads the whole layer, before
    that reading; then the layer it reads is that revision, and nothing after it is missed.
    Raises LookupError for a layer that is not published.
    """
    row = connection.execute(
        "SELECT revision FROM catalog.layer WHERE name = %s", [layer]
    ).fetchone()
    if row is None:
        raise LookupError(f"图层 {layer} 未发布 (run `geoserver-py layers apply` first)")
    advance(connection, consumer, layer, int(row[0]))
    return int(row[0])


@dataclass(frozen=True)
class Consumer:
    """Where a consumer stands in a layer; `lost`: below the floor, it must read it all anew."""

    name: str
    layer: str
    cursor: int
    newest: int
    floor: int
    moved_at: datetime

    @property
    def behind(self) -> int:
        """Revisions that it has not read."""
        return self.newest - self.cursor

    @property
    def lost(self) -> bool:
        """Whether entries that it has not read are pruned."""
        return self.cursor < self.floor


def consumers(connection: psycopg.Connection[Any]) -> tuple[Consumer, ...]:
    """Return every cursor that there is, by consumer and layer."""
    rows = connection.execute(
        """
        SELECT seen.consumer, seen.layer, seen.revision, layer.revision,
            coalesce(pruned.revision, 0), seen.updated_at
        FROM catalog.outbox_cursor AS seen
        JOIN catalog.layer ON layer.name = seen.layer
        LEFT JOIN catalog.outbox_floor AS pruned ON pruned.layer = seen.layer
        ORDER BY 1, 2
        """
    )
    return tuple(Consumer(*row) for row in rows)


def forget(connection: psycopg.Connection[Any], consumer: str) -> int:
    """Remove the cursors of a consumer that is no more; returns their number."""
    return connection.execute(
        "DELETE FROM catalog.outbox_cursor WHERE consumer = %s", [consumer]
    ).rowcount


@dataclass(frozen=True)
class Pruned:
    """What `prune` did: entries deleted, floor by layer, and the consumers that it left behind."""

    entries: int
    floors: Mapping[str, int]
    left_behind: tuple[Consumer, ...]


def prune(
    connection: psycopg.Connection[Any], *, keep_days: float = 30, wait_days: float = 90
) -> Pruned:
    """Delete entries older than `keep_days`; consumers that still need them hold them back.

    But not for ever: a consumer whose cursor has not moved for `wait_days` is left behind, and
    gets OutboxGap at its next read. Whole revisions go, the floor with them, in one transaction.
    """
    before = {(c.name, c.layer) for c in consumers(connection) if c.lost}
    with connection.transaction():
        rows = connection.execute(
            """
            WITH oldest AS (
                SELECT layer, min(revision) AS revision FROM catalog.outbox GROUP BY layer
            ), old AS (
                SELECT layer, max(revision.revision) AS revision
                FROM catalog.revision JOIN oldest USING (layer)
                WHERE at < clock_timestamp() - make_interval(secs => %(keep)s)
                    AND revision.revision >= oldest.revision
                GROUP BY layer
            ), needed AS (
                SELECT layer, min(revision) AS revision FROM catalog.outbox_cursor
                WHERE updated_at >= clock_timestamp() - make_interval(secs => %(wait)s)
                GROUP BY layer
            ), bound AS (
                SELECT old.layer, least(old.revision, needed.revision) AS revision
                FROM old LEFT JOIN needed ON needed.layer = old.layer
                JOIN oldest ON oldest.layer = old.layer
                WHERE least(old.revision, needed.revision) >= oldest.revision
            )
            INSERT INTO catalog.outbox_floor AS known (layer, revision)
            SELECT layer, revision FROM bound
            ON CONFLICT (layer) DO UPDATE
                SET revision = greatest(known.revision, excluded.revision),
                    pruned_at = clock_timestamp()
            RETURNING layer, revision
            """,
            {"keep": keep_days * 86_400, "wait": wait_days * 86_400},
        )
        floors = {str(layer): int(revision) for layer, revision in rows}
        gone = connection.execute(
            "DELETE FROM catalog.outbox USING catalog.outbox_floor AS known"
            " WHERE known.layer = outbox.layer AND outbox.revision <= known.revision"
            " AND known.layer = ANY(%s)",
            [list(floors)],
        )
    lost = [c for c in consumers(connection) if c.lost and (c.name, c.layer) not in before]
    return Pruned(gone.rowcount, floors, tuple(lost))
