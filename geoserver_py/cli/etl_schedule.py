"""`geoserver-py etl schedule` and `etl worker`: deliveries that are pulled by the clock."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from etl import schedule
from etl.delivery import DeliveryError
from geoserver_py.cli.output import JsonOption, emit, say
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import load_settings
from layers.access import SYSTEM

app = typer.Typer(help="定时交付 / deliveries by the clock", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """定时交付 / deliveries that are pulled by the clock, and who is late."""


@app.command()
def add(
    delivery: Annotated[Path, typer.Argument(help="交付文件 / DELIVERY.yaml with a schedule")],
) -> None:
    """登记 / put a delivery file on the schedule, or take over its changed one."""
    try:
        with psycopg.connect(load_settings().dsn()) as connection:
            entry = schedule.add(connection, delivery, SYSTEM)
    except DeliveryError as refused:
        raise WorkFailed(str(refused)) from refused
    due = entry.next_due(datetime.now(UTC))
    say(f"{entry.delivery}: {entry.timetable.cron} ({entry.timezone}), 下次 next {due:%F %H:%M}")


@app.command()
def remove(
    delivery: Annotated[str, typer.Argument(help="交付名 / name of the delivery")],
) -> None:
    """注销 / take a delivery off the schedule; its runs stay."""
    with psycopg.connect(load_settings().dsn()) as connection:
        known = schedule.remove(connection, delivery)
    if not known:
        raise WorkFailed(f"{delivery} 不在计划中 (not on the schedule; see `etl schedule list`)")


@app.command("list")
def list_standings(
    late: Annotated[bool, typer.Option("--late", help="只列迟交 / only who is late")] = False,
    as_json: JsonOption = False,
) -> None:
    """列出 / every delivery: when it is due, what came last, who is late."""
    now = datetime.now(UTC)
    with psycopg.connect(load_settings().dsn()) as connection:
        found = [s for s in schedule.standings(connection, now) if s.late or not late]
    if as_json:
        emit(
            [
                {
                    **{name: getattr(s, name) for name in s.__slots__},
                    "late_seconds": None if (by := s.late_by(now)) is None else by.total_seconds(),
                }
                for s in found
            ],
            as_json=True,
            line="",
        )
        return
    table = Table()
    table.add_column("交付\ndelivery", no_wrap=True, overflow="fold")
    for heading in ("委办局\nbureau", "计划\nschedule", "应于\nexpected by", "最近\nlast good",
                    "状态\nstatus", "迟\nlate"):  # fmt: skip
        table.add_column(heading)
    for s in found:
        by = s.late_by(now)
        table.add_row(
            s.delivery,
            s.bureau,
            s.cron or s.expected_every or "—",
            "—" if s.expected_by is None else f"{s.expected_by:%F %H:%M}",
            "—" if s.last_good is None else f"{s.last_good:%F %H:%M}",
            s.last_status or "—",
            "" if by is None else f"{by.days} 天 d {by.seconds // 3600} 时 h",
        )
    Console().print(table)


def worker(
    concurrency: Annotated[int, typer.Option(min=1, max=16, help="并行数 / runs at a time")] = 1,
    once: Annotated[
        bool, typer.Option("--once", help="处理完即退出 / run what is due, then end")
    ] = False,
) -> None:
    """运行定时交付 / run deliveries that are due, until stopped (Ctrl-C lets a run end)."""
    from etl.worker import work  # the queue's library is only for this command

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(work(load_settings().dsn(), concurrency=concurrency, once=once))
