"""The address engine on a million synthetic addresses: `python -m geoserver_py.bench.gazetteer`.

Latency of /geocode, /suggest and /reverse at eight clients against two workers, the rate of a
table matched in a process a core, the memory of the service, the time from its start to ready.
`--ratio 10` measures something else: the CPU time of a request in a city with ten times the plates
by that in this one (bench.gazetteer_scale). Queries are drawn from the city by a fixed seed.
Everything runs on one machine: the load average at the beginning stands beside the figures.
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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import psycopg

from geoserver_py.bench import gazetteer_scale
from geoserver_py.bench.data import start_cluster
from geoserver_py.bench.gazetteer_city import SyntheticCity, filled
from geoserver_py.bench.loads import Target, run_wrk
from geoserver_py.bench.peers import ours
from geoserver_py.bench.plan import SEED, Plan
from geoserver_py.bench.report import markdown
from geoserver_py.bench.usage import resident_mb
from geoserver_py.cluster import ClusterInfo, ClusterPaths, stop
from geoserver_py.errors import WorkFailed
from layers.definition import load_definitions
from layers.migrate import upgrade
from layers.schema import apply

BEGIN = "<!-- gazetteer: written by the benchmark -->"
END = "<!-- end of gazetteer -->"
DATABASE = "bench_gazetteer"
WORKERS = 2
QUERIES = 20_000
RATIO = "gazetteer-ratio.json"

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


def goals(case: str) -> str:
    """What the project wants of a case, in words; "" for nothing."""
    return {
        "geocode": "p95 < 15 ms",
        "suggest": "p95 < 8 ms",
        "reverse": "p95 < 8 ms",
        "batch": "5 000/s",
        "start": "ready < 10 s, a worker < 600 MB",
    }.get(case, "")


def table(folder: Path) -> str:
    """Return the Markdown table of the last run of every scale that was measured."""
    rows = []
    for file in sorted(folder.glob("gazetteer-scale-*.json"), key=lambda f: (len(f.name), f.name)):
        found = orjson.loads(file.read_bytes())
        for one in found["figures"]:
            case = one["case"]
            if case == "start":
                said = f"ready in {one['ready_s']} s, {one['memory_mb']} MB in {WORKERS} workers"
            elif case == "batch":
                said = f"{one['rate']}/s ({one['seconds']} s with the start for {one['rows']} rows)"
            else:
                said = f"{one['rate']}/s, p50 {one['p50_ms']:.1f} ms, p95 {one['p95_ms']:.1f} ms"
            rows.append((f"{found['addresses']:,}", case, said, goals(case), found["date"]))
    text = markdown(("addresses", "case", "measured", "goal", "date"), rows)
    ratio = folder / RATIO
    if ratio.exists():
        text += f"\n\n{gazetteer_scale.table(orjson.loads(ratio.read_bytes()))}"
    return text


def _record(document: Path, folder: Path) -> None:
    before, opened, rest = document.read_text("utf-8").partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not opened or not closed:
        raise WorkFailed(f"{document} has no marks {BEGIN} and {END}")
    text = f"{before}{BEGIN}\n\n{table(folder)}\n\n{END}{after}"
    document.write_text(text, "utf-8")


def main() -> int:
    """Fill the city if it is not there, measure, print one JSON document a line."""
    parser = argparse.ArgumentParser(prog="python -m geoserver_py.bench.gazetteer")
    parser.add_argument("--seconds", type=int, default=10, help="of load a case")
    parser.add_argument("--scale", type=int, default=1, help="10: ten times the plates of a street")
    parser.add_argument("--rows", type=int, default=100_000, help="of the table")
    parser.add_argument("--dsn", help="a database that holds the city; default: our own cluster")
    parser.add_argument("--record", type=Path, help="document that gets the table, by its marks")
    parser.add_argument(
        "--ratio", type=int, metavar="SCALE",
        help="only compare the CPU time of a request at SCALE with that at 1; the first time the"
        " larger city is filled, which takes ten minutes for 10",
    )  # fmt: skip
    arguments = parser.parse_args()
    if arguments.ratio is not None and (arguments.ratio < 2 or arguments.dsn):
        parser.error("--ratio takes a scale of 2 or more, and makes its cities itself (no --dsn)")
    plan = Plan(folder=Path(".data/bench"), seconds=arguments.seconds)
    plan.raw.mkdir(parents=True, exist_ok=True)
    cluster = None if arguments.dsn else start_cluster(plan)
    try:
        if arguments.ratio is not None and cluster is not None:
            figures = _compared(plan, cluster, arguments.ratio)
        else:
            figures = _measured(plan, cluster, arguments)
    finally:
        if cluster is not None:
            stop(ClusterPaths(plan.folder.absolute()), patience=10.0)
    for one in figures["figures"]:
        print(orjson.dumps(one).decode(), flush=True)  # noqa: T201 - its output
    scale = f"gazetteer-scale-{arguments.scale}.json"
    file = plan.folder / (scale if arguments.ratio is None else RATIO)
    file.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2))
    if arguments.record:
        _record(arguments.record, plan.folder)
    return 0


def _measured(
    plan: Plan, cluster: ClusterInfo | None, arguments: argparse.Namespace
) -> dict[str, Any]:
    dsn, postgres = arguments.dsn, os.getpid()
    if cluster is not None:
        postgres = cluster.pid
        dsn = filled(cluster, f"{DATABASE}_{arguments.scale}", SyntheticCity(arguments.scale))
    count = _brought_up(dsn)
    load = {"cores": os.cpu_count(), "load_average": round(os.getloadavg()[0], 1)}
    figures = list(measure_service(plan, dsn, postgres))
    # the rate once it runs: the start is a row of its own
    few, many = (measure_table(plan, dsn, rows) for rows in (1000, arguments.rows))
    rate = (many["rows"] - few["rows"]) / (many["seconds"] - few["seconds"])
    figures.append({**many, "rate": round(rate)})
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "addresses": count,
        "machine": load,
        "figures": figures,
    }


def _compared(plan: Plan, cluster: ClusterInfo, scale: int) -> dict[str, Any]:
    dsns = {size: filled(cluster, f"{DATABASE}_{size}", SyntheticCity(size)) for size in (1, scale)}
    counts = [_brought_up(dsn) for dsn in dsns.values()]
    asked = {size: paths(sample(dsn, QUERIES)) for size, dsn in dsns.items()}
    load = {"cores": os.cpu_count(), "load_average": round(os.getloadavg()[0], 1)}
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "addresses": counts,
        "machine": load,
        "figures": list(gazetteer_scale.compare(plan, dsns, asked, cluster.pid, workers=WORKERS)),
    }


def _brought_up(dsn: str) -> int:
    """Bring the database to the state of the code, which may have moved on; count addresses."""
    upgrade(dsn)
    with psycopg.connect(dsn) as connection:
        apply(connection, load_definitions().values())
        found = connection.execute("SELECT count(*) FROM layer.address").fetchone()
    return int(found[0]) if found else 0


if __name__ == "__main__":
    sys.exit(main())
