"""Right or wrong: the rules, applied to what the detector said. No case is left out.

An answer is right when
- clean: there is no objection (confirmed, or undetermined without objection); anything that
  would block the load is a false alarm;
- the label says "required": it is "cannot tell": it neither confirms the claim nor names a kind;
- otherwise: it objects and names the kind (or one of `also`) and the system of the truth:
  equal datum and, for a grid, equal central meridian and false easting (4548 = 4509,
  WGS 84 = CGCS2000, undecidable and harmless); a classical datum named without its grid counts
  where the kind is that datum; degrees without a reference may stay without a datum (DMS text,
  exchanged columns: the kind is plain, the datum is not); outliers: exactly the spoilt records;
  groups: at least 95 % of the records in the right system; removed large numbers: the offsets,
  where a reference and 20 points were given; feet: international and US feet, 5 m apart here,
  need a reference to be told apart;
- "allowed": the same, or "cannot tell". A wrong name is wrong at any size.

"Cannot tell" counts only where it is labelled so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.detection.shifts import GEOGRAPHIC, GRIDS, SHIFTS
from tests.detection.truth import CANNOT_TELL, KINDS, THIN, Case

OTHER = "other"
DEGREES = frozenset({"cgcs2000", "wgs84", "gcj02", "bd09"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the detector said of a file, in this test's words.

    `kind` is one of truth.KINDS, "cannot tell", or "other" for an objection that names nothing.
    `systems`: system by record ordinal (n,) or one for all; `rows`: ordinals called outliers.
    """

    kind: str
    system: str | None = None
    rows: tuple[int, ...] = ()
    systems: Sequence[str] = ()
    offsets: tuple[float, float] | None = None
    text: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Scored:
    """A case, the answer, and whether it is right."""

    case: Case
    answer: Answer
    right: bool
    why: str

    def to_json(self) -> dict[str, Any]:
        """Plain record."""
        return {
            "name": self.case.name,
            "truth": self.case.to_json(),
            "answer": self.answer.kind,
            "system": self.answer.system,
            "right": self.right,
            "why": self.why,
            "seconds": round(self.answer.seconds, 3),
            "text": self.answer.text[:300],
        }


def signature(name: str | None) -> tuple[str, int | None, float | None] | None:
    """Datum, central meridian and false easting of a name; None for a name not known here."""
    if name is None:
        return None
    name = name.lower()
    if name in GRIDS:
        grid = GRIDS[name]
        return grid.datum, grid.meridian, grid.false_easting
    if name in GEOGRAPHIC:
        return GEOGRAPHIC[name], None, None
    plain = name.split(":")[0]
    return (plain, None, None) if plain in {*SHIFTS, *GEOGRAPHIC} else None


def same_system(truth: str, named: str | None, *, datum_only: bool = False) -> bool:
    """Whether both names give the same metres (or, `datum_only`, the same datum)."""
    one, two = signature(truth), signature(named)
    if one is None or two is None:
        return False
    if datum_only and one[0] == two[0]:
        return True
    return one == two


def score(case: Case, answer: Answer) -> Scored:
    """Apply the rules above."""
    right, why = _judge(case, answer)
    return Scored(case, answer, right, why)


def _judge(case: Case, answer: Answer) -> tuple[bool, str]:
    truth = case.truth
    if truth.kind == "clean":
        return answer.kind in {"clean", CANNOT_TELL}, "false alarm"
    if answer.kind == CANNOT_TELL:
        return case.undetermined != "wrong", "undetermined with enough evidence"
    if case.undetermined == "required":
        return False, "a verdict without evidence"
    if answer.kind not in {truth.kind, *truth.also}:
        return False, "another kind"
    if truth.kind == "outliers":
        return answer.rows == truth.rows, "other records"
    if truth.groups:
        return _groups(case, answer)
    if truth.kind == "large_numbers_removed":
        if case.references and case.points >= THIN and answer.offsets != truth.offsets:
            return False, "other offsets"
        return True, ""
    unnamed = truth.system in DEGREES or truth.kind == "feet"
    if answer.system is None and not case.references and unnamed:
        return True, ""
    if not same_system(truth.system, answer.system, datum_only=truth.kind in SHIFTS):
        return False, "another system"
    return True, ""


def _groups(case: Case, answer: Answer) -> tuple[bool, str]:
    if len(answer.systems) != case.records:
        return False, "records not divided"
    good = np.zeros(case.records, dtype=bool)
    for first, end, system in case.truth.groups:
        datum_only = GEOGRAPHIC.get(system, "") in SHIFTS or (
            system in GRIDS and GRIDS[system].datum in SHIFTS
        )
        good[first:end] = [
            same_system(system, named, datum_only=datum_only) for named in answer.systems[first:end]
        ]
    return bool(good.mean() >= 0.95), f"{good.mean():.1%} of the records in the right system"


def summary(scored: Iterable[Scored]) -> dict[str, Any]:
    """Counts and shares, overall and by kind, and the confusion matrix (truth by answer)."""
    every = list(scored)
    by_kind: dict[str, list[Scored]] = defaultdict(list)
    for one in every:
        by_kind[one.case.truth.kind].append(one)
    erroneous = [one for one in every if one.case.truth.kind != "clean"]
    clean = by_kind.get("clean", [])
    return {
        "files": len(every),
        "row_groups": sum(max(1, len(s.case.truth.groups)) for s in every),
        "right": sum(s.right for s in every),
        "overall": _share(every),
        "erroneous_files": len(erroneous),
        "erroneous": _share(erroneous),
        "false_alarms": sum(not s.right for s in clean),
        "clean_files": len(clean),
        "cannot_tell": dict(Counter(s.case.undetermined for s in erroneous)),
        "kinds": {
            kind: {
                "files": len(by_kind[kind]),
                "right": sum(s.right for s in by_kind[kind]),
                "share": _share(by_kind[kind]),
                "why": dict(Counter(s.why for s in by_kind[kind] if not s.right)),
            }
            for kind in KINDS
            if kind in by_kind
        },
        "confusion": {
            kind: dict(Counter(s.answer.kind for s in by_kind[kind]))
            for kind in KINDS
            if kind in by_kind
        },
        "seconds": round(sum(s.answer.seconds for s in every), 1),
        "slowest_seconds": round(max((s.answer.seconds for s in every), default=0.0), 2),
    }


def _share(scored: Sequence[Scored]) -> float:
    return sum(s.right for s in scored) / len(scored) if scored else 0.0


def markdown(found: dict[str, Any]) -> str:
    """Scores by kind, then the confusion matrix with the kinds numbered."""
    lines = [
        f"{found['right']} of {found['files']} files right ({found['overall']:.1%}), of the "
        f"erroneous {found['erroneous']:.1%} of {found['erroneous_files']}; "
        f"{found['false_alarms']} false alarms on {found['clean_files']} clean files.",
        "",
        "| truth | files | right | share | what was wrong |",
        "|---|---:|---:|---:|---|",
    ]
    for kind, one in found["kinds"].items():
        why = ", ".join(f"{reason} {n}" for reason, n in sorted(one["why"].items()))
        share = f"{one['share']:.0%}"
        lines.append(f"| {kind} | {one['files']} | {one['right']} | {share} | {why} |")
    answers = [*KINDS, CANNOT_TELL, OTHER]
    used = [a for a in answers if any(a in row for row in found["confusion"].values())]
    lines += ["", "| truth \\ answer | " + " | ".join(used) + " |", "|---|" + "---:|" * len(used)]
    for kind, row in found["confusion"].items():
        lines.append(f"| {kind} | " + " | ".join(str(row.get(a, "")) for a in used) + " |")
    return "\n".join(lines) + "\n"
