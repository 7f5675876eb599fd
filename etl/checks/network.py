"""Rules of networks that hang together by point numbers (CJJ 61-2017 survey results)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import shapely

from etl.checks.finding import BoolArray, IntArray, Rule
from etl.checks.limits import choose
from etl.checks.metric import east_north
from etl.checks.pipes import reals, section_height
from etl.checks.whole import Network, PlacedFinding, Whole
from etl.datum.coordsys import FloatArray

ENDS = {"start": "start_point", "end": "end_point"}
"""Fields of a line layer that hold the point numbers of its ends, unless a rule says other."""


def ends_of(parameters: Mapping[str, Any]) -> tuple[str, str]:
    """Names of the two fields."""
    start, end = (str(parameters.get(key, default)) for key, default in ENDS.items())
    return start, end


def network_of(rule: Rule, lines: Whole) -> Network:
    """The network of the lines, by the fields that the rule names."""
    start, end = ends_of(rule.parameters)
    return Network.of(lines.columns[start], lines.columns[end])


def repeated_segments(rule: Rule, lines: Whole) -> list[PlacedFinding]:
    """Segments between the same two points, either way round; the later row is at fault.

    `same`: fields that must agree too (two cables may join the same two wells).
    """
    network = network_of(rule, lines)
    low = np.minimum(network.start, network.end)
    high = np.maximum(network.start, network.end)
    kind = lines.codes(rule.parameters.get("same", ()))
    keys = pd.DataFrame({"low": low, "high": high, "kind": kind})
    known = (low >= 0) & (low != high)
    again = keys.duplicated().to_numpy() & known
    if not again.any():
        return []
    first = keys[known].groupby(["low", "high", "kind"], sort=False).head(1)
    earlier = {tuple(row): int(at) for at, row in zip(first.index, first.to_numpy(), strict=True)}

    def reason(row: int) -> str:
        one = earlier[(int(low[row]), int(high[row]), int(kind[row]))]
        way = (
            "起终点颠倒 reversed"
            if network.start[one] != network.start[row]
            else "起终点相同 same ends"
        )
        return f"与 {lines.located[one]} 是同一管段（{way}）(the same segment)"

    return lines.findings(rule, np.flatnonzero(again), reason)


def changes_at_nodes(rule: Rule, lines: Whole, points: Whole) -> list[PlacedFinding]:
    """Fields that differ on the two sides of a node of degree two; the later line is told.

    Excused are nodes whose feature is one of `allowed` (变径, 变材), and wells and valves.
    """
    network = network_of(rule, lines)
    ends = np.concatenate([network.start, network.end])
    line = np.tile(np.arange(len(lines)), 2)
    through = (network.degrees() == 2) & ~_excused(rule, network, points)
    use = (ends >= 0) & through[np.maximum(ends, 0)]
    ends, line = ends[use], line[use]
    order = np.lexsort((line, ends))
    one, two = line[order][0::2], line[order][1::2]
    nodes = ends[order][0::2]
    findings: list[PlacedFinding] = []
    for name in rule.parameters["fields"]:
        codes = lines.codes([str(name)])
        column = lines.columns[str(name)]
        known = column.is_valid().to_numpy(zero_copy_only=False)
        differs = (codes[one] != codes[two]) & known[one] & known[two] & (one != two)
        at = {int(two[k]): (int(one[k]), int(nodes[k])) for k in np.flatnonzero(differs)}

        def reason(
            row: int,
            name: str = str(name),
            column: pa.Array = column,
            at: Mapping[int, tuple[int, int]] = at,
        ) -> str:
            other, node = at[row]
            return (
                f"在点 {network.nodes[node]} 处 {name} 由 {column[other]} 变为 {column[row]}"
                f"（另一侧 {lines.located[other]}），该点不是变径、变材或分支 "
                f"(it changes at a plain point)"
            )

        findings += lines.findings(rule, sorted(at), reason)
    return findings


def _excused(rule: Rule, network: Network, points: Whole) -> BoolArray:
    feature = points.columns[str(rule.parameters.get("feature", "feature"))]
    allowed = {str(v) for v in rule.parameters.get("allowed", ("变径", "变材"))}
    fitted = points.columns["appurtenance"].is_valid().to_numpy(zero_copy_only=False)
    free = np.array([value in allowed for value in feature.to_pylist()], dtype=bool) | fitted
    out = np.zeros(len(network.nodes), dtype=bool)
    at = network.find(points.columns["id"])
    out[at[free & (at >= 0)]] = True
    return out


def node_degrees(rule: Rule, points: Whole, lines: Whole) -> list[PlacedFinding]:
    """Points whose number of lines is none that their feature allows (`degrees: {三通: 3, …}`)."""
    field = str(rule.parameters.get("feature", "feature"))
    features = points.columns[field].to_pylist()
    degrees = _degrees(rule, points, lines)
    allowed = {
        str(name): tuple(value) if isinstance(value, list) else (value,)
        for name, value in rule.parameters["degrees"].items()
    }
    wrong = [
        row
        for row, feature in enumerate(features)
        # no line at all is the business of orphan_point
        if feature in allowed and degrees[row] and int(degrees[row]) not in allowed[feature]
    ]

    def reason(row: int) -> str:
        feature = str(features[row])
        should = " 或 ".join(str(n) for n in allowed[feature])
        return (
            f"特征是 {feature}，应连 {should} 段，实连 {degrees[row]} 段 "
            f"(joins {degrees[row]} segments, should join {should})"
        )

    return points.findings(rule, wrong, reason)


def orphans(rule: Rule, points: Whole, lines: Whole) -> list[PlacedFinding]:
    """Points that no line starts or ends at."""
    alone = np.flatnonzero(_degrees(rule, points, lines) == 0)
    return points.findings(
        rule, alone, lambda _row: "没有管段以该点为起点或终点 (no segment starts or ends here)"
    )


def _degrees(rule: Rule, points: Whole, lines: Whole) -> IntArray:
    network = network_of(rule, lines)
    at = network.find(points.columns["id"])
    counts = np.append(network.degrees(), 0)
    return np.asarray(counts[at])


def depth_and_elevation(rule: Rule, lines: Whole, points: Whole) -> list[PlacedFinding]:
    """Ends at which ground (of the point) is not depth + elevation (of the line).

    `limits` give `maximum_m` by class, laying, pressure. The sentence tells the two slips that
    explain most: elevations filled in crosswise, and depth measured to the other side of the pipe.
    """
    size = len(lines)
    limits = choose(rule.parameters["limits"], lines.columns, size)
    most = limits.number("maximum_m")
    ground = reals(points.columns, "ground_elevation_m", len(points))
    found: dict[int, list[str]] = {}
    sides = []
    for side, name in zip(("start", "end"), ends_of(rule.parameters), strict=True):
        at = _rows_of(points.columns["id"], lines.columns[name])
        surface = np.append(ground, np.nan)[at]
        depth = reals(lines.columns, f"{side}_depth_m", size)
        elevation = reals(lines.columns, f"{side}_elevation_m", size)
        sides.append((surface, depth, elevation))
    height = section_height(lines.columns, size)
    crosswise = _crosswise(sides, most)
    for word, (surface, depth, elevation) in zip(("起点", "终点"), sides, strict=True):
        gap = surface - depth - elevation
        for row in np.flatnonzero(np.abs(gap) > most + 1e-9):
            at_row = int(row)
            hint = ""
            if crosswise[at_row]:
                hint = "；起终点高程似填反 (the two elevations look exchanged)"
            elif abs(abs(gap[at_row]) - height[at_row]) <= max(most[at_row], 0.02):
                hint = (
                    f"；差值等于管径 {height[at_row]:g} m，埋深似量到管道另一侧 "
                    f"(differs by one diameter: depth to the other side of the pipe?)"
                )
            found.setdefault(at_row, []).append(
                f"{word}地面 {surface[at_row]:.3f} − 埋深 {depth[at_row]:.3f} − 高程 "
                f"{elevation[at_row]:.3f} = {gap[at_row]:+.3f} m，限 {most[at_row]:g} m{hint}"
            )
    return lines.findings(
        rule,
        sorted(found),
        lambda row: "；".join(found[row]) + " (ground − depth − elevation is not 0)",
    )


def _crosswise(
    sides: list[tuple[FloatArray, FloatArray, FloatArray]], most: FloatArray
) -> BoolArray:
    (s1, d1, e1), (s2, d2, e2) = sides
    near = np.maximum(most, 0.02)
    apart = np.abs(e1 - e2) > near
    return np.asarray(apart & (np.abs(s1 - d1 - e2) <= near) & (np.abs(s2 - d2 - e1) <= near))


def ends_at_points(rule: Rule, lines: Whole, points: Whole) -> list[PlacedFinding]:
    """Lines whose first or last vertex lies farther than `tolerance_m` from the point it names."""
    tolerance = float(rule.parameters.get("tolerance_m", 0.05))
    if lines.shapes is None or points.x is None or points.y is None:
        return []
    first, last = line_ends(lines.shapes)
    found: dict[int, list[str]] = {}
    for word, xy, name in zip(("起点", "终点"), (first, last), ends_of(rule.parameters),
                              strict=True):  # fmt: skip
        at = _rows_of(points.columns["id"], lines.columns[name])
        x, y = np.append(points.x, np.nan)[at], np.append(points.y, np.nan)[at]
        metres = np.hypot(*east_north(xy[:, 0], xy[:, 1], x, y))
        for row in np.flatnonzero(metres > tolerance):
            found.setdefault(int(row), []).append(
                f"{word}离点 {lines.columns[name][int(row)]} {metres[row]:.2f} m"
            )
    return lines.findings(
        rule,
        sorted(found),
        lambda row: "，".join(found[row]) + f"，限 {tolerance:g} m (does not end at its point)",
    )


def line_ends(shapes: np.ndarray[Any, Any]) -> tuple[FloatArray, FloatArray]:
    """First and last vertices (n, 2) of lines; NaN where there is none."""
    xy, index = shapely.get_coordinates(shapes, return_index=True)
    size = len(shapes)
    first, last = np.full((size, 2), np.nan), np.full((size, 2), np.nan)
    if len(index):
        begins = np.concatenate([[True], index[1:] != index[:-1]])
        stops = np.concatenate([index[1:] != index[:-1], [True]])
        first[index[begins]], last[index[stops]] = xy[begins], xy[stops]
    return first, last


def _rows_of(ids: pa.Array, wanted: pa.Array) -> IntArray:
    """(n,) row of each wanted id, -1 without one."""
    nodes = Network(ids, np.zeros(0, np.int64), np.zeros(0, np.int64))
    return nodes.find(wanted)
