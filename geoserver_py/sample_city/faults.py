"""Deliveries that are wrong on purpose: one mistake a place, and a list of what must be found.

Every mistake has a short pipe of its own (A - B - C, 40 m apart) or lies by itself, so that no
finding hides another. `findings.csv` beside a delivery says which rule names which row.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely

from geoserver_py.sample_city import files
from geoserver_py.sample_city.deliveries import write_delivery
from geoserver_py.sample_city.plane import CENTRE, Geometries, geographic
from geoserver_py.sample_city.survey import PIPELINE_CLASSES, PIPELINE_LAYING, PIPELINE_SUBCLASSES

GROUND, DEPTH, STEP = 80.0, 1.0, 40.0
Row = dict[str, Any]
Expected = tuple[str, str, str]
"""Layer, id and rule of a finding; the id is empty where no row is at fault."""


@dataclass
class Survey:
    """Rows of a point and a line table, and what is wrong with them."""

    points: list[Row] = field(default_factory=list)
    lines: list[Row] = field(default_factory=list)
    expected: list[Expected] = field(default_factory=list)
    chains: int = 0

    def point(self, number: str, east: float, north: float, **other: Any) -> Row:
        """A point of a water pipe, 1 m deep."""
        row = {
            "物探点号": number, "大类": "给水", "小类": "配水", "特征": "直线点", "附属物": None,
            "X": round(north, 3), "Y": round(east, 3), "地面高程": GROUND,
            "管点高程": GROUND - DEPTH, "井深": None, "日期": "2026-10-30",
        } | other  # fmt: skip
        self.points.append(row)
        return row

    def line(self, start: Row, end: Row, **other: Any) -> Row:
        """A segment between two points, at the elevations of both."""
        row = {
            "起点点号": start["物探点号"], "终点点号": end["物探点号"], "大类": start["大类"],
            "小类": start["小类"], "起点埋深": round(start["地面高程"] - start["管点高程"], 3),
            "终点埋深": round(end["地面高程"] - end["管点高程"], 3),
            "起点高程": start["管点高程"], "终点高程": end["管点高程"], "管径": "200",
            "材质": "PE", "埋设方式": "直埋", "压力": "低压", "流向": 2, "建设年代": 2019,
        } | other  # fmt: skip
        self.lines.append(row)
        return row

    def chain(self, step: float = STEP, **other: Any) -> tuple[list[Row], list[Row]]:
        """A pipe of three points on a place of its own; `other` goes into its points."""
        east, north = self._next_place()
        ends = ("预留口", "直线点", "预留口")
        points = [
            self.point(f"{self.chains:02d}{letter}", east + step * at, north,
                       **({"特征": word} | other))
            for at, (letter, word) in enumerate(zip("ABC", ends, strict=True))
        ]  # fmt: skip
        return points, [self.line(points[0], points[1]), self.line(points[1], points[2])]

    def alone(self, **other: Any) -> Row:
        """A point that nothing joins."""
        east, north = self._next_place()
        return self.point(f"{self.chains:02d}X", east, north, **other)

    def _next_place(self) -> tuple[float, float]:
        """Scattered: points in a row could lie along some border after another datum's shift."""
        self.chains += 1
        return (
            CENTRE[0] + 2000.0 + 230.0 * (self.chains * 7 % 13) + 3.7 * self.chains,
            CENTRE[1] + 71.0 * self.chains,
        )

    def wrong_point(self, rule: str, *rows: Row) -> None:
        """Expect a finding about each point."""
        self.expected += [("pipeline_point", str(row["物探点号"]), rule) for row in rows]

    def wrong_line(self, rule: str, *rows: Row) -> None:
        """Expect a finding about each segment."""
        self.expected += [
            ("pipeline_line", f"{row['起点点号']}-{row['终点点号']}", rule) for row in rows
        ]


def faulty_survey() -> Survey:
    """A pipeline survey with every mistake that the rules of CJJ 61 surveys name."""
    survey = Survey()
    survey.chain()  # the one that is right
    _point_mistakes(survey)
    _network_mistakes(survey)
    _depth_mistakes(survey)
    return survey


def _point_mistakes(survey: Survey) -> None:
    survey.wrong_point("exclusive", survey.alone(附属物="阀门井"))
    survey.wrong_point("exclusive", survey.alone(特征=None))
    survey.wrong_point("orphan_point", survey.alone())
    survey.wrong_point("required", survey.alone(大类=None))
    survey.wrong_point("map", survey.alone(大类="上水"))
    survey.wrong_point("type", survey.alone(井深="一米二"))
    survey.wrong_point("range", survey.alone(井深=120))
    survey.wrong_point("max_length", survey.alone(特征="直" * 41))
    survey.wrong_point("height_required", survey.alone(管点高程=None))
    survey.wrong_point("coordinate", survey.alone(X="2687五三七"))
    survey.wrong_point("frame", survey.alone(Y=210413.24))
    survey.wrong_point("id_required", survey.alone(物探点号=None) | {"物探点号": ""})
    twin = survey.alone()
    again = survey.point("T1", twin["Y"] + 0.01, twin["X"])
    survey.wrong_point("orphan_point", twin, again)
    survey.wrong_point("near_duplicate", again)
    points, _ = survey.chain()
    survey.points.append(dict(points[2]))
    survey.wrong_point("unique_id", points[2])


def _network_mistakes(survey: Survey) -> None:
    points, lines = survey.chain()
    loop = survey.line(points[0], points[0])
    survey.wrong_line("distinct_ends", loop)
    survey.wrong_line("valid_geometry", loop)
    points, lines = survey.chain()
    survey.wrong_line("repeated_segment", survey.line(points[1], points[0]))
    points, lines = survey.chain()
    points[1]["特征"] = "三通"
    survey.wrong_point("node_degree", points[1])
    points, lines = survey.chain()
    points[1]["大类"] = "上水"  # refused, and with it what refers to it
    survey.wrong_point("map", points[1])
    survey.wrong_line("reference", *lines)
    survey.wrong_point("orphan_point", points[0], points[2])  # which then have no line left
    points, lines = survey.chain()
    missing = survey.line(points[2], points[2], 终点点号="99Z")
    survey.wrong_line("coordinate", missing)
    _, lines = survey.chain(step=90.0)
    survey.wrong_line("segment_length", *lines)
    _, lines = survey.chain()
    lines[1]["管径"] = "300"
    survey.wrong_line("same_at_node", lines[1])
    _, lines = survey.chain()
    lines[0]["埋设方式"] = "直埋式"
    survey.wrong_line("map", lines[0])
    survey.wrong_point("orphan_point", survey.points[-3])
    survey.points[-2]["特征"] = "预留口"


def _depth_mistakes(survey: Survey) -> None:
    points, lines = survey.chain()
    points[1] |= {"地面高程": GROUND - 30, "管点高程": GROUND - 30 - DEPTH}
    survey.lines[-2:] = []
    lines = [survey.line(points[0], points[1]), survey.line(points[1], points[2])]
    survey.wrong_line("slope", *lines)
    shallow = {"管点高程": GROUND - 0.3}
    _, lines = survey.chain(**shallow)
    survey.wrong_line("burial_depth", *lines)
    _, lines = survey.chain(管点高程=GROUND - 90.0)  # centimetres
    survey.wrong_line("burial_depth", *lines)
    _, lines = survey.chain()
    lines[0]["起点埋深"] = 1.5
    survey.wrong_line("depth_elevation", lines[0])
    drain: Row = {"大类": "排水", "小类": "污水", "管点高程": GROUND - 3.0}
    points, lines = survey.chain(**drain)
    points[1]["管点高程"] = GROUND - 2.5
    survey.lines[-2:] = []
    pipe = {"管径": "400", "材质": "混凝土", "压力": None}
    uphill = survey.line(points[0], points[1], 流向=0, **pipe)
    survey.wrong_line("adverse_slope", uphill)
    downhill = survey.line(points[1], points[2], 流向=0, **pipe)
    downhill["起点埋深"] -= 0.4  # to the top of the pipe, not to its invert
    survey.wrong_line("depth_elevation", downhill)
    points, _ = survey.chain()
    beside = [
        survey.point(f"P{at}", point["Y"], point["X"] + 1.1, **{**drain, "特征": point["特征"]})
        for at, point in enumerate(points)
    ]
    # 1.1 m between the axes of pipes 0.2 and 0.4 m wide
    near = [survey.line(a, b, **pipe) for a, b in itertools.pairwise(beside)]
    survey.wrong_line("clearance", *near)


def write_faulty_survey(folder: Path) -> None:
    """The survey as a workbook with its delivery file and the findings that it must give."""
    survey = faulty_survey()
    sheets = [
        ("JSPOINT", "管线点成果表（模拟，有意出错）", *_table(survey.points)),
        ("JSLINE", "管线线成果表（模拟，有意出错）", *_table(survey.lines)),
    ]
    files.write_workbook(folder / "管线成果表.xlsx", sheets)
    classes = {
        "class_code": {"column": "大类", "map": PIPELINE_CLASSES},
        "subclass_code": {"column": "小类", "map": PIPELINE_SUBCLASSES},
    }
    common = {"coordsys": "epsg:4548", "columns": {"north": "X", "east": "Y", "z": "管点高程"}}
    ends = {"start": "起点点号", "end": "终点点号"}
    loads: list[dict[str, Any]] = [
        {
            "layer": "pipeline_point",
            "files": [{"path": "管线成果表.xlsx", "sheet": "JSPOINT"}],
            **common,
            "id": {"column": "物探点号"},
            "fields": classes,
        },
        {
            "layer": "pipeline_line",
            "files": [{"path": "管线成果表.xlsx", "sheet": "JSLINE", "points": "JSPOINT"}],
            **common,
            "geometry": {
                "from_points": {
                    "id": "物探点号", **ends, "z": {"start": "起点高程", "end": "终点高程"},
                }
            },
            "id": {"template": "{起点点号}-{终点点号}"},
            "fields": {**classes, "laying": {"column": "埋设方式", "map": PIPELINE_LAYING}},
        },
    ]  # fmt: skip
    write_delivery(folder, "城市管理和综合执法局", loads)
    _write_expected(folder, survey.expected)


def _table(rows: list[Row]) -> tuple[list[str], Iterable[list[object]]]:
    titles = list(rows[0])
    return titles, [[row[title] for title in titles] for row in rows]


def _write_expected(folder: Path, expected: Iterable[Expected]) -> None:
    table = pd.DataFrame(sorted(expected), columns=["layer", "id", "rule"])
    files.write_csv(folder / "findings.csv", table, "utf-8")


_CELL = "441402004001"
"""A community of the register, so that its cells refer to something."""


def _array(shapes: Iterable[shapely.Geometry]) -> Geometries:
    return np.asarray(np.array(list(shapes), dtype=object))


def write_faulty_grid(folder: Path) -> None:
    """A unit grid with an overlap, a gap, crossing borders and wrong codes."""
    east, north = CENTRE[0] + 4000.0, CENTRE[1]

    def cell(column: int, row: int) -> shapely.Polygon:
        return shapely.box(
            east + 100 * column, north + 100 * row, east + 100 * column + 100,
            north + 100 * row + 100,
        )  # fmt: skip

    shapes: dict[str, shapely.Geometry] = {
        f"{_CELL}{n:03d}": cell(n % 3, n // 3) for n in range(9) if n != 4
    }
    over = shapely.box(east + 50, north + 20, east + 90, north + 60)
    west, top = east + 400, north + 100
    bow = shapely.Polygon([(west, north), (west + 100, top), (west + 100, north), (west, top)])
    spike = shapely.Polygon([(west, north - 300), (west + 100, north - 300), (west, north - 300)])
    shapes |= {f"{_CELL}101": over, f"{_CELL}102": bow, f"{_CELL}103": spike, "short": cell(6, 6)}
    frame = pd.DataFrame({"id": list(shapes)})
    frame["area_m2"] = np.round(shapely.area(list(shapes.values())), 2)
    frame["initial_date"], frame["village_code"] = "2026-07-01", _CELL
    frame.loc[0, "village_code"] = "441402999999"
    files.write_vector(
        folder / "单元网格.gpkg", "单元网格", frame, _array(shapes.values()),
        "EPSG:4548",
    )  # fmt: skip
    load = {
        "layer": "unit_grid",
        "files": [{"path": "单元网格.gpkg", "layer": "单元网格"}],
        "coordsys": "epsg:4548",
        "id": {"column": "id"},
    }
    write_delivery(folder, "城市管理和综合执法局", [load])
    expected = [
        ("unit_grid", f"{_CELL}101", "no_overlap"), ("unit_grid", "", "no_gap"),
        ("unit_grid", f"{_CELL}102", "valid_geometry"),
        ("unit_grid", f"{_CELL}103", "valid_geometry"), ("unit_grid", "short", "id_pattern"),
        ("unit_grid", f"{_CELL}000", "reference"),
    ]  # fmt: skip
    _write_expected(folder, expected)


def write_faulty_roads(folder: Path) -> None:
    """Roads that stop short, run past, and come twice, one of them drawn backwards."""
    east, north = CENTRE[0] + 6000.0, CENTRE[1]
    lines: dict[str, list[tuple[float, float]]] = {
        "R1": [(0, 0), (300, 0)],
        "R2": [(100, 50), (100, 0.4)],  # stops 0.4 m short of R1
        "R3": [(200, 50), (200, -0.6)],  # runs 0.6 m past R1
        "R4": [(0, 80), (300, 80)],
        "R5": [(300, 80.1), (0, 80.1)],
        "R6": [(250, 0), (250, 50)],  # joins R1
    }
    shapes = _array(
        shapely.LineString([(east + x, north + y) for x, y in xy]) for xy in lines.values()
    )
    frame = pd.DataFrame(
        {"id": list(lines), "name": ["甲路", "乙路", "丙路", "丁路", "丁路", "戊路"]}
    )
    frame["road_class"] = "residential"
    files.write_vector(folder / "道路.gpkg", "道路", frame, shapes, "EPSG:4548")
    load = {
        "layer": "road",
        "files": [{"path": "道路.gpkg", "layer": "道路"}],
        "coordsys": "epsg:4548",
        "id": {"column": "id"},
    }
    write_delivery(folder, "交通运输局", [load])
    found = {"R2": "dangling_end", "R3": "dangling_end", "R5": "near_duplicate"}
    # two lines a hand's breadth apart also end beside each other
    expected = [("road", key, rule) for key, rule in found.items()]
    expected += [("road", "R4", "dangling_end"), ("road", "R5", "dangling_end")]
    _write_expected(folder, expected)


def write_faulty_check_points(folder: Path) -> None:
    """Components three metres off, with check points that show it: the delivery is refused."""
    turns = np.arange(24)
    east = CENTRE[0] + 8000.0 + 20.0 * (turns % 6)
    north = CENTRE[1] + 20.0 * (turns // 6)
    ids = [f"44140201001{n:06d}" for n in turns]
    lonlat = geographic(np.column_stack([east + 2.4, north + 1.8]))
    table = pd.DataFrame(
        {
            "GLBJBSM": ids, "类别": "01001", "GLBJMC": "供水井盖",
            "ZGBMDM": "SYNTHETIC000000001", "ZGBMMC": "模拟供水公司",
            "SZDYWGBSM": f"{_CELL}000", "GLBJZT": "完好", "CSRQ": "2026-07-01",
            "经度": np.char.mod("%.9f", lonlat[:, 0]), "纬度": np.char.mod("%.9f", lonlat[:, 1]),
        }
    )  # fmt: skip
    files.write_csv(folder / "管理部件.csv", table, "utf-8")
    known = pd.DataFrame({"点号": ids, "X": np.round(north, 3), "Y": np.round(east, 3)})
    files.write_csv(folder / "检查点.csv", known, "utf-8")
    load = {
        "layer": "component",
        "files": [{"path": "管理部件.csv", "encoding": "UTF-8"}],
        "coordsys": "cgcs2000",
        "columns": {"lon": "经度", "lat": "纬度"},
        "id": {"column": "GLBJBSM"},
        "fields": {"class_code": "类别"},
        "check_points": {
            "file": "检查点.csv", "encoding": "UTF-8", "coordsys": "epsg:4548",
            "columns": {"north": "X", "east": "Y"}, "id": "点号",
        },
    }  # fmt: skip
    write_delivery(folder, "城市管理和综合执法局", [load])
    _write_expected(folder, [("component", "", "check_points")])


FAULTY = {
    "survey-faults": write_faulty_survey,
    "grid-faults": write_faulty_grid,
    "road-faults": write_faulty_roads,
    "check-point-faults": write_faulty_check_points,
}
"""Writers of the faulty deliveries by folder."""
