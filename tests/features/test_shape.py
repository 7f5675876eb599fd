"""The readable form of a geometry: sizes and plane coordinates against PROJ and PostGIS's rules."""

from __future__ import annotations

import re

import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from etl.datum import DatumRegistry
from geoserver_py.features.shape import HEIGHT, MOST_VERTICES, WIDTH, shape_of
from layers.city import load_city

PROFILE, REGISTRY = load_city("meizhou"), DatumRegistry()
TO_PLANE = pyproj.Transformer.from_crs(4490, 4548, always_xy=True)
SQUARE = [[116.1, 24.2], [116.2, 24.2], [116.2, 24.3], [116.1, 24.3], [116.1, 24.2]]
HOLE = [[116.14, 24.24], [116.16, 24.24], [116.16, 24.26], [116.14, 24.26], [116.14, 24.24]]


def test_a_point_is_told_in_degrees_and_on_the_plane_grid() -> None:
    shape = shape_of({"type": "Point", "coordinates": [116.1176, 24.2886, 78.5]}, PROFILE, REGISTRY)
    assert shape is not None
    (at,) = shape.vertices
    east, north = TO_PLANE.transform(116.1176, 24.2886)
    assert at.north == pytest.approx(north, abs=1e-4)
    assert at.east == pytest.approx(east, abs=1e-4)
    assert at.height == 78.5
    assert (shape.grid, shape.length_m, shape.area_m2) == ("EPSG:4548", None, None)
    assert shape.center == (116.1176, 24.2886)


@pytest.mark.parametrize("turned", [False, True])
def test_a_hole_is_no_part_of_the_area_whichever_way_it_turns(turned: bool) -> None:
    rings = [SQUARE, HOLE[::-1] if turned else HOLE]
    geometry = {"type": "MultiPolygon", "coordinates": [rings]}
    shape = shape_of(geometry, PROFILE, REGISTRY)
    assert shape is not None
    assert shape.count == 8, "the vertex that closes a ring is not another one"
    geod = pyproj.Geod(ellps="GRS80")
    sizes = [
        abs(geod.polygon_area_perimeter([x for x, _ in ring], [y for _, y in ring])[0])
        for ring in rings
    ]
    assert shape.area_m2 == pytest.approx(sizes[0] - sizes[1], rel=1e-9)
    assert shapely.contains_xy(shapely.from_geojson(_text(geometry)), *shape.center)
    assert [(at.part, at.ring) for at in shape.vertices] == [(1, 1)] * 4 + [(1, 2)] * 4


def _text(geometry: object) -> str:
    return str(geometry).replace("'", '"')


def test_a_line_is_as_long_as_on_the_ellipsoid() -> None:
    shape = shape_of({"type": "MultiLineString", "coordinates": [SQUARE[:3]]}, PROFILE, REGISTRY)
    assert shape is not None
    length = pyproj.Geod(ellps="GRS80").line_length(
        [x for x, _ in SQUARE[:3]], [y for _, y in SQUARE[:3]]
    )
    assert shape.length_m == pytest.approx(length)
    assert shape.scale_m is not None
    assert shape.scale_px is not None
    # the sketch is as wide as the bar says: 0.1 degrees of longitude
    xs = [float(x) for x in re.findall(r"[ML]([\d.]+) ", shape.paths[0])]
    wide = (max(xs) - min(xs)) / shape.scale_px * shape.scale_m
    _, _, true = pyproj.Geod(ellps="GRS80").inv(116.1, 24.25, 116.2, 24.25)
    assert wide == pytest.approx(true, rel=0.02)


def test_nothing_is_made_of_an_empty_geometry_and_a_large_one_is_cut() -> None:
    assert shape_of({"type": "MultiLineString", "coordinates": []}, PROFILE, REGISTRY) is None
    line = [[115.5 + i * 1e-4, 24.0] for i in range(5000)]
    shape = shape_of({"type": "LineString", "coordinates": line}, PROFILE, REGISTRY)
    assert shape is not None
    assert (shape.count, len(shape.vertices)) == (5000, MOST_VERTICES)
    assert len(shape.paths[0]) < 10_000, "nothing finer than half of a pixel is drawn"


@given(
    st.lists(
        st.tuples(st.floats(115.3, 116.9), st.floats(23.4, 24.9)), min_size=2, max_size=12
    )
)  # fmt: skip
def test_whatever_is_drawn_lies_in_the_picture(line: list[tuple[float, float]]) -> None:
    shape = shape_of({"type": "LineString", "coordinates": line}, PROFILE, REGISTRY)
    assert shape is not None
    for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", "".join(shape.paths)):
        assert 0 <= float(x) <= WIDTH
        assert 0 <= float(y) <= HEIGHT
