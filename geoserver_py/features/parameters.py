"""Query parameters of items, and the `FeatureQuery` that they state."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from geoserver_py.operations import Call, Parameter
from geoserver_py.problems import Problem, invalid_parameter
from layers.access import Principal
from layers.catalogue import PublishedLayer
from layers.city import CityProfile
from layers.crs import OutputCrs, UnknownCrs, crs_for_layer, find_crs, parse_crs
from layers.definition import Field, FieldType, Title
from layers.query import (
    Density,
    FeatureQuery,
    Interval,
    QueryError,
    parse_field_value,
    parse_interval,
)

if TYPE_CHECKING:
    from geoserver_py.services import Services

MAX_LIMIT = 10_000

FORMATS = {
    "json": "application/geo+json",
    "geojson": "application/geo+json",
    "html": "text/html",
    "csv": "text/csv",
    "jsonl": "application/geo+json-seq",
}
"""Values of `f` and their media types; the first is the default."""

COLLECTION_ID = Parameter(
    "collectionId",
    {"type": "string", "maxLength": 100},
    Title("图层", "Collection"),
    location="path",
    example="component",
)
FEATURE_ID = Parameter(
    "featureId", {"type": "string"}, Title("要素标识码", "Feature id"), location="path"
)


def _bbox(values: list[float]) -> list[float]:
    if len(values) == 5:
        raise ValueError("须有 4 个或 6 个数。4 or 6 numbers.")
    return values


def _token(text: str) -> int:
    try:
        raw = base64.urlsafe_b64decode(text)
    except (binascii.Error, ValueError) as bad:
        raise ValueError("不是本服务给出的分页标记。not a token of a next link.") from bad
    if len(raw) != 8:
        raise ValueError("不是本服务给出的分页标记。not a token of a next link.")
    return int.from_bytes(raw, "big", signed=True)


def token_of(fid: int) -> str:
    """Return the opaque paging token that continues after a feature."""
    return base64.urlsafe_b64encode(fid.to_bytes(8, "big", signed=True)).decode()


CRS = Parameter(
    "crs",
    {"type": "string", "maxLength": 200},
    Title(
        "输出坐标系的 URI（坐标轴按其官方次序）；缺省 CRS84",
        "URI of the CRS of the answer, in its authority's axis order; CRS84 by default",
    ),
    example="http://www.opengis.net/def/crs/EPSG/0/4490",
)
PROPERTIES = Parameter(
    "properties",
    {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 200},
    Title("只返回这些字段，逗号分隔", "Return only these fields, comma separated"),
)
SKIP_GEOMETRY = Parameter(
    "skipGeometry",
    {"type": "boolean", "default": False},
    Title("不返回图形", "Leave the geometry out"),
)
FORMAT = Parameter(
    "f",
    {"type": "string", "enum": list(FORMATS)},
    Title("格式；缺省依 Accept", "Format; by the Accept header by default"),
)
ITEM_FORMAT = Parameter(
    "f",
    {"type": "string", "enum": ["json", "geojson", "html"]},
    Title("格式；缺省依 Accept", "Format; by the Accept header by default"),
)

LIMIT = Parameter(
    "limit",
    {"type": "integer", "minimum": 1, "default": 10},
    Title(
        f"每页条数；超过 {MAX_LIMIT} 的按 {MAX_LIMIT}",
        f"Features a page; more than {MAX_LIMIT} counts as {MAX_LIMIT}",
    ),
    stated={"maximum": MAX_LIMIT},
)

ITEMS_PARAMETERS = (
    COLLECTION_ID,
    LIMIT,
    Parameter(
        "bbox",
        {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6},
        Title(
            "范围：bbox-crs 官方轴序的最小角、最大角；缺省 CRS84（经度,纬度）",
            "Rectangle: lower and upper corner in the axis order of bbox-crs (CRS84 by default)",
        ),
        parse=_bbox,
        example="116.05,24.2,116.2,24.35",
    ),
    Parameter(
        "bbox-crs",
        {"type": "string", "maxLength": 200},
        Title("bbox 的坐标系 URI；缺省 CRS84", "URI of the CRS of bbox; CRS84 by default"),
    ),
    Parameter(
        "datetime",
        {"type": "string", "maxLength": 100},
        Title("时刻或区间（RFC 3339），如 2026-01-01/..", "Instant or interval (RFC 3339)"),
    ),
    CRS,
    PROPERTIES,
    SKIP_GEOMETRY,
    Parameter(
        "offset",
        {"type": "integer", "minimum": 0, "maximum": 1_000_000_000, "default": 0},
        Title("跳过条数；深翻页请用 next 链接", "Features to skip; `next` links are faster"),
    ),
    Parameter(
        "after",
        {"type": "string", "maxLength": 20},
        Title("next 链接中的分页标记", "Paging token of a next link"),
        parse=_token,
    ),
    Parameter(
        "resulttype",
        {"type": "string", "enum": ["results", "hits"], "default": "results"},
        Title("hits：只返回总数", "hits: only the number of matches"),
    ),
    FORMAT,
)
ITEM_PARAMETERS = (COLLECTION_ID, FEATURE_ID, CRS, PROPERTIES, SKIP_GEOMETRY, ITEM_FORMAT)

_SCHEMAS: Mapping[FieldType, Mapping[str, Any]] = {
    FieldType.TEXT: {"type": "string"},
    FieldType.INTEGER: {"type": "integer"},
    FieldType.REAL: {"type": "number"},
    FieldType.BOOLEAN: {"type": "boolean"},
    FieldType.DATE: {"type": "string", "format": "date"},
    FieldType.TIMESTAMP: {"type": "string", "format": "date-time"},
}


def field_parameters(
    services: Services, principal: Principal, arguments: Mapping[str, Any]
) -> dict[str, Parameter]:
    """Return one equality parameter per field of the collection; UnknownLayer if there is none."""
    layer = services.catalogue.layer(arguments["collectionId"], principal)
    zone = zone_of(services.profile)
    taken = {parameter.name for parameter in ITEMS_PARAMETERS}
    return {f.name: _field(f, zone) for f in layer.definition.fields if f.name not in taken}


def _field(column: Field, zone: ZoneInfo) -> Parameter:
    timed = column.type in (FieldType.DATE, FieldType.TIMESTAMP)
    return Parameter(
        column.name,
        _SCHEMAS[column.type],
        Title(f"{column.title.zh}等于", f"{column.title.en} equals"),
        parse=(lambda text: parse_field_value(column, text, zone)) if timed else None,
    )


def zone_of(profile: CityProfile) -> ZoneInfo:
    """Return the time zone of the city: dates are its days."""
    return ZoneInfo(profile.calendar.timezone)


@dataclass(frozen=True)
class Asked:
    """A checked request for features: the layer, the query, who asks, and where its rows lie."""

    layer: PublishedLayer
    query: FeatureQuery
    principal: Principal
    density: Density | None = None


def asked_items(call: Call) -> Asked:
    """Return what a request for items asks; Problem 400 names the parameter at fault."""
    layer = call.services.catalogue.layer(call.arguments["collectionId"], call.principal)
    arguments = call.arguments
    bbox, bbox_crs, heights = _area(call, layer)
    query = FeatureQuery(
        layer=layer.definition,
        crs=_crs(call, layer, "crs"),
        bbox=bbox,
        bbox_crs=bbox_crs,
        heights=heights,
        datetime=_interval(call),
        filters=call.dynamic,
        properties=_properties(call, layer),
        skip_geometry=arguments["skipGeometry"],
        limit=min(arguments["limit"], MAX_LIMIT),
        after_fid=arguments["after"],
        offset=arguments["offset"],
    )
    return Asked(layer, query, call.principal, call.services.densities.get(layer.name))


def asked_item(call: Call) -> Asked:
    """Return what a request for one feature asks."""
    layer = call.services.catalogue.layer(call.arguments["collectionId"], call.principal)
    query = FeatureQuery(
        layer=layer.definition,
        crs=_crs(call, layer, "crs"),
        ids=(call.arguments["featureId"],),
        properties=_properties(call, layer),
        skip_geometry=call.arguments["skipGeometry"],
        limit=1,
    )
    return Asked(layer, query, call.principal)


def problem_of(bad: QueryError) -> Problem:
    """Return the Problem 400 that a refused query is."""
    return invalid_parameter(bad.parameter, zh=bad.zh, en=bad.en)


def _crs(call: Call, layer: PublishedLayer, name: str) -> OutputCrs:
    text = call.arguments[name]
    offered = crs_for_layer(layer.definition, call.services.profile)
    if text is None:
        return offered[0] if offered and name == "crs" else parse_crs("CRS84")
    try:
        return find_crs(text, offered)
    except UnknownCrs as unknown:
        raise invalid_parameter(
            name, zh=str(unknown), en="accepted lists them", accepted=[crs.uri for crs in offered]
        ) from unknown


def _area(
    call: Call, layer: PublishedLayer
) -> tuple[tuple[float, float, float, float] | None, OutputCrs, tuple[float, float] | None]:
    crs = _crs(call, layer, "bbox-crs")
    numbers = call.arguments["bbox"]
    if numbers is None:
        if call.arguments["bbox-crs"] is not None:
            raise invalid_parameter(
                "bbox-crs", zh="须与 bbox 同用。", en="goes only with bbox", accepted=["bbox"]
            )
        return None, crs, None
    half = len(numbers) // 2
    low, high = numbers[:half], numbers[half:]
    heights = (low[2], high[2]) if half == 3 else None
    if heights is not None and heights[0] > heights[1]:
        raise invalid_parameter(
            "bbox", zh="最低高大于最高高。", en="its lowest height is above its highest"
        )
    if crs.axis_order == "yx":
        low[:2], high[:2] = low[1::-1], high[1::-1]
    return (low[0], low[1], high[0], high[1]), crs, heights


def _interval(call: Call) -> Interval | None:
    text = call.arguments["datetime"]
    if text is None:
        return None
    try:
        return parse_interval(text, zone_of(call.services.profile))
    except QueryError as bad:
        raise problem_of(bad) from bad


def _properties(call: Call, layer: PublishedLayer) -> tuple[str, ...] | None:
    names = call.arguments["properties"]
    if names is None:
        return None
    known = layer.definition.field_by_name
    for name in names:
        if name not in known:
            raise invalid_parameter(
                "properties",
                zh=f"没有字段 {name[:60]!r}。",
                en=f"the layer has no field {name[:60]!r}; accepted lists them",
                accepted=list(known),
            )
    return tuple(dict.fromkeys(names))
