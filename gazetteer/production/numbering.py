"""Numbering of house plates along a street, after GB/T 35639-2017 annex B (informative).

Numbers ascend from the east on east-west streets, from the north on north-south ones; odd numbers
stand on the north or west side, which is to the right of that way. (Dead ends count from their
entrance; which end that is a line alone does not tell, so for them it is advice to look.)
Positions are plane metres (x east, y north). Pure functions over one street at a time.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
import shapely

from gazetteer.numbers import HouseNumber

_CLEAR = 0.3
"""Rank correlation of numbers with places, from which on a street has a direction."""


class Severity(StrEnum):
    """error: contradicts itself; advice: differs from annex B, which a city need not follow."""

    ERROR = "error"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Plate:
    """A house plate of a street: its record, number and plane position in metres."""

    id: str
    number: HouseNumber
    x: float
    y: float
    part: str = ""
    """Building and room, which set records of one plate apart."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: rule, severity, the records, a sentence in each language."""

    rule: str
    severity: Severity
    ids: tuple[str, ...]
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class NumberingRules:
    """The city's practice (profile ``codes.address.numbering``); the defaults are annex B."""

    odd_side: str = "right"
    """right or left, seen from where annex B begins to count."""
    gap: int = 10
    """So many numbers of one side in a row that are missing are worth a look (reserves)."""
    far_m: float = 100.0
    """A plate farther than this from its street's line belongs elsewhere or is misplaced."""
    same_m: float = 5.0
    """Two records of one plate nearer than this are one place delivered twice."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A plate on its street's line: metres along it, metres off it (left positive)."""

    plate: Plate
    along: float
    off: float


def check_street(
    name: str, line: shapely.LineString, plates: Sequence[Plate], rules: NumberingRules
) -> list[Finding]:
    """All findings of one street. Plates of other kinds than official ones (自编, 临, 旧) are left
    out, since they follow no rule."""
    official = [plate for plate in plates if not plate.number.kind]
    found = list(_duplicates(name, official, rules))
    placed = place(_from_origin(line), official)
    near = [p for p in placed if abs(p.off) <= rules.far_m]
    found += [_too_far(name, p) for p in placed if abs(p.off) > rules.far_m]
    if len({p.plate.number.main for p in near}) < 3:
        return found
    ascending = _ascends(near)
    if ascending is None:
        found.append(
            Finding(
                "direction", Severity.ERROR, tuple(p.plate.id for p in near),
                f"{name}：门牌号沿路没有递增的方向", f"{name}: numbers ascend in neither direction",
            )
        )  # fmt: skip
        return found
    if not ascending:
        start, rule = _origin_words(line)
        found.append(
            Finding(
                "direction", Severity.ADVICE, (),
                f"{name}：门牌号不是从{start[0]}起编（GB/T 35639 附录 B）",
                f"{name}: numbers do not begin in the {rule} (annex B)",
            )
        )  # fmt: skip
        near.reverse()  # sides stay as seen from where annex B begins
    sides = _sides(near)
    found += _side_findings(name, sides, near, rules, line)
    for parity, side in sides.items():
        own = [p for p in near if p.plate.number.is_odd == parity and _on(p, side)]
        found += _order(name, own)
        found += _gaps(name, own, rules)
    return found


def place(line: shapely.LineString, plates: Iterable[Plate]) -> list[Placed]:
    """Plates projected on a line, in the order of the line."""
    some = list(plates)
    if not some:
        return []
    points = shapely.points([(plate.x, plate.y) for plate in some])
    along = shapely.line_locate_point(line, points)
    feet = shapely.get_coordinates(shapely.line_interpolate_point(line, along))
    step = min(1.0, line.length / 100)
    before = shapely.get_coordinates(
        shapely.line_interpolate_point(line, np.maximum(along - step, 0.0))
    )
    after = shapely.get_coordinates(
        shapely.line_interpolate_point(line, np.minimum(along + step, line.length))
    )
    heading = after - before
    away = np.array([(plate.x, plate.y) for plate in some]) - feet
    cross = heading[:, 0] * away[:, 1] - heading[:, 1] * away[:, 0]
    off = np.sign(cross) * np.hypot(away[:, 0], away[:, 1])
    placed = [
        Placed(plate, float(a), float(o)) for plate, a, o in zip(some, along, off, strict=True)
    ]
    return sorted(placed, key=lambda p: (p.along, p.plate.number, p.plate.id))


def heading_of(line: shapely.LineString) -> str:
    """east-west, north-south, northeast-southwest or northwest-southeast, by the line's ends."""
    (x0, y0), *_, (x1, y1) = shapely.get_coordinates(line)
    bearing = math.degrees(math.atan2(x1 - x0, y1 - y0)) % 180
    if bearing < 22.5 or bearing >= 157.5:
        return "north-south"
    if bearing < 67.5:
        return "northeast-southwest"
    return "east-west" if bearing < 112.5 else "northwest-southeast"


def _from_origin(line: shapely.LineString) -> shapely.LineString:
    """The line from where annex B begins to count: the east end, the north end of N-S streets."""
    (x0, y0), *_, (x1, y1) = shapely.get_coordinates(line)
    wrong = y0 < y1 if heading_of(line) == "north-south" else x0 < x1
    return shapely.reverse(line) if wrong else line


def _origin_words(line: shapely.LineString) -> tuple[str, str]:
    return ("北", "north") if heading_of(line) == "north-south" else ("东", "east")


def _side_words(line: shapely.LineString, side: str) -> tuple[str, str]:
    """The compass side that is right or left of the way from where annex B begins."""
    right, left = {
        "east-west": (("北", "north"), ("南", "south")),
        "north-south": (("西", "west"), ("东", "east")),
        "northeast-southwest": (("西北", "north-west"), ("东南", "south-east")),
        "northwest-southeast": (("东北", "north-east"), ("西南", "south-west")),
    }[heading_of(line)]
    return right if side == "right" else left


def _ascends(placed: Sequence[Placed]) -> bool | None:
    """Whether numbers ascend along the line; None where neither direction has the better of it.

    Each side is judged by itself: one may begin farther on than the other.
    """
    agreement, weight = 0.0, 0
    for odd in (True, False):
        side = [p for p in placed if p.plate.number.is_odd == odd]
        position = np.array([p.along for p in side])
        number = np.array([p.plate.number.main for p in side], dtype=float)
        if len(side) > 1 and np.ptp(position) > 0 and np.ptp(number) > 0:
            together = float(np.corrcoef(_ranks(position), _ranks(number))[0, 1])
            agreement, weight = agreement + len(side) * together, weight + len(side)
    if not weight or abs(agreement / weight) < _CLEAR:
        return None
    return agreement > 0


def _ranks(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    return [float(middle[i]) for i in inverse]


def _sides(placed: Sequence[Placed]) -> dict[bool, int]:
    """On which side (1 left, -1 right) the odd and the even numbers stand, by majority."""
    weight = {
        odd: sum(np.sign(p.off) for p in placed if p.plate.number.is_odd == odd)
        for odd in (True, False)
    }
    odd_left = weight[True] - weight[False] > 0
    return {True: 1 if odd_left else -1, False: -1 if odd_left else 1}


def _on(p: Placed, side: int) -> bool:
    return p.off == 0 or (p.off > 0) == (side > 0)


def _side_findings(
    name: str,
    sides: dict[bool, int],
    placed: Sequence[Placed],
    rules: NumberingRules,
    line: shapely.LineString,
) -> Iterable[Finding]:
    wrong = [p for p in placed if not _on(p, sides[p.plate.number.is_odd])]
    if len(wrong) > len(placed) / 3:  # the street does not tell odd from even
        yield Finding(
            "parity", Severity.ADVICE, (),
            f"{name}：两侧没有按单双号区分", f"{name}: sides are not told apart by odd and even",
        )  # fmt: skip
        return
    if sides[True] == (1 if rules.odd_side == "right" else -1):
        zh, en = _side_words(line, rules.odd_side)
        yield Finding(
            "parity", Severity.ADVICE, (),
            f"{name}：单号不在{zh}侧", f"{name}: odd numbers are not on the {en} side",
        )  # fmt: skip
    for p in wrong:
        yield Finding(
            "side", Severity.ERROR, (p.plate.id,),
            f"{name}{p.plate.number}在{'双' if p.plate.number.is_odd else '单'}号一侧",
            f"{name} {p.plate.number.main} stands on the other side",
        )  # fmt: skip


def _order(name: str, placed: Sequence[Placed]) -> Iterable[Finding]:
    """Plates out of sequence: those whose removal leaves the longest ascending row."""
    numbers = [p.plate.number.main for p in placed]
    kept = set(_longest_ascending(numbers))
    for index, p in enumerate(placed):
        if index not in kept:
            before = next((placed[i] for i in range(index - 1, -1, -1) if i in kept), None)
            after = next((placed[i] for i in range(index + 1, len(placed)) if i in kept), None)
            around = "、".join(str(q.plate.number) for q in (before, after) if q is not None)
            yield Finding(
                "order", Severity.ERROR, (p.plate.id,),
                f"{name}{p.plate.number}次序颠倒，相邻为 {around}",
                f"{name} {p.plate.number.main} is out of sequence",
            )  # fmt: skip


def _longest_ascending(numbers: Sequence[int]) -> list[int]:
    """Indexes of a longest run that never descends (patience sorting)."""
    tails: list[int] = []
    at: list[int] = []
    previous: list[int | None] = []
    for index, number in enumerate(numbers):
        place = bisect_right(tails, number)
        previous.append(at[place - 1] if place else None)
        if place == len(tails):
            tails.append(number)
            at.append(index)
        else:
            tails[place], at[place] = number, index
    chain: list[int] = []
    step = at[-1] if at else None
    while step is not None:
        chain.append(step)
        step = previous[step]
    return chain[::-1]


def _gaps(name: str, placed: Sequence[Placed], rules: NumberingRules) -> Iterable[Finding]:
    present = sorted({p.plate.number.main for p in placed})
    ids = {p.plate.number.main: p.plate.id for p in placed}
    for low, high in pairwise(present):
        missing = (high - low) // 2 - 1
        if missing >= rules.gap:
            yield Finding(
                "gap", Severity.ADVICE, (ids[low], ids[high]),
                f"{name}{low}号与{high}号之间缺 {missing} 个号",
                f"{name}: {missing} numbers missing between {low} and {high}",
            )  # fmt: skip


def _duplicates(name: str, plates: Sequence[Plate], rules: NumberingRules) -> Iterable[Finding]:
    same: dict[tuple[HouseNumber, str], list[Plate]] = defaultdict(list)
    for plate in plates:
        same[plate.number, plate.part].append(plate)
    for (number, part), bearers in sorted(same.items()):
        if len(bearers) < 2:
            continue
        spread = max(math.dist((a.x, a.y), (b.x, b.y)) for a in bearers for b in bearers)
        one_place = spread <= rules.same_m
        zh = "重复登记" if one_place else f"有 {len(bearers)} 处，相距 {spread:.0f} 米"
        en = "is delivered twice" if one_place else f"is at {len(bearers)} places"
        yield Finding(
            "duplicate", Severity.ERROR, tuple(b.id for b in bearers),
            f"{name}{number}{part}{zh}", f"{name} {number.main} {en}",
        )  # fmt: skip


def _too_far(name: str, p: Placed) -> Finding:
    return Finding(
        "far", Severity.ERROR, (p.plate.id,),
        f"{name}{p.plate.number}离道路中线 {abs(p.off):.0f} 米",
        f"{name} {p.plate.number.main} lies {abs(p.off):.0f} m from its street",
    )  # fmt: skip
