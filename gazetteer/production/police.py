"""Codes of address elements in public security systems, GA/T 2000.32-2014.

Only the codes that could be confirmed are listed; an element without one is given with an empty
code rather than a guessed one. The name's class word decides within a level (镇 22, 街道 23).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gazetteer.levels import Kind

TITLES: Mapping[str, str] = {
    "10": "省市县", "11": "省", "12": "市", "13": "县（区）",
    "20": "乡镇街道", "21": "乡", "22": "镇", "23": "街道",
    "30": "社区居村委", "31": "社区", "32": "居委会", "33": "村委会", "34": "组",
    "40": "街路巷小区", "41": "街路巷", "42": "小区",
}  # fmt: skip
"""Titles of the confirmed codes."""

_FIXED = {
    Kind.PROVINCE: "11",
    Kind.CITY: "12",
    Kind.COUNTY: "13",
    Kind.GROUP: "34",
    Kind.ROAD: "41",
    Kind.ESTATE: "42",
}
_BY_ENDING = {
    Kind.TOWN: (("街道", "23"), ("街道办事处", "23"), ("镇", "22"), ("乡", "21")),
    Kind.VILLAGE: (
        ("村民委员会", "33"), ("村委会", "33"), ("居民委员会", "32"), ("居委会", "32"),
        ("社区", "31"), ("村", "33"),
    ),
}  # fmt: skip
_GENERAL = {Kind.TOWN: "20", Kind.VILLAGE: "30"}


@dataclass(frozen=True, slots=True)
class Element:
    """An element of an address; ``code`` is '' where GA/T 2000.32 could not be confirmed."""

    code: str
    title: str
    value: str


def element(kind: Kind, value: str) -> Element:
    """The element that a component of an address is."""
    code = _FIXED.get(kind, "")
    for ending, known in _BY_ENDING.get(kind, ()):
        if value.endswith(ending):
            code = known
            break
    code = code or _GENERAL.get(kind, "")
    return Element(code, TITLES.get(code, kind.zh), value)


def elements(row: Mapping[str, str | None], province: str, city: str) -> tuple[Element, ...]:
    """The elements of a row of the address layer, coarse to fine; empty fields are left out."""
    fields = (
        (Kind.PROVINCE, province), (Kind.CITY, city), (Kind.COUNTY, row.get("county")),
        (Kind.TOWN, row.get("town")), (Kind.VILLAGE, row.get("village")),
        (Kind.ROAD, row.get("road")), (Kind.ESTATE, row.get("estate")),
        (Kind.NUMBER, row.get("number")), (Kind.BUILDING, row.get("building")),
        (Kind.ROOM, row.get("unit")),
    )  # fmt: skip
    return tuple(element(kind, value) for kind, value in fields if value)
