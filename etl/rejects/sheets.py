"""Some rows of a workbook's sheets, below the same title rows and header, in one .xlsx.

A point table that lines are joined from is copied whole: without it no line has a position.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from etl.readers.excel import ExcelSource
from etl.rejects.model import MARKS, Marks, RejectsError

_HEAD = Font(bold=True, color="B3261E")
_FILL = PatternFill("solid", fgColor="FDF1F0")
_WIDTHS = (8, 24, 60)

Row = tuple[int, list[tuple[Any, str]]]
"""Number in the sheet, and (value, number format) of its cells."""


def write_workbook(
    source: ExcelSource, target: Path, marks: Mapping[str, Marks], whole: Iterable[str]
) -> None:
    """Write the marked rows of each sheet in `marks`, and all rows of the sheets in `whole`.

    Cells keep their values, types and number formats (`001` stays `001`); those of an .xls come
    as the text that Excel shows.
    """
    book = openpyxl.Workbook()
    if book.active is not None:
        book.remove(book.active)
    original = None
    if source.path.suffix.lower() == ".xlsx":
        original = openpyxl.load_workbook(source.path, data_only=True)
    for name in dict.fromkeys([*marks, *whole]):
        sheet = book.create_sheet(name)
        found = next((one for one in source.sheets if one.name == name), None)
        if found is None:
            raise RejectsError(f"{source.path.name}: 没有工作表 (no sheet) {name}")
        rows = _styled(original[name]) if original is not None else _shown(source, name)
        # the marks stand beside the columns that the reader knows, over the last header row
        _fill(sheet, rows, marks.get(name), found.first, len(found.titles))
        if original is not None:
            _copy_layout(original[name], sheet, found.first)
    book.save(target)


def _styled(sheet: Worksheet) -> Iterator[Row]:
    for number, row in enumerate(sheet.iter_rows(), start=1):
        yield number, [(cell.value, cell.number_format) for cell in row]


def _shown(source: ExcelSource, name: str) -> Iterator[Row]:
    for number, row in source.book.rows(name):
        yield number, [(text or None, "@") for text in row]


def _fill(
    sheet: Worksheet, rows: Iterable[Row], marks: Marks | None, first: int, width: int
) -> None:
    at = 0
    dropped: set[int] = set()
    for number, cells in rows:
        if number >= first and marks is not None and number not in marks:
            continue
        at += 1
        if number == first - 1 and marks is not None:
            dropped = {i for i, (value, _) in enumerate(cells) if value in MARKS}
        kept = [cell for i, cell in enumerate(cells[:width]) if i not in dropped]
        for column, (value, layout) in enumerate(kept, start=1):
            if value is not None:
                sheet.cell(at, column, value).number_format = layout
        if marks is None:
            continue
        beside = width - len(dropped) + 1
        if number == first - 1:
            for i, title in enumerate(MARKS):
                sheet.cell(at, beside + i, title).font = _HEAD
        elif number >= first:
            for i, text in enumerate(marks[number].cells):
                cell = sheet.cell(at, beside + i, int(text) if i == 0 else text)
                cell.fill = _FILL
                cell.alignment = Alignment(wrap_text=True, vertical="top")
    if marks is not None:
        for i, size in enumerate(_WIDTHS):
            letter = get_column_letter(width - len(dropped) + 1 + i)
            sheet.column_dimensions[letter].width = size


def _copy_layout(before: Worksheet, after: Worksheet, first: int) -> None:
    """Column widths, and the merged cells and fonts of the title rows."""
    for letter, dimension in before.column_dimensions.items():
        if letter not in after.column_dimensions and dimension.width:
            after.column_dimensions[letter].width = dimension.width
    for area in before.merged_cells.ranges:
        if area.max_row < first - 1:
            after.merge_cells(area.coord)
    for row in before.iter_rows(max_row=first - 1):
        for cell in row:
            beside = after.cell(cell.row, cell.column) if cell.row and cell.column else None
            if beside is not None and cell.has_style and beside.value == cell.value:
                for style in ("font", "alignment"):
                    setattr(beside, style, copy(getattr(cell, style)))
