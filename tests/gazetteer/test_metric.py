"""Metres about a position are those of the geodesic, and its Web Mercator that of PROJ."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod, Transformer

from gazetteer.metric import Metric, web_mercator
from gazetteer.reverse import direction_of
from gazetteer.store import array_text

CGCS2000 = Geod(a=6378137, rf=298.257222101)
TILES = Transformer.from_crs("EPSG:4490", "EPSG:3857", always_xy=True)
LON, LAT = st.floats(73, 136), st.floats(3, 54)


@given(lon=LON, lat=LAT, azimuth=st.floats(0, 360), metres=st.floats(0, 5000))
def test_a_neighbour_is_as_far_as_the_geodesic_says(
    lon: float, lat: float, azimuth: float, metres: float
) -> None:
    x, y, _ = CGCS2000.fwd(lon, lat, azimuth, metres)
    assert math.hypot(*Metric.at(lon, lat).offset(x, y)) == pytest.approx(metres, abs=0.001)


@given(lon=LON, lat=LAT)
def test_the_asked_position_is_projected_as_the_tiles_are(lon: float, lat: float) -> None:
    assert web_mercator(lon, lat) == pytest.approx(TILES.transform(lon, lat), abs=1e-6)


@pytest.mark.parametrize(
    ("azimuth", "said"),
    [(0, "北"), (44, "东北"), (91, "东"), (135, "东南"), (181, "南"), (225, "西南"), (270, "西"),
     (316, "西北"), (359, "北")],
)  # fmt: skip
def test_directions_are_those_of_the_azimuth(azimuth: float, said: str) -> None:
    x, y, _ = CGCS2000.fwd(116.1, 24.3, azimuth, 80)
    assert direction_of(*Metric.at(116.1, 24.3).offset(x, y)) == said


def test_there_is_no_direction_at_the_spot_itself() -> None:
    assert direction_of(0.2, -0.3) == ""


def test_an_array_as_text_holds_quotes_commas_and_backslashes() -> None:
    assert array_text(['a"b', "c\\d", "e,{f}", ""]) == '{"a\\"b","c\\\\d","e,{f}",""}'
