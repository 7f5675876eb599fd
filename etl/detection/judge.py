"""`detect`: the verdict on one set of coordinates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etl.datum import Coordsys, DatumError, DatumRegistry
from etl.datum.coordsys import FloatArray
from etl.detection import paired, strays, verdicts
from etl.detection import rows as grouping
from etl.detection.answer import Asked, answer, outside
from etl.detection.evidence import FEW, Reading, Scored, rank, readings, registered
from etl.detection.features import read_numbers
from etl.detection.forms import Form, natural_forms
from etl.detection.model import Detection, Outlier, RowGroup
from etl.detection.offsets import by_reference
from etl.detection.references import References, scale
from etl.detection.registration import Surroundings
from etl.detection.segments import segments
from layers.city import CityProfile

_SAME_DATUM_M = 5.0
"""Datums nearer than this are one to the detection: its evidence is metres, not decimetres."""
_LARGE = 0.2
"""Share of the rows from which a part that cannot be named by itself is believed."""


def detect(
    coordinates: Any,
    *,
    profile: CityProfile,
    registry: DatumRegistry | None = None,
    declared: str | None = None,
    field_names: tuple[str, str] | None = None,
    references: References | None = None,
    axes_stated: bool = False,
    rows: NDArray[np.int64] | None = None,
) -> Detection:
    """Judge (n, 2) coordinates, or two columns of numbers or text: x = lon/east, y = lat/north.

    `declared`: coordsys the delivery or file claims. `field_names`: titles of the columns x and y
    came from; a title that says east but holds northings is an objection, a bare X or Y is not
    (Chinese surveys write X = north) unless the delivery states the axes (`axes_stated`).
    `rows` (n,) ascending: the number of each coordinate's row as a person counts it in the file
    (several vertices a row, or a sample of the rows); the verdict's rows are then those, less 1.
    Raises DatumError for an unknown declared coordsys, ValueError for another shape.
    """
    steps = registry or DatumRegistry()
    numbers = read_numbers(coordinates)
    claimed = None if declared is None else _told_apart(steps.parse(declared), steps, profile)
    asked = Asked(profile, steps, claimed, field_names, references, axes_stated, numbers, rows)
    if len(asked.good) == 0:
        return answer(asked, [], [], [], [], "没有坐标 no coordinates to judge")
    if references is not None and references.paired is not None:
        found = paired.compare(numbers, references, profile, steps)
        if found:
            named = RowGroup(asked.good, verdicts.decide(found), tuple(s.hypothesis for s in found))
            strange = paired.disagreeing(found[0], numbers, references)
            return answer(asked, [named], [], strange, [], "")
    return _Job(asked).judge()


class _Job:
    """One detection under way: the inputs that every step needs."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.profile, self.registry, self.claimed = asked.profile, asked.registry, asked.claimed
        self.references, self.name = asked.references, asked.name
        self.good, self.x, self.y = asked.good, asked.x, asked.y
        self.around = None
        if asked.references is not None and asked.references.channels:
            self.around = Surroundings(asked.references)

    def judge(self) -> Detection:
        """Cover the rows by forms, measure each group, find changes of datum and outliers."""
        forms = natural_forms(
            self.profile,
            self.registry,
            self.profile.extent,
            self.claimed,
            compared=self.asked.compared,
        )
        if self.asked.custom:  # bare X and Y: either order is custom
            forms = [replace(f, prior=f.prior + 1.5) if f.swapped else f for f in forms]
        groups, left, known = grouping.cover(forms, self.x, self.y)
        if not groups:
            return outside(self.asked)
        out: list[RowGroup] = []
        ranking: list[Scored] = []
        lonely: list[Outlier] = []
        for index, group in enumerate(groups):
            ranked, parts = self._measure(group, len(groups) > 1)
            if index == 0:
                ranking = ranked
                lonely = self._strays(group, ranked, left, known)
            out += parts
        if lonely:
            lost = np.array(sorted({o.row for o in lonely}), dtype=np.int64)
            out = [replace(g, rows=np.setdiff1d(g.rows, lost)) for g in out]
        out.sort(key=lambda g: -len(g.rows))
        return answer(self.asked, out, ranking, lonely, [], "")

    def _measure(
        self, group: grouping.FormGroup, several: bool
    ) -> tuple[list[Scored], list[RowGroup]]:
        """Ranking of a group's readings and its rows by reading; `several` groups by form."""
        x, y = self.x[group.rows], self.y[group.rows]
        forms = self._offsets(group.forms, x, y)
        ranked = self._ranked(forms, x, y)
        parts = self._parts(ranked, x, y)
        named: dict[str, tuple[grouping.RowIndex, RowGroup]] = {}
        for part, reading in parts:
            again = self._ranked([(reading.form, 1.0)], x[part], y[part], ranked[0].reading)
            own = verdicts.decide(again)
            if own is None:  # a large part is named by the path through all rows
                wanted = reading.key if len(part) >= _LARGE * len(x) else ranked[0].reading.key
                own = next((s.hypothesis for s in again if s.reading.key == wanted), None)
            key = "" if own is None else own.label
            before = named[key][0] if key in named else np.empty(0, np.int64)
            at = np.union1d(before, part)
            hypotheses = tuple(s.hypothesis for s in again)
            named[key] = at, RowGroup(self.good[group.rows[at]], own, hypotheses)
        if len(named) > 1:
            return ranked, [one for _, one in named.values()]
        few = self.asked.compared and len(x) < FEW
        verdict = verdicts.decide(ranked, few)
        if verdict is None and several and ranked and ranked[0].reading.datum == "cgcs2000":
            verdict = verdicts.form_decided(ranked)  # the form tells the groups apart
        hypotheses = tuple(s.hypothesis for s in ranked)
        return ranked, [RowGroup(self.good[group.rows], verdict, hypotheses)]

    def _ranked(
        self,
        forms: list[tuple[Form, float]],
        x: FloatArray,
        y: FloatArray,
        usual: Reading | None = None,
    ) -> list[Scored]:
        ranked = rank(forms, x, y, self.profile, self.registry, self.around, self.name, usual)
        if self.claimed is not None and self.claimed.epsg is not None:
            ranked = [self._as_declared(s) for s in ranked]
        return ranked

    def _offsets(
        self, forms: list[tuple[Form, float]], x: FloatArray, y: FloatArray
    ) -> list[tuple[Form, float]]:
        """Where numbers were taken away: also the offsets that the references speak for."""
        if self.references is None or not self.references.channels:
            return forms
        if not forms or forms[0][0].added == (0.0, 0.0):
            return forms
        found = by_reference([form for form, _ in forms], x, y, self.references)
        seen = {(form.coordsys.name, form.swapped, form.added) for form, _ in forms}
        new = [(f, 1.0) for f in found if (f.coordsys.name, f.swapped, f.added) not in seen]
        best = [(f, s) for f, s in forms if found and f.added == found[0].added]
        # first what lies on the references: chance is measured around it
        return list(dict.fromkeys([*best, *new, *forms]))

    def _candidates(self, ranked: list[Scored]) -> list[Reading]:
        """Readings that rows of one file may mix: every datum of the best form, then others."""
        named = [s.reading for s in ranked if s.reading.datum != "unknown"]
        if not named:
            return []
        out = [named[0], *readings(named[0].form, self.profile, self.registry)]
        out += [s.reading for s in ranked if s.nats >= 4.0 and s.reading.datum != "unknown"]
        return list({reading.key: reading for reading in out}.values())[:8]

    def _as_declared(self, scored: Scored) -> Scored:
        """The declared name where it means the same metres (4509 for 4548)."""
        h = scored.hypothesis
        if self.claimed is None or h.coordsys == self.claimed.name:
            return scored
        if verdicts.same_numbers(self.claimed, h) and self.claimed.name != "wgs84":
            return replace(scored, hypothesis=replace(h, coordsys=self.claimed.name))
        return scored

    def _parts(
        self, ranked: list[Scored], x: FloatArray, y: FloatArray
    ) -> list[tuple[grouping.RowIndex, Reading]]:
        """Rows by reading where they differ; empty where one reading suffices."""
        candidates = self._candidates(ranked)
        if len(candidates) < 2:
            return []
        pick = np.unique(np.linspace(0, len(x) - 1, min(600, len(x))).astype(int))
        registration = registered(candidates[0].form, x[pick], y[pick], self.around)
        return segments(candidates, x, y, registration) or []

    def _strays(
        self,
        group: grouping.FormGroup,
        ranked: list[Scored],
        left: grouping.RowIndex,
        forms: list[Form],
    ) -> list[Outlier]:
        if not ranked:
            return []
        form = ranked[0].reading.form
        x, y = self.x[group.rows], self.y[group.rows]
        per = scale((self.profile.extent.south + self.profile.extent.north) / 2)
        found = strays.outliers(form, x, y, self.good[group.rows], per)
        if len(left):
            lon, lat = form.lonlat(x, y)
            low = (float(np.nanmin(lon)), float(np.nanmin(lat)))
            high = (float(np.nanmax(lon)), float(np.nanmax(lat)))
            where = form.lonlat(self.x[left], self.y[left])
            natural = [f for f in forms if f.notation == "decimal" and f.added == (0.0, 0.0)]
            beside = strays.stray(left, self.x, self.y, natural, form, (*low, *high), where)
            found += [replace(o, row=int(self.good[o.row])) for o in beside]
        return sorted(found, key=lambda o: o.row)


def _told_apart(claimed: Coordsys, registry: DatumRegistry, profile: CityProfile) -> Coordsys:
    """The claim, or CGCS2000 for degrees of a datum within metres of it (JGD2011, ETRS89).

    No detection tells these apart, and their degrees are tried as those of CGCS2000.
    """
    if claimed.kind != "geographic" or claimed.epsg is None or claimed.name == "wgs84":
        return claimed
    try:
        lon, lat = registry.chain(claimed).point(*profile.center)
    except DatumError:
        return claimed  # nobody registered parameters: said as a refusal
    per_lon, per_lat = scale(profile.center[1])
    off = np.hypot((lon - profile.center[0]) * per_lon, (lat - profile.center[1]) * per_lat)
    return registry.parse("cgcs2000") if off < _SAME_DATUM_M else claimed
