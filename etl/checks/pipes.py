"""Rules of pipe segments that one row can answer: ends, length, slope, depth (CJJ 61-2017).

Depth is to the top of pressure pipes and cables, and to the invert (inside bottom) of gravity
drains; the pipe's elevation is that of the same line, so ground = depth + elevation holds for both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from etl.checks.finding import BoolArray, Finding, Rule, RuleBook
from etl.checks.limits import choose, matching
from etl.checks.metric import east_north
from etl.checks.rules import Scope
from etl.datum.coordsys import FloatArray
from etl.places import Places, ShapeArray, Shapes

_SECTION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(?:\s*[xX×*]\s*([0-9]+(?:\.[0-9]+)?))?\s*$")


def check_segments(
    book: RuleBook, columns: Mapping[str, pa.Array], places: Places | None, size: int
) -> list[Finding]:
    """Findings of the listed segment rules in a batch of `size` rows.

    `columns` are typed, by field name; `places` CGCS2000 degrees, heights in metres.
    """
    findings: list[Finding] = []
    for rule in book.of_scope(Scope.ROW):
        if rule.name == "distinct_ends":
            findings += _distinct_ends(book, rule, columns)
        elif rule.name in ("segment_length", "slope") and isinstance(places, Shapes):
            paths = Paths.of(places.shapes())
            if rule.name == "slope":
                findings += _slope(book, rule, columns, paths)
            else:
                findings += _length(book, rule, paths)
        elif rule.name == "adverse_slope":
            findings += _adverse_slope(book, rule, columns, size)
        elif rule.name == "burial_depth":
            findings += _burial_depth(book, rule, columns, size)
    return findings


def reals(columns: Mapping[str, pa.Array], name: str, size: int) -> FloatArray:
    """(n,) numbers of a field, NaN where there is none or no such column was delivered."""
    column = columns.get(name)
    if column is None:
        return np.full(size, np.nan)
    return np.asarray(
        column.cast(pa.float64()).fill_null(float("nan")).to_numpy(zero_copy_only=False)
    )


class Paths:
    """Lengths of lines: horizontal and along the slope (n,), metres, and heights of their ends."""

    def __init__(
        self, flat: FloatArray, sloping: FloatArray, rise: FloatArray, steepest: FloatArray
    ) -> None:
        self.flat, self.sloping, self.rise, self.steepest = flat, sloping, rise, steepest

    @classmethod
    def of(cls, shapes: ShapeArray) -> Paths:
        """Measure (n,) lines in CGCS2000 degrees; NaN where there is none."""
        xyz, index = shapely.get_coordinates(shapes, include_z=True, return_index=True)
        size = len(shapes)
        nothing = np.full(size, np.nan)
        if not len(index):
            return cls(nothing, nothing.copy(), nothing.copy(), nothing.copy())
        inner = index[1:] == index[:-1]
        east, north = east_north(xyz[:-1, 0], xyz[:-1, 1], xyz[1:, 0], xyz[1:, 1])
        flat = np.hypot(east, north)[inner]
        up = (xyz[1:, 2] - xyz[:-1, 2])[inner]
        line = index[1:][inner]
        up = np.where(np.isfinite(up), up, 0.0)
        steep = np.degrees(np.arctan2(np.abs(up), flat))
        known = np.isin(np.arange(size), index)
        steepest = np.zeros(size)
        np.maximum.at(steepest, line, steep)
        return cls(
            np.where(known, np.bincount(line, flat, size), np.nan),
            np.where(known, np.bincount(line, np.hypot(flat, up), size), np.nan),
            np.where(known, np.bincount(line, up, size), np.nan),
            np.where(known, steepest, np.nan),
        )


def _distinct_ends(book: RuleBook, rule: Rule, columns: Mapping[str, pa.Array]) -> list[Finding]:
    start = columns.get(str(rule.parameters.get("start", "start_point")))
    end = columns.get(str(rule.parameters.get("end", "end_point")))
    if start is None or end is None:
        return []
    same = pc.fill_null(pc.equal(start, end), False).to_numpy(zero_copy_only=False)
    return book.finding(
        "distinct_ends",
        np.asarray(same, dtype=bool),
        lambda row: f"起点、终点都是 {start[row].as_py()} (start and end are the same point)",
    )


def _length(book: RuleBook, rule: Rule, paths: Paths) -> list[Finding]:
    low = float(rule.parameters.get("minimum_m", 0.0))
    high = float(rule.parameters.get("maximum_m", np.inf))
    return book.finding(
        "segment_length",
        (paths.sloping < low) | (paths.sloping > high),
        lambda row: (
            f"长 {paths.sloping[row]:.3f} m，应在 {low:g} 到 {high:g} m 之间 (length out of limits)"
        ),
    )


def _slope(
    book: RuleBook, rule: Rule, columns: Mapping[str, pa.Array], paths: Paths
) -> list[Finding]:
    limits = choose(rule.parameters["limits"], columns, len(paths.flat))
    most = limits.number("maximum_degrees")
    return book.finding(
        "slope",
        paths.steepest > most,
        lambda row: (
            f"坡度 {paths.steepest[row]:.1f}°，最多 {most[row]:g}°：平距 {paths.flat[row]:.2f} m，"
            f"两端高差 {paths.rise[row]:+.2f} m（{limits.source(row)}）(steeper than the limit)"
        ),
    )


def _adverse_slope(
    book: RuleBook, rule: Rule, columns: Mapping[str, pa.Array], size: int
) -> list[Finding]:
    drain = matching(rule.parameters.get("when", {}), columns, size)
    tolerance = float(rule.parameters.get("tolerance_m", 0.0))
    flow = reals(columns, "flow_direction", size)
    start = reals(columns, "start_elevation_m", size)
    end = reals(columns, "end_elevation_m", size)
    rise = np.where(flow == 0, end - start, np.where(flow == 1, start - end, np.nan))
    return book.finding(
        "adverse_slope",
        drain & (rise > tolerance),
        lambda row: (
            f"顺流向管底升高 {rise[row]:.3f} m（起点 {start[row]:.3f}，终点 {end[row]:.3f}，"
            f"流向 {flow[row]:.0f}）；若流向填反，应为 {1 - flow[row]:.0f} "
            f"(the invert rises downstream; is the flow direction reversed?)"
        ),
    )


def _burial_depth(
    book: RuleBook, rule: Rule, columns: Mapping[str, pa.Array], size: int
) -> list[Finding]:
    limits = choose(rule.parameters["limits"], columns, size)
    least, most = limits.number("minimum_cover_m"), limits.number("maximum_depth_m")
    lowest = limits.number("minimum_depth_m")
    height = np.where(limits.flag("to_invert"), section_height(columns, size), 0.0)
    findings: list[Finding] = []
    shallow: BoolArray = np.zeros(size, dtype=bool)
    deep: BoolArray = np.zeros(size, dtype=bool)
    depths = [reals(columns, name, size) for name in ("start_depth_m", "end_depth_m")]
    for depth in depths:
        shallow |= (depth - height < least) | (depth < lowest)
        deep |= depth > most

    def told(row: int) -> str:
        return "、".join(f"{depth[row]:g}" for depth in depths)

    def too_shallow(row: int) -> str:
        if np.isfinite(lowest[row]) and min(depth[row] for depth in depths) < lowest[row]:
            return (
                f"埋深 {told(row)} m，不应小于 {lowest[row]:g} m（{limits.source(row)}）"
                f"(depth below the limit)"
            )
        cover = min(depth[row] - height[row] for depth in depths)
        return (
            f"覆土 {cover:.2f} m，至少 {least[row]:g} m（埋深 {told(row)} m；{limits.source(row)}）"
            f"(too little cover)"
        )

    findings += book.finding("burial_depth", shallow, too_shallow)
    findings += book.finding(
        "burial_depth",
        deep & ~shallow,
        lambda row: (
            f"埋深 {told(row)} m，最多 {most[row]:g} m（{limits.source(row)}）；是否写成厘米？"
            f"(deeper than the limit: centimetres?)"
        ),
    )
    return findings


def section_height(columns: Mapping[str, pa.Array], size: int) -> FloatArray:
    """(n,) height of the section in metres, from the text of `section_mm`; NaN if unreadable.

    "600", "DN300", "Φ300" are diameters; of "1200X1000" the second number is the height.
    """
    return _sections(columns, size)[:, 1]


def section_widths(columns: Mapping[str, pa.Array], size: int) -> FloatArray:
    """(n,) width of the section in metres: the diameter, or the first of two numbers."""
    return _sections(columns, size)[:, 0]


def _sections(columns: Mapping[str, pa.Array], size: int) -> FloatArray:
    """(n, 2) width and height."""
    column = columns.get("section_mm")
    if column is None:
        return np.full((size, 2), np.nan)
    coded = column.cast(pa.string()).dictionary_encode()
    texts = [_section(str(text)) for text in coded.dictionary.to_pylist()]
    known = np.array([*texts, (np.nan, np.nan)])
    indices = coded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
    return np.asarray(known[indices])


@lru_cache(maxsize=4096)
def _section(text: str) -> tuple[float, float]:
    found = _SECTION.search(text)
    if found is None:
        return float("nan"), float("nan")
    return float(found[1]) / 1000.0, float(found[2] or found[1]) / 1000.0
