"""`geoserver-py keys`: API keys that name a bureau and the access classes it may read."""

from __future__ import annotations

from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from geoserver_py.cli.output import JsonOption, emit
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import load_settings
from layers.access import AccessClass, Right
from layers.definition import load_definitions
from layers.keys import add_key, list_keys, revoke_key

app = typer.Typer(help="API 密钥 / API keys", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="密钥名 / name of the key, e.g. of the application")],
    bureau: Annotated[str | None, typer.Option(help="委办局 / bureau that holds the key")] = None,
    access: Annotated[
        list[AccessClass] | None,
        typer.Option("--class", help="可读的权限级 / access class it may read; repeatable"),
    ] = None,
    rights: Annotated[
        list[Right] | None,
        typer.Option("--right", help="交付 deliver（本单位）或 admin（全部）; repeatable"),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option("--layer", help="可交付的图层，缺省为本单位的 / layers it may deliver to"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """新建密钥 / create a key; the token is printed once and stored only as a hash."""
    classes = access or [AccessClass.PUBLIC]
    unknown = sorted(set(layers or ()) - set(load_definitions()))
    if unknown:
        raise WorkFailed(f"没有图层 no such layer: {', '.join(unknown)}")
    with psycopg.connect(load_settings().dsn()) as connection:
        try:
            token = add_key(
                connection, name, bureau=bureau, classes=classes, rights=rights or (), layers=layers
            )
        except ValueError as refused:
            raise WorkFailed(str(refused)) from refused
    emit({"name": name, "key": token}, as_json=as_json, line=token)


@app.command("list")
def list_all(as_json: JsonOption = False) -> None:
    """列出密钥 / list the keys, without their tokens."""
    with psycopg.connect(load_settings().dsn()) as connection:
        keys = list_keys(connection)
    if as_json:
        described = [
            {
                "name": key.name,
                "bureau": key.bureau,
                "classes": sorted(key.classes),
                "rights": sorted(key.rights),
                "layers": key.layers,
                "created_at": key.created_at,
                "revoked_at": key.revoked_at,
            }
            for key in keys
        ]
        emit(described, as_json=True, line="")
        return
    table = Table(
        "密钥 key", "委办局 bureau", "权限 classes", "操作 rights", "建立 created", "吊销 revoked"
    )
    for key in keys:
        table.add_row(
            key.name,
            key.bureau or "",
            " ".join(f"{c.title_zh} {c.value}" for c in sorted(key.classes)),
            " ".join(sorted(key.rights)),
            f"{key.created_at:%Y-%m-%d %H:%M}",
            f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "",
        )
    Console().print(table)


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="密钥名 / name of the key")],
    as_json: JsonOption = False,
) -> None:
    """吊销密钥 / end the validity of a key; the service follows within 2 s."""
    with psycopg.connect(load_settings().dsn()) as connection:
        revoked = revoke_key(connection, name)
    if not revoked:
        raise WorkFailed(f"没有名为 {name} 的有效密钥 (no valid key has this name)")
    emit({"revoked": name}, as_json=as_json, line=f"{name} is revoked")
