"""The findings of a run as a DXF to lay over a survey firm's own drawing: a layer a rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ezdxf
from ezdxf import units
from ezdxf.document import Drawing

from etl.checks.rules import RULES
from etl.datum import DatumChain
from etl.report.findings import StoredFinding

RADIUS_M = 2.0
TEXT_M = 1.25
"""2.5 mm on a 1:500 map."""
_COLOURS = (1, 30, 5, 6, 3, 4, 2, 40, 140, 200)
_LONGEST = 160
_STYLE = "HZ"


@dataclass(frozen=True, slots=True)
class Drawn:
    """What went into the drawing; `without_place` findings are in the list only."""

    marks: int
    without_place: int
    coordsys: str


def write_drawing(
    report: Mapping[str, Any],
    findings: Iterable[StoredFinding],
    target: Path,
    plane: DatumChain,
) -> Drawn:
    """Write a circle and a text beside it for each finding, in metres of the grid of `plane`.

    x = east, y = north, as CAD draws the plane grids of China. DXF 2000 in GBK, which every CAD of
    a survey firm opens; GDAL 3.6 takes the UTF-8 of later versions for the header's code page.
    """
    drawing = ezdxf.new("R2000")  # type: ignore[attr-defined]
    drawing.encoding = "gbk"
    drawing.units = units.M
    drawing.styles.add(_STYLE, font="simsun.ttc")
    space = drawing.modelspace()
    marks = missing = 0
    below: dict[tuple[str | None, int | None], int] = {}
    for finding in findings:
        if finding.lon is None or finding.lat is None:
            missing += 1
            continue
        east, north = plane.point(finding.lon, finding.lat)
        if north != north:  # a place that the grid cannot hold
            missing += 1
            continue
        layer = _layer(drawing, finding.rule)
        at = (finding.file, finding.row)
        line = below[at] = below.get(at, -1) + 1
        if line == 0:
            space.add_circle((east, north), RADIUS_M, dxfattribs={"layer": layer})
        space.add_point((east, north), dxfattribs={"layer": layer})
        text = space.add_text(
            _text(finding), height=TEXT_M, dxfattribs={"layer": layer, "style": _STYLE}
        )
        text.set_placement((east + 1.5 * RADIUS_M, north - line * 1.6 * TEXT_M))
        marks += 1
    title = f"{report['layer_title']} 批次 {report['run']} {plane.target.name}"
    drawing.header.custom_vars.append("TITLE", title)
    drawing.saveas(target)
    return Drawn(marks, missing, plane.target.name)


def _layer(drawing: Drawing, rule: str) -> str:
    spec = RULES.get(rule)
    title = rule if spec is None else spec.title.partition(" ")[0]
    # these characters may not stand in the name of a CAD layer
    name = "检查-" + "".join("_" if c in '<>/\\":;?*|=`,' else c for c in title)
    if name not in drawing.layers:
        colour = _COLOURS[(len(drawing.layers) - 2) % len(_COLOURS)]
        drawing.layers.add(name, color=colour)
    return name


def _text(finding: StoredFinding) -> str:
    number = finding.id or ("" if finding.row is None else f"第{finding.row}行")
    text = f"{number} {' '.join(finding.reason.split())}"
    # %% starts a control code in a CAD text, ^ a control character
    text = text.replace("%%", "% %").replace("^", "＾")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
