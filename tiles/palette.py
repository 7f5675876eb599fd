"""Colours and classes of the base map: a calm sheet on which themes stay readable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LAND = "#f6f4ef"
WATER = "#bfdbea"
WATER_EDGE = "#a3c6dc"
WATER_TEXT = "#41718f"
BUILDING = "#e4ddd3"
BUILDING_EDGE = "#cdc3b6"
HALO = "rgba(255,255,255,0.88)"

COUNTY_LINE, COUNTY_TEXT = "#9a86b0", "#55466e"
TOWN_LINE, TOWN_TEXT = "#b6a8c6", "#665c73"
VILLAGE_LINE, VILLAGE_TEXT = "#cbc2d4", "#837b8c"

GRID_LINE, GRID_TEXT = "#6f9a8e", "#4f7a6e"
POI_DOT, POI_TEXT = "#a9714b", "#704e33"
NUMBER_TEXT = "#978b80"
ROAD_TEXT = "#5d574e"
EVENT_DOT = "#cf4a3c"
UNKNOWN_PIPE = "#6600cc"  # 不明管线, CJJ 61-2017 annex B

LAND_USE: Mapping[str, str] = {
    "01": "#eff1dd",  # 耕地
    "02": "#e7eed5",  # 园地
    "03": "#dae8d1",  # 林地
    "04": "#e6efd9",  # 草地
    "05": "#d8e9e3",  # 湿地
    "06": "#edeadd",  # 农业设施建设用地
    "07": "#f4ede3",  # 居住用地
    "08": "#f0e7ec",  # 公共管理与公共服务用地
    "09": "#f6e8de",  # 商业服务业用地
    "10": "#e9e7ec",  # 工矿用地
    "11": "#ebe7e0",  # 仓储用地
    "12": "#edece9",  # 交通运输用地
    "13": "#e8eaed",  # 公用设施用地
    "14": "#d6e8cc",  # 绿地与开敞空间用地
    "15": "#e9e5dd",  # 特殊用地
    "16": "#f2f0eb",  # 留白用地
    "17": WATER,  # 陆地水域
    "18": "#c8e0ea",  # 渔业用海
}
"""Fill by the first two digits of the land-use class (用地用海分类指南, 2023)."""

COMPONENT: Mapping[str, str] = {
    "01": "#3f78ad",  # 市政公用设施
    "02": "#cc8436",  # 交通设施
    "03": "#8468b0",  # 市容环卫设施
    "04": "#4f9658",  # 园林绿化设施
    "05": "#7d7d7d",  # 其他
}
"""Dot by the first two digits of the component class (GB/T 47678.5-2026)."""


@dataclass(frozen=True)
class RoadStyle:
    """How roads of a rank are drawn: widths in screen pixels at zooms 8, 12, 16 and 20."""

    rank: str
    classes: tuple[str, ...]
    from_zoom: int
    fill: str
    casing: str
    widths: tuple[float, float, float, float]


ROADS: tuple[RoadStyle, ...] = (
    RoadStyle("service", ("service",), 14, "#ffffff", "#e0dbd2", (0.1, 0.3, 2.6, 16.0)),
    RoadStyle("street", (), 13, "#ffffff", "#dbd5cb", (0.1, 0.5, 4.5, 28.0)),
    RoadStyle("tertiary", ("tertiary",), 11, "#ffffff", "#d6d0c5", (0.2, 1.0, 7.0, 42.0)),
    RoadStyle("secondary", ("secondary",), 9, "#fffae3", "#d9cdae", (0.5, 1.8, 10.0, 56.0)),
    RoadStyle("primary", ("primary",), 7, "#fdefc6", "#dcc68c", (0.8, 2.4, 12.5, 66.0)),
    RoadStyle("trunk", ("trunk",), 6, "#fce0a2", "#dbb56b", (1.0, 2.9, 14.0, 74.0)),
    RoadStyle("motorway", ("motorway",), 6, "#f7cd8a", "#d4a154", (1.2, 3.4, 15.0, 80.0)),
)
"""Roads from the lowest rank, in the order they are drawn; without classes: all not named here."""

PATHS = ("path", "track", "construction")
"""Road classes drawn as dashes."""

RAILS = ("rail",)
PATH_LINE, RAIL_LINE = "#cbbfae", "#b4b0ab"
