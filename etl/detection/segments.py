"""Rows of one form on several datums: runs of rows, or rows mixed without order.

A row counts by the distance at which it lies from the reference under each reading. How often
each distance occurs by chance is known from displacement; how often under the true reading is
learnt from the rows themselves: lamps stand 5 m beside the street, walls on the wall.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.datum.coordsys import FloatArray
from etl.detection.evidence import Reading
from etl.detection.features import BoolArray
from etl.detection.registration import RADII, Registration

RowIndex = NDArray[np.int64]
Parts = list[tuple[RowIndex, Reading]]
_SAMPLE = 2000
_SWITCH_NATS = 8.0
_LEAST = 4
_NEVER = 0.1
"""Share of rows of the true reading that lie anywhere: a park far from the roads."""


@dataclass(frozen=True)
class _Rows:
    """Sampled rows on one channel: class of distance by reading and row; chance by class."""

    classes: NDArray[np.int64]
    distance: FloatArray
    chance: FloatArray
    damping: float


def segments(
    candidates: list[Reading], x: FloatArray, y: FloatArray, registration: Registration | None
) -> Parts | None:
    """Rows split by reading, None when one reading suffices. `candidates`: the best one first.

    Viterbi over the rows in file order: a change of reading costs 8 nats. Rows that mix
    without order are told apart one by one when those that miss the best reading fit another
    far beyond chance.
    """
    if registration is None or not registration.references.channels or len(x) < 12:
        return None
    if len(candidates) < 2:
        return None
    pick = np.unique(np.linspace(0, len(x) - 1, min(_SAMPLE, len(x))).astype(int))
    best: tuple[float, Parts] | None = None
    for channel in range(len(registration.references.channels)):
        rows = _measured(candidates, x[pick], y[pick], registration, channel)
        gain, path = _path(rows)
        parts = _runs(path, pick, len(x), candidates, rows)
        if parts is None:
            gain, parts = _scattered(rows, pick, x, y, candidates, registration, channel)
        if parts is not None and (best is None or gain > best[0]):
            best = (gain, parts)
    return None if best is None else best[1]


def _measured(
    candidates: list[Reading], x: FloatArray, y: FloatArray, registration: Registration,
    channel: int,
) -> _Rows:  # fmt: skip
    layer = registration.references.channels[channel]
    distance = np.array([
        layer.distances(registration.references.local(*reading.lonlat(x, y)), 2 * RADII[-1])
        for reading in candidates
    ])  # fmt: skip
    chance = np.diff(registration.chance[channel], prepend=0.0, append=1.0)
    damping = float(np.median(registration.weight[channel])) / min(len(x), 250)
    return _Rows(
        np.searchsorted(RADII, distance),
        distance,
        np.maximum(chance, 1e-4),
        float(np.clip(damping, 0.1, 1.0)),
    )


def _true(counts: FloatArray, chance: FloatArray) -> FloatArray:
    """Probability of each class of distance under the true reading.

    `counts` mix true rows with chance ones: as much chance is taken out as fits.
    """
    seen = (counts + chance * 2.0) / (counts.sum() + 2.0)
    wrong = float(np.clip((seen / chance)[-1], 0.0, 0.9))
    left = np.maximum(seen - wrong * chance, 0.0)
    total = left.sum()
    if total < 0.02:
        return chance
    mixed: FloatArray = (1.0 - _NEVER) * left / total + _NEVER * chance
    return mixed


def _path(rows: _Rows) -> tuple[float, NDArray[np.int64]]:
    """Best reading of each row, and what it gains over the best single reading in nats."""
    kinds = len(rows.chance)
    counts = np.array([np.bincount(c, minlength=kinds) for c in rows.classes], np.float64)
    near = (counts * (np.arange(kinds) < kinds - 1)).sum(axis=1)
    true = _true(counts[int(np.argmax(near))], rows.chance)
    path = np.zeros(rows.classes.shape[1], dtype=np.int64)
    gain = 0.0
    for _ in range(4):
        nats = rows.damping * np.log(true / rows.chance)[rows.classes]
        score, found = _viterbi(nats)
        gain = score - float(nats.sum(axis=1).max())
        same = bool((found == path).all())
        path = found
        if same:
            break
        chosen = rows.classes[path, np.arange(len(path))]
        true = _true(np.bincount(chosen, minlength=kinds).astype(np.float64), rows.chance)
    return gain, path


def _viterbi(nats: FloatArray) -> tuple[float, NDArray[np.int64]]:
    """Best path through (readings, rows) with a cost for every change of reading."""
    k, n = nats.shape
    score = nats[:, 0].copy()
    back = np.zeros((n, k), dtype=np.int64)
    own = np.arange(k)
    for i in range(1, n):
        top = int(np.argmax(score))
        change = score[top] - _SWITCH_NATS
        switch = score < change
        back[i] = np.where(switch, top, own)
        score = np.where(switch, change, score) + nats[:, i]
    path = np.zeros(n, dtype=np.int64)
    path[-1] = int(np.argmax(score))
    for i in range(n - 1, 0, -1):
        path[i - 1] = back[i, path[i]]
    return float(score.max()), path


def _runs(
    path: NDArray[np.int64], pick: RowIndex, n: int, candidates: list[Reading], rows: _Rows
) -> Parts | None:
    used, counts = np.unique(path, return_counts=True)
    if len(used) < 2 or counts.min() < _LEAST:
        return None
    radius = _radius(rows, path)
    near = rows.distance <= radius
    chance = float(np.cumsum(rows.chance)[int(np.searchsorted(RADII, radius))])
    for k in used:
        mine = path == k
        own = float(near[k, mine].mean())
        other = max(float(near[j, mine].mean()) for j in used if j != k)
        sparse = own >= 5.0 * max(other, chance) and own * mine.sum() >= 20.0
        if not sparse and (own < 0.4 or own - other < 0.25):
            return None  # a regular street net is near itself again after a block or two
    # rows between two sampled ones go with the nearer one
    nearest = np.searchsorted((pick[:-1] + pick[1:]) / 2.0, np.arange(n))
    label = path[nearest]
    return [(np.flatnonzero(label == k).astype(np.int64), candidates[k]) for k in used]


def _radius(rows: _Rows, path: NDArray[np.int64]) -> float:
    """The radius at which rows on their path differ most from chance."""
    chosen = rows.distance[path, np.arange(len(path))]
    excess = (chosen[:, None] <= RADII).mean(axis=0) - np.cumsum(rows.chance)[:-1]
    return float(RADII[int(np.argmax(excess))])


def _scattered(
    rows: _Rows,
    pick: RowIndex,
    x: FloatArray,
    y: FloatArray,
    candidates: list[Reading],
    registration: Registration,
    channel: int,
) -> tuple[float, Parts | None]:
    """Rows of two readings without order in the file."""
    first = int(np.argmax((rows.distance <= 8.0).sum(axis=1)))
    radius = _radius(rows, np.full(len(pick), first))
    chance = float(np.cumsum(rows.chance)[int(np.searchsorted(RADII, radius))])
    if chance > 0.12:
        return 0.0, None
    near: BoolArray = rows.distance <= radius
    miss = ~near[first]
    if miss.sum() < max(8, 0.05 * len(pick)):
        return 0.0, None
    shares = near[:, miss].mean(axis=1)
    shares[first] = -1.0
    second = int(np.argmax(shares))
    p, q = float(shares[second]), float(np.clip(chance, 1e-4, 0.9))
    # what misses the truth by its nature (a park beside a road layer) misses every reading
    usual = float(near[first].mean())
    if p < 0.75 or p < 4 * q or usual < 0.15 or miss.sum() * (p - q) ** 2 < 6:
        return 0.0, None
    layer = registration.references.channels[channel]
    here, there = (
        layer.distances(registration.references.local(*reading.lonlat(x, y)))
        for reading in (candidates[first], candidates[second])
    )
    other = (there <= radius) & (here > radius)
    every = np.arange(len(x), dtype=np.int64)
    gain = float(miss.sum()) * (p - q)
    return gain, [(every[~other], candidates[first]), (every[other], candidates[second])]
