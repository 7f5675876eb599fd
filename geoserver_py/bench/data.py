"""The benchmark's own database: the sample city at scale, loaded once by the ETL, and reused.

Peers answer EPSG:4490 with errors or nothing, so they read copies in EPSG:4326 (schema `bench`):
the same rows, fields and indexes, vacuumed and analysed like ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import yaml
from psycopg import sql

from etl.report import Status
from etl.run import run_delivery
from geoserver_py.bench.plan import BUILDINGS, COMPONENTS, SEED, Plan
from geoserver_py.cluster import (
    ClusterInfo,
    ClusterPaths,
    drop_database,
    ensure_running,
    provide_database,
)
from geoserver_py.errors import WorkFailed
from geoserver_py.sample_city import build_sample_city
from geoserver_py.sample_city.build import MARK
from layers.definition import LayerDefinition, load_definitions
from layers.migrate import upgrade
from layers.schema import apply

DATABASE = "bench"
LAYERS = ("building", "component")
_FOLDERS = {"building": "housing", "component": "city-management"}


def start_cluster(plan: Plan) -> ClusterInfo:
    """Start the benchmark's private cluster; durable, as in service."""
    return ensure_running(ClusterPaths(plan.folder.absolute()), durable=True)


def build_city(plan: Plan) -> str:
    """Write the sample city's deliveries at the plan's scale, unless they are there.

    A change of the builder's code alone does not rebuild them: figures stay comparable.
    """
    folder = plan.folder / "sample"
    mark = folder / MARK
    if mark.is_file() and f"seed {SEED}, scale {plan.scale}\n" in mark.read_text("utf-8"):
        return "unchanged"
    summary = build_sample_city(folder, SEED, plan.scale)
    return f"{sum(summary.features.values())} synthetic features"


def delivery_of(plan: Plan, layer: str) -> Path:
    """Write a delivery of one layer alone beside its bureau's files; return its path."""
    folder = plan.folder / "sample" / _FOLDERS[layer]
    whole: Mapping[str, Any] = yaml.safe_load((folder / "delivery.yaml").read_text("utf-8"))
    loads = [load for load in whole["loads"] if load["layer"] == layer]
    document = {**whole, "delivery": f"bench/{layer}", "loads": loads}
    path = folder / f"bench-{layer}.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), "utf-8")
    return path


def empty_database(cluster: ClusterInfo, name: str) -> str:
    """Make database `name` anew, with all layers applied and no rows; return its DSN."""
    drop_database(cluster, name)
    dsn = provide_database(cluster, name)
    upgrade(dsn)
    with psycopg.connect(dsn) as connection:
        apply(connection, load_definitions().values())
    return dsn


def is_complete(dsn: str) -> bool:
    """Whether the rows of this database were written to their end."""
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT to_regclass('bench.complete') IS NOT NULL").fetchone()
    return found == (True,)


def mark_complete(connection: psycopg.Connection) -> None:
    """Note, after the last row, that all are there: what was interrupted before is made anew."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS bench")
    connection.execute("CREATE TABLE bench.complete ()")


def load(dsn: str, delivery: Path) -> int:
    """Run a delivery into an empty layer; return its rows. WorkFailed if anything was refused."""
    (report,) = run_delivery(delivery, dsn)
    if report.status is not Status.SUCCEEDED:
        raise WorkFailed(f"bench: {report.layer}: {report.status.value}: {report.reason}")
    return report.counts["inserted"]


def load_city(plan: Plan, cluster: ClusterInfo) -> tuple[str, dict[str, int]]:
    """Return DSN and row counts of the loaded city; loads it, and the copies, when not there."""
    dsn = provide_database(cluster, DATABASE)
    if not is_complete(dsn):
        dsn = empty_database(cluster, DATABASE)
        for layer in LAYERS:
            load(dsn, delivery_of(plan, layer))
        with psycopg.connect(dsn, autocommit=True) as connection:
            copy_for_peers(connection)
            mark_complete(connection)
    else:
        upgrade(dsn)  # the code may have moved on since
        with psycopg.connect(dsn) as connection:
            apply(connection, load_definitions().values())
    with psycopg.connect(dsn) as connection:
        counts = {layer: _count(connection, layer) for layer in LAYERS}
    if plan.scale >= 10 and (counts["building"] < BUILDINGS or counts["component"] < COMPONENTS):
        raise WorkFailed(f"bench: too few rows for a fair figure: {counts}")
    return dsn, counts


def _count(connection: psycopg.Connection, layer: str) -> int:
    row = connection.execute(
        sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("layer", layer))
    ).fetchone()
    return int(row[0]) if row else 0


def copy_for_peers(connection: psycopg.Connection) -> None:
    """Make schema `bench`: layers in EPSG:4326 with the rows, fields and indexes that ours have."""
    connection.execute("DROP SCHEMA IF EXISTS bench CASCADE")
    connection.execute("CREATE SCHEMA bench")
    definitions = load_definitions()
    for layer in LAYERS:
        _copy(connection, definitions[layer])
        for schema in ("layer", "bench"):
            connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(schema, layer)))


def _copy(connection: psycopg.Connection, definition: LayerDefinition) -> None:
    geometry = definition.geometry
    if geometry is None:
        raise WorkFailed(f"bench: layer {definition.name} has no geometry")
    table = sql.Identifier("bench", definition.name)
    fields = sql.SQL(", ").join(map(sql.Identifier, definition.field_names))
    statements = [
        sql.SQL(
            "CREATE TABLE {table} AS SELECT fid, id, {fields},"
            " ST_SetSRID(geom, 4326)::geometry({type}, 4326) AS geom FROM {source} ORDER BY fid"
        ).format(
            table=table,
            fields=fields,
            type=sql.SQL(geometry.value),
            source=sql.Identifier("layer", definition.name),
        ),
        sql.SQL("ALTER TABLE {} ADD PRIMARY KEY (fid)").format(table),
        sql.SQL("ALTER TABLE {} ADD UNIQUE (id)").format(table),
        sql.SQL("CREATE INDEX ON {} USING gist (geom)").format(table),
    ]
    statements += [
        sql.SQL("CREATE INDEX ON {} ({})").format(table, sql.Identifier(field.name))
        for field in definition.fields
        if field.indexed
    ]
    for statement in statements:
        connection.execute(statement)
