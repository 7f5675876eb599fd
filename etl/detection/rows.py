"""Rows of one file that differ: groups by form, change points by datum, single outliers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.datum.coordsys import FloatArray
from etl.detection.evidence import Scored
from etl.detection.features import BoolArray, packed_evidence
from etl.detection.forms import Form, unusual_forms
from etl.detection.model import Outlier
from etl.detection.registration import RADII, Registration

RowIndex = NDArray[np.int64]
_SEGMENT_SAMPLE = 2400
_SWITCH_NATS = 10.0


@dataclass(frozen=True)
class FormGroup:
    """Rows that the same forms put into the city, with the share of the rows each form holds."""

    rows: RowIndex
    forms: list[tuple[Form, float]]


def smallest_group(n: int) -> int:
    """Fewer rows than this are outliers, not a group."""
    return max(3, int(np.ceil(0.02 * n)))


def cover(
    forms: list[Form], x: FloatArray, y: FloatArray
) -> tuple[list[FormGroup], RowIndex, list[Form]]:
    """Groups of rows by form (largest first), the rows left over, and the forms looked at.

    Natural forms first; unusual ones (other units, large numbers removed) only where most rows
    fit no natural form.
    """
    n = len(x)
    left = np.ones(n, dtype=np.bool_)
    known = list(forms)
    masks = [form.inside(x, y) for form in known]
    covered = np.any(masks, axis=0) if masks else np.zeros(n, dtype=np.bool_)
    if covered.mean() < 0.5:
        rest = ~covered
        more = unusual_forms(forms, x[rest], y[rest])
        known += more
        masks += [form.inside(x, y) for form in more]
    groups: list[FormGroup] = []
    while left.any() and masks:
        counts = np.array([(mask & left).sum() for mask in masks], dtype=np.float64)
        # the digits and the priors break ties between forms that hold the same rows
        values = counts + np.array([0.001 * form.prior for form in known])
        rank = int(np.argmax(values))
        if counts[rank] < (smallest_group(n) if groups else 1):
            break
        mine = masks[rank] & left
        total = float(mine.sum())
        holding = [
            (form, float((mask & mine).sum()) / total)
            for form, mask in zip(known, masks, strict=True)
        ]
        kept = [(form, share) for form, share in holding if share >= 0.9]
        groups.append(FormGroup(np.flatnonzero(mine).astype(np.int64), _likely(kept)))
        left &= ~mine
    return groups, np.flatnonzero(left).astype(np.int64), known


def _likely(forms: list[tuple[Form, float]], most: int = 14) -> list[tuple[Form, float]]:
    """The forms worth measuring: by prior, at most `most`."""
    return sorted(forms, key=lambda item: -item[0].prior - 12.0 * (item[1] - 1.0))[:most]


def looks_packed(x: FloatArray, y: FloatArray) -> bool:
    """Whether the digits alone prove packed degrees, minutes, seconds."""
    return packed_evidence(x, y) > 8.0


def segments(
    ranked: list[Scored], x: FloatArray, y: FloatArray, registration: Registration | None
) -> list[tuple[RowIndex, Scored]] | None:
    """Runs of rows (or scattered rows) on different readings; None when one reading suffices.

    Viterbi over the rows in file order: a row is near or not near under each reading, a change
    of reading costs 10 nats. Rows that mix without order are told apart one by one when those
    that miss the best reading fit another far beyond chance.
    """
    if registration is None or not registration.references.channels or len(x) < 12:
        return None
    some = [s for s in ranked if s.nats >= 4.0 and s.reading.datum != "unknown"][:6]
    if len(some) < 2:
        return None
    pick = np.unique(np.linspace(0, len(x) - 1, min(_SEGMENT_SAMPLE, len(x))).astype(int))
    best = max(some, key=lambda s: s.nats)
    radius = best.hypothesis.near_m or float(RADII[3])
    radius = min(max(radius, 1.0), 16.0)
    near, channel = _near(some, x[pick], y[pick], registration, radius)
    chance = float(registration.chance[channel, int(np.searchsorted(RADII, radius))])
    if chance > 0.25:
        return None  # everything here is near something: rows cannot be told apart
    path = _viterbi(near, chance)
    groups = _runs(path, pick, len(x), some, near)
    if groups is None and chance <= 0.12:
        groups = _scattered(near, chance, pick, x, y, some, registration, channel, radius)
    return groups


def _near(
    some: list[Scored], x: FloatArray, y: FloatArray, registration: Registration, radius: float
) -> tuple[BoolArray, int]:
    """(readings, rows) whether near, on the channel on which most rows are near something."""
    places = []
    for item in some:
        lon, lat = item.reading.lonlat(x, y)
        places.append(registration.references.local(lon, lat))
    best: tuple[float, int, BoolArray] | None = None
    for index, channel in enumerate(registration.references.channels):
        near = np.array([channel.distances(xy) <= radius for xy in places])
        chance = float(registration.chance[index, int(np.searchsorted(RADII, radius))])
        gain = float(near.any(axis=0).mean()) - chance * len(some)
        if best is None or gain > best[0]:
            best = (gain, index, near)
    if best is None:
        raise ValueError("no reference channel")
    return best[2], best[1]


def _viterbi(near: BoolArray, chance: float) -> NDArray[np.int64]:
    """(rows,) best reading of each row; a row counts half, as its neighbours resemble it."""
    share = float(np.clip(near.mean(axis=1).max(), chance + 0.05, 0.98))
    path = np.zeros(near.shape[1], dtype=np.int64)
    for _ in range(3):
        hit = 0.5 * np.log(share / chance)
        miss = 0.5 * np.log((1 - share) / (1 - chance))
        gain = np.where(near, hit, miss)
        k, n = gain.shape
        score = gain[:, 0].copy()
        back = np.zeros((n, k), dtype=np.int64)
        for i in range(1, n):
            top = int(np.argmax(score))
            switch = score[top] - _SWITCH_NATS > score
            back[i] = np.where(switch, top, np.arange(k))
            score = np.where(switch, score[top] - _SWITCH_NATS, score) + gain[:, i]
        path[-1] = int(np.argmax(score))
        for i in range(n - 1, 0, -1):
            path[i - 1] = back[i, path[i]]
        again = float(np.clip(near[path, np.arange(n)].mean(), chance + 0.05, 0.98))
        if abs(again - share) < 0.02:
            break
        share = again
    return path


def _runs(
    path: NDArray[np.int64], pick: RowIndex, n: int, some: list[Scored], near: BoolArray
) -> list[tuple[RowIndex, Scored]] | None:
    used, counts = np.unique(path, return_counts=True)
    if len(used) < 2 or counts.min() < 4:
        return None
    for k in used:
        shares = near[:, path == k].mean(axis=1)[used]
        mine = float(near[k, path == k].mean())
        if mine < 0.5 or mine - float(np.sort(shares)[-2]) < 0.3:
            return None  # a regular street net is near itself again after a block or two
    # rows between two sampled ones go with the nearer one
    nearest = np.searchsorted((pick[:-1] + pick[1:]) / 2.0, np.arange(n))
    label = path[nearest]
    return [(np.flatnonzero(label == k).astype(np.int64), some[k]) for k in used]


def _scattered(
    near: BoolArray,
    chance: float,
    pick: RowIndex,
    x: FloatArray,
    y: FloatArray,
    some: list[Scored],
    registration: Registration,
    channel: int,
    radius: float,
) -> list[tuple[RowIndex, Scored]] | None:
    """Rows of two readings without order in the file."""
    first = int(np.argmax(near.sum(axis=1)))
    miss = ~near[first]
    if miss.sum() < max(8, 0.05 * len(pick)):
        return None
    shares = near[:, miss].mean(axis=1)
    second = int(np.argmax(np.where(np.arange(len(some)) == first, -1.0, shares)))
    p, q = float(shares[second]), float(np.clip(chance, 1e-4, 0.9))
    # what misses the truth by its nature (a park beside a road layer) misses every reading
    usual = float(near[first].mean()) if first != second else 1.0
    if p < 0.75 or p < 4 * q or usual < 0.15 or miss.sum() * (p - q) ** 2 < 6:
        return None
    distance = []
    for item in (some[first], some[second]):
        lon, lat = item.reading.lonlat(x, y)
        xy = registration.references.local(lon, lat)
        distance.append(registration.references.channels[channel].distances(xy))
    other = (distance[1] <= radius) & (distance[0] > radius)
    rows = np.arange(len(x), dtype=np.int64)
    return [(rows[~other], some[first]), (rows[other], some[second])]


def outliers(
    lon: FloatArray, lat: FloatArray, rows: RowIndex, per: tuple[float, float], plane: bool
) -> list[Outlier]:
    """Single rows of a group far from all others, best explained by a slip of one digit.

    `lon`, `lat` of the group's rows under its reading; `per` metres of a degree. A slip is a
    whole degree (plane: 10 or 100 km) that brings the row back among the others; without one
    only a row 30 km from everything is named.
    """
    n = len(lon)
    if n < 5:
        return []
    x, y = lon * per[0], lat * per[1]
    good = np.isfinite(x) & np.isfinite(y)
    if good.sum() < 5:
        return []
    middle = np.array([np.median(x[good]), np.median(y[good])])
    spread = np.array([np.median(np.abs(x[good] - middle[0])),
                       np.median(np.abs(y[good] - middle[1]))])  # fmt: skip
    away = np.abs(np.column_stack([x, y]) - middle) / (8.0 * spread + 200.0)
    doubtful = np.flatnonzero(good & (away.max(axis=1) > 1.0))
    if len(doubtful) == 0 or len(doubtful) > max(2, 0.03 * n):
        return []
    core = np.ones(n, dtype=np.bool_)
    core[doubtful] = False
    core &= good
    tree = shapely.STRtree(np.asarray(shapely.points(x[core], y[core]), dtype=object))
    sample = np.flatnonzero(core)[:: max(1, int(core.sum()) // 400)]
    _, gap = tree.query_nearest(
        shapely.points(x[sample], y[sample]), exclusive=True, return_distance=True,
        all_matches=False,
    )  # fmt: skip
    usual = max(float(np.quantile(gap, 0.9)) if len(gap) else 0.0, 50.0)
    moves = _slips(per, plane)
    out = []
    for i in doubtful:
        here = _nearest(tree, x[i], y[i])
        if here < 10.0 * usual:
            continue
        back = [(_nearest(tree, x[i] + dx, y[i] + dy), name) for dx, dy, name in moves]
        distance, slip = min(back)
        if distance <= 5.0 * usual and here > 3000.0:
            out.append(Outlier(int(rows[i]), here, slip))
        elif here > 30_000.0:
            out.append(Outlier(int(rows[i]), here, "远离其余各点 far from all other points"))
    return out


def _slips(per: tuple[float, float], plane: bool) -> list[tuple[float, float, str]]:
    out = []
    units = ((10_000.0, "10 km"), (100_000.0, "100 km")) if plane else ((1.0, "1°"), (10.0, "10°"))
    for size, title in units:
        for k in (-2, -1, 1, 2):
            step = k * size
            label = f"{-k:+d} × {title}"
            east, north = (step, step) if plane else (step * per[0], step * per[1])
            out.append((east, 0.0, f"东（经度）错 east or longitude off by {label}"))
            out.append((0.0, north, f"北（纬度）错 north or latitude off by {label}"))
    return out


def _nearest(tree: shapely.STRtree, x: float, y: float) -> float:
    _, distance = tree.query_nearest(shapely.Point(x, y), return_distance=True, all_matches=False)
    return float(distance[0]) if len(distance) else np.inf


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
