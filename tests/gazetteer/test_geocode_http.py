"""The address engine over HTTP, on a small city in a real PostGIS."""

from __future__ import annotations

import csv
import io
import math
import time
from typing import Any

import openpyxl
import psycopg
import pyproj
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from etl.datum import DatumRegistry
from geoserver_py.tables import XLSX_TYPE
from layers.edit import Change, Operation
from tests.gazetteer import city

GEOD = pyproj.Geod(ellps="GRS80")  # CGCS2000's ellipsoid differs from it by 0.1 mm


def first(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["features"][0]["properties"]["geocoding"]
    return found


def ask(client: TestClient, path: str, **parameters: Any) -> dict[str, Any]:
    response = client.get(path, params=parameters)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def table_of(content: bytes) -> list[dict[str, str]]:
    assert content.startswith(b"\xef\xbb\xbf")  # Excel on a Chinese Windows needs it
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_a_csv_table_comes_back_with_what_was_matched(client: TestClient, encoding: str) -> None:
    text = '编号,地址,备注\r\n7,嘉应中路12号,"a,b"\r\n8,,空\r\n9,火星路1号,\r\n'
    response = client.post(
        "/geocode/batch",
        content=text.encode(encoding),
        headers={"Content-Type": "text/csv"},
        params={"coordsys_out": "gcj02"},
    )
    assert response.status_code == 200, response.text
    rows = table_of(response.content)
    assert [row["编号"] for row in rows] == ["7", "8", "9"]
    assert (rows[0]["备注"], rows[0]["level"], rows[0]["coordsys"]) == ("a,b", "门牌号", "gcj02")
    alone = ask(client, "/geocode", q="嘉应中路12号", coordsys_out="gcj02")["features"][0]
    assert [float(rows[0]["lon"]), float(rows[0]["lat"])] == alone["geometry"]["coordinates"]
    assert rows[1]["matched"] == rows[1]["lon"] == ""


def test_a_workbook_comes_back_as_a_workbook(client: TestClient) -> None:
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    for row in (["名称", "住址"], ["=1+1", "嘉应中路12号"], [None, None], ["乙", "扶贵村7号"]):
        page.append(row)
    page["A2"].data_type = "s"
    sent = io.BytesIO()
    book.save(sent)
    response = client.post(
        "/geocode/batch",
        content=sent.getvalue(),
        headers={"Content-Type": XLSX_TYPE},
        params={"column": "住址"},
    )
    assert response.status_code == 200, response.text
    sheet = openpyxl.load_workbook(io.BytesIO(response.content)).worksheets[0]
    heading, first_row, second = sheet.iter_rows()
    assert [cell.value for cell in heading][:3] == ["名称", "住址", "matched"]
    assert (first_row[0].value, first_row[0].data_type) == ("=1+1", "s")
    assert second[1].value == "扶贵村7号"
    assert second[3].value == "门牌号"


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("text/csv", b""),
        ("text/csv", b"name,place\r\n1,2\r\n"),
        ("text/csv", b"\xff\xff\xff\xff"),
        ("text/csv", b'address\r\n"open'),
        (XLSX_TYPE, b"PK\x03\x04 no"),
        (XLSX_TYPE, b""),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_a_sentence(
    client: TestClient, media: str, body: bytes
) -> None:
    response = client.post("/geocode/batch", content=body, headers={"Content-Type": media})
    assert response.status_code == 400, response.text
    assert response.json()["detail"]


@pytest.mark.parametrize(
    ("text", "record", "level"),
    [
        ("梅江区嘉应中路12号", "A12", "门牌号"),
        ("廣東省梅州巿梅江區嘉應中路１２號", "A12", "门牌号"),
        ("嘉应中路十二号", "A12", "门牌号"),
        ("嘉应中路12号之一", "A12-1", "门牌号"),
        ("嘉应中路12-1号", "A12-1", "门牌号"),
        ("嘉应中路15号", "A15", "门牌号"),
        ("嘉应中路临15号", "AL15", "门牌号"),
        ("剑英大道自编12号之三", "AZ", "门牌号"),
        ("恒发苑D1栋502", "AE1", "门牌号"),
        ("恒发苑2幢", "AE2", "门牌号"),
        ("程江镇人民路8号", "R2", "门牌号"),
        ("扶贵村7号", "V1", "门牌号"),
        ("市人民医院", "P1", "兴趣点"),
        ("嘉映中路", "L1", "道路"),
        ("五华县輋𣒍村", "441424103203", "村庄"),
    ],
)
def test_an_address_leads_to_its_record(
    client: TestClient, text: str, record: str, level: str
) -> None:
    document = ask(client, "/geocode", q=text)
    found = first(document)
    assert (found["record"]["id"], found["level"]) == (record, level)
    assert document["coordsys"] == found["coordsys"] == "cgcs2000"
    assert document["geocoding"]["query"] == text
    assert not found["ambiguous"]


def test_the_position_is_the_records_own(client: TestClient) -> None:
    document = ask(client, "/geocode", q="嘉应中路12号")
    assert document["features"][0]["geometry"]["coordinates"] == pytest.approx(city.plate(12))
    assert first(document)["error_m"] == 5.0


def test_a_missing_plate_is_within_its_stated_error(client: TestClient) -> None:
    document = ask(client, "/geocode", q="嘉应中路7号")
    lon, lat = document["features"][0]["geometry"]["coordinates"]
    metres = GEOD.line_length([lon, city.plate(7)[0]], [lat, city.plate(7)[1]])
    assert metres <= first(document)["error_m"] < 60
    assert first(document)["score"] < 0.9


def test_one_number_on_two_roads_of_a_name_is_ambiguous(client: TestClient) -> None:
    document = ask(client, "/geocode", q="人民路8号")
    assert document["geocoding"]["ambiguous"]
    ids = {f["properties"]["geocoding"]["record"]["id"] for f in document["features"][:2]}
    assert ids == {"R1", "R2"}


def test_a_focus_orders_equals_and_a_bbox_limits(client: TestClient) -> None:
    near = {"lon": city.WEST + 0.02, "lat": city.SOUTH, "coordsys": "cgcs2000"}
    assert first(ask(client, "/geocode", q="人民路8号", **near))["record"]["id"] == "R2"
    box = f"{city.WEST + 0.02},{city.SOUTH},{city.WEST + 0.04},{city.SOUTH + 0.02}"
    document = ask(client, "/geocode", q="人民路8号", bbox=box, coordsys="cgcs2000")
    assert first(document)["record"]["id"] == "R2"
    assert not document["geocoding"]["ambiguous"]


def test_a_division_states_a_radius_that_holds_it(client: TestClient) -> None:
    document = ask(client, "/geocode", q="梅江区江南街道")
    lon, lat = document["features"][0]["geometry"]["coordinates"]
    error = first(document)["error_m"]
    for x in (city.WEST, city.WEST + 0.01):
        for y in (city.SOUTH, city.SOUTH + 0.01):
            assert GEOD.line_length([lon, x], [lat, y]) <= error * 1.005


def test_a_batch_answers_as_single_queries_do(client: TestClient) -> None:
    texts = [
        "嘉应中路12号", "大坪镇", "恒发苑D1栋502", "人民路8号", "深圳市", "?",
        "116.12243233,24.285977(gcj02)", "扶贵村7号",
    ]  # fmt: skip
    response = client.post("/geocode/batch", json=[*texts, {"id": 7, "q": texts[0]}])
    assert response.status_code == 200
    *documents, last = response.json()
    assert documents == [ask(client, "/geocode", q=text) for text in texts]
    assert last["geocoding"].pop("id") == 7
    assert last == documents[0]


def test_coordinates_in_every_notation_are_one_position(client: TestClient) -> None:
    for text in (
        "X(北)=2687537.854 Y(东)=410413.240",
        "X(北)=2687537.854 Y(东)=39410413.240",
        "116.12243233,24.285977(gcj02)",
        "116°07′03.36″E 24°17′18.96″N",
        "116.1176,24.2886",
        "城管通上报: 116.12243233,24.285977(gcj02)",
    ):
        for path in ("/geocode", "/suggest"):
            document = ask(client, path, q=text)
            assert first(document)["level"] == "坐标"
            lon, lat = document["features"][0]["geometry"]["coordinates"]
            assert GEOD.line_length([lon, 116.1176], [lat, 24.2886]) < 0.01, text


def test_answers_come_in_the_coordsys_asked_for(client: TestClient) -> None:
    document = ask(client, "/geocode", q="嘉应中路12号", coordsys_out="gcj02")
    x, y = DatumRegistry().chain("cgcs2000", "gcj02").point(*city.plate(12))
    assert document["features"][0]["geometry"]["coordinates"] == pytest.approx([x, y], abs=1e-9)
    assert document["coordsys"] == first(document)["coordsys"] == "gcj02"
    plane = first(ask(client, "/geocode", q="嘉应中路12号", coordsys_out="epsg:4548"))["position"]
    east, north = pyproj.Transformer.from_crs(4490, 4548, always_xy=True).transform(*city.plate(12))
    assert (plane["east"], plane["north"]) == pytest.approx((east, north), abs=1e-3)


def test_reverse_names_address_road_places_and_divisions(client: TestClient) -> None:
    lon, lat = city.plate(12)
    document = ask(client, "/reverse", lon=lon + 0.0001, lat=lat, coordsys="cgcs2000")
    found = [feature["properties"]["geocoding"] for feature in document["features"]]
    assert found[0]["record"]["id"] == "A12"
    metres = GEOD.line_length([lon, lon + 0.0001], [lat, lat])
    assert found[0]["distance_m"] == pytest.approx(metres, abs=0.01)
    assert (found[0]["direction"], found[0]["housenumber"]) == ("东", "12号")
    assert (found[1]["level"], found[1]["name"]) == ("道路", city.ROAD)
    # GeocodeJSON: name is that of the place, label the full text
    assert found[0]["name"] == f"{city.ROAD}12号"
    assert found[0]["label"].endswith(f"梅江区江南街道{city.ROAD}12号")
    assert next(f["name"] for f in found if f["level"] == "兴趣点") == "市人民医院"
    chain = [division["name"] for division in document["geocoding"]["divisions"]]
    assert chain == ["梅江区", "江南街道", "梅江社区"]


def test_reverse_takes_every_datum_and_says_the_same(client: TestClient) -> None:
    lon, lat = city.plate(5)
    east, north = pyproj.Transformer.from_crs(4490, 4548, always_xy=True).transform(lon, lat)
    x, y = DatumRegistry().chain("cgcs2000", "gcj02").point(lon, lat)
    for position in (
        {"lon": lon, "lat": lat, "coordsys": "cgcs2000"},
        {"lon": x, "lat": y, "coordsys": "gcj02"},
        {"north": north, "east": east, "coordsys": "epsg:4548"},
        {"north": north, "east": 39_000_000 + east, "coordsys": "epsg:4527"},
    ):
        found = first(ask(client, "/reverse", **position))
        assert (found["record"]["id"], round(found["distance_m"], 1)) == ("A5", 0.0)


def test_reverse_finds_the_geodesically_nearest_address(client: TestClient, city_dsn: str) -> None:
    with psycopg.connect(city_dsn) as connection:
        rows = connection.execute("SELECT id, ST_X(geom), ST_Y(geom) FROM layer.address").fetchall()
    for step in range(25):
        lon, lat = city.WEST + 0.0009 * step, city.SOUTH + 0.0004 * step
        document = ask(client, "/reverse", lon=lon, lat=lat, coordsys="cgcs2000")
        near = [f["properties"]["geocoding"] for f in document["features"]]
        plates = [f for f in near if f["level"] == "门牌号"]
        distances = {i: GEOD.line_length([lon, x], [lat, y]) for i, x, y in rows}
        closest = min(distances, key=lambda i: (distances[i], i))
        if distances[closest] < 1000:
            assert plates[0]["distance_m"] == pytest.approx(distances[closest], abs=0.01)


@pytest.mark.parametrize(
    ("path", "parameters", "parameter"),
    [
        ("/reverse", {"lon": 116.1, "lat": 24.2}, "coordsys"),
        ("/reverse", {"lon": 116.1, "lat": 24.2, "coordsys": "epsg:4548"}, "coordsys"),
        ("/reverse", {"north": 1, "east": 2, "coordsys": "gcj02"}, "coordsys"),
        ("/reverse", {"coordsys": "mars"}, "coordsys"),
        ("/geocode", {"q": ""}, "q"),
        ("/geocode", {"q": "x" * 10_000}, "q"),
        ("/geocode", {"q": "a\x00b"}, "q"),
        ("/geocode", {}, "q"),
        ("/geocode", {"q": "大坪镇", "bbox": "1,2,3,4"}, "coordsys"),
        ("/geocode", {"q": "大坪镇", "bbox": "4,2,3,4", "coordsys": "wgs84"}, "bbox"),
        ("/geocode", {"q": "大坪镇", "coordsys_out": "mars"}, "coordsys_out"),
        ("/geocode", {"q": "大坪镇", "limit": "0"}, "limit"),
        ("/geocode", {"query": "大坪镇", "q": "x"}, "query"),
        ("/suggest", {"q": "x" * 10_000}, "q"),
    ],
)
def test_a_bad_request_is_told_what_would_be_right(
    client: TestClient, path: str, parameters: dict[str, Any], parameter: str
) -> None:
    response = client.get(path, params=parameters)
    assert response.status_code == 400
    problem = response.json()
    assert problem["parameter"] == parameter
    assert len(problem["detail"]) > 10
    if parameter == "coordsys":
        assert "gcj02" in problem["accepted"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"[1]", b'[""]', b'[{"id":1}]', b'[{"q":"x","id":[]}]',
             b'["' + b"x" * 300 + b'"]'],
)  # fmt: skip
def test_a_bad_batch_is_refused_with_a_sentence(client: TestClient, body: bytes) -> None:
    response = client.post("/geocode/batch", content=body)
    assert response.status_code == 400
    assert response.json()["type"].endswith("invalid-body")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.text(
        alphabet=st.one_of(
            st.characters(codec="utf-8"),
            st.sampled_from("嘉应中路梅江区号栋0123456789(),.°′'\";%=_-\\ \x00😀"),
        ),
        max_size=250,
    )
)
def test_any_query_is_answered_or_refused(client: TestClient, text: str) -> None:
    for path in ("/geocode", "/suggest"):
        response = client.get(path, params={"q": text})
        assert response.status_code in (200, 400)
        if response.status_code == 400:
            assert response.json()["detail"]


@pytest.mark.parametrize(
    "unit", ["路", "村镇县区市路", "梅县区大坪镇", "1", "黄坑村", "()", "嘉应中路8号"]
)
def test_the_worst_texts_take_no_longer_than_a_blink(client: TestClient, unit: str) -> None:
    text = (unit * 200)[:200]
    best = math.inf
    for _ in range(3):
        start = time.perf_counter()
        assert client.get("/geocode", params={"q": text}).status_code == 200
        best = min(best, time.perf_counter() - start)
    assert best < 0.5  # 0.1 s on an idle machine; the suite shares its cores


def test_what_is_written_is_found_within_two_seconds(client: TestClient, city_dsn: str) -> None:
    assert ask(client, "/geocode", q="新建四路6号")["features"] == []
    lon, lat = city.WEST + 0.005, city.SOUTH + 0.003
    started = time.monotonic()
    city.write(city_dsn, "address", city.address("N6", lon, lat, road="新建四路", number="6号"))
    _eventually(client, "新建四路6号", "N6", started)
    rename = Change(Operation.UPDATE, "N6", {"road": "改名五路"})
    started = time.monotonic()
    city.write(city_dsn, "address", rename)
    _eventually(client, "改名五路6号", "N6", started)
    assert ask(client, "/geocode", q="新建四路6号")["features"] == []
    shop = Change(
        Operation.INSERT, "P9", {"name": "四海茶楼", "category": "shop"}, city.point(lon, lat)
    )
    started = time.monotonic()
    city.write(city_dsn, "poi", shop)
    _eventually(client, "四海茶楼", "P9", started)
    city.write(city_dsn, "address", Change(Operation.DELETE, "N6"))


def _eventually(client: TestClient, text: str, record: str, started: float) -> None:
    while True:
        features = ask(client, "/geocode", q=text)["features"]
        if features and features[0]["properties"]["geocoding"]["record"]["id"] == record:
            return
        assert time.monotonic() - started < 2.0, f"{text} not found after 2 s"
        time.sleep(0.05)


def test_restricted_layers_leave_no_trace_without_a_key(client: TestClient, city_dsn: str) -> None:
    assert first(ask(client, "/geocode", q="市人民医院"))["record"]["id"] == "P1"
    _set_access(city_dsn, "restricted", "poi")
    try:
        deadline = time.monotonic() + 3
        while ask(client, "/suggest", q="市人民")["features"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        lon, lat = city.WEST + 0.003, city.SOUTH + 0.006
        texts = [
            client.get("/geocode", params={"q": "市人民医院"}).text,
            client.get("/suggest", params={"q": "srmyy"}).text,
            client.get("/reverse", params={"lon": lon, "lat": lat, "coordsys": "cgcs2000"}).text,
            client.post("/geocode/batch", json=["人民医院"]).text,
        ]
        assert not any('"poi"' in text or "P1" in text for text in texts)
    finally:
        _set_access(city_dsn, "public", "poi")


def _set_access(dsn: str, access: str, layer: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("UPDATE catalog.layer SET access = %s WHERE name = %s", [access, layer])
        connection.execute("SELECT catalog.bump_generation()")
