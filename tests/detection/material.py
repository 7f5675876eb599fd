"""What is delivered: content of the sample city, in EPSG:4548, and the layers trusted beside it.

Delivered shapes differ from the trusted ones as a second survey does: 0.3 m of noise (one sigma)
on every vertex, other vertices, and only a part of the features.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import shapely

from geoserver_py.sample_city.build import draw_city
from geoserver_py.sample_city.deliveries import SampleCity
from geoserver_py.sample_city.plane import Geometries, geographic
from tests.detection.shifts import FloatArray

CITY_SEED = 20261122
NOISE_M = 0.3
POINTS = ("component", "address", "corner", "village_point")
LINES = ("road",)
AREAS = ("building", "village")

TRUSTED = {"roads": "road", "buildings": "building", "villages": "division_village"}
"""Trusted layers that a case may be given, and the layer of the sample city they hold."""
FITTING = {
    "road": ("roads",),
    "building": ("buildings", "roads"),
    "component": ("roads", "buildings"),
    "address": ("roads", "buildings"),
    "corner": ("buildings", "roads"),
    "village": ("villages",),
    "village_point": (),
}
"""Trusted layers that can decide the datum of a content."""


@lru_cache(maxsize=1)
def city() -> SampleCity:
    """The sample city at its usual size."""
    return draw_city(CITY_SEED, 1.0)


@lru_cache(maxsize=8)
def _whole(content: str) -> Geometries:
    layers = city().layers
    if content == "village_point":
        return np.asarray(shapely.point_on_surface(layers["division_village"].drawn))
    if content == "corner":
        return np.asarray(shapely.points(shapely.get_coordinates(layers["building"].drawn)))
    if content == "village":
        return layers["division_village"].drawn
    if content == "road":
        drawn = shapely.get_parts(layers["road"].drawn)
        return np.asarray(drawn[shapely.length(drawn) > 0])
    return layers[content].drawn


@lru_cache(maxsize=8)
def _centres(content: str) -> FloatArray:
    return np.asarray(shapely.get_coordinates(shapely.centroid(_whole(content))))


@lru_cache(maxsize=4)
def trusted(name: str) -> Geometries:
    """A trusted layer in CGCS2000 degrees, x = lon."""
    return np.asarray(shapely.transform(city().layers[TRUSTED[name]].drawn, geographic))


def draw(content: str, points: int, rng: np.random.Generator) -> Geometries:
    """Shapes with about `points` vertices: a neighbourhood half the time, else scattered."""
    whole = _whole(content)
    if content == "road":
        # A second digitising puts its vertices elsewhere.
        spacing = float(rng.uniform(4, 8)) if points > 3000 else float(rng.uniform(12, 40))
        whole = shapely.segmentize(shapely.simplify(whole, 0.2), spacing)
    centres = _centres(content)
    if rng.random() < 0.5:
        order = np.argsort(((centres - centres[rng.integers(len(centres))]) ** 2).sum(axis=1))
    else:
        order = rng.permutation(len(whole))
    counts = shapely.get_num_coordinates(whole)[order].cumsum()
    enough = int(np.searchsorted(counts, points)) + 1
    chosen = whole[np.sort(order[:enough])]
    if content == "road" and shapely.get_num_coordinates(chosen).sum() > 1.5 * points:
        chosen = _cut(chosen, points)

    def surveyed(xy: FloatArray) -> FloatArray:
        # Once a place, so that rings stay closed and neighbours stay joined.
        _, which = np.unique(xy, axis=0, return_inverse=True)
        return xy + rng.normal(0, NOISE_M, (which.max() + 1, 2))[which.ravel()]

    return np.asarray(shapely.transform(chosen, surveyed))


def _cut(lines: Geometries, points: int) -> Geometries:
    """The first vertices of each line, so that a short file stays short."""
    each = max(2, points // len(lines))
    return np.array([shapely.linestrings(shapely.get_coordinates(g)[:each]) for g in lines], object)
