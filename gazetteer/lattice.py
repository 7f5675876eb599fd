"""The search for the cheapest chains of edges through a text, from left to right.

Not the longest match: a road may bear a county's name (兴宁路), a village a town's (新圩村).
Division names must nest; whatever is left unread, out of order or contradicting costs, and the
cheapest chains are kept in a beam. A chain is linked to the one it grew from: copying a dataclass
for each step took two thirds of the time of a parse.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from operator import attrgetter

from gazetteer.index import Form
from gazetteer.levels import Kind
from gazetteer.normalise import is_han
from gazetteer.readings import OUTSIDE, Edge, Reading

BEAM = 16
LONG_TEXT = 60
NARROW_BEAM = 6
"""Beam of texts above LONG_TEXT characters, which are prose with one place in it."""
BEAM_MARGIN = 3.4
"""Chains dearer than the cheapest at the same place by more than a conflict end there."""
MAX_EDGES = 14
MAX_READINGS = 8
READING_MARGIN = 1.6
"""How much dearer than the cheapest a reading may be and still compete."""

_CONFLICT, _RESTART, _REPEAT, _OUT_OF_ORDER, _SECOND = 3.0, 2.2, 0.2, 0.4, 0.4
_NONE: frozenset[str] = frozenset()
_COST = attrgetter("cost")


class _State:
    """A chain so far; the fields of a Reading, with the edges as a linked list."""

    __slots__ = (
        "codes", "conflicts", "cost", "deepest", "edge", "fine", "identity", "kinds", "outside",
        "previous", "restarted",
    )  # fmt: skip

    def __init__(
        self,
        cost: float,
        edge: Edge | None,
        previous: _State | None,
        codes: frozenset[str],
        deepest: int,
        fine: tuple[tuple[int, str], ...],
        kinds: tuple[int, ...],
        conflicts: tuple[tuple[Edge, Edge], ...],
        restarted: bool,
        outside: bool,
    ) -> None:
        self.cost = cost
        self.edge = edge
        self.previous = previous
        self.codes = codes
        self.deepest = deepest
        self.fine = fine
        self.kinds = kinds
        self.conflicts = conflicts
        self.restarted = restarted
        self.outside = outside
        self.identity = (codes, deepest, fine, len(conflicts))

    def grown(
        self,
        edge: Edge,
        cost: float,
        codes: frozenset[str] | None = None,
        deepest: int | None = None,
        conflict: tuple[Edge, Edge] | None = None,
        restarted: bool = False,
        outside: bool | None = None,
    ) -> _State:
        """One more edge; ``cost`` is what it adds."""
        kind = int(edge.kind)
        counted = Kind.ROAD <= kind < Kind.NOTE
        return _State(
            self.cost + cost,
            edge,
            self,
            self.codes if codes is None else codes,
            self.deepest if deepest is None else deepest,
            (*self.fine, (kind, edge.value)) if counted else self.fine,
            self.kinds if kind == Kind.NOTE else (*self.kinds, kind),
            self.conflicts if conflict is None else (*self.conflicts, conflict),
            self.restarted or restarted,
            self.outside if outside is None else outside,
        )

    def skipped(self, cost: float) -> _State:
        """One character left unread."""
        return _State(
            self.cost + cost, None, self, self.codes, self.deepest, self.fine, self.kinds,
            self.conflicts, self.restarted, self.outside,
        )  # fmt: skip

    def edges(self) -> list[Edge]:
        """The edges from the beginning of the text."""
        found = []
        state: _State | None = self
        while state is not None:
            if state.edge is not None:
                found.append(state.edge)
            state = state.previous
        found.reverse()
        return found

    def reading(self) -> Reading:
        return Reading(
            tuple(self.edges()), self.cost, self.codes,
            Kind(self.deepest) if self.deepest else None,
            self.conflicts, self.restarted, self.outside,
        )  # fmt: skip


def search(city_code: str, key: str, edges: list[Edge]) -> tuple[Reading, ...]:
    """The cheapest distinct readings of a key over its edges, best first; always at least one."""
    starting: dict[int, list[Edge]] = defaultdict(list)
    for edge in edges:
        starting[edge.start].append(edge)
    for position, found in starting.items():
        if len(found) > MAX_EDGES:
            found.sort(key=lambda e: (e.cost - (e.end - e.start), e.kind))
            starting[position] = found[:MAX_EDGES]
    size = len(key)
    beams: list[dict[object, _State]] = [{} for _ in range(size + 1)]
    beams[0][None] = _State(0.0, None, None, _NONE, 0, (), (), (), False, False)
    width = BEAM if size <= LONG_TEXT else NARROW_BEAM
    reachable = _next_starts(starting, size)
    for position in range(size):
        here = beams[position]
        if not here:
            continue
        ranked = sorted(here.values(), key=_COST)
        limit = ranked[0].cost + BEAM_MARGIN
        # to the next place where an edge begins, or the end
        target = reachable[position + 1]
        skip = sum(map(_skip_cost, key[position:target]))
        following, ahead = starting.get(position, ()), beams[target]
        for state in ranked[:width]:
            if state.cost > limit:
                break
            known = ahead.get(state.identity)
            if known is None or state.cost + skip < known.cost:
                ahead[state.identity] = state.skipped(skip)
            for edge in following:
                beam = beams[edge.end]
                for extended in _extended(city_code, state, edge):
                    known = beam.get(extended.identity)
                    if known is None or extended.cost < known.cost:
                        beam[extended.identity] = extended
        beams[position] = {}
    final = sorted(beams[size].values(), key=_COST)
    best = final[0].cost
    return tuple(s.reading() for s in final[:MAX_READINGS] if s.cost <= best + READING_MARGIN)


def _next_starts(starting: dict[int, list[Edge]], size: int) -> list[int]:
    """For each position the first at or after it where an edge begins; the end if none does."""
    found = [size] * (size + 2)
    for position in range(size - 1, -1, -1):
        found[position] = position if position in starting else found[position + 1]
    return found


def _skip_cost(character: str) -> float:
    if is_han(character):
        return 1.0
    return 0.5 if character.isalnum() else 0.02


def _extended(city_code: str, state: _State, edge: Edge) -> Iterator[_State]:
    """The chain with one more edge; nothing where the edge makes no sense there."""
    kind = edge.kind
    if edge.codes:
        yield from _nested(city_code, state, edge)
    elif kind is Kind.NOTE or kind is Kind.GROUP:
        yield state.grown(edge, edge.cost)
    elif kind <= Kind.VILLAGE:  # an unknown village or town: no code to nest
        if kind > state.deepest:
            yield state.grown(edge, edge.cost)
    elif kind >= Kind.NUMBER:
        if (state.kinds or edge.form is Form.PINYIN) and kind not in state.kinds:
            yield state.grown(edge, edge.cost)
    elif state.kinds.count(kind) < 2:
        yield _placed(state, edge)


def _placed(state: _State, edge: Edge) -> _State:
    """A road, estate or point of interest: only the records inside the divisions named."""
    cost = edge.cost + (_SECOND if edge.kind in state.kinds else 0.0)
    codes = state.codes
    if not edge.places or not codes:
        return state.grown(edge, cost)
    inside = tuple(
        place
        for place in edge.places
        if not place.code
        or any(place.code.startswith(c) or c.startswith(place.code) for c in codes)
    )
    if not inside:
        before = next(e for e in reversed(state.edges()) if e.codes)
        return state.grown(edge, cost + _CONFLICT, conflict=(before, edge))
    if len(inside) < len(edge.places):
        edge = _narrowed(edge, inside, edge.codes)
    return state.grown(edge, cost)


def _narrowed(edge: Edge, places: tuple[object, ...], codes: frozenset[str]) -> Edge:
    kept = tuple(place for place in edge.places if place in places)
    return Edge(
        edge.start, edge.end, edge.kind, kept[0].name, edge.cost, edge.status, edge.form, kept,
        edge.number, codes,
    )  # fmt: skip


def _nested(city_code: str, state: _State, edge: Edge) -> Iterator[_State]:
    """A division name after the division chain read so far."""
    codes = state.codes
    cost = edge.cost
    if any(kind >= Kind.ROAD for kind in state.kinds):
        cost += _OUT_OF_ORDER
    outside = OUTSIDE in edge.codes or not any(
        city_code.startswith(code) or code.startswith(city_code) for code in edge.codes
    )
    kind = int(edge.kind)
    if not codes or not state.deepest:
        yield state.grown(edge, cost, edge.codes, kind, outside=outside)
        return
    if kind > state.deepest:
        if (OUTSIDE in edge.codes and state.deepest == Kind.PROVINCE) or state.outside:
            yield state.grown(edge, cost, frozenset({OUTSIDE}), kind, outside=True)
            return
        inside = frozenset(d for d in edge.codes if any(d.startswith(c) for c in codes))
        if inside:
            if len(inside) < len(edge.codes) and edge.places:
                kept = tuple(place for place in edge.places if place.code in inside)
                edge = _narrowed(edge, kept, inside)
            yield state.grown(edge, cost, inside, kind, outside=state.outside or outside)
            return
        before = next(e for e in reversed(state.edges()) if e.codes)
        yield state.grown(
            edge, cost + _CONFLICT, edge.codes, kind, (before, edge),
            outside=state.outside or outside,
        )  # fmt: skip
        return
    agreeing = frozenset(c for c in codes if any(c.startswith(d) for d in edge.codes))
    if agreeing:  # the same division once more, or one above it
        yield state.grown(edge, cost + _REPEAT, agreeing)
        return
    yield state.grown(edge, cost + _RESTART, edge.codes, kind, restarted=True, outside=outside)
