"""`geoserver-py datum`: the registered steps, single transformations, fits, detection."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from etl.datum import DatumError, DatumRegistry, easting_problem, fit_similarity
from etl.inspect import inspect_file, load_reference
from etl.readers import ReadError
from geoserver_py.cli.output import JsonOption, emit, say
from geoserver_py.errors import WorkFailed
from layers.city import CityProfile, load_city

app = typer.Typer(help="基准与坐标转换 / datum steps", no_args_is_help=True)

CityOption = Annotated[str, typer.Option("--city", help="城市配置 / city profile")]
ParametersOption = Annotated[
    Path | None,
    typer.Option("--parameters", help="登记参数 YAML / registered datum parameters", exists=True),
]
ReferenceOption = Annotated[
    Path | None,
    typer.Option("--reference", help="可信参照图层(CGCS2000) / trusted layer", exists=True),
]


def registry_of(parameters: Path | None) -> DatumRegistry:
    """Registry with a city's parameters, or the built-in steps alone."""
    try:
        return DatumRegistry() if parameters is None else DatumRegistry.from_yaml(parameters)
    except DatumError as error:
        raise WorkFailed(str(error)) from error


def city_of(name: str) -> CityProfile:
    """City profile by name; WorkFailed lists the known ones."""
    try:
        return load_city(name)
    except FileNotFoundError as error:
        raise WorkFailed(str(error)) from error


@app.command("list")
def show(parameters: ParametersOption = None, as_json: JsonOption = False) -> None:
    """列出坐标系和登记的转换 / list accepted systems and registered steps."""
    registry = registry_of(parameters)
    rows: list[dict[str, Any]] = []
    for name in ("wgs84", "gcj02", "bd09", *registry.grids):
        try:
            rows.append({"coordsys": name, **registry.chain(name).to_json()})
        except DatumError as error:
            rows.append({"coordsys": name, "refused": str(error)})
    rows += [
        {
            "coordsys": link.source,
            "source": link.source,
            "target": link.target,
            "accuracy_m": link.accuracy_m,
            "steps": [{"name": link.name, "kind": link.kind, "authority": link.authority}],
        }
        for link in registry.links
    ]
    if as_json:
        emit({"accepted": list(registry.accepted), "chains": rows}, as_json=True, line="")
        return
    table = Table("坐标系 coordsys", "到 to", "步骤 steps", "精度 m", "来源 authority")
    for row in rows:
        steps = row.get("steps", [])
        table.add_row(
            row["coordsys"],
            row.get("target", "—"),
            row.get("refused") or " → ".join(step["name"] for step in steps),
            f"{row['accuracy_m']:g}" if "accuracy_m" in row else "—",
            "；".join(step["authority"] for step in steps),
        )
    Console().print(table)
    say(f"可用 accepted: {', '.join(registry.accepted)}")


def _pairs(values: list[float] | None, file: Path | None) -> Iterator[tuple[float, float]]:
    if values:
        if len(values) % 2:
            raise typer.BadParameter("坐标须成对 / coordinates come in pairs")
        yield from zip(values[::2], values[1::2], strict=True)
        return
    stream = sys.stdin if file is None else file.open(encoding="utf-8-sig", newline="")
    with stream:
        for number, row in enumerate(csv.reader(stream), start=1):
            cells = row if len(row) > 1 else " ".join(row).split()
            try:
                yield float(cells[0]), float(cells[1])
            except (IndexError, ValueError) as error:
                if number == 1:
                    continue
                raise WorkFailed(f"第 {number} 行不是坐标 / line {number} is no pair") from error


@app.command()
def transform(
    values: Annotated[
        list[float] | None, typer.Argument(help="lon lat 或 north east，可多对 / one or more pairs")
    ] = None,
    source: Annotated[str, typer.Option("--from", help="源坐标系 / coordsys")] = "",
    target: Annotated[str, typer.Option("--to", help="目标坐标系 / coordsys")] = "EPSG:4490",
    file: Annotated[Path | None, typer.Option("--file", help="CSV, 两列", exists=True)] = None,
    parameters: ParametersOption = None,
    as_json: JsonOption = False,
) -> None:
    """转换坐标 / transform pairs: geographic as lon lat, plane as north east (X Y in China)."""
    if not source:
        raise typer.BadParameter("请写 --from / state --from: a coordinate has a datum")
    try:
        chain = registry_of(parameters).chain(source, target)
    except DatumError as error:
        raise WorkFailed(str(error)) from error
    pairs = np.array(list(_pairs(values, file)), dtype=np.float64).reshape(-1, 2)
    plane_in, plane_out = chain.source.kind == "plane", chain.target.kind == "plane"
    x, y = (pairs[:, 1], pairs[:, 0]) if plane_in else (pairs[:, 0], pairs[:, 1])
    if plane_in:
        for east in x:
            problem = easting_problem(chain.source, float(east))
            if problem is not None:
                raise WorkFailed(problem)
    out_x, out_y, _ = chain.apply(x, y)
    bad = np.flatnonzero(~np.isfinite(out_x))
    if len(bad):
        raise WorkFailed(
            f"第 {bad[0] + 1} 对坐标不在 {chain.source.name} 的范围内"
            f" / pair {bad[0] + 1} is outside {chain.source.name}"
        )
    names = ("north", "east") if plane_out else ("lon", "lat")
    columns = (out_y, out_x) if plane_out else (out_x, out_y)
    digits = 4 if plane_out else 10
    results = [
        {names[0]: round(float(a), digits), names[1]: round(float(b), digits)}
        for a, b in zip(*columns, strict=True)
    ]
    if as_json:
        emit({**chain.to_json(), "results": results}, as_json=True, line="")
        return
    for result in results:
        say(" ".join(f"{value:.{digits}f}" for value in result.values()))


@app.command()
def fit(
    points: Annotated[Path, typer.Argument(help="id,east,north,east2,north2", exists=True)],
    as_json: JsonOption = False,
) -> None:
    """求四参数 / fit a 4-parameter step; columns: id, east1, north1, east2, north2."""
    ids: list[str] = []
    rows: list[list[float]] = []
    with points.open(encoding="utf-8-sig", newline="") as stream:
        for number, row in enumerate(csv.reader(stream), start=1):
            try:
                rows.append([float(cell) for cell in row[1:5]])
            except ValueError as error:
                if number == 1:
                    continue
                raise WorkFailed(f"第 {number} 行不是数字 / line {number}: {error}") from error
            if len(rows[-1]) != 4:
                raise WorkFailed(f"第 {number} 行不足五列 / line {number} needs five columns")
            ids.append(row[0])
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    try:
        found = fit_similarity(table[:, :2], table[:, 2:])
    except DatumError as error:
        raise WorkFailed(str(error)) from error
    answer = {
        "kind": "similarity",
        "parameters": found.similarity.parameters(),
        "points": len(ids),
        "sigma_m": found.sigma,
        "rms_m": found.rms,
        "max_residual_m": found.max_residual,
        "residuals": [
            {"id": name, "vE": float(v[0]), "vN": float(v[1])}
            | ({} if found.left_out is None else {"left_out_m": float(found.left_out[i])})
            for i, (name, v) in enumerate(zip(ids, found.residuals, strict=True))
        ],
    }
    if as_json:
        emit(answer, as_json=True, line="")
        return
    for key, value in found.similarity.parameters().items():
        say(f"{key:>6} = {value!r}")
    sigma = "—(两点无多余观测)" if found.sigma is None else f"{found.sigma:.4f} m"
    say(f"sigma {sigma}; rms {found.rms:.4f} m; max {found.max_residual:.4f} m")
    residuals = Table("点 id", "vE m", "vN m", "留一检核 left-out m")
    for i, name in enumerate(ids):
        left = "—" if found.left_out is None else f"{found.left_out[i]:.4f}"
        residuals.add_row(name, *(f"{v:.4f}" for v in found.residuals[i]), left)
    Console().print(residuals)


@app.command("detect")
def detect_file(
    file: Annotated[Path, typer.Argument(help="文件 / file", exists=True)],
    city: CityOption = "meizhou",
    reference: ReferenceOption = None,
    parameters: ParametersOption = None,
    as_json: JsonOption = False,
) -> None:
    """判断坐标的真实基准 / name the true datum of a file, with evidence."""
    registry = registry_of(parameters)
    try:
        trusted = None if reference is None else load_reference(reference, registry)
        found = inspect_file(file, city_of(city), registry=registry, reference=trusted)
    except (ReadError, DatumError) as error:
        raise WorkFailed(str(error)) from error
    rows = [
        {"layer": layer.layer.name, "columns": finding.columns, **finding.detection.to_json()}
        for layer in found.layers
        for finding in layer.findings
    ]
    if as_json:
        emit(rows, as_json=True, line="")
        return
    for row in rows:
        where = row["layer"] if row["columns"] is None else f"{row['layer']} {row['columns']}"
        say(f"{where}: {row['summary']}")
        if row["objection"]:
            say(f"  ! {row['objection']}")
