"""Style layers of the themes on the base map, as MapLibre style specification objects.

Every function takes the names of a source and of a tile layer and returns layers from the bottom
up; ``metadata.title`` is the suffix to the layer's own title.
"""

from __future__ import annotations

from typing import Any

from layers.codes import code_list
from tiles import palette
from tiles.style_parts import (
    FONT,
    ROUND,
    StyleLayer,
    by_major,
    by_zoom,
    ink,
    label_layout,
    style_layer,
)


def unit_grid(source: str, name: str) -> list[StyleLayer]:
    """Cells of the unit grid as thin lines; an invisible fill makes them clickable."""
    return [
        style_layer(
            "fill", "fill", source, name, "", "", minzoom=14,
            paint={"fill-color": palette.GRID_LINE, "fill-opacity": 0.03},
        ),
        style_layer(
            "line", "line", source, name, "边界", ", edges", minzoom=14,
            paint={
                "line-color": palette.GRID_LINE,
                "line-opacity": 0.7,
                "line-width": by_zoom((14, 0.4), (18, 1.2)),
                "line-dasharray": [3, 2],
            },
        ),
    ]  # fmt: skip


def unit_grid_labels(source: str, name: str) -> list[StyleLayer]:
    """Codes of the cells."""
    return [
        style_layer(
            "symbol", "label", source, name, "编码", ", codes", minzoom=17.5, where=["has", "id"],
            layout=label_layout("id", 9.5, text_padding=12),
            paint=ink(palette.GRID_TEXT, 1.2),
        )
    ]  # fmt: skip


def _pipeline_colour() -> list[Any]:
    """The colours that CJJ 61-2017, annex B, prescribes for the classes."""
    pairs: list[Any] = []
    for code, entry in code_list("pipeline_class").entries.items():
        pairs += [[code], "rgb({})".format(",".join(entry.extra["rgb"].split()))]
    return ["match", ["get", "class_code"], *pairs, palette.UNKNOWN_PIPE]


def pipelines(source: str, name: str) -> list[StyleLayer]:
    """Pipelines in the colours of CJJ 61-2017 on a thin dark edge (cyan and green are pale)."""
    width = by_zoom((13, 0.6), (16, 1.8), (20, 5), base=1.2)
    edge = by_zoom((13, 1.2), (16, 2.6), (20, 6.4), base=1.2)
    return [
        style_layer(
            "line", "edge", source, name, "边线", ", casing", minzoom=15, layout=ROUND,
            paint={"line-color": "rgba(60,60,60,0.45)", "line-width": edge},
        ),
        style_layer(
            "line", "line", source, name, "", "", layout=ROUND,
            paint={
                "line-color": _pipeline_colour(),
                "line-width": width,
                "line-opacity": by_zoom((13, 0.5), (16, 1)),
            },
        ),
        style_layer(
            "symbol", "label", source, name, "管径材质", ", section and material", minzoom=17.5,
            layout={
                "text-field": "{section_mm} {material}",  # QGIS reads no concat
                "text-font": FONT, "text-size": 10, "symbol-placement": "line",
                "symbol-spacing": 260, "text-offset": [0, -0.9],
            },
            paint=ink("#444444"),
        ),
    ]  # fmt: skip


def pipeline_points(source: str, name: str) -> list[StyleLayer]:
    """Wells, valves and bends."""
    return [
        style_layer(
            "circle", "dot", source, name, "", "",
            paint={
                "circle-radius": by_zoom((16, 1.6), (20, 5)),
                "circle-color": "#ffffff",
                "circle-stroke-color": _pipeline_colour(),
                "circle-stroke-width": by_zoom((16, 0.8), (20, 2)),
            },
        )
    ]  # fmt: skip


def components(source: str, name: str) -> list[StyleLayer]:
    """City components, coloured by major class."""
    return [
        style_layer(
            "circle", "dot", source, name, "", "", minzoom=15,
            paint={
                "circle-radius": by_zoom((15, 1.2), (17, 2.6), (20, 6)),
                "circle-color": by_major(
                    "class_code", "component_class", palette.COMPONENT, "#7d7d7d"
                ),
                "circle-opacity": by_zoom((15, 0.65), (17, 0.9)),
                "circle-stroke-color": "#ffffff",
                "circle-stroke-width": by_zoom((15, 0), (17, 0.8)),
            },
        )
    ]  # fmt: skip


def component_labels(source: str, name: str) -> list[StyleLayer]:
    """Names of components."""
    return [
        style_layer(
            "symbol", "label", source, name, "注记", ", names", minzoom=18.2,
            where=["has", "name"],
            layout=label_layout(
                "name", 10, text_anchor="top", text_offset=[0, 0.6], text_optional=True
            ),
            paint=ink("#5a6470"),
        )
    ]  # fmt: skip


def events(source: str, name: str) -> list[StyleLayer]:
    """Reported events."""
    return [
        style_layer(
            "circle", "dot", source, name, "", "",
            paint={
                "circle-radius": by_zoom((12, 1.4), (15, 2.8), (18, 6)),
                "circle-color": palette.EVENT_DOT,
                "circle-opacity": by_zoom((12, 0.7), (16, 0.95)),
                "circle-stroke-color": "#ffffff",
                "circle-stroke-width": by_zoom((12, 0.4), (16, 1.2)),
            },
        )
    ]  # fmt: skip


def poi_dots(source: str, name: str) -> list[StyleLayer]:
    """Points of interest."""
    return [
        style_layer(
            "circle", "dot", source, name, "", "", minzoom=14.5,
            paint={
                "circle-radius": by_zoom((14.5, 1.8), (18, 3.4)),
                "circle-color": palette.POI_DOT,
                "circle-stroke-color": "#ffffff",
                "circle-stroke-width": 1,
            },
        )
    ]  # fmt: skip


def poi_labels(source: str, name: str) -> list[StyleLayer]:
    """Names of points of interest."""
    return [
        style_layer(
            "symbol", "label", source, name, "注记", ", names", minzoom=15,
            layout=label_layout(
                "name", by_zoom((15, 10.5), (18, 13)), text_anchor="top", text_offset=[0, 0.5],
                text_max_width=8, text_padding=6,
            ),
            paint=ink(palette.POI_TEXT),
        )
    ]  # fmt: skip


def house_numbers(source: str, name: str) -> list[StyleLayer]:
    """House numbers."""
    return [
        style_layer(
            "symbol", "label", source, name, "门牌号", ", house numbers", minzoom=17,
            where=["has", "number"],
            layout=label_layout("number", by_zoom((17, 9), (20, 12)), text_padding=3),
            paint=ink(palette.NUMBER_TEXT, 1.0),
        )
    ]  # fmt: skip
