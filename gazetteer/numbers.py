"""House numbers, buildings, units and rooms: the grammar of what no dictionary holds.

Forms seen in delivered address tables and hotline text: 12号, 12-3号, 12号之一, 12号附3号, 12号A,
自编12号之三, 临15号, 旧门牌8号, D1栋, 3幢, 2单元, 5楼, 502室, 3组.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from gazetteer.levels import Kind
from gazetteer.normalise import key_of

_HAN_DIGITS = (
    {c: v for v, c in enumerate("零一二三四五六七八九")}
    | {c: v for v, c in enumerate("零壹贰叁肆伍陆柒捌玖")}
    | {"〇": 0, "两": 2}
)
_HAN_UNITS = {"十": 10, "百": 100, "千": 1000, "拾": 10, "佰": 100, "仟": 1000}
_TENS = str.maketrans({"廿": "二十", "卅": "三十"})
_HAN = "零一二三四五六七八九壹贰叁肆伍陆柒捌玖〇两十百千拾佰仟廿卅"
_N = rf"(?:[0-9]{{1,5}}|[{_HAN}]{{1,7}})"
_INSIDE = "单元|[层楼室房栋幢座]"
"""What a number stands before that is no part of a house number."""
_OBJECTS = (
    "路灯杆|电线杆|电杆|杆灯|灯杆|路灯|高杆灯|信号灯|杆|灯|电表|水表|箱|变压器|站牌|井盖|窨井|井|消防栓|消火栓|界桩|桩"
    "|里程碑"
)
"""What a number may be painted on instead of a door."""
_BETWEEN = "[^旁口前对附近边后侧处0-9,()]{0,4}?"
"""号(交通信号)灯: what kind of object it is; never the words of a way to it."""
_ALONE = r"(?=$|[,()/]|[旁处边附对前后下上的东南西北以往向])"
"""12号路灯旁 is a lamp; 12号路灯不亮 is what a report says of the lamps at a door."""
_PLATE = (
    r"(?:\.?号(?:大院|院|牌|门牌)?(?!楼(?![下上前后旁])|[栋幢座房线])|hao(?![a-z])|#(?!楼))"
    rf"(?!{_BETWEEN}(?:{_OBJECTS}){_ALONE})"
)
_OWN = "自编|自建|自定|临时|临编|临街|暂编|暂定|加建|旧|老|原|临|暂|附|增|加"
_PREFIX = (
    rf"\(?(?:{_OWN})(?:门牌)?(?:编号|号)?码?[:)]{{0,2}}第?|新门牌号?|新(?=[0-9])|门牌号?:?|第"
    r"|(?<![a-z])no?\.?:?"
)
_SUFFIX = "自编|自建|临时|临编|暂编|旧|老|原|临|暂"
_NUMBER = re.compile(
    rf"(?P<prefix>{_PREFIX})?"
    rf"(?<![0-9])(?P<before>(?<![a-z])[a-z](?=[0-9]))?(?P<main>{_N})"
    rf"(?:-(?P<dash>[0-9]{{1,4}})|(?P<letter>[a-z](?!ao))|(?P<stem>[甲乙丙丁])|之(?P<of>{_N}))?"
    rf"{_PLATE}"
    rf"(?:\(?之(?P<sub>{_N})(?!{_INSIDE}|(?<=[0-9])[0-9])号?\)?|-(?P<minus>[0-9]{{1,2}})(?![0-9])号?"
    rf"|[附副](?P<attached>{_N})号?|第(?P<room>{_N})间|(?P<branch>[甲乙丙丁])(?!座)"
    rf"|(?P<tail>[a-z])(?![a-z0-9]|{_INSIDE}|铺)"
    rf"|\((?P<mark>{_SUFFIX})(?:门牌|编号|号)*\)|(?P<after>自编|自建|临时|临编|暂编)号?(?=$|[,)]))?"
)
_BARE_OWN = re.compile(
    rf"(?P<prefix>\(?(?:{_OWN})(?:门牌)?(?:编号|号)?码?[:)]{{0,2}}|门牌号?码?:?|(?<![a-z])no\.?:?|第)第?"
    rf"(?P<main>[0-9]{{1,5}})(?![0-9{_HAN}号栋幢座层楼室房年月日米元个间家户人.#]|-[0-9])"
)
_OBJECT = re.compile(
    rf"第?(?:[a-z]{{0,3}}-)?[a-z]{{0,3}}[0-9]{{1,6}}(?:号|#|根|个|盏|座)?{_BETWEEN}(?:{_OBJECTS}){_ALONE}"
    rf"|(?:{_OBJECTS})(?:编号|号)?:?[a-z]{{0,3}}-?[0-9][a-z0-9-]{{0,19}}(?:号|#)?"
    rf"|编?号?为?[0-9]{{1,6}}的?(?:{_OBJECTS}){_ALONE}"
)
_SEPARATORS = "-/#号楼栋幢座"
_DIGITS = re.compile("[0-9]{1,9}")
_BARE = re.compile(r"(?P<main>[0-9]{1,5})(?:-(?P<dash>[0-9]{1,4}))?$")
_LEADING = re.compile(
    r"(?:(?<=,)|^)(?:no\.?|#)?(?P<main>[0-9]{1,5})(?:-(?P<dash>[0-9]{1,4}))?,?(?=[a-z]{4})"
)
_POST = re.compile(
    r"(?:桩号)?k(?P<km>[0-9]{1,4})(?:\+(?P<metres>[0-9]{1,3}))?(?:米|m)?"
    r"|(?<=[线道速路 ])(?P<km2>[0-9]{1,4})(?:公里|千米|km)(?:\+?(?P<metres2>[0-9]{1,3})(?:米|m))?"
    r"|(?<=[线道速路 ])(?P<km3>[0-9]{1,4})\+(?P<metres3>[0-9]{3})(?:米|m)?"
)
_PARTS = (
    (Kind.GROUP, frozenset("组队"), re.compile(rf"第?({_N})(?:村民小组|小组|组|队)")),
    (
        Kind.BUILDING,
        frozenset("楼栋幢座"),
        re.compile(rf"第?([a-z]?-?{_N}|[a-z])(?:号楼|#楼|栋|幢|座)"),
    ),
    (Kind.UNIT, frozenset("单梯"), re.compile(rf"第?({_N}|[a-z])(?:单元|梯)")),
    (Kind.FLOOR, frozenset("层楼"), re.compile(rf"第?((?:负|地下|-)?{_N})(?:层|楼)")),
    (
        Kind.FLOOR,
        frozenset("层楼"),
        re.compile("(?<=[一二三四五六七八九])([一二三四五六七八九])[层楼]"),
    ),
    (Kind.FLOOR, frozenset("f"), re.compile(r"(-?[0-9]{1,2})/?f(?![a-z0-9])")),
    (Kind.FLOOR, frozenset("层楼室台"), re.compile(r"(首层|底层|顶层|顶楼|地下室|天台|负层)")),
    (
        Kind.ROOM,
        frozenset("室房铺档"),
        re.compile(r"之?([0-9]{1,5}[a-z]?)(?:号房间?|室|房间?|商?铺|档口?)"),
    ),
    (
        Kind.ROOM,
        frozenset("铺档"),
        re.compile(r"(?<=[栋幢座元梯层楼号])([0-9]{1,4}[a-z]?)号(?:商?铺|档口?)"),
    ),
    (Kind.ROOM, frozenset("铺室房"), re.compile(r"([a-z])(?:号?商?铺|室|房)")),
    (
        Kind.ROOM,
        frozenset("栋幢座元梯层楼号铺"),
        re.compile(r"(?<=[栋幢座元梯层楼号铺])-?([0-9]{2,5}[a-z]?)(?:-[0-9]{2,5})?(?![0-9号#])"),
    ),
)
"""Kind, the characters of which a key must hold one, and the pattern."""
_OWN_CHARACTERS = frozenset("自临暂加旧老原附增门第n")
_OBJECT_CHARACTERS = frozenset("杆灯表箱器牌井栓桩碑")
_POST_CHARACTERS = frozenset("k公千+")
_STROKES = re.compile(
    rf"第?(?P<building>[a-z]?{_N}|[a-z])(?P<a>[-/#]+|(?:号楼|#楼|[栋幢座])-?)"
    r"(?:(?P<unit>[0-9]{1,2}|[a-z])(?P<b>[-/]))?(?P<room>[0-9]{2,4}[a-z]?)?(?![0-9号栋幢座米])"
)


KILOMETRE = "K"
"""Kind of kilometre posts."""
_POLES = frozenset(
    {"路灯杆", "电线杆", "电杆", "杆灯", "灯杆", "路灯", "高杆灯", "信号灯", "杆", "灯"}
)
NUMBER_PREFIXES = "临暂附增加旧老原"
"""Characters that set a number apart when they stand before it, unless a name ends with them."""
_KINDS = {
    "自": "自编", "临": "临", "暂": "临", "增": "增", "加": "增",
    "附": "附", "旧": "旧", "老": "旧", "原": "旧",
}  # fmt: skip
"""Kind of a number by how its prefix begins; others (第, 新门牌) are of official plates."""


@dataclass(frozen=True, slots=True, order=True)
class HouseNumber:
    """A house number taken apart: main number, sub-number, and a kind that sets it apart.

    ``kind`` is empty for official plates, 自编 or 临 for self-made and temporary ones, 旧 for a
    former plate, 灯杆 for lamp posts and poles, another object's name for what else bears numbers
    along a road: numbers of different kinds are different addresses.
    """

    main: int
    sub: str = ""
    kind: str = ""

    def __str__(self) -> str:
        if self.kind == KILOMETRE:
            return f"K{self.main}{'+' + self.sub if self.sub else ''}"
        return f"{self.kind}{self.main}号{'之' + self.sub if self.sub else ''}"

    @property
    def order(self) -> int:
        """Place in the order of its road: the main number, or metres for kilometre posts."""
        if self.kind == KILOMETRE:
            return self.main * 1000 + int(self.sub or 0)
        return self.main

    @property
    def is_odd(self) -> bool:
        """Side of the road by the usual rule (GB/T 35639-2017 annex B)."""
        return self.main % 2 == 1


@dataclass(frozen=True, slots=True)
class Part:
    """A rule match in a key: range, component, value, and the house number if it is one."""

    start: int
    end: int
    kind: Kind
    value: str
    number: HouseNumber | None = None


def numeral(text: str) -> int:
    """Value of an Arabic or Chinese numeral: 12, 十二, 一二, 一百零三. ValueError otherwise."""
    if text.isascii():
        return int(text)
    text = text.translate(_TENS)
    if not any(character in _HAN_UNITS for character in text):
        return int("".join(str(_HAN_DIGITS[character]) for character in text))
    total, digit = 0, None
    for character in text:
        if character in _HAN_UNITS:
            total += (1 if digit is None else digit) * _HAN_UNITS[character]
            digit = None
        elif character in _HAN_DIGITS:
            digit = _HAN_DIGITS[character]
        else:
            raise ValueError(f"不是数字 not a numeral: {text!r}")
    return total + (digit or 0)


@lru_cache(maxsize=65536)
def house_number(text: str) -> HouseNumber | None:
    """Parse the number field of a record (12号, 12-3, 自编12号之三); None if it is none."""
    key = key_of(text)
    post = _POST.fullmatch(key)
    if post is not None:
        return _from_post(post)
    match = _NUMBER.fullmatch(key) or _BARE.fullmatch(key) or _BARE_OWN.fullmatch(key)
    if match is not None:
        return _from_match(match)
    return _on_object(key) if _OBJECT.fullmatch(key) else None


def building_number(text: str) -> str:
    """The number of a building without its class word: 3栋, 三幢 and 3号楼 are 3."""
    key = key_of(text)
    for suffix in ("号楼", "#楼", "栋", "幢", "座"):
        key = key.removesuffix(suffix)
    return _plain(key)


def main_number(text: str) -> int:
    """The number in a house or building number (D1 is 1), 0 where there is none.

    The same as the database's ``gazetteer.main_number``, by which rows are indexed.
    """
    found = _DIGITS.search(text)
    return 0 if found is None else int(found[0])


def _plain(value: str) -> str:
    """Chinese numerals as digits, anything else unchanged."""
    known = value and all(c in _HAN_DIGITS or c in _HAN_UNITS for c in value)
    return str(numeral(value)) if known else value


def parts(key: str) -> Iterator[Part]:
    """All numbers, buildings, units, floors, rooms and groups in a key, overlapping ones too."""
    for match in _NUMBER.finditer(key):
        number = _from_match(match)
        yield Part(match.start(), match.end(), Kind.NUMBER, str(number), number)
        if match.end("prefix") - match.start("prefix") == 1:  # the end of a name, perhaps
            bare = HouseNumber(number.main, number.sub, (match["before"] or "").upper())
            yield Part(match.end("prefix"), match.end(), Kind.NUMBER, str(bare), bare)
    characters = set(key)  # most keys can hold none of the rarer forms
    for match in _BARE_OWN.finditer(key) if characters & _OWN_CHARACTERS else ():
        number = _from_match(match)
        yield Part(match.start(), match.end(), Kind.NUMBER, str(number), number)
    for match in _OBJECT.finditer(key) if characters & _OBJECT_CHARACTERS else ():
        number = _on_object(match[0])
        yield Part(match.start(), match.end(), Kind.NUMBER, str(number), number)
    for match in _POST.finditer(key) if characters & _POST_CHARACTERS else ():
        post = _from_post(match)
        yield Part(match.start(), match.end(), Kind.NUMBER, str(post), post)
    for kind, marks, pattern in _PARTS:
        for match in pattern.finditer(key) if characters & marks else ():
            if match.end() > match.start():
                yield Part(match.start(), match.end(), kind, _plain(match[1]))


@lru_cache(maxsize=65536)
def part_of(kind: Kind, text: str) -> tuple[str, HouseNumber | None] | None:
    """Value and house number of a text that is one part of this kind as a whole, else None."""
    if kind is Kind.NUMBER:
        number = house_number(text)
        return None if number is None else (str(number), number)
    for known, _, pattern in _PARTS:
        if known is kind:
            match = pattern.fullmatch(text)
            if match is not None:
                return _plain(match[1]), None
    return (_plain(text.rstrip(_SEPARATORS).lstrip("-")), None)


def trailing_number(key: str, start: int) -> Part | None:
    """A bare number that ends the key at ``start`` (嘉应中路15), taken as a house number."""
    match = _BARE.match(key, start)
    if match is None:
        return None
    number = _from_match(match)
    return Part(match.start(), match.end(), Kind.NUMBER, str(number), number)


def leading_numbers(key: str) -> Iterator[Part]:
    """Numbers before the name of their road, as Latin addresses have them: 41 Jiaying Zhonglu."""
    for match in _LEADING.finditer(key):
        number = _from_match(match)
        yield Part(match.start(), match.end(), Kind.NUMBER, str(number), number)


def strokes(key: str, start: int) -> list[Part]:
    """Building, unit and room by strokes behind an estate or a plate: 3-2-502, 3#502, 3栋-502."""
    match = _STROKES.match(key, start)
    if match is None or (match["room"] is None and match["a"][0] not in "#/"):
        return []
    building = Part(match.start(), match.end("a"), Kind.BUILDING, _plain(match["building"]))
    found = [building]
    if match["unit"]:
        found.append(Part(match.start("unit"), match.end("b"), Kind.UNIT, match["unit"]))
    if match["room"]:
        found.append(Part(match.start("room"), match.end(), Kind.ROOM, match["room"]))
    return found


def _on_object(text: str) -> HouseNumber:
    """The number on a lamp post, a manhole, a meter: 12号灯杆, 路灯杆LD-0012."""
    object_ = next(word for word in _OBJECTS.split("|") if word in text)
    letters = "".join(c for c in text if c.isascii() and c.isalpha()).upper()
    return HouseNumber(main_number(text), letters, "灯杆" if object_ in _POLES else object_)


def _from_post(match: re.Match[str]) -> HouseNumber:
    """K2345+600 or 2345公里600米: 600 m beyond the kilometre post 2345 of a road."""
    groups = match.groupdict()
    km = groups["km"] or groups["km2"] or groups["km3"] or "0"
    metres = groups["metres"] or groups["metres2"] or groups["metres3"] or ""
    return HouseNumber(int(km), metres, KILOMETRE)


def _from_match(match: re.Match[str]) -> HouseNumber:
    groups = match.groupdict()
    digits = groups.get("dash") or groups.get("minus")
    han = groups.get("sub") or groups.get("of")
    letter = groups.get("letter") or groups.get("tail") or groups.get("stem")
    prefix = (groups.get("prefix") or groups.get("mark") or groups.get("after") or "").lstrip("(")
    sub = ""
    if digits:
        sub = str(int(digits))
    elif han:
        sub = str(numeral(han))
    elif groups.get("attached"):
        sub = f"附{numeral(groups['attached'])}"
    elif groups.get("room"):
        sub = f"第{numeral(groups['room'])}间"
    elif letter or groups.get("branch"):
        sub = str(letter or groups.get("branch")).upper()
    kind = next((kind for begin, kind in _KINDS.items() if prefix.startswith(begin)), "")
    return HouseNumber(numeral(match["main"]), sub, kind + (groups.get("before") or "").upper())
