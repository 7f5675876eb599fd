"""Uploads are bounded: a task by its time, tasks at once, a bureau by its disk, files by age."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from geoserver_py.deliveries import upkeep
from geoserver_py.deliveries.intake import FORMS_AT_ONCE
from geoserver_py.deliveries.work import AT_ONCE, LAYER_CLASS, LOOK_CLASS
from geoserver_py.settings import Settings
from tests.conftest import MakeDatabase
from tests.service.desk import Desk, open_desk, packed, stated, table


@pytest.fixture(scope="module")
def desk(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("uploads")
    limits: dict[str, Any] = {
        "upload_look_seconds": 4,
        "upload_run_seconds": 4,
        "upload_quota_mb": 6,
    }
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


def test_only_some_uploads_are_looked_into_and_some_forms_made_at_a_time(desk: Desk) -> None:
    done = desk.send(packed({"部件.csv": table(11), "delivery.yaml": stated("城管局/表")}))
    assert desk.settled(done)["state"] == "done"
    form = f"/deliveries/{done}/report?f=xlsx"
    with psycopg.connect(desk.dsn, autocommit=True) as taken, contextlib.ExitStack() as held:
        for slot in range(AT_ONCE):
            taken.execute("SELECT pg_advisory_lock(%s, %s)", [LOOK_CLASS, slot])
        number = desk.send(packed({"部件.csv": table(12)}))
        (desk.home / "runs").mkdir(exist_ok=True)
        for slot in range(FORMS_AT_ONCE):
            file = held.enter_context((desk.home / "runs" / f".slot{slot}").open("ab"))
            fcntl.flock(file, fcntl.LOCK_EX)
        with desk.client(desk.key) as client:
            busy = client.get(form)
            assert (busy.status_code, busy.headers["retry-after"]) == (503, "10")
            # all slots taken for FORM_WAIT_SECONDS, which is longer than a look takes
            assert client.get(f"/deliveries/{number}").json()["state"] == "received"
    with desk.client(desk.key) as client:
        assert client.get(form).status_code == 200
    assert desk.settled(number)["state"] == "waiting"


def _big(n: int, size: int) -> bytes:
    return packed({"部件.csv": table(n), "附件.pdf": random.Random(n).randbytes(size)})


def test_a_bureau_has_its_share_of_the_disk_until_old_files_go(desk: Desk) -> None:
    """Files and made forms go once they are old; state and report stay; then there is room."""
    made = packed({"部件.csv": table(21), "delivery.yaml": stated("城管局/旧")})
    old = desk.send(made)
    assert desk.settled(old)["state"] == "done"
    first = desk.send(_big(22, 3_000_000))
    assert desk.settled(first)["state"] == "waiting"
    wide = desk.settled(desk.send(packed({"部件.csv": table(23), "a.md": b"\0" * 9_000_000})))
    assert (wide["state"], "限额" in wide["message"]) == ("refused", True)
    with desk.client(desk.key) as client:
        assert client.get(f"/deliveries/{old}/report?f=xlsx").status_code == 200
        told = client.post("/deliveries?name=b.zip", content=_big(24, 3_900_000))
        assert (told.status_code, told.json()["status"]) == (413, 413)
        assert "限额 6 MB" in told.text
        body = _big(25, 3_900_000)
        pieces = (body[start : start + 2**18] for start in range(0, len(body), 2**18))
        assert client.post("/deliveries?name=b.zip", content=pieces).status_code == 413
    with desk.client(desk.other) as client:
        other = client.post("/deliveries?name=b.zip", content=_big(24, 3_900_000)).json()["id"]
    desk.settled(other, desk.other)
    with psycopg.connect(desk.dsn) as connection:
        connection.execute(
            "UPDATE catalog.upload SET updated_at = updated_at - interval '31 days'"
            " WHERE id = ANY (%s)",
            [[old, first]],
        )
    for path in (desk.home / "runs").glob("*.xlsx"):
        os.utime(path, (0, 0))
    said = subprocess.run(
        [sys.executable, "-m", "geoserver_py.cli", "uploads", "prune", "--json"],
        env={**os.environ, "GEOSERVER_PY_DATABASE_URL": desk.dsn,
             "GEOSERVER_PY_UPLOAD_DIR": str(desk.home)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    swept = json.loads(said.stdout)
    assert swept["uploads"] == [old, first]
    assert swept["forms"] >= 1
    assert not (desk.home / str(first)).exists()
    assert (desk.home / str(other)).exists()
    with desk.client(desk.key) as client:
        kept = client.get(f"/deliveries/{old}").json()
        assert (kept["state"], kept["reports"][0]["counts"]["inserted"]) == ("done", 1)
        assert client.get(f"/deliveries/{old}/report?f=docx").status_code == 200
        gone = client.post(f"/deliveries/{first}/statement", json={})
        assert gone.status_code in (400, 410)
        assert client.post("/deliveries?name=b.zip", content=_big(24, 2_000_000)).status_code == 202


def test_the_service_sweeps_by_itself(desk: Desk) -> None:
    number = desk.send(packed({"部件.csv": table(31)}), key=desk.other)
    desk.settled(number, desk.other)
    settings = Settings(database_url=desk.dsn, upload_dir=desk.home, upload_keep_days=0)

    async def a_moment() -> None:
        task = asyncio.create_task(upkeep.follow(settings, first_seconds=0))
        deadline = time.monotonic() + 20
        while (desk.home / str(number)).exists() and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        task.cancel()

    asyncio.run(a_moment())
    assert not (desk.home / str(number)).exists()


def test_what_a_bureau_sends_in_a_day_is_bounded_whatever_was_pruned(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    """Bytes and number, of all keys of the bureau; another bureau is not held up."""
    limits: dict[str, Any] = {"upload_day_mb": 5, "upload_day_count": 3}
    with open_desk(make_database("day"), tmp_path / "uploads", **limits) as desk:
        first = desk.send(_big(41, 3_000_000))
        desk.settled(first)
        shutil.rmtree(desk.home / str(first))
        with desk.client(desk.key) as client:
            told = client.post("/deliveries?name=b.zip", content=_big(42, 3_000_000))
            assert (told.status_code, "限 5 MB" in told.text) == (429, True)
            assert 0 < int(told.headers["retry-after"]) <= 86_400
            assert len(client.get("/deliveries").json()["uploads"]) == 1
        for n in (43, 44):
            desk.settled(desk.send(_big(n, 1000)))
        with desk.client(desk.key) as client:
            told = client.post("/deliveries?name=b.zip", content=_big(45, 1000))
            assert (told.status_code, "限 3 次" in told.text) == (429, True)
        other = desk.send(_big(46, 1000), key=desk.other)
        desk.settled(other, desk.other)
        with psycopg.connect(desk.dsn) as connection:
            connection.execute(
                "UPDATE catalog.upload SET created_at = created_at - interval '1 day'"
                " WHERE id = %s",
                [first],
            )
        desk.settled(desk.send(_big(47, 3_000_000)))


def test_uploads_that_arrive_together_share_the_room_of_their_bureau(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    """Both begin while there is room for either; one stays, or none."""
    home = tmp_path / "uploads"
    with open_desk(make_database("together"), home, upload_quota_mb=6) as desk:
        begun = threading.Barrier(2, timeout=30)

        def send(n: int) -> int:
            body = _big(n, 4_000_000)

            def pieces() -> Iterator[bytes]:
                yield body[:1000]
                begun.wait()  # both were measured and found to fit before either goes on
                time.sleep(0.5)
                for start in range(1000, len(body), 2**18):
                    yield body[start : start + 2**18]

            with desk.client(desk.key) as client:
                return client.post("/deliveries?name=b.zip", content=pieces()).status_code

        with ThreadPoolExecutor(2) as pool:
            codes = sorted(pool.map(send, (51, 52)))
        assert codes in ([202, 413], [413, 413])
        on_disk = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
        assert on_disk < 6 * 2**20


def test_room_is_measured_while_uploads_come_and_go(tmp_path: Path) -> None:
    stop = threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            deep = tmp_path / "1" / "a" / "b"
            deep.mkdir(parents=True)
            (deep / "part").write_bytes(b"x" * 100)
            shutil.rmtree(tmp_path / "1")

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(come_and_go)
        try:
            assert {upkeep.used_bytes(tmp_path, [1]) for _ in range(3000)} <= {0, 100}
        finally:
            stop.set()
        other.result()
