"""Horizontal clearance between pipes that run side by side (GB 50289-2016, table 4.1.9).

Measured from outer surface to outer surface: half of both widths is taken off the distance in plan.
A pair whose width is unknown is not judged. Pipes that cross are a matter of vertical clearance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from shapely import STRtree

from etl.checks.finding import BoolArray, IntArray, Rule
from etl.checks.limits import matching
from etl.checks.network import line_ends
from etl.checks.pipes import section_widths
from etl.checks.proximity import metric_shapes
from etl.checks.whole import PlacedFinding, Whole
from etl.datum.coordsys import FloatArray
from etl.places import ShapeArray

_PARALLEL = np.cos(np.radians(20.0))
_WIDEST_M = 3.0
"""Half the width of the widest pair that a search reckons with."""


def clearances(rule: Rule, lines: Whole) -> list[PlacedFinding]:
    """Pairs of neighbours nearer than `limits` allow; the later row is told.

    A limit is ``{between: [{field: value}, {field: value}], minimum_m: …}``, the first that fits a
    pair holds; `wider_than_mm` asks the second one to be wider than that.
    """
    limits: Sequence[Mapping[str, Any]] = rule.parameters["limits"]
    if lines.shapes is None or not limits:
        return []
    flat = metric_shapes(lines.shapes)
    width = section_widths(lines.columns, len(lines))
    reach = max(float(row["minimum_m"]) for row in limits) + _WIDEST_M
    first, second = STRtree(flat).query(flat, predicate="dwithin", distance=reach)
    once = (first < second) & _side_by_side(flat, first, second)
    first, second = first[once], second[once]
    plan = shapely.distance(flat[first], flat[second])
    free = np.maximum(plan - (width[first] + width[second]) / 2, 0.0)
    chosen = _chosen(limits, lines, width, first, second)
    least = np.array([float(row["minimum_m"]) for row in limits] + [np.nan])[chosen]
    near = (free < least) & (plan > 0)
    found: dict[int, list[str]] = {}
    for at in np.flatnonzero(near):
        row = limits[int(chosen[at])]
        mark = "，数值未与标准原文核对 (not verified)" if row.get("unverified") else ""
        found.setdefault(int(second[at]), []).append(
            f"距 {lines.located[int(first[at])]} 净距 {free[at]:.2f} m，至少 {least[at]:g} m"
            f"（{row.get('clause', '本市配置 set by the city')}{mark}）"
        )
    return lines.findings(
        rule, sorted(found), lambda row: "；".join(found[row]) + " (too near, surface to surface)"
    )


def fields_between(limits: Sequence[Mapping[str, Any]]) -> set[str]:
    """Fields that the limits read."""
    return {name for row in limits for side in row.get("between", ()) for name in side}


def _chosen(
    limits: Sequence[Mapping[str, Any]], lines: Whole, width: FloatArray, first: IntArray,
    second: IntArray,
) -> IntArray:  # fmt: skip
    chosen = np.full(len(first), -1, dtype=np.int64)
    for at, row in enumerate(limits):
        one, two = (matching(side, lines.columns, len(lines)) for side in row["between"])
        if "wider_than_mm" in row:
            two = two & (width > float(row["wider_than_mm"]) / 1000)
        fits = (one[first] & two[second]) | (one[second] & two[first])
        chosen[(chosen < 0) & fits] = at
    return chosen


def _side_by_side(flat: ShapeArray, first: IntArray, second: IntArray) -> BoolArray:
    """Pairs whose directions differ by no more than 20 degrees."""
    start, end = line_ends(flat)
    along = end - start
    with np.errstate(invalid="ignore", divide="ignore"):
        along /= np.hypot(along[:, 0], along[:, 1])[:, np.newaxis]
    return np.asarray(np.abs((along[first] * along[second]).sum(axis=1)) >= _PARALLEL)
