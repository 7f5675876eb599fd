"""Rejected rows come back as delivered, with the reasons; corrected and sent again they load."""

from __future__ import annotations

import csv
import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import openpyxl
import psycopg
import pyogrio
import pytest
import shapely
import yaml

from etl.delivery import load_delivery
from etl.readers import ReadOptions, open_source
from etl.rejects import MARKS, Package, RejectsError, marks_of_runs, write_rejects
from etl.report import LoadReport
from etl.run import run_delivery
from tests.etl.support import (
    CENTRE_4548,
    apply_layers,
    component,
    component_load,
    deliver,
    rows,
    write_csv,
)

BAD = (2, 5)
"""Positions of the faulty records among seven."""


@pytest.fixture
def store(database: str) -> str:
    apply_layers(database, "component", "pipeline_point", "pipeline_line")
    return database


def records() -> list[dict[str, Any]]:
    made = [component(n) for n in range(1, 8)]
    for at in BAD:
        made[at]["GLBJZT"] = "坏掉"
    made[BAD[1]]["SZDYWGBSM"] = "短"
    return made


def plane(made: list[dict[str, Any]]) -> gpd.GeoDataFrame:
    """The records with points in EPSG:4548 that no rounding leaves as they are."""
    east, north = CENTRE_4548
    shapes = [shapely.Point(east + n / 7, north + n / 3) for n in range(len(made))]
    kept = [{k: v for k, v in r.items() if k not in ("lon", "lat")} for r in made]
    return gpd.GeoDataFrame(kept, geometry=shapes, crs="EPSG:4548")


def refused(folder: Path, dsn: str, report: LoadReport) -> Package:
    delivery = load_delivery(folder / "delivery.yaml")
    with psycopg.connect(dsn) as connection:
        marks = marks_of_runs(connection, [report.run])
    return write_rejects(
        delivery, marks, folder / "rejects", layers=[report.layer], name="test/corrected"
    )


def again(package: Package, dsn: str) -> LoadReport:
    (report,) = run_delivery(package.folder / "delivery.yaml", dsn)
    return report


def mend_vector(path: Path) -> None:
    layer = pyogrio.list_layers(path)[0][0]
    table = pyogrio.read_dataframe(path, layer=layer)
    assert [str(v) for v in table["行号"]] == [str(at + 1) for at in BAD]
    table["GLBJZT"] = "完好"
    table["SZDYWGBSM"] = "441402001001001"
    options = {".shp": {"encoding": "GB18030"}, ".gdb": {"driver": "OpenFileGDB"}}
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    pyogrio.write_dataframe(table, path, layer=layer, **options.get(path.suffix, {}))


def mend_text(path: Path) -> None:
    text = path.read_bytes().decode("gb18030")
    path.write_bytes(
        text.replace("坏掉", "完好").replace("短", "441402001001001").encode("gb18030")
    )


def mend_sheet(path: Path) -> None:
    book = openpyxl.load_workbook(path)
    for row in book["部件"].iter_rows(min_row=3):
        for cell in row:
            cell.value = {"坏掉": "完好", "短": "441402001001001"}.get(str(cell.value), cell.value)
    book.save(path)


def shp(folder: Path) -> dict[str, Any]:
    path = folder / "部件.shp"
    pyogrio.write_dataframe(plane(records()), path, encoding="GB18030")
    (folder / "部件.cpg").unlink()
    return {"files": [{"path": "部件.shp", "encoding": "GB18030"}], "coordsys": "epsg:4548"}


def gpkg(folder: Path) -> dict[str, Any]:
    table = plane(records())
    pyogrio.write_dataframe(table, folder / "部件.gpkg", layer="部件")
    pyogrio.write_dataframe(table.head(1), folder / "部件.gpkg", layer="其他", append=True)
    return {"files": [{"path": "部件.gpkg", "layer": "部件"}], "coordsys": "epsg:4548"}


def geojson(folder: Path) -> dict[str, Any]:
    pyogrio.write_dataframe(
        plane(records()), folder / "部件.geojson", driver="GeoJSON",
        layer_options={"COORDINATE_PRECISION": "15"},
    )  # fmt: skip
    return {"files": ["部件.geojson"], "coordsys": "epsg:4548"}


def gdb(folder: Path) -> dict[str, Any]:
    pyogrio.write_dataframe(
        plane(records()), folder / "部件.gdb", layer="部件", driver="OpenFileGDB"
    )
    return {"files": [{"path": "部件.gdb", "layer": "部件"}], "coordsys": "epsg:4548"}


def table_of(folder: Path) -> dict[str, Any]:
    write_csv(folder / "部件.csv", records(), "gb18030")
    load = component_load("部件.csv")
    return {**load, "files": [{"path": "部件.csv", "encoding": "GB18030"}]}


def workbook(folder: Path) -> dict[str, Any]:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "部件"
    made = records()
    sheet.append(["梅州市管理部件普查表"])
    sheet.merge_cells(start_row=1, start_column=1, end_row=1, end_column=len(made[0]))
    sheet.append(list(made[0]))
    for record in made:
        sheet.append(list(record.values()))
    sheet.append(["制表人：甲"])
    book.save(folder / "部件.xlsx")
    load = component_load("部件.xlsx")
    return {**load, "files": [{"path": "部件.xlsx", "sheet": "部件"}]}


CASES: dict[str, tuple[Callable[[Path], dict[str, Any]], Callable[[Path], None]]] = {
    "shp": (shp, mend_vector),
    "gpkg": (gpkg, mend_vector),
    "geojson": (geojson, mend_vector),
    "gdb": (gdb, mend_vector),
    "csv": (table_of, mend_text),
    "xlsx": (workbook, mend_sheet),
}


@pytest.mark.parametrize("kind", CASES)
def test_rejects_keep_format_columns_and_coordinates_and_load_when_corrected(
    store: str, tmp_path: Path, kind: str
) -> None:
    made, mend = CASES[kind]
    load = {"layer": "component", "mode": "full", **made(tmp_path)}
    (report,) = deliver(tmp_path, store, [load])
    assert report.good
    assert (report.counts["inserted"], report.counts["rejected"]) == (5, 2)
    package = refused(tmp_path, store, report)
    (written,) = package.files
    assert written.name == f"部件.{kind}"
    assert package.rows == 2
    as_delivered(tmp_path, written, load)
    mend(written)
    second = again(package, store)
    assert second.good, second.sentence()
    assert second.counts["inserted"] == 2
    assert second.counts.get("rejected", 0) == second.counts["deleted"] == 0
    assert rows(store, "SELECT count(*) FROM layer.component") == [(7,)]
    assert [note for file in second.files for note in file.unused_columns if note in MARKS]


def as_delivered(folder: Path, written: Path, load: dict[str, Any]) -> None:
    """Every column and coordinate of the rejects is bit for bit what the source holds."""
    file = load["files"][0]
    named = file if isinstance(file, dict) else {"path": file}
    options = ReadOptions(
        encoding=named.get("encoding"), layer=named.get("layer") or named.get("sheet")
    )
    (before,) = open_source(folder / named["path"], options).batches()
    (after,) = open_source(written, options).batches()
    titles = before.attributes.column_names
    assert after.attributes.column_names == [*titles, *MARKS]
    delivered = before.attributes.take(list(BAD)).to_pylist()
    assert after.attributes.select(titles).to_pylist() == delivered
    assert [g.wkb for g in after.geometry] == [before.geometry[at].wkb for at in BAD]
    reasons = after.attributes.column("原因").to_pylist()
    assert "坏掉" in reasons[0]
    rules = after.attributes.column("规则").to_pylist()
    assert rules[0] == "不在代码表中"


def test_a_shapefile_comes_back_with_its_encoding_stated(store: str, tmp_path: Path) -> None:
    (report,) = deliver(tmp_path, store, [{"layer": "component", "mode": "full", **shp(tmp_path)}])
    (written,) = refused(tmp_path, store, report).files
    assert written.with_suffix(".cpg").read_text() == "GB18030"
    assert written.with_suffix(".prj").read_bytes() == (tmp_path / "部件.prj").read_bytes()
    # GDAL, which knows nothing of us, reads the words by the .cpg alone
    table = gpd.read_file(written)
    assert list(table["GLBJZT"]) == ["坏掉", "坏掉"]
    assert table["规则"].iloc[0] == "不在代码表中"
    assert tuple(table.total_bounds) == tuple(plane(records()).iloc[list(BAD)].total_bounds)


def test_text_keeps_line_ends_mark_of_utf8_and_rows_with_too_many_values(
    store: str, tmp_path: Path
) -> None:
    made = [component(n) for n in range(1, 4)]
    lines = [",".join(made[0]), *(",".join(str(v) for v in r.values()) for r in made)]
    lines[2] += ",多一个"
    (tmp_path / "components.csv").write_bytes("\r\n".join([*lines, ""]).encode("utf-8-sig"))
    (report,) = deliver(tmp_path, store, [component_load()])
    (written,) = refused(tmp_path, store, report).files
    raw = written.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    assert raw.count(b"\r\n") == raw.count(b"\n") == 2
    header, row = csv.reader(io.StringIO(raw.decode("utf-8-sig")))
    assert header == [*made[0], *MARKS]
    assert row[: len(made[1]) + 1] == lines[2].split(",")
    assert row[-3] == "3"


def test_a_drawing_comes_back_as_a_geopackage_and_says_so(store: str, tmp_path: Path) -> None:
    east, north = CENTRE_4548
    (tmp_path / "点.dxf").write_text(
        "0\nSECTION\n2\nENTITIES\n"
        + "".join(
            f"0\nPOINT\n5\n{n:X}\n8\n{layer}\n10\n{east + n / 7}\n20\n{north + n / 3}\n30\n1.5\n"
            for n, layer in ((1, "JS"), (2, "不知道"))
        )
        + "0\nENDSEC\n0\nEOF\n",
        "gb18030",
    )
    load = {
        "layer": "pipeline_point",
        "files": [{"path": "点.dxf", "layer": "entities"}],
        "coordsys": "epsg:4548",
        "id": "EntityHandle",
        "fields": {"class_code": {"column": "Layer", "map": {"JS": "JS", "给水": "JS"}}},
    }
    (report,) = deliver(tmp_path, store, [load])
    assert report.counts["rejected"] == 1
    package = refused(tmp_path, store, report)
    (written,) = package.files
    assert written.name == "点.gpkg"
    assert "点.gpkg" in package.notes[0]
    assert "DXF" in package.notes[0]
    table = pyogrio.read_dataframe(written)
    assert table.geometry[0].wkb == shapely.Point(east + 2 / 7, north + 2 / 3, 1.5).wkb
    table["Layer"] = "给水"
    written.unlink()
    pyogrio.write_dataframe(table.set_crs("EPSG:4548"), written, layer="entities")
    assert again(package, store).counts["inserted"] == 1


def test_lines_joined_from_points_come_back_with_their_point_sheet(
    store: str, tmp_path: Path
) -> None:
    east, north = CENTRE_4548
    book = openpyxl.Workbook()
    points = book.active
    assert points is not None
    points.title = "JSPOINT"
    points.append(["物探点号", "X", "Y", "管点高程"])
    for n in range(4):
        points.append([f"00{n}", north + 10 * n, east, 80.5])
    lines = book.create_sheet("JSLINE")
    lines.append(["起点点号", "终点点号", "大类"])
    for n, kind in enumerate(("JS", "没有", "JS")):
        lines.append([f"00{n}", f"00{n + 1}", kind])
    book.save(tmp_path / "管线.xlsx")
    load = {
        "layer": "pipeline_line",
        "files": [{"path": "管线.xlsx", "sheet": "JSLINE", "points": "JSPOINT"}],
        "coordsys": "epsg:4548",
        "columns": {"north": "X", "east": "Y", "z": "管点高程"},
        "geometry": {"from_points": {"id": "物探点号", "start": "起点点号", "end": "终点点号"}},
        "id": {"template": "{起点点号}-{终点点号}"},
        "fields": {"class_code": "大类", "start_point": "起点点号", "end_point": "终点点号"},
    }
    (report,) = deliver(tmp_path, store, [load])
    assert report.counts["rejected"] == 1, report.reason
    package = refused(tmp_path, store, report)
    (written,) = package.files
    book = openpyxl.load_workbook(written)
    assert book.sheetnames == ["JSLINE", "JSPOINT"]
    assert [c.value for c in book["JSLINE"][2]][:4] == ["001", "002", "没有", 3]
    assert book["JSPOINT"].max_row == 5
    book["JSLINE"]["C2"] = "JS"
    book.save(written)
    assert again(package, store).counts["inserted"] == 1


def test_a_shapefile_in_a_zip_comes_back_as_that_shapefile(store: str, tmp_path: Path) -> None:
    load = {"layer": "component", "mode": "full", **shp(tmp_path)}
    with zipfile.ZipFile(tmp_path / "交付.zip", "w") as archive:
        for path in list(tmp_path.glob("部件.*")):
            archive.write(path, f"数据/{path.name}")
            path.unlink()
    load["files"] = [{"path": "交付.zip", "encoding": "GB18030"}]
    (report,) = deliver(tmp_path, store, [load])
    package = refused(tmp_path, store, report)
    (written,) = package.files
    assert written.relative_to(package.folder).as_posix() == "数据/部件.shp"
    mend_vector(written)
    assert again(package, store).counts["inserted"] == 2


def test_a_file_changed_after_the_run_is_refused(store: str, tmp_path: Path) -> None:
    (report,) = deliver(tmp_path, store, [{"layer": "component", **table_of(tmp_path)}])
    delivery = load_delivery(tmp_path / "delivery.yaml")
    with psycopg.connect(store) as connection:
        marks = marks_of_runs(connection, [report.run])
    with pytest.raises(RejectsError, match="批次之后改过"):
        write_rejects(
            delivery, marks, tmp_path / "out", layers=["component"], name="x",
            before=report.started_at.replace(year=2000),
        )  # fmt: skip
    with pytest.raises(RejectsError, match="没有被拒绝的行"):
        write_rejects(delivery, {}, tmp_path / "out", layers=["component"], name="x")


def test_rows_named_by_their_number_cannot_be_corrected_alone(store: str, tmp_path: Path) -> None:
    load = {"layer": "component", **table_of(tmp_path), "id": {"template": "K{row}"}}
    made = [component(n, GLBJZT="坏掉" if n == 2 else "完好") for n in (1, 2)]
    write_csv(tmp_path / "部件.csv", made, "gb18030")
    (report,) = deliver(tmp_path, store, [load])
    with pytest.raises(RejectsError, match="row"):
        refused(tmp_path, store, report)


def test_the_package_is_a_delivery_that_adds_and_deletes_nothing(
    store: str, tmp_path: Path
) -> None:
    load = {"layer": "component", **table_of(tmp_path)}
    (report,) = deliver(tmp_path, store, [load], expected_every="1 month")
    package = refused(tmp_path, store, report)
    document = yaml.safe_load((package.folder / "delivery.yaml").read_text("utf-8"))
    assert document["delivery"] == "test/corrected"
    assert [load["mode"] for load in document["loads"]] == ["append"]
    assert document["bureau"] == "城市管理和综合执法局"
    assert "expected_every" not in document  # the correction of one delivery promises no other
    assert "改正" in (package.folder / "说明.txt").read_text("utf-8-sig")
