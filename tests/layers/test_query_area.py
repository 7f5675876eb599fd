"""A bbox in any CRS finds exactly the features that intersect that rectangle: brute force."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import psycopg
import pyproj
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers.access import ANONYMOUS, SYSTEM
from layers.catalogue import UnknownLayer
from layers.crs import parse_crs
from layers.query import (
    Density,
    FeatureQuery,
    Statement,
    compile_count,
    compile_page,
    compile_predicate,
    compile_rows,
    load_densities,
    scan_of,
)
from tests.conftest import MakeDatabase
from tests.features import town

ROWS = town.rows()
CRSS = ["CRS84", "EPSG:4490", "EPSG:4548", "EPSG:4527", "EPSG:3857"]


@pytest.fixture(scope="module")
def town_dsn(make_database: MakeDatabase) -> str:
    dsn = make_database("query")
    town.build(dsn)
    return dsn


@pytest.fixture(scope="module", params=["force_custom_plan", "force_generic_plan"])
def connection(town_dsn: str, request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[Any]]:
    """Planned for the values, and once for all: the service does both."""
    with psycopg.connect(town_dsn, autocommit=True) as opened:
        opened.execute("SELECT set_config('plan_cache_mode', %s, false)", [request.param])
        yield opened


def run(connection: psycopg.Connection[Any], statement: Statement) -> list[tuple[Any, ...]]:
    return connection.execute(statement.sql, statement.params).fetchall()


def to_crs(name: str) -> Any:
    code = 4490 if name in ("CRS84", "EPSG:4490") else int(name.partition(":")[2])
    project = pyproj.Transformer.from_crs(4490, code, always_xy=True).transform
    return lambda xy: np.column_stack(project(xy[:, 0], xy[:, 1]))


def brute_force(layer: str, name: str, bounds: tuple[float, ...]) -> tuple[set[str], set[str]]:
    """Ids that surely intersect, and those within 1 mm of the border (either answer is right).

    Edges of features are straight in the store, so they are cut finely before they are projected.
    """
    project = to_crs(name)
    rectangle = shapely.box(*bounds)
    margin = 1e-8 if name in ("CRS84", "EPSG:4490") else 1e-3
    inner, outer = rectangle.buffer(-margin), rectangle.buffer(margin, join_style="mitre")
    inside, border = set(), set()
    for row in ROWS[layer]:
        assert row.geometry is not None
        fine = shapely.segmentize(row.geometry, 1e-4)
        geometry = shapely.transform(fine, project)
        if inner.intersects(geometry):
            inside.add(row.id)
        elif outer.intersects(geometry):
            border.add(row.id)
    return inside, border


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    layer=st.sampled_from(["t_place", "t_area"]),
    name=st.sampled_from(CRSS),
    lon=st.floats(115.95, 116.3),
    lat=st.floats(24.15, 24.45),
    width=st.floats(0.0005, 0.3),
    height=st.floats(0.0005, 0.3),
    limit=st.sampled_from([1, 40, 5000]),
)
def test_a_bbox_finds_exactly_what_intersects_the_rectangle_of_its_crs(
    connection: psycopg.Connection[Any],
    layer: str,
    name: str,
    lon: float,
    lat: float,
    width: float,
    height: float,
    limit: int,
) -> None:
    corners = to_crs(name)(np.array([[lon, lat], [lon + width, lat + height]]))
    low, high = corners.min(axis=0), corners.max(axis=0)
    bounds = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    inside, border = brute_force(layer, name, bounds)
    query = FeatureQuery(
        layer=town.LAYERS[layer],
        crs=parse_crs("CRS84"),
        bbox=bounds,
        bbox_crs=parse_crs(name),
        limit=limit,
    )
    found: list[str] = []
    after: int | None = None
    while True:  # page by page, as a client does
        rows = run(connection, compile_rows(replace(query, after_fid=after), SYSTEM))
        found += [row[1] for row in rows[:limit]]
        if len(rows) <= limit or limit == 1:
            break
        after = rows[limit - 1][0]
    if limit == 1:
        assert set(found) <= inside | border
        assert bool(found) or not inside
        return
    assert len(found) == len(set(found))
    assert inside <= set(found) <= inside | border
    assert run(connection, compile_count(query, SYSTEM)) == [(len(found),)]


def test_a_point_on_the_border_is_found_and_one_beside_it_is_not(
    connection: psycopg.Connection[Any],
) -> None:
    """The boxes of the index are of 4-byte floats and up to a metre too wide."""
    lon, lat = 116.123456789, 24.287654321
    beside = float(np.nextafter(lon, 180))
    with connection.transaction(force_rollback=True):
        connection.execute(
            "INSERT INTO layer.t_place (id, revision, row_hash, geom)"
            " VALUES ('corner', 1, 0, ST_SetSRID(ST_MakePoint(%s, %s), 4490))",
            [lon, lat],
        )
        for bbox, wanted in (
            ((lon, lat, 116.2, 24.3), 1),
            ((116.1, 24.2, lon, lat), 1),
            ((lon, lat, lon, lat), 1),
            ((beside, lat, 116.2, 24.3), 0),
        ):
            query = FeatureQuery(
                layer=town.LAYERS["t_place"],
                crs=parse_crs("CRS84"),
                bbox=bbox,
                bbox_crs=parse_crs("CRS84"),
                ids=("corner",),
            )
            assert run(connection, compile_count(query, SYSTEM)) == [(wanted,)]


def test_curved_edges_matter(connection: psycopg.Connection[Any]) -> None:
    # a point 1 m inside the middle of the south edge of a 60 km rectangle: the straight line
    # between the corners' images in degrees passes 20 m from there
    project = pyproj.Transformer.from_crs(4490, 4548, always_xy=True)
    west, south = project.transform(115.95, 24.1)
    bounds = (west, south, west + 60_000, south + 30_000)
    lon, lat = project.transform(west + 30_000, south + 1, direction="INVERSE")
    with connection.transaction(force_rollback=True):
        connection.execute(
            "INSERT INTO layer.t_place (id, revision, row_hash, geom)"
            " VALUES ('edge', 1, 0, ST_SetSRID(ST_MakePoint(%s, %s), 4490))",
            [lon, lat],
        )
        for name, shift, wanted in (("EPSG:4548", 0, 1), ("EPSG:4548", 2, 0)):
            query = FeatureQuery(
                layer=town.LAYERS["t_place"],
                crs=parse_crs("CRS84"),
                bbox=(bounds[0], bounds[1] + shift, *bounds[2:]),
                bbox_crs=parse_crs(name),
                ids=("edge",),
            )
            assert run(connection, compile_count(query, SYSTEM)) == [(wanted,)]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    west=st.floats(116.0, 116.2),
    south=st.floats(24.0, 24.2),
    side=st.sampled_from(["west", "south", "east", "north"]),
    quarters=st.integers(-24, 24),
    size=st.sampled_from([1e-9, 1e-6, 1e-4]),
)
def test_a_polygon_at_the_edge_of_the_rectangle_is_judged_by_its_doubles(
    connection: psycopg.Connection[Any],
    west: float,
    south: float,
    side: str,
    quarters: int,
    size: float,
) -> None:
    """Boxes are of 4-byte floats, rounded outwards: a step of them is up to 0.8 m here."""
    box = (west, south, west + 0.01, south + 0.01)
    gap = quarters * float(np.spacing(np.float32(west if side in ("west", "east") else south))) / 4
    x, y = west + 0.005, south + 0.005
    if side in ("west", "east"):
        x = box[2] + gap if side == "east" else west - gap - size
    else:
        y = box[3] + gap if side == "north" else south - gap - size
    square = shapely.box(x, y, x + size, y + size)
    with connection.transaction(force_rollback=True):
        connection.execute(
            "INSERT INTO layer.t_area (id, revision, row_hash, geom)"
            " VALUES ('edge', 1, 0, ST_Multi(ST_GeomFromWKB(%s, 4490)))",
            [shapely.to_wkb(square)],
        )
        query = FeatureQuery(
            layer=town.LAYERS["t_area"], crs=parse_crs("CRS84"), bbox=box, ids=("edge",)
        )
        wanted = int(shapely.intersects(shapely.box(*box), square))
        assert run(connection, compile_count(query, SYSTEM)) == [(wanted,)]


def densities(dsn: str) -> dict[str, Density]:
    async def load() -> dict[str, Density]:
        async with await psycopg.AsyncConnection.connect(dsn) as opened:
            first = await load_densities(opened, {})
            again = await load_densities(opened, first)
            assert all(again[name] is first[name] for name in first)  # analysed once, asked once
            return first

    return asyncio.run(load())


def test_pages_agree_whichever_way_they_are_found(connection: psycopg.Connection[Any]) -> None:
    """Key order for crowded areas, the index for others, and the index after a failed try."""
    density = densities(connection.info.dsn)["t_big"]
    everything = connection.execute(
        "SELECT fid, ST_X(geom), ST_Y(geom) FROM layer.t_big ORDER BY fid"
    ).fetchall()
    ways = set()
    for size, limit in ((0.39, 10), (0.39, 1000), (0.05, 500), (0.01, 10), (0.01, 1000)):
        box = (115.9, 24.1, 115.9 + size, 24.1 + size)
        wanted = [f for f, x, y in everything if x <= box[2] and y <= box[3]]
        assert density.rows_in(box) == pytest.approx(len(wanted), rel=0.3, abs=50)
        for after in (None, wanted[len(wanted) // 2]):
            query = FeatureQuery(
                layer=town.LAYERS["t_big"],
                crs=parse_crs("CRS84"),
                bbox=box,
                limit=limit,
                after_fid=after,
                skip_geometry=True,
            )
            rest = [f for f in wanted if after is None or f > after]
            for scan in {None, scan_of(query, density)}:
                ways.add(scan is None)
                statement = compile_page(query, SYSTEM, scan=scan)
                features, found, last = run(connection, statement)[0]
                if scan is not None and found <= limit:
                    continue
                assert found == min(limit + 1, len(rest))
                assert last == rest[found - 1]
                lines = (features or "").split(",\n")
                assert [json.loads(line)["type"] for line in lines if line] == ["Feature"] * found
    assert ways == {True, False}


def test_matches_that_lie_together_in_key_order_do_not_cost_a_scan_of_the_table(
    connection: psycopg.Connection[Any], make_database: MakeDatabase
) -> None:
    """The trap: many matches, all at the end; key order alone would discard every row before."""
    dsn = make_database("query_late")
    town.build(dsn)
    with psycopg.connect(dsn, autocommit=True) as opened:
        opened.execute(
            "INSERT INTO layer.t_big (id, revision, row_hash, geom)"
            " SELECT 'late' || i, 1, 0, ST_SetSRID(ST_MakePoint(118 + random(), 25), 4490)"
            " FROM generate_series(1, 20000) AS i"
        )
        opened.execute("ANALYZE layer.t_big")
        query = FeatureQuery(
            layer=town.LAYERS["t_big"], crs=parse_crs("CRS84"), bbox=(117, 24, 120, 26), limit=10
        )
        scan = scan_of(query, densities(dsn)["t_big"])
        assert scan is not None
        for way, wanted in ((scan, 0), (None, 11)):
            statement = compile_page(query, SYSTEM, scan=way)
            assert run(opened, statement)[0][1] == wanted
            plan = opened.execute(
                b"EXPLAIN (ANALYZE, FORMAT JSON) " + statement.sql, statement.params
            ).fetchone()
            assert plan is not None
            assert _most_discarded(plan[0][0]["Plan"]) < 1000
            # no value of a rectangle is seen by the planner, and it takes the index all the same
            assert ("t_big_geom_ix" in json.dumps(plan)) is (way is None)


def _most_discarded(node: dict[str, Any]) -> int:
    own = int(node.get("Rows Removed by Filter", 0))
    return max([own, *(_most_discarded(child) for child in node.get("Plans", []))])


def test_the_compiler_refuses_a_layer_that_the_principal_may_not_read() -> None:
    query = FeatureQuery(layer=town.LAYERS["t_secret"], crs=parse_crs("CRS84"))
    for compiler in (compile_page, compile_rows, compile_count, compile_predicate):
        with pytest.raises(UnknownLayer):
            compiler(query, ANONYMOUS)


def test_a_layer_loaded_but_never_analysed_answers(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute("CREATE TABLE layer.t_bare (LIKE layer.t_place INCLUDING ALL)")
        bare = replace(town.LAYERS["t_place"], name="t_bare")
        query = FeatureQuery(layer=bare, crs=parse_crs("CRS84"), bbox=(115, 23, 117, 25))
        assert run(connection, compile_page(query, SYSTEM))[0][1] == 0
