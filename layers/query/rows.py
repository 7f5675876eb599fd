"""One page as rows of typed columns, for CSV and for callers that want values, not JSON."""

from __future__ import annotations

from functools import lru_cache

from psycopg import sql

from layers.access import Principal
from layers.query.model import FeatureQuery, Statement
from layers.query.page import Shape, geometry_sql, page_params, rows_sql, shape_of
from layers.query.predicate import check_access


def compile_rows(
    query: FeatureQuery, principal: Principal, *, scan: int | None = None
) -> Statement:
    """Return the statement of one page as rows: fid, id, the selected fields, geometry as WKT.

    One row more than `limit` comes when a further feature follows. Without geometry the last
    column is NULL. `scan` and errors as in `compile_page`.
    """
    check_access(query, principal)
    return Statement(_rows_text(shape_of(query), scan is not None), page_params(query, scan))


@lru_cache(maxsize=256)
def _rows_text(shape: Shape, scanned: bool) -> bytes:
    geometry: sql.Composable = sql.SQL("NULL::text")
    if shape.geometry is not None:
        geometry = sql.SQL("ST_AsText({}, {})").format(
            geometry_sql(shape.geometry), sql.Literal(shape.geometry.decimals)
        )
    names = ["fid", "id", *(name for name, _ in shape.columns)]
    text = sql.SQL("SELECT {shown} FROM (\n    {rows}\n) AS page ORDER BY fid").format(
        rows=rows_sql(shape, scanned),
        shown=sql.SQL(", ").join([*map(sql.Identifier, names), geometry]),
    )
    return text.as_string(None).encode()
