"""Pages for people: words for codes, readable refusals, and every link a page that opens."""

from __future__ import annotations

import re
import time

import httpx
import pyproj
import pytest

from layers.codes import code_list
from tests.service.conftest import City

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def test_codes_are_shown_as_words_and_json_keeps_them(client: httpx.Client) -> None:
    (feature,) = client.get("/collections/road/items", params={"limit": 1}).json()["features"]
    code = feature["properties"]["road_class"]
    word = code_list("road_class").entries[code].zh
    own = f"/collections/road/items/{feature['id']}"
    for path in (own, "/collections/road/items?limit=1"):
        page = client.get(path, headers=BROWSER).text
        assert f"{word}（{code}）" in page
    assert client.get(own).json()["properties"]["road_class"] == code
    assert f"{word}（{code}）" in client.get("/collections/road/schema", headers=BROWSER).text


def test_truth_values_and_units_are_words_too(client: httpx.Client) -> None:
    page = client.get("/collections/road/items", params={"limit": 50}, headers=BROWSER).text
    assert ">True<" not in page
    assert ">否<" in page
    assert re.search(r">\d+(\.\d+)? m<", page)


@pytest.mark.parametrize("language", ["en-US,en;q=0.9", "zh-CN,zh;q=0.9", None])
@pytest.mark.parametrize(
    ("path", "chinese", "english"),
    [
        ("/", "一张图", "one map"),
        ("/collections", "道路", "Roads"),
        ("/collections/road", "道路", "Roads"),
        ("/collections/road/items?limit=1", "道路", "Roads"),
        ("/processes", "事件定位", "Locate an event"),
        ("/processes/locate-event", "事件定位", "Locate an event"),
    ],
)
def test_a_page_bears_both_languages_whoever_asks(
    client: httpx.Client, path: str, chinese: str, english: str, language: str | None
) -> None:
    headers = BROWSER if language is None else {**BROWSER, "Accept-Language": language}
    main = client.get(path, headers=headers).text.partition("<main>")[2]
    assert 0 <= main.find(chinese) < main.find(english)


def test_an_item_is_shown_with_its_shape_and_its_coordinates_in_both_systems(
    client: httpx.Client,
) -> None:
    (feature,) = client.get("/collections/building/items", params={"limit": 1}).json()["features"]
    own = f"/collections/building/items/{feature['id']}"
    page = client.get(own, params={"f": "html"}).text
    lon, lat = feature["geometry"]["coordinates"][0][0][0][:2]
    east, north = pyproj.Transformer.from_crs(4490, 4548, always_xy=True).transform(lon, lat)
    assert "<svg" in page
    for said in (f"{lon:.9f}", f"{lat:.9f}", f"{north:.4f}", f"{east:.4f}", "X（北）", "Y（东）"):
        assert said in page, said
    assert '"coordinates"' not in page
    assert f"{own}/lineage?f=html" in page
    other = client.get(own, params={"f": "html", "crs": "EPSG:4548"})
    assert f"{lon:.9f}" in other.text
    table = client.get("/collections/division_name/items", params={"limit": 1}).json()["features"]
    plain = client.get(f"/collections/division_name/items/{table[0]['id']}", headers=BROWSER)
    assert plain.status_code == 200
    assert "<svg" not in plain.text


REFUSALS = [
    ("/nothing", 404, "没有路径"),
    ("/collections/nothing", 404, "没有这个图层"),
    ("/collections/road/items?limit=ten", 400, "须为整数"),
    ("/collections/road/items?unknown=1", 400, "未知参数"),
    ("/collections/road/items/no-such-road", 404, "要素"),
    ("/geocode", 400, "必须给出"),
    ("/tiles/WebMercatorQuad/99/0/0", 400, "99"),
    ("/collections/road/items?f=shapefile", 400, "shapefile"),
]


def test_what_is_not_found_is_named_in_both_languages(client: httpx.Client) -> None:
    detail = client.get("/collections/nothing").json()["detail"]
    assert detail == "没有这个图层。 (collection not found)"


@pytest.mark.parametrize(("path", "status", "words"), REFUSALS)
def test_a_browser_gets_a_refusal_that_it_can_read(
    client: httpx.Client, path: str, status: int, words: str
) -> None:
    plain = client.get(path)
    assert plain.headers["content-type"] == "application/problem+json"
    page = client.get(path, headers=BROWSER)
    assert page.status_code == plain.status_code == status
    if "f=" in path:  # what was asked for by name wins over the browser
        assert page.headers["content-type"] == "application/problem+json"
        return
    assert page.headers["content-type"].startswith("text/html")
    assert '<html lang="zh-CN">' in page.text
    assert words in page.text
    heading = page.text.partition("<h1>")[2].partition("</h1>")[0]
    assert re.search(r"[\u4e00-\u9fff]", heading), heading
    assert "Accept" in page.headers["vary"]
    asked = client.get(f"{path}{'&' if '?' in path else '?'}f=html")
    assert asked.status_code == status or "f" in asked.text


def test_what_a_client_sends_does_not_become_markup(client: httpx.Client) -> None:
    page = client.get("/collections/road/items?<script>alert(1)</script>=1", headers=BROWSER)
    assert page.status_code == 400
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


def test_every_page_that_pages_link_to_opens(client: httpx.Client, city: City) -> None:
    """From the landing page on, two levels of what a person can click."""
    headers = {**BROWSER, "X-API-Key": city.restricted_key}
    waiting, seen = ["/"], set()
    for depth in range(3):
        found: set[str] = set()
        for path in waiting:
            answer = client.get(path, headers=headers)
            assert answer.status_code == 200, path
            if answer.headers["content-type"].startswith("text/html") and depth < 2:
                found |= set(re.findall(r'href="([^"#]+)"', answer.text))
        ours = {href.removeprefix(city.url).replace("&amp;", "&") for href in found
                if href.startswith((city.url, "/"))}  # fmt: skip
        waiting = sorted(
            path for path in ours - seen if not path.startswith("/portal") and "?q=" not in path
        )
        seen |= set(waiting)
    assert any(path.endswith("/tiles") for path in seen)
    assert len(seen) > 30


@pytest.mark.parametrize(
    "path",
    ["/tiles", "/collections/road/tiles", "/collections/road/tiles/CGCS2000Quad",
     "/tiles/WebMercatorQuad", "/tileMatrixSets", "/tileMatrixSets/CGCS2000Quad"],
)  # fmt: skip
def test_tilesets_have_pages(client: httpx.Client, path: str) -> None:
    assert client.get(path).headers["content-type"] == "application/json"
    for page in (client.get(path, headers=BROWSER), client.get(path, params={"f": "html"})):
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "EPSG" in page.text


def test_hosts_that_are_made_up_cost_no_more_than_one(client: httpx.Client) -> None:
    """Every link names the host that was asked, and no host makes the service build anew."""
    client.get("/collections", headers={"Host": "first.example"})
    began = time.perf_counter()
    client.get("/collections")
    once = time.perf_counter() - began
    began = time.perf_counter()
    for number in range(40):
        answer = client.get("/collections", headers={"Host": f"h{number}.example:81"})
        links = answer.json()["collections"][0]["links"]
        assert {link["href"].startswith(f"http://h{number}.example:81/") for link in links} == {
            True
        }
    assert time.perf_counter() - began < 40 * max(once, 0.01) * 3
    odd = client.get("/conformance", headers={"Host": 'a"b\\c'})
    assert odd.status_code in (200, 400)
