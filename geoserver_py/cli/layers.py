"""`geoserver-py layers`: what is published, and the tables that follow the definitions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from geoserver_py.cli import lineage, outbox
from geoserver_py.cli.output import JsonOption, emit, say
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import load_settings
from layers.access import SYSTEM
from layers.catalogue import PublishedLayer, UnknownLayer, load_catalogue
from layers.definition import LayerDefinition, load_definitions, standing
from layers.schema import apply

app = typer.Typer(help="图层 / layers", no_args_is_help=True)


@app.command("list")
def list_layers(as_json: JsonOption = False) -> None:
    """列出图层 / list the published layers with their counts and access classes."""
    with psycopg.connect(load_settings().dsn()) as connection:
        published = load_catalogue(connection).visible_to(SYSTEM)
    if as_json:
        emit([_described(layer) for layer in published], as_json=True, line="")
        return
    table = Table()
    table.add_column("图层 layer", no_wrap=True)  # the name to type is never cut short
    for column in ("标题 title", "主题 theme", "权限 access"):
        table.add_column(column)
    for column in ("要素 features", "版本 revision"):
        table.add_column(column, justify="right")
    for layer in published:
        definition = layer.definition
        table.add_row(
            definition.name,
            str(definition.title),
            definition.theme,
            f"{definition.access.title_zh} {definition.access.value}",
            f"{layer.feature_count:,}",
            str(layer.revision),
        )
    Console().print(table)


@app.command("apply")
def apply_definitions(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="定义文件，缺省为自带 / definition files; default: the package's own",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    optional: Annotated[
        bool, typer.Option("--optional", help="含可选图层 / with the optional sample layers too")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="只显示 / print the statements, change nothing")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """按定义建表 / make tables, indexes and history follow the definitions."""
    known = load_definitions(files or None)
    with psycopg.connect(load_settings().dsn()) as connection:
        chosen = known.keys() if files or optional else load_catalogue(connection).layers.keys()
        definitions = standing(known, chosen)
        steps = apply(connection, definitions, dry_run=dry_run)
        statements = [{"layer": s.layer, "statement": s.text(connection)} for s in steps]
    if dry_run and not as_json:
        for step in statements:
            say(f"{step['statement']};")
    verb = "would run" if dry_run else "ran"
    emit(
        {
            "layers": sorted(d.name for d in definitions),
            "dry_run": dry_run,
            "statements": statements,
        },
        as_json=as_json,
        line=f"{len(definitions)} layers, {verb} {len(statements)} statements",
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="图层名 / name of the layer")],
    as_json: JsonOption = False,
) -> None:
    """显示图层 / show a layer's fields, extent, datum steps and accuracy."""
    with psycopg.connect(load_settings().dsn()) as connection:
        catalogue = load_catalogue(connection)
    try:
        layer = catalogue.layer(name, SYSTEM)
    except UnknownLayer as unknown:
        raise WorkFailed(f"{unknown}; known: {', '.join(catalogue.layers)}") from unknown
    described = _described(layer)
    if as_json:
        emit({**described, "fields": _fields(layer.definition)}, as_json=True, line="")
        return
    for key, value in described.items():
        say(f"{key}: {value}")
    table = Table("字段 field", "类型 type", "标题 title", "必填 required", "代码表 domain")
    for field in layer.definition.fields:
        required = "✓" if field.required else ""
        table.add_row(field.name, field.type.value, str(field.title), required, field.domain or "")
    Console().print(table)


def _described(layer: PublishedLayer) -> dict[str, Any]:
    definition = layer.definition
    return {
        "name": definition.name,
        "title": str(definition.title),
        "theme": definition.theme,
        "bureau": definition.bureau,
        "geometry": definition.postgis_type,
        "access": definition.access.value,
        "revision": layer.revision,
        "feature_count": layer.feature_count,
        "extent": layer.extent,
        "time_extent": layer.time_extent,
        "applied_steps": list(layer.applied_steps),
        "accuracy_m": layer.accuracy_m,
        "synthetic": layer.synthetic,
        "updated_at": layer.updated_at,
    }


def _fields(definition: LayerDefinition) -> list[dict[str, Any]]:
    return [
        {
            "name": field.name,
            "type": field.type.value,
            "title": str(field.title),
            "required": field.required,
            "domain": field.domain,
            "unit": field.unit,
        }
        for field in definition.fields
    ]


app.command("lineage")(lineage.lineage)
app.add_typer(outbox.app, name="outbox")
