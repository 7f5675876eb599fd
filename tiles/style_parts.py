"""Parts that style layers are put together from (MapLibre style specification objects)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from layers.codes import code_list
from tiles import palette

FONT = ["Noto Sans CJK SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", "sans-serif"]
"""Fonts of the client, in order of preference."""

BOLD = ["Noto Sans CJK SC Bold", *FONT]

StyleLayer = dict[str, Any]


def by_zoom(*stops: tuple[float, Any], base: float = 1.0) -> list[Any]:
    """An interpolation over the zoom: exponential with ``base``, linear by default."""
    kind: list[Any] = ["linear"] if base == 1.0 else ["exponential", base]
    return ["interpolate", kind, ["zoom"], *(part for stop in stops for part in stop)]


def style_layer(
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
    """A style layer; ``zh`` and ``en`` are the suffix to the title of the layer it draws."""
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


def label_layout(field: str, size: Any, *, bold: bool = False, **more: Any) -> dict[str, Any]:
    """Layout of a text from a field; further layout properties with _ for -."""
    return {
        "text-field": ["get", field],
        "text-font": BOLD if bold else FONT,
        "text-size": size,
        **{key.replace("_", "-"): value for key, value in more.items()},
    }


def ink(color: str, width: float = 1.4) -> dict[str, Any]:
    """Paint of a text: colour and halo."""
    return {
        "text-color": color,
        "text-halo-color": palette.HALO,
        "text-halo-width": width,
        "text-halo-blur": 0.4,
    }


def by_major(field: str, domain: str, colours: Mapping[str, str], other: str) -> list[Any]:
    """Colours by the first two digits of a class code, of all codes in the list `domain`.

    Codes are named one by one, each label a list: QGIS knows no `slice`, and no label outside one.
    """
    codes = code_list(domain).entries
    pairs: list[Any] = []
    for major, colour in colours.items():
        named = [code for code in codes if code.startswith(major)]
        if named:
            pairs += [named, colour]
    return ["match", ["get", field], *pairs, other]


ROUND = {"line-cap": "round", "line-join": "round"}
