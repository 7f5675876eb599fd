"""A geometry as people read it: a sketch, its vertices in degrees and on the plane grid, its size.

Everything is computed from longitude and latitude in CGCS2000 (x = lon, y = lat).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyproj
import shapely
from shapely.geometry.polygon import orient

from etl.datum import DatumRegistry
from layers.city import CityProfile

MOST_VERTICES = 400
"""Vertices that a page lists; the rest is in the GeoJSON."""
WIDTH, HEIGHT = 320, 240
_MARGIN = 24
_FINEST_PX = 0.5
_ELLIPSOID = pyproj.Geod(a=6378137.0, rf=298.257222101)
"""The ellipsoid of CGCS2000 (GB 22021)."""

Line = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Vertex:
    """A vertex: its part and ring (from 1), degrees, metres; None what there is not."""

    part: int
    ring: int
    lon: float
    lat: float
    height: float | None
    north: float | None
    east: float | None


@dataclass(frozen=True)
class Shape:
    """A geometry for a page. `paths` are SVG path data in a box of WIDTH x HEIGHT, north up."""

    kind: str
    dimension: int
    count: int
    vertices: tuple[Vertex, ...]
    grid: str | None
    """Plane grid of `north` and `east`, e.g. EPSG:4548."""
    center: tuple[float, float]
    """lon, lat of a point on the geometry."""
    paths: tuple[str, ...]
    scale_px: float | None
    """Length of the scale bar in the sketch; None for a point."""
    scale_m: float | None
    length_m: float | None
    """Of lines; of areas the outline. Geodesic, without heights."""
    area_m2: float | None


def shape_of(
    geometry: Mapping[str, Any], profile: CityProfile, registry: DatumRegistry
) -> Shape | None:
    """The shape of a GeoJSON geometry in lon/lat degrees; None for an empty one."""
    # GEOS reads the text of a large area in a fraction of what shapely.geometry.shape takes
    form = shapely.from_geojson(orjson.dumps(geometry))
    if form.is_empty:
        return None
    rings = list(_rings(geometry))
    count = sum(len(line) for _, _, line in rings)
    paths, degrees_per_px = _sketch([line for _, _, line in rings], form)
    scale_m, scale_px = _scale(degrees_per_px)
    lon, lat = shapely.get_coordinates(shapely.point_on_surface(form))[0].tolist()
    return Shape(
        kind=str(geometry["type"]),
        dimension=int(shapely.get_dimensions(form)),
        count=count,
        vertices=tuple(_vertices(rings, profile, registry)),
        grid=None if profile.plane_grid is None else profile.plane_grid.crs,
        center=(lon, lat),
        paths=paths,
        scale_px=scale_px,
        scale_m=scale_m,
        length_m=_length(form),
        area_m2=_area(form),
    )


def _rings(geometry: Mapping[str, Any]) -> Iterator[tuple[int, int, Line]]:
    """Part, ring (both from 1) and vertices; the vertex that closes a ring is left out."""
    kind, found = geometry["type"], geometry["coordinates"]
    if kind == "Point":
        yield 1, 1, [found]
    elif kind == "MultiPoint":
        yield from ((part, 1, [one]) for part, one in enumerate(found, 1))
    elif kind == "LineString":
        yield 1, 1, found
    elif kind == "MultiLineString":
        yield from ((part, 1, line) for part, line in enumerate(found, 1))
    else:
        polygons = [found] if kind == "Polygon" else found
        for part, polygon in enumerate(polygons, 1):
            yield from ((part, ring, line[:-1]) for ring, line in enumerate(polygon, 1))


def _vertices(
    rings: Iterable[tuple[int, int, Line]], profile: CityProfile, registry: DatumRegistry
) -> Iterator[Vertex]:
    listed = [(part, ring, at) for part, ring, line in rings for at in line][:MOST_VERTICES]
    grid = profile.plane_grid
    plane: list[tuple[float | None, float | None]] = [(None, None)] * len(listed)
    if grid is not None:
        east, north, _ = registry.chain("cgcs2000", grid.crs).apply(
            [at[0] for _, _, at in listed], [at[1] for _, _, at in listed]
        )
        plane = list(zip(north.tolist(), east.tolist(), strict=True))
    for (part, ring, at), (north_m, east_m) in zip(listed, plane, strict=True):
        height = at[2] if len(at) > 2 else None
        yield Vertex(part, ring, at[0], at[1], height, north_m, east_m)


def _sketch(lines: Sequence[Line], form: shapely.Geometry) -> tuple[tuple[str, ...], float | None]:
    """Paths, and degrees of latitude a pixel (None for a point)."""
    west, south, east, north = shapely.bounds(form).tolist()
    squeeze = math.cos(math.radians((south + north) / 2))
    wide, high = (east - west) * squeeze, north - south
    size = max(wide / (WIDTH - 2 * _MARGIN), high / (HEIGHT - 2 * _MARGIN))
    closed = shapely.get_dimensions(form) == 2
    if size == 0:
        return (f"M{WIDTH / 2:g} {HEIGHT / 2:g}h0",), None
    left, top = (WIDTH - wide / size) / 2, (HEIGHT - high / size) / 2
    paths = []
    for line in lines:
        drawn: list[tuple[float, float]] = []
        for at in line:
            x, y = left + (at[0] - west) * squeeze / size, top + (north - at[1]) / size
            if not drawn or max(abs(x - drawn[-1][0]), abs(y - drawn[-1][1])) >= _FINEST_PX:
                drawn.append((x, y))
        text = "L".join(f"{x:.1f} {y:.1f}" for x, y in drawn)
        paths.append(f"M{text}" + ("Z" if closed else "h0" if len(drawn) == 1 else ""))
    return tuple(paths), size


def _scale(degrees_per_px: float | None) -> tuple[float | None, float | None]:
    """A round length of about a quarter of the sketch: metres, pixels."""
    if degrees_per_px is None:
        return None, None
    metres_per_px = degrees_per_px * 111_320
    wanted = metres_per_px * WIDTH / 4
    power = 10.0 ** math.floor(math.log10(wanted))
    length = max(step * power for step in (1, 2, 5) if step * power <= wanted)
    return length, length / metres_per_px


def _length(form: shapely.Geometry) -> float | None:
    dimension = shapely.get_dimensions(form)
    if dimension == 0:
        return None
    flat = shapely.force_2d(shapely.boundary(form) if dimension == 2 else form)
    return float(_ELLIPSOID.geometry_length(flat))


def _area(form: shapely.Geometry) -> float | None:
    if shapely.get_dimensions(form) != 2:
        return None
    polygons = shapely.get_parts(shapely.force_2d(form))
    # holes count against the shell only when they turn the other way
    return float(
        sum(_ELLIPSOID.geometry_area_perimeter(orient(polygon))[0] for polygon in polygons)
    )
