"""The real data sets load through their deliveries, each into layers of its own."""

from __future__ import annotations

import psycopg
import pytest
import shapely
import yaml

from etl.report import Status
from etl.run import run_delivery
from geoserver_py.real_deliveries.templates import write_real_deliveries
from layers.definition import load_definitions


@pytest.fixture(scope="module")
def real(shared_data, tmp_path_factory, city_dsn):
    paths = write_real_deliveries(shared_data, tmp_path_factory.mktemp("real"))
    reports = {}
    for path in paths:
        for report in run_delivery(path, city_dsn):
            reports[report.layer] = report
    return reports


def test_every_real_layer_is_filled(real) -> None:
    definitions = load_definitions()
    wanted = {name for name in definitions if name.startswith(("x_", "meizhou_"))}
    assert set(real) == wanted
    for name, report in real.items():
        assert report.status is Status.SUCCEEDED, report.reason
        assert not report.synthetic
        assert report.counts["inserted"] > 0, name


def test_real_pipes_pass_the_rules_of_networks_without_a_finding(real) -> None:
    pipes = real["x_nagaoka_pipeline"]
    checks = {name for name, _ in load_definitions()["x_nagaoka_pipeline"].checks}
    assert {"dangling_end", "near_duplicate", "slope"} <= checks
    assert pipes.counts["read"] > 1_000
    assert dict(pipes.rules) == {}


def test_county_borders_restored_from_gcj02_agree_with_the_reference(real, city_dsn) -> None:
    with psycopg.connect(city_dsn) as connection:
        off = connection.execute(
            "SELECT max(ST_HausdorffDistance(a.geom, b.geom)) * 111000"
            " FROM layer.meizhou_county a JOIN layer.meizhou_county_reference b USING (id)"
        ).fetchone()
    assert off is not None
    assert off[0] < 0.01
    assert real["meizhou_county"].accuracy_m >= 1.0  # a formula, not ground truth


def test_foreign_layers_have_frames_of_their_own(real) -> None:
    definitions = load_definitions()
    for name in real:
        if name.startswith("x_"):
            assert definitions[name].frame == name.split("_")[1]
    assert definitions["x_nagaoka_pipeline"].access == "restricted"
    assert definitions["meizhou_county"].access == "government"


def test_the_meizhou_frame_refuses_a_foreign_row(real, shared_data, tmp_path, city_dsn) -> None:
    folder = tmp_path / "wrong"
    folder.mkdir()
    table = "id,name,road_class,x,y\nA1,Mannerheimintie,food,24.9384,60.1699\n"
    (folder / "poi.csv").write_text(table, encoding="utf-8")
    document = {
        "delivery": "test/foreign", "bureau": "测试", "city": "meizhou", "synthetic": True,
        "loads": [{
            "layer": "poi", "files": ["poi.csv"], "coordsys": "wgs84",
            "columns": {"lon": "x", "lat": "y"}, "mode": "append",
            "fields": {"category": "road_class"},
        }],
    }  # fmt: skip
    (folder / "delivery.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    (report,) = run_delivery(folder / "delivery.yaml", city_dsn)
    assert report.status in {Status.BLOCKED, Status.FAILED}
    assert "市域" in str(report.reason)


def test_absent_data_is_said_not_failed(tmp_path) -> None:
    said: list[str] = []
    assert write_real_deliveries(tmp_path, tmp_path / "out", said.append) == ()
    assert len(said) == 5
    assert all("absent" in line for line in said)


def test_osm_positions_are_unchanged_by_the_null_step(real, city_dsn) -> None:
    with psycopg.connect(city_dsn) as connection:
        row = connection.execute(
            "SELECT ST_AsBinary(ST_Collect(geom)) FROM layer.x_helsinki_address"
        ).fetchone()
    assert row is not None
    west, south, east, north = shapely.bounds(shapely.from_wkb(bytes(row[0])))
    assert 24.93 < west < east < 24.96
    assert 60.16 < south < north < 60.19
