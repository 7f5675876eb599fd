"""Rows whose true position is known: every reading is measured row by row.

Known positions come from control or check points, or from a second pair of columns of the same
table. The latter nobody vouches for: when plane and degree columns agree to the millimetre on
one ellipsoid and miss by tens of metres on another, both are of that datum.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from etl.datum import DatumError, DatumRegistry
from etl.datum.coordsys import FloatArray
from etl.detection.evidence import Reading, Scored, classical_code, readings
from etl.detection.features import Numbers
from etl.detection.forms import central_meridian, natural_forms, zone_of
from etl.detection.model import Datum, Hypothesis, Outlier
from etl.detection.references import References, scale
from etl.detection.rows import cover
from layers.city import CityProfile, Extent

_NEAR_M = 25.0
_SAME_M = 1.0
_APART_M = 100.0


def compare(
    numbers: Numbers, references: References, profile: CityProfile, registry: DatumRegistry
) -> list[Scored]:
    """Readings ranked by their median distance from the known positions; [] with none known."""
    pairs = references.paired
    if pairs is None or len(pairs) != len(numbers.x):
        return []
    use = np.flatnonzero(numbers.good & np.isfinite(pairs).all(axis=1))
    if len(use) == 0:
        return []
    x, y, lon, lat = numbers.x[use], numbers.y[use], pairs[use, 0], pairs[use, 1]
    extent = Extent(lon.min() - 0.05, lat.min() - 0.05, lon.max() + 0.05, lat.max() + 0.05)
    center = (float(np.median(lon)), float(np.median(lat)))
    here = replace(profile, extent=extent, center=center)
    groups, _, _ = cover(natural_forms(here, registry, extent, None), x, y)
    if not groups:
        return []
    rows = groups[0].rows
    out: list[Scored] = []
    for form, share in groups[0].forms:
        for reading in readings(form, here, registry):
            found = reading.lonlat(x[rows], y[rows])
            out.append(_scored(reading, share, _distance(found, (lon[rows], lat[rows]))))
        if references.paired_raw:
            out += _one_datum(form, share, x[rows], y[rows], (lon[rows], lat[rows]), registry)
    out.sort(key=lambda s: s.hypothesis.evidence_m or 0.0)
    # an exact pair on one ellipsoid outweighs a shift that is known to 25 m only
    return _weighed(out)


def disagreeing(best: Scored, numbers: Numbers, references: References) -> list[Outlier]:
    """Single rows (at most 3 %) far from their own known position, where the others are near."""
    pairs = references.paired
    middle = best.hypothesis.evidence_m
    if pairs is None or middle is None or not middle <= _NEAR_M:
        return []
    use = np.flatnonzero(numbers.good & np.isfinite(pairs).all(axis=1))
    found = best.reading.lonlat(numbers.x[use], numbers.y[use])
    distance = _distance(found, (pairs[use, 0], pairs[use, 1]))
    wrong = np.flatnonzero(~(distance <= _APART_M + 50.0 * middle))
    if len(wrong) > max(2, 0.03 * len(use)):
        return []
    slip = "与同行的另一组坐标不符 not where its row's known position is"
    return [Outlier(int(use[at]), float(np.nan_to_num(distance[at], nan=np.inf)), slip)
            for at in wrong]  # fmt: skip


def _distance(
    found: tuple[FloatArray, FloatArray], known: tuple[FloatArray, FloatArray]
) -> FloatArray:
    per_lon, per_lat = scale(float(np.median(known[1])))
    gap: FloatArray = np.hypot((found[0] - known[0]) * per_lon, (found[1] - known[1]) * per_lat)
    return gap


def _one_datum(
    form: object,
    share: float,
    x: FloatArray,
    y: FloatArray,
    known: tuple[FloatArray, FloatArray],
    registry: DatumRegistry,
) -> list[Scored]:
    """Both pairs of columns on one classical datum: the degrees projected on its ellipsoid."""
    from etl.detection.forms import Form

    if not isinstance(form, Form) or not form.plane or form.coordsys.epsg is None:
        return []
    out = []
    names: tuple[Datum, ...] = ("xian80", "beijing54")
    for datum in names:
        code = classical_code(form.coordsys.epsg, datum)
        geographic = classical_code(4490, datum)
        if code is None:
            continue
        try:
            chain = registry.chain(f"epsg:{code}", f"epsg:{geographic}")
        except DatumError:
            continue
        lon, lat, _ = chain.apply(*form.repaired(x, y))
        distance = _distance((lon, lat), known)
        if float(np.median(distance)) <= _SAME_M:
            out.append(_scored(Reading(form, f"epsg:{code}", datum), share, distance))
    return out


def _scored(reading: Reading, share: float, distance: FloatArray) -> Scored:
    form, epsg = reading.form, reading.form.coordsys.epsg
    middle = float(np.nanmedian(distance)) if np.isfinite(distance).any() else np.inf
    hypothesis = Hypothesis(
        coordsys=reading.name,
        datum=reading.datum,
        swapped=form.swapped,
        notation=form.notation,
        unit=form.unit,
        added=form.added,
        zone=zone_of(epsg),
        central_meridian=None if epsg is None else central_meridian(epsg),
        inside=share,
        evidence_m=middle,
        shift_m=reading.shift,
    )
    return Scored(reading, hypothesis, 0.0)


def _weighed(ranked: list[Scored]) -> list[Scored]:
    """Confidence from the distances: the nearest within 25 m, clear of all others by 3 to 1."""
    if not ranked:
        return []
    best = ranked[0].hypothesis.evidence_m
    kept: dict[tuple[object, ...], Scored] = {}
    for item in ranked:
        kept.setdefault(item.reading.key, item)
    out = list(kept.values())
    others = [s.hypothesis.evidence_m or 0.0 for s in out[1:]]
    sure = (
        best is not None
        and best <= _NEAR_M
        and all(other >= 3.0 * best + _SAME_M for other in others)
    )
    first = 0.999 if sure else 1.0 / len(out)
    rest = (1.0 - first) / max(1, len(out) - 1)
    return [
        replace(s, hypothesis=replace(s.hypothesis, confidence=first if i == 0 else rest))
        for i, s in enumerate(out)
    ]
