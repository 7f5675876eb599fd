"""Single rows that are mistaken: a wrong degree, exchanged digits, a place outside the city."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.datum.coordsys import FloatArray
from etl.detection.features import BoolArray
from etl.detection.forms import Form
from etl.detection.model import Outlier

RowIndex = NDArray[np.int64]
LEAST_M = 3000.0
"""A row nearer than this to others is left alone, whatever its digits."""
FAR_M = 30_000.0
"""A row farther than this from all others needs no slip of the hand to be named."""
_ALONE = 10.0
_LIKELY = 3.0


def outliers(
    form: Form, x: FloatArray, y: FloatArray, rows: RowIndex, per: tuple[float, float]
) -> list[Outlier]:
    """Single rows of a group far from all others, explained by a slip of the hand.

    `x`, `y` of the group's rows as written, read in `form`; `per` metres of a degree. A slip is
    a whole degree (plane: 10 or 100 km) or two neighbouring digits exchanged, which, undone,
    puts the row among the others again: then it lies 3 km and three spacings from them, else 30
    km and ten. At most 3 % of the rows (two of a few); more are no slips.
    """
    n = len(x)
    if n < 5:
        return []
    place = _metres(form, x, y, per)
    good: BoolArray = np.asarray(np.isfinite(place).all(axis=1))
    if good.sum() < 5:
        return []
    doubtful = _doubtful(place, good)
    most = max(2, int(0.03 * n))
    if len(doubtful) == 0 or len(doubtful) > 10 * most:
        return []
    core = good.copy()
    core[doubtful] = False
    if core.sum() < 3:
        return []
    tree = shapely.STRtree(np.asarray(shapely.points(place[core]), dtype=object))
    sample = np.flatnonzero(core)[:: max(1, int(core.sum()) // 400)]
    _, gap = tree.query_nearest(
        shapely.points(place[sample]), exclusive=True, return_distance=True, all_matches=False
    )
    usual = max(float(np.quantile(gap, 0.9)) if len(gap) else 0.0, 50.0)
    here = _nearest(tree, place[doubtful])
    suspects = doubtful[here >= max(LEAST_M, _LIKELY * usual)]
    if len(suspects) == 0 or len(suspects) > most:
        return []
    found = []
    for at, distance in zip(suspects, _nearest(tree, place[suspects]), strict=True):
        slip = _slip(form, float(x[at]), float(y[at]), tree, per, _LIKELY * usual)
        if slip is None and distance >= max(FAR_M, _ALONE * usual):
            slip = "远离其余各点 far from all other points"
        if slip is not None:
            found.append(Outlier(int(rows[at]), float(distance), slip))
    return found


def _metres(form: Form, x: FloatArray, y: FloatArray, per: tuple[float, float]) -> FloatArray:
    place: FloatArray = np.column_stack(form.lonlat(x, y)) * np.array(per)
    return place


def _doubtful(place: FloatArray, good: BoolArray) -> RowIndex:
    """Rows outside the bulk on one axis: beyond eight times the middle half's reach."""
    middle = np.median(place[good], axis=0)
    spread = np.median(np.abs(place[good] - middle), axis=0)
    with np.errstate(invalid="ignore"):
        away = (np.abs(place - middle) / (3.0 * spread + 200.0)).max(axis=1)
    return np.flatnonzero(good & (away > 1.0)).astype(np.int64)


def _nearest(tree: shapely.STRtree, place: FloatArray) -> FloatArray:
    """(n,) metres to the nearest row of the core."""
    _, distance = tree.query_nearest(shapely.points(place), return_distance=True, all_matches=False)
    return np.asarray(distance, dtype=np.float64)


def _slip(
    form: Form, x: float, y: float, tree: shapely.STRtree, per: tuple[float, float], near: float
) -> str | None:
    """The slip that, undone, leads to within `near` metres of the others; None without one."""
    tried = [(value, y, f"{title} x") for value, title in _undone(x, form.plane)]
    tried += [(x, value, f"{title} y") for value, title in _undone(y, form.plane)]
    xs, ys = np.array([t[0] for t in tried]), np.array([t[1] for t in tried])
    place = _metres(form, xs, ys, per)
    usable = np.flatnonzero(np.isfinite(place).all(axis=1))
    if len(usable) == 0:
        return None
    distance = _nearest(tree, place[usable])
    best = int(np.argmin(distance))
    return tried[usable[best]][2] if distance[best] <= near else None


def _undone(value: float, plane: bool) -> list[tuple[float, str]]:
    """What may have been meant by one number."""
    out = []
    sizes = ((1e4, "10 km"), (1e5, "100 km")) if plane else ((1.0, "1°"), (10.0, "10°"))
    for size, title in sizes:
        out += [(value + k * size, f"差 off by {-k:+d} × {title}:") for k in (-2, -1, 1, 2)]
    for power in range(2, 8) if plane else range(-4, 2):
        unit = 10.0**power
        high, low = int(abs(value) / (10 * unit)) % 10, int(abs(value) / unit + 1e-9) % 10
        if high != low:
            meant = value + np.sign(value) * 9.0 * (low - high) * unit
            out.append((float(meant), f"数字 {high}{low} 应为 should be {low}{high}:"))
    return out


def stray(
    rows: RowIndex,
    x: FloatArray,
    y: FloatArray,
    forms: list[Form],
    main: Form,
    where: tuple[float, float, float, float],
    lonlat: tuple[FloatArray, FloatArray],
) -> list[Outlier]:
    """Rows outside the city: how far from it, and which slip or which other form explains them.

    `where` = bounds of the group in degrees; `lonlat` = the rows read in the main form.
    """
    out = []
    west, south, east, north = where
    for k, row in enumerate(rows):
        lon, lat = float(lonlat[0][k]), float(lonlat[1][k])
        one_x, one_y = x[row : row + 1], y[row : row + 1]
        slip = ""
        for form in forms:
            if form is not main and bool(form.inside(one_x, one_y)[0]):
                turned = "（两列对调 exchanged）" if form.swapped else ""
                slip = f"像 reads as {form.coordsys.name}{turned}"
                break
        distance = np.inf
        if np.isfinite(lon) and np.isfinite(lat):
            dx = max(west - lon, 0.0, lon - east) * 101_000.0
            dy = max(south - lat, 0.0, lat - north) * 110_800.0
            distance = float(np.hypot(dx, dy))
            for k_deg in (1, -1, 2, -2, 10, -10):
                if slip:
                    break
                if not main.plane:
                    if west <= lon + k_deg <= east and south <= lat <= north:
                        slip = f"经度错 longitude off by {-k_deg:+d}°"
                    elif west <= lon <= east and south <= lat + k_deg <= north:
                        slip = f"纬度错 latitude off by {-k_deg:+d}°"
        out.append(Outlier(int(row), distance, slip or "不在市域内 outside the city"))
    return out
