"""Positions along the centre line of a road: where plates stand on it, and between them.

The line is taken to a plane of metres around its middle (equirectangular; within 0.1 % over the
length of a road), measured there, and carried back. Positions are CGCS2000 lon, lat in degrees.
"""

from __future__ import annotations

import math

import shapely
from shapely.geometry import LineString, Point

from gazetteer.records import AddressPoint

METRES_PER_DEGREE = 111_195.0
_ASIDE_M = 120.0
"""A plate farther from the line than this does not stand along it."""
_STEP_M = 1.0


class RoadLine:
    """The centre line of one road, of one or more parts."""

    def __init__(self, wkb: bytes) -> None:
        """Raises shapely.errors.ShapelyError where the bytes are no line."""
        line = shapely.force_2d(shapely.from_wkb(wkb))
        west, south, east, north = line.bounds
        self._lon, self._lat = (west + east) / 2, (south + north) / 2
        self._scale = (METRES_PER_DEGREE * math.cos(math.radians(self._lat)), METRES_PER_DEGREE)
        plane = shapely.transform(line, lambda c: (c - (self._lon, self._lat)) * self._scale)
        merged = shapely.line_merge(plane) if plane.geom_type != "LineString" else plane
        self._parts = [p for p in shapely.get_parts(merged) if isinstance(p, LineString)]

    def between(
        self, low: AddressPoint, high: AddressPoint, share: float
    ) -> tuple[float, float, float] | None:
        """Position at a share of the way from one plate to another (beyond 0 and 1: outside them),
        as far beside the line as they are, and the metres between them along it.

        None where they do not stand along the same part of the line.
        """
        one, other = self._plane(low.lon, low.lat), self._plane(high.lon, high.lat)
        part = min(self._parts, key=lambda p: p.distance(one) + p.distance(other), default=None)
        if part is None or max(part.distance(one), part.distance(other)) > _ASIDE_M:
            return None
        start, end = part.project(one), part.project(other)
        at = start + share * (end - start)
        if not -_ASIDE_M <= at <= part.length + _ASIDE_M:
            return None
        aside = (1 - share) * _aside(part, one, start) + share * _aside(part, other, end)
        if not 0 <= share <= 1:
            aside = _aside(part, other, end)
        spot = _beside(part, min(max(at, 0.0), part.length), aside)
        return (
            self._lon + spot.x / self._scale[0],
            self._lat + spot.y / self._scale[1],
            abs(end - start),
        )

    def _plane(self, lon: float, lat: float) -> Point:
        return Point((lon - self._lon) * self._scale[0], (lat - self._lat) * self._scale[1])


def _direction(part: LineString, at: float) -> tuple[float, float]:
    behind = part.interpolate(max(0.0, at - _STEP_M))
    ahead = part.interpolate(min(part.length, at + _STEP_M))
    length = behind.distance(ahead) or 1.0
    return (ahead.x - behind.x) / length, (ahead.y - behind.y) / length


def _aside(part: LineString, point: Point, at: float) -> float:
    """Metres beside the line, positive to its left."""
    foot = part.interpolate(at)
    dx, dy = _direction(part, at)
    return float(dx * (point.y - foot.y) - dy * (point.x - foot.x))


def _beside(part: LineString, at: float, aside: float) -> Point:
    foot = part.interpolate(at)
    dx, dy = _direction(part, at)
    return Point(foot.x - dy * aside, foot.y + dx * aside)
