"""`geoserver-py serve`: the HTTP server on its own, for an operator's service manager."""

from __future__ import annotations

from typing import Annotated

import typer

from geoserver_py.server import serve as run_server
from geoserver_py.settings import load_settings


def serve(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="端口 / port")] = None,
    host: Annotated[str | None, typer.Option(help="地址 / address to listen on")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="进程数 / server processes")] = None,
) -> None:
    """启动服务 / serve the map until stopped."""
    given = {"port": port, "host": host, "workers": workers}
    changes = {name: value for name, value in given.items() if value is not None}
    run_server(load_settings().model_copy(update=changes))
