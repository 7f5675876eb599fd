"""Deliveries by the clock: what is due is pulled once, failures are tried again, who is late."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import yaml

from etl import schedule
from etl.delivery import DeliveryError, parse_delivery
from etl.timetable import Timetable
from etl.worker import defer_due, queue_of, tidy, work
from layers.access import SYSTEM
from tests.etl.support import apply_layers, component, component_load, deliver, rows, write_csv

SHANGHAI = ZoneInfo("Asia/Shanghai")


def document(**more: Any) -> dict[str, Any]:
    return {
        "delivery": "部件/月报", "bureau": "城管局", "city": "meizhou", "synthetic": True,
        "loads": [component_load()], **more,
    }  # fmt: skip


def scheduled(folder: Path, dsn: str, **more: Any) -> schedule.Entry:
    """A delivery file on the schedule, registered an hour ago."""
    path = folder / "delivery.yaml"
    path.write_text(yaml.safe_dump(document(**more), allow_unicode=True), "utf-8")
    with psycopg.connect(dsn) as connection:
        entry = schedule.add(connection, path, SYSTEM)
        connection.execute(
            "UPDATE catalog.schedule SET handled_until = handled_until - interval '1 hour'"
        )
    return entry


def jobs(dsn: str) -> list[tuple[Any, ...]]:
    return rows(
        dsn,
        "SELECT status::text, attempts FROM jobs.procrastinate_jobs WHERE task_name = 'deliver'"
        " ORDER BY id",
    )


def run_once(dsn: str) -> None:
    asyncio.run(work(dsn, once=True))


def test_what_is_due_runs_once_and_is_in_the_ledger(database: str, tmp_path: Path) -> None:
    apply_layers(database, "component")
    write_csv(tmp_path / "components.csv", [component(n) for n in range(3)])
    scheduled(tmp_path, database, schedule="* * * * *")
    run_once(database)
    assert rows(database, "SELECT delivery, status, principal FROM catalog.run") == [
        ("部件/月报", "succeeded", "计划任务 schedule")
    ]
    assert rows(database, "SELECT count(*) FROM layer.component") == [(3,)]
    assert jobs(database) == [("succeeded", 1)]
    # an hour of missed minutes is made up by one run; until the next minute nothing is due
    with psycopg.connect(database) as connection:
        (entry,) = schedule.entries(connection)
        assert entry.due(entry.handled_until + timedelta(seconds=20)) is None
        assert entry.due(entry.handled_until + timedelta(seconds=70)) is not None


def test_two_workers_ask_for_a_due_delivery_once(database: str, tmp_path: Path) -> None:
    scheduled(tmp_path, database, schedule="0 * * * *")
    now = datetime.now(UTC) + timedelta(hours=2)

    async def both() -> list[tuple[str, ...]]:
        app = queue_of(database)
        async with app.open_async():
            return list(await asyncio.gather(*(defer_due(app, database, now) for _ in range(4))))

    asked = asyncio.run(both())
    assert sum(len(names) for names in asked) == 1
    assert jobs(database) == [("todo", 0)]


def test_a_pull_that_fails_is_tried_again_as_the_file_says(database: str, tmp_path: Path) -> None:
    apply_layers(database, "component")
    retry = {"times": 2, "minutes": 0}
    scheduled(tmp_path, database, schedule={"cron": "* * * * *", "retry": retry})
    run_once(database)  # there is no file yet
    assert jobs(database) == [("failed", 3)]
    assert rows(database, "SELECT DISTINCT status FROM catalog.run") == [("failed",)]
    assert rows(database, "SELECT count(*) FROM catalog.run") == [(3,)]


def test_a_file_that_is_gone_is_in_the_ledger(database: str, tmp_path: Path) -> None:
    apply_layers(database, "component")
    scheduled(tmp_path, database, schedule="* * * * *")
    (tmp_path / "delivery.yaml").unlink()
    run_once(database)
    assert jobs(database) == [("failed", 1)]
    ((delivery, layer, status, reason),) = rows(
        database, "SELECT delivery, layer, status, report ->> 'reason' FROM catalog.run"
    )
    assert (delivery, layer, status) == ("部件/月报", None, "failed")
    assert "no such delivery file" in reason
    with psycopg.connect(database) as connection:
        (standing,) = schedule.standings(connection)
    assert (standing.last_status, standing.last_reason) == ("failed", reason)


def test_what_a_dead_worker_was_at_is_run_again(database: str, tmp_path: Path) -> None:
    apply_layers(database, "component")
    write_csv(tmp_path / "components.csv", [component(1)])
    scheduled(tmp_path, database, schedule="0 0 1 1 *")

    async def ask() -> None:
        app = queue_of(database)
        async with app.open_async():
            await defer_due(app, database, datetime.now(UTC) + timedelta(days=400))

    asyncio.run(ask())
    with psycopg.connect(database) as connection:
        connection.execute("SET search_path TO jobs")
        connection.execute(
            "WITH dead AS (INSERT INTO procrastinate_workers (last_heartbeat)"
            " VALUES (now() - interval '1 hour') RETURNING id)"
            " UPDATE procrastinate_jobs SET status = 'doing', worker_id = dead.id FROM dead"
        )
    run_once(database)
    assert [status for status, _ in jobs(database)] == ["succeeded"]
    assert rows(database, "SELECT count(*) FROM layer.component") == [(1,)]


@pytest.mark.parametrize("status", ["doing", "todo"])
def test_a_delivery_that_is_due_again_while_it_runs(
    database: str, tmp_path: Path, status: str
) -> None:
    """By the minute, with a run that takes longer, whose worker dies: it must not block itself."""
    apply_layers(database, "component")
    write_csv(tmp_path / "components.csv", [component(1)])
    scheduled(tmp_path, database, schedule="0 0 1 1 *")
    lock, later = "delivery 部件/月报", datetime.now(UTC) + timedelta(days=400)
    meanwhile = later + timedelta(days=400)

    async def ask(at: datetime) -> tuple[str, ...]:
        app = queue_of(database)
        async with app.open_async():
            if at == meanwhile and status == "todo":  # of a worker that did not look
                await app.configure_task("deliver", queueing_lock=lock, lock=lock).defer_async(
                    delivery="部件/月报", path=str(tmp_path / "delivery.yaml")
                )
            return await defer_due(app, database, at)

    assert asyncio.run(ask(later)) == ("部件/月报",)
    with psycopg.connect(database) as connection:
        connection.execute("SET search_path TO jobs")
        connection.execute(
            "WITH dead AS (INSERT INTO procrastinate_workers (last_heartbeat)"
            " VALUES (now() - interval '1 hour') RETURNING id)"
            " UPDATE procrastinate_jobs SET status = 'doing', worker_id = dead.id FROM dead"
        )
    assert asyncio.run(ask(meanwhile)) == ()
    run_once(database)
    ended = {"doing": [("succeeded", 2)], "todo": [("failed", 1), ("succeeded", 1)]}
    assert jobs(database) == ended[status]
    assert rows(database, "SELECT status FROM catalog.run") == [("succeeded",)]
    # what was due meanwhile was not forgotten
    assert asyncio.run(ask(later + timedelta(days=800))) == ("部件/月报",)


def test_a_pull_that_is_blocked_waits_for_the_bureau(database: str, tmp_path: Path) -> None:
    apply_layers(database, "component")
    write_csv(tmp_path / "components.csv", [component(1)])
    load = component_load(coordsys="gcj02")  # 3 m, where the layer requires 0.5
    scheduled(
        tmp_path, database, loads=[load],
        schedule={"cron": "* * * * *", "retry": {"times": 5, "minutes": 0}},
    )  # fmt: skip
    run_once(database)
    assert jobs(database) == [("failed", 1)]
    assert rows(database, "SELECT count(*) FROM catalog.run") == [(1,)]


def test_a_waiting_retry_comes_later_and_twice_as_long_each_time(
    database: str, tmp_path: Path
) -> None:
    apply_layers(database, "component")
    scheduled(tmp_path, database,
              schedule={"cron": "0 0 1 1 *", "retry": {"times": 4, "minutes": 10}})  # fmt: skip

    async def ask() -> None:
        app = queue_of(database)
        async with app.open_async():
            await defer_due(app, database, datetime.now(UTC) + timedelta(days=400))

    asyncio.run(ask())
    waits = []
    for _ in range(2):
        run_once(database)
        ((seconds,),) = rows(
            database,
            "SELECT extract(epoch FROM scheduled_at - clock_timestamp())"
            " FROM jobs.procrastinate_jobs WHERE task_name = 'deliver'",
        )
        waits.append(round(float(seconds) / 60))
        with psycopg.connect(database) as connection:
            connection.execute("SET search_path TO jobs")
            connection.execute("UPDATE procrastinate_jobs SET scheduled_at = now()")
    assert waits == [10, 20]


def test_who_is_late_by_promise_and_by_schedule(database: str, tmp_path: Path) -> None:
    apply_layers(database, "component")
    write_csv(tmp_path / "components.csv", [component(1)])
    deliver(tmp_path, database, [component_load()], delivery="甲", expected_every="1 month")
    deliver(tmp_path, database, [component_load()], delivery="乙", bureau="水务局")
    scheduled(tmp_path, database, delivery="丙", schedule="30 2 * * *", expected_every="7 days")
    scheduled(tmp_path, database, delivery="丁", schedule="30 2 * * *")
    now = datetime.now(UTC)

    def late(after: timedelta) -> dict[str, bool]:
        with psycopg.connect(database) as connection:
            return {s.delivery: s.late for s in schedule.standings(connection, now + after)}

    assert late(timedelta()) == dict.fromkeys("甲乙丙丁", False)
    assert late(timedelta(days=2)) == {"甲": False, "乙": False, "丙": False, "丁": True}
    assert late(timedelta(days=8)) == {"甲": False, "乙": False, "丙": True, "丁": True}
    assert late(timedelta(days=40)) == {"甲": True, "乙": False, "丙": True, "丁": True}
    with psycopg.connect(database) as connection:
        found = {s.delivery: s for s in schedule.standings(connection, now + timedelta(days=8))}

    async def served() -> tuple[schedule.Standing, ...]:
        async with await psycopg.AsyncConnection.connect(database) as connection:
            return await schedule.standings_async(connection, now + timedelta(days=8))

    assert asyncio.run(served()) == tuple(found.values())
    first = found["甲"]
    assert (first.bureau, first.layers, first.expected_every, first.last_status) == (
        "城市管理和综合执法局", ("component",), "1 month", "succeeded",
    )  # fmt: skip
    assert found["丙"].last_run is None
    behind = found["丙"].late_by(now + timedelta(days=8))
    assert behind is not None
    assert timedelta(hours=23) < behind <= timedelta(days=1, minutes=1)
    assert next(iter(found)) == "丁", "the latest first"
    with psycopg.connect(database) as connection:
        assert schedule.remove(connection, "丁")
        assert not schedule.remove(connection, "丁")


def test_due_times_are_of_the_citys_clock() -> None:
    nightly = Timetable("30 2 * * *")
    noon = datetime(2026, 11, 22, 12, 0, tzinfo=SHANGHAI)
    assert nightly.next_after(noon, "Asia/Shanghai") == datetime(2026, 11, 22, 18, 30, tzinfo=UTC)
    assert nightly.last_until(noon, "Asia/Shanghai") == datetime(2026, 11, 21, 18, 30, tzinfo=UTC)
    at = datetime(2026, 11, 23, 2, 30, 15, tzinfo=SHANGHAI)
    assert nightly.last_until(at, "Asia/Shanghai") == at.replace(second=0)


def test_daily_upkeep_says_what_it_did(database: str, tmp_path: Path) -> None:
    apply_layers(database, "component")
    write_csv(tmp_path / "components.csv", [component(1)])
    deliver(tmp_path, database, [component_load()])
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE catalog.revision SET at = at - interval '40 days'")
        connection.execute(
            "INSERT INTO catalog.run (delivery, layer, bureau) VALUES ('死', 'component', '乙')"
        )
    cut_off, pruned = tidy(database)
    assert "已记为失败" in cut_off
    assert "outbox entries pruned" in pruned
    assert tidy(database) == ()


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"schedule": "every monday"}, "five fields"),
        ({"schedule": "0 0 31 13 *"}, "five fields"),
        ({"schedule": {"cron": "0 0 * * *", "timezone": "Asia/Meizhou"}}, "Asia/Shanghai"),
        ({"schedule": {"cron": "0 0 * * *", "retry": {"times": -1}}}, "from 0 to 20"),
        ({"schedule": {"cron": "0 0 * * *", "retry": {"often": 1}}}, "unknown key"),
        ({"expected_every": "monthly"}, "1 month"),
    ],
)
def test_a_wrong_schedule_is_refused_with_what_would_be_right(
    tmp_path: Path, keys: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DeliveryError, match=sentence):
        parse_delivery(document(**keys), tmp_path / "delivery.yaml")


def test_a_file_without_a_schedule_is_not_put_on_it(database: str, tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match="says no schedule"):
        scheduled(tmp_path, database)
