"""What people type and read: every form of one point leads to one point."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.datum import (
    DatumError,
    DatumRegistry,
    PositionError,
    format_dms,
    format_readout,
    locate,
    parse_position,
)
from layers.city import load_city

MEIZHOU = load_city("meizhou")
CENTRE = (116.1176, 24.2886)
READOUT = "X(北)=2687537.854 Y(东)=410413.240 | 带号39: 39410413.240 | 116°07′03.36″E 24°17′18.96″N"


def test_readout_is_the_text_that_the_city_reads():
    assert format_readout(*CENTRE, MEIZHOU) == READOUT


@pytest.mark.parametrize(
    ("text", "coordsys"),
    [
        (READOUT, "epsg:4548"),
        ("X=2687537.854，Y=410413.240", "epsg:4548"),
        ("X（北）=2687537.854 Y（东）=39410413.240", "epsg:4527"),
        ("2687537.854, 410413.240", "epsg:4548"),
        ("410413.240 2687537.854", "epsg:4548"),
        ("39410413.240,2687537.854", "epsg:4527"),
        ("2687537.854 20410413.240", "epsg:4498"),
        ("N2687537.854 E410413.240", "epsg:4548"),
        ("epsg:4527 2687537.854 39410413.240", "epsg:4527"),
        ("116°07′03.36″E 24°17′18.96″N", "cgcs2000"),
        ("24°17'18.96\"N, 116°7'3.36\"E", "cgcs2000"),
        ("东经116度07分03.36秒 北纬24度17分18.96秒", "cgcs2000"),
        ("116.1176,24.2886", "cgcs2000"),
        ("24.2886, 116.1176", "cgcs2000"),
        ("lon=116.1176 lat=24.2886", "cgcs2000"),
        ("116.1176 24.2886 wgs84", "wgs84"),
        ("城管通上报: 116.12243233,24.285977(gcj02)", "gcj02"),
        ("116.12897357，24.29184529（BD-09）", "bd09"),
    ],
)
def test_every_form_of_the_centre(text, coordsys):
    best = parse_position(text, MEIZHOU)[0]
    assert best.coordsys == coordsys
    assert math.hypot(best.lon - CENTRE[0], best.lat - CENTRE[1]) < 2e-8
    assert best.stated == (coordsys in text.lower().replace("-", ""))


def test_undeclared_decimal_degrees_are_cgcs2000_and_the_result_says_so():
    (only,) = parse_position("116.1176,24.2886", MEIZHOU)
    assert not only.stated
    assert "CGCS2000" in only.note


def test_packed_dms_is_offered_as_a_second_reading():
    first, second = parse_position("116.0703360 24.1718960", MEIZHOU)
    assert (first.lon, first.lat) == (116.070336, 24.171896)
    assert math.hypot(second.lon - CENTRE[0], second.lat - CENTRE[1]) < 1e-8
    assert "ddd.mmss" in second.note


def test_west_of_the_zone_border_both_zones_are_read():
    for text in ("Y 39328420.431 X 2634154.725", "Y 38634170.436 X 2633759.411"):
        (only,) = parse_position(text, MEIZHOU)
        assert math.hypot(only.lon - 115.3165, only.lat - 23.8) < 1e-8


@pytest.mark.parametrize(
    "text",
    ["剑英大道12号附3号", "嘉应中路 15 号", "G206线K2345+600右侧", "路灯杆LD-0123旁", "", "12-3号",
     "江南路2 3栋", "大坪镇", "x" * 10_000],
)  # fmt: skip
def test_addresses_are_no_positions(text):
    assert parse_position(text, MEIZHOU) == ()


@pytest.mark.parametrize("text", ["60.17,24.94", "87537.854, 10413.240", "116°77′03″E 24°17′18″N"])
def test_positions_outside_the_city_get_a_sentence(text):
    with pytest.raises(PositionError):
        parse_position(text, MEIZHOU)


def test_a_zone_prefix_is_never_stripped_in_silence():
    registry = DatumRegistry()
    with pytest.raises(PositionError, match="epsg:4527"):
        locate(registry, "epsg:4548", north=2687537.854, east=39410413.240)
    with pytest.raises(PositionError, match="start with zone 39"):
        locate(registry, "epsg:4527", north=2687537.854, east=410413.240)
    with pytest.raises(PositionError, match="north and east exchanged"):
        locate(registry, "epsg:4548", north=410413.240, east=2687537.854)
    with pytest.raises(PositionError, match="north and east"):
        locate(registry, "epsg:4548", lon=116.1, lat=24.2)
    with pytest.raises(PositionError, match="exchanged"):
        locate(registry, "cgcs2000", lon=24.2, lat=116.1)


def test_the_four_spellings_of_one_event_are_one_place():
    registry = DatumRegistry()
    spots = [
        locate(registry, "gcj02", lon=116.12243233, lat=24.285977),
        locate(registry, "cgcs2000", lon=116.1176, lat=24.2886),
        locate(registry, "epsg:4548", north=2687537.854, east=410413.240),
        locate(registry, "epsg:4527", north=2687537.854, east=39410413.240),
    ]
    assert max(math.hypot(p.lon - CENTRE[0], p.lat - CENTRE[1]) for p in spots) < 1.5e-8


@given(st.floats(115.4, 116.9), st.floats(23.4, 24.9))
def test_readout_reads_back_within_a_millimetre(lon, lat):
    best = parse_position(format_readout(lon, lat, MEIZHOU), MEIZHOU)[0]
    assert math.hypot(best.lon - lon, best.lat - lat) < 1e-8


@pytest.mark.parametrize(
    ("value", "text"),
    [(116.9999999999, "117°00′00.00″E"), (-0.00001, "0°00′00.04″W"), (0.0, "0°00′00.00″E")],
)
def test_seconds_carry_over(value, text):
    assert format_dms(value, "E", "W") == text


@given(st.text(alphabet="0123456789.,-+°′″'\"度分秒NSEWXY=()北东经纬 |:gcj02bd9号路", max_size=60))
def test_whatever_is_typed_is_a_reading_inside_the_city_or_a_sentence(text):
    with contextlib.suppress(PositionError):
        found = parse_position(text, MEIZHOU)
        assert all(MEIZHOU.extent.contains(c.lon, c.lat) for c in found)


@given(st.text(max_size=40))
def test_whatever_coordsys_is_stated_is_known_or_refused_with_a_sentence(text):
    with contextlib.suppress(DatumError):
        at = locate(DatumRegistry(), text, lon=116.1, lat=24.2)
        assert at.coordsys.kind == "geographic"
