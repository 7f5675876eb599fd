"""Every rule refuses what it should, says why, and lets the rest through."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from etl.checks import CheckError, RuleBook, Severity, coverage, geometry, values
from etl.checks.attributes import check_attributes
from etl.checks.finding import Rule
from etl.places import Points, Shapes
from layers.city import load_city
from layers.codes import code_list
from layers.definition import FieldType, load_definitions

KNOWN = load_definitions()
MEIZHOU = load_city("meizhou")
HELSINKI = load_city("helsinki")
ZONE = "Asia/Shanghai"


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=1))
def test_numbers_written_as_text_come_back_bit_for_bit(numbers: list[float | None]) -> None:
    texts = pa.array([None if n is None else f" {n!r}" for n in numbers], pa.string())
    parsed, bad = values.number(texts)
    assert parsed.to_pylist() == numbers
    assert not bad.any()


@given(st.lists(st.text(max_size=12), min_size=1))
def test_text_is_a_number_exactly_when_python_reads_one_of_plain_form(texts: list[str]) -> None:
    parsed, bad = values.number(pa.array(texts, pa.string()))
    for text, value, wrong in zip(texts, parsed.to_pylist(), bad, strict=True):
        if value is not None:
            assert float(text) == value
        elif not wrong:
            assert not text.strip(" \t\r\n\v\f") or text.isspace()


@pytest.mark.parametrize(
    ("wanted", "given_text", "expected"),
    [
        (FieldType.DATE, "2026-11-22", date(2026, 11, 22)),
        (FieldType.DATE, "20261122", date(2026, 11, 22)),
        (FieldType.DATE, "2026/1/2", date(2026, 1, 2)),
        (FieldType.DATE, "2026年11月2日", date(2026, 11, 2)),
        (FieldType.DATE, "2026-11-22 00:00:00", date(2026, 11, 22)),
        (FieldType.INTEGER, "12.0", 12),
        (FieldType.BOOLEAN, "是", True),
        (FieldType.TEXT, "  輋𣒍村 ", "輋𣒍村"),
        (FieldType.TEXT, "  ", None),
    ],
)
def test_values_as_bureaus_write_them(wanted: FieldType, given_text: str, expected: object) -> None:
    typed, bad = values.convert(pa.array([given_text]), wanted, ZONE)
    assert typed.to_pylist() == [expected]
    assert not bad.any()


@pytest.mark.parametrize(
    ("wanted", "given_text"),
    [
        (FieldType.DATE, "2026-02-30"),
        (FieldType.DATE, "11/22/2026"),
        (FieldType.INTEGER, "1.5"),
        (FieldType.INTEGER, "三层"),
        (FieldType.REAL, "1e999"),
        (FieldType.REAL, "nan"),
        (FieldType.BOOLEAN, "也许"),
        (FieldType.TIMESTAMP, "昨天"),
    ],
)
def test_values_of_another_type_are_told(wanted: FieldType, given_text: str) -> None:
    typed, bad = values.convert(pa.array([given_text]), wanted, ZONE)
    assert typed.to_pylist() == [None]
    assert bad.tolist() == [True]


def test_a_time_without_zone_is_local_to_the_city() -> None:
    texts = pa.array(["2026-11-22 8:30", "2026-11-22T08:30:00+08:00", "2026-11-22T00:30:00Z"])
    typed, bad = values.convert(texts, FieldType.TIMESTAMP, ZONE)
    assert len(set(typed.to_pylist())) == 1
    assert not bad.any()


def test_numbers_of_a_spreadsheet_become_codes_without_decimals() -> None:
    assert values.text(pa.array([101.0, 2.5, None])).to_pylist() == ["101", "2.5", None]


def test_fields_are_held_to_their_definition() -> None:
    building = KNOWN["building"]
    columns = {
        "name": pa.array(["围龙屋", "x" * 101, None, None]),
        "floors": pa.array([3, -1, 151, None]),
        "use": pa.array(["1", None, None, "no such use"]),
    }
    findings = check_attributes(
        RuleBook(building),
        building,
        pa.array(["a", "b", "c", None]),
        columns,
        {"building_use": code_list("building_use")},
        {},
    )
    found = {(f.rule, int(row)) for f in findings for row in f.rows} - {("domain", 0)}
    assert found == {
        ("max_length", 1), ("range", 1), ("range", 2), ("domain", 3), ("id_required", 3),
    }  # fmt: skip
    reasons = " ".join(reason for f in findings for reason in f.reasons)
    assert "'no such use'" in reasons
    assert "151" in reasons


def test_a_word_in_place_of_a_code_is_told_its_code() -> None:
    component = KNOWN["component"]
    code = next(iter(code_list("component_class").entries.values()))
    findings = check_attributes(
        RuleBook(component),
        component,
        pa.array(["4" * 17]),
        {"class_code": pa.array([code.zh])},
        {"component_class": code_list("component_class")},
        {},
    )
    assert code.code in findings[0].reasons[0]


def test_feature_and_appurtenance_of_a_pipeline_point_exclude_each_other() -> None:
    point = KNOWN["pipeline_point"]
    columns = {"feature": pa.array(["三通", None]), "appurtenance": pa.array(["阀门", "阀门"])}
    findings = check_attributes(RuleBook(point), point, pa.array(["1", "2"]), columns, {}, {})
    assert [(f.rule, f.rows.tolist()) for f in findings] == [("exclusive", [0])]


def test_a_definition_with_an_unknown_check_is_refused() -> None:
    with pytest.raises(CheckError, match="no_holes"):
        RuleBook(replace(KNOWN["building"], checks=(("no_holes", {}),)))
    with pytest.raises(CheckError, match="severity"):
        RuleBook(replace(KNOWN["building"], checks=(("no_gap", {"severity": "loud"}),)))


def test_geometries_take_the_stored_type_or_are_refused() -> None:
    shapes = np.array(
        [
            shapely.box(0, 0, 1, 1),
            shapely.MultiPolygon([shapely.box(0, 0, 1, 1)]),
            shapely.Point(0, 0),
            None,
            shapely.Polygon(),
            shapely.from_wkt("POLYGON Z ((0 0 5, 1 0 5, 1 1 5, 0 0 5))"),
        ],
        dtype=object,
    )
    nothing = np.zeros(6, dtype=bool)
    building = KNOWN["building"]
    fitted, findings = geometry.fit_type(RuleBook(building), building, shapes, nothing)
    assert [None if s is None else s.geom_type for s in fitted] == [
        "MultiPolygon", "MultiPolygon", None, None, None, "MultiPolygon",
    ]  # fmt: skip
    assert not fitted[5].has_z
    assert {(f.rule, int(r)) for f in findings for r in f.rows} == {
        ("geometry_type", 2), ("no_geometry", 3), ("no_geometry", 4),
    }  # fmt: skip


def test_a_layer_with_heights_refuses_a_row_without() -> None:
    shapes = np.array([shapely.Point(1, 2, 3), shapely.Point(1, 2)], dtype=object)
    point = KNOWN["pipeline_point"]
    _, findings = geometry.fit_type(RuleBook(point), point, shapes, np.zeros(2, dtype=bool))
    assert [(f.rule, f.rows.tolist()) for f in findings] == [("height_required", [1])]


def test_what_lies_outside_the_city_is_told_where_it_lies() -> None:
    places = Points(
        np.array([116.1, 24.945, 24.2886, 0.0, 181.0, np.nan, 113.26]),
        np.array([24.3, 60.17, 116.1, 0.0, 95.0, np.nan, 23.13]),
        None,
    )
    book = RuleBook(KNOWN["component"])
    (finding,) = geometry.inside_frame(book, places, "wgs84", MEIZHOU, (MEIZHOU, HELSINKI))
    assert finding.rows.tolist() == [1, 2, 3, 4, 6]
    helsinki, exchanged, null, nowhere, guangzhou = finding.reasons
    assert "赫尔辛基" in helsinki
    assert "profile helsinki" in helsinki
    assert "颠倒" in exchanged
    assert "missing value" in null
    assert "no place on Earth" in nowhere
    assert "西南方" in guangzhou
    assert "km" in guangzhou


def test_a_self_crossing_area_is_repaired_and_told_with_its_area() -> None:
    bow_tie = shapely.Polygon([(116, 24), (116.001, 24.001), (116.001, 24), (116, 24.001)])
    spike = shapely.Polygon([(116, 24), (116.001, 24), (116, 24)])
    shapes = np.array([bow_tie, spike, shapely.box(116, 24, 116.1, 24.1)], dtype=object)
    mended, findings = geometry.repair(RuleBook(KNOWN["building"]), Shapes(shapes))
    assert isinstance(mended, Shapes)
    assert mended.geometries[0].is_valid
    assert mended.geometries[0].geom_type == "MultiPolygon"
    told = {f.severity: f for f in findings}
    assert told[Severity.WARN].rows.tolist() == [0]
    assert "m²" in told[Severity.WARN].reasons[0]
    assert told[Severity.REJECT].rows.tolist() == [1]  # it would become a line


def _cells() -> tuple[np.ndarray, list[coverage.Located]]:
    shapes = [shapely.box(116 + i * 0.001, 24, 116.001 + i * 0.001, 24.001) for i in range(3)]
    shapes.append(shapely.box(116.0005, 24, 116.0008, 24.001))  # inside the first
    return np.array(shapes, dtype=object), [coverage.Located("g", i, f"c{i}") for i in range(4)]


def test_overlapping_areas_are_found_and_neighbours_are_not() -> None:
    shapes, rows = _cells()
    found = coverage.overlaps(Rule("no_overlap", Severity.REJECT, {}), shapes, rows)
    assert [(f.at and f.at.id) for f in found] == ["c3"]
    assert "c0" in found[0].reason
    noise = np.array([shapely.box(116, 24, 116.001 + 1e-8, 24.001), shapes[1]], dtype=object)
    assert not coverage.overlaps(Rule("no_overlap", Severity.REJECT, {}), noise, rows[:2])


def test_a_hole_between_areas_is_a_gap_and_the_outside_is_none() -> None:
    around = shapely.box(116, 24, 116.01, 24.01) - shapely.box(116.004, 24.004, 116.006, 24.006)
    halves = np.array(
        [around & shapely.box(116, 24, 116.005, 25), around & shapely.box(116.005, 24, 117, 25)],
        dtype=object,
    )
    (gap,) = coverage.gaps(Rule("no_gap", Severity.WARN, {}), halves)
    assert gap.at is None
    assert (round(gap.place.x, 3), round(gap.place.y, 3)) == (116.005, 24.005)


def test_wkb_of_points_is_what_geos_writes() -> None:
    points = Points(np.array([116.1, np.nan]), np.array([24.2, np.nan]), np.array([5.5, 1.0]))
    for has_z, wanted in (
        (False, shapely.Point(116.1, 24.2)),
        (True, shapely.Point(116.1, 24.2, 5.5)),
    ):
        wkb = points.wkb(has_z).to_pylist()
        assert wkb == [shapely.to_wkb(wanted, flavor="iso"), None]
