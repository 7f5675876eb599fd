"""`geoserver-py etl run` and `etl report`: load a delivery, and read what became of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import orjson
import psycopg
import typer
from rich.console import Console
from rich.table import Table

from etl.checks import RULE_TITLES
from etl.delivery import DeliveryError, load_delivery
from etl.ledger import DeliveryBusy
from etl.outputs import (
    FinishedRun,
    NoReport,
    finished_run,
    write_docx,
    write_dxf,
    write_page,
    write_rejected,
    write_xlsx,
)
from etl.rejects import RejectsError
from etl.report import LoadReport
from etl.report.plane import NoPlaneGrid
from etl.run import run_delivery
from etl.spread import SpreadFailed, spread
from geoserver_py.cli.output import JsonOption, emit, progress, say, warn
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import load_settings


def run(
    delivery: Annotated[Path, typer.Argument(help="交付文件 / DELIVERY.yaml")],
    workers: Annotated[
        int, typer.Option(min=1, help="检查用的进程数 / processes that check rows (Dask)")
    ] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask 调度器 / scheduler, tcp://host:8786")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """运行交付 / map, move to CGCS2000, check and load the files of a delivery.

    Exit code 1 when it failed or was blocked (nothing was loaded); 0 otherwise, also when single
    rows were rejected: they are counted in the summary and kept with their reasons.
    """
    dsn = load_settings().dsn()
    reports = load(delivery, dsn, quiet=as_json, workers=workers, scheduler=scheduler)
    if as_json:
        emit([report.to_json() for report in reports], as_json=True, line="")
    else:
        _summary(reports)
    fault = next((r for r in reports if not r.good and not _bystander(r)), None)
    fault = fault or next((r for r in reports if not r.good), None)
    if fault is not None:
        raise WorkFailed(fault.sentence())


def load(
    delivery: Path,
    dsn: str,
    *,
    quiet: bool = False,
    workers: int = 1,
    scheduler: str | None = None,
) -> tuple[LoadReport, ...]:
    """Run a delivery file with progress on stderr; WorkFailed when it cannot be run at all."""
    try:
        parsed = load_delivery(delivery)
        with spread(workers, scheduler) as checks, progress(quiet=quiet) as shown:
            tasks: dict[str, int] = {}
            began = time.monotonic()

            def tell(layer: str, rows: int, total: int | None) -> None:
                if layer not in tasks:
                    tasks[layer] = shown.add_task(layer, total=total)
                rate = rows / max(time.monotonic() - began, 1e-3)
                shown.update(
                    tasks[layer],  # type: ignore[arg-type]
                    completed=rows,
                    total=total,
                    description=f"{layer} {rate:,.0f} 行/s rows/s",
                )

            return run_delivery(parsed, dsn, progress=tell, notice=warn, checks=checks)
    except (DeliveryError, DeliveryBusy, SpreadFailed) as refused:
        raise WorkFailed(str(refused)) from refused


def report(
    run_id: Annotated[int, typer.Argument(metavar="RUN", help="批次号 / number of the run")],
    html: Annotated[Path | None, typer.Option(help="写成网页 / write an HTML page")] = None,
    docx: Annotated[Path | None, typer.Option(help="写成 Word / write a .docx")] = None,
    xlsx: Annotated[Path | None, typer.Option(help="问题清单 / list of all findings")] = None,
    dxf: Annotated[Path | None, typer.Option(help="问题位置图 / marks as a drawing")] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(
            help="退回的行，原格式、原坐标 / rejected rows as delivered (.zip, or one file)"
        ),
    ] = None,
    delivery: Annotated[
        Path | None, typer.Option(help="交付文件，已移动时 / the delivery file, where it was moved")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """查看报告 / print the report of a run, or write it for the bureau in one or several forms."""
    with psycopg.connect(load_settings().dsn()) as connection:
        try:
            found = finished_run(connection, run_id)
            written = _write_forms(connection, found, html, docx, xlsx, dxf)
            if rejects is not None:
                package = write_rejected(connection, [found], rejects, delivery)
                written.append(f"{rejects} ({package.rows} 行 rows)")
                for note in package.notes:
                    warn(note)
        except (NoReport, RejectsError, NoPlaneGrid) as refused:
            raise WorkFailed(str(refused)) from refused
    if written:
        for line in written:
            say(line)
    elif as_json:
        say(orjson.dumps(found.report).decode())
    else:
        say(found.report["sentence"])
        for rule, count in sorted(found.report["rules"].items(), key=lambda item: -item[1]):
            say(f"  {RULE_TITLES.get(rule, rule)}: {count}")
        for row in found.report["sample"][:20]:
            say(f"  {row['file'] or ''}:{row['row'] or ''} {row['reason']}")


def _write_forms(
    connection: psycopg.Connection[Any],
    found: FinishedRun,
    html: Path | None,
    docx: Path | None,
    xlsx: Path | None,
    dxf: Path | None,
) -> list[str]:
    """Write the asked forms of a report; a line each."""
    written = []
    if html is not None:
        write_page(connection, found, html)
        written.append(str(html))
    if docx is not None:
        write_docx(connection, found, docx)
        written.append(str(docx))
    if xlsx is not None:
        written.append(f"{xlsx} ({write_xlsx(connection, found, xlsx)} 条 findings)")
    if dxf is not None:
        drawn = write_dxf(connection, found, dxf)
        line = f"{dxf} ({drawn.coordsys}, {drawn.marks} 处 marks)"
        if drawn.without_place:
            line += f"；{drawn.without_place} 条没有位置，见清单 (without a place: in the list)"
        written.append(line)
    return written


def _bystander(report: LoadReport) -> bool:
    """Whether a layer failed only because another one of its delivery did."""
    return not report.files and report.status.value == "failed"


def _summary(reports: tuple[LoadReport, ...]) -> None:
    table = Table()
    for heading in ("图层\nlayer", "结果\nstatus"):
        table.add_column(heading, no_wrap=True)
    keys = ("read", "rejected", "inserted", "updated", "deleted")
    for heading in ("读取\nread", "拒绝\nrejected", "新增\nnew", "更新\nchanged", "删除\ngone",
                    "行/s\nrows/s"):  # fmt: skip
        table.add_column(heading, justify="right", no_wrap=True)
    for one in reports:
        numbers = (str(one.counts.get(key, 0)) for key in keys)
        table.add_row(one.layer, one.status.words, *numbers, f"{one.rate:,.0f}")
    Console().print(table)
    for one in reports:
        say(one.sentence())
        for rule, count in one.rules.items():
            say(f"  {RULE_TITLES.get(rule, rule)}: {count}")
        for file in one.files:
            if file.detection is not None and file.detection["kind"] == "undetermined":
                say(
                    f"  {file.file}: 所称坐标系未经核实 the stated {file.coordsys} is not "
                    f"verified: {file.detection['sentence']}"
                )
        if one.counts.get("rejected"):
            say(f"  geoserver-py etl report {one.run} --html report.html --rejects rejects.zip")
