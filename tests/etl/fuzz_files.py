"""Small healthy files of every format that is read, and ways to damage them."""

from __future__ import annotations

import gzip
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import ezdxf
import geopandas
import openpyxl
import pyogrio
import shapely
import xlwt

DATA = Path(__file__).parent / "data"
NAMES = ["大坪镇", "梅江区", "大埔角村"]


def _frame() -> geopandas.GeoDataFrame:
    lon = [116.0 + 0.01 * i for i in range(60)]
    squares = shapely.box(lon, 24.0, [x + 0.008 for x in lon], 24.01)
    return geopandas.GeoDataFrame(
        {"名称": [NAMES[i % 3] for i in range(60)], "n": range(60)}, geometry=squares, crs=4490
    )


def _gdal(driver: str, **options: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        pyogrio.write_dataframe(_frame(), path, driver=driver, **options)

    return write


def _text(lines: list[str], encoding: str = "gb18030") -> Callable[[Path], None]:
    return lambda path: path.write_bytes("\r\n".join(lines).encode(encoding)) and None


def _packed(name: str) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(gzip.decompress((DATA / name).read_bytes())) and None


def _dxf(codes: bool) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        drawing = ezdxf.new("R2000")
        space = drawing.modelspace()
        if codes:
            drawing.appids.add("SOUTH")
        drawing.blocks.new("GC200").add_circle((0, 0), 1)
        for i in range(20):
            spot = space.add_blockref("GC200", (410000 + i, 2687000, 78), {"layer": "GCD"})
            if codes:
                spot.set_xdata("SOUTH", [(1000, "202101")])
            space.add_lwpolyline([(0, i, 0, 0, 0.5), (9, i, 0, 0, 0)], close=True)
        space.add_spline([(0, 0, 0), (1, 5, 0), (2, 0, 0), (9, 9, 0)])
        drawing.saveas(path)

    return write


def _xlsx(path: Path) -> None:
    book = openpyxl.Workbook()
    for row in [["点号", "X", "Y"], *([f"{i}", 2687000.0 + i, 410000.0] for i in range(40))]:
        book.active.append(row)
    book.save(path)


def _xls(path: Path) -> None:
    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet("JSPOINT")
    for r, row in enumerate(
        [["点号", "X", "Y"], *([f"{i}", 2687000.0 + i, 1.0] for i in range(40))]
    ):
        for c, value in enumerate(row):
            sheet.write(r, c, value)
    book.save(str(path))


def _zip(path: Path) -> None:
    inner = path.with_name("inner.gpkg")
    _gdal("GPKG")(inner)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(inner, "村.gpkg")
        archive.writestr("点.csv", "id,lon,lat\n1,116,24\n")
    inner.unlink()


_LAND = [
    "[属性描述]", "坐标系=2000国家大地坐标系", "几度分带=3", "带号=39", "[地块坐标]",
    "4,1.0,1,示例,面,,住宅,,@",
    *(f"J{i},1,{2687000 + 100 * (i // 2)},{39410000 + 100 * (i in (1, 2))}" for i in range(4)),
]  # fmt: skip
_EPANET = [
    "[JUNCTIONS]", *(f"n{i} 10 0" for i in range(9)), "[PIPES]",
    *(f"p{i} n{i} n{i + 1} 100 300 100 0 Open" for i in range(8)), "[OPTIONS]", "Units LPS",
    "[COORDINATES]", *(f"n{i} {410000 + i} 2687000" for i in range(9)),
]  # fmt: skip
_SWMM = [
    "[OPTIONS]", "FLOW_UNITS CMS", "[JUNCTIONS]", *(f"n{i} 10 3" for i in range(9)), "[CONDUITS]",
    *(f"c{i} n{i} n{i + 1} 100 0.01 0 0" for i in range(8)), "[COORDINATES]",
    *(f"n{i} {410000 + i} 2687000" for i in range(9)),
]  # fmt: skip
_OSM = [
    '<?xml version="1.0"?><osm version="0.6">',
    *(f'<node id="{i}" lat="24.{i}" lon="116.{i}"><tag k="name" v="x"/></node>' for i in range(9)),
    '<way id="1"><nd ref="1"/><nd ref="2"/><tag k="highway" v="road"/></way></osm>',
]
_GRAPHML = [
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">',
    '<key id="d1" for="node" attr.name="y"/><key id="d2" for="node" attr.name="x"/><graph>',
    *(f'<node id="{i}"><data key="d1">24</data><data key="d2">116.{i}</data></node>'
      for i in range(9)),
    *(f'<edge source="{i}" target="{i + 1}"/>' for i in range(8)), "</graph></graphml>",
]  # fmt: skip
_CITYGML = [
    '<core:CityModel xmlns:core="http://www.opengis.net/citygml/2.0"',
    ' xmlns:gml="http://www.opengis.net/gml" xmlns:u="urn:u">',
    *('<core:cityObjectMember><u:Pipe><u:lod0Geometry><gml:Point srsName='
      '"http://www.opengis.net/def/crs/EPSG/0/6697"><gml:pos>35 139 1</gml:pos></gml:Point>'
      "</u:lod0Geometry></u:Pipe></core:cityObjectMember>" for _ in range(9)),
    "</core:CityModel>",
]  # fmt: skip

FORMATS: dict[str, Callable[[Path], None]] = {
    "a.shp": _gdal("ESRI Shapefile", ENCODING="UTF-8"),
    "a.gpkg": _gdal("GPKG"),
    "a.geojson": _gdal("GeoJSON"),
    "a.fgb": _gdal("FlatGeobuf"),
    "a.kml": _gdal("KML"),
    "a.kmz": _gdal("LIBKML"),
    "a.gml": _gdal("GML"),
    "a.tab": _gdal("MapInfo File", ENCODING="CP936"),
    "a.mif": _gdal("MapInfo File", FORMAT="MIF", ENCODING="CP936"),
    "a.parquet": lambda path: _frame().to_parquet(path),
    "cass.dxf": _dxf(codes=True),
    "plain.dxf": _dxf(codes=False),
    "a.xlsx": _xlsx,
    "a.xls": _xls,
    "a.zip": _zip,
    "a.mdb": _packed("survey.mdb.gz"),
    "a.accdb": _packed("survey.accdb.gz"),
    "a.csv": _text(["id,lon,lat", *(f"梅{i},116.{i},24.1" for i in range(60))]),
    "a.dat": _text([f"{i},,{410000 + i}.25,2687000.5,78.5" for i in range(60)]),
    "land.txt": _text(_LAND),
    "epanet.inp": _text(_EPANET),
    "swmm.inp": _text(_SWMM),
    "a.osm": _text(_OSM, "utf-8"),
    "a.graphml": _text(_GRAPHML, "utf-8"),
    "city.gml": _text(_CITYGML, "utf-8"),
}


def damage(data: bytes, seed: int) -> bytes:
    """Cut off, bytes flipped, a stretch zeroed, doubled or taken out; the same for a seed."""
    random_ = random.Random(seed)
    if not data:
        return data
    kind = seed % 5
    at = random_.randrange(len(data))
    stretch = random_.randint(1, max(1, min(512, len(data) // 4)))
    if kind == 0:
        return data[:at]
    if kind == 1:
        out = bytearray(data)
        for _ in range(random_.randint(1, 12)):
            out[random_.randrange(len(out))] ^= 1 << random_.randrange(8)
        return bytes(out)
    if kind == 2:
        return data[:at] + bytes(len(data[at : at + stretch])) + data[at + stretch :]
    if kind == 3:
        return data[: at + stretch] + data[at:]
    return data[:at] + data[at + stretch :]
