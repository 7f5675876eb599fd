"""SQL of address production, from the files beside it."""

from __future__ import annotations

from functools import cache
from importlib import resources

from psycopg import sql


@cache
def statement(name: str) -> sql.SQL:
    """A statement of ``production/sql``."""
    folder = resources.files("gazetteer") / "production" / "sql"
    return sql.SQL((folder / f"{name}.sql").read_text("utf-8"))
