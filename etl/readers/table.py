"""CSV and other delimited text: every value stays text, coordinates become points."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TextIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl.readers import blocks
from etl.readers.columns import CoordinateColumns, guess_columns, positions
from etl.readers.encoding import SAMPLE_BYTES, misread, text_encoding
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

_BREAK = re.compile(r"\r\n|\r|\n")
_DELIMITERS = (",", "\t", ";", "|")
csv.field_size_limit(16_000_000)


def coordinate_columns(
    path: Path, titles: tuple[str, ...], options: ReadOptions
) -> tuple[CoordinateColumns | None, tuple[str, ...]]:
    """Columns as stated, else as titled (with a note); ReadError when a stated one is missing."""
    stated = [name for name in (options.x, options.y, options.z) if name is not None]
    missing = [name for name in stated if name not in titles]
    if missing:
        listed = ", ".join(titles)
        raise ReadError(
            path,
            f"没有列 {'、'.join(missing)}；有：{listed}。",
            f"no column {', '.join(missing)}; it has: {listed}.",
        )
    if options.x is not None and options.y is not None:
        return CoordinateColumns(options.x, options.y, options.z), ()
    found = guess_columns(titles)
    if found is None:
        return None, ("没有坐标列 no coordinate columns found by title",)
    return found, (
        f"按标题取坐标列：东/经={found.x}，北/纬={found.y}"
        f" coordinate columns by title: x={found.x}, y={found.y}",
    )


@dataclass(frozen=True)
class TableSource:
    """A delimited text file with one header line."""

    path: Path
    options: ReadOptions
    encoding: str
    detected: str | None
    delimiter: str
    titles: tuple[str, ...]
    columns: CoordinateColumns | None
    notes: tuple[str, ...]

    @cached_property
    def info(self) -> SourceInfo:
        """One layer named after the file; the count is not known before reading."""
        layer = LayerInfo(
            name=self.path.stem,
            geometry_type="Point" if self.columns else None,
            fields=tuple(FieldInfo(title, "String") for title in self.titles),
            declared_crs=None,
            feature_count=None,
            extent=None,
        )
        return SourceInfo(
            self.path, "CSV", (layer,), self.options.encoding, self.detected, self.notes
        )

    @property
    def layer(self) -> LayerInfo:
        """The only layer."""
        return choose_layer(self.info, self.options.layer)

    def batches(self) -> Iterator[Batch]:
        """Stream rows; a row number is the line where the record ends."""
        return blocks.ahead(self._batches())

    def _batches(self) -> Iterator[Batch]:
        try:
            with self.path.open(encoding=_python_codec(self.encoding), newline="") as stream:
                header = csv.reader(stream, delimiter=self.delimiter)
                next(header, None)
                yield from self._blocks(stream, header.line_num)
        except UnicodeDecodeError as error:
            if self.options.encoding is not None:
                raise misread(self.path, self.options.encoding) from error
            raise ReadError(
                self.path,
                f"第 {error.start} 字节起不是 {self.encoding} 文字。",
                f"not {self.encoding} text from byte {error.start} of a block on.",
            ) from error
        except csv.Error as error:
            raise ReadError(
                self.path, "不是有效的 CSV。", f"not a valid delimited text ({error})."
            ) from error

    def _blocks(self, stream: TextIO, before: int) -> Iterator[Batch]:
        """Whole blocks by Arrow; from the first block on that it cannot take, record by record."""
        for text in blocks.whole_lines(stream):
            table = blocks.parse(text, self.titles, self.delimiter)
            if table is None:
                lines = itertools.chain(io.StringIO(text, newline=""), stream)
                yield from self._records(lines, before)
                return
            rows = np.arange(before + 1, before + 1 + table.num_rows, dtype=np.int64)
            before += table.num_rows
            filled = blocks.filled(table)
            if not filled.all():
                table, rows = table.filter(pa.array(filled)), rows[filled]
            size = self.options.batch_rows
            for start in range(0, table.num_rows, size):
                part = table.slice(start, size).combine_chunks()
                yield self._located(rows[start : start + size], part, [])

    def _records(self, lines: Iterable[str], before: int) -> Iterator[Batch]:
        reader = csv.reader(lines, delimiter=self.delimiter)
        start = before
        while chunk := list(itertools.islice(reader, self.options.batch_rows)):
            numbers = _line_numbers(chunk, before, start + reader.line_num)
            before = start + reader.line_num
            kept = [(n, row) for n, row in zip(numbers, chunk, strict=True) if any(row)]
            if kept:
                yield self._batch(kept)

    def _batch(self, chunk: list[tuple[int, list[str]]]) -> Batch:
        rows = np.array([number for number, _ in chunk], dtype=np.int64)
        records = [row for _, row in chunk]
        width = len(self.titles)
        problems: list[RowProblem] = []
        for i, length in enumerate(map(len, records)):
            if length != width:
                reason = (
                    f"有 {length} 列，标题有 {width} 列 {length} values, the header has {width}"
                )
                problems.append(RowProblem(int(rows[i]), None, reason))
                records[i] = (records[i] + [""] * width)[:width]
        values = dict(zip(self.titles, zip(*records, strict=True), strict=True))
        table = pa.table({name: pa.array(column, pa.string()) for name, column in values.items()})
        return self._located(rows, table, problems)

    def _located(
        self, rows: NDArray[np.int64], table: pa.Table, problems: list[RowProblem]
    ) -> Batch:
        if self.columns is None:
            return Batch(rows, None, table, tuple(problems))
        places, bad = positions(self.columns, table, rows)
        torn = {problem.row for problem in problems}
        if torn:
            lost = np.isin(rows, list(torn))
            places.x[lost] = places.y[lost] = np.nan
            bad = tuple(problem for problem in bad if problem.row not in torn)
        return Batch(rows, None, table, (*problems, *bad), places)


def _line_numbers(chunk: list[list[str]], before: int, after: int) -> Iterable[int]:
    """Line on which each record ends; records over several lines are counted by their breaks."""
    if after - before == len(chunk):
        return range(before + 1, after + 1)
    breaks = (1 + sum(len(_BREAK.findall(cell)) for cell in row) for row in chunk)
    return itertools.islice(itertools.accumulate(breaks, initial=before), 1, None)


def _python_codec(encoding: str) -> str:
    return "utf-8-sig" if encoding == "UTF-8" else encoding


def unique_titles(titles: list[str]) -> tuple[str, ...]:
    """Stripped titles; an empty one becomes column_3, a repeated one gets its number."""
    seen: dict[str, int] = {}
    out = []
    for position, raw in enumerate(titles, start=1):
        title = " ".join(raw.split()) or f"column_{position}"
        seen[title] = seen.get(title, 0) + 1
        out.append(title if seen[title] == 1 else f"{title}_{seen[title]}")
    return tuple(out)


def open_table(path: Path, options: ReadOptions) -> TableSource:
    """Detect encoding and delimiter, read the header; ReadError for what is no table."""
    with path.open("rb") as stream:
        sample = stream.read(SAMPLE_BYTES)
    if not sample.strip():
        raise ReadError(path, "文件是空的。", "the file is empty.")
    if b"\x00" in sample[:4096]:
        raise ReadError(path, "不是文本文件。", "not a text file (it holds zero bytes).")
    encoding, detected = text_encoding(path, options.encoding, streamed=True)
    first = sample.decode(encoding, errors="ignore").lstrip("\ufeff").splitlines()[0]
    delimiter = max(_DELIMITERS, key=first.count)
    titles = unique_titles(next(csv.reader([first], delimiter=delimiter)))
    columns, notes = coordinate_columns(path, titles, options)
    return TableSource(path, options, encoding, detected, delimiter, titles, columns, notes)
