"""Where a house number lies, given the numbers of its road: the plate itself, or between two.

Positions are CGCS2000 lon, lat in degrees; distances metres on a sphere of 6 371 008.8 m, within
0.5 % of the ellipsoid, which is far below any error stated here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gazetteer.along import RoadLine
from gazetteer.numbers import KILOMETRE, HouseNumber
from gazetteer.records import AddressPoint

EARTH_RADIUS_M = 6_371_008.8
MAX_GAP_M = 1500.0
"""Neighbouring numbers further apart than this are not interpolated between."""
SAME_SPOT_M = 100.0
"""Records of one number that are closer than this (its units and doors) are one place."""
_PLATE_SPACING_M = 15.0
_MAX_BEYOND = 40
_RHYTHM = 3
"""Plates of one side that show how far apart its numbers are."""
_MAX_CONTINUED = 10


class How(StrEnum):
    """How a position was found."""

    EXACT = "exact"
    MAIN_NUMBER = "main-number"
    INTERPOLATED = "interpolated"
    EXTRAPOLATED = "extrapolated"
    NEAREST = "nearest"


@dataclass(frozen=True, slots=True)
class Located:
    """A position for a number. ``error_m`` is what the truth is expected to lie within.

    ``record`` is the address found, ``neighbours`` those it was reckoned from.
    """

    lon: float
    lat: float
    error_m: float
    how: How
    record: AddressPoint | None
    neighbours: tuple[AddressPoint, ...] = ()


def distance_m(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """Great-circle distance in metres between two positions in degrees (haversine)."""
    a, b = math.radians(lat1), math.radians(lat2)
    half_lat, half_lon = (b - a) / 2, math.radians(lon2 - lon1) / 2
    h = math.sin(half_lat) ** 2 + math.cos(a) * math.cos(b) * math.sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(h)))


def locate(
    points: Sequence[AddressPoint],
    number: HouseNumber,
    accuracy_m: float,
    line: RoadLine | None = None,
) -> tuple[Located, ...]:
    """All places that may bear ``number`` among the addresses of one road or village.

    Exact plates if there are any (one for each place that is SAME_SPOT_M apart), else plates with
    the same main number, else one position between or beside the neighbouring numbers, along
    ``line`` if the road has one; empty where the road has no official numbers near it.
    """
    if number.kind == KILOMETRE:
        return _at_post(points, number, accuracy_m, line)
    exact = [p for p in points if p.number == number]
    if exact:
        return _spots(exact, accuracy_m, How.EXACT)
    main = [
        p
        for p in points
        if p.number and (p.number.main, p.number.kind) == (number.main, number.kind)
    ]
    if main:
        return _spots(main, accuracy_m + 2 * _PLATE_SPACING_M, How.MAIN_NUMBER)
    if number.kind:
        return ()  # self-made and temporary numbers follow no order
    numbered = [p for p in points if p.number is not None and not p.number.kind]
    same_side = [p for p in numbered if p.number is not None and p.number.is_odd == number.is_odd]
    found = (
        _between(same_side, number, accuracy_m, line)
        or _continued(same_side, number, accuracy_m, line)
        or _between(numbered, number, accuracy_m + 2 * _PLATE_SPACING_M, line)
        or _beyond(same_side or numbered, number, accuracy_m)
    )
    return () if found is None else (found,)


def _at_post(
    points: Sequence[AddressPoint],
    number: HouseNumber,
    accuracy_m: float,
    line: RoadLine | None,
) -> tuple[Located, ...]:
    """Between the two posts around it; posts are a kilometre apart, along a road that bends."""
    posts = [p for p in points if p.number is not None and p.number.kind == KILOMETRE]
    exact = [p for p in posts if p.number is not None and p.number.order == number.order]
    if exact:
        return _spots(exact, accuracy_m, How.EXACT)
    between = _between(posts, number, accuracy_m, line)
    return () if between is None else (between,)


def _spots(points: Iterable[AddressPoint], error_m: float, how: How) -> tuple[Located, ...]:
    """One representative for each spot: the record with the least detail below the number."""
    spots: list[AddressPoint] = []
    for point in sorted(points, key=lambda p: (bool(p.unit), bool(p.building), p.id)):
        if all(distance_m(point.lon, point.lat, s.lon, s.lat) > SAME_SPOT_M for s in spots):
            spots.append(point)
    return tuple(Located(p.lon, p.lat, error_m, how, p) for p in spots)


def _between(
    points: Sequence[AddressPoint], number: HouseNumber, error_m: float, line: RoadLine | None
) -> Located | None:
    below = [p for p in points if p.number is not None and p.number.order < number.order]
    above = [p for p in points if p.number is not None and p.number.order > number.order]
    if not below or not above:
        return None
    low = max(below, key=lambda p: (_main(p), p.id))
    high = min(above, key=lambda p: (_main(p), p.id))
    gap = distance_m(low.lon, low.lat, high.lon, high.lat)
    share = (number.order - _main(low)) / (_main(high) - _main(low))
    lon, lat = low.lon + share * (high.lon - low.lon), low.lat + share * (high.lat - low.lat)
    along = None if line is None else line.between(low, high, share)
    if along is not None:
        lon, lat, gap = along
    if gap > MAX_GAP_M:
        return None
    error = max(share, 1 - share) * gap + error_m
    return Located(lon, lat, error, How.INTERPOLATED, None, (low, high))


def _continued(
    points: Sequence[AddressPoint], number: HouseNumber, error_m: float, line: RoadLine | None
) -> Located | None:
    """Before the first or behind the last number of a side, in the rhythm of the next ones."""
    ordered = sorted(points, key=lambda p: (abs(_main(p) - number.main), p.id))
    if line is None or len(ordered) < _RHYTHM:
        return None
    nearest, farther = ordered[0], ordered[_RHYTHM - 1]
    steps = abs(_main(nearest) - number.main)
    if steps > _MAX_CONTINUED or _main(nearest) == _main(farther):
        return None
    share = (number.order - _main(farther)) / (_main(nearest) - _main(farther))
    along = line.between(farther, nearest, share)
    if along is None:
        return None
    spacing = along[2] / abs(_main(nearest) - _main(farther))
    if not 0 < spacing <= 2 * _PLATE_SPACING_M:
        return None
    error = error_m + _PLATE_SPACING_M + spacing * steps
    return Located(along[0], along[1], error, How.EXTRAPOLATED, None, (nearest, farther))


def _beyond(points: Sequence[AddressPoint], number: HouseNumber, error_m: float) -> Located | None:
    if not points:
        return None
    nearest = min(points, key=lambda p: (abs(_main(p) - number.main), p.id))
    steps = abs(_main(nearest) - number.main)
    if steps > _MAX_BEYOND:
        return None
    error = error_m + _PLATE_SPACING_M * steps
    return Located(nearest.lon, nearest.lat, error, How.NEAREST, None, (nearest,))


def _main(point: AddressPoint) -> int:
    return 0 if point.number is None else point.number.order
