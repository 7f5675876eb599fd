"""Every feature that a tile should hold is in it, where it should be, decoded by another library.

The tiles are made by PostGIS and read by mapbox-vector-tile; the truth is computed from the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import mapbox_vector_tile
import numpy as np
import psycopg
import pytest
import shapely
from psycopg import sql

from tests.conftest import MakeDatabase
from tests.tiles import town
from tiles.grids import CGCS2000_QUAD, GRIDS, WEB_MERCATOR_QUAD, Grid
from tiles.sql import EXTENT, label_zooms, tile_parameters, tile_statement

Connection = psycopg.Connection[Any]
DEFINITIONS = town.definitions()
ROUNDING = 0.7072
"""How far rounding to whole tile units moves a vertex at most, in units."""


@pytest.fixture(scope="module")
def connection(make_database: MakeDatabase) -> Iterator[Connection]:
    dsn = make_database("tile_sql")
    town.build(dsn)
    with psycopg.connect(dsn, autocommit=True) as opened:
        yield opened


def raw_tile(
    connection: Connection, layers: Sequence[str], grid: Grid, zoom: int, row: int, col: int
) -> bytes:
    statement = tile_statement([DEFINITIONS[name] for name in layers], grid, zoom)
    assert statement is not None
    cursor = connection.cursor(binary=True)
    found = cursor.execute(statement.as_bytes(None), tile_parameters(zoom, row, col)).fetchone()
    assert found is not None
    return bytes(found[0])


def decoded(tile: bytes, layer: str) -> dict[int, dict[str, Any]]:
    """Features of a layer by id, coordinates in tile units with y down, as they are encoded."""
    content = mapbox_vector_tile.decode(tile, default_options={"y_coord_down": True})
    if layer not in content:
        return {}
    assert content[layer]["extent"] == EXTENT
    features = {f["id"]: f for f in content[layer]["features"]}
    assert len(features) == len(content[layer]["features"])
    return features


def features_in(
    connection: Connection, layer: str, grid: Grid, zoom: int, row: int, col: int
) -> dict[int, tuple[str, shapely.Geometry]]:
    """The truth: rows that intersect the tile, geometry in exact tile units (y down)."""
    west, south, east, north = grid.envelope(zoom, row, col)
    rows = connection.execute(
        sql.SQL(
            "SELECT fid, id, ST_AsBinary(ST_Force2D({column})) FROM {table} WHERE"
            " ST_Intersects({column}, ST_MakeEnvelope(%s, %s, %s, %s, %s))"
        ).format(column=sql.Identifier(grid.column), table=sql.Identifier("layer", layer)),
        [west, south, east, north, grid.srid],
    ).fetchall()
    unit = (east - west) / EXTENT
    return {
        fid: (
            name,
            shapely.transform(
                shapely.from_wkb(bytes(wkb)),
                lambda xy: np.column_stack([(xy[:, 0] - west) / unit, (north - xy[:, 1]) / unit]),
            ),
        )
        for fid, name, wkb in rows
    }


def around(grid: Grid, zoom: int, steps: int = 1) -> list[tuple[int, int]]:
    row, col = grid.tile_at(*town.CENTRE, zoom)
    return [
        (row + dy, col + dx) for dy in range(-steps, steps + 1) for dx in range(-steps, steps + 1)
    ]


@pytest.mark.parametrize("grid", GRIDS.values(), ids=lambda grid: grid.id)
@pytest.mark.parametrize("zoom", [12, 14, 16, 18])
@pytest.mark.parametrize("layer", ["building", "component", "road"])
def test_no_feature_is_missing(connection: Connection, grid: Grid, zoom: int, layer: str) -> None:
    """PostGIS before 3.5 is known to drop features (trac 5836); here it must not.

    What has no encoding in whole tile units may be absent: lines shorter than a unit, and areas
    in which no circle fits that is as large as rounding (an eighth of a screen pixel).
    """
    if zoom < DEFINITIONS[layer].minimum_zoom:
        pytest.skip("below the first zoom of the layer")
    seen = 0
    for row, col in around(grid, zoom):
        truth = features_in(connection, layer, grid, zoom, row, col)
        tile = decoded(raw_tile(connection, [layer], grid, zoom, row, col), layer)
        invisible = {fid for fid, (_, shape) in truth.items() if _vanishes(_inside(shape))}
        assert set(truth) - set(tile) <= invisible
        seen += len(truth)
    assert seen > 20


def _inside(shape: shapely.Geometry) -> shapely.Geometry:
    """The part within the tile and its buffer, which is all that a tile can encode."""
    return shapely.intersection(shape, shapely.box(-64, -64, EXTENT + 64, EXTENT + 64))


def _vanishes(shape: shapely.Geometry) -> bool:
    if "Polygon" in shape.geom_type:
        return bool(shapely.is_empty(shapely.buffer(shape, -ROUNDING)))
    return "Line" in shape.geom_type and max(_size(shape)) < 1


def _size(shape: shapely.Geometry) -> tuple[float, float]:
    west, south, east, north = shape.bounds
    return east - west, north - south


@pytest.mark.parametrize("grid", GRIDS.values(), ids=lambda grid: grid.id)
def test_points_lie_within_half_a_tile_unit(connection: Connection, grid: Grid) -> None:
    compared = 0
    for row, col in around(grid, 15):
        truth = features_in(connection, "component", grid, 15, row, col)
        tile = decoded(raw_tile(connection, ["component"], grid, 15, row, col), "component")
        for fid, (_, shape) in truth.items():
            x, y = tile[fid]["geometry"]["coordinates"]
            assert abs(x - shape.x) <= 0.5 + 1e-6
            assert abs(y - shape.y) <= 0.5 + 1e-6
            compared += 1
    assert compared > 500


@pytest.mark.parametrize("grid", GRIDS.values(), ids=lambda grid: grid.id)
@pytest.mark.parametrize("layer", ["building", "road"])
def test_shapes_lie_within_a_tile_unit(connection: Connection, grid: Grid, layer: str) -> None:
    """Rounding moves a vertex by at most half a unit in x and in y: 0.71 units."""
    compared = 0
    for row, col in around(grid, 16):
        truth = features_in(connection, layer, grid, 16, row, col)
        tile = decoded(raw_tile(connection, [layer], grid, 16, row, col), layer)
        for fid, feature in tile.items():
            if fid not in truth or max(_size(truth[fid][1])) < 2:
                continue
            drawn = shapely.geometry.shape(feature["geometry"])
            clip = shapely.box(0, 0, EXTENT, EXTENT)
            boundary = truth[fid][1] if layer == "road" else truth[fid][1].boundary
            vertices = shapely.points(shapely.get_coordinates(drawn))
            inside = vertices[shapely.contains_properly(clip, vertices)]
            assert (shapely.distance(inside, boundary) <= ROUNDING).all()
            compared += len(inside)
    assert compared > 100


def test_both_grids_hold_the_same_features(connection: Connection) -> None:
    found = {}
    for grid in GRIDS.values():
        found[grid.id] = set().union(
            *(
                decoded(raw_tile(connection, ["component"], grid, 14, row, col), "component")
                for row, col in around(grid, 14, 3)
            )
        )
    everything = connection.execute("SELECT count(*) FROM layer.component").fetchone()
    assert everything is not None
    assert found["WebMercatorQuad"] == found["CGCS2000Quad"]
    assert len(found["CGCS2000Quad"]) == everything[0]


@pytest.mark.parametrize("grid", GRIDS.values(), ids=lambda grid: grid.id)
def test_nothing_is_cut_at_a_seam(connection: Connection, grid: Grid) -> None:
    """A feature within the buffer of a neighbour is in the neighbour's tile as well."""
    row, col = grid.tile_at(*town.CENTRE, 15)
    west, south, east, north = grid.envelope(15, row, col)
    margin = 60 * (east - west) / EXTENT
    near = connection.execute(
        sql.SQL(
            "SELECT fid FROM layer.component WHERE {column} && ST_MakeEnvelope(%s, %s, %s, %s, %s)"
        ).format(column=sql.Identifier(grid.column)),
        [east, south, east + margin, north, grid.srid],
    ).fetchall()
    tile = decoded(raw_tile(connection, ["component"], grid, 15, row, col), "component")
    assert near
    assert {fid for (fid,) in near} <= set(tile)


def test_attributes_come_by_zoom(connection: Connection) -> None:
    def names(zoom: int) -> set[str]:
        tile = decoded(
            raw_tile(
                connection,
                ["building"],
                WEB_MERCATOR_QUAD,
                zoom,
                *WEB_MERCATOR_QUAD.tile_at(*town.CENTRE, zoom),
            ),
            "building",
        )
        return {name for feature in tile.values() for name in feature["properties"]}

    assert names(12) == set()
    assert names(13) == {"use"}
    assert names(14) == {"use", "floors", "height_m", "id"}
    assert "built_year" not in names(18)


def test_values_are_those_of_the_table(connection: Connection) -> None:
    row = connection.execute(
        "SELECT fid, ST_X(ST_Centroid(geom)), ST_Y(ST_Centroid(geom)), floors, height_m"
        " FROM layer.building WHERE name = %s",
        [town.RARE_NAME],
    ).fetchone()
    assert row is not None
    fid, lon, lat, floors, height = row
    for grid in GRIDS.values():
        tile = raw_tile(connection, ["building"], grid, 16, *grid.tile_at(lon, lat, 16))
        properties = decoded(tile, "building")[fid]["properties"]
        assert properties["name"] == "五华县輋𣒍村"
        assert properties["id"] == "B000007"
        assert properties["floors"] == floors
        assert properties["height_m"] == pytest.approx(height)


def test_booleans_and_heights(connection: Connection) -> None:
    for grid in GRIDS.values():
        at = grid.tile_at(*town.CENTRE, 17)
        tile = raw_tile(connection, ["road", "pipeline_line"], grid, 17, *at)
        assert {f["properties"]["one_way"] for f in decoded(tile, "road").values()} <= {True, False}
        (pipe,) = decoded(tile, "pipeline_line").values()
        assert pipe["properties"]["section_mm"] == "300"
        assert all(len(position) == 2 for position in pipe["geometry"]["coordinates"])


def test_bytes_depend_on_the_rows_only(connection: Connection) -> None:
    """Order of rows on disk, connection and plan make no difference."""
    at = WEB_MERCATOR_QUAD.tile_at(*town.CENTRE, 14)
    layers = ["building", "component", "road", "division_county"]
    first = raw_tile(connection, layers, WEB_MERCATOR_QUAD, 14, *at)
    with psycopg.connect(connection.info.dsn, autocommit=True) as other:
        other.execute("CLUSTER layer.building USING building_pkey")
        other.execute("SET enable_indexscan = off")
        other.execute("SET enable_bitmapscan = off")
        other.execute("SET datestyle = 'SQL, DMY'")
        assert raw_tile(other, layers, WEB_MERCATOR_QUAD, 14, *at) == first
    assert raw_tile(connection, layers, WEB_MERCATOR_QUAD, 14, *at) == first


def test_one_statement_equals_the_layers_joined(connection: Connection) -> None:
    at = CGCS2000_QUAD.tile_at(*town.CENTRE, 15)
    both = raw_tile(connection, ["building", "road"], CGCS2000_QUAD, 15, *at)
    single = [raw_tile(connection, [name], CGCS2000_QUAD, 15, *at) for name in ("building", "road")]
    assert both == b"".join(single)


def test_nothing_there_is_no_bytes(connection: Connection) -> None:
    assert raw_tile(connection, ["building", "road"], WEB_MERCATOR_QUAD, 14, 0, 0) == b""
    assert tile_statement([DEFINITIONS["building"]], WEB_MERCATOR_QUAD, 11) is None


def test_a_county_has_one_label_point(connection: Connection) -> None:
    zooms = label_zooms(DEFINITIONS["division_county"])
    assert list(zooms) == [4, 5, 6, 7, 8, 9, 10]
    for grid in GRIDS.values():
        limits = grid.limits((115.6, 23.8, 116.7, 24.8), 10)
        names: list[str] = []
        for row in range(limits.min_row, limits.max_row + 1):
            for col in range(limits.min_col, limits.max_col + 1):
                tile = raw_tile(connection, ["division_county"], grid, 10, row, col)
                labels = decoded(tile, "division_county_label")
                names += [feature["properties"]["name"] for feature in labels.values()]
        assert sorted(names) == ["梅县区", "梅江区"]
