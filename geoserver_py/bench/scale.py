"""The ETL at scale: a first load, the same rows again in another order, and memory.

Synthetic points as CSV in GCJ-02, with all checks of the component layer; `ogr2ogr` loads the very
same file beside it, numbers as they are, into a new table with its spatial index. Beside the wall
clock stands the CPU of client and database together, which other users of the machine disturb less.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from etl.report import Status
from etl.run import run_delivery
from geoserver_py.bench.data import empty_database
from geoserver_py.bench.loading import load_by_ogr2ogr, settle
from geoserver_py.bench.plan import Plan
from geoserver_py.bench.points import write_delivery, write_points
from geoserver_py.bench.usage import children_cpu_seconds, cpu_seconds, own_cpu_seconds
from geoserver_py.cluster import ClusterInfo, drop_database
from geoserver_py.errors import WorkFailed

DATABASE = "bench_scale"


@dataclass(frozen=True)
class Cost:
    """Seconds of wall clock, and of CPU of client and database together."""

    seconds: float
    cpu: float


@dataclass(frozen=True)
class Scaled:
    """One repeat over the same rows: first load, again unchanged in another order, `ogr2ogr`."""

    rows: int
    first: Cost
    again: Cost
    ogr2ogr: Cost


@dataclass(frozen=True)
class Large:
    """A load in a process of its own: rows, seconds, and the most memory it took, in MiB."""

    rows: int
    seconds: float
    peak_mb: float


def measure_scale(
    plan: Plan, cluster: ClusterInfo, say: Callable[[str], None]
) -> tuple[list[Scaled], Large]:
    """Load `plan.points` by every way in turn, `plan.repeats` times; `plan.large` rows once."""
    folder = plan.folder / "points"
    table = write_points(folder / f"{plan.points}.csv", plan.points)
    mixed = write_points(folder / f"{plan.points}-mixed.csv", plan.points, shuffled=True)
    first = write_delivery(table, f"points-{plan.points}")
    again = write_delivery(mixed, f"points-{plan.points}-mixed")
    found = []
    for _ in range(plan.repeats):
        dsn = empty_database(cluster, DATABASE)
        one = Scaled(
            plan.points,
            _cost(cluster, partial(_run, first, dsn, Status.SUCCEEDED)),
            _cost(cluster, partial(_run, again, dsn, Status.UNCHANGED)),
            _cost(cluster, partial(load_by_ogr2ogr, dsn, "CSV, UTF-8", table)),
        )
        found.append(one)
        say(
            f"  {one.rows} points: first load {_said(one.first)}, again unchanged"
            f" {_said(one.again)}, ogr2ogr {_said(one.ogr2ogr)}"
        )
    large = _large(plan, cluster, folder)
    say(f"  {large.rows} rows in {large.seconds:.0f} s, at most {large.peak_mb:.0f} MiB")
    drop_database(cluster, DATABASE)
    return found, large


def _said(cost: Cost) -> str:
    return f"{cost.seconds:.1f} s (CPU {cost.cpu:.1f})"


def _cost(cluster: ClusterInfo, work: Callable[[], object]) -> Cost:
    settle(cluster, DATABASE)
    before = own_cpu_seconds() + children_cpu_seconds() + cpu_seconds(cluster.pid)
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    time.sleep(0.2)  # backends end after their client, and count then
    after = own_cpu_seconds() + children_cpu_seconds() + cpu_seconds(cluster.pid)
    return Cost(seconds, after - before)


def _run(delivery: Path, dsn: str, wanted: Status) -> None:
    (report,) = run_delivery(delivery, dsn)
    if report.status is not wanted or report.counts["rejected"]:
        raise WorkFailed(f"bench: {report.layer}: {report.status.value}: {report.reason}")


def _large(plan: Plan, cluster: ClusterInfo, folder: Path) -> Large:
    """Load as an operator does, and ask the kernel what the process took."""
    table = write_points(folder / f"{plan.large}.csv", plan.large)
    delivery = write_delivery(table, f"points-{plan.large}")
    dsn = empty_database(cluster, DATABASE)
    command = [sys.executable, "-m", "geoserver_py.cli", "etl", "run", str(delivery), "--json"]
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        env=os.environ | {"GEOSERVER_PY_DATABASE_URL": dsn},
        stdout=subprocess.DEVNULL,
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise WorkFailed(f"bench: etl run of {plan.large} rows ended with {process.returncode}")
    return Large(plan.large, time.perf_counter() - began, usage.ru_maxrss / 1024)
