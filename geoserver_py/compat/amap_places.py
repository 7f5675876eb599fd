"""AMap's assistant/inputtips, place/text and place/around."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from gazetteer.answers import Candidate, Hints
from gazetteer.index import GazetteerIndex
from gazetteer.levels import DIVISION_LEVEL, Kind
from gazetteer.normalise import MAX_QUERY_LENGTH
from gazetteer.suggest import Suggestion, suggest, suggest_numbers
from geoserver_py.compat.amap_habits import CITY, EXTENSIONS, OFFSET, PAGE, operation, position
from geoserver_py.compat.amap_habits import to_gcj as gcj_of
from geoserver_py.compat.amap_shapes import (
    CATEGORY,
    PLACE_NAMES,
    ToGcj,
    division_names,
    location,
    ok,
    poi,
    text,
    usable,
)
from geoserver_py.compat.areas import adcode, area_codes, telephone_area, within
from geoserver_py.compat.foreign import rendered
from geoserver_py.compat.statements import statement
from geoserver_py.operations import Call, Parameter
from geoserver_py.pools import run_cancellable
from geoserver_py.problems import invalid_parameter
from layers.definition import Title

_TIPS = 10
_MORE = 50
"""Suggestions looked at before area and type choose ten of them."""
_MAX_WORDS = 8
_DIVISION_LEVELS = frozenset(DIVISION_LEVEL.values())


async def _inputtips(call: Call) -> Response:
    services, arguments = call.services, call.arguments
    index = await services.gazetteer.index(call.principal)
    areas = area_codes(index, services.profile, arguments["city"])
    kinds = _categories(arguments["type"])
    focus = None
    if arguments["location"]:
        focus = position(services, "location", arguments["location"], "gcj02")
    typed = arguments["keywords"]

    async def answer() -> dict[str, Any]:
        found = suggest(index, typed, _MORE, focus)
        if "address" in services.gazetteer.readable(call.principal):
            plates = await suggest_numbers(services.pools.lookups, index, typed, _TIPS)
            found = [*plates, *found]
        kept = [s for s in found if _is_wanted(s, kinds, arguments["datatype"])]
        if areas is None or arguments["citylimit"] == "true":
            kept = [s for s in kept if within(s.code, areas or [])]
        else:
            kept.sort(key=lambda s: not within(s.code, areas))
        step = gcj_of(services)
        tips = [_tip(index, s, step) for s in kept[:_TIPS]]
        return ok(count=str(len(tips)), tips=tips)

    return rendered(call.request, await run_cancellable(call.request, answer()))


def _is_wanted(found: Suggestion, kinds: list[str] | None, datatype: str) -> bool:
    if "all" not in datatype.split("|") and not (
        "poi" in datatype.split("|") and found.record[0] == "poi"
    ):
        return False
    return kinds is None or found.category in kinds


def _tip(index: GazetteerIndex, found: Suggestion, step: ToGcj) -> dict[str, Any]:
    names = division_names(index, found.code)
    district = "".join(names.get(kind, "") for kind in (Kind.PROVINCE, Kind.CITY, Kind.COUNTY))
    typecode, _ = CATEGORY.get(found.category, PLACE_NAMES)
    is_division = found.level in _DIVISION_LEVELS
    return {
        "id": [] if is_division else found.record[1],
        "name": found.name,
        "district": text(district),
        "adcode": text(adcode(found.code)),
        "location": location(step, found.lon, found.lat),
        "address": text("" if is_division else names.get(Kind.TOWN)),
        "typecode": typecode,
        "city": [],
    }


async def _text(call: Call) -> Response:
    arguments = call.arguments
    if not arguments["keywords"] and not arguments["types"]:
        raise invalid_parameter(
            "keywords", zh="须给出 keywords 或 types。", en="keywords or types is required"
        )
    return await _places(call, "place_text", {}, fall_back=True)


async def _around(call: Call) -> Response:
    lon, lat = position(call.services, "location", call.arguments["location"], "gcj02")
    if not call.services.profile.extent.contains(lon, lat):
        return rendered(call.request, _page([], 0))
    here = {"lon": lon, "lat": lat, "radius": call.arguments["radius"]}
    return await _places(call, "place_around", here, fall_back=False)


async def _places(call: Call, name: str, further: dict[str, Any], *, fall_back: bool) -> Response:
    """A page of points of interest; without any, what the address engine makes of the words."""
    services, arguments = call.services, call.arguments
    index = await services.gazetteer.index(call.principal)
    readable = services.gazetteer.readable(call.principal)
    areas = area_codes(index, services.profile, arguments["city"])
    words = _words(arguments["keywords"])
    given = {
        **further,
        "words": words,
        "patterns": None if words is None else [_pattern(word) for word in words],
        "categories": _categories(arguments["types"]),
        "fids": None,
        "areas": areas,
        "count": arguments["offset"],
        "start": (arguments["page"] - 1) * arguments["offset"],
    }
    citycode, step = telephone_area(services.profile), gcj_of(services)
    full = arguments["extensions"] == "all"

    async def answer() -> dict[str, Any]:
        if areas is None:
            return _page([], 0)
        rows: list[tuple[Any, ...]] = []
        async with services.pools.reads() as connection:
            if "poi" in readable:
                if fall_back and words is not None:  # around a position the area is bound enough
                    given["fids"] = await services.gazetteer.pois_holding(connection, words)
                layer = "division_county" if "division_county" in readable else None
                cursor = await connection.execute(statement(name, layer), given)
                rows = await cursor.fetchall()
        total = rows[0][0] if rows else 0
        found = [_row(row) for row in rows if row[1] is not None]
        typed = (arguments["keywords"] or "")[:MAX_QUERY_LENGTH]
        if not total and fall_back and typed and not arguments["types"]:
            answers = await services.gazetteer.match_many(
                services.pools.lookups, call.principal, [typed], Hints(limit=20)
            )
            found = [_named(c) for c in usable(answers[0], areas, services.profile)]
            total = len(found)
        return _page([poi(place, index, citycode, step, full=full) for place in found], total)

    return rendered(call.request, await run_cancellable(call.request, answer()))


def _page(places: list[dict[str, Any]], total: int) -> dict[str, Any]:
    return ok(count=str(total), suggestion={"keywords": [], "cities": []}, pois=places)


def _row(row: tuple[Any, ...]) -> dict[str, Any]:
    names = ("id", "name", "category", "address", "code", "lon", "lat", "distance")
    return dict(zip(names, row[1:], strict=True))


def _named(found: Candidate) -> dict[str, Any]:
    """An address, road or division in the place of a point of interest."""
    return {
        "id": found.record[1],
        "name": found.name,
        "category": found.category,
        "address": found.label,
        "code": found.code,
        "lon": found.lon,
        "lat": found.lat,
        "distance": None,
    }


def _words(keywords: str | None) -> list[str] | None:
    words = [word.strip() for word in (keywords or "").split("|") if word.strip()]
    if len(words) > _MAX_WORDS:
        raise invalid_parameter(
            "keywords", zh=f"最多 {_MAX_WORDS} 个关键字。", en=f"at most {_MAX_WORDS} keywords"
        )
    return words or None


def _pattern(word: str) -> str:
    """A LIKE pattern that holds the parts of a keyword in their order."""
    escaped = word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{'%'.join(escaped.split())}%"


def _categories(types: str | None) -> list[str] | None:
    """Categories of the layer for AMap's types (codes or class names, parted by |).

    Of a code only the big class, its first two digits, is known here; an unknown one finds
    nothing rather than everything.
    """
    if not types:
        return None
    wanted = [part.strip() for part in types.split("|") if part.strip()]
    return [
        category
        for category, (code, name) in CATEGORY.items()
        if any(
            part[:2] == code[:2] if part[:2].isdigit() else part.split(";")[0] == name
            for part in wanted
        )
    ]


_KEYWORDS = Parameter(
    "keywords",
    {"type": "string", "maxLength": 400},
    Title("关键字，多个以 | 分隔", "Keywords, parted by |"),
    example="医院",
)
_TYPES = Parameter(
    "types",
    {"type": "string", "maxLength": 400},
    Title("类型代码或名称（按大类）", "Type codes or names, by their big class"),
    example="090000",
)
_CITYLIMIT = Parameter(
    "citylimit",
    {"type": "string", "enum": ["true", "false"], "default": "false"},
    Title("只要 city 之内的", "Only what lies in city"),
)
_IGNORED = tuple(
    Parameter(name, {"type": "string", "maxLength": 100}, Title("忽略", "Ignored"))
    for name in ("children", "building", "floor")
)
_SORTRULE = Parameter(
    "sortrule",
    {"type": "string", "enum": ["distance", "weight"], "default": "distance"},
    Title("排序；均按距离", "Order; either is by distance"),
)

OPERATIONS = (
    operation(
        "/v3/assistant/inputtips",
        "inputTips",
        Title("高德兼容：输入提示", "As AMap: suggestions while typing"),
        _inputtips,
        Parameter(
            "keywords",
            {"type": "string", "minLength": 1, "maxLength": MAX_QUERY_LENGTH},
            Title("已输入的文字", "What has been typed"),
            required=True,
            example="嘉应",
        ),
        Parameter(
            "type",
            {"type": "string", "maxLength": 400},
            Title("类型代码或名称（按大类）", "Type codes or names, by their big class"),
        ),
        Parameter(
            "location",
            {"type": "string", "maxLength": 60},
            Title("经度,纬度（GCJ-02），其附近优先", "lng,lat in GCJ-02: what is near comes first"),
        ),
        CITY,
        _CITYLIMIT,
        Parameter(
            "datatype",
            {"type": "string", "maxLength": 40, "default": "all"},
            Title("all、poi、bus、busline，以 | 分隔", "all, poi, bus, busline, parted by |"),
        ),
    ),
    operation(
        "/v3/place/text",
        "placeText",
        Title("高德兼容：关键字搜索", "As AMap: places by words"),
        _text,
        _KEYWORDS,
        _TYPES,
        CITY,
        _CITYLIMIT,
        *_IGNORED,
        _SORTRULE,
        EXTENSIONS,
        PAGE,
        OFFSET,
    ),
    operation(
        "/v3/place/around",
        "placeAround",
        Title("高德兼容：周边搜索", "As AMap: places around a position"),
        _around,
        Parameter(
            "location",
            {"type": "string", "minLength": 1, "maxLength": 60},
            Title("经度,纬度（GCJ-02）", "lng,lat in GCJ-02"),
            required=True,
            example="116.12243233,24.285977",
        ),
        Parameter(
            "radius",
            {"type": "number", "minimum": 0, "maximum": 50000, "default": 5000},
            Title("半径（米）", "Radius in metres"),
        ),
        _KEYWORDS,
        _TYPES,
        CITY,
        *_IGNORED,
        _SORTRULE,
        EXTENSIONS,
        PAGE,
        OFFSET,
    ),
)
