"""The root command: mounts the sub-commands and turns outcomes into exit codes.

0: done; 1: the work failed, its reason in one line on stderr; 2: the command was used wrongly.
"""

from __future__ import annotations

import sys

import psycopg
import typer

from geoserver_py import __version__
from geoserver_py.cli import datum, db, demo, etl, gazetteer, keys, layers, serve, tiles, up
from geoserver_py.cli.output import say
from geoserver_py.refusals import REFUSALS

app = typer.Typer(
    name="geoserver-py",
    help="一张图 / one map of a city: CGCS2000 ETL, PostGIS store, OGC API, tiles, addresses",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(db.app, name="db")
app.add_typer(layers.app, name="layers")
app.add_typer(keys.app, name="keys")
app.add_typer(etl.app, name="etl")
app.add_typer(datum.app, name="datum")
app.add_typer(gazetteer.app, name="gazetteer")
app.add_typer(tiles.app, name="tiles")
app.command("serve")(serve.serve)

_demo = typer.Typer(help="示范城市 / the synthetic sample city", no_args_is_help=True)
_demo.command("up")(up.up)
_demo.command("prepare")(up.prepare)
_demo.command("build")(demo.build)
app.add_typer(_demo, name="demo")


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


def main() -> None:
    """Run the command line; the entry point `geoserver-py`."""
    try:
        app()
    except REFUSALS as failure:
        _fail(str(failure))
    except psycopg.OperationalError as failure:
        _fail(f"database: {' '.join(str(failure).split())}")


def _fail(sentence: str) -> None:
    sys.stderr.write(f"geoserver-py: {sentence}\n")
    sys.exit(1)
