"""What `make demo` does between an empty database and a server: named steps, each idempotent."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from geoserver_py import demo_data
from geoserver_py.errors import WorkFailed
from geoserver_py.real_deliveries.step import load_real
from geoserver_py.refusals import REFUSALS
from geoserver_py.settings import Settings
from layers.access import AccessClass, Right
from layers.catalogue import load_catalogue
from layers.definition import load_definitions, standing
from layers.keys import add_key, hash_key, revoke_key
from layers.migrate import current, upgrade
from layers.schema import apply

Say = Callable[[str], None]
DEMO_KEY = "make demo"
"""Name of the key in `geoserver-py keys list`."""


@dataclass(frozen=True)
class Step:
    """One step: what it is called, and the function that does it and says what it did."""

    name: str
    run: Callable[[Settings, Say], str]


def check_database(settings: Settings, _say: Say) -> str:
    """Say which PostgreSQL and PostGIS answer; WorkFailed without PostGIS."""
    with psycopg.connect(settings.dsn(), connect_timeout=10) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version'), extversion FROM pg_extension"
            " WHERE extname = 'postgis'"
        ).fetchone()
    if row is None:
        raise WorkFailed("the database has no PostGIS: run `CREATE EXTENSION postgis` in it")
    return f"PostgreSQL {row[0]}, PostGIS {row[1]}"


def migrate(settings: Settings, _say: Say) -> str:
    """Bring the catalogue's tables to this version."""
    dsn = settings.dsn()
    before = current(dsn)
    upgrade(dsn)
    after = current(dsn)
    return f"at {after}" if before == after else f"{before or 'empty'} -> {after}"


def apply_layers(settings: Settings, _say: Say) -> str:
    """Make the layers' tables what their definitions say."""
    known = load_definitions()
    with psycopg.connect(settings.dsn()) as connection:
        applied = known.keys() if settings.real_data else load_catalogue(connection).layers.keys()
        definitions = standing(known, applied)
        done = apply(connection, definitions)
    return f"{len(definitions)} layers, {len(done)} statements"


def provide_key(settings: Settings, _say: Say) -> str:
    """Keep one API key that reads and delivers everything; only its hash is in the database."""
    file = settings.demo_key_file
    token = file.read_text(encoding="utf-8").strip() if file.exists() else ""
    with psycopg.connect(settings.dsn()) as connection:
        valid = connection.execute(
            "SELECT 1 FROM catalog.api_key"
            " WHERE hash = %s AND revoked_at IS NULL AND 'admin' = ANY (rights)",
            [hash_key(token)],
        ).fetchone()
        if valid:
            return "unchanged"
        revoke_key(connection, DEMO_KEY)
        token = add_key(
            connection, DEMO_KEY, bureau=None, classes=AccessClass, rights=[Right.ADMIN]
        )
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            handle.write(f"{token}\n")
    return f"written to {file}"


STEPS: tuple[Step, ...] = (
    Step("database", check_database),
    Step("db migrate", migrate),
    Step("layers apply", apply_layers),
    Step("demo build", demo_data.build_sample),
    Step("etl run", demo_data.load_sample),
    Step("real data", load_real),
    Step("API key", provide_key),
)


def prepare_all(settings: Settings, say: Say) -> None:
    """Run every step in order; the first that fails ends it, with its own sentence."""
    for number, step in enumerate(STEPS, 1):
        began = time.monotonic()
        try:
            outcome = step.run(settings, say)
        except REFUSALS as failure:
            raise WorkFailed(f"{step.name}: {failure}") from failure
        except psycopg.OperationalError as failure:
            reason = " ".join(str(failure).split())
            raise WorkFailed(f"{step.name}: database: {reason}") from failure
        say(f"[{number}/{len(STEPS)}] {step.name}: {outcome} ({time.monotonic() - began:.1f} s)")
