"""What the matcher takes and gives: hints, wanted address rows, answers with their reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gazetteer.along import RoadLine
from gazetteer.levels import Kind, Level, Status
from gazetteer.normalise import Normalised
from gazetteer.readings import Edge
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


class Asked(NamedTuple):
    """Key of the address rows of one number: what bears it, where, and the main number.

    ``name`` is a road, an estate, or a village code; ``county`` is its 6-digit code, '' for any.
    """

    kind: Kind
    name: str
    county: str
    main: int


class Crossing(NamedTuple):
    """Key of the spots where two roads meet: their names, in the order of text."""

    one: str
    other: str


class AddressRows:
    """Rows by the key they were asked for, so that queries sharing a look-up stay apart.

    House numbers come as address rows, crossings as CGCS2000 (lon, lat); roads of numbers that are
    not on record come with their line.
    """

    def __init__(
        self,
        rows: Mapping[Asked, Sequence[AddressPoint]] | None = None,
        crossings: Mapping[Crossing, Sequence[tuple[float, float]]] | None = None,
        lines: Mapping[Asked, RoadLine] | None = None,
    ) -> None:
        self._rows = rows or {}
        self._crossings = crossings or {}
        self._lines = lines or {}

    def count(self, key: Asked | Crossing) -> int:
        """How many rows or spots were found for a key."""
        return len(
            self._rows.get(key, ()) if isinstance(key, Asked) else self._crossings.get(key, ())
        )

    def crossing(self, one: Edge, other: Edge) -> Iterator[tuple[float, float]]:
        """Spots where a road that one edge may mean meets one that the other may mean."""
        for key in crossings_of(one, other):
            yield from self._crossings.get(key, ())

    def line(self, name: str, county: str, main: int) -> RoadLine | None:
        """The line of a road along which a missing number is reckoned, if it was fetched."""
        wanted = (Asked(Kind.ROAD, name, c, main) for c in (county, ""))
        return next((line for key in wanted if (line := self._lines.get(key))), None)

    def of(self, edge: Edge, main: int) -> Iterator[tuple[str, AddressPoint]]:
        """Rows of a number of a road, estate or village, each with the name that bears it."""
        for asked, name in keys_of(edge, main).items():
            for row in self._rows.get(asked, ()):
                yield name, row


def crossings_of(one: Edge, other: Edge) -> list[Crossing]:
    """The keys of the crossings of two roads."""
    names = [list(dict.fromkeys(place.name for place in edge.places)) for edge in (one, other)]
    return [Crossing(a, b) for a in names[0] for b in names[1] if a != b]


def keys_of(edge: Edge, main: int) -> dict[Asked, str]:
    """The keys under which an edge's number may be on record, and the name for each."""
    if edge.kind is Kind.VILLAGE:
        return {Asked(edge.kind, p.code, p.code[:6], main): p.name for p in edge.places}
    return {Asked(edge.kind, p.name, p.code[:6], main): p.name for p in edge.places}


@dataclass(frozen=True, slots=True)
class Hints:
    """What the caller knows: ``focus`` (lon, lat) orders equals, ``bbox`` (w, s, e, n) limits."""

    focus: tuple[float, float] | None = None
    bbox: tuple[float, float, float, float] | None = None
    limit: int = 5
