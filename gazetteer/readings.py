"""What the parser gives: edges, readings of a whole text, and the parse that holds them.

An edge is a reading of a range of the key as one component; a reading is a chain of edges from the
beginning of the text to its end. Costs are in "unread Han characters".
"""

from __future__ import annotations

from dataclasses import dataclass

from gazetteer.index import Form
from gazetteer.levels import Kind, Status
from gazetteer.normalise import Normalised, is_han
from gazetteer.numbers import HouseNumber
from gazetteer.records import Place

OUTSIDE = "outside"
"""Pseudo code of a division that is not in this city."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A reading of the range [start, end) of the key as one component.

    ``places`` are the records it may mean (empty for numbers and unknown names).
    """

    start: int
    end: int
    kind: Kind
    value: str
    cost: float
    status: Status = Status.ORIGINAL
    form: Form | None = None
    places: tuple[Place, ...] = ()
    number: HouseNumber | None = None
    codes: frozenset[str] = frozenset()

    @property
    def is_unknown(self) -> bool:
        """A name by its shape (…路, …村) that the gazetteer does not hold."""
        return self.status is Status.UNMATCHED


def known_edge(
    start: int,
    end: int,
    kind: Kind,
    places: tuple[Place, ...],
    cost: float,
    status: Status,
    form: Form,
) -> Edge:
    """An edge that one or more records of one kind explain."""
    codes = frozenset(place.code for place in places) if kind.is_division else frozenset()
    return Edge(start, end, kind, places[0].name, cost, status, form, places, codes=codes)


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read the whole text. Lower cost is likelier.

    ``codes`` are the divisions that the chain of division names leaves possible (empty: none
    named). ``conflicts`` are pairs of edges that exclude each other; ``restarted`` says that a
    division chain in front was given up for a later one.
    """

    edges: tuple[Edge, ...] = ()
    cost: float = 0.0
    codes: frozenset[str] = frozenset()
    deepest: Kind | None = None
    conflicts: tuple[tuple[Edge, Edge], ...] = ()
    restarted: bool = False
    outside: bool = False

    def edge(self, kind: Kind) -> Edge | None:
        """The last edge of a kind (after a restart the later chain counts)."""
        for edge in reversed(self.edges):
            if edge.kind is kind:
                return edge
        return None

    def named(self, kind: Kind) -> Edge | None:
        """The last edge of a kind that records explain, else the last that has its shape."""
        known = (e for e in reversed(self.edges) if e.kind is kind and e.places)
        return next(known, None) or self.edge(kind)

    def unread(self, key: str) -> tuple[tuple[int, int], ...]:
        """Ranges that no edge reads, punctuation left out."""
        ranges, position = [], 0
        for edge in (*self.edges, None):
            start = len(key) if edge is None else edge.start
            if start > position and any(is_han(c) or c.isalnum() for c in key[position:start]):
                ranges.append((position, start))
            if edge is not None:
                position = edge.end
        return tuple(ranges)


@dataclass(frozen=True, slots=True)
class Parse:
    """All competing readings of a text, cheapest first; ``loose`` if a second search was needed."""

    normalised: Normalised
    readings: tuple[Reading, ...]
    loose: bool
