"""Items over HTTP: coordinates, counts, links, formats, refusals, as clients see them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pyproj
import pytest
import shapely

from layers.definition import parse_definition
from layers.schema import apply
from tests.features import town
from tests.features.conftest import Served

ROWS = town.rows()
EPSG = "http://www.opengis.net/def/crs/EPSG/0/"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"


FIRST_FIVE = "2026-01-01T00:00:00Z/2026-01-01T04:00:00Z"


def by_id(document: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted(document["features"], key=lambda feature: feature["id"])


def items(client: httpx.Client, layer: str, **query: Any) -> dict[str, Any]:
    answer = client.get(f"/collections/{layer}/items", params=query)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


@pytest.mark.parametrize(
    ("uri", "code", "flipped", "tolerance"),
    [
        (CRS84, 4490, False, 1e-9),
        (EPSG + "4490", 4490, True, 1e-9),
        (EPSG + "4326", 4490, True, 1e-9),
        (EPSG + "4548", 4548, True, 1e-3),
        (EPSG + "4527", 4527, True, 1e-3),
        (EPSG + "3857", 3857, False, 1e-3),
    ],
)
def test_coordinates_agree_with_proj_to_a_millimetre_in_authority_axis_order(
    client: httpx.Client, uri: str, code: int, flipped: bool, tolerance: float
) -> None:
    answer = client.get("/collections/t_place/items", params={"limit": 1000, "crs": uri})
    assert answer.headers["content-crs"] == f"<{uri}>"
    to = pyproj.Transformer.from_crs(4490, code, always_xy=True)
    truth = {row.id: row.geometry for row in ROWS["t_place"]}
    for feature in answer.json()["features"]:
        x, y = to.transform(truth[feature["id"]].x, truth[feature["id"]].y)
        wanted = (y, x) if flipped else (x, y)
        assert feature["geometry"]["coordinates"] == pytest.approx(wanted, abs=tolerance, rel=0)


def test_every_value_is_valid_json_and_comes_back_unchanged(client: httpx.Client) -> None:
    answer = client.get(
        "/collections/t_place/items", params={"limit": 1000, "datetime": FIRST_FIVE}
    )

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    features = by_id(json.loads(answer.content, parse_constant=refuse))
    assert [f["properties"]["height"] for f in features] == [None, None, None, None, 0.5]
    assert features[0]["properties"]["label"] == town.AWKWARD
    fifth = features[4]["properties"]
    assert fifth == {
        "label": "地点4",
        "floors": 4,
        "height": 0.5,
        "open": True,
        "built": "2000-01-05",
        "seen": "2026-01-01T04:00:00+00:00",
    }


def test_heights_come_out_as_they_are(client: httpx.Client) -> None:
    answer = client.get("/collections/t_pipe/items/L3")
    assert answer.headers["content-crs"] == "<http://www.opengis.net/def/crs/OGC/0/CRS84h>"
    (line,) = answer.json()["geometry"]["coordinates"]
    assert [position[2] for position in line] == [77, 76.5]
    plane = client.get("/collections/t_pipe/items/L3", params={"crs": "EPSG:4548"}).json()
    assert [position[2] for position in plane["geometry"]["coordinates"][0]] == [77, 76.5]


def test_a_height_range_in_bbox_selects_by_height(client: httpx.Client) -> None:
    found = items(client, "t_pipe", bbox="115,23,76.9,117,25,78.1", limit=100)
    assert {f["id"] for f in found["features"]} == {"L2", "L3"}


def test_properties_and_geometry_can_be_left_out(client: httpx.Client) -> None:
    found = items(client, "t_place", properties="floors", skipGeometry="true", limit=1)
    assert set(found["features"][0]["properties"]) == {"floors"}
    assert found["features"][0]["geometry"] is None


def test_filters_by_every_type_of_field(client: httpx.Client) -> None:
    places = ROWS["t_place"]
    for field, value, wanted in (
        ("floors", "3", {r.id for r in places if r.properties["floors"] == 3}),
        ("label", "地点77", {"P00077"}),
        ("height", "2.5", {"P00020"}),
        ("open", "false", {r.id for r in places if not r.properties["open"]}),
        ("built", "2000-01-31", {"P00030"}),
        ("seen", "2026-01-02T08:00:00+08:00", {"P00024"}),
    ):
        found = items(client, "t_place", limit=10_000, **{field: value})
        assert {f["id"] for f in found["features"]} == wanted, field


@pytest.mark.parametrize(
    ("interval", "hours"),
    [
        ("2026-01-01T05:00:00Z", range(5, 6)),
        ("2026-01-01T05:00:00Z/2026-01-01T07:00:00Z", range(5, 8)),
        ("../2026-01-01T02:00:00Z", range(3)),
        ("/2026-01-01T02:00:00Z", range(3)),
        ("2026-04-15T00:00:00Z/..", range(104 * 24, town.PLACES)),
        # a date is the city's day, eight hours ahead of UTC
        ("2026-01-02", range(16, 40)),
        ("2026-01-02/2026-01-03", range(16, 64)),
    ],
)
def test_datetime_selects_instants_and_intervals(
    client: httpx.Client, interval: str, hours: range
) -> None:
    found = items(client, "t_place", datetime=interval, limit=10_000)
    assert [f["id"] for f in by_id(found)] == [f"P{i:05}" for i in hours]


def test_datetime_on_a_date_field_counts_whole_days(client: httpx.Client) -> None:
    found = items(client, "t_area", datetime="2020-01-02/2020-01-04")
    assert [f["id"] for f in by_id(found)] == ["A00001", "A00002", "A00003"]


def test_next_links_visit_each_feature_once_and_end_without_next(client: httpx.Client) -> None:
    seen: list[str] = []
    url: str | None = "/collections/t_area/items?limit=100&f=json"
    pages = 0
    while url is not None:
        answer = client.get(url)
        page = answer.json()
        seen += [f["id"] for f in page["features"]]
        links = {link["rel"]: link["href"] for link in page["links"]}
        assert ("next" in links) == ('rel="next"' in answer.headers["link"])
        url = links.get("next")
        pages += 1
    # 400 features in pages of 100: the last full page offers no empty one behind it
    assert pages == 4
    assert sorted(seen) == [row.id for row in ROWS["t_area"]]


def test_offset_is_accepted_and_continues_by_key(client: httpx.Client) -> None:
    order = [f["id"] for f in items(client, "t_area", limit=1000)["features"]]
    page = items(client, "t_area", offset=150, limit=10)
    assert [f["id"] for f in page["features"]] == order[150:160]
    following = next(link["href"] for link in page["links"] if link["rel"] == "next")
    assert [f["id"] for f in client.get(following).json()["features"]] == order[160:170]


def test_counts_are_true_where_given(client: httpx.Client) -> None:
    assert items(client, "t_place")["numberMatched"] == town.PLACES
    assert "numberMatched" not in items(client, "t_place", open="true")
    small = items(client, "t_place", floors=3, limit=1000)
    assert small["numberMatched"] == small["numberReturned"] == len(small["features"])
    hits = items(client, "t_place", open="true", resulttype="hits")
    assert hits["numberMatched"] == town.PLACES / 2
    assert hits["features"] == []


def test_a_limit_above_the_maximum_is_no_error(client: httpx.Client) -> None:
    page = items(client, "t_big", limit=1_000_000, skipGeometry="true", properties="floors")
    assert page["numberReturned"] == 10_000
    assert any(link["rel"] == "next" for link in page["links"])


def test_a_limit_of_nothing_is_refused_with_the_least_that_is_accepted(
    client: httpx.Client,
) -> None:
    refused = client.get("/collections/t_big/items", params={"limit": 0})
    assert refused.status_code == 400
    assert "at least 1, got 0" in refused.json()["detail"]
    assert "inf" not in refused.json()["detail"]


def test_long_answers_hold_each_feature_once_in_every_format(client: httpx.Client) -> None:
    wanted = [row.id for row in ROWS["t_place"]]
    query = {"limit": 5000}
    page = items(client, "t_place", **query)
    assert [f["id"] for f in by_id(page)] == wanted
    assert page["numberReturned"] == page["numberMatched"] == len(wanted)
    sequence = client.get("/collections/t_place/items", params={**query, "f": "jsonl"})
    assert sequence.headers["content-type"] == "application/geo+json-seq"
    texts = sequence.text.split("\x1e")[1:]
    assert all(text.endswith("\n") for text in texts)
    assert sorted(json.loads(text)["id"] for text in texts) == wanted
    table = client.get("/collections/t_place/items", params={**query, "f": "csv"})
    assert table.content.startswith(b"\xef\xbb\xbf")
    records = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"), newline="")))
    records.sort(key=lambda record: record["id"])
    assert [record["id"] for record in records] == wanted
    assert records[0]["label"] == town.AWKWARD
    point = shapely.from_wkt(records[7]["WKT"])
    assert point.distance(ROWS["t_place"][7].geometry) < 2e-9


def test_single_feature_and_ids_that_need_escaping(client: httpx.Client) -> None:
    answer = client.get("/collections/t_name/items/梅江区")
    assert answer.json()["properties"]["label"] == "乙"
    assert answer.json()["geometry"] is None
    links = {link["rel"]: link["href"] for link in answer.json()["links"]}
    assert client.get(links["self"]).json()["id"] == "梅江区"
    assert client.get("/collections/t_name/items/nobody").status_code == 404


def test_unreadable_and_absent_layers_answer_alike(client: httpx.Client) -> None:
    for path in ("items", "items/S1", "items?label=x"):
        secret = client.get(f"/collections/t_secret/{path}")
        absent = client.get(f"/collections/t_nothere/{path}")
        assert secret.status_code == absent.status_code == 404
        assert secret.content == absent.content
        assert secret.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("bbox=1,2,3", "bbox"),
        ("bbox=1,2,3,4,5", "bbox"),
        ("bbox=a,b,c,d", "bbox"),
        ("bbox=116,25,117,24", "bbox"),
        ("bbox=116,24,117,nan", "bbox"),
        ("bbox=24,116,25,117", "bbox"),
        ("bbox=410000,2687000,411000,2688000&bbox-crs=EPSG:4548", "bbox"),
        ("bbox=1e300,1e300,1e301,1e301&bbox-crs=EPSG:4548", "bbox"),
        ("bbox-crs=EPSG:4548", "bbox-crs"),
        ("bbox=1,2,3,4&bbox-crs=EPSG:99999999", "bbox-crs"),
        ("crs=EPSG:2154", "crs"),
        ("crs=rubbish", "crs"),
        ("crs=", "crs"),
        ("limit=0", "limit"),
        ("limit=ten", "limit"),
        ("limit=-1", "limit"),
        ("offset=-1", "offset"),
        ("offset=99999999999999999999", "offset"),
        ("after=rubbish", "after"),
        ("after=%00", "after"),
        ("datetime=yesterday", "datetime"),
        ("datetime=../..", "datetime"),
        ("datetime=2026-13-01", "datetime"),
        ("datetime=2026-02-01/2026-01-01", "datetime"),
        ("datetime=0001-01-01/9999-12-31/..", "datetime"),
        ("floors=three", "floors"),
        ("height=tall", "height"),
        ("open=yes", "open"),
        ("built=2026-02-30", "built"),
        ("seen=noon", "seen"),
        ("label=" + "x" * 10_000, "label"),
        ("nothere=1", "nothere"),
        ("fid=1", "fid"),
        ("properties=label,nothere", "properties"),
        ("f=shp", "f"),
        ("limit=1&limit=2", "limit"),
        ("resulttype=all", "resulttype"),
    ],
)
def test_bad_values_are_400_with_a_sentence_that_names_them(
    client: httpx.Client, query: str, parameter: str
) -> None:
    answer = client.get(f"/collections/t_place/items?{query}")
    assert answer.status_code == 400, answer.text[:500]
    problem = answer.json()
    assert problem["parameter"] == parameter
    assert len(problem["detail"]) > 10


@pytest.mark.parametrize("query", ["datetime=2026-01-01", "bbox=116,24,117,25"])
def test_a_layer_without_time_or_geometry_says_so(client: httpx.Client, query: str) -> None:
    answer = client.get(f"/collections/t_name/items?{query}")
    assert answer.status_code == 400
    assert answer.json()["parameter"] == query.partition("=")[0]


@pytest.mark.parametrize(
    "query",
    [
        "datetime=0001-01-01/..",
        "datetime=../9999-12-31",
        "datetime=9999-12-31",
        "datetime=9999-12-31T23:59:59.999999999-14:00",
        "label='; drop table layer.t_place; --",
        "label=%25s%25(limit)s{0}",
        "bbox=-180,-90,180,90",
        "bbox=170,-10,-170,10",
        "bbox=-1e9,-1e9,1e9,1e9&bbox-crs=EPSG:4548",
        "bbox=-1e9,-1e9,1e9,1e9&bbox-crs=EPSG:3857",
        "bbox=116.1,24.2,116.1,24.2",
        "bbox=116.1,24.2,116.1,24.3",
        "offset=1000000000",
        "after=f_________8=",
    ],
)
def test_odd_but_possible_values_never_break_the_server(client: httpx.Client, query: str) -> None:
    answer = client.get(f"/collections/t_place/items?{query}")
    assert answer.status_code in (200, 400), answer.text


def test_unchanged_layers_answer_304(client: httpx.Client) -> None:
    path = "/collections/t_area/items?limit=3"
    first = client.get(path)
    tag = first.headers["etag"]
    again = client.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    assert first.headers["cache-control"] == "public, no-cache"
    assert {"Accept", "Accept-Encoding"} <= set(first.headers["vary"].split(", "))
    other = client.get("/collections/t_area/items?limit=4", headers={"If-None-Match": tag})
    assert other.status_code == 200


@pytest.mark.parametrize("limit", [10, 1000, 2000])
def test_gzip_only_when_asked_and_the_same_features(client: httpx.Client, limit: int) -> None:
    path = f"/collections/t_place/items?limit={limit}"
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        body = gzip.decompress(b"".join(packed.iter_raw()))
    assert json.loads(body)["features"] == plain.json()["features"]


def test_formats_are_negotiated(client: httpx.Client) -> None:
    path = "/collections/t_area/items"
    for accept, media in (
        ("application/geo+json", "application/geo+json"),
        ("application/json", "application/geo+json"),
        ("text/csv", "text/csv"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("*/*", "application/geo+json"),
    ):
        answer = client.get(path, headers={"Accept": accept})
        assert answer.headers["content-type"].startswith(media), accept
    page = client.get(f"{path}?f=html&limit=2").text
    assert page.count("<td><a href") == 2
    assert client.get(path, headers={"Accept": "image/png"}).status_code == 406


def test_head_of_a_long_answer_reads_one_page(client: httpx.Client) -> None:
    def timed(method: str) -> tuple[float, httpx.Response]:
        times = []
        for _ in range(3):
            began = time.perf_counter()
            answer = client.request(method, "/collections/t_big/items?limit=10000")
            times.append(time.perf_counter() - began)
        return min(times), answer

    reading, whole = timed("GET")
    asking, head = timed("HEAD")
    assert asking < reading / 2  # a tenth of the pages
    assert head.status_code == whole.status_code == 200
    assert head.content == b""
    for name in ("content-type", "etag", "link", "content-crs"):
        assert head.headers[name] == whole.headers[name]
    assert len(whole.json()["features"]) == 10_000


def test_a_table_can_be_fetched_after_a_field_changed_its_type(
    client: httpx.Client, served: Served
) -> None:
    narrow = town.definition("t_changed", "Point")
    document = dict(narrow.source)
    document["fields"] = [
        field | {"type": "text"} if field["name"] == "floors" else field
        for field in document["fields"]
    ]
    path = "/collections/t_changed/items"
    with psycopg.connect(served.dsn) as connection:
        apply(connection, [narrow])
        connection.execute(
            "INSERT INTO layer.t_changed (id, revision, row_hash, floors) VALUES ('a', 1, 1, 3)"
        )
    _wait_for(lambda: client.get(path).status_code == 200)
    for _ in range(8):  # every connection of the pool has seen the statement
        assert client.get(path, params={"f": "csv"}).status_code == 200
    with psycopg.connect(served.dsn) as connection:
        apply(connection, [parse_definition(document)])
    _wait_for(lambda: client.get(f"{path}?floors=x").status_code == 200)
    for _ in range(8):
        answer = client.get(path, params={"f": "csv"})
        assert answer.status_code == 200, answer.text
        assert "a,,3,," in answer.text


def _wait_for(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.1)
