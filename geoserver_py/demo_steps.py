"""What `make demo` does between an empty database and a server: named steps, each idempotent."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from geoserver_py.errors import WorkFailed
from geoserver_py.settings import Settings


@dataclass(frozen=True)
class Step:
    """One step: what it is called, and the function that does it and says what it did."""

    name: str
    run: Callable[[Settings], str]


def check_database(settings: Settings) -> str:
    """Say which PostgreSQL and PostGIS answer; WorkFailed without PostGIS."""
    with psycopg.connect(settings.dsn(), connect_timeout=10) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version'), extversion FROM pg_extension"
            " WHERE extname = 'postgis'"
        ).fetchone()
    if row is None:
        raise WorkFailed("the database has no PostGIS: run `CREATE EXTENSION postgis` in it")
    return f"PostgreSQL {row[0]}, PostGIS {row[1]}"


STEPS: tuple[Step, ...] = (Step("database", check_database),)


def prepare_all(settings: Settings, say: Callable[[str], None]) -> None:
    """Run every step in order; the first that fails ends it, with its own sentence."""
    for number, step in enumerate(STEPS, 1):
        began = time.monotonic()
        try:
            outcome = step.run(settings)
        except WorkFailed as failure:
            raise WorkFailed(f"{step.name}: {failure}") from failure
        say(f"[{number}/{len(STEPS)}] {step.name}: {outcome} ({time.monotonic() - began:.1f} s)")
