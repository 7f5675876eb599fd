"""Whatever a client sends, it gets an answer or a 4xx with a sentence, never a 5xx."""

from __future__ import annotations

import http.client
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.conftest import City

ITEMS = "/collections/road/items"
LONG = "a" * 10_000


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        (f"{ITEMS}?bbox=1,2,3", "bbox"),
        (f"{ITEMS}?bbox=a,b,c,d", "bbox"),
        (f"{ITEMS}?bbox=116,25,117,24", "bbox"),
        (f"{ITEMS}?bbox=116,24,117,NaN", "bbox"),
        (f"{ITEMS}?bbox=", "bbox"),
        (f"{ITEMS}?bbox-crs=EPSG:99999&bbox=1,2,3,4", "bbox-crs"),
        (f"{ITEMS}?crs=http://www.opengis.net/def/crs/EPSG/0/2415", "crs"),
        (f"{ITEMS}?limit=0", "limit"),
        (f"{ITEMS}?limit=-1", "limit"),
        (f"{ITEMS}?limit=ten", "limit"),
        (f"{ITEMS}?limit=1000000000000000000000", "limit"),
        (f"{ITEMS}?offset=-5", "offset"),
        (f"{ITEMS}?datetime=yesterday", "datetime"),
        (f"{ITEMS}?lanes=four", "lanes"),
        (f"{ITEMS}?lanes=99999999999999999999", "lanes"),
        (f"{ITEMS}?one_way=perhaps", "one_way"),
        (f"{ITEMS}?properties=nothing", "properties"),
        (f"{ITEMS}?unknown=1", "unknown"),
        (f"{ITEMS}?limit=1&limit=2", "limit"),
        (f"{ITEMS}?f=shapefile", "f"),
        (f"{ITEMS}?name=%00", "name"),
        ("/geocode", "q"),
        ("/geocode?q=", "q"),
        (f"/geocode?q={LONG}", "q"),
        (f"/suggest?q={LONG}", "q"),
        ("/suggest?q=a&limit=0", "limit"),
        ("/reverse?lon=116&lat=24", "coordsys"),
        ("/collections?unknown=1", "unknown"),
        ("/tiles/WebMercatorQuad/14/7063/13461?collections=road,nothing", "collections"),
    ],
)
def test_problem_names_the_parameter(client: httpx.Client, path: str, parameter: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["parameter"] == parameter
    assert len(problem["detail"]) > 10


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/collections/nothing",
        "/collections/nothing/items",
        f"{ITEMS}/no-such-road",
        "/collections/road/tiles/NoSuchGrid/1/0/0",
        "/collections/road/tiles/WebMercatorQuad/3/8/0",
        "/collections/road/tiles/CGCS2000Quad/1/1/0",
        "/collections/road/tiles/WebMercatorQuad/99/0/0",
        "/collections/road/tiles/WebMercatorQuad/-1/0/0",
        "/collections/road/tiles/WebMercatorQuad/a/b/c",
        "/styles/nothing",
        "/processes/nothing",
        "/tileMatrixSets/nothing",
        "/collections/division_name/tiles",
    ],
)
def test_what_is_not_there_is_a_4xx_with_a_sentence(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (400, 404), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.json()["detail"]) > 10


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"inputs": []}', b'{"inputs": {"lon": "a"}}',
     b'{"inputs": {"lon": 1e999, "lat": 2, "coordsys": "wgs84"}}', b'{"inputs": {"x": 1}}',
     b'{"inputs": {"lon": true, "lat": 1, "coordsys": "wgs84"}}', b"\xff\xfe", b'{"inputs": {}}'],
)  # fmt: skip
def test_bad_process_inputs(client: httpx.Client, body: bytes) -> None:
    answer = client.post(
        "/processes/locate-event/execution",
        content=body,
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/processes/locate-event/execution", "/geocode/batch"])
def test_a_body_without_end_is_refused_before_it_is_kept(client: httpx.Client, path: str) -> None:
    body = b'{"inputs": {"address": "' + b"a" * 3_000_000 + b'"}}'
    answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_query_of_10_000_chinese_characters(city: City) -> None:
    """90 000 bytes of URL, more than httpx itself would send."""
    connection = http.client.HTTPConnection(city.url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/geocode?q=" + quote("梅" * 10_000))
    answer = connection.getresponse()
    assert answer.status in (400, 414)
    assert answer.read()


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH"])
def test_methods_that_are_not_offered(client: httpx.Client, method: str) -> None:
    answer = client.request(method, ITEMS)
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


_TEXT = st.text(max_size=60).filter(lambda text: text != "")


@given(name=_TEXT)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text_is_answered(client: httpx.Client, name: str) -> None:
    for path, parameter in (
        ("/geocode", "q"),
        ("/suggest", "q"),
        (ITEMS, "name"),
        (ITEMS, "bbox"),
        (ITEMS, "datetime"),
        (ITEMS, "crs"),
    ):
        answer = client.get(path, params={parameter: name})
        assert answer.status_code < 500, (path, parameter, name, answer.text)
    assert client.get(f"{ITEMS}/{name.encode('utf-8', 'replace').hex()}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/geocode/batch",
        "/processes/locate-event/execution",
    ],
)
def test_a_body_that_is_not_json_is_told_where_it_stops_being_so(
    client: httpx.Client, path: str
) -> None:
    answer = client.post(
        path, content=b'{"inputs":\n  [1, }', headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400, answer.text
    assert "第 2 行" in answer.json()["detail"]
    assert "2:" in answer.json()["detail"]
