"""Readings of one row group, scored: form, datum, digits and nearness to the references."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import yaml

from etl.datum import DatumChain, DatumError, DatumRegistry
from etl.datum.coordsys import FloatArray, datum_key
from etl.datum.obfuscation import inside_box
from etl.detection.features import packed_evidence
from etl.detection.forms import Form, central_meridian, zone_of
from etl.detection.model import Datum, Hypothesis
from etl.detection.references import scale
from etl.detection.registration import Registration, Support, Surroundings
from layers.city import CityProfile

SAMPLE = 600
# Nearness is weighed by independent points; the rest covers what displacement does not show.
_WEIGHT = 0.8
FEW = 20
"""Fewer points than this fit somewhere in 260 m by luck: no shift is looked for."""
_PROVEN_NATS = 5.0
_RARELY_MIXED = 5.0
_DATUM_KEYS: dict[str, Datum] = {
    "China 2000": "cgcs2000",
    "Xian 1980": "xian80",
    "Beijing 1954": "beijing54",
    "World Geodetic System 1984": "cgcs2000",
}


@lru_cache(maxsize=1)
def _priors() -> dict[str, Any]:
    text = (resources.files("etl.detection") / "shifts.yaml").read_text("utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def classical_code(epsg: int, datum: str) -> int | None:
    """EPSG code of a CGCS2000 grid's twin on Xian 1980 or Beijing 1954, None without one."""
    tables = {
        "xian80": ((4534, 21, 2370), (4513, 21, 2349), (4491, 11, 2327), (4502, 11, 2338)),
        "beijing54": ((4534, 21, 2422), (4513, 21, 2401), (4491, 11, 21413), (4502, 11, 21453)),
    }
    if epsg == 4490:
        return {"xian80": 4610, "beijing54": 4214}[datum]
    for first, count, twin in tables[datum]:
        if first <= epsg < first + count:
            return twin + epsg - first
    return None


def nominal_shift(datum: str, plane: bool, center: tuple[float, float]) -> FloatArray | None:
    """What a classical datum read as CGCS2000 lacks (east, north) metres; None elsewhere."""
    known = _priors()
    area = known["area"]
    if not (
        area["west"] <= center[0] <= area["east"] and area["south"] <= center[1] <= area["north"]
    ):
        return None
    return np.array(known["datums"][datum]["plane" if plane else "geographic"], dtype=np.float64)


@dataclass(frozen=True)
class Reading:
    """A form on a datum: CGCS2000 degrees of the rows, plus a constant shift in metres."""

    form: Form
    name: str
    datum: Datum
    chain: DatumChain | None = None
    shift: tuple[float, float] | None = None
    prior: float = 0.0

    def lonlat(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(n,) CGCS2000 degrees."""
        if self.chain is not None:
            lon, lat, _ = self.chain.apply(*self.form.repaired(x, y))
        else:
            lon, lat = self.form.lonlat(x, y)
        if self.shift is not None and len(lat):
            per_lon, per_lat = scale(float(np.nanmedian(lat)) if np.isfinite(lat).any() else 0.0)
            lon, lat = lon + self.shift[0] / per_lon, lat + self.shift[1] / per_lat
        return lon, lat

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes two readings the same answer."""
        f = self.form
        moved = self.shift if self.datum == "unknown" else None
        return (self.name, f.swapped, f.notation, f.unit, f.added, moved)


def readings(form: Form, profile: CityProfile, registry: DatumRegistry) -> Iterator[Reading]:
    """The form on every datum that its numbers may be in."""
    system = form.coordsys
    own: Datum = "local" if system.epsg is None else _datum(system.epsg)
    yield Reading(form, system.name, own)
    if system.name == "cgcs2000":
        # Obfuscated coordinates exist where the formula's box reaches, or where the city says so.
        reach = bool(inside_box(*np.array(profile.center).reshape(2, 1))[0])
        accepted = {name.lower() for name in profile.accepted_coordsys}
        for name in ("gcj02", "bd09"):
            if reach or name in accepted:
                obfuscated: Datum = "gcj02" if name == "gcj02" else "bd09"
                yield Reading(form, name, obfuscated, registry.chain(name))
    if own == "cgcs2000" and system.epsg is not None:
        yield from _classical(form, system.epsg, profile, registry)


def _classical(
    form: Form, epsg: int, profile: CityProfile, registry: DatumRegistry
) -> Iterator[Reading]:
    names: tuple[Datum, ...] = ("xian80", "beijing54")
    for datum in names:
        code = classical_code(epsg, datum)
        if code is None:
            continue
        try:
            yield Reading(form, f"epsg:{code}", datum, registry.chain(f"epsg:{code}"), prior=-2.0)
            continue
        except DatumError:
            pass  # without registered parameters the measured shift must do for recognition
        shift = nominal_shift(datum, form.plane, profile.center)
        if shift is not None:
            moved = (float(shift[0]), float(shift[1]))
            yield Reading(form, f"epsg:{code}", datum, shift=moved, prior=-2.0)


def _datum(epsg: int) -> Datum:
    return _DATUM_KEYS.get(datum_key(epsg), "other")


@dataclass(frozen=True)
class Scored:
    """A reading with its evidence; `nats` is what nearness alone says."""

    reading: Reading
    hypothesis: Hypothesis
    nats: float


def rank(
    forms: list[tuple[Form, float]],
    x: FloatArray,
    y: FloatArray,
    profile: CityProfile,
    registry: DatumRegistry,
    around: Surroundings | None,
    declared: str | None,
    usual: Reading | None = None,
) -> list[Scored]:
    """All readings of a group's forms (with the share of rows each holds), best first.

    `usual`: the reading of the rest of the file; a part of it rarely has another.

    Posterior of a reading: exp(prior + digits + half the nearness), normalised. Classical
    datums and unnamed shifts take part only where the references speak for them.
    """
    pick = np.unique(np.linspace(0, len(x) - 1, min(SAMPLE, len(x))).astype(int))
    px, py = x[pick], y[pick]
    found: list[Scored] = []
    for form, share in forms:
        digits = _digits(form, px, py)
        references = registered(form, px, py, around)
        found += [
            _score(reading, px, py, share, digits, references, declared)
            for reading in readings(form, profile, registry)
        ]
    if around is not None and found:
        found.sort(key=lambda item: -item.hypothesis.score)
        bases = [s for s in found if s.reading.shift is None and s.reading.chain is None]
        for base in [] if len(x) < FEW or _explained(found[0]) else bases[:2]:
            references = registered(base.reading.form, px, py, around)
            if references is not None:
                found += _shifted(base, px, py, profile, references, declared)
    # a classical datum takes part when the reference speaks for it, or more than for CGCS2000
    modern = max((s.nats for s in found if s.reading.datum == "cgcs2000"), default=0.0)
    proven = [
        s
        for s in found
        if s.nats >= min(_PROVEN_NATS, modern + 1.0)
        or s.reading.datum not in ("xian80", "beijing54", "unknown")
        or s.reading.name == declared
    ]
    if usual is not None:
        proven = [_favoured(s) if s.reading.key == usual.key else s for s in proven]
    best: dict[tuple[Any, ...], Scored] = {}
    for item in sorted(proven, key=lambda s: -s.hypothesis.score):
        best.setdefault(item.reading.key, item)
    ranked = list(best.values())
    if not ranked:
        return []
    scores = np.array([s.hypothesis.score for s in ranked])
    weights = np.exp(scores - scores.max())
    weights /= weights.sum()
    return [
        replace(s, hypothesis=replace(s.hypothesis, confidence=float(w)))
        for s, w in zip(ranked, weights, strict=True)
    ]


def _favoured(item: Scored) -> Scored:
    h = item.hypothesis
    return replace(item, hypothesis=replace(h, score=h.score + _RARELY_MIXED))


def _explained(best: Scored) -> bool:
    """Whether nothing is left for a shift to explain: most rows lie near, far beyond chance."""
    h = best.hypothesis
    return best.nats >= 20.0 and (h.near_m or np.inf) <= 4.0 and (h.near_share or 0.0) >= 0.7


def registered(
    form: Form, x: FloatArray, y: FloatArray, around: Surroundings | None
) -> Registration | None:
    """What is near by chance where a form puts the points; None with nothing to compare."""
    if around is None or not around.references.channels:
        return None
    lon, lat = form.lonlat(x, y)
    good = np.isfinite(lon) & np.isfinite(lat)
    if not good.any():
        return None
    return around.at(around.references.local(lon[good], lat[good]))


def _digits(form: Form, x: FloatArray, y: FloatArray) -> float:
    """What the digits say for packed notation, as nats for a packed form."""
    if form.notation != "packed_dms":
        return 0.0
    return packed_evidence(x, y)


def _score(
    reading: Reading,
    x: FloatArray,
    y: FloatArray,
    share: float,
    digits: float,
    references: Registration | None,
    declared: str | None,
) -> Scored:
    support: Support | None = None
    if references is not None:
        lon, lat = reading.lonlat(x, y)
        good = np.isfinite(lon) & np.isfinite(lat)
        if good.any():
            support = references.support(references.references.local(lon[good], lat[good]))
    nats = 0.0 if support is None else max(support.nats, 0.0)
    prior = reading.prior + reading.form.prior + (2.0 if reading.name == declared else 0.0)
    form, epsg = reading.form, reading.form.coordsys.epsg
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
        evidence_m=None if support is None else support.median_m,
        near_m=None if support is None else support.near_m,
        near_share=None if support is None else support.share,
        near_chance=None if support is None else support.chance,
        shift_m=reading.shift,
        score=prior + digits + _WEIGHT * nats - 12.0 * (1.0 - share),
    )
    return Scored(reading, hypothesis, nats)


def _shifted(
    base: Scored,
    x: FloatArray,
    y: FloatArray,
    profile: CityProfile,
    references: Registration,
    declared: str | None,
) -> list[Scored]:
    """Readings moved by the shifts that the references vote for, named where a datum fits."""
    lon, lat = base.reading.lonlat(x, y)
    good = np.isfinite(lon) & np.isfinite(lat)
    xy = references.references.local(lon[good], lat[good])
    out: list[Scored] = []
    form = base.reading.form
    for shift in references.shifts(xy, most=2):
        if np.hypot(*shift) < 6.0:
            continue
        name, datum, prior = base.reading.name, base.reading.datum, -12.0
        # looking for a shift freely is (260/8)^2 chances to be lucky; near a known one 40
        twin: Datum = "unknown"
        for candidate in ("xian80", "beijing54"):
            nominal = nominal_shift(candidate, form.plane, profile.center)
            code = classical_code(form.coordsys.epsg or 0, candidate)
            if nominal is None or code is None or datum != "cgcs2000":
                continue
            if np.hypot(*(nominal - np.array(shift))) <= float(_priors()["tolerance_m"]):
                twin = "xian80" if candidate == "xian80" else "beijing54"
                name, prior = f"epsg:{code}", -5.7
        moved = replace(base.reading, name=name, datum=twin, shift=shift, prior=prior)
        scored = _score(moved, x, y, base.hypothesis.inside,
                        _digits(form, x, y), references, declared)  # fmt: skip
        # a corner of every house on its middle is no shift: it must bring more rows near
        if (scored.hypothesis.near_share or 0.0) >= 0.8 * (base.hypothesis.near_share or 0.0):
            out.append(scored)
    return out
