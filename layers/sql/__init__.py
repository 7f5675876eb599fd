"""Longer SQL in files of its own; identifiers are filled in by psycopg.sql, values are bound."""

from __future__ import annotations

from functools import cache
from importlib import resources

from psycopg import sql


@cache
def text(name: str) -> sql.SQL:
    """Return ``layers/sql/<name>.sql``, ready for ``.format()``."""
    source = (resources.files("layers") / "sql" / f"{name}.sql").read_text("utf-8")
    return sql.SQL(source)  # a file of this package, not a client's text
