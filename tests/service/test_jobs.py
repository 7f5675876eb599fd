"""geocode-batch as a job: its result is that of POST /geocode/batch, and its key's alone."""

from __future__ import annotations

import base64
import csv
import io
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import openpyxl
import psycopg
import pytest
from owslib.ogcapi.processes import Processes

from geoserver_py.jobs import store
from geoserver_py.jobs.store import LOCK_CLASS
from geoserver_py.settings import Settings
from geoserver_py.tables import CSV_TYPE, XLSX_TYPE
from tests.conftest import MakeDatabase
from tests.gazetteer import city
from tests.service.desk import Desk, open_desk

EXECUTION = "/processes/geocode-batch/execution"
TEXTS = [
    "梅江区江南街道嘉应中路12号", "嘉应中路7号", "黄坑村", "", "五家畲村", "人民路8号",
    "广州市天河区体育西路1号",
    "嘉应中路与剑英大道交叉口", "116.1234, 24.2876", "=1+1", "没有这个地方",
]  # fmt: skip
HEADING = ("编号", "地址", "备注")
ROWS = [(f"{n:03}", text, "丙，丁") for n, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def desk(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("jobs")
    dsn = make_database("jobs")
    with open_desk(dsn, home, job_dir=home / "jobs", job_max_mb=2) as opened:
        city.load(dsn)
        _until(lambda: _found(opened, "嘉应中路12号"))
        yield opened


def _found(desk: Desk, text: str) -> bool:
    with desk.client() as client:
        return bool(client.get("/geocode", params={"q": text}).json()["features"])


def _until(met: Any, patience: float = 30) -> None:
    deadline = time.monotonic() + patience
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _csv(rows: Sequence[tuple[str, ...]], encoding: str = "utf-8-sig") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([HEADING, *rows])
    return text.getvalue().encode(encoding)


def _xlsx(rows: Sequence[tuple[str, ...]]) -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in [HEADING, *rows]:
        book.active.append([f"'{v}" if v.startswith("=") else v for v in row])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _many(count: int) -> bytes:
    """Texts that are all different, which takes some seconds."""
    return _csv([(str(n), f"梅江区某村{n}组嘉应中路旁边{n}米", "") for n in range(count)])


def _ended(client: httpx.Client, href: str, patience: float = 60) -> dict[str, Any]:
    deadline = time.monotonic() + patience
    while True:
        found: dict[str, Any] = client.get(href).raise_for_status().json()
        if found["status"] not in ("accepted", "running"):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def _done(client: httpx.Client, content: bytes, media: str, **query: str) -> dict[str, Any]:
    headers = {"Content-Type": media}
    answer = client.post(EXECUTION, content=content, headers=headers, params=query)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert answer.json()["status"] in ("accepted", "running", "successful")
    return _ended(client, answer.headers["Location"])


@pytest.mark.parametrize(("encoding", "coordsys"), [("utf-8", "cgcs2000"), ("gb18030", "gcj02")])
def test_a_csv_comes_back_byte_for_byte_as_from_the_route(
    desk: Desk, encoding: str, coordsys: str
) -> None:
    content, query = _csv(ROWS, encoding), {"coordsys_out": coordsys}
    with desk.client(desk.reader) as client:
        job = _done(client, content, CSV_TYPE, **query)
        assert (job["status"], job["progress"]) == ("successful", 100), job
        assert job["rows"] == {"done": len(ROWS), "total": len(ROWS)}
        assert job["created"] <= job["started"] <= job["finished"]
        results = client.get(f"/jobs/{job['jobID']}/results").json()
        made = client.get(results["table"]["href"])
        headers = {"Content-Type": CSV_TYPE}
        direct = client.post("/geocode/batch", content=content, headers=headers, params=query)
    assert made.headers["content-type"].startswith(CSV_TYPE)
    assert made.content == direct.content
    rows = list(csv.DictReader(io.StringIO(made.content.decode("utf-8-sig"), newline="")))
    assert [row["地址"] for row in rows] == TEXTS
    assert rows[0]["level"] == "门牌号"
    assert rows[0]["coordsys"] == coordsys


def test_a_workbook_comes_back_as_from_the_route(desk: Desk) -> None:
    content = _xlsx(ROWS)
    with desk.client(desk.reader) as client:
        job = _done(client, content, XLSX_TYPE)
        made = client.get(f"/jobs/{job['jobID']}/results/table")
        headers = {"Content-Type": XLSX_TYPE}
        direct = client.post("/geocode/batch", content=content, headers=headers)
    assert made.headers["content-type"] == XLSX_TYPE

    def cells(of: bytes) -> list[tuple[Any, ...]]:
        sheet = openpyxl.load_workbook(io.BytesIO(of)).worksheets[0]
        return list(sheet.iter_rows(values_only=True))

    assert cells(made.content) == cells(direct.content)
    assert len(cells(made.content)) == len(ROWS) + 1


def test_owslib_finds_the_process_and_runs_it(desk: Desk) -> None:
    """A client that knows the standard alone, with the table inside the request."""
    processes = Processes(desk.url, headers={"X-API-Key": desk.key})
    assert "geocode-batch" in {p["id"] for p in processes.processes()}
    described = processes.process("geocode-batch")
    assert described["jobControlOptions"] == ["async-execute", "dismiss"]
    assert set(described["inputs"]) == {"table", "column", "coordsys_out"}
    qualified = {
        "value": base64.b64encode(_csv(ROWS, "gb18030")).decode(),
        "encoding": "base64", "mediaType": CSV_TYPE,
    }  # fmt: skip
    for table in ("编号,地址\r\n1,嘉应中路7号\r\n", qualified):
        started = processes.execute("geocode-batch", inputs={"table": table, "column": "地址"})
        with desk.client(desk.key) as client:
            assert _ended(client, f"/jobs/{started['jobID']}")["status"] == "successful"
            made = client.get(f"/jobs/{started['jobID']}/results/table").text
        assert "嘉应中路" in made


def test_a_job_is_there_for_its_key_alone(desk: Desk) -> None:
    with desk.client(desk.key) as client:
        job = _done(client, _csv(ROWS), CSV_TYPE)
        own = f"/jobs/{job['jobID']}"
        assert job["jobID"] in {j["jobID"] for j in client.get("/jobs").json()["jobs"]}
    for key in (desk.other, desk.admin, desk.reader):
        with desk.client(key) as client:
            assert job["jobID"] not in {j["jobID"] for j in client.get("/jobs").json()["jobs"]}
            for path in (own, f"{own}/results", f"{own}/results/table"):
                refused, absent = client.get(path), client.get(path.replace(own, "/jobs/999999"))
                assert refused.status_code == absent.status_code == 404
                assert refused.json() == absent.json()
                assert refused.json()["type"].endswith("ogcapi-processes-1/1.0/no-such-job")
            assert client.delete(own).status_code == 404
    with desk.client() as client:
        assert client.get("/jobs").json()["jobs"] == []
        assert client.get(own).status_code == 401
        assert client.post(EXECUTION, json={"inputs": {"table": "地址\n1"}}).status_code == 401
    with desk.client(desk.key) as client:
        assert client.get(f"{own}/results").status_code == 200


def test_a_running_job_is_dismissed_and_its_process_ends(desk: Desk) -> None:
    with desk.client(desk.key) as client:
        headers = {"Content-Type": CSV_TYPE}
        started = client.post(EXECUTION, content=_many(30_000), headers=headers).json()
        own = f"/jobs/{started['jobID']}"
        _until(lambda: client.get(own).json()["status"] == "running")
        early = client.get(f"{own}/results")
        assert early.status_code == 404
        assert early.json()["type"].endswith("/result-not-ready")
        assert client.delete(own).json()["status"] == "dismissed"
        _until(lambda: not _held(desk, int(started["jobID"])))
        assert client.get(own).json()["status"] == "dismissed"
        assert client.get(f"{own}/results").status_code == 410
        assert client.delete(own).status_code == 410
    assert not (desk.home / "jobs" / started["jobID"]).exists()


def test_a_process_that_was_killed_leaves_a_job_that_failed(desk: Desk) -> None:
    with desk.client(desk.key) as client:
        headers = {"Content-Type": CSV_TYPE}
        started = client.post(EXECUTION, content=_many(30_000), headers=headers).json()
        own, number = f"/jobs/{started['jobID']}", int(started["jobID"])
        _until(lambda: client.get(own).json()["status"] == "running")
        os.kill(_process_of(number), signal.SIGKILL)
        _until(lambda: not _held(desk, number))
        with psycopg.connect(desk.dsn) as connection:  # instead of the half minute of grace
            connection.execute(
                "UPDATE catalog.process_job SET updated_at = updated_at - interval '1 minute'"
                " WHERE id = %s",
                [number],
            )
        found = client.get(own).json()
        assert (found["status"], "中断" in found["message"]) == ("failed", True)
        assert client.get(f"{own}/results").status_code == 400


def _process_of(job: int) -> int:
    found = subprocess.run(
        ["pgrep", "-f", f"geoserver_py.jobs.worker {job}$"],
        capture_output=True,
        check=True,
        text=True,
    )
    return int(found.stdout.split()[0])


def _held(desk: Desk, job: int) -> bool:
    with psycopg.connect(desk.dsn) as connection:
        found = connection.execute(
            "SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = %s::bigint::oid"
            " AND objid = %s::bigint::oid AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())",
            [LOCK_CLASS, job],
        )
        return found.fetchone() is not None


def test_a_key_has_three_jobs_under_way_at_most(desk: Desk) -> None:
    headers = {"Content-Type": CSV_TYPE}
    with desk.client(desk.other) as client:
        started = [client.post(EXECUTION, content=_many(30_000), headers=headers) for _ in range(4)]
        assert [answer.status_code for answer in started] == [201, 201, 201, 429]
        assert started[3].headers["Retry-After"]
        for answer in started[:3]:
            assert client.delete(answer.headers["Location"]).json()["status"] == "dismissed"


@pytest.mark.parametrize(
    ("content", "media", "words"),
    [
        (_csv(ROWS).replace("地址".encode(), "住所".encode()), CSV_TYPE, "没有地址列"),
        (b"PK not a workbook", XLSX_TYPE, "不是可读的 xlsx"),
        (b"\xff\xfe\xff\xff", CSV_TYPE, "编码"),
    ],
)
def test_a_table_that_cannot_be_used_fails_with_a_sentence(
    desk: Desk, content: bytes, media: str, words: str
) -> None:
    with desk.client(desk.key) as client:
        job = _done(client, content, media)
        assert job["status"] == "failed"
        assert words in job["message"]
        refused = client.get(f"/jobs/{job['jobID']}/results/table")
        assert refused.status_code == 400
        assert words in refused.json()["detail"]


@pytest.mark.parametrize(
    ("inputs", "status"),
    [
        ({}, 400),
        ({"table": 7}, 400),
        ({"table": ""}, 400),
        ({"table": {"href": "http://127.0.0.1/secret"}}, 400),
        ({"table": {"value": "?", "encoding": "base64"}}, 400),
        ({"table": {"value": "a,b", "mediaType": "text/html"}}, 400),
        ({"table": "地址\n1", "coordsys_out": "mars"}, 400),
        ({"table": "地址\n1", "column": 3}, 400),
        ({"table": "地址\n1", "more": 3}, 400),
    ],
)
def test_what_is_asked_wrongly_is_refused_at_once(
    desk: Desk, inputs: dict[str, Any], status: int
) -> None:
    with desk.client(desk.key) as client:
        before = len(client.get("/jobs").json()["jobs"])
        answer = client.post(EXECUTION, json={"inputs": inputs})
        assert answer.status_code == status, answer.text
        assert len(client.get("/jobs").json()["jobs"]) == before


def test_a_table_above_the_limit_is_refused_and_leaves_nothing(desk: Desk) -> None:
    with desk.client(desk.key) as client:
        before = client.get("/jobs").json()["jobs"]
        headers = {"Content-Type": CSV_TYPE}
        answer = client.post(EXECUTION, content=b"x" * (3 * 2**20), headers=headers)
        assert answer.status_code == 413
        assert client.get("/jobs").json()["jobs"] == before


def test_jobs_and_their_files_go_after_their_days(desk: Desk) -> None:
    with desk.client(desk.reader) as client:
        young = int(_done(client, _csv(ROWS), CSV_TYPE)["jobID"])
        old = min(int(j["jobID"]) for j in client.get("/jobs").json()["jobs"])
        assert (desk.home / "jobs" / str(old)).exists()
        with psycopg.connect(desk.dsn) as connection:
            connection.execute(
                "UPDATE catalog.process_job SET updated_at = updated_at - interval '8 days'"
                " WHERE id = %s",
                [old],
            )
        store.sweep(Settings(database_url=desk.dsn, job_dir=desk.home / "jobs"))
        listed = {int(j["jobID"]) for j in client.get("/jobs").json()["jobs"]}
        assert old not in listed
        assert young in listed
    assert not (desk.home / "jobs" / str(old)).exists()
    assert (desk.home / "jobs" / str(young) / "result").exists()
