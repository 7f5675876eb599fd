"""/parse takes an address apart: components, where they stand in the text, and why."""

from __future__ import annotations

import httpx
import psycopg
import pytest

from tests.service.conftest import City


@pytest.fixture(scope="module")
def record(city: City) -> tuple[str, str, str, str]:
    """Text, road, number and village code of an address that was delivered."""
    with psycopg.connect(city.dsn) as connection:
        row = connection.execute(
            "SELECT full_address, road, number, village_code FROM layer.address"
            " WHERE road <> '' AND number ~ '^[0-9]+号$' AND coalesce(building, '') = ''"
            " ORDER BY hashtext(id) LIMIT 1"
        ).fetchone()
    assert row is not None
    return row


def test_components_carry_kind_status_and_their_place_in_the_text(
    client: httpx.Client, record: tuple[str, str, str, str]
) -> None:
    full, road, number, village = record
    typed = f"{full}3单元502室"
    answer = client.get("/parse", params={"q": typed}).json()
    assert answer["query"] == typed
    best = answer["readings"][0]
    kinds = {c["kind"]: c for c in best["components"]}
    assert (kinds["road"]["value"], kinds["unit"]["value"], kinds["room"]["value"]) == (
        road,
        "3",
        "502",
    )
    assert kinds["number"]["text"] == number
    assert village.startswith(best["division_code"])
    for component in best["components"]:
        if "span" in component:
            low, high = component["span"]
            assert typed[low:high] == component["text"]
    assert best["unread"] == []
    assert '"geometry"' not in client.get("/parse", params={"q": typed}).text


def test_upper_levels_that_are_left_out_are_completed(client: httpx.Client) -> None:
    answer = client.get("/parse", params={"q": "梅县区大坪镇"}).json()
    components = {c["kind"]: c for c in answer["readings"][0]["components"]}
    assert components["state" if "state" in components else "province"]["status"] == "completed"
    assert components["city"]["value"] == "梅州市"
    assert components["town"] | {"status": "original", "code": "441403104"} == components["town"]
    assert "span" not in components["city"]


def test_a_name_borne_twice_says_so_and_a_correction_gives_its_reason(
    client: httpx.Client,
) -> None:
    twice = client.get("/parse", params={"q": "大坪镇"}).json()["readings"][0]
    assert twice["division_code"] == ""
    town = next(c for c in twice["components"] if c["kind"] == "town")
    assert town["candidates"] == 2
    assert "several" in {reason["rule"] for reason in twice["explanation"]}
    wrong = client.get("/parse", params={"q": "大浦县湖寮镇"}).json()["readings"][0]
    county = next(c for c in wrong["components"] if c["kind"] == "county")
    assert (county["value"], county["status"], county["text"]) == ("大埔县", "corrected", "大浦县")
    assert any("大浦县" in reason["zh"] for reason in wrong["explanation"])


@pytest.mark.parametrize(
    "text", [" ", "😀😀", "\u0007", "'; DROP TABLE layer.road; --", "ՀՁ", "а" * 200]
)
def test_anything_is_answered(client: httpx.Client, text: str) -> None:
    answer = client.get("/parse", params={"q": text})
    assert answer.status_code == 200
    assert answer.json()["readings"]
