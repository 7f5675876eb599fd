"""The dictionary of a city: an immutable snapshot of every name, built from plain records.

Names are found by one Aho-Corasick automaton (0.03 ms an address for a whole country), misspelled
names by symmetric deletion, homophones by their pinyin. House numbers stay in PostgreSQL: a road's
numbers are one B-tree range, fresh without any copy.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import ahocorasick
from rapidfuzz.distance import OSA

from gazetteer.history import counties_elsewhere, other_names
from gazetteer.levels import CODE_LENGTH, Kind
from gazetteer.names import (
    class_variants,
    deletions,
    homophone_key,
    short_name,
    spellings,
)
from gazetteer.normalise import key_of
from gazetteer.provinces import PROVINCES
from gazetteer.records import Place, chain_of

MAX_FUZZY_LENGTH = 12
"""Longest name, in characters, that is found with a wrong character."""

Locator = Callable[[Sequence[tuple[float, float]]], list[str]]
"""Gives the code of the finest division at each position (CGCS2000 lon, lat)."""

_MIN_PINYIN = 4
_DIGIT = frozenset("0123456789")

MEMORY = 16_384
"""Texts that an index remembers, some 3 KB each."""


class Form(StrEnum):
    """Which form of a name a text holds."""

    FULL = "full"
    SHORT = "short"
    CLASS = "class"
    PINYIN = "pinyin"
    INITIALS = "initials"
    FORMER = "former"
    ALIAS = "alias"
    HOMOPHONE = "homophone"
    FUZZY = "fuzzy"


@dataclass(frozen=True, slots=True)
class Entry:
    """One pattern of the dictionary: places that bear it as ``form`` of their name."""

    pattern: str
    kind: Kind
    form: Form
    places: tuple[Place, ...]


@dataclass(frozen=True)
class GazetteerIndex:
    """An immutable dictionary. Use ``build``; all look-ups are in memory."""

    city_code: str
    places: tuple[Place, ...]
    divisions: Mapping[str, Place]
    address_accuracy_m: float
    """Accuracy that the address layer states, in metres."""
    _patterns: Mapping[str, tuple[Entry, ...]] = field(repr=False)
    _automaton: Any = field(repr=False)
    _numbered: Any = field(repr=False)
    _elsewhere: Any = field(repr=False)
    _foreign: Mapping[str, frozenset[str]] = field(repr=False)
    _neighbours: Mapping[str, tuple[str, ...]] = field(repr=False)
    _homophones: Mapping[str, tuple[str, ...]] = field(repr=False)
    _sorted: tuple[str, ...] = field(repr=False)
    _codes_by_name: Mapping[str, tuple[str, ...]] = field(repr=False)
    _inside: Mapping[str, Mapping[str, list[Entry]]] = field(repr=False)
    _locator: Locator = field(repr=False)
    memory: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What texts came to: parses by their shape, suggestions by their beginning."""
    _labels: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def build(
        cls,
        places: Iterable[Place],
        *,
        city_code: str,
        city_name: str,
        address_accuracy_m: float = 5.0,
        locator: Locator | None = None,
    ) -> GazetteerIndex:
        """Index the places of a city whose GB/T 2260 code starts with ``city_code``.

        Province and city are added when no record names them. Equal divisions from several
        layers (register and polygons) become one, with the position of the one that has it.
        ``locator`` gives the finest division code at each CGCS2000 (lon, lat), '' where none is.
        """
        divisions = _merged(_with_parents(list(places), city_code, city_name))
        others = [place for place in places if not place.kind.is_division]
        every = (*divisions.values(), *others)
        grouped: dict[tuple[str, Kind, Form], list[Place]] = {}
        for place in every:
            for pattern, form in _patterns_of(place):
                grouped.setdefault((pattern, place.kind, form), []).append(place)
        for other in other_names(city_code):
            if other.code in divisions:
                bearer = divisions[other.code]
                form = Form.FORMER if other.former else Form.ALIAS
                grouped.setdefault((key_of(other.name), bearer.kind, form), []).append(bearer)
        elsewhere = ahocorasick.Automaton(ahocorasick.STORE_LENGTH)
        foreign = {key_of(n): codes for n, codes in counties_elsewhere(city_code).items()}
        for name in foreign:
            elsewhere.add_word(name)
        elsewhere.make_automaton()
        patterns: dict[str, tuple[Entry, ...]] = {}
        for (pattern, kind, form), bearers in grouped.items():
            known = tuple(bearers) if len(bearers) == 1 else tuple(dict.fromkeys(bearers))
            entry = Entry(pattern, kind, form, known)
            patterns[pattern] = (*patterns.get(pattern, ()), entry)
        automaton = ahocorasick.Automaton(ahocorasick.STORE_LENGTH)
        numbered = ahocorasick.Automaton(ahocorasick.STORE_LENGTH)
        neighbours: dict[str, tuple[str, ...]] = {}
        homophones: dict[str, tuple[str, ...]] = {}
        inside: dict[str, dict[str, list[Entry]]] = {}
        for pattern, entries in patterns.items():
            if any(entry.form is not Form.INITIALS for entry in entries):
                automaton.add_word(pattern)
                if not _DIGIT.isdisjoint(pattern):
                    numbered.add_word(pattern)
            if 3 <= len(pattern) <= MAX_FUZZY_LENGTH and any(
                entry.form is Form.FULL for entry in entries
            ):
                for rest in deletions(pattern):
                    neighbours[rest] = (*neighbours.get(rest, ()), pattern)
                for entry in entries:
                    if entry.form is Form.FULL and entry.kind is not Kind.POI:
                        codes = {p.code[:n] for p in entry.places for n in (6, 9)}
                        for code in codes:
                            inside.setdefault(code, {}).setdefault(pattern, []).append(entry)
                sound = homophone_key(pattern)
                homophones[sound] = (*homophones.get(sound, ()), pattern)
        if len(numbered):
            numbered.make_automaton()
        if patterns:
            automaton.make_automaton()
        names: dict[str, list[str]] = defaultdict(list)
        for code, division in divisions.items():
            names[key_of(division.name)].append(code)
        return cls(
            city_code=city_code,
            places=every,
            divisions=divisions,
            address_accuracy_m=address_accuracy_m,
            _patterns=patterns,
            _automaton=automaton if patterns else None,
            _elsewhere=elsewhere,
            _foreign=foreign,
            _numbered=numbered if len(numbered) else None,
            _neighbours=neighbours,
            _inside=inside,
            _locator=locator or _nowhere,
            _homophones=homophones,
            _sorted=tuple(sorted(patterns)),
            _codes_by_name={name: tuple(codes) for name, codes in names.items()},
        )

    def occurrences(self, key: str) -> Iterator[tuple[int, int, Entry]]:
        """Every pattern in ``key`` with its range [start, end), overlapping ones included."""
        if self._automaton is None:
            return
        for last, length in self._automaton.iter(key):
            start, end = last - length + 1, last + 1
            for entry in self._patterns[key[start:end]]:
                if entry.form is not Form.INITIALS:
                    yield start, end, entry

    def elsewhere(self, key: str) -> Iterator[tuple[int, int, frozenset[str]]]:
        """Names of other cities' counties in ``key``, with their ranges and codes."""
        for last, length in self._elsewhere.iter(key):
            start, end = last - length + 1, last + 1
            yield start, end, self._foreign[key[start:end]]

    def has_numbered_name(self, key: str) -> bool:
        """Whether a name with a digit in it (105国道) is in the key."""
        if self._numbered is None:
            return False
        return next(self._numbered.iter(key), None) is not None

    def entries(self, pattern: str) -> tuple[Entry, ...]:
        """The entries of one exact pattern."""
        return self._patterns.get(pattern, ())

    def similar(self, text: str) -> Iterator[tuple[Entry, Form]]:
        """Full names one character away from ``text``, or sounding the same."""
        if not 3 <= len(text) <= MAX_FUZZY_LENGTH:
            return
        alike = set(self._homophones.get(homophone_key(text), ()))
        near = {name for rest in deletions(text) for name in self._neighbours.get(rest, ())}
        for name in alike | near:
            if name == text or not (name in alike or OSA.distance(text, name) == 1):
                continue
            for entry in self._patterns[name]:
                if entry.form is Form.FULL:
                    yield entry, Form.HOMOPHONE if name in alike else Form.FUZZY

    def inside(self, code: str) -> Mapping[str, list[Entry]]:
        """Full names in a division (a county or finer; nothing above), for comparing with all."""
        return self._inside.get(code[:9], {})

    def starting_with(self, prefix: str, limit: int = 2000) -> Iterator[Entry]:
        """Entries whose pattern starts with ``prefix``, in the order of patterns."""
        position = bisect.bisect_left(self._sorted, prefix)
        for pattern in self._sorted[position : position + limit]:
            if not pattern.startswith(prefix):
                return
            yield from self._patterns[pattern]

    def remember(self, text: str, found: Any) -> None:
        """Keep what a text came to, until there are MEMORY of them."""
        if len(self.memory) >= MEMORY:
            self.memory.clear()
        self.memory[text] = found

    def chain(self, code: str) -> tuple[Place, ...]:
        """The divisions from province down to ``code``, as far as they are known."""
        return tuple(self.divisions[c] for c in chain_of(code) if c in self.divisions)

    def label(self, code: str) -> str:
        """Name of a division with all names above it: 广东省梅州市梅县区大坪镇."""
        known = self._labels.get(code)
        if known is None:
            known = "".join(division.name for division in self.chain(code))
            if code in self.divisions:  # no more labels than divisions
                self._labels[code] = known
        return known

    def positioned(self, place: Place) -> Place | None:
        """The place, or the nearest division above it that has a position."""
        if place.lon is not None:
            return place
        for code in reversed(chain_of(place.code)):
            above = self.divisions.get(code)
            if above is not None and above.lon is not None:
                return above
        return None

    def code_at(self, lon: float, lat: float) -> str:
        """Code of the finest division known to hold a position; '' where none is known."""
        code = self._locator([(lon, lat)])[0]
        return next((c for c in reversed(chain_of(code)) if c in self.divisions), "")

    def code_of(self, county: str, town: str, village: str) -> str:
        """Code of the division that bears these names (each may be empty); '' if none does."""
        code = self.city_code
        for name, length in ((county, 6), (town, 9), (village, 12)):
            if not name:
                continue
            found = [
                c
                for c in self._codes_by_name.get(key_of(name), ())
                if len(c) == length and c.startswith(code)
            ]
            if len(found) != 1:
                break
            code = found[0]
        return code if len(code) > len(self.city_code) else ""


def _nowhere(positions: Sequence[tuple[float, float]]) -> list[str]:
    return [""] * len(positions)


def _with_parents(places: list[Place], city_code: str, city_name: str) -> list[Place]:
    divisions = [place for place in places if place.kind.is_division]
    if city_code and city_name:
        divisions.append(Place(Kind.CITY, city_name, city_code, None, None, None, "", city_code))
    for code, name in PROVINCES.items():
        divisions.append(Place(Kind.PROVINCE, name, code, None, None, None, "", code))
    return divisions


def _merged(divisions: Iterable[Place]) -> dict[str, Place]:
    """One division a code: with a position before without, then in the order given."""
    chosen: dict[str, Place] = {}
    for division in divisions:
        known = chosen.get(division.code)
        if known is None or (known.lon is None and division.lon is not None):
            chosen[division.code] = division
    return {
        code: chosen[code]
        for code in sorted(chosen, key=lambda c: (len(c), c))
        if len(code) in CODE_LENGTH
    }


def _patterns_of(place: Place) -> Iterator[tuple[str, Form]]:
    full = key_of(place.name)
    if len(full) < 2:
        return
    yield full, Form.FULL
    short = short_name(place.name, place.kind)
    if short is not None:
        yield key_of(short), Form.SHORT
    for variant in class_variants(place.name, place.kind):
        yield key_of(variant), Form.CLASS
    if len(full) > MAX_FUZZY_LENGTH:
        return
    if place.kind is Kind.TOWN and place.name.endswith("街道"):
        yield key_of(place.name[:-1]), Form.CLASS
    several = place.kind.is_division or place.kind is Kind.ROAD
    sounds, initials = spellings(place.name, heteronyms=several)
    if short is not None and place.kind <= Kind.TOWN:
        sounds += spellings(short)[0]
    for spelling in dict.fromkeys(sounds):
        if len(spelling) >= _MIN_PINYIN:
            yield spelling, Form.PINYIN
    for letters in dict.fromkeys(initials):
        if len(letters) >= 2:
            yield letters, Form.INITIALS
