"""Numbers, crossings, Latin addresses and stories as people write them; positions along a road."""

from __future__ import annotations

import pytest
import shapely

from gazetteer.along import RoadLine
from gazetteer.answers import AddressRows, Answer, Asked, Crossing, Hints
from gazetteer.index import GazetteerIndex
from gazetteer.levels import Kind, Level, Status
from gazetteer.locate import How, distance_m, locate
from gazetteer.lookalikes import look_alike
from gazetteer.match import resolve
from gazetteer.names import blurred_key
from gazetteer.numbers import HouseNumber, house_number
from gazetteer.parse import parse
from gazetteer.records import AddressPoint, Place
from tests.gazetteer.city import REGISTER, names_index

ROADS = tuple(
    Place(Kind.ROAD, name, "441402", 116.12, 24.30, 1500.0, "road", f"L{n}", n)
    for n, name in enumerate(("嘉应中路", "彬芳大道", "206国道"))
)
HOUSES = (
    Place(Kind.ESTATE, "恒发苑", "441402004009", 116.12, 24.3, 40.0, "address", "E1", 1),
    Place(Kind.POI, "德馨堂", "441403132212", 116.08, 24.26, 10.0, "poi", "P1", 1),
)
SPOT = (116.121, 24.301)


def plate(fid: int, text: str, lon: float, lat: float = 24.3, **fields: str) -> AddressPoint:
    return AddressPoint(
        fid=fid, id=f"A{fid}", full_address=f"嘉应中路{text}", code="441402004009", county="",
        town="", village="", road="嘉应中路", number=house_number(text), number_text=text,
        estate=fields.get("estate", ""), building=fields.get("building", ""), unit="", lon=lon,
        lat=lat,
    )  # fmt: skip


PLATES = [
    plate(12, "12号", 116.1200),
    plate(41, "41号", 116.1210),
    plate(42, "41号之一", 116.1211),
    plate(43, "自编41号", 116.1240),
    plate(44, "41号灯杆", 116.1250),
]
TOWERS = [plate(3, "", 116.13, estate="恒发苑", building="3栋")]


@pytest.fixture(scope="module")
def index() -> GazetteerIndex:
    return names_index(REGISTER, (*ROADS, *HOUSES))


def ask(index: GazetteerIndex, text: str) -> Answer:
    by_main = {
        Asked(Kind.ROAD, "嘉应中路", "441402", main): [p for p in PLATES if p.number and
                                                     p.number.main == main]
        for main in (12, 41)
    }  # fmt: skip
    rows = {**by_main, Asked(Kind.ESTATE, "恒发苑", "441402", 3): TOWERS}
    crossings = {
        Crossing(*pair): [SPOT] for pair in (("嘉应中路", "彬芳大道"), ("彬芳大道", "嘉应中路"))
    }
    return resolve(index, parse(index, text), AddressRows(rows, crossings), Hints())


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("壹拾贰号", HouseNumber(12)),
        ("廿一号", HouseNumber(21)),
        ("第12号", HouseNumber(12)),
        ("门牌号12", HouseNumber(12)),
        ("№12号", HouseNumber(12)),
        ("12hao", HouseNumber(12)),
        ("9之1号", HouseNumber(9, "1")),
        ("9之一号", HouseNumber(9, "1")),
        ("9号(之一)", HouseNumber(9, "1")),
        ("9号-1", HouseNumber(9, "1")),
        ("12号甲", HouseNumber(12, "甲")),
        ("12号副2号", HouseNumber(12, "附2")),
        ("自编门牌12号", HouseNumber(12, "", "自编")),
        ("（自编）12号", HouseNumber(12, "", "自编")),
        ("12号（自编）", HouseNumber(12, "", "自编")),
        ("自编A12号", HouseNumber(12, "", "自编A")),
        ("自编12", HouseNumber(12, "", "自编")),
        ("临编12号", HouseNumber(12, "", "临")),
        ("旧12号", HouseNumber(12, "", "旧")),
        ("12号灯杆", HouseNumber(12, "", "灯杆")),
        ("路灯杆LD-0012", HouseNumber(12, "LD", "灯杆")),
        ("12号井盖", HouseNumber(12, "", "井盖")),
        ("K2345+600", HouseNumber(2345, "600", "K")),
        ("桩号K2345+600", HouseNumber(2345, "600", "K")),
    ],
)
def test_a_number_is_one_number_however_it_is_written(typed: str, number: HouseNumber) -> None:
    assert house_number(typed) == number


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("嘉应中路肆拾壹号", "A41"),
        ("嘉应中路41hao", "A41"),
        ("嘉应中路41之一号", "A42"),
        ("嘉应中路41号(之一)三楼", "A42"),
        ("嘉应中路41号-302", "A41"),
        ("嘉应中路41号A座302室", "A41"),
        ("嘉应中路41号楼上", "A41"),
        ("嘉应中路自编41号", "A43"),
        ("嘉应中路41号（自编）", "A43"),
        ("嘉应中路41号灯杆", "A44"),
        ("嘉应中路第41号路灯杆旁", "A44"),
        ("jia ying zhong lu 41 hao", "A41"),
        ("No. 41, Jiaying Zhong Road, Meijiang District, Meizhou", "A41"),
        ("41 Jiaying Middle Road, Meijiang, Meizhou City", "A41"),
        ("JIĀYÌNG ZHŌNGLÙ 41", "A41"),
        ("梅江区jiaying zhonglu 41号", "A41"),
        ("恒发苑3-2-502", "A3"),
        ("恒发苑3#顶楼", "A3"),
        ("恒发苑三号楼2-502", "A3"),
        ("广东省梅州市大埔县(实际地址：梅江区嘉应中路41号)", "A41"),
        ("梅江区金山街道嘉应中路41号", "A41"),
        (
            "诉求人表示，嘉应中路41号附近的城中村脏乱，要求街道办和社区居委会派人，希望市政部门修复",
            "A41",
        ),
    ],
)
def test_the_same_door_in_other_words(index: GazetteerIndex, text: str, record: str) -> None:
    answer = ask(index, text)
    assert answer.candidates[0].record[1] == record
    assert not answer.ambiguous


@pytest.mark.parametrize(
    "text",
    [
        "嘉应中路12号井盖",
        "嘉应中路旧12号",
        "嘉应中路甲12号",
        "嘉应中路摊位12号",
        "嘉应中路12#灯杆",
        "嘉应中路增12号",
    ],
)
def test_what_bears_a_number_of_its_own_is_not_the_door_of_that_number(
    index: GazetteerIndex, text: str
) -> None:
    first = ask(index, text).candidates[0]
    assert (first.level, first.name) == (Level.ROAD, "嘉应中路")
    assert first.score < CONFIDENT


CONFIDENT = 0.9


@pytest.mark.parametrize(
    "text",
    [
        "程江镇扶贵村路灯坏了，已向程江镇反映",
        "梅县区程江镇扶贵村往程江镇方向",
        "扶贵村停水，请程江镇处理，梅县区",
    ],
)
def test_a_town_named_once_more_behind_its_village_does_not_stand_for_it(
    index: GazetteerIndex, text: str
) -> None:
    assert ask(index, text).candidates[0].code == "441403132212"


def test_a_plate_of_another_town_is_found_and_says_so(index: GazetteerIndex) -> None:
    first = ask(index, "梅江区金山街道嘉应中路41号").candidates[0]
    assert any(reason.rule == "other-division" for reason in first.reasons)
    assert first.score <= 0.75


@pytest.mark.parametrize(
    "words",
    [
        "{}跟{}拐角",
        "{}/{}",
        "{}×{}",
        "{}({}路口)",
        "{}交{}",
        "{}近{}",
        "{}、{}丁字路口",
        "{}同{}相交处",
        "{}口{}",
    ],
)
def test_two_roads_cross_by_any_word(index: GazetteerIndex, words: str) -> None:
    first = ask(index, words.format("彬芳大道", "嘉应中路")).candidates[0]
    assert (first.level, first.lon, first.lat) == (Level.CROSSING, *SPOT)


def test_a_crossing_lies_in_the_division_that_holds_it() -> None:
    divided = GazetteerIndex.build(
        [*names_index(REGISTER).divisions.values(), *ROADS],
        city_code="4414",
        city_name="梅州市",
        locator=lambda positions: ["441403132"] * len(positions),
    )
    first = ask(divided, "彬芳大道与嘉应中路交叉口").candidates[0]
    assert first.code == "441403132"
    assert first.label.startswith("广东省梅州市梅县区程江镇")


def test_the_corner_of_a_crossing_is_nearer_than_a_side_of_a_street(index: GazetteerIndex) -> None:
    first = ask(index, "彬芳大道与嘉应中路交叉口东北角").candidates[0]
    assert first.lon is not None
    assert first.lat is not None
    assert distance_m(*SPOT, first.lon, first.lat) == pytest.approx(20, abs=0.5)
    assert first.error_m == 70


def test_a_side_of_a_floor_moves_nothing(index: GazetteerIndex) -> None:
    first = ask(index, "嘉应中路41号二楼西侧").candidates[0]
    assert first.lon == 116.1210


@pytest.mark.parametrize(
    ("text", "metres"),
    [
        ("嘉应中路41号往东一百米", 100),
        ("嘉应中路41号以东约1公里", 1000),
        ("嘉应中路41号正东80米", 80),
    ],
)
def test_distances_in_words_and_kilometres(index: GazetteerIndex, text: str, metres: float) -> None:
    first = ask(index, text).candidates[0]
    assert first.lon is not None
    assert first.lat is not None
    assert distance_m(116.1210, 24.3, first.lon, first.lat) == pytest.approx(metres, rel=0.01)


@pytest.mark.parametrize("text", ["扶贵村德馨堂围龙屋", "程江镇扶贵村围龙屋德馨堂", "德馨堂"])
def test_a_round_house_is_found_by_its_name(index: GazetteerIndex, text: str) -> None:
    assert ask(index, text).candidates[0].record[:2] == ("poi", "P1")


def test_the_name_of_a_round_house_without_record_is_a_component_of_its_own(
    index: GazetteerIndex,
) -> None:
    first = ask(index, "梅县区程江镇扶贵村继善楼围龙屋").candidates[0]
    assert first.code == "441403132212"
    house = next(c for c in first.components if c.kind is Kind.ESTATE)
    assert (house.value, house.status) == ("继善楼", Status.UNMATCHED)


LINE = RoadLine(
    shapely.to_wkb(shapely.LineString([(116.120, 24.300), (116.125, 24.300), (116.125, 24.306)]))
)
"""A road that turns north by a right angle."""


def along(number: int, *plates: AddressPoint) -> tuple[float, float, float, How]:
    (found,) = locate(plates, HouseNumber(number), 5.0, LINE)
    return found.lon, found.lat, found.error_m, found.how


def test_a_missing_number_lies_along_the_bend_of_its_road_and_on_its_side() -> None:
    # odd plates 11 m to the left (north-west): 1 before the corner, 5 behind it
    before, behind = plate(1, "1号", 116.1230, 24.3001), plate(5, "5号", 116.1249, 24.3020)
    lon, lat, error, how = along(3, before, behind)
    assert how is How.INTERPOLATED
    foot = shapely.LineString([(116.120, 24.300), (116.125, 24.300), (116.125, 24.306)])
    assert foot.distance(shapely.Point(lon, lat)) == pytest.approx(0.0001, rel=0.12)
    assert lon < 116.125
    assert lat > 24.3
    assert lon > 116.1238  # a straight line would cut the corner at 116.12395, 24.30105
    straight = ((before.lon + behind.lon) / 2, (before.lat + behind.lat) / 2)
    assert distance_m(lon, lat, *straight) > 60
    assert error > distance_m(lon, lat, before.lon, before.lat) * 0.9


def test_a_number_before_the_first_follows_the_rhythm_of_its_side() -> None:
    plates = [plate(n, f"{n}号", 116.1205 + n * 0.0001, 24.2999) for n in (4, 6, 8, 10)]
    lon, lat, error, how = along(2, *plates)
    assert how is How.EXTRAPOLATED
    assert distance_m(lon, lat, 116.1207, 24.2999) < 2
    assert error < 60


@pytest.mark.parametrize("pair", ["坑炕", "西酉", "村材", "陂坡", "大太"])
def test_characters_that_look_alike(pair: str) -> None:
    assert look_alike(*pair)
    assert not look_alike(pair[0], "龙")


def test_sounds_that_southern_speakers_do_not_keep_apart() -> None:
    assert blurred_key("张兴村") == blurred_key("臧新村")
    assert blurred_key("南村") == blurred_key("兰村")
    assert blurred_key("张兴村") != blurred_key("大兴村")
