"""SQL of the drop-in interfaces, from the files beside this package."""

from __future__ import annotations

from functools import cache
from importlib import resources

from psycopg import sql


@cache
def statement(name: str, table: str | None = None) -> sql.Composed:
    """A statement of ``compat/sql``; ``table`` is one of the fixed layers, never a client's text.

    ``{county}`` is an expression for the county that holds ``poi.geom``, NULL without a table.
    """
    source = (resources.files("geoserver_py") / "compat" / "sql" / f"{name}.sql").read_text("utf-8")
    county = sql.SQL(
        "(SELECT d.id FROM layer.division_county AS d"
        " WHERE ST_Intersects(d.geom, poi.geom) ORDER BY d.id LIMIT 1)"
    )
    return sql.SQL(source).format(
        table=sql.Identifier(table or ""), county=sql.SQL("NULL") if table is None else county
    )
