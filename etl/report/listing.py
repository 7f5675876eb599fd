"""The list that a survey firm works through: an Excel row a finding, with clause and mending."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE, WriteOnlyCell
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from etl.checks.rules import RULES
from etl.datum import DatumChain
from etl.report.findings import StoredFinding
from etl.report.words import SEVERITIES

MOST_ROWS = 1_000_000
"""A sheet of Excel holds 1 048 576 rows."""

_TITLES = (
    ("序号", 7), ("表（文件）", 28), ("行号", 9), ("点号、标识码", 22), ("规则", 22), ("级别", 7),
    ("依据", 26), ("原因", 52), ("怎样改", 42), ("X（北）", 15), ("Y（东）", 15),
)  # fmt: skip
_NUMBERS = {9: "0.000", 10: "0.000"}
_LINE = Side(style="thin", color="D0D7DE")
_BORDER = Border(bottom=_LINE)
_HEAD, _HEAD_FILL = Font(bold=True), PatternFill("solid", fgColor="EEF4F3")
_GRAVE, _MILD = Font(color="B3261E", bold=True), Font(color="8A5A00")


def write_list(
    report: Mapping[str, Any],
    findings: Iterable[StoredFinding],
    target: Path,
    plane: DatumChain | None,
) -> int:
    """Write the findings of a run as .xlsx and return how many were listed.

    Positions are in the grid of `plane` (from CGCS2000 degrees), X = north, Y = east; without a
    grid they are left out. The second sheet counts by rule.
    """
    book = openpyxl.Workbook(write_only=True)
    book.properties.creator = "geoserver_py"
    sheet = book.create_sheet("问题清单")
    sheet.freeze_panes = "A3"
    for at, (_, width) in enumerate(_TITLES):
        sheet.column_dimensions[_letter(at)].width = width
    grid = "—" if plane is None else plane.target.name
    sheet.append(
        [
            _cell(
                sheet,
                f"{report['layer_title']} · {report['bureau']} · 交付 {report['delivery']} · "
                f"批次 {report['run']} · 坐标 {grid}",
                font=Font(bold=True, size=13),
            )
        ]
    )
    sheet.append([_cell(sheet, title, font=_HEAD, fill=_HEAD_FILL) for title, _ in _TITLES])
    counted: Counter[tuple[str, str]] = Counter()
    listed = 0
    for finding in findings:
        counted[finding.rule, finding.severity] += 1
        if listed < MOST_ROWS:
            listed += 1
            sheet.append(_row(sheet, listed, finding, plane))
    sheet.auto_filter.ref = f"A2:{_letter(len(_TITLES) - 1)}{listed + 2}"
    _summary(book, counted)
    book.save(target)
    return listed


def _letter(at: int) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[at]


def _row(
    sheet: WriteOnlyWorksheet, number: int, finding: StoredFinding, plane: DatumChain | None
) -> list[Any]:
    spec = RULES.get(finding.rule)
    east = north = None
    if plane is not None and finding.lon is not None and finding.lat is not None:
        east, north = (round(v, 4) for v in plane.point(finding.lon, finding.lat))
        if north != north:  # a place that the grid cannot hold
            east = north = None
    values = (
        number,
        finding.file,
        finding.row,
        finding.id,
        spec.title if spec is not None else finding.rule,
        SEVERITIES.get(finding.severity, finding.severity),
        spec.clause if spec is not None else "",
        finding.reason,
        spec.mend if spec is not None else "",
        north,
        east,
    )
    cells = [_cell(sheet, value, border=_BORDER) for value in values]
    cells[5].font = _MILD if finding.severity == "warn" else _GRAVE
    for at, layout in _NUMBERS.items():
        cells[at].number_format = layout
    for at in (7, 8):
        cells[at].alignment = Alignment(wrap_text=True, vertical="top")
    return cells


def _cell(sheet: WriteOnlyWorksheet, value: Any, **styles: Any) -> Any:
    if isinstance(value, str):
        value = ILLEGAL_CHARACTERS_RE.sub("", value)
    cell = WriteOnlyCell(sheet, value)
    if isinstance(value, str):
        cell.data_type = "s"  # what a bureau typed is never a formula
    for name, style in styles.items():
        setattr(cell, name, style)
    return cell


def _summary(book: openpyxl.Workbook, counted: Mapping[tuple[str, str], int]) -> None:
    sheet = book.create_sheet("按规则")
    widths = (30, 9, 9, 34, 60)
    for at, width in enumerate(widths):
        sheet.column_dimensions[_letter(at)].width = width
    titles = ("规则", "级别", "条数", "依据", "怎样改")
    sheet.append([_cell(sheet, title, font=_HEAD, fill=_HEAD_FILL) for title in titles])
    for (rule, severity), count in sorted(counted.items(), key=lambda item: -item[1]):
        spec = RULES.get(rule)
        sheet.append(
            [
                _cell(sheet, value)
                for value in (
                    spec.title if spec is not None else rule,
                    SEVERITIES.get(severity, severity),
                    count,
                    spec.clause if spec is not None else "",
                    spec.mend if spec is not None else "",
                )
            ]
        )
