"""A labelled delivery: what it truly is, what the detector is told, and what answers are right."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal[
    "clean",
    "swapped",
    "prefix_missing",
    "prefix_unexpected",
    "wrong_meridian",
    "zone_width",
    "beijing54",
    "xian80",
    "gcj02",
    "bd09",
    "not_obfuscated",
    "dms_text",
    "dms_packed",
    "large_numbers_removed",
    "several_zones",
    "feet",
    "outliers",
    "mixed_datums",
]
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]
CANNOT_TELL = "cannot tell"

# Only trusted data can decide these: coordinates of both readings lie inside the city.
NEED_REFERENCE = frozenset({"beijing54", "xian80", "gcj02", "bd09", "not_obfuscated"})
THIN = 20
"""Below this many points a kind that rests on statistics may stay undetermined."""
STATISTICAL = NEED_REFERENCE | {
    "dms_packed",
    "large_numbers_removed",
    "outliers",
    "several_zones",
    "mixed_datums",
}

Undetermined = Literal["wrong", "allowed", "required"]


@dataclass(frozen=True, slots=True)
class Truth:
    """What the numbers are.

    `system`: the frame in which the numbers, read as they should be, are true. `rows`: 0-based
    ordinals of the bad records (outliers). `groups`: (first, end, system) by record ordinal,
    half open. `offsets`: east and north metres that were taken off. `also`: kinds that say the
    same of this file in other words.
    """

    kind: Kind
    system: str
    rows: tuple[int, ...] = ()
    groups: tuple[tuple[int, int, str], ...] = ()
    offsets: tuple[float, float] | None = None
    also: tuple[Kind, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One delivered file with its label.

    `declared` is what the delivery or the file claims (None: nothing); `embedded` says that the
    file itself claims it. `titles` are the columns that a table's (x = east/lon, y = north/lat)
    are said to be in. `references` names the trusted layers that are given. `undetermined` says
    whether "cannot tell" is wrong, allowed or the only right answer.
    """

    number: int
    truth: Truth
    path: Path
    declared: str | None
    embedded: bool
    content: str
    format: str
    points: int
    records: int
    titles: tuple[str, str] | None
    references: tuple[str, ...]
    undetermined: Undetermined
    first_row: int = 1
    city: str = "meizhou"

    @property
    def name(self) -> str:
        """A name for reports."""
        return f"{self.number:04d}-{self.truth.kind}-{self.content}-{self.points}-{self.format}"

    def to_json(self) -> dict[str, Any]:
        """The label as a plain record; the path is only the file's name."""
        return asdict(self) | {"path": self.path.name, "name": self.name}


def undetermined(kind: Kind, thinnest: int, referenced: bool) -> Undetermined:
    """The rule of the labels; `thinnest` is the number of points of the smallest group."""
    if kind in NEED_REFERENCE and not referenced:
        return "required"
    return "allowed" if kind in STATISTICAL and thinnest < THIN else "wrong"
