"""Text to components: all readings of an address over a lattice of dictionary and rule edges.

Not the longest match: a road may bear a county's name (兴宁路), a village a town's (新圩村). Every
edge has a cost, division edges must nest, and the cheapest chains through the text are kept.
Costs are in "unread Han characters": leaving one character unread costs 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from gazetteer.index import Entry, Form, GazetteerIndex
from gazetteer.latin import reversed_parts, romanised
from gazetteer.lattice import search
from gazetteer.levels import Kind, Status
from gazetteer.names import CLASS_CHARACTERS
from gazetteer.normalise import Normalised, is_han, normalise
from gazetteer.numbers import (
    NUMBER_PREFIXES,
    Part,
    leading_numbers,
    parts,
    strokes,
    trailing_number,
)
from gazetteer.prose import settled
from gazetteer.readings import OUTSIDE, Edge, Parse, Reading, known_edge
from gazetteer.relative import CROSSINGS, displacing_ranges
from gazetteer.shapes import reshaped, shape_of
from gazetteer.similar import similar_edges
from gazetteer.straight import straight

Names = Sequence[tuple[int, int, Entry]]
"""Names of the dictionary in a key with their ranges."""

_TIE = 0.1
"""Readings whose costs differ by less are equally likely."""
_DIGIT = frozenset("0123456789")
_BRACKET, _NAMED_BRACKET = 0.12, 0.6
"""Cost of each character in brackets that hold a remark, and in those that name a place."""
_JOINING = ("交", "接", "连接", "转", "靠", "对", "对着", "以及", "连", "到", "至")
_PLATE_END = re.compile("(?<=[0-9])号")
_FORM_COST = {
    Form.FULL: 0.0, Form.CLASS: 0.5, Form.PINYIN: 0.3, Form.FORMER: 0.1, Form.ALIAS: 0.2,
}  # fmt: skip
_AS_TYPED = (Form.FULL, Form.SHORT, Form.FORMER, Form.ALIAS)
_SHORT_COST = {Kind.PROVINCE: 0.15, Kind.CITY: 0.15, Kind.COUNTY: 0.15, Kind.TOWN: 0.3}
_UNKNOWN = (
    (Kind.ROAD, ("大道", "大街", "路", "街", "巷")),
    (Kind.VILLAGE, ("社区", "村", "围")),
    (Kind.TOWN, ("街道", "镇", "乡")),
    (Kind.COUNTY, ("县", "区")),
    (Kind.CITY, ("市",)),
    (Kind.ESTATE, ("花园", "小区", "公寓", "大厦", "新村", "宿舍", "苑", "城", "广场")),
)
_ROAD_WORDS = ("路", "街", "巷", "弄", "大道", "高速", "公路", "大桥")
_HIGHWAY = re.compile(
    r"(?P<letter>[gsxy])(?P<number>[0-9]{2,4})(?:线|国道|省道|县道|乡道|高速)?"
    r"|(?P<after>[0-9]{3})(?P<a>国道|省道|县道|乡道)|(?P<b>国道|省道|县道|乡道)(?P<before>[0-9]{3})"
)
_HIGHWAY_LETTER = {"国道": "g", "省道": "s", "县道": "x", "乡道": "y"}
_HOUSE = re.compile(
    "(?P<name>(?![一二三四五六七八九十])[\u4e00-\u9fff]{1,4}?"
    "(?:堂|庐|楼|公祠|宗祠|祠|居|庄|阁|第|围))(?:围龙屋|围屋|祖屋|老屋|祖祠|土楼)?(?![\u4e00-\u9fff]*[村镇县路街巷])"
)
"""Names of the round houses of Hakka clans behind their village: 侨乡村德馨堂围龙屋."""
_NO_COUNTY = ("小区", "社区", "园区", "校区", "厂区", "景区", "片区", "生活区", "住宅区", "工业区")
"""Ends of names that are no county's, though they end with 区."""
_ROUND_HOUSES = ("围龙屋", "围屋", "土楼")
_BREAKS = "省市县区镇与和,()在"
"""Characters that no unknown name is thought to span."""

_BEFORE_DIVISION = "省市县区国,( "
"""What precedes the name of a city or county when the text does not begin with it."""

_NOTES = (
    "中国", "附近", "旁边", "对面", "隔壁", "门口", "门前", "靠近", "楼下", "楼上", "斜对面",
    "左侧", "右侧", "左边", "右边", "边上", "后面", "背后", "前面", "侧面", "侧边", "对过", "对出",
    "后门", "后座", "路边", "路段", "不远", "往前", "前行", "周围", "以东", "以西", "以南", "以北",
    "往东", "往西", "往南", "往北", "群众反映", "地址", "实际地址", "现地址", "真实地址",
    "详细地址", "收货地址", "位于", "旁", "内", "里", "的", "在",
    "与", "和",
    "处", "近", "同", "跟", "及", "有人", "请处理", "围龙屋", "围屋", "祖屋", "老屋", "周边",
    "一带", "正对面", "门牌",
    "门牌号",
    "无门牌", "无门牌号", "无号", "没有门牌", "门牌不详", "商铺", "店铺", "店面", "门店", "铺",
    "店", "门",
    "地下停车场", "停车场", "委会", "村委会", "居委会", "村民委员会", "居民委员会", "民委员会",
    *CROSSINGS,
)  # fmt: skip


def parse(index: GazetteerIndex, text: str) -> Parse:
    """Read an address. Never raises; a text without any known name has one empty reading.

    Texts that differ in their digits alone are read alike, so the search runs on the text with
    its digits put to 0, and is remembered: a table of addresses has few such shapes a street.
    """
    normalised = normalise(text)
    key = normalised.key
    if key.isascii() and any(character.isalpha() for character in key):
        # pinyin typed with blanks between syllables, English class words
        return _latin(index, romanised(normalised))
    if " " in key:  # pinyin with blanks among Han, or a name with a blank in it
        joined = romanised(normalised)
        parses = [Parse(n, *_readings(index, n.key)) for n in (normalised, joined)]
        return min(parses, key=lambda parsed: parsed.readings[0].cost)
    plain = key.isascii() or _DIGIT.isdisjoint(key)
    if plain or _HIGHWAY.search(key) or index.has_numbered_name(key):
        readings, loose = _readings(index, key)
        return Parse(normalised, readings, loose)
    shape, places = shape_of(key)
    known = index.memory.get(shape)
    if known is None:
        known = _readings(index, shape)
        index.remember(shape, known)
    readings, loose = known
    return Parse(normalised, tuple(reshaped(r, key, places) for r in readings), loose)


def _latin(index: GazetteerIndex, normalised: Normalised) -> Parse:
    """A Latin text in the order of Chinese addresses or in that of Western ones."""
    parses = [Parse(normalised, *_readings(index, normalised.key))]
    turned = reversed_parts(normalised)
    if turned is not None:
        parses.append(Parse(turned, *_readings(index, turned.key)))
    return min(parses, key=lambda parsed: parsed.readings[0].cost)


def _readings(index: GazetteerIndex, key: str) -> tuple[tuple[Reading, ...], bool]:
    """All readings of a key, and whether misspelled names had to be looked for."""
    plain = straight(index, key)
    if plain is not None:
        return (plain,), False
    names, found = list(index.occurrences(key)), list(parts(key))
    last = settled(key, names, found)
    edges = [*_dictionary_edges(key, names), *_rule_edges(index, key, names, found, last)]
    division = index.divisions.get(key)
    if division is not None:  # a division code as the whole text
        whole = (0, len(key), division.kind, (division,), 0.0, Status.ORIGINAL, Form.FULL)
        edges.append(known_edge(*whole))
    elif key.isascii() and key.isalpha():  # pinyin initials as the whole text: DBX
        edges += [
            known_edge(0, len(key), e.kind, e.places, 0.6, Status.CORRECTED, e.form)
            for e in index.entries(key)
            if e.form is Form.INITIALS
        ]
    readings = search(index.city_code, key, edges)
    if not _doubtful(readings[0], key):
        return readings, False
    # 西河镇乌石村 reads as well without the town as without the village: both may be misspelled
    tied = [r for r in readings if r.cost <= readings[0].cost + _TIE and not r.conflicts]
    by_codes = {r.codes: r for r in (*reversed(tied), readings[0])}
    similar = [
        edge
        for reading in by_codes.values()
        for edge in similar_edges(
            index, key, [r for r in _doubtful(reading, key) if r[0] < last], reading
        )
    ]
    if similar:
        readings = search(index.city_code, key, [*edges, *similar])
    return readings, bool(similar)


def _dictionary_edges(key: str, names: Names) -> Iterator[Edge]:
    for start, end, entry in names:
        form = entry.form
        if form is Form.SHORT:
            if entry.kind.is_division and key.startswith(_ROAD_WORDS, end):
                continue  # 兴宁路 is a road, wherever it lies
            cost = _SHORT_COST.get(entry.kind, 0.5)
            if end < len(key) and key[end] in CLASS_CHARACTERS:
                cost += 1.5  # 兴宁|路, 五华|区: the character after it makes it another name
        else:
            cost = _FORM_COST[form]
        kept = Status.ORIGINAL if form in _AS_TYPED else Status.CORRECTED
        yield known_edge(start, end, entry.kind, entry.places, cost + 0.05, kept, form)


def _rule_edges(
    index: GazetteerIndex, key: str, names: Names, found: Sequence[Part], settled_at: int
) -> Iterator[Edge]:
    last = 0
    ends = {end for _, end, _ in names}
    told = {
        (start, end)
        for start, end, entry in names
        if entry.form is Form.FULL and (entry.kind is Kind.ROAD or entry.kind <= Kind.COUNTY)
    }
    for part in found:
        if part.start and key[part.start - 1] in NUMBER_PREFIXES and part.start not in ends:
            continue  # 旧12号 without its 旧, which no name ends with
        yield Edge(part.start, part.end, part.kind, part.value, 0.05, number=part.number)
        last = max(last, part.end)
    for part in _by_strokes(key, names):
        yield Edge(part.start, part.end, part.kind, part.value, 0.02)
        last = max(last, part.end)
    for first in leading_numbers(key) if key.isascii() else ():
        span = (first.start, first.end)
        yield Edge(*span, Kind.NUMBER, first.value, 0.3, form=Form.PINYIN, number=first.number)
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
    for start, end in displacing_ranges(key):
        yield Edge(start, end, Kind.NOTE, key[start:end], 0.1 + 0.05 * (end - start))
    opened = key.find("(")
    while opened >= 0:
        closed = key.find(")", opened)
        closed = len(key) if closed < 0 else closed + 1
        inside = key[opened:closed].strip("()")
        # a bracket that names a place is no remark: it may be the crossing road, or the address
        named = any(opened < start and end <= closed for start, end in told)
        each = _NAMED_BRACKET if named else _BRACKET
        yield Edge(opened, closed, Kind.NOTE, inside, 0.1 + each * len(inside))
        opened = key.find("(", closed)
    yield from _joiners(key, [(s, e) for s, e, entry in names if entry.kind is Kind.ROAD])
    yield from _numbered_roads(index, key)
    yield from _former_plates(found)
    yield from _unknown_names(index, key, names, settled_at)


def _joiners(key: str, roads: Iterable[tuple[int, int]]) -> Iterator[Edge]:
    """Words between the names of two roads that say that they meet: 交, 接, 对着."""
    starts, ends = {start for start, _ in roads}, {end for _, end in roads}
    for end in ends:
        for word in _JOINING:
            if key.startswith(word, end) and end + len(word) in starts:
                yield Edge(end, end + len(word), Kind.NOTE, word, 0.2)


def _by_strokes(key: str, names: Names) -> Iterator[Part]:
    """Building, unit and room in strokes or with a # behind an estate, or behind a plate."""
    ends = {end for _, end, entry in names if entry.kind is Kind.ESTATE}
    ends |= {plate.end() for plate in _PLATE_END.finditer(key)}
    for end in ends:
        yield from strokes(key, end)


def _numbered_roads(index: GazetteerIndex, key: str) -> Iterator[Edge]:
    """G206, G206线, 206国道 and 国道206 are one road, by whichever name it is recorded."""
    for match in _HIGHWAY.finditer(key):
        low, high = match.span()
        number = match["number"] or match["after"] or match["before"]
        word = match["a"] or match["b"] or ""
        letter = match["letter"] or _HIGHWAY_LETTER.get(word, "g")
        full = {v: k for k, v in _HIGHWAY_LETTER.items()}[letter]
        names = (f"{letter}{number}", f"{letter}{number}线", f"{number}{full}", f"{full}{number}",
                 f"{full}{letter}{number}", f"{letter}{number}{full}")  # fmt: skip
        places = tuple(
            dict.fromkeys(
                place
                for name in names
                for entry in index.entries(name)
                if entry.kind is Kind.ROAD
                for place in entry.places
            )
        )
        if places:
            yield known_edge(low, high, Kind.ROAD, places, 0.05, Status.ORIGINAL, Form.FULL)
        else:
            yield Edge(low, high, Kind.ROAD, match[0].upper(), 0.5, Status.UNMATCHED)


def _former_plates(found: Sequence[Part]) -> Iterator[Edge]:
    """A former plate beside the present one (旧门牌8号新门牌26号) is a remark."""
    former = [part for part in found if part.number is not None and part.number.kind == "旧"]
    for part in former:
        inside = [p for p in found if p.number and (p.end <= part.start or p.start >= part.end)]
        if inside:
            yield Edge(part.start, part.end, Kind.NOTE, part.value, 0.4)


def _unknown_names(index: GazetteerIndex, key: str, names: Names, last: int) -> Iterator[Edge]:
    """Names by their shape: up to six Han characters before a class word.

    None where a name of the dictionary ends with that class word, and none across another one.
    A city, county or district that is not in the dictionary lies outside the city. None is guessed
    behind ``last``, nor a city or county behind a name of this one.
    """
    known_ends = {end for _, end, entry in names if entry.form in (Form.FULL, Form.CLASS)}
    ours = min(
        (e for _, e, entry in names if entry.form is Form.FULL and entry.kind > Kind.PROVINCE),
        default=len(key),
    )
    for start, end, codes in index.elsewhere(key):
        if (start == 0 or key[start - 1] in _BEFORE_DIVISION) and not key.startswith(
            _ROAD_WORDS, end
        ):
            name = key[start:end]
            yield Edge(start, end, Kind.COUNTY, name, 0.4, Status.UNMATCHED, codes=codes)
    behind = {end for _, end, entry in names if entry.kind is Kind.VILLAGE}
    for end in behind | {0} if any(word in key for word in _ROUND_HOUSES) else behind:
        house = _HOUSE.match(key, end)
        if house is not None:
            span = (house.start(), house.end("name"))
            cost = 0.5 + 0.2 * (span[1] - span[0])
            yield Edge(*span, Kind.ESTATE, house["name"], cost, Status.UNMATCHED)
    for kind, suffixes in _UNKNOWN:
        for suffix in suffixes:
            at = key.find(suffix)
            while 0 <= at < last:
                end = at + len(suffix)
                reach = 0 if end in known_ends else 7
                for start in range(at - 1, max(at - reach, -1), -1):
                    if not is_han(key[start]) or key[start] in _BREAKS:
                        break
                    if kind <= Kind.COUNTY and key[start] in "路街巷":
                        break
                    if suffix == "区" and key.endswith(_NO_COUNTY, start, end):
                        break
                    cost = 0.5 + 0.45 * (end - start)
                    if kind > Kind.COUNTY:
                        yield Edge(start, end, kind, key[start:end], cost, Status.UNMATCHED)
                    elif (
                        start < at - 1
                        and start < ours
                        and (start == 0 or key[start - 1] in _BEFORE_DIVISION)
                    ):
                        yield _elsewhere(start, end, kind, key[start:end], cost)
                at = key.find(suffix, at + 1)


def _elsewhere(start: int, end: int, kind: Kind, name: str, cost: float) -> Edge:
    codes = frozenset({OUTSIDE})
    return Edge(start, end, kind, name, cost, Status.UNMATCHED, codes=codes)


def _doubtful(reading: Reading, key: str) -> list[tuple[int, int]]:
    ranges = [(e.start, e.end) for e in reading.edges if e.is_unknown]
    ranges += [(e.start, e.end) for pair in reading.conflicts for e in pair]
    ranges += [
        (low, high) for low, high in reading.unread(key) if any(is_han(c) for c in key[low:high])
    ]
    return ranges
