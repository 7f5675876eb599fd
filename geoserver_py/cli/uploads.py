"""`geoserver-py uploads`: the files of uploaded deliveries on disk."""

from __future__ import annotations

from typing import Annotated

import typer

from geoserver_py.cli.output import JsonOption, emit
from geoserver_py.deliveries.upkeep import sweep
from geoserver_py.settings import load_settings

app = typer.Typer(help="上传的文件 / files of uploads", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """上传的文件 / files of uploaded deliveries."""


@app.command()
def prune(
    keep_days: Annotated[
        float | None,
        typer.Option(min=0, help="结束后保留的天数 / days to keep; the setting by default"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """清除旧上传的文件 / remove files of uploads that ended long ago; reports stay."""
    swept = sweep(load_settings(), keep_days)
    emit(
        {
            "uploads": list(swept.uploads),
            "forms": swept.forms,
            "size_bytes": swept.size_bytes,
        },
        as_json=as_json,
        line=swept.sentence(),
    )
