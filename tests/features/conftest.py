"""A real server in a process of its own over a synthetic town."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from geoserver_py.cluster import ClusterInfo
from tests.conftest import MakeDatabase
from tests.features import town


@dataclass(frozen=True)
class Served:
    """A running service: its URL, its database, its process id."""

    url: str
    dsn: str
    superuser_dsn: str
    pid: int


@pytest.fixture(scope="session")
def served(
    cluster: ClusterInfo,
    make_database: MakeDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    dsn = make_database("features")
    town.build(dsn)
    with serving(dsn, tmp_path_factory.mktemp("features") / "server.log") as (url, pid):
        name = dsn.partition("@/")[2].partition("?")[0]
        yield Served(url, dsn, cluster.dsn(name, "postgres"), pid)


@contextmanager
def serving(dsn: str, log: Path) -> Iterator[tuple[str, int]]:
    """URL and process of a server on a database, once it is alive."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "--factory", "geoserver_py.app:application",
             "--port", str(port), "--no-access-log", "--log-level", "warning",
             "--timeout-graceful-shutdown", "1"],
            env={**os.environ, "GEOSERVER_PY_DATABASE_URL": dsn},
            stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process, log.read_text)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(10)


def _wait(url: str, process: subprocess.Popen[bytes], log: object) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    assert callable(log)
    raise RuntimeError(f"the server did not start: {log()}")


@pytest.fixture(scope="session")
def client(served: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=60) as opened:
        yield opened
