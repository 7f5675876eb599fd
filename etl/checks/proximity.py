"""Rules of neighbours in one layer: likely duplicates, and ends that miss what they should meet."""

from __future__ import annotations

import numpy as np
import shapely
from shapely import STRtree

from etl.checks.finding import IntArray, Rule
from etl.checks.metric import east_north, local_plane, pairs_within
from etl.checks.network import line_ends
from etl.checks.whole import PlacedFinding, Whole
from etl.datum.coordsys import FloatArray
from etl.places import ShapeArray

_SAME_SIZE = 0.01
"""Lines and areas are alike whose length or area differs by no more than one per cent."""
_TOUCH_M = 0.005


_SCALE = 1.05
"""The one scale of a search errs by a few per cent over a city: what it finds is measured again."""


def near_any(lon: FloatArray, lat: FloatArray, distance: float) -> IntArray:
    """Rows (ascending) that have another within some `distance` metres."""
    x, y = local_plane(lon, lat)
    first, second = pairs_within(x, y, distance * _SCALE)
    return np.unique(np.concatenate([first, second]))


def near_duplicates(rule: Rule, records: Whole) -> list[PlacedFinding]:
    """Records nearer than `distance_m` to an earlier one, alike in `same` and in size.

    Lines and areas are compared by their centres: a line drawn the other way round is alike.
    """
    if records.x is None or records.y is None:
        return []
    distance = float(rule.parameters["distance_m"])
    names = [str(name) for name in rule.parameters.get("same", ())]
    x, y = local_plane(records.x, records.y)
    first, second = pairs_within(x, y, distance * _SCALE)
    if not len(first):
        return []
    east, north = east_north(
        records.x[first], records.y[first], records.x[second], records.y[second]
    )
    metres = np.hypot(east, north)
    alike = metres <= distance
    codes = records.codes(names)
    alike &= codes[first] == codes[second]
    if records.size is not None:
        one, two = records.size[first], records.size[second]
        alike &= np.abs(one - two) <= _SAME_SIZE * np.maximum(one, two)
    nearest: dict[int, tuple[int, float]] = {}
    for a, b, d in zip(first[alike], second[alike], metres[alike], strict=True):
        known = nearest.get(int(b))
        if known is None or d < known[1]:
            nearest[int(b)] = (int(a), float(d))
    agree = f"，{'、'.join(names)} 相同" if names else ""

    def reason(row: int) -> str:
        other, apart = nearest[row]
        return f"距 {records.located[other]} 仅 {apart:.3f} m{agree} (likely the same thing)"

    return records.findings(rule, sorted(nearest), reason)


def dangling_ends(rule: Rule, lines: Whole) -> list[PlacedFinding]:
    """Line ends that stop short of another line, or run past it, by less than `tolerance_m`."""
    if lines.shapes is None:
        return []
    tolerance = float(rule.parameters.get("tolerance_m", 1.0))
    flat = metric_shapes(lines.shapes)
    first, last = line_ends(flat)
    owner = np.tile(np.arange(len(flat)), 2)
    ends: ShapeArray = np.asarray(shapely.points(np.concatenate([first, last])), dtype=object)
    # a ring or a line of several parts has no ends of this kind
    open_line = (shapely.get_num_geometries(flat) == 1) & ~shapely.is_missing(flat)
    open_line &= ~np.isclose(first, last).all(axis=1)
    use = np.flatnonzero(open_line[owner])
    tree = STRtree(flat)
    end, line = tree.query(ends[use], predicate="dwithin", distance=tolerance)
    end = use[end]
    other = owner[end] != line
    end, line = end[other], line[other]
    gap = shapely.distance(ends[end], flat[line])
    joined = np.zeros(len(ends), dtype=bool)
    joined[end[gap <= _TOUCH_M]] = True
    open_end = ~joined[end]
    return _told(rule, lines, flat, owner, end[open_end], line[open_end], gap[open_end])


def _told(
    rule: Rule, lines: Whole, flat: ShapeArray, owner: IntArray, end: IntArray,
    line: IntArray, gap: FloatArray,
) -> list[PlacedFinding]:  # fmt: skip
    nearest: dict[int, tuple[int, float]] = {}
    for at in np.argsort(gap, kind="stable"):
        nearest.setdefault(int(end[at]), (int(line[at]), float(gap[at])))
    found: dict[int, list[str]] = {}
    for at, (other, metres) in sorted(nearest.items()):
        mine = int(owner[at])
        past = bool(shapely.intersects(flat[mine], flat[other]))
        where = "起端" if at < len(flat) else "末端"
        found.setdefault(mine, []).append(
            f"{where}{'伸过' if past else '未接到'} {lines.located[other]}，差 {metres:.2f} m "
            f"({'runs past' if past else 'stops short of'} it)"
        )
    return lines.findings(rule, sorted(found), lambda row: "；".join(found[row]))


def metric_shapes(shapes: ShapeArray) -> ShapeArray:
    """Shapes in metres on one scale for all, two-dimensional."""
    xy = shapely.get_coordinates(shapes)
    x, y = local_plane(xy[:, 0], xy[:, 1])
    moved = shapely.set_coordinates(shapely.force_2d(shapes), np.column_stack([x, y]))
    return np.asarray(moved, dtype=object)
