"""The root command: mounts the sub-commands and turns outcomes into exit codes.

0: done; 1: the work failed, its reason in one line on stderr; 2: the command was used wrongly.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import ClassVar

import typer

from geoserver_py import __version__
from geoserver_py.cli.lazy import LazyGroup
from geoserver_py.cli.output import say


class _Root(LazyGroup):
    sources: ClassVar[Mapping[str, tuple[str, str]]] = {
        "db": ("geoserver_py.cli.db:app", "数据库 / the database"),
        "layers": ("geoserver_py.cli.layers:app", "图层 / layers"),
        "keys": ("geoserver_py.cli.keys:app", "API 密钥 / API keys"),
        "etl": ("geoserver_py.cli.etl:app", "交付与装载 / deliveries in"),
        "uploads": ("geoserver_py.cli.uploads:app", "上传的文件 / files of uploads"),
        "datum": ("geoserver_py.cli.datum:app", "基准与坐标转换 / datum steps"),
        "gazetteer": ("geoserver_py.cli.gazetteer:app", "地名地址 / the address engine"),
        "address": ("geoserver_py.cli.address:app", "标准地址生产 / standard addresses"),
        "tiles": ("geoserver_py.cli.tiles:app", "矢量瓦片 / vector tiles"),
        "demo": ("geoserver_py.cli.demo:app", "示范城市 / the synthetic sample city"),
        "serve": ("geoserver_py.cli.serve:serve", "启动服务 / serve the map until stopped"),
    }


app = typer.Typer(
    name="geoserver-py",
    cls=_Root,
    help="一张图 / one map of a city: CGCS2000 ETL, PostGIS store, OGC API, tiles, addresses",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        say(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="版本 / print the version"
    ),
) -> None:
    """一张图 / one map."""


def _refusals() -> tuple[type[Exception], ...]:
    """What is said in one line; imported only when something went wrong."""
    from geoserver_py.refusals import REFUSALS

    return REFUSALS


def _outages() -> type[Exception]:
    from psycopg import OperationalError

    return OperationalError


def main() -> None:
    """Run the command line; the entry point `geoserver-py`."""
    try:
        app()
    except SystemExit:  # the ordinary end; the next clauses import much to look at it
        raise
    except _refusals() as failure:
        _fail(str(failure))
    except _outages() as failure:
        _fail(f"database: {' '.join(str(failure).split())}")


def _fail(sentence: str) -> None:
    sys.stderr.write(f"geoserver-py: {sentence}\n")
    sys.exit(1)
