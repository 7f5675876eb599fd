"""Cells of a workbook as the person who typed them sees them, as text.

.xlsx is read by calamine (Rust): 20 times faster than openpyxl. .xls goes through xlrd, which
alone knows the number formats of that format: an id shown as `012` would come as `12`.
"""

from __future__ import annotations

import datetime as dt
import itertools
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import python_calamine as calamine
import xlrd
from lxml import etree
from xlrd.compdoc import CompDocError

from etl.readers.model import ReadError
from etl.readers.padding import ZEROS, Padding, padded_cells

# xlrd takes a damaged record at its word: any of these may come of it
_DAMAGED_XLS = (
    xlrd.XLRDError, CompDocError, AssertionError, LookupError, ValueError, TypeError,
    AttributeError, ArithmeticError, struct.error, MemoryError, RecursionError, OSError,
)  # fmt: skip

Row = tuple[int, list[str]]
"""1-based number in the sheet, and the cells from column A on."""


HEAD_ROWS = 12
"""So many rows of a sheet are enough to find its header."""


class Workbook(Protocol):
    """An opened workbook; `rows` may be called again for any sheet."""

    @property
    def driver(self) -> str:
        """XLSX or XLS."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sheets, in order."""

    def rows(self, sheet: str) -> Iterator[Row]:
        """All rows, blank ones too."""

    def head(self, sheet: str) -> list[Row]:
        """The first HEAD_ROWS rows; read once."""


def cell_text(value: Any, width: int = 0) -> str:
    """A cell as shown, whole numbers with at least `width` digits; "" for an empty one."""
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        if float(value).is_integer() and abs(value) < 1e15:
            return str(int(value)).zfill(width)
        return repr(float(value))
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value).strip()


@dataclass
class _Xlsx:
    path: Path
    book: calamine.CalamineWorkbook
    driver: str = "XLSX"
    last: tuple[str, calamine.CalamineSheet, Padding] | None = field(default=None, repr=False)
    """The sheet looked at last: its header is found before its rows are read."""
    heads: dict[str, list[Row]] = field(default_factory=dict, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        kinds = self.book.sheets_metadata
        return tuple(s.name for s in kinds if s.typ == calamine.SheetTypeEnum.WorkSheet)

    def head(self, sheet: str) -> list[Row]:
        if sheet not in self.heads:
            self.heads[sheet] = list(itertools.islice(self.rows(sheet), HEAD_ROWS))
        return self.heads[sheet]

    def rows(self, sheet: str) -> Iterator[Row]:
        if self.last is None or self.last[0] != sheet:
            try:
                found = self.book.get_sheet_by_name(sheet)
                self.last = (sheet, found, padded_cells(self.path, sheet))
            except _DAMAGED as error:
                raise _unreadable(self.path, error) from error
        _, found, padding = self.last
        # calamine leaves the empty columns before the first used one out, but not the rows
        before = [""] * (found.start[1] if found.start is not None else 0)
        for number, row in enumerate(found.iter_rows()):
            cells = before + [cell_text(value) for value in row]
            if padding:
                for column, value in enumerate(row, len(before)):
                    if width := padding.get((number, column)):
                        cells[column] = cell_text(value, width)
            yield number + 1, cells


@dataclass(frozen=True)
class _Xls:
    path: Path
    book: Any
    driver: str = "XLS"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.book.sheet_names())

    def head(self, sheet: str) -> list[Row]:
        return list(itertools.islice(self.rows(sheet), HEAD_ROWS))

    def rows(self, sheet: str) -> Iterator[Row]:
        found = self.book.sheet_by_name(sheet)
        for number in range(found.nrows):
            try:
                cells = [self._cell(cell) for cell in found.row(number)]
            except _DAMAGED_XLS as error:
                raise _unreadable(self.path, error) from error
            yield number + 1, cells

    def _cell(self, cell: Any) -> str:
        value = cell.value
        if cell.ctype == xlrd.XL_CELL_DATE:
            value = xlrd.xldate_as_datetime(cell.value, self.book.datemode)
        elif cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK, xlrd.XL_CELL_ERROR):
            value = None
        elif cell.ctype == xlrd.XL_CELL_BOOLEAN:
            value = bool(cell.value)
        shape = self.book.format_map.get(self.book.xf_list[cell.xf_index].format_key)
        layout = shape.format_str if shape is not None else ""
        return cell_text(value, len(layout) if ZEROS.fullmatch(layout) else 0)


_DAMAGED = (
    calamine.CalamineError, zipfile.BadZipFile, etree.XMLSyntaxError, NotImplementedError, EOFError,
    KeyError, OSError, ValueError, zlib.error,
)  # fmt: skip


def open_workbook(path: Path) -> Workbook:
    """Open an .xlsx or .xls; ReadError when it is damaged, encrypted or something else."""
    try:
        if path.suffix.lower() == ".xls":
            return _Xls(path, xlrd.open_workbook(str(path), formatting_info=True))
        return _Xlsx(path, calamine.CalamineWorkbook.from_path(path))
    except (*_DAMAGED, *_DAMAGED_XLS) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ReadError:
    return ReadError(
        path,
        "无法作为 Excel 读取，文件损坏、加密或不是 Excel。",
        f"cannot be read as Excel: damaged, encrypted or something else ({error}).",
    )
