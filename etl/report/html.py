"""A run's report as one HTML page that loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2

from etl.checks.rules import RULES
from etl.report.model import Status
from etl.report.sketch import Lines, sketch
from etl.report.words import (
    COUNTS,
    SEVERITIES,
    coordsys_words,
    measured,
    metres,
    moment,
    verdict_words,
)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("etl.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        metres=metres, coordsys=coordsys_words, verdict=verdict_words, moment=moment
    )
    return environment.get_template("report.html")


def render_html(report: Mapping[str, Any], backdrop: Lines = ()) -> str:
    """Render a report as `LoadReport.to_json` gives it (and catalog.run keeps it).

    `backdrop` are lines in CGCS2000 degrees to draw behind the places.
    """
    return _template().render(
        report=report,
        status=Status(report["status"]).words,
        rules=RULES,
        counts=COUNTS,
        severities=SEVERITIES,
        measured=measured(report),
        sketch=sketch(report, backdrop),
    )
