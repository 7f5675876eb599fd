"""What is asked for: many areas and tiles, drawn where features are, the same in every run."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from geoserver_py.bench.plan import SEED

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Tile:
    """A tile of WebMercatorQuad."""

    layer: str
    zoom: int
    row: int
    col: int


def feature_points(connection: psycopg.Connection, layer: str, number: int) -> list[Bounds]:
    """Return the bounds of `number` features of a layer, drawn evenly over the rows by a seed."""
    found = connection.execute(
        sql.SQL(
            "SELECT ST_XMin(geom), ST_YMin(geom), ST_XMax(geom), ST_YMax(geom) FROM {}"
            " ORDER BY hashint8extended(fid, {}) LIMIT {}"
        ).format(sql.Identifier("layer", layer), sql.Literal(SEED), sql.Literal(number))
    )
    return [(float(w), float(s), float(e), float(n)) for w, s, e, n in found]


def boxes(
    connection: psycopg.Connection, layer: str, number: int, least: int, most: int
) -> list[Bounds]:
    """Return rectangles (CRS84, six decimals) around drawn features, each with `least` to `most`
    features of the layer.
    """  # fmt: skip
    chance = random.Random(SEED)
    made: list[Bounds] = []
    for west, south, east, north in feature_points(connection, layer, 4 * number):
        x, y = (west + east) / 2, (south + north) / 2
        half = chance.uniform(0.003, 0.006)
        for _ in range(8):
            box = (
                round(x - half, 6),
                round(y - half * 0.9, 6),
                round(x + half, 6),
                round(y + half * 0.9, 6),
            )
            count = _features_in(connection, layer, box)
            if least <= count <= most:
                made.append(box)
                break
            half *= min(3.0, max(0.4, math.sqrt((least + most) / 2 / max(count, 1))))
        if len(made) == number:
            break
    return made


def _features_in(connection: psycopg.Connection, layer: str, box: Bounds) -> int:
    row = connection.execute(
        sql.SQL(
            "SELECT count(*) FROM {} WHERE ST_Intersects(geom, ST_MakeEnvelope(%s,%s,%s,%s,4490))"
        ).format(sql.Identifier("layer", layer)),
        box,
    ).fetchone()
    return int(row[0]) if row else 0


def tiles(connection: psycopg.Connection, layer: str, zoom: int, number: int) -> list[Tile]:
    """Return up to `number` different tiles that hold drawn features; fewer where there are no
    more tiles.
    """  # fmt: skip
    found: dict[Tile, None] = {}
    for west, south, _, _ in feature_points(connection, layer, 40 * number):
        found[tile_at(layer, west, south, zoom)] = None
        if len(found) == number:
            break
    return list(found)


def tile_at(layer: str, lon: float, lat: float, zoom: int) -> Tile:
    """Return the WebMercatorQuad tile (OGC 17-083r4, annex D.1) that holds a position in degrees.

    Features are drawn by it, so the metre between CGCS2000 and WGS 84 does not matter here.
    """
    size = 2**zoom
    x = (lon + 180) / 360
    y = 0.5 - math.log(math.tan(math.pi / 4 + math.radians(lat) / 2)) / (2 * math.pi)
    return Tile(layer, zoom, int(y * size), int(x * size))


def classify(
    candidates: Sequence[Tile],
    cost: Callable[[Tile], float],
    classes: Sequence[tuple[str, float, float]],
    number: int,
) -> dict[str, list[Tile]]:
    """Sort tiles into classes (name, from, to) by `cost` in milliseconds; `number` each at most."""
    made: dict[str, list[Tile]] = {name: [] for name, _, _ in classes}
    for tile in candidates:
        if all(len(group) >= number for group in made.values()):
            break
        milliseconds = cost(tile)
        for name, low, high in classes:
            if low <= milliseconds < high and len(made[name]) < number:
                made[name].append(tile)
    return made


def least_time(connection: psycopg.Connection, statement: bytes, params: Any, times: int) -> float:
    """Return the least time a statement took in the server and back, in milliseconds."""
    best = math.inf
    for _ in range(times):
        began = time.perf_counter()
        with connection.cursor(binary=True) as cursor:
            cursor.execute(statement, params, prepare=True)
            cursor.fetchall()
        best = min(best, (time.perf_counter() - began) * 1000)
    return best
