"""CRS names, axis order, and the exact image of a rectangle in the store's CRS."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.city import load_city
from layers.crs import (
    CRS84_URI,
    CrsDomainError,
    UnknownCrs,
    crs_for_layer,
    find_crs,
    parse_crs,
    rectangle_in_storage,
)
from layers.definition import load_definitions

DEFINITIONS = load_definitions()
MEIZHOU = load_city("meizhou")
EPSG = "http://www.opengis.net/def/crs/EPSG/0/"


@pytest.mark.parametrize(
    "text",
    [
        EPSG + "4548",
        "https://www.opengis.net/def/crs/EPSG/0/4548",
        "http://www.opengis.net/def/crs/EPSG/9.9.1/4548",
        "urn:ogc:def:crs:EPSG::4548",
        "[EPSG:4548]",
        "EPSG:4548",
        "epsg:4548",
    ],
)
def test_all_forms_of_an_identifier_name_the_same_crs(text: str) -> None:
    crs = parse_crs(text)
    assert (crs.uri, crs.srid, crs.axis_order, crs.decimals) == (EPSG + "4548", 4548, "yx", 4)


@pytest.mark.parametrize("text", ["CRS84", "OGC:CRS84", "urn:ogc:def:crs:OGC:1.3:CRS84", CRS84_URI])
def test_crs84_is_longitude_first_and_its_numbers_are_those_of_the_store(text: str) -> None:
    crs = parse_crs(text)
    assert (crs.uri, crs.srid, crs.axis_order, crs.decimals) == (CRS84_URI, 4490, "xy", 9)


@pytest.mark.parametrize(
    "text", ["", "4548", "EPSG:", "EPSG:abc", "EPSG:CRS84", "OGC:4548", "EPSG:99999999", "x" * 5000]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UnknownCrs):
        parse_crs(text)


def test_axis_order_of_every_offered_crs_is_the_registers() -> None:
    offered = crs_for_layer(DEFINITIONS["component"], MEIZHOU)
    assert [crs.code for crs in offered][:6] == ["CRS84", "4490", "4326", "3857", "4548", "4527"]
    for crs in offered[1:]:
        first = pyproj.CRS.from_epsg(int(crs.code)).axis_info[0].direction
        assert crs.axis_order == ("yx" if first == "north" else "xy"), crs.code
        assert crs.geographic == pyproj.CRS.from_epsg(int(crs.code)).is_geographic


def test_layers_with_heights_start_with_crs84h_and_tables_have_none() -> None:
    assert crs_for_layer(DEFINITIONS["pipeline_line"], MEIZHOU)[0].code == "CRS84h"
    assert crs_for_layer(DEFINITIONS["division_name"], MEIZHOU) == ()


def test_an_unoffered_crs_is_refused_with_the_list() -> None:
    with pytest.raises(UnknownCrs, match="EPSG/0/4490"):
        find_crs("EPSG:2154", crs_for_layer(DEFINITIONS["component"], MEIZHOU))


def _to_plane(code: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(4490, int(code), always_xy=True)


@settings(max_examples=60, deadline=None)
@given(
    code=st.sampled_from(["4548", "4527", "4547", "4509", "3857"]),
    lon=st.floats(115.3, 116.9),
    lat=st.floats(23.4, 24.9),
    width=st.floats(0, 300_000),
    height=st.floats(1, 300_000),
)
def test_edges_of_a_plane_rectangle_err_by_less_than_a_fifth_of_a_millimetre(
    code: str, lon: float, lat: float, width: float, height: float
) -> None:
    to_plane = _to_plane(code)
    x, y = to_plane.transform(lon, lat)
    bounds = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    area = rectangle_in_storage(bounds, parse_crs(f"EPSG:{code}"))
    ring = shapely.get_coordinates(area)
    middles = (ring[1:] + ring[:-1]) / 2  # where a chord is farthest from its curve
    px, py = to_plane.transform(middles[:, 0], middles[:, 1])
    west, south, east, north = bounds
    distance = np.minimum.reduce(
        [np.abs(px - west), np.abs(px - east), np.abs(py - south), np.abs(py - north)]
    )
    assert distance.max() < 2e-4


def test_straight_edges_are_not_cut() -> None:
    assert shapely.get_num_coordinates(rectangle_in_storage((1, 2, 3, 4), parse_crs("CRS84"))) == 5
    mercator = (12_900_000.0, 2_700_000.0, 12_950_000.0, 2_750_000.0)
    assert shapely.get_num_coordinates(rectangle_in_storage(mercator, parse_crs("EPSG:3857"))) == 5


def test_west_greater_than_east_crosses_the_antimeridian() -> None:
    area = rectangle_in_storage((170, -10, -170, 10), parse_crs("CRS84"))
    assert area.geom_type == "MultiPolygon"
    assert area.covers(shapely.Point(175, 0))
    assert area.covers(shapely.Point(-175, 0))
    assert not area.intersects(shapely.Point(0, 0))


@pytest.mark.parametrize(
    ("bounds", "code"),
    [
        ((2_687_000, 410_000, 2_688_000, 411_000), "4548"),  # north before east
        ((410_000, 2_687_000, 411_000, 2_688_000), "4527"),  # without the zone number
        ((24, 116, 25, 117), "CRS84"),  # latitude before longitude
        ((0, 0, float("inf"), 1), "3857"),
        ((1, 0, 0, 1), "3857"),
    ],
)
def test_coordinates_that_cannot_be_in_the_crs_are_refused_with_its_axis_order(
    bounds: tuple[float, float, float, float], code: str
) -> None:
    with pytest.raises(CrsDomainError):
        rectangle_in_storage(bounds, parse_crs(code if code == "CRS84" else f"EPSG:{code}"))
