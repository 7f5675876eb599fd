"""`geoserver-py layers lineage`: the versions of a feature and where each came from."""

from __future__ import annotations

from typing import Annotated

import psycopg
import typer

from geoserver_py.cli.output import JsonOption, emit, say
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import load_settings
from layers.access import SYSTEM
from layers.catalogue import UnknownLayer, load_catalogue
from layers.lineage import SourceFile, Version
from layers.lineage import lineage as read_lineage

_OPERATIONS = {
    "insert": "新增 inserted",
    "update": "更新 updated",
    "edit": "编辑 edited",
    "rollback": "回退 rolled back",
}
_ENDS = {"update": "被取代 replaced", "delete": "被删除 deleted"}


def lineage(
    layer: Annotated[str, typer.Argument(help="图层名 / name of the layer")],
    ident: Annotated[str, typer.Argument(metavar="ID", help="标识码 / id of the feature")],
    as_json: JsonOption = False,
) -> None:
    """要素来源 / every version of a feature: delivery, file, row, run, datum steps."""
    with psycopg.connect(load_settings().dsn()) as connection:
        catalogue = load_catalogue(connection)
        try:
            published = catalogue.layer(layer, SYSTEM)
        except UnknownLayer as unknown:
            raise WorkFailed(f"{unknown}; known: {', '.join(catalogue.layers)}") from unknown
        found = read_lineage(connection, published.definition, ident)
    if not found.versions:
        raise WorkFailed(
            f"{layer}: 从未有过标识码为 {ident} 的要素 (there never was such a feature)"
        )
    if as_json:
        emit(found.to_json(people=True), as_json=True, line="")
        return
    for version in found.versions:
        for line in _lines(version):
            say(line)


def _lines(version: Version) -> list[str]:
    at = "—" if version.at is None else f"{version.at:%Y-%m-%d %H:%M:%S}"
    who = (
        f"{version.principal or '—'}"
        if version.run is None
        else f"{version.bureau}，交付 {version.delivery}，批次 run {version.run}"
    )
    restored = ""
    if version.reverts is not None:
        restored = f"（批次 run {version.reverts} → 版本 revision {version.restores}）"
    lines = [f"版本 {version.revision}  {at}  {_OPERATIONS[version.operation]}{restored}  {who}"]
    lines += [f"    {line}" for source in version.sources for line in _source_lines(source)]
    if version.replaced_by is not None:
        ended = _ENDS[version.ended_by or "update"]
        when = "—" if version.replaced_at is None else f"{version.replaced_at:%Y-%m-%d %H:%M:%S}"
        lines.append(f"    {ended}: 版本 revision {version.replaced_by}, {when}")
    return lines


def _source_lines(source: SourceFile) -> list[str]:
    lines = [f"{source.name} 第 {source.row} 行 row"]
    if source.steps is not None:
        steps = " → ".join(str(step["name"]) for step in source.steps) or "—"
        lines.append(f"{source.coordsys}: {steps} (±{source.accuracy_m} m)")
    return lines
