"""Reading the gazetteer's records from the layer tables; async, on a connection that is given.

Tables are the fixed layers named in SOURCES; positions come out in CGCS2000 degrees.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import shapely
from psycopg import AsyncConnection, sql

from gazetteer.along import RoadLine
from gazetteer.answers import AddressRows, Asked, Crossing
from gazetteer.levels import CODE_LENGTH, Kind
from gazetteer.locate import distance_m
from gazetteer.names import official_name
from gazetteer.numbers import house_number
from gazetteer.records import AddressPoint, Place

Connection = AsyncConnection[Any]

DIVISION_LAYERS = {
    "division_county": Kind.COUNTY,
    "division_town": Kind.TOWN,
    "division_village": Kind.VILLAGE,
}
SOURCES = (*DIVISION_LAYERS, "division_name", "road", "poi", "address")
"""Layers the gazetteer is built from, polygons of divisions first: others are placed in them."""

_SAME_ROAD_M = 3000.0
"""Parts of one name in one county that are farther apart are different roads."""


@cache
def statement(
    name: str, table: str | None = None, columns: tuple[str, ...] = (), **parameters: str
) -> bytes:
    """A statement of ``gazetteer/sql`` with table and column identifiers filled in.

    ``parameters``: names of values to bind, by the places of the file that they fill. As bytes:
    a composed statement is put together anew each time that it is executed.
    """
    text = (resources.files("gazetteer") / "sql" / f"{name}.sql").read_text("utf-8")
    # a file of this package, never a client's text
    template = sql.SQL(text)
    parts: dict[str, sql.Composable] = {
        place: sql.Placeholder(bound) for place, bound in parameters.items()
    }
    if table is not None:
        parts["table"] = sql.Identifier(table)
    if columns:
        parts["columns"] = sql.SQL(", ").join(sql.Identifier(column) for column in columns)
    return template.format(**parts).as_bytes(None)


_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"'})


def array_text(values: Iterable[str]) -> str:
    """An array as PostgreSQL reads it from a text parameter: {"a","b"}.

    psycopg looks through a list three times to find its type: 8 % of an address's CPU time.
    """
    return "{" + ",".join(f'"{value.translate(_ESCAPED)}"' for value in values) + "}"


class Frame:
    """County and town polygons, for placing roads and points that carry no division code."""

    def __init__(self, shapes: Iterable[tuple[str, bytes]]) -> None:
        listed = sorted(shapes, key=lambda entry: entry[0])
        self._codes = [code for code, _ in listed]
        self._tree = shapely.STRtree([shapely.from_wkb(wkb) for _, wkb in listed])

    def codes(self, positions: Sequence[tuple[float, float]]) -> list[str]:
        """The finest division code at each lon, lat; '' outside all."""
        found = [""] * len(positions)
        if not self._codes or not positions:
            return found
        at = self._tree.query(shapely.points(positions), predicate="intersects")
        for position, shape in zip(*at.tolist(), strict=True):
            code = self._codes[shape]
            # of two that share an edge the lower code, always
            if len(code) > len(found[position]):
                found[position] = code
        return found


async def read_divisions(
    connection: Connection, layer: str, *, shapes: bool
) -> tuple[list[Place], list[tuple[str, bytes]]]:
    """Divisions of one polygon layer, and their polygons as WKB when ``shapes``."""
    kind = DIVISION_LAYERS[layer]
    cursor = await connection.execute(statement("divisions", layer), {"shapes": shapes})
    places, polygons = [], []
    for fid, identity, name, lon, lat, *box, wkb in await cursor.fetchall():
        radius = _reach(lon, lat, box)
        named = official_name(name, kind)
        places.append(Place(kind, named, identity, lon, lat, radius, layer, identity, fid))
        if wkb is not None:
            polygons.append((identity, wkb))
    return places, polygons


async def read_register(connection: Connection) -> list[Place]:
    """The register of divisions: names and codes without positions."""
    cursor = await connection.execute(statement("register"))
    places = []
    for fid, code, name in await cursor.fetchall():
        kind = CODE_LENGTH.get(len(code))
        if kind is not None:
            named = official_name(name, kind)
            places.append(Place(kind, named, code, None, None, None, "division_name", code, fid))
    return places


async def read_roads(connection: Connection, frame: Frame) -> list[Place]:
    """Roads: features of one name in one county that lie together."""
    cursor = await connection.execute(statement("roads"))
    rows = await cursor.fetchall()
    codes = frame.codes([(row[3], row[4]) for row in rows])
    grouped: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    for row, code in zip(rows, codes, strict=True):
        grouped[row[2], code[:6]].append((*row, code))
    return [
        _road(part) for _, features in sorted(grouped.items()) for part in _lying_together(features)
    ]


async def read_pois(connection: Connection, frame: Frame, accuracy_m: float) -> list[Place]:
    """Points of interest, with their division code as stated or by position."""
    cursor = await connection.execute(statement("pois"))
    rows = await cursor.fetchall()
    codes = frame.codes([(row[5], row[6]) for row in rows])
    return [
        Place(Kind.POI, name, stated or code, lon, lat, accuracy_m, "poi", identity, fid, category)
        for (fid, identity, name, category, stated, lon, lat), code in zip(rows, codes, strict=True)
    ]


async def read_address_names(
    connection: Connection, frame: Frame, fids: Sequence[int] | None = None
) -> list[Place]:
    """Roads and estates that address rows name (all, or those of ``fids``)."""
    parameters = {"fids": None if fids is None else list(fids)}
    cursor = await connection.execute(statement("address_names"), parameters)
    rows = await cursor.fetchall()
    at = frame.codes([(row[5], row[6]) for row in rows])
    places = []
    for (kind, name, stated, _, identity, lon, lat, *box), code in zip(rows, at, strict=True):
        what = Kind.ROAD if kind == "road" else Kind.ESTATE
        where = stated or (code[:6] if what is Kind.ROAD else code)
        radius = _reach(lon, lat, box)
        places.append(Place(what, name, where, lon, lat, radius, "address", identity))
    return places


_COLUMNS = sql.SQL(
    "fid, id, full_address, coalesce(village_code, ''), coalesce(county, ''), coalesce(town, ''),"
    " coalesce(village, ''), coalesce(road, ''), coalesce(number, ''), coalesce(estate, ''),"
    " coalesce(building, ''), coalesce(unit, ''), ST_X(geom), ST_Y(geom)"
)
_BY_NUMBER = {
    Kind.ROAD: ("address_road", "road"),
    Kind.VILLAGE: ("address_village", "village_code"),
    Kind.ESTATE: ("address_estate", None),
}


async def fetch_addresses(
    connection: Connection, wanted: Iterable[Asked | Crossing], *, roads: bool = True
) -> AddressRows:
    """The address rows of all keys; where a number is not on record, its neighbours; crossings.

    One statement for each kind of key, and two more for the neighbours and the lines of their
    roads (if ``roads`` may be read), however many the keys.
    """
    found: dict[Asked, list[AddressPoint]] = {}
    reckoned: dict[Asked, list[AddressPoint]] = {}
    keys_wanted = set(wanted)
    asked = sorted(key for key in keys_wanted if isinstance(key, Asked))
    pairs = sorted(key for key in keys_wanted if isinstance(key, Crossing))
    for kind, (name, bearer) in _BY_NUMBER.items():
        keys = [key for key in asked if key.kind is kind]
        if not keys:
            continue
        await _fetch(connection, _plates_sql(name, None), keys, found)
        missing = [key for key in keys if key not in found]
        if missing and bearer is not None:
            await _fetch(connection, _plates_sql("address_around", bearer), missing, found)
        if kind is Kind.ROAD:
            reckoned = {key: found[key] for key in missing if key in found}
    lines = await _lines(connection, reckoned) if reckoned and roads else {}
    return AddressRows(found, await _crossings(connection, pairs), lines)


async def _crossings(
    connection: Connection, pairs: Sequence[Crossing]
) -> dict[Crossing, list[tuple[float, float]]]:
    if not pairs:
        return {}
    cursor = await connection.execute(
        statement("crossings"),
        {"ones": [pair.one for pair in pairs], "others": [pair.other for pair in pairs]},
    )
    found: dict[Crossing, list[tuple[float, float]]] = {}
    for ordinal, lon, lat, _ in await cursor.fetchall():
        found.setdefault(pairs[ordinal - 1], []).append((lon, lat))
    return found


async def _lines(
    connection: Connection, reckoned: Mapping[Asked, Sequence[AddressPoint]]
) -> dict[Asked, RoadLine]:
    """The lines of roads around the neighbours of numbers that are not on record."""
    keys = sorted(reckoned)
    cursor = await connection.execute(
        statement("road_lines"),
        {
            "names": [key.name for key in keys],
            "wests": [min(row.lon for row in reckoned[key]) for key in keys],
            "souths": [min(row.lat for row in reckoned[key]) for key in keys],
            "easts": [max(row.lon for row in reckoned[key]) for key in keys],
            "norths": [max(row.lat for row in reckoned[key]) for key in keys],
        },
    )
    return {keys[ordinal - 1]: RoadLine(wkb) for ordinal, wkb in await cursor.fetchall()}


async def _fetch(
    connection: Connection,
    query: bytes,
    keys: Sequence[Asked],
    found: dict[Asked, list[AddressPoint]],
) -> None:
    cursor = await connection.execute(
        query,
        {
            "names": array_text(key.name for key in keys),
            "counties": array_text(key.county for key in keys),
            "mains": array_text(str(key.main) for key in keys),
        },
    )
    for ordinal, *row in await cursor.fetchall():
        found.setdefault(keys[ordinal - 1], []).append(_address(row))


def _address(row: Sequence[Any]) -> AddressPoint:
    (fid, identity, full, code, county, town, village, road, number, estate, building, unit,
     lon, lat) = row  # fmt: skip
    plate = house_number(number) if number else None
    return AddressPoint(
        fid, identity, full, code, county, town, village, road, plate, number, estate, building,
        unit, lon, lat,
    )  # fmt: skip


@cache
def _plates_sql(name: str, bearer: str | None) -> bytes:
    template = sql.SQL((resources.files("gazetteer") / "sql" / f"{name}.sql").read_text("utf-8"))
    if bearer is None:
        return template.format(columns=_COLUMNS).as_bytes(None)
    return template.format(columns=_COLUMNS, bearer=sql.Identifier(bearer)).as_bytes(None)


def known_road_names(places: Iterable[Place]) -> set[tuple[str, str]]:
    """Names of roads with the county they lie in, to leave out those that addresses repeat."""
    return {(place.name, place.code[:6]) for place in places if place.kind is Kind.ROAD}


def _lying_together(features: list[tuple[Any, ...]]) -> list[list[tuple[Any, ...]]]:
    """Single linkage over positions; features of one street are met in the order of longitude."""
    parts: list[list[tuple[Any, ...]]] = []
    for feature in sorted(features, key=lambda f: (f[3], f[4], f[1])):
        near = [part for part in parts if any(_apart(feature, f) < _SAME_ROAD_M for f in part)]
        joined = [f for part in near for f in part] + [feature]
        parts = [part for part in parts if part not in near] + [joined]
    return parts


def _apart(one: tuple[Any, ...], other: tuple[Any, ...]) -> float:
    """Distance between two features' envelopes in metres; 0 where they overlap."""
    west, east = max(one[5], other[5]), min(one[7], other[7])
    south, north = max(one[6], other[6]), min(one[8], other[8])
    lat = (south + north) / 2
    return distance_m(
        min(west, east), min(south, north) if north < south else lat,
        west if east < west else min(west, east), max(south, north) if north < south else lat,
    )  # fmt: skip


def _road(features: list[tuple[Any, ...]]) -> Place:
    """One road: the feature nearest to the middle stands for it."""
    middle_lon = sum(f[3] for f in features) / len(features)
    middle_lat = sum(f[4] for f in features) / len(features)
    chosen = min(features, key=lambda f: (distance_m(middle_lon, middle_lat, f[3], f[4]), f[1]))
    radius = max(_reach(chosen[3], chosen[4], f[5:9]) for f in features)
    county = str(chosen[9])[:6]
    return Place(
        Kind.ROAD, chosen[2], county, chosen[3], chosen[4], radius, "road", chosen[1], chosen[0]
    )


def _reach(lon: float, lat: float, box: Sequence[float]) -> float:
    """Distance in metres to the farthest corner of (west, south, east, north)."""
    west, south, east, north = box
    return max(distance_m(lon, lat, x, y) for x in (west, east) for y in (south, north))
