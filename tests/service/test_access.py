"""Without a key there is no trace of a layer that is not public; with one it is there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from geoserver_py.operations import Operation
from geoserver_py.surface import operations
from layers.access import AccessClass
from layers.definition import load_definitions
from tests.service.conftest import City

HIDDEN = {
    name: definition
    for name, definition in load_definitions().items()
    if definition.access is not AccessClass.PUBLIC and not definition.optional
}
_EXAMPLES = {
    "tileMatrixSetId": ["WebMercatorQuad", "CGCS2000Quad"],
    "styleId": ["basemap"],
    "processId": ["locate-event"],
    "collectionId": [*HIDDEN, "road"],
    "jobId": ["1"],
    "output": ["table"],
}


@pytest.fixture(scope="module")
def traces(city: City) -> dict[str, set[str]]:
    """What would give a hidden layer away: its name as an id, its title, ids of its features."""
    found = {}
    with psycopg.connect(city.dsn) as connection:
        for name, definition in HIDDEN.items():
            rows = connection.execute(
                f"SELECT id FROM layer.{name} ORDER BY fid LIMIT 3"  # noqa: S608 - our own names
            ).fetchall()
            ids = {row[0] for row in rows if len(row[0]) > 5}
            # "event" alone is an English word; as a JSON value or in a path it is the layer
            found[name] = {f'"{name}"', f"/{name}", f"={name}", definition.title.zh} | ids
    return found


@pytest.fixture(scope="module")
def hidden_tile(city: City) -> tuple[int, int, int]:
    """z, row, column of a Web Mercator tile that holds pipelines."""
    with psycopg.connect(city.dsn) as connection:
        row = connection.execute(
            "SELECT floor((ST_X(c) + 180) / 360 * 65536)::int,"
            " floor((1 - asinh(tan(radians(ST_Y(c)))) / pi()) / 2 * 65536)::int"
            " FROM (SELECT ST_PointOnSurface(geom) AS c FROM layer.pipeline_line LIMIT 1) AS p"
        ).fetchone()
    assert row is not None
    return 16, row[1], row[0]


@pytest.fixture(scope="module")
def hidden_runs(city: City) -> list[str]:
    """Runs of the ETL into hidden layers."""
    with psycopg.connect(city.dsn) as connection:
        rows = connection.execute(
            "SELECT id::text FROM catalog.run WHERE layer = ANY (%s)", [list(HIDDEN)]
        ).fetchall()
    assert len(rows) >= 3
    return [run for (run,) in rows]


def _paths(
    operation: Operation, tile: tuple[int, int, int], feature: str, runs: list[str]
) -> Iterator[str]:
    """Concrete paths of an operation, every parameter filled with something that exists."""
    values = {
        **_EXAMPLES,
        "featureId": [feature],
        "run": runs,
        "id": ["1"],
        "rasterId": ["1"],
        "tileMatrix": [str(tile[0])],
        "tileRow": [str(tile[1])],
        "tileCol": [str(tile[2])],
    }
    pending = [operation.path]
    for name in re.findall(r"\{(\w+)(?::\w+)?\}", operation.path):
        assert name in values, f"{operation.path}: no example for {name}"
        pending = [
            re.sub(rf"\{{{name}(:\w+)?\}}", value, path)
            for path in pending
            for value in values[name]
        ]
    yield from pending


QUERIES = {
    "/geocode": "?q={trace}",
    "/suggest": "?q={trace}",
    "/reverse": "?lon=116.1176&lat=24.2886&coordsys=cgcs2000",
    "/position": "?lon=116.1176&lat=24.2886&coordsys=cgcs2000",
    "/parse": "?q={trace}",
    "/compat/amap/v3/geocode/geo": "?address={trace}",
    "/compat/amap/v3/geocode/regeo": "?location=116.1224,24.2859&extensions=all",
    "/compat/amap/v3/config/district": "?keywords=梅州&subdistrict=3&extensions=all",
    "/compat/amap/v3/assistant/inputtips": "?keywords={trace}",
    "/compat/amap/v3/assistant/coordinate/convert": "?locations=116.1,24.2",
    "/compat/amap/v3/place/text": "?keywords={trace}&extensions=all",
    "/compat/amap/v3/place/around": "?location=116.1224,24.2859&radius=50000&extensions=all",
    "/compat/tianditu/geocoder": "?postStr={{'lon':116.1176,'lat':24.2886,'ver':1}}",
    "/grid/locate": "?lon=116.1176&lat=24.2886&coordsys=cgcs2000&category=06010",
}


_JSON = {"Content-Type": "application/json"}
_BINARY = {"Content-Type": "application/octet-stream"}
BODIES: dict[str, tuple[dict[str, str], str]] = {
    "/geocode/batch": (_JSON, '["{trace}", "嘉应中路12号"]'),
    "/processes/{processId}/execution": (
        _JSON,
        '{{"inputs": {{"lon": 116.1176, "lat": 24.2886, "coordsys": "cgcs2000",'
        ' "category": "06010"}}}}',
    ),
    "/processes/geocode-batch/execution": (
        _JSON,
        '{{"inputs": {{"table": "地址\\n{trace}"}}}}',
    ),
    "/jobs/{jobId}": (_JSON, "{{}}"),
    "/deliveries": (_BINARY, "PK{trace}"),
    "/deliveries/{id:int}/statement": (_JSON, '{{"layer": "{trace}"}}'),
    "/deliveries/{id:int}/answers": (_JSON, '{{"answers": {{"{trace}": "1"}}}}'),
    "/deliveries/{id:int}/restart": (_JSON, "{{}}"),
}
"""What a client sends to the operations that take a body."""


def _requests(operation: Operation, path: str, trace: str) -> Iterator[tuple[str, str, Any, str]]:
    """method, URL, headers and body of everything that is asked of an operation at a path."""
    queries = ("", "?f=json", "?f=html", QUERIES.get(operation.path, ""))
    if operation.method == "GET":
        for query in queries:
            for method in ("GET", "HEAD"):
                yield method, path + query.format(trace=trace), {}, ""
        return
    assert operation.path in BODIES, f"{operation.path}: no example of a body"
    headers, body = BODIES[operation.path]
    for sent in ("", "{{}}", body):
        yield operation.method, path, headers, sent.format(trace=trace)
        yield operation.method, f"{path}?name=a.zip", headers, sent.format(trace=trace)


def test_no_route_and_no_method_shows_a_trace_of_a_hidden_layer(
    client: httpx.Client,
    traces: dict[str, set[str]],
    hidden_tile: tuple[int, int, int],
    hidden_runs: list[str],
) -> None:
    asked: Counter[str] = Counter()
    ids = {trace for trace in traces["pipeline_point"] if re.fullmatch(r"[\w-]+", trace)}
    feature = max(ids - {HIDDEN["pipeline_point"].title.zh}, key=len)
    every_trace = set().union(*traces.values())
    for operation in operations():
        for path in _paths(operation, hidden_tile, feature, hidden_runs):
            for method, url, headers, body in _requests(operation, path, feature):
                answer = client.request(method, url, headers=headers, content=body or None)
                asked[method] += 1
                if method == "POST" and answer.status_code == 200:
                    asked[operation.path] += 1
                assert answer.status_code < 500, f"{method} {url}"
                # what the client itself said may come back to it; nothing more may
                said = {trace for trace in every_trace if trace in url + body}
                shown = answer.text + repr(sorted(answer.headers.items()))
                for trace in every_trace - said:
                    assert trace not in shown, f"{method} {url} shows {trace}"
    assert {operation.method for operation in operations()} < set(asked)
    assert asked["GET"] > 100
    for path in ("/geocode/batch", "/processes/{processId}/execution"):
        assert asked[path] >= 1, path  # these need no key


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_methods_that_are_not_offered_tell_nothing_of_hidden_layers(
    client: httpx.Client, method: str
) -> None:
    for name in HIDDEN:
        for suffix in ("", "/items", "/items/1", "/tiles"):
            hidden = client.request(method, f"/collections/{name}{suffix}")
            absent = client.request(method, f"/collections/{'x' * len(name)}{suffix}")
            assert hidden.status_code == absent.status_code
            assert hidden.text.replace(name, "") == absent.text.replace("x" * len(name), "")


def test_no_shared_cache_gives_the_answer_to_a_key_to_somebody_without_it(
    client: httpx.Client, city: City, hidden_tile: tuple[int, int, int]
) -> None:
    """RFC 9111: a cache keeps what it is not told to leave; Vary names what an answer hangs on."""
    key = {"X-API-Key": city.restricted_key}
    for operation in operations():
        if operation.method != "GET":  # shared caches keep no answer to another method
            continue
        for path in _paths(operation, hidden_tile, "1", ["1"]):
            url = path + QUERIES.get(operation.path, "").format(trace="1")
            answer = client.get(url, headers=key)
            policy = answer.headers.get("cache-control", "")
            assert "no-cache" in policy or "no-store" in policy, url
            assert "no-store" in policy or "X-API-Key" in answer.headers.get("vary", ""), url


@pytest.mark.parametrize("name", sorted(HIDDEN))
def test_hidden_and_absent_layers_are_refused_in_the_same_words(
    client: httpx.Client, name: str
) -> None:
    for suffix in ("", "/items", "/items/1", "/schema", "/queryables", "/tiles",
                   "/tiles/WebMercatorQuad", "/tiles/WebMercatorQuad/14/7063/13461"):  # fmt: skip
        hidden = client.get(f"/collections/{name}{suffix}")
        absent = client.get(f"/collections/{'x' * len(name)}{suffix}")
        assert hidden.status_code == absent.status_code == 404
        assert hidden.text.replace(name, "") == absent.text.replace("x" * len(name), "")


def test_dataset_tiles_refuse_a_hidden_collection_like_an_absent_one(
    client: httpx.Client, hidden_tile: tuple[int, int, int]
) -> None:
    z, row, column = hidden_tile
    url = f"/tiles/WebMercatorQuad/{z}/{row}/{column}"
    hidden = client.get(url, params={"collections": "road,pipeline_line"})
    absent = client.get(url, params={"collections": "road,pipeline_nine"})
    assert hidden.status_code == absent.status_code
    assert hidden.text.replace("pipeline_line", "pipeline_nine") == absent.text
    assert b"pipeline" not in client.get(url).content


def test_with_a_key_its_classes_are_there_and_no_others(client: httpx.Client, city: City) -> None:
    def listed(key: str | None) -> set[str]:
        headers = {} if key is None else {"X-API-Key": key}
        answer = client.get("/collections", headers=headers).json()
        return {entry["id"] for entry in answer["collections"]}

    assert "event" in listed(city.government_key)
    assert not {"pipeline_line", "pipeline_point"} & listed(city.government_key)
    assert set(HIDDEN) <= listed(city.restricted_key)
    assert not set(HIDDEN) & listed(None)
    bearer = {"Authorization": f"Bearer {city.restricted_key}"}
    items = client.get("/collections/pipeline_line/items?limit=1", headers=bearer)
    assert items.json()["numberReturned"] == 1


def test_an_unknown_key_is_refused_and_a_key_in_the_url_is_not_read(
    client: httpx.Client, city: City
) -> None:
    assert client.get("/collections", headers={"X-API-Key": "gsp_wrong"}).status_code == 401
    assert client.get("/collections", params={"key": city.restricted_key}).status_code == 400


def test_a_revoked_key_stops_working_within_two_seconds(client: httpx.Client, city: City) -> None:
    import time

    from layers.keys import add_key, revoke_key

    with psycopg.connect(city.dsn) as connection:
        token = add_key(connection, "short-lived", bureau=None, classes=[AccessClass.GOVERNMENT])
    headers = {"X-API-Key": token}
    deadline = time.monotonic() + 2
    while client.get("/collections", headers=headers).status_code == 401:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with psycopg.connect(city.dsn) as connection:
        revoke_key(connection, "short-lived")
    deadline = time.monotonic() + 2
    while client.get("/collections", headers=headers).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
