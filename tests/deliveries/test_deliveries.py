"""Every real data set loads, or is refused, as docs/real-data.md says; outside readers agree."""

from __future__ import annotations

import csv
import gzip
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import psycopg
import pyogrio
import pyproj
import pytest
import rasterio
import shapely
from psycopg import sql
from typer.testing import CliRunner

from etl.raster import load_raster_delivery, run_rasters
from etl.report import Status
from geoserver_py.cli.app import app
from layers.city import load_city
from tests.deliveries.run import HERE, run, written

TABLE = HERE.parent.parent / "docs" / "real-data.md"
GML = "{http://www.opengis.net/gml}"
REFUSED = {
    "boreholes-as-titled": "写反",
    "boreholes-unregistered": "没有公开的转换",
    "multipoint": "MultiPoint",
    "networks-placed": "没有声明坐标系",
}
"""Deliveries that must not load, and a word of the reason."""


@pytest.fixture(scope="module")
def paths(shared_data, tmp_path_factory) -> dict[str, Path]:
    return written(shared_data, tmp_path_factory.mktemp("deliveries"))


@pytest.fixture(scope="module")
def loaded(paths, module_database):
    return run(paths.values(), module_database)


def rows(dsn: str, query: str | sql.Composed, *values: object) -> list[tuple]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query, values or None).fetchall()


def layer_rows(dsn: str, columns: str, layer: str) -> list[tuple]:
    return rows(
        dsn, sql.SQL("SELECT {} FROM layer.{}").format(sql.SQL(columns), sql.Identifier(layer))
    )


def vertices(dsn: str, layer: str) -> np.ndarray:
    """lon, lat of all vertices of a layer."""
    found = layer_rows(dsn, "ST_AsBinary(geom)", layer)
    return shapely.get_coordinates(shapely.from_wkb([bytes(wkb) for (wkb,) in found]))


def test_every_data_set_has_a_delivery(shared_data) -> None:
    templates = "".join(p.read_text("utf-8") for p in HERE.glob("**/*.yaml"))
    packaged = HERE.parent.parent / "geoserver_py" / "real_deliveries"
    templates += "".join(p.read_text("utf-8") for p in packaged.glob("*.yaml"))
    needed = set(re.findall(r"(?<=[\[\s,/])([a-z0-9-]+)(?=/|\])", templates))
    folders = {entry.name for entry in shared_data.iterdir() if entry.is_dir()}
    assert folders <= needed


def test_each_delivery_loads_or_is_refused_with_its_reason(loaded) -> None:
    for name, reports in loaded.items():
        for report in reports:
            if name in REFUSED:
                assert report.status in {Status.BLOCKED, Status.FAILED}, name
                assert REFUSED[name] in str(report.reason)
            else:
                assert report.status is Status.SUCCEEDED, f"{name}: {report.reason}"
                assert not report.synthetic


def test_no_row_is_lost_between_file_and_layer(loaded, module_database) -> None:
    for name, reports in loaded.items():
        for report in reports:
            if name in REFUSED:
                continue
            counts = report.counts
            assert counts["read"] == counts["skipped"] + counts["rejected"] + counts["inserted"]
            ((held,),) = layer_rows(module_database, "count(*)", report.layer)
            assert held == counts["inserted"], report.layer
            ((refused,),) = rows(
                module_database,
                "SELECT count(DISTINCT (file, source_row)) FROM catalog.reject"
                " WHERE run = %s AND severity = 'reject'",
                report.run,
            )
            assert refused == counts["rejected"], report.layer


def test_the_documented_counts_are_those_of_the_runs(loaded) -> None:
    told = {
        (cells[0], cells[1]): cells[2:]
        for line in TABLE.read_text("utf-8").splitlines()
        if line.startswith("| `")
        and len(cells := [c.strip().strip("`") for c in line.strip("|").split("|")]) == 7
    }
    found = {}
    for name, reports in loaded.items():
        for r in reports:
            counts = [str(r.counts.get(key, 0)) for key in ("read", "skipped", "rejected")]
            held = str(r.counts.get("inserted", 0)) if name not in REFUSED else "refused"
            rules = ", ".join(f"{rule} {n}" for rule, n in sorted(r.rules.items()))
            found[name, r.layer] = [*counts, held, rules]
    assert told == found


def test_rows_read_are_those_that_outside_readers_count(loaded, shared_data) -> None:
    read = {(name, r.layer): r.counts["read"] for name, reports in loaded.items()
            for r in reports if name not in REFUSED}  # fmt: skip
    for name, file in (("krems", "krems.osm.gz"), ("monaco", "monaco.osm.gz")):
        at = f"/vsigzip/{shared_data / 'osm' / file}"
        info = pyogrio.read_info(at, layer="lines", force_feature_count=True)
        assert read[name, f"x_{name}_road"] == info["features"]
    geodatabase = shared_data / "filegdb" / "testopenfilegdb.gdb.zip"
    named = re.findall(r"layer: (\w+)\}", (HERE / "filegdb.yaml").read_text("utf-8"))
    counted = sum(
        pyogrio.read_info(geodatabase, layer=part, force_feature_count=True)["features"]
        for part in named
    )
    assert sum(n for (name, _), n in read.items() if name == "filegdb") == counted
    tracks = (shared_data / "gps-geolife").glob("*/Trajectory/*.plt")
    assert read["geolife", "x_geolife_fix"] == sum(
        len(t.read_bytes().splitlines()) - 6 for t in tracks
    )
    (packed,) = (shared_data / "air-quality").glob("*.gz")
    with gzip.open(packed, "rt") as stream:
        assert read["air-quality", "x_air_quality"] == sum(1 for _ in csv.DictReader(stream))
    model = (shared_data / "water-networks" / "ky4.inp").read_text("latin-1")
    section = model.partition("[PIPES]")[2].partition("[")[0]
    assert read["kentucky", "x_kentucky_pipe"] == sum(
        bool(line.split(";")[0].strip()) for line in section.splitlines()
    )


def test_running_a_delivery_again_changes_nothing(loaded, paths, module_database) -> None:
    again = run([paths["boreholes"], paths["tamana"]], module_database)
    assert {r.status for reports in again.values() for r in reports} == {Status.UNCHANGED}


def test_land_use_of_epsg_6697_lands_with_latitude_first_in_the_file(
    loaded, shared_data, module_database
) -> None:
    crs = pyproj.CRS.from_epsg(6697)
    assert [axis.direction for axis in crs.axis_info] == ["north", "east", "up"]
    (file,) = (shared_data / "landuse-plateau").glob("*.gml")
    told = np.vstack([
        np.array(node.text.split(), float).reshape(-1, 3)[:, :2]
        for node in ElementTree.parse(file).iter(f"{GML}posList")
        if node.text
    ])  # fmt: skip
    truth = shapely.multipoints(np.unique(told[:, ::-1].round(9), axis=0))
    held = shapely.points(vertices(module_database, "x_tamana_land_use"))
    assert shapely.distance(held, truth).max() < 1e-8
    assert loaded["tamana"][0].counts["inserted"] == 363


def test_pipes_of_epsg_10169_land_with_north_first_in_the_file(
    loaded, shared_data, module_database
) -> None:
    crs = pyproj.CRS.from_epsg(10169)
    assert [axis.direction for axis in crs.axis_info] == ["north", "east", "up"]
    plane = pyproj.Transformer.from_crs(crs.sub_crs_list[0], 6668)  # authority order both sides
    told = np.vstack([
        np.array(node.text.split(), float).reshape(-1, 3)[:, :2]
        for file in (shared_data / "pipes-nagaoka").glob("*.gml")
        for node in ElementTree.parse(file).iter(f"{GML}posList")
        if node.text
    ])  # fmt: skip
    lat, lon = plane.transform(told[:, 0], told[:, 1])
    tree = shapely.STRtree(shapely.points(lon, lat))
    held = shapely.points(vertices(module_database, "x_nagaoka_pipeline"))
    _, off = tree.query_nearest(held, return_distance=True, all_matches=False)
    assert len(off) == len(held) > 2000
    assert off.max() < 1e-8  # a millimetre


def test_boreholes_are_recognised_as_beijing_1954_zone_19_with_columns_exchanged(
    shared_data,
) -> None:
    answer = CliRunner().invoke(
        app, ["etl", "inspect", "--json", str(shared_data / "boreholes" / "nlogs+.csv")]
    )
    assert answer.exit_code == 0
    (layer,) = json.loads(answer.stdout)["layers"]
    plane = next(c for c in layer["coordinates"] if c["columns"] == ["easting", "northing"])
    assert pyproj.CRS.from_epsg(21419).name == "Beijing 1954 / Gauss-Kruger zone 19"
    assert plane["decided"]["coordsys"] == "epsg:21419"
    assert plane["decided"]["swapped"]
    assert "easting" in plane["objection"]
    assert "northing" in plane["objection"]


def test_boreholes_land_where_proj_puts_them_after_the_registered_shift(
    loaded, shared_data, module_database
) -> None:
    with (shared_data / "boreholes" / "nlogs+.csv").open(encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    north = np.array([float(row["easting"]) for row in table])
    east = np.array([float(row["northing"]) for row in table])
    inverse = pyproj.Transformer.from_crs(4497, 4490)  # north, east → lat, lon
    lat, lon = inverse.transform(north - 58.8, east + 54.4)
    found = layer_rows(module_database, "id, ST_X(geom), ST_Y(geom)", "x_borehole")
    held = {hole: (x, y) for hole, x, y in found}
    for row, x, y in zip(table, lon, lat, strict=True):
        assert held[row["hole_id"]] == pytest.approx((x, y), abs=1e-8)
    report = loaded["boreholes"][0]
    assert report.accuracy_m == pytest.approx(5.0, abs=0.01)
    # Beijing 1954 read as CGCS2000 would lie some 45 m away: the step must have moved them
    geographic = np.array([[float(r["longitude"]), float(r["latitude"])] for r in table])
    moved = pyproj.Geod(ellps="GRS80").inv(*geographic.T, lon, lat)[2]
    assert 30 < moved.min() <= moved.max() < 70


def test_the_elevation_model_keeps_its_heights_in_place(
    shared_data, module_database, tmp_path
) -> None:
    text = (HERE / "rasters" / "dem.yaml").read_text("utf-8")
    path = tmp_path / "dem.yaml"
    path.write_text(text.replace("${DATA}", str(shared_data)), "utf-8")
    frame = load_city("riviera", HERE / "cities")
    (report,) = run_rasters(load_raster_delivery(path), module_database, tmp_path, frame)
    tile = shared_data / "dem" / "N43E007.hgt.zip"
    monaco = [(7.42, 43.735), (7.41, 43.76), (7.55, 43.90)]
    with (
        rasterio.open(tmp_path / report.raster.file) as ours,
        rasterio.open(f"zip://{tile}!/N43E007.hgt") as theirs,
    ):
        assert [v[0] for v in ours.sample(monaco)] == [v[0] for v in theirs.sample(monaco)]
        assert max(v[0] for v in ours.sample(monaco)) > 500
