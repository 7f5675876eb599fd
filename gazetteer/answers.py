"""What the matcher takes and gives: hints, wanted address rows, answers with their reasons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gazetteer.levels import Kind, Level, Status
from gazetteer.normalise import Normalised
from gazetteer.parse import Edge
from gazetteer.records import AddressPoint


@dataclass(frozen=True, slots=True)
class Reason:
    """One line of the explanation: a rule, what it found, and what it took from the score."""

    rule: str
    zh: str
    en: str
    delta: float = 0.0


@dataclass(frozen=True, slots=True)
class Component:
    """One component of an answer; ``span`` is its range in the text as typed, None if added."""

    kind: Kind
    value: str
    status: Status
    text: str = ""
    code: str = ""
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An answer: what, where (CGCS2000 degrees, None: no layer knows), how sure, and why.

    ``error_m`` is the distance within which the truth is expected; ``record`` is (layer, id, fid)
    of the row it stands on, fid None for rows that have none.
    """

    level: Level
    name: str
    label: str
    lon: float | None
    lat: float | None
    error_m: float | None
    code: str
    score: float
    components: tuple[Component, ...]
    reasons: tuple[Reason, ...]
    record: tuple[str, str, int | None]
    category: str = ""
    house_number: str = ""
    street: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Candidates of one query, best first. ``ambiguous``: the first has equally good rivals."""

    normalised: Normalised
    candidates: tuple[Candidate, ...]
    ambiguous: bool
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Keys of the address rows that a parse needs: road names, estate names, village codes."""

    roads: frozenset[str] = frozenset()
    estates: frozenset[str] = frozenset()
    villages: frozenset[str] = frozenset()

    def __or__(self, other: Wanted) -> Wanted:
        return Wanted(
            self.roads | other.roads, self.estates | other.estates, self.villages | other.villages
        )

    def __bool__(self) -> bool:
        return bool(self.roads or self.estates or self.villages)


class AddressRows:
    """Address rows by what they were wanted for; built once for all queries that share them."""

    def __init__(self, rows: Iterable[AddressPoint]) -> None:
        self._by_road: dict[str, list[AddressPoint]] = defaultdict(list)
        self._by_estate: dict[str, list[AddressPoint]] = defaultdict(list)
        self._by_village: dict[str, list[AddressPoint]] = defaultdict(list)
        seen: set[int] = set()
        for row in rows:
            if row.fid in seen:
                continue
            seen.add(row.fid)
            if row.road:
                self._by_road[row.road].append(row)
            else:
                self._by_village[row.code].append(row)
            if row.estate:
                self._by_estate[row.estate].append(row)

    def of(self, edge: Edge) -> Iterator[tuple[str, AddressPoint]]:
        """Rows of a road, an estate or a village, each with the name that bears the number."""
        if edge.kind is Kind.VILLAGE:
            for place in edge.places:
                for row in self._by_village.get(place.code, ()):
                    yield place.name, row
            return
        rows = self._by_road if edge.kind is Kind.ROAD else self._by_estate
        for name in dict.fromkeys(place.name for place in edge.places):
            for row in rows.get(name, ()):
                yield name, row


@dataclass(frozen=True, slots=True)
class Hints:
    """What the caller knows: ``focus`` (lon, lat) orders equals, ``bbox`` (w, s, e, n) limits."""

    focus: tuple[float, float] | None = None
    bbox: tuple[float, float, float, float] | None = None
    limit: int = 5
