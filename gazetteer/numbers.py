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

_HAN_DIGITS = {c: v for v, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_HAN_UNITS = {"十": 10, "百": 100, "千": 1000}
_N = r"(?:[0-9]{1,5}|[零〇一二三四五六七八九十百千两]{1,7})"
_NUMBER = re.compile(
    rf"(?P<prefix>自编|临时|临|附|新门牌|旧门牌|原门牌|老门牌)?(?<![0-9])(?P<main>{_N})"
    rf"(?:-(?P<dash>[0-9]{{1,4}})|(?P<letter>[a-z]))?"
    r"(?:号大院|号院|号(?![楼栋幢座房线])|#(?!楼))"
    rf"(?:(?:之|-)(?P<sub>{_N})(?:号)?|附(?P<attached>{_N})号?|第(?P<room>{_N})间"
    rf"|(?P<tail>[a-z])(?![a-z0-9]))?"
)
_DIGITS = re.compile("[0-9]{1,9}")
_BARE = re.compile(r"(?P<main>[0-9]{1,5})(?:-(?P<dash>[0-9]{1,4}))?$")
_POST = re.compile(r"k(?P<km>[0-9]{1,4})(?:\+(?P<metres>[0-9]{1,3}))?(?:米|m)?")
_PARTS = (
    (Kind.GROUP, re.compile(rf"第?({_N})(?:村民小组|小组|组|队)")),
    (Kind.BUILDING, re.compile(rf"([a-z]?-?{_N}|[a-z])(?:号楼|#楼|栋|幢|座)")),
    (Kind.UNIT, re.compile(rf"({_N}|[a-z])(?:单元|梯)")),
    (Kind.FLOOR, re.compile(rf"(-?{_N})(?:层|楼)")),
    (Kind.ROOM, re.compile(r"([0-9]{2,5}[a-z]?)(?:号房|室|房)")),
    (Kind.ROOM, re.compile(r"(?<=[栋幢座元梯层楼])([0-9]{2,5}[a-z]?)(?![0-9号])")),
)


KILOMETRE = "K"
"""Kind of kilometre posts."""


@dataclass(frozen=True, slots=True, order=True)
class HouseNumber:
    """A house number taken apart: main number, sub-number, and a kind that sets it apart.

    ``kind`` is empty for official plates, 自编 or 临 for self-made and temporary ones, 旧 for a
    former plate: numbers of different kinds are different addresses.
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
    match = _NUMBER.fullmatch(key) or _BARE.fullmatch(key)
    return None if match is None else _from_match(match)


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
    for match in _POST.finditer(key):
        post = _from_post(match)
        yield Part(match.start(), match.end(), Kind.NUMBER, str(post), post)
    for kind, pattern in _PARTS:
        for match in pattern.finditer(key):
            if match.end() > match.start():
                yield Part(match.start(), match.end(), kind, _plain(match[1]))


@lru_cache(maxsize=65536)
def part_of(kind: Kind, text: str) -> tuple[str, HouseNumber | None] | None:
    """Value and house number of a text that is one part of this kind as a whole, else None."""
    if kind is Kind.NUMBER:
        post = _POST.fullmatch(text)
        if post is not None:
            return str(_from_post(post)), _from_post(post)
        match = _NUMBER.fullmatch(text) or _BARE.fullmatch(text)
        if match is None:
            return None
        number = _from_match(match)
        return str(number), number
    for known, pattern in _PARTS:
        if known is kind:
            match = pattern.fullmatch(text)
            if match is not None:
                return _plain(match[1]), None
    return (_plain(text), None) if kind is Kind.ROOM else None


def trailing_number(key: str, start: int) -> Part | None:
    """A bare number that ends the key at ``start`` (嘉应中路15), taken as a house number."""
    match = _BARE.match(key, start)
    if match is None:
        return None
    number = _from_match(match)
    return Part(match.start(), match.end(), Kind.NUMBER, str(number), number)


def _from_post(match: re.Match[str]) -> HouseNumber:
    """K2345+600: 600 m beyond the kilometre post 2345 of a road."""
    return HouseNumber(int(match["km"]), match["metres"] or "", KILOMETRE)


def _from_match(match: re.Match[str]) -> HouseNumber:
    groups = match.groupdict()
    sub = ""
    if groups.get("dash"):
        sub = str(int(groups["dash"]))
    elif groups.get("sub"):
        sub = str(numeral(groups["sub"]))
    elif groups.get("attached"):
        sub = f"附{numeral(groups['attached'])}"
    elif groups.get("room"):
        sub = f"第{numeral(groups['room'])}间"
    elif groups.get("letter") or groups.get("tail"):
        sub = str(groups.get("letter") or groups.get("tail")).upper()
    prefix = groups.get("prefix") or ""
    kind = {"临时": "临", "旧门牌": "旧", "原门牌": "旧", "老门牌": "旧", "新门牌": ""}.get(
        prefix, prefix
    )
    return HouseNumber(numeral(match["main"]), sub, kind)
