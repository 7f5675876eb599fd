"""The pipeline survey: one workbook of point and line tables, as survey firms deliver it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from geoserver_py.sample_city import files
from geoserver_py.sample_city.deliveries import SampleCity, write_delivery
from geoserver_py.sample_city.pipelines import pipes as pipe_kinds

_POINT_TITLES = {
    "sheet": "管类", "number": "物探点号", "class_word": "大类", "subclass_word": "小类",
    "feature": "特征", "appurtenance": "附属物", "north": "X", "east": "Y",
    "ground_elevation_m": "地面高程", "elevation_m": "管点高程", "depth_m": "埋深",
    "well_depth_m": "井深", "cover": "井盖规格", "road": "道路名称", "surveyed_on": "日期",
}  # fmt: skip
_LINE_TITLES = {
    "sheet": "管类", "start_number": "起点点号", "end_number": "终点点号", "class_word": "大类",
    "subclass_word": "小类", "start_depth_m": "起点埋深", "end_depth_m": "终点埋深",
    "start_elevation_m": "起点高程", "end_elevation_m": "终点高程", "section_mm": "管径",
    "material": "材质", "laying_word": "埋设方式", "pressure": "压力",
    "flow_direction": "流向",
    "owner": "权属单位", "built_year": "建设年代", "state_word": "使用状态", "road": "道路名称",
}  # fmt: skip
PIPELINE_CLASSES = {
    "给水": "JS", "排水": "PS", "燃气": "RQ", "热力": "RL", "电力": "DL", "通信": "TX",
    "工业": "GY", "其他": "QT",
}  # fmt: skip
PIPELINE_SUBCLASSES = {
    "配水": "JP", "雨水": "YS", "污水": "WS", "天然气": "TR", "热水": "RS", "供电": "GD",
    "信息网络": "XX", "氧气": "YQ", "综合管沟": "ZH",
}  # fmt: skip
PIPELINE_LAYING = {"直埋": "ZM", "管沟": "GG", "管块": "GK"}
PIPELINE_STATES = {"在用": "0", "废弃": "1"}
_TWO_DECIMALS = frozenset({"depth_m", "start_depth_m", "end_depth_m", "well_depth_m"})


def pipeline_survey(city: SampleCity, folder: Path) -> None:
    """One workbook: points with X = north, segments from point number to point number."""
    pipes = city.pipelines
    points = pipes.points.assign(
        north=pipes.east_north[:, 1], east=pipes.east_north[:, 0], elevation_m=pipes.elevation
    )
    lines = pipes.lines
    sheets = [pipe.sheet for pipe in pipe_kinds() if (points["sheet"] == pipe.sheet).any()]
    files.write_workbook(folder / "管线成果表.xlsx", _sheets(sheets, points, lines))
    position = {"north": "X", "east": "Y", "z": "管点高程"}
    loads: list[dict[str, Any]] = [
        {
            "layer": "pipeline_point",
            "files": [{"path": "管线成果表.xlsx", "sheet": f"{sheet}POINT"} for sheet in sheets],
            "coordsys": "epsg:4548",
            "columns": position,
            "mode": "full",
            "id": {"template": "{管类}-{物探点号}"},
            "fields": {
                "class_code": {"column": "大类", "map": PIPELINE_CLASSES},
                "subclass_code": {"column": "小类", "map": PIPELINE_SUBCLASSES},
                "feature": "特征",
                "appurtenance": "附属物",
                "ground_elevation_m": "地面高程",
                "well_depth_m": "井深",
                "cover": "井盖规格",
                "road": "道路名称",
                "surveyed_on": "日期",
            },
        },
        {
            "layer": "pipeline_line",
            "files": [
                {"path": "管线成果表.xlsx", "sheet": f"{sheet}LINE", "points": f"{sheet}POINT"}
                for sheet in sheets
            ],
            "coordsys": "epsg:4548",
            "columns": position,
            "geometry": {
                "from_points": {
                    "id": "物探点号",
                    "start": "起点点号",
                    "end": "终点点号",
                    "z": {"start": "起点高程", "end": "终点高程"},
                }
            },
            "mode": "full",
            "id": {"template": "{管类}-{起点点号}-{终点点号}"},
            "fields": {
                "class_code": {"column": "大类", "map": PIPELINE_CLASSES},
                "subclass_code": {"column": "小类", "map": PIPELINE_SUBCLASSES},
                "start_point": {"template": "{管类}-{起点点号}"},
                "end_point": {"template": "{管类}-{终点点号}"},
                "start_depth_m": "起点埋深",
                "end_depth_m": "终点埋深",
                "start_elevation_m": "起点高程",
                "end_elevation_m": "终点高程",
                "section_mm": "管径",
                "material": "材质",
                "laying": {"column": "埋设方式", "map": PIPELINE_LAYING},
                "pressure": "压力",
                "flow_direction": "流向",
                "owner": "权属单位",
                "built_year": "建设年代",
                "state": {"column": "使用状态", "map": PIPELINE_STATES},
                "road": "道路名称",
            },
        },
    ]
    write_delivery(folder, "城市管理和综合执法局", loads)


def _sheets(
    sheets: Sequence[str], points: pd.DataFrame, lines: pd.DataFrame
) -> Iterable[tuple[str, str, Sequence[str], Iterable[Sequence[object]]]]:
    names = {pipe.sheet: f"{pipe.class_word}（{pipe.subclass_word}）" for pipe in pipe_kinds()}
    for sheet in sheets:
        for suffix, table, titles, word in (
            ("POINT", points, _POINT_TITLES, "点"),
            ("LINE", lines, _LINE_TITLES, "线"),
        ):
            own = table[table["sheet"] == sheet][list(titles)]
            title = f"梅州市{names[sheet]}管线{word}成果表（模拟数据）"
            yield f"{sheet}{suffix}", title, list(titles.values()), _rows(own)


def _rows(table: pd.DataFrame) -> Iterable[Sequence[object]]:
    """Rows with numbers as a firm formats them, blanks for what is missing."""
    columns = []
    for name in table.columns:
        values = table[name].to_numpy()
        if values.dtype.kind == "f":
            decimals = 2 if name in _TWO_DECIMALS else 3
            shown = np.char.mod(f"%.{decimals}f", values).tolist()
            columns.append([None if text == "nan" else float(text) for text in shown])
        else:
            columns.append([None if v is None or v != v else v for v in values.tolist()])
    return zip(*columns, strict=True)
