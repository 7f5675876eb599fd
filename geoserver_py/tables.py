"""Tables of addresses as people keep them: CSV and Excel in, the same with more columns out."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import ParseError

CSV_TYPE = "text/csv"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ADDRESS_COLUMNS = (
    "address", "地址", "详细地址", "标准地址", "地址全称", "门牌地址", "住址", "full_address", "q",
)  # fmt: skip
"""Headings that an address column has where none is named, first found."""

_ENCODINGS = ("utf-8-sig", "gb18030")
_BOM = "\ufeff"
"""Excel on a Chinese Windows takes a CSV file without it for GBK."""
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_MOST_UNPACKED = 400 * 1024 * 1024


class TableError(ValueError):
    """A table that cannot be used; the sentence, zh then en, says what would do."""


@dataclass(frozen=True)
class Table:
    """A heading and rows of as many cells."""

    heading: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def column(self, wanted: str | None) -> int:
        """Return the place of the address column, by name or by a usual heading; TableError."""
        for name in ADDRESS_COLUMNS if wanted is None else (wanted,):
            if name in self.heading:
                return self.heading.index(name)
        known = "、".join(self.heading)[:300]
        raise TableError(
            f"没有地址列{'' if wanted is None else f' {wanted}'}，请以 column 指明。"
            f" No such column of addresses; name it: {known}"
        )


def read_csv(content: bytes) -> Table:
    """Return the table of a CSV file in UTF-8 or GB18030, its first row the heading; TableError."""
    for encoding in _ENCODINGS:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        try:
            return _table(csv.reader(io.StringIO(text, newline=""), strict=True))
        except csv.Error as wrong:
            raise TableError(f"CSV 格式有误：{wrong}。 Not well-formed CSV.") from wrong
    raise TableError("编码既非 UTF-8 也非 GB18030。 Neither encoding fits.")


def read_xlsx(content: bytes) -> Table:
    """Return the table of the first sheet of a workbook; TableError."""
    import openpyxl  # 25 MB: only for those who send a workbook
    from openpyxl.utils.exceptions import InvalidFileException

    wrong = TableError("不是可读的 xlsx 工作簿。 Not a readable xlsx workbook.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if sum(part.file_size for part in packed.infolist()) > _MOST_UNPACKED:
                raise TableError("工作簿解压后过大。 The workbook is too large once unpacked.")
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        return _table(sheet.iter_rows(values_only=True))
    except (
        zipfile.BadZipFile, InvalidFileException, KeyError, IndexError, ParseError, ValueError,
        TypeError, AttributeError, OSError,
    ) as broken:  # fmt: skip
        if isinstance(broken, TableError):
            raise
        raise wrong from broken


def _table(rows: Iterable[Sequence[Any]]) -> Table:
    reading = iter(rows)
    heading = tuple("" if cell is None else str(cell).strip() for cell in next(reading, ()))
    if not any(heading):
        raise TableError("表是空的：第一行须为列名。 Empty: the first row must name the columns.")
    width = len(heading)
    body = []
    for row in reading:
        cells = (*row[:width], *("",) * (width - len(row)))
        if any(cell not in (None, "") for cell in cells):
            body.append(cells)
    return Table(heading, tuple(body))


def csv_lines(rows: Iterable[Sequence[Any]], *, first: bool) -> bytes:
    """Return rows as CSV in UTF-8; the first ones with the mark that Excel wants."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return ((_BOM if first else "") + text.getvalue()).encode()


def xlsx_bytes(rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows as a workbook of one sheet."""
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("匹配结果")
    for row in rows:
        sheet.append([_cell(sheet, value) for value in row])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def _cell(sheet: Any, value: Any) -> Any:
    """Control characters are no XML; a text that begins like a formula stays a text."""
    if not isinstance(value, str):
        return value
    from openpyxl.cell import WriteOnlyCell

    cell = WriteOnlyCell(sheet, _NO_XML.sub("", value))
    cell.data_type = "s"
    return cell


def pieces(table: Table, size: int) -> Iterator[tuple[tuple[Any, ...], ...]]:
    """The rows in groups of at most `size`."""
    for start in range(0, len(table.rows), size):
        yield table.rows[start : start + size]
