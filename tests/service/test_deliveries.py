"""Uploads: a bureau delivers, is told what is wrong, corrects and delivers again; and no more."""

from __future__ import annotations

import io
import json
import stat
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docx
import httpx
import openpyxl
import psycopg
import pytest

from etl.delivery import DeliveryError, load_delivery
from geoserver_py.deliveries import store
from geoserver_py.deliveries.arrival import MOST_UNDER_WAY
from geoserver_py.deliveries.guard import NotAllowed, check_delivery
from geoserver_py.deliveries.work import LAYER_CLASS
from layers.access import AccessClass, Principal, Right
from layers.definition import load_definitions
from layers.keys import add_key, revoke_key
from tests.conftest import MakeDatabase
from tests.service.desk import BUREAU, LIMIT_MB, Desk, open_desk, packed, stated, table


@pytest.fixture(scope="module")
def desk(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with open_desk(make_database("desk"), tmp_path_factory.mktemp("uploads")) as opened:
        yield opened


def components(desk: Desk, *numbers: int) -> int:
    with psycopg.connect(desk.dsn) as connection:
        ids = [f"44140200101{n:06d}" for n in numbers]
        row = connection.execute(
            "SELECT count(*) FROM layer.component WHERE id = ANY (%s)", [ids]
        ).fetchone()
    assert row is not None
    return int(row[0])


def faulty(numbers: list[int], bad: list[int]) -> bytes:
    good = table(*[n for n in numbers if n not in bad])
    wrong = table(*bad, GLBJZT="坏掉").split(b"\r\n", 1)[1]
    return good + wrong


def test_files_with_a_delivery_file_are_loaded_and_rejects_sent_again_load(desk: Desk) -> None:
    body = packed({"部件.csv": faulty([1, 2, 3], [2]), "delivery.yaml": stated("城管局/一")})
    number = desk.send(body)
    found = desk.settled(number)
    assert found["state"] == "done", found
    (report,) = found["reports"]
    assert report["counts"]["rejected"] == 1
    assert report["files"][0]["detection"]["sentence"]
    assert components(desk, 1, 2, 3) == 2
    with desk.client(desk.key) as client:
        rejects = client.get(f"/deliveries/{number}/rejects")
    assert rejects.status_code == 200, rejects.text
    with zipfile.ZipFile(io.BytesIO(rejects.content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assert set(files) == {"部件.csv", "delivery.yaml", "说明.txt"}
    text = files["部件.csv"].decode("gb18030")
    assert text.splitlines()[0].endswith("行号,规则,原因")
    files["部件.csv"] = text.replace(",坏掉,", ",完好,").encode("gb18030")
    again = desk.settled(desk.send(packed(files), "退回.zip"))
    assert again["state"] == "done", again
    assert again["reports"][0]["counts"]["inserted"] == 1
    assert components(desk, 1, 2, 3) == 3


def test_reports_come_in_every_form(desk: Desk) -> None:
    body = packed({"部件.csv": faulty([11, 12], [12]), "delivery.yaml": stated("城管局/形式")})
    number = desk.send(body)
    assert desk.settled(number)["state"] == "done"
    with desk.client(desk.key) as client:
        page = client.get(f"/deliveries/{number}/report?f=html")
        assert "坏掉" in page.text
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        listed = client.get(f"/deliveries/{number}/report?f=xlsx")
        assert openpyxl.load_workbook(io.BytesIO(listed.content)).sheetnames[0] == "问题清单"
        written = client.get(f"/deliveries/{number}/report?f=docx")
        assert docx.Document(io.BytesIO(written.content)).tables
        drawn = client.get(f"/deliveries/{number}/report?f=dxf")
        assert drawn.content.rstrip().endswith(b"EOF")
        assert client.get(f"/deliveries/{number}/report").json()["rules"]["domain"] == 1


def test_files_alone_are_described_and_the_filled_form_loads_them(desk: Desk) -> None:
    number = desk.send(packed({"数据/部件.csv": table(21, 22)}))
    found = desk.settled(number)
    assert found["state"] == "waiting", found
    (entry,) = found["inspection"]["entries"]
    assert (entry["file"], entry["encoding"], entry["rows"]) == ("数据/部件.csv", "GB18030", 2)
    best = entry["layers"][0]
    assert (best["layer"], best["id"]) == ("component", "GLBJBSM")
    assert best["fields"]["state"] == "GLBJZT"
    assert (entry["x"], entry["y"]) == ("lon", "lat")
    assert {layer["name"] for layer in found["choices"]["layers"]} >= {"component", "unit_grid"}
    assert "water" not in {layer["name"] for layer in found["choices"]["layers"]}
    statement = {
        "synthetic": True,
        "loads": [
            {
                "file": entry["file"], "encoding": entry["encoding"], "layer": best["layer"],
                "coordsys": "cgcs2000", "x": entry["x"], "y": entry["y"], "id": best["id"],
                "fields": best["fields"], "mode": "append",
            }
        ],
    }  # fmt: skip
    with desk.client(desk.key) as client:
        accepted = client.post(f"/deliveries/{number}/statement", json=statement)
        assert accepted.status_code == 202, accepted.text
    done = desk.settled(number)
    assert done["state"] == "done", done
    assert components(desk, 21, 22) == 2


def test_a_single_table_needs_no_zip(desk: Desk) -> None:
    found = desk.settled(desk.send(table(31), "../部件.csv"))
    assert found["state"] == "waiting"
    assert found["inspection"]["entries"][0]["file"] == "部件.csv"


def test_an_objection_is_answered_with_a_reason_that_is_recorded(desk: Desk) -> None:
    made = stated("城管局/异议", columns={"lon": "lat", "lat": "lon"})
    number = desk.send(packed({"部件.csv": table(*range(41, 71)), "delivery.yaml": made}))
    blocked = desk.settled(number)
    assert blocked["state"] == "blocked", blocked
    assert blocked["reports"][0]["files"][0]["detection"]["objection"]
    assert components(desk, 41) == 0
    reason = "已核对，列名与内容相反"
    with desk.client(desk.key) as client:
        wrong = client.post(f"/deliveries/{number}/answers", json={"answers": [{"layer": "road"}]})
        assert wrong.status_code == 400
        given = {"answers": [{"layer": "component", "answers": {"datum": reason}}]}
        assert client.post(f"/deliveries/{number}/answers", json=given).status_code == 202
    answered = desk.settled(number)
    assert answered["reports"][0]["files"][0]["answer"] == reason


def test_what_a_mac_packs_beside_the_files_is_no_delivery_file(desk: Desk) -> None:
    """Neither when the files are looked at, nor when an answer is written into it."""
    made = stated("城管局/Mac", columns={"lon": "lat", "lat": "lon"})
    files = {
        "__MACOSX/delivery.yaml": b"\0\5\x16\7",
        "a/delivery.yoyml": "a: 1",
        "交付/delivery.yaml": made,
        "交付/部件.csv": table(*range(3001, 3031)),
    }
    number = desk.send(packed(files))
    blocked = desk.settled(number)
    assert blocked["state"] == "blocked", blocked
    given = {"answers": [{"layer": "component", "answers": {"datum": "已核对，列名相反"}}]}
    with desk.client(desk.key) as client:
        told = client.post(f"/deliveries/{number}/answers", json=given)
    assert told.status_code == 202, told.text
    assert desk.settled(number)["reports"][0]["files"][0]["answer"] == "已核对，列名相反"


def test_links_bombs_and_what_is_no_zip_are_refused(desk: Desk) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        entry = zipfile.ZipInfo("部件.csv")
        entry.create_system = 3
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    linked = desk.settled(desk.send(out.getvalue()))
    assert (linked["state"], "链接" in linked["message"]) == ("refused", True)
    bomb = packed({"部件.csv": b"\0" * (LIMIT_MB * 21 * 2**20)})
    assert len(bomb) < LIMIT_MB * 2**20
    burst = desk.settled(desk.send(bomb))
    assert (burst["state"], "限度" in burst["message"]) == ("refused", True)
    outside = desk.settled(desk.send(packed({"../outside.csv": table(1)})))
    assert (outside["state"], "不合法" in outside["message"]) == ("refused", True)
    assert not list(desk.home.rglob("outside.csv"))
    torn = desk.settled(desk.send(b"no zip at all"))
    assert (torn["state"], "zip" in torn["message"]) == ("refused", True)


def test_a_delivery_file_that_reaches_out_is_refused(desk: Desk) -> None:
    made = stated("城管局/越界", files=[{"path": "../../../../../../etc/passwd"}])
    found = desk.settled(desk.send(packed({"部件.csv": table(80), "delivery.yaml": made})))
    assert found["state"] == "refused", found
    assert "root:" not in str(found)


@pytest.mark.parametrize(
    "changes",
    [
        {"files": [{"path": "/etc/passwd"}]},
        {"files": [{"path": "link.csv"}]},
        {"mode": "partial", "area": {"file": "../outside.geojson", "coordsys": "cgcs2000"}},
        {
            "check_points": {
                "file": "/etc/passwd",
                "coordsys": "cgcs2000",
                "columns": {"lon": "x", "lat": "y"},
            }
        },
        {"files": [{"url": "http://127.0.0.1:1/wfs?x", "service": "wfs", "layer": "x"}]},
        {"files": [{"url": "postgresql://127.0.0.1/x", "layer": "x"}]},
        {"datum_parameters": "/etc/passwd"},
        {"layer": "water"},
        {"layer": "no_such_layer"},
        {"bureau": "水务局"},
    ],
)
def test_a_delivery_reaches_only_its_own_files_bureau_and_layers(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    (tmp_path / "link.csv").symlink_to("/etc/passwd")
    (tmp_path / "部件.csv").write_bytes(table(80))
    path = tmp_path / "delivery.yaml"
    principal = Principal("desk", BUREAU, rights=frozenset({Right.DELIVER}))

    def check(document: str) -> None:
        path.write_text(document, "utf-8")
        check_delivery(load_delivery(path), tmp_path, principal, load_definitions(), "meizhou")

    check(stated("城管局/好"))
    with pytest.raises((NotAllowed, DeliveryError)) as refused:
        check(stated("城管局/越界", **changes))
    assert "root:" not in str(refused.value)


def test_a_virtual_data_set_opens_no_other_file(desk: Desk, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n秘密,2\n", "utf-8")
    virtual = (
        "<OGRVRTDataSource><OGRVRTLayer name='secret'>"
        f"<SrcDataSource>{secret}</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
    )
    command = f"gdal vector pipeline ! read {secret} ! write --output-format stream streamed"
    streamed = json.dumps({"type": "gdal_streamed_alg", "command_line": command})
    files = dict.fromkeys(("a.vrt", "b.geojson", "c.gpkg", "d.gml"), virtual)
    files |= dict.fromkeys(("e.gdalg.json", "f.geojson"), streamed)
    names = tuple(files)
    found = desk.settled(desk.send(packed(files)))
    assert found["state"] == "refused", found
    assert "秘密" not in str(found)
    assert all(name in found["message"] for name in names)


def test_more_than_the_limit_is_refused_while_it_arrives(desk: Desk) -> None:
    big = b"\0" * (LIMIT_MB * 2**20 + 1)

    def pieces() -> Iterator[bytes]:  # no Content-Length: only counting tells
        for start in range(0, len(big), 2**18):
            yield big[start : start + 2**18]

    before = sorted(desk.home.iterdir())
    with desk.client(desk.key) as client:
        told = client.post("/deliveries?name=a.zip", content=big)
        assert (told.status_code, told.json()["status"]) == (413, 413)
        counted = client.post("/deliveries?name=a.zip", content=pieces())
        assert counted.status_code == 413
    left = [path for path in desk.home.rglob("received") if path.stat().st_size > 2**20]
    assert left == []
    assert len(sorted(desk.home.iterdir())) <= len(before) + 2


def test_nobody_sees_what_is_not_theirs(desk: Desk) -> None:
    body = packed({"部件.csv": faulty([90, 91], [90]), "delivery.yaml": stated("城管局/私")})
    number = desk.send(body)
    run = desk.settled(number)["runs"][0]
    paths = [
        f"/deliveries/{number}", f"/deliveries/{number}/report", f"/deliveries/{number}/rejects",
        f"/runs/{run}/report", f"/runs/{run}/rejects",
    ]  # fmt: skip
    for path in (*paths, "/deliveries"):
        assert httpx.get(desk.url + path).status_code == 401
        with desk.client(desk.reader) as client:
            assert client.get(path).status_code == 403
    with desk.client(desk.other) as client:
        for path in paths:
            assert client.get(path).status_code == 404
        assert client.post(f"/deliveries/{number}/answers", json={}).status_code == 404
        listed = client.get("/deliveries").json()
        assert "城管局/私" not in str(listed)
    with desk.client(desk.admin) as client:
        assert client.get(paths[0]).json()["delivery"] == "城管局/私"
        assert "城管局/私" in str(client.get("/deliveries").json())
        assert client.post("/deliveries?name=a.zip", content=b"x").status_code == 400
    assert httpx.post(f"{desk.url}/deliveries?name=a.zip", content=b"x").status_code == 401


def test_another_bureaus_delivery_name_cannot_be_taken(desk: Desk) -> None:
    first = packed({"部件.csv": table(95), "delivery.yaml": stated("共用名")})
    assert desk.settled(desk.send(first))["state"] == "done"
    with desk.client(desk.admin) as client:
        sent = client.post(
            "/deliveries",
            params={"name": "a.zip", "bureau": "水务局"},
            content=packed(
                {"部件.csv": table(96), "delivery.yaml": stated("共用名", bureau="水务局")}
            ),
        )
    found = desk.settled(sent.json()["id"], desk.admin)
    assert found["state"] == "refused"
    assert "共用名" in found["message"]


def test_uploads_into_one_layer_wait_for_each_other(desk: Desk) -> None:
    """Held up by a lock of ours, the second stands in line, and both are loaded in the end."""
    numbers = []

    def send(n: int) -> None:
        body = packed({"部件.csv": table(n), "delivery.yaml": stated(f"城管局/并{n}")})
        numbers.append(desk.send(body))

    with psycopg.connect(desk.dsn, autocommit=True) as blocker:
        blocker.execute("SELECT pg_advisory_lock(%s, hashtext('component'))", [LAYER_CLASS])
        threads = [threading.Thread(target=send, args=(n,)) for n in (101, 102, 103)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with desk.client(desk.key) as client:
            deadline = time.monotonic() + 60
            states: list[str] = []
            while states != ["queued"] * 3 and time.monotonic() < deadline:
                time.sleep(0.2)
                states = [client.get(f"/deliveries/{n}").json()["state"] for n in numbers]
        assert states == ["queued"] * 3
    assert [desk.settled(n)["state"] for n in numbers] == ["done"] * 3
    assert components(desk, 101, 102, 103) == 3


def test_a_process_that_died_shows_and_the_upload_can_be_started_again(desk: Desk) -> None:
    number = desk.send(packed({"部件.csv": table(111)}))
    assert desk.settled(number)["state"] == "waiting"
    with psycopg.connect(desk.dsn) as connection:
        connection.execute(
            "UPDATE catalog.upload SET state = 'running',"
            " updated_at = clock_timestamp() - interval '1 hour' WHERE id = %s",
            [number],
        )
    with desk.client(desk.key) as client:
        assert client.get(f"/deliveries/{number}").json()["state"] == "broken"
        statement = {
            "synthetic": True,
            "loads": [
                {"file": "部件.csv", "layer": "component", "coordsys": "cgcs2000", "x": "lon",
                 "y": "lat", "encoding": "GB18030", "mode": "append"}
            ],
        }  # fmt: skip
        assert client.post(f"/deliveries/{number}/statement", json=statement).status_code == 202
    assert desk.settled(number)["state"] == "done"


def test_the_overview_says_who_is_late_and_what_changed(desk: Desk) -> None:
    made = stated("城管局/月报", expected_every="1 month")
    body = packed({"部件.csv": table(121, 122), "delivery.yaml": made})
    assert desk.settled(desk.send(body))["state"] == "done"

    def row() -> dict[str, Any]:
        with desk.client(desk.key) as client:
            entries = client.get("/deliveries").json()["deliveries"]
        return next(e for e in entries if e["delivery"] == "城管局/月报")

    assert row()["late"] is False
    assert row()["counts"]["inserted"] == 2
    assert row()["accuracy_m"] is not None
    with psycopg.connect(desk.dsn) as connection:
        connection.execute(
            "UPDATE catalog.run SET finished_at = finished_at - interval '40 days'"
            " WHERE delivery = '城管局/月报'"
        )
    assert row()["late"] is True


def test_a_revoked_key_loads_nothing_more(desk: Desk) -> None:
    """What waits in line when its key is revoked is not loaded."""
    with psycopg.connect(desk.dsn, autocommit=True) as centre:
        classes = [AccessClass.PUBLIC]
        token = add_key(centre, "leaver", bureau=BUREAU, classes=classes, rights=[Right.DELIVER])
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:  # the service follows within a second or two
            with desk.client(token) as client:
                if client.get("/deliveries").status_code == 200:
                    break
        centre.execute(
            "INSERT INTO catalog.upload (name, bureau, key) VALUES ('x.zip', %s, 'leaver')",
            [BUREAU],
        )
        revoke_key(centre, "leaver")
        assert store.principal_of_key(centre, "leaver") is None
    with desk.client(token) as client:
        answer = client.get("/deliveries")
        while answer.status_code != 401 and time.monotonic() < deadline:
            answer = client.get("/deliveries")
        assert answer.status_code == 401


def test_no_more_than_some_uploads_of_a_bureau_are_under_way(desk: Desk) -> None:
    with psycopg.connect(desk.dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO catalog.upload (name, bureau, key, state)"
            " SELECT 'x.zip', '水务局', 'water', 'received' FROM generate_series(1, %s)",
            [MOST_UNDER_WAY],
        )
        with desk.client(desk.other) as client:
            full = client.post("/deliveries?name=a.zip", content=b"x")
        connection.execute("DELETE FROM catalog.upload WHERE bureau = '水务局'")
    assert full.status_code == 429
    assert full.headers["retry-after"]
