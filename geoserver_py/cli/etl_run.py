"""`geoserver-py etl run` and `etl report`: load a delivery, and read what became of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import orjson
import psycopg
import typer
from rich.console import Console
from rich.table import Table

from etl.checks import RULE_TITLES
from etl.delivery import DeliveryError, load_delivery
from etl.ledger import DeliveryBusy, stored_report
from etl.report import LoadReport, render_html
from etl.run import run_delivery
from geoserver_py.cli.output import JsonOption, emit, progress, say, warn
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import load_settings


def run(
    delivery: Annotated[Path, typer.Argument(help="交付文件 / DELIVERY.yaml")],
    as_json: JsonOption = False,
) -> None:
    """运行交付 / map, move to CGCS2000, check and load the files of a delivery.

    Exit code 1 when it failed or was blocked (nothing was loaded); 0 otherwise, also when single
    rows were rejected: they are counted in the summary and kept with their reasons.
    """
    dsn = load_settings().dsn()
    reports = load(delivery, dsn, quiet=as_json)
    if as_json:
        emit([report.to_json() for report in reports], as_json=True, line="")
    else:
        _summary(reports)
    fault = next((r for r in reports if not r.good and not _bystander(r)), None)
    fault = fault or next((r for r in reports if not r.good), None)
    if fault is not None:
        raise WorkFailed(fault.sentence())


def load(delivery: Path, dsn: str, *, quiet: bool = False) -> tuple[LoadReport, ...]:
    """Run a delivery file with progress on stderr; WorkFailed when it cannot be run at all."""
    try:
        parsed = load_delivery(delivery)
        with progress(quiet=quiet) as shown:
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

            return run_delivery(parsed, dsn, progress=tell, notice=warn)
    except (DeliveryError, DeliveryBusy) as refused:
        raise WorkFailed(str(refused)) from refused


def report(
    run_id: Annotated[int, typer.Argument(metavar="RUN", help="批次号 / number of the run")],
    html: Annotated[Path | None, typer.Option(help="写成网页 / write an HTML page")] = None,
    as_json: JsonOption = False,
) -> None:
    """查看报告 / print the report of a run, or write it as an HTML page."""
    with psycopg.connect(load_settings().dsn()) as connection:
        found = stored_report(connection, run_id)
    if found is None:
        raise WorkFailed(f"没有批次 {run_id} (no such run)")
    if "status" not in found:
        reason = found.get("reason") or found.get("waiting") or "还没有报告 (no report yet)"
        raise WorkFailed(f"批次 {run_id}: {reason}")
    if html is not None:
        html.write_text(render_html(found), "utf-8")
        say(str(html))
    elif as_json:
        say(orjson.dumps(found).decode())
    else:
        say(found["sentence"])
        for rule, count in sorted(found["rules"].items(), key=lambda item: -item[1]):
            say(f"  {RULE_TITLES.get(rule, rule)}: {count}")
        for row in found["sample"][:20]:
            say(f"  {row['file'] or ''}:{row['row'] or ''} {row['reason']}")


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
            say(f"  geoserver-py etl report {one.run} --html report.html")
