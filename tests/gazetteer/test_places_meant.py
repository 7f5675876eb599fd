"""Crossings, ways to go, kilometre posts, former names and reports: what people really write."""

from __future__ import annotations

import pytest

from gazetteer.answers import AddressRows, Answer, Asked, Crossing, Hints
from gazetteer.index import GazetteerIndex
from gazetteer.levels import Kind, Level
from gazetteer.locate import distance_m
from gazetteer.match import resolve, wanted
from gazetteer.numbers import house_number
from gazetteer.parse import parse
from gazetteer.records import AddressPoint, Place
from tests.gazetteer.city import REGISTER, names_index

ROADS = tuple(
    Place(Kind.ROAD, name, "441402", 116.12, 24.30, 1500.0, "road", f"L{n}", n)
    for n, name in enumerate(("江南客都大道", "梅水路", "彬芳大道", "嘉应中路", "206国道"))
)
POIS = (
    Place(Kind.POI, "市人民医院", "441402004009", 116.123, 24.286, 10.0, "poi", "P1", 1),
    Place(Kind.POI, "人民广场", "441403132", 116.08, 24.26, 10.0, "poi", "P2", 2),
)
SPOT = (116.121, 24.301)
CROSSINGS = {
    Crossing("江南客都大道", "梅水路"): [SPOT],
    Crossing("彬芳大道", "嘉应中路"): [SPOT],
}


@pytest.fixture(scope="module")
def index() -> GazetteerIndex:
    return names_index(REGISTER, (*ROADS, *POIS))


def ask(index: GazetteerIndex, text: str) -> Answer:
    return resolve(index, parse(index, text), AddressRows({}, CROSSINGS), Hints())


@pytest.mark.parametrize(
    "text", ["江南客都大道与梅水路交叉口", "梅江区彬芳大道嘉应中路路口", "彬芳大道和嘉应中路交汇处"]
)
def test_two_roads_mean_where_they_cross(index: GazetteerIndex, text: str) -> None:
    first = ask(index, text).candidates[0]
    assert first.level is Level.CROSSING
    assert (first.lon, first.lat) == SPOT
    assert first.error_m == 30


def test_a_way_to_go_moves_the_answer_and_widens_its_error(index: GazetteerIndex) -> None:
    first = ask(index, "江南客都大道与梅水路交叉口往东约200米").candidates[0]
    assert first.lon is not None
    assert first.lat is not None
    assert distance_m(*SPOT, first.lon, first.lat) == pytest.approx(200, abs=1)
    assert first.lon > SPOT[0]
    assert first.lat == pytest.approx(SPOT[1], abs=1e-6)
    assert first.error_m == 110


@pytest.mark.parametrize(
    ("text", "metres", "east", "north"),
    [("市人民医院东北侧50米", 50, 1, 1), ("市人民医院以南100米", 100, 0, -1)],
)
def test_directions(index: GazetteerIndex, text: str, metres: float, east: int, north: int) -> None:
    first = ask(index, text).candidates[0]
    assert first.lon is not None
    assert first.lat is not None
    assert distance_m(116.123, 24.286, first.lon, first.lat) == pytest.approx(metres, abs=1)
    assert round((first.lon - 116.123) * 1e4) * east >= 0
    assert (first.lat - 24.286) * north > 0


def test_opposite_is_not_at_it_but_near(index: GazetteerIndex) -> None:
    first = ask(index, "市人民医院对面").candidates[0]
    assert (first.lon, first.error_m) == (116.123, 70)


def test_a_report_is_cut_to_its_place(index: GazetteerIndex) -> None:
    first = ask(index, "群众反映在新县城人民广场附近有人乱倒垃圾,臭味大,请处理").candidates[0]
    assert first.name == "人民广场"
    prose = next(reason for reason in first.reasons if reason.rule == "prose")
    assert "乱倒垃圾" in prose.zh
    assert "臭味大" in prose.zh
    assert first.score > 0.75


@pytest.mark.parametrize("text", ["G206线K2345+600", "国道206K2345+600右侧", "206国道k2345+600"])
def test_a_numbered_road_has_one_record_however_it_is_written(
    index: GazetteerIndex, text: str
) -> None:
    parsed = parse(index, text)
    assert Asked(Kind.ROAD, "206国道", "441402", 2345) in wanted(parsed)
    first = ask(index, text).candidates[0]
    assert first.record[:2] == ("road", "L4")


def test_between_kilometre_posts(index: GazetteerIndex) -> None:
    def post(fid: int, number: str, lon: float) -> AddressPoint:
        return AddressPoint(
            fid, f"K{fid}", f"206国道{number}", "441402", "", "", "", "206国道",
            house_number(number), number, "", "", "", lon, 24.3,
        )  # fmt: skip

    key = Asked(Kind.ROAD, "206国道", "441402", 2345)
    rows = AddressRows({key: [post(1, "K2345", 116.10), post(2, "K2346", 116.11)]})
    first = resolve(index, parse(index, "G206线K2345+600"), rows, Hints()).candidates[0]
    assert first.lon == pytest.approx(116.106)


def test_the_former_plate_is_a_remark(index: GazetteerIndex) -> None:
    edges = parse(index, "嘉应中路(旧门牌8号)新门牌26号").readings[0]
    number = edges.edge(Kind.NUMBER)
    assert number is not None
    assert number.value == "26号"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("嘉应州", {"4414"}),
        ("嘉应州城", {"441402"}),
        ("兴宁县永和镇", {"441481107"}),
        ("镇平县", {"441427"}),
        ("梅县新县城", {"441403"}),
        ("梅县市", {"441402", "441403"}),
    ],
)
def test_a_former_name_leads_to_todays_code_and_says_why(
    index: GazetteerIndex, text: str, codes: set[str]
) -> None:
    answer = ask(index, text)
    best = [c for c in answer.candidates if c.score == answer.candidates[0].score]
    assert {c.code for c in best} == codes
    assert answer.ambiguous == (len(codes) > 1)
    assert any(r.rule in ("former-name", "alias") for r in best[0].reasons)


@pytest.mark.parametrize("text", ["宝安区西乡街道", "广东省深圳市宝安区", "岳麓区麓山南路2号"])
def test_a_county_of_another_city_is_elsewhere(index: GazetteerIndex, text: str) -> None:
    answer = ask(index, text)
    assert answer.candidates == ()
    assert answer.reasons[0].rule == "outside"


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("程江镇扶桂村", "441403132212"),
        ("程江镇贵扶村", "441403132212"),
        ("程江镇扶大贵村", "441403132212"),
        ("雁洋镇长交村", "441403111213"),
        ("大埔县枫朗镇大角村", "441422114201"),
    ],
)
def test_a_misspelled_village_of_a_named_town_is_found(
    index: GazetteerIndex, typed: str, code: str
) -> None:
    first = ask(index, typed).candidates[0]
    assert first.code == code
    assert first.score < 0.95


@pytest.mark.parametrize("text", ["扶桂村", "贵扶村", "长交村", "皇坑村"])
def test_a_correction_that_nothing_confirms_is_never_sure(index: GazetteerIndex, text: str) -> None:
    assert all(candidate.score <= 0.8 for candidate in ask(index, text).candidates)


@pytest.fixture(scope="module")
def villages() -> GazetteerIndex:
    more = {
        "441402106216": "江子上村委会", "441403106": "南口镇", "441403106003": "荷泗圩镇社区居委会",
        "441403114": "隆文镇", "441403114203": "江上村委会", "441423100204": "大山背村委会",
    }  # fmt: skip
    return names_index({**REGISTER, **more})


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("梅州市大或背村", "441423100204"),
        ("梅州市大山加村", "441423100204"),
        ("广东省梅州市江子农村", "441402106216"),
        # its tail is the name of three other villages
        ("梅州市荷现圩镇社区", "441403106003"),
    ],
)
def test_a_misspelled_village_comes_before_the_city_it_lies_in_and_is_not_sure(
    villages: GazetteerIndex, typed: str, code: str
) -> None:
    answer = ask(villages, typed)
    first, *others = answer.candidates
    assert first.code == code
    assert not answer.ambiguous
    assert first.score <= 0.7
    assert all(other.score < first.score for other in others)


def test_one_of_several_villages_alike_is_never_chosen_for_the_city(
    villages: GazetteerIndex,
) -> None:
    answer = ask(villages, "梅州市皇坑村")
    assert answer.ambiguous
    assert answer.candidates[0].level is Level.VILLAGE
    assert answer.candidates[0].score <= 0.6


def test_a_village_of_another_town_is_misspelled_where_the_town_has_one_nearly_so_named(
    villages: GazetteerIndex,
) -> None:
    first = ask(villages, "梅江区西阳镇江上村").candidates[0]
    assert first.code == "441402106216"
    assert first.score < 0.8  # it may be the town that is wrong
    assert any(reason.rule == "named-elsewhere" for reason in first.reasons)
    assert ask(villages, "梅县区隆文镇江上村").candidates[0].code == "441403114203"
    assert ask(villages, "江上村").candidates[0].code == "441403114203"


@pytest.mark.parametrize(
    "text",
    [
        "梅江区江南街道嘉应中路{}号",
        "梅江区嘉应中路{}号3栋2单元{}房",
        "嘉应中路{}号之三",
        "嘉应中路{}",
    ],
)
def test_digits_never_change_how_a_text_is_read(index: GazetteerIndex, text: str) -> None:
    read = [
        [(e.kind, e.form) for e in parse(index, text.format(n, n)).readings[0].edges]
        for n in (12, 345, 98, 2001)
    ]
    assert all(one == read[0] for one in read)
    number = parse(index, text.format(345, 502)).readings[0].edge(Kind.NUMBER)
    assert number is not None
    assert number.number is not None
    assert number.number.main == 345
