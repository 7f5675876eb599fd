"""The first load of the components against `ogr2ogr` of the same rows into a new table.

Ours reads the delivered CSV (GB18030, GCJ-02), checks it, takes the datum step, writes history,
outbox and catalogue, builds all indexes and is durable. `ogr2ogr` reads the same rows as CSV in
UTF-8 (it cannot read GB18030 from CSV) or as GeoPackage, takes the numbers as they are, and builds
a primary key and the spatial index.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from geoserver_py.bench.data import delivery_of, empty_database, load
from geoserver_py.bench.plan import Plan
from geoserver_py.cluster import ClusterInfo, drop_database
from geoserver_py.cluster_server import SUPERUSER
from geoserver_py.errors import WorkFailed

DATABASE = "bench_load"
SOURCE = "管理部件.csv"


@dataclass(frozen=True)
class Loaded:
    """One load: who loaded, from what, how many rows in how many seconds of wall clock."""

    loader: str
    source: str
    rows: int
    seconds: float

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


def measure_loads(plan: Plan, cluster: ClusterInfo, say: Callable[[str], None]) -> list[Loaded]:
    """Load by every way in turn, `plan.repeats` times, each time into an empty database."""
    delivery = delivery_of(plan, "component")
    table, package = _sources(plan, delivery.parent / SOURCE)
    found = []
    for _ in range(plan.repeats):
        dsn = empty_database(cluster, DATABASE)
        settle(cluster)
        began = time.perf_counter()
        rows = load(dsn, delivery)
        found.append(Loaded("geoserver_py", "CSV, GB18030", rows, time.perf_counter() - began))
        for source, path in (("CSV, UTF-8", table), ("GeoPackage", package)):
            settle(cluster)
            found.append(load_by_ogr2ogr(dsn, source, path))
        for one in found[-3:]:
            say(f"  {one.loader} from {one.source}: {one.rows} rows in {one.seconds:.1f} s")
    drop_database(cluster, DATABASE)
    return found


def _sources(plan: Plan, delivered: Path) -> tuple[Path, Path]:
    """Return the delivered rows as UTF-8 CSV and as GeoPackage, made once."""
    table, package = plan.folder / "component.csv", plan.folder / "component.gpkg"
    stamp = delivered.stat().st_mtime
    if not table.exists() or table.stat().st_mtime < stamp:
        table.write_text(delivered.read_text("gb18030"), "utf-8")
        package.unlink(missing_ok=True)
    if not package.exists():
        _check(["ogr2ogr", "-f", "GPKG", str(package), str(table), *_POINTS])
    return table, package


_POINTS = ("-oo", "X_POSSIBLE_NAMES=经度", "-oo", "Y_POSSIBLE_NAMES=纬度", "-a_srs", "EPSG:4490")


def load_by_ogr2ogr(dsn: str, source: str, path: Path) -> Loaded:
    """Load a table or package into a new table with primary key and spatial index."""
    command = ["ogr2ogr", "-f", "PostgreSQL", dsn, str(path), "-nln", "public.loaded"]
    command += ["-overwrite", "-lco", "GEOMETRY_NAME=geom", "-lco", "SPATIAL_INDEX=GIST"]
    command += ["--config", "PG_USE_COPY", "YES"]
    if path.suffix == ".csv":
        command += _POINTS
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS public.loaded")
    began = time.perf_counter()
    _check(command)
    seconds = time.perf_counter() - began
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM public.loaded").fetchone()
    return Loaded("ogr2ogr", source, int(row[0]) if row else 0, seconds)


def settle(cluster: ClusterInfo, database: str = DATABASE) -> None:
    """Write out what earlier steps left in memory, so that nobody pays for another's work."""
    with psycopg.connect(cluster.dsn(database, SUPERUSER), autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def _check(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise WorkFailed(f"bench: ogr2ogr failed: {done.stderr.strip()[-400:]}")
