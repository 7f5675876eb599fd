"""The servers under load: this one and its peers, each in its own venv, with as many processes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from geoserver_py.bench.data import DATABASE, LAYERS
from geoserver_py.bench.plan import Plan
from geoserver_py.cluster import OWNER, ClusterInfo
from geoserver_py.errors import WorkFailed

READY_SECONDS = 90


@dataclass(frozen=True)
class Server:
    """A running server: name, process, base URL."""

    name: str
    process: int
    base: str


def make_venv(plan: Plan, name: str) -> Path:
    """Return the folder of the programs of a peer's venv, made from its pins when they changed."""
    venv = plan.folder / f"venv-{name}"
    pins = Path(__file__).with_name(f"requirements-{name}.txt")
    done = venv / "pins.txt"
    if not done.exists() or done.read_bytes() != pins.read_bytes():
        _check([sys.executable, "-m", "venv", "--clear", str(venv)])
        _check([str(venv / "bin" / "pip"), "install", "--quiet", "-r", str(pins)])
        done.write_bytes(pins.read_bytes())
    return venv.absolute() / "bin"


def _check(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise WorkFailed(f"bench: {' '.join(command[:4])} failed: {done.stderr.strip()[-400:]}")


@contextlib.contextmanager
def ours(
    plan: Plan, dsn: str, *, cache_mb: int, workers: int, name: str = "geoserver_py"
) -> Iterator[Server]:
    """Run this service as `geoserver-py serve` does; a tile cache of `cache_mb` MiB a worker."""
    environment = {
        "GEOSERVER_PY_DATABASE_URL": dsn,
        "GEOSERVER_PY_DATA_DIR": str(plan.folder / "serve"),
        "GEOSERVER_PY_TILE_CACHE_MB": str(cache_mb),
        "GEOSERVER_PY_LOG_LEVEL": "warning",
        "GEOSERVER_PY_WORKERS": str(workers),
    }
    program = Path(sys.executable).with_name("geoserver-py")
    with _running(plan, name, [str(program), "serve"], environment, "/readyz", flag="--port") as s:
        yield s


@contextlib.contextmanager
def tipg(plan: Plan, cluster: ClusterInfo, workers: int) -> Iterator[Server]:
    """Run tipg as its documentation does: uvicorn, its own defaults."""
    bin_dir = make_venv(plan, "tipg")
    host = quote(str(cluster.sockets), safe="")
    environment = {
        "DATABASE_URL": f"postgresql://{OWNER}@{host}:{cluster.port}/{DATABASE}",
        "TIPG_DB_SCHEMAS": '["bench"]',
        "TIPG_CATALOG_TTL": "0",
        # its default of 10 000 leaves features out of tiles at random, which is no like for like
        "TIPG_MAX_FEATURES_PER_TILE": "1000000",
    }
    command = [*_uvicorn(bin_dir, workers), "tipg.main:app"]
    with _running(plan, "tipg", command, environment, "/healthz", flag="--port") as server:
        yield server


@contextlib.contextmanager
def pygeoapi(plan: Plan, cluster: ClusterInfo, workers: int) -> Iterator[Server]:
    """Run stock pygeoapi with its PostgreSQL provider: its Starlette app."""
    bin_dir = make_venv(plan, "pygeoapi")
    port = free_port()
    config = plan.folder / "pygeoapi.yml"
    config.write_text(yaml.safe_dump(pygeoapi_config(cluster, port), sort_keys=False), "utf-8")
    environment = {
        "PYGEOAPI_CONFIG": str(config.absolute()),
        "PYGEOAPI_OPENAPI": str((plan.folder / "pygeoapi-openapi.yml").absolute()),
    }
    _check(
        [
            str(bin_dir / "pygeoapi"), "openapi", "generate", environment["PYGEOAPI_CONFIG"],
            "--output-file", environment["PYGEOAPI_OPENAPI"],
        ],
        {**os.environ, **environment},
    )  # fmt: skip
    command = [*_uvicorn(bin_dir, workers), "pygeoapi.starlette_app:APP"]
    with _running(
        plan, "pygeoapi", command, environment, "/conformance?f=json", flag="--port", port=port
    ) as server:
        yield server


def _uvicorn(bin_dir: Path, workers: int) -> list[str]:
    return [str(bin_dir / "uvicorn"), "--log-level", "warning", "--workers", str(workers)]


def pygeoapi_config(cluster: ClusterInfo, port: int) -> dict[str, Any]:
    """Return the configuration of stock pygeoapi for the copied layers."""
    return {
        "server": {
            "bind": {"host": "127.0.0.1", "port": port},
            "url": f"http://127.0.0.1:{port}",
            "mimetype": "application/json; charset=UTF-8",
            "encoding": "utf-8",
            "gzip": False,
            "languages": ["en-US"],
            "pretty_print": False,
            "limits": {"default_items": 10, "max_items": 10000},
            "map": {"url": "http://localhost/{z}/{x}/{y}.png", "attribution": "none"},
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {
                "title": "bench", "description": "bench", "keywords": ["bench"],
                "keywords_type": "theme", "terms_of_service": "none", "url": "http://localhost",
            },
            "license": {"name": "none", "url": "http://localhost"},
            "provider": {"name": "bench", "url": "http://localhost"},
            "contact": {"name": "bench", "url": "http://localhost"},
        },
        "resources": {layer: _pygeoapi_layer(cluster, layer) for layer in LAYERS},
    }  # fmt: skip


def _pygeoapi_layer(cluster: ClusterInfo, layer: str) -> dict[str, Any]:
    return {
        "type": "collection",
        "title": layer,
        "description": layer,
        "keywords": [layer],
        "links": [],
        "extents": {
            "spatial": {
                "bbox": [-180, -90, 180, 90],
                "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
            }
        },
        "providers": [
            {
                "type": "feature",
                "name": "PostgreSQL",
                "data": {
                    "host": str(cluster.sockets),
                    "port": cluster.port,
                    "dbname": DATABASE,
                    "user": OWNER,
                    "password": "",
                    "search_path": ["bench", "public"],
                },
                "id_field": "fid",
                "table": layer,
                "geom_field": "geom",
            }
        ],
    }


def free_port() -> int:
    """Return a TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _running(
    plan: Plan,
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    ready: str,
    *,
    flag: str,
    port: int | None = None,
) -> Iterator[Server]:
    port = port or free_port()
    plan.raw.mkdir(parents=True, exist_ok=True)
    log = plan.raw / f"server-{name}.log"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GEOSERVER_PY_")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, flag, str(port)],
            env={**inherited, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    base = f"http://127.0.0.1:{port}"
    try:
        _await(process, base + ready, log)
        yield Server(name, process.pid, base)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise WorkFailed(f"bench: a server ended at its start: see {log}")
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise WorkFailed(f"bench: {url} was not ready in {READY_SECONDS} s: see {log}")
