"""What bureaus and people really send, each through a delivery: the right metres or a refusal.

One point, the centre of Meizhou, stands in every notation that is met; a second lies 100 m east.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ezdxf
import numpy as np
import openpyxl
import psycopg
import pyproj
import pytest
import shapely
import xlwt
import yaml

from etl.report import LoadReport, Status
from etl.run import run_delivery
from layers.definition import LayerDefinition, parse_definition
from layers.schema import apply
from tests.etl.support import rows
from tests.etl.test_reader_survey import CASS, HEADER, HOLE, RTK, SQUARE, VARIANTS

CENTRE = (116.1176, 24.2886)
GEOD = pyproj.Geod(ellps="GRS80")
EAST, NORTH = 410413.240, 2687537.854


def layer(name: str, geometry: str) -> LayerDefinition:
    """A layer that asks for no accuracy, so that metre-level notations load too."""
    return parse_definition(
        {"name": name, "title": {"zh": name, "en": name}, "theme": "测试", "bureau": "测试",
         "geometry": geometry,
         "fields": [{"name": "depth_m", "type": "real", "title": {"zh": "埋深", "en": "Depth"}}]}
    )  # fmt: skip


LAYERS = {d.name: d for d in (layer("spot", "Point"), layer("plot", "MultiPolygon"))}
Deliver = Callable[..., LoadReport]


@pytest.fixture
def deliver(database: str, tmp_path: Path) -> Deliver:
    """deliver(file, text or None, **load) -> report of loading one file into `spot` or `plot`."""
    with psycopg.connect(database) as connection:
        apply(connection, LAYERS.values())

    def run(name: str, text: str | bytes | None = None, **load: Any) -> LoadReport:
        if text is not None:
            data = text if isinstance(text, bytes) else text.encode()
            (tmp_path / name).write_bytes(data)
        load = {"layer": "spot", "files": [name], "id": {"template": "{row}"}, **load}
        document = {"delivery": "case", "bureau": "测试", "city": "meizhou", "synthetic": True,
                    "loads": [load]}  # fmt: skip
        path = tmp_path / "delivery.yaml"
        path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
        (report,) = run_delivery(path, database, definitions=LAYERS)
        return report

    return run


def off(dsn: str, lon: float, lat: float, name: str | None = None) -> float:
    """Metres between the stored point (of this id, or the only one) and the truth."""
    ((x, y),) = rows(
        dsn,
        "SELECT ST_X(geom), ST_Y(geom) FROM layer.spot WHERE %s::text IS NULL OR id = %s",
        name,
        name,
    )
    return float(GEOD.inv(lon, lat, x, y)[2])


LONLAT, PLANE = {"lon": "a", "lat": "b"}, {"north": "X", "east": "Y"}
NOTATIONS: dict[str, tuple[str, str, dict[str, str], float]] = {
    "degrees": ("116.1176,24.2886", "cgcs2000", LONLAT, 0.001),
    "wgs84": ("116.1176,24.2886", "wgs84", LONLAT, 0.001),
    "dms signs": ("116°07′03.36″E,24°17′18.96″N", "cgcs2000", LONLAT, 0.001),
    "dms words": ("东经116度07分03.36秒,北纬24度17分18.96秒", "cgcs2000", LONLAT, 0.001),
    "gcj02": ("116.12243233,24.285977", "gcj02", LONLAT, 0.002),
    "bd09": ("116.12897357,24.29184529", "bd09", LONLAT, 0.002),
    "4548": ("2687537.854,410413.240", "epsg:4548", PLANE, 0.001),
    "zone 39": ("2687537.854,39410413.240", "epsg:4527", PLANE, 0.001),
    "6-degree zone 20": ("2687537.854,20410413.240", "epsg:4498", PLANE, 0.001),
    "6-degree 117": ("2687537.854,410413.240", "epsg:4509", PLANE, 0.001),
    "zone 38": ("2688888.993,38715018.931", "epsg:4526", PLANE, 0.001),
}
"""Text of a row, coordsys, columns and the metres that its digits allow."""


@pytest.mark.parametrize("notation", NOTATIONS)
def test_one_point_in_eleven_notations(deliver: Deliver, database: str, notation: str) -> None:
    text, coordsys, columns, within = NOTATIONS[notation]
    report = deliver(
        "a.csv", ",".join(columns.values()) + f"\n{text}\n", coordsys=coordsys,
        columns={"lon": "a", "lat": "b"} if columns is LONLAT else columns,
    )  # fmt: skip
    assert report.status is Status.SUCCEEDED, report.reason
    assert off(database, *CENTRE) < within


@pytest.mark.parametrize(
    ("row", "coordsys"),
    [
        ("2634154.725,39328420.431", "epsg:4527"),
        ("2633759.411,38634170.436", "epsg:4526"),
        ("2634154.725,328420.431", "epsg:4548"),
    ],
)
def test_west_of_115_30_both_zones_are_the_same_place(
    deliver: Deliver, database: str, row: str, coordsys: str
) -> None:
    report = deliver("a.csv", f"X,Y\n{row}\n", coordsys=coordsys, columns=PLANE)
    assert report.status is Status.SUCCEEDED, report.reason
    assert off(database, 115.3165, 23.8) < 0.001


def survey(count: int = 60) -> np.ndarray:
    """(count, 2) north, east around the centre, EPSG:4548."""
    rng = np.random.default_rng(20261122)
    return np.column_stack([NORTH + rng.uniform(-4000, 4000, count),
                            EAST + rng.uniform(-4000, 4000, count)])  # fmt: skip


def table(header: str, numbers: np.ndarray, digits: int = 3) -> str:
    lines = [",".join(f"{v:.{digits}f}" for v in row) for row in numbers]
    return "\n".join([header, *lines, ""])


def packed(degrees: np.ndarray) -> np.ndarray:
    """ddd.mmssffff of decimal degrees, the habit of CASS."""
    whole = np.floor(degrees)
    minutes = np.floor((degrees - whole) * 60)
    seconds = ((degrees - whole) * 60 - minutes) * 60
    return whole + minutes / 100 + seconds / 10000


def test_prefix_39_and_20_and_none_store_the_same_millimetres(
    deliver: Deliver, database: str
) -> None:
    numbers, found = survey(), []
    for prefix, coordsys in ((0, "epsg:4548"), (39e6, "epsg:4527"), (20e6, "epsg:4498")):
        text = table("X,Y", numbers + np.array([0, prefix]))
        report = deliver("a.csv", text, coordsys=coordsys, columns=PLANE, mode="full")
        assert report.status in {Status.SUCCEEDED, Status.UNCHANGED}, report.reason
        stored = rows(database, "SELECT ST_X(geom), ST_Y(geom) FROM layer.spot ORDER BY id::int")
        found.append(np.array(stored))
    assert np.abs(found[1] - found[0]).max() < 1e-9
    assert np.abs(found[2] - found[0]).max() < 1e-9


REFUSALS: dict[str, tuple[Callable[[], str], str, dict[str, str], str]] = {
    "packed degrees as decimals": (
        lambda: table("a,b", packed(np.column_stack(pyproj.Transformer.from_crs(
            4548, 4490, always_xy=True).transform(*survey(300)[:, ::-1].T))), 7),
        "cgcs2000", LONLAT, "度分秒",
    ),
    "large numbers removed": (
        lambda: table("X,Y", survey() - (2_600_000, 400_000)), "epsg:4548", PLANE, "大数",
    ),
    "prefix not stated": (
        lambda: table("X,Y", survey() + np.array([0, 39e6])), "epsg:4548", PLANE, "epsg:4527",
    ),
    "prefix missing": (lambda: table("X,Y", survey()), "epsg:4527", PLANE, "epsg:4548"),
    "east and north exchanged": (
        lambda: table("东坐标,北坐标", survey()), "epsg:4548",
        {"north": "北坐标", "east": "东坐标"}, "写反",
    ),
    "xian 80 without parameters": (
        lambda: table("a,b", survey()), "xian80", LONLAT, "参数",
    ),
    "plane grid named as degrees": (lambda: table("a,b", survey()), "epsg:4548", LONLAT, "north"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_not_as_stated_is_refused(deliver: Deliver, database: str, case: str) -> None:
    write, coordsys, columns, word = REFUSALS[case]
    report = deliver("a.csv", write(), coordsys=coordsys, columns=columns)
    assert report.status in {Status.BLOCKED, Status.FAILED}
    assert word in str(report.reason), report.reason
    assert rows(database, "SELECT count(*) FROM layer.spot") == [(0,)]


REFUSED_PLOTS = {"xian": "没有公开的转换", "beijing": "没有公开的转换", "no zone": "坐标系",
                 "conflict": "坐标系", "unknown datum": "坐标系"}  # fmt: skip


@pytest.mark.parametrize("variant", ["as printed", *VARIANTS])
def test_land_survey_text(deliver: Deliver, database: str, variant: str) -> None:
    change, encoding, _ = VARIANTS.get(variant, (str, "utf-8", None))
    text = change(HEADER + SQUARE) + change(HOLE)
    report = deliver("报盘.txt", text.encode(encoding), layer="plot")
    if variant in REFUSED_PLOTS:
        assert report.status is Status.FAILED
        assert REFUSED_PLOTS[variant] in str(report.reason)
        return
    assert report.status is Status.SUCCEEDED, report.reason
    ((area, rings, wkb),) = rows(
        database,
        "SELECT ST_Area(ST_Transform(geom, 4548)), ST_NRings(geom), ST_AsBinary(geom)"
        " FROM layer.plot",
    )
    assert rings == 2
    assert area == pytest.approx(9600, abs=0.01)
    corners = shapely.get_coordinates(shapely.from_wkb(bytes(wkb)))
    assert min(GEOD.inv(*CENTRE, x, y)[2] for x, y in corners) < 0.001


@pytest.mark.parametrize("count", [2, 3000])
@pytest.mark.parametrize("text", [CASS, RTK], ids=["CASS: east first", "RTK: north first"])
def test_point_files_of_the_field(deliver: Deliver, database: str, text: str, count: int) -> None:
    lines = text.splitlines()
    cells = lines[-1].split(",")
    for number in range(3, count + 1):
        lines.append(",".join([f"P{number}", *cells[1:]]))
    name = "rtk.txt" if text is RTK else "cass.dat"
    report = deliver(name, "\r\n".join(lines) + "\r\n", coordsys="epsg:4548", id={"column": "点号"})
    assert report.status is Status.SUCCEEDED, report.reason
    assert report.counts["inserted"] == count
    assert off(database, *CENTRE, name="1" if text is CASS else "G1") < 0.001


def test_drawing_of_cass(deliver: Deliver, database: str, tmp_path: Path) -> None:
    drawing = ezdxf.new("R2000")
    drawing.appids.add("SOUTH")
    drawing.blocks.new("GC200").add_circle((0, 0), 0.2)
    spot = drawing.modelspace().add_blockref("GC200", (EAST, NORTH, 78.51), {"layer": "GCD"})
    spot.set_xdata("SOUTH", [(1000, "202101")])
    other = drawing.modelspace().add_line((EAST, NORTH), (EAST + 9, NORTH), {"layer": "DLSS"})
    other.set_xdata("SOUTH", [(1000, "164300")])
    drawing.saveas(tmp_path / "地形.dxf")
    report = deliver("地形.dxf", coordsys="epsg:4548", where={"Code": "202101"})
    assert report.status is Status.SUCCEEDED, report.reason
    assert report.counts["inserted"] == 1
    assert off(database, *CENTRE) < 0.001


SURVEY_TABLE = [
    ["梅州市剑英大道给水管线点成果表", None, None, None],
    ["物探点号", "X", "Y", "埋深"],
    ["001", " 2687537.854 ", " 410413.240", "1.2/1.5"],
    ["12E3", "2687537.854", "410513.240 ", "—"],
    ["1E10", 2687537.854, 410613.240, 1.2],
    ["制表人：张三", "检查者：李四", None, "2026-11-22"],
]


def workbook(path: Path) -> Path:
    """The survey table as .xlsx or .xls, by the suffix."""
    if path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        sheet = book.active
        assert sheet is not None
        sheet.title = "JSPOINT"
        for row in SURVEY_TABLE:
            sheet.append(row)
        sheet.merge_cells("A1:D1")
        book.save(path)
        return path
    old = xlwt.Workbook()
    page = old.add_sheet("JSPOINT")
    page.write_merge(0, 0, 0, 3, SURVEY_TABLE[0][0])
    for at, row in enumerate(SURVEY_TABLE[1:], 1):
        for column, cell in enumerate(row):
            if cell is not None:
                page.write(at, column, cell)
    old.save(str(path))
    return path


@pytest.mark.parametrize("suffix", ["xlsx", "xls"])
def test_workbook_of_a_survey_firm(
    deliver: Deliver, database: str, tmp_path: Path, suffix: str
) -> None:
    path = workbook(tmp_path / f"成果.{suffix}")
    report = deliver(
        path.name, files=[{"path": path.name, "sheet": "JSPOINT"}], coordsys="epsg:4548",
        columns=PLANE, id={"column": "物探点号"}, fields={"depth_m": {"value": None}},
    )  # fmt: skip
    assert report.status is Status.SUCCEEDED, report.reason
    assert rows(database, "SELECT id FROM layer.spot ORDER BY id") == [
        ("001",), ("12E3",), ("1E10",),
    ]  # fmt: skip
    assert off(database, *CENTRE, name="001") < 0.001


def test_depths_that_are_no_number_are_blank_where_stated_and_refused_where_not(
    deliver: Deliver, database: str, tmp_path: Path
) -> None:
    path = workbook(tmp_path / "成果.xlsx")
    report = deliver(
        path.name, coordsys="epsg:4548", columns=PLANE, id={"column": "物探点号"},
        fields={"depth_m": {"column": "埋深", "blank": ["—"]}},
    )  # fmt: skip
    assert report.status is Status.SUCCEEDED, report.reason
    assert rows(database, "SELECT id, depth_m FROM layer.spot ORDER BY id") == [
        ("12E3", None), ("1E10", 1.2),
    ]  # fmt: skip
    found = rows(database, "SELECT rule, reason FROM catalog.reject WHERE id = '001'")
    assert [rule for rule, _ in found] == ["type"]
    assert "1.2/1.5" in found[0][1]
