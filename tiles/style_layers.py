"""Style layers of the base map, as MapLibre style specification objects.

Every function takes the names of a source and of a tile layer and returns layers from the bottom
up; ``metadata.title`` is the suffix to the layer's own title.
"""

from __future__ import annotations

from typing import Any

from tiles import palette
from tiles.sql import LABEL_SUFFIX
from tiles.style_parts import ROUND, StyleLayer, by_major, by_zoom, ink, label_layout, style_layer


def land_use(source: str, name: str) -> list[StyleLayer]:
    """Muted fills by class, without edges until plots are large enough to tell apart."""
    return [
        style_layer(
            "fill", "fill", source, name, "", "",
            paint={
                "fill-color": by_major(
                    "class_code", "land_use_class", palette.LAND_USE, palette.LAND
                ),
                "fill-opacity": by_zoom((9, 0.6), (13, 0.9)),
            },
        ),
        style_layer(
            "line", "edge", source, name, "界线", ", edges", minzoom=15,
            paint={"line-color": "rgba(120,110,95,0.22)", "line-width": 0.6},
        ),
    ]  # fmt: skip


def water(source: str, name: str) -> list[StyleLayer]:
    """Soft blue with a slightly darker bank."""
    return [
        style_layer("fill", "fill", source, name, "", "", paint={"fill-color": palette.WATER}),
        style_layer(
            "line", "edge", source, name, "岸线", ", banks", minzoom=12,
            paint={
                "line-color": palette.WATER_EDGE,
                "line-width": by_zoom((12, 0.4), (18, 1.4)),
            },
        ),
    ]  # fmt: skip


def water_labels(source: str, name: str) -> list[StyleLayer]:
    """Names of waters."""
    return [
        style_layer(
            "symbol", "label", source, name, "注记", ", names", minzoom=11, where=["has", "name"],
            layout=label_layout(
                "name", by_zoom((11, 11), (16, 14)), text_letter_spacing=0.15, text_max_width=8
            ),
            paint=ink(palette.WATER_TEXT),
        )
    ]  # fmt: skip


def buildings(source: str, name: str) -> list[StyleLayer]:
    """Warm grey; outlines from zoom 15.5, where single houses become readable."""
    return [
        style_layer(
            "fill", "fill", source, name, "", "",
            paint={
                "fill-color": palette.BUILDING,
                "fill-opacity": by_zoom((12, 0.45), (14, 0.75), (16, 1)),
            },
        ),
        style_layer(
            "line", "edge", source, name, "轮廓", ", outlines", minzoom=15.5,
            paint={
                "line-color": palette.BUILDING_EDGE,
                "line-width": by_zoom((15.5, 0.4), (19, 1.2)),
            },
        ),
    ]  # fmt: skip


def building_labels(source: str, name: str) -> list[StyleLayer]:
    """Names of buildings."""
    return [
        style_layer(
            "symbol", "label", source, name, "注记", ", names", minzoom=16.5,
            where=["has", "name"],
            layout=label_layout(
                "name", by_zoom((16.5, 10), (19, 13)), text_max_width=7, text_padding=4
            ),
            paint=ink("#857a6c"),
        )
    ]  # fmt: skip


def _road_filter(road: palette.RoadStyle) -> list[Any]:
    """Roads of a rank; the lowest takes what no other rank names."""
    if road.classes:
        return _is_class(*road.classes)
    named = [code for other in palette.ROADS for code in other.classes]
    return ["match", ["get", "road_class"], [*named, *palette.PATHS, *palette.RAILS], False, True]


def _is_class(*classes: str) -> list[Any]:
    return ["match", ["get", "road_class"], list(classes), True, False]


def _road_width(road: palette.RoadStyle, extra: float = 0.0) -> list[Any]:
    stops = zip((8, 12, 16, 20), road.widths, strict=True)
    return by_zoom(*((zoom, width + extra) for zoom, width in stops), base=1.4)


def road_casings(source: str, name: str) -> list[StyleLayer]:
    """Edges of all ranks below all fills, so that crossings look joined."""
    return [
        style_layer(
            "line", f"{road.rank}-casing", source, name, "边线", ", casing",
            minzoom=max(road.from_zoom, 11), where=_road_filter(road), layout=ROUND,
            paint={"line-color": road.casing, "line-width": _road_width(road, 1.6)},
        )
        for road in palette.ROADS
    ]  # fmt: skip


def paths_and_rails(source: str, name: str) -> list[StyleLayer]:
    """Paths as dashes, railways as a banded line."""
    return [
        style_layer(
            "line", "path", source, name, "小路", ", paths", minzoom=15,
            where=_is_class(*palette.PATHS),
            paint={
                "line-color": palette.PATH_LINE,
                "line-width": by_zoom((15, 0.8), (19, 2)),
                "line-dasharray": [2.5, 1.5],
            },
        ),
        style_layer(
            "line", "rail", source, name, "铁路", ", railways", minzoom=8,
            where=_is_class(*palette.RAILS),
            paint={
                "line-color": palette.RAIL_LINE,
                "line-width": by_zoom((8, 0.6), (14, 2), (18, 5)),
            },
        ),
        style_layer(
            "line", "rail-band", source, name, "铁路白段", ", railway bands", minzoom=13,
            where=_is_class(*palette.RAILS),
            paint={
                "line-color": "#ffffff",
                "line-width": by_zoom((13, 0.9), (18, 3.2)),
                "line-dasharray": [5, 5],
            },
        ),
    ]  # fmt: skip


def roads(source: str, name: str) -> list[StyleLayer]:
    """Fills by rank, low ranks first."""
    return [
        style_layer(
            "line", road.rank, source, name, "", "",
            minzoom=road.from_zoom, where=_road_filter(road), layout=ROUND,
            paint={
                # before there are casings a white road would vanish on the pale sheet; by_zoom,
                # for QGIS draws a road of colours in steps black
                "line-color": by_zoom((11.4, road.casing), (11.5, road.fill)),
                "line-width": _road_width(road),
            },
        )
        for road in palette.ROADS
    ]  # fmt: skip


def road_labels(source: str, name: str) -> list[StyleLayer]:
    """Names along the roads, upright for Chinese."""
    return [
        style_layer(
            "symbol", f"{road.rank}-label", source, name, "注记", ", names",
            minzoom=max(road.from_zoom + 4, 12), where=["all", ["has", "name"], _road_filter(road)],
            layout=label_layout(
                "name", by_zoom((12, 10), (18, 14)), symbol_placement="line", symbol_spacing=320,
                text_letter_spacing=0.12, text_max_angle=40, text_padding=6,
            ),
            paint=ink(palette.ROAD_TEXT),
        )
        for road in palette.ROADS
    ]  # fmt: skip


def _border(
    source: str, name: str, color: str, dash: list[float], width: list[Any]
) -> list[StyleLayer]:
    return [
        style_layer(
            "line", "glow", source, name, "界线底色", ", boundary halo",
            layout={"line-join": "round"},
            paint={"line-color": color, "line-opacity": 0.14, "line-width": 5, "line-blur": 2},
        ),
        style_layer(
            "line", "border", source, name, "界线", ", boundaries",
            layout={"line-join": "round"},
            paint={"line-color": color, "line-width": width, "line-dasharray": dash},
        ),
    ]  # fmt: skip


def county_lines(source: str, name: str) -> list[StyleLayer]:
    """County boundaries."""
    width = by_zoom((5, 0.8), (12, 1.8), (18, 2.4))
    return _border(source, name, palette.COUNTY_LINE, [6, 2, 1.5, 2], width)


def town_lines(source: str, name: str) -> list[StyleLayer]:
    """Town boundaries."""
    return _border(
        source, name, palette.TOWN_LINE, [4, 2.5], by_zoom((8, 0.5), (12, 1.1), (18, 1.8))
    )


def village_lines(source: str, name: str) -> list[StyleLayer]:
    """Village boundaries, without a halo."""
    lines = _border(source, name, palette.VILLAGE_LINE, [2, 2], by_zoom((11, 0.4), (18, 1.2)))
    return lines[1:]


def _area_labels(
    source: str, name: str, color: str, size: list[Any], last: float, spacing: float, bold: bool
) -> list[StyleLayer]:
    return [
        style_layer(
            "symbol", "label", source, name, "注记", ", names", maxzoom=last,
            source_layer=name + LABEL_SUFFIX,
            layout=label_layout(
                "name", size, bold=bold, text_letter_spacing=spacing, text_max_width=8,
                text_padding=8,
            ),
            paint=ink(color, 1.6),
        )
    ]  # fmt: skip


def county_labels(source: str, name: str) -> list[StyleLayer]:
    """Names of counties, from their label points."""
    size = by_zoom((5, 11), (8, 15), (11, 20))
    return _area_labels(source, name, palette.COUNTY_TEXT, size, 11, 0.2, True)


def town_labels(source: str, name: str) -> list[StyleLayer]:
    """Names of towns."""
    size = by_zoom((9, 11), (12, 14), (14, 16))
    return _area_labels(source, name, palette.TOWN_TEXT, size, 15, 0.1, False)


def village_labels(source: str, name: str) -> list[StyleLayer]:
    """Names of villages and communities."""
    size = by_zoom((12, 10.5), (16, 13))
    return _area_labels(source, name, palette.VILLAGE_TEXT, size, 18, 0.05, False)
