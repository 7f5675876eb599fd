"""Tianditu's geocoder and its reverse, at one path: /geocoder?ds=… and /geocoder?postStr=…

Coordinates in and out are CGCS2000 degrees. The documented example of the reverse query writes its
JSON with single quotes, and so do the apps: that form and bare keys are read too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gazetteer.answers import Candidate, Hints
from gazetteer.index import GazetteerIndex
from gazetteer.levels import Kind, Level
from gazetteer.normalise import MAX_QUERY_LENGTH
from gazetteer.reverse import Found, Surroundings, surroundings
from geoserver_py.compat.amap_habits import position
from geoserver_py.compat.amap_shapes import division_names, usable
from geoserver_py.compat.foreign import CALLBACK, RESPONSES, ForeignOperation, rendered
from geoserver_py.operations import Call, Parameter
from geoserver_py.pools import run_cancellable
from geoserver_py.problems import Problem, invalid_parameter
from layers.definition import Title

_LEVEL = {Level.NUMBER: "门址", Level.POI: "兴趣点", Level.COUNTY: "区县", Level.VILLAGE: "村"}
_BARE_KEY = re.compile(r"([{,]\s*)([A-Za-z_]\w*)\s*:", re.ASCII)
_NATION_PREFIX = "156"
"""Before a division code: ISO 3166 number of China, as in 156441402."""


def refusal(problem: Problem, _request: Request) -> Mapping[str, Any]:
    """A problem as Tianditu tells it: status "404" and a sentence."""
    return {"msg": f"{problem.zh} {problem.en}".strip(), "status": "404"}


async def _geocoder(call: Call) -> Response:
    asked, typed = call.arguments["ds"], call.arguments["postStr"]
    if asked is not None:
        document = await run_cancellable(call.request, _forward(call, _object("ds", asked)))
    elif typed is not None:
        document = await run_cancellable(call.request, _reverse(call, _object("postStr", typed)))
    else:
        raise invalid_parameter(
            "ds", zh="须给出 ds 或 postStr。", en="ds (an address) or postStr (a position)"
        )
    return rendered(call.request, document)


async def _forward(call: Call, asked: Mapping[str, Any]) -> dict[str, Any]:
    word = asked.get("keyWord")
    if not isinstance(word, str) or not 1 <= len(word) <= MAX_QUERY_LENGTH:
        raise invalid_parameter(
            "ds",
            zh=f"keyWord 须为 1 至 {MAX_QUERY_LENGTH} 个字符的文本。",
            en=f"keyWord must be a text of 1 to {MAX_QUERY_LENGTH} characters",
        )
    services = call.services
    answers = await services.gazetteer.match_many(
        services.pools.lookups, call.principal, [word], Hints(limit=20)
    )
    kept = usable(answers[0], [""], services.profile)
    if not kept:
        return {"msg": "无结果 no result", "status": "101"}
    return {
        "msg": "ok",
        "location": {**_located(kept[0]), "keyWord": word},
        "typeRound": [{**_located(rival), "keyWord": rival.label} for rival in kept[1:]],
        "searchVersion": "1.0.0",
        "status": "0",
    }


def _located(found: Candidate) -> dict[str, Any]:
    """Longitude and latitude are texts in this direction (and numbers in the other)."""
    return {
        "score": round(100 * found.score),
        "level": _LEVEL.get(found.level, found.level.value),
        "lon": f"{found.lon:.9f}",
        "lat": f"{found.lat:.9f}",
    }


async def _reverse(call: Call, asked: Mapping[str, Any]) -> dict[str, Any]:
    services = call.services
    if asked.get("lon") is None or asked.get("lat") is None:
        raise invalid_parameter(
            "postStr", zh="须含 lon 与 lat。", en="must hold lon and lat in CGCS2000 degrees"
        )
    lon, lat = position(services, "postStr", f"{asked['lon']},{asked['lat']}", "cgcs2000")
    index = await services.gazetteer.index(call.principal)
    if not services.profile.extent.contains(lon, lat):
        return {"msg": "无结果 no result", "status": "101"}
    async with services.pools.lookups() as connection:
        found = await surroundings(
            connection, services.gazetteer.readable(call.principal), lon, lat, pois=1
        )
    return {"result": _result(index, found, lon, lat), "msg": "ok", "status": "0"}


def _result(index: GazetteerIndex, found: Surroundings, lon: float, lat: float) -> dict[str, Any]:
    code = found.code or (found.address.code if found.address else "")
    names = division_names(index, code)
    place = found.pois[0] if found.pois else None
    chain = "".join(names.get(k, "") for k in (Kind.PROVINCE, Kind.CITY, Kind.COUNTY, Kind.TOWN))
    whole = (
        found.address.name if found.address else f"{chain}{found.road.name if found.road else ''}"
    )
    return {
        "formatted_address": whole,
        "location": {"lon": round(lon, 9), "lat": round(lat, 9)},
        "addressComponent": {
            "nation": "中国" if names else "",
            "province": names.get(Kind.PROVINCE, ""),
            "province_code": _code(code, 2),
            "city": names.get(Kind.CITY, ""),
            "city_code": _code(code, 4),
            "county": names.get(Kind.COUNTY, ""),
            "county_code": _code(code, 6),
            "town": names.get(Kind.TOWN, ""),
            "town_code": _code(code, 9),
            **_near("address", found.address, _short(found.address, chain)),
            **_near("poi", place, place.name if place else ""),
            "road": found.road.name if found.road else "",
            "road_distance": round(found.road.distance_m) if found.road else "",
        },
    }


def _near(name: str, found: Found | None, shown: str) -> dict[str, Any]:
    return {
        name: shown,
        f"{name}_position": found.direction if found else "",
        f"{name}_distance": round(found.distance_m) if found else "",
    }


def _short(address: Found | None, chain: str) -> str:
    """The address without the divisions that stand in members of their own."""
    return "" if address is None else address.name.removeprefix(chain)


def _code(code: str, digits: int) -> str:
    if len(code) < digits:
        return ""
    return f"{_NATION_PREFIX}{code[:digits].ljust(6, '0')}"


def _object(name: str, typed: str) -> Mapping[str, Any]:
    """The JSON object of a parameter, however it is quoted; Problem 400."""
    quoted = typed.replace("'", '"')
    for attempt in (typed, quoted, _BARE_KEY.sub(r'\1"\2":', quoted)):
        try:
            read = orjson.loads(attempt)
        except orjson.JSONDecodeError:
            continue
        if isinstance(read, dict):
            return read
    raise invalid_parameter(name, zh="不是 JSON 对象。", en=f"not a JSON object: {typed[:60]!r}")


OPERATIONS = (
    ForeignOperation(
        method="GET",
        path="/compat/tianditu/geocoder",
        operation_id="tianditu.geocoder",
        summary=Title("天地图兼容：地理编码与逆地理编码", "As Tianditu: geocoding and its reverse"),
        tag="compat",
        handler=_geocoder,
        parameters=(
            Parameter(
                "ds",
                {"type": "string", "maxLength": 1000},
                Title("地址", "The address"),
                example='{"keyWord":"梅江区嘉应中路12号"}',
            ),
            Parameter(
                "postStr",
                {"type": "string", "maxLength": 1000},
                Title("位置（CGCS2000），单双引号均可", "The position, with either kind of quotes"),
                example="{'lon':116.1176,'lat':24.2886,'ver':1}",
            ),
            Parameter(
                "type",
                {"type": "string", "maxLength": 20},
                Title("逆地理编码为 geocode", "geocode for the reverse"),
            ),
            CALLBACK,
        ),
        free_parameters=frozenset({"tk", "_", "sig", "output"}),
        responses=RESPONSES,
        refusal=refusal,
    ),
)
