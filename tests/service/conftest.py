"""A server on the sample city, for all tests of this folder.

city   (session)  City: URL of the running service, DSN of its database, API keys, and the folder
                  of the deliveries with the truth; loaded through the ETL like any delivery
client (session)  httpx.Client at that URL, without a key
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from etl.delivery import load_delivery
from etl.run import run_delivery
from geoserver_py.sample_city import build_sample_city
from layers.access import AccessClass
from layers.definition import load_definitions, standing
from layers.keys import add_key
from layers.schema import apply
from tests.conftest import MakeDatabase

SCALE = 0.1
SEED = 20261122


@dataclass(frozen=True)
class City:
    """A running service and what a test may compare it with."""

    url: str
    dsn: str
    folder: Path
    government_key: str
    restricted_key: str
    process: subprocess.Popen[bytes]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def load_city(dsn: str, folder: Path) -> None:
    """Build the sample city's deliveries and load each through the ETL."""
    build_sample_city(folder, SEED, SCALE)
    with psycopg.connect(dsn) as connection:
        apply(connection, standing(load_definitions()))
    for path in sorted(folder.glob("*/delivery.yaml")):
        for report in run_delivery(load_delivery(path), dsn):
            assert report.good, report.sentence()


@pytest.fixture(scope="session")
def city(make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    dsn = make_database("service")
    folder = tmp_path_factory.mktemp("sample")
    load_city(dsn, folder)
    with psycopg.connect(dsn) as connection:
        government = add_key(
            connection, "government", bureau="测试局", classes=[AccessClass.GOVERNMENT]
        )
        restricted = add_key(connection, "restricted", bureau="测试局", classes=list(AccessClass))
    port = free_port()
    environment = {
        **os.environ,
        "GEOSERVER_PY_DATABASE_URL": dsn,
        "GEOSERVER_PY_RASTER_DIR": str(folder / "rasters"),
        "GEOSERVER_PY_JOB_DIR": str(folder / "jobs"),
    }
    command = [sys.executable, "-m", "geoserver_py.cli", "serve", "--port", str(port)]
    with subprocess.Popen(command, env=environment) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url, process)
            yield City(url, dsn, folder, government, restricted, process)
        finally:
            process.terminate()


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Return once /readyz answers 200."""
    deadline, said = time.monotonic() + 30, ""
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended before it was ready"
        try:
            answer = httpx.get(f"{url}/readyz")
            if answer.status_code == 200:
                return
            said = answer.text
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"the server was not ready within 30 s: {said}")


@pytest.fixture(scope="session")
def client(city: City) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=city.url, timeout=30) as made:
        yield made
