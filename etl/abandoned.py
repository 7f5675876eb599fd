"""Runs whose process is gone: found and closed by whoever starts next.

A module of its own with few imports: every start of the service calls it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.types.json import Jsonb


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A run whose process ended before it did: nothing of it was written."""

    run: int
    delivery: str
    layer: str
    started_at: datetime

    def sentence(self) -> str:
        """What to tell whoever starts next."""
        return (
            f"批次 {self.run}（{self.delivery} → {self.layer}，"
            f"{self.started_at:%Y-%m-%d %H:%M} 开始）中断，图层未变，已记为失败 "
            f"(run {self.run} was cut off; its layer is as it was; marked as failed)"
        )


def close_abandoned(connection: psycopg.Connection) -> tuple[Abandoned, ...]:
    """Mark runs failed whose process is gone, and say which.

    A live run holds the lock of its delivery from before it is in the ledger until after it has
    ended; its rows and its end are one commit, so a run still open has changed nothing.
    """
    rows = connection.execute(
        """
        WITH open AS (
            SELECT id, hashtextextended('delivery:' || delivery, 0) AS key
            FROM catalog.run WHERE status = 'running'
        )
        UPDATE catalog.run
        SET status = 'failed', finished_at = clock_timestamp(),
            report = coalesce(report, '{}') || %(report)s
        FROM open
        WHERE run.id = open.id AND run.status = 'running' AND NOT EXISTS (
            SELECT FROM pg_locks
            WHERE locktype = 'advisory' AND objsubid = 1 AND granted
                AND classid = ((open.key >> 32) & 4294967295)::oid
                AND objid = (open.key & 4294967295)::oid
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        )
        RETURNING run.id, run.delivery, run.layer, run.started_at
        """,
        {
            "report": Jsonb(
                {"reason": "运行中断，图层未变 (the process ended; the layer is as it was)"}
            )
        },
    ).fetchall()
    return tuple(Abandoned(*row) for row in sorted(rows))
