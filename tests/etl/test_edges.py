"""Edge matching on shapes: what meets, what is moved, what is reported, with metres and winds."""

from __future__ import annotations

import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from pyproj import Geod
from shapely import LineString, Polygon

from etl.area import EdgeRule
from etl.edges import EdgeKind, match_edges

GEOD = Geod(ellps="GRS80")
LON, LAT = 116.1, 24.3
BORDER = LineString([(LON, LAT - 0.01), (LON, LAT + 0.01)])
"""The eastern border of the area; the delivery lies west of it."""


def beside(metres: float, azimuth: float, lat: float = LAT, lon: float = LON) -> tuple[float, ...]:
    """A position so far from one on the border."""
    found: tuple[float, ...] = GEOD.fwd(lon, lat, azimuth, metres)[:2]
    return found


def inside(end: tuple[float, ...]) -> LineString:
    return LineString([(LON - 0.005, LAT), end])


def outside(end: tuple[float, ...]) -> LineString:
    return LineString([end, (LON + 0.005, LAT)])


@given(apart=st.floats(0.002, 0.99), azimuth=st.floats(0, 359.9), tolerance=st.floats(0.01, 1.0))
def test_ends_within_the_tolerance_are_joined_and_others_reported_with_their_distance(
    apart: float, azimuth: float, tolerance: float
) -> None:
    assume(abs(apart - tolerance) > 1e-6)
    there = beside(apart, azimuth)
    match = match_edges([inside((LON, LAT))], [outside(there)], BORDER, EdgeRule(1.0, tolerance))
    (finding,) = match.findings
    assert finding.distance_m == pytest.approx(apart, abs=1e-6)
    assert abs((finding.azimuth - azimuth + 180) % 360 - 180) < 0.1
    if apart <= tolerance:
        assert finding.kind is EdgeKind.SNAPPED
        assert tuple(match.snapped[0].coords[-1]) == there
        assert match.snapped[0].coords[0] == (LON - 0.005, LAT)
    else:
        assert finding.kind is EdgeKind.GAP
        assert match.snapped == {}


def test_nothing_is_moved_without_a_tolerance_and_nothing_said_of_ends_that_meet() -> None:
    rule = EdgeRule(1.0, None)
    match = match_edges([inside((LON, LAT))], [outside(beside(0.3, 45))], BORDER, rule)
    assert [(f.kind, f.direction) for f in match.findings] == [(EdgeKind.GAP, "东北 NE 45°")]
    assert match.snapped == {}
    met = match_edges([inside((LON, LAT))], [outside((LON, LAT))], BORDER, rule)
    assert (met.findings, met.snapped) == ((), {})


def test_ends_far_from_the_border_or_from_each_other_are_nobodys_business() -> None:
    rule = EdgeRule(1.0, 0.5)
    far = inside(beside(30, 270))
    assert match_edges([far], [outside(beside(30, 90))], BORDER, rule).findings == ()


def test_a_line_that_ends_at_the_border_with_nothing_beyond_is_open_on_either_side() -> None:
    rule = EdgeRule(1.0, 0.5)
    other = LineString([(LON, LAT + 0.004), (LON + 0.005, LAT + 0.004)])
    match = match_edges([inside((LON, LAT))], [other], BORDER, rule)
    assert [(f.kind, f.feature, f.neighbour) for f in match.findings] == [
        (EdgeKind.OPEN, 0, None),
        (EdgeKind.OPEN, None, 0),
    ]


def test_heights_stay_when_an_end_is_moved() -> None:
    delivered = LineString([(LON - 0.005, LAT, 80.5), (LON, LAT, 81.25)])
    match = match_edges([delivered], [outside(beside(0.2, 0))], BORDER, EdgeRule(1, 0.5))
    assert shapely.get_coordinates(match.snapped[0], include_z=True)[:, 2].tolist() == [80.5, 81.25]


def square(west: float, east: float, south: float, north: float) -> Polygon:
    return shapely.box(west, south, east, north)


def test_polygons_are_joined_vertex_to_vertex_and_a_vertex_on_a_side_is_no_gap() -> None:
    shift = beside(0.1, 90)[0] - LON
    mine = square(LON - 0.001, LON, LAT, LAT + 0.001)
    theirs = square(LON + shift, LON + 0.001, LAT, LAT + 0.001)
    match = match_edges([mine], [theirs], BORDER, EdgeRule(1, 0.2))
    assert [f.kind for f in match.findings] == [EdgeKind.SNAPPED] * 2
    assert match.snapped[0].touches(theirs)
    # the neighbour is one block where the delivery has two: its side has no vertex in the middle
    parts = [square(LON - 0.001, LON, LAT, LAT + 0.0005),
             square(LON - 0.001, LON, LAT + 0.0005, LAT + 0.001)]  # fmt: skip
    whole = square(LON, LON + 0.001, LAT, LAT + 0.001)
    assert match_edges(parts, [whole], BORDER, EdgeRule(1, 0.2)).findings == ()


def test_a_polygon_that_would_cross_itself_stays_as_delivered() -> None:
    near = beside(0.4, 270)[0]
    # a spit 0.4 m wide along the border, whose inner side would be pulled over the outer one
    mine = Polygon([(near, LAT), (LON, LAT + 1e-6), (LON, LAT + 5e-6), (near, LAT + 6e-6)])
    theirs = LineString([(LON, LAT), (LON + 0.001, LAT)])
    match = match_edges([mine], [theirs], BORDER, EdgeRule(1, 0.6))
    for index, shape in match.snapped.items():
        assert shape.is_valid
        assert index == 0


def test_two_vertices_that_go_to_one_neighbour_become_one() -> None:
    """The corner is cut off by 0.2 m; the neighbour draws it as one vertex."""
    up = beside(0.2, 0)[1]
    mine = Polygon([(LON - 0.001, LAT), (beside(0.2, 270)[0], LAT), (LON, up), (LON, LAT + 0.001),
                    (LON - 0.001, LAT + 0.001)])  # fmt: skip
    theirs = Polygon([(LON, LAT), (LON + 0.001, LAT), (LON + 0.001, LAT - 0.001)])
    for shape in (mine, shapely.MultiPolygon([mine])):
        match = match_edges([shape], [theirs], BORDER, EdgeRule(1, 0.5))
        assert [f.kind for f in match.findings] == [EdgeKind.SNAPPED] * 2
        after = match.snapped[0]
        assert after.geom_type == shape.geom_type
        found = shapely.get_coordinates(after)
        assert not (found[1:] == found[:-1]).all(axis=1).any()
        assert after.equals(square(LON - 0.001, LON, LAT, LAT + 0.001))


def test_a_line_whose_last_step_is_shorter_than_the_tolerance_repeats_no_point() -> None:
    there = beside(0.2, 90)
    mine = LineString([(LON - 0.005, LAT), there, (LON, LAT)])
    match = match_edges([mine], [outside(there)], BORDER, EdgeRule(1, 0.5))
    assert list(match.snapped[0].coords) == [(LON - 0.005, LAT), there]
    # a pipe that drops: one height or the other would be lost
    deep = LineString([(LON - 0.005, LAT, 9), (*there, 9), (LON, LAT, 7)])
    match = match_edges([deep], [outside(there)], BORDER, EdgeRule(1, 0.5))
    assert [(f.kind, match.snapped) for f in match.findings] == [(EdgeKind.GAP, {})]
    assert "different heights" in str(match.findings[0].obstacle)
    # but one that stands upright at its end is moved as it is
    upright = LineString([(LON - 0.005, LAT, 9), (LON, LAT, 9), (LON, LAT, 7)])
    match = match_edges([upright], [outside(there)], BORDER, EdgeRule(1, 0.5))
    assert shapely.get_coordinates(match.snapped[0], include_z=True).tolist()[1:] == [
        [*there, 9], [*there, 7],
    ]  # fmt: skip


def test_a_shape_that_moving_would_break_stays_and_the_finding_says_why() -> None:
    # a sliver of 0.3 m whose ends would both go to one vertex
    sliver = Polygon([(LON - 0.001, LAT), (LON, LAT), (LON, beside(0.3, 0)[1])])
    theirs = LineString([beside(0.1, 90), (LON + 0.001, LAT)])
    match = match_edges([sliver], [theirs], BORDER, EdgeRule(1, 0.5))
    assert [f.kind for f in match.findings] == [EdgeKind.SNAPPED, EdgeKind.GAP]
    assert [f.obstacle for f in match.findings] == [
        None, "移后图形塌缩 (the shape would collapse)",
    ]  # fmt: skip
    assert match.snapped[0].is_valid
    short = LineString([beside(0.1, 180), beside(0.1, 0)])
    kinds = [f.kind for f in match_edges([short], [theirs], BORDER, EdgeRule(1, 0.5)).findings]
    assert kinds == [EdgeKind.SNAPPED, EdgeKind.GAP]
