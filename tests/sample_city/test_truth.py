"""No coordinate is wrong: what the ETL stores lies where the sample city's truth says."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import psycopg
import pyproj
import pytest
import shapely
from psycopg import sql

from etl.report import Status
from etl.run import run_delivery

EXACT_M, OBFUSCATED_M = 0.001, 0.01
TOLERANCES = {
    "division_county": EXACT_M,  # 7 parameters from Xian 1980
    "division_town": EXACT_M,
    "division_village": EXACT_M,
    "road": EXACT_M,  # EPSG:4527
    "water": EXACT_M,  # DXF in the local grid
    "land_use": EXACT_M,  # FileGDB in EPSG:4548
    "building": EXACT_M,
    "address": EXACT_M,  # columns exchanged
    "poi": OBFUSCATED_M,  # BD-09
    "unit_grid": EXACT_M,
    "component": OBFUSCATED_M,  # GCJ-02
    "event": EXACT_M,  # WGS 84, null step
    "pipeline_point": EXACT_M,  # Excel, X = north
    "pipeline_line": EXACT_M,
}
PLANE = pyproj.Transformer.from_crs("EPSG:4490", "EPSG:4548", always_xy=True)


def stored(dsn: str, layer: str) -> dict[str, shapely.Geometry]:
    query = sql.SQL("SELECT id, ST_AsBinary(geom) FROM layer.{}").format(sql.Identifier(layer))
    with psycopg.connect(dsn) as connection:
        return {row[0]: shapely.from_wkb(bytes(row[1])) for row in connection.execute(query)}


def metres(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of normalised shapes in EPSG:4548 (n, 2), and how many each shape has."""
    normal = shapely.normalize(shapes)
    lonlat = shapely.get_coordinates(normal)
    return np.column_stack(PLANE.transform(*lonlat.T)), shapely.get_num_coordinates(normal)


@pytest.mark.parametrize("layer", TOLERANCES)
def test_every_vertex_lies_where_the_truth_says(layer, loaded, city_dsn, truth) -> None:
    expected = gpd.read_parquet(truth / f"{layer}.parquet").set_index("id").geometry
    found = stored(city_dsn, layer)
    assert loaded[layer].status is Status.SUCCEEDED
    assert set(found) == set(expected.index)
    there = np.array([found[key] for key in expected.index], dtype=object)
    # A multi-geometry of one part and its part have the same vertices in the same order.
    wanted, wanted_counts = metres(expected.to_numpy())
    got, got_counts = metres(there)
    assert (wanted_counts == got_counts).all()
    off = np.hypot(*(wanted - got).T)
    assert off.max() <= TOLERANCES[layer], f"{off.max() * 1000:.3f} mm"


def test_pipes_keep_their_heights(loaded, city_dsn, truth) -> None:
    expected = gpd.read_parquet(truth / "pipeline_point.parquet").set_index("id").geometry
    with psycopg.connect(city_dsn) as connection:
        rows = connection.execute("SELECT id, ST_Z(geom) FROM layer.pipeline_point").fetchall()
    assert len(rows) == len(expected)
    for key, height in rows:
        assert height == pytest.approx(shapely.get_z(expected[key]), abs=1e-6)


def test_ids_like_numbers_stay_texts(loaded, city_dsn) -> None:
    with psycopg.connect(city_dsn) as connection:
        found = {r[0] for r in connection.execute("SELECT id FROM layer.pipeline_point")}
    assert "JS-001" in found
    assert any("E" in key.partition("-")[2] for key in found)


def test_segments_hang_together_by_point_numbers(loaded, city_dsn) -> None:
    with psycopg.connect(city_dsn) as connection:
        row = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE ST_3DDistance("
            "  ST_StartPoint(ST_GeometryN(l.geom, 1)), s.geom) < 1e-8)"
            " FROM layer.pipeline_line l"
            " JOIN layer.pipeline_point s ON s.id = l.start_point"
            " JOIN layer.pipeline_point e ON e.id = l.end_point"
        ).fetchone()
    assert row is not None
    assert row[0] == row[1] == loaded["pipeline_line"].counts["inserted"]


def test_a_name_outside_gbk_survives_gb18030_files(loaded, city_dsn) -> None:
    with psycopg.connect(city_dsn) as connection:
        named = [
            connection.execute(
                sql.SQL("SELECT name FROM layer.{} WHERE id = '441424103203'").format(
                    sql.Identifier(layer)
                )
            ).fetchone()
            for layer in ("division_village", "division_name")
        ]
    assert named[0] == ("輋\U0002348d村",)
    assert named[1] is not None
    assert named[1][0].startswith("輋\U0002348d村")


def test_nothing_is_rejected_and_all_is_synthetic(loaded) -> None:
    assert set(loaded) == {*TOLERANCES, "division_name"}
    for report in loaded.values():
        assert report.counts["rejected"] == 0
        assert report.synthetic


def test_running_a_delivery_again_changes_nothing(loaded, city, city_dsn) -> None:
    for path in city.deliveries:
        for report in run_delivery(path, city_dsn):
            assert report.status is Status.UNCHANGED


def test_exchanged_columns_without_an_answer_are_blocked(loaded, city, city_dsn) -> None:
    (report,) = run_delivery(city.faulty[0], city_dsn)
    assert report.status is Status.BLOCKED
    assert "东坐标" in str(report.reason)
    assert len(stored(city_dsn, "address")) == loaded["address"].counts["inserted"]


def test_attributes_arrive_as_the_code_lists_say(loaded, city_dsn, truth) -> None:
    expected = pd.read_parquet(
        truth / "component.parquet", columns=["id", "class_code", "grid_code"]
    )
    with psycopg.connect(city_dsn) as connection:
        rows = connection.execute(
            "SELECT id, class_code, grid_code FROM layer.component"
        ).fetchall()
    assert sorted(rows) == sorted(expected.itertuples(index=False, name=None))
