"""A bounded sample spread evenly over a file whose length nobody knows before it is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etl.datum.coordsys import FloatArray

RowIndex = NDArray[np.int64]
_Block = tuple[RowIndex, RowIndex, Any, Any]
MOST = 50_000
"""Coordinates kept; twice as many at most while reading."""


@dataclass
class Sampled:
    """Every step-th row, the step doubling as rows come in, and the extremes of every block.

    So row groups anywhere in the file are met, and a single mistaken row, which is an extreme of
    its block, is seen however long the file is. Deterministic.
    """

    most: int = MOST
    step: int = 1
    rows: int = 0
    _kept: list[_Block] = field(default_factory=list)
    _extremes: list[_Block] = field(default_factory=list)
    _count: int = 0

    def add(
        self, rows: RowIndex, record: RowIndex, xy: FloatArray, x: Any = None, y: Any = None
    ) -> None:
        """A block: number of each row (n,), row ordinal in it of each coordinate (m,), xy (m, 2).

        `x`, `y` (m,) are kept instead of `xy`, as they are written.
        """
        ordinal = self.rows + record
        self.rows += len(rows)
        if len(record) == 0:
            return
        given = (xy[:, 0], xy[:, 1]) if x is None else (x, y)
        block = (ordinal, rows[record], *given)
        self._extremes.append(_taken(block, np.isin(record, record[_extremes(xy)])))
        part = _taken(block, ordinal % self.step == 0)
        self._kept.append(part)
        self._count += len(part[0])
        while self._count > 2 * self.most and self.step < self.rows:
            self.step *= 2
            self._kept = [_taken(b, b[0] % self.step == 0) for b in self._kept]
            self._count = sum(len(b[0]) for b in self._kept)

    def sample(self) -> tuple[RowIndex, Any, Any]:
        """(m,) number of the row of each kept coordinate, and the coordinates x and y (m,)."""
        blocks = list(self._kept)
        if self.step > 1:
            blocks += [_taken(b, b[0] % self.step != 0) for b in self._extremes]
        if not blocks:
            return np.empty(0, np.int64), np.empty(0), np.empty(0)
        order = np.argsort(np.concatenate([b[0] for b in blocks]), kind="stable")
        number, x, y = (np.concatenate([b[i] for b in blocks])[order] for i in (1, 2, 3))
        return number, x, y


def _taken(block: _Block, where: Any) -> _Block:
    return block[0][where], block[1][where], block[2][where], block[3][where]


def _extremes(xy: FloatArray) -> RowIndex:
    """Positions of the two lowest and highest finite values of each column."""
    out: list[RowIndex] = []
    for column in xy.T:
        good = np.flatnonzero(np.isfinite(column))
        if len(good) > 4:
            order = np.argpartition(column[good], (1, len(good) - 2))
            good = good[np.concatenate([order[:2], order[-2:]])]
        out.append(good.astype(np.int64))
    return np.unique(np.concatenate(out))
