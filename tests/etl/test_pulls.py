"""Deliveries that pull from a running service: whole, or what changed since the last run."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import geopandas as gpd
import psycopg
import pytest
import shapely
from typer.testing import CliRunner

from etl.delivery import DeliveryError
from etl.report import Status
from geoserver_py.cli.etl import app
from tests.conftest import MakeDatabase
from tests.etl.mapserver import mapserver, serving
from tests.etl.support import (
    CENTRE,
    CENTRE_4548,
    apply_layers,
    component,
    component_load,
    deliver,
    rows,
)


@pytest.fixture
def layered(database: str) -> str:
    apply_layers(database, "component")
    return database


def pulled(url: str, **more: Any) -> dict[str, Any]:
    """A load of components from a service."""
    load = component_load(**{key: more.pop(key) for key in ("mode", "coordsys") if key in more})
    load.pop("columns")
    return {**load, "files": [{"url": url, **more}]}


def positions(dsn: str) -> list[tuple[float, float]]:
    return rows(dsn, "SELECT ST_X(geom), ST_Y(geom) FROM layer.component ORDER BY id")


def test_a_wfs_lands_where_the_bureau_has_it(layered: str, tmp_path: Path) -> None:
    """A plane grid, north first in GML by its authority, arrives in CGCS2000 within 1 mm."""
    records = [component(n) for n in range(12)]
    places = [shapely.Point(float(r.pop("lon")), float(r.pop("lat"))) for r in records]
    table = gpd.GeoDataFrame(records, geometry=places, crs=4490)
    table["code"] = table["GLBJBSM"]
    with mapserver(tmp_path, {"parts": table.to_crs(4548)}, most=5) as url:
        load = pulled(f"wfs+{url}", layer="parts")
        load.pop("coordsys")
        (report,) = deliver(tmp_path, layered, [load])
        (again,) = deliver(tmp_path, layered, [load])
    assert report.status is Status.SUCCEEDED, report.reason
    assert report.counts["inserted"] == 12
    assert report.files[0].driver == "WFS 2.0.0"
    assert report.files[0].coordsys == "epsg:4548"
    assert report.files[0].file == f"wfs+{url}#parts"
    assert again.status is Status.UNCHANGED
    for (lon, lat), place in zip(positions(layered), places, strict=True):
        assert abs(lon - place.x) * 101_000 < 0.001
        assert abs(lat - place.y) * 111_000 < 0.001


def test_a_stated_datum_is_still_judged(layered: str, tmp_path: Path) -> None:
    """A service that names a CRS does not make it true: the numbers are looked at as of a file."""
    records = [component(n) for n in range(40)]
    for record in records:
        record.update(lon=None, lat=None)
    places = [shapely.Point(CENTRE_4548[0] + n * 50, CENTRE_4548[1] + n * 35) for n in range(40)]
    table = gpd.GeoDataFrame(records, geometry=places, crs=4548)
    table["code"] = table["GLBJBSM"]
    with mapserver(tmp_path, {"parts": table}) as url:
        (report,) = deliver(tmp_path, layered, [pulled(f"wfs+{url}", coordsys="epsg:4547")])
    assert report.status is Status.BLOCKED, report.reason
    assert "4548" in str(report.reason)


def test_a_table_changed_since_the_last_run(
    layered: str, tmp_path: Path, make_database: MakeDatabase
) -> None:
    theirs = make_database("theirs", migrated=False)
    names = [name for name in component(1) if name not in ("lon", "lat")]
    with psycopg.connect(theirs) as connection:
        columns = ", ".join(f'"{name}" text' for name in names)
        connection.execute(
            f"CREATE TABLE parts ({columns}, edited timestamptz, geom geometry(Point, 4548))"  # type: ignore[arg-type]
        )
        marks = ", ".join(["%s"] * len(names))
        for n in range(6):
            record = component(n)
            connection.execute(
                f"INSERT INTO parts VALUES ({marks}, now() - interval '30 days', "  # type: ignore[arg-type]  # noqa: S608
                "ST_SetSRID(ST_MakePoint(%s, %s), 4548))",
                [*(record[name] for name in names), CENTRE_4548[0] + n, CENTRE_4548[1]],
            )
    url = f"{theirs}{'&' if '?' in theirs else '?'}table={quote('public.parts')}"
    load = pulled(url, mode="append", coordsys="epsg:4548", since="last run", since_column="edited")
    (first,) = deliver(tmp_path, layered, [load])
    assert first.counts.get("inserted") == 6, first.reason
    (none,) = deliver(tmp_path, layered, [load])
    assert (none.status, none.counts["read"]) == (Status.UNCHANGED, 0)
    with psycopg.connect(theirs) as connection:
        connection.execute(
            """UPDATE parts SET "GLBJZT" = '破损', edited = now() WHERE "GLBJBSM" LIKE '%3'"""
        )
    (changed,) = deliver(tmp_path, layered, [load])
    assert (changed.counts["read"], changed.counts["updated"]) == (1, 1), changed.reason
    assert rows(layered, "SELECT count(*) FROM layer.component") == [(6,)]


class Arcgis(BaseHTTPRequestHandler):
    """A FeatureServer layer of components that wants a token."""

    def do_GET(self) -> None:
        query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        records = [component(n) for n in range(4)]
        answer: Any
        if self.headers.get("X-Esri-Authorization") != "Bearer 部件".encode().decode("latin-1"):
            self.send_error(403)
            return
        if not urlsplit(self.path).path.endswith("/query"):
            answer = {
                "name": "parts", "geometryType": "esriGeometryPoint", "maxRecordCount": 3,
                "objectIdField": "OBJECTID",
                "extent": {"spatialReference": {"wkid": 4490}},
                "fields": [{"name": "OBJECTID", "type": "esriFieldTypeOID"}]
                + [{"name": n, "type": "esriFieldTypeString"} for n in records[0]],
            }  # fmt: skip
        elif "returnCountOnly" in query:
            answer = {"count": 4}
        else:
            start = int(query["resultOffset"])
            answer = {
                "features": [
                    {
                        "attributes": {"OBJECTID": n, **r},
                        "geometry": {"x": float(r["lon"]), "y": float(r["lat"])},
                    }
                    for n, r in list(enumerate(records))[start : start + 3]
                ],
                "exceededTransferLimit": start + 3 < 4,
            }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output clean."""


def test_a_feature_server_with_a_token_from_the_environment(
    layered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = "GEOSERVER_PY_SERVICE_TOKEN"
    with serving(Arcgis) as host:
        url = f"arcgis+http://{host}/rest/FeatureServer/0"
        load = pulled(url, credentials={"token": variable})
        (unset,) = deliver(tmp_path, layered, [load])
        assert f"variable {variable} is not set" in str(unset.reason)
        monkeypatch.setenv(variable, "部件".encode().decode("latin-1"))
        (report,) = deliver(tmp_path, layered, [load])
    assert report.counts["inserted"] == 4, report.reason
    assert positions(layered)[0] == pytest.approx(CENTRE, abs=1e-9)


def test_a_service_that_is_not_there_fails_the_run_and_says_so(
    layered: str, tmp_path: Path
) -> None:
    (report,) = deliver(tmp_path, layered, [pulled("oapif+http://127.0.0.1:9/api", layer="x")])
    assert report.status is Status.FAILED
    assert "服务没有应答" in str(report.reason)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"url": "ftp://x/y"}, "url: 服务地址须为其一"),
        ({"since": "yesterday"}, "since: 须为 last run"),
        ({"since": "2026-11-01T00:00:00"}, "带时区"),
        ({"since": "last run"}, "full would delete"),
        ({"sheet": "a"}, "unknown key of a service"),
        ({"credentials": {"token": "DATABASE_URL"}}, "GEOSERVER_PY_SERVICE_"),
        ({"credentials": {"user": "GEOSERVER_PY_SERVICE_U"}}, "user and password, or token"),
        ({"version": "1.0.0"}, "2.0.0, 1.1.0"),
    ],
)
def test_keys_of_a_pull_that_are_wrong(tmp_path: Path, more: dict[str, Any], sentence: str) -> None:
    load = pulled(str(more.pop("url", "wfs+http://127.0.0.1:9/ows")), **more)
    with pytest.raises(DeliveryError, match=sentence):
        deliver(tmp_path, "postgresql://127.0.0.1:9/none", [load])


def test_inspect_looks_into_a_service(tmp_path: Path) -> None:
    places = [shapely.Point(CENTRE_4548[0] + n, CENTRE_4548[1]) for n in range(30)]
    table = gpd.GeoDataFrame({"code": range(30)}, geometry=places, crs=4548)
    with mapserver(tmp_path, {"parts": table}) as url:
        done = CliRunner().invoke(app, ["inspect", f"wfs+{url}", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["driver"] == "WFS 2.0.0"
    assert found["layers"][0]["declared_crs"] == "EPSG:4548"
    assert found["layers"][0]["rows_read"] == 30
