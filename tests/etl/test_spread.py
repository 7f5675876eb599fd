"""A delivery whose rows are checked by several processes is, row for row, that of one process."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import psycopg
import pytest
import shapely
import yaml
from distributed import Client, LocalCluster

from etl import prepare
from etl import spread as spreading
from etl.delivery import load_delivery
from etl.report import LoadReport, Status
from etl.run import run_delivery
from etl.spread import Checks, InTurn, SpreadFailed, spread
from geoserver_py.cli.app import app
from tests.conftest import MakeDatabase
from tests.etl.support import CENTRE, WAIVER, apply_layers, component, component_load, write_csv

LAYERS = ("component", "building", "road", "unit_grid")
ROWS = 3_000


@pytest.fixture(scope="module")
def two() -> Iterator[Checks]:
    """Two processes on loopback."""
    with spread(workers=2) as checks:
        yield checks


@pytest.fixture(autouse=True)
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many slices, so that they would come back in another order than they went."""
    monkeypatch.setattr(prepare, "BATCH_ROWS", 250)


def mixed(folder: Path) -> list[dict[str, Any]]:
    """Points with errors of every kind in two files, and buildings with geometry to mend."""
    chance = random.Random(20261122)
    records = []
    for n in range(ROWS):
        record = component(n % 2_900)  # the last hundred repeat identifiers
        kind = chance.random()
        if kind < 0.02:
            record["GLBJZT"] = "不存在的状态"
        elif kind < 0.04:
            record["lon"] = "abc"
        elif kind < 0.06:
            record["CSRQ"] = "2026-13-45"
        elif kind < 0.08:
            record["lat"] = "50.0"
        elif kind < 0.10:
            record["GLBJBSM"] = ""
        elif kind < 0.12:
            record["GLBJMC"] = "輋𣒍村 井盖"
        records.append(record)
    write_csv(folder / "a.csv", records[: ROWS // 2], "gb18030")
    write_csv(folder / "b.csv", records[ROWS // 2 :])
    shapes = []
    for n in range(800):
        x, y = CENTRE[0] + n * 2e-4, CENTRE[1]
        ring = [(x, y), (x + 1e-4, y), (x, y + 1e-4), (x + 1e-4, y + 1e-4)]  # a bow tie
        shapes.append(
            shapely.Polygon(ring) if n % 7 == 0 else shapely.box(x, y, x + 1e-4, y + 1e-4)
        )
    shapes[5] = None
    table = gpd.GeoDataFrame({"no": [f"B{n:05}" for n in range(800)]}, geometry=shapes, crs=4490)
    table.to_file(folder / "buildings.gpkg", driver="GPKG")
    points = component_load(files=[{"path": "a.csv"}, {"path": "b.csv"}], coordsys="gcj02")
    return [
        {**points, "accept_accuracy": WAIVER},
        {
            "layer": "building", "files": ["buildings.gpkg"], "id": "no", "mode": "full",
            "coordsys": "cgcs2000", "answers": {"datum": "合成"},
        },
    ]  # fmt: skip


def delivered(
    folder: Path, dsn: str, loads: list[dict[str, Any]], checks: Checks
) -> tuple[LoadReport, ...]:
    document = {
        "delivery": "test/spread", "bureau": "城市管理和综合执法局", "city": "meizhou",
        "synthetic": True, "loads": loads,
    }  # fmt: skip
    path = folder / "delivery.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    return run_delivery(load_delivery(path), dsn, checks=checks)


def told(reports: tuple[LoadReport, ...]) -> list[dict[str, Any]]:
    """The reports but for clock and run number."""
    out = []
    for report in reports:
        record = report.to_json()
        kept = {
            k: v for k, v in record.items() if k not in ("run", "started_at", "seconds", "rate")
        }
        kept["sentence"] = str(kept.get("sentence", "")).replace(f" {report.run}", "")
        out.append(kept)
    return out


def stored(dsn: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows in the order that they were given numbers, and all rejects in theirs."""
    with psycopg.connect(dsn) as connection:
        found = {}
        for layer in ("component", "building"):
            columns = [
                row[0]
                for row in connection.execute(
                    "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
                    " AND NOT attisdropped ORDER BY attnum",
                    [f"layer.{layer}"],
                )
                if row[0] != "run"
            ]
            listed = psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, columns))
            query = psycopg.sql.SQL("SELECT {} FROM {} ORDER BY fid").format(
                listed, psycopg.sql.Identifier("layer", layer)
            )
            found[layer] = connection.execute(query).fetchall()
        found["rejects"] = connection.execute(
            "SELECT file, source_row, id, rule, reason, severity, record::text, ST_AsText(geom)"
            " FROM catalog.reject ORDER BY ctid"
        ).fetchall()
    return found


def test_rows_rejects_and_report_are_those_of_one_process(
    make_database: MakeDatabase, tmp_path: Path, two: Checks
) -> None:
    loads = mixed(tmp_path)
    outcomes = []
    for name, checks in (("alone", InTurn()), ("spread", two)):
        dsn = make_database(name)
        apply_layers(dsn, *LAYERS)
        reports = delivered(tmp_path, dsn, loads, checks)
        assert all(report.good for report in reports), [r.reason for r in reports]
        outcomes.append((told(reports), stored(dsn)))
        again = delivered(tmp_path, dsn, loads, checks)
        assert all(report.good for report in again), [r.reason for r in again]
        assert [r.counts["unchanged"] for r in again] == [
            r.counts["inserted"] for r in reports
        ]  # fmt: skip
    (alone, rows), (shared, same) = outcomes
    assert len(rows["component"]) > 2_300
    assert len(rows["building"]) > 500
    assert len({row[3] for row in rows["rejects"]}) >= 5, "rules of several kinds"
    assert same["rejects"] == rows["rejects"]
    assert same["component"] == rows["component"]
    assert same["building"] == rows["building"]
    assert shared == alone


def test_a_file_that_breaks_off_fails_alike(
    make_database: MakeDatabase, tmp_path: Path, two: Checks
) -> None:
    write_csv(tmp_path / "components.csv", [component(n, GLBJZT="坏") for n in range(2_000)])
    with (tmp_path / "components.csv").open("ab") as file:
        file.write(b"\xff\xfe\xff broken,,,\n" * 3)
    outcomes = []
    for name, checks in (("alone", InTurn()), ("spread", two)):
        dsn = make_database(name)
        apply_layers(dsn, *LAYERS)
        load = component_load(files=[{"path": "components.csv", "encoding": "utf-8"}])
        outcomes.append((told(delivered(tmp_path, dsn, [load], checks)), stored(dsn)))
    assert outcomes[0][0][0]["status"] == "failed"
    assert outcomes[0] == outcomes[1]


class Killing:
    """Checks that end a worker process with SIGKILL while slices are under way."""

    def __init__(self, checks: Checks, after: int, process: int | None = None) -> None:
        self.checks, self.after, self.process = checks, after, process

    def run(self, *asked: Any) -> Iterator[Any]:
        for n, checked in enumerate(self.checks.run(*asked)):
            if n == self.after:
                workers = self.checks.client.run(os.getpid)  # type: ignore[attr-defined]
                os.kill(self.process or next(iter(workers.values())), signal.SIGKILL)
            yield checked


def test_a_worker_that_is_killed_changes_nothing_in_the_result(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    """Its slices, which Dask cannot make again, go to another or to the one in its place."""
    loads = mixed(tmp_path)
    outcomes = []
    with spread(workers=2) as two:
        for name, checks in (("alone", InTurn()), ("killed", Killing(two, 3))):
            dsn = make_database(name)
            apply_layers(dsn, *LAYERS)
            reports = delivered(tmp_path, dsn, loads, checks)
            assert all(report.good for report in reports), [r.reason for r in reports]
            outcomes.append((told(reports), stored(dsn)))
    assert outcomes[0] == outcomes[1]


def test_no_worker_left_leaves_the_layer_as_it_was_and_says_so(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody starts a worker of a far cluster again: the run must not wait for ever."""
    monkeypatch.setattr(spreading, "WORKERLESS", 3)
    write_csv(tmp_path / "components.csv", [component(n) for n in range(2_500)])
    apply_layers(database, *LAYERS)
    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=0, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny",
                   "--no-dashboard", "--nthreads", "1"]  # fmt: skip
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as worker:
            try:
                with Client(address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
                    client.wait_for_workers(1, timeout=60)
                with spread(scheduler=address) as far:
                    killing = Killing(far, 2, worker.pid)
                    (report,) = delivered(tmp_path, database, [component_load()], killing)
            finally:
                worker.kill()
    assert report.status is Status.FAILED
    assert "没有 Dask 工作进程" in str(report.reason)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM layer.component").fetchone() == (0,)


def test_a_scheduler_elsewhere(database: str, tmp_path: Path, two: Checks) -> None:
    apply_layers(database, *LAYERS)
    write_csv(tmp_path / "components.csv", [component(n) for n in range(600)])
    address = two.client.scheduler.address  # type: ignore[attr-defined]
    with spread(scheduler=address) as checks:
        (report,) = delivered(tmp_path, database, [component_load()], checks)
    assert report.counts["inserted"] == 600


def test_workers_with_another_program_are_refused(
    two: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their rows might not be the ones that this program would make."""
    ours = spreading.code_digest()
    monkeypatch.setattr(spreading, "code_digest", lambda: f"another than {ours}")
    address = two.client.scheduler.address  # type: ignore[attr-defined]
    with pytest.raises(SpreadFailed, match="another version"), spread(scheduler=address):
        pass


def test_a_scheduler_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "FAR_TIMEOUT", 1)
    with (
        pytest.raises(SpreadFailed, match="does not answer"),
        spread(scheduler="tcp://127.0.0.1:9"),
    ):
        pass


def test_the_command_with_workers(database: str, tmp_path: Path) -> None:
    apply_layers(database, *LAYERS)
    write_csv(tmp_path / "components.csv", [component(n) for n in range(40)])
    document = {
        "delivery": "test/command", "bureau": "城市管理和综合执法局", "city": "meizhou",
        "synthetic": True, "loads": [component_load()],
    }  # fmt: skip
    path = tmp_path / "delivery.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    assert app is not None
    done = subprocess.run(
        [sys.executable, "-m", "geoserver_py.cli", "etl", "run", str(path), "--workers", "2"],
        env={"PATH": "/usr/bin:/bin", "GEOSERVER_PY_DATABASE_URL": database, "LANG": "C.UTF-8"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "40" in done.stdout
