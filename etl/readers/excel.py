"""Excel tables as survey firms make them.

A merged title row, the header in row 2 or in rows 2 and 3, one sheet a theme, and footers
(制表人, 检查者, 日期). Cells that Excel stores as text stay exactly that text (`001`, `12E3`); a
number under a zero-padding format such as `000` is shown as Excel shows it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from etl.readers.columns import CoordinateColumns, points
from etl.readers.model import (
    Batch,
    FieldInfo,
    LayerInfo,
    ReadError,
    ReadOptions,
    SourceInfo,
    choose_layer,
)
from etl.readers.table import coordinate_columns, unique_titles
from etl.readers.workbook import Row, Workbook, open_workbook

_FOOTER = re.compile(
    r"\s*(制表|制图|检查|审核|复核|校对|填表|填报|测量|探测|绘图|编制|日期|合计|小计|说明|备注\s*[:：])"
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet with its header found: `first` is the 1-based row of the first record."""

    name: str
    titles: tuple[str, ...]
    first: int
    columns: CoordinateColumns | None
    notes: tuple[str, ...]


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _find_header(rows: list[Row]) -> tuple[list[str], int] | None:
    """Titles and the row number of the first record, or None for a sheet without a table.

    The header is the first row that fills at least half of the widest row, mostly with text (a
    year may be a title). The row below belongs to it when it is text only and starts under an
    empty or merged cell.
    """
    widest = max((sum(1 for c in row if c) for _, row in rows), default=0)
    for position, (number, row) in enumerate(rows):
        filled = [cell for cell in row if cell]
        if len(filled) < max(2, widest / 2) or sum(map(_numeric, filled)) * 3 > len(filled):
            continue
        if position + 1 >= len(rows):
            return row, number + 1
        below = rows[position + 1][1]
        under = [cell for cell in below if cell]
        second = (
            bool(under)
            and not any(_numeric(cell) for cell in under)
            and len(under) < len(row)
            and (not below[0] or below[0] == row[0])
            and any(low and not top for top, low in zip(row, below, strict=False))
        )
        if not second:
            return row, number + 1
        return _join(row, below), rows[position + 1][0] + 1
    return None


def _join(top: list[str], low: list[str]) -> list[str]:
    """Two header rows as one: the lower title, with its group where it would be ambiguous."""
    width = max(len(top), len(low))
    top, low = top + [""] * (width - len(top)), low + [""] * (width - len(low))
    groups: list[str] = []
    for head, title in zip(top, low, strict=True):
        carried = groups[-1] if groups and title and not head else ""
        groups.append(head or carried)
    repeated = {title for title in low if title and low.count(title) > 1}
    return [
        f"{group}/{title}" if title in repeated and group else (title or group)
        for group, title in zip(groups, low, strict=True)
    ]


@dataclass(frozen=True)
class ExcelSource:
    """The tables of a workbook."""

    path: Path
    options: ReadOptions
    book: Workbook

    @cached_property
    def sheets(self) -> tuple[Sheet, ...]:
        """Sheets that hold a table."""
        found = tuple(s for s in map(self._sheet, self.book.names) if s is not None)
        if not found:
            raise ReadError(self.path, "没有找到带标题行的表。", "no sheet has a header row.")
        return found

    def _sheet(self, name: str) -> Sheet | None:
        """A sheet with its header; None without a table."""
        header = _find_header(self.book.head(name))
        if header is None:
            return None
        raw = header[0]
        while raw and not raw[-1]:
            raw = raw[:-1]
        titles = unique_titles(raw)
        stated = self.options if self.options.layer in (None, name) else ReadOptions()
        columns, notes = coordinate_columns(self.path, titles, stated)
        return Sheet(name, titles, header[1], columns, notes)

    @cached_property
    def info(self) -> SourceInfo:
        """Sheets as layers."""
        layers = tuple(
            LayerInfo(
                name=sheet.name,
                geometry_type="Point" if sheet.columns else None,
                fields=tuple(FieldInfo(title, "String") for title in sheet.titles),
                declared_crs=None,
                feature_count=None,
                extent=None,
            )
            for sheet in self.sheets
        )
        notes = tuple(
            f"{sheet.name}: {note}"
            for sheet in self.sheets
            if self.options.layer in (None, sheet.name)
            for note in sheet.notes
        )
        return SourceInfo(self.path, self.book.driver, layers, None, None, notes)

    @property
    def layer(self) -> LayerInfo:
        """The chosen sheet."""
        return choose_layer(self.info, self.options.layer)

    def batches(self) -> Iterator[Batch]:
        """Stream the records of the sheet; blank rows and footers are no records."""
        name = self.layer.name
        sheet = next(s for s in self.sheets if s.name == name)
        records = self._records(self.book.rows(name), sheet)
        while chunk := list(itertools.islice(records, self.options.batch_rows)):
            yield self._batch(chunk, sheet)

    def _records(self, rows: Iterator[Row], sheet: Sheet) -> Iterator[Row]:
        width = len(sheet.titles)
        for number, cells in rows:
            filled = [cell for cell in cells[:width] if cell]
            if number < sheet.first or not filled:
                continue
            if _FOOTER.match(filled[0]) and len(filled) <= max(1, width // 2):
                continue
            yield number, (cells + [""] * width)[:width]

    def _batch(self, chunk: list[Row], sheet: Sheet) -> Batch:
        rows = np.array([number for number, _ in chunk], dtype=np.int64)
        columns = zip(*(cells for _, cells in chunk), strict=True)
        values = dict(zip(sheet.titles, columns, strict=True))
        table = pa.table({title: pa.array(list(v), pa.string()) for title, v in values.items()})
        if sheet.columns is None:
            return Batch(rows, np.full(len(rows), None, dtype=object), table)
        shapes, problems = points(sheet.columns, table, rows)
        return Batch(rows, shapes, table, problems)


def open_excel(path: Path, options: ReadOptions) -> ExcelSource:
    """Find the tables of a workbook; ReadError when it holds none or is none."""
    opened = {} if options.workbooks is None else options.workbooks
    if path not in opened:
        opened[path] = open_workbook(path)
    source = ExcelSource(path, options, opened[path])
    _ = source.info
    return source
