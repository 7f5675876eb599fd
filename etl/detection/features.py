"""Numbers out of whatever a coordinate column holds, and what their digits say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from etl.datum.coordsys import FloatArray
from etl.datum.dms import dms_degrees
from etl.datum.position import zone_code

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Numbers:
    """(n,) x and y as numbers (NaN where there is none) and which rows were written as DMS."""

    x: FloatArray
    y: FloatArray
    dms: BoolArray

    @property
    def good(self) -> BoolArray:
        """Rows with two finite numbers."""
        return np.isfinite(self.x) & np.isfinite(self.y)


def read_numbers(coordinates: Any) -> Numbers:
    """From an (n, 2) array, or a pair of sequences (x, y); numbers or text, also DMS text.

    Anything that is no number becomes NaN. Raises ValueError for another shape.
    """
    if isinstance(coordinates, tuple | list) and len(coordinates) == 2:
        first, second = coordinates
        if np.ndim(first) != 1 or len(first) != len(second):
            raise ValueError("coordinates are an (n, 2) array or two columns of equal length")
    else:
        table = np.asarray(coordinates)
        if table.ndim != 2 or table.shape[1] != 2:
            raise ValueError("coordinates are an (n, 2) array or two columns of equal length")
        first, second = table[:, 0], table[:, 1]
    x, x_dms = _column(first)
    y, y_dms = _column(second)
    return Numbers(x, y, x_dms & y_dms)


def _column(values: Sequence[Any] | NDArray[Any]) -> tuple[FloatArray, BoolArray]:
    array = np.asarray(values)
    if array.dtype.kind in "fiu":
        return array.astype(np.float64), np.zeros(len(array), dtype=np.bool_)
    out = np.full(len(array), np.nan)
    dms = np.zeros(len(array), dtype=np.bool_)
    for i, value in enumerate(array.tolist()):
        if value is None:
            continue
        try:
            out[i] = float(value)
        except (TypeError, ValueError):
            found = dms_degrees(str(value))
            if found is not None:
                out[i], dms[i] = found, True
    return out, dms


def unpack(value: FloatArray) -> FloatArray:
    """Degrees of packed ddd.mmssss; NaN where minutes or seconds reach 60."""
    # rounded at 1e-9: 116.07 is 116.06999999999999 in binary, which would read as 06 minutes
    scaled = np.round(np.abs(value) * 1e9) / 1e9
    degrees = np.floor(scaled + 1e-10)
    rest = (scaled - degrees) * 100
    minutes = np.floor(rest + 1e-7)
    seconds = np.maximum((rest - minutes) * 100, 0.0)
    wrong = (minutes >= 60) | (seconds > 60 + 1e-6)  # writers round 59.99996 up to 60
    return np.where(wrong, np.nan, np.sign(value) * (degrees + minutes / 60 + seconds / 3600))


def unpack_whole(value: FloatArray) -> FloatArray:
    """Degrees of dddmmss.sss; NaN where minutes or seconds reach 60."""
    degrees = np.floor(value / 1e4)
    rest = value - degrees * 1e4
    minutes = np.floor(rest / 100)
    seconds = rest - minutes * 100
    wrong = (minutes >= 60) | (seconds >= 60)
    return np.where(wrong, np.nan, degrees + minutes / 60 + seconds / 3600)


def unpack_minutes(value: FloatArray) -> FloatArray:
    """Degrees of dddmm.mmmm (NMEA); NaN where minutes reach 60."""
    degrees = np.floor(value / 100)
    minutes = value - degrees * 100
    return np.where(minutes >= 60, np.nan, degrees + minutes / 60)


def packed_evidence(x: FloatArray, y: FloatArray) -> float:
    """Log-likelihood ratio of packed DMS over decimals (nats) from digits that never reach 60.

    Two tests a column, for seconds within minutes and minutes within degrees; the stronger
    counts. Alignment: values avoid a gap of 40 of every 100 units; shifted by any other amount
    they would not, so by chance the gap lies where it must with probability (60 - range of the
    digits) / 100, whatever clusters the values form. Spread: decimals fall into a gap with
    probability 0.4 wherever they reach across it; points come in clusters, so a fifth of a block
    (0.002 degrees for seconds) counts once, and 0.35 instead of 0.51. A value inside a gap costs
    5; at least -400 in all.
    """
    total = 0.0
    for value in (x, y):
        places = np.abs(value) * 1e4 + 1e-6
        if len(places) == 0:
            continue
        for unit in (1, 100):
            fine = np.unique(np.floor(places).astype(np.int64))
            wrong = (fine // unit) % 100 >= 60
            total -= 5.0 * float(wrong.sum())
            if wrong.any():
                continue
            digits = (places / unit) % 100.0
            reach = float(np.ptp(digits)) + 2e-4 / unit  # the last digit written
            aligned = -float(np.log(np.clip((60.0 - reach) / 100.0, 1e-4, 1.0)))
            cells = np.unique(fine // (20 * unit)) * 20 * unit
            block = cells // (unit * 100) * unit * 100
            crossed = (fine.min() < block + 60 * unit) & (fine.max() >= block + 100 * unit)
            total += max(aligned, 0.35 * float(crossed.sum()))
    return float(max(total, -400.0))


def plane_axes(x: FloatArray, y: FloatArray) -> Literal["normal", "swapped"] | None:
    """Whether x is the easting of Chinese Gauss-Krueger metres, told by size alone.

    Northings of China are 1.9 to 6.0 million; eastings 0.1 to 0.9 million, or that behind a
    zone number (13-23, 25-45).
    """

    def east(value: float) -> bool:
        zone, rest = divmod(value, 1e6)
        return 1e5 <= rest < 9e5 and (zone == 0 or zone_code(int(zone)) is not None)

    mx, my = float(np.median(x)), float(np.median(y))
    if east(mx) and 1.5e6 <= my <= 6.2e6:
        return "normal"
    if east(my) and 1.5e6 <= mx <= 6.2e6:
        return "swapped"
    return None
