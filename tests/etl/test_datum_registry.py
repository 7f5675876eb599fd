"""Registered kinds of steps against PROJ; registration in the database; fits from points."""

import json
import math
from pathlib import Path

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from typer.testing import CliRunner

from etl.datum import DatumError, DatumRefused, DatumRegistry, RegistryError
from etl.datum.control import ControlPoints, check_convention, fit_points
from etl.datum.fit_report import fit_html
from etl.datum.pipeline import chain_pipeline
from etl.datum.steps import HelmertStep
from etl.datum.store import load_registry, register
from geoserver_py.cli.app import app
from geoserver_py.errors import WorkFailed

RUN = CliRunner()
STATED = {"accuracy_m": 0.05, "authority": "synthetic, for this test"}
SEVEN = {"x": -130.0, "y": -65.3, "z": 3.3, "rx": 0.31, "ry": -0.52, "rz": 0.74, "s": 1.2}
CITY = {
    "grids": {"local:affine": "仿射", "local:poly": "多项式", "local:grid": "独立坐标系"},
    "links": [
        {
            "kind": "affine", "source": "local:affine", "target": "epsg:4548",
            "parameters": {"xoff": 350000.0, "yoff": 2650000.0, "s11": 0.99999, "s12": 0.0141,
                           "s21": -0.0142, "s22": 1.00002}, **STATED,
        },
        {
            "kind": "polynomial", "source": "local:poly", "target": "epsg:4548",
            "parameters": {"degree": 2, "x0": 60000, "y0": 30000, "reach_m": 90000,
                           "e": [410000.0, 1.00001, 1e-10, 2e-5, 3e-10, -2e-10],
                           "n": [2687000.0, -2e-5, 2e-10, 0.99998, 1e-10, 4e-10]}, **STATED,
        },
        {
            "kind": "local_grid", "source": "local:grid", "target": "epsg:4490",
            "area": "城区", "registered_by": "测试",
            "parameters": {"central_meridian": 116.117, "false_easting": 50000,
                           "false_northing": -2600000, "plane_height_m": 85,
                           "similarity": {"dE": 3.0, "dN": -2.0, "k": 1.000001, "theta": 1.2}},
            **STATED,
        },
        {
            "kind": "helmert", "name": "七参数", "source": "epsg:4610", "target": "epsg:4490",
            "parameters": {**SEVEN, "convention": "coordinate_frame"}, **STATED,
        },
        {
            "kind": "height_offset", "source": "huanghai1956", "target": "epsg:5737",
            "parameters": {"offset_m": -0.029}, **STATED,
        },
    ],
}  # fmt: skip
REGISTRY = DatumRegistry.from_mapping(CITY)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("local:affine", "cgcs2000"),
        ("local:affine", "epsg:4527"),
        ("local:poly", "epsg:4548"),
        ("local:grid", "cgcs2000"),
        ("local:grid", "epsg:4548"),
        ("local:grid", "local:affine"),
        ("epsg:2384", "epsg:4548"),
        ("epsg:2363", "epsg:4547"),
        ("epsg:4548", "epsg:2384"),
    ],
)
def test_every_registered_kind_composes_into_a_proj_pipeline(source, target):
    """Our numbers are PROJ's to 0.01 mm, and the way back returns to 0.1 mm."""
    chain = REGISTRY.chain(source, target)
    rng = np.random.default_rng(11)
    shift = (0.0, 0.0) if source.startswith("local") else (370000.0, 2640000.0)
    zone = 39e6 if source == "epsg:2363" else 0.0
    x = rng.uniform(20000, 90000, 40) + shift[0] + zone
    y = rng.uniform(10000, 80000, 40) + shift[1]
    pipeline = chain_pipeline(chain)
    assert pipeline is not None
    ours = chain.apply(x, y)[:2]
    proj = Transformer.from_pipeline(pipeline).transform(x, y)
    unit = 1e-10 if chain.target.kind == "geographic" else 1e-5
    if any(step.kind == "helmert" and step.parameters["inverse"] for step in chain.steps):
        unit = 1e-3  # ours keeps the height, PROJ's way back in two dimensions loses it
    assert max(np.abs(ours[0] - proj[0]).max(), np.abs(ours[1] - proj[1]).max()) < unit
    back = chain.inverted().apply(*ours)[:2]
    assert max(np.abs(back[0] - x).max(), np.abs(back[1] - y).max()) < 1e-4


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["local:affine", "local:poly", "local:grid"]),
    st.floats(10000, 100000),
    st.floats(5000, 90000),
)
def test_registered_plane_steps_round_trip(name, x, y):
    chain = REGISTRY.chain(name, "epsg:4548")
    assert math.dist(chain.inverted().point(*chain.point(x, y)), (x, y)) < 1e-4


def test_formulas_have_no_proj_form_and_say_so():
    assert chain_pipeline(REGISTRY.chain("gcj02")) is None


def test_a_polynomial_answers_nothing_beyond_its_reach():
    chain = REGISTRY.chain("local:poly", "epsg:4548")
    assert all(math.isnan(v) for v in chain.point(400000.0, 30000.0))


def test_heights_move_only_by_what_is_registered():
    up = REGISTRY.height("huanghai1956", "epsg:5737")
    assert up.apply([72.289])[0] == pytest.approx(72.260)
    assert REGISTRY.height("epsg:5737", "huanghai1956").apply([72.26])[0] == pytest.approx(72.289)
    moved = Transformer.from_pipeline(up.definition).transform(0.0, 0.0, 72.289)
    assert moved[2] == pytest.approx(72.260)
    with pytest.raises(DatumRefused, match="height"):
        REGISTRY.height("epsg:5737", "珠江高程")
    bad = {"kind": "height_offset", "source": "大地高", "target": "epsg:5737",
           "parameters": {"offset_m": 8.0}, **STATED}  # fmt: skip
    with pytest.raises(RegistryError, match="quasi-geoid"):
        DatumRegistry.from_mapping({"links": [bad]})


@pytest.mark.parametrize(
    ("index", "gone"),
    [(0, "s21"), (1, "reach_m"), (2, "plane_height_m"), (2, "central_meridian"), (3, "convention")],
)
def test_missing_parameters_are_named(index, gone):
    entry = dict(CITY["links"][index])
    entry["parameters"] = {k: v for k, v in entry["parameters"].items() if k != gone}
    with pytest.raises(RegistryError, match=gone):
        DatumRegistry.from_mapping({"grids": CITY["grids"], "links": [entry]})


def test_registration_in_the_database_keeps_who_and_what_was_before(database):
    with psycopg.connect(database) as connection:
        names = register(connection, CITY, "王工")
        assert "七参数" in names
        again = {"links": [{**CITY["links"][3], "accuracy_m": 0.03}]}
        register(connection, again, "李工")
        kept = connection.execute(
            "SELECT registered_by, withdrawn_at IS NULL FROM catalog.datum_step"
            " WHERE name = '七参数' ORDER BY id"
        ).fetchall()
        assert kept == [("王工", False), ("李工", True)]
        stored = load_registry(connection)
        assert stored.notes["七参数"] == {"registered_by": "李工"}
        assert stored.chain("epsg:2384").accuracy_m == pytest.approx(0.031)
        ours, files = stored.chain("local:grid"), REGISTRY.chain("local:grid")
        assert ours.point(5e4, 5e4) == pytest.approx(files.point(5e4, 5e4), abs=1e-12)
        with pytest.raises(RegistryError, match="--by"):
            register(connection, CITY, " ")
        reader = connection.execute(
            "SELECT has_table_privilege('geoserver_py_reader', 'catalog.datum_step', 'SELECT')"
        ).fetchone()
        assert reader == (False,)


def seven_points(n: int = 12, noise: float = 0.0) -> ControlPoints:
    """Synthetic control points in epsg:2384 and epsg:4548 with heights."""
    rng = np.random.default_rng(n)
    x, y, h = rng.uniform(3.4e5, 4.9e5, n), rng.uniform(2.6e6, 2.75e6, n), rng.uniform(20, 900, n)
    lon, lat, _ = DatumRegistry().chain("epsg:2384", "epsg:4610").apply(x, y)
    step = next(link for link in REGISTRY.links if isinstance(link, HelmertStep))
    out = Transformer.from_pipeline(step.definition).transform(lon, lat, h)
    e, north, _ = DatumRegistry().chain("cgcs2000", "epsg:4548").apply(out[0], out[1])
    target = np.column_stack([e, north, out[2]]) + rng.normal(0, noise, (n, 3)) * [1, 1, 0]
    ids = tuple(f"GPS{i + 1:02d}" for i in range(n))
    return ControlPoints(ids, np.column_stack([x, y, h]), target)


@pytest.mark.parametrize("convention", ["coordinate_frame", "position_vector"])
def test_seven_parameters_come_back_from_points(convention):
    fit = fit_points(seven_points(), "helmert", source="epsg:2384", target="epsg:4548",
                     convention=convention)  # fmt: skip
    sign = 1 if convention == "coordinate_frame" else -1
    # PROJ's cart step and float64 leave 1e-6 m at most
    for key in ("x", "y", "z"):
        assert fit.parameters[key] == pytest.approx(SEVEN[key], abs=0.02)
    for key in ("rx", "ry", "rz"):
        assert fit.parameters[key] == pytest.approx(sign * SEVEN[key], abs=1e-4)
    assert fit.max_m < 1e-5
    link = {"kind": "helmert", "source": "epsg:4610", "target": "epsg:4490",
            "parameters": fit.parameters, **STATED}  # fmt: skip
    chain = DatumRegistry.from_mapping({"links": [link]}).chain("epsg:2384", "epsg:4548")
    p = seven_points()
    x, y, _ = chain.apply(p.source[:, 0], p.source[:, 1], p.source[:, 2])
    assert np.hypot(x - p.target[:, 0], y - p.target[:, 1]).max() < 1e-3


def test_the_wrong_convention_is_caught_by_the_control_points():
    points = seven_points(6, 0.01)
    for convention, wrong in (("coordinate_frame", False), ("position_vector", True)):
        link = {"kind": "helmert", "source": "epsg:4610", "target": "epsg:4490",
                "parameters": {**SEVEN, "convention": convention}, **STATED}  # fmt: skip
        (step,) = DatumRegistry.from_mapping({"links": [link]}).links
        assert isinstance(step, HelmertStep)
        found = check_convention(step, points, DatumRegistry(), "epsg:2384", "epsg:4548")
        assert found.wrong is wrong
        assert ("约定写错" in found.sentence) is wrong


def test_a_bad_control_point_is_named_and_left_out_on_request():
    points = seven_points(10, 0.01)
    points.target[4, 1] += 0.6
    named = fit_points(points, "helmert", source="epsg:2384", target="epsg:4548")
    assert named.outliers[0] == "GPS05"
    clean = fit_points(points, "helmert", source="epsg:2384", target="epsg:4548",
                       leave_out_outliers=True)  # fmt: skip
    assert clean.removed == ("GPS05",)
    assert clean.sigma_m is not None
    assert clean.sigma_m < 0.03
    page = fit_html(named, "约定")
    assert page.count("<line") == len(points.ids) + 1
    assert "疑似粗差" in page
    assert "GPS05" in page


def test_a_local_grid_is_found_with_its_central_meridian():
    rng = np.random.default_rng(2)
    source = np.column_stack([rng.uniform(2e4, 9e4, 15), rng.uniform(1e4, 8e4, 15)])
    lon, lat, _ = REGISTRY.chain("local:grid", "epsg:4548").apply(*source.T)
    points = ControlPoints(tuple(f"K{i}" for i in range(15)), source, np.column_stack([lon, lat]))
    fit = fit_points(points, "local_grid", target="epsg:4548", plane_height_m=85.0)
    assert fit.parameters["central_meridian"] == pytest.approx(116.117, abs=1e-3)
    assert fit.max_m < 1e-3
    with pytest.raises(DatumError, match="--central-meridian"):
        fit_points(points.at(np.arange(15) < 3), "local_grid", target="epsg:4548")


def test_points_on_a_line_give_no_seven_parameters():
    p = seven_points(4)
    p.source[:] = p.source[0]
    with pytest.raises(DatumError):
        fit_points(p, "helmert", source="epsg:2384", target="epsg:4548")


def test_fit_at_the_shell_reports_and_fails_on_the_wrong_convention(tmp_path: Path):
    points = seven_points(8, 0.01)
    path = tmp_path / "points.csv"
    rows = ["点号,东,北,高,东2,北2,高2"]
    for i, name in enumerate(points.ids):
        values = ",".join(f"{v:.4f}" for v in (*points.source[i], *points.target[i]))
        rows.append(f"{name},{values}")
    path.write_text("\n".join(rows), "utf-8")
    parameters = tmp_path / "datum.yaml"
    wrong = {**CITY["links"][3], "parameters": {**SEVEN, "convention": "position_vector"}}
    parameters.write_text(json.dumps({"links": [wrong]}), "utf-8")
    html = tmp_path / "fit.html"
    base = ["datum", "fit", str(path), "--kind", "7", "--from", "epsg:2384", "--to", "epsg:4548"]
    good = RUN.invoke(app, [*base, "--json", "--html", str(html)])
    assert good.exit_code == 0
    assert json.loads(good.output)["sigma_m"] < 0.03
    assert "<svg" in html.read_text("utf-8")
    bad = RUN.invoke(app, [*base, "--check", str(parameters)])
    assert bad.exit_code == 1
    assert isinstance(bad.exception, WorkFailed)
    assert "约定写错" in str(bad.exception)
