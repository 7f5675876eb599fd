"""Misspelled names: wrong, dropped, added and swapped characters, and names that sound alike.

One character off is looked up anywhere by symmetric deletion; two off only among the names inside
the divisions that the text names, since two of four characters fit something everywhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from rapidfuzz import process
from rapidfuzz.distance import OSA

from gazetteer.index import MAX_FUZZY_LENGTH, Entry, Form, GazetteerIndex
from gazetteer.levels import CODE_LENGTH, Kind, Status
from gazetteer.lookalikes import look_alike
from gazetteer.names import blurred_key, homophone_key
from gazetteer.normalise import is_han
from gazetteer.readings import Edge, Reading, known_edge
from gazetteer.records import Place

_ROAD_ENDS = ("大道", "大街", "路", "街", "巷")
_DIVISION_ENDS = ("镇", "村", "县", "区", "街道", "乡")
_CLASSES = ("社区", "街道", "大道", "村", "镇", "路", "街", "巷", "县", "区")
_ONE, _SWAPPED, _LOOKS, _NEAR_SOUND, _SOUND, _TWO = 0.95, 0.75, 0.65, 0.65, 0.5, 1.9
"""Costs of one wrong character, two that changed places, one that looks like the right one or
nearly sounds like it, each character of the same sound, two wrong ones: less than leaving them
unread."""
_LONG_STEM = 4
Similar = tuple[Kind, Form, float, tuple[Place, ...]]
"""Kind, form and cost of a correction, and the places that it may mean."""


def similar_edges(
    index: GazetteerIndex,
    key: str,
    ranges: Iterable[tuple[int, int]],
    reading: Reading,
) -> Iterator[Edge]:
    """Names near what stands in and around the ranges that ``reading`` could not read."""
    codes = reading.codes
    seen: set[tuple[int, int]] = set()
    known: dict[str, list[Similar]] = {}
    for low, high in ranges:
        first, last = _reach(reading, low, high)
        for start in range(max(0, first), high):
            for end in range(max(start + 3, low + 1), min(len(key), last, start + 12) + 1):
                piece = key[start:end]
                if (start, end) in seen or not all(is_han(c) or c.isalpha() for c in piece):
                    continue
                seen.add((start, end))
                if piece not in known:
                    known[piece] = [*_similar_to(index, piece, codes)]
                    if codes and end - start > _LONG_STEM:
                        known[piece] += _two_off(index, piece, codes)
                for kind, form, cost, places in known[piece]:
                    yield known_edge(start, end, kind, places, cost, Status.CORRECTED, form)


def _reach(reading: Reading, low: int, high: int) -> tuple[int, int]:
    """How far a misspelled name may reach: over the name that touches the range, at least 3.

    What is left of it may be a name too: 圩镇社区 of 荷田圩镇社区 with 田 misspelled.
    """
    before = (e.start for e in reading.edges if e.places and e.end == low)
    after = (e.end for e in reading.edges if e.places and e.start == high)
    return min(low - 3, *before, low), max(high + 3, *after, high)


def _similar_to(index: GazetteerIndex, piece: str, codes: frozenset[str]) -> Iterator[Similar]:
    """One for all names of a kind that are equally far from the piece: they are rivals."""
    own = [e for e in index.entries(piece) if e.form is Form.FULL and e.kind.is_division]
    if own and not _misplaced(own, codes):
        return  # a name of its own is not another one misspelled: 大坪镇 is not 大麻镇
    alike: dict[tuple[Kind, Form, float], list[Place]] = defaultdict(list)
    for entry, form in index.similar(piece):
        if not _of_one_class(piece, entry) or entry.pattern in piece:
            continue  # what stands before or after a name is unread, not part of it
        three = len(piece) == 3 or len(entry.pattern) == 3
        if three and form is Form.FUZZY and piece[-1] != entry.pattern[-1]:
            continue  # of three characters the class word must stand
        places = [p for p in entry.places if not own or _within(p, codes)]
        alike[entry.kind, form, _cost(piece, entry.pattern, form)] += places
    yield from _grouped(alike)


def _misplaced(own: Iterable[Entry], codes: frozenset[str]) -> bool:
    """Whether a village name belongs to no village of the towns that the text names.

    Then a village of these towns with nearly this name is likelier than a contradiction.
    """
    towns = bool(codes) and all(CODE_LENGTH.get(len(code)) is Kind.TOWN for code in codes)
    return towns and all(
        entry.kind is Kind.VILLAGE and not any(_within(p, codes) for p in entry.places)
        for entry in own
    )


def _within(place: Place, codes: frozenset[str]) -> bool:
    return place.kind is Kind.VILLAGE and any(place.code.startswith(code) for code in codes)


def _cost(piece: str, pattern: str, form: Form) -> float:
    if form is Form.HOMOPHONE and len(piece) == len(pattern):
        return _SOUND * sum(a != b for a, b in zip(piece, pattern, strict=True)) + 0.05
    if len(piece) == len(pattern) and sorted(piece) == sorted(pattern):
        return _SWAPPED + 0.05
    if len(piece) == len(pattern):
        wrong = [pair for pair in zip(piece, pattern, strict=True) if pair[0] != pair[1]]
        if len(wrong) == 1 and look_alike(*wrong[0]):
            return _LOOKS + 0.05
    if blurred_key(piece) == blurred_key(pattern):
        return _NEAR_SOUND + 0.05
    # of several names one character away, the one that sounds most like what was typed
    sounds = (homophone_key(piece), homophone_key(pattern))
    return _ONE + round(0.2 * (1 - OSA.normalized_similarity(*sounds)), 2)


def _two_off(index: GazetteerIndex, piece: str, codes: frozenset[str]) -> Iterator[Similar]:
    stem = _stem(piece)
    if len(stem) < _LONG_STEM or len(piece) > MAX_FUZZY_LENGTH:
        return
    alike: dict[tuple[Kind, Form, float], list[Place]] = defaultdict(list)
    for code in sorted(codes):
        entries = index.inside(code)
        for name, distance, _ in process.extract(
            piece, entries.keys(), scorer=OSA.distance, score_cutoff=2, limit=8
        ):
            for entry in entries[name]:
                long = len(_stem(name)) >= _LONG_STEM and name not in piece
                if long and distance == 2 and _of_one_class(piece, entry):
                    places = [p for p in entry.places if p.code.startswith(code)]
                    alike[entry.kind, Form.FUZZY, _TWO] += places
    yield from _grouped(alike)


def _of_one_class(piece: str, entry: Entry) -> bool:
    """江南大道 is no misspelling of 江南街道."""
    return not piece.endswith(_ROAD_ENDS if entry.kind.is_division else _DIVISION_ENDS)


def _stem(piece: str) -> str:
    for suffix in _CLASSES:
        if piece.endswith(suffix):
            return piece.removesuffix(suffix)
    return piece


def _grouped(alike: dict[tuple[Kind, Form, float], list[Place]]) -> Iterator[Similar]:
    for (kind, form, cost), places in alike.items():
        ordered = tuple(sorted(dict.fromkeys(places), key=lambda p: (p.code, p.layer, p.id)))
        if ordered:
            yield kind, form, cost, ordered
