"""Edge matching: what a delivery of an area draws at its border against what lies outside.

Pure functions on shapes in EPSG:4490 (x = longitude). Distances are metres on the ellipsoid of
CGCS2000. Heights are never moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod

from etl.area import EdgeRule
from etl.datum.coordsys import FloatArray

GEOD = Geod(ellps="GRS80")
"""CGCS2000 has a = 6378137 m and f = 1/298.257222101 (GB/T 30168): those of GRS 80."""

MET_M = 0.001
"""Ends this near are one point: stored degrees carry 9 decimals, 0.1 mm."""

_WINDS = ("北 N", "东北 NE", "东 E", "东南 SE", "南 S", "西南 SW", "西 W", "西北 NW")


class EdgeKind(StrEnum):
    """snapped: moved onto the neighbour; gap: should meet and does not; open: nothing goes on."""

    SNAPPED = "snapped"
    GAP = "gap"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class EdgeFinding:
    """An end of feature `feature` (its index; None: of a neighbour) at the border.

    `distance_m` and `azimuth` (degrees clockwise from north) lead from it to where `neighbour`
    (an index, None for open ends) has its own; `at` is (lon, lat). `obstacle` says why a gap
    within the tolerance was not closed.
    """

    kind: EdgeKind
    feature: int | None
    neighbour: int | None
    distance_m: float
    azimuth: float
    at: tuple[float, float]
    obstacle: str | None = None

    @property
    def direction(self) -> str:
        """The azimuth in words and whole degrees."""
        return f"{_WINDS[round(self.azimuth / 45) % 8]} {self.azimuth % 360:.0f}°"


@dataclass(frozen=True)
class EdgeMatch:
    """What was found, and the new shapes of the delivered features that were moved, by index."""

    findings: tuple[EdgeFinding, ...]
    snapped: dict[int, Any]


def match_edges(
    delivered: Sequence[Any], outside: Sequence[Any], border: Any, rule: EdgeRule
) -> EdgeMatch:
    """Compare delivered shapes with the neighbours outside along `border` (lines).

    Lines are compared by their ends, polygons by their vertices with the vertices and sides of
    the neighbours. Points have no edge.
    """
    plane = _Plane(border)
    mine, theirs = _corners(delivered), _corners(outside)
    near_mine, near_theirs = (
        plane.near(border, corners.xy, rule.search_m) for corners in (mine, theirs)
    )
    mine, theirs = mine.take(near_mine), theirs.take(near_theirs)
    pairs = _Pairs(plane, mine, theirs, _sides(outside, theirs), rule)
    findings = [*pairs.joined(), *_open_ends(plane, border, mine, theirs, rule)]
    snapped: dict[int, Any] = {}
    kept: list[EdgeFinding] = []
    for finding, target in findings:
        if finding.kind is not EdgeKind.SNAPPED or finding.feature is None or target is None:
            kept.append(finding)
            continue
        before = snapped.get(finding.feature, delivered[finding.feature])
        after = _moved(before, finding.at, target)
        if isinstance(after, str):  # what would break by it stays as delivered
            kept.append(replace(finding, kind=EdgeKind.GAP, obstacle=after))
            continue
        snapped[finding.feature] = after
        kept.append(finding)
    return EdgeMatch(tuple(kept), snapped)


@dataclass(frozen=True)
class _Corners:
    """Ends of lines or vertices of polygons: xy (n, 2), the feature of each, whether an end."""

    xy: FloatArray
    feature: NDArray[np.int64]
    is_end: NDArray[np.bool_]

    def take(self, rows: NDArray[np.int64]) -> _Corners:
        return _Corners(self.xy[rows], self.feature[rows], self.is_end[rows])


def _corners(shapes: Sequence[Any]) -> _Corners:
    xy: list[FloatArray] = [np.empty((0, 2))]
    feature: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    ends: list[NDArray[np.bool_]] = [np.empty(0, dtype=bool)]
    for at, shape in enumerate(shapes):
        if shape is None or shape.is_empty:
            continue
        polygonal = shapely.get_dimensions(shape) == 2
        for part in shapely.get_parts(shape):
            if polygonal:
                found = np.unique(shapely.get_coordinates(part), axis=0)
            elif part.geom_type == "LineString" and not part.is_closed:
                found = shapely.get_coordinates(part)[[0, -1]]
            else:
                continue
            xy.append(found)
            feature.append(np.full(len(found), at))
            ends.append(np.full(len(found), not polygonal))
    return _Corners(np.concatenate(xy), np.concatenate(feature), np.concatenate(ends))


def _sides(shapes: Sequence[Any], near: _Corners) -> dict[int, Any]:
    """Boundaries of the polygons among the shapes that have a corner near the border."""
    polygonal = np.unique(near.feature[~near.is_end]).tolist()
    return {at: shapes[at].boundary for at in polygonal}


class _Plane:
    """Metres around the border, good for finding neighbours; lengths are geodesic."""

    def __init__(self, border: Any) -> None:
        west, south, east, north = shapely.bounds(border)
        self.origin = np.array([(west + east) / 2, (south + north) / 2])
        lon, lat = self.origin
        step = 1e-3
        self.scale = np.array(
            [
                GEOD.inv(lon, lat, lon + step, lat)[2] / step,
                GEOD.inv(lon, lat, lon, lat + step)[2] / step,
            ]
        )

    def metres(self, xy: FloatArray) -> FloatArray:
        moved: FloatArray = (xy - self.origin) * self.scale
        return moved

    def points(self, xy: FloatArray) -> NDArray[np.object_]:
        """Points (n,) in these metres."""
        made: NDArray[np.object_] = np.empty(len(xy), dtype=object)
        made[:] = shapely.points(self.metres(xy))
        return made

    def near(self, border: Any, xy: FloatArray, within_m: float) -> NDArray[np.int64]:
        """Rows of `xy` that lie within so many metres of the border."""
        if not len(xy):
            return np.empty(0, dtype=np.int64)
        line = shapely.transform(border, self.metres)
        # 1 part in 100 for the scale, which is that of the middle
        found = shapely.dwithin(self.points(xy), line, within_m * 1.01)
        return np.flatnonzero(found)


def _length(a: FloatArray, b: FloatArray) -> tuple[float, float]:
    """Metres and azimuth (degrees, 0..360) from a to b."""
    azimuth, _, metres = GEOD.inv(a[0], a[1], b[0], b[1])
    return float(metres), float(azimuth) % 360


Found = tuple[EdgeFinding, "tuple[float, float] | None"]


@dataclass(frozen=True)
class _Pairs:
    """Delivered corners beside the corners and sides of neighbours."""

    plane: _Plane
    mine: _Corners
    theirs: _Corners
    sides: dict[int, Any]
    rule: EdgeRule

    def joined(self) -> list[Found]:
        """Findings of corners that have a neighbour within the search distance."""
        if not len(self.mine.xy) or not len(self.theirs.xy):
            return []
        tree = shapely.STRtree(self.plane.points(self.theirs.xy))
        own = self.plane.points(self.mine.xy)
        (at, other), apart = tree.query_nearest(
            own, max_distance=self.rule.search_m * 1.01, return_distance=True, all_matches=False
        )
        nearest = dict(zip(at.tolist(), other.tolist(), strict=True))
        met = set(other[apart <= MET_M].tolist())
        found: list[Found] = []
        for row, there in nearest.items():
            # the nearest end may have its partner already: then this one belongs elsewhere
            one = self._pair(row, there, taken=there in met)
            if one is not None:
                found.append(one)
        return found

    def _pair(self, row: int, there: int, *, taken: bool) -> Found | None:
        here, target = self.mine.xy[row], self.theirs.xy[there]
        neighbour = int(self.theirs.feature[there])
        metres, azimuth = _length(here, target)
        if metres <= MET_M or (taken and self.mine.is_end[row]):
            return None
        side = self.sides.get(neighbour)
        within = self.rule.tolerance_m
        if side is not None and not self.mine.is_end[row]:
            foot = side.interpolate(side.project(shapely.Point(here)))
            to_side, side_azimuth = _length(here, np.array([foot.x, foot.y]))
            if to_side <= MET_M:
                return None  # on the neighbour's side: a vertex more, but no gap
            if within is None or metres > within:
                target, metres, azimuth = np.array([foot.x, foot.y]), to_side, side_azimuth
        if metres > self.rule.search_m:
            return None
        kind = EdgeKind.SNAPPED if within is not None and metres <= within else EdgeKind.GAP
        place = (float(here[0]), float(here[1]))
        return (
            EdgeFinding(kind, int(self.mine.feature[row]), neighbour, metres, azimuth, place),
            (float(target[0]), float(target[1])),
        )


def _open_ends(
    plane: _Plane, border: Any, mine: _Corners, theirs: _Corners, rule: EdgeRule
) -> list[Found]:
    """Ends of lines on the border itself beside which the other side has no end at all."""
    found: list[Found] = []
    for corners, others, delivered in ((mine, theirs, True), (theirs, mine, False)):
        rows = np.flatnonzero(corners.is_end)
        rows = rows[np.isin(rows, plane.near(border, corners.xy, MET_M * 10))]
        if not len(rows):
            continue
        own = plane.points(corners.xy)
        alone = shapely.STRtree(own).query(own[rows], predicate="dwithin", distance=MET_M)[0]
        single = rows[np.bincount(alone, minlength=len(rows)) == 1]
        if len(others.xy) and len(single):
            tree = shapely.STRtree(plane.points(others.xy))
            beside = tree.query(own[single], predicate="dwithin", distance=rule.search_m)
            single = np.delete(single, np.unique(beside[0]))
        for row in single.tolist():
            place = (float(corners.xy[row, 0]), float(corners.xy[row, 1]))
            feature = int(corners.feature[row])
            mine_at, other_at = (feature, None) if delivered else (None, feature)
            found.append((EdgeFinding(EdgeKind.OPEN, mine_at, other_at, 0.0, 0.0, place), None))
    return found


def _moved(shape: Any, at: tuple[float, float], target: tuple[float, float]) -> Any:
    """The shape with every vertex at `at` moved to `target`, or a sentence why it must stay.

    A neighbouring vertex that is at `target` already becomes one with it. Heights stay: where the
    two have different ones the vertex stays too, and so where the shape would not be valid.
    """
    solid = bool(shapely.has_z(shape))
    parts = []
    for part in shapely.get_parts(shape):
        polygonal = part.geom_type == "Polygon"
        lines = []
        for line in shapely.get_rings(part) if polygonal else [part]:
            before = shapely.get_coordinates(line, include_z=solid)
            after = before.copy()
            after[(before[:, :2] == at).all(axis=1), :2] = target
            # only what the move makes: a vertical pipe has two vertices in one place
            double = (after[1:, :2] == after[:-1, :2]).all(axis=1)
            double &= (before[1:, :2] != before[:-1, :2]).any(axis=1)
            if not np.array_equal(after[1:][double], after[:-1][double], equal_nan=True):
                return "移后两个顶点重合而高程不同 (two vertices would meet with different heights)"
            lines.append(np.delete(after, np.flatnonzero(double) + 1, axis=0))
            if len(lines[-1]) < (4 if polygonal else 2):
                return "移后图形塌缩 (the shape would collapse)"
        parts.append(
            shapely.Polygon(lines[0], lines[1:]) if polygonal else shapely.LineString(lines[0])
        )
    made = {"MultiPolygon": shapely.MultiPolygon, "MultiLineString": shapely.MultiLineString}
    kind: Any = made.get(shape.geom_type)
    moved = parts[0] if kind is None else kind(parts)
    if not moved.is_valid:
        return f"移后图形无效 (it would be invalid: {shapely.is_valid_reason(moved)})"
    return moved
