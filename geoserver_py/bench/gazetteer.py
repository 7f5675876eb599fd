"""The address engine on a million synthetic addresses: `python -m geoserver_py.bench.gazetteer`.

Latency of /geocode, /suggest and /reverse at eight clients against two workers, the rate of a
table matched in a process a core, the memory of the service, the time from its start to ready.
Queries are drawn from the city by a fixed seed. Everything runs on one machine: the load average
at the beginning stands beside the figures.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import psycopg

from geoserver_py.bench.data import empty_database, start_cluster
from geoserver_py.bench.gazetteer_city import SyntheticCity, fill
from geoserver_py.bench.loads import Target, run_wrk
from geoserver_py.bench.peers import ours
from geoserver_py.bench.plan import SEED, Plan
from geoserver_py.bench.usage import resident_mb
from geoserver_py.cluster import provide_database
from geoserver_py.errors import WorkFailed

DATABASE = "bench_gazetteer"
WORKERS = 2
QUERIES = 20_000

_SAMPLE = """
SELECT full_address, county, town, coalesce(road, estate, village), coalesce(number, building),
       coalesce(road, ''), ST_X(geom), ST_Y(geom)
FROM layer.address
WHERE hashint8(fid # %(seed)s) %% %(every)s = 0
LIMIT %(count)s
"""


def sample(dsn: str, count: int, seed: int = SEED) -> list[tuple[Any, ...]]:
    """Addresses drawn at random, in random order; the same for the same seed and city."""
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT count(*) FROM layer.address").fetchone()
        every = max(1, (found[0] if found else 0) // (2 * count))
        rows = connection.execute(_SAMPLE, {"seed": seed, "every": every, "count": count})
        drawn = sorted(rows.fetchall())
    random.Random(seed).shuffle(drawn)
    return drawn


def paths(drawn: list[tuple[Any, ...]], seed: int = SEED) -> dict[str, list[str]]:
    """Request paths by case: whole, short and misspelled addresses, typing, positions."""
    choose = random.Random(seed)
    geocode, suggest, reverse = [], [], []
    for full, county, town, name, number, _, lon, lat in drawn:
        texts = (full, f"{county}{town}{name}{number}", f"{county}{name}{number}", _wrong(full))
        geocode.append(f"/geocode?q={quote(choose.choices(texts, (4, 3, 2, 1))[0])}")
        typed = f"{county}{name}{number}"
        suggest.append(f"/suggest?q={quote(typed[: choose.randint(1, len(typed))])}")
        reverse.append(f"/reverse?lon={lon + 0.0003:.6f}&lat={lat:.6f}&coordsys=cgcs2000")
    return {"geocode": geocode, "suggest": suggest, "reverse": reverse}


def _wrong(text: str) -> str:
    """The text with two characters of its last third changed for their neighbours."""
    at = len(text) * 2 // 3
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def measure_service(plan: Plan, dsn: str, postgres: int) -> Iterator[dict[str, Any]]:
    """Latencies by case, then memory and time to ready."""
    began = time.perf_counter()
    with ours(plan, dsn, cache_mb=16, workers=WORKERS, name="gazetteer") as server:
        ready = time.perf_counter() - began
        for case, lines in paths(sample(dsn, QUERIES)).items():
            file = plan.folder / f"gazetteer-{case}.txt"
            file.write_text("\n".join(lines) + "\n", "utf-8")
            target = Target("geoserver_py", server.process, postgres)
            found = run_wrk(
                target, case, server.base, file,
                clients=8, seconds=plan.seconds, output=plan.raw / f"gazetteer-{case}.txt",
            )  # fmt: skip
            yield {
                "case": case,
                "rate": round(found.rate),
                "p50_ms": found.p50,
                "p95_ms": found.p95,
                "cpu_seconds": found.cpu,
                "errors": found.errors,
            }
        memory = resident_mb(server.process)
        yield {"case": "start", "ready_s": round(ready, 1), "memory_mb": round(memory)}


def measure_table(plan: Plan, dsn: str, count: int) -> dict[str, Any]:
    """Rate of `geoserver-py gazetteer batch`, start-up and files included."""
    source, target = plan.folder / "addresses.csv", plan.folder / "matched.csv"
    with source.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["address", "x", "y"])
        writer.writerows((row[0], row[6], row[7]) for row in sample(dsn, count, SEED + 1))
    program = Path(sys.executable).with_name("geoserver-py")
    command = [str(program), "gazetteer", "batch", str(source), "-o", str(target), "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False,
        env={**os.environ, "GEOSERVER_PY_DATABASE_URL": dsn},
    )  # fmt: skip
    if done.returncode != 0:
        raise WorkFailed(f"bench: gazetteer batch: {done.stderr.strip()[-400:]}")
    return {"case": "batch", **orjson.loads(done.stdout)}


def main() -> int:
    """Fill the city if it is not there, measure, print one JSON document a line."""
    parser = argparse.ArgumentParser(prog="python -m geoserver_py.bench.gazetteer")
    parser.add_argument("--seconds", type=int, default=10, help="of load a case")
    parser.add_argument("--scale", type=int, default=1, help="10: ten times the plates of a street")
    parser.add_argument("--rows", type=int, default=100_000, help="of the table")
    parser.add_argument("--dsn", help="a database that holds the city; default: our own cluster")
    arguments = parser.parse_args()
    plan = Plan(folder=Path(".data/bench"), seconds=arguments.seconds)
    plan.raw.mkdir(parents=True, exist_ok=True)
    dsn, postgres = arguments.dsn, os.getpid()
    if dsn is None:
        cluster = start_cluster(plan)
        postgres = cluster.pid
        name = f"{DATABASE}_{arguments.scale}"
        dsn = provide_database(cluster, name)
        with psycopg.connect(dsn) as connection:
            there = connection.execute("SELECT to_regclass('layer.address')").fetchone()
        if there == (None,):
            dsn = empty_database(cluster, name)
            fill(dsn, SyntheticCity(arguments.scale))
    load = {"case": "machine", "cores": os.cpu_count(), "load_average": os.getloadavg()[0]}
    for figures in (load, *measure_service(plan, dsn, postgres)):
        print(orjson.dumps(figures).decode(), flush=True)  # noqa: T201 - its output
    found = measure_table(plan, dsn, arguments.rows)
    print(orjson.dumps({**found, "load_average": os.getloadavg()[0]}).decode())  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
