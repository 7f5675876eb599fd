"""The base map as a MapLibre style, built from the layers that a principal may see.

No ``glyphs`` and no ``sprite``: MapLibre GL JS draws all text with the fonts of the client, so no
glyph server is needed and characters outside the BMP (輋𣒍村) are drawn like any other. Every URL
points at this service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from layers.catalogue import PublishedLayer
from layers.definition import Title
from tiles import style_layers, style_themes
from tiles.grids import WEB_MERCATOR_QUAD
from tiles.metadata import OVERZOOM, bounds_of, zoom_range
from tiles.palette import LAND
from tiles.sql import tile_fields

BASEMAP = "basemap"
TITLE = Title("底图", "Base map")

FAMILIES = (
    "division_county", "division_town", "division_village", "land_use", "water", "building",
    "road", "unit_grid", "pipeline_line", "pipeline_point", "component", "event", "poi", "address",
)  # fmt: skip
"""Layers that the style knows how to draw; ``x_<set>_<family>`` is drawn like its family."""

_ENDINGS = {"county": "division_county", "pipeline": "pipeline_line"}
"""Other last words of names of sets beside the city's own, and the family they are drawn as."""

SOURCES = {
    "unit_grid": "management",
    "component": "management",
    "event": "management",
    "pipeline_line": "pipelines",
    "pipeline_point": "pipelines",
}
"""Sources apart from ``base``: MapLibre fetches a source only while a layer of it is shown."""

Make = Callable[[str, str], list[dict[str, Any]]]
"""From source and tile layer to style layers."""

_DRAWING_ORDER: tuple[tuple[str, Make], ...] = (
    ("land_use", style_layers.land_use),
    ("water", style_layers.water),
    ("building", style_layers.buildings),
    ("unit_grid", style_themes.unit_grid),
    ("road", style_layers.paths_and_rails),
    ("road", style_layers.road_casings),
    ("road", style_layers.roads),
    ("division_village", style_layers.village_lines),
    ("division_town", style_layers.town_lines),
    ("division_county", style_layers.county_lines),
    ("pipeline_line", style_themes.pipelines),
    ("pipeline_point", style_themes.pipeline_points),
    ("component", style_themes.components),
    ("event", style_themes.events),
    ("poi", style_themes.poi_dots),
    ("address", style_themes.house_numbers),
    ("unit_grid", style_themes.unit_grid_labels),
    ("component", style_themes.component_labels),
    ("building", style_layers.building_labels),
    ("poi", style_themes.poi_labels),
    ("road", style_layers.road_labels),
    ("water", style_layers.water_labels),
    ("division_village", style_layers.village_labels),
    ("division_town", style_layers.town_labels),
    ("division_county", style_layers.county_labels),
)
"""From the bottom of the sheet to its top; labels placed later win over earlier ones."""


def family_of(name: str) -> str | None:
    """The family that a layer is drawn as, None where the style does not know it."""
    if name in FAMILIES:
        return name
    by_ending = {**{family: family for family in FAMILIES}, **_ENDINGS}
    return next((f for ending, f in by_ending.items() if name.endswith(f"_{ending}")), None)


def fields_used(expression: Any) -> set[str]:
    """Names of the properties that a style layer's expressions read."""
    if isinstance(expression, dict):
        return set().union(*(fields_used(value) for value in expression.values()))
    if not isinstance(expression, list):
        return set()
    if len(expression) == 2 and expression[0] in ("get", "has"):
        return {str(expression[1])}
    return set().union(*(fields_used(part) for part in expression))


def basemap(
    layers: Sequence[PublishedLayer],
    *,
    tiles_url: Callable[[Sequence[str]], str],
    title: Title,
    center: tuple[float, float],
) -> dict[str, Any]:
    """The style document. ``tiles_url`` turns layer names into a tile URL template ({z}/{y}/{x}).

    ``center`` is lon, lat in CGCS2000 degrees, which the map reads as WGS 84 (null step).
    """
    drawn = [
        layer
        for layer in layers
        if layer.extent is not None and family_of(layer.definition.name) is not None
    ]  # layers without data would only make the style longer
    sources: dict[str, list[PublishedLayer]] = {}
    for layer in drawn:
        sources.setdefault(_source(layer), []).append(layer)
    return {
        "version": 8,
        "name": f"{title.zh}{TITLE.zh} {title.en} {TITLE.en.lower()}",
        "metadata": {"title": {"zh": TITLE.zh, "en": TITLE.en}},
        "center": list(center),
        "zoom": 13,
        "sources": {
            name: _source_document(members, tiles_url) for name, members in sources.items()
        },
        "layers": [
            {
                "id": "background",
                "type": "background",
                "metadata": {"title": {"zh": "底色", "en": "Background"}},
                "paint": {"background-color": LAND},
            },
            *_style_layers(drawn),
        ],
    }


def _source(layer: PublishedLayer) -> str:
    return SOURCES.get(family_of(layer.definition.name) or "", "base")


def _source_document(
    layers: Sequence[PublishedLayer], tiles_url: Callable[[Sequence[str]], str]
) -> dict[str, Any]:
    low, high = zoom_range(layers, WEB_MERCATOR_QUAD, OVERZOOM)
    body: dict[str, Any] = {
        "type": "vector",
        "tiles": [tiles_url([layer.definition.name for layer in layers])],
        "minzoom": low,
        "maxzoom": high,
    }
    bounds = bounds_of(layers)
    if bounds is not None:
        body["bounds"] = list(bounds)
    return body


def _style_layers(layers: Iterable[PublishedLayer]) -> Iterable[dict[str, Any]]:
    members: dict[str, list[PublishedLayer]] = {}
    for layer in layers:
        members.setdefault(family_of(layer.definition.name) or "", []).append(layer)
    for family, make in _DRAWING_ORDER:
        for layer in members.get(family, ()):
            definition = layer.definition
            known = {field.name for field in tile_fields(definition)}
            for drawn in make(_source(layer), definition.name):
                if not fields_used(drawn) <= known:
                    continue  # a foreign set without the field, e.g. pipes without sections
                what = drawn["metadata"]["title"]
                yield {
                    **drawn,
                    "minzoom": max(drawn.get("minzoom", 0), definition.minimum_zoom),
                    "metadata": {
                        "layer": definition.name,
                        "theme": definition.theme,
                        "title": {
                            "zh": f"{definition.title.zh}{what['zh']}",
                            "en": f"{definition.title.en}{what['en']}",
                        },
                    },
                }
