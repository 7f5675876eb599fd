"""Runs of the load generators, wrk and pgbench, their outputs kept."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from geoserver_py.bench.stats import (
    Measured,
    parse_pgbench,
    parse_pgbench_log,
    parse_wrk,
    percentile,
)
from geoserver_py.bench.usage import children_cpu_seconds, cpu_seconds
from geoserver_py.errors import WorkFailed

LOAD = Path(__file__).with_name("load.lua")
SESSION = "-c plan_cache_mode={} -c jit=off -c max_parallel_workers_per_gather=0"
"""The planner settings of the service's own sessions (geoserver_py.pools), less the plans'."""


@dataclass(frozen=True)
class Target:
    """What is loaded: its name, its process (None: bare SQL), and PostgreSQL's process."""

    name: str
    process: int | None
    postgres: int

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far by process group."""
        used = {"postgres": cpu_seconds(self.postgres), "client": children_cpu_seconds()}
        if self.process is not None:
            used["server"] = cpu_seconds(self.process)
        return used


def _spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: round(after[name] - before[name], 2) for name in after}


def run_wrk(
    target: Target,
    case: str,
    base: str,
    paths: Path,
    *,
    clients: int,
    seconds: int,
    output: Path,
    encoding: str = "identity",
) -> Measured:
    """Load `base` with the paths of a file from `clients` connections; WorkFailed if wrk fails."""
    threads = min(2, clients)
    command = ["wrk", "-t", str(threads), "-c", str(clients), "-d", f"{seconds}s"]
    command += ["--timeout", "30s", "--latency", "-s", str(LOAD), base]
    environment = {
        **os.environ,
        "BENCH_PATHS": str(paths),
        "BENCH_ENCODING": encoding,
        "BENCH_THREADS": str(threads),
    }
    before = target.cpu()
    text = _run(command, environment, output)
    spent = _spent(before, target.cpu())
    figures = parse_wrk(text)
    requests = figures["requests"]
    return Measured(
        case=case,
        target=target.name,
        clients=clients,
        seconds=figures["seconds"],
        rate=requests / figures["seconds"],
        p50=figures["p50"],
        p95=figures["p95"],
        p99=figures["p99"],
        answer_bytes=figures["bytes"] / requests if requests else 0.0,
        errors=int(figures["errors"]),
        cpu=spent,
    )


def run_pgbench(
    target: Target,
    case: str,
    dsn: str,
    scripts: Sequence[tuple[Path, int]],
    *,
    plans: str,
    pgbench: Path,
    clients: int,
    seconds: int,
    output: Path,
) -> Measured:
    """Load the database with scripts, each as often as its weight says; `plans` is the sessions'
    plan_cache_mode."""
    folder = output.with_suffix(".log.d")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [str(pgbench), "-n", "-M", "prepared", "-c", str(clients), "-j", str(min(2, clients))]
    command += ["-T", str(seconds), "--random-seed", "20261122"]
    command += ["-l", "--log-prefix", str(folder / "log")]
    for script, weight in scripts:
        command += ["-f", f"{script}@{weight}"]
    before = target.cpu()
    text = _run([*command, dsn], {**os.environ, "PGOPTIONS": SESSION.format(plans)}, output)
    spent = _spent(before, target.cpu())
    rate, failed = parse_pgbench(text)
    times: list[float] = []
    for log in folder.iterdir():
        times += parse_pgbench_log(log.read_text().splitlines())
    shutil.rmtree(folder)
    times.sort()
    return Measured(
        case=case,
        target=target.name,
        clients=clients,
        seconds=float(seconds),
        rate=rate,
        p50=percentile(times, 0.50),
        p95=percentile(times, 0.95),
        p99=percentile(times, 0.99),
        errors=failed,
        cpu=spent,
    )


def _run(command: Sequence[str], environment: Mapping[str, str], output: Path) -> str:
    output.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    output.write_text(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}", "utf-8")
    if done.returncode != 0:
        raise WorkFailed(f"bench: {command[0]} failed: {done.stderr.strip()[-300:]} (see {output})")
    return done.stdout
