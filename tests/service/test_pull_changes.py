"""A neighbouring city pulls from this service what changed: `datetime` on the field of the edit."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from etl.delivery import load_delivery
from etl.readers import ReadError, ReadOptions
from etl.readers.pull import Pull
from etl.readers.service import open_pull
from etl.report import LoadReport, Status
from etl.run import run_delivery
from geoserver_py.services import POLL_SECONDS
from layers.definition import parse_definition
from layers.schema import apply
from tests.conftest import MakeDatabase
from tests.service.conftest import free_port, wait_until_ready

LONG_AGO = dt.datetime(2026, 1, 1, 8, tzinfo=dt.timezone(dt.timedelta(hours=8)))
LAMPS = 1_500
"""More than one page of the reader."""
LAMP = parse_definition(
    {
        "name": "t_lamp",
        "title": {"zh": "试验路灯", "en": "Test lamps"},
        "theme": "试验",
        "bureau": "试验局",
        "geometry": "Point",
        "access": "public",
        "time_field": "edited",
        "fields": [
            {"name": "state", "type": "text", "title": {"zh": "状态", "en": "State"}},
            {"name": "note", "type": "text", "title": {"zh": "备注", "en": "Note"}},
            {"name": "edited", "type": "timestamp", "title": {"zh": "修改时间", "en": "Edited"}},
            {"name": "seen", "type": "timestamp", "title": {"zh": "巡查", "en": "Seen"}},
        ],
    }
)


def run(folder: Path, dsn: str, name: str, load: dict[str, Any]) -> LoadReport:
    document = {
        "delivery": f"test/{name}", "bureau": "试验局", "city": "meizhou", "synthetic": True,
        "loads": [{"layer": LAMP.name, "id": "id", **load}],
    }  # fmt: skip
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    (report,) = run_delivery(load_delivery(path), dsn, definitions={LAMP.name: LAMP})
    return report


@dataclass
class Lamps:
    """The neighbours' lamps, which they deliver to their own service."""

    folder: Path
    dsn: str
    url: str
    rows: dict[str, list[str]]

    def deliver(self) -> LoadReport:
        lines = ["id,lon,lat,state,note,edited,seen"]
        lines += [",".join([ident, *row]) for ident, row in self.rows.items()]
        (self.folder / "lamps.csv").write_text("\n".join(lines) + "\n", "utf-8")
        load = {
            "files": ["lamps.csv"], "coordsys": "cgcs2000", "mode": "full",
            "columns": {"lon": "lon", "lat": "lat"}, "answers": {"datum": "合成"},
        }  # fmt: skip
        return run(self.folder, self.dsn, "theirs", load)


@pytest.fixture
def lamps(make_database: MakeDatabase, tmp_path: Path) -> Iterator[Lamps]:
    dsn = make_database("theirs")
    with psycopg.connect(dsn) as connection:
        apply(connection, [LAMP])
    rows = {
        f"L{n:05}": [
            f"{116.1 + n * 1e-5:.7f}", "24.3", "完好", "", LONG_AGO.isoformat(), ""
        ]
        for n in range(LAMPS)
    }  # fmt: skip
    port = free_port()
    theirs = Lamps(tmp_path, dsn, f"http://127.0.0.1:{port}", rows)
    assert theirs.deliver().good
    with subprocess.Popen(
        [sys.executable, "-m", "geoserver_py.cli", "serve", "--port", str(port)],
        env={**os.environ, "GEOSERVER_PY_DATABASE_URL": dsn},
    ) as process:
        try:
            wait_until_ready(theirs.url, process)
            yield theirs
        finally:
            process.terminate()


def stored(dsn: str) -> dict[str, tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT id, state, edited, ST_X(geom), ST_Y(geom) FROM layer.t_lamp"
        ).fetchall()
    return {ident: tuple(rest) for ident, *rest in found}


def test_three_changed_one_deleted(
    lamps: Lamps, make_database: MakeDatabase, tmp_path: Path
) -> None:
    ours = make_database("ours")
    with psycopg.connect(ours) as connection:
        apply(connection, [LAMP])
    service = {"url": f"oapif+{lamps.url}", "layer": LAMP.name, "crs": "EPSG:4490"}
    changes = {
        "mode": "append",
        "files": [{**service, "since": "last run", "since_column": "edited"}],
    }

    first = run(tmp_path, ours, "ours", changes)
    assert first.counts.get("inserted") == LAMPS, first.reason
    assert "首次取数" in first.files[0].notes[-1]
    assert stored(ours) == stored(lamps.dsn)

    nothing = run(tmp_path, ours, "ours", changes)
    assert (nothing.status, nothing.counts["read"]) == (Status.UNCHANGED, 0), nothing.reason

    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    for ident in ("L00003", "L00700", "L01499"):
        lamps.rows[ident][2], lamps.rows[ident][4] = "破损", now
    del lamps.rows["L00009"]
    theirs = lamps.deliver()
    time.sleep(4 * POLL_SECONDS)  # until the service counts what it serves anew
    assert (theirs.counts["updated"], theirs.counts["deleted"]) == (3, 1)

    changed = run(tmp_path, ours, "ours", changes)
    assert changed.status is Status.SUCCEEDED, changed.reason
    assert (changed.counts["read"], changed.counts["updated"]) == (3, 3)
    # what a pull of changes cannot see it says
    assert "已删除的要素取不到" in changed.files[0].notes[-1]
    there = stored(lamps.dsn)
    assert {i: row for i, row in stored(ours).items() if i != "L00009"} == there
    assert "L00009" in stored(ours)

    whole = run(tmp_path, ours, "ours", {"mode": "full", "files": [service]})
    assert (whole.counts["read"], whole.counts["deleted"]) == (LAMPS - 1, 1), whole.reason
    assert stored(ours) == there


def test_a_time_that_datetime_does_not_compare_is_refused(lamps: Lamps) -> None:
    """`seen` is a time, too, but `datetime` is `edited` by the schema: rows would be lost."""
    for column in ("seen", "state", "absent", None):
        pull = Pull(f"oapif+{lamps.url}", since=LONG_AGO, since_column=column)
        with pytest.raises(ReadError, match="cannot tell what changed"):
            open_pull(pull, ReadOptions(layer=LAMP.name))
