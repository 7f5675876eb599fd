"""Formats that bureaus deliver, each written by an independent program and read back exactly."""

from __future__ import annotations

import gc
import gzip
import shutil
import zipfile
from pathlib import Path

import ezdxf
import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from ezdxf.layouts import Modelspace

from etl.readers import ReadError, ReadOptions, open_source, read
from etl.readers.refused import SUFFIXES

VILLAGE = "輋𣒍村"  # U+2348D is in GB18030 and UTF-8, not in GBK
POINTS = shapely.points([[116.1176, 24.2886], [115.3165, 23.8], [116.69, 24.35]])
DATA = Path(__file__).parent / "data"


def frame(crs: int = 4490) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame(
        {"名称": [VILLAGE, "大坪镇", "梅江区"], "n": [1, 2, 3]}, geometry=POINTS, crs=crs
    )


def rows_of(path: Path, options: ReadOptions | None = None):
    out = []
    for batch in read(path, options):
        out += list(
            zip(batch.rows.tolist(), batch.geometry, batch.attributes.to_pylist(), strict=True)
        )
    return out


def assert_frame(got) -> None:
    """The three points of `frame`, in any order of the rows."""
    by_name = {record["名称"]: (shape.x, shape.y) for _, shape, record in got}
    assert set(by_name) == {VILLAGE, "大坪镇", "梅江区"}
    for shape, name in zip(POINTS, (VILLAGE, "大坪镇", "梅江区"), strict=True):
        assert by_name[name] == pytest.approx((shape.x, shape.y), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "driver", "stated", "crs"),
    [
        ("a.gml", "GML", {"FORMAT": "GML3.2"}, "EPSG:4490"),
        ("a.gml", "GML", {"FORMAT": "GML2"}, "EPSG:4490"),
        ("a.fgb", "FlatGeobuf", {}, "EPSG:4490"),
        ("a.tab", "MapInfo File", {"ENCODING": "UTF-8"}, None),
        ("a.mif", "MapInfo File", {"ENCODING": "UTF-8", "FORMAT": "MIF"}, None),
    ],
)
def test_gdal_formats(tmp_path, name, driver, stated, crs):
    path = tmp_path / name
    pyogrio.write_dataframe(frame(), path, driver=driver, **stated)
    source = open_source(path)
    if crs is not None:
        assert source.layer.declared_crs == crs
    assert_frame(rows_of(path))


def test_mapinfo_in_chinese_windows_encoding(tmp_path):
    path = tmp_path / "村.tab"
    data = frame(4326)
    data["名称"] = ["大埔角村", "大坪镇", "梅江区"]
    pyogrio.write_dataframe(data, path, driver="MapInfo File", ENCODING="CP936")
    assert b"WindowsSimpChinese" in path.read_bytes()
    assert [record["名称"] for *_, record in rows_of(path)] == ["大埔角村", "大坪镇", "梅江区"]


@pytest.mark.parametrize(("name", "driver"), [("a.kml", "KML"), ("a.kml", "LIBKML"),
                                              ("a.kmz", "LIBKML")])  # fmt: skip
def test_kml_declares_no_datum(tmp_path, name, driver):
    path = tmp_path / name
    pyogrio.write_dataframe(frame(4326), path, driver=driver)
    source = open_source(path)
    assert source.layer.declared_crs is None
    assert any("GCJ-02" in note for note in source.info.notes)
    assert_frame(rows_of(path))


def test_geoparquet_and_its_crs(tmp_path):
    path = tmp_path / "a.parquet"
    for code in (4490, 4548):
        frame(4490).to_crs(code).to_parquet(path)
        source = open_source(path)
        assert source.layer.declared_crs == f"EPSG:{code}"
        assert source.layer.feature_count == 3
        assert [field.name for field in source.layer.fields] == ["名称", "n"]
    frame().to_parquet(path, write_covering_bbox=True)
    assert [field.name for field in open_source(path).layer.fields] == ["名称", "n"]
    assert_frame(rows_of(path, ReadOptions(batch_rows=2)))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ReadError, match="cut off"):
        open_source(path)


def test_plain_parquet_is_a_table(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"id": ["a"], "X": [2687537.854], "Y": [410413.24]})
    pq.write_table(table, path)
    ((_, shape, record),) = rows_of(path)
    assert (shape.x, shape.y) == (410413.24, 2687537.854)
    assert record["id"] == "a"


def test_epanet_units_and_vertices(shared_data):
    folder = shared_data / "water-networks"
    ky4 = folder / "ky4.inp"
    source = open_source(ky4)
    assert {layer.name: layer.feature_count for layer in source.info.layers} == {
        "junctions": 959, "reservoirs": 1, "tanks": 4, "pipes": 1156, "pumps": 2}  # fmt: skip
    assert all(layer.declared_crs is None for layer in source.info.layers)
    pipes = rows_of(ky4, ReadOptions(layer="pipes"))
    stated = np.array([float(record["length_ft"]) for *_, record in pipes])
    drawn = np.array([shape.length for _, shape, _ in pipes])
    assert np.median(np.abs(drawn / stated - 1)) < 0.01  # the vertices are on the lines
    assert sum(len(shape.coords) > 2 for _, shape, _ in pipes) > 400
    metric = open_source(folder / "L-TOWN.inp", ReadOptions(layer="pipes"))
    assert {"length_m", "diameter_mm"} <= {field.name for field in metric.layer.fields}
    nodes = {r["id"]: g for _, g, r in rows_of(folder / "Net3.inp", ReadOptions(layer="junctions"))}
    assert nodes["10"].coords[0] == (9.0, 27.85)
    # a pump between two nodes on one spot has no line, and says so
    (batch,) = read(ky4, ReadOptions(layer="pumps"))
    assert [p.row for p in batch.problems] == [2138, 2139]


def test_swmm_links_and_subcatchments(shared_data):
    path = shared_data / "storm-sewers" / "model_full_features_network_xy.inp"
    counts = {layer.name: layer.feature_count for layer in open_source(path).info.layers}
    assert counts == {"junctions": 7, "outfalls": 1, "storage": 1, "conduits": 7, "pumps": 1,
                      "weirs": 1, "subcatchments": 4, "raingages": 1}  # fmt: skip
    links = {r["id"]: (g, r) for _, g, r in rows_of(path, ReadOptions(layer="conduits"))}
    line, record = links["C2.1"]
    assert len(line.coords) == 4
    assert (record["shape"], record["geom1_ft"], record["length_ft"]) == ("CIRCULAR", "1", "666")
    areas = rows_of(path, ReadOptions(layer="subcatchments"))
    assert {shape.geom_type for _, shape, _ in areas} == {"Polygon"}
    assert areas[0][2]["area_acre"] == "3"


def test_network_models_with_bad_parts(tmp_path):
    path = tmp_path / "a.inp"
    path.write_bytes(
        """[TITLE]
梅州给水 ;
[JUNCTIONS]
甲 10 0 ;
乙 10 0
丙 10 0
[PIPES]
1 甲 乙 100 300 100 0 Open ; 说明
2 乙 丁 100 300 100 0 Open
[OPTIONS]
Units LPS
[COORDINATES]
甲 410413.24 2687537.854
乙 410513.24 2687537.854
丙 abc 1
[VERTICES]
1 410450 2687600
""".encode("gb18030")
    )
    pipes = next(read(path, ReadOptions(layer="pipes")))
    assert pipes.geometry[0].coords[1] == (410450.0, 2687600.0)
    assert pipes.attributes.column("diameter_mm").to_pylist() == ["300", "300"]
    assert "丁" in pipes.problems[0].reason
    nodes = next(read(path, ReadOptions(layer="junctions")))
    assert "line 15" in nodes.problems[0].reason
    path.write_text("[OPTIONS]\nUnits FURLONGS\n[JUNCTIONS]\na 1\n", encoding="utf-8")
    with pytest.raises(ReadError, match="unknown flow unit 'FURLONGS'"):
        open_source(path)
    path.write_text("[hello]\n", encoding="utf-8")
    with pytest.raises(ReadError, match="neither EPANET nor SWMM"):
        open_source(path)


def south(entity, code: str) -> None:
    entity.set_xdata("SOUTH", [(1000, code)])


def cass_drawing(path: Path) -> Path:
    """A drawing as CASS 10 saves it: R2000, ANSI_936, codes under SOUTH."""
    drawing = ezdxf.new("R2000", setup=True)
    drawing.encoding = "gbk"
    drawing.header["$DWGCODEPAGE"] = "ANSI_936"
    drawing.appids.add("SOUTH")
    block = drawing.blocks.new("GC200")
    block.add_circle((0, 0), 0.2)
    block.add_attdef("height", (0.5, 0))
    space: Modelspace = drawing.modelspace()
    spot = space.add_blockref("GC200", (410413.24, 2687537.854, 78.51), {"layer": "GCD"})
    spot.add_attrib("height", "78.51", (410414, 2687538))
    south(spot, "202101")
    house = space.add_lwpolyline(
        [(410000, 2687000), (410010, 2687000), (410010, 2687020), (410000, 2687020)],
        close=True, dxfattribs={"layer": "JMD"},
    )  # fmt: skip
    south(house, "141121")
    arc = space.add_lwpolyline(
        [(410100, 2687000, 0, 0, 1), (410120, 2687000, 0, 0, 0), (410140, 2687000, 0, 0, 0)],
        dxfattribs={"layer": "DLSS"},
    )
    south(arc, "164300")
    contour = space.add_lwpolyline(
        [(410200, 2687000), (410220, 2687050)], dxfattribs={"layer": "DGX", "elevation": 80}
    )
    south(contour, "201101")
    text = space.add_text("大埔角村", dxfattribs={"layer": "ZJ"})
    text.set_placement((410050, 2687020))
    space.add_circle((410300, 2687000), 5, dxfattribs={"layer": "DLDW"})
    space.add_arc((410400, 2687000), 10, 0, 90, dxfattribs={"layer": "DLSS"})
    space.add_polyline3d([(410500, 2687000, 1), (410510, 2687000, 2)], dxfattribs={"layer": "SXSS"})
    space.add_hatch().paths.add_polyline_path([(0, 0), (1, 0), (1, 1)])
    drawing.saveas(path)
    return path


def test_cass_drawing(tmp_path):
    path = cass_drawing(tmp_path / "地形.dxf")
    assert "大埔角村".encode("gbk") in path.read_bytes()
    source = open_source(path)
    assert source.info.encoding_detected == "GB18030"
    assert any("0.01" in note for note in source.info.notes)
    assert any("HATCH 1" in note for note in source.info.notes)
    got = rows_of(path)
    by_layer = {record["Layer"]: (shape, record) for _, shape, record in got}
    spot, record = by_layer["GCD"]
    assert spot.coords[0] == (410413.24, 2687537.854, 78.51)
    assert (record["Block"], record["Code"]) == ("GC200", "202101")
    assert record["Attributes"] == "height=78.51"
    house, record = by_layer["JMD"]
    assert (house.geom_type, house.area, record["Code"]) == ("Polygon", 200.0, "141121")
    contour, record = by_layer["DGX"]
    assert [c[2] for c in contour.coords] == [80.0, 80.0]
    assert (record["Elevation"], record["Code"]) == ("80.0", "201101")
    assert by_layer["ZJ"][1]["Text"] == "大埔角村"
    assert by_layer["SXSS"][0].coords[:] == [(410500, 2687000, 1), (410510, 2687000, 2)]
    assert by_layer["DLDW"][0].geom_type == "Polygon"
    # no chord is further than 1 cm from its arc
    assert by_layer["DLDW"][0].area == pytest.approx(np.pi * 25, rel=4e-3)
    road = next(g for _, g, r in got if r["Code"] == "164300")
    assert_arc(road, (410110, 2687000), 10)


def assert_arc(shape, centre: tuple[float, float], radius: float) -> None:
    """The vertices below the centre lie on the circle, their chords within 1 cm of it."""
    near = shapely.get_coordinates(shape.segmentize(radius / 200))
    away = np.hypot(*(near[near[:, 1] < centre[1] - 1e-9] - centre).T)
    assert len(away) > 100
    assert radius - 0.01 <= away.min()
    assert away.max() < radius + 1e-6


@pytest.mark.parametrize("radius", [2.0, 100.0, 3000.0])
@pytest.mark.parametrize("bulge", [1.0, -1.0, 0.3])
def test_arcs_keep_their_tolerance_at_any_radius(tmp_path, radius, bulge):
    drawing = ezdxf.new("R2000")
    drawing.appids.add("SOUTH")
    half = radius * np.sin(2 * np.arctan(abs(bulge)))
    ends = [(410000 - half, 2687000), (410000 + half, 2687000)]
    if bulge < 0:  # the other way round the same lower arc
        ends.reverse()
    points = [(*ends[0], 0, 0, bulge), (*ends[1], 0, 0, 0)]
    drawing.modelspace().add_lwpolyline(points)
    drawing.modelspace().add_polyline2d([(x, y, b) for x, y, _, _, b in points], format="xyb")
    path = tmp_path / "a.dxf"
    drawing.saveas(path)
    got = [shape for _, shape, _ in rows_of(path)]
    north = 2687000 + radius * np.cos(2 * np.arctan(abs(bulge)))
    for shape in got:
        lower = shapely.get_coordinates(shape)[:, 1].min()
        assert lower == pytest.approx(north - radius, abs=0.02)
        assert_arc(shape, (410000, north), radius)
    assert len(got) == 2


def test_drawings_without_cass_codes_stay_with_gdal(tmp_path):
    path = tmp_path / "a.dxf"
    drawing = ezdxf.new("R2010")
    drawing.modelspace().add_point((410413.24, 2687537.854, 78.51))
    drawing.saveas(path)
    assert "XDATA" not in str(open_source(path).info.notes)
    assert rows_of(path)[0][1].coords[0] == (410413.24, 2687537.854, 78.51)


def test_a_truncated_cass_drawing_is_a_read_error(tmp_path):
    path = cass_drawing(tmp_path / "a.dxf")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(ReadError, match="damaged or cut off"):
        rows_of(path)


@pytest.mark.skipif(shutil.which("mdb-export") is None, reason="mdbtools is not installed")
@pytest.mark.parametrize("suffix", ["mdb", "accdb"])
def test_access_survey_tables(tmp_path, suffix):
    """survey.*.gz: written by Jackcess 4.0.5 (MakeSurvey.java beside them), synthetic data."""
    path = tmp_path / f"管线.{suffix}"
    path.write_bytes(gzip.decompress((DATA / f"survey.{suffix}.gz").read_bytes()))
    assert [layer.name for layer in open_source(path).info.layers] == ["JSPOINT", "JSLINE"]
    (batch,) = read(path, ReadOptions(layer="JSPOINT"))
    records = batch.attributes.to_pylist()
    assert [record["物探点号"] for record in records] == ["001", "12E3", "1E10"]
    assert batch.geometry[0].coords[0] == (410413.24, 2687537.854, 78.51)
    assert [record["地面高程"] for record in records] == ["78.51", None, "78.6"]
    assert records[1]["备注"] == '两行\n"备注"'
    reasons = {problem.row: problem for problem in batch.problems}
    assert "outside the basic plane" in reasons[1].reason  # 輋𣒍村 comes as 輋??村
    assert reasons[3].column == "X"
    ((_, shape, record),) = rows_of(path, ReadOptions(layer="JSLINE"))
    assert (shape, record["管径"]) == (None, "300")
    data = path.read_bytes()
    path.write_bytes(data[:5000])
    with pytest.raises(ReadError, match=r"压缩和修复数据库|not an Access"):
        rows_of(path, ReadOptions(layer="JSPOINT"))


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_zipped_shapefile_with_chinese_names(tmp_path, encoding):
    source = tmp_path / "in"
    source.mkdir()
    pyogrio.write_dataframe(frame(), source / "村.shp", encoding="GB18030")
    members = {f"梅江区/村{part.suffix}": part.read_bytes() for part in sorted(source.iterdir())}
    # Chinese Windows writes GBK bytes without the UTF-8 flag: put them over names of equal length
    path = tmp_path / "交付.zip"
    names = [name.encode(encoding) for name in members]
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, data) in enumerate(zip(names, members.values(), strict=True)):
            archive.writestr(f"{number}" * len(name), data)
    raw = path.read_bytes()
    for number, name in enumerate(names):
        assert raw.count(f"{number}".encode() * len(name)) == 2
        raw = raw.replace(f"{number}".encode() * len(name), name)
    path.write_bytes(raw)
    opened = open_source(path)
    assert [layer.name for layer in opened.info.layers] == ["梅江区/村.shp"]
    assert opened.layer.declared_crs == "EPSG:4490"
    assert_frame(rows_of(path))


def test_a_zip_with_several_data_sets_names_them(tmp_path):
    pyogrio.write_dataframe(frame(), tmp_path / "a.gpkg", layer="村")
    pyogrio.write_dataframe(frame(), tmp_path / "a.gpkg", layer="镇", append=True)
    pyogrio.write_dataframe(frame(), tmp_path / "b.gdb", driver="OpenFileGDB")
    (tmp_path / "点.dat").write_text("1,,410413.24,2687537.85,78.5\n", encoding="utf-8")
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(tmp_path / "a.gpkg", "数据/a.gpkg")
        archive.write(tmp_path / "点.dat", "点.dat")
        archive.writestr("说明.docx", b"x")
        for part in (tmp_path / "b.gdb").iterdir():
            archive.write(part, f"b.gdb/{part.name}")
    source = open_source(path)
    names = [layer.name for layer in source.info.layers]
    assert sorted(names) == sorted(["b.gdb", "数据/a.gpkg:村", "数据/a.gpkg:镇", "点.dat"])
    assert any("说明.docx" in note for note in source.info.notes)
    with pytest.raises(ReadError, match="4 layers"):
        rows_of(path)
    for name in ("b.gdb", "数据/a.gpkg:镇"):
        assert_frame(rows_of(path, ReadOptions(layer=name)))
    assert rows_of(path, ReadOptions(layer="点.dat"))[0][1].x == 410413.24
    with pytest.raises(ReadError, match=r"holds no 'c\.shp'"):
        rows_of(path, ReadOptions(layer="c.shp"))
    folder = source.folder  # type: ignore[attr-defined]
    assert folder.is_dir()
    del source
    gc.collect()  # a failed reading's traceback may have held the source in a cycle
    assert not folder.exists()


@pytest.mark.parametrize("name", ["../a.csv", "/../../a.csv", "C:\\a.csv"])
def test_a_zip_cannot_write_outside(tmp_path, name):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "id,lon,lat\n1,116,24\n")
    with pytest.raises(ReadError, match="leads outside"):
        open_source(path)


def test_zip_bombs_empty_and_broken_zips(tmp_path):
    path = tmp_path / "a.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.csv", "w") as member,
    ):
        for _ in range(150):
            member.write(b"0" * 1_000_000)
    with pytest.raises(ReadError, match="more than is accepted"):
        open_source(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ReadError, match="damaged"):
        open_source(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.md", "x")
    with pytest.raises(ReadError, match="no data file"):
        open_source(path)


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_unreadable_formats_say_what_to_export(tmp_path, suffix):
    path = tmp_path / f"图{suffix}"
    path.write_bytes(b"\x00\x01")
    with pytest.raises(ReadError) as caught:
        open_source(path)
    assert not caught.value.zh.isascii()
    assert len(caught.value.en) > 20


def test_a_drawing_is_known_by_its_bytes(tmp_path):
    path = tmp_path / "图.dxf"
    path.write_bytes(b"AC1032\x00\x00")
    with pytest.raises(ReadError, match=r"另存为 → AutoCAD 2007 DXF"):
        open_source(path)
