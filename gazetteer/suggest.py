"""Suggestions while typing: names by prefix, pinyin and initials, and the plates of a road.

A suggestion's label, sent to the matcher, gives the record it was made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gazetteer.index import Entry, Form, GazetteerIndex
from gazetteer.levels import DIVISION_LEVEL, Kind, Level
from gazetteer.locate import distance_m
from gazetteer.normalise import is_han, normalise
from gazetteer.numbers import main_number, parts
from gazetteer.records import Place, compatible, contains
from gazetteer.service import Connect
from gazetteer.store import Connection, statement

_RANK = {
    Kind.PROVINCE: 9, Kind.CITY: 0, Kind.COUNTY: 1, Kind.TOWN: 2, Kind.ROAD: 3, Kind.ESTATE: 4,
    Kind.VILLAGE: 5, Kind.POI: 6,
}  # fmt: skip
_FORM_RANK = {Form.FULL: 0, Form.SHORT: 0, Form.CLASS: 2, Form.PINYIN: 1, Form.INITIALS: 1}
_LONGER = 4
"""Numbers of up to three digits more than those typed are suggested."""
_KEPT = 50
"""Names remembered of a beginning that has more; no request may ask for as many."""
_MOST = 99_999
"""House numbers have five digits at most."""
_LEVEL = {**DIVISION_LEVEL, Kind.ROAD: Level.ROAD, Kind.ESTATE: Level.ESTATE, Kind.POI: Level.POI}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A completion: the name, the full label to search for, type, and position (CGCS2000)."""

    name: str
    label: str
    level: Level
    code: str
    lon: float | None
    lat: float | None
    record: tuple[str, str, int | None]
    error_m: float | None
    category: str = ""


def suggest(
    index: GazetteerIndex,
    text: str,
    limit: int,
    focus: tuple[float, float] | None = None,
) -> list[Suggestion]:
    """Names that the text begins, best first: exact ones, then by level, length and distance.

    Divisions in front narrow the rest (梅县区大坪 gives what begins with 大坪 in 梅县区).
    """
    normalised = normalise(text)
    key = normalised.key
    if not any(is_han(character) for character in key):
        key = key.replace(" ", "")
    if not key:
        return []
    if focus is not None:
        return [_suggestion(index, place) for place in _best(index, key, focus)[:limit]]
    # one or two characters, alone or behind a division, begin thousands of names (3 ms of CPU);
    # they are typed by everybody, and the best are the same for all
    known = index.memory.get(f"\0{key}")
    if known is None:
        known = _best(index, key, None)
        if len(known) > _KEPT:
            known = known[:_KEPT]
            index.remember(f"\0{key}", known)
    return [_suggestion(index, place) for place in known[:limit]]


def _best(index: GazetteerIndex, key: str, focus: tuple[float, float] | None) -> list[Place]:
    """The places that the key begins, best first."""
    ranked: dict[tuple[str, str], tuple[tuple[float, ...], Place]] = {}
    for place, rank in _found(index, key):
        near = 0.0
        if focus is not None and place.lon is not None and place.lat is not None:
            near = distance_m(*focus, place.lon, place.lat)
        order = (*rank, len(place.name), near)
        known = ranked.get(place.key)
        if known is None or order < known[0]:
            ranked[place.key] = (order, place)
    best = sorted(ranked.values(), key=lambda entry: (entry[0], entry[1].code, entry[1].name))
    return [place for _, place in best]


async def suggest_numbers(
    connect: Connect, index: GazetteerIndex, text: str, limit: int
) -> list[Suggestion]:
    """Plates of the road that ends the text, continued by digits: 嘉应中路1 gives 1号, 12号.

    A connection is borrowed for those alone: most of what is typed is no plate yet.
    """
    key = normalise(text).key
    stem = key.rstrip("0123456789号-")
    digits = key[len(stem) :]
    if not digits or not digits[0].isdigit():
        return []
    for scope, rest in _scopes(index, stem):
        roads = [
            place
            for entry in index.entries(rest)
            if entry.kind is Kind.ROAD and entry.form is Form.FULL
            for place in entry.places
            if any(compatible(code, place.code) for code in scope)
        ]
        if roads:
            accuracy_m = index.address_accuracy_m
            async with connect() as connection:
                return await _plates(connection, roads, scope, digits, limit, accuracy_m)
    return []


async def _plates(
    connection: Connection,
    roads: Iterable[Place],
    scope: frozenset[str],
    digits: str,
    limit: int,
    accuracy_m: float,
) -> list[Suggestion]:
    found: list[Suggestion] = []
    typed = min(main_number(digits), _MOST)
    narrow = min(scope) if len(scope) == 1 else ""
    for road in sorted({place.name for place in roads}):
        cursor = await connection.execute(
            statement("suggest_numbers"),
            {
                "road": road,
                "prefix": digits,
                "code": narrow,
                "count": limit,
                "lows": [typed * 10**k for k in range(_LONGER)],
                "highs": [(typed + 1) * 10**k - 1 for k in range(_LONGER)],
            },
        )
        found += [
            Suggestion(
                name=f"{road}{number}",
                label=full,
                level=Level.NUMBER,
                code=code,
                lon=lon,
                lat=lat,
                record=("address", identity, fid),
                error_m=accuracy_m,
            )
            for fid, identity, full, code, number, lon, lat in await cursor.fetchall()
        ]
    return found[:limit]


def _found(index: GazetteerIndex, key: str) -> Iterator[tuple[Place, tuple[float, ...]]]:
    numbered = any(part.kind is Kind.NUMBER for part in parts(key))
    for depth, (scope, rest) in enumerate(_scopes(index, key)):
        if not rest or (numbered and depth):
            continue
        for entry in index.starting_with(rest):
            if entry.form is Form.PINYIN and len(rest) < 2:
                continue
            yield from _places(entry, rest, scope)


def _places(
    entry: Entry, rest: str, scope: frozenset[str]
) -> Iterator[tuple[Place, tuple[float, ...]]]:
    exact = 0 if entry.pattern == rest and entry.form in (Form.FULL, Form.SHORT) else 1
    rank = (float(exact), float(_FORM_RANK.get(entry.form, 3)), float(_RANK.get(entry.kind, 8)))
    for place in entry.places:
        if any(contains(code, place.code) or not place.code for code in scope):
            yield place, rank


def _scopes(index: GazetteerIndex, key: str) -> Iterator[tuple[frozenset[str], str]]:
    """The whole key anywhere, then what follows each chain of divisions at its beginning."""
    yield frozenset({""}), key
    reached: dict[int, frozenset[str]] = {0: frozenset({""})}
    spans = sorted(
        _division_spans(index, key), key=lambda span: span[:2]
    )  # by start: every chain is complete before it is continued
    for start, end, entry in spans:
        if start not in reached:
            continue
        inside = frozenset(
            place.code
            for place in entry.places
            if any(contains(code, place.code) for code in reached[start])
        )
        if inside:
            reached[end] = reached.get(end, frozenset()) | inside
    for end in sorted(reached, reverse=True):
        if end:
            yield reached[end], key[end:]


def _division_spans(index: GazetteerIndex, key: str) -> Iterator[tuple[int, int, Entry]]:
    for start, end, entry in index.occurrences(key):
        if entry.kind.is_division and entry.form in (Form.FULL, Form.SHORT):
            yield start, end, entry


def _suggestion(index: GazetteerIndex, place: Place) -> Suggestion:
    spot = index.positioned(place)
    chain = index.label(place.code)
    return Suggestion(
        name=place.name,
        label=chain if place.kind.is_division else f"{chain}{place.name}",
        level=_LEVEL[place.kind],
        code=place.code,
        lon=None if spot is None else spot.lon,
        lat=None if spot is None else spot.lat,
        record=(place.layer, place.id, place.fid),
        error_m=None if spot is None or spot.radius_m is None else round(spot.radius_m, 1),
        category=place.category,
    )
