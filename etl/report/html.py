"""A run's report as one HTML page that loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2

from etl.checks.finding import RULE_TITLES
from etl.report.model import Status

_WIDTH = 640


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("etl.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def render_html(report: Mapping[str, Any]) -> str:
    """Render a report as `LoadReport.to_json` gives it (and catalog.run keeps it)."""
    return _template().render(
        report=report,
        status=Status(report["status"]).words,
        rule_titles=RULE_TITLES,
        sketch=_sketch(report),
    )


def _sketch(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Where rejected rows lie: frame and points in pixels, north up, lengths true at the middle.

    The view holds the frame and every place, so rows outside the city show how far out they are.
    """
    frame, places = report.get("frame"), report.get("places") or []
    if not frame or not places:
        return None
    west = min(frame[0], *(place[0] for place in places))
    east = max(frame[2], *(place[0] for place in places))
    south = min(frame[1], *(place[1] for place in places))
    north = max(frame[3], *(place[1] for place in places))
    margin = 0.03 * max(east - west, north - south)
    scale = _WIDTH / (east - west + 2 * margin)
    height = max(60.0, min(640.0, (north - south + 2 * margin) * scale))
    vertical = height / (north - south + 2 * margin)

    def pixel(lon: float, lat: float) -> tuple[float, float]:
        return (
            round((lon - west + margin) * scale, 1),
            round((north + margin - lat) * vertical, 1),
        )

    left, top = pixel(frame[0], frame[3])
    right, bottom = pixel(frame[2], frame[1])
    return {
        "width": _WIDTH,
        "height": round(height),
        "frame": (left, top, round(right - left, 1), round(bottom - top, 1)),
        "points": [pixel(*place) for place in places],
    }
