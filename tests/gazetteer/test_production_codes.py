"""Address codes: what is written is read back, and a mistyped code is noticed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gazetteer.levels import Kind
from gazetteer.production.checkdigit import has_valid_check, mod_11_10
from gazetteer.production.codes import AREA, COORDINATE, AddressUnit, load_coders
from gazetteer.production.police import element, elements
from layers.city import load_city

CODERS = load_coders(load_city("meizhou").codes)
UNIT = AddressUnit("A1", "441402004009", "嘉应中路", "12号", "502", 116.1176, 24.2886)


class Numbers:
    """Serial numbers in memory."""

    def __init__(self) -> None:
        self._given: dict[str, dict[str, int]] = defaultdict(dict)

    def number(self, scope: str, name: str, most: int) -> int:
        number = self._given[scope].setdefault(name, len(self._given[scope]) + 1)
        assert number <= most
        return number


def test_check_digit_is_the_published_one() -> None:
    assert mod_11_10("0794") == "5"  # the example of ISO/IEC 7064 for MOD 11,10
    assert has_valid_check("07945")


@given(st.text("0123456789", min_size=2, max_size=30), st.data())
def test_every_single_wrong_digit_is_noticed(digits: str, data: st.DataObject) -> None:
    code = digits + mod_11_10(digits)
    at = data.draw(st.integers(0, len(code) - 1))
    other = data.draw(st.sampled_from([d for d in "0123456789" if d != code[at]]))
    assert not has_valid_check(code[:at] + other + code[at + 1 :])


@pytest.mark.parametrize("style", [AREA, COORDINATE])
def test_a_code_has_the_length_of_the_profile_and_no_fault(style: str) -> None:
    coder = CODERS[style]
    code = coder.encode(UNIT, Numbers())
    assert len(code) == coder.length
    assert coder.faults(code) == []
    assert {fault.rule for fault in coder.faults(code[:-1])} == {"length"}
    assert {fault.rule for fault in coder.faults("x" * coder.length)} == {"digits"}
    wrong = code[:-1] + str((int(code[-1]) + 1) % 10)
    assert {fault.rule for fault in coder.faults(wrong)} == {"check-digit"}
    with pytest.raises(ValueError, match="code of"):
        coder.decode("12")


def test_area_codes_nest_and_differ_where_the_addresses_do() -> None:
    coder, numbers = CODERS[AREA], Numbers()
    first = coder.encode(UNIT, numbers)
    assert coder.encode(UNIT, numbers) == first
    neighbour = coder.encode(replace(UNIT, room="503"), numbers)
    other_plate = coder.encode(replace(UNIT, plate="14号"), numbers)
    house = coder.encode(replace(UNIT, room=""), numbers)
    assert len({first, neighbour, other_plate, house}) == 4
    assert coder.decode(first)["building"] == coder.decode(neighbour)["building"]
    assert coder.decode(house)["room"] == "0000"
    assert first.startswith(UNIT.division)
    for lacking in (replace(UNIT, division="4414"), replace(UNIT, street="", plate="")):
        with pytest.raises(ValueError, match="A1"):
            coder.encode(lacking, numbers)


@given(
    st.floats(73, 135, allow_nan=False),
    st.floats(3, 54, allow_nan=False),
    st.one_of(st.none(), st.floats(-400, 9000)),
)
def test_a_coordinate_code_gives_back_its_cell(
    lon: float, lat: float, height: float | None
) -> None:
    coder = CODERS[COORDINATE]
    unit = replace(UNIT, lon=lon, lat=lat, height_m=height)
    parts = coder.decode(coder.encode(unit, Numbers()))
    assert -1e-9 <= lon - float(parts["lon"]) < 1e-5 + 1e-9
    assert -1e-9 <= lat - float(parts["lat"]) < 1e-5 + 1e-9
    if height is None:
        assert parts["height_m"] == ""
    else:
        assert -1e-9 <= height - float(parts["height_m"]) <= 1 + 1e-9


def test_several_addresses_on_one_spot_have_codes_of_their_own() -> None:
    coder, numbers = CODERS[COORDINATE], Numbers()
    codes = {coder.encode(replace(UNIT, id=f"A{i}"), numbers) for i in range(5)}
    assert len(codes) == 5


def test_police_elements_follow_the_class_word_and_invent_no_code() -> None:
    assert element(Kind.TOWN, "江南街道").code == "23"
    assert element(Kind.TOWN, "大坪镇").code == "22"
    assert element(Kind.VILLAGE, "扶贵村委会").code == "33"
    assert element(Kind.VILLAGE, "梅江社区居委会").code == "32"
    assert element(Kind.NUMBER, "12号").code == ""
    row = {"county": "梅江区", "town": "江南街道", "road": "嘉应中路", "number": "12号"}
    found = elements(row, "广东省", "梅州市")
    assert [e.code for e in found] == ["11", "12", "13", "23", "41", ""]
