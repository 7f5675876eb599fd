"""Point files of total stations and RTK receivers, without a header: CASS .dat and RTK exports.

CASS writes point, code (often empty), EAST, NORTH, height; RTK programs write point, NORTH, east,
height. Only the numbers tell them apart for sure: a Gauss-Krüger northing of China has seven
digits (1.9 to 6.0 million metres), an easting six, or eight with its zone number. Where the large
numbers were taken off or a local grid is used they do not, and the delivery must name the columns.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from etl.datum.coordsys import FloatArray
from etl.readers.columns import numbers
from etl.readers.encoding import SAMPLE_BYTES, text_encoding
from etl.readers.model import (
    Batch,
    FieldInfo,
    LayerInfo,
    ReadError,
    ReadOptions,
    RowProblem,
    SourceInfo,
    choose_layer,
)
from etl.readers.table import TableSource, open_table

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

_NUMBER = re.compile(r"\s*[-+]?(?:\d+\.?\d*|\.\d+)\s*", re.ASCII)
_DECIMAL = re.compile(r"\s*[-+]?\d+\.\d+\s*", re.ASCII)
_CODE_POINT_COUNT = re.compile(r"\s*\d+\s*")
FIRST, SECOND = "坐标1", "坐标2"
"""Titles of the two plane coordinates in the order of the file."""


class Order(Enum):
    """What the two plane coordinates are, in the order of the file."""

    EAST_NORTH = "东坐标在前 east first"
    NORTH_EAST = "北坐标在前 north first"


class AmbiguousAxesError(ReadError):
    """A point file whose numbers do not tell east from north; the delivery must name them."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of a point file; `code` is None where the file has none."""

    width: int
    point: int
    code: int | None
    first: int
    second: int
    height: int | None

    @property
    def titles(self) -> tuple[str, ...]:
        """Titles in the order of the file; the file itself has none."""
        names = [f"列{position + 1}" for position in range(self.width)]
        names[self.point] = "点号"
        names[self.first], names[self.second] = FIRST, SECOND
        if self.code is not None:
            names[self.code] = "编码"
        if self.height is not None:
            names[self.height] = "高程"
        return tuple(names)


def layout(records: list[list[str]]) -> Layout | None:
    """Layout of a headerless point file by its first records; None if it is none.

    With a code between point and coordinates (`1,GCD,e,n,h`, `2,,e,n,h`) or without one
    (`G1,n,e,h`, then perhaps a code at the end).
    """
    rows = [row for row in records if any(cell.strip() for cell in row)]
    if not rows:
        return None
    # the first line of a CASS .dat may be the number of points
    if len(rows) > 1 and len(rows[0]) == 1 and _CODE_POINT_COUNT.fullmatch(rows[0][0]):
        rows = rows[1:]
    width = max(map(len, rows))
    good = [row for row in rows if len(row) in (width, width - 1) and len(row) >= 4]
    if width not in (4, 5, 6) or len(good) * 4 < len(rows) * 3 or rows[0] is not good[0]:
        return None

    def share(position: int) -> float:
        """Share of the rows with a number there; none where the first row has none."""
        if not _NUMBER.fullmatch(good[0][position] if position < len(good[0]) else ""):
            return 0.0
        fit = [len(r) > position and bool(_NUMBER.fullmatch(r[position])) for r in good]
        return sum(fit) / len(good)

    def written_as_coordinate(position: int) -> bool:
        return any(len(r) > position and _DECIMAL.fullmatch(r[position]) for r in good)

    if width >= 5 and min(share(2), share(3)) >= 0.6 and written_as_coordinate(2):
        code_like = share(1) < 0.6 or not written_as_coordinate(1)
        if code_like:
            return Layout(width, 0, 1, 2, 3, 4)
    if min(share(1), share(2)) >= 0.6 and written_as_coordinate(1):
        return Layout(width, 0, 4 if width > 4 else None, 1, 2, 3)
    return None


def judge(first: FloatArray, second: FloatArray) -> tuple[Order | None, BoolArray]:
    """(order of the rows, rows that contradict it); None where no row tells for sure.

    A row tells when one value is a full northing and the other an easting, or when one carries a
    zone number. Degrees and small numbers tell nothing: a site grid may hold 116 and 24 metres.
    """
    north1, east1, zoned1 = _kinds(first)
    north2, east2, zoned2 = _kinds(second)
    is_ne = (north1 & (east2 | zoned2)) | (zoned2 & (first < 6.0e6))
    is_en = (north2 & (east1 | zoned1)) | (zoned1 & (second < 6.0e6))
    ne, en = int(is_ne.sum()), int(is_en.sum())
    if ne == en:
        return None, np.zeros(len(first), dtype=bool)
    return (Order.NORTH_EAST, is_en) if ne > en else (Order.EAST_NORTH, is_ne)


def _kinds(values: FloatArray) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Full northings of China, plain eastings, and eastings with a zone number (13 to 45)."""
    north = (values >= 1.9e6) & (values <= 6.0e6)
    east = (values >= 1.2e5) & (values <= 8.8e5)
    zone = np.floor(values / 1e6)
    within = values - zone * 1e6
    zoned = (zone >= 13) & (zone <= 45) & (within >= 1e5) & (within <= 9e5)
    return north, east, zoned


@dataclass(frozen=True)
class SurveySource:
    """A headerless point file; all values stay text, the geometry is x = east, y = north."""

    path: Path
    options: ReadOptions
    encoding: str
    detected: str | None
    delimiter: str
    columns: Layout

    def _chunks(self) -> Iterator[tuple[IntArray, pa.Table, tuple[RowProblem, ...]]]:
        width = self.columns.width
        codec = "utf-8-sig" if self.encoding == "UTF-8" else self.encoding
        numbers_: list[int] = []
        records: list[list[str]] = []
        problems: list[RowProblem] = []

        def flush() -> tuple[IntArray, pa.Table, tuple[RowProblem, ...]]:
            values = zip(*records, strict=True)
            table = pa.table(
                {
                    title: pa.array(list(column), pa.string())
                    for title, column in zip(self.columns.titles, values, strict=True)
                }
            )
            return np.array(numbers_, dtype=np.int64), table, tuple(problems)

        try:
            with self.path.open(encoding=codec, newline="") as stream:
                for number, raw in enumerate(stream, start=1):
                    row = split(raw, self.delimiter)
                    if not any(row) or (len(row) == 1 and number == 1):
                        continue
                    if not width - 1 <= len(row) <= width:
                        reason = f"有 {len(row)} 列，应有 {width} 列"
                        english = f"{len(row)} values, {width} expected"
                        problems.append(RowProblem(number, None, f"{reason} {english}"))
                    numbers_.append(number)
                    records.append((row + [""] * width)[:width])
                    if len(records) >= self.options.batch_rows:
                        yield flush()
                        numbers_, records, problems = [], [], []
        except UnicodeDecodeError as error:
            raise ReadError(
                self.path,
                f"不是 {self.encoding} 文字。",
                f"not {self.encoding} text.",
            ) from error
        if records:
            yield flush()

    @cached_property
    def order(self) -> Order:
        """As the delivery names the columns, else as the numbers of the whole file show."""
        if self.options.x is not None and self.options.y is not None:
            stated = (self.options.x, self.options.y)
            known = {(FIRST, SECOND): Order.EAST_NORTH, (SECOND, FIRST): Order.NORTH_EAST}
            if stated not in known:
                raise ReadError(
                    self.path,
                    f"此文件没有标题，坐标列名为 {FIRST} 和 {SECOND}。",
                    f"the file has no titles; its coordinate columns are {FIRST} and {SECOND}.",
                )
            return known[stated]
        votes = {Order.EAST_NORTH: 0, Order.NORTH_EAST: 0}
        for rows, table, _ in self._chunks():
            first, _ = numbers(table.column(FIRST), rows, FIRST)
            second, _ = numbers(table.column(SECOND), rows, SECOND)
            found, against = judge(first, second)
            if found is not None:
                votes[found] += int(np.isfinite(first).sum()) - int(against.sum())
                other = next(order for order in Order if order is not found)
                votes[other] += int(against.sum())
        east, north = votes[Order.EAST_NORTH], votes[Order.NORTH_EAST]
        if max(east, north) < 2 * min(east, north) + 1:
            raise AmbiguousAxesError(
                self.path,
                "从数值分不出东坐标和北坐标（可能去掉了大数，或是独立坐标系；CASS .dat 东在前，"
                f"RTK 导出北在前）。请在交付文件写明 columns: {{east: {FIRST}, north: {SECOND}}}，"
                "或反过来。",
                "its numbers do not tell east from north (large numbers removed, or a local grid; "
                "CASS .dat has east first, RTK exports north first). State columns: "
                f"{{east: {FIRST}, north: {SECOND}}} in the delivery, or the other way round.",
            )
        return Order.EAST_NORTH if east > north else Order.NORTH_EAST

    @cached_property
    def info(self) -> SourceInfo:
        """One point layer; the note says in which order the file has its coordinates."""
        fields = tuple(FieldInfo(title, "String") for title in self.columns.titles)
        layer = LayerInfo(self.path.stem, "Point", fields, None, None, None)
        kind = "CASS .dat" if self.columns.code == 1 else "RTK"
        by = "交付文件 the delivery" if self.options.x else "数值 the numbers"
        note = f"{self.order.value}，依据：{by}"
        return SourceInfo(self.path, kind, (layer,), self.options.encoding, self.detected, (note,))

    @property
    def layer(self) -> LayerInfo:
        """The only layer."""
        return choose_layer(self.info, self.options.layer)

    def batches(self) -> Iterator[Batch]:
        """Points; a row whose numbers contradict the order of the file is a problem."""
        stated = self.options.x is not None
        swap = self.order is Order.NORTH_EAST
        for rows, table, torn in self._chunks():
            first, bad1 = numbers(table.column(FIRST), rows, FIRST)
            second, bad2 = numbers(table.column(SECOND), rows, SECOND)
            found, against = judge(first, second)
            if found is not None and found is not self.order:
                against = np.isfinite(first) & np.isfinite(second) & ~against
            if found is None or stated:
                against = np.zeros(len(rows), dtype=bool)
            x, y = (second, first) if swap else (first, second)
            good = np.isfinite(x) & np.isfinite(y) & ~against
            good &= ~np.isin(rows, [problem.row for problem in torn])
            shapes = np.full(len(rows), None, dtype=object)
            shapes[good] = shapely.points(x[good], y[good])
            if "高程" in table.column_names:
                z, _ = numbers(table.column("高程"), rows, "高程")
                solid = good & np.isfinite(z)
                shapes[solid] = shapely.points(x[solid], y[solid], z[solid])
            turned = tuple(
                RowProblem(
                    int(row),
                    None,
                    "此行东、北坐标与全文件相反 east and north are the other way round than in "
                    "the rest of the file",
                )
                for row in rows[against]
            )
            listed = {problem.row: problem for problem in (*bad1, *bad2, *turned, *torn)}
            yield Batch(rows, shapes, table, tuple(listed.values()))


def split(raw: str, delimiter: str) -> list[str]:
    """Stripped cells of one line; a blank delimiter splits at runs of white space."""
    text = raw.strip("\r\n\ufeff\x1a ")
    if not text:
        return []
    cells = text.split() if delimiter == " " else next(csv.reader([text], delimiter=delimiter))
    return [cell.strip() for cell in cells]


def recognise(path: Path, options: ReadOptions) -> SurveySource | None:
    """The file as a point file, None when its first lines are none; ReadError as in encoding."""
    with path.open("rb") as stream:
        sample = stream.read(SAMPLE_BYTES)
    if not sample.strip() or b"\x00" in sample[:4096]:
        return None
    encoding, detected = text_encoding(path, options.encoding)
    lines = sample.decode(encoding, errors="ignore").splitlines()[:400]
    if len(sample) == SAMPLE_BYTES:
        lines = lines[:-1]
    for delimiter in (",", "\t", ";", " "):
        try:
            found = layout([split(line, delimiter) for line in lines])
        except csv.Error:
            continue
        if found is not None:
            return SurveySource(path, options, encoding, detected, delimiter, found)
    return None


def _titled(path: Path) -> bool:
    """Whether the first line names columns: several cells and no number among them."""
    with path.open("rb") as stream:
        cells = re.split(rb"[,;\t]", stream.readline(10_000).strip())
    return len(cells) > 2 and not any(re.search(rb"[0-9\x00]", cell) for cell in cells)


def open_dat(path: Path, options: ReadOptions) -> SurveySource | TableSource:
    """Open a .dat; ReadError when it is no point file, AmbiguousAxesError when axes are unclear."""
    source = recognise(path, options)
    if source is None:
        if _titled(path):
            return open_table(path, options)
        raise ReadError(
            path,
            "不是测量点文件：每行应为 点号,编码,东,北,高程（CASS）或 点号,北,东,高程（RTK）。",
            "not a survey point file: each line should be point,code,east,north,height (CASS) or "
            "point,north,east,height (RTK).",
        )
    _ = source.info
    return source
