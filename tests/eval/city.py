"""The city that is asked about: the synthetic sample city through the ETL, in a database.

House numbers that `truth.is_gap` names are taken out again: interpolation has a known truth.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import psycopg
import yaml

from etl.run import run_delivery
from gazetteer.service import GazetteerService
from gazetteer.store import Connection
from geoserver_py import cluster as private
from geoserver_py.cluster import ClusterPaths
from geoserver_py.sample_city import build_sample_city
from layers.access import SYSTEM
from layers.catalogue import load_catalogue_async
from layers.city import load_city as load_profile
from layers.definition import load_definitions, standing
from layers.edit import Change, Operation, write_changes
from layers.migrate import upgrade
from layers.schema import apply
from tests.eval.truth import SCALE, SEED, is_gap

LAYERS = (
    "division_county", "division_town", "division_village", "division_name", "road", "poi",
    "address",
)  # fmt: skip


def load(dsn: str, folder: Path, *, scale: float = SCALE) -> None:
    """Build the deliveries in `folder`, run those of the gazetteer, take out the gaps."""
    summary = build_sample_city(folder, SEED, scale)
    with psycopg.connect(dsn) as connection:
        apply(connection, standing(load_definitions()))
    for path in summary.deliveries:
        document: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
        loads = [load for load in document["loads"] if load["layer"] in LAYERS]
        if not loads:
            continue
        own = path.with_name("eval.yaml")
        document |= {"delivery": f"eval/{path.parent.name}", "loads": loads}
        own.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), "utf-8")
        for report in run_delivery(own, dsn):
            assert report.good, report.sentence()
    with psycopg.connect(dsn) as connection:
        _take_out(connection)


def _take_out(connection: psycopg.Connection[Any]) -> None:
    rows = connection.execute("SELECT id FROM layer.address WHERE number IS NOT NULL").fetchall()
    gaps = [Change(Operation.DELETE, id=row[0]) for row in rows if is_gap(row[0])]
    write_changes(connection, load_definitions()["address"], gaps, principal=SYSTEM)
    connection.commit()


@contextmanager
def temporary_city() -> Iterator[str]:
    """DSN of the loaded city in a cluster of its own, which is removed at the end."""
    root = Path(mkdtemp(prefix="gspy-eval-"))
    root.chmod(0o755)  # the server's account must pass through
    paths = ClusterPaths(root)
    try:
        info = private.ensure_running(paths, durable=False)
        dsn = private.provide_database(info, "eval")
        upgrade(dsn)
        load(dsn, root / "city")
        yield dsn
    finally:
        private.stop(paths, patience=1.0)
        rmtree(root)


@asynccontextmanager
async def engine(dsn: str) -> AsyncIterator[tuple[GazetteerService, Connection]]:
    """The address engine as a worker has it, and a connection for its house numbers."""

    @asynccontextmanager
    async def connect() -> AsyncIterator[Connection]:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            yield connection

    service = GazetteerService(connect, load_profile("meizhou"))
    async with connect() as connection:
        await service.follow(await load_catalogue_async(connection))
        yield service, connection


def chunks(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """Lists of at most `size`, in order."""
    held: list[str] = []
    for text in texts:
        held.append(text)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held
