"""Text to components: all readings of an address over a lattice of dictionary and rule edges.

Not the longest match: a road may bear a county's name (兴宁路), a village a town's (新圩村). Every
edge has a cost, division edges must nest, and the cheapest chains through the text are kept.
Costs are in "unread Han characters": leaving one character unread costs 1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from gazetteer.index import Form, GazetteerIndex
from gazetteer.levels import Kind, Status
from gazetteer.names import CLASS_CHARACTERS
from gazetteer.normalise import Normalised, is_han, normalise
from gazetteer.numbers import HouseNumber, parts, trailing_number
from gazetteer.records import Place, contains

OUTSIDE = "outside"
"""Pseudo code of a division that is not in this city."""

BEAM = 16
LONG_TEXT = 60
NARROW_BEAM = 6
"""Beam of texts above LONG_TEXT characters, which are prose with one place in it."""
MAX_EDGES = 14
MAX_READINGS = 8
READING_MARGIN = 1.6
"""How much dearer than the cheapest a reading may be and still compete."""

_CONFLICT, _RESTART, _REPEAT, _OUT_OF_ORDER = 3.0, 2.2, 0.2, 0.4
_FORM_COST = {
    Form.FULL: 0.0, Form.CLASS: 0.5, Form.PINYIN: 0.3, Form.HOMOPHONE: 0.7, Form.FUZZY: 1.0,
}  # fmt: skip
_SHORT_COST = {Kind.PROVINCE: 0.15, Kind.CITY: 0.15, Kind.COUNTY: 0.15, Kind.TOWN: 0.3}
_UNKNOWN = (
    (Kind.ROAD, ("大道", "大街", "路", "街", "巷", "道")),
    (Kind.VILLAGE, ("社区", "村", "围")),
    (Kind.TOWN, ("街道", "镇", "乡")),
    (Kind.COUNTY, ("县", "区")),
    (Kind.CITY, ("市",)),
    (Kind.ESTATE, ("花园", "小区", "公寓", "大厦", "新村", "宿舍", "苑", "城", "广场")),
)
_ROAD_WORDS = ("路", "街", "巷", "弄", "大道", "高速", "公路", "大桥")
_BREAKS = "省市县区镇与和,()在"
"""Characters that no unknown name is thought to span."""

_ROAD_ENDS = ("大道", "大街", "路", "街", "巷")
_DIVISION_ENDS = ("镇", "村", "县", "区", "街道", "乡")
_BEFORE_DIVISION = "省市县区国,( "
"""What precedes the name of a city or county when the text does not begin with it."""

_NOTES = (
    "中国", "附近", "旁边", "对面", "隔壁", "门口", "门前", "路口", "靠近", "楼下", "斜对面",
    "左侧", "右侧", "交叉口", "交汇处", "交叉路口", "以东", "以西", "以南", "以北", "往东", "往西",
    "往南", "往北", "群众反映", "地址", "位于", "旁", "内", "里", "的", "在", "与", "和", "处",
    "有人", "请处理", "委会", "村委会", "居委会", "村民委员会", "居民委员会", "民委员会",
)  # fmt: skip
DISPLACING = frozenset(
    {
        "附近", "旁边", "对面", "隔壁", "斜对面", "左侧", "右侧", "以东", "以西", "以南", "以北",
        "往东", "往西", "往南", "往北", "交叉口", "交汇处", "交叉路口", "路口", "旁", "靠近",
    }
)  # fmt: skip
"""Words after which the place meant is near the place named, not at it."""


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
        return next((edge for edge in reversed(self.edges) if edge.kind is kind), None)

    def unread(self, key: str) -> tuple[tuple[int, int], ...]:
        """Ranges that no edge reads, punctuation left out."""
        ranges, position = [], 0
        for edge in (*self.edges, None):
            start = len(key) if edge is None else edge.start
            if any(is_han(c) or c.isalnum() for c in key[position:start]):
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


def parse(index: GazetteerIndex, text: str) -> Parse:
    """Read an address. Never raises; a text without any known name has one empty reading."""
    normalised = normalise(text)
    key = normalised.key
    if not any(is_han(character) for character in key) and " " in key:
        # pinyin typed with blanks between syllables
        normalised = _without(normalised, " ")
        key = normalised.key
    edges = [*_dictionary_edges(index, key), *_rule_edges(index, key)]
    division = index.divisions.get(key)
    if division is not None:  # a division code as the whole text
        whole = (0, len(key), division.kind, (division,), 0.0, Status.ORIGINAL, Form.FULL)
        edges.append(_known(*whole))
    elif key.isascii() and key.isalpha():  # pinyin initials as the whole text: DBX
        edges += [
            _known(0, len(key), e.kind, e.places, 0.6, Status.CORRECTED, e.form)
            for e in index.entries(key)
            if e.form is Form.INITIALS
        ]
    readings = _search(index, key, edges)
    doubtful = _doubtful(readings[0], key)
    if not doubtful:
        return Parse(normalised, readings, loose=False)
    similar = list(_similar_edges(index, key, doubtful))
    if similar:
        readings = _search(index, key, [*edges, *similar])
    return Parse(normalised, readings, loose=bool(similar))


def _without(normalised: Normalised, character: str) -> Normalised:
    kept = [i for i, c in enumerate(normalised.key) if c != character]
    return Normalised(
        source=normalised.source,
        text="".join(normalised.text[i] for i in kept),
        key="".join(normalised.key[i] for i in kept),
        starts=tuple(normalised.starts[i] for i in kept),
        ends=tuple(normalised.ends[i] for i in kept),
    )


def _dictionary_edges(index: GazetteerIndex, key: str) -> Iterator[Edge]:
    for start, end, entry in index.occurrences(key):
        form = entry.form
        if form is Form.SHORT:
            if entry.kind.is_division and key.startswith(_ROAD_WORDS, end):
                continue  # 兴宁路 is a road, wherever it lies
            cost = _SHORT_COST.get(entry.kind, 0.5)
            if end < len(key) and key[end] in CLASS_CHARACTERS:
                cost += 1.5  # 兴宁|路, 五华|区: the character after it makes it another name
        else:
            cost = _FORM_COST[form]
        kept = Status.ORIGINAL if form in (Form.FULL, Form.SHORT) else Status.CORRECTED
        yield _known(start, end, entry.kind, entry.places, cost + 0.05, kept, form)


def _known(
    start: int,
    end: int,
    kind: Kind,
    places: tuple[Place, ...],
    cost: float,
    status: Status,
    form: Form,
) -> Edge:
    codes = frozenset(place.code for place in places) if kind.is_division else frozenset()
    return Edge(start, end, kind, places[0].name, cost, status, form, places, codes=codes)


def _rule_edges(index: GazetteerIndex, key: str) -> Iterator[Edge]:
    last = 0
    for part in parts(key):
        yield Edge(part.start, part.end, part.kind, part.value, 0.05, number=part.number)
        last = max(last, part.end)
    digits = len(key) - len(key.rstrip("0123456789-"))
    if 0 < digits < len(key) and last < len(key):
        bare = trailing_number(key, len(key) - digits)
        if bare is not None:
            yield Edge(bare.start, bare.end, bare.kind, bare.value, 0.3, number=bare.number)
    for note in _NOTES:
        position = key.find(note)
        while position >= 0:
            yield Edge(position, position + len(note), Kind.NOTE, note, 0.1 + 0.1 * len(note))
            position = key.find(note, position + 1)
    opened = key.find("(")
    while opened >= 0:
        closed = key.find(")", opened)
        closed = len(key) if closed < 0 else closed + 1
        inside = key[opened:closed].strip("()")
        yield Edge(opened, closed, Kind.NOTE, inside, 0.1 + 0.12 * len(inside))
        opened = key.find("(", closed)
    yield from _unknown_names(index, key)


def _unknown_names(index: GazetteerIndex, key: str) -> Iterator[Edge]:
    """Names by their shape: up to six Han characters before a class word.

    None where a name of the dictionary ends with that class word, and none across another one.
    A city, county or district that is not in the dictionary lies outside the city.
    """
    known_ends = {
        end for _, end, entry in index.occurrences(key) if entry.form in (Form.FULL, Form.CLASS)
    }
    for kind, suffixes in _UNKNOWN:
        for suffix in suffixes:
            at = key.find(suffix)
            while at >= 0:
                end = at + len(suffix)
                reach = 0 if end in known_ends else 7
                for start in range(at - 1, max(at - reach, -1), -1):
                    if not is_han(key[start]) or key[start] in _BREAKS:
                        break
                    if kind <= Kind.COUNTY and key[start] in "路街巷":
                        break
                    cost = 0.5 + 0.45 * (end - start)
                    if kind > Kind.COUNTY:
                        yield Edge(start, end, kind, key[start:end], cost, Status.UNMATCHED)
                    elif start < at - 1 and (start == 0 or key[start - 1] in _BEFORE_DIVISION):
                        yield _elsewhere(start, end, kind, key[start:end], cost)
                at = key.find(suffix, at + 1)


def _elsewhere(start: int, end: int, kind: Kind, name: str, cost: float) -> Edge:
    codes = frozenset({OUTSIDE})
    return Edge(start, end, kind, name, cost, Status.UNMATCHED, codes=codes)


def _similar_edges(
    index: GazetteerIndex, key: str, ranges: Iterable[tuple[int, int]]
) -> Iterator[Edge]:
    """Names one character off, anywhere that touches what could not be read."""
    seen: set[tuple[int, int]] = set()
    for low, high in ranges:
        for start in range(max(0, low - 3), high):
            for end in range(max(start + 3, low + 1), min(len(key), high + 3, start + 12) + 1):
                piece = key[start:end]
                if (start, end) in seen or not all(is_han(c) or c.isalnum() for c in piece):
                    continue
                seen.add((start, end))
                yield from _similar_to(index, piece, start, end)


def _similar_to(index: GazetteerIndex, piece: str, start: int, end: int) -> Iterator[Edge]:
    """One edge for all names of a kind that are equally far from the piece: they are rivals."""
    alike: dict[tuple[Kind, Form, float], list[Place]] = defaultdict(list)
    for entry, form in index.similar(piece):
        if piece.endswith(_ROAD_ENDS if entry.kind.is_division else _DIVISION_ENDS):
            continue  # 江南大道 is no misspelling of 江南街道
        cost = _FORM_COST[form] + 0.05
        if form is Form.FUZZY and (len(piece) == 3 or len(entry.pattern) == 3):
            if piece[-1] != entry.pattern[-1]:
                continue  # of three characters the class word must stand
            cost += 0.3
        alike[entry.kind, form, cost] += entry.places
    for (kind, form, cost), places in alike.items():
        ordered = tuple(sorted(dict.fromkeys(places), key=lambda p: (p.code, p.layer, p.id)))
        yield _known(start, end, kind, ordered, cost, Status.CORRECTED, form)


def _doubtful(reading: Reading, key: str) -> list[tuple[int, int]]:
    ranges = [(e.start, e.end) for e in reading.edges if e.is_unknown]
    ranges += [(e.start, e.end) for pair in reading.conflicts for e in pair]
    ranges += [
        (low, high) for low, high in reading.unread(key) if any(is_han(c) for c in key[low:high])
    ]
    return ranges


def _search(index: GazetteerIndex, key: str, edges: list[Edge]) -> tuple[Reading, ...]:
    """Beam search from left to right; returns the cheapest distinct readings."""
    starting: dict[int, list[Edge]] = defaultdict(list)
    for edge in edges:
        starting[edge.start].append(edge)
    for position, found in starting.items():
        found.sort(key=lambda e: (e.cost - (e.end - e.start), e.kind))
        starting[position] = found[:MAX_EDGES]
    beams: list[dict[object, Reading]] = [{} for _ in range(len(key) + 1)]
    beams[0][None] = Reading()
    beam = BEAM if len(key) <= LONG_TEXT else NARROW_BEAM
    for position in range(len(key)):
        ranked = sorted(beams[position].values(), key=lambda r: r.cost)
        for reading in islice(ranked, beam):
            skipped = replace(reading, cost=reading.cost + _skip_cost(key[position]))
            _keep(beams[position + 1], skipped)
            for edge in starting.get(position, ()):
                for extended in _extended(index, reading, edge):
                    _keep(beams[edge.end], extended)
    final = sorted(beams[len(key)].values(), key=lambda r: r.cost)
    best = final[0].cost
    return tuple(r for r in final[:MAX_READINGS] if r.cost <= best + READING_MARGIN)


def _keep(beam: dict[object, Reading], reading: Reading) -> None:
    identity = (
        reading.codes,
        reading.deepest,
        tuple((e.kind, e.value) for e in reading.edges if e.kind >= Kind.ROAD and e.kind < 15),
        len(reading.conflicts),
    )
    known = beam.get(identity)
    if known is None or reading.cost < known.cost:
        beam[identity] = reading


def _skip_cost(character: str) -> float:
    if is_han(character):
        return 1.0
    return 0.5 if character.isalnum() else 0.02


def _extended(index: GazetteerIndex, reading: Reading, edge: Edge) -> Iterator[Reading]:
    """The reading with one more edge; nothing where the edge makes no sense there."""
    grown = replace(reading, edges=(*reading.edges, edge), cost=reading.cost + edge.cost)
    if edge.codes:
        yield from _nested(index, reading, grown, edge)
    elif edge.kind in (Kind.NOTE, Kind.GROUP):
        yield grown
    elif edge.kind.is_division:  # an unknown village or town: no code to nest
        if reading.deepest is None or edge.kind > reading.deepest:
            yield grown
    elif edge.kind >= Kind.NUMBER:
        held = [e.kind for e in reading.edges if e.kind is not Kind.NOTE]
        if held and edge.kind not in held:
            yield grown
    elif sum(e.kind is edge.kind for e in reading.edges) < 2:
        yield _placed(reading, grown, edge)


def _placed(reading: Reading, grown: Reading, edge: Edge) -> Reading:
    """A road, estate or point of interest: only the records inside the divisions named."""
    cost = grown.cost
    if any(e.kind is edge.kind for e in reading.edges):
        cost += 0.4
    if not edge.places or not reading.codes:
        return replace(grown, cost=cost)
    inside = tuple(
        place
        for place in edge.places
        if not place.code
        or any(contains(c, place.code) or contains(place.code, c) for c in reading.codes)
    )
    if not inside:
        conflict = (reading.edges[-1], edge)
        return replace(grown, cost=cost + _CONFLICT, conflicts=(*reading.conflicts, conflict))
    narrowed = replace(edge, places=inside, value=inside[0].name)
    return replace(grown, edges=(*grown.edges[:-1], narrowed), cost=cost)


def _nested(
    index: GazetteerIndex, reading: Reading, grown: Reading, edge: Edge
) -> Iterator[Reading]:
    """A division name after the division chain read so far."""
    late = any(e.kind >= Kind.ROAD and e.kind is not Kind.NOTE for e in reading.edges)
    cost = grown.cost + (_OUT_OF_ORDER if late else 0.0)
    outside = edge.codes == {OUTSIDE} or not any(
        contains(code, index.city_code) or contains(index.city_code, code) for code in edge.codes
    )
    if not reading.codes or reading.deepest is None:
        yield replace(grown, cost=cost, codes=edge.codes, deepest=edge.kind, outside=outside)
        return
    if edge.kind > reading.deepest:
        if (edge.codes == {OUTSIDE} and reading.deepest is Kind.PROVINCE) or reading.outside:
            yield replace(
                grown, cost=cost, codes=frozenset({OUTSIDE}), deepest=edge.kind, outside=True
            )
            return
        inside = frozenset(d for d in edge.codes if any(contains(c, d) for c in reading.codes))
        if inside:
            places = tuple(place for place in edge.places if place.code in inside)
            narrowed = replace(edge, codes=inside, places=places, value=places[0].name)
            yield replace(
                grown,
                edges=(*grown.edges[:-1], narrowed),
                cost=cost,
                codes=inside,
                deepest=edge.kind,
            )
            return
        before = next(e for e in reversed(reading.edges) if e.codes)
        yield replace(
            grown,
            cost=cost + _CONFLICT,
            codes=edge.codes,
            deepest=edge.kind,
            conflicts=(*reading.conflicts, (before, edge)),
            outside=reading.outside or outside,
        )
        return
    agreeing = frozenset(c for c in reading.codes if any(contains(d, c) for d in edge.codes))
    if agreeing:  # the same division once more, or one above it
        yield replace(grown, cost=cost + _REPEAT, codes=agreeing)
        return
    yield replace(
        grown,
        cost=cost + _RESTART,
        codes=edge.codes,
        deepest=edge.kind,
        outside=outside,
        restarted=True,
    )
