"""Before anything is timed: every server gives the same features, or nothing is worth measuring."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping, Sequence

import mapbox_vector_tile
import orjson

from geoserver_py.bench.cases import Case
from geoserver_py.bench.peers import Server
from geoserver_py.errors import WorkFailed

SAMPLE = 5
EXTENT = 4096


def fetch(url: str, headers: Mapping[str, str] | None = None) -> tuple[bytes, Mapping[str, str]]:
    """Return body and headers of a URL; WorkFailed unless the status is 200."""
    request = urllib.request.Request(url, headers=dict(headers or {}))
    with urllib.request.urlopen(request, timeout=60) as answer:
        if answer.status != 200:
            raise WorkFailed(f"bench: {url}: status {answer.status}")
        return answer.read(), dict(answer.headers)


def verify(case: Case, servers: Sequence[Server]) -> dict[str, float]:
    """Return the mean size of a sample of answers by server.

    Raises WorkFailed when their features differ in number: exactly for items, by more than 1 in
    100 (and 2) for tiles, where rounding moves what touches an edge.
    """
    sizes: dict[str, float] = {}
    number = len(case.paths["geoserver_py"])
    places = sorted({number * n // SAMPLE for n in range(SAMPLE)})
    for place in places:
        counts: dict[str, int] = {}
        for server in servers:
            if server.name in case.paths:
                body, _ = fetch(server.base + case.paths[server.name][place])
                counts[server.name] = _inside(body) if case.is_tiles else _features(body)
                sizes[server.name] = sizes.get(server.name, 0.0) + len(body) / len(places)
        _compare(case, place, counts)
    return sizes


def _compare(case: Case, place: int, counts: Mapping[str, int]) -> None:
    expected = counts["geoserver_py"]
    slack = max(2.0, expected / 100) if case.is_tiles else 0.0
    if expected == 0 or any(abs(count - expected) > slack for count in counts.values()):
        raise WorkFailed(f"bench: {case.name}, address {place}: features differ: {dict(counts)}")


def _features(body: bytes) -> int:
    return len(orjson.loads(body)["features"])


def _inside(body: bytes) -> int:
    """Features of a tile that reach into its square: servers differ in the buffer around it."""
    layers = mapbox_vector_tile.decode(body, default_options={"y_coord_down": True})
    return sum(
        _reaches(feature["geometry"]["coordinates"])
        for layer in layers.values()
        for feature in layer["features"]
    )


def _reaches(coordinates: object) -> bool:
    points = list(_points(coordinates))
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    return min(xs) < EXTENT and max(xs) > 0 and min(ys) < EXTENT and max(ys) > 0


def _points(coordinates: object) -> list[tuple[float, float]]:
    if not isinstance(coordinates, list | tuple) or not coordinates:
        return []
    if isinstance(coordinates[0], int | float):
        return [(float(coordinates[0]), float(coordinates[1]))]
    return [point for part in coordinates for point in _points(part)]
