"""Labelled files as the detector gets them, kept between runs: a run costs what detection costs.

Drawing, writing and reading a file do not depend on the detector. A cache is valid for one seed
and one state of the generator (a digest of its sources is in its name); the readers are not in
it, so the evaluation that is published runs without one.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tests.detection import errors
from tests.detection.truth import Case, Kind

Half = Literal["tuning", "held-out"]
SPLIT_SEED = 598


@dataclass(frozen=True)
class Inputs:
    """A case, the coordinates as read, the record of each, and what is declared."""

    case: Case
    given: Any
    record: np.ndarray[Any, Any]
    declared: str | None


def numbers(kind: Kind, half: Half | None) -> list[int]:
    """Numbers of a kind's cases: all, or one of two halves drawn once by SPLIT_SEED."""
    count = errors.COUNTS[kind]
    if half is None:
        return list(range(count))
    drawn = np.random.default_rng([SPLIT_SEED, list(errors.COUNTS).index(kind)]).permutation(count)
    chosen = drawn[: count // 2] if half == "tuning" else drawn[count // 2 :]
    return sorted(int(number) for number in chosen)


def spread(found: list[int], most: int | None) -> list[int]:
    """At most `most` of them, evenly: sizes and systems follow the number."""
    if most is None or most >= len(found):
        return found
    return [found[i] for i in np.unique(np.linspace(0, len(found) - 1, most).astype(int))]


def place(cache: Path, seed: int, kind: Kind, number: int) -> Path:
    """Where the inputs of a case are kept."""
    return cache / f"{seed}-{_digest()}" / f"{kind}-{number:03d}.pickle"


def load(path: Path) -> Inputs | None:
    """Kept inputs, None where there are none."""
    if not path.is_file():
        return None
    with path.open("rb") as stored:
        found: Inputs = pickle.load(stored)
    return found


def keep(path: Path, inputs: Inputs) -> None:
    """Store inputs for the next run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as target:
        pickle.dump(inputs, target, protocol=5)


def _sources() -> Iterator[bytes]:
    here = Path(__file__).parent
    for name in ("errors", "material", "shifts", "slips", "truth", "writing"):
        yield (here / f"{name}.py").read_bytes()


def _digest() -> str:
    return hashlib.sha256(b"".join(_sources())).hexdigest()[:12]
