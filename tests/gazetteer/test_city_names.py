"""Names that this city makes hard: right, or honestly ambiguous, never sure and wrong."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gazetteer.answers import AddressRows, Answer, Hints
from gazetteer.index import GazetteerIndex
from gazetteer.levels import Kind, Level, Status
from gazetteer.match import resolve
from gazetteer.normalise import key_of
from gazetteer.parse import parse
from gazetteer.records import Place
from gazetteer.suggest import suggest
from tests.gazetteer.city import REGISTER, names_index

ROAD = Place(Kind.ROAD, "嘉应中路", "441402", 116.12, 24.3, 500.0, "road", "L1", 1)
INDEX = names_index(REGISTER, (ROAD,))


def ask(text: str, index: GazetteerIndex = INDEX, limit: int = 20) -> Answer:
    return resolve(index, parse(index, text), AddressRows(), Hints(limit=limit))


def codes(answer: Answer) -> list[str]:
    return [candidate.code for candidate in answer.candidates]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("广东省梅州市梅县区大坪镇", "441403104"),
        ("兴宁市大坪镇", "441481125"),
        ("兴宁大坪", "441481125"),
        ("廣東省梅州市興寧市大坪鎮", "441481125"),
        ("梅州巿梅江區", "441402"),
        ("五华水寨镇", "441424100"),
        ("兴宁县永和镇", "441481107"),
        ("广东省梅县雁洋镇长教村", "441403111213"),
        ("大埔县湖廖镇", "441422100"),
        ("大浦县湖寮镇", "441422100"),
        ("五家輋村", "441422102232"),
        ("五家畲村", "441422102232"),
        ("五华县转水镇輋𣒍村", "441424103203"),
        ("輋𣒍村", "441424103203"),
        ("梅县区新圩村", "441403113207"),
        ("新圩村", "441403113207"),
        ("兴宁市新圩镇", "441481111"),
        ("大埔县水口村", "441422107221"),
        ("梅江区梅江社区", "441402004009"),
        ("大埔角村", "441422114201"),
        ("大埔", "441422"),
        ("梅江", "441402"),
        ("dabu", "441422"),
        ("dapu", "441422"),
        ("DBX", "441422"),
        ("DPX", "441422"),
        ("meizhou mei jiang qu", "441402"),
        ("441424103203", "441424103203"),
        ("丰顺汤坑(镇) 圩", "441423100"),
        ("梅江区江南街道梅江社区居民委员会", "441402004009"),
        ("深圳市南山区梅州市梅江区江南街道", "441402004"),
    ],
)
def test_one_place_is_meant_and_found(text: str, code: str) -> None:
    answer = ask(text)
    assert codes(answer)[0] == code
    assert not answer.ambiguous


@pytest.mark.parametrize(
    ("text", "rivals"),
    [
        ("大坪镇", {"441403104", "441481125"}),
        ("大坪", {"441403104", "441481125"}),
        ("黄坑村", {c for c, n in REGISTER.items() if n == "黄坑村委会"}),
        ("圩镇社区", {c for c, n in REGISTER.items() if n == "圩镇社区居委会"}),
        ("长教村", {"441403111213", "441422100202"}),
        ("水口", {"441481112", "441422107221"}),
        ("江南", {"441402004", "441424113209"}),
    ],
)
def test_several_places_are_meant_and_all_are_named(text: str, rivals: set[str]) -> None:
    answer = ask(text)
    assert answer.ambiguous
    assert rivals <= set(codes(answer))
    assert all(candidate.score <= 0.6 for candidate in answer.candidates)
    assert any(reason.rule == "ambiguous" for reason in answer.candidates[0].reasons)


@pytest.mark.parametrize(
    "text",
    [
        "广东省深圳市宝安区西乡街道",
        "辽宁省朝阳县",
        "兴宁路280弄25号",
        "上海市兴宁路",
        "北京路",
        "",
        "😀",
    ],
)
def test_what_is_elsewhere_or_nowhere_is_not_placed_here(text: str) -> None:
    answer = ask(text)
    assert answer.candidates == ()
    assert answer.reasons


def test_a_road_that_begins_like_a_place_is_not_that_place() -> None:
    for text in ("江南大道8号", "水口高速", "大埔公路3号"):
        assert ask(text).candidates == (), text


def test_a_hospital_of_the_city_is_not_a_city() -> None:
    assert not any(reason.rule == "outside" for reason in ask("学艺路市人民医院对面").reasons)


def test_a_town_of_another_county_is_never_a_sure_answer() -> None:
    answer = ask("大埔县大坪镇")
    assert answer.ambiguous
    assert {"441403104", "441481125", "441422"} <= set(codes(answer))


def test_a_district_that_is_elsewhere_costs_score_and_says_so() -> None:
    candidate = ask("广东省五华区").candidates[0]
    assert candidate.code == "441424"
    assert candidate.score < 0.95
    county = next(c for c in candidate.components if c.kind is Kind.COUNTY)
    assert (county.value, county.text, county.status) == ("五华县", "五华区", Status.CORRECTED)


def test_each_component_says_whether_it_was_typed_corrected_or_completed() -> None:
    candidate = ask("大浦縣湖寮镇").candidates[0]
    status = {c.kind: (c.value, c.status, c.span) for c in candidate.components}
    assert status[Kind.CITY] == ("梅州市", Status.COMPLETED, None)
    assert status[Kind.COUNTY] == ("大埔县", Status.CORRECTED, (0, 3))
    assert status[Kind.TOWN] == ("湖寮镇", Status.ORIGINAL, (3, 6))
    assert any(r.rule == "homophone" and "大浦縣" in r.zh for r in candidate.reasons)


def test_the_score_is_one_less_what_the_explanation_takes() -> None:
    for text in ("大浦县湖寮镇", "嘉应中路99号", "梅江区嘉应中路附近"):
        candidate = ask(text).candidates[0]
        taken = sum(reason.delta for reason in candidate.reasons)
        assert candidate.score == pytest.approx(1 + taken, abs=0.002)


def test_a_number_without_record_falls_to_its_road_with_the_roads_error() -> None:
    candidate = ask("嘉应中路99号").candidates[0]
    assert (candidate.level, candidate.error_m) == (Level.ROAD, 500.0)
    assert candidate.score < 0.75


def test_beside_a_place_is_not_at_it() -> None:
    at, beside = (ask(t).candidates[0] for t in ("嘉应中路", "嘉应中路旁边"))
    assert (at.error_m or 0) + 60 == beside.error_m
    assert beside.score < at.score


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("dab", "大埔县"), ("dap", "大埔县"), ("dbx", "大埔县"), ("大", "大埔县"),
        ("梅县区大坪", "大坪镇"), ("嘉应", "嘉应中路"), ("jyzl", "嘉应中路"), ("輋", "輋𣒍村"),
    ],
)  # fmt: skip
def test_typing_suggests(typed: str, first: str) -> None:
    assert suggest(INDEX, typed, 5)[0].name == first


def test_a_suggestion_searched_for_gives_its_own_record() -> None:
    for typed in ("大坪", "黄坑", "嘉应", "圩镇", "dabu", "水口"):
        for suggestion in suggest(INDEX, typed, 20):
            answer = ask(suggestion.label)
            assert answer.candidates[0].record == suggestion.record
            assert not answer.ambiguous


@settings(max_examples=150, deadline=None)
@given(
    st.text(
        alphabet=st.one_of(
            st.characters(),
            st.sampled_from("梅州县区镇村路街道巷号大埔坪黄坑社区0123456789()-之一'\";%_\x00"),
        ),
        max_size=200,
    )
)
def test_any_text_gets_an_answer(text: str) -> None:
    answer = ask(text)
    assert all(0 <= candidate.score <= 1 for candidate in answer.candidates)
    for candidate in answer.candidates:
        for component in candidate.components:
            if component.span is not None:
                assert component.text == text[slice(*component.span)]
    suggest(INDEX, text, 5)


# The whole register of 2023, where it is at hand


@pytest.fixture(scope="module")
def register(shared_data: Path) -> dict[str, str]:
    rows: dict[str, str] = {}
    for name in ("areas", "streets", "villages"):
        with (shared_data / "meizhou-gazetteer" / f"{name}.csv").open(encoding="utf-8") as file:
            rows |= {row["code"]: row["name"] for row in csv.DictReader(file)}
    return rows


@pytest.fixture(scope="module")
def whole(register: dict[str, str]) -> GazetteerIndex:
    return names_index(register)


def test_every_village_of_the_register_is_found_by_its_full_name(
    whole: GazetteerIndex, register: dict[str, str]
) -> None:
    wrong = []
    for code, name in register.items():
        if len(code) == 12:
            text = f"广东省梅州市{register[code[:6]]}{register[code[:9]]}{name}"
            answer = ask(text, whole)
            if answer.ambiguous or codes(answer)[0] != code:
                wrong.append(text)
    assert wrong == []


def test_villages_named_like_a_town_elsewhere_are_right_with_their_county(
    whole: GazetteerIndex, register: dict[str, str]
) -> None:
    towns = defaultdict(set)
    for code, division in whole.divisions.items():
        if len(code) == 9:
            towns[key_of(division.name.rstrip("镇街道乡"))].add(code[:6])
    checked = 0
    for code, division in whole.divisions.items():
        stem = key_of(division.name.removesuffix("社区").removesuffix("村"))
        if len(code) == 12 and towns.get(stem, set()) - {code[:6]}:
            checked += 1
            answer = ask(f"{register[code[:6]]}{division.name}", whole)
            assert codes(answer)[0] == code or (answer.ambiguous and code in codes(answer))
    assert checked >= 40


def test_a_bare_village_name_is_right_or_open(whole: GazetteerIndex) -> None:
    for code, division in whole.divisions.items():
        if len(code) == 12:
            answer = ask(division.name, whole, limit=50)
            first = codes(answer)[0]
            # six committees of 蕉岭 bear their own town's name; then the town is meant
            assert answer.ambiguous or first == code or code.startswith(first)
