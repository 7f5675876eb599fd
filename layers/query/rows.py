"""One page as rows of typed columns, for CSV and for callers that want values, not JSON."""

from __future__ import annotations

from functools import lru_cache

from psycopg import sql
from psycopg.types.numeric import Int8

from layers.access import Principal
from layers.query.model import FeatureQuery, Statement
from layers.query.page import Shape, geometry_sql, rows_sql, shape_of
from layers.query.predicate import check_access, predicate_params


def compile_rows(query: FeatureQuery, principal: Principal) -> Statement:
    """Return the statement of one page as rows: fid, id, the selected fields, geometry as WKT.

    One row more than `limit` comes when a further feature follows. Without geometry the last
    column is NULL. Raises as `compile_page`.
    """
    check_access(query, principal)
    params = predicate_params(query)
    params["limit"] = Int8(query.limit)
    params["offset"] = Int8(query.offset)
    return Statement(_rows_text(shape_of(query)), params)


@lru_cache(maxsize=256)
def _rows_text(shape: Shape) -> bytes:
    fields = [sql.Identifier(name) for name, _ in shape.columns]
    stored = [sql.Identifier("fid"), sql.Identifier("id"), *fields]
    geometry: sql.Composable = sql.SQL("NULL::text")
    if shape.geometry is not None:
        stored.append(sql.Identifier("geom"))
        geometry = sql.SQL("ST_AsText({}, {})").format(
            geometry_sql(shape.geometry), sql.Literal(shape.geometry.decimals)
        )
    shown = [sql.Identifier("fid"), sql.Identifier("id"), *fields, geometry]
    return (
        sql.SQL("{source}\nSELECT {shown} FROM page ORDER BY fid")
        .format(
            source=rows_sql(shape.table, sql.SQL(", ").join(stored), shape.conditions),
            shown=sql.SQL(", ").join(shown),
        )
        .as_string(None)
        .encode()
    )
