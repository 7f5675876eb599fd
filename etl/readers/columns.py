"""Coordinate columns of a table: finding them by title, and turning text into points."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.datum.coordsys import FloatArray
from etl.datum.dms import dms_degrees
from etl.readers.model import Positions, RowProblem

# (x, y) titles, x = lon/east. In a Chinese survey table X is north and Y is east.
_PAIRS = (
    ("经度", "纬度"),
    ("longitude", "latitude"),
    ("lon", "lat"),
    ("lng", "lat"),
    ("东坐标", "北坐标"),
    ("easting", "northing"),
    ("east", "north"),
    ("y(东)", "x(北)"),
    ("y坐标", "x坐标"),
    ("y", "x"),
    ("co_y", "co_x"),
)
_HEIGHTS = ("高程", "地面高程", "z", "h", "height", "elevation")


def _plain(title: str) -> str:
    text = title.translate(str.maketrans("（）", "()")).lower()
    return re.sub(r"\((?:m|米|度|°)\)|[\s_/]|坐标(?=[(（])", "", text)


@dataclass(frozen=True, slots=True)
class CoordinateColumns:
    """Titles of the coordinate columns, x = lon/east, y = lat/north."""

    x: str
    y: str
    z: str | None = None


def all_columns(titles: Sequence[str]) -> tuple[CoordinateColumns, ...]:
    """Every coordinate pair that the titles name; survey tables (X, Y) count as X = north."""
    by_plain = {_plain(title): title for title in titles}
    height = next((by_plain[name] for name in _HEIGHTS if name in by_plain), None)
    return tuple(
        CoordinateColumns(by_plain[_plain(x)], by_plain[_plain(y)], height)
        for x, y in _PAIRS
        if _plain(x) in by_plain and _plain(y) in by_plain
    )


def guess_columns(titles: Sequence[str]) -> CoordinateColumns | None:
    """The first pair of `all_columns`, None if no titles fit."""
    return next(iter(all_columns(titles)), None)


def numbers(
    values: pa.Array | pa.ChunkedArray,
    rows: NDArray[np.int64],
    column: str,
    *,
    angles: bool = False,
) -> tuple[FloatArray, list[RowProblem]]:
    """Text column as (n,) floats, NaN where it is no finite number, with a reason for each.

    `angles`: 116°07′03.36″E and the like are numbers too, in decimal degrees.
    """
    try:
        cast = pc.cast(pc.utf8_trim_whitespace(values), pa.float64())
    except pa.ArrowInvalid:
        out = np.full(len(values), np.nan)
    else:
        out = np.array(cast.to_numpy(zero_copy_only=False), dtype=np.float64)
    if np.isfinite(out).all():
        return out, []
    problems = []
    texts = values.to_pylist()
    for i in np.flatnonzero(~np.isfinite(out)):
        text = (texts[i] or "").strip().translate(_FULL_WIDTH)
        if _PLAIN_NUMBER.fullmatch(text):
            out[i] = float(text)
            continue
        angle = dms_degrees(text) if angles else None
        if angle is not None:
            out[i] = angle
            continue
        out[i] = np.nan
        shown = text if len(text) <= 40 else text[:40] + "…"
        reason = (
            f"坐标列 {column} 为空 the coordinate column {column!r} is empty"
            if not text
            else f"坐标列 {column} 不是数字：{shown} {column!r} is not a number: {shown!r}"
        )
        problems.append(RowProblem(int(rows[i]), column, reason))
    return out, problems


# Python's float() would also take "1_000", "nan" and "infinity".
_PLAIN_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,2})?", re.ASCII)
_FULL_WIDTH = str.maketrans("０１２３４５６７８９．－", "0123456789.-")


def points(
    columns: CoordinateColumns, table: pa.Table, rows: NDArray[np.int64]
) -> tuple[NDArray[np.object_], tuple[RowProblem, ...]]:
    """(n,) shapely points from text columns, None where x or y is no number."""
    found, problems = positions(columns, table, rows)
    return found.shapes(), problems


def positions(
    columns: CoordinateColumns, table: pa.Table, rows: NDArray[np.int64]
) -> tuple[Positions, tuple[RowProblem, ...]]:
    """Coordinates (n,) from text columns, NaN where x or y is no number; the rows at fault."""
    x, bad_x = numbers(table.column(columns.x), rows, columns.x, angles=True)
    y, bad_y = numbers(table.column(columns.y), rows, columns.y, angles=True)
    lost = ~(np.isfinite(x) & np.isfinite(y))
    x[lost] = y[lost] = np.nan
    z = None
    if columns.z is not None and columns.z in table.column_names:
        z, _ = numbers(table.column(columns.z), rows, columns.z)
    return Positions(x, y, z), tuple(bad_x + bad_y)
