"""The API read by the clients that planners use: GDAL (Debian's and a new one), OWSLib."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import httpx
import numpy as np
import psycopg
import pyogrio
import pytest
import shapely
from owslib.ogcapi.features import Features
from starlette.requests import Request

from geoserver_py.security import presented_key
from layers.definition import load_definitions
from tests.service.conftest import City

LAYERS = ("road", "building", "poi", "unit_grid", "land_use", "water")
TOLERANCE_DEG = 0.51e-9  # nine decimals


def stored(city: City, layer: str) -> dict[str, shapely.Geometry]:
    with psycopg.connect(city.dsn) as connection:
        rows = connection.execute(
            f"SELECT id, ST_AsBinary(geom) FROM layer.{layer}"  # noqa: S608 - our own names
        ).fetchall()
    return {row[0]: shapely.from_wkb(row[1]) for row in rows}


def assert_same_coordinates(
    read: dict[str, shapely.Geometry], truth: dict[str, shapely.Geometry]
) -> None:
    assert read.keys() == truth.keys()
    for identity, geometry in truth.items():
        assert read[identity].geom_type == geometry.geom_type
        given, expected = (shapely.get_coordinates(g) for g in (read[identity], geometry))
        np.testing.assert_allclose(given, expected, rtol=0, atol=TOLERANCE_DEG)


@pytest.mark.parametrize("layer", LAYERS)
def test_ogr2ogr_reads_every_coordinate(city: City, layer: str, tmp_path: Path) -> None:
    """Debian's GDAL 3.6 pages through the collection and gets what the database holds."""
    target = tmp_path / "read.geojson"
    subprocess.run(
        ["ogr2ogr", "-f", "GeoJSON", "-lco", "COORDINATE_PRECISION=10", str(target),
         f"OAPIF:{city.url}/collections/{layer}", "-oo", "PAGE_SIZE=700"],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    features = json.loads(target.read_text("utf-8"))["features"]
    identity = {f["id"] if "id" in f else f["properties"]["id"]: f for f in features}
    read = {k: shapely.from_geojson(json.dumps(f["geometry"])) for k, f in identity.items()}
    assert_same_coordinates(read, stored(city, layer))


def test_ogrinfo_lists_the_collections_and_their_fields(city: City) -> None:
    listed = subprocess.run(
        ["ogrinfo", "-ro", f"OAPIF:{city.url}"], check=True, capture_output=True, text=True
    ).stdout
    assert {"road", "building", "component"} <= set(listed.replace(":", " ").split())
    assert "pipeline_line" not in listed
    shown = subprocess.run(
        ["ogrinfo", "-ro", "-so", f"OAPIF:{city.url}", "road"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for field in load_definitions()["road"].field_names:
        assert f"{field}:" in shown


@pytest.mark.parametrize("crs", ["EPSG:4490", "EPSG:4548", "EPSG:3857"])
def test_new_gdal_reads_other_crs_in_its_own_axis_order(city: City, crs: str) -> None:
    """GDAL 3.12 asks for a CRS by Part 2; what it then calls x and y must agree with PROJ."""
    read = pyogrio.read_dataframe(
        f"OAPIF:{city.url}/collections/poi", CRS=crs, PAGE_SIZE="500", fid_as_index=False
    )
    with psycopg.connect(city.dsn) as connection:
        rows = connection.execute(
            "SELECT name, array_agg(ST_X(g) ORDER BY fid), array_agg(ST_Y(g) ORDER BY fid)"
            " FROM (SELECT fid, name, ST_Transform(geom, %s) AS g FROM layer.poi) AS p"
            " GROUP BY name HAVING count(*) = 1",
            [int(crs.removeprefix("EPSG:"))],
        ).fetchall()
    truth = {name: (x[0], y[0]) for name, x, y in rows}
    positions = {row["name"]: row.geometry for _, row in read.iterrows() if row["name"] in truth}
    assert len(positions) == len(truth) > 50
    tolerance = 1e-8 if crs == "EPSG:4490" else 1e-3
    for name, (x, y) in truth.items():
        point = positions[name]
        assert (point.x, point.y) == pytest.approx((x, y), abs=tolerance)


def test_attribute_filter_reaches_the_server(city: City) -> None:
    with psycopg.connect(city.dsn) as connection:
        row = connection.execute(
            "SELECT use, count(*) FROM layer.building GROUP BY use ORDER BY 2 LIMIT 1"
        ).fetchone()
    assert row is not None
    read = pyogrio.read_dataframe(
        f"OAPIF:{city.url}/collections/building", where=f"use = '{row[0]}'"
    )
    assert len(read) == row[1]


@pytest.mark.parametrize(
    "sent", ["X-API-Key: {key}", "Authorization: Bearer {key}", "apikey:{key}"]
)
def test_gdal_reads_a_layer_that_needs_a_key(city: City, sent: str) -> None:
    """As a header, or as the password of `apikey`: Debian's QGIS has no other way to send one."""
    option = "GDAL_HTTP_USERPWD" if sent.startswith("apikey") else "GDAL_HTTP_HEADERS"
    command = ["ogrinfo", "-ro", "-so", f"OAPIF:{city.url}", "pipeline_line"]
    key = ["--config", option, sent.format(key=city.restricted_key)]
    shown = subprocess.run([*command, *key], capture_output=True, text=True, timeout=60)
    with psycopg.connect(city.dsn) as connection:
        row = connection.execute("SELECT count(*) FROM layer.pipeline_line").fetchone()
    assert row is not None
    assert f"Feature Count: {row[0]}" in shown.stdout, shown.stderr
    assert "Feature Count" not in subprocess.run(command, capture_output=True, text=True).stdout


def test_new_gdal_sends_a_key_as_a_password(city: City) -> None:
    """GDAL 3.12's client of Features sends no header of GDAL_HTTP_HEADERS."""
    pyogrio.set_gdal_config_options({"GDAL_HTTP_USERPWD": f"apikey:{city.restricted_key}"})
    try:
        read = pyogrio.read_info(f"OAPIF:{city.url}/collections/pipeline_line")
    finally:
        pyogrio.set_gdal_config_options({"GDAL_HTTP_USERPWD": None})
    assert read["features"] > 100


def test_basic_credentials_are_ours_only_as_apikey_and_only_to_read(
    client: httpx.Client, city: City
) -> None:
    """Those of a proxy are no key; a wrong key is refused; writes take no remembered password."""
    path = "/collections/pipeline_line"
    assert client.get(path, auth=("apikey", city.restricted_key)).status_code == 200
    assert client.get(path, auth=("apikey", "wrong")).status_code == 401
    assert client.get(path, auth=("proxy", city.restricted_key)).status_code == 404
    assert client.get("/collections/road", auth=("proxy", "secret")).status_code == 200
    assert client.get(path, headers={"Authorization": "Basic !"}).status_code == 404
    credentials = f"apikey:{city.restricted_key}".encode()
    headers = [(b"authorization", b"Basic " + base64.b64encode(credentials))]
    for method, key in (("GET", city.restricted_key), ("POST", None), ("DELETE", None)):
        scope = {"type": "http", "method": method, "headers": headers}
        assert presented_key(Request(scope)) == key


def test_owslib_reads_landing_page_collections_and_items(city: City) -> None:
    service = Features(f"{city.url}/")
    assert (
        "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core"
        in (service.conformance()["conformsTo"])
    )
    assert "road" in service.feature_collections()
    assert service.collection("road")["extent"]["spatial"]["bbox"]
    assert "name" in service.collection_queryables("road")["properties"]
    items = service.collection_items("road", limit=7)
    assert items["numberReturned"] == len(items["features"]) == 7
    one = service.collection_item("road", items["features"][0]["id"])
    assert one["properties"] == items["features"][0]["properties"]
