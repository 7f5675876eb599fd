"""An app made for AMap finds here the paths, parameters, shapes and habits that it knows."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import prcoords
import psycopg
import pyproj
import pytest

from tests.service.conftest import City

GEOD = pyproj.Geod(ellps="GRS80")
BASE = "/compat/amap"
_KEY = {"key": "0123456789abcdef", "sig": "5f", "platform": "JS", "s": "rsv3"}


def ask(client: httpx.Client, path: str, **parameters: Any) -> dict[str, Any]:
    answer = client.get(f"{BASE}{path}", params={**_KEY, **parameters})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    document: dict[str, Any] = answer.json()
    return document


def rows(city: City, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(city.dsn) as connection:
        return connection.execute(statement, values).fetchall()


def addresses(city: City, count: int) -> list[tuple[Any, ...]]:
    """Addresses that only one record bears: id, text, road, number, village code, lon, lat."""
    return rows(
        city,
        "SELECT min(id), full_address, min(road), min(number), min(village_code),"
        " min(ST_X(geom)), min(ST_Y(geom)) FROM layer.address"
        " WHERE road <> '' AND number <> '' AND coalesce(building, '') = ''"
        " GROUP BY full_address HAVING count(*) = 1 ORDER BY hashtext(full_address) LIMIT %s",
        count,
    )


def metres_off(location: str, lon: float, lat: float) -> float:
    """From a GCJ-02 location to a CGCS2000 truth, through an implementation that is not ours."""
    assert re.fullmatch(r"\d+\.\d+,\d+\.\d+", location)
    x, y = (float(number) for number in location.split(","))
    back = prcoords.gcj_wgs_bored((y, x))
    return float(GEOD.line_length([lon, back.lon], [lat, back.lat]))


def assert_no_number_and_no_empty_text(value: Any, where: str = "") -> None:
    """Every number is a string and every empty value [], all the way down."""
    if isinstance(value, dict):
        for name, inner in value.items():
            assert_no_number_and_no_empty_text(inner, f"{where}.{name}")
    elif isinstance(value, list):
        for inner in value:
            assert_no_number_and_no_empty_text(inner, where)
    else:
        assert isinstance(value, str), where
        assert value, where


def test_geocoding_gives_the_record_in_gcj02_within_a_centimetre(
    city: City, client: httpx.Client
) -> None:
    exact = 0
    for _, full, road, number, village, lon, lat in addresses(city, 25):
        answer = ask(client, "/v3/geocode/geo", address=full, output="JSON")
        assert (answer["status"], answer["info"], answer["infocode"]) == ("1", "OK", "10000")
        assert answer["count"] == str(len(answer["geocodes"]))
        assert_no_number_and_no_empty_text(answer)
        if answer["count"] != "1":
            assert {entry["ambiguous"] for entry in answer["geocodes"]} == {"1"}
            continue
        entry = answer["geocodes"][0]
        assert metres_off(entry["location"], lon, lat) < 0.01
        assert entry["level"] == "门牌号"
        assert (entry["province"], entry["city"], entry["citycode"]) == ("广东省", "梅州市", "0753")
        assert entry["adcode"] == village[:6]
        assert (entry["street"], entry["number"]) == (road, number)
        assert entry["building"] == {"name": [], "type": []}
        exact += 1
    assert exact >= 20


def test_a_batch_keeps_its_order_and_has_an_empty_entry_for_what_is_not_there(
    city: City, client: httpx.Client
) -> None:
    texts = [row[1] for row in addresses(city, 9)]
    asked = [*texts[:4], "北京市朝阳区阜通东大街6号", *texts[4:]]
    answer = ask(client, "/v3/geocode/geo", address="|".join(asked), batch="true")
    assert answer["count"] == "10"
    nothing = answer["geocodes"].pop(4)
    assert nothing["location"] == nothing["formatted_address"] == nothing["level"] == []
    for text, entry in zip(texts, answer["geocodes"], strict=True):
        assert entry["formatted_address"] == text
    alone = ask(client, "/v3/geocode/geo", address="|".join(asked))
    assert alone["geocodes"][0]["formatted_address"] == texts[0]
    too_many = ask(client, "/v3/geocode/geo", address="|".join(["a"] * 11), batch="true")
    assert (too_many["status"], too_many["infocode"]) == ("0", "20000")


@pytest.mark.parametrize("form", ["梅州", "梅州市", "meizhou", "0753", "441400"])
def test_the_city_may_be_written_as_amap_takes_it(
    city: City, client: httpx.Client, form: str
) -> None:
    _, full, *_ = addresses(city, 1)[0]
    assert ask(client, "/v3/geocode/geo", address=full, city=form)["count"] == "1"
    assert ask(client, "/v3/geocode/geo", address=full, city="110000")["count"] == "0"


def test_regeo_names_address_and_divisions(city: City, client: httpx.Client) -> None:
    for _, full, road, number, village, lon, lat in addresses(city, 15):
        gcj = prcoords.wgs_gcj((lat, lon))
        typed = f"{gcj.lon:.9f},{gcj.lat:.9f}"
        answer = ask(client, "/v3/geocode/regeo", location=typed, extensions="all")
        assert (answer["status"], answer["infocode"]) == ("1", "10000")
        found = answer["regeocode"]
        component = found["addressComponent"]
        assert re.fullmatch(r"\d{12}", component["towncode"])
        assert component["towncode"] == f"{village[:9]}000"
        assert component["adcode"] == village[:6]
        assert component["businessAreas"] == [[]]
        plate = component["streetNumber"]
        assert float(plate["distance"]) < 0.01
        assert metres_off(plate["location"], lon, lat) < 0.01
        if found["formatted_address"] == full:
            assert (plate["street"], plate["number"]) == (road, number)
        assert found["roadinters"] == found["aois"] == []
        assert {"roads", "pois"} <= set(found)
        assert_no_number_and_no_empty_text(answer)


def test_regeo_outside_the_city_is_empty_and_batches_are_a_list(client: httpx.Client) -> None:
    beijing = ask(client, "/v3/geocode/regeo", location="116.481488,39.990464")
    component = beijing["regeocode"]["addressComponent"]
    assert beijing["status"] == "1"
    assert beijing["regeocode"]["formatted_address"] == component["province"] == []
    assert component["streetNumber"] == {
        "street": [],
        "number": [],
        "direction": [],
        "distance": [],
    }
    both = ask(
        client,
        "/v3/geocode/regeo",
        location="116.12243233,24.285977|116.481488,39.990464",
        batch="true",
    )
    assert len(both["regeocodes"]) == 2
    assert both["regeocodes"][0]["addressComponent"]["city"] == "梅州市"


def test_tips_begin_with_what_was_typed_and_lead_to_it(city: City, client: httpx.Client) -> None:
    (name,) = rows(city, "SELECT name FROM layer.road WHERE name <> '' ORDER BY id LIMIT 1")[0]
    answer = ask(client, "/v3/assistant/inputtips", keywords=name[:-1], city="0753")
    assert answer["count"] == str(len(answer["tips"]))
    assert name in {tip["name"] for tip in answer["tips"]}
    assert_no_number_and_no_empty_text(answer)
    for tip in answer["tips"]:
        assert set(tip) == {"id", "name", "district", "adcode", "location", "address", "typecode",
                            "city"}  # fmt: skip
    elsewhere = ask(client, "/v3/assistant/inputtips", keywords=name, city="010", citylimit="true")
    assert elsewhere["tips"] == []


def test_places_by_words_and_by_type_page_through_the_layer(
    city: City, client: httpx.Client
) -> None:
    identity, name, category, lon, lat = rows(
        city,
        "SELECT id, name, category, ST_X(geom), ST_Y(geom) FROM layer.poi"
        " WHERE category = 'education' ORDER BY id LIMIT 1",
    )[0]
    answer = ask(client, "/v3/place/text", keywords=name, extensions="all")
    assert answer["suggestion"] == {"keywords": [], "cities": []}
    first = next(place for place in answer["pois"] if place["id"] == identity)
    assert metres_off(first["location"], lon, lat) < 0.01
    assert (first["typecode"], first["type"]) == ("140000", "科教文化服务")
    assert (first["cityname"], first["citycode"], first["pcode"]) == ("梅州市", "0753", "440000")
    assert_no_number_and_no_empty_text(answer)

    ((total,),) = rows(city, "SELECT count(*) FROM layer.poi WHERE category = %s", category)
    seen: list[str] = []
    for page in range(1, 4):
        answer = ask(client, "/v3/place/text", types="140000", city="梅州", offset=5, page=page)
        assert answer["count"] == str(total)
        seen += [place["id"] for place in answer["pois"]]
    assert len(seen) == len(set(seen)) == min(total, 15)


def test_an_address_typed_into_the_place_search_is_found_too(
    city: City, client: httpx.Client
) -> None:
    _, full, _, _, _, lon, lat = addresses(city, 1)[0]
    answer = ask(client, "/v3/place/text", keywords=full)
    assert metres_off(answer["pois"][0]["location"], lon, lat) < 0.01
    assert answer["pois"][0]["typecode"] == "190000"


def test_places_around_are_those_within_the_radius_nearest_first(
    city: City, client: httpx.Client
) -> None:
    lon, lat = rows(city, "SELECT ST_X(geom), ST_Y(geom) FROM layer.poi ORDER BY id LIMIT 1")[0]
    gcj = prcoords.wgs_gcj((lat, lon))
    answer = ask(
        client, "/v3/place/around", location=f"{gcj.lon:.9f},{gcj.lat:.9f}", radius=800, offset=25
    )
    measured = [
        (GEOD.line_length([lon, x], [lat, y]), identity)
        for identity, x, y in rows(city, "SELECT id, ST_X(geom), ST_Y(geom) FROM layer.poi")
    ]
    inside = sorted(entry for entry in measured if entry[0] <= 800)
    assert answer["count"] == str(len(inside))
    distances = [int(place["distance"]) for place in answer["pois"]]
    assert distances == sorted(distances)
    assert {p["id"] for p in answer["pois"]} == {identity for _, identity in inside[:25]}


def test_districts_are_a_tree_with_outlines_on_demand(city: City, client: httpx.Client) -> None:
    answer = ask(client, "/v3/config/district", keywords="梅州", subdistrict="2")
    (whole,) = answer["districts"]
    assert (whole["adcode"], whole["level"], whole["citycode"]) == ("441400", "city", "0753")
    counties = {part["adcode"]: part for part in whole["districts"]}
    assert len(counties) == 8
    meijiang = counties["441402"]
    assert (meijiang["name"], meijiang["level"]) == ("梅江区", "district")
    assert {town["level"] for town in meijiang["districts"]} == {"street"}
    outline = ask(
        client, "/v3/config/district", keywords="441402", subdistrict="0", extensions="all"
    )["districts"][0]["polyline"]
    corners = [corner.split(",") for ring in outline.split("|") for corner in ring.split(";")]
    x, y = (float(number) for number in corners[0])
    back = prcoords.gcj_wgs_bored((y, x))
    on_edge = rows(
        city,
        "SELECT ST_Distance(ST_Boundary(geom)::geography,"
        " ST_SetSRID(ST_MakePoint(%s, %s), 4490)::geography) FROM layer.division_county"
        " WHERE id = '441402'",
        back.lon,
        back.lat,
    )[0][0]
    assert on_edge < 0.05
    both = ask(client, "/v3/config/district", keywords="大坪镇", subdistrict="0")
    assert {part["adcode"] for part in both["districts"]} == {"441403", "441481"}


def test_convert_agrees_with_an_implementation_that_is_not_ours(client: httpx.Client) -> None:
    answer = ask(
        client,
        "/v3/assistant/coordinate/convert",
        locations="116.1176,24.2886|115.3165,23.8",
        coordsys="gps",
    )
    assert (answer["status"], answer["info"]) == ("1", "ok")
    for text, (lat, lon) in zip(
        answer["locations"].split(";"), [(24.2886, 116.1176), (23.8, 115.3165)], strict=True
    ):
        truth = prcoords.wgs_gcj((lat, lon))
        x, y = (float(number) for number in text.split(","))
        assert GEOD.line_length([x, truth.lon], [y, truth.lat]) < 0.01
    same = ask(client, "/v3/assistant/coordinate/convert", locations="116.5,24.5")
    assert [float(n) for n in same["locations"].split(",")] == [116.5, 24.5]


@pytest.mark.parametrize(
    ("path", "parameters", "infocode"),
    [
        ("/v3/geocode/geo", {}, "20001"),
        ("/v3/geocode/geo", {"address": ""}, "20000"),
        ("/v3/geocode/geo", {"address": "a" * 3000}, "20000"),
        ("/v3/geocode/geo", {"address": "嘉应路", "output": "XML"}, "20000"),
        ("/v3/geocode/geo", {"address": "嘉应路", "nonsense": "1"}, "20000"),
        ("/v3/geocode/regeo", {"location": "116,24,5"}, "20000"),
        ("/v3/geocode/regeo", {"location": "nan,nan"}, "20000"),
        ("/v3/geocode/regeo", {"location": "24.28,116.11"}, "20000"),
        ("/v3/place/text", {}, "20001"),
        ("/v3/place/around", {"location": "x"}, "20000"),
        ("/v3/assistant/coordinate/convert", {"locations": "1,2", "coordsys": "mapbar"}, "20000"),
    ],
)
def test_errors_are_a_200_with_status_0_and_a_code(
    client: httpx.Client, path: str, parameters: dict[str, str], infocode: str
) -> None:
    answer = ask(client, path, **parameters)
    assert (answer["status"], answer["infocode"]) == ("0", infocode)
    assert answer["info"].isupper()
    assert len(answer["detail"]) > 10


def test_a_key_that_is_wrong_in_the_header_is_refused_the_same_way(client: httpx.Client) -> None:
    answer = client.get(
        f"{BASE}/v3/config/district", headers={"X-API-Key": "gsp_wrong"}, params=_KEY
    )
    assert answer.status_code == 200
    assert answer.json()["infocode"] == "10001"


def test_jsonp_calls_only_a_function_that_is_a_name(client: httpx.Client) -> None:
    path = f"{BASE}/v3/config/district"
    named = client.get(path, params={"callback": "jsonp_991766_", "subdistrict": "0"})
    assert named.headers["content-type"].startswith("application/javascript")
    body = re.fullmatch(r"jsonp_991766_\((.*)\)", named.text, re.DOTALL)
    assert body is not None
    assert json.loads(body[1])["status"] == "1"
    refused = client.get(path, params={"callback": "jsonp_1", "page": "0"})
    assert refused.text.startswith('jsonp_1({"status":"0"')
    for evil in ("alert(1)//", "a;b", "<script>", "a\u2028b", "x" * 200, "a..b", ""):
        answer = client.get(path, params={"callback": evil})
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_village_is_no_district_of_amap(client: httpx.Client, city: City) -> None:
    """AMap's divisions end with streets: twelve digits of a village find nothing, and no error."""
    ((code,),) = rows(
        city,
        "SELECT id FROM layer.division_name WHERE length(id) = 12 AND id NOT LIKE '%%000'"
        " ORDER BY id LIMIT 1",
    )
    found = ask(client, "/v3/config/district", keywords=code)
    assert (found["status"], found["districts"]) == ("1", [])
