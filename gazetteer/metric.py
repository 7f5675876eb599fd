"""Metres about one position, without a geodesic for each neighbour."""

from __future__ import annotations

import math
from dataclasses import dataclass

_A, _F = 6378137.0, 1 / 298.257222101
"""CGCS2000 ellipsoid: semi-major axis in metres, flattening (GB 22021)."""
_E2 = _F * (2 - _F)


@dataclass(frozen=True, slots=True)
class Metric:
    """Distances from (lon, lat), CGCS2000 degrees; within 1 mm of the geodesic up to 5 km.

    A neighbour (dlon, dlat) degrees away lies ``(east + east_lat * dlat) * dlon`` metres east and
    ``(north + north_lat * dlat) * dlat`` north: the radii of curvature half-way between the two.
    """

    lon: float
    lat: float
    east: float
    east_lat: float
    north: float
    north_lat: float

    @classmethod
    def at(cls, lon: float, lat: float) -> Metric:
        """The metric about a position that is not a pole."""
        degree = math.radians(1)
        sine, cosine = math.sin(math.radians(lat)), math.cos(math.radians(lat))
        flat = 1 - _E2 * sine * sine
        across = _A / math.sqrt(flat)  # prime vertical
        along = across * (1 - _E2) / flat  # meridian
        return cls(
            lon,
            lat,
            across * cosine * degree,
            -along * sine * degree * degree / 2,
            along * degree,
            1.5 * along * _E2 * sine * cosine / flat * degree * degree,
        )

    def offset(self, lon: float, lat: float) -> tuple[float, float]:
        """Metres east and north from the position to a neighbour."""
        dlon, dlat = lon - self.lon, lat - self.lat
        return (
            (self.east + self.east_lat * dlat) * dlon,
            (self.north + self.north_lat * dlat) * dlat,
        )


def web_mercator(lon: float, lat: float) -> tuple[float, float]:
    """EPSG:3857 metres of CGCS2000 degrees within latitude 85, the projection of ``tile_geom``."""
    half = math.radians(lat) / 2
    return math.radians(lon) * _A, _A * math.log(math.tan(math.pi / 4 + half))
