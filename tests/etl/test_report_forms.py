"""Reports for survey firms and offices: Excel list, DXF, .docx, and the picture of the places."""

from __future__ import annotations

import io
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import docx
import ezdxf
import numpy as np
import openpyxl
import pytest
from docx.oxml.ns import qn
from lxml import html
from PIL import Image
from pyproj import Transformer
from typer.testing import CliRunner

from etl.report import LoadReport, render_html
from etl.report.sketch import sketch
from geoserver_py.cli.etl import app
from geoserver_py.errors import WorkFailed
from tests.etl.support import (
    CENTRE,
    CENTRE_4548,
    apply_layers,
    component,
    component_load,
    deliver,
    write_csv,
)

FRAME = (115.29, 23.35, 116.96, 24.97)


@pytest.fixture
def store(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    apply_layers(database, "component")
    monkeypatch.setenv("GEOSERVER_PY_DATABASE_URL", database)
    return database


@pytest.fixture
def report(store: str, tmp_path: Path) -> LoadReport:
    """Three faulty rows of five: in EPSG:4548, one without a number for a coordinate."""
    east, north = CENTRE_4548
    made = [component(n, lon=f"{east + 10 * n:.3f}", lat=f"{north:.3f}") for n in range(5)]
    made[1]["GLBJZT"] = "=HYPERLINK(1)"
    made[3]["GLBJZT"] = "坏掉"
    made[4]["lat"] = "268x"
    write_csv(tmp_path / "components.csv", made)
    load = component_load(coordsys="epsg:4548", columns={"north": "lat", "east": "lon"})
    (done,) = deliver(tmp_path, store, [load])
    assert done.counts["rejected"] == 3
    return done


def run(report: LoadReport, *options: str | Path) -> str:
    result = CliRunner().invoke(app, ["report", str(report.run), *map(str, options)])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_the_list_names_row_rule_clause_mending_and_survey_coordinates(
    report: LoadReport, tmp_path: Path
) -> None:
    target = tmp_path / "list.xlsx"
    run(report, "--xlsx", target)
    book = openpyxl.load_workbook(target)
    sheet = book["问题清单"]
    titles = [cell.value for cell in sheet[2]]
    rows = [
        dict(zip(titles, (c.value for c in r), strict=True)) for r in sheet.iter_rows(min_row=3)
    ]
    graves = [r for r in rows if r["级别"] == "拒绝"]
    assert [r["行号"] for r in graves] == [3, 5, 6]
    assert [r["序号"] for r in rows] == list(range(1, len(rows) + 1))
    second = graves[1]
    assert second["规则"].startswith("不在代码表中")
    assert "坏掉" in second["原因"]
    assert second["依据"]
    assert second["怎样改"]
    assert second["X（北）"] == pytest.approx(CENTRE_4548[1], abs=0.001)
    assert second["Y（东）"] == pytest.approx(CENTRE_4548[0] + 30, abs=0.001)
    assert graves[2]["X（北）"] is None
    # a formula in a bureau's cell stays a text
    assert all(cell.data_type != "f" for r in sheet.iter_rows() for cell in r)
    assert "EPSG:4548" in sheet["A1"].value.upper()
    assert book["按规则"]["C2"].value >= 2


def test_the_drawing_has_a_layer_a_rule_where_the_firm_surveyed(
    report: LoadReport, tmp_path: Path
) -> None:
    target = tmp_path / "marks.dxf"
    said = run(report, "--dxf", target)
    assert "without a place" in said
    drawing = ezdxf.readfile(target)
    auditor = drawing.audit()
    assert not auditor.errors
    assert not auditor.fixes
    circles = [c for c in drawing.modelspace().query("CIRCLE") if "代码表" in c.dxf.layer]
    east, north = CENTRE_4548
    found = sorted((round(c.dxf.center.x, 3), round(c.dxf.center.y, 3)) for c in circles)
    assert found == [(round(east + 10 * n, 3), round(north, 3)) for n in (1, 3)]
    texts = [t.dxf.text for t in drawing.modelspace().query("TEXT")]
    assert any("坏掉" in text for text in texts)
    told = subprocess.run(
        ["ogrinfo", "-al", str(target)], capture_output=True, text=True, check=True
    ).stdout
    assert "检查-不在代码表中" in told
    assert "坏掉" in told


def test_the_document_has_chinese_fonts_rules_verdict_and_a_picture(
    report: LoadReport, tmp_path: Path
) -> None:
    target = tmp_path / "report.docx"
    run(report, "--docx", target)
    document = docx.Document(str(target))
    for style, font in (("Normal", "宋体"), ("Heading 1", "黑体"), ("Title", "黑体")):
        fonts = document.styles[style].element.rPr.rFonts
        assert fonts.get(qn("w:eastAsia")) == font
        assert fonts.get(qn("w:eastAsiaTheme")) is None
    text = "\n".join(
        [p.text for p in document.paragraphs]
        + [c.text for t in document.tables for row in t.rows for c in row.cells]
    )
    for expected in ("管理部件", "成功", "不在代码表中", "改为代码表中的代码", "合成数据", "坏掉"):
        assert expected in text
    with zipfile.ZipFile(target) as archive:
        (name,) = (n for n in archive.namelist() if n.startswith("word/media/"))
        picture = np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB"))
    red = (picture[..., 0] > 150) & (picture[..., 1] < 110) & (picture[..., 2] < 110)
    assert red.sum() > 50


def test_what_was_measured_is_said() -> None:
    said = {"sentence": "12 个检查点中误差 0.031 m"}
    page = render_of([], measures=[said], notes=["道路未评定"])
    assert page.index("12 个检查点") < page.index("道路未评定")


def test_rejects_come_as_a_zip_or_as_the_file_itself(report: LoadReport, tmp_path: Path) -> None:
    run(report, "--rejects", tmp_path / "out.csv", "--rejects", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text("utf-8").splitlines()[0].endswith("行号,规则,原因")
    run(report, "--rejects", tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert sorted(archive.namelist()) == ["components.csv", "delivery.yaml", "说明.txt"]
    with pytest.raises(WorkFailed, match=r"components\.csv"):
        run(report, "--rejects", tmp_path / "out.gpkg")
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("components.csv", "delivery.yaml"):
        (tmp_path / name).rename(moved / name)
    with pytest.raises(WorkFailed, match="--delivery"):
        run(report, "--rejects", tmp_path / "again.zip")
    run(report, "--rejects", tmp_path / "again.zip", "--delivery", moved / "delivery.yaml")


def drawn(places: list[tuple[float, float]]) -> Any:
    found = sketch({"frame": FRAME, "places": places})
    assert found is not None
    return found


def test_one_far_place_does_not_squeeze_the_picture() -> None:
    rng = np.random.default_rng(3)
    near = [tuple(p) for p in rng.normal(CENTRE, 0.01, (60, 2)).tolist()]
    alone, beside = drawn(near), drawn([*near, (126.1, 24.29)])
    assert (beside.width, beside.height) == (alone.width, alone.height)
    assert len(beside.points) == len(near)
    spread = np.ptp(np.array(beside.points), axis=0)
    assert spread[0] > 0.5 * beside.width
    (arrow,) = beside.arrows
    assert arrow.at[0] > beside.width - 10
    assert arrow.towards[0] > 0.99
    # ten degrees of longitude at this latitude are 1014 km; the picture's edge is some km off
    assert arrow.distance_m == pytest.approx(1_012_000, rel=0.005)
    assert "km" in arrow.label
    page = html.fromstring(render_of([*near, (126.1, 24.29)]))
    labels = [label.text for label in page.xpath("//*[local-name()='text']")]
    assert arrow.label in labels


def test_lengths_are_true_in_both_directions_and_the_scale_bar_is_right() -> None:
    lon, lat = CENTRE
    plane = Transformer.from_crs(4490, 4548, always_xy=True)
    corners = [(lon, lat), (lon + 0.02, lat), (lon, lat + 0.02)]
    found = drawn(corners)
    (o, e, n) = (np.array(p) for p in found.points)
    (po, pe, pn) = (np.array(plane.transform(*c)) for c in corners)
    metre = found.scale_px / found.scale_m
    assert np.hypot(*(e - o)) / np.hypot(*(pe - po)) == pytest.approx(metre, rel=0.01)
    assert np.hypot(*(n - o)) / np.hypot(*(pn - po)) == pytest.approx(metre, rel=0.01)


def test_places_all_outside_the_city_point_away_from_it() -> None:
    found = drawn([(126.0, 24.2), (116.0, 48.0)])
    assert found.points == ()
    assert {tuple(np.round(a.towards)) for a in found.arrows} == {(1.0, 0.0), (0.0, -1.0)}


def render_of(places: list[tuple[float, float]], **more: Any) -> str:
    return render_html(
        {
            "run": 1, "delivery": "x", "layer": "component", "layer_title": "部件", "bureau": "局",
            "city": "meizhou", "synthetic": True, "status": "succeeded", "reason": None,
            "started_at": "2026-11-22", "seconds": 1.0, "counts": {}, "rules": {}, "files": [],
            "sample": [], "places": places, "frame": FRAME, "accuracy_m": None,
            "required_accuracy_m": None, **more,
        }
    )  # fmt: skip
