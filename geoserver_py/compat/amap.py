"""AMap's geocode/geo, geocode/regeo, config/district and assistant/coordinate/convert."""

from __future__ import annotations

import math
from typing import Any

from starlette.responses import Response

from gazetteer.answers import Candidate, Hints
from gazetteer.normalise import MAX_QUERY_LENGTH
from gazetteer.reverse import surroundings
from geoserver_py.compat.amap_habits import (
    BATCH,
    CITY,
    EXTENSIONS,
    OFFSET,
    PAGE,
    operation,
    pair,
    position,
    several,
    to_gcj,
)
from geoserver_py.compat.amap_shapes import geocode, ok, regeocode, usable
from geoserver_py.compat.areas import area_codes, telephone_area
from geoserver_py.compat.districts import districts
from geoserver_py.compat.foreign import rendered
from geoserver_py.operations import Call, Parameter
from geoserver_py.pools import run_cancellable
from geoserver_py.problems import invalid_parameter
from layers.definition import Title

MOST_ADDRESSES = 10
MOST_POSITIONS = 20
MOST_CONVERTED = 40
"""AMap's own limits of a batch."""
_CANDIDATES = 20
_POIS = 30
_SOURCES = {"gps": "wgs84", "baidu": "bd09", "autonavi": "gcj02"}


async def _geo(call: Call) -> Response:
    services, arguments = call.services, call.arguments
    batch = arguments["batch"] == "true"
    texts = several("address", arguments["address"], MOST_ADDRESSES, batch=batch)
    for text in texts:
        if len(text) > MAX_QUERY_LENGTH:
            raise invalid_parameter(
                "address",
                zh=f"每个地址最长 {MAX_QUERY_LENGTH} 个字符。",
                en=f"at most {MAX_QUERY_LENGTH} characters an address",
            )
    index = await services.gazetteer.index(call.principal)
    areas = area_codes(index, services.profile, arguments["city"])
    hints = Hints(limit=_CANDIDATES)

    async def answer() -> dict[str, Any]:
        answers = await services.gazetteer.match_many(
            services.pools.lookups, call.principal, texts, hints
        )
        citycode, step = telephone_area(services.profile), to_gcj(services)
        entries = []
        for found in answers:
            kept = usable(found, areas, services.profile)
            ambiguous = len(kept) > 1
            chosen: list[Candidate | None] = list(kept)
            if batch:  # one entry an address, so that they stay in line
                chosen = [kept[0] if kept else None]
            entries += [geocode(c, index, citycode, step, ambiguous=ambiguous) for c in chosen]
        return ok(count=str(len(entries)), geocodes=entries)

    return rendered(call.request, await run_cancellable(call.request, answer()))


async def _regeo(call: Call) -> Response:
    services, arguments = call.services, call.arguments
    batch = arguments["batch"] == "true"
    everything = arguments["extensions"] == "all"
    positions = [
        position(services, "location", text, "gcj02")
        for text in several("location", arguments["location"], MOST_POSITIONS, batch=batch)
    ]
    layers = services.gazetteer.readable(call.principal)
    index = await services.gazetteer.index(call.principal)

    async def answer() -> dict[str, Any]:
        citycode, step = telephone_area(services.profile), to_gcj(services)
        entries = []
        async with services.pools.lookups() as connection:
            for lon, lat in positions:
                found = None
                if services.profile.extent.contains(lon, lat):
                    found = await surroundings(
                        connection,
                        layers,
                        lon,
                        lat,
                        radius_m=arguments["radius"],
                        pois=_POIS if everything else 0,
                    )
                entries.append(regeocode(index, found, citycode, step, everything=everything))
        return ok(regeocodes=entries) if batch else ok(regeocode=entries[0])

    return rendered(call.request, await run_cancellable(call.request, answer()))


async def _district(call: Call) -> Response:
    services, arguments = call.services, call.arguments
    index = await services.gazetteer.index(call.principal)

    async def answer() -> dict[str, Any]:
        async with services.pools.reads() as connection:
            found = await districts(
                connection,
                index,
                services,
                arguments["keywords"] or services.profile.division_code,
                depth=arguments["subdistrict"],
                within=arguments["filter"] or "",
                readable=services.gazetteer.readable(call.principal),
                outlines=arguments["extensions"] == "all",
            )
        start = (arguments["page"] - 1) * arguments["offset"]
        return ok(
            count=str(len(found)),
            suggestion={"keywords": [], "cities": []},
            districts=found[start : start + arguments["offset"]],
        )

    return rendered(call.request, await run_cancellable(call.request, answer()))


async def _convert(call: Call) -> Response:
    services, arguments = call.services, call.arguments
    texts = several(
        "locations", arguments["locations"].replace(";", "|"), MOST_CONVERTED, batch=True
    )
    chain = services.registry.chain(_SOURCES[arguments["coordsys"]], "gcj02")
    converted = []
    for text in texts:
        lon, lat = pair("locations", text)
        if not (abs(lon) <= 180 and abs(lat) <= 90):
            raise invalid_parameter(
                "locations",
                zh="经度须在 ±180、纬度须在 ±90 之内。",
                en=f"lng within ±180 and lat within ±90, got {text[:60]!r}",
            )
        x, y = chain.point(lon, lat)
        if not (math.isfinite(x) and math.isfinite(y)):
            raise invalid_parameter("locations", zh="无法转换。", en=f"no such point: {text[:60]}")
        converted.append(f"{x:.8f},{y:.8f}")
    return rendered(call.request, {**ok(), "info": "ok", "locations": ";".join(converted)})


OPERATIONS = (
    operation(
        "/v3/geocode/geo",
        "geocodeGeo",
        Title("高德兼容：地理编码", "As AMap: where an address is"),
        _geo,
        Parameter(
            "address",
            {"type": "string", "minLength": 1, "maxLength": 2100},
            Title("地址；批量时以 | 分隔，至多 10 个", "Address; with batch up to 10, parted by |"),
            required=True,
            example="梅江区嘉应中路12号",
        ),
        CITY,
        BATCH,
    ),
    operation(
        "/v3/geocode/regeo",
        "geocodeRegeo",
        Title("高德兼容：逆地理编码", "As AMap: what is at a position"),
        _regeo,
        Parameter(
            "location",
            {"type": "string", "minLength": 1, "maxLength": 1200},
            Title("经度,纬度（GCJ-02）；批量以 | 分隔，至多 20 个", "lng,lat in GCJ-02"),
            required=True,
            example="116.12243233,24.285977",
        ),
        Parameter(
            "radius",
            {"type": "number", "minimum": 0, "maximum": 3000, "default": 1000},
            Title("搜索半径（米）", "Radius of the search in metres"),
        ),
        Parameter(
            "poitype",
            {"type": "string", "maxLength": 400},
            Title("兴趣点类型（忽略）", "Types of places (ignored)"),
        ),
        Parameter(
            "roadlevel",
            {"type": "string", "enum": ["0", "1"]},
            Title("道路等级（忽略）", "Road level (ignored)"),
        ),
        EXTENSIONS,
        BATCH,
    ),
    operation(
        "/v3/config/district",
        "configDistrict",
        Title("高德兼容：行政区域查询", "As AMap: divisions and what is below them"),
        _district,
        Parameter(
            "keywords",
            {"type": "string", "maxLength": 60},
            Title("区划名称、adcode 或区号；缺省为本市", "Name, adcode or area code of a division"),
            example="梅州市",
        ),
        Parameter(
            "subdistrict",
            {"type": "integer", "minimum": 0, "maximum": 3, "default": 1},
            Title("返回的下级层数", "Levels below to return"),
        ),
        Parameter(
            "filter",
            {"type": "string", "maxLength": 12},
            Title("只要此 adcode 之内的", "Only what lies in this adcode"),
        ),
        Parameter(
            "showbiz",
            {"type": "string", "enum": ["true", "false"]},
            Title("商圈（忽略：本服务没有）", "Business areas (ignored: there are none)"),
        ),
        EXTENSIONS,
        PAGE,
        OFFSET,
    ),
    operation(
        "/v3/assistant/coordinate/convert",
        "coordinateConvert",
        Title("高德兼容：坐标转换", "As AMap: coordinates of other systems to GCJ-02"),
        _convert,
        Parameter(
            "locations",
            {"type": "string", "minLength": 1, "maxLength": 2400},
            Title("经度,纬度，以 | 分隔，至多 40 个", "lng,lat parted by |, up to 40"),
            required=True,
            example="116.1176,24.2886",
        ),
        Parameter(
            "coordsys",
            {"type": "string", "enum": sorted(_SOURCES), "default": "autonavi"},
            Title("输入的坐标系（不含 mapbar）", "System of the input; mapbar is not known here"),
        ),
    ),
)
