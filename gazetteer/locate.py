"""Where a house number lies, given the numbers of its road: the plate itself, or between two.

Positions are CGCS2000 lon, lat in degrees; distances metres on a sphere of 6 371 008.8 m, within
0.5 % of the ellipsoid, which is far below any error stated here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gazetteer.numbers import KILOMETRE, HouseNumber
from gazetteer.records import AddressPoint

EARTH_RADIUS_M = 6_371_008.8
MAX_GAP_M = 1500.0
"""Neighbouring numbers further apart than this are not interpolated between."""
SAME_SPOT_M = 100.0
"""Records of one number that are closer than this (its units and doors) are one place."""
_PLATE_SPACING_M = 15.0
_MAX_BEYOND = 40


class How(StrEnum):
    """How a position was found."""

    EXACT = "exact"
    MAIN_NUMBER = "main-number"
    INTERPOLATED = "interpolated"
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
    points: Sequence[AddressPoint], number: HouseNumber, accuracy_m: float
) -> tuple[Located, ...]:
    """All places that may bear ``number`` among the addresses of one road or village.

    Exact plates if there are any (one for each place that is SAME_SPOT_M apart), else plates with
    the same main number, else one position between or beside the neighbouring numbers; empty
    where the road has no official numbers near it.
    """
    if number.kind == KILOMETRE:
        return _at_post(points, number, accuracy_m)
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
    for candidates, extra in ((same_side, 0.0), (numbered, 2 * _PLATE_SPACING_M)):
        between = _between(candidates, number, accuracy_m + extra)
        if between is not None:
            return (between,)
    beyond = _beyond(same_side or numbered, number, accuracy_m)
    return () if beyond is None else (beyond,)


def _at_post(
    points: Sequence[AddressPoint], number: HouseNumber, accuracy_m: float
) -> tuple[Located, ...]:
    """Between the two posts around it; posts are a kilometre apart, along a road that bends."""
    posts = [p for p in points if p.number is not None and p.number.kind == KILOMETRE]
    exact = [p for p in posts if p.number is not None and p.number.order == number.order]
    if exact:
        return _spots(exact, accuracy_m, How.EXACT)
    between = _between(posts, number, accuracy_m)
    return () if between is None else (between,)


def _spots(points: Iterable[AddressPoint], error_m: float, how: How) -> tuple[Located, ...]:
    """One representative for each spot: the record with the least detail below the number."""
    spots: list[AddressPoint] = []
    for point in sorted(points, key=lambda p: (bool(p.unit), bool(p.building), p.id)):
        if all(distance_m(point.lon, point.lat, s.lon, s.lat) > SAME_SPOT_M for s in spots):
            spots.append(point)
    return tuple(Located(p.lon, p.lat, error_m, how, p) for p in spots)


def _between(points: Sequence[AddressPoint], number: HouseNumber, error_m: float) -> Located | None:
    below = [p for p in points if p.number is not None and p.number.order < number.order]
    above = [p for p in points if p.number is not None and p.number.order > number.order]
    if not below or not above:
        return None
    low = max(below, key=lambda p: (_main(p), p.id))
    high = min(above, key=lambda p: (_main(p), p.id))
    gap = distance_m(low.lon, low.lat, high.lon, high.lat)
    if gap > MAX_GAP_M:
        return None
    share = (number.order - _main(low)) / (_main(high) - _main(low))
    return Located(
        low.lon + share * (high.lon - low.lon),
        low.lat + share * (high.lat - low.lat),
        max(share, 1 - share) * gap + error_m,
        How.INTERPOLATED,
        None,
        (low, high),
    )


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
