"""Running a delivery: what the layer becomes, what is kept of refusals, what a second run does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import psycopg
import pyarrow as pa
import pyproj
import pytest
import shapely

from etl import layer_work
from etl.checks.finding import RuleBook
from etl.datum import DatumRegistry
from etl.delivery import DeliveryError
from etl.layer_work import LayerWork
from etl.ledger import DeliveryBusy
from etl.report import Status
from layers.access import SYSTEM
from layers.definition import load_definitions
from layers.edit import Change, Operation, write_changes
from tests.etl.support import (
    CENTRE,
    CENTRE_4548,
    CENTRE_GCJ02,
    WAIVER,
    apply_layers,
    component,
    component_load,
    deliver,
    rows,
    write_csv,
)


@pytest.fixture
def layered(database: str) -> str:
    apply_layers(database, "component", "unit_grid", "address", "building", "division_village")
    return database


def test_the_same_delivery_again_changes_nothing(layered: str, tmp_path: Path) -> None:
    write_csv(tmp_path / "components.csv", [component(n) for n in range(50)])
    (first,) = deliver(tmp_path, layered, [component_load()])
    assert first.status is Status.SUCCEEDED
    assert first.counts["inserted"] == 50
    generation = rows(layered, "SELECT generation FROM catalog.generation")
    (second,) = deliver(tmp_path, layered, [component_load()])
    assert second.status is Status.UNCHANGED
    assert [second.counts[key] for key in ("inserted", "updated", "deleted")] == [0, 0, 0]
    assert second.revision == first.revision
    assert rows(layered, "SELECT generation FROM catalog.generation") == generation
    assert rows(layered, "SELECT status FROM catalog.run ORDER BY id") == [
        ("succeeded",), ("unchanged",),
    ]  # fmt: skip


def test_a_full_delivery_deletes_what_is_gone_but_not_what_was_refused(
    layered: str, tmp_path: Path
) -> None:
    records = [component(n) for n in range(5)]
    write_csv(tmp_path / "components.csv", records)
    deliver(tmp_path, layered, [component_load()])
    records[1]["GLBJMC"] = "换了名称"
    records[2]["GLBJZT"] = "不明"
    write_csv(tmp_path / "components.csv", records[:4])
    (report,) = deliver(tmp_path, layered, [component_load()])
    changed = {key: report.counts[key] for key in ("inserted", "updated", "deleted", "rejected")}
    assert changed == {"inserted": 0, "updated": 1, "deleted": 1, "rejected": 1}
    kept = {ident[-1] for (ident,) in rows(layered, "SELECT id FROM layer.component")}
    assert kept == {"0", "1", "2", "3"}
    assert len(rows(layered, "SELECT 1 FROM history.component")) == 2


def test_a_full_delivery_of_one_bureau_leaves_the_rows_of_another(
    layered: str, tmp_path: Path
) -> None:
    for bureau, numbers in (("水务局", range(3)), ("园林局", range(10, 12))):
        write_csv(tmp_path / "components.csv", [component(n) for n in numbers])
        deliver(tmp_path, layered, [component_load()], bureau=bureau, delivery=bureau)
    assert rows(layered, "SELECT count(*) FROM layer.component") == [(5,)]


def test_a_row_that_somebody_edited_still_goes_with_its_bureaus_full_delivery(
    layered: str, tmp_path: Path
) -> None:
    write_csv(tmp_path / "components.csv", [component(0), component(1)])
    deliver(tmp_path, layered, [component_load()])
    edit = Change(Operation.UPDATE, component(0)["GLBJBSM"], {"state": "破损"})
    with psycopg.connect(layered) as connection:
        write_changes(connection, load_definitions()["component"], [edit], principal=SYSTEM)
    write_csv(tmp_path / "components.csv", [component(1)])
    (report,) = deliver(tmp_path, layered, [component_load()])
    assert (report.counts["deleted"], report.counts["unchanged"]) == (1, 1)


def test_append_deletes_nothing(layered: str, tmp_path: Path) -> None:
    for numbers in (range(3), range(3, 5)):
        write_csv(tmp_path / "components.csv", [component(n) for n in numbers])
        deliver(tmp_path, layered, [component_load(mode="append")])
    assert rows(layered, "SELECT count(*) FROM layer.component") == [(5,)]


def test_refused_rows_are_kept_with_file_row_reason_and_record(
    layered: str, tmp_path: Path
) -> None:
    records = [component(n) for n in range(4)]
    records[1]["lon"] = "东经116度"
    records[2]["lon"], records[2]["lat"] = "24.945", "60.17"
    records[3]["GLBJBSM"] = records[0]["GLBJBSM"]
    write_csv(tmp_path / "components.csv", records)
    (report,) = deliver(tmp_path, layered, [component_load()])
    assert report.good
    assert report.counts["inserted"] == 1
    kept = rows(
        layered,
        "SELECT source_row, rule, reason, severity, record->>'GLBJMC', file FROM catalog.reject"
        " ORDER BY source_row",
    )
    assert [(row, rule) for row, rule, *_ in kept] == [
        (3, "coordinate"), (4, "frame"), (5, "unique_id"),
    ]  # fmt: skip
    assert "东经116度" in kept[0][2]
    assert "赫尔辛基" in kept[1][2]
    assert "第 2 行" in kept[2][2]
    assert [record for *_, record, _ in kept[:2]] == ["上水井盖"] * 2
    assert {(severity, file) for *_, severity, _, file in kept} == {("reject", "components.csv")}


def test_the_foreign_profile_loads_what_the_city_refuses(database: str, tmp_path: Path) -> None:
    known = apply_layers(database, "x_helsinki_building")
    assert known["x_helsinki_building"].frame == "helsinki"
    house = gpd.GeoDataFrame(
        {"osm": ["1"], "name": ["Talo"]},
        geometry=[shapely.box(24.94, 60.17, 24.941, 60.1705)],
        crs="EPSG:4326",
    )
    house.to_file(tmp_path / "house.geojson")
    load = {"layer": "x_helsinki_building", "files": ["house.geojson"], "id": {"column": "osm"}}
    (report,) = deliver(
        tmp_path, database, [load], city="helsinki", synthetic=False, bureau="OpenStreetMap"
    )
    assert report.counts["inserted"] == 1, report.reason
    with pytest.raises(DeliveryError, match="another city profile"):
        deliver(tmp_path, database, [load], city="meizhou")


@pytest.mark.parametrize("suffix", ["csv", "gpkg", "shp"])
def test_plane_coordinates_arrive_where_proj_says(
    layered: str, tmp_path: Path, suffix: str
) -> None:
    east, north = CENTRE_4548
    records = [component(n) for n in range(20)]
    for n, record in enumerate(records):
        record.pop("lon"), record.pop("lat")
        record["X"], record["Y"] = f"{north + 7 * n:.4f}", f"{east + 11 * n:.4f}"
    where = [(east + 11 * n, north + 7 * n) for n in range(20)]
    load: dict[str, Any] = {"layer": "component", "files": [f"components.{suffix}"]}
    if suffix == "csv":
        write_csv(tmp_path / "components.csv", records, "gb18030")
        load |= {"coordsys": "epsg:4548", "columns": {"north": "X", "east": "Y"}}
    else:
        frame = gpd.GeoDataFrame(records, geometry=[shapely.Point(p) for p in where], crs=4548)
        frame.to_file(tmp_path / f"components.{suffix}", encoding="utf-8")
    (report,) = deliver(tmp_path, layered, [load])
    assert report.counts["inserted"] == 20, report.reason
    stored = rows(layered, "SELECT ST_X(geom), ST_Y(geom) FROM layer.component ORDER BY id")
    oracle = pyproj.Transformer.from_crs(4548, 4490, always_xy=True)
    expected = np.column_stack(oracle.transform(*np.array(where).T))
    assert np.abs(np.array(stored) - expected).max() < 1e-9  # 0.1 mm
    assert report.accuracy_m is not None
    assert report.accuracy_m <= 0.01


def test_obfuscated_positions_need_a_waiver_that_the_layer_then_shows(
    layered: str, tmp_path: Path
) -> None:
    lon, lat = CENTRE_GCJ02
    write_csv(tmp_path / "components.csv", [component(0, lon=lon, lat=lat)])
    gcj = component_load(coordsys="gcj02")
    (blocked,) = deliver(tmp_path, layered, [gcj])
    assert blocked.status is Status.BLOCKED
    assert blocked.reason is not None
    assert "accept_accuracy" in blocked.reason
    too_small = {**gcj, "accept_accuracy": {"metres": 1, "reason": "试试"}}
    (still,) = deliver(tmp_path, layered, [too_small])
    assert still.status is Status.BLOCKED
    assert rows(layered, "SELECT count(*) FROM layer.component") == [(0,)]
    (loaded,) = deliver(tmp_path, layered, [{**gcj, "accept_accuracy": WAIVER}])
    assert loaded.status is Status.SUCCEEDED
    ((x, y),) = rows(layered, "SELECT ST_X(geom), ST_Y(geom) FROM layer.component")
    metres = pyproj.Geod(ellps="GRS80").inv(x, y, *CENTRE)[2]
    assert metres < 0.01  # the fixture has 8 decimals
    ((steps, accuracy, synthetic),) = rows(
        layered,
        "SELECT applied_steps, accuracy_m, synthetic FROM catalog.layer WHERE name = 'component'",
    )
    assert [step["kind"] for step in steps] == ["formula", "null", "waiver"]
    assert steps[2]["parameters"]["reason"] == WAIVER["reason"]
    assert accuracy == DatumRegistry().chain("gcj02").accuracy_m
    assert synthetic is True


def test_of_several_deliveries_the_least_accurate_counts(layered: str, tmp_path: Path) -> None:
    lon, lat = CENTRE_GCJ02
    write_csv(tmp_path / "exact.csv", [component(0)])
    write_csv(tmp_path / "phone.csv", [component(1, lon=lon, lat=lat)])
    deliver(tmp_path, layered, [component_load("exact.csv")], bureau="甲", delivery="1")
    accuracy = "SELECT accuracy_m FROM catalog.layer WHERE name = 'component'"
    assert rows(layered, accuracy) == [(0.0,)]
    phone = component_load("phone.csv", coordsys="gcj02", accept_accuracy=WAIVER)
    deliver(tmp_path, layered, [phone], bureau="乙", delivery="2")
    deliver(tmp_path, layered, [component_load("exact.csv")], bureau="甲", delivery="3")
    assert rows(layered, accuracy) == [(DatumRegistry().chain("gcj02").accuracy_m,)]


def test_several_loads_into_one_layer_are_one_revision(layered: str, tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", [component(n) for n in range(3)])
    write_csv(tmp_path / "b.csv", [component(n) for n in range(3, 7)])
    loads = [
        component_load("a.csv", files=["a.csv"]),
        component_load("b.csv", where={"GLBJBSM": [component(4)["GLBJBSM"]]}),
    ]
    (report,) = deliver(tmp_path, layered, loads)
    assert (report.counts["inserted"], report.counts["skipped"]) == (4, 3)
    assert rows(layered, "SELECT count(*) FROM catalog.revision") == [(1,)]


def test_fields_by_column_value_map_template_unit_and_alias(layered: str, tmp_path: Path) -> None:
    write_csv(
        tmp_path / "houses.csv",
        [{"x": CENTRE[0], "y": CENTRE[1], "no": "12号", "street": "江南路", "DZQC": "全称"}],
    )
    load = {
        "layer": "address",
        "files": ["houses.csv"],
        "coordsys": "cgcs2000",
        "columns": {"lon": "x", "lat": "y"},
        "id": {"template": "A-{no}-{row}"},
        "fields": {
            "number": "no",
            "road": {"column": "street", "map": {"江南路": "江南大道"}},
            "county": {"value": "梅江区"},
            "town": {"template": "{street}/{no}"},
        },
    }
    (report,) = deliver(tmp_path, layered, [load], bureau="公安局")
    assert report.good, report.reason
    assert rows(
        layered, "SELECT id, full_address, number, road, county, town FROM layer.address"
    ) == [("A-12号-2", "全称", "12号", "江南大道", "梅江区", "江南路/12号")]


def test_areas_in_mu_become_square_metres(database: str, tmp_path: Path) -> None:
    apply_layers(database, "land_use")
    plot = gpd.GeoDataFrame(
        {"DKBH": ["1"], "DLBM": ["07"], "亩": [3.0]},
        geometry=[shapely.box(116.11, 24.28, 116.111, 24.281)],
        crs=4490,
    )
    plot.to_file(tmp_path / "plot.gpkg")
    load = {
        "layer": "land_use",
        "files": ["plot.gpkg"],
        "id": {"column": "DKBH"},
        "fields": {"area_m2": {"column": "亩", "unit": "亩"}},
    }
    (report,) = deliver(tmp_path, database, [load], bureau="自然资源局")
    assert report.good, report.reason
    ((area,),) = rows(database, "SELECT area_m2 FROM layer.land_use")
    assert area == pytest.approx(2000)


def _village(name: str) -> dict[str, Any]:
    return {"bh": "1", "DZQC": f"五华县转水镇{name}", "CUN": name}


@pytest.mark.parametrize(
    ("file", "encoding"),
    [
        ("village.csv", "GB18030"),
        ("village.csv", "UTF-8"),
        ("village.shp", "GB18030"),
        ("village.gpkg", None),
    ],
)
def test_a_name_outside_gbk_survives_every_format(
    layered: str, tmp_path: Path, file: str, encoding: str | None
) -> None:
    name = "輋𣒍村"
    load: dict[str, Any] = {
        "layer": "address",
        "files": [{"path": file, "encoding": encoding}],
        "coordsys": "cgcs2000",
        "id": {"column": "bh"},
        "fields": {"village": "CUN"},
    }
    if file.endswith("csv"):
        record = {**_village(name), "lon": CENTRE[0], "lat": CENTRE[1]}
        write_csv(tmp_path / file, [record], str(encoding))
        load["columns"] = {"lon": "lon", "lat": "lat"}
    else:
        frame = gpd.GeoDataFrame([_village(name)], geometry=[shapely.Point(CENTRE)], crs=4490)
        frame.to_file(tmp_path / file, encoding=encoding)
    (report,) = deliver(tmp_path, layered, [load], bureau="公安局")
    assert report.good, report.reason
    assert rows(layered, "SELECT village, full_address FROM layer.address") == [
        (name, f"五华县转水镇{name}")
    ]


def test_overlapping_cells_are_refused_and_gaps_told(layered: str, tmp_path: Path) -> None:
    side = 0.001
    places = [(0, 0), (1, 0), (2, 0), (0, 1), (2, 1), (0, 2), (1, 2), (2, 2), (0.5, 0.2)]
    cells = gpd.GeoDataFrame(
        {
            "BGID": [f"44140200100{n:04d}" for n in range(len(places))],
            "面积": 10_000.0,
            "初始时间": "2026-11-22",
            "village_code": "441402001001",
        },
        geometry=[
            shapely.box(116.1 + x * side, 24.2 + y * side, 116.1 + (x + 1) * side,
                        24.2 + (y + 1) * side)
            for x, y in places
        ],
        crs=4490,
    )  # fmt: skip
    cells.to_file(tmp_path / "cells.gpkg")
    (report,) = deliver(tmp_path, layered, [{"layer": "unit_grid", "files": ["cells.gpkg"]}])
    assert report.good, report.reason
    assert (report.counts["inserted"], report.counts["rejected"]) == (8, 1)
    assert report.rules["no_gap"] == 1  # the hole in the middle of the eight
    assert rows(layered, "SELECT id FROM catalog.reject WHERE rule = 'no_overlap' LIMIT 1") == [
        ("441402001000008",)
    ]


def test_one_refused_layer_keeps_the_whole_delivery_out(layered: str, tmp_path: Path) -> None:
    write_csv(tmp_path / "components.csv", [component(n) for n in range(3)])
    loads = [component_load(), {"layer": "address", "files": ["missing.csv"], "coordsys": "wgs84"}]
    first, second = deliver(tmp_path, layered, loads)
    assert (first.status, second.status) == (Status.FAILED, Status.FAILED)
    assert "address" in (first.reason or "")
    assert "文件不存在" in (second.reason or "")
    assert rows(layered, "SELECT count(*) FROM layer.component") == [(0,)]
    assert rows(layered, "SELECT count(*) FROM catalog.revision") == [(0,)]
    assert rows(layered, "SELECT count(*) FROM pg_tables WHERE schemaname = 'staging'") == [(0,)]


def test_synthetic_and_real_never_share_a_layer(layered: str, tmp_path: Path) -> None:
    write_csv(tmp_path / "components.csv", [component(0)])
    deliver(tmp_path, layered, [component_load()])
    (refused,) = deliver(tmp_path, layered, [component_load()], synthetic=False, delivery="real")
    assert refused.status is Status.FAILED
    assert "synthetic" in (refused.reason or "")


def test_two_deliveries_of_the_same_layers_cannot_block_each_other(
    layered: str, tmp_path: Path
) -> None:
    """Layers are locked in the order of their names, whatever order a delivery file has.

    Somebody holds `component`; a delivery of unit_grid and component that has to wait for it holds
    nothing that he could come to wait for.
    """
    side = shapely.box(116.1, 24.2, 116.101, 24.201)
    cell = {"BGID": ["441402001000001"], "面积": 1.0, "初始时间": "2026-11-22",
            "village_code": "441402001001"}  # fmt: skip
    gpd.GeoDataFrame(cell, geometry=[side], crs=4490).to_file(tmp_path / "cells.gpkg")
    write_csv(tmp_path / "components.csv", [component(0)])
    loads = [{"layer": "unit_grid", "files": ["cells.gpkg"]}, component_load()]
    lock = "SELECT 1 FROM catalog.layer WHERE name = %s FOR UPDATE"
    with ThreadPoolExecutor(1) as pool, psycopg.connect(layered) as other:
        other.execute(lock, ["component"])
        running = pool.submit(deliver, tmp_path, layered, loads)
        waiting = [(0,)]
        while waiting == [(0,)]:
            assert not running.done()
            waiting = rows(
                layered,
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock'",
            )
        other.execute("SET LOCAL lock_timeout = '1s'")
        other.execute(lock, ["unit_grid"])
        other.rollback()
        assert all(report.good for report in running.result())


def test_two_runs_of_one_delivery_do_not_mix(layered: str, tmp_path: Path) -> None:
    write_csv(tmp_path / "components.csv", [component(0)])
    with psycopg.connect(layered, autocommit=True) as other:
        name = f"delivery:test/{tmp_path.name}"
        other.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])
        with pytest.raises(DeliveryBusy):
            deliver(tmp_path, layered, [component_load()])
    deliver(tmp_path, layered, [component_load()])


def test_a_run_that_was_killed_is_closed_by_the_next(layered: str, tmp_path: Path) -> None:
    with psycopg.connect(layered, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO catalog.run (delivery, layer) VALUES (%s, 'component')",
            [f"test/{tmp_path.name}"],
        )
    write_csv(tmp_path / "components.csv", [component(0)])
    deliver(tmp_path, layered, [component_load()])
    assert rows(layered, "SELECT status FROM catalog.run ORDER BY id") == [
        ("failed",), ("succeeded",),
    ]  # fmt: skip


@pytest.mark.parametrize("repeated", [None, "7", "8", "x", ""])
def test_a_long_delivery_is_told_of_repeated_identifiers_half_by_half(
    monkeypatch: pytest.MonkeyPatch, repeated: str | None
) -> None:
    monkeypatch.setattr(layer_work, "PLACES_COMPARED", 5)
    definition = load_definitions()["component"]
    work = LayerWork(definition, (), 1, RuleBook(definition))
    ids = ["1", "7", "8", "x", "", "12", None, None, *([] if repeated is None else [repeated])]
    work.ids, work.staged_rows = [pa.array(ids[:3]), pa.array(ids[3:])], len(ids)
    assert work.may_repeat_ids() is (repeated is not None)
    assert not work.ids
