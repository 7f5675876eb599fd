"""WFS: every page, the right axes whatever the server does, and an error for anything short.

MapServer is the outside oracle; servers that lie are played from answers of the documented shape.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapely.affinity

from etl.readers import ReadError, ReadOptions, open_source
from etl.readers.pull import Pull
from etl.readers.service import open_pull
from tests.etl.mapserver import mapserver, serving

LON, LAT = 116.1176, 24.2886
COUNT = 23


def points(code: int) -> gpd.GeoDataFrame:
    numbers = range(COUNT)
    places = [shapely.Point(LON + i * 1e-3, LAT + i * 2e-3) for i in numbers]
    table = gpd.GeoDataFrame(
        {
            "code": [f"{i:03}" for i in numbers],
            "name": [f"輋𣒍村 <{i}> & 五华" for i in numbers],
            "n": list(numbers),
            "edited": pd.to_datetime([f"2026-10-{i + 1:02}" for i in numbers]),
        },
        geometry=places,
        crs=4490,
    )
    return table.to_crs(code)


def plots() -> gpd.GeoDataFrame:
    holed = shapely.box(0, 0, 100, 50) - shapely.box(10, 10, 20, 20)
    where = [(410413.24, 2687537.854), (411413.24, 2687537.854)]
    shapes = [shapely.affinity.translate(holed, *at) for at in where]
    shapes[1] = shapely.MultiPolygon([shapes[1], shapely.affinity.translate(shapes[1], 0, 500)])
    return gpd.GeoDataFrame({"code": ["001", "002"]}, geometry=shapes, crs=4548)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    layers = {"degrees": points(4490), "plane": points(4548), "plots": plots()}
    with mapserver(tmp_path_factory.mktemp("mapserver"), layers, most=10) as found:
        yield found


def rows_of(source) -> tuple[list[dict], np.ndarray, list[int]]:
    batches = list(source.batches())
    shapes = np.concatenate([b.geometry for b in batches])
    records = [r for b in batches for r in b.attributes.to_pylist()]
    return records, shapes, [int(r) for b in batches for r in b.rows]


@pytest.mark.parametrize("version", ["2.0.0", "1.1.0"])
@pytest.mark.parametrize(
    ("layer", "code", "metres"), [("degrees", 4490, 0.06), ("plane", 4548, 1e-3)]
)
def test_axes_and_fields_of_mapserver(tmp_path, version, layer, code, metres):
    """1.1.0 of MapServer says EPSG:4490 and writes latitude first; 4548 is north-first."""
    truth = points(code)
    with mapserver(tmp_path, {layer: truth}) as url:
        source = open_pull(Pull(f"wfs+{url}", version=version), ReadOptions())
        assert source.layer.declared_crs == f"EPSG:{code}"
        assert source.layer.feature_count in (COUNT, None)
        records, shapes, rows = rows_of(source)
    assert rows == list(range(1, COUNT + 1))
    assert [r["code"] for r in records] == truth["code"].tolist()
    assert [r["name"] for r in records] == truth["name"].tolist()
    per_unit = 111_320 if code == 4490 else 1
    expected = shapely.get_coordinates(truth.geometry.to_numpy())
    errors = np.abs(shapely.get_coordinates(shapes) - expected) * per_unit
    assert errors.max() < metres
    # MapServer rounds degrees to six decimals: the reader says so
    assert any("6" in note for note in source.info.notes) is (code == 4490)


def test_pages_and_another_crs(url):
    whole = open_pull(Pull(f"wfs+{url}"), ReadOptions(layer="ms:plane"))
    records, shapes, _ = rows_of(whole)
    assert len(records) == COUNT
    assert len({r["code"] for r in records}) == COUNT
    turned = open_pull(Pull(f"wfs+{url}", crs="EPSG:4326"), ReadOptions(layer="plane"))
    assert turned.layer.declared_crs == "EPSG:4326"
    degrees = shapely.get_coordinates(rows_of(turned)[1])
    assert degrees[0] == pytest.approx((LON, LAT), abs=1e-6)
    assert shapely.get_coordinates(shapes)[0] == pytest.approx((410413.240, 2687537.854), abs=1e-3)
    assert sum(len(b.rows) for b in whole.batches()) == COUNT, "batches start again"
    with pytest.raises(ReadError, match="does not offer EPSG:4547"):
        open_pull(Pull(f"wfs+{url}", crs="EPSG:4547"), ReadOptions(layer="plane"))


def test_polygons_with_holes_and_parts(url):
    _, shapes, _ = rows_of(open_pull(Pull(f"wfs+{url}"), ReadOptions(layer="plots")))
    assert [round(s.area, 3) for s in shapes] == [4900, 9800]


def test_geojson_output(url):
    source = open_pull(Pull(f"wfs+{url}", output="geojson"), ReadOptions(layer="degrees"))
    assert source.layer.declared_crs == "EPSG:4490"
    records, shapes, _ = rows_of(source)
    assert len(records) == COUNT
    assert records[7]["code"] == "007"
    assert shapely.get_coordinates(shapes)[0] == pytest.approx((LON, LAT), abs=1e-9)


@pytest.mark.parametrize("version", ["2.0.0", "1.1.0"])
def test_changes_since(tmp_path, version):
    since = dt.datetime(2026, 10, 19, 12, tzinfo=dt.UTC)
    with mapserver(tmp_path, {"plane": points(4548)}) as url:
        pull = Pull(f"wfs+{url}", since=since, since_column="edited", version=version)
        records, _, _ = rows_of(open_pull(pull, ReadOptions()))
        assert [r["code"] for r in records] == ["019", "020", "021", "022"]
        none = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
        later = Pull(f"wfs+{url}", since=none, since_column="edited", version=version)
        assert rows_of_none(later) == 0
        with pytest.raises(ReadError, match="needs `since_column`"):
            open_pull(Pull(f"wfs+{url}", since=since), ReadOptions())


def rows_of_none(pull: Pull) -> int:
    source = open_pull(pull, ReadOptions())
    assert source.layer.feature_count == 0
    return sum(len(b.rows) for b in source.batches())


CAPABILITIES = """<WFS_Capabilities version="{version}" xmlns:ows="http://www.opengis.net/ows/1.1">
<FeatureTypeList><FeatureType><Name>c:p</Name><DefaultCRS>{crs}</DefaultCRS>
{box}</FeatureType></FeatureTypeList>
<ows:Constraint name="ImplementsResultPaging"><ows:DefaultValue>TRUE</ows:DefaultValue>
</ows:Constraint></WFS_Capabilities>"""
BOX = (
    "<ows:WGS84BoundingBox><ows:LowerCorner>116 24</ows:LowerCorner>"
    "<ows:UpperCorner>117 25</ows:UpperCorner></ows:WGS84BoundingBox>"
)
SCHEMA = """<schema xmlns="http://www.w3.org/2001/XMLSchema" xmlns:c="urn:c"
 xmlns:gml="http://www.opengis.net/gml/3.2" targetNamespace="urn:c" elementFormDefault="qualified">
<element name="p" type="c:pType" substitutionGroup="gml:AbstractFeature"/>
<complexType name="pType"><complexContent><extension base="gml:AbstractFeatureType"><sequence>
<element name="g" type="gml:PointPropertyType"/><element name="code" type="string"/>
</sequence></extension></complexContent></complexType></schema>"""
FEATURE = """<wfs:member><c:p gml:id="p.{i}"><c:g>
<gml:Point srsName="{srs}"><gml:pos>{pos}</gml:pos></gml:Point></c:g><c:code>0{i}</c:code></c:p>
</wfs:member>"""
COLLECTION = """<wfs:FeatureCollection xmlns:wfs="http://www.opengis.net/wfs/2.0"
 xmlns:gml="http://www.opengis.net/gml/3.2" xmlns:c="urn:c"
 numberMatched="{matched}" numberReturned="{n}">{members}</wfs:FeatureCollection>"""
URN = "urn:ogc:def:crs:EPSG::4490"


class Faulty(BaseHTTPRequestHandler):
    """A WFS whose path says what is wrong with it."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {k.lower(): v[0] for k, v in parse_qs(parts.query).items()}
        fault = parts.path.strip("/")
        asked = query.get("request")
        if fault == "elsewhere":
            self.send_response(302)
            self.send_header("Location", "http://localhost.invalid/ows?" + parts.query)
            self.end_headers()
            return
        if fault == "secret" and self.headers.get("Authorization") != "Basic dTpw":
            self.send_error(401)
            return
        body = ""
        if asked == "GetCapabilities":
            box = "" if fault in ("nobox", "shortnobox") else BOX
            version = "3.0.0" if fault == "version" else "2.0.0"
            body = CAPABILITIES.format(version=version, crs=URN, box=box)
        elif asked == "DescribeFeatureType":
            body = SCHEMA
        elif fault == "exception":
            body = "<ows:ExceptionReport xmlns:ows='o'><ows:ExceptionText>no key, sort first"
            body += "</ows:ExceptionText></ows:ExceptionReport>"
        elif query.get("resulttype") == "hits":
            body = COLLECTION.format(matched=9 if fault == "short" else 2, n=0, members="")
        else:
            start = 0 if fault == "repeats" else int(query.get("startindex", 0))
            srs = "EPSG:4490" if fault.startswith("short") and fault != "short" else URN
            east = fault in ("lying", "shorteast", "nobox", "shortnobox")
            place = "116.5 24.5" if east else "24.5 116.5"
            members = [FEATURE.format(i=i, srs=srs, pos=place) for i in range(start, 2)]
            body = COLLECTION.format(matched=2, n=len(members), members="".join(members))
            if fault == "cut":
                body = body[:-30]
        data = body.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data) + (50 if fault == "breaks" else 0)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output clean."""


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with serving(Faulty) as found:
        yield found


def first(source) -> tuple[float, float]:
    records, shapes, _ = rows_of(source)
    assert [r["code"] for r in records] == ["00", "01"]
    return shapes[0].x, shapes[0].y


@pytest.mark.parametrize("fault", ["none", "shortnorth", "shorteast"])
def test_a_short_srs_name_is_decided_by_the_place(host, fault):
    """`EPSG:4490` leaves the order open; the service's own bounding box does not."""
    assert first(open_source(f"wfs+http://{host}/{fault}")) == (116.5, 24.5)


def test_a_urn_over_east_first_numbers_is_refused_until_the_delivery_says_so(host):
    with pytest.raises(ReadError, match="axis_order: east-first"):
        open_source(f"wfs+http://{host}/lying")
    stated = Pull(f"wfs+http://{host}/lying", axis_order="east-first")
    assert first(open_pull(stated, ReadOptions())) == (116.5, 24.5)
    with pytest.raises(ReadError, match="leaves the axis order open"):
        open_source(f"wfs+http://{host}/shortnobox")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("short", "9 features, 2 came"),
        ("repeats", "pages repeat features"),
        ("cut", "cut off or malformed"),
        ("breaks", "does not answer|breaks off"),
        ("exception", "no key, sort first"),
        ("version", "not a WFS 2.0.0 or 1.1.0"),
        ("elsewhere", "redirects to localhost.invalid"),
        ("secret", "wants credentials"),
    ],
)
def test_what_cannot_be_pulled_says_why(host, fault, sentence):
    with pytest.raises(ReadError, match=sentence):
        list(open_source(f"wfs+http://{host}/{fault}").batches())


def test_the_folder_of_a_pull_is_removed(host):
    source = open_source(f"wfs+http://{host}/none")
    folder = Path(source.folder.name)
    assert folder.is_dir()
    source.folder.cleanup()
    assert not folder.exists()
