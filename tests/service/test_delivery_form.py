"""The form of an upload: whatever a client sends is a delivery within its bounds, or refused."""

from __future__ import annotations

import contextlib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.datum import DatumRegistry
from etl.delivery import DeliveryError, parse_delivery
from geoserver_py.deliveries.form import delivery_document, with_answers
from geoserver_py.deliveries.guard import NotAllowed, check_delivery
from geoserver_py.deliveries.intake import plain_name
from layers.access import Principal, Right
from layers.definition import load_definitions

KNOWN = load_definitions()
PRINCIPAL = Principal("desk", "城市管理和综合执法局", rights=frozenset({Right.DELIVER}))
FOLDER = Path("/nonexistent/uploads/1/files")
WORDS = ["component", "部件.csv", "../x", "/etc/passwd", "a\x00b", "full", "cgcs2000"]
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
GOOD = {
    "file": "部件.csv", "layer": "component", "coordsys": "epsg:4548", "x": "Y", "y": "X",
    "id": "GLBJBSM", "fields": {"state": "GLBJZT"}, "mode": "append",
}  # fmt: skip


def delivered(statement: Any) -> dict[str, Any]:
    document = delivery_document(
        statement, upload=1, bureau="城市管理和综合执法局", city="meizhou",
        registry=DatumRegistry(), today=date(2026, 11, 22),
    )  # fmt: skip
    delivery = parse_delivery(document, FOLDER / "delivery.yaml")
    check_delivery(delivery, FOLDER, PRINCIPAL, KNOWN, "meizhou")
    return document


def test_a_filled_form_is_a_delivery_with_survey_axes() -> None:
    document = delivered({"synthetic": False, "loads": [GOOD]})
    (load,) = document["loads"]
    assert load["columns"] == {"east": "Y", "north": "X"}
    assert load["id"] == {"column": "GLBJBSM"}
    degrees = delivered({"synthetic": False, "loads": [{**GOOD, "coordsys": "gcj02"}]})
    assert degrees["loads"][0]["columns"] == {"lon": "Y", "lat": "X"}
    assert document["delivery"] == "城市管理和综合执法局/2026-11-22/1"


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(key=st.sampled_from([*GOOD, "part", "encoding", "z", "url"]), value=ANY, whole=st.booleans())
def test_any_form_is_refused_in_a_sentence_or_stays_within_its_bounds(
    key: str, value: Any, whole: bool
) -> None:
    statement = value if whole else {"synthetic": True, "loads": [{**GOOD, key: value}]}
    try:
        document = delivered(statement)
    except (DeliveryError, NotAllowed):
        return
    for load in document["loads"]:
        assert KNOWN[load["layer"]].bureau == PRINCIPAL.bureau
        for file in load["files"]:
            assert (FOLDER / str(file["path"])).resolve().is_relative_to(FOLDER)


@settings(max_examples=80, deadline=None)
@given(given_answers=ANY)
def test_any_answer_is_refused_in_a_sentence_or_recorded(given_answers: Any) -> None:
    document = delivered({"synthetic": True, "loads": [GOOD]})
    with contextlib.suppress(DeliveryError):
        assert len(with_answers(document, given_answers)["loads"]) == 1


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("部件.zip", "部件.zip"),
        ("../../etc/passwd", "passwd"),
        ("C:\\交付\\部件.zip", "部件.zip"),
        ("a\x00\nb.csv", "a_b.csv"),
        ("..", "delivery.zip"),
        ("村" * 200 + ".zip", "村" * 60 + ".zip"),
    ],
)
def test_a_file_name_is_only_a_name(sent: str, kept: str) -> None:
    assert plain_name(sent) == kept
