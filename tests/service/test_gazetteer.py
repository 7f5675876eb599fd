"""The address engine on the sample city: what its own delivered addresses lead to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pyproj
import pytest

from tests.service.conftest import City

GEOD = pyproj.Geod(ellps="GRS80")
SAMPLE = 120

ADDRESSES = """
    SELECT id, full_address, road, number, ST_X(geom), ST_Y(geom)
    FROM layer.address ORDER BY hashtext(id) LIMIT %s
"""


def addresses(city: City) -> list[tuple[Any, ...]]:
    with psycopg.connect(city.dsn) as connection:
        return connection.execute(ADDRESSES, [SAMPLE]).fetchall()


def batch(client: httpx.Client, texts: list[str]) -> list[dict[str, Any]]:
    response = client.post("/geocode/batch", json=texts)
    assert response.status_code == 200, response.text
    documents: list[dict[str, Any]] = response.json()
    return documents


def test_every_delivered_address_is_found_or_its_doubles_are_named(
    city: City, client: httpx.Client
) -> None:
    rows = addresses(city)
    for row, document in zip(rows, batch(client, [row[1] for row in rows]), strict=True):
        ids = [f["properties"]["geocoding"]["record"]["id"] for f in document["features"]]
        assert ids[0] == row[0] or (row[0] in ids and document["geocoding"]["ambiguous"]), row[1]


def test_misspelled_or_shortened_addresses_stay_within_their_stated_error(
    city: City, client: httpx.Client
) -> None:
    rows = [row for row in addresses(city) if row[2] and row[3]]
    forms: list[Callable[[str], str]] = [
        lambda full: full.removeprefix("广东省梅州市"),
        lambda full: full.replace("广东省", "").replace("市", "巿"),
        lambda full: f"{full}3单元502室",
        lambda full: full.replace("号", "號").replace("东", "東"),
    ]
    for form in forms:
        documents = batch(client, [form(row[1]) for row in rows])
        for row, document in zip(rows, documents, strict=True):
            feature = document["features"][0]
            found = feature["properties"]["geocoding"]
            lon, lat = feature["geometry"]["coordinates"]
            metres = GEOD.line_length([lon, row[4]], [lat, row[5]])
            assert metres <= found["error_m"] or document["geocoding"]["ambiguous"], form(row[1])


def test_at_an_address_reverse_gives_that_address(city: City, client: httpx.Client) -> None:
    for identity, _, _, _, lon, lat in addresses(city)[:40]:
        document = client.get(
            "/reverse", params={"lon": lon, "lat": lat, "coordsys": "cgcs2000"}
        ).json()
        nearest = document["features"][0]["properties"]["geocoding"]
        assert nearest["distance_m"] < 0.01
        assert nearest["record"]["id"] == identity or nearest["level"] == "门牌号"
        assert [d["kind"] for d in document["geocoding"]["divisions"]] == [
            "county",
            "town",
            "village",
        ]


def test_a_road_being_typed_is_suggested_with_its_plates(city: City, client: httpx.Client) -> None:
    rows = [row for row in addresses(city) if row[2] and row[3]]
    for _, _, road, number, _, _ in rows[:20]:
        names = client.get("/suggest", params={"q": road[:-1], "limit": 50}).json()["features"]
        assert road in {f["properties"]["geocoding"]["name"] for f in names}
        plates = client.get("/suggest", params={"q": f"{road}{number[:1]}", "limit": 50}).json()
        found = [f["properties"]["geocoding"] for f in plates["features"]]
        assert found[0]["level"] == "门牌号"
        assert found[0]["name"].startswith(f"{road}{number[:1]}")


def test_the_asked_position_comes_back_in_the_coordsys_that_the_answer_names(
    client: httpx.Client,
) -> None:
    """Numbers of CGCS2000 under the name of GCJ-02 would be 560 m wrong."""
    asked = {"lon": 116.12243233, "lat": 24.285977, "coordsys": "gcj02"}
    said = client.get("/reverse", params={**asked, "coordsys_out": "gcj02"}).json()["geocoding"]
    assert said["coordsys"] == "gcj02"
    assert (said["lon"], said["lat"]) == pytest.approx((asked["lon"], asked["lat"]), abs=1e-8)
    said = client.get("/reverse", params={**asked, "coordsys_out": "epsg:4548"}).json()["geocoding"]
    assert (said["coordsys"], said["lon"]) == ("cgcs2000", pytest.approx(116.1176, abs=1e-6))


def test_an_answer_that_the_asked_grid_cannot_hold_is_refused(client: httpx.Client) -> None:
    """UTM zone 60 is 61 degrees away, beyond its series: no null, no wrong number."""
    answer = client.get("/reverse", params={"lon": 116.1176, "lat": 24.2886, "coordsys": "wgs84",
                                            "coordsys_out": "epsg:32760"})  # fmt: skip
    assert answer.status_code == 400, answer.text
    assert answer.json()["parameter"] == "coordsys_out"
