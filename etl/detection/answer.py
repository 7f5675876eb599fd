"""The answer to one detection: findings against the declaration, agreement, sentences."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from etl.datum import Coordsys, DatumError, DatumRegistry
from etl.datum.coordsys import FloatArray
from etl.datum.position import zone_code
from etl.detection import verdicts
from etl.detection.evidence import Scored
from etl.detection.features import Numbers, plane_axes
from etl.detection.model import Agreement, Detection, Finding, Hypothesis, Kind, Outlier, RowGroup
from etl.detection.references import References
from layers.city import CityProfile

_Confidence = Literal["certain", "likely", "none"]
PROVEN_NATS = 3.0
"""Less nearness than this says nothing about the datum."""


_OPEN = (
    "格网与声明一致；没有参照，分不清 CGCS2000、1980西安、1954北京。"
    " The grid is as declared; with nothing to compare, CGCS2000, Xian 1980 and Beijing 1954"
    " cannot be told apart."
)


_FORM_KINDS: frozenset[Kind] = frozenset(
    {"packed_dms", "wrong_unit", "large_numbers_removed", "swapped_columns", "dms_text"}
)


@dataclass(frozen=True)
class Asked:
    """What is asked: numbers, what is claimed about them, and what they are compared with."""

    profile: CityProfile
    registry: DatumRegistry
    claimed: Coordsys | None
    titles: tuple[str, str] | None
    references: References | None
    axes_stated: bool
    numbers: Numbers
    rows: NDArray[np.int64] | None = None

    @cached_property
    def good(self) -> NDArray[np.int64]:
        """Rows that have numbers."""
        return np.flatnonzero(self.numbers.good).astype(np.int64)

    @cached_property
    def x(self) -> FloatArray:
        """First numbers of the good rows."""
        return self.numbers.x[self.good]

    @cached_property
    def y(self) -> FloatArray:
        """Second numbers of the good rows."""
        return self.numbers.y[self.good]

    @property
    def name(self) -> str | None:
        """The claimed coordsys; WGS 84 cannot be told from CGCS2000: one name stands for both."""
        name = None if self.claimed is None else self.claimed.name
        return "cgcs2000" if name == "wgs84" else name

    @property
    def custom(self) -> bool:
        """Whether exchanged columns are no finding."""
        return verdicts.usual_order(self.titles, self.axes_stated)

    @property
    def compared(self) -> bool:
        """Whether there is a layer to compare with."""
        return self.references is not None and bool(self.references.channels)


def mixture(groups: list[RowGroup]) -> list[Finding]:
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


def outside(asked: Asked) -> Detection:
    """Nothing falls into the city: say what the size of the numbers tells."""
    axes = plane_axes(asked.x, asked.y)
    found: list[Scored] = []
    sentence = _ranges(asked)
    if axes is not None:
        east = asked.y if axes == "swapped" else asked.x
        north = asked.x if axes == "swapped" else asked.y
        zone = int(np.median(east) // 1_000_000)
        code = zone_code(zone)
        if code is not None:
            lon, lat = asked.registry.chain(f"epsg:{code}").point(
                float(np.median(east)), float(np.median(north))
            )
            width = "6度带 6-degree" if zone < 25 else "3度带 3-degree"
            sentence += f"；像 {width} zone {zone}，位于 at {lon:.3f}E {lat:.3f}N"
    findings = []
    if axes == "swapped" and not asked.custom:
        text = verdicts.swap_sentence(asked.titles)
        findings.append(Finding("swapped_columns", text, True))
    text = f"没有一种读法落在市域内 no reading falls into the city ({sentence})"
    return answer(asked, [], found, [], [*findings, Finding("outside_city", text, False)], text)


def _ranges(asked: Asked) -> str:
    degrees = bool(np.median(np.abs(asked.x)) <= 180 and np.median(np.abs(asked.y)) <= 180)
    unit = "度 degrees" if degrees else "米 metres"
    return (
        f"{unit}, x {asked.x.min():.3f}..{asked.x.max():.3f},"
        f" y {asked.y.min():.3f}..{asked.y.max():.3f}"
    )


def answer(
    asked: Asked,
    groups: list[RowGroup],
    ranking: list[Scored],
    lonely: list[Outlier],
    findings: list[Finding],
    empty: str,
) -> Detection:
    """Findings against the declaration, agreement and sentences."""
    groups, lonely = _in_file(asked, groups, lonely)
    hypotheses = groups[0].hypotheses if groups else ()
    verdict = groups[0].verdict if groups else None
    if ranking and len(groups) < 2:
        hypotheses = tuple(s.hypothesis for s in ranking)
    findings = [*mixture(groups), *findings]
    notation_text = float(asked.numbers.dms[asked.good].mean()) if len(asked.good) else 0.0
    if notation_text > 0:
        text = "坐标写成度分秒文本，已换算成度。 Degrees, minutes and seconds as text."
        findings.append(Finding("dms_text", text, False))
    if len(groups) < 2:
        findings += verdicts.form_findings(ranking)
    findings += _order(asked, ranking, hypotheses)
    if verdict is None and ranking and len(groups) < 2:
        settled = None
        if not {f.kind for f in findings}.isdisjoint(_FORM_KINDS) or _elsewhere(asked, hypotheses):
            settled = verdicts.form_decided(ranking)
        verdict = settled
        if settled is not None:
            groups = [replace(groups[0], verdict=settled)]
    refused = _refusal(asked.registry, asked.claimed)
    shift = verdicts.unexplained(ranking) if len(groups) < 2 else None
    if shift is not None:
        findings.append(shift)
    elif refused is None:
        findings += _system(asked, verdict, hypotheses, len(groups))
    elif refused is not None:
        findings.append(Finding("wrong_datum", refused, True))
    if lonely:
        findings.append(_stray_finding(lonely))
    blocking = [f.sentence for f in findings if f.blocks]
    if not findings and len(groups) == 1 and _datum_open(asked, verdict, ranking):
        empty = _OPEN
        verdict = None
        groups = [replace(groups[0], verdict=None)]
    confirmed = asked.claimed is not None and verdict is not None and not blocking and bool(groups)
    agreement: Agreement = "objects" if blocking else "confirms" if confirmed else "cannot tell"
    kind = verdicts.primary(findings)
    if kind is None:
        kind = "clean" if verdict is not None else "undetermined"
    has_reference = asked.references is not None and (
        bool(asked.references.channels) or asked.references.paired is not None
    )
    open_ = None
    if groups and (verdict is None or not has_reference):
        open_ = verdicts.what_would_decide(ranking, has_reference, len(asked.good))
    if verdict is not None and notation_text > 0.5 and verdict.notation == "decimal":
        verdict = replace(verdict, notation="dms_text")
    return Detection(
        kind=kind,
        verdict=verdict,
        hypotheses=tuple(hypotheses[:12]),
        groups=tuple(groups),
        outliers=tuple(lonely),
        findings=tuple(findings),
        confidence=_confidence(verdict, ranking),
        summary="；".join(
            [_summary(verdict, hypotheses, groups, findings, empty)]
            + [f.sentence for f in findings if f.kind == "outliers"]
        ),
        declared=None if asked.claimed is None else asked.claimed.name,
        agreement=agreement,
        objection=" ".join(blocking) or None,
        what_would_decide=open_,
        rows=len(asked.numbers.x),
        notation="dms_text" if notation_text > 0.5 else
        (verdict.notation if verdict is not None else "decimal"),
    )  # fmt: skip


def _elsewhere(asked: Asked, hypotheses: tuple[Hypothesis, ...]) -> bool:
    """Whether the claim is none of the readings that put the rows into the city."""
    claimed = asked.claimed
    if claimed is None:
        return False
    return not any(
        h.coordsys == asked.name or verdicts.same_numbers(claimed, h) for h in hypotheses
    )


def _in_file(
    asked: Asked, groups: list[RowGroup], lonely: list[Outlier]
) -> tuple[list[RowGroup], list[Outlier]]:
    """Positions among the coordinates as rows of the file, each once."""
    if asked.rows is None:
        return groups, lonely
    at = asked.rows - 1
    groups = [replace(g, rows=np.unique(at[g.rows])) for g in groups]
    by_row: dict[int, Outlier] = {}
    for one in sorted(lonely, key=lambda o: -o.distance_m):
        row = int(at[one.row])
        by_row.setdefault(row, replace(one, row=row))
    return groups, sorted(by_row.values(), key=lambda o: o.row)


def _datum_open(asked: Asked, verdict: Hypothesis | None, ranking: list[Scored]) -> bool:
    """Whether metres fit the declared grid, but as well so on Xian 1980 or Beijing 1954.

    57 to 130 m lie between them: nothing that the numbers themselves could show.
    """
    if verdict is None or asked.claimed is None or verdict.central_meridian is None:
        return False
    if verdict.datum != "cgcs2000" or not ranking:
        return False
    return ranking[0].nats < PROVEN_NATS


def _order(
    asked: Asked, ranking: list[Scored], hypotheses: tuple[Hypothesis, ...]
) -> list[Finding]:
    if asked.custom:
        return []
    if ranking:
        swapped = verdicts.marginal(ranking, "swapped_columns") >= verdicts.DECIDED
    else:
        swapped = bool(hypotheses) and all(h.swapped for h in hypotheses)
    if not swapped:
        return []
    return [Finding("swapped_columns", verdicts.swap_sentence(asked.titles), True)]


def _system(
    asked: Asked, verdict: Hypothesis | None, hypotheses: tuple[Hypothesis, ...], groups: int
) -> list[Finding]:
    if verdict is not None:
        found = None if groups > 1 else verdicts.system_finding(verdict, asked.claimed)
        return [] if found is None else [found]
    if asked.claimed is None or asked.name is None or len(asked.good) == 0:
        return []
    if not _elsewhere(asked, hypotheses):
        return []
    likely = ", ".join(dict.fromkeys(h.label for h in hypotheses)) or "无 none"
    return [
        Finding(
            "outside_city",
            f"按声明的 {asked.claimed.name} 读，坐标不在市域内；可能是：{likely}。"
            f" Read as the declared {asked.claimed.name} the coordinates are outside the city;"
            f" possible: {likely}.",
            True,
        )
    ]


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


def _stray_finding(found: list[Outlier]) -> Finding:
    shown = "；".join(f"第 {o.row + 1} 行 row {o.row + 1}: {o.slip}" for o in found[:5])
    more = "" if len(found) <= 5 else f" … ({len(found)})"
    text = f"{len(found)} 个点明显写错：{shown}{more} (single mistaken points)"
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
    if hypotheses and empty != _OPEN:
        names = " / ".join(dict.fromkeys(h.label for h in hypotheses[:6]))
        return f"无法判定，可能 cannot tell, possible: {names}"
    return empty or "没有一种读法落在市域内 no reading falls into the city"
