"""A service with empty layers and keys that deliver, for tests of uploads; and how to use it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import yaml

from layers.access import AccessClass, Right
from layers.definition import load_definitions, standing
from layers.keys import add_key
from layers.schema import apply
from tests.etl.support import component
from tests.service.conftest import free_port, wait_until_ready

BUREAU = "城市管理和综合执法局"
OTHER = "水务局"
LIMIT_MB = 4
ENDED = ("waiting", "done", "blocked", "failed", "refused", "broken")


@dataclass(frozen=True)
class Desk:
    """A running service, its database, and a key of each kind."""

    url: str
    dsn: str
    home: Path
    key: str
    other: str
    admin: str
    reader: str

    def client(self, key: str | None = None) -> httpx.Client:
        headers = {} if key is None else {"X-API-Key": key}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def send(self, body: bytes, name: str = "交付.zip", key: str | None = None) -> int:
        """Upload and return the number."""
        with self.client(key or self.key) as client:
            answer = client.post("/deliveries", params={"name": name}, content=body)
        assert answer.status_code == 202, answer.text
        return int(answer.json()["id"])

    def settled(self, number: int, key: str | None = None, patience: float = 60) -> dict[str, Any]:
        """The upload once nothing is under way any more."""
        deadline = time.monotonic() + patience
        with self.client(key or self.key) as client:
            while time.monotonic() < deadline:
                found: dict[str, Any] = client.get(f"/deliveries/{number}").json()
                if found["state"] in ENDED:
                    return found
                time.sleep(0.15)
        raise AssertionError(f"still {found['state']}: {found}")


@contextmanager
def open_desk(dsn: str, home: Path, **stated: object) -> Iterator[Desk]:
    """Start a service on a migrated database; `stated` are settings."""
    with psycopg.connect(dsn) as connection:
        apply(connection, standing(load_definitions()))
        classes = list(AccessClass)
        key = add_key(connection, "desk", bureau=BUREAU, classes=classes, rights=[Right.DELIVER])
        other = add_key(connection, "water", bureau=OTHER, classes=classes, rights=[Right.DELIVER])
        admin = add_key(connection, "centre", bureau=None, classes=classes, rights=[Right.ADMIN])
        reader = add_key(connection, "reader", bureau=BUREAU, classes=classes)
    port = free_port()
    environment = {
        **os.environ,
        "GEOSERVER_PY_DATABASE_URL": dsn,
        "GEOSERVER_PY_UPLOAD_DIR": str(home),
        "GEOSERVER_PY_UPLOAD_MAX_MB": str(LIMIT_MB),
        **{f"GEOSERVER_PY_{name.upper()}": str(value) for name, value in stated.items()},
    }
    command = [sys.executable, "-m", "geoserver_py.cli", "serve", "--port", str(port)]
    with subprocess.Popen(command, env=environment) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url, process)
            yield Desk(url, dsn, home, key, other, admin, reader)
        finally:
            process.terminate()


def table(*numbers: int, **values: Any) -> bytes:
    """A table of components in GB18030, positions in CGCS2000 degrees."""
    made = [component(n, **values) for n in numbers]
    lines = [",".join(made[0]), *(",".join(str(v) for v in r.values()) for r in made)]
    return ("\r\n".join(lines) + "\r\n").encode("gb18030")


def packed(files: Mapping[str, bytes | str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def stated(name: str, **changes: Any) -> str:
    """A delivery file for 部件.csv; `changes` go into its load, or on top where they are known."""
    document: dict[str, Any] = {
        "delivery": name,
        "bureau": changes.pop("bureau", BUREAU),
        "city": "meizhou",
        "synthetic": True,
    }
    for key in ("datum_parameters", "expected_every"):
        if key in changes:
            document[key] = changes.pop(key)
    load = {
        "layer": "component",
        "files": [{"path": "部件.csv", "encoding": "GB18030"}],
        "coordsys": "cgcs2000",
        "columns": {"lon": "lon", "lat": "lat"},
        **changes,
    }
    return yaml.safe_dump({**document, "loads": [load]}, allow_unicode=True)
