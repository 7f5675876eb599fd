"""The built-up core: which villages and blocks it has, and what each block is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoserver_py.sample_city.layout import Layout
from geoserver_py.sample_city.plane import BLOCK, FloatArray
from geoserver_py.sample_city.register import Division

IntArray = NDArray[np.int64]

BLOCKS_AT_SCALE_1 = 1000
HOME, OFFICE, INDUSTRY, PARK, WATERSIDE, RURAL = range(6)
_SHARES = (0.66, 0.12, 0.06, 0.06, 0.10)  # of home, office, industry, park, rural

RIVER_HALF_WIDTH = 55.0
STREAM_HALF_WIDTH = 14.0


def river_line(u: FloatArray) -> FloatArray:
    """v of the river's middle at u, drawing board metres."""
    return 900.0 * np.sin(u / 3700.0) + 260.0 * np.sin(u / 1300.0 + 1.0) + 330.0


def stream_line(v: FloatArray) -> FloatArray:
    """u of the tributary's middle at v; it joins the river from the north."""
    return -1470.0 + 300.0 * np.sin(v / 1700.0)


@dataclass(frozen=True)
class Core:
    """Blocks of the core: arrays (n,) of lattice column, row, village number and kind."""

    column: IntArray
    row: IntArray
    village: IntArray
    kind: IntArray
    villages: tuple[Division, ...]
    towns: Mapping[str, str]
    counties: Mapping[str, str]

    @property
    def size(self) -> int:
        """Number of blocks."""
        return len(self.column)

    def index(self, column: IntArray, row: IntArray) -> IntArray:
        """Number of the block at a lattice place, -1 where the core has none."""
        key = self.column * 100_000 + self.row
        order = np.argsort(key)
        wanted = column * 100_000 + row
        at = np.clip(np.searchsorted(key[order], wanted), 0, self.size - 1)
        found = order[at]
        return np.where(key[found] == wanted, found, -1).astype(np.int64)

    def village_codes(self) -> NDArray[np.str_]:
        """12-digit code of each village number."""
        return np.array([village.code for village in self.villages])

    def village_names(self) -> NDArray[np.str_]:
        """Name of each village number, without the ending of its committee."""
        return np.array([short_name(village.name) for village in self.villages])


def short_name(name: str) -> str:
    """Village or community without 居委会 / 村委会 (梅龙社区居委会 → 梅龙社区)."""
    for ending in ("居民委员会", "村民委员会", "居委会", "委会"):
        if name.endswith(ending) and len(name) > len(ending) + 1:
            return name.removesuffix(ending)
    return name


def choose_core(register: Sequence[Division], layout: Layout, scale: float, seed: int) -> Core:
    """Whole villages nearest to the centre until they hold 1 000 blocks times `scale`."""
    by_code = {division.code: division for division in register}
    codes = sorted(
        layout.villages,
        key=lambda code: (
            np.hypot(
                layout.villages[code].west + layout.villages[code].east,
                layout.villages[code].south + layout.villages[code].north,
            ),
            code,
        ),
    )
    chosen: list[Division] = []
    columns, rows, numbers = [], [], []
    total = 0
    for code in codes:
        if total >= BLOCKS_AT_SCALE_1 * scale:
            break
        rect = layout.villages[code]
        u, v = np.meshgrid(np.arange(rect.west, rect.east), np.arange(rect.south, rect.north))
        columns.append(u.ravel())
        rows.append(v.ravel())
        numbers.append(np.full(u.size, len(chosen)))
        chosen.append(by_code[code])
        total += u.size
    column = np.concatenate(columns).astype(np.int64)
    row = np.concatenate(rows).astype(np.int64)
    middle_u = ((column + 0.5) * BLOCK).astype(np.float64)
    middle_v = ((row + 0.5) * BLOCK).astype(np.float64)
    rng = np.random.default_rng([seed, 1])
    kind = rng.choice(
        np.array([HOME, OFFICE, INDUSTRY, PARK, RURAL]), size=len(column), p=_SHARES
    ).astype(np.int64)
    far = np.hypot(middle_u, middle_v) > 6000.0
    kind = np.where(far & (kind == HOME), np.where(rng.random(len(kind)) < 0.5, RURAL, HOME), kind)
    slack = BLOCK / 2 + 35.0
    wet = np.abs(middle_v - river_line(middle_u)) < RIVER_HALF_WIDTH + slack
    by_stream = np.abs(middle_u - stream_line(middle_v)) < STREAM_HALF_WIDTH + slack
    wet |= by_stream & (middle_v > river_line(middle_u))
    kind = np.where(wet, WATERSIDE, kind)
    return Core(
        column,
        row,
        np.concatenate(numbers).astype(np.int64),
        kind,
        tuple(chosen),
        {d.code: d.name for d in register if d.level == "town"},
        {d.code: d.name for d in register if d.level == "county"},
    )
