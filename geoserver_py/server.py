"""uvicorn around the ASGI app, with the limits that keep it stoppable."""

from __future__ import annotations

import errno
import socket
import sys
import time
from typing import Any

import psycopg
import uvicorn

from etl.abandoned import close_abandoned
from geoserver_py.accepting import run_workers
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import Settings

APP = "geoserver_py.app:application"


def require_port(host: str, port: int, *, patience: float = 0.0) -> None:
    """Raise WorkFailed unless `host`:`port` can be listened on, within `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                return
            except OSError as problem:
                if problem.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                    time.sleep(0.1)
                    continue
                raise WorkFailed(_why_not(host, port, problem)) from problem


def _why_not(host: str, port: int, problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is taken by another program: stop that, or choose another "
            f"port (`make demo PORT={port + 1}`, GEOSERVER_PY_PORT={port + 1})"
        )
    if problem.errno == errno.EACCES:
        return f"port {port} needs root: choose one above 1023 (`make demo PORT=8000`)"
    return f"cannot listen on {host}, port {port}: {problem.strerror}"


def close_cut_off(dsn: str) -> None:
    """Mark runs failed that were cut off while the service was away, and say which.

    A database that is down or older than this version is the business of /readyz.
    """
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as connection:
            for run in close_abandoned(connection):
                sys.stderr.write(f"geoserver-py: {run.sentence()}\n")
    except (psycopg.OperationalError, psycopg.ProgrammingError) as trouble:
        reason = " ".join(str(trouble).split())
        sys.stderr.write(f"geoserver-py: runs that were cut off are not looked for: {reason}\n")


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; running responses get `shutdown_seconds`, no more.

    Without that limit one stalled download keeps the process alive for ever.
    """
    close_cut_off(settings.dsn())
    require_port(settings.host, settings.port)
    options: dict[str, Any] = {
        "factory": True,
        "host": settings.host,
        "port": settings.port,
        "log_level": settings.log_level,
        "access_log": settings.log_level == "debug",
        "timeout_graceful_shutdown": settings.shutdown_seconds,
        "server_header": False,
    }
    if settings.workers > 1:
        run_workers(APP, workers=settings.workers, **options)
    else:
        uvicorn.run(APP, loop="uvloop", http="httptools", **options)
