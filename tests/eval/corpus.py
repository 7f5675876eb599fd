"""The corpus: cases made from the city's truth, in two parts that share nothing.

The tuning part may be looked at while the engine is improved. The held-out part has other streets
and villages, other phrasings and other kinds of error; nobody should look at its single cases.
A kind of case belongs to one part; a street or village belongs to one part by its name's hash.
"""

from __future__ import annotations

import csv
import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from tests.eval.truth import BadLabelError, Base, Division, House

TUNING, HELD_OUT, HAND = "tuning", "held-out", "hand"
FOLDER = Path(__file__).parent
SEED = 35639


@dataclass(frozen=True)
class Case:
    """One address, what it tests, and its label (see truth)."""

    id: str
    part: str
    group: str
    kind: str
    text: str
    label: str


def part_of(name: str) -> str:
    """The part that a street's stem, an estate or a town's villages belong to."""
    return (TUNING, HELD_OUT)[hashlib.md5(name.encode()).digest()[0] % 2]


class Pool:
    """What the cases of one part may be made from."""

    def __init__(self, base: Base, part: str) -> None:
        self.base, self.part = base, part

    @cached_property
    def houses(self) -> Sequence[House]:
        return [h for h in self.base.houses if h.number and not h.gap and self.has(h.road[:2])]

    @cached_property
    def gaps(self) -> Sequence[House]:
        return [h for h in self.base.houses if h.gap and self.has(h.road[:2])]

    @cached_property
    def towers(self) -> Sequence[House]:
        return [h for h in self.base.houses if h.estate and self.has(h.estate[:2])]

    @cached_property
    def crossings(self) -> Sequence[tuple[str, str]]:
        return [p for p in self.base.crossings if self.has(p[0][:2]) and self.has(p[1][:2])]

    @cached_property
    def villages(self) -> Sequence[Division]:
        """Villages and communities, those of one town in one part."""
        return [
            d for c, d in self.base.divisions.items() if len(c) == 12 and self.has(c[:9])
        ]  # fmt: skip

    @cached_property
    def towns(self) -> Sequence[Division]:
        return [d for c, d in self.base.divisions.items() if len(c) == 9 and self.has(c)]

    @cached_property
    def pois(self) -> Sequence[str]:
        return [name for name in self.base.pois if self.has(name[:2])]

    def has(self, name: str) -> bool:
        return part_of(name) == self.part

    def name(self, code: str) -> str:
        return self.base.divisions[code].name

    def county(self, code: str) -> str:
        return self.name(code[:6])

    def town(self, code: str) -> str:
        return self.name(code[:9])

    def shared(self, name: str, within: str = "4414") -> list[str]:
        """Codes of all divisions that bear a name below a division."""
        return [
            c for c, d in self.base.divisions.items() if d.name == name and c.startswith(within)
        ]  # fmt: skip

    def stems(self, within: str = "4414") -> dict[str, str]:
        """Name without its ending, by code, of the villages below a division."""
        return {c: name for c, name in self._stems.items() if c.startswith(within)}

    @cached_property
    def _stems(self) -> dict[str, str]:
        return {c: stem(d.name) for c, d in self.base.divisions.items() if len(c) == 12}


def stem(name: str) -> str:
    """嘉应街道 → 嘉应, 大坪村 → 大坪; two characters at least."""
    for ending in ("办事处街道", "街道", "社区", "镇", "村", "县", "区", "市"):
        if name.endswith(ending) and len(name) - len(ending) >= 2:
            return name.removesuffix(ending)
    return name


T = TypeVar("T")
Made = Iterator[tuple[str, str]]
Maker = Callable[[Pool, random.Random], Made]


@dataclass(frozen=True)
class Kind:
    """A way to make cases of one group, for one part."""

    part: str
    group: str
    name: str
    size: int
    make: Maker


KINDS: list[Kind] = []


def kind(part: str, group: str, size: int = 40) -> Callable[[Maker], Maker]:
    """Register a maker, which yields cases as long as it is asked."""

    def register(make: Maker) -> Maker:
        KINDS.append(Kind(part, group, make.__name__, size, make))
        return make

    return register


def generate(base: Base, part: str) -> list[Case]:
    """All cases of a part; the same on every machine. Raises BadLabelError."""
    import tests.eval.kinds  # noqa: F401  (registers)

    pool = Pool(base, part)
    cases = []
    for k in sorted(KINDS, key=lambda k: (k.group, k.name)):
        if k.part != part:
            continue
        made = list(_some(k, pool))
        if not made:
            raise BadLabelError(f"{k.name} made nothing")
        cases += [
            Case(f"{k.name}-{n}", part, k.group, k.name, text, label)
            for n, (text, label) in enumerate(made, 1)
        ]
    return cases


def _some(k: Kind, pool: Pool) -> Iterator[tuple[str, str]]:
    """Distinct cases of a kind, at most its size."""
    luck = random.Random(f"{SEED} {k.part} {k.name}")
    seen: set[str] = set()
    for tries, (text, label) in enumerate(k.make(pool, luck), 1):
        if text not in seen:
            seen.add(text)
            yield text, label
        if len(seen) >= k.size or tries > 20 * k.size:
            return


def picks(luck: random.Random, items: Sequence[T]) -> Iterator[T]:
    """Items at random without end."""
    while items:
        yield luck.choice(items)


def read(path: Path) -> list[Case]:
    """Cases of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Case(**row) for row in csv.DictReader(file)]


def handwritten() -> list[Case]:
    """The addresses written by hand: who would write so, the text, its label."""
    with (FOLDER / "handwritten.csv").open(encoding="utf-8", newline="") as file:
        return [
            Case(f"hand-{n}", HAND, "handwritten", row["writer"], row["text"], row["label"])
            for n, row in enumerate(csv.DictReader(file), 1)
        ]


def write(path: Path, cases: Iterable[Case]) -> None:
    """Cases as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Case.__dataclass_fields__)
        writer.writerows((c.id, c.part, c.group, c.kind, c.text, c.label) for c in cases)
