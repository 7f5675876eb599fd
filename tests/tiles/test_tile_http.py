"""Tiles as clients get them: over HTTP, from a running server, against a real database."""

from __future__ import annotations

import gzip
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import mapbox_vector_tile
import morecantile
import psycopg
import pytest
import shapely
import uvicorn

from geoserver_py.app import create_application
from geoserver_py.settings import Settings
from geoserver_py.tile_routes import accepts_gzip, matches
from layers.access import AccessClass
from layers.keys import add_key
from tests.conftest import MakeDatabase
from tests.tiles import town
from tiles.grids import CGCS2000_QUAD, GRIDS, WEB_MERCATOR_QUAD, Grid

HIDDEN = ("pipeline_line", "pipeline_point", "event")
IDENTITY = {"Accept-Encoding": "identity"}
GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture(scope="module")
def dsn(make_database: MakeDatabase) -> str:
    made = make_database("tile_http")
    town.build(made)
    return made


def _serve(dsn: str, cache_mb: int) -> Iterator[httpx.Client]:
    settings = Settings(database_url=dsn, tile_cache_mb=cache_mb)
    config = uvicorn.Config(
        create_application(settings), port=0, log_level="warning", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline
        assert thread.is_alive()
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield client
    server.should_exit = True
    thread.join(15)


@pytest.fixture(scope="module")
def client(dsn: str) -> Iterator[httpx.Client]:
    yield from _serve(dsn, 8)


@pytest.fixture(scope="module")
def uncached(dsn: str) -> Iterator[httpx.Client]:
    yield from _serve(dsn, 0)


@pytest.fixture(scope="module")
def key(dsn: str, client: httpx.Client) -> dict[str, str]:
    with psycopg.connect(dsn) as connection:
        token = add_key(connection, "管线办", bureau="城市管理和综合执法局", classes=AccessClass)
        connection.commit()
    headers = {"X-API-Key": str(token)}
    _until(lambda: client.get("/styles", headers=headers).status_code == 200)
    return headers


def _until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.1)


def address(grid: Grid, zoom: int) -> str:
    row, col = grid.tile_at(*town.CENTRE, zoom)
    return f"{grid.id}/{zoom}/{row}/{col}"


@pytest.mark.parametrize("grid", GRIDS.values(), ids=lambda grid: grid.id)
def test_a_tile_is_the_same_in_every_encoding(client: httpx.Client, grid: Grid) -> None:
    path = f"/collections/building/tiles/{address(grid, 15)}"
    plain = client.get(path, headers=IDENTITY)
    assert plain.status_code == 200
    assert plain.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert "content-encoding" not in plain.headers
    with client.stream("GET", path, headers=GZIP) as packed:
        raw = b"".join(packed.iter_raw())
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["etag"] != plain.headers["etag"]
        assert "accept-encoding" in packed.headers["vary"].lower()
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content)
    assert mapbox_vector_tile.decode(plain.content)["building"]["features"]


def test_cached_and_uncached_tiles_are_equal(client: httpx.Client, uncached: httpx.Client) -> None:
    path = f"/tiles/{address(WEB_MERCATOR_QUAD, 15)}?collections=building,road"
    first, second = client.get(path), client.get(path)
    assert "cache;desc=hit" in second.headers["server-timing"]
    assert first.content == second.content
    for _ in range(2):
        fresh = uncached.get(path)
        assert re.match(r"cache;desc=miss, db;dur=[\d.]+", fresh.headers["server-timing"])
        assert fresh.content == first.content
        assert fresh.headers["etag"] == first.headers["etag"]


def test_304_and_hits_need_no_database(client: httpx.Client, dsn: str) -> None:
    """Both answer while the table is locked against every reader."""
    path = f"/collections/building/tiles/{address(WEB_MERCATOR_QUAD, 16)}"
    etag = client.get(path).headers["etag"]
    with psycopg.connect(dsn) as connection:
        connection.execute("LOCK TABLE layer.building IN ACCESS EXCLUSIVE MODE")
        for tags in (etag, f'"other", W/{etag}', "*"):
            unchanged = client.get(path, headers={"If-None-Match": tags})
            assert unchanged.status_code == 304
            assert unchanged.headers["etag"] == etag
            assert not unchanged.content
        assert client.get(path).status_code == 200
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_client_that_leaves_cancels_its_query(client: httpx.Client, dsn: str) -> None:
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND query LIKE '%ST_AsMVT%' AND pid <> pg_backend_pid()"
    )

    def running() -> int:
        with psycopg.connect(dsn) as watching:
            found = watching.execute(waiting).fetchone()
            assert found is not None
            return int(found[0])

    path = f"/collections/building/tiles/{address(WEB_MERCATOR_QUAD, 19)}"
    port = client.base_url.port
    assert port is not None
    with psycopg.connect(dsn) as connection:
        connection.execute("LOCK TABLE layer.building IN ACCESS EXCLUSIVE MODE")
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        for each in clients:
            each.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        _until(lambda: running() > 0)
        assert running() == 1  # three clients, one query
        clients[0].close()
        time.sleep(0.3)
        assert running() == 1  # two still wait
        for each in clients[1:]:
            each.close()
        _until(lambda: running() == 0)
    assert client.get(path).status_code in (200, 204)


def test_a_write_changes_tile_and_etag(client: httpx.Client, dsn: str) -> None:
    path = f"/collections/poi/tiles/{address(CGCS2000_QUAD, 16)}"
    before = client.get(path)
    assert before.status_code == 204
    with psycopg.connect(dsn) as connection:
        definition = town.definitions()["poi"]
        row = town.Row(
            "P1", shapely.Point(*town.CENTRE), {"name": town.RARE_NAME, "category": "other"}
        )
        town.load(connection, definition, [row])
    tag = {"If-None-Match": before.headers["etag"]}
    _until(lambda: client.get(path, headers=tag).status_code == 200)
    (feature,) = mapbox_vector_tile.decode(client.get(path).content)["poi"]["features"]
    assert feature["properties"] == {"name": "五华县輋𣒍村", "category": "other", "id": "P1"}


def test_an_empty_tile_is_204(client: httpx.Client) -> None:
    for path in (
        "/collections/building/tiles/WebMercatorQuad/14/0/0",
        "/tiles/CGCS2000Quad/14/0/0",
        "/tiles/WebMercatorQuad/0/0/0?collections=building",
    ):
        answer = client.get(path)
        assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    ("path", "status", "parameter"),
    [
        ("/collections/building/tiles/WebMercatorQuad/14/99999/0", 404, "tileRow"),
        ("/collections/building/tiles/WebMercatorQuad/14/0/16384", 404, "tileCol"),
        ("/collections/building/tiles/WebMercatorQuad/29/0/0", 404, "tileMatrix"),
        ("/collections/building/tiles/WebMercatorQuad/5/0/0", 404, "tileMatrix"),
        ("/collections/building/tiles/CGCS2000Quad/0/0/0", 404, "tileMatrix"),
        ("/collections/building/tiles/WebMercatorQuad/-1/0/0", 400, "tileMatrix"),
        ("/collections/building/tiles/WebMercatorQuad/14/a/0", 400, "tileRow"),
        ("/collections/building/tiles/WebMercatorQuad/14/0/999999999999999999999", 400, "tileCol"),
        ("/collections/building/tiles/GlobalQuad/14/0/0", 400, "tileMatrixSetId"),
        ("/collections/nothing/tiles/WebMercatorQuad/14/0/0", 404, None),
        ("/collections/division_name/tiles/WebMercatorQuad/14/0/0", 404, None),
        ("/tiles/WebMercatorQuad/14/0/0?collections=building,nothing", 400, "collections"),
        ("/tiles/WebMercatorQuad/14/0/0?collections=", 400, "collections"),
        ("/tiles/WebMercatorQuad/14/0/0?collections=road,road", 400, "collections"),
        ("/tiles/WebMercatorQuad/14/0/0?colections=road", 400, "colections"),
        ("/styles/other", 404, None),
    ],
)
def test_refusals_say_what_is_wrong(
    client: httpx.Client, path: str, status: int, parameter: str | None
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.get("parameter") == parameter
    assert re.search("[一-鿿]", problem["detail"])
    assert re.search("[a-z]{4}", problem["detail"])


def test_hidden_layers_leave_no_trace_without_a_key(
    client: httpx.Client, key: dict[str, str]
) -> None:
    at = address(WEB_MERCATOR_QUAD, 16)
    documents = [
        "/tiles",
        "/tiles/WebMercatorQuad",
        "/tiles/CGCS2000Quad/tilejson",
        "/tiles/WebMercatorQuad/tilejson",
        "/styles/basemap",
        "/tiles/WebMercatorQuad/16/0/0?collections=nothing",
    ]
    for path in documents:
        text = client.get(path).text
        assert not [name for name in HIDDEN if name in text], path
    tile = mapbox_vector_tile.decode(client.get(f"/tiles/{at}").content)
    assert set(tile) & set(HIDDEN) == set()
    assert "building" in tile
    for name in ("pipeline_line", "event"):
        path = f"/collections/{name}/tiles/{at}"
        hidden, absent = client.get(path), client.get(path.replace(name, "absent"))
        assert (hidden.status_code, absent.status_code) == (404, 404)
        assert hidden.text.replace(name, "absent") == absent.text
        refused = client.get(f"/tiles/{at}?collections={name}")
        assert refused.status_code == 400
        assert name not in json.dumps(refused.json()["accepted"])
        seen = client.get(path, headers=key)
        assert seen.status_code == 200
        assert seen.headers["cache-control"].startswith("private")
    assert "pipeline_line" in client.get("/tiles/WebMercatorQuad", headers=key).text
    assert "pipeline_line" in client.get("/styles/basemap", headers=key).text
    tile = mapbox_vector_tile.decode(client.get(f"/tiles/{at}", headers=key).content)
    assert {"pipeline_line", "event", "building"} <= set(tile)
    (event,) = tile["event"]["features"]
    assert event["properties"]["id"] == "2026112200000000001"


@pytest.mark.parametrize("grid", GRIDS.values(), ids=lambda grid: grid.id)
def test_tileset_metadata_leads_to_tiles(client: httpx.Client, grid: Grid) -> None:
    listed = client.get("/collections/building/tiles").json()["tilesets"]
    (found,) = [entry for entry in listed if entry["tileMatrixSetId"] == grid.id]
    links = {link["rel"]: link for link in found["links"]}
    tileset = client.get(links["self"]["href"]).json()
    scheme = client.get(
        links["http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme"]["href"]
    ).json()
    tms = morecantile.TileMatrixSet.model_validate(scheme)
    assert tileset["dataType"] == "vector"
    (layer,) = tileset["layers"]
    assert layer["geometryDimension"] == 2
    assert layer["propertiesSchema"]["properties"]["floors"]["type"] == "integer"
    limits = {entry["tileMatrix"]: entry for entry in tileset["tileMatrixSetLimits"]}
    assert min(int(level) for level in limits) == 12
    tile = tms._tile(*_in(tms), 14)
    limit = limits["14"]
    assert limit["minTileRow"] <= tile.y <= limit["maxTileRow"]
    assert limit["minTileCol"] <= tile.x <= limit["maxTileCol"]
    template = links["item"]["href"]
    url = template.format(tileMatrix=14, tileRow=tile.y, tileCol=tile.x)
    assert client.get(url).status_code == 200


def _in(tms: morecantile.TileMatrixSet) -> tuple[float, float]:
    grid = GRIDS[tms.id]
    return grid.project(*town.CENTRE)


def test_tilejson_describes_the_tiles(client: httpx.Client) -> None:
    document = client.get("/tiles/WebMercatorQuad/tilejson?collections=building,road").json()
    assert document["tilejson"] == "3.0.0"
    assert [layer["id"] for layer in document["vector_layers"]] == ["building", "road"]
    assert (document["minzoom"], document["maxzoom"]) == (6, 18)
    west, south, east, north = document["bounds"]
    assert west < town.CENTRE[0] < east
    assert south < town.CENTRE[1] < north
    row, col = WEB_MERCATOR_QUAD.tile_at(*town.CENTRE, 14)
    url = document["tiles"][0].format(z=14, x=col, y=row)
    assert set(mapbox_vector_tile.decode(client.get(url).content)) == {"building", "road"}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=lambda grid: grid.id)
def test_gdal_reads_a_tile(client: httpx.Client, dsn: str, grid: Grid, tmp_path: Path) -> None:
    """GDAL's MVT driver finds every lamp of the tile where the database has it."""
    row, col = grid.tile_at(*town.CENTRE, 16)
    tile = tmp_path / f"{row}.mvt"
    tile.write_bytes(client.get(f"/collections/component/tiles/{grid.id}/16/{row}/{col}").content)
    west, south, east, north = grid.envelope(16, row, col)
    width = grid.square[2] - grid.square[0]
    listing = subprocess.run(
        [
            "ogrinfo", "-ro", "-al", "-q",
            "-oo", f"X={col}", "-oo", f"Y={row}", "-oo", "Z=16", "-oo", "CLIP=NO", str(tile),
        ],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    read = re.findall(r"id \(String\) = (\w+)\n(?:.*\n)*?\s+POINT \(([-\d.]+) ([-\d.]+)\)", listing)
    mercator = WEB_MERCATOR_QUAD.square
    unit = width / 2**16 / 4096
    placed = {
        name: (
            # GDAL takes every tile for Web Mercator: back to shares of the square, then this grid
            grid.square[0] + (float(x) - mercator[0]) / (mercator[2] - mercator[0]) * width,
            grid.square[3] - (mercator[3] - float(y)) / (mercator[3] - mercator[1]) * width,
        )
        for name, x, y in read
    }
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            f"SELECT id, ST_X({grid.column}), ST_Y({grid.column}) FROM layer.component"  # noqa: S608
            f" WHERE {grid.column} && ST_MakeEnvelope(%s, %s, %s, %s, %s)",
            [west, south, east, north, grid.srid],
        ).fetchall()
    assert len(rows) > 5
    for name, x, y in rows:
        assert placed[name] == pytest.approx((x, y), abs=0.51 * unit)


def test_a_style_names_only_what_the_tiles_have(client: httpx.Client, key: dict[str, str]) -> None:
    for headers in ({}, key):
        style = client.get("/styles/basemap", headers=headers).json()
        ids = [layer["id"] for layer in style["layers"]]
        assert len(set(ids)) == len(ids)
        assert "glyphs" not in style
        assert "sprite" not in style
        base = str(client.base_url).rstrip("/")
        for source in style["sources"].values():
            assert all(url.startswith(f"{base}/tiles/WebMercatorQuad/") for url in source["tiles"])
        text = json.dumps(style)
        assert set(re.findall(r"https?://[^/\"]+", text)) == {base}
        fields: dict[str, set[str]] = {}
        for url in {url for source in style["sources"].values() for url in source["tiles"]}:
            query = url.partition("?")[2]
            described = client.get(f"/tiles/WebMercatorQuad/tilejson?{query}", headers=headers)
            for layer in described.json()["vector_layers"]:
                fields[layer["id"]] = set(layer["fields"])
        for layer in style["layers"][1:]:
            used = set(re.findall(r'\["(?:get|has)", "(\w+)"\]', json.dumps(layer)))
            assert used <= fields[layer["source-layer"]], layer["id"]
            assert re.search("[一-鿿]", layer["metadata"]["title"]["zh"])


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.8", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, identity", False),
        ("identity", False),
        ("", False),
    ],
)
def test_accept_encoding(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def test_if_none_match_compares_weakly() -> None:
    assert matches('W/"a", "b"', '"b"')
    assert matches('W/"a"', '"a"')
    assert not matches('"c"', '"a"')
    assert not matches("", '"a"')
