"""Slips of the hand in one coordinate: a wrong whole degree, two digits exchanged."""

from __future__ import annotations

import numpy as np

from tests.detection.shifts import FloatArray

CLEAR_KM = 3.0
"""A slip counts only when it leaves the file's extent by this much: others nobody could see."""


def slip(
    place: FloatArray, bounds: FloatArray, degrees: bool, rng: np.random.Generator
) -> FloatArray:
    """A position (2,) with one of its two numbers spoilt, outside `bounds` (w, s, e, n)."""
    margin = CLEAR_KM / 100 if degrees else CLEAR_KM * 1000
    for _ in range(200):
        spoilt = place.copy()
        axis = int(rng.integers(2))
        if degrees and rng.random() < 0.5:
            spoilt[axis] += rng.choice([-2.0, -1.0, 1.0, 2.0, 10.0])
        else:
            spoilt[axis] = _exchange(float(place[axis]), 8 if degrees else 3, rng)
        low, high = bounds[axis], bounds[axis + 2]
        if spoilt[axis] < low - margin or spoilt[axis] > high + margin:
            return spoilt
    spoilt = place.copy()
    spoilt[1] += 1.0 if degrees else 1e6
    return spoilt


def _exchange(value: float, places: int, rng: np.random.Generator) -> float:
    """The number with two neighbouring digits before or just behind the point exchanged."""
    digits = list(f"{value:.{places}f}")
    usable = [at for at in range(8) if digits[at].isdigit() and digits[at + 1].isdigit()]
    at = int(rng.choice(usable))
    digits[at], digits[at + 1] = digits[at + 1], digits[at]
    return float("".join(digits))
