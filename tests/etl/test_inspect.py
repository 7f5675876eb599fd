"""`etl inspect` and `datum` as a person at a shell uses them."""

import json
import math
from pathlib import Path

import numpy as np
import psycopg
import pyogrio
import pytest
import shapely
from typer.testing import CliRunner

from etl.datum import DatumRegistry
from etl.inspect import inspect_file, reference_layer
from etl.readers import ReadOptions
from geoserver_py.cli.app import app
from geoserver_py.errors import WorkFailed
from layers.city import load_city

MEIZHOU = load_city("meizhou")
REGISTRY = DatumRegistry()
RUN = CliRunner()


def run(*arguments: str) -> str:
    result = RUN.invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def outline() -> shapely.Polygon:
    """A synthetic star inside the city, CGCS2000."""
    t = np.linspace(0, 2 * np.pi, 200)
    r = 0.2 + 0.05 * np.sin(5 * t)
    return shapely.Polygon(np.column_stack([116.1 + r * np.cos(t), 24.3 + r * np.sin(t)]))


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """(trusted CGCS2000 GeoPackage, undeclared GCJ-02 GeoJSON of the same outline)."""
    trusted = tmp_path / "trusted.gpkg"
    wkb = np.array([shapely.to_wkb(outline())], dtype=object)
    pyogrio.raw.write(trusted, wkb, [np.array(["a"], dtype=object)], ["name"],
                      geometry_type="Polygon", crs="EPSG:4490", driver="GPKG")  # fmt: skip
    shifted = shapely.transform(
        outline(),
        lambda xy: np.column_stack(REGISTRY.chain("cgcs2000", "gcj02").apply(*xy.T)[:2]),
    )
    delivered = tmp_path / "界线.geojson"
    delivered.write_text(shapely.to_geojson(shifted), encoding="utf-8")
    return trusted, delivered


def test_inspect_names_undeclared_gcj02(files):
    trusted, delivered = files
    found = json.loads(run("etl", "inspect", str(delivered), "--reference", str(trusted), "--json"))
    (layer,) = found["layers"]
    assert layer["declared_crs"] is None
    assert layer["rows_read"] == 1
    (finding,) = layer["coordinates"]
    assert finding["decided"]["coordsys"] == "gcj02"
    assert finding["confidence"] == "certain"
    assert finding["decided"]["offset_m"] < 1
    assert "gcj02" in run("etl", "inspect", str(delivered), "--reference", str(trusted))


def test_a_layer_of_the_store_serves_as_reference(files, postgis):
    with psycopg.connect(postgis) as connection:
        connection.execute("CREATE SCHEMA layer")
        connection.execute("CREATE TABLE layer.outline (geom geometry(Polygon, 4490))")
        connection.execute(
            "INSERT INTO layer.outline VALUES (ST_GeomFromWKB(%s, 4490)), (NULL)",
            [shapely.to_wkb(outline())],
        )
        reference = reference_layer(connection, "outline")
    found = inspect_file(files[1], MEIZHOU, reference=reference)
    decided = found.layers[0].findings[0].detection.verdict
    assert decided is not None
    assert decided.coordsys == "gcj02"


def test_a_csv_whose_east_column_holds_northings(tmp_path):
    path = tmp_path / "a.csv"
    rows = ["编号,东坐标,北坐标"]
    rows += [f"{i},{2687537.854 + 9 * i},{410413.24 + 7 * i}" for i in range(50)]
    path.write_text("\n".join(rows), encoding="gb18030")
    found = json.loads(run("etl", "inspect", str(path), "--json"))
    assert found["encoding"]["detected"] == "GB18030"
    (finding,) = found["layers"][0]["coordinates"]
    assert finding["agreement"] == "objects"
    assert "东坐标" in finding["objection"]
    best = finding["verdicts"][0]
    assert (best["coordsys"], best["swapped"], best["inside"]) == ("epsg:4548", True, 1.0)
    assert best["offset_m"] is None


def test_survey_custom_x_north_is_no_objection(tmp_path):
    path = tmp_path / "a.csv"
    rows = ["点号,X,Y"] + [f"{i},{2687537.854 + i},{39410413.24 + i}" for i in range(9)]
    path.write_text("\n".join(rows), encoding="utf-8")
    finding = inspect_file(path, MEIZHOU).layers[0].findings[0]
    assert finding.columns == ("Y", "X")
    assert finding.detection.objection is None
    assert finding.detection.verdict is not None
    assert finding.detection.verdict.coordsys == "epsg:4527"
    assert not finding.detection.verdict.swapped


def test_declared_crs_of_a_file_is_checked(tmp_path):
    path = tmp_path / "a.gpkg"
    points = shapely.points([[410413.24 + i, 2687537.854] for i in range(20)])
    for crs, agreement in (("EPSG:4548", "cannot tell"), ("EPSG:4547", "objects")):
        pyogrio.raw.write(path, shapely.to_wkb(points), [np.arange(20)], ["n"],
                          geometry_type="Point", crs=crs, driver="GPKG")  # fmt: skip
        finding = inspect_file(path, MEIZHOU).layers[0].findings[0]
        assert finding.detection.agreement == agreement
        path.unlink()


def test_bad_coordinates_show_with_their_rows(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,lon,lat\n1,116.1,24.2\n2,一百一十六,24.2\n3,1_16.1,24.2\n", "utf-8")
    (layer,) = inspect_file(path, MEIZHOU, options=ReadOptions()).layers
    assert [(p.row, p.column) for p in layer.problems] == [(3, "lon"), (4, "lon")]


def test_real_foreign_sets_fit_their_own_profiles(shared_data):
    pipes = shared_data / "pipes-nagaoka" / "08EE751_unf_10169_lv_op.gml"
    for layer in inspect_file(pipes, load_city("nagaoka")).layers:
        assert layer.findings[0].detection.agreement == "confirms"
    roads = shared_data / "shenzhen-roads" / "futian.graphml"
    assert not inspect_file(roads, MEIZHOU).layers[0].findings[0].detection.hypotheses
    helsinki = shared_data / "osm" / "Helsinki.osm.pbf"
    options = ReadOptions(layer="points")
    (layer,) = inspect_file(helsinki, load_city("helsinki"), options=options).layers
    decided = layer.findings[0].detection.verdict
    assert decided is not None
    assert decided.coordsys == "cgcs2000"


def test_transform_speaks_json_and_survey_order():
    found = json.loads(run("datum", "transform", "--from", "gcj02", "--to", "EPSG:4490",
                           "--json", "116.12243233", "24.285977"))  # fmt: skip
    (at,) = found["results"]
    assert math.hypot(at["lon"] - 116.1176, at["lat"] - 24.2886) < 1.5e-8
    assert found["accuracy_m"] == 3.0
    plane = run("datum", "transform", "--from", "cgcs2000", "--to", "epsg:4548",
                "116.1176", "24.2886")  # fmt: skip
    assert plane.split() == ["2687537.8536", "410413.2396"]


def test_transform_reads_rows_of_a_file(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("north,east\n2687537.8536,39410413.2396\n2687537.8536,39410413.2396\n")
    out = run("datum", "transform", "--from", "epsg:4527", "--file", str(path))
    lon, lat = map(float, out.splitlines()[1].split())
    assert math.hypot(lon - 116.1176, lat - 24.2886) < 1e-8


def test_failures_are_one_sentence():
    for arguments, words in (
        (["--from", "xian80", "116.1", "24.2"], "dE, dN, A, B"),
        (["--from", "nonsense", "116.1", "24.2"], "cgcs2000, wgs84, gcj02, bd09"),
        (["--from", "epsg:4548", "2687537.8", "39410413.2"], "epsg:4527"),
    ):
        result = RUN.invoke(app, ["datum", "transform", *arguments])
        assert result.exit_code == 1
        assert isinstance(result.exception, WorkFailed)
        assert words in str(result.exception)
    assert RUN.invoke(app, ["datum", "transform", "116.1", "24.2"]).exit_code == 2


def test_fit_and_register_and_list(tmp_path):
    points = tmp_path / "points.csv"
    lines = ["id,east1,north1,east2,north2"]
    for i, (e, n) in enumerate([(4e5, 2.6e6), (4.1e5, 2.7e6), (3.9e5, 2.65e6), (4.2e5, 2.62e6)]):
        lines.append(f"K{i},{e},{n},{e + 117.3},{n + 0.2}")
    points.write_text("\n".join(lines))
    found = json.loads(run("datum", "fit", str(points), "--json"))
    assert found["parameters"]["k"] == pytest.approx(1.0, abs=1e-9)
    assert found["rms_m"] < 1e-6
    assert [row["id"] for row in found["residuals"]] == ["K0", "K1", "K2", "K3"]
    numbers = {key: found["parameters"][key] for key in ("dE", "dN", "A", "B")}
    yaml = tmp_path / "datum.yaml"
    link = {"kind": "similarity", "source": "xian80:demo", "target": "epsg:4548",
            "accuracy_m": 0.05, "authority": "synthetic", "parameters": numbers}  # fmt: skip
    yaml.write_text(json.dumps({"grids": {"xian80:demo": "西安80 示例"}, "links": [link]}))
    listed = json.loads(run("datum", "list", "--parameters", str(yaml), "--json"))
    assert "xian80:demo" in listed["accepted"]
    out = run("datum", "transform", "--from", "xian80:demo", "--to", "epsg:4548",
              "--parameters", str(yaml), "2600000", "400000")  # fmt: skip
    assert [float(v) for v in out.split()] == pytest.approx([2600000.2, 400117.3], abs=1e-3)
    assert "sigma" in run("datum", "fit", str(points))
