"""`geoserver-py address`: standard addresses made, checked, coded, carried to another network.

`geoserver-py gazetteer report` is here too: the quality of the loaded address layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
import psycopg
import typer

from etl.datum import locate
from etl.datum.store import load_registry
from gazetteer.production import assign as assigning
from gazetteer.production import cycle, package, quality
from gazetteer.production.codes import AddressCoder, load_coders
from gazetteer.provinces import PROVINCES
from geoserver_py.cli.output import JsonOption, emit, progress, say
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import load_settings
from layers.access import SYSTEM, AccessClass, Principal
from layers.catalogue import load_catalogue
from layers.city import CityProfile, load_city
from layers.definition import LayerDefinition, load_definitions

app = typer.Typer(help="标准地址生产 / standard addresses", no_args_is_help=True)

Actor = Annotated[str, typer.Option("--as", help="办理人 / who does it")]
CaseId = Annotated[int, typer.Argument(help="申请编号 / number of the case")]
Note = Annotated[str, typer.Option(help="说明 / a note")]


@contextmanager
def _opened() -> Iterator[tuple[psycopg.Connection[Any], CityProfile]]:
    """A connection that commits at the end of good work, and the city's profile."""
    settings = load_settings()
    with psycopg.connect(settings.dsn()) as connection:
        yield connection, load_city(settings.city)


def _layer() -> LayerDefinition:
    return load_definitions()["address"]


def _coders(profile: CityProfile) -> dict[str, AddressCoder]:
    try:
        return load_coders(profile.codes)
    except ValueError as lacking:
        raise WorkFailed(str(lacking)) from lacking


def report(
    html: Annotated[Path | None, typer.Option(help="写成网页 / write a page")] = None,
    as_json: JsonOption = False,
) -> None:
    """地址图层的质量报告 / quality of the loaded address layer."""
    with _opened() as (connection, profile):
        readable = frozenset(load_catalogue(connection).layers)
        if "address" not in readable:
            raise WorkFailed("没有地址图层 (the address layer is not loaded)")
        with progress(quiet=as_json) as bar:
            task = bar.add_task("质量检查 quality", total=len(quality.STEPS))

            def on_step(step: str) -> None:
                bar.update(task, description=step, completed=quality.STEPS.index(step))

            try:
                found = quality.survey(connection, profile, readable=readable, on_step=on_step)
            except ValueError as refused:
                raise WorkFailed(str(refused)) from refused
    if html is not None:
        html.write_text(quality.render_html(found), "utf-8")
    counts = ", ".join(f"{quality.RULES[rule][0]} {n}" for rule, n in found.counts.items())
    line = (
        f"{found.records} 条地址，{100 * found.good_share:.2f} % 无错误 (without error); {counts}"
    )
    emit(found.to_json(), as_json=as_json, line=line)


@app.command()
def assign(as_json: JsonOption = False) -> None:
    """给没有代码的地址编码 / give codes to the addresses that have none."""
    with _opened() as (connection, profile):
        done = assigning.assign(connection, _coders(profile).values())
    refused = [{"address": r.address, "style": r.style, "reason": r.reason} for r in done.refused]
    emit(
        {"assigned": done.assigned, "kept": done.kept, "refused": refused},
        as_json=as_json,
        line=f"新编 assigned {done.assigned}，已有 kept {done.kept}，未编 refused {len(refused)}",
    )
    if not as_json:
        for entry in refused[:20]:
            say(f"  {entry['address']}: {entry['reason']}")


@app.command()
def check(
    code: Annotated[str | None, typer.Argument(help="代码；缺省为全部 / a code; all")] = None,
    as_json: JsonOption = False,
) -> None:
    """检查代码 / check a code, or all on record."""
    with _opened() as (connection, profile):
        coders = _coders(profile)
        if code is None:
            wrong = assigning.check_codes(connection, coders.values())
        else:
            fitting = [c for c in coders.values() if c.length == len(code)] or [*coders.values()]
            wrong = [(code, fault.zh) for fault in fitting[0].faults(code)]
    emit(
        [{"code": c, "fault": fault} for c, fault in wrong],
        as_json=as_json,
        line=f"{len(wrong)} 处不合 faults",
    )
    if wrong:
        raise WorkFailed("; ".join(f"{c}: {fault}" for c, fault in wrong[:5]))


@app.command()
def draft(
    address: Annotated[str, typer.Argument(help="地址标识码 / id of the address")],
    actor: Actor,
    task: Annotated[cycle.Task, typer.Option(help="新增、变更或注销")] = cycle.Task.CREATE,
    fields: Annotated[str, typer.Option("--set", help="字段，JSON / fields as JSON")] = "{}",
    coordsys: Annotated[str | None, typer.Option(help="坐标系 / of the position")] = None,
    lon: float | None = None,
    lat: float | None = None,
    north: float | None = None,
    east: float | None = None,
    note: Note = "",
) -> None:
    """起草 / open a case: a new address, a change, or the end of one."""
    try:
        values = orjson.loads(fields)
    except orjson.JSONDecodeError as broken:
        raise WorkFailed(f"--set 不是 JSON (not JSON: {broken})") from broken
    if not isinstance(values, dict):
        raise WorkFailed("--set 须为 JSON 对象 (must be a JSON object)")
    position = None
    has_position = any(value is not None for value in (lon, lat, north, east))
    if has_position and coordsys is None:
        raise WorkFailed("坐标必须注明 --coordsys (a position needs its --coordsys)")
    with _opened() as (connection, _):
        if coordsys is not None and has_position:
            registry = load_registry(connection)
            spot = locate(registry, coordsys, lon=lon, lat=lat, north=north, east=east)
            position = (spot.lon, spot.lat)
        opened = cycle.draft(
            connection,
            _layer(),
            task=task,
            address=address,
            author=actor,
            properties=values,
            position=position,
            note=note,
        )
    say(_line(opened))


@app.command()
def submit(case: CaseId, actor: Actor) -> None:
    """提交审核 / hand a draft in for review."""
    with _opened() as (connection, _):
        say(_line(cycle.submit(connection, case, actor)))


@app.command("return")
def send_back(case: CaseId, actor: Actor, note: Note = "") -> None:
    """退回修改 / give it back with what is to be put right."""
    with _opened() as (connection, _):
        say(_line(cycle.send_back(connection, case, actor, note)))


@app.command()
def withdraw(case: CaseId, actor: Actor, note: Note = "") -> None:
    """撤销申请 / end a case without effect."""
    with _opened() as (connection, _):
        say(_line(cycle.withdraw(connection, case, actor, note)))


@app.command()
def approve(case: CaseId, actor: Actor) -> None:
    """审核通过并发布 / approve and publish: writes the layer, gives or ends codes."""
    with _opened() as (connection, profile):
        coders = _coders(profile).values()
        principal = Principal(actor, classes=frozenset(AccessClass))
        say(_line(cycle.approve(connection, _layer(), coders, case, actor, principal)))


@app.command("list")
def list_cases(stage: cycle.Stage | None = None, as_json: JsonOption = False) -> None:
    """列出申请及其经过 / cases and their history."""
    with _opened() as (connection, _):
        found = cycle.cases(connection, stage=stage)
    documents = [
        {
            "id": case.id,
            "address": case.address,
            "task": case.task,
            "stage": case.stage,
            "stage_gbt35639": case.stage.standard,
            "author": case.author,
            "reviewer": case.reviewer,
            "layer_revision": case.layer_revision,
            "history": [[at.isoformat(), *rest] for at, *rest in case.history],
        }
        for case in found
    ]
    emit(documents, as_json=as_json, line="\n".join(_line(case) for case in found) or "-")


@app.command("export")
def export(
    target: Annotated[Path, typer.Argument(help="包 / the zip to write")],
    as_json: JsonOption = False,
) -> None:
    """导出数据包 / write a package for a network that is not connected."""
    with _opened() as (connection, profile):
        names = (PROVINCES.get(profile.division_code[:2], ""), profile.title.zh)
        manifest = package.export_package(
            connection, _layer(), target, city=profile.name, names=names
        )
    rows = {name: entry["rows"] for name, entry in manifest["files"].items()}
    emit(dict(manifest), as_json=as_json, line=f"{target}: {rows}")


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="包 / the zip to read", exists=True)],
    full: Annotated[bool, typer.Option(help="删除包中没有的地址 / delete what it lacks")] = False,
    as_json: JsonOption = False,
) -> None:
    """导入数据包 / bring a package in, every hash checked."""
    with _opened() as (connection, profile):
        done = package.import_package(
            connection, _layer(), source, city=profile.name, principal=SYSTEM, full=full
        )
    counts = {
        "inserted": done.layer.inserted,
        "updated": done.layer.updated,
        "deleted": done.layer.deleted,
        "unchanged": done.layer.unchanged,
        "codes": done.codes,
        "numbers": done.numbers,
    }
    emit(counts, as_json=as_json, line=", ".join(f"{k} {v}" for k, v in counts.items()))


def _line(case: cycle.Case) -> str:
    return f"{case.id} {case.address} {case.task} {case.stage}（{case.stage.standard}）"
