"""From a position to what is there: address, road, points of interest, divisions.

Nearest is by distance on the CGCS2000 ellipsoid, in metres.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from gazetteer.levels import Kind, Level
from gazetteer.metric import Metric, web_mercator
from gazetteer.names import official_name
from gazetteer.store import DIVISION_LAYERS, Connection, statement

DIRECTIONS = ("北", "东北", "东", "东南", "南", "西南", "西", "西北")
MAX_DISTANCE_M = 1000.0
"""An address farther away than this does not say where a position is."""

_ADDRESS_COLUMNS = ("full_address", "village_code", "road", "number")
_POI_COLUMNS = ("name", "category")
_LAYERS = frozenset({*DIVISION_LAYERS, "address", "poi", "road"})


@dataclass(frozen=True, slots=True)
class Found:
    """A record near the position; ``direction`` is where the position lies, seen from it."""

    level: Level
    name: str
    lon: float
    lat: float
    distance_m: float
    direction: str
    layer: str
    id: str
    fid: int
    category: str = ""
    code: str = ""
    road: str = ""
    number: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is at and around a position; ``divisions``: (kind, code, name) from coarse to fine."""

    divisions: tuple[tuple[Kind, str, str], ...] = ()
    address: Found | None = None
    road: Found | None = None
    pois: tuple[Found, ...] = ()

    @property
    def code(self) -> str:
        """Code of the finest division, '' outside all."""
        return self.divisions[-1][1] if self.divisions else ""


def direction_of(east: float, north: float) -> str:
    """One of eight directions of an offset in metres; '' at the spot itself."""
    if math.hypot(east, north) < 0.5:
        return ""
    return DIRECTIONS[round(math.degrees(math.atan2(east, north)) / 45) % 8]


async def surroundings(
    connection: Connection,
    layers: frozenset[str],
    lon: float,
    lat: float,
    *,
    radius_m: float = MAX_DISTANCE_M,
    pois: int = 5,
) -> Surroundings:
    """What the readable ``layers`` hold at and around a CGCS2000 position in degrees.

    Raises ValueError where Web Mercator, in which neighbours are searched, has no point.
    """
    if abs(lat) > 85 or abs(lon) > 180:
        raise ValueError(f"纬度 {lat}、经度 {lon} 超出范围 (beyond latitude 85 or longitude 180)")
    readable = frozenset(layers & _LAYERS)
    if not readable:
        return Surroundings()
    here = Metric.at(lon, lat)
    x, y = web_mercator(lon, lat)
    cursor = await connection.execute(
        _look_up(readable),
        {
            "lon": lon, "lat": lat, "x": x, "y": y, "radius": radius_m,
            "east": here.east, "east_lat": here.east_lat,
            "north": here.north, "north_lat": here.north_lat,
            "address_pool": 12, "address_count": 1, "poi_pool": pois + 8, "poi_count": pois,
        },
    )  # fmt: skip
    row = await cursor.fetchone()
    found: dict[str, list[dict[str, Any]] | None] = {} if row is None else orjson.loads(row[0])
    divisions = [
        (kind, str(one["id"]), official_name(str(one["name"]), kind))
        for layer, kind in DIVISION_LAYERS.items()
        for one in found.get(layer) or ()
    ]
    addresses = [
        _found(
            here, Level.NUMBER, "address", one, one["full_address"], code=one["village_code"] or "",
            road=one["road"] or "", number=one["number"] or "",
        )
        for one in found.get("address") or ()
    ]  # fmt: skip
    roads = [
        _found(here, Level.ROAD, "road", one, one["name"], road=one["name"])
        for one in found.get("road") or ()
    ]
    return Surroundings(
        divisions=tuple(divisions),
        address=next(iter(addresses), None),
        road=next(iter(roads), None),
        pois=tuple(
            _found(here, Level.POI, "poi", one, one["name"], category=one["category"] or "")
            for one in found.get("poi") or ()
        ),
    )


def _found(
    here: Metric, level: Level, layer: str, row: Mapping[str, Any], name: str, **more: str
) -> Found:
    east, north = here.offset(row["lon"], row["lat"])
    direction = direction_of(-east, -north)
    return Found(
        level, name, row["lon"], row["lat"], row["distance"], direction, layer, row["id"],
        row["fid"], **more,
    )  # fmt: skip


@cache
def _look_up(layers: frozenset[str]) -> bytes:
    """All look-ups as one statement: the text of a JSON object with the rows of each layer.

    Six statements for one position took 2.3 ms of the service's CPU time, this one 0.9.
    """
    texts = {
        **{layer: statement("reverse_divisions", layer) for layer in DIVISION_LAYERS},
        "address": _nearest("address", _ADDRESS_COLUMNS),
        "poi": _nearest("poi", _POI_COLUMNS),
        "road": statement("reverse_road"),
    }
    return (
        b"SELECT json_build_object("
        + b",\n".join(
            b"'%s', (SELECT json_agg(found) FROM (%s) AS found)" % (layer.encode(), texts[layer])
            for layer in sorted(layers)
        )
        + b")::text"
    )


def _nearest(layer: str, columns: tuple[str, ...]) -> bytes:
    bound = {part: f"{layer}_{part}" for part in ("pool", "count")}
    return statement("reverse_points", layer, columns, **bound)
