"""The engine is never less right than it was: tuning cases of every kind and class, with floors.

The floors in `floors.yaml` are shares of right answers, measured; they may only be raised. The
whole measurement is `make eval`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

import pytest
import yaml

from tests.conftest import MakeDatabase
from tests.eval import city, corpus
from tests.eval.corpus import Case
from tests.eval.run import Judged, judged
from tests.eval.truth import Base

FLOORS: dict[str, float] = yaml.safe_load(
    Path(__file__).with_name("floors.yaml").read_text("utf-8")
)
EACH = 8


def in_turn(kinds: Iterable[Sequence[Case]]) -> list[Case]:
    """The first case of each kind, then the second of each: every kind of a class has its say."""
    return [case for row in zip_longest(*kinds) for case in row if case is not None]


@pytest.fixture(scope="module")
def found(
    make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Judged]]:
    dsn = make_database("eval")
    city.load(dsn, tmp_path_factory.mktemp("eval") / "city")
    groups: dict[str, dict[str, list[Case]]] = defaultdict(lambda: defaultdict(list))
    for case in corpus.read(corpus.FOLDER / "tuning.csv"):
        groups[case.group][case.kind].append(case)
    some = [case for kinds in groups.values() for case in in_turn(kinds.values())[:EACH]]
    answers = defaultdict(list)
    for answer in asyncio.run(judged(dsn, Base(), some)):
        answers[answer.case.group].append(answer)
    return answers


@pytest.mark.parametrize("group", sorted(FLOORS))
def test_no_class_falls_below_its_floor(found: dict[str, list[Judged]], group: str) -> None:
    right = [answer.verdict.right for answer in found[group]]
    missed = [(a.case.text, a.case.label) for a in found[group] if not a.verdict.right]
    assert sum(right) / len(right) >= FLOORS[group] - 1e-9, missed


def test_every_class_has_a_floor(found: dict[str, list[Judged]]) -> None:
    assert set(found) == set(FLOORS)


def test_nothing_is_confidently_wrong(found: dict[str, list[Judged]]) -> None:
    wrong = [a.case.text for some in found.values() for a in some if a.verdict.confident_wrong]
    assert not wrong


def test_alone_and_in_a_batch_the_answer_is_the_same(found: dict[str, list[Judged]]) -> None:
    assert all(answer.same for some in found.values() for answer in some)
