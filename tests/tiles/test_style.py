"""The base map is drawn by QGIS too: only what its style reader knows (seen with QGIS 3.22)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from layers.codes import code_list
from tiles import palette
from tiles.style_layers import land_use, roads
from tiles.style_themes import components, pipeline_points, pipelines

UNREAD_BY_QGIS = {"step", "slice", "to-string", "case", "let", "var", "index-of", "length"}
"""QGIS 3.22 leaves out a colour made by these: roads were black, components red."""


def colours() -> Iterator[tuple[str, Any]]:
    for make in (land_use, roads, components, pipelines, pipeline_points):
        for layer in make("s", "t"):
            for name, value in layer.get("paint", {}).items():
                if name.endswith("-color"):
                    yield f"{layer['id']} {name}", value


def operators(expression: Any) -> Iterator[str]:
    if isinstance(expression, list) and expression:
        if isinstance(expression[0], str):
            yield expression[0]
        for part in expression:
            yield from operators(part)


def test_colours_use_no_expression_that_qgis_leaves_out() -> None:
    for where, value in colours():
        assert not UNREAD_BY_QGIS & set(operators(value)), where


def test_texts_are_a_field_or_fields_in_braces() -> None:
    """QGIS 3.22 leaves out a label of any other expression."""
    texts = [layer["layout"]["text-field"] for layer in pipelines("s", "t") if "layout" in layer
             and "text-field" in layer["layout"]]  # fmt: skip
    assert texts == ["{section_mm} {material}"]


def test_labels_of_a_match_are_lists() -> None:
    """QGIS 3.22 makes `IN ()` of a label outside a list, and that colour is never drawn."""
    matches = [(where, v) for where, v in colours() if isinstance(v, list) and v[0] == "match"]
    assert len(matches) >= 4
    for where, (_, of, *pairs, other) in matches:
        assert of[0] == "get", where
        assert all(isinstance(label, list) and label for label in pairs[::2]), where
        assert all(isinstance(colour, str) for colour in (*pairs[1::2], other)), where


def test_every_class_has_the_colour_of_its_major_class() -> None:
    for make, domain, of_major, other in (
        (land_use, "land_use_class", palette.LAND_USE, palette.LAND),
        (components, "component_class", palette.COMPONENT, "#7d7d7d"),
    ):
        paint = make("s", "t")[0]["paint"]
        drawn = paint.get("fill-color") or paint["circle-color"]
        colour_of = {
            code: colour
            for codes, colour in zip(drawn[2:-1:2], drawn[3:-1:2], strict=True)
            for code in codes
        }
        assert drawn[-1] == other
        for code in code_list(domain).entries:
            assert colour_of.get(code, other) == of_major.get(code[:2], other)
