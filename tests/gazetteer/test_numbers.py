"""House numbers in every form that delivered tables and hotline text hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazetteer.levels import Kind
from gazetteer.locate import How, locate
from gazetteer.normalise import key_of
from gazetteer.numbers import HouseNumber, building_number, house_number, numeral, parts
from gazetteer.records import AddressPoint


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("12号", HouseNumber(12)),
        ("12", HouseNumber(12)),
        ("１２號", HouseNumber(12)),
        ("十二号", HouseNumber(12)),
        ("一百零三号", HouseNumber(103)),
        ("12-3号", HouseNumber(12, "3")),
        ("12号之三", HouseNumber(12, "3")),
        ("12号之3", HouseNumber(12, "3")),
        ("12号附3号", HouseNumber(12, "附3")),
        ("12号A", HouseNumber(12, "A")),
        ("12号第3间", HouseNumber(12, "第3间")),
        ("自编12号之三", HouseNumber(12, "3", "自编")),
        ("临15号", HouseNumber(15, "", "临")),
        ("旧门牌8号", HouseNumber(8, "", "旧")),
        ("新门牌26号", HouseNumber(26)),
        ("8#", HouseNumber(8)),
    ],
)
def test_a_number_is_understood(typed: str, number: HouseNumber) -> None:
    assert house_number(typed) == number


@pytest.mark.parametrize("typed", ["", "号", "3号楼", "无号", "电话12345678号"])
def test_what_is_no_house_number_is_none(typed: str) -> None:
    assert house_number(typed) is None


@given(st.integers(1, 9999))
def test_chinese_numerals_count_like_digits(value: int) -> None:
    assert numeral(_chinese(value)) == value == numeral(str(value))


def _chinese(value: int) -> str:
    digits, out, zero = "零一二三四五六七八九", "", False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, value = divmod(value, unit)
        if digit:
            out += ("零" if zero and out else "") + digits[digit] + name
        zero = not digit
    return out


def test_building_unit_floor_and_room_are_told_apart() -> None:
    found = {part.kind: part.value for part in parts(key_of("嘉应东路12号3幢2单元5楼502室"))}
    assert found == {
        Kind.NUMBER: "12号", Kind.BUILDING: "3", Kind.UNIT: "2", Kind.FLOOR: "5", Kind.ROOM: "502",
    }  # fmt: skip


def test_names_of_one_building_agree() -> None:
    assert {building_number(text) for text in ("3栋", "3幢", "三座", "3号楼", "3#楼")} == {"3"}


def points(*numbers: str) -> list[AddressPoint]:
    """Plates 10 m apart eastwards in the order of their numbers."""
    made = []
    for fid, text in enumerate(numbers):
        number = house_number(text)
        assert number is not None
        lon = 116.1 + number.main * 1e-4
        made.append(
            AddressPoint(
                fid, f"A{fid}", text, "", "", "", "", "路", number, text, "", "", "", lon, 24.28
            )
        )
    return made


def test_a_plate_on_record_beats_any_reckoning() -> None:
    (found,) = locate(points("1号", "3号", "5号"), HouseNumber(3), 5.0)
    assert (found.how, found.error_m) == (How.EXACT, 5.0)
    assert found.lon == pytest.approx(116.1003)


def test_a_missing_number_lies_between_its_neighbours_on_its_side() -> None:
    (found,) = locate(points("1号", "6号", "9号"), HouseNumber(7), 5.0)
    assert found.how is How.INTERPOLATED
    assert [n.number_text for n in found.neighbours] == ["1号", "9号"]  # 6 is across the road
    assert found.lon == pytest.approx(116.1007)
    assert 10 < found.error_m < 100


@given(st.sets(st.integers(1, 200), min_size=2, max_size=12), st.integers(1, 200))
def test_on_an_evenly_numbered_road_the_stated_error_holds(known: set[int], asked: int) -> None:
    for found in locate(points(*(f"{n}号" for n in known)), HouseNumber(asked), 5.0):
        metres = abs(found.lon - (116.1 + asked * 1e-4)) * 101_500
        assert metres <= found.error_m


def test_a_sub_number_that_is_not_on_record_falls_to_its_main_number() -> None:
    (found,) = locate(points("12号", "14号"), HouseNumber(12, "3"), 5.0)
    assert found.how is How.MAIN_NUMBER
    assert found.error_m > 5.0


def test_temporary_numbers_follow_no_order() -> None:
    assert locate(points("1号", "29号"), HouseNumber(15, "", "临"), 5.0) == ()
