"""The corpus is what it says: large, labelled with places that exist, in two parts apart."""

from __future__ import annotations

import pytest

from tests.eval import corpus
from tests.eval.corpus import HELD_OUT, KINDS, TUNING, Case
from tests.eval.truth import Base

LEAST = 2000


@pytest.fixture(scope="module")
def base() -> Base:
    return Base()


@pytest.fixture(scope="module")
def tuning(base: Base) -> list[Case]:
    return corpus.generate(base, TUNING)


@pytest.fixture(scope="module")
def held_out(base: Base) -> list[Case]:
    return corpus.generate(base, HELD_OUT)


def _streets(cases: list[Case]) -> set[str]:
    kinds = ("number:", "near:", "offset:", "cross:")
    return {
        part.rstrip("0123456789号之一")[:2]
        for case in cases
        if case.label.startswith(kinds)
        for part in case.label.partition(":")[2].split("|")[: 2 if "cross" in case.label else 1]
    }


def test_the_stored_tuning_part_is_what_the_generator_makes(tuning: list[Case]) -> None:
    assert corpus.read(corpus.FOLDER / "tuning.csv") == tuning, "python -m tests.eval --write"


def test_no_street_and_no_kind_of_case_is_in_both_parts(
    tuning: list[Case], held_out: list[Case]
) -> None:
    assert not _streets(tuning) & _streets(held_out)
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert not {case.kind for case in tuning} & {case.kind for case in held_out}
    assert not {case.text for case in tuning} & {case.text for case in held_out}


def test_every_class_is_in_both_parts(tuning: list[Case], held_out: list[Case]) -> None:
    assert {case.group for case in tuning} == {case.group for case in held_out}
    assert len(tuning) + len(held_out) >= LEAST


def test_labels_name_places_that_exist(
    base: Base, tuning: list[Case], held_out: list[Case]
) -> None:
    hand = corpus.handwritten()
    assert len(hand) >= 200
    for case in (*hand, *tuning, *held_out):
        truth = base.truth(case.label, case.text)
        assert truth.expect != "ambiguous" or len(truth.codes) > 1, case
