"""A run killed at any moment (SIGKILL, as by a power cut or the kernel's memory killer).

Whatever the moment: every layer of the delivery is wholly as before or wholly as after, nothing
that was there is gone from both the layer and its history, and the next run of the same delivery
succeeds and closes what the dead one left open. Three moments by default;
GEOSERVER_PY_TEST_KILLS=20 (`make crash`) makes it twenty.
"""

from __future__ import annotations

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from geoserver_py.sample_city import build_sample_city
from layers.definition import load_definitions
from layers.schema import apply
from tests.conftest import MakeDatabase

SEED, SCALE = 20261122, 0.05
KILLS = int(os.environ.get("GEOSERVER_PY_TEST_KILLS", "3"))
LAYERS = ("unit_grid", "component", "event")
State = dict[str, frozenset[tuple[str, str]]]
"""By layer: business id and a digest of everything else of each live row."""


def _second_issue(first: Path, second: Path) -> None:
    """The same delivery a month later: rows changed, gone and new in the components."""
    shutil.copytree(first, second)
    table = second / "管理部件.csv"
    with table.open(encoding="gb18030", newline="") as file:
        title, *rows = list(csv.reader(file))
    name, ident = title.index("GLBJMC"), title.index("GLBJBSM")
    kept = [row for at, row in enumerate(rows) if at % 11]
    for row in kept[::7]:
        row[name] += "（更新）"
    new = [[*row] for row in kept[:50]]
    for at, row in enumerate(new):
        row[ident] = f"{row[ident][:11]}{900_000 + at:06d}"
    with table.open("w", encoding="gb18030", newline="") as file:
        csv.writer(file).writerows([title, *kept, *new])


@dataclass
class Bench:
    """A database with the layers of the sample city's management bureau, and two issues of it."""

    dsn: str
    issues: tuple[Path, Path]
    connection: psycopg.Connection
    wanted: list[State] = field(default_factory=list)
    seconds: float = 0.0

    def start(self, issue: int) -> subprocess.Popen[bytes]:
        """`geoserver-py etl run` of an issue, as an operator starts it."""
        environment = {k: v for k, v in os.environ.items() if not k.endswith("DATABASE_URL")}
        command = [sys.executable, "-m", "geoserver_py.cli", "etl", "run",
                   str(self.issues[issue] / "delivery.yaml"), "--json"]  # fmt: skip
        return subprocess.Popen(
            command,
            env=environment | {"GEOSERVER_PY_DATABASE_URL": self.dsn},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, issue: int) -> None:
        """A run that nobody disturbs; it must succeed."""
        process = self.start(issue)
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error.decode()

    def highest_run(self) -> int:
        row = self.connection.execute("SELECT coalesce(max(id), 0) FROM catalog.run").fetchone()
        assert row is not None
        return int(row[0])

    def until_begun(self, process: subprocess.Popen[bytes], before: int) -> None:
        """Wait until the run is in the catalogue (importing Python takes its time)."""
        while process.poll() is None and self.highest_run() == before:
            time.sleep(0.005)

    def until_quiet(self) -> None:
        """Wait until the server has ended the sessions of a dead client."""
        deadline = time.monotonic() + 60
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        while self.connection.execute(others).fetchone() != (0,):
            assert time.monotonic() < deadline, "a session of the killed run is still open"
            time.sleep(0.02)

    def rows(self, schema: str = "layer") -> State:
        query = sql.SQL("SELECT id, md5(row_hash::text || ST_AsBinary(geom)::text) FROM {}")
        return {
            name: frozenset(self.connection.execute(query.format(sql.Identifier(schema, name))))
            for name in LAYERS
        }

    def books(self) -> list[tuple[object, ...]]:
        """What the catalogue says of each layer beside what is there."""
        found = []
        for name in LAYERS:
            query = sql.SQL(
                "SELECT l.feature_count = (SELECT count(*) FROM {live}),"
                " l.revision >= coalesce((SELECT max(revision) FROM {live}), 0),"
                " l.revision = coalesce((SELECT max(revision) FROM catalog.revision"
                " WHERE layer = l.name), 0) FROM catalog.layer l WHERE l.name = {name}"
            ).format(live=sql.Identifier("layer", name), name=sql.Literal(name))
            found += self.connection.execute(query).fetchall()
        return found


@pytest.fixture(scope="module")
def bench(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("killed")
    city = build_sample_city(folder / "city", SEED, SCALE)
    first = city.folder / "city-management"
    _second_issue(first, folder / "second")
    dsn: str = make_database("killed_runs")
    definitions = load_definitions()
    with psycopg.connect(dsn) as connection:
        apply(connection, [definitions[name] for name in LAYERS])
    with psycopg.connect(dsn, autocommit=True) as connection:
        made = Bench(dsn, (first, folder / "second"), connection)
        for issue in (0, 1):
            before = made.highest_run()
            process = made.start(issue)
            made.until_begun(process, before)
            began = time.monotonic()
            _, error = process.communicate(timeout=120)
            assert process.returncode == 0, error.decode()
            made.seconds = time.monotonic() - began
            made.wanted.append(made.rows())
        assert made.wanted[0]["component"] != made.wanted[1]["component"]
        yield made


@pytest.mark.timeout(900)
def test_a_killed_run_is_all_or_nothing_and_the_next_one_succeeds(bench: Bench) -> None:
    moments = random.Random(SEED)
    outcomes = []
    for turn in range(KILLS):
        issue = turn % 2  # the bench ends at the second issue: each turn has something to change
        target, other = bench.wanted[issue], bench.wanted[1 - issue]
        assert bench.rows() == other
        before = bench.highest_run()
        process = bench.start(issue)
        if turn % 7 != 6:
            bench.until_begun(process, before)
            time.sleep(moments.uniform(0, bench.seconds))
        else:
            time.sleep(moments.uniform(0, 1.0))
        process.send_signal(signal.SIGKILL)
        outcomes.append(process.wait(timeout=60))
        bench.until_quiet()

        found = bench.rows()
        for name in LAYERS:
            assert found[name] in (other[name], target[name]), f"{name} is half loaded"
        assert found in (other, target), "one layer of the delivery is loaded, another is not"
        assert set(bench.books()) == {(True, True, True)}
        history = bench.rows("history")
        for name in LAYERS:
            assert other[name] <= found[name] | history[name], f"{name} lost rows"

        left = bench.connection.execute(
            "SELECT count(*) FROM catalog.run WHERE status = 'running'"
        ).fetchone()
        bench.run(issue)
        assert bench.rows() == target
        assert set(bench.books()) == {(True, True, True)}
        history = bench.rows("history")
        for name in LAYERS:
            assert other[name] <= target[name] | history[name], f"{name} lost rows"
        closed = bench.connection.execute(
            "SELECT count(*) FROM catalog.run WHERE status = 'failed' AND id > %s"
            " AND report ->> 'reason' LIKE '运行中断%%' AND finished_at IS NOT NULL",
            [before],
        ).fetchone()
        assert closed == left, "the next start says which runs were cut off"
        assert bench.connection.execute(
            "SELECT count(*) FROM catalog.run WHERE status = 'running'"
        ).fetchone() == (0,)
        staged = bench.connection.execute(
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'staging'"
        ).fetchone()
        assert staged == (0,), "staging tables of the killed run were left"
    assert outcomes.count(-signal.SIGKILL) >= KILLS * 0.6, "most kills came too late to matter"


@pytest.mark.timeout(300)
def test_a_first_load_that_is_killed_leaves_the_layer_empty(
    bench: Bench, make_database: MakeDatabase
) -> None:
    """The fast path of an empty layer builds its indexes last: those must be there afterwards."""
    dsn: str = make_database("killed_first_load")
    definitions = load_definitions()
    with psycopg.connect(dsn) as connection:
        apply(connection, [definitions[name] for name in LAYERS])
    with psycopg.connect(dsn, autocommit=True) as connection:
        first = Bench(dsn, bench.issues, connection)
        indexes = _indexes(connection)
        empty = first.rows()
        moments = random.Random(SEED + 1)
        for _ in range(max(1, KILLS // 4)):
            before = first.highest_run()
            process = first.start(0)
            first.until_begun(process, before)
            time.sleep(moments.uniform(0.2, 0.9) * bench.seconds)
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=60)
            first.until_quiet()
            if first.rows() == bench.wanted[0]:
                break  # it had just ended
            assert first.rows() == empty
            assert _indexes(connection) == indexes
        first.run(0)
        assert {name: {i for i, _ in rows} for name, rows in first.rows().items()} == {
            name: {i for i, _ in rows} for name, rows in bench.wanted[0].items()
        }
        assert _indexes(connection) == indexes


def _indexes(connection: psycopg.Connection) -> list[tuple[object, ...]]:
    return connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'layer' ORDER BY 1"
    ).fetchall()
