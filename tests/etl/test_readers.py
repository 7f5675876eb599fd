"""Readers against files written by other tools, and files broken the way they arrive broken."""

import csv
import gzip
import shutil
import sqlite3
from pathlib import Path

import ezdxf
import geopandas
import numpy as np
import openpyxl
import pyogrio
import pytest
import shapely
import xlwt

from etl.readers import ReadError, ReadOptions, open_source, read

VILLAGE = "輋𣒍村"  # U+2348D is in GB18030 and UTF-8, not in GBK
POINTS = shapely.points([[116.1176, 24.2886], [115.3165, 23.8], [116.69, 24.35]])


def frame() -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame(
        {"名称": [VILLAGE, "大坪镇", "梅江区"], "n": [1, 2, 3]}, geometry=POINTS, crs=4490
    )


def rows_of(path: Path, options: ReadOptions | None = None):
    """All rows as (row number, geometry, attributes)."""
    out = []
    for batch in read(path, options):
        out += list(
            zip(batch.rows.tolist(), batch.geometry, batch.attributes.to_pylist(), strict=True)
        )
    return out


@pytest.fixture
def shapefile(tmp_path: Path) -> Path:
    path = tmp_path / "村.shp"
    pyogrio.write_dataframe(frame(), path, encoding="GB18030")
    return path


@pytest.mark.parametrize("cpg", [None, "GBK", "936", "UTF-8", "GB18030"])
def test_gb18030_shapefile_keeps_its_characters_whatever_the_cpg_says(shapefile, cpg):
    sidecar = shapefile.with_suffix(".cpg")
    sidecar.unlink()
    if cpg is not None:
        sidecar.write_text(cpg)
    source = open_source(shapefile)
    assert source.info.encoding_detected == "GB18030"
    assert source.info.encoding_declared == cpg
    assert any("by the bytes" in note for note in source.info.notes) == (cpg == "UTF-8")
    assert source.layer.declared_crs == "EPSG:4490"
    assert [field.name for field in source.layer.fields] == ["名称", "n"]
    got = rows_of(shapefile)
    assert [(row, attributes["名称"]) for row, _, attributes in got] == [
        (1, VILLAGE), (2, "大坪镇"), (3, "梅江区")]  # fmt: skip
    assert np.array_equal(shapely.get_coordinates([g for _, g, _ in got]),
                          shapely.get_coordinates(POINTS))  # fmt: skip


def test_utf8_shapefile_without_cpg(tmp_path):
    path = tmp_path / "a.shp"
    pyogrio.write_dataframe(frame(), path, encoding="UTF-8")
    path.with_suffix(".cpg").unlink()
    assert open_source(path).info.encoding_detected == "UTF-8"
    assert rows_of(path)[0][2]["名称"] == VILLAGE


def test_a_wrongly_stated_encoding_is_refused_with_the_right_one(shapefile):
    with pytest.raises(ReadError, match="look like GB18030"):
        open_source(shapefile, ReadOptions(encoding="UTF-8"))
    with pytest.raises(ReadError, match="unknown encoding"):
        open_source(shapefile, ReadOptions(encoding="EBCDIC-9"))


@pytest.mark.parametrize(
    ("suffix", "keep", "sentence"),
    [
        (".shp", 0.6, "truncated"),
        (".dbf", 0.9, "truncated: 3 records stated, 2 present"),
        (".shx", 0.8, "shapes but 3 attribute records"),
    ],
)
def test_a_truncated_shapefile_says_so(shapefile, suffix, keep, sentence):
    part = shapefile.with_suffix(suffix)
    data = part.read_bytes()
    part.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ReadError, match=sentence):
        open_source(shapefile)


@pytest.mark.parametrize("suffix", [".dbf", ".shx"])
def test_a_missing_sidecar_is_named(shapefile, suffix):
    shapefile.with_suffix(suffix).unlink()
    with pytest.raises(ReadError, match=f"缺少同名的 {suffix}"):
        open_source(shapefile)


def test_a_missing_prj_means_no_declared_crs(shapefile):
    shapefile.with_suffix(".prj").unlink()
    source = open_source(shapefile)
    assert source.layer.declared_crs is None
    assert any("no .prj" in note for note in source.info.notes)


@pytest.mark.parametrize(("name", "driver"), [("a.gpkg", "GPKG"), ("a.geojson", "GeoJSON"),
                                              ("a.gdb", "OpenFileGDB")])  # fmt: skip
def test_databases_and_geojson(tmp_path, name, driver):
    path = tmp_path / name
    pyogrio.write_dataframe(frame(), path, driver=driver)
    source = open_source(path)
    assert source.info.driver == driver
    assert source.layer.feature_count == 3
    got = rows_of(path, ReadOptions(batch_rows=2))
    assert [row for row, _, _ in got] == [1, 2, 3]
    assert got[0][2]["名称"] == VILLAGE
    off = shapely.get_coordinates([g for _, g, _ in got]) - shapely.get_coordinates(POINTS)
    assert np.abs(off).max() < 1e-8  # a FileGDB stores 1e-9 degrees


def test_a_geojson_without_crs_declares_nothing(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text('{"type":"Point","coordinates":[116.1,24.2]}', encoding="utf-8")
    assert open_source(path).layer.declared_crs is None


def test_several_layers_need_a_name(tmp_path):
    path = tmp_path / "a.gpkg"
    pyogrio.write_dataframe(frame(), path, layer="村")
    pyogrio.write_dataframe(frame(), path, layer="镇", append=True)
    with pytest.raises(ReadError, match="村, 镇"):
        rows_of(path)
    assert len(rows_of(path, ReadOptions(layer="镇"))) == 3
    with pytest.raises(ReadError, match="no layer 'x'"):
        rows_of(path, ReadOptions(layer="x"))


RUBBISH = "geojson gpkg osm.pbf dxf gml graphml xlsx xls csv gdb.zip shp"


@pytest.mark.parametrize("name", [f"a.{suffix}" for suffix in RUBBISH.split()])
def test_rubbish_under_any_name_is_a_read_error(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\x00\x01rubbish\xff" * 50)
    with pytest.raises(ReadError):
        rows_of(path)
    path.write_bytes(b"")
    with pytest.raises(ReadError):
        rows_of(path)
    with pytest.raises(ReadError, match="does not exist"):
        open_source(tmp_path / "absent" / name)


def test_truncated_databases_are_read_errors(tmp_path):
    whole = geopandas.GeoDataFrame(
        {"名称": ["大坪镇" * 20] * 3000}, geometry=np.repeat(POINTS, 1000), crs=4490
    )
    for name in ("a.gpkg", "a.geojson"):
        path = tmp_path / name
        pyogrio.write_dataframe(whole, path)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(ReadError):
            rows_of(path)


@pytest.mark.parametrize("encoding", ["UTF-8", "GB18030"])
def test_dxf_with_layers_heights_and_chinese_text(tmp_path, encoding):
    path = tmp_path / "地形.dxf"
    drawing = ezdxf.new("R2010", setup=True)
    space = drawing.modelspace()
    space.add_point((410413.24, 2687537.854, 78.51), dxfattribs={"layer": "GCD"})
    space.add_lwpolyline([(410000, 2687000), (410100, 2687050)], dxfattribs={"layer": "道路"})
    space.add_text(VILLAGE, dxfattribs={"layer": "ZJ"}).set_placement((410050, 2687020))
    drawing.saveas(path)
    if encoding == "GB18030":  # as CASS writes it: AutoCAD 2000 text under code page 936
        text = path.read_text("utf-8").replace("ANSI_1252", "ANSI_936").replace("AC1024", "AC1015")
        path.write_bytes(text.encode("gb18030"))
    assert open_source(path).info.encoding_detected == encoding
    got = rows_of(path)
    layers = {attributes["Layer"]: geometry for _, geometry, attributes in got}
    assert set(layers) == {"GCD", "道路", "ZJ"}
    assert layers["GCD"].coords[0] == (410413.24, 2687537.854, 78.51)
    assert layers["道路"].geom_type == "LineString"
    assert [a["Text"] for _, _, a in got if a["Layer"] == "ZJ"] == [VILLAGE]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8", "utf-8-sig"])
def test_csv_in_either_encoding(tmp_path, encoding):
    path = tmp_path / "部件.csv"
    lines = ["标识码,名称,经度,纬度", f"001,{VILLAGE},116.1176,24.2886", "1E10,大坪镇,116.69,24.35"]
    path.write_bytes("\r\n".join(lines).encode(encoding))
    source = open_source(path)
    assert source.info.encoding_detected == ("GB18030" if encoding == "gb18030" else "UTF-8")
    got = rows_of(path)
    assert [(r, a["标识码"], a["名称"]) for r, _, a in got] == [
        (2, "001", VILLAGE), (3, "1E10", "大坪镇")]  # fmt: skip
    assert got[0][1].coords[0] == (116.1176, 24.2886)


def test_bad_cells_of_a_csv_are_reasons_not_crashes(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        'id,东,北,备注\na,410413.24,2687537.85,"两行\n备注"\nb,四十一万,2687537.85,\n'
        "c,,2687537.85,\n\nd,410413.24\ne,inf,2687537.85,\nf, 410413.24 ,２６８７５３７．８５,\n",
        encoding="utf-8",
    )
    (batch,) = read(path, ReadOptions(x="东", y="北"))
    assert batch.attributes.column("id").to_pylist() == list("abcdef")
    reasons = {p.row: p.reason for p in batch.problems}
    assert sorted(reasons) == [4, 5, 7, 8]
    assert "四十一万" in reasons[4]
    assert "为空" in reasons[5]
    assert "header has 4" in reasons[7]
    assert [g is None for g in batch.geometry] == [False, True, True, True, True, False]
    assert batch.rows[0] == 3  # a record over two lines is counted where it ends
    assert batch.geometry[5].coords[0] == (410413.24, 2687537.85)


def test_csv_column_that_is_not_there_lists_the_others(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a;b;c\n1;2;3\n", encoding="utf-8")
    with pytest.raises(ReadError, match="it has: a, b, c"):
        open_source(path, ReadOptions(x="lon", y="lat"))


def test_survey_csv_is_x_north(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("点号,X(m),Y(m),H\n1,2687537.854,410413.240,78.5\n", encoding="utf-8")
    ((_, geometry, _),) = rows_of(path)
    assert geometry.coords[0] == (410413.24, 2687537.854, 78.5)


def test_encoding_is_judged_by_the_whole_csv(tmp_path):
    path = tmp_path / "a.csv"
    body = b"id,lon,lat\n" + b"x,116.1,24.2\n" * 20_000
    path.write_bytes(body + f"{VILLAGE},116.1,24.2\n".encode("gb18030"))
    with pytest.raises(ReadError, match="look like GB18030"):
        open_source(path, ReadOptions(encoding="UTF-8"))
    assert rows_of(path)[-1][2]["id"] == VILLAGE
    path.write_bytes(body + b"\xff\xff,116.1,24.2\n")
    with pytest.raises(ReadError, match="neither UTF-8 nor GB18030"):
        open_source(path)


def workbook(path: Path) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "JSPOINT"
    sheet.merge_cells("A1:F1")
    sheet["A1"] = "梅州市梅江区给水管线点成果表"
    for column, title in enumerate(
        ["物探点号", "特征", "平面坐标(m)", None, "地面高程", "埋深"], 1
    ):
        sheet.cell(2, column, title)
    sheet.merge_cells("C2:D2")
    sheet["C3"], sheet["D3"] = "X", "Y"
    for column in "ABEF":
        sheet.merge_cells(f"{column}2:{column}3")
    data = [
        ["001", "阀门", " 2687537.854 ", "410413.240", 78.51, "1.2/1.5"],
        ["12E3", VILLAGE, 2687538.0, 410414.5, None, "—"],
        [7, "三通", "缺", 410414.5, 78.6, 1.1],
    ]
    for row, values in enumerate(data, 4):
        for column, value in enumerate(values, 1):
            sheet.cell(row, column, value)
    sheet["A6"].number_format = "000"
    sheet["A8"] = "制表人：某某"
    sheet["D8"] = "日期：2026-11-22"
    lines = book.create_sheet("JSLINE")
    lines.append(["给水管线成果表"])
    lines.append(["起点点号", "终点点号", "管径"])
    lines.append(["001", "12E3", 300])
    book.create_sheet("空")
    book.save(path)
    return path


def test_excel_as_survey_firms_make_it(tmp_path):
    path = workbook(tmp_path / "管线.xlsx")
    source = open_source(path, ReadOptions(layer="JSPOINT"))
    assert [layer.name for layer in source.info.layers] == ["JSPOINT", "JSLINE"]
    names = [field.name for field in source.layer.fields]
    assert names == ["物探点号", "特征", "X", "Y", "地面高程", "埋深"]
    (batch,) = source.batches()
    table = batch.attributes.to_pylist()
    assert batch.rows.tolist() == [4, 5, 6]
    assert [row["物探点号"] for row in table] == ["001", "12E3", "007"]
    assert [row["埋深"] for row in table] == ["1.2/1.5", "—", "1.1"]
    assert table[1]["特征"] == VILLAGE
    assert batch.geometry[0].coords[0] == (410413.24, 2687537.854, 78.51)
    assert not shapely.has_z(batch.geometry[1])
    assert batch.geometry[2] is None
    assert [(p.row, p.column) for p in batch.problems] == [(6, "X")]
    ((row, geometry, record),) = rows_of(path, ReadOptions(layer="JSLINE"))
    assert (row, geometry, record["管径"]) == (3, None, "300")


def test_xls_reads_like_xlsx(tmp_path):
    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet("YSPOINT")
    sheet.write_merge(0, 0, 0, 3, "雨水管线点成果表")
    for column, title in enumerate(["物探点号", "X", "Y", "备注"]):
        sheet.write(1, column, title)
    padded = xlwt.easyxf(num_format_str="000")
    for column, value in enumerate(["001", 2687537.854, "410413.240", VILLAGE]):
        sheet.write(2, column, value)
    sheet.write(3, 0, 12, padded)
    sheet.write(3, 1, 2687538.0)
    sheet.write(3, 2, 410414.5)
    path = tmp_path / "a.xls"
    book.save(str(path))
    got = rows_of(path)
    assert [(r, a["物探点号"]) for r, _, a in got] == [(3, "001"), (4, "012")]
    assert got[0][1].coords[0] == (410413.24, 2687537.854)
    assert got[0][2]["备注"] == VILLAGE


def test_truncated_xlsx_is_a_read_error(tmp_path):
    path = workbook(tmp_path / "a.xlsx")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ReadError, match="Excel"):
        open_source(path)


def test_csv_streams_in_batches(tmp_path):
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "lon", "lat"])
        writer.writerows((i, 116 + i * 1e-6, 24.2) for i in range(35_000))
    sizes, last = [], None
    for batch in read(path, ReadOptions(batch_rows=10_000)):
        sizes.append(len(batch.rows))
        last = batch
    assert sizes == [10_000, 10_000, 10_000, 5_000]
    assert last is not None
    assert last.rows[-1] == 35_001


def test_graph_edges_follow_their_line_or_join_their_nodes(tmp_path):
    path = tmp_path / "g.graphml"
    path.write_text(
        """<?xml version='1.0' encoding='utf-8'?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key id="d0" for="graph" attr.name="crs" attr.type="string"/>
<key id="d1" for="node" attr.name="y" attr.type="string"/>
<key id="d2" for="node" attr.name="x" attr.type="string"/>
<key id="d3" for="edge" attr.name="name" attr.type="string"/>
<key id="d4" for="edge" attr.name="geometry" attr.type="string"/>
<graph edgedefault="directed"><data key="d0">epsg:4326</data>
<node id="1"><data key="d1">22.5</data><data key="d2">114.0</data></node>
<node id="2"><data key="d1">22.6</data><data key="d2">114.1</data></node>
<edge source="1" target="2"><data key="d3">泰然八路</data></edge>
<edge source="2" target="1"><data key="d4">LINESTRING (114.1 22.6, 114.05 22.5,
 114 22.5)</data></edge>
<edge source="1" target="9"/>
</graph></graphml>""",
        encoding="utf-8",
    )
    source = open_source(path)
    assert source.layer.declared_crs == "EPSG:4326"
    (batch,) = source.batches()
    assert batch.geometry[0].coords[:] == [(114.0, 22.5), (114.1, 22.6)]
    assert batch.attributes.column("name").to_pylist()[0] == "泰然八路"
    assert len(batch.geometry[1].coords) == 3
    assert [p.row for p in batch.problems] == [3]
    assert len(rows_of(path, ReadOptions(layer="nodes"))) == 2


def test_xml_entities_are_not_expanded(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    path = tmp_path / "x.gml"
    path.write_text(
        f"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]>
<core:CityModel xmlns:core="http://www.opengis.net/citygml/2.0"
 xmlns:gml="http://www.opengis.net/gml" xmlns:uro="urn:uro">
<core:cityObjectMember><uro:Pipe gml:id="p"><gml:name>&e;</gml:name><uro:lod0Geometry>
<gml:Point srsName="http://www.opengis.net/def/crs/EPSG/0/6697"><gml:pos>35 139 1</gml:pos>
</gml:Point></uro:lod0Geometry></uro:Pipe></core:cityObjectMember></core:CityModel>"""
    )
    ((_, geometry, record),) = rows_of(path)
    assert geometry.coords[0] == (139.0, 35.0, 1.0)
    assert "secret" not in str(record)


def test_zipped_filegdb_with_37_layers(shared_data):
    path = shared_data / "filegdb" / "testopenfilegdb.gdb.zip"
    source = open_source(path)
    assert len(source.info.layers) == 37
    for layer in source.info.layers:
        got = rows_of(path, ReadOptions(layer=layer.name))
        assert len(got) == layer.feature_count


def test_osm_layers_keep_their_tags(shared_data, tmp_path):
    path = shared_data / "osm" / "liechtenstein-2013-08-03.osm.pbf"
    assert {"points", "lines", "multipolygons"} <= {x.name for x in open_source(path).info.layers}
    got = rows_of(path, ReadOptions(layer="multipolygons"))
    assert len(got) == len(pyogrio.read_dataframe(path, layer="multipolygons"))
    housed = [a for _, _, a in got if a["other_tags"] and "addr:housenumber" in a["other_tags"]]
    assert len(housed) > 50
    assert housed[0]["other_tags"].startswith("{")
    zipped = shared_data / "osm" / "monaco.osm.gz"
    plain = tmp_path / "monaco.osm"
    with gzip.open(zipped) as src, plain.open("wb") as dst:
        shutil.copyfileobj(src, dst)
    assert len(rows_of(zipped, ReadOptions(layer="lines"))) == len(
        rows_of(plain, ReadOptions(layer="lines"))
    )


def test_nagaoka_pipes_have_east_first(shared_data):
    path = shared_data / "pipes-nagaoka" / "08EE752_unf_10169_water_op.gml"
    source = open_source(path)
    assert source.layer.declared_crs == "EPSG:10169"
    assert {layer.name: layer.feature_count for layer in source.info.layers} == {
        "WaterPipe": 237, "Handhole": 152}  # fmt: skip
    got = rows_of(path)
    # EPSG:10169 is north, east: 158 km north of the origin of zone VIII, 22 km east
    west, south, east, north = shapely.total_bounds([g for _, g, _ in got])
    assert (west, east) == pytest.approx((21993.8467, 22397.6693), abs=0.01)
    assert (south, north) == pytest.approx((158097.6073, 158835.0798), abs=0.01)
    assert all(g is not None for _, g, _ in got)
    assert got[0][2]["year"] == "1999"
    truth = shared_data / "pipes-nagaoka" / "nagaoka_unf_epsg6676_xy.geojson"
    if truth.exists():
        assert len(rows_of(truth)) > 0


def test_landuse_has_longitude_first(shared_data):
    path = shared_data / "landuse-plateau" / "493033_luse_6697_op.gml"
    got = rows_of(path)
    assert len(got) == 363
    west, south, east, north = shapely.total_bounds([g for _, g, _ in got])
    assert 130 < west < east < 131
    assert 32 < south < north < 33
    stated = [float(a["areaInSquareMeter"]) for _, _, a in got]
    projected = geopandas.GeoSeries([g for _, g, _ in got], crs=6668).to_crs(6670).area
    assert np.median(np.abs(projected / stated - 1)) < 0.01


def test_futian_streets(shared_data):
    got = rows_of(shared_data / "shenzhen-roads" / "futian.graphml")
    assert len(got) == 4009
    assert any(a["name"] == "泰然八路" for _, _, a in got)
    west, south, east, north = shapely.total_bounds([g for _, g, _ in got])
    assert 113.9 < west < east < 114.2
    assert 22.4 < south < north < 22.7


def test_a_geopackage_row_without_geometry_is_no_crash(tmp_path):
    path = tmp_path / "a.gpkg"
    pyogrio.write_dataframe(frame(), path)
    with sqlite3.connect(path) as db:
        for (trigger,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            db.execute('DROP TRIGGER "' + trigger + '"')
        db.execute("UPDATE a SET geom = NULL WHERE fid = 2")
    db.close()
    assert [g is None for _, g, _ in rows_of(path)] == [False, True, False]
