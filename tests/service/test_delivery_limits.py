"""Uploads are bounded: a task by its time, tasks at once, a bureau by its disk, files by age."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from geoserver_py.deliveries.work import LAYER_CLASS
from tests.conftest import MakeDatabase
from tests.service.desk import Desk, open_desk, packed, stated, table


@pytest.fixture(scope="module")
def desk(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("uploads")
    limits: dict[str, Any] = {"upload_look_seconds": 4, "upload_run_seconds": 4}
    with open_desk(make_database("limits"), home, **limits) as opened:
        yield opened


def _locks(desk: Desk) -> list[int]:
    with psycopg.connect(desk.dsn) as connection:
        found = connection.execute(
            "SELECT classid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ).fetchall()
    return [int(row[0]) for row in found]


def test_a_run_that_hangs_is_ended_gives_its_locks_back_and_starts_again(desk: Desk) -> None:
    with psycopg.connect(desk.dsn) as blocker:
        blocker.execute("LOCK TABLE layer.component IN ACCESS EXCLUSIVE MODE")
        made = {"部件.csv": table(1), "delivery.yaml": stated("城管局/慢")}
        number = desk.send(packed(made))
        ended = desk.settled(number, patience=40)
        assert (ended["state"], "超过时限" in ended["message"]) == ("failed", True)
        assert LAYER_CLASS not in _locks(desk)
    with desk.client(desk.key) as client:
        assert client.post(f"/deliveries/{number}/restart").status_code == 202
    assert desk.settled(number)["state"] == "done"
    with desk.client(desk.key) as client:
        assert client.post(f"/deliveries/{number}/restart").status_code == 409


def test_a_look_that_hangs_is_ended_and_starts_again(desk: Desk) -> None:
    with psycopg.connect(desk.dsn) as blocker:
        blocker.execute("LOCK TABLE catalog.datum_step IN ACCESS EXCLUSIVE MODE")
        number = desk.send(packed({"部件.csv": table(2)}))
        ended = desk.settled(number, patience=40)
        assert (ended["state"], "超过时限" in ended["message"]) == ("failed", True)
    with desk.client(desk.key) as client:
        assert client.post(f"/deliveries/{number}/restart").status_code == 202
    assert desk.settled(number)["state"] == "waiting"


_DRIVERS = """
import os, sys
from geoserver_py.deliveries import limits
if len(sys.argv) > 1:  # as if a later GDAL had brought the drivers that are known and skipped
    limits.GDAL_ENVIRONMENT = {**limits.GDAL_ENVIRONMENT, "GDAL_SKIP": ""}
limits.allow_known_drivers((sys.executable, "-c", sys.orig_argv[2], *sys.argv[1:]))
import pyogrio
there = set(pyogrio.list_drivers())
print(sorted(there - limits.ALLOWED_DRIVERS), "GPKG" in there)
"""


@pytest.mark.parametrize("later", [[], ["later"]])
def test_only_drivers_that_were_looked_at_open_an_upload(later: list[str]) -> None:
    """Drivers that a new GDAL brings are left out, too."""
    environment = {name: value for name, value in os.environ.items() if name != "GDAL_SKIP"}
    said = subprocess.run(
        [sys.executable, "-c", _DRIVERS, *later],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.strip() == "[] True", said
    assert ("OGR_VRT" in said.stderr.partition("not allowed")[2]) is bool(later)
