"""The worker: deliveries that are due become jobs of a durable queue, and jobs become runs.

procrastinate keeps the queue in schema `jobs` of the same database; several workers may stand on
one queue. A job names the delivery file, the run itself is in the ledger like any other. Runs
into one layer take turns (etl.turns), whoever started them.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import procrastinate
import psycopg
from procrastinate import JobContext, RetryDecision
from procrastinate.exceptions import AlreadyEnqueued, UniqueViolation
from procrastinate.jobs import Job
from procrastinate.jobs import Status as JobStatus
from procrastinate.retry import BaseRetryStrategy
from psycopg.conninfo import conninfo_to_dict

from etl import ledger, schedule
from etl.abandoned import close_abandoned
from etl.delivery import DeliveryError
from etl.ledger import DeliveryBusy
from etl.report import Status
from etl.run import run_delivery
from layers import outbox
from layers.access import AccessClass, Principal

log = logging.getLogger(__name__)

QUEUE = "deliveries"
SCHEDULER = Principal("计划任务 schedule", classes=frozenset(AccessClass))
"""Who runs what nobody started by hand."""

KEEP_JOBS_DAYS = 90
STALLED_SECONDS = 60.0
"""Without a heartbeat for so long a worker is dead, and what it ran is run again."""


class PullFailed(RuntimeError):  # noqa: N818 - it names an outcome
    """A pulled delivery failed and may succeed later: a file not there yet, a service away."""


class PullBlocked(RuntimeError):  # noqa: N818 - it names an outcome
    """A pulled delivery waits for an answer of its bureau; trying again would not help."""


class _Retry(BaseRetryStrategy):
    """As the delivery file says: so many times, waiting twice as long each time."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if not isinstance(exception, PullFailed | DeliveryBusy | psycopg.OperationalError):
            return None
        times = int(str(job.task_kwargs.get("retry_times", 0)))
        if job.attempts >= times:
            return None
        minutes = float(str(job.task_kwargs.get("retry_minutes", 0)))
        seconds = round(minutes * 60 * 2**job.attempts)
        return RetryDecision(retry_in={"seconds": seconds})


def queue_of(dsn: str) -> procrastinate.App:
    """The queue in schema jobs of this database, with its tasks."""
    given = conninfo_to_dict(dsn).get("options")
    options = " ".join(part for part in (str(given or ""), "-c search_path=jobs") if part)
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(
            conninfo=dsn, kwargs={"options": options}, min_size=1, max_size=4
        )
    )

    @app.task(name="deliver", queue=QUEUE, retry=_Retry())
    def deliver(delivery: str, path: str, **about: Any) -> None:
        log.info("%s: %s", delivery, about)
        pull(dsn, delivery, Path(path))

    @app.periodic(cron="* * * * *")
    @app.task(name="tick", queue=QUEUE, queueing_lock="tick", pass_context=True)
    async def tick(context: JobContext, timestamp: int) -> None:
        log.debug("tick %s", timestamp)
        await defer_due(context.app, dsn)
        await _revive(context.app)

    @app.periodic(cron="17 3 * * *")
    @app.task(name="housekeeping", queue=QUEUE, queueing_lock="housekeeping", pass_context=True)
    async def housekeeping(context: JobContext, timestamp: int) -> None:
        log.debug("housekeeping %s", timestamp)
        for sentence in await asyncio.to_thread(tidy, dsn):
            log.info("%s", sentence)
        await context.app.job_manager.delete_old_jobs(
            nb_hours=KEEP_JOBS_DAYS * 24, include_failed=True
        )

    return app


def pull(dsn: str, delivery: str, path: Path) -> None:
    """Run a delivery that is due; raises PullFailed or PullBlocked with its sentence.

    A delivery file that cannot be read any more is in the ledger, too, as a run without a layer.
    """
    try:
        reports = run_delivery(path, dsn, principal=SCHEDULER, notice=log.warning)
    except DeliveryError as unreadable:
        with psycopg.connect(dsn) as connection:
            ledger.never_began(connection, delivery, SCHEDULER, str(unreadable))
        raise PullBlocked(str(unreadable)) from unreadable
    for report in reports:
        log.info("%s", report.sentence())
    blocked = [r for r in reports if r.status is Status.BLOCKED]
    failed = [r for r in reports if r.status is Status.FAILED]
    if blocked:
        raise PullBlocked(blocked[0].sentence())
    if failed:
        raise PullFailed(failed[0].sentence())


async def defer_due(
    app: procrastinate.App, dsn: str, now: datetime | None = None
) -> tuple[str, ...]:
    """Put every delivery that is due on the queue, once; returns their names.

    The job comes before the note that it was made: a crash between the two asks twice, and the
    second run finds nothing to change. What still stands in the queue is not asked for again; what
    is being run is asked for when that has ended, for a job beside it would keep it from being
    tried again, or run again after the death of its worker.
    """
    at = now or datetime.now(UTC)
    asked = []
    for entry in await asyncio.to_thread(_entries, dsn):
        due = entry.due(at)
        if due is None:
            continue
        lock = f"delivery {entry.delivery}"
        if list(await app.job_manager.list_jobs_async(lock=lock, status=JobStatus.DOING.value)):
            log.info("%s is being run", entry.delivery)
            continue
        try:
            await app.configure_task("deliver", queueing_lock=lock, lock=lock).defer_async(
                delivery=entry.delivery,
                path=str(entry.path),
                due=due.isoformat(),
                retry_times=entry.timetable.retry_times,
                retry_minutes=entry.timetable.retry_minutes,
            )
            asked.append(entry.delivery)
        except AlreadyEnqueued:
            log.info("%s is in the queue already", entry.delivery)
        await asyncio.to_thread(_handled, dsn, entry.delivery, due)
    return tuple(asked)


def _entries(dsn: str) -> tuple[schedule.Entry, ...]:
    with psycopg.connect(dsn) as connection:
        return schedule.entries(connection)


def _handled(dsn: str, delivery: str, due: datetime) -> None:
    with psycopg.connect(dsn) as connection:
        schedule.mark_handled(connection, delivery, due)


async def _revive(app: procrastinate.App) -> None:
    """Run again what workers were at when they died; their runs are closed by the next start."""
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS):
        try:
            await app.job_manager.retry_job(job)
            log.warning("job %s was left by a dead worker: run again", job.id)
        except UniqueViolation:
            await app.job_manager.finish_job(job, JobStatus.FAILED, delete_job=False)
            log.warning("job %s was left by a dead worker: the next one stands for it", job.id)


def tidy(dsn: str) -> tuple[str, ...]:
    """Daily upkeep: runs that were cut off are closed, old outbox entries pruned; what was done."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        said = [gone.sentence() for gone in close_abandoned(connection)]
        pruned = outbox.prune(connection)
    if pruned.entries:
        said.append(f"清除变更记录 {pruned.entries} 条 (outbox entries pruned)")
    said += [f"{c.name} 须重读图层 {c.layer} (must read it anew)" for c in pruned.left_behind]
    return tuple(said)


async def work(dsn: str, *, concurrency: int = 1, once: bool = False) -> None:
    """Run due deliveries until stopped; `once`: what is due now and in the queue, then return."""
    app = queue_of(dsn)
    async with app.open_async():
        await defer_due(app, dsn)
        await _revive(app)
        options: dict[str, Any] = {"queues": [QUEUE], "concurrency": concurrency}
        if once:
            options |= {"wait": False, "install_signal_handlers": False, "listen_notify": False}
        await app.run_worker_async(**options)
