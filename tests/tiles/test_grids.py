"""The grids agree with morecantile, with PostGIS, and with what 天地图 publishes."""

from __future__ import annotations

import math
from typing import Any

import morecantile
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiles.grids import CGCS2000_QUAD, GRIDS, WEB_MERCATOR_QUAD, Grid, TileOutOfRangeError

LON = st.floats(73, 135)
LAT = st.floats(-80, 84)


def test_cgcs2000_quad_is_the_c_grid_of_tianditu() -> None:
    document = CGCS2000_QUAD.document
    first, last = document["tileMatrices"][0], document["tileMatrices"][-1]
    assert document["crs"] == "http://www.opengis.net/def/crs/EPSG/0/4490"
    assert document["orderedAxes"] == ["Lat", "Lon"]
    assert first["id"] == "1"
    assert last["id"] == "20"
    assert first["pointOfOrigin"] == [90.0, -180.0]
    assert (first["matrixWidth"], first["matrixHeight"]) == (2, 1)
    assert first["cellSize"] == 0.703125
    assert math.isclose(first["scaleDenominator"], 279541132.0143589, rel_tol=1e-15)
    assert first["tileWidth"] == first["tileHeight"] == 256
    for level, matrix in enumerate(document["tileMatrices"], start=1):
        assert matrix["cellSize"] == 0.703125 / 2 ** (level - 1)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=lambda grid: grid.id)
def test_documents_are_tile_matrix_sets_to_morecantile(grid: Grid) -> None:
    parsed = morecantile.TileMatrixSet.model_validate(dict(grid.document))
    assert [m.id for m in parsed.tileMatrices] == [
        str(level) for level in range(grid.first, grid.last + 1)
    ]
    assert all(
        (m.matrixWidth, m.matrixHeight) == (grid.width(int(m.id)), grid.height(int(m.id)))
        for m in parsed.tileMatrices
    )


@given(lon=LON, lat=LAT, level=st.integers(1, 20))
def test_tile_of_a_position_agrees_with_morecantile(lon: float, lat: float, level: int) -> None:
    for grid in GRIDS.values():
        oracle = morecantile.TileMatrixSet.model_validate(dict(grid.document))
        row, col = grid.tile_at(lon, lat, level)
        # the tile holds the position; at an edge, rounding may choose the neighbour
        west, south, east, north = grid.envelope(level, row, col)
        x, y = grid.project(lon, lat)
        rounding = 1e-9 * (grid.square[2] - grid.square[0])
        assert west - rounding <= x <= east + rounding
        assert south - rounding <= y <= north + rounding
        bounds = oracle.xy_bounds(morecantile.Tile(col, row, level))
        assert bounds == pytest.approx((west, south, east, north), abs=1e-6 * rounding + 1e-7)


@given(lon=LON, lat=LAT, level=st.integers(1, 20))
def test_a_tile_in_degrees_holds_its_positions(lon: float, lat: float, level: int) -> None:
    for grid in GRIDS.values():
        west, south, east, north = grid.degrees(level, *grid.tile_at(lon, lat, level), 1e-9)
        assert west <= lon <= east
        assert south <= lat <= north


def test_envelopes_agree_with_postgis(postgis: str) -> None:
    tiles = [(grid, z, *grid.tile_at(116.1176, 24.2886, z)) for grid in GRIDS.values()
             for z in (1, 7, 14, 20)]  # fmt: skip
    with psycopg.connect(postgis) as connection:
        for grid, level, row, col in tiles:
            found: Any = connection.execute(
                "SELECT ST_XMin(e), ST_YMin(e), ST_XMax(e), ST_YMax(e) FROM ST_TileEnvelope("
                "%s, %s, %s, ST_MakeEnvelope(%s, %s, %s, %s, %s)) AS e",
                [level, col, row, *grid.square, grid.srid],
            ).fetchone()
            assert found == pytest.approx(grid.envelope(level, row, col), abs=1e-7)


def test_limits_of_an_extent_are_its_corner_tiles() -> None:
    extent = (115.29, 23.35, 116.96, 24.97)
    for grid in GRIDS.values():
        limits = grid.limits(extent, 12)
        assert (limits.min_row, limits.min_col) == grid.tile_at(115.29, 24.97, 12)
        assert (limits.max_row, limits.max_col) == grid.tile_at(116.96, 23.35, 12)
        assert limits.document()["tileMatrix"] == "12"


@pytest.mark.parametrize(
    ("grid", "address", "parameter"),
    [
        (WEB_MERCATOR_QUAD, (23, 0, 0), "z"),
        (WEB_MERCATOR_QUAD, (0, 1, 0), "row"),
        (WEB_MERCATOR_QUAD, (2, 0, 4), "col"),
        (CGCS2000_QUAD, (0, 0, 0), "z"),
        (CGCS2000_QUAD, (21, 0, 0), "z"),
        (CGCS2000_QUAD, (1, 1, 0), "row"),
        (CGCS2000_QUAD, (1, 0, 2), "col"),
    ],
)
def test_tiles_outside_a_grid_are_refused(
    grid: Grid, address: tuple[int, int, int], parameter: str
) -> None:
    with pytest.raises(TileOutOfRangeError) as refusal:
        grid.check(*address)
    assert refusal.value.parameter == parameter
