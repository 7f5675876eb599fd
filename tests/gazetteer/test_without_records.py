"""Round houses, lamp posts, kilometre posts, buildings: found by record, else told honestly.

Without a record the answer is the nearest parent with its radius; the part that no record bears
says so, the explanation too, and the score stays below what a client takes unseen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from geoserver_py.app import create_application
from geoserver_py.settings import Settings
from layers.edit import Change, Operation
from tests.conftest import MakeDatabase
from tests.gazetteer import city

SURE = 0.85
POSTS = {"K2": 0.002, "K3": 0.0118}


@pytest.fixture(scope="module")
def recorded(make_database: MakeDatabase) -> Iterator[TestClient]:
    """The small city with a lamp post, kilometre posts, and two round houses on record."""
    dsn = make_database("recorded")
    city.load(dsn)
    city.write(
        dsn, "address",
        city.address("LD", city.WEST + 0.0034, city.SOUTH + 0.0052, road=city.ROAD,
                     number="路灯杆LD-0012"),
        city.address("OLD8", city.WEST + 0.0042, city.SOUTH + 0.0052, road=city.ROAD,
                     number="旧8号"),
        *(
            city.address(post, city.WEST + east, city.SOUTH + 0.0005, road="G206线", number=post)
            for post, east in POSTS.items()
        ),
    )  # fmt: skip
    houses = {"德馨堂": 0.0262, "棣华居围龙屋": 0.0268}
    city.write(
        dsn,
        "poi",
        *(
            Change(
                Operation.INSERT,
                name,
                {"name": name, "category": "heritage", "village_code": "441403132212"},
                city.point(city.WEST + east, city.SOUTH + 0.006),
            )
            for name, east in houses.items()
        ),
    )
    settings = Settings(database_url=dsn)
    with TestClient(create_application(settings), raise_server_exceptions=False) as opened:
        yield opened


def _first(client: TestClient, text: str) -> dict[str, Any]:
    features = client.get("/geocode", params={"q": text}).json()["features"]
    assert features, text
    found: dict[str, Any] = features[0]["properties"]["geocoding"]
    return found


def _status(found: dict[str, Any], kind: str) -> str:
    return str(next(c["status"] for c in found["components"] if c["kind"] == kind))


@pytest.mark.parametrize(
    ("text", "level", "name", "missing", "rule"),
    [
        ("恒发苑99栋", "住宅区", "恒发苑", "building", "building-missing"),
        ("梅江区恒发苑9栋2单元301", "住宅区", "恒发苑", "building", "building-missing"),
        ("恒发苑12号", "住宅区", "恒发苑", "number", "number-missing"),
        ("扶贵村德馨堂围龙屋", "村庄", "扶贵村", "estate", "unknown-name"),
        ("程江镇扶贵村棣华居", "村庄", "扶贵村", "estate", "unknown-name"),
        ("嘉应中路路灯杆LD-0012", "道路", "嘉应中路", "number", "number-missing"),
        ("嘉应中路12号灯杆", "道路", "嘉应中路", "number", "number-missing"),
        ("嘉应中路K2+600", "道路", "嘉应中路", "number", "number-missing"),
        ("嘉应中路自编8号", "道路", "嘉应中路", "number", "number-missing"),
        ("嘉应中路旧门牌8号", "道路", "嘉应中路", "number", "number-missing"),
        ("嘉应中路临8号", "道路", "嘉应中路", "number", "number-missing"),
        ("扶贵村12组99号", "村庄", "扶贵村", "number", "number-missing"),
    ],
)
def test_without_a_record_the_parent_answers_and_says_so(
    client: TestClient, text: str, level: str, name: str, missing: str, rule: str
) -> None:
    found = _first(client, text)
    assert (found["level"], found["name"]) == (level, name)
    assert found["error_m"] > 0
    assert found["score"] < SURE
    assert _status(found, missing) == "unmatched"
    reason = next(r for r in found["explanation"] if r["rule"] == rule)
    assert reason["delta"] < 0
    assert reason["zh"]


@pytest.mark.parametrize("text", ["桂园小区12栋", "棣华居围龙屋"])
def test_a_name_that_is_nowhere_is_told_to_be_unknown(client: TestClient, text: str) -> None:
    document = client.get("/geocode", params={"q": text}).json()
    assert document["features"] == []
    said = document["geocoding"]["explanation"]
    assert [reason["rule"] for reason in said] == ["nothing", "unknown-name"]
    assert "不在地名库中" in said[1]["zh"]


def test_a_post_of_a_road_that_is_not_on_record_is_no_place(client: TestClient) -> None:
    document = client.get("/geocode", params={"q": "G206线K2345+600"}).json()
    assert document["features"] == []
    assert document["geocoding"]["explanation"]


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("扶贵村德馨堂围龙屋", "德馨堂"),
        ("程江镇扶贵村德馨堂", "德馨堂"),
        ("德馨堂", "德馨堂"),
        ("程江镇扶贵村棣华居围龙屋", "棣华居围龙屋"),
        ("嘉应中路路灯杆LD-0012", "LD"),
        ("嘉应中路路灯杆编号LD-0012旁边", "LD"),
        ("嘉应中路旧门牌8号", "OLD8"),
        ("嘉应中路临15号", "AL15"),
        ("剑英大道自编12号之三", "AZ"),
        ("嘉应中路8号（旧门牌15号）", "A8"),
        ("嘉应中路旧门牌15号新门牌8号", "A8"),
        ("G206国道K3", "K3"),
    ],
)
def test_with_a_record_it_is_found(recorded: TestClient, text: str, record: str) -> None:
    found = _first(recorded, text)
    assert found["record"]["id"] == record
    assert found["score"] >= SURE
    assert found["error_m"] <= 70


def test_between_two_posts_on_record(recorded: TestClient) -> None:
    """K2+600 is six tenths of the way from K2 to K3."""
    answer = recorded.get("/geocode", params={"q": "梅江区G206线K2+600"}).json()["features"][0]
    lon, lat = answer["geometry"]["coordinates"]
    wanted = city.WEST + POSTS["K2"] + 0.6 * (POSTS["K3"] - POSTS["K2"])
    assert (lon, lat) == pytest.approx((wanted, city.SOUTH + 0.0005), abs=1e-6)
    found = answer["properties"]["geocoding"]
    assert [r["rule"] for r in found["explanation"]] == ["interpolated"]
