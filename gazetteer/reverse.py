"""From a position to what is there: address, road, points of interest, divisions.

Nearest is by geodesic distance on the CGCS2000 ellipsoid, in metres.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gazetteer.levels import Kind, Level
from gazetteer.names import official_name
from gazetteer.store import DIVISION_LAYERS, Connection, statement

DIRECTIONS = ("北", "东北", "东", "东南", "南", "西南", "西", "西北")
MAX_DISTANCE_M = 1000.0
"""An address farther away than this does not say where a position is."""

_ADDRESS_COLUMNS = ("full_address", "village_code", "road", "number")
_POI_COLUMNS = ("name", "category")


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


def direction_of(azimuth: float | None, distance_m: float) -> str:
    """One of eight directions of an azimuth in degrees from north; '' at the spot itself."""
    if azimuth is None or distance_m < 0.5:
        return ""
    return DIRECTIONS[round(azimuth / 45) % 8]


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
    here = {"lon": lon, "lat": lat, "radius": radius_m}
    found = Surroundings()
    divisions = []
    for layer, kind in DIVISION_LAYERS.items():
        if layer in layers:
            cursor = await connection.execute(statement("reverse_divisions", layer), here)
            row = await cursor.fetchone()
            if row is not None:
                divisions.append((kind, str(row[0]), official_name(str(row[1]), kind)))
    found = replace(found, divisions=tuple(divisions))
    if "address" in layers:
        cursor = await connection.execute(
            statement("reverse_points", "address", _ADDRESS_COLUMNS),
            {**here, "pool": 12, "count": 1},
        )
        row = await cursor.fetchone()
        if row is not None:
            fid, identity, name, code, road, number, x, y, distance, azimuth = row
            found = replace(
                found,
                address=Found(
                    Level.NUMBER, name, x, y, distance, direction_of(azimuth, distance),
                    "address", identity, fid, "", code or "", road or "", number or "",
                ),
            )  # fmt: skip
    if "road" in layers:
        cursor = await connection.execute(statement("reverse_road"), here)
        row = await cursor.fetchone()
        if row is not None:
            fid, identity, name, x, y, distance, azimuth = row
            direction = direction_of(azimuth, distance)
            road = Found(Level.ROAD, name, x, y, distance, direction, "road", identity, fid)
            found = replace(found, road=replace(road, road=name))
    if "poi" in layers and pois > 0:
        cursor = await connection.execute(
            statement("reverse_points", "poi", _POI_COLUMNS),
            {**here, "pool": pois + 8, "count": pois},
        )
        found = replace(
            found,
            pois=tuple(
                Found(
                    Level.POI, name, x, y, distance, direction_of(azimuth, distance),
                    "poi", identity, fid, category or "",
                )
                for fid, identity, name, category, x, y, distance, azimuth
                in await cursor.fetchall()
            ),
        )  # fmt: skip
    return found
