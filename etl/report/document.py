"""The report of a run as .docx, in the fonts of Chinese office papers."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import docx
from docx.document import Document
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml.ns import qn
from docx.shared import Cm, Pt, RGBColor
from docx.table import _Cell

from etl.checks.rules import RULES
from etl.report.model import Status
from etl.report.picture import png
from etl.report.sketch import Lines, sketch
from etl.report.words import (
    COUNTS,
    SEVERITIES,
    coordsys_words,
    measured,
    metres,
    moment,
    verdict_words,
)

_BODY, _HEADING, _LATIN = "宋体", "黑体", "Times New Roman"
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
ROWS = 100
"""Rows at fault that the document shows; the Excel list has all."""


def write_document(report: Mapping[str, Any], target: Path, backdrop: Lines = ()) -> None:
    """Write the report: outcome, counts, files with the datum verdict, rules, picture, rows."""
    document = docx.Document()
    _styles(document)
    page = document.sections[0]
    page.page_width, page.page_height = Cm(21), Cm(29.7)
    page.left_margin = page.right_margin = Cm(2.2)
    page.top_margin = page.bottom_margin = Cm(2.2)
    document.core_properties.title = f"{report['layer_title']} 交付报告"
    document.core_properties.author = "geoserver_py"
    title = document.add_heading(f"{report['layer_title']} 交付检查报告", 0)
    title.alignment = WD_ALIGN_PARAGRAPH.CENTER
    _facts(document, report)
    document.add_heading("一、数量", 1)
    counts = report["counts"]
    _table(document, [list(COUNTS.values()), [str(counts.get(key, 0)) for key in COUNTS]])
    document.add_heading("二、坐标系与基准判定", 1)
    _files(document, report)
    for sentence in measured(report):
        _say(document, sentence)
    rules = sorted(report["rules"].items(), key=lambda item: -item[1])
    if rules:
        document.add_heading("三、按规则", 1)
        _table(document, [("规则", "行", "依据", "怎样改"), *map(_rule, rules)], (4, 1.5, 4.3, 6.8))
    picture = sketch(report, backdrop)
    if picture is not None:
        document.add_heading("四、位置", 1)
        document.add_picture(io.BytesIO(png(picture)), width=Cm(16.2))
        document.paragraphs[-1].alignment = WD_ALIGN_PARAGRAPH.CENTER
        _say(document, "蓝色为城市范围；三角形为图外的位置，注到图边的距离。", small=True)
    if report["sample"]:
        document.add_heading("五、有问题的行", 1)
        shown = report["sample"][:ROWS]
        rows = [
            (row["file"] or "", "" if row["row"] is None else str(row["row"]), row["id"] or "",
             SEVERITIES.get(row["severity"], row["severity"]), row["reason"])
            for row in shown
        ]  # fmt: skip
        _table(
            document,
            [("文件", "行", "标识码", "级别", "原因"), *rows],
            (3.4, 1.4, 3.6, 1.3, 6.9),
        )
        _say(document, f"以上为前 {len(shown)} 条，全部见 Excel 问题清单。", small=True)
    document.save(str(target))


def _styles(document: Document) -> None:
    """Word picks a font for Chinese by eastAsia alone; without it the default is MS Gothic."""
    for name, chinese in (("Normal", _BODY), *((f"Heading {n}", _HEADING) for n in (1, 2)),
                          ("Title", _HEADING)):  # fmt: skip
        style = document.styles[name]
        font = style.font
        font.name = _LATIN
        fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
        for theme in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
            fonts.attrib.pop(qn(f"w:{theme}"), None)
        fonts.set(qn("w:eastAsia"), chinese)
        if name != "Normal":
            font.color.rgb = RGBColor(0x1D, 0x2B, 0x33)
    document.styles["Normal"].font.size = Pt(10.5)


def _facts(document: Document, report: Mapping[str, Any]) -> None:
    status = Status(report["status"]).words
    synthetic = "（合成数据 synthetic data）" if report["synthetic"] else ""
    _say(document, f"结论：{status}{synthetic}", bold=True)
    if report.get("reason"):
        _say(document, str(report["reason"]))
    _say(document, f"交付单位：{report['bureau']}　交付：{report['delivery']}")
    _say(
        document,
        f"批次：{report['run']}　时间：{moment(report['started_at'], report['city'])}",
    )
    _say(
        document,
        f"要求精度：{metres(report.get('required_accuracy_m'))}　"
        f"本次精度：{metres(report.get('accuracy_m'))}",
    )


def _files(document: Document, report: Mapping[str, Any]) -> None:
    rows: list[Sequence[str]] = [("文件", "坐标系", "换算步骤", "基准判定", "行", "拒绝")]
    for file in report["files"]:
        datum, found = file.get("datum") or {}, file.get("detection") or {}
        steps = "\n".join(
            f"{step['name']} {step['accuracy_m']:g} m" for step in datum.get("steps", ())
        )
        verdict = "\n".join(filter(None, (verdict_words(found), found.get("sentence"))))
        if file.get("answer"):
            verdict += f"\n答复：{file['answer']}"
        stated = file.get("coordsys")
        rows.append(
            (file["file"], coordsys_words(stated) if stated else "—", steps, verdict,
             str(file["rows"]), str(file["rejected"]))
        )  # fmt: skip
    _table(document, rows, (3.2, 3.0, 3.4, 4.4, 1.3, 1.3))


def _rule(counted: tuple[str, int]) -> Sequence[str]:
    rule, count = counted
    spec = RULES.get(rule)
    if spec is None:
        return rule, str(count), "", ""
    return spec.title, str(count), spec.clause, spec.mend


def _say(document: Document, text: str, *, bold: bool = False, small: bool = False) -> None:
    run = document.add_paragraph().add_run(_ILLEGAL.sub("", text))
    run.bold = bold
    if small:
        run.font.size = Pt(9)


def _table(
    document: Document, rows: Sequence[Sequence[str]], widths_cm: Sequence[float] | None = None
) -> None:
    table = document.add_table(len(rows), len(rows[0]))
    table.style = "Table Grid"
    for at, row in enumerate(rows):
        # one look-up of the row's cells: table.cell() walks the whole table each time
        for column, (cell, text) in enumerate(zip(table.rows[at].cells, row, strict=True)):
            _fill(cell, text, bold=at == 0)
            if widths_cm is not None:
                cell.width = Cm(widths_cm[column])


def _fill(cell: _Cell, text: str, *, bold: bool) -> None:
    run = cell.paragraphs[0].add_run(_ILLEGAL.sub("", text))
    run.bold = bold
    run.font.size = Pt(9)
