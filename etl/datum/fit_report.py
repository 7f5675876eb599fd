"""A fit as an HTML page: parameters, residuals by point, and their arrows."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, Template

from etl.datum.control import Fit

_TITLES = {
    "similarity": "四参数 4 parameters",
    "helmert": "七参数（布尔莎） 7 parameters (Bursa-Wolf)",
    "local_grid": "地方独立坐标系 local independent grid",
}
_WIDTH, _HEIGHT, _MARGIN, _LONGEST = 640, 480, 60, 60


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(loader=PackageLoader("etl.datum", "."), autoescape=True)
    return environment.get_template("fit_report.html")


def fit_html(fit: Fit, check: str | None = None) -> str:
    """The page; `check` is the sentence of a convention check."""
    record = fit.to_json()
    for row in record["residuals"]:
        if np.isnan(row.get("left_out_m", 0.0)):
            del row["left_out_m"]
    arrows, scale = _arrows(record["residuals"], fit.max_m)
    title = _TITLES[fit.kind]
    return _template().render(fit=record, title=title, arrows=arrows, scale=scale, check=check)


def _arrows(
    rows: list[dict[str, Any]], longest: float
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Points on the plot with their residual, the longest 60 px; the scale bar beside it."""
    xy = np.array([[row["x"], row["y"]] for row in rows])
    low, high = xy.min(axis=0), xy.max(axis=0)
    # degrees and metres alike: both axes by one factor
    span = max(float((high - low).max()), 1e-12)
    factor = min(_WIDTH, _HEIGHT) - 2 * _MARGIN
    per_metre = _LONGEST / longest if longest > 0 else 0.0
    arrows = []
    for row, (x, y) in zip(rows, xy, strict=True):
        px = round(_MARGIN + (x - low[0]) / span * factor, 1)
        py = round(_HEIGHT - _MARGIN - (y - low[1]) / span * factor, 1)
        arrows.append(
            {
                "id": row["id"],
                "outlier": row["outlier"],
                "x": px,
                "y": py,
                "x2": round(px + row["vE"] * per_metre, 1),
                "y2": round(py - row["vN"] * per_metre, 1),
            }
        )
    unit = 10.0 ** np.floor(np.log10(longest)) if longest > 0 else 1.0
    label = f"{unit * 1000:g} mm" if unit < 1 else f"{unit:g} m"
    return arrows, {"px": round(unit * per_metre, 1), "label": label}
