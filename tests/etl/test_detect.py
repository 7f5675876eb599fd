"""What the coordinates truly are: decided where evidence allows, "cannot tell" elsewhere."""

import json

import numpy as np
import pytest
import shapely
from pyproj import Geod
from shapely.geometry import shape

from etl.datum import DatumRegistry
from etl.detection import References, detect, plane_axes
from etl.inspect import inspect_file, load_reference
from layers.city import load_city

MEIZHOU = load_city("meizhou")
REGISTRY = DatumRegistry()
GEOD = Geod(ellps="GRS80")


def synthetic_outline() -> np.ndarray:
    """A wiggly closed line inside the city, CGCS2000."""
    t = np.linspace(0, 2 * np.pi, 400)
    r = 0.25 + 0.03 * np.sin(7 * t) + 0.01 * np.sin(23 * t)
    return np.column_stack([116.1 + r * np.cos(t), 24.25 + r * np.sin(t)])


@pytest.fixture(scope="module")
def reference() -> References:
    found = References.from_geometries([shapely.Polygon(synthetic_outline())])
    assert found is not None
    return found


@pytest.mark.parametrize("truth", ["cgcs2000", "gcj02", "bd09"])
def test_the_datum_of_degrees_is_named_by_comparison(truth, reference):
    lon, lat = synthetic_outline().T
    x, y, _ = REGISTRY.chain("cgcs2000", truth).apply(lon, lat)
    found = detect((x, y), profile=MEIZHOU, references=reference)
    assert found.verdict is not None
    assert (found.verdict.coordsys, found.confidence) == (truth, "certain")
    assert found.verdict.evidence_m is not None
    assert found.verdict.evidence_m < 1
    assert (
        detect((x, y), profile=MEIZHOU, references=reference, declared=truth).agreement
        == "confirms"
    )
    wrong = "gcj02" if truth != "gcj02" else "cgcs2000"
    objected = detect((x, y), profile=MEIZHOU, references=reference, declared=wrong)
    assert objected.agreement == "objects"
    assert truth in str(objected.objection)


def test_without_a_reference_degrees_cannot_be_told_apart():
    lon, lat = synthetic_outline().T
    found = detect((lon, lat), profile=MEIZHOU, declared="gcj02")
    assert (found.verdict, found.agreement) == (None, "cannot tell")
    assert {v.coordsys for v in found.hypotheses} == {"cgcs2000", "gcj02", "bd09"}


def test_a_reference_that_has_nothing_to_do_with_the_points_decides_nothing(reference):
    rng = np.random.default_rng(3)
    found = detect((rng.uniform(115.5, 116.8, 500), rng.uniform(23.6, 24.8, 500)), profile=MEIZHOU,
                   references=reference)  # fmt: skip
    assert found.verdict is None


@pytest.mark.parametrize("code", ["epsg:4548", "epsg:4527", "epsg:4547", "epsg:4526"])
@pytest.mark.parametrize("swapped", [False, True])
def test_zone_and_exchanged_columns_show_in_metres(code, swapped):
    lon, lat = synthetic_outline().T
    east, north, _ = REGISTRY.chain("cgcs2000", code).apply(lon, lat)
    x, y = (north, east) if swapped else (east, north)
    found = detect((x, y), profile=MEIZHOU, declared=code, field_names=("东坐标", "北坐标"))
    assert {v.coordsys for v in found.hypotheses} == {code}
    assert all(v.swapped == swapped for v in found.hypotheses)
    assert found.agreement == ("objects" if swapped else "cannot tell")
    if swapped:
        assert "东坐标" in str(found.objection)


def test_a_missing_or_wrong_zone_is_an_objection():
    lon, lat = synthetic_outline().T
    east, north, _ = REGISTRY.chain("cgcs2000", "epsg:4548").apply(lon, lat)
    for declared in ("epsg:4547", "epsg:4527"):
        found = detect((east, north), profile=MEIZHOU, declared=declared)
        assert found.agreement == "objects"
        assert "epsg:4548" in str(found.objection)


def test_a_datum_without_parameters_objects_with_what_is_missing():
    lon, lat = synthetic_outline().T
    east, north, _ = REGISTRY.chain("cgcs2000", "epsg:4548").apply(lon, lat)
    found = detect((east, north), profile=MEIZHOU, declared="epsg:2384")
    assert found.agreement == "objects"
    assert "dE, dN, A, B" in str(found.objection)


def test_size_alone_tells_northing_from_easting():
    assert plane_axes(np.array([410413.0]), np.array([2687537.0])) == "normal"
    assert plane_axes(np.array([2687537.0]), np.array([39410413.0])) == "swapped"
    assert plane_axes(np.array([2519305.0]), np.array([19752788.0])) == "swapped"
    assert plane_axes(np.array([12926152.0]), np.array([2788614.0])) is None


def test_no_coordinates_is_an_answer_too():
    found = detect(([np.nan], [np.nan]), profile=MEIZHOU)
    assert found.verdict is None
    assert found.agreement == "cannot tell"


def test_real_county_boundaries_are_named_gcj02(shared_data):
    """Undeclared in the files; the trusted set beside them is CGCS2000."""
    folder = shared_data / "meizhou-admin"
    trusted = folder / "derived_meizhou_counties_wgs84_cgcs2000.geojson"
    reference = load_reference(trusted, REGISTRY)
    for name in ("441400", "441402", "441403", "441422"):
        found = inspect_file(folder / f"{name}.geojson", MEIZHOU, reference=reference)
        (layer,) = found.layers
        assert layer.layer.declared_crs is None
        (finding,) = layer.findings
        assert finding.detection.verdict is not None
        assert finding.detection.verdict.coordsys == "gcj02"
        assert finding.detection.confidence == "certain"
        rest = finding.detection.hypotheses[1:]
        others = [v.evidence_m for v in rest if v.shift_m is None]
        assert min(o for o in others if o is not None) > 300
        json.dumps(found.to_json())


def test_real_county_boundaries_after_the_step_agree_and_round_trip(shared_data):
    folder = shared_data / "meizhou-admin"
    trusted = json.loads((folder / "derived_meizhou_counties_wgs84_cgcs2000.geojson").read_text())
    truth = {f["properties"]["adcode"]: shape(f["geometry"]) for f in trusted["features"]}
    chain = REGISTRY.chain("gcj02")
    assert chain.accuracy_m >= 1
    for code in ("441402", "441403", "441422"):
        raw = shape(json.loads((folder / f"{code}.geojson").read_text()))
        xy = shapely.get_coordinates(raw)
        lon, lat, _ = chain.apply(xy[:, 0], xy[:, 1])
        back_x, back_y, _ = chain.inverted().apply(lon, lat)
        assert GEOD.inv(back_x, back_y, xy[:, 0], xy[:, 1])[2].max() < 0.001
        want = shapely.get_coordinates(truth[code])
        assert GEOD.inv(lon, lat, want[:, 0], want[:, 1])[2].max() < 0.001


def test_real_boreholes_with_exchanged_titles(shared_data):
    """The column called easting holds northings (zone 19)."""
    found = inspect_file(shared_data / "boreholes" / "nlogs+.csv", MEIZHOU)
    by_columns = {f.columns: f.detection for f in found.layers[0].findings}
    plane = by_columns[("easting", "northing")]
    assert plane.agreement == "objects"
    assert "'easting' should hold eastings" in str(plane.objection)
    assert by_columns[("longitude", "latitude")].agreement == "cannot tell"
