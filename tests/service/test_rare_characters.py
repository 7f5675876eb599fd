"""輋𣒍村: U+2348D lies outside GBK and outside the basic plane, and must survive everywhere."""

from __future__ import annotations

import httpx
import mapbox_vector_tile
import psycopg

from tests.service.conftest import City

VILLAGE = "輋𣒍村"
CODE = "441424103203"


def test_api_and_csv(client: httpx.Client) -> None:
    feature = client.get(f"/collections/division_name/items/{CODE}").json()
    assert feature["properties"]["name"].startswith(VILLAGE)
    inside = {"parent_code": CODE[:9], "limit": 100}
    found = client.get("/collections/division_village/items", params=inside).json()
    assert any(f["properties"]["name"].startswith(VILLAGE) for f in found["features"])
    table = client.get("/collections/division_village/items", params={**inside, "f": "csv"})
    assert VILLAGE in table.content.decode("utf-8-sig")


def test_tile(client: httpx.Client, city: City) -> None:
    with psycopg.connect(city.dsn) as connection:
        row = connection.execute(
            "SELECT floor((ST_X(c) + 180) / 360 * 8192)::int,"
            " floor((1 - asinh(tan(radians(ST_Y(c)))) / pi()) / 2 * 8192)::int"
            " FROM (SELECT ST_PointOnSurface(geom) AS c FROM layer.division_village"
            " WHERE id = %s) AS p",
            [CODE],
        ).fetchone()
    assert row is not None
    url = f"/collections/division_village/tiles/WebMercatorQuad/13/{row[1]}/{row[0]}"
    tile = mapbox_vector_tile.decode(client.get(url).content)
    names = {f["properties"]["name"] for layer in tile.values() for f in layer["features"]}
    assert any(name.startswith(VILLAGE) for name in names)


def test_suggest_and_geocode(client: httpx.Client) -> None:
    for path in ("/suggest", "/geocode"):
        features = client.get(path, params={"q": VILLAGE}).json()["features"]
        assert VILLAGE in features[0]["properties"]["geocoding"]["label"], path
    typed = client.get("/geocode", params={"q": "五华县转水镇輋𣒍村"}).json()
    assert VILLAGE in typed["features"][0]["properties"]["geocoding"]["label"]
