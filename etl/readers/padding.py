"""Zero-padding number formats of a workbook: what Excel shows as `007` is stored as 7.

Calamine reads values without their formats, so the cells under formats such as `000` are looked
up in the parts of the file; most workbooks have no such format and cost one small read.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from lxml import etree
from openpyxl.utils.cell import column_index_from_string

ZEROS = re.compile(r"0{2,}")
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_CELL = re.compile(r"([A-Z]{1,3})(\d+)")

Padding = Mapping[tuple[int, int], int]
"""(row, column), both 0-based: the number of digits shown."""


def padded_cells(path: Path, sheet: str) -> Padding:
    """Cells of a sheet of an .xlsx whose format pads with zeros; {} for other workbooks.

    Raises zipfile.BadZipFile, KeyError or lxml.etree.XMLSyntaxError for a damaged file.
    """
    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as archive:
        if "xl/styles.xml" not in archive.namelist():
            return {}
        widths = _widths(_parse(archive, "xl/styles.xml"))
        part = _part(archive, sheet) if widths else None
        if part is None:
            return {}
        with archive.open(part) as stream:
            return {
                (row, column): widths[style]
                for row, column, style in _styled(stream)
                if style in widths
            }


def _parse(archive: zipfile.ZipFile, part: str) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    return etree.fromstring(archive.read(part), parser)


def _widths(styles: Any) -> dict[str, int]:
    """Digits shown by cell style (index in cellXfs, as text); ECMA-376-1, 18.8.10 and 18.8.30."""
    formats = {
        entry.get("numFmtId"): len(entry.get("formatCode"))
        for entry in styles.iterfind("{*}numFmts/{*}numFmt")
        if ZEROS.fullmatch(entry.get("formatCode", ""))
    }
    return {
        str(index): formats[entry.get("numFmtId")]
        for index, entry in enumerate(styles.iterfind("{*}cellXfs/{*}xf"))
        if entry.get("numFmtId") in formats
    }


def _part(archive: zipfile.ZipFile, sheet: str) -> str | None:
    """The part of the package that holds a sheet."""
    book = _parse(archive, "xl/workbook.xml")
    ident = next(
        (e.get(_RELATION) for e in book.iterfind("{*}sheets/{*}sheet") if e.get("name") == sheet),
        None,
    )
    for entry in _parse(archive, "xl/_rels/workbook.xml.rels"):
        if entry.get("Id") == ident:
            target: str = entry.get("Target")
            return target.lstrip("/") if target.startswith("/") else posixpath.join("xl", target)
    return None


def _styled(stream: IO[bytes]) -> Iterator[tuple[int, int, str]]:
    """Row, column (0-based) and style of every cell; both references may be left out."""
    row = -1
    events = etree.iterparse(
        stream, tag="{*}row", resolve_entities=False, no_network=True, load_dtd=False
    )
    for _, element in events:
        row = int(element.get("r")) - 1 if element.get("r") else row + 1
        column = -1
        for cell in element:
            named = _CELL.fullmatch(cell.get("r", ""))
            column = column_index_from_string(named[1]) - 1 if named else column + 1
            yield row, column, cell.get("s", "0")
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]
