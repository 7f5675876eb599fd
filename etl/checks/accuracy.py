"""How far positions are off, in metres: against known points, and against what lies beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import shapely
from shapely import STRtree

from etl.checks.finding import IntArray
from etl.checks.metric import east_north, local_plane
from etl.datum.coordsys import FloatArray
from etl.places import ShapeArray

FEW_POINTS = 20
"""Below so many check points an RMSE says little; 20 to 50 are usual."""
_FEWEST_PAIRS = 5


@dataclass(frozen=True, slots=True)
class CheckPointResult:
    """Delivered minus known positions: metres, east and north; heights where both have them."""

    count: int
    rmse_m: float
    rmse_east_m: float
    rmse_north_m: float
    mean_east_m: float
    mean_north_m: float
    largest_m: float
    largest_id: str
    rmse_height_m: float | None
    unmatched: int

    @property
    def sentence(self) -> str:
        """In both languages."""
        few = f"；少于 {FEW_POINTS} 个，仅供参考 (few points)" if self.count < FEW_POINTS else ""
        height = (
            ""
            if self.rmse_height_m is None
            else f"，高程中误差 {self.rmse_height_m:.3f} m (height)"
        )
        lost = f"；{self.unmatched} 个检查点没有对应要素 (no feature)" if self.unmatched else ""
        return (
            f"检查点 {self.count} 个，平面中误差 {self.rmse_m:.3f} m{height}，系统偏移 "
            f"东 {self.mean_east_m:+.3f}、北 {self.mean_north_m:+.3f} m，"
            f"最大 {self.largest_m:.3f} m"
            f"（{self.largest_id}）(RMSE, mean offset, largest){few}{lost}"
        )

    def to_json(self) -> dict[str, Any]:
        """As a report keeps it."""
        return {**{k: _rounded(v) for k, v in asdict(self).items()}, "sentence": self.sentence}


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def against_known(
    ids: Sequence[str],
    known: tuple[FloatArray, FloatArray, FloatArray | None],
    found: tuple[FloatArray, FloatArray, FloatArray | None],
) -> tuple[CheckPointResult | None, FloatArray]:
    """RMSE of (n,) delivered against known positions (lon, lat, height), and each distance (m).

    NaN in `found` is a point without a feature; None when none has one. The plane RMSE is
    sqrt(sum(east² + north²) / n).
    """
    east, north = east_north(known[0], known[1], found[0], found[1])
    apart = np.hypot(east, north)
    there = np.isfinite(apart)
    count = int(there.sum())
    if not count:
        return None, apart
    heights = None
    if known[2] is not None and found[2] is not None:
        up = (found[2] - known[2])[there]
        up = up[np.isfinite(up)]
        heights = float(np.sqrt(np.mean(up**2))) if len(up) else None
    e, n = east[there], north[there]
    worst = int(np.nanargmax(apart))
    result = CheckPointResult(
        count=count,
        rmse_m=float(np.sqrt(np.mean(e**2 + n**2))),
        rmse_east_m=float(np.sqrt(np.mean(e**2))),
        rmse_north_m=float(np.sqrt(np.mean(n**2))),
        mean_east_m=float(e.mean()),
        mean_north_m=float(n.mean()),
        largest_m=float(apart[worst]),
        largest_id=str(ids[worst]),
        rmse_height_m=heights,
        unmatched=len(apart) - count,
    )
    return result, apart


@dataclass(frozen=True, slots=True)
class Offset:
    """A measured offset to a neighbouring layer: metres that the delivery lies east and north.

    `pairs` is what it rests on, `scatter_m` how much the pairs differ; `before` and `after` are
    shares of road inside buildings (how: clear), None for edges.
    """

    east_m: float
    north_m: float
    pairs: int
    scatter_m: float | None = None
    before: float | None = None
    after: float | None = None

    @property
    def metres(self) -> float:
        """Length of the offset."""
        return float(np.hypot(self.east_m, self.north_m))

    def to_json(self) -> dict[str, Any]:
        """As a report keeps it."""
        return {
            "offset_m": round(self.metres, 3),
            **{k: _rounded(v) for k, v in asdict(self).items()},
        }


def edge_offset(
    lon: FloatArray, lat: FloatArray, to_lon: FloatArray, to_lat: FloatArray, search_m: float
) -> Offset | None:
    """Offset of vertices (n,) to those of the neighbour (m,): the median of mutually nearest pairs.

    None for fewer than five pairs within `search_m`: nothing adjoins there.
    """
    if len(lon) == 0 or len(to_lon) == 0:
        return None
    x, y = local_plane(np.concatenate([lon, to_lon]), np.concatenate([lat, to_lat]))
    own, other = (
        point_array(x[: len(lon)], y[: len(lon)]),
        point_array(x[len(lon) :], y[len(lon) :]),
    )
    there = _nearest(own, other, search_m)
    back = _nearest(other, own, search_m)
    mutual = np.flatnonzero((there >= 0) & (back[there] == np.arange(len(own))))
    if len(mutual) < _FEWEST_PAIRS:
        return None
    east, north = east_north(to_lon[there[mutual]], to_lat[there[mutual]], lon[mutual], lat[mutual])
    middle = float(np.median(east)), float(np.median(north))
    scatter = float(np.median(np.hypot(east - middle[0], north - middle[1])))
    return Offset(middle[0], middle[1], len(mutual), scatter)


def point_array(x: FloatArray, y: FloatArray) -> ShapeArray:
    """Points (n,) of coordinates."""
    return np.atleast_1d(np.asarray(shapely.points(x, y), dtype=object))


def _nearest(points: ShapeArray, targets: ShapeArray, within: float) -> IntArray:
    """(n,) nearest target of each point, -1 where none lies within the distance."""
    out = np.full(len(points), -1, dtype=np.int64)
    first, second = STRtree(targets).query_nearest(points, max_distance=within, all_matches=False)
    out[first] = second
    return out


MOST_SAMPLES = 2_000
_SPACING_M = 5.0
_CLEARLY = 0.01
"""Roads of which less than one per cent lies in buildings are clear of them (bridges, arcades)."""


def clear_offset(roads: ShapeArray, buildings: ShapeArray, search_m: float) -> Offset | None:
    """The least shift that takes road lines out of building areas; all CGCS2000 degrees.

    Roads do not run through houses: a shifted layer does. Points along the roads are moved over a
    lattice of shifts, coarse then fine; the answer is the offset that the roads have, (0, 0) where
    they are clear. None where no road comes within `search_m` of a building.
    """
    lines, areas = _metric(roads, buildings)
    samples = _along(lines)
    if not len(samples):
        return None
    tree = STRtree(areas)
    near = np.unique(tree.query(point_array(*samples.T), predicate="dwithin", distance=search_m)[0])
    if len(near) == 0:
        return None
    samples = samples[near[:: max(1, len(near) // MOST_SAMPLES)]]

    def inside(dx: float, dy: float) -> float:
        moved = point_array(samples[:, 0] + dx, samples[:, 1] + dy)
        return len(np.unique(tree.query(moved, predicate="within")[0])) / len(samples)

    before = inside(0.0, 0.0)
    if before < _CLEARLY:
        return Offset(0.0, 0.0, len(samples), None, before, before)
    best = (before, 0.0, 0.0, 0.0)
    for half, step in ((search_m, search_m / 5), (search_m / 5, search_m / 25)):
        middle = best[2], best[3]
        for dx in np.arange(-half, half + step / 2, step):
            for dy in np.arange(-half, half + step / 2, step):
                x, y = middle[0] + float(dx), middle[1] + float(dy)
                best = min(best, (inside(x, y), float(np.hypot(x, y)), x, y))
    return Offset(-best[2], -best[3], len(samples), None, before, best[0])


def _metric(*groups: ShapeArray) -> list[ShapeArray]:
    """Shapes in metres on one scale, that of the first group's middle."""
    whole = np.concatenate(groups)
    xy = shapely.get_coordinates(whole)
    x, y = local_plane(xy[:, 0], xy[:, 1])
    flat = shapely.set_coordinates(shapely.force_2d(whole), np.column_stack([x, y]))
    stops = np.cumsum([len(group) for group in groups])[:-1]
    return list(np.split(np.asarray(flat, dtype=object), stops))


def _along(lines: ShapeArray) -> FloatArray:
    """(k, 2) points along lines, some metres apart."""
    dense = shapely.segmentize(lines, _SPACING_M)
    return np.asarray(shapely.get_coordinates(dense))
