"""Numbering rules of GB/T 35639 annex B, on streets whose faults are known because we made them."""

from __future__ import annotations

import math

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gazetteer.numbers import HouseNumber
from gazetteer.production.numbering import (
    NumberingRules,
    Plate,
    Severity,
    check_street,
    heading_of,
)

RULES = NumberingRules()
NORTH, SOUTH = (0.0, 500.0), (0.0, -500.0)
HEADINGS = {
    "east-west": (-1.0, 0.0),
    "north-south": (0.0, -1.0),
    "northeast-southwest": (-1.0, -1.0),
    "northwest-southeast": (-1.0, 1.0),
}
"""Where annex B counts to: from the east, from the north."""


def street(heading: str = "east-west", count: int = 20) -> tuple[shapely.LineString, list[Plate]]:
    """A street of annex B: ascending from its origin, odd numbers on the right."""
    dx, dy = HEADINGS[heading]
    length = math.hypot(dx, dy)
    dx, dy = dx / length, dy / length
    plates = []
    for number in range(1, count + 1):
        along = 10.0 * ((number + 1) // 2)
        off = 12.0 if number % 2 else -12.0  # right of the way: (dy, -dx)
        x, y = dx * along + dy * off, dy * along - dx * off
        plates.append(Plate(f"P{number}", HouseNumber(number), x, y))
    end = 10.0 * (count // 2 + 2)
    return shapely.LineString([(0, 0), (dx * end, dy * end)]), plates


def rules_of(plates: list[Plate], line: shapely.LineString) -> dict[str, list[tuple[str, ...]]]:
    found: dict[str, list[tuple[str, ...]]] = {}
    for finding in check_street("路", line, plates, RULES):
        found.setdefault(finding.rule, []).append(finding.ids)
    return found


@pytest.mark.parametrize("heading", sorted(HEADINGS))
@pytest.mark.parametrize("drawn_backwards", [False, True])
def test_a_street_of_the_standard_has_no_finding(heading: str, drawn_backwards: bool) -> None:
    line, plates = street(heading)
    line = shapely.reverse(line) if drawn_backwards else line
    assert heading_of(line) == heading
    assert rules_of(plates, line) == {}


def test_numbers_from_the_other_end_are_advice_and_no_error() -> None:
    line, plates = street()
    turned = [Plate(p.id, p.number, -210 - p.x, p.y) for p in plates]
    line = shapely.LineString([(-220, 0), (0, 0)])
    found = check_street("路", line, turned, RULES)
    assert [(f.rule, f.severity) for f in found] == [("direction", Severity.ADVICE)]
    assert "从东起" in found[0].zh


def test_sides_exchanged_are_advice() -> None:
    line, plates = street()
    turned = [Plate(p.id, p.number, p.x, -p.y) for p in plates]
    found = check_street("路", line, turned, RULES)
    assert [(f.rule, f.severity) for f in found] == [("parity", Severity.ADVICE)]
    assert "北侧" in found[0].zh
    left = NumberingRules(odd_side="left")
    assert check_street("路", line, turned, left) == []


def test_a_side_that_begins_farther_on_has_a_direction_all_the_same() -> None:
    line, plates = street(count=24)
    late = [Plate(p.id, p.number, p.x - 120, p.y) if not p.number.is_odd else p for p in plates]
    line = shapely.LineString([(0, 0), (-280, 0)])
    assert rules_of(late, line) == {}


def test_numbers_in_no_order_are_an_error_of_the_street() -> None:
    line, plates = street()
    mixed = [
        Plate(p.id, HouseNumber(n), p.x, p.y)
        for p, n in zip(plates, (7, 12, 1, 4, 15, 20, 3, 2, 19, 16, 5, 6, 13, 18, 9, 8, 17, 10, 11,
                                 14), strict=True)
    ]  # fmt: skip
    found = check_street("路", line, mixed, RULES)
    assert {f.severity for f in found if f.rule in ("direction", "order")} == {Severity.ERROR}


def test_a_plate_on_the_wrong_side_is_named() -> None:
    line, plates = street()
    plates[6] = Plate("P7", HouseNumber(7), plates[6].x, -plates[6].y)
    assert rules_of(plates, line) == {"side": [("P7",)]}


def test_a_plate_out_of_sequence_is_named_and_not_its_neighbours() -> None:
    line, plates = street()
    x, y = plates[14].x, plates[14].y
    plates[2] = Plate("P3", HouseNumber(3), x - 3, y)
    assert rules_of(plates, line) == {"order": [("P3",)]}


def test_repeated_missing_and_distant_plates_are_named() -> None:
    line, plates = street()
    plates.append(Plate("twin", HouseNumber(5), plates[8].x, plates[8].y))
    plates.append(Plate("far", HouseNumber(22), plates[19].x, 400.0))
    plates.append(Plate("late", HouseNumber(61), -215.0, 12.0))
    line = shapely.LineString([(0, 0), (-260, 0)])
    found = rules_of(plates, line)
    assert found["duplicate"] == [("P5", "twin")]
    assert found["far"] == [("far",)]
    assert found["gap"] == [("P19", "late")]


def test_rooms_of_one_plate_are_no_duplicates_and_self_made_numbers_follow_no_rule() -> None:
    line, plates = street()
    plates.append(Plate("room", HouseNumber(5), plates[4].x, plates[4].y, "502"))
    plates.append(Plate("self", HouseNumber(1, "", "自编"), plates[19].x, plates[19].y))
    assert rules_of(plates, line) == {}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 500), st.floats(-300, 300), st.floats(-60, 60)), max_size=30)
)
def test_any_street_is_judged(rows: list[tuple[int, float, float]]) -> None:
    line = shapely.LineString([(-250, 0), (0, 30), (250, 0)])
    plates = [Plate(str(i), HouseNumber(n), x, y) for i, (n, x, y) in enumerate(rows)]
    known = {plate.id for plate in plates}
    for finding in check_street("路", line, plates, RULES):
        assert set(finding.ids) <= known
        assert finding.zh
