"""Pulls from a running service: every page, the right axes, and an error for anything short.

The server here speaks ArcGIS REST as documented for FeatureServer layers, from data of its own.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from etl.readers import ReadError, ReadOptions, http, open_source
from etl.readers.arcgis import esri
from etl.readers.http import Web, _SameHost
from etl.readers.service import open_service

EDITED = [1_790_000_000_000 + 86_400_000 * i for i in range(25)]
SQUARE = [[0, 0], [0, 10], [10, 10], [10, 0], [0, 0]]  # clockwise: a shell
HOLE = [[2, 2], [4, 2], [4, 4], [2, 4], [2, 2]]


class Arcgis(BaseHTTPRequestHandler):
    """A layer of 25 plots in EPSG:4548, ten a page; /short loses its last page."""

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if path.startswith("/slow"):
            self.send_error(503)
            return
        where = query.get("where", ["1=1"])[0]
        since = re.search(r"edited >= TIMESTAMP '(.+)'", where)
        at = dt.datetime.fromisoformat(f"{since[1]}+00:00").timestamp() * 1000 if since else 0
        rows = [i for i in range(25) if EDITED[i] >= at]
        if not path.endswith("/query"):
            answer: object = {
                "name": "地块",
                "geometryType": "esriGeometryPolygon",
                "objectIdField": "OBJECTID",
                "maxRecordCount": 10,
                "extent": {"spatialReference": {"wkid": 4548, "latestWkid": 4548}},
                "editFieldsInfo": {"editDateField": "edited"},
                "fields": [
                    {"name": "OBJECTID", "type": "esriFieldTypeOID"},
                    {"name": "名称", "type": "esriFieldTypeString"},
                    {"name": "edited", "type": "esriFieldTypeDate"},
                ],
            }
            if path.startswith("/plain"):
                answer.pop("editFieldsInfo")  # type: ignore[attr-defined]
        elif "returnCountOnly" in query:
            answer = {"count": len(rows)}
        else:
            start, size = (int(query[k][0]) for k in ("resultOffset", "resultRecordCount"))
            chosen = rows[start : start + min(size, 10)]
            more = start + len(chosen) < len(rows)
            if path.startswith("/short") and start >= 10:
                chosen, more = [], False
            answer = {
                "exceededTransferLimit": more,
                "spatialReference": {"wkid": 4490 if path.startswith("/turned") else 4548},
                "features": [
                    {
                        "attributes": {"OBJECTID": i, "名称": f"輋𣒍{i}", "edited": EDITED[i]},
                        "geometry": {"rings": [[[x + i, y] for x, y in SQUARE], HOLE]}
                        if i < 2 else {"rings": [[[x + i, y] for x, y in SQUARE]]},
                    }
                    for i in chosen
                ],
            }  # fmt: skip
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output clean."""


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Arcgis) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_arcgis_layer_page_by_page(host):
    source = open_source(f"arcgis+http://{host}/x/FeatureServer/0")
    assert source.layer.declared_crs == "EPSG:4548"
    assert source.layer.feature_count == 25
    batches = list(source.batches())
    assert [len(batch.rows) for batch in batches] == [10, 10, 5]
    assert batches[2].rows.tolist() == [21, 22, 23, 24, 25]
    records = [r for batch in batches for r in batch.attributes.to_pylist()]
    assert [r["名称"] for r in records] == [f"輋𣒍{i}" for i in range(25)]
    assert records[0]["edited"] == dt.datetime.fromtimestamp(1_790_000_000, dt.UTC).isoformat()
    assert batches[0].geometry[0].area == 96
    assert batches[1].geometry[0].area == 100


def test_arcgis_changes_since(host):
    since = dt.datetime.fromtimestamp(EDITED[22] / 1000, dt.timezone(dt.timedelta(hours=8)))
    source = open_service(f"arcgis+http://{host}/x/FeatureServer/0", ReadOptions(), since)
    assert source.layer.feature_count == 3
    assert sum(len(batch.rows) for batch in source.batches()) == 3
    with pytest.raises(ReadError, match="no edit date"):
        open_service(f"arcgis+http://{host}/plain/FeatureServer/0", ReadOptions(), since)
    with pytest.raises(ReadError, match="needs an offset"):
        open_service(f"arcgis+http://{host}/x/0", ReadOptions(), dt.datetime(2026, 1, 1))  # noqa: DTZ001


def test_a_service_that_gives_less_than_it_counted_is_an_error(host):
    source = open_source(f"arcgis+http://{host}/short/FeatureServer/0")
    with pytest.raises(ReadError, match="25 features, 10 came"):
        list(source.batches())


def test_a_page_in_another_crs_than_the_layer_says_is_an_error(host):
    source = open_source(f"arcgis+http://{host}/turned/MapServer/0")
    with pytest.raises(ReadError, match=r"said to be in \[4548\], the answer is in \[4490\]"):
        list(source.batches())


def test_no_link_and_no_redirect_leads_from_https_to_http():
    web = Web("https://a.example/wfs", {"Authorization": "Basic c2VjcmV0"})
    for elsewhere in ("http://a.example/next", "https://b.example/next", "https://a.example:8/x"):
        with pytest.raises(ReadError, match="leads to a host"):
            web.json(elsewhere)
        with pytest.raises(ReadError, match="redirects to"):
            _SameHost().redirect_request(
                urllib.request.Request(web.url), io.BytesIO(), 302, "", {}, elsewhere
            )
    redirected = _SameHost().redirect_request(
        urllib.request.Request("http://a.example/x"),
        io.BytesIO(),
        302,
        "",
        {},
        "https://a.example/y",
    )
    assert redirected is not None


def test_a_server_that_drips_is_given_up(monkeypatch):
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.3)
    given_up = threading.Event()

    class Drip(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            for _ in range(100):  # ten seconds
                with contextlib.suppress(OSError):
                    self.wfile.write(b" ")
                if given_up.wait(0.1):
                    return

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Drip) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/x"
        began = time.monotonic()
        try:
            with pytest.raises(ReadError, match="silent"):
                Web(url).json(url)
            assert time.monotonic() - began < 5
        finally:
            given_up.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("arcgis+http://{host}/slow/FeatureServer/0", "HTTP 503"),
        ("arcgis+http://127.0.0.1:9/FeatureServer/0", "does not answer"),
        ("arcgis+http://user:secret@{host}/x/0", "must not hold a password"),
        ("oapif+http://{host}/x", "no collections"),
    ],
)
def test_services_that_cannot_be_pulled(host, text, sentence):
    with pytest.raises(ReadError, match=sentence) as caught:
        open_source(text.format(host=host))
    assert "secret" not in str(caught.value)


def test_only_http_is_fetched():
    for text in ("arcgis+file:///etc/passwd", "ftp+http://x/", "http://x/"):
        with pytest.raises(ReadError):
            open_service(text, ReadOptions())


def test_esri_geometries():
    assert esri({"x": 1, "y": 2}).coords[0] == (1, 2)
    assert esri({"x": 1, "y": 2, "z": 3}).coords[0] == (1, 2, 3)
    assert esri({"x": "NaN"}) is None
    assert esri(None) is None
    assert esri({"paths": [[[0, 0], [1, 1]], [[5, 5], [6, 6]]]}).length == pytest.approx(2 * 2**0.5)
    assert "not read" in esri({"curveRings": []})
    assert "no shell" in esri({"rings": [SQUARE, [[x + 50, y] for x, y in HOLE]]})
