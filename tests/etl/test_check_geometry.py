"""What the geometric checks measure is what PROJ and brute force measure."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from etl.checks import RuleBook, Scope, Severity, coverage
from etl.checks.accuracy import against_known, clear_offset, edge_offset
from etl.checks.finding import Rule
from etl.checks.metric import east_north, metres_per_degree, pairs_within
from etl.checks.network import repeated_segments
from etl.checks.pipes import Paths
from etl.checks.whole import Located, LocatedRows, Network, Whole
from layers.definition import load_definitions

GRS80 = Geod(ellps="GRS80")
LON, LAT = 116.1176, 24.2886
PER_LON, PER_LAT = (float(v) for v in metres_per_degree(np.asarray(LAT)))
metres = st.floats(-500, 500, allow_nan=False)


def degrees(xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return LON + xy[:, 0] / PER_LON, LAT + xy[:, 1] / PER_LAT


@given(st.floats(73, 135), st.floats(3, 53), metres, metres)
def test_short_distances_are_those_of_the_ellipsoid(
    lon: float, lat: float, east: float, north: float
) -> None:
    per_lon, per_lat = metres_per_degree(np.asarray(lat))
    to_lon, to_lat = lon + east / float(per_lon), lat + north / float(per_lat)
    e, n = east_north(*(np.array([v]) for v in (lon, lat, to_lon, to_lat)))
    _, _, truth = GRS80.inv(lon, lat, to_lon, to_lat)
    assert np.hypot(e[0], n[0]) == pytest.approx(truth, rel=1e-6, abs=1e-6)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(-40, 40), st.integers(-40, 40)), max_size=30),
    st.sampled_from([1.0, 2.5, 7.0]),
)
def test_near_pairs_are_all_pairs_within_the_distance(
    spots: list[tuple[int, int]], distance: float
) -> None:
    xy = np.array(spots, dtype=np.float64).reshape(-1, 2)
    first, second = pairs_within(xy[:, 0], xy[:, 1], distance)
    wanted = {
        (i, j)
        for i in range(len(xy))
        for j in range(i + 1, len(xy))
        if np.hypot(*(xy[i] - xy[j])) <= distance
    }
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == wanted


def test_a_heap_of_points_in_one_place_is_told_without_all_its_pairs() -> None:
    first, second = pairs_within(np.zeros(20_000), np.zeros(20_000), 1.0)
    assert set(second.tolist()) == set(range(1, 20_000))
    assert len(first) < 20_000 * 40


@given(st.lists(st.tuples(metres, metres, st.floats(-50, 50)), min_size=2, max_size=6))
def test_length_along_the_slope_is_the_sum_of_its_pieces(
    vertices: list[tuple[float, float, float]],
) -> None:
    xyz = np.array(vertices)
    lon, lat = degrees(xyz)
    line = shapely.linestrings(np.column_stack([lon, lat, xyz[:, 2]]))
    paths = Paths.of(np.array([line, None], dtype=object))
    flat, total = 0.0, 0.0
    for k in range(len(xyz) - 1):
        _, _, piece = GRS80.inv(lon[k], lat[k], lon[k + 1], lat[k + 1])
        flat += piece
        total += float(np.hypot(piece, xyz[k + 1, 2] - xyz[k, 2]))
    assert paths.flat[0] == pytest.approx(flat, rel=1e-6, abs=1e-6)
    assert paths.sloping[0] == pytest.approx(total, rel=1e-6, abs=1e-6)
    assert np.isnan(paths.sloping[1])


edges = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20)


@given(edges)
def test_degrees_and_repeats_of_a_network_are_those_counted_by_hand(
    ends: list[tuple[int, int]],
) -> None:
    start, end = (pa.array([str(pair[k]) for pair in ends]) for k in (0, 1))
    net = Network.of(start, end)
    counted = {str(n): sum(pair.count(n) for pair in ends) for n in range(6)}
    degrees_of = dict(zip(net.nodes.to_pylist(), net.degrees().tolist(), strict=True))
    assert degrees_of == {n: c for n, c in counted.items() if c}
    seen: set[frozenset[int]] = set()
    wanted = []
    for row, pair in enumerate(ends):
        if len(set(pair)) == 2 and frozenset(pair) in seen:
            wanted.append(row)
        seen.add(frozenset(pair))
    rows = np.arange(len(ends))
    files, ids = pa.array(["f"] * len(ends)), pa.array([str(n) for n in rows])
    lines = Whole(LocatedRows(files, rows, ids), {"start_point": start, "end_point": end})
    found = repeated_segments(Rule("repeated_segment", Severity.REJECT, {}), lines)
    assert [f.at.row for f in found if f.at is not None] == wanted


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=2, max_size=8))
def test_overlaps_of_squares_are_those_of_their_numbers(corners: list[tuple[int, int]]) -> None:
    size = 4
    shapes = np.array(
        [
            shapely.box(
                *(c for corner in ((x, y), (x + size, y + size)) for c in
                  (LON + corner[0] * 10 / PER_LON, LAT + corner[1] * 10 / PER_LAT))
            )
            for x, y in corners
        ],
        dtype=object,
    )  # fmt: skip
    rows = [Located("f", n, str(n)) for n in range(len(corners))]
    found = coverage.overlaps(Rule("no_overlap", Severity.REJECT, {}), shapes, rows)
    wanted = sorted(
        str(j)
        for i in range(len(corners))
        for j in range(i + 1, len(corners))
        if all(abs(a - b) < size for a, b in zip(corners[i], corners[j], strict=True))
    )
    assert sorted(f.at.id for f in found if f.at is not None) == wanted


@given(st.floats(-3, 3), st.floats(-3, 3), st.integers(0, 2**32 - 1))
def test_the_rmse_at_check_points_holds_offset_and_noise(
    east: float, north: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    known = rng.uniform(-5_000, 5_000, (40, 2))
    noise = rng.normal(0, 0.02, (40, 2))
    lon, lat = degrees(known)
    moved_lon, moved_lat = degrees(known + noise + np.array([east, north]))
    result, apart = against_known(
        [str(n) for n in range(40)], (lon, lat, None), (moved_lon, moved_lat, None)
    )
    assert result is not None
    truth = noise + np.array([east, north])
    # one scale for the whole city in this test: 5 km north or south it errs by 0.04 %
    assert result.rmse_m == pytest.approx(np.sqrt((truth**2).sum(axis=1).mean()), rel=2e-3)
    assert result.mean_east_m == pytest.approx(truth[:, 0].mean(), abs=5e-3)
    assert result.mean_north_m == pytest.approx(truth[:, 1].mean(), abs=5e-3)
    assert int(np.argmax(apart)) == int(result.largest_id)


def test_check_points_without_a_feature_are_counted_not_compared() -> None:
    lon, lat = degrees(np.array([[0.0, 0.0], [10.0, 0.0]]))
    nothing = np.array([lon[0], np.nan]), np.array([lat[0], np.nan]), None
    result, _ = against_known(["a", "b"], (lon, lat, None), nothing)
    assert result is not None
    assert (result.count, result.unmatched, result.rmse_m) == (1, 1, 0.0)
    gone = np.array([np.nan, np.nan])
    assert against_known(["a", "b"], (lon, lat, None), (gone, gone, None))[0] is None


@given(st.floats(-2, 2), st.floats(-2, 2), st.integers(0, 2**32 - 1))
def test_an_adjoining_delivery_that_is_shifted_shows_its_shift(
    east: float, north: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    border = np.column_stack([np.arange(40) * 25.0, rng.uniform(-5, 5, 40)])
    lon, lat = degrees(border + np.array([east, north]))
    to_lon, to_lat = degrees(border)
    offset = edge_offset(lon, lat, to_lon, to_lat, 5.0)
    assert offset is not None
    assert (offset.east_m, offset.north_m) == pytest.approx((east, north), abs=1e-3)
    assert offset.scatter_m == pytest.approx(0, abs=1e-3)


def test_what_adjoins_nothing_has_no_offset() -> None:
    lon, lat = degrees(np.column_stack([np.arange(40) * 25.0, np.zeros(40)]))
    far = degrees(np.column_stack([np.arange(40) * 25.0, np.full(40, 300.0)]))
    assert edge_offset(lon, lat, *far, 5.0) is None


@pytest.mark.parametrize("shift", [(0.0, 0.0), (18.0, 0.0), (-14.0, 11.0)])
def test_roads_shifted_into_houses_are_moved_back_out(shift: tuple[float, float]) -> None:
    """Streets 12 m wide between blocks of houses, both ways."""
    blocks = [
        shapely.box(x * 100 + 6, y * 100 + 6, x * 100 + 94, y * 100 + 94)
        for x in range(6)
        for y in range(6)
    ]
    streets = [shapely.LineString([(x * 100, 0), (x * 100, 600)]) for x in range(1, 6)]
    streets += [shapely.LineString([(0, y * 100), (600, y * 100)]) for y in range(1, 6)]

    def placed(shape: shapely.Geometry, dx: float = 0.0, dy: float = 0.0) -> shapely.Geometry:
        step = np.array([dx, dy])
        return shapely.transform(shape, lambda xy: np.column_stack(degrees(xy + step)))

    houses = np.array([placed(block) for block in blocks], dtype=object)
    roads = np.array([placed(street, *shift) for street in streets], dtype=object)
    offset = clear_offset(roads, houses, 25.0)
    assert offset is not None
    assert (offset.before or 0) > 0.3 if shift != (0.0, 0.0) else offset.metres == 0
    assert offset.after == pytest.approx(0, abs=0.02)
    # the least shift that clears the houses: within half a street's width of the true one
    assert abs(offset.east_m - shift[0]) <= 7
    assert abs(offset.north_m - shift[1]) <= 7


def test_layers_that_list_no_rule_of_networks_have_none() -> None:
    known = load_definitions()
    book = RuleBook(known["building"])
    assert not book.of_scope(Scope.LAYER)
    assert not book.of_scope(Scope.DELIVERY)
