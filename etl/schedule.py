"""The schedule of deliveries: which are pulled when, what is due, and which bureau is late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from etl import ledger
from etl.delivery import Delivery, DeliveryError, load_delivery
from etl.timetable import Timetable
from layers.access import Principal
from layers.city import load_city

GRACE = timedelta(hours=1)
"""A pull that is due may take so long before it counts as late."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A delivery that is pulled: its file on the worker, its timetable, what is done so far."""

    delivery: str
    path: Path
    timetable: Timetable
    timezone: str
    handled_until: datetime
    added_by: str

    def due(self, now: datetime) -> datetime | None:
        """The newest due time that has no job yet; missed ones are made up by one pull."""
        last = self.timetable.last_until(now, self.timezone)
        return last if last > self.handled_until else None

    def next_due(self, now: datetime) -> datetime:
        """The next due time after now."""
        return self.timetable.next_after(now, self.timezone)


def add(connection: psycopg.Connection, path: Path, principal: Principal) -> Entry:
    """Put a delivery file on the schedule, or take over its changed `schedule`; the entry.

    Due times count from now on. Raises DeliveryError when the file is wrong or says no schedule.
    """
    delivery = load_delivery(path)
    if delivery.schedule is None:
        raise DeliveryError(
            f'{path.name}: schedule: 缺少，例如 schedule: "30 2 * * 1" (the file says no schedule)'
        )
    timezone = delivery.schedule.timezone or _timezone_of(delivery)
    ledger.remember(connection, delivery)
    connection.execute(
        """
        INSERT INTO catalog.schedule
            (delivery, path, cron, timezone, retry_times, retry_minutes, added_by)
        VALUES (%(delivery)s, %(path)s, %(cron)s, %(timezone)s, %(times)s, %(minutes)s, %(who)s)
        ON CONFLICT (delivery) DO UPDATE
            SET path = excluded.path, cron = excluded.cron, timezone = excluded.timezone,
                retry_times = excluded.retry_times, retry_minutes = excluded.retry_minutes,
                added_by = excluded.added_by, added_at = clock_timestamp(),
                handled_until = clock_timestamp()
        """,
        {
            "delivery": delivery.name,
            "path": str(path.resolve()),
            "cron": delivery.schedule.cron,
            "timezone": timezone,
            "times": delivery.schedule.retry_times,
            "minutes": delivery.schedule.retry_minutes,
            "who": principal.name,
        },
    )
    (entry,) = (e for e in entries(connection) if e.delivery == delivery.name)
    return entry


def remove(connection: psycopg.Connection, delivery: str) -> bool:
    """Take a delivery off the schedule; whether it was on it. Its runs and its promise stay."""
    gone = connection.execute("DELETE FROM catalog.schedule WHERE delivery = %s", [delivery])
    return bool(gone.rowcount)


_ENTRIES = """
SELECT delivery, path, cron, timezone, retry_times, retry_minutes, handled_until, added_by
FROM catalog.schedule ORDER BY delivery COLLATE "C"
"""


def entries(connection: psycopg.Connection) -> tuple[Entry, ...]:
    """All deliveries on the schedule, by name."""
    return tuple(_entry(row) for row in connection.execute(_ENTRIES))


def _entry(row: Sequence[Any]) -> Entry:
    name, path, cron, zone, times, minutes, until, who = row
    return Entry(name, Path(path), Timetable(cron, zone, times, minutes), zone, until, who)


def mark_handled(connection: psycopg.Connection, delivery: str, due: datetime) -> None:
    """Remember that the due time has its job; never backwards."""
    connection.execute(
        "UPDATE catalog.schedule SET handled_until = %s WHERE delivery = %s AND handled_until < %s",
        [due, delivery, due],
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """How a delivery stands: what was promised, what came last, and whether it is late.

    `expected_by`: when the next good run is due by the promise (`expected_every`) or, without
    one, by the schedule; None where neither says so. `last_good` is the end of the last run of
    all its layers that succeeded or changed nothing.
    """

    delivery: str
    bureau: str
    city: str
    synthetic: bool
    layers: tuple[str, ...]
    expected_every: str | None
    cron: str | None
    next_due: datetime | None
    last_run: int | None
    last_status: str | None
    last_started: datetime | None
    last_reason: str | None
    last_good: datetime | None
    expected_by: datetime | None
    late: bool

    def late_by(self, now: datetime) -> timedelta | None:
        """How long it has been late; None while it is not."""
        return now - self.expected_by if self.late and self.expected_by is not None else None


def standings(connection: psycopg.Connection, now: datetime | None = None) -> tuple[Standing, ...]:
    """How every known delivery stands, the latest ones first.

    A delivery that never came counts from when it was first known. A rollback is no delivery.
    """
    scheduled = connection.execute(_ENTRIES).fetchall()
    return _judged(connection.execute(_STANDINGS).fetchall(), scheduled, now)


async def standings_async(
    connection: psycopg.AsyncConnection[Any], now: datetime | None = None
) -> tuple[Standing, ...]:
    """The same for the service's own connections."""
    scheduled = await (await connection.execute(_ENTRIES)).fetchall()
    rows = await (await connection.execute(_STANDINGS)).fetchall()
    return _judged(rows, scheduled, now)


def _judged(
    rows: Sequence[Sequence[Any]], scheduled: Sequence[Sequence[Any]], now: datetime | None
) -> tuple[Standing, ...]:
    at = now or datetime.now(UTC)
    known = {entry.delivery: entry for entry in map(_entry, scheduled)}
    found = [_standing(row, known.get(row[0]), at) for row in rows]
    return tuple(
        sorted(found, key=lambda s: (not s.late, s.expected_by or datetime.max.replace(tzinfo=UTC)))
    )


_STANDINGS = """
WITH attempt AS (
    SELECT delivery, coalesce(attempt, id) AS first, max(started_at) AS started_at,
        max(finished_at) AS finished_at,
        bool_and(status IN ('succeeded', 'unchanged')) AS good,
        CASE WHEN bool_or(status = 'running') THEN 'running'
            WHEN bool_or(status = 'failed') THEN 'failed'
            WHEN bool_or(status = 'succeeded') THEN 'succeeded'
            ELSE 'unchanged' END AS status,
        min(report ->> 'reason') FILTER (WHERE status = 'failed') AS reason
    FROM catalog.run WHERE reverts IS NULL
    GROUP BY delivery, coalesce(attempt, id)
), last_one AS (
    SELECT DISTINCT ON (delivery) * FROM attempt ORDER BY delivery, first DESC
), last_good AS (
    SELECT delivery, max(finished_at) AS at FROM attempt WHERE good GROUP BY delivery
)
SELECT
    delivery.name, delivery.bureau, coalesce(delivery.city, ''), delivery.synthetic,
    ARRAY(SELECT DISTINCT load ->> 'layer'
          FROM jsonb_array_elements(
              CASE jsonb_typeof(document -> 'loads') WHEN 'array' THEN document -> 'loads'
              ELSE '[]' END) AS load
          WHERE load ->> 'layer' IS NOT NULL ORDER BY 1),
    delivery.document ->> 'expected_every', delivery.created_at,
    coalesce(last_good.at, delivery.created_at) + delivery.expected_every,
    last_one.first, last_one.status, last_one.started_at, last_one.reason, last_good.at
FROM catalog.delivery
LEFT JOIN last_one ON last_one.delivery = delivery.name
LEFT JOIN last_good ON last_good.delivery = delivery.name
ORDER BY delivery.name COLLATE "C"
"""


def _standing(row: Sequence[Any], entry: Entry | None, now: datetime) -> Standing:
    (name, bureau, city, synthetic, layers, every, created, promised, run, status, started,
     reason, good) = row  # fmt: skip
    expected, late = promised, promised is not None and promised < now
    if promised is None and entry is not None:
        # the first due time after what came last, which nobody has met
        since = max(good or created, created)
        expected = entry.timetable.next_after(since, entry.timezone)
        late = expected + GRACE < now
    return Standing(
        delivery=name,
        bureau=bureau,
        city=city,
        synthetic=synthetic,
        layers=tuple(layers),
        expected_every=every,
        cron=None if entry is None else entry.timetable.cron,
        next_due=None if entry is None else entry.next_due(now),
        last_run=run,
        last_status=status,
        last_started=started,
        last_reason=reason,
        last_good=good,
        expected_by=expected,
        late=late,
    )


def _timezone_of(delivery: Delivery) -> str:
    try:
        return load_city(delivery.city).calendar.timezone
    except FileNotFoundError as missing:
        raise DeliveryError(f"{delivery.path.name}: city: {missing}") from missing
