"""`geoserver-py etl`: look into a delivered file before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from etl.datum import DatumError, DatumRegistry
from etl.detection import References
from etl.inspect import Inspection, LayerInspection, inspect_file, load_reference
from etl.inspect import reference_layer as stored_reference
from etl.readers import ReadError, ReadOptions
from geoserver_py.cli import etl_raster, etl_rollback, etl_run, etl_schedule
from geoserver_py.cli.datum import (
    CityOption,
    ParametersOption,
    ReferenceOption,
    city_of,
    registry_of,
)
from geoserver_py.cli.output import JsonOption, emit
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import load_settings

app = typer.Typer(help="交付与装载 / deliveries in", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """交付与装载 / deliveries in: look into files, run deliveries, read their reports."""


@app.command()
def inspect(
    file: Annotated[str, typer.Argument(help="文件或服务地址 / file, or URL of a service")],
    city: CityOption = "meizhou",
    reference: ReferenceOption = None,
    reference_layer: Annotated[
        str | None, typer.Option(help="库中可信图层 / trusted layer of the store")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="图层、工作表 / layer or sheet")] = None,
    encoding: Annotated[str | None, typer.Option(help="编码 / encoding")] = None,
    parameters: ParametersOption = None,
    as_json: JsonOption = False,
) -> None:
    """查看文件 / driver, layers, fields, encoding, declared CRS, extent and the true datum."""
    registry = registry_of(parameters)
    try:
        trusted = _trusted(reference, reference_layer, registry)
        found = inspect_file(
            file,
            city_of(city),
            registry=registry,
            reference=trusted,
            options=ReadOptions(layer=layer, encoding=encoding),
        )
    except (ReadError, DatumError) as error:
        raise WorkFailed(str(error)) from error
    if as_json:
        emit(found.to_json(), as_json=True, line="")
        return
    _print(found)


def _trusted(file: Path | None, layer: str | None, registry: DatumRegistry) -> References | None:
    """Reference linework from a file or a loaded layer; WorkFailed for a layer not there."""
    if layer is None:
        return None if file is None else load_reference(file, registry)
    with psycopg.connect(load_settings().dsn(), connect_timeout=5) as connection:
        try:
            return stored_reference(connection, layer)
        except psycopg.errors.UndefinedTable as error:
            raise WorkFailed(f"库中没有图层 / the store has no layer {layer!r}") from error


def _print(found: Inspection) -> None:
    console = Console()
    source = found.source
    declared, detected = source.encoding_declared or "—", source.encoding_detected or "—"
    console.print(f"[bold]{source.path.name}[/]  {source.driver}")
    console.print(f"编码 encoding: 声明 declared {declared}，检出 detected {detected}")
    for note in source.notes:
        console.print(f"· {note}", markup=False)
    for layer in found.layers:
        _print_layer(console, layer)


def _print_layer(console: Console, found: LayerInspection) -> None:
    layer = found.layer
    table = Table(title=f"{layer.name}", show_header=False, title_justify="left")
    count = layer.feature_count if layer.feature_count is not None else found.rows_read
    suffix = "" if found.complete or layer.feature_count is not None else "+"
    table.add_row("要素数 features", f"{count}{suffix}")
    table.add_row("图形 geometry", ", ".join(found.geometry_types) or layer.geometry_type or "—")
    table.add_row("声明坐标系 declared CRS", layer.declared_crs or "未声明 none")
    extent = "—" if found.extent is None else ", ".join(f"{v:.6f}" for v in found.extent)
    table.add_row("范围 extent (x=东/经)", extent)
    table.add_row("字段 fields", ", ".join(f"{f.name}:{f.type}" for f in layer.fields) or "—")
    for finding in found.findings:
        where = "" if finding.columns is None else f" {finding.columns[0]} / {finding.columns[1]}"
        table.add_row(f"真实基准 true datum{where}", finding.detection.summary)
        if finding.detection.objection:
            table.add_row("异议 objection", finding.detection.objection)
    for problem in found.problems:
        table.add_row(f"第 {problem.row} 行 row", problem.reason)
    console.print(table)


app.command("run")(etl_run.run)
app.command("report")(etl_run.report)
app.command("rollback")(etl_rollback.rollback)
app.command("raster")(etl_raster.raster)
app.add_typer(etl_schedule.app, name="schedule")
app.command("worker")(etl_schedule.worker)
