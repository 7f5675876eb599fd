"""The words of a detection: hypotheses, findings, row groups, outliers and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Agreement = Literal["confirms", "objects", "cannot tell"]
Datum = Literal["cgcs2000", "gcj02", "bd09", "xian80", "beijing54", "local", "other", "unknown"]
Notation = Literal["decimal", "dms_text", "packed_dms", "packed_dddmmss", "ddmm.mmmm"]
Kind = Literal[
    "clean",
    "swapped_columns",
    "missing_zone_prefix",
    "unexpected_zone_prefix",
    "wrong_central_meridian",
    "wrong_zone_width",
    "beijing54",
    "xian80",
    "gcj02",
    "bd09",
    "wrong_datum",
    "unexplained_shift",
    "dms_text",
    "packed_dms",
    "large_numbers_removed",
    "wrong_unit",
    "several_zones",
    "mixed_datums",
    "outliers",
    "outside_city",
    "undetermined",
]
KIND_TITLES: dict[Kind, tuple[str, str]] = {
    "clean": ("与声明一致", "as declared"),
    "swapped_columns": ("东、北（经、纬）两列写反", "columns exchanged"),
    "missing_zone_prefix": ("缺带号", "zone prefix missing"),
    "unexpected_zone_prefix": ("多带号", "zone prefix not declared"),
    "wrong_central_meridian": ("中央子午线不符", "another central meridian"),
    "wrong_zone_width": ("3度带、6度带不符", "3- and 6-degree zones confused"),
    "beijing54": ("实为1954北京坐标系", "Beijing 1954"),
    "xian80": ("实为1980西安坐标系", "Xian 1980"),
    "gcj02": ("实为GCJ-02（火星坐标）", "GCJ-02"),
    "bd09": ("实为BD-09（百度坐标）", "BD-09"),
    "wrong_datum": ("基准与声明不符", "another datum than declared"),
    "unexplained_shift": ("整体偏移，原因不明", "a constant shift without a known cause"),
    "dms_text": ("度分秒文本", "degrees, minutes, seconds as text"),
    "packed_dms": ("度分秒写成小数（ddd.mmss）", "packed degrees, minutes, seconds"),
    "large_numbers_removed": ("减去了大数", "large numbers removed"),
    "wrong_unit": ("单位不是米", "not in metres"),
    "several_zones": ("一个文件里有几个带", "several zones in one file"),
    "mixed_datums": ("各行坐标系不同", "rows in different systems"),
    "outliers": ("个别点明显写错", "single mistaken points"),
    "outside_city": ("不在市域内", "outside the city"),
    "undetermined": ("无法判定", "cannot tell"),
}


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One way to read the numbers, with what speaks for it.

    `coordsys`: canonical name of the reading (a classical datum by its EPSG grid). `swapped`: the
    column taken as x (lon/east) holds y. `added`: metres (east, north) that were taken away.
    `inside`: share of its rows in the city. `evidence_m`: median distance to the reference in
    metres; `near_share` of the rows lie within `near_m` of it, `near_chance` would by chance.
    `shift_m`: constant (east, north) that was needed to meet the reference. `confidence`:
    posterior probability among the hypotheses looked at.
    """

    coordsys: str
    datum: Datum
    swapped: bool
    notation: Notation
    unit: str
    added: tuple[float, float]
    zone: int | None
    central_meridian: float | None
    inside: float
    evidence_m: float | None = None
    near_m: float | None = None
    near_share: float | None = None
    near_chance: float | None = None
    shift_m: tuple[float, float] | None = None
    confidence: float = 0.0
    score: float = 0.0

    @property
    def evidence(self) -> str:
        """What speaks for it, in one line."""
        parts = [f"{self.inside:.0%} 在市域内 inside the city"]
        if self.evidence_m is not None:
            parts.append(
                "与参照相距中位数 median distance to the reference " + _metres(self.evidence_m)
            )
        if self.near_m is not None and self.near_share is not None:
            parts.append(
                f"{self.near_share:.0%} 在 {self.near_m:g} m 内（偶然 {self.near_chance:.0%}）"
                f" within {self.near_m:g} m (by chance {self.near_chance:.0%})"
            )
        if self.shift_m is not None:
            east, north = self.shift_m
            parts.append(f"须移 moved by {east:+.1f} m E, {north:+.1f} m N")
        return "；".join(parts)

    @property
    def label(self) -> str:
        """Name with whatever is unusual about the reading."""
        extra = [self.coordsys + self._in_words()]
        if self.swapped:
            extra.append("两列对调 columns exchanged")
        if self.notation != "decimal":
            extra.append({"dms_text": "度分秒文本 DMS text"}.get(self.notation, self.notation))
        if self.unit not in ("metre", "degree"):
            extra.append(f"单位 unit {self.unit}")
        if self.added != (0.0, 0.0):
            extra.append(f"加大数 add {self.added[0]:.0f} E, {self.added[1]:.0f} N")
        return ", ".join(extra)

    def _in_words(self) -> str:
        """Datum and zone of a classical grid, whose code few people know by heart."""
        title = {
            "beijing54": ("1954北京坐标系", "Beijing 1954"),
            "xian80": ("1980西安坐标系", "Xian 1980"),
        }.get(self.datum)
        if title is None:
            return ""
        zone = english = ""
        if self.zone is not None:
            width = 6 if self.zone < 25 else 3
            zone, english = f" {width}度带{self.zone}带", f", {width}-degree zone {self.zone}"
        elif self.central_meridian is not None:
            zone = f" {self.central_meridian:g}°E"
            english = f", central meridian {self.central_meridian:g}E"
        return f"（{title[0]}{zone} {title[1]}{english}）"

    def to_json(self) -> dict[str, Any]:
        """Plain record."""
        return {
            "coordsys": self.coordsys,
            "datum": self.datum,
            "swapped": self.swapped,
            "notation": self.notation,
            "unit": self.unit,
            "added_m": list(self.added),
            "zone": self.zone,
            "central_meridian": self.central_meridian,
            "inside": round(self.inside, 4),
            "offset_m": None if self.evidence_m is None else round(self.evidence_m, 3),
            "near_m": self.near_m,
            "near_share": None if self.near_share is None else round(self.near_share, 4),
            "near_by_chance": None if self.near_chance is None else round(self.near_chance, 4),
            "shift_m": None if self.shift_m is None else [round(v, 2) for v in self.shift_m],
            "confidence": round(self.confidence, 4),
            "evidence": self.evidence,
        }


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows (0-based positions in the input) that share one reading; None: cannot tell."""

    rows: NDArray[np.int64]
    verdict: Hypothesis | None
    hypotheses: tuple[Hypothesis, ...]

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Runs of adjacent rows as (first, last), 0-based and inclusive."""
        if len(self.rows) == 0:
            return ()
        cuts = np.flatnonzero(np.diff(self.rows) != 1) + 1
        runs = np.split(self.rows, cuts)
        return tuple((int(run[0]), int(run[-1])) for run in runs)

    def to_json(self) -> dict[str, Any]:
        """Plain record; at most 50 runs are listed."""
        return {
            "rows": len(self.rows),
            "ranges": [list(run) for run in self.ranges[:50]],
            "decided": None if self.verdict is None else self.verdict.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Outlier:
    """A row that stands alone, `distance_m` from where its file lies, and the likely slip."""

    row: int
    distance_m: float
    slip: str

    def to_json(self) -> dict[str, Any]:
        """Plain record."""
        return {"row": self.row, "distance_m": round(self.distance_m, 1), "slip": self.slip}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as declared; `blocks` a load until it is answered."""

    kind: Kind
    sentence: str
    blocks: bool

    def to_json(self) -> dict[str, Any]:
        """Plain record."""
        return {"kind": self.kind, "sentence": self.sentence, "blocks": self.blocks}


@dataclass(frozen=True, slots=True)
class Detection:
    """Verdict on one set of coordinates; `verdict` None means: cannot tell.

    `kind` is the finding that matters most ("clean" when the data agree with what was declared,
    "undetermined" when they cannot). `agreement` "objects" blocks a load until the delivery
    answers `objection`. `groups` holds one entry unless rows differ. Rows are 0-based.
    """

    kind: Kind
    verdict: Hypothesis | None
    hypotheses: tuple[Hypothesis, ...]
    groups: tuple[RowGroup, ...]
    outliers: tuple[Outlier, ...]
    findings: tuple[Finding, ...]
    confidence: Literal["certain", "likely", "none"]
    summary: str
    declared: str | None
    agreement: Agreement
    objection: str | None
    what_would_decide: str | None
    rows: int = 0
    notation: Notation = "decimal"
    equal: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Plain record for reports and `--json`."""
        return {
            "kind": self.kind,
            "decided": None if self.verdict is None else self.verdict.to_json(),
            "equal": list(self.equal),
            "confidence": self.confidence,
            "summary": self.summary,
            "declared": self.declared,
            "agreement": self.agreement,
            "objection": self.objection,
            "what_would_decide": self.what_would_decide,
            "findings": [finding.to_json() for finding in self.findings],
            "groups": [group.to_json() for group in self.groups],
            "outliers": [outlier.to_json() for outlier in self.outliers[:200]],
            "outlier_count": len(self.outliers),
            "verdicts": [hypothesis.to_json() for hypothesis in self.hypotheses],
        }


def _metres(value: float) -> str:
    return f"{value:.2f} m" if value < 100 else f"{value:.0f} m"
