"""Pages of an OGC API Features service that overlap or are written amiss: an error, in words."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from etl.readers import ReadError, ReadOptions, open_source


def feature(ident: object, **more: Any) -> dict[str, Any]:
    geometry = {"type": "Point", "coordinates": [116.1, 24.3]}
    found = {"type": "Feature", "properties": {"name": str(ident)}, "geometry": geometry}
    return found | ({} if ident is None else {"id": ident}) | more


@contextmanager
def serving(*pages: dict[str, Any], schema: dict[str, Any] | None = None) -> Iterator[str]:
    """A service of one collection, `road`, whose pages are these, with or without a schema."""
    described = {"rel": "http://www.opengis.net/def/rel/ogc/1.0/schema", "href": "/api/schema"}
    collection = {"id": "road", "links": [described] if schema else []}

    class Features(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
            answer: dict[str, Any] = {"collections": [collection]}
            if path.endswith("/schema"):
                answer = {"properties": schema}
            if path.endswith("/items"):
                at = int(query.get("page", ["0"])[0])
                following = {"rel": "next", "href": f"{path}?page={at + 1}"}
                links = [following] if at + 1 < len(pages) else []
                answer = {"type": "FeatureCollection", "links": links} | pages[at]
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Features) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"oapif+http://127.0.0.1:{server.server_port}/api"
        finally:
            server.shutdown()
            thread.join()


def pulled(url: str) -> list[str]:
    source = open_source(url, ReadOptions(layer="road"))
    return [r["name"] for batch in source.batches() for r in batch.attributes.to_pylist()]


def test_a_feature_that_comes_twice_stands_for_one_that_never_came() -> None:
    counted = {"numberMatched": 4}
    one, two = [feature(1), feature(2)], [feature(2), feature(4)]
    with (
        serving({"features": one} | counted, {"features": two} | counted) as url,
        pytest.raises(ReadError, match=r"分页重复给出要素（如 2）.*pages repeat features"),
    ):
        pulled(url)
    with (
        serving({"features": [feature("a"), feature("a")]}) as url,
        pytest.raises(ReadError, match="pages repeat features"),
    ):
        pulled(url)


def test_features_without_ids_are_all_taken() -> None:
    with serving({"features": [feature(None)]}, {"features": [feature(None)]}) as url:
        assert pulled(url) == ["None", "None"]


def test_links_that_are_null_end_the_pages() -> None:
    with serving({"features": [feature(1)]}, {"features": [feature(2)], "links": None}) as url:
        assert pulled(url) == ["1", "2"]


def test_what_a_first_page_leaves_out_is_not_lost() -> None:
    """Services leave out properties that are null: the schema names them, or it is an error."""
    pages = {"features": [feature(1)]}, {"features": [feature(2, properties={"width": "7.5"})]}
    named = {
        "shape": {"x-ogc-role": "primary-geometry"},
        "name": {"type": "string"},
        "width": {"type": "number"},
    }
    with serving(*pages, schema=named) as url:
        source = open_source(url, ReadOptions(layer="road"))
        assert [field.name for field in source.layer.fields] == ["id", "name", "width"]
        rows = [r for batch in source.batches() for r in batch.attributes.to_pylist()]
    assert [r["width"] for r in rows] == [None, "7.5"]
    with serving(*pages) as url, pytest.raises(ReadError, match="has the property 'width'"):
        pulled(url)


def test_an_answer_without_features_is_known_to_be_empty() -> None:
    with serving({"features": []}) as url:
        assert open_source(url, ReadOptions(layer="road")).layer.feature_count == 0


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ({"links": "next"}, "no list of links"),
        ({"links": ["next"]}, "no list of links"),
        ({"links": [{"rel": "next"}]}, "has no href"),
        ({"features": [None]}, "no GeoJSON feature"),
        ({"features": [feature(2, properties=["name"])]}, "no GeoJSON feature"),
        ({"features": [feature(2, geometry="POINT (1 2)")]}, "no GeoJSON feature"),
    ],
)
def test_pages_that_are_written_amiss_are_refused_in_words(
    page: dict[str, Any], sentence: str
) -> None:
    with (
        serving({"features": [feature(1)]} | page) as url,
        pytest.raises(ReadError, match=sentence),
    ):
        pulled(url)
