"""Style layers of each family of the base map, as MapLibre style specification objects.

Every function takes the names of a source and of a tile layer and returns layers from the bottom
up; ``metadata.title`` is the suffix to the layer's own title.
"""

from __future__ import annotations

from typing import Any

from layers.codes import code_list
from tiles import palette
from tiles.sql import LABEL_SUFFIX

FONT = ["Noto Sans CJK SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", "sans-serif"]
"""Fonts of the client, in order of preference."""

BOLD = ["Noto Sans CJK SC Bold", *FONT]

StyleLayer = dict[str, Any]


def _zoom(*stops: tuple[float, Any], base: float = 1.0) -> list[Any]:
    """An interpolation over the zoom: exponential with ``base``, linear by default."""
    kind: list[Any] = ["linear"] if base == 1.0 else ["exponential", base]
    return ["interpolate", kind, ["zoom"], *(part for stop in stops for part in stop)]


def _layer(
    kind: str,
    role: str,
    source: str,
    name: str,
    zh: str,
    en: str,
    *,
    minzoom: float | None = None,
    maxzoom: float | None = None,
    source_layer: str | None = None,
    where: list[Any] | None = None,
    layout: dict[str, Any] | None = None,
    paint: dict[str, Any] | None = None,
) -> StyleLayer:
    body: StyleLayer = {
        "id": f"{name}-{role}",
        "type": kind,
        "source": source,
        "source-layer": source_layer or name,
        "metadata": {"title": {"zh": zh, "en": en}},
    }
    optional = {
        "minzoom": minzoom,
        "maxzoom": maxzoom,
        "filter": where,
        "layout": layout,
        "paint": paint,
    }
    return body | {key: value for key, value in optional.items() if value is not None}


def _text(field: str, size: Any, *, bold: bool = False, **more: Any) -> dict[str, Any]:
    return {
        "text-field": ["get", field],
        "text-font": BOLD if bold else FONT,
        "text-size": size,
        **{key.replace("_", "-"): value for key, value in more.items()},
    }


def _ink(color: str, width: float = 1.4) -> dict[str, Any]:
    return {
        "text-color": color,
        "text-halo-color": palette.HALO,
        "text-halo-width": width,
        "text-halo-blur": 0.4,
    }


def _major(field: str) -> list[Any]:
    """The first two digits of a class code."""
    return ["slice", ["to-string", ["get", field]], 0, 2]


def land_use(source: str, name: str) -> list[StyleLayer]:
    """Muted fills by class, without edges until plots are large enough to tell apart."""
    colours = [part for pair in palette.LAND_USE.items() for part in pair]
    return [
        _layer(
            "fill", "fill", source, name, "", "",
            paint={
                "fill-color": ["match", _major("class_code"), *colours, palette.LAND],
                "fill-opacity": _zoom((9, 0.6), (13, 0.9)),
            },
        ),
        _layer(
            "line", "edge", source, name, "界线", ", edges", minzoom=15,
            paint={"line-color": "rgba(120,110,95,0.22)", "line-width": 0.6},
        ),
    ]  # fmt: skip


def water(source: str, name: str) -> list[StyleLayer]:
    """Soft blue with a slightly darker bank."""
    return [
        _layer("fill", "fill", source, name, "", "", paint={"fill-color": palette.WATER}),
        _layer(
            "line", "edge", source, name, "岸线", ", banks", minzoom=12,
            paint={
                "line-color": palette.WATER_EDGE,
                "line-width": _zoom((12, 0.4), (18, 1.4)),
            },
        ),
    ]  # fmt: skip


def water_labels(source: str, name: str) -> list[StyleLayer]:
    """Names of waters."""
    return [
        _layer(
            "symbol", "label", source, name, "注记", ", names", minzoom=11, where=["has", "name"],
            layout=_text(
                "name", _zoom((11, 11), (16, 14)), text_letter_spacing=0.15, text_max_width=8
            ),
            paint=_ink(palette.WATER_TEXT),
        )
    ]  # fmt: skip


def buildings(source: str, name: str) -> list[StyleLayer]:
    """Warm grey; outlines from zoom 15.5, where single houses become readable."""
    return [
        _layer(
            "fill", "fill", source, name, "", "",
            paint={
                "fill-color": palette.BUILDING,
                "fill-opacity": _zoom((12, 0.45), (14, 0.75), (16, 1)),
            },
        ),
        _layer(
            "line", "edge", source, name, "轮廓", ", outlines", minzoom=15.5,
            paint={
                "line-color": palette.BUILDING_EDGE,
                "line-width": _zoom((15.5, 0.4), (19, 1.2)),
            },
        ),
    ]  # fmt: skip


def building_labels(source: str, name: str) -> list[StyleLayer]:
    """Names of buildings."""
    return [
        _layer(
            "symbol", "label", source, name, "注记", ", names", minzoom=16.5,
            where=["has", "name"],
            layout=_text("name", _zoom((16.5, 10), (19, 13)), text_max_width=7, text_padding=4),
            paint=_ink("#857a6c"),
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
    return _zoom(*((zoom, width + extra) for zoom, width in stops), base=1.4)


_ROUND = {"line-cap": "round", "line-join": "round"}


def road_casings(source: str, name: str) -> list[StyleLayer]:
    """Edges of all ranks below all fills, so that crossings look joined."""
    return [
        _layer(
            "line", f"{road.rank}-casing", source, name, "边线", ", casing",
            minzoom=max(road.from_zoom, 11), where=_road_filter(road), layout=_ROUND,
            paint={"line-color": road.casing, "line-width": _road_width(road, 1.6)},
        )
        for road in palette.ROADS
    ]  # fmt: skip


def paths_and_rails(source: str, name: str) -> list[StyleLayer]:
    """Paths as dashes, railways as a banded line."""
    return [
        _layer(
            "line", "path", source, name, "小路", ", paths", minzoom=15,
            where=_is_class(*palette.PATHS),
            paint={
                "line-color": palette.PATH_LINE,
                "line-width": _zoom((15, 0.8), (19, 2)),
                "line-dasharray": [2.5, 1.5],
            },
        ),
        _layer(
            "line", "rail", source, name, "铁路", ", railways", minzoom=8,
            where=_is_class(*palette.RAILS),
            paint={
                "line-color": palette.RAIL_LINE,
                "line-width": _zoom((8, 0.6), (14, 2), (18, 5)),
            },
        ),
        _layer(
            "line", "rail-band", source, name, "铁路白段", ", railway bands", minzoom=13,
            where=_is_class(*palette.RAILS),
            paint={
                "line-color": "#ffffff",
                "line-width": _zoom((13, 0.9), (18, 3.2)),
                "line-dasharray": [5, 5],
            },
        ),
    ]  # fmt: skip


def roads(source: str, name: str) -> list[StyleLayer]:
    """Fills by rank, low ranks first."""
    return [
        _layer(
            "line", road.rank, source, name, "", "",
            minzoom=road.from_zoom, where=_road_filter(road), layout=_ROUND,
            paint={
                # before there are casings a white road would vanish on the pale sheet
                "line-color": ["step", ["zoom"], road.casing, 11.5, road.fill],
                "line-width": _road_width(road),
            },
        )
        for road in palette.ROADS
    ]  # fmt: skip


def road_labels(source: str, name: str) -> list[StyleLayer]:
    """Names along the roads, upright for Chinese."""
    return [
        _layer(
            "symbol", f"{road.rank}-label", source, name, "注记", ", names",
            minzoom=max(road.from_zoom + 4, 12), where=["all", ["has", "name"], _road_filter(road)],
            layout=_text(
                "name", _zoom((12, 10), (18, 14)), symbol_placement="line", symbol_spacing=320,
                text_letter_spacing=0.12, text_max_angle=40, text_padding=6,
            ),
            paint=_ink(palette.ROAD_TEXT),
        )
        for road in palette.ROADS
    ]  # fmt: skip


def _border(
    source: str, name: str, color: str, dash: list[float], width: list[Any]
) -> list[StyleLayer]:
    return [
        _layer(
            "line", "glow", source, name, "界线底色", ", boundary halo",
            layout={"line-join": "round"},
            paint={"line-color": color, "line-opacity": 0.14, "line-width": 5, "line-blur": 2},
        ),
        _layer(
            "line", "border", source, name, "界线", ", boundaries",
            layout={"line-join": "round"},
            paint={"line-color": color, "line-width": width, "line-dasharray": dash},
        ),
    ]  # fmt: skip


def county_lines(source: str, name: str) -> list[StyleLayer]:
    """County boundaries."""
    width = _zoom((5, 0.8), (12, 1.8), (18, 2.4))
    return _border(source, name, palette.COUNTY_LINE, [6, 2, 1.5, 2], width)


def town_lines(source: str, name: str) -> list[StyleLayer]:
    """Town boundaries."""
    return _border(source, name, palette.TOWN_LINE, [4, 2.5], _zoom((8, 0.5), (12, 1.1), (18, 1.8)))


def village_lines(source: str, name: str) -> list[StyleLayer]:
    """Village boundaries, without a halo."""
    lines = _border(source, name, palette.VILLAGE_LINE, [2, 2], _zoom((11, 0.4), (18, 1.2)))
    return lines[1:]


def _area_labels(
    source: str, name: str, color: str, size: list[Any], last: float, spacing: float, bold: bool
) -> list[StyleLayer]:
    return [
        _layer(
            "symbol", "label", source, name, "注记", ", names", maxzoom=last,
            source_layer=name + LABEL_SUFFIX,
            layout=_text(
                "name", size, bold=bold, text_letter_spacing=spacing, text_max_width=8,
                text_padding=8,
            ),
            paint=_ink(color, 1.6),
        )
    ]  # fmt: skip


def county_labels(source: str, name: str) -> list[StyleLayer]:
    """Names of counties, from their label points."""
    size = _zoom((5, 11), (8, 15), (11, 20))
    return _area_labels(source, name, palette.COUNTY_TEXT, size, 11, 0.2, True)


def town_labels(source: str, name: str) -> list[StyleLayer]:
    """Names of towns."""
    size = _zoom((9, 11), (12, 14), (14, 16))
    return _area_labels(source, name, palette.TOWN_TEXT, size, 15, 0.1, False)


def village_labels(source: str, name: str) -> list[StyleLayer]:
    """Names of villages and communities."""
    size = _zoom((12, 10.5), (16, 13))
    return _area_labels(source, name, palette.VILLAGE_TEXT, size, 18, 0.05, False)


def unit_grid(source: str, name: str) -> list[StyleLayer]:
    """Cells of the unit grid as thin lines; an invisible fill makes them clickable."""
    return [
        _layer(
            "fill", "fill", source, name, "", "", minzoom=14,
            paint={"fill-color": palette.GRID_LINE, "fill-opacity": 0.03},
        ),
        _layer(
            "line", "line", source, name, "边界", ", edges", minzoom=14,
            paint={
                "line-color": palette.GRID_LINE,
                "line-opacity": 0.7,
                "line-width": _zoom((14, 0.4), (18, 1.2)),
                "line-dasharray": [3, 2],
            },
        ),
    ]  # fmt: skip


def unit_grid_labels(source: str, name: str) -> list[StyleLayer]:
    """Codes of the cells."""
    return [
        _layer(
            "symbol", "label", source, name, "编码", ", codes", minzoom=17.5, where=["has", "id"],
            layout=_text("id", 9.5, text_padding=12),
            paint=_ink(palette.GRID_TEXT, 1.2),
        )
    ]  # fmt: skip


def _pipeline_colour() -> list[Any]:
    """The colours that CJJ 61-2017, annex B, prescribes for the classes."""
    pairs: list[Any] = []
    for code, entry in code_list("pipeline_class").entries.items():
        pairs += [code, "rgb({})".format(",".join(entry.extra["rgb"].split()))]
    return ["match", ["get", "class_code"], *pairs, palette.UNKNOWN_PIPE]


def pipelines(source: str, name: str) -> list[StyleLayer]:
    """Pipelines in the colours of CJJ 61-2017 on a thin dark edge (cyan and green are pale)."""
    width = _zoom((13, 0.6), (16, 1.8), (20, 5), base=1.2)
    edge = _zoom((13, 1.2), (16, 2.6), (20, 6.4), base=1.2)
    return [
        _layer(
            "line", "edge", source, name, "边线", ", casing", minzoom=15, layout=_ROUND,
            paint={"line-color": "rgba(60,60,60,0.45)", "line-width": edge},
        ),
        _layer(
            "line", "line", source, name, "", "", layout=_ROUND,
            paint={
                "line-color": _pipeline_colour(),
                "line-width": width,
                "line-opacity": _zoom((13, 0.5), (16, 1)),
            },
        ),
        _layer(
            "symbol", "label", source, name, "管径材质", ", section and material", minzoom=17.5,
            layout={
                "text-field": [
                    "concat",
                    ["coalesce", ["get", "section_mm"], ""], " ",
                    ["coalesce", ["get", "material"], ""],
                ],
                "text-font": FONT, "text-size": 10, "symbol-placement": "line",
                "symbol-spacing": 260, "text-offset": [0, -0.9],
            },
            paint=_ink("#444444"),
        ),
    ]  # fmt: skip


def pipeline_points(source: str, name: str) -> list[StyleLayer]:
    """Wells, valves and bends."""
    return [
        _layer(
            "circle", "dot", source, name, "", "",
            paint={
                "circle-radius": _zoom((16, 1.6), (20, 5)),
                "circle-color": "#ffffff",
                "circle-stroke-color": _pipeline_colour(),
                "circle-stroke-width": _zoom((16, 0.8), (20, 2)),
            },
        )
    ]  # fmt: skip


def components(source: str, name: str) -> list[StyleLayer]:
    """City components, coloured by major class."""
    colours = [part for pair in palette.COMPONENT.items() for part in pair]
    return [
        _layer(
            "circle", "dot", source, name, "", "", minzoom=15,
            paint={
                "circle-radius": _zoom((15, 1.2), (17, 2.6), (20, 6)),
                "circle-color": ["match", _major("class_code"), *colours, "#7d7d7d"],
                "circle-opacity": _zoom((15, 0.65), (17, 0.9)),
                "circle-stroke-color": "#ffffff",
                "circle-stroke-width": _zoom((15, 0), (17, 0.8)),
            },
        )
    ]  # fmt: skip


def component_labels(source: str, name: str) -> list[StyleLayer]:
    """Names of components."""
    return [
        _layer(
            "symbol", "label", source, name, "注记", ", names", minzoom=18.2,
            where=["has", "name"],
            layout=_text("name", 10, text_anchor="top", text_offset=[0, 0.6], text_optional=True),
            paint=_ink("#5a6470"),
        )
    ]  # fmt: skip


def events(source: str, name: str) -> list[StyleLayer]:
    """Reported events."""
    return [
        _layer(
            "circle", "dot", source, name, "", "",
            paint={
                "circle-radius": _zoom((12, 1.4), (15, 2.8), (18, 6)),
                "circle-color": palette.EVENT_DOT,
                "circle-opacity": _zoom((12, 0.7), (16, 0.95)),
                "circle-stroke-color": "#ffffff",
                "circle-stroke-width": _zoom((12, 0.4), (16, 1.2)),
            },
        )
    ]  # fmt: skip


def poi_dots(source: str, name: str) -> list[StyleLayer]:
    """Points of interest."""
    return [
        _layer(
            "circle", "dot", source, name, "", "", minzoom=14.5,
            paint={
                "circle-radius": _zoom((14.5, 1.8), (18, 3.4)),
                "circle-color": palette.POI_DOT,
                "circle-stroke-color": "#ffffff",
                "circle-stroke-width": 1,
            },
        )
    ]  # fmt: skip


def poi_labels(source: str, name: str) -> list[StyleLayer]:
    """Names of points of interest."""
    return [
        _layer(
            "symbol", "label", source, name, "注记", ", names", minzoom=15,
            layout=_text(
                "name", _zoom((15, 10.5), (18, 13)), text_anchor="top", text_offset=[0, 0.5],
                text_max_width=8, text_padding=6,
            ),
            paint=_ink(palette.POI_TEXT),
        )
    ]  # fmt: skip


def house_numbers(source: str, name: str) -> list[StyleLayer]:
    """House numbers."""
    return [
        _layer(
            "symbol", "label", source, name, "门牌号", ", house numbers", minzoom=17,
            where=["has", "number"],
            layout=_text("number", _zoom((17, 9), (20, 12)), text_padding=3),
            paint=_ink(palette.NUMBER_TEXT, 1.0),
        )
    ]  # fmt: skip
