"""The judge lets nothing pass: another number, a far point, a claim beyond the words are caught."""

from __future__ import annotations

from typing import Any

import pyproj
import pytest

from tests.eval.judge import judge
from tests.eval.truth import Base, Truth

_TO_DEGREES = pyproj.Transformer.from_crs("EPSG:4548", "EPSG:4490", always_xy=True)
HOUSE = "嘉应中路41号"


@pytest.fixture(scope="module")
def truth() -> Truth:
    return Base().truth(f"number:{HOUSE}", HOUSE)


def answer(truth: Truth, *, north_m: float = 0.0, ambiguous: bool = False, **other: Any) -> Any:
    """The document of a perfect answer, changed as a test says."""
    assert truth.position is not None
    assert truth.record is not None
    lon, lat = _TO_DEGREES.transform(truth.position.x, truth.position.y + north_m)
    found = {
        "level": "门牌号", "score": 0.98, "error_m": 5.0, "division_code": truth.codes[0],
        "record": {"collection": truth.record[0], "id": truth.record[1]}, **other,
    }  # fmt: skip
    feature = {
        "geometry": {"type": "Point", "coordinates": [lon, lat]},
        "properties": {"geocoding": found},
    }
    return {"geocoding": {"ambiguous": ambiguous}, "features": [feature]}


def test_the_perfect_answer_is_right(truth: Truth) -> None:
    verdict = judge(answer(truth), truth, "plain form")
    assert verdict.right
    assert not verdict.wrong
    assert (verdict.county, verdict.town, verdict.number, verdict.position) == (True,) * 4


@pytest.mark.parametrize(
    "change",
    [
        {"record": {"collection": "address", "id": "another"}},
        {"division_code": "441403132213"},
        {"division_code": "441402006007"},
        {"north_m": 200.0},
    ],
)
def test_an_untrue_answer_is_confidently_wrong(truth: Truth, change: dict[str, Any]) -> None:
    verdict = judge(answer(truth, **change), truth, "plain form")
    assert not verdict.right
    assert verdict.wrong
    assert verdict.confident_wrong


def test_an_error_stated_too_large_is_of_no_use(truth: Truth) -> None:
    assert not judge(answer(truth, error_m=500.0), truth, "plain form").right


def test_no_answer_is_not_right_but_not_wrong(truth: Truth) -> None:
    verdict = judge({"geocoding": {"ambiguous": False}, "features": []}, truth, "plain form")
    assert (verdict.right, verdict.wrong, verdict.county) == (False, False, False)


def test_calling_it_ambiguous_does_not_make_a_plain_address_right(truth: Truth) -> None:
    document = answer(truth, ambiguous=True, division_code="441403132213")
    document["features"].append(answer(truth)["features"][0])
    assert not judge(document, truth, "plain form").right
    assert judge(document, truth, "homonym").right


def test_a_place_elsewhere_must_not_be_found_here(truth: Truth) -> None:
    verdict = judge(answer(truth), Truth("outside"), "outside")
    assert verdict.confident_wrong
    assert judge({"geocoding": {}, "features": []}, Truth("outside"), "outside").right
