"""A program that is newer than its database says so, and serves once the database is migrated."""

from __future__ import annotations

import time
from pathlib import Path

import httpx

from layers.migrate import upgrade
from layers.migrations import SCHEMA_VERSION
from tests.features.conftest import serving
from tests.layers.test_upgrade import back_to


def test_an_older_schema_is_told_and_a_migration_needs_no_restart(
    database: str, tmp_path: Path
) -> None:
    back_to(database, "0005")
    log = tmp_path / "server.log"
    with serving(database, log) as (url, _), httpx.Client(base_url=url) as client:
        told = client.get("/readyz")
        assert told.status_code == 503
        assert "db migrate" in told.text
        assert "0005" in told.text
        assert SCHEMA_VERSION in told.text
        upgrade(database)
        deadline = time.monotonic() + 30
        while (found := client.get("/readyz")).status_code != 200:
            assert time.monotonic() < deadline, found.text
            time.sleep(0.2)
        assert client.get("/collections").status_code == 200
    said = log.read_text("utf-8")
    assert "db migrate" in said
    assert "Traceback" not in said
    assert said.count("catalogue not refreshed") <= 2, "said with every look"
