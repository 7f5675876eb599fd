"""`detect`: the verdict on one set of coordinates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from etl.datum import Coordsys, DatumError, DatumRegistry
from etl.datum.coordsys import FloatArray
from etl.datum.position import zone_code
from etl.detection import paired, rows, verdicts
from etl.detection.evidence import Scored, rank
from etl.detection.features import Numbers, plane_axes, read_numbers
from etl.detection.forms import Form, natural_forms
from etl.detection.model import Agreement, Detection, Finding, Hypothesis, Kind, Outlier, RowGroup
from etl.detection.references import References, scale
from etl.detection.registration import Registration
from layers.city import CityProfile

_Confidence = Literal["certain", "likely", "none"]

_SAME_DATUM_M = 5.0
"""Datums nearer than this are one to the detection: its evidence is metres, not decimetres."""


def detect(
    coordinates: Any,
    *,
    profile: CityProfile,
    registry: DatumRegistry | None = None,
    declared: str | None = None,
    field_names: tuple[str, str] | None = None,
    references: References | None = None,
    axes_stated: bool = False,
) -> Detection:
    """Judge (n, 2) coordinates, or two columns of numbers or text: x = lon/east, y = lat/north.

    `declared`: coordsys the delivery or file claims. `field_names`: titles of the columns x and y
    came from; a title that says east but holds northings is an objection, a bare X or Y is not
    (Chinese surveys write X = north) unless the delivery states the axes (`axes_stated`).
    Raises DatumError for an unknown declared coordsys, ValueError for another shape.
    """
    steps = registry or DatumRegistry()
    numbers = read_numbers(coordinates)
    claimed = None if declared is None else _told_apart(steps.parse(declared), steps, profile)
    good = np.flatnonzero(numbers.good)
    job = _Job(profile, steps, claimed, field_names, references, axes_stated, numbers, good)
    if len(good) == 0:
        return job.answer([], [], [], [], "没有坐标 no coordinates to judge")
    if references is not None and references.paired is not None:
        found = paired.compare(numbers, references, profile, steps)
        if found:
            return job.answer([_group(good, found)], [], [], [], "")
    return job.judge()


class _Job:
    """One detection under way: the inputs that every step needs."""

    def __init__(
        self,
        profile: CityProfile,
        registry: DatumRegistry,
        claimed: Coordsys | None,
        titles: tuple[str, str] | None,
        references: References | None,
        axes_stated: bool,
        numbers: Numbers,
        good: rows.RowIndex,
    ) -> None:
        self.profile, self.registry, self.claimed = profile, registry, claimed
        self.titles, self.axes_stated = titles, axes_stated
        self.references = references
        self.numbers, self.good = numbers, good
        self.x, self.y = numbers.x[good], numbers.y[good]
        name = None if claimed is None else claimed.name
        # WGS 84 cannot be told from CGCS2000: one reading stands for both.
        self.name = "cgcs2000" if name == "wgs84" else name
        self.custom = verdicts.usual_order(titles, axes_stated)

    def judge(self) -> Detection:
        """Cover the rows by forms, measure each group, find changes of datum and outliers."""
        compared = self.references is not None and bool(self.references.channels)
        forms = natural_forms(
            self.profile, self.registry, self.profile.extent, self.claimed, compared=compared
        )
        if self.custom:  # bare X and Y: either order is custom
            forms = [replace(f, prior=f.prior + 1.5) if f.swapped else f for f in forms]
        groups, left, known = rows.cover(forms, self.x, self.y)
        if not groups:
            return self._outside()
        out: list[RowGroup] = []
        ranking: list[Scored] = []
        strays: list[Outlier] = []
        for index, group in enumerate(groups):
            ranked, parts = self._measure(group)
            if index == 0:
                ranking = ranked
                strays = self._strays(group, ranked, left, known)
            out += parts
        lonely = {o.row for o in strays}
        if lonely:
            lost = np.array(sorted(lonely), dtype=np.int64)
            out = [replace(g, rows=np.setdiff1d(g.rows, lost)) for g in out]
        out.sort(key=lambda g: -len(g.rows))
        return self.answer(out, ranking, strays, self._mixture(out), "")

    def _measure(self, group: rows.FormGroup) -> tuple[list[Scored], list[RowGroup]]:
        x, y = self.x[group.rows], self.y[group.rows]
        registration = self._registration(group.forms[0][0], x, y)
        name = self.name
        ranked = rank(group.forms, x, y, self.profile, self.registry, registration, name)
        if self.claimed is not None and self.claimed.epsg is not None and name is not None:
            ranked = [self._as_declared(s) for s in ranked]
        parts = rows.segments(ranked, x, y, registration)
        if parts is None:
            few = registration is not None and len(x) < 20
            return ranked, [_group(self.good[group.rows], ranked, few)]
        made = []
        for part, first in parts:
            again = rank(
                [(s.reading.form, s.hypothesis.inside) for s in [first]],
                x[part], y[part], self.profile, self.registry, registration, name,
            )  # fmt: skip
            made.append(_group(self.good[group.rows[part]], again or [first]))
        return ranked, made

    def _as_declared(self, scored: Scored) -> Scored:
        """The declared name where it means the same metres (4509 for 4548)."""
        h = scored.hypothesis
        if self.claimed is None or h.coordsys == self.claimed.name:
            return scored
        if verdicts.same_numbers(self.claimed, h) and self.claimed.name != "wgs84":
            return replace(scored, hypothesis=replace(h, coordsys=self.claimed.name))
        return scored

    def _registration(self, form: Form, x: FloatArray, y: FloatArray) -> Registration | None:
        if self.references is None or not self.references.channels:
            return None
        pick = np.unique(np.linspace(0, len(x) - 1, min(600, len(x))).astype(int))
        lon, lat = form.lonlat(x[pick], y[pick])
        good = np.isfinite(lon) & np.isfinite(lat)
        if not good.any():
            return None
        xy = self.references.local(lon[good], lat[good])
        return Registration.about(self.references, xy)

    def _strays(
        self,
        group: rows.FormGroup,
        ranked: list[Scored],
        left: rows.RowIndex,
        forms: list[Form],
    ) -> list[Outlier]:
        if not ranked:
            return []
        form = ranked[0].reading.form
        x, y = self.x[group.rows], self.y[group.rows]
        lon, lat = form.lonlat(x, y)
        per = scale((self.profile.extent.south + self.profile.extent.north) / 2)
        found = rows.outliers(lon, lat, self.good[group.rows], per, form.plane)
        if len(left):
            low = (float(np.nanmin(lon)), float(np.nanmin(lat)))
            high = (float(np.nanmax(lon)), float(np.nanmax(lat)))
            where = form.lonlat(self.x[left], self.y[left])
            natural = [f for f in forms if f.notation == "decimal" and f.added == (0.0, 0.0)]
            beside = rows.stray(left, self.x, self.y, natural, form, (*low, *high), where)
            found += [replace(o, row=int(self.good[o.row])) for o in beside]
        return sorted(found, key=lambda o: o.row)

    def _mixture(self, groups: list[RowGroup]) -> list[Finding]:
        """Findings about rows that differ from each other."""
        if len(groups) < 2:
            return []
        named = [g.verdict or (g.hypotheses[0] if g.hypotheses else None) for g in groups]
        told = [h for h in named if h is not None]
        listed = "；".join(
            f"{len(g.rows)} 行 rows: {h.label}" for g, h in zip(groups, named, strict=True) if h
        )
        plane = all(h.central_meridian is not None for h in told)
        alike = len({(h.datum, h.swapped, h.notation, h.unit, h.added) for h in told}) == 1
        kind: Kind = "several_zones" if plane and alike else "mixed_datums"
        title = "一个文件里有几个带" if kind == "several_zones" else "各行坐标系不同"
        english = "several zones" if kind == "several_zones" else "rows in different systems"
        return [
            Finding(
                kind,
                f"{title}：{listed}。请按坐标系拆成几份。 {english}: deliver them apart.",
                True,
            )
        ]

    def _outside(self) -> Detection:
        """Nothing falls into the city: say what the size of the numbers tells."""
        axes = plane_axes(self.x, self.y)
        found: list[Scored] = []
        sentence = self._ranges()
        if axes is not None:
            east = self.y if axes == "swapped" else self.x
            north = self.x if axes == "swapped" else self.y
            zone = int(np.median(east) // 1_000_000)
            code = zone_code(zone)
            if code is not None:
                lon, lat = self.registry.chain(f"epsg:{code}").point(
                    float(np.median(east)), float(np.median(north))
                )
                width = "6度带 6-degree" if zone < 25 else "3度带 3-degree"
                sentence += f"；像 {width} zone {zone}，位于 at {lon:.3f}E {lat:.3f}N"
        findings = []
        if axes == "swapped" and not self.custom:
            text = verdicts.swap_sentence(self.titles)
            findings.append(Finding("swapped_columns", text, True))
        text = f"没有一种读法落在市域内 no reading falls into the city ({sentence})"
        return self.answer([], found, [], [*findings, Finding("outside_city", text, False)], text)

    def _ranges(self) -> str:
        degrees = bool(np.median(np.abs(self.x)) <= 180 and np.median(np.abs(self.y)) <= 180)
        unit = "度 degrees" if degrees else "米 metres"
        return (
            f"{unit}, x {self.x.min():.3f}..{self.x.max():.3f},"
            f" y {self.y.min():.3f}..{self.y.max():.3f}"
        )

    def answer(
        self,
        groups: list[RowGroup],
        ranking: list[Scored],
        strays: list[Outlier],
        findings: list[Finding],
        empty: str,
    ) -> Detection:
        """Findings against the declaration, agreement and sentences."""
        hypotheses = groups[0].hypotheses if groups else ()
        verdict = groups[0].verdict if groups else None
        if ranking and len(groups) < 2:
            hypotheses = tuple(s.hypothesis for s in ranking)
        findings = list(findings)
        notation_text = float(self.numbers.dms[self.good].mean()) if len(self.good) else 0.0
        if notation_text > 0:
            text = "坐标写成度分秒文本，已换算成度。 Degrees, minutes and seconds as text."
            findings.append(Finding("dms_text", text, False))
        if len(groups) < 2:
            findings += verdicts.form_findings(ranking)
        findings += self._order(ranking, hypotheses)
        if verdict is None and ranking and len(groups) < 2:
            peculiar = any(f.kind in ("packed_dms", "wrong_unit", "large_numbers_removed",
                                      "swapped_columns") for f in findings)  # fmt: skip
            settled = verdicts.form_decided(ranking) if peculiar else None
            verdict = settled
            if settled is not None:
                groups = [replace(groups[0], verdict=settled)]
        refused = _refusal(self.registry, self.claimed)
        shift = verdicts.unexplained(ranking) if len(groups) < 2 else None
        if shift is not None:
            findings.append(shift)
        elif refused is None:
            findings += self._system(verdict, hypotheses, len(groups))
        elif refused is not None:
            findings.append(Finding("wrong_datum", refused, True))
        if strays:
            findings.append(_stray_finding(strays))
        blocking = [f.sentence for f in findings if f.blocks]
        confirmed = (
            self.claimed is not None and verdict is not None and not blocking and bool(groups)
        )
        agreement: Agreement = "objects" if blocking else "confirms" if confirmed else "cannot tell"
        kind = verdicts.primary(findings)
        if kind is None:
            kind = "clean" if verdict is not None else "undetermined"
        has_reference = self.references is not None and (
            bool(self.references.channels) or self.references.paired is not None
        )
        open_ = None
        if groups and (verdict is None or not has_reference):
            open_ = verdicts.what_would_decide(ranking, has_reference, len(self.good))
        if verdict is not None and notation_text > 0.5 and verdict.notation == "decimal":
            verdict = replace(verdict, notation="dms_text")
        return Detection(
            kind=kind,
            verdict=verdict,
            hypotheses=tuple(hypotheses[:12]),
            groups=tuple(groups),
            outliers=tuple(strays),
            findings=tuple(findings),
            confidence=_confidence(verdict, ranking),
            summary=_summary(verdict, hypotheses, groups, findings, empty),
            declared=None if self.claimed is None else self.claimed.name,
            agreement=agreement,
            objection=" ".join(blocking) or None,
            what_would_decide=open_,
            rows=len(self.numbers.x),
            notation="dms_text" if notation_text > 0.5 else
            (verdict.notation if verdict is not None else "decimal"),
        )  # fmt: skip

    def _order(self, ranking: list[Scored], hypotheses: tuple[Hypothesis, ...]) -> list[Finding]:
        if self.custom:
            return []
        if ranking:
            swapped = verdicts.marginal(ranking, "swapped_columns") >= verdicts.DECIDED
        else:
            swapped = bool(hypotheses) and all(h.swapped for h in hypotheses)
        if not swapped:
            return []
        return [Finding("swapped_columns", verdicts.swap_sentence(self.titles), True)]

    def _system(
        self, verdict: Hypothesis | None, hypotheses: tuple[Hypothesis, ...], groups: int
    ) -> list[Finding]:
        if verdict is not None:
            found = None if groups > 1 else verdicts.system_finding(verdict, self.claimed)
            return [] if found is None else [found]
        if self.claimed is None or self.name is None or len(self.good) == 0:
            return []
        if any(
            h.coordsys == self.name or verdicts.same_numbers(self.claimed, h) for h in hypotheses
        ):
            return []
        likely = ", ".join(dict.fromkeys(h.label for h in hypotheses)) or "无 none"
        return [
            Finding(
                "outside_city",
                f"按声明的 {self.claimed.name} 读，坐标不在市域内；可能是：{likely}。"
                f" Read as the declared {self.claimed.name} the coordinates are outside the city;"
                f" possible: {likely}.",
                True,
            )
        ]


def _group(at: rows.RowIndex, ranked: list[Scored], few: bool = False) -> RowGroup:
    return RowGroup(at, verdicts.decide(ranked, few), tuple(s.hypothesis for s in ranked))


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


def _refusal(registry: DatumRegistry, claimed: Coordsys | None) -> str | None:
    """Why the claimed coordsys leads nowhere (no registered parameters), or None."""
    if claimed is None:
        return None
    try:
        registry.chain(claimed)
    except DatumError as error:
        return str(error)
    return None


def _confidence(verdict: Hypothesis | None, ranking: list[Scored]) -> _Confidence:
    if verdict is None:
        return "none"
    proven = bool(ranking) and ranking[0].nats >= 6.0
    if not ranking:
        proven = verdict.evidence_m is not None
    return "certain" if proven and verdict.confidence >= verdicts.CERTAIN else "likely"


def _stray_finding(strays: list[Outlier]) -> Finding:
    shown = "；".join(f"第 {o.row + 1} 行 row {o.row + 1}: {o.slip}" for o in strays[:5])
    more = "" if len(strays) <= 5 else f" … ({len(strays)})"
    text = f"{len(strays)} 个点明显写错：{shown}{more} (single mistaken points)"
    return Finding("outliers", text, False)


def _summary(
    verdict: Hypothesis | None,
    hypotheses: tuple[Hypothesis, ...],
    groups: list[RowGroup],
    findings: list[Finding],
    empty: str,
) -> str:
    if len(groups) > 1:
        return findings[0].sentence if findings else ""
    if verdict is not None:
        text = f"{verdict.label}：{verdict.evidence}"
        rest = [h for h in hypotheses if h.coordsys != verdict.coordsys]
        told = [f"{h.coordsys} {h.evidence_m:.0f} m" for h in rest if h.evidence_m is not None]
        if told:
            text += f"；其他读法 other readings: {', '.join(told[:4])}"
        return text
    if hypotheses:
        names = " / ".join(dict.fromkeys(h.label for h in hypotheses[:6]))
        return f"无法判定，可能 cannot tell, possible: {names}"
    return empty or "没有一种读法落在市域内 no reading falls into the city"
