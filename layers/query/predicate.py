"""The WHERE clause of a query: exact area, time, equality and ids, with bound values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import shapely
from psycopg import sql
from psycopg.types.numeric import Float8, Int8

from layers.access import Principal
from layers.catalogue import UnknownLayer
from layers.crs import Bounds, CrsDomainError, check_rectangle, parse_crs, rectangle_in_storage
from layers.definition import FieldType, GeometryType
from layers.query.model import FeatureQuery, FieldValue, QueryError

_AREA = sql.SQL("ST_GeomFromWKB(%(area)s, 4490)")
"""The bound area. Immutable over a bound value: `force_custom_plan` folds it to a constant once."""

SIDES = ("west", "south", "east", "north")

_RECTANGLE = sql.SQL("ST_MakeEnvelope(%(west)s, %(south)s, %(east)s, %(north)s, 4490)")
"""An area along the axes of the store: four numbers say it, and no geometry need be built."""

_INNER = sql.SQL(
    "ST_MakeEnvelope(%(inner_west)s, %(inner_south)s, %(inner_east)s, %(inner_north)s, 4490)"
)

# Same answer as ST_Intersects, border included: 0.8 ms instead of 5 for 1 760 points. `&&` only
# finds them: a GiST box is of 4-byte floats, up to a metre too wide.
_UPRIGHT = sql.SQL(
    "geom && {rectangle} AND ST_X(geom) BETWEEN %(west)s AND %(east)s"
    " AND ST_Y(geom) BETWEEN %(south)s AND %(north)s"
)


# Same answer as ST_Intersects: what lies in the rectangle with its whole box needs no exact test
# (0.8 ms instead of 1.7 for 1 900 polygons). Boxes are of 4-byte floats, rounded outwards, so the
# inner rectangle is drawn in by more than that rounding (`_INWARD`). CASE, for the planner would
# look up both sides of an OR in the index, one after the other.
_BOXED = sql.SQL(
    "geom && {rectangle}"
    " AND CASE WHEN geom @ {inner} THEN TRUE ELSE ST_Intersects(geom, {rectangle}) END"
)

_INWARD = 2.0**-22
"""Of an edge: two steps of a 4-byte float, one for the rounding of the geometry's box, one for the
rectangle's."""


@dataclass(frozen=True)
class Predicate:
    """Conditions over the unqualified columns of a layer table, and the values they bind."""

    sql: sql.Composed
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Conditions:
    """Which conditions a query has: all that the text of its WHERE clause depends on."""

    area: bool
    upright: bool
    """Points in a rectangle along the axes: four comparisons are exact (see `_UPRIGHT`)."""
    boxed: bool
    """Lines or polygons in such a rectangle, wide enough for an inner one (see `_BOXED`)."""
    heights: bool
    ids: bool
    after: bool
    time: tuple[str, bool, bool, bool] | None
    """Field; has a start; has an end; the end is excluded."""
    filters: tuple[str, ...]

    @property
    def rectangle_alone(self) -> bool:
        """Whether a rectangle along the axes, and a position in key order, are all there is."""
        return (self.upright or self.boxed) and not (
            self.heights or self.ids or self.time or self.filters
        )


def check_access(query: FeatureQuery, principal: Principal) -> None:
    """Raise UnknownLayer when the principal may not read the layer: a second wall."""
    if not principal.may_read(query.layer.access):
        raise UnknownLayer(query.layer.name)


def compile_predicate(query: FeatureQuery, principal: Principal) -> Predicate:
    """Return the conditions of a query for use in another statement (tiles, processes).

    Raises UnknownLayer for a layer the principal may not read, QueryError for what the layer
    cannot answer. Without conditions the text is TRUE.
    """
    check_access(query, principal)
    return Predicate(condition_sql(conditions_of(query)), predicate_params(query))


def conditions_of(query: FeatureQuery) -> Conditions:
    """Return which conditions a query has; QueryError for what the layer cannot answer."""
    layer = query.layer
    if query.bbox is not None and layer.geometry is None:
        raise QueryError("bbox", "此图层没有图形。", "this collection has no geometry")
    time = None
    if query.datetime is not None:
        if layer.time_field is None:
            raise QueryError(
                "datetime", "此图层没有时间字段。", "this collection has no time field"
            )
        span = query.datetime
        dates = layer.field_by_name[layer.time_field].type is FieldType.DATE
        time = (
            layer.time_field,
            span.start is not None,
            span.end is not None,
            span.end_open and not dates,
        )
    for name in query.filters:
        if name not in layer.field_by_name:
            raise QueryError(name, "此图层没有该字段。", "this collection has no such field")
    return Conditions(
        area=query.bbox is not None,
        upright=upright(query) and query.layer.geometry is GeometryType.POINT,
        boxed=inner_rectangle(query) is not None,
        heights=query.heights is not None and layer.has_z,
        ids=query.ids is not None,
        after=query.after_fid is not None,
        time=time,
        filters=tuple(query.filters),
    )


def upright(query: FeatureQuery) -> bool:
    """Whether the area is one rectangle with edges along the axes of the store."""
    if query.bbox is None:
        return False
    crs = query.bbox_crs
    return (crs is None or crs.geographic) and query.bbox[0] <= query.bbox[2]


def inner_rectangle(query: FeatureQuery) -> Bounds | None:
    """The rectangle to compare boxes with, for layers of lines and polygons; None for none."""
    if not upright(query) or query.bbox is None or query.layer.geometry is GeometryType.POINT:
        return None
    west, south, east, north = query.bbox
    inner = (
        west + abs(west) * _INWARD,
        south + abs(south) * _INWARD,
        east - abs(east) * _INWARD,
        north - abs(north) * _INWARD,
    )
    return inner if inner[0] < inner[2] and inner[1] < inner[3] else None


@lru_cache(maxsize=512)
def condition_sql(wanted: Conditions, *, once: bool = False) -> sql.Composed:
    """Return the text of the conditions; `TRUE` for none.

    `once` for statements that are planned once for all values: what a custom plan folds to a
    constant is then reckoned once a statement, and not for each row.
    """
    parts: list[sql.Composable] = []
    rectangle, inner = (
        sql.SQL("(SELECT {})").format(box) if once else box for box in (_RECTANGLE, _INNER)
    )
    if wanted.upright:
        parts.append(_UPRIGHT.format(rectangle=rectangle))
    elif wanted.boxed:
        parts.append(_BOXED.format(rectangle=rectangle, inner=inner))
    elif wanted.area:
        parts.append(sql.SQL("ST_Intersects(geom, {})").format(_AREA))
    if wanted.heights:
        parts.append(
            sql.SQL("ST_ZMin(geom) <= %(high)s::float8 AND ST_ZMax(geom) >= %(low)s::float8")
        )
    if wanted.time is not None:
        name, start, end, end_open = wanted.time
        column = sql.Identifier(name)
        if start:
            parts.append(sql.SQL("{} >= %(start)s").format(column))
        if end:
            operator = sql.SQL("<" if end_open else "<=")
            parts.append(sql.SQL("{} {} %(end)s").format(column, operator))
    for number, name in enumerate(wanted.filters):
        value = sql.Placeholder(f"filter_{number}")
        parts.append(sql.SQL("{} = {}").format(sql.Identifier(name), value))
    if wanted.ids:
        parts.append(sql.SQL("id = ANY(%(ids)s::text[])"))
    if wanted.after:
        parts.append(sql.SQL("fid > %(after)s"))
    return sql.SQL(" AND ").join(parts or [sql.SQL("TRUE")])


def predicate_params(query: FeatureQuery) -> dict[str, Any]:
    """Return the values that `condition_sql` names."""
    params: dict[str, Any] = {}
    if query.bbox is not None:
        crs = query.bbox_crs or parse_crs("CRS84")
        points = upright(query) and query.layer.geometry is GeometryType.POINT
        inner = inner_rectangle(query)
        try:
            if points or inner is not None:
                check_rectangle(query.bbox, crs)
                params |= zip(SIDES, map(Float8, query.bbox), strict=True)
            else:
                params["area"] = shapely.to_wkb(rectangle_in_storage(query.bbox, crs))
        except CrsDomainError as outside:
            raise QueryError("bbox", f"{outside}。", "the CRS has no such coordinates") from outside
        if inner is not None:
            params |= {f"inner_{side}": Float8(v) for side, v in zip(SIDES, inner, strict=True)}
    if query.heights is not None and query.layer.has_z:
        params["low"], params["high"] = map(Float8, query.heights)
    if query.datetime is not None and query.layer.time_field is not None:
        span = query.datetime
        dates = query.layer.field_by_name[query.layer.time_field].type is FieldType.DATE
        start, end = span.days() if dates else (span.start, span.end)
        params |= {k: v for k, v in (("start", start), ("end", end)) if v is not None}
    for number, value in enumerate(query.filters.values()):
        params[f"filter_{number}"] = _bound(value)
    if query.ids is not None:
        params["ids"] = list(query.ids)
    if query.after_fid is not None:
        params["after"] = Int8(query.after_fid)
    return params


def _bound(value: FieldValue) -> Any:
    """One PostgreSQL type per Python type: psycopg's own choice by size gives many statements."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return Int8(value) if isinstance(value, int) else Float8(value)
