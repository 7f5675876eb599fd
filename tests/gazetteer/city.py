"""A small city for the tests: real division names and codes of Meizhou, synthetic everything else.

Names and codes are facts of the national statistics register (2023). Polygons, roads, house
numbers and points of interest are synthetic: squares and straight lines.
"""

from __future__ import annotations

import psycopg
import shapely

from gazetteer.index import GazetteerIndex
from gazetteer.levels import CODE_LENGTH
from gazetteer.names import official_name
from gazetteer.records import Place
from layers.access import SYSTEM
from layers.definition import load_definitions
from layers.edit import Change, Operation, write_changes
from layers.schema import apply

REGISTER = {
    "441402": "梅江区", "441403": "梅县区", "441422": "大埔县", "441423": "丰顺县",
    "441424": "五华县", "441426": "平远县", "441427": "蕉岭县", "441481": "兴宁市",
    "441402004": "江南街道", "441402006": "金山街道", "441402106": "西阳镇",
    "441403101": "城东镇", "441403104": "大坪镇", "441403108": "梅西镇", "441403111": "雁洋镇",
    "441403113": "丙村镇", "441403116": "松源镇", "441403132": "程江镇",
    "441422100": "湖寮镇", "441422102": "高陂镇", "441422107": "大麻镇", "441422114": "枫朗镇",
    "441423100": "汤坑镇", "441424100": "水寨镇", "441424101": "河东镇", "441424103": "转水镇",
    "441424113": "横陂镇", "441427104": "新铺镇", "441481107": "永和镇", "441481111": "新圩镇",
    "441481112": "水口镇", "441481125": "大坪镇",
    "441402004009": "梅江社区居委会", "441402006208": "黄坑村委会",
    "441402106001": "圩镇社区居委会", "441403101001": "圩镇社区居委会",
    "441403104001": "圩镇社区居委会", "441403104205": "大坪村委会",
    "441403108206": "礤下村委会", "441403111213": "长教村委会", "441403113207": "新圩村委会",
    "441403116202": "黄坑村委会", "441403132212": "扶贵村委会", "441422102214": "黄坑村委会",
    "441422102232": "五家輋村委会", "441422107221": "水口村委会", "441422114201": "大埔角村委会",
    "441422100202": "长教村委会", "441424101234": "黄坑村委会", "441424103203": "輋𣒍村委会",
    "441424113209": "江南村委会", "441427104216": "黄坑村委会", "441481111001": "新圩社区居委会",
    "441481112004": "水口社区居委会",
}  # fmt: skip

CITY_CODE, CITY_NAME = "4414", "梅州市"
WEST, SOUTH = 116.10, 24.28
COUNTY, OTHER_COUNTY = "441402", "441403"
TOWN, VILLAGE = "441402004", "441402004009"
ROAD, OTHER_ROAD, SAME_NAME = "嘉应中路", "剑英大道", "人民路"

LAYERS = (
    "division_name", "division_county", "division_town", "division_village", "road", "address",
    "poi",
)  # fmt: skip


def square(west: float, south: float, size: float) -> bytes:
    """A square MultiPolygon as WKB, CGCS2000 degrees."""
    box = shapely.box(west, south, west + size, south + size)
    return bytes(shapely.to_wkb(shapely.MultiPolygon([box])))


def line(*positions: tuple[float, float]) -> bytes:
    return bytes(shapely.to_wkb(shapely.MultiLineString([list(positions)])))


def point(lon: float, lat: float) -> bytes:
    return bytes(shapely.to_wkb(shapely.Point(lon, lat)))


def register_places(rows: dict[str, str]) -> list[Place]:
    """Divisions without positions, as the register gives them."""
    return [
        Place(
            CODE_LENGTH[len(code)],
            official_name(name, CODE_LENGTH[len(code)]),
            code,
            None,
            None,
            None,
            "division_name",
            code,
        )
        for code, name in rows.items()
    ]


def names_index(rows: dict[str, str], further: tuple[Place, ...] = ()) -> GazetteerIndex:
    places = [*register_places(rows), *further]
    return GazetteerIndex.build(places, city_code=CITY_CODE, city_name=CITY_NAME)


def plate(number: int) -> tuple[float, float]:
    """Where a number of ROAD stands: 10 m apart eastwards, odd ones on the north side."""
    return WEST + 0.002 + number * 0.0001, SOUTH + 0.0051 + (0.0001 if number % 2 else -0.0001)


def address(identity: str, lon: float, lat: float, **fields: str | None) -> Change:
    row = {
        "county": "梅江区",
        "town": "江南街道",
        "village": "梅江社区",
        "village_code": VILLAGE,
        **fields,
    }
    parts = ("county", "town", "road", "estate", "number", "building")
    full = "广东省梅州市" + "".join(row.get(part) or "" for part in parts)
    return Change(Operation.INSERT, identity, {"full_address": full, **row}, point(lon, lat))


def load(dsn: str) -> None:
    """Apply the gazetteer's layers in a migrated database and write the small city."""
    definitions = load_definitions()
    with psycopg.connect(dsn, autocommit=True) as connection:
        apply(connection, [definitions[name] for name in LAYERS])
        for name, changes in _changes().items():
            write_changes(connection, definitions[name], changes, principal=SYSTEM)


def write(dsn: str, layer: str, *changes: Change) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        write_changes(connection, load_definitions()[layer], list(changes), principal=SYSTEM)


def _changes() -> dict[str, list[Change]]:
    insert = Operation.INSERT
    levels = {6: "county", 9: "town", 12: "village"}
    register = [
        Change(insert, code, {"name": name, "level": levels[len(code)], "parent_code": None})
        for code, name in REGISTER.items()
    ]
    addresses = [
        address(f"A{n}", *plate(n), road=ROAD, number=f"{n}号")
        for n in (1, 3, 5, 9, 2, 4, 8, 12, 15)
    ]
    addresses += [
        address("A12-1", *plate(13), road=ROAD, number="12号之一"),
        address("AL15", WEST + 0.004, SOUTH + 0.008, road=ROAD, number="临15号"),
        address("AZ", WEST + 0.007, SOUTH + 0.002, road=OTHER_ROAD, number="自编12号之三"),
        address("AE1", WEST + 0.006, SOUTH + 0.007, estate="恒发苑", building="D1栋"),
        address("AE2", WEST + 0.0065, SOUTH + 0.007, estate="恒发苑", building="2栋"),
        address("R1", WEST + 0.001, SOUTH + 0.001, road=SAME_NAME, number="8号"),
        address(
            "R2",
            WEST + 0.021,
            SOUTH + 0.001,
            road=SAME_NAME,
            number="8号",
            county="梅县区",
            town="程江镇",
            village="扶贵村",
            village_code="441403132212",
        ),
        address(
            "V1",
            WEST + 0.0255,
            SOUTH + 0.008,
            number="7号",
            county="梅县区",
            town="程江镇",
            village="扶贵村",
            village_code="441403132212",
        ),
    ]
    east = WEST + 0.02
    return {
        "division_name": register,
        "division_county": [
            Change(insert, COUNTY, {"name": "梅江区"}, square(WEST, SOUTH, 0.02)),
            Change(insert, OTHER_COUNTY, {"name": "梅县区"}, square(east, SOUTH, 0.02)),
        ],
        "division_town": [
            Change(insert, TOWN, {"name": "江南街道"}, square(WEST, SOUTH, 0.01)),
            Change(insert, "441403132", {"name": "程江镇"}, square(east, SOUTH, 0.01)),
        ],
        "division_village": [
            Change(insert, VILLAGE, {"name": "梅江社区居委会"}, square(WEST, SOUTH, 0.01)),
            Change(insert, "441403132212", {"name": "扶贵村委会"}, square(east, SOUTH, 0.01)),
        ],
        "road": [
            Change(
                insert,
                "L1",
                {"name": ROAD, "road_class": "main"},
                line((WEST + 0.001, SOUTH + 0.0051), (WEST + 0.009, SOUTH + 0.0051)),
            ),
            Change(
                insert,
                "L2",
                {"name": OTHER_ROAD, "road_class": "main"},
                line((WEST + 0.0072, SOUTH + 0.001), (WEST + 0.0072, SOUTH + 0.009)),
            ),
        ],
        "address": addresses,
        "poi": [
            Change(
                insert,
                "P1",
                {"name": "市人民医院", "category": "hospital", "village_code": VILLAGE},
                point(WEST + 0.003, SOUTH + 0.006),
            ),
            Change(
                insert,
                "P2",
                {"name": "梅州市第一小学", "category": "school", "village_code": None},
                point(WEST + 0.008, SOUTH + 0.008),
            ),
        ],
    }
