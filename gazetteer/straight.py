"""The short way through an address in good order: full names from the county down, then numbers.

Most rows of an address table are of this kind. A chain of official names that nest, read from the
first character to the last, leaves nothing for a search to weigh: it is found in a tenth of the
time. Everything else goes to the lattice.
"""

from __future__ import annotations

from collections import defaultdict

from gazetteer.index import Entry, Form, GazetteerIndex
from gazetteer.levels import Kind, Status
from gazetteer.numbers import Part, parts, strokes
from gazetteer.readings import Edge, Reading, known_edge

_NAMED = (Kind.ROAD, Kind.ESTATE)
_COST = 0.05


def straight(index: GazetteerIndex, key: str) -> Reading | None:
    """The reading of a key that full names and numbers read without a gap; None if they do not.

    A county and a road, estate or village inside it are required, and a number after it.
    """
    names: dict[int, list[tuple[int, Entry]]] = defaultdict(list)
    for start, end, entry in index.occurrences(key):
        if entry.form is Form.FULL:
            names[start].append((end, entry))
    edges: list[Edge] = []
    codes: frozenset[str] = frozenset()
    position, deepest = 0, 0
    while True:
        edge = _division(names.get(position, ()), position, codes, deepest)
        if edge is None:
            break
        edges.append(edge)
        codes, deepest, position = edge.codes, int(edge.kind), edge.end
    if deepest < Kind.COUNTY or len(codes) != 1:
        return None
    named = _thing(names.get(position, ()), position, min(codes))
    if named is not None:
        edges.append(named)
        position = named.end
        if named.kind is Kind.ESTATE and strokes(key, position):
            return None  # 1# of an estate is a building, for the search to weigh
    elif deepest != Kind.VILLAGE:
        return None
    numbers = _numbers(key, position)
    if not numbers:
        return None
    edges += numbers
    return Reading(tuple(edges), _COST * len(edges), codes, Kind(deepest))


def _division(
    found: list[tuple[int, Entry]] | tuple[()], start: int, codes: frozenset[str], deepest: int
) -> Edge | None:
    """The longest division name here that lies in the chain so far."""
    best: Edge | None = None
    for end, entry in found:
        if not entry.kind.is_division or entry.kind <= deepest or (best and end <= best.end):
            continue
        inside = tuple(
            p for p in entry.places if not codes or any(p.code.startswith(c) for c in codes)
        )
        if inside:
            best = known_edge(start, end, entry.kind, inside, _COST, Status.ORIGINAL, Form.FULL)
    return best


def _thing(found: list[tuple[int, Entry]] | tuple[()], start: int, code: str) -> Edge | None:
    """The longest name of a road or estate here that lies in the division."""
    best: Edge | None = None
    for end, entry in found:
        if entry.kind not in _NAMED or (best and end <= best.end):
            continue
        inside = tuple(
            p for p in entry.places if p.code.startswith(code) or code.startswith(p.code)
        )
        if inside:
            best = known_edge(start, end, entry.kind, inside, _COST, Status.ORIGINAL, Form.FULL)
    return best


def _numbers(key: str, start: int) -> list[Edge]:
    """The numbers that read the rest of the key, coarse before fine; none if they do not."""
    at: dict[int, Part] = {}
    for part in parts(key[start:]):
        known = at.get(part.start)
        if known is None or part.end > known.end:
            at[part.start] = part
    edges: list[Edge] = []
    position, size = 0, len(key) - start
    while position < size:
        here = at.get(position)
        if here is None or (edges and here.kind <= edges[-1].kind):
            return []
        span = (start + here.start, start + here.end)
        edges.append(Edge(*span, here.kind, here.value, _COST, number=here.number))
        position = here.end
    return edges
