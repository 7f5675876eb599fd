"""The delivered files, read with other people's tools, against the truth."""

from __future__ import annotations

import coord_convert.transform as reference
import ezdxf
import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import prcoords
import pyproj
import shapely

from geoserver_py.sample_city.obfuscation import bd09_from_wgs84, gcj02_from_wgs84


def test_obfuscation_agrees_with_published_implementations() -> None:
    rng = np.random.default_rng(7)
    lon, lat = rng.uniform(115.3, 116.95, 300), rng.uniform(23.4, 24.95, 300)
    gcj, bd = gcj02_from_wgs84(lon, lat), bd09_from_wgs84(lon, lat)
    for i in range(len(lon)):
        assert np.allclose((gcj[0][i], gcj[1][i]), reference.wgs2gcj(lon[i], lat[i]), atol=1e-9)
        assert np.allclose((bd[0][i], bd[1][i]), reference.wgs2bd(lon[i], lat[i]), atol=1e-9)
        other = prcoords.wgs_gcj(prcoords.Coords(lat[i], lon[i]), check_china=False)
        assert np.allclose((gcj[0][i], gcj[1][i]), (other.lon, other.lat), atol=1e-9)


def test_the_centre_in_gcj02_and_bd09() -> None:
    lon, lat = np.array([116.1176]), np.array([24.2886])
    assert np.allclose(np.ravel(gcj02_from_wgs84(lon, lat)), (116.12243233, 24.285977), atol=6e-9)
    assert np.allclose(np.ravel(bd09_from_wgs84(lon, lat)), (116.12897357, 24.29184529), atol=6e-9)


def test_the_survey_workbook_looks_like_a_firms(city) -> None:
    book = openpyxl.load_workbook(city.folder / "pipeline-survey" / "管线成果表.xlsx")
    sheet = book["JSPOINT"]
    assert [str(r) for r in sheet.merged_cells.ranges] == ["A1:O1"]
    assert "模拟" in sheet["A1"].value
    titles = [cell.value for cell in sheet[2]]
    first = dict(zip(titles, [cell.value for cell in sheet[3]], strict=True))
    assert first["物探点号"] == "001"
    assert 2_600_000 < first["X"] < 2_800_000
    assert 380_000 < first["Y"] < 450_000
    assert sheet.cell(sheet.max_row, 1).value.startswith("制表人")


def test_the_drawing_opens_in_another_reader_with_chinese_layers(city, truth) -> None:
    drawing = ezdxf.readfile(city.folder / "water-affairs" / "水系.dxf")
    hatches = drawing.modelspace().query("HATCH")
    assert len(hatches) == len(gpd.read_parquet(truth / "water.parquet"))
    assert "SXSS-河流-梅江" in {hatch.dxf.layer for hatch in hatches}


def test_xian80_shapefile_is_100_m_off_without_parameters(city, truth) -> None:
    shapes = gpd.read_file(city.folder / "civil-affairs" / "县级行政区.shp", encoding="GB18030")
    assert shapes.crs.to_epsg() == 2363
    expected = gpd.read_parquet(truth / "division_county.parquet").set_index("id").geometry
    # Reading Xian 1980 numbers as if they were CGCS2000 is the mistake that PROJ makes silently.
    plane = pyproj.Transformer.from_crs("EPSG:4490", "EPSG:4527", always_xy=True)
    here = shapely.get_coordinates(shapes.set_index("XZQDM").loc["441402"].geometry).mean(axis=0)
    lonlat = shapely.get_coordinates(expected["441402"]).mean(axis=0)
    off = np.hypot(*(here - np.array(plane.transform(*lonlat))))
    assert 110 < off < 125


def test_the_address_table_has_its_titles_exchanged(city) -> None:
    table = pd.read_csv(city.folder / "public-security" / "标准地址.csv", encoding="utf-8-sig")
    assert table["东坐标"].between(2_600_000, 2_800_000).all()
    assert table["北坐标"].between(380_000, 450_000).all()
