"""Where each division lies: nested rectangles on one lattice of 200 m blocks, no gap, no overlap.

The layout is synthetic; only the neighbourhoods resemble the city (Pingyuan in the north-west,
Meijiang in the middle, Dabu in the east...). Urban villages are small, rural ones large.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from geoserver_py.sample_city.register import Division

SIDE = 630
"""Blocks along each side of the city: 126 km."""


@dataclass(frozen=True, slots=True)
class Rect:
    """Blocks from west to east (exclusive) and south to north (exclusive)."""

    west: int
    south: int
    east: int
    north: int

    @property
    def width(self) -> int:
        """Blocks from west to east."""
        return self.east - self.west

    @property
    def height(self) -> int:
        """Blocks from south to north."""
        return self.north - self.south

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return self.width * self.height

    def shifted(self, dx: int, dy: int) -> Rect:
        """The rectangle moved by whole blocks."""
        return Rect(self.west + dx, self.south + dy, self.east + dx, self.north + dy)


@dataclass(frozen=True, slots=True)
class Group:
    """Towns laid out together; `weight` is their share of the space, in km2."""

    weight: float
    county: str
    towns: tuple[str, ...] = ()
    """Names of towns; empty = all towns of the county that no other group names."""


@dataclass(frozen=True, slots=True)
class Split:
    """A row (west to east) or a column (north to south) of parts."""

    axis: str
    parts: tuple[Group | Split, ...]

    @property
    def weight(self) -> float:
        """Share of the space, in km2."""
        return sum(part.weight for part in self.parts)


# Weights: areas of the counties in km2; the urban groups give about 0.8 km2 to a village.
_MEIJIANG = Split(
    "row",
    (
        Split(
            "column",
            (
                Group(44, "441402", ("长沙镇",)),
                Group(38, "441402", ("江南街道", "金山街道", "西郊街道")),
                Group(46, "441402", ("三角镇",)),
            ),
        ),
        Group(446, "441402"),
    ),
)
_MEIXIAN_WEST = Split(
    "row",
    (
        Group(980, "441403"),
        Split(
            "column",
            (
                Group(193, "441403", ("石扇镇", "大坪镇", "城东镇")),
                Group(24, "441403", ("新城办事处街道", "程江镇", "扶大镇")),
                Group(160, "441403", ("南口镇",)),
            ),
        ),
    ),
)
CITY = Split(
    "column",
    (
        Split("row", (Group(1373, "441426"), Group(962, "441427"))),
        Split(
            "row",
            (
                Group(2073, "441481"),
                Split(
                    "row",
                    (
                        _MEIXIAN_WEST,
                        Split(
                            "column",
                            (
                                Group(667, "441403", ("松口镇", "松源镇", "桃尧镇", "隆文镇")),
                                _MEIJIANG,
                                Group(450, "441403", ("丙村镇", "雁洋镇", "白渡镇", "梅南镇")),
                            ),
                        ),
                    ),
                ),
                Group(2460, "441422"),
            ),
        ),
        Split("row", (Group(3237, "441424"), Group(2708, "441423"))),
    ),
)
CENTRE_TOWN = "江南街道"


@dataclass(frozen=True)
class Layout:
    """Rectangles of all villages and towns by code, and those that make up each county."""

    villages: Mapping[str, Rect]
    towns: Mapping[str, Rect]
    counties: Mapping[str, tuple[Rect, ...]]


def arrange(register: Sequence[Division]) -> Layout:
    """Lay out all divisions; block (0, 0) lies beside the middle of the central street town."""
    towns_of: dict[str, list[Division]] = {}
    villages_of: dict[str, list[Division]] = {}
    for division in register:
        if division.level == "town":
            towns_of.setdefault(division.parent, []).append(division)
        elif division.level == "village":
            villages_of.setdefault(division.parent, []).append(division)
    named = {(g.county, town) for g, _ in _groups(CITY, Rect(0, 0, SIDE, SIDE)) for town in g.towns}
    towns: dict[str, Rect] = {}
    villages: dict[str, Rect] = {}
    counties: dict[str, list[Rect]] = {}
    for group, rect in _groups(CITY, Rect(0, 0, SIDE, SIDE)):
        counties.setdefault(group.county, []).append(rect)
        of_county = towns_of[group.county]
        if group.towns:
            by_name = {town.name: town for town in of_county}
            members = [by_name[name] for name in group.towns]
        else:
            members = [t for t in of_county if (group.county, t.name) not in named]
        sizes = [float(len(villages_of[town.code])) for town in members]
        for town, town_rect in zip(members, slice_rect(rect, sizes), strict=True):
            towns[town.code] = town_rect
            inside = villages_of[town.code]
            for village, village_rect in zip(
                inside, slice_rect(town_rect, [1.0] * len(inside)), strict=True
            ):
                villages[village.code] = village_rect
    centre = next(towns[t.code] for t in register if t.level == "town" and t.name == CENTRE_TOWN)
    dx, dy = -(centre.west + centre.width // 3), -(centre.south + centre.height // 2)
    return Layout(
        {code: rect.shifted(dx, dy) for code, rect in villages.items()},
        {code: rect.shifted(dx, dy) for code, rect in towns.items()},
        {code: tuple(r.shifted(dx, dy) for r in rects) for code, rects in counties.items()},
    )


def _groups(part: Group | Split, rect: Rect) -> list[tuple[Group, Rect]]:
    if isinstance(part, Group):
        return [(part, rect)]
    found: list[tuple[Group, Rect]] = []
    total, passed = part.weight, 0.0
    length = rect.width if part.axis == "row" else rect.height
    start = 0
    for child in part.parts:
        passed += child.weight
        end = round(length * passed / total)
        if part.axis == "row":
            inner = Rect(rect.west + start, rect.south, rect.west + end, rect.north)
        else:
            inner = Rect(rect.west, rect.north - end, rect.east, rect.north - start)
        found += _groups(child, inner)
        start = end
    return found


def slice_rect(rect: Rect, weights: Sequence[float]) -> list[Rect]:
    """Cut a rectangle into one part a weight, across its longer side, in halves of the weights."""
    if len(weights) == 1:
        return [rect]
    total = sum(weights)
    cut, passed = 1, weights[0]
    while cut < len(weights) - 1 and abs(passed + weights[cut] - total / 2) < abs(
        passed - total / 2
    ):
        passed += weights[cut]
        cut += 1
    wide = rect.width >= rect.height
    length = rect.width if wide else rect.height
    at = min(max(round(length * passed / total), 1), length - 1)
    if wide:
        first = Rect(rect.west, rect.south, rect.west + at, rect.north)
        second = Rect(rect.west + at, rect.south, rect.east, rect.north)
    else:
        first = Rect(rect.west, rect.north - at, rect.east, rect.north)
        second = Rect(rect.west, rect.south, rect.east, rect.north - at)
    return slice_rect(first, weights[:cut]) + slice_rect(second, weights[cut:])
