"""Normalised text points back to what was typed, whatever was typed."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gazetteer.normalise import key_of, normalise

ADDRESS_TEXT = st.text(
    alphabet=st.one_of(
        st.characters(),
        st.sampled_from("梅州市縣區鎮村路號０１２３（）【】⻄⻓巿輋𣒍㊀①㎡ﬁ \t\u200b\u0301"),
    ),
    max_size=60,
)


@given(ADDRESS_TEXT)
@example("e\u0301" * 3)
@example("㎡㋿ﷺ")
def test_every_character_maps_to_a_range_of_the_input_in_order(text: str) -> None:
    result = normalise(text)
    assert result.source == text
    assert len(result.text) == len(result.key) == len(result.starts) == len(result.ends)
    assert all(0 <= a < b <= len(text) for a, b in zip(result.starts, result.ends, strict=True))
    assert list(result.starts) == sorted(result.starts)
    assert list(result.ends) == sorted(result.ends)


@given(ADDRESS_TEXT)
def test_a_letter_or_digit_comes_from_the_characters_its_span_names(text: str) -> None:
    result = normalise(text)
    for position, character in enumerate(result.text):
        if character.isascii() and character.isalnum():
            folded = unicodedata.normalize("NFKC", result.original(position, position + 1))
            assert character in folded


@given(
    st.text(alphabet="梅州市縣區鎮村路號０１２３（）【】⻄⻓巿輋𣒍㊀①㎡ﬁ \t-—#,、aB", max_size=60)
)
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text).text
    assert normalise(once).text == once


@given(ADDRESS_TEXT)
def test_no_control_character_survives(text: str) -> None:
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in normalise(text).text)


@pytest.mark.parametrize(
    ("typed", "same_as"),
    [
        ("廣東省梅州市興寧市", "广东省梅州市兴宁市"),
        ("梅州巿", "梅州市"),
        ("⻄阳镇⻓沙", "西阳镇长沙"),
        ("五家輋村", "五家畲村"),
        ("磜下村", "礤下村"),
        ("１２號", "12号"),
        ("梅江區 嘉應 路", "梅江区嘉应路"),
        ("【梅江区】", "(梅江区)"),
        ("12—3号", "12-3号"),
    ],
)
def test_forms_of_one_name_have_one_key(typed: str, same_as: str) -> None:
    assert key_of(typed) == key_of(same_as)


def test_traditional_characters_stay_in_the_text() -> None:
    result = normalise("興寧市輋𣒍村")
    assert result.text == "興寧市輋𣒍村"
    assert result.original(3, 6) == "輋𣒍村"


def test_spans_point_into_the_input_as_typed() -> None:
    typed = "廣東省 梅州巿（梅江區） １２號"
    result = normalise(typed)
    at = result.key.index("12号")
    assert typed[slice(*result.span(at, at + 3))] == "１２號"
