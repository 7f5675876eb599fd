"""One page of features as one row, and the count of all that match.

The row holds the features as ready GeoJSON text, so that the service only forwards bytes. Of the
ways to build it (json_build_object, concatenation by column, ST_AsGeoJSON(record), json_agg)
concat() around row_to_json() was the fastest that has no limit of 100 arguments: 5.4 ms for 1 000
points of 19 fields and for 1 000 buildings, json_agg 7.3 and 7.6, json_build_object 8.6.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import shapely
from psycopg import sql
from psycopg.types.numeric import Int8

from layers.access import Principal
from layers.crs import CrsDomainError, parse_crs, rectangle_in_storage
from layers.definition import FieldType
from layers.query.density import Density
from layers.query.model import FeatureQuery, QueryError, Statement
from layers.query.predicate import (
    Conditions,
    check_access,
    condition_sql,
    conditions_of,
    predicate_params,
    upright,
)

PAGE_COLUMNS = ("features", "found", "last_fid")
"""Columns of the page statement's row.

features: GeoJSON Features joined by the separator, NULL for none; found: their number, one more
than the limit when a further feature follows; last_fid: the greatest of them, or NULL.
"""

LINE = "\n"
"""No feature's text has a line feed in it (JSON escapes it), so one in the separator marks where
the features meet, and the one too many can be cut off."""


@dataclass(frozen=True)
class GeometryOutput:
    """How geometry is written: target SRID, flipped or not, decimals, 2D or with heights."""

    srid: int
    flip: bool
    decimals: int


@dataclass(frozen=True)
class Shape:
    """All that the text of a page statement depends on; values are bound apart."""

    table: str
    columns: tuple[tuple[str, FieldType], ...]
    """Selected fields."""
    geometry: GeometryOutput | None
    conditions: Conditions


def compile_page(
    query: FeatureQuery,
    principal: Principal,
    *,
    separator: str = "," + LINE,
    scan: int | None = None,
) -> Statement:
    """Return the statement of one page, a single row of `PAGE_COLUMNS`.

    `separator` stands between the features. `scan` as `scan_of` gives it: a page that it does not
    fill says nothing, and is asked again without it. Raises UnknownLayer for a layer the principal
    may not read, QueryError for what the layer cannot answer.
    """
    check_access(query, principal)
    params = page_params(query, scan)
    params["separator"] = separator
    return Statement(_page_text(shape_of(query), scan is not None), params)


def page_params(query: FeatureQuery, scan: int | None) -> dict[str, Any]:
    """Return the values that `rows_sql` names."""
    params = predicate_params(query)
    params["limit"] = Int8(query.limit)
    params["offset"] = Int8(query.offset)
    if scan is not None:
        params["scan"] = Int8(scan)
    return params


def compile_count(query: FeatureQuery, principal: Principal) -> Statement:
    """Return the statement that counts what matches, wherever in key order: one row, one bigint."""
    check_access(query, principal)
    wanted = conditions_of(query)
    text = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(
        sql.Identifier("layer", query.layer.name), condition_sql(wanted)
    )
    return Statement(text.as_bytes(None), predicate_params(query))


def shape_of(query: FeatureQuery) -> Shape:
    """Return what the text of a query's statement depends on."""
    layer = query.layer
    names = layer.field_names if query.properties is None else query.properties
    for name in names:
        if name not in layer.field_by_name:
            raise QueryError(
                "properties", f"此图层没有字段 {name[:60]!r}。", f"no field {name[:60]!r} here"
            )
    geometry = None
    if layer.geometry is not None and not query.skip_geometry:
        crs = query.crs
        geometry = GeometryOutput(crs.srid, crs.axis_order == "yx", crs.decimals)
    return Shape(
        table=layer.name,
        columns=tuple((n, layer.field_by_name[n].type) for n in names),
        geometry=geometry,
        conditions=conditions_of(query),
    )


def geometry_sql(output: GeometryOutput) -> sql.Composable:
    """Return the geometry in the CRS and axis order of the output."""
    value: sql.Composable = sql.Identifier("geom")
    if output.srid != 4490:
        value = sql.SQL("ST_Transform({}, {})").format(value, sql.Literal(output.srid))
    if output.flip:
        value = sql.SQL("ST_FlipCoordinates({})").format(value)
    return value


def _feature_sql(shape: Shape) -> sql.Composed:
    geometry: sql.Composable = sql.SQL("'null'")
    if shape.geometry is not None:
        geometry = sql.SQL("coalesce(ST_AsGeoJSON({}, {}, 0), 'null')").format(
            geometry_sql(shape.geometry), sql.Literal(shape.geometry.decimals)
        )
    return sql.SQL(
        """concat('{{"type":"Feature","id":', to_json(id),
                  ',"geometry":', {geometry},
                  ',"properties":', {properties},
                  '}}')"""
    ).format(geometry=geometry, properties=_properties_sql(shape.columns))


WRITTEN_APART = 8
"""Up to so many fields are written one by one: 0.4 ms less for 1 000 buildings of 6 fields, half of
them numbers, 0.6 ms more for 1 000 components of 19, nearly all of them text."""

_NUMBERS = (FieldType.INTEGER, FieldType.REAL)


def _properties_sql(columns: tuple[tuple[str, FieldType], ...]) -> sql.Composed:
    """Return the arguments of concat() that make the object of properties."""
    if not 0 < len(columns) <= WRITTEN_APART:
        fields = sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(_finite(*column), sql.Identifier(column[0]))
            for column in columns
        )
        return sql.SQL("""(SELECT row_to_json("P") FROM (SELECT {}) AS "P")""").format(fields)
    parts: list[sql.Composable] = []
    for place, (name, kind) in enumerate(columns):
        parts.append(
            sql.Literal(("," if place else "{") + json.dumps(name, ensure_ascii=False) + ":")
        )
        # numbers are their own JSON
        value = (
            "coalesce({}::text, 'null')" if kind in _NUMBERS else "coalesce(to_json({}), 'null')"
        )
        parts.append(sql.SQL(value).format(_finite(name, kind)))
    return sql.SQL(", ").join([*parts, sql.SQL("'}'")])


def _finite(name: str, kind: FieldType) -> sql.Composable:
    """Return a field; NaN and infinities, which have no JSON form, become NULL."""
    if kind is not FieldType.REAL:
        return sql.Identifier(name)
    # x - x is 0 for every finite number, NaN for NaN and infinities
    return sql.SQL("CASE WHEN {0} - {0} = 0 THEN {0} END").format(sql.Identifier(name))


@lru_cache(maxsize=1024)
def _page_text(shape: Shape, scanned: bool) -> bytes:
    text = _SHELL.format(rows=rows_sql(shape, scanned), feature=_feature_sql(shape))
    return text.as_string(None).encode()


# one row more than asked for is read, so that `next` is given only when there is one. It is
# turned into JSON, too, and cut off by the caller: numbering the rows to leave it out takes a sixth
# of the whole (0.4 ms of 2.7). string_agg takes the rows in the order of the subquery.
_SHELL = sql.SQL("""SELECT string_agg({feature}, %(separator)s) AS features,
       count(*) AS found,
       max(fid) AS last_fid
FROM (
    {rows}
) AS page
""")

_IN_KEY_ORDER = sql.SQL("""SELECT {columns} FROM {table}
    WHERE {conditions}
    ORDER BY fid LIMIT %(limit)s + 1 OFFSET %(offset)s""")

# `fid + 0` keeps the planner from the key order that it would choose for LIMIT's sake
_BY_AREA = sql.SQL("""SELECT {columns} FROM {table}
    WHERE {conditions}
    ORDER BY fid + 0 LIMIT %(limit)s + 1 OFFSET %(offset)s""")

_SCANNED = sql.SQL("""SELECT {columns} FROM (
        SELECT * FROM {table} WHERE {after} ORDER BY fid LIMIT %(scan)s
    ) AS scanned
    WHERE {conditions}
    ORDER BY fid LIMIT %(limit)s + 1 OFFSET %(offset)s""")


def scan_of(query: FeatureQuery, density: Density | None) -> int | None:
    """Return how many rows to read in key order for a page of a query, None for the index.

    Key order reads about n * rows / hits of them for n of the hits of an area when these are spread
    evenly along it, and the whole table when they are not; the GiST index reads all hits. Key order
    is the better bet above hits^2 = n * rows, and gets four times the rows it should need; when
    they do not fill the page, the index answers. On 1 M points: a bbox of 100 000 hits 3.5 ms
    (index 91), of 1 000 hits 1.4 ms, the whole city 0.9 ms (index 500). None without a `density`
    (loaded, not analysed yet) and for what raises QueryError in `compile_page`.
    """
    if query.bbox is None or density is None:
        return None
    area = query.bbox
    if not upright(query):
        try:
            inside = rectangle_in_storage(query.bbox, query.bbox_crs or parse_crs("CRS84"))
        except CrsDomainError:
            return None
        west, south, east, north = shapely.bounds(inside)
        area = (float(west), float(south), float(east), float(north))
    hits = max(density.rows_in(area), 1.0)
    wanted = query.limit + query.offset + 1
    if hits * hits <= wanted * density.rows:
        return None
    return math.ceil(4 * wanted * density.rows / hits)


def planned_once(query: FeatureQuery, scan: int | None) -> bool:
    """Whether one plan is good for a page, whatever the values: keys or a rectangle alone choose.

    For a rectangle that is the GiST index, for `scan_of` has chosen otherwise where the key order
    is better.
    """
    if query.by_key:
        return True
    return scan is None and query.bbox is not None and conditions_of(query).rectangle_alone


def rows_sql(shape: Shape, scanned: bool) -> sql.Composed:
    """Return the SELECT of the rows of one page and one more, in order of `fid`."""
    names = ["fid", "id", *(name for name, _ in shape.columns)]
    if shape.geometry is not None:
        names.append("geom")
    way = _SCANNED if scanned else _BY_AREA if shape.conditions.area else _IN_KEY_ORDER
    return way.format(
        columns=sql.SQL(", ").join(map(sql.Identifier, names)),
        table=sql.Identifier("layer", shape.table),
        after=sql.SQL("fid > %(after)s" if shape.conditions.after else "TRUE"),
        conditions=condition_sql(
            shape.conditions, once=way is _BY_AREA and shape.conditions.rectangle_alone
        ),
    )
