"""Broken files: each is reported with its reason, and nothing half-loaded stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely

from etl.delivery import load_delivery
from etl.report import LoadReport, Status
from etl.run import run_delivery
from layers.definition import load_definitions
from tests.etl.support import (
    CENTRE,
    CENTRE_4548,
    apply_layers,
    component,
    component_load,
    deliver,
    rows,
    write_csv,
)


@pytest.fixture
def layered(database: str) -> str:
    """A layer that already holds a row: whatever fails must leave it as it is."""
    apply_layers(database, "component", "building")
    return database


Deliver = Callable[..., LoadReport]


@pytest.fixture
def refused(layered: str, tmp_path: Path) -> Deliver:
    """Run one load after a good one; assert that the layer is as it was before."""
    before = tmp_path / "before"
    before.mkdir()
    write_csv(before / "components.csv", [component(900)])
    (good,) = deliver(before, layered, [component_load()])
    assert good.good

    def run(load: dict[str, Any], **delivery: Any) -> LoadReport:
        state = rows(layered, "SELECT fid, id, revision FROM layer.component")
        (report,) = deliver(tmp_path, layered, [load], **delivery)
        assert not report.good
        assert rows(layered, "SELECT fid, id, revision FROM layer.component") == state
        assert rows(layered, "SELECT count(*) FROM catalog.revision") == [(1,)]
        ((status, reason),) = rows(
            layered, "SELECT status, report->>'reason' FROM catalog.run WHERE id = %s", report.run
        )
        assert (status, reason) == ("failed", report.reason)
        leftovers = "SELECT tablename FROM pg_tables WHERE schemaname = 'staging'"
        assert rows(layered, leftovers) == []
        return report

    return run


def test_truncated_shapefile(refused: Deliver, tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame(
        [component(n) for n in range(50)], geometry=[shapely.Point(CENTRE)] * 50, crs=4490
    )
    frame.to_file(tmp_path / "components.shp", encoding="utf-8")
    for part in (".shp", ".dbf"):
        path = tmp_path / f"components{part}"
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        report = refused({"layer": "component", "files": ["components.shp"]})
        assert "截断" in str(report.reason)
        path.write_bytes(whole)


def test_a_geopackage_cut_off_in_the_middle(refused: Deliver, tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame(
        [component(n) for n in range(3000)], geometry=[shapely.Point(CENTRE)] * 3000, crs=4490
    )
    path = tmp_path / "components.gpkg"
    frame.to_file(path)
    path.write_bytes(path.read_bytes()[:300_000])
    report = refused({"layer": "component", "files": ["components.gpkg"]})
    assert "components.gpkg" in str(report.reason)


def test_missing_column_of_a_required_field(refused: Deliver, tmp_path: Path) -> None:
    records = [{k: v for k, v in component(n).items() if k != "GLBJZT"} for n in range(3)]
    write_csv(tmp_path / "components.csv", records)
    report = refused(component_load())
    assert "部件状态" in str(report.reason)
    assert "GLBJZT" in str(report.reason)


def test_a_mapped_column_that_is_not_there(refused: Deliver, tmp_path: Path) -> None:
    write_csv(tmp_path / "components.csv", [component(0)])
    report = refused(component_load(fields={"owner": {"column": "权属"}}))
    assert "权属" in str(report.reason)
    assert "GLBJBSM" in str(report.reason)  # what there is


def test_wrong_encoding(refused: Deliver, tmp_path: Path) -> None:
    write_csv(tmp_path / "components.csv", [component(n) for n in range(3)], "gb18030")
    stated = component_load(files=[{"path": "components.csv", "encoding": "UTF-8"}])
    report = refused(stated)
    assert "encoding" in str(report.reason)
    assert "GB18030" in str(report.reason)


def test_neither_file_nor_delivery_states_a_coordinate_system(
    refused: Deliver, tmp_path: Path
) -> None:
    write_csv(tmp_path / "components.csv", [component(0)])
    report = refused(component_load(coordsys=None))
    assert "coordsys" in str(report.reason)
    for accepted in ("cgcs2000", "gcj02", "epsg:4548"):
        assert accepted in str(report.reason)


def test_a_datum_without_registered_parameters(refused: Deliver, tmp_path: Path) -> None:
    write_csv(tmp_path / "components.csv", [component(0)])
    report = refused(component_load(coordsys="epsg:4610"))
    assert "西安80" in str(report.reason)
    assert "参数" in str(report.reason)


def test_an_empty_file_and_one_with_a_header_only(refused: Deliver, tmp_path: Path) -> None:
    path = tmp_path / "components.csv"
    path.write_bytes(b"")
    assert "空" in str(refused(component_load()).reason)
    path.write_text(",".join(component(0)) + "\n", "utf-8")
    assert "没有记录" in str(refused(component_load()).reason)


def test_all_rows_outside_the_city(refused: Deliver, tmp_path: Path) -> None:
    write_csv(tmp_path / "components.csv", [component(0, lon="24.945", lat="60.17")])
    assert "市域内" in str(refused(component_load()).reason)
    answered = component_load(answers={"datum": "确实如此"})
    report = refused(answered)
    assert "赫尔辛基" in str(report.reason)
    assert report.rules == {"frame": 1}


def test_a_column_titled_east_that_holds_northings(
    refused: Deliver, layered: str, tmp_path: Path
) -> None:
    east, north = CENTRE_4548
    records = [component(n, 东坐标=f"{north + n}", 北坐标=f"{east + n}") for n in range(5)]
    write_csv(tmp_path / "components.csv", records)
    wrong = component_load(
        coordsys="epsg:4548", columns={"east": "东坐标", "north": "北坐标"}, mode="append"
    )
    report = refused(wrong)
    assert report.status is Status.BLOCKED
    assert "东坐标" in str(report.reason)
    assert report.files[0].detection is not None
    assert report.files[0].detection["agreement"] == "objects"
    right = {**wrong, "columns": {"east": "北坐标", "north": "东坐标"}}
    right["answers"] = {"datum": "列名写反，已按实际内容指定"}
    (loaded,) = deliver(tmp_path, layered, [right])
    assert loaded.good, loaded.reason
    assert loaded.counts["inserted"] == 5
    assert loaded.files[0].answer == right["answers"]["datum"]


def test_an_unlikely_coordinate_cannot_abort_the_run(layered: str, tmp_path: Path) -> None:
    """Latitudes beyond Web Mercator would abort the statement that fills tile_geom."""
    edge = [component(n) for n in range(8)]
    edge[1]["lat"] = "90"
    edge[2]["lat"] = "-90.0"
    edge[3]["lon"], edge[3]["lat"] = "1e300", "1e300"
    edge[4]["lat"] = "inf"
    write_csv(tmp_path / "components.csv", edge)
    (report,) = deliver(tmp_path, layered, [component_load()])
    assert report.good, report.reason
    assert (report.counts["inserted"], report.counts["rejected"]) == (4, 4)


def test_rows_with_the_wrong_number_of_values(layered: str, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "components.csv", [component(n) for n in range(3)])
    lines = path.read_text("utf-8").splitlines()
    lines[2] = lines[2].rpartition(",")[0]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    (report,) = deliver(tmp_path, layered, [component_load()])
    assert report.counts["inserted"] == 2
    assert report.rules["unreadable"] == 1


def test_self_crossing_areas_are_repaired_or_refused(layered: str, tmp_path: Path) -> None:
    x, y = CENTRE
    step = 0.0005
    bow_tie = shapely.Polygon([(x, y), (x + step, y + step), (x + step, y), (x, y + step)])
    flat = shapely.Polygon([(x, y), (x + step, y), (x, y)])
    frame = gpd.GeoDataFrame(
        {"nr": ["1", "2", "3"]}, geometry=[bow_tie, flat, shapely.box(x, y, x + step, y + step)],
        crs=4490,
    )  # fmt: skip
    frame.to_file(tmp_path / "houses.gpkg")
    load = {"layer": "building", "files": ["houses.gpkg"], "id": {"column": "nr"}}
    (report,) = deliver(tmp_path, layered, [load])
    assert report.good, report.reason
    assert (report.counts["inserted"], report.counts["rejected"]) == (2, 1)
    assert rows(layered, "SELECT id, severity FROM catalog.reject ORDER BY id") == [
        ("1", "warn"), ("2", "reject"),
    ]  # fmt: skip
    assert rows(layered, "SELECT bool_and(ST_IsValid(geom)) FROM layer.building") == [(True,)]


def test_a_rule_that_blocks_fails_the_run(layered: str, tmp_path: Path) -> None:
    known = load_definitions()
    strict = replace(known["component"], checks=(("domain", {"severity": "block"}),))
    write_csv(tmp_path / "components.csv", [component(0), component(1, GLBJZT="不明")])
    deliver(tmp_path, layered, [component_load("missing.csv")])
    path = tmp_path / "delivery.yaml"
    path.write_text(path.read_text("utf-8").replace("missing.csv", "components.csv"), "utf-8")
    (report,) = run_delivery(
        load_delivery(path), layered, definitions={**known, "component": strict}
    )
    assert report.status is Status.BLOCKED
    assert "不明" in str(report.reason)
    assert rows(layered, "SELECT count(*) FROM layer.component") == [(0,)]
