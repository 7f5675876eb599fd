"""Rules over layers, in real deliveries: references, networks, check points, neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import psycopg
import pytest
import shapely
import yaml

from etl.delivery import DeliveryError
from etl.report import LoadReport, Status
from etl.run import run_delivery
from layers.access import SYSTEM
from layers.catalogue import load_catalogue
from layers.definition import load_definitions
from tests.etl.support import (
    CENTRE_4548,
    apply_layers,
    component,
    component_load,
    deliver,
    rows,
    write_csv,
)

EAST, NORTH = CENTRE_4548


def write_layer(path: Path, records: Sequence[dict[str, Any]], shapes: Sequence[Any]) -> None:
    table = gpd.GeoDataFrame(pd.DataFrame(records), geometry=list(shapes), crs="EPSG:4548")
    table.to_file(path, driver="GPKG", layer="t")


def load(layer: str, file: str, **more: Any) -> dict[str, Any]:
    files = [{"path": file, "layer": "t"}]
    return {"layer": layer, "files": files, "coordsys": "epsg:4548", "id": {"column": "id"}, **more}


def pipe_points(folder: Path, *ids: str, name: str = "points.gpkg", **values: Any) -> None:
    records = [
        {"id": one, "class_code": "JS", "subclass_code": "JP", "feature": "预留口", **values}
        for one in ids
    ]
    shapes = [shapely.Point(EAST + 20 * int(one), NORTH, 79.0) for one in ids]
    write_layer(folder / name, records, shapes)


def pipe_lines(folder: Path, *pairs: tuple[str, str], shift: float = 0.0) -> None:
    records = [
        {"id": f"{a}-{b}", "class_code": "JS", "subclass_code": "JP", "start_point": a,
         "end_point": b, "laying": "ZM"}
        for a, b in pairs
    ]  # fmt: skip
    shapes = [
        shapely.LineString([(EAST + 20 * int(a), NORTH, 79.0),
                            (EAST + 20 * int(b), NORTH + shift, 79.0)])
        for a, b in pairs
    ]  # fmt: skip
    write_layer(folder / "lines.gpkg", records, shapes)


POINTS, LINES = load("pipeline_point", "points.gpkg"), load("pipeline_line", "lines.gpkg")


@pytest.fixture
def pipes(database: str) -> str:
    apply_layers(database, "pipeline_point", "pipeline_line")
    return database


def found(dsn: str, report: LoadReport) -> set[tuple[str, str]]:
    statement = "SELECT coalesce(id, ''), rule FROM catalog.reject WHERE run = %s"
    return set(rows(dsn, statement, report.run))


@pytest.mark.parametrize("order", [(POINTS, LINES), (LINES, POINTS)])
def test_a_line_may_name_points_of_the_same_delivery_only_if_they_are_there(
    pipes: str, tmp_path: Path, order: tuple[dict[str, Any], ...]
) -> None:
    pipe_points(tmp_path, "1", "2")
    pipe_lines(tmp_path, ("1", "2"), ("2", "3"))
    reports = {r.layer: r for r in deliver(tmp_path, pipes, list(order))}
    assert found(pipes, reports["pipeline_line"]) == {("2-3", "reference")}
    assert rows(pipes, "SELECT id FROM layer.pipeline_line") == [("1-2",)]


def test_a_line_may_name_points_that_are_loaded_already(pipes: str, tmp_path: Path) -> None:
    pipe_points(tmp_path, "1", "2")
    deliver(tmp_path, pipes, [POINTS], delivery="test/points")
    pipe_lines(tmp_path, ("1", "2"), ("2", "3"))
    (lines,) = deliver(tmp_path, pipes, [LINES], delivery="test/lines")
    assert found(pipes, lines) == {("2-3", "reference")}
    # and what a full delivery takes away is no longer there to be named
    pipe_points(tmp_path, "2", "3")
    both = [{**POINTS, "mode": "full"}, {**LINES, "mode": "full"}]
    _, lines = deliver(tmp_path, pipes, both, delivery="test/both")
    assert found(pipes, lines) == {("1-2", "reference")}


def test_what_cannot_be_looked_up_is_said_and_nobodys_fault(pipes: str, tmp_path: Path) -> None:
    pipe_lines(tmp_path, ("1", "2"))
    (report,) = deliver(tmp_path, pipes, [LINES])
    assert report.good
    assert report.counts["inserted"] == 1
    assert report.rules == {}
    assert any("pipeline_point" in note and "未检查" in note for note in report.notes)


def test_the_degree_of_a_point_counts_lines_that_are_loaded_already(
    pipes: str, tmp_path: Path
) -> None:
    pipe_points(tmp_path, "1", "2", "3", feature="直线点")
    pipe_lines(tmp_path, ("1", "2"), ("2", "3"))
    points, _ = deliver(tmp_path, pipes, [POINTS, LINES])
    assert found(pipes, points) == {("1", "node_degree"), ("3", "node_degree")}
    pipe_points(tmp_path, "2", feature="三通")
    (again,) = deliver(tmp_path, pipes, [POINTS], delivery="test/again")
    assert found(pipes, again) == {("2", "node_degree")}


def test_the_report_does_not_depend_on_the_order_of_the_layers(pipes: str, tmp_path: Path) -> None:
    """2-3 names no point and is refused: the degree of 2 is then 1, and 4 has no line at all."""
    pipe_points(tmp_path, "1", "2", "4", feature="直线点")
    pipe_lines(tmp_path, ("1", "2"), ("2", "3"), ("4", "3"))
    told = []
    for order in ([POINTS, LINES], [LINES, POINTS]):
        reports = {r.layer: r for r in deliver(tmp_path, pipes, order)}
        points, lines = reports["pipeline_point"], reports["pipeline_line"]
        assert found(pipes, lines) == {("2-3", "reference"), ("4-3", "reference")}
        assert found(pipes, points) == {
            ("1", "node_degree"), ("2", "node_degree"), ("4", "orphan_point"),
        }  # fmt: skip
        told.append(
            {
                name: (r.rules, [(s.id, s.rule, s.reason) for s in r.sample], r.notes)
                for name, r in sorted(reports.items())
            }
        )
    assert told[0] == told[1]


def test_what_named_a_refused_row_is_refused_in_turn_in_any_order(
    database: str, tmp_path: Path
) -> None:
    """A county is not there, so its town goes, and so do the villages of that town."""
    known = dict(load_definitions())
    for name, target in (("town", "county"), ("village", "town")):
        refuse = ("reference", {"fields": ["parent_code"], "to": f"division_{target}"})
        layer = f"division_{name}"
        known[layer] = replace(known[layer], checks=(("valid_geometry", {}), refuse))
    apply_layers(database, "division_county", "division_town", "division_village")
    area = shapely.box(EAST, NORTH, EAST + 100, NORTH + 100)
    loads = []
    for level, codes in (
        ("county", {"441402": None}),
        ("town", {"441402101": "441402", "441499101": "441499"}),
        ("village", {"441402101201": "441402101", "441499101201": "441499101"}),
    ):
        shapes = [shapely.affinity.translate(area, 200 * n) for n in range(len(codes))]
        records = [
            {"id": code, "name": f"合成 {code}", "parent_code": above}
            for code, above in codes.items()
        ]
        write_layer(tmp_path / f"{level}.gpkg", records, shapes)
        loads.append(load(f"division_{level}", f"{level}.gpkg"))
    for order in (loads, loads[::-1]):
        document = {"delivery": "test/chain", "bureau": "民政局", "city": "meizhou",
                    "synthetic": True, "loads": order}  # fmt: skip
        path = tmp_path / "delivery.yaml"
        path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
        reports = {r.layer: r for r in run_delivery(path, database, definitions=known)}
        assert found(database, reports["division_town"]) == {("441499101", "reference")}
        assert found(database, reports["division_village"]) == {("441499101201", "reference")}
        assert rows(database, "SELECT id FROM layer.division_village") == [("441402101201",)]


def test_a_row_with_two_warnings_is_one_row_warned_of(pipes: str, tmp_path: Path) -> None:
    """A row rule and two rules over layers warn of the same line; the table counts findings."""
    pipe_points(tmp_path, "1", "2", "8", feature="预留口")
    pipe_lines(tmp_path, ("1", "2"), ("1", "8"), shift=0.3)
    _, lines = deliver(tmp_path, pipes, [POINTS, LINES])
    assert lines.rules["end_position"] == 2
    assert lines.rules["segment_length"] == 1
    assert lines.counts["warned"] == 2


def test_a_line_that_ends_beside_its_point_is_told(pipes: str, tmp_path: Path) -> None:
    pipe_points(tmp_path, "1", "2")
    pipe_lines(tmp_path, ("1", "2"), shift=0.3)
    _, lines = deliver(tmp_path, pipes, [POINTS, LINES])
    assert found(pipes, lines) == {("1-2", "end_position")}
    assert "0.30 m" in lines.sample[0].reason
    assert lines.good


def test_a_layer_that_loses_all_rows_to_a_rule_is_not_emptied(pipes: str, tmp_path: Path) -> None:
    full = [{**POINTS, "mode": "full"}, {**LINES, "mode": "full"}]
    pipe_points(tmp_path, "1", "2")
    pipe_lines(tmp_path, ("1", "2"))
    deliver(tmp_path, pipes, full)
    pipe_lines(tmp_path, ("8", "9"))
    points, lines = deliver(tmp_path, pipes, full)
    assert (points.status, lines.status) == (Status.FAILED, Status.FAILED)
    assert "8 不在图层" in str(lines.reason)
    assert rows(pipes, "SELECT id FROM layer.pipeline_line") == [("1-2",)]


def known_points(folder: Path, east: float, north: float, count: int = 25) -> dict[str, Any]:
    """Components (at the centre, a step apart), and their surveyed places some metres off."""
    records = [component(n) for n in range(count)]
    write_csv(folder / "components.csv", records)
    lonlat = np.array([[float(r["lon"]), float(r["lat"])] for r in records])
    places = gpd.GeoSeries(shapely.points(lonlat), crs="EPSG:4490").to_crs("EPSG:4548")
    table = [
        {"点号": r["GLBJBSM"], "X": f"{p.y - north:.4f}", "Y": f"{p.x - east:.4f}"}
        for r, p in zip(records, places, strict=True)
    ]
    write_csv(folder / "known.csv", table)
    return {
        "file": "known.csv", "coordsys": "epsg:4548", "columns": {"north": "X", "east": "Y"},
        "id": "点号",
    }  # fmt: skip


@pytest.fixture
def components(database: str) -> str:
    apply_layers(database, "component")
    return database


def test_check_points_give_the_rmse_in_the_report_and_in_the_catalogue(
    components: str, tmp_path: Path
) -> None:
    points = known_points(tmp_path, 0.24, -0.18)
    (report,) = deliver(tmp_path, components, [component_load(check_points=points)])
    assert report.good
    (measure,) = report.measures
    assert measure["kind"] == "check_points"
    assert measure["rmse_m"] == pytest.approx(0.30, abs=0.001)
    assert measure["mean_east_m"] == pytest.approx(0.24, abs=0.002)
    assert measure["mean_north_m"] == pytest.approx(-0.18, abs=0.002)
    with psycopg.connect(components) as connection:
        layer = load_catalogue(connection).layer("component", SYSTEM)
    (check,) = (s for s in layer.applied_steps if s["kind"] == "check_points")
    assert check["parameters"]["rmse_m"] == measure["rmse_m"]
    assert check["parameters"]["count"] == 25


def test_check_points_beyond_the_required_accuracy_block_unless_it_is_accepted(
    components: str, tmp_path: Path
) -> None:
    points = known_points(tmp_path, 0.6, 0.0)
    (report,) = deliver(tmp_path, components, [component_load(check_points=points)])
    assert report.status is Status.BLOCKED
    assert "0.600 m" in str(report.reason)
    assert "0.5 m" in str(report.reason)
    accepted = {"metres": 1.0, "reason": "手机采集"}
    loads = [component_load(check_points=points, accept_accuracy=accepted)]
    (report,) = deliver(tmp_path, components, loads)
    assert report.good


def test_a_single_blunder_among_good_check_points_is_named(components: str, tmp_path: Path) -> None:
    points = known_points(tmp_path, 0.02, 0.0, count=60)
    text = (tmp_path / "known.csv").read_text("utf-8").splitlines()
    ident, north, east = text[7].split(",")
    text[7] = f"{ident},{north},{float(east) + 2:.4f}"
    (tmp_path / "known.csv").write_text("\n".join(text) + "\n", "utf-8")
    (report,) = deliver(tmp_path, components, [component_load(check_points=points)])
    assert report.good
    assert found(components, report) == {(ident, "check_points")}


def test_check_points_of_lines_are_compared_with_the_nearest_vertex(
    database: str, tmp_path: Path
) -> None:
    apply_layers(database, "road")
    path = [(EAST + 50.0 * k, NORTH) for k in range(30)]
    write_layer(
        tmp_path / "road.gpkg", [{"id": "1", "road_class": "residential"}],
        [shapely.LineString(path)],
    )  # fmt: skip
    table = [{"X": f"{y - 0.5:.3f}", "Y": f"{x:.3f}"} for x, y in path]
    write_csv(tmp_path / "known.csv", table)
    points = {
        "file": "known.csv", "coordsys": "epsg:4548", "columns": {"north": "X", "east": "Y"},
    }  # fmt: skip
    (report,) = deliver(tmp_path, database, [load("road", "road.gpkg", check_points=points)])
    (measure,) = report.measures
    assert measure["rmse_m"] == pytest.approx(0.5, abs=0.001)
    assert measure["mean_north_m"] == pytest.approx(0.5, abs=0.001)


def test_check_points_that_cannot_be_used_are_refused_with_a_reason(
    components: str, tmp_path: Path
) -> None:
    points = known_points(tmp_path, 0.0, 0.0)
    with pytest.raises(DeliveryError, match="coordsys"):
        deliver(
            tmp_path, components,
            [component_load(check_points={k: v for k, v in points.items() if k != "coordsys"})],
        )  # fmt: skip
    (report,) = deliver(
        tmp_path, components, [component_load(check_points={**points, "id": "编号"})]
    )
    assert report.status is Status.FAILED
    assert "编号" in str(report.reason)


def cells(folder: Path, columns: range, shift: float) -> None:
    """Cells of 100 m in two rows, with a vertex every 20 m on the borders they share."""
    shapes, records = [], []
    for column in columns:
        for row in range(2):
            box = shapely.box(
                EAST + 100 * column + shift, NORTH + 100 * row, EAST + 100 * column + 100 + shift,
                NORTH + 100 * row + 100,
            )  # fmt: skip
            shapes.append(shapely.segmentize(box, 20.0))
            number = len(records) + 10 * columns.start
            records.append(
                {"id": f"441402001001{number:03d}", "area_m2": 10_000.0, "village_code": "4" * 12,
                 "initial_date": "2026-07-01"}
            )  # fmt: skip
    write_layer(folder / "grid.gpkg", records, shapes)


@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_a_delivery_beside_another_shows_its_offset_at_their_edge(
    database: str, tmp_path: Path, shift: float
) -> None:
    apply_layers(database, "unit_grid")
    cells(tmp_path, range(3), 0.0)
    deliver(tmp_path, database, [load("unit_grid", "grid.gpkg")], delivery="test/west")
    cells(tmp_path, range(3, 6), shift)
    (east,) = deliver(tmp_path, database, [load("unit_grid", "grid.gpkg")], delivery="test/east")
    assert east.good
    (measure,) = east.measures
    assert measure["offset_m"] == pytest.approx(shift, abs=0.01)
    assert measure["east_m"] == pytest.approx(shift, abs=0.01)
    told = {rule for _, rule in found(database, east)}
    assert ("neighbour_offset" in told) is (shift > 0.5)


def test_roads_are_measured_against_houses(database: str, tmp_path: Path) -> None:
    apply_layers(database, "road", "building")
    houses = [
        shapely.box(EAST + x * 100 + 6, NORTH + y * 100 + 6, EAST + x * 100 + 94,
                    NORTH + y * 100 + 94)
        for x in range(5)
        for y in range(5)
    ]  # fmt: skip
    write_layer(tmp_path / "house.gpkg", [{"id": str(n)} for n in range(25)], houses)
    deliver(tmp_path, database, [load("building", "house.gpkg")], delivery="test/houses")

    def roads(shift: float) -> LoadReport:
        lines = [
            shapely.LineString([(EAST + x + shift, NORTH), (EAST + x + shift, NORTH + 500)])
            for x in range(100, 500, 100)
        ]
        records = [{"id": str(n), "road_class": "residential", "name": str(n)} for n in range(4)]
        write_layer(tmp_path / "road.gpkg", records, lines)
        (report,) = deliver(tmp_path, database, [load("road", "road.gpkg")], delivery="test/roads")
        return report

    assert [m["offset_m"] for m in roads(0.0).measures] == [0.0]
    report = roads(15.0)
    (measure,) = report.measures
    assert measure["before"] > 0.5
    assert measure["after"] < 0.05
    assert 8 <= measure["east_m"] <= 16
    assert report.rules.get("neighbour_offset") == 1
