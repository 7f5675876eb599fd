"""How well a reading lies on the references, against chance; and the shift that would make it.

Evidence of a reading: the share of its points within r metres of a trusted layer, as a
log-likelihood against the share that the same points have when all are displaced together (40
displacements of 0.25 to 1.2 km), for the radius that says most. So dense layers, where everything
is near something, count little, and the layer need not hold the same features. Points of one
road are not independent: how many count follows from how much the share varies from one
displacement to the next (a binomial share of n varies by p (1 - p) / n). An unknown shift is
found by voting: every vector from a point to the reference points within 260 m votes for its
shift; true correspondences agree in one cell, the others scatter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etl.datum.coordsys import FloatArray
from etl.detection.references import Channel, References

RADII = np.array([0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.7, 8.0, 11.0, 16.0, 23.0, 32.0])
SEARCH_M = 260.0
_BIN_M = 4.0
_CORRELATED_M = 60.0
_DISPLACED = 40
_AROUND = 200
_CHOSEN = 1.0
"""Nats for the choice of the radius that says most; the radii are nested, so few are choices."""
_SAME_PLACE_M = 1000.0
_COMMON = 0.6
_ASSUMED = 6.0
"""Displacements' worth of belief that half of the occupied cells are independent."""


@dataclass(frozen=True, slots=True)
class Support:
    """Evidence of one reading on its best channel: nats, radius, shares, median distance."""

    nats: float
    channel: int
    near_m: float
    share: float
    chance: float
    median_m: float


def _kl(share: FloatArray, chance: FloatArray) -> FloatArray:
    p, q = np.clip(share, 1e-9, 1 - 1e-9), np.clip(chance, 1e-6, 1 - 1e-6)
    gain: FloatArray = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    return np.where(p > q, gain, 0.0)


def independent(xy: FloatArray) -> float:
    """How many of the points count as independent: distinct cells of 60 m, 400 at most."""
    cells = np.unique(np.floor(xy / _CORRELATED_M).astype(np.int64), axis=0)
    return float(min(len(cells), 400))


class Surroundings:
    """Registrations by place: a reading far from another has a chance of its own."""

    def __init__(self, references: References) -> None:
        self.references = references
        self._known: list[tuple[FloatArray, Registration]] = []

    def at(self, xy: FloatArray) -> Registration:
        """What is near by chance around the points `xy` (n, 2) local metres."""
        place = np.concatenate([np.median(xy, axis=0), np.ptp(xy, axis=0)])
        for other, registration in self._known:
            if float(np.abs(place - other).max()) < _SAME_PLACE_M:
                return registration
        found = Registration.about(self.references, xy)
        self._known.append((place, found))
        return found


@dataclass(frozen=True)
class Registration:
    """References and, per channel and radius, how near points lie to it by chance.

    `chance` (channels, radii) shares; `weight` (channels, radii) how many points count as
    independent.
    """

    references: References
    chance: FloatArray
    weight: FloatArray

    @classmethod
    def about(cls, references: References, xy: FloatArray) -> Registration:
        """Chance measured around the points `xy` (n, 2) local metres of a first reading."""
        pick = xy[:: max(1, len(xy) // _AROUND)]
        n = len(pick)
        turn = np.arange(_DISPLACED) * 2.399963  # golden angle: even directions
        reach = 250.0 * (4.8 ** (np.arange(_DISPLACED) / (_DISPLACED - 1)))
        moves = np.column_stack([np.cos(turn), np.sin(turn)]) * reach[:, None]
        away = (pick[None, :, :] + moves[:, None, :]).reshape(-1, 2)
        clusters = max(0.5 * independent(xy), 1.0)
        chances, weights = [], []
        for channel in references.channels:
            distance = channel.distances(away, float(RADII[-1]) + 1.0)
            share = (distance[:, None] <= RADII).reshape(_DISPLACED, n, -1).mean(axis=1)
            # one more cluster than seen: an empty surrounding is no proof of impossibility
            chance = (share.sum(axis=0) + 1.0 / clusters) / (_DISPLACED + 2.0 / clusters)
            spread = chance * (1.0 - chance)
            varied = ((share - chance) ** 2).sum(axis=0) + _ASSUMED * spread / clusters
            found = spread * (_DISPLACED + _ASSUMED) / varied
            chances.append(chance)
            # corners of one house are one place, however alike its surroundings are
            weights.append(np.clip(found, 1.0, 1.5 * independent(xy)))
        shape = (-1, len(RADII))
        return cls(references, np.array(chances).reshape(shape), np.array(weights).reshape(shape))

    def support(self, xy: FloatArray) -> Support | None:
        """Evidence for points at `xy` (n, 2) local metres; None without a channel."""
        best: Support | None = None
        for index, channel in enumerate(self.references.channels):
            distance = channel.distances(xy)
            share = (distance[:, None] <= RADII).mean(axis=0)
            nats = self.weight[index] * _kl(share, self.chance[index])
            # where most places are as near, nearness is no argument for a datum
            nats = np.where(self.chance[index] > _COMMON, 0.0, nats)
            at = int(np.argmax(nats))
            found = Support(
                float(nats[at]) - _CHOSEN - float(np.log(len(self.references.channels))),
                index, float(RADII[at]), float(share[at]), float(self.chance[index, at]),
                float(np.median(distance)),
            )  # fmt: skip
            if best is None or found.nats > best.nats:
                best = found
        return best

    def shifts(self, xy: FloatArray, most: int = 3) -> list[tuple[float, float]]:
        """Likely constant shifts (east, north) within 260 m, best first; refined to 0.5 m."""
        pick = xy[:: max(1, len(xy) // 200)]
        out: list[tuple[float, tuple[float, float]]] = []
        for channel in self.references.channels:
            for peak in _peaks(channel, pick, most):
                moved = _refine(channel, pick, peak)
                support = self.support(xy + np.array(moved))
                if support is not None:
                    out.append((support.nats, moved))
        out.sort(key=lambda item: -item[0])
        return [shift for _, shift in out[:most]]


def _peaks(channel: Channel, xy: FloatArray, most: int) -> list[tuple[float, float]]:
    vectors, owner = channel.offsets(xy, SEARCH_M)
    if len(vectors) == 0:
        return []
    count = np.bincount(owner, minlength=len(xy))
    bins = int(2 * SEARCH_M / _BIN_M)
    ij = np.clip(((vectors + SEARCH_M) / _BIN_M).astype(np.int64), 0, bins - 1)
    # a point votes once for a cell, and less where it has many neighbours
    voted = np.zeros(len(xy) * bins * bins, dtype=np.bool_)
    voted[owner * bins * bins + ij[:, 0] * bins + ij[:, 1]] = True
    key = np.flatnonzero(voted)
    weight = 1.0 / np.sqrt(count[key // (bins * bins)])
    grid = np.bincount(key % (bins * bins), weights=weight, minlength=bins * bins)
    votes = grid.reshape(bins, bins)
    padded = np.pad(votes, 1)
    smooth = sum(padded[i : i + bins, j : j + bins] for i in range(3) for j in range(3))
    total: NDArray[np.float64] = np.asarray(smooth, dtype=np.float64)
    out = []
    for _ in range(most):
        i, j = np.unravel_index(int(np.argmax(total)), total.shape)
        if total[i, j] <= 0:
            break
        out.append((float(i + 0.5) * _BIN_M - SEARCH_M, float(j + 0.5) * _BIN_M - SEARCH_M))
        total[max(0, i - 5) : i + 6, max(0, j - 5) : j + 6] = 0.0
    return out


def _refine(channel: Channel, xy: FloatArray, start: tuple[float, float]) -> tuple[float, float]:
    """Pattern search on the mean distance, cut at 20 m, from 4 m steps to 0.5 m."""
    pick = xy[:: max(1, len(xy) // 100)]

    def cost(at: FloatArray) -> float:
        return float(np.minimum(channel.distances(pick + at, 20.0), 20.0).mean())

    here = np.array(start)
    best = cost(here)
    around = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)])
    for step in (4.0, 2.0, 1.0, 0.5):
        for _ in range(3):
            costs = [cost(here + step * way) for way in around]
            at = int(np.argmin(costs))
            if costs[at] >= best - 1e-9:
                break
            here, best = here + step * around[at], costs[at]
    return float(here[0]), float(here[1])
