"""Each rule of segments, networks and neighbours: a row that breaks it and a row that does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely

from etl.checks import CheckError, RuleBook, Severity, network, proximity
from etl.checks.__main__ import table
from etl.checks.clearance import clearances
from etl.checks.finding import Rule
from etl.checks.limits import choose
from etl.checks.metric import metres_per_degree
from etl.checks.pipes import check_segments, section_height
from etl.checks.values import ARROW_TYPES
from etl.checks.whole import LocatedRows, PlacedFinding, Whole
from etl.places import Shapes
from layers.definition import LayerDefinition, load_definitions

LINES: LayerDefinition = load_definitions()["pipeline_line"]
POINTS: LayerDefinition = load_definitions()["pipeline_point"]
LON, LAT = 116.1176, 24.2886
PER_LON, PER_LAT = (float(v) for v in metres_per_degree(np.asarray(LAT)))


def at(east: float, north: float) -> tuple[float, float]:
    """CGCS2000 degrees of a place some metres from the centre of the city."""
    return LON + east / PER_LON, LAT + north / PER_LAT


def segment(length: float, rise: float = 0.0) -> shapely.Geometry:
    return shapely.LineString([(*at(0, 0), 50.0), (*at(length, 0), 50.0 + rise)])


def columns(definition: LayerDefinition, rows: Sequence[Mapping[str, Any]]) -> dict[str, pa.Array]:
    """Typed columns of the given values, null where a row has none."""
    return {
        field.name: pa.array([row.get(field.name) for row in rows], ARROW_TYPES[field.type])
        for field in definition.fields
    }


def segments(rows: Sequence[Mapping[str, Any]], shapes: Sequence[shapely.Geometry] | None = None):
    """Positions of the rows that break each rule."""
    drawn = [segment(20.0)] * len(rows) if shapes is None else shapes
    places = Shapes(np.array(drawn, dtype=object))
    found = check_segments(RuleBook(LINES), columns(LINES, rows), places, len(rows))
    out: dict[str, list[int]] = {}
    for finding in found:
        out.setdefault(finding.rule, []).extend(finding.rows.tolist())
    return out


def whole(definition: LayerDefinition, rows: Sequence[Mapping[str, Any]], **more: Any) -> Whole:
    ids = pa.array([str(row.get("id", n)) for n, row in enumerate(rows)])
    files = pa.array(["f"] * len(rows))
    table = {**columns(definition, rows), "id": ids}
    return Whole(LocatedRows(files, np.arange(len(rows)) + 1, ids), table, **more)


def rule(definition: LayerDefinition, name: str) -> Rule:
    found = RuleBook(definition).asked(name)
    assert found is not None
    return found


def ids(findings: Sequence[PlacedFinding]) -> list[str]:
    return [finding.at.id for finding in findings if finding.at is not None]


def test_a_segment_from_a_point_to_itself_is_refused() -> None:
    rows = [{"start_point": "1", "end_point": "1"}, {"start_point": "1", "end_point": "2"}]
    assert segments(rows) == {"distinct_ends": [0]}


def test_length_is_measured_along_the_slope() -> None:
    shapes = [segment(0.03), segment(75.1), segment(74.9), segment(60.0, 50.0), segment(0.06)]
    assert segments([{}] * 5, shapes)["segment_length"] == [0, 1, 3]


def test_slope_limits_go_by_class_and_laying() -> None:
    shapes = [segment(10, 5), segment(10, 6), segment(10, 2), segment(10, 1), segment(0.1, 9)]
    rows: list[dict[str, Any]] = [
        {"class_code": "JS"}, {"class_code": "JS"}, {"class_code": "PS"}, {"class_code": "PS"},
        {"class_code": "JS", "laying": "SJ"},
    ]  # fmt: skip
    assert segments(rows, shapes)["slope"] == [1, 2]  # 26.6, 31.0, 11.3, 5.7 degrees; a riser


@pytest.mark.parametrize(
    ("flow", "start", "end", "wrong"),
    [
        (0, 77.0, 77.5, True),
        (0, 77.5, 77.0, False),
        (1, 77.5, 77.0, True),
        (0, 77.0, 77.01, False),  # within what levelling can tell
        (2, 77.0, 77.5, False),
        (None, 77.0, 77.5, False),
    ],
)
def test_gravity_pipes_run_downhill(
    flow: int | None, start: float, end: float, wrong: bool
) -> None:
    row = {"flow_direction": flow, "start_elevation_m": start, "end_elevation_m": end}
    found = segments([row | {"class_code": "PS", "subclass_code": "WS"},
                      row | {"class_code": "JS", "subclass_code": "JP"}])  # fmt: skip
    assert found.get("adverse_slope", []) == ([0] if wrong else [])


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"class_code": "JS", "laying": "ZM", "start_depth_m": 0.5, "end_depth_m": 1}, True),
        ({"class_code": "JS", "laying": "ZM", "start_depth_m": 0.6, "end_depth_m": 1}, False),
        ({"class_code": "DL", "laying": "GK", "start_depth_m": 0.55, "end_depth_m": 1}, False),
        ({"class_code": "DL", "laying": "ZM", "start_depth_m": 0.55, "end_depth_m": 1}, True),
        ({"class_code": "JS", "laying": "JK", "start_depth_m": -3, "end_depth_m": -3}, False),
        ({"class_code": "JS", "laying": "GG", "start_depth_m": 0.2, "end_depth_m": 0.2}, False),
        ({"class_code": "JS", "laying": "GG", "start_depth_m": -0.2, "end_depth_m": 0.2}, True),
        ({"class_code": "JS", "laying": "ZM", "start_depth_m": 120, "end_depth_m": 120}, True),
        # of a drain the depth is to the invert: the pipe itself is not cover
        ({"class_code": "PS", "laying": "ZM", "start_depth_m": 1.5, "section_mm": "1000"}, True),
        ({"class_code": "PS", "laying": "ZM", "start_depth_m": 1.7, "section_mm": "1000"}, False),
        ({"class_code": "PS", "laying": "ZM", "start_depth_m": 0.7}, False),  # size unknown
    ],
)
def test_burial_depth_goes_by_class_and_laying(values: dict[str, Any], wrong: bool) -> None:
    assert ("burial_depth" in segments([values])) is wrong


def test_a_limit_that_nobody_could_verify_says_so() -> None:
    values = {"class_code": "JS", "laying": "ZM", "start_depth_m": 0.5}
    book = RuleBook(LINES)
    (finding,) = check_segments(book, columns(LINES, [values]), None, 1)
    assert "GB 50289-2016" in finding.reasons[0]
    assert "not verified" in finding.reasons[0]
    assert finding.severity is Severity.WARN


@pytest.mark.parametrize(
    ("text", "height"),
    [("600", 0.6), ("DN300", 0.3), ("Φ300", 0.3), ("1200X1000", 1.0), ("800×600", 0.6),
     ("2-DN100", 0.1), ("圆管", None), ("", None)],
)  # fmt: skip
def test_the_height_of_a_section_is_read_as_firms_write_it(text: str, height: float | None) -> None:
    (read,) = section_height({"section_mm": pa.array([text])}, 1)
    assert (None if np.isnan(read) else read) == height


def test_limits_are_taken_by_the_first_row_that_fits() -> None:
    rows = [
        {"when": {"class_code": "RQ", "pressure": ["次高压A", "次高压B"]}, "minimum": 1.2},
        {"when": {"class_code": "RQ"}, "minimum": 0.6},
        {"when": {"class_code": "JS"}},
    ]
    values = [
        {"class_code": "RQ", "pressure": "次高压B"}, {"class_code": "RQ"}, {"class_code": "JS"},
        {"class_code": "DL"},
    ]  # fmt: skip
    least = choose(rows, columns(LINES, values), 4).number("minimum")
    assert least[:2].tolist() == [1.2, 0.6]
    assert np.isnan(least[2:]).all()
    with pytest.raises(CheckError, match="no_such_field"):
        choose([{"when": {"no_such_field": 1}}], columns(LINES, values), 4)


def line(ident: str, start: str, end: str, **values: Any) -> dict[str, Any]:
    row = {"id": ident, "start_point": start, "end_point": end}
    return {**row, "class_code": "JS", "subclass_code": "JP", **values}


def test_a_segment_delivered_again_or_backwards_is_refused() -> None:
    rows = [
        line("a", "1", "2"), line("b", "2", "3"), line("c", "2", "1"), line("d", "1", "2"),
        line("e", "1", "2", subclass_code="XS"),
    ]  # fmt: skip
    found = network.repeated_segments(rule(LINES, "repeated_segment"), whole(LINES, rows))
    assert ids(found) == ["c", "d"]
    assert "颠倒" in found[0].reason
    assert "颠倒" not in found[1].reason
    assert found[0].severity is Severity.REJECT


def point(ident: str, **values: Any) -> dict[str, Any]:
    return {"id": ident, "class_code": "JS", "subclass_code": "JP", **values}


def test_the_number_of_segments_fits_the_feature() -> None:
    points = whole(
        POINTS,
        [point("1", feature="预留口"), point("2", feature="三通"), point("3", feature="三通"),
         point("4", appurtenance="阀门井"), point("5", feature="四通")],
    )  # fmt: skip
    lines = whole(
        LINES, [line("a", "1", "2"), line("b", "2", "3"), line("c", "2", "4"), line("d", "3", "4")]
    )
    found = network.node_degrees(rule(POINTS, "node_degree"), points, lines)
    assert ids(found) == ["3"]
    assert "应连 3 段，实连 2 段" in found[0].reason
    alone = network.orphans(rule(POINTS, "orphan_point"), points, lines)
    assert ids(alone) == ["5"]


def test_ground_is_depth_plus_elevation_and_the_usual_slips_are_named() -> None:
    points = whole(
        POINTS, [point("1", ground_elevation_m=80.0), point("2", ground_elevation_m=81.0)]
    )

    def of(ident: str, depths: tuple[float, float], heights: tuple[float, float], **more: Any):
        ends = zip(("start", "end"), depths, heights, strict=True)
        values = {f"{e}_depth_m": d for e, d, _ in ends}
        values |= {f"{e}_elevation_m": h for e, h in zip(("start", "end"), heights, strict=True)}
        return line(ident, "1", "2", **values, **more)

    lines = whole(
        LINES,
        [
            of("good", (1.0, 1.0), (79.0, 80.0)),
            of("rounded", (1.0, 1.04), (79.0, 80.0)),
            of("off", (1.5, 1.0), (79.0, 80.0)),
            of("crossed", (1.0, 1.0), (80.0, 79.0)),
            of("top", (2.6, 3.0), (77.0, 78.0), class_code="PS", section_mm="400"),
            of("overhead", (3.0, 1.0), (79.0, 80.0), laying="JK"),
            of("strict", (1.0, 1.04), (79.0, 80.0), class_code="PS"),
            line("unknown", "1", "2", start_depth_m=9.0),
        ],
    )
    found = network.depth_and_elevation(rule(LINES, "depth_elevation"), lines, points)
    assert ids(found) == ["off", "crossed", "top", "strict"]
    told = {finding.at.id: finding.reason for finding in found if finding.at is not None}
    assert "填反" in told["crossed"]
    assert "管径 0.4 m" in told["top"]
    assert "-0.500 m" in told["off"]


def test_a_line_ends_where_its_points_lie() -> None:
    places = np.array([at(0, 0), at(20, 0), at(20.2, 0)])
    points = whole(POINTS, [point("1"), point("2"), point("3")], x=places[:, 0], y=places[:, 1])
    lines = whole(
        LINES, [line("good", "1", "2"), line("off", "1", "3")],
        shapes=np.array([segment(20.01), segment(20.0)], dtype=object),
    )  # fmt: skip
    found = network.ends_at_points(rule(LINES, "end_position"), lines, points)
    assert ids(found) == ["off"]
    assert "0.20 m" in found[0].reason


def test_size_and_material_change_at_fittings_only() -> None:
    points = whole(
        POINTS,
        [point("1", feature="直线点"), point("2", feature="变径"),
         point("3", appurtenance="检修井"), point("4", feature="三通"),
         point("5", feature="直线点")],
    )  # fmt: skip
    sizes = {"0-1": "200", "1-2": "300", "2-3": "200", "3-4": "300", "4-6": "100", "4-5": "200",
             "5-7": None}  # fmt: skip
    rows = [line(name, *name.split("-"), section_mm=size) for name, size in sizes.items()]
    found = network.changes_at_nodes(rule(LINES, "same_at_node"), whole(LINES, rows), points)
    assert ids(found) == ["1-2"]
    assert "由 200 变为 300" in found[0].reason


def test_clearance_is_from_surface_to_surface_of_pipes_side_by_side() -> None:
    def drawn(north: float, far: float | None = None) -> shapely.Geometry:
        other = north if far is None else far
        return shapely.LineString([(*at(0, north), 79.0), (*at(40, other), 79.0)])

    rows = [
        line("water", "1", "2", section_mm="200"),
        line("near", "3", "4", class_code="PS", section_mm="400"),
        line("far", "5", "6", class_code="PS", section_mm="400"),
        line("unknown", "7", "8", class_code="PS"),
        line("across", "9", "10", class_code="PS", section_mm="400"),
        line("wide", "11", "12", section_mm="300"),
    ]
    heights = [(0.0, None), (1.2, None), (-1.4, None), (0.9, None), (-20.0, 20.0), (-3.2, None)]
    shapes = np.array([drawn(*pair) for pair in heights], dtype=object)
    found = clearances(rule(LINES, "clearance"), whole(LINES, rows, shapes=shapes))
    # 1.2 - 0.3 m is too little; 1.4 - 0.3 m is enough for 200 mm, 1.8 - 0.35 m is not for 300 mm
    assert ids(found) == ["near", "wide"]
    assert "净距 0.90 m，至少 1 m" in found[0].reason
    assert "净距 1.45 m，至少 1.5 m" in found[1].reason


def test_near_twins_are_told_and_neighbours_of_another_kind_are_not() -> None:
    spots = [(0, 0), (0.03, 0), (0.03, 0), (0.06, 0.0), (5, 5)]
    lon, lat = (np.array(v) for v in zip(*(at(*spot) for spot in spots), strict=True))
    rows = [point("a"), point("b"), point("c", subclass_code="XS"), point("d"), point("e")]
    found = proximity.near_duplicates(
        rule(POINTS, "near_duplicate"), whole(POINTS, rows, x=lon, y=lat)
    )
    assert ids(found) == ["b", "d"]
    assert "仅 0.030 m" in found[0].reason


def test_road_ends_that_miss_a_road_are_told_and_those_that_meet_it_are_not() -> None:
    road = load_definitions()["road"]
    drawn = [
        [(0, 0), (300, 0)], [(100, 50), (100, 0.4)], [(200, 50), (200, -0.6)],
        [(250, 0), (250, 50)], [(150, 50), (150, 8)], [(50, -10), (50, 10)],
    ]  # fmt: skip
    shapes = np.array([shapely.LineString([at(*v) for v in path]) for path in drawn], dtype=object)
    rows = [{"id": str(n)} for n in range(len(drawn))]
    found = proximity.dangling_ends(rule(road, "dangling_end"), whole(road, rows, shapes=shapes))
    assert ids(found) == ["1", "2"]
    assert "未接到" in found[0].reason
    assert "差 0.40 m" in found[0].reason
    assert "伸过" in found[1].reason


def test_a_rule_without_what_it_needs_is_refused() -> None:
    for name, parameters in (
        ("slope", {}),
        ("near_duplicate", {"distance_m": 1, "colour": "red"}),
        ("reference", {"fields": ["a"]}),
        ("frame", {}),
    ):
        with pytest.raises(CheckError, match=name):
            RuleBook(LayerDefinition(**{**vars(LINES), "checks": ((name, parameters),)}))


def test_the_docs_hold_the_table_of_the_registry() -> None:
    page = (Path(__file__).parents[2] / "docs" / "checks.md").read_text("utf-8")
    held = page.partition("<!-- rules -->\n")[2].partition("<!-- /rules -->")[0]
    assert held == table(), "run python -m etl.checks and put its table into docs/checks.md"
