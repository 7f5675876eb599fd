"""`geoserver-py datum`: the registered steps, single transformations, fits, detection."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psycopg
import typer
import yaml
from rich.console import Console
from rich.table import Table

from etl.datum import DatumError, DatumRegistry, DatumStep, easting_problem
from etl.datum.control import ControlPoints, Fit, FitKind, check_convention, fit_points
from etl.datum.fit_report import fit_html
from etl.datum.heights import HeightOffset
from etl.datum.pipeline import chain_pipeline
from etl.datum.steps import Convention, HelmertStep
from etl.datum.store import load_registry, register
from etl.inspect import inspect_file, load_reference
from etl.readers import ReadError
from geoserver_py.cli.output import JsonOption, emit, say
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import load_settings
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


StoredOption = Annotated[
    bool, typer.Option("--stored", help="用数据库里登记的参数 / use the database's steps")
]


def stored_registry() -> DatumRegistry:
    """The registry of the database; WorkFailed where it cannot be read."""
    try:
        with psycopg.connect(load_settings().dsn(), connect_timeout=5) as connection:
            return load_registry(connection)
    except psycopg.Error as error:
        raise WorkFailed(f"数据库 / database: {error}") from error


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
def show(
    parameters: ParametersOption = None, stored: StoredOption = False, as_json: JsonOption = False
) -> None:
    """列出坐标系和登记的转换 / list accepted systems and registered steps."""
    registry = registry_of(parameters)
    if stored:
        registry = registry.merged(stored_registry())
    rows: list[dict[str, Any]] = []
    for name in ("wgs84", "gcj02", "bd09", *registry.grids):
        try:
            rows.append({"coordsys": name, **registry.chain(name).to_json()})
        except DatumError as error:
            rows.append({"coordsys": name, "refused": str(error)})
    known: list[DatumStep | HeightOffset] = [*registry.links, *registry.heights]
    rows += [
        {
            "coordsys": link.source,
            "source": link.source,
            "target": link.target,
            "accuracy_m": link.accuracy_m,
            "steps": [{"name": link.name, "kind": link.kind, "authority": link.authority}],
            **registry.notes.get(link.name, {}),
        }
        for link in known
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
    stored: StoredOption = False,
    as_json: JsonOption = False,
) -> None:
    """转换坐标 / transform pairs: geographic as lon lat, plane as north east (X Y in China)."""
    if not source:
        raise typer.BadParameter("请写 --from / state --from: a coordinate has a datum")
    try:
        registry = registry_of(parameters)
        chain = (registry.merged(stored_registry()) if stored else registry).chain(source, target)
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
        record = {**chain.to_json(), "proj": chain_pipeline(chain)}
        emit({**record, "results": results}, as_json=True, line="")
        return
    for result in results:
        say(" ".join(f"{value:.{digits}f}" for value in result.values()))


KINDS: dict[str, FitKind] = {
    "4": "similarity", "7": "helmert", "local": "local_grid",
    "similarity": "similarity", "helmert": "helmert", "local_grid": "local_grid",
}  # fmt: skip


def _control_points(path: Path) -> ControlPoints:
    """Rows id, x1, y1, x2, y2 or id, x1, y1, h1, x2, y2, h2; x = east or lon, y = north or lat."""
    ids: list[str] = []
    rows: list[list[float]] = []
    with path.open(encoding="utf-8-sig", newline="") as stream:
        for number, row in enumerate(csv.reader(stream), start=1):
            if not any(cell.strip() for cell in row):
                continue
            try:
                values = [float(cell) for cell in row[1:7] if cell.strip()]
            except ValueError as error:
                if number == 1:
                    continue
                raise WorkFailed(f"第 {number} 行不是数字 / line {number}: {error}") from error
            if len(values) not in (4, 6) or (rows and len(values) != len(rows[0])):
                raise WorkFailed(
                    f"第 {number} 行须是点号和 4 个或 6 个数"
                    f" / line {number} needs an id and 4 or 6 numbers"
                )
            rows.append(values)
            ids.append(row[0].strip())
    table = np.array(rows, dtype=np.float64).reshape(len(rows), -1)
    if len(rows) == 0:
        raise WorkFailed("文件里没有控制点 / the file holds no control points")
    half = table.shape[1] // 2
    return ControlPoints(tuple(ids), table[:, :half], table[:, half:])


@app.command()
def fit(
    points: Annotated[Path, typer.Argument(help="id,east,north,east2,north2", exists=True)],
    kind: Annotated[str, typer.Option(help="4 | 7 | local")] = "4",
    source: Annotated[str, typer.Option("--from", help="源坐标系 / coordsys")] = "",
    target: Annotated[str, typer.Option("--to", help="目标坐标系 / coordsys")] = "",
    convention: Annotated[
        str, typer.Option(help="coordinate_frame | position_vector")
    ] = "coordinate_frame",
    central_meridian: Annotated[
        float | None, typer.Option(help="地方坐标系的中央子午线 / of a local grid")
    ] = None,
    plane_height: Annotated[float, typer.Option(help="投影面高程 m / of the plane")] = 0.0,
    leave_out: Annotated[
        bool, typer.Option("--leave-out-outliers", help="剔除粗差 / refit without outliers")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="写 HTML 报告 / write a report")] = None,
    check: Annotated[
        Path | None,
        typer.Option(help="用控制点检核参数文件里的七参数约定 / check a convention", exists=True),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """由控制点求 4、7 参数或地方坐标系 / fit parameters from control points.

    Columns: id, x1, y1, x2, y2, or with heights id, x1, y1, h1, x2, y2, h2; x = east or lon.
    """
    if kind not in KINDS:
        raise typer.BadParameter("--kind 须为 4、7 或 local / 4, 7 or local")
    frame: Convention
    if convention == "coordinate_frame":
        frame = "coordinate_frame"
    elif convention == "position_vector":
        frame = "position_vector"
    else:
        raise typer.BadParameter("--convention coordinate_frame | position_vector")
    table = _control_points(points)
    registry = registry_of(check)
    try:
        found = fit_points(
            table, KINDS[kind], registry=registry, source=source, target=target, convention=frame,
            central_meridian=central_meridian, plane_height_m=plane_height,
            leave_out_outliers=leave_out,
        )  # fmt: skip
        checks = [
            check_convention(link, table, registry, source, target)
            for link in (registry.links if check is not None else ())
            if isinstance(link, HelmertStep)
        ]
    except DatumError as error:
        raise WorkFailed(str(error)) from error
    sentence = " ".join(c.sentence for c in checks) or None
    if html is not None:
        html.write_text(fit_html(found, sentence), encoding="utf-8")
    answer = found.to_json()
    if checks:
        answer["convention"] = [
            {"name": c.name, "stated": c.stated, "stated_rms_m": c.stated_rms_m,
             "other_rms_m": c.other_rms_m, "wrong": c.wrong, "sentence": c.sentence}
            for c in checks
        ]  # fmt: skip
    if as_json:
        emit(answer, as_json=True, line="")
    else:
        _print_fit(found)
        if sentence:
            say(sentence)
    if any(c.wrong for c in checks):
        raise WorkFailed(sentence or "")


def _print_fit(found: Fit) -> None:
    for key, value in found.parameters.items():
        say(f"{key:>6} = {value!r}")
    sigma = "—(无多余观测)" if found.sigma_m is None else f"{found.sigma_m:.4f} m"
    say(f"sigma {sigma}; rms {found.rms_m:.4f} m; max {found.max_m:.4f} m")
    if found.outliers:
        say(f"疑似粗差 outliers: {', '.join(found.outliers)}")
    if found.removed:
        say(f"已剔除 left out: {', '.join(found.removed)}")
    table = Table("点 id", "vE m", "vN m", "留一检核 left-out m")
    for i, name in enumerate(found.points.ids):
        left = "—" if found.left_out_m is None else f"{found.left_out_m[i]:.4f}"
        table.add_row(name, *(f"{v:.4f}" for v in found.residuals[i]), left)
    Console().print(table)


@app.command("register")
def register_steps(
    file: Annotated[Path, typer.Argument(help="参数 YAML: grids, links", exists=True)],
    by: Annotated[str, typer.Option("--by", help="登记人 / who registers")],
    as_json: JsonOption = False,
) -> None:
    """把参数登记进数据库 / register a city's parameters in the database, with their author."""
    loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(loaded, dict):
        raise WorkFailed(f"{file.name} 不是参数表 / {file.name} holds no mapping")
    try:
        with psycopg.connect(load_settings().dsn(), connect_timeout=5) as connection:
            names = register(connection, loaded.get("datum", loaded), by)
    except DatumError as error:
        raise WorkFailed(str(error)) from error
    except psycopg.Error as error:
        raise WorkFailed(f"数据库 / database: {error}") from error
    line = f"已登记 registered: {', '.join(names)}"
    emit({"registered": list(names), "by": by}, as_json=as_json, line=line)


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
        if row["what_would_decide"]:
            say(f"  ? {row['what_would_decide']}")
