"""What is true of an address: labels as text, and what they mean in the sample city.

A label is one of
  number:嘉应中路41号            that house number; where it is taken out of the base, its place
  tower:园新花园|1栋             a building of an estate
  near:嘉应中路41号              opposite or beside that house number
  offset:嘉应中路41号|东|200     so many metres from it in a direction
  cross:A路|B路                 where two roads meet
  road:A路                      somewhere along a road
  block:A苑                     an estate, where a building that it has not is asked for
  about:A路                     the same, where any official house number would be a wrong claim
  poi:NAME                      a point of interest whose name is unique
  div:441403104                 somewhere in a division (6, 9 or 12 digits; 4414: the city)
  in:梅县区/大坪镇/大坪村        the same by names
  any:441403104,441481125       one of these: only an answer that says so is right
  either:梅县区/大坪镇,兴宁市/大坪镇   the same by names
  shared:黄坑村                 any division of that name
  outside                       no place of this city
  none                          no place at all
Positions are EPSG:4548 metres. "Somewhere in" is one random position, always the same for a text:
an answer that states its error must reach it in 95 of 100 cases.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from geoserver_py.sample_city.build import draw_city

CITY = "4414"
SEED = 20261122
SCALE = 0.3
GAPS = 40
"""One house number of so many is taken out of the base."""
VAGUE = ("附近", "一带", "周边", "周围", "不远")
VAGUE_M = 350.0
"""What 附近 may mean: a stated error of so much is still of use."""
_DIVISIONS = ("division_county", "division_town", "division_village")
_STEP = {
    "东": (1, 0), "西": (-1, 0), "南": (0, -1), "北": (0, 1),
    "东北": (0.7071, 0.7071), "西北": (-0.7071, 0.7071),
    "东南": (0.7071, -0.7071), "西南": (-0.7071, -0.7071),
}  # fmt: skip


def is_gap(address_id: str) -> bool:
    """Whether this house number is taken out: by a hash, so truth and database agree."""
    return int(hashlib.md5(address_id.encode()).hexdigest(), 16) % GAPS == 0


class BadLabelError(ValueError):
    """A label that the sample city has no place for."""


@dataclass(frozen=True)
class Truth:
    """What an answer is held against."""

    expect: str
    """place, ambiguous, outside or none."""
    codes: tuple[str, ...] = ()
    """Division codes, finest known; several where a road crosses them, or of the rivals."""
    record: tuple[str, str] | None = None
    """(layer, id) where the very record exists."""
    position: shapely.Point | None = None
    slack_m: float = 0.0
    """How far the writer's own words leave the place open."""
    useful_m: float | None = None
    """An answer with a larger stated error is not exact enough to be right."""
    exact: bool = False
    """Whether the house number or building exists and must be the record that is found."""
    area: bool = False
    """The label is a division or road: the random position is judged on its own."""
    road: str = ""
    """Name of the road that must be found."""
    town_wanted: bool = True
    """Whether an answer must name the town to be right: not at a crossing."""
    no_number: bool = False
    """An answer that claims a house number is wrong."""

    @property
    def counties(self) -> frozenset[str]:
        return frozenset(code[:6] for code in self.codes if len(code) >= 6)

    @property
    def towns(self) -> frozenset[str]:
        return frozenset(code[:9] for code in self.codes if len(code) >= 9)

    @property
    def villages(self) -> frozenset[str]:
        return frozenset(code for code in self.codes if len(code) == 12)


@dataclass(frozen=True)
class House:
    """One address of the truth."""

    id: str
    full: str
    road: str
    number: str
    estate: str
    building: str
    county: str
    town: str
    village: str
    code: str
    position: shapely.Point

    @property
    def gap(self) -> bool:
        return bool(self.number) and is_gap(self.id)


@dataclass(frozen=True)
class Division:
    """A county, town or village; `name` without the ending of its committee."""

    code: str
    name: str
    official: str


class Base:
    """The sample city's truth, looked up by names."""

    def __init__(self, seed: int = SEED, scale: float = SCALE) -> None:
        self.layers = draw_city(seed, scale).layers

    def rows(self, layer: str) -> Iterator[tuple[Any, Any]]:
        """Rows of a layer as named tuples, with their shapes."""
        frame, shapes = self.layers[layer].frame.fillna(""), self.layers[layer].shapes
        assert shapes is not None
        return zip(frame.itertuples(index=False), shapes, strict=True)

    @cached_property
    def houses(self) -> tuple[House, ...]:
        return tuple(
            House(r.id, r.full_address, r.road, r.number, r.estate, r.building,
                  r.county, r.town, r.village, r.village_code, shape)
            for r, shape in self.rows("address")
        )  # fmt: skip

    @cached_property
    def numbered(self) -> Mapping[str, House]:
        return {house.road + house.number: house for house in self.houses if house.number}

    @cached_property
    def towers(self) -> Mapping[tuple[str, str], House]:
        return {(h.estate, h.building): h for h in self.houses if h.estate}

    @cached_property
    def divisions(self) -> Mapping[str, Division]:
        register = self.layers["division_name"].frame
        official = dict(zip(register["id"], register["name"], strict=True))
        return {
            row.id: Division(row.id, row.name, official[row.id])
            for layer in _DIVISIONS
            for row, _ in self.rows(layer)
        }

    @cached_property
    def shapes(self) -> Mapping[str, BaseGeometry]:
        return {row.id: shape for layer in _DIVISIONS for row, shape in self.rows(layer)}

    @cached_property
    def roads(self) -> Mapping[str, BaseGeometry]:
        parts: dict[str, list[BaseGeometry]] = defaultdict(list)
        for row, shape in self.rows("road"):
            parts[row.name].append(shape)
        return {name: unary_union(shapes) for name, shapes in parts.items()}

    @cached_property
    def crossings(self) -> Mapping[tuple[str, str], shapely.Point]:
        """Pairs of streets that meet at one point; highways are left out."""
        names = sorted({house.road for house in self.houses if house.road})
        found = {}
        for i, one in enumerate(names):
            for other in names[i + 1 :]:
                meet = self.roads[one].intersection(self.roads[other])
                if isinstance(meet, shapely.Point) and not meet.is_empty:
                    found[one, other] = found[other, one] = meet
        return found

    @cached_property
    def pois(self) -> Mapping[str, tuple[str, str, shapely.Point]]:
        """(id, village code, position) of names that exist once."""
        rows = list(self.rows("poi"))
        count: dict[str, int] = defaultdict(int)
        for row, _ in rows:
            count[row.name] += 1
        return {r.name: (r.id, r.village_code, p) for r, p in rows if count[r.name] == 1}

    def bearers(self, name: str) -> tuple[str, ...]:
        """Codes of the divisions of a name; not those inside another (长潭镇居委会 in 长潭镇)."""
        codes = [d.code for d in self.divisions.values() if d.name == name]
        return tuple(c for c in codes if not any(c != o and c.startswith(o) for o in codes))

    def code(self, *names: str) -> str:
        """Code of the division that these names lead down to, e.g. ("梅县区", "大坪镇")."""
        parent = CITY
        for name in names:
            below = [
                d.code for d in self.divisions.values()
                if name in (d.name, d.official) and d.code.startswith(parent)
            ]  # fmt: skip
            below = [code for code in below if len(code) == min(map(len, below))]
            if len(below) != 1:
                raise BadLabelError(f"{names}: {name} is there {len(below)} times")
            parent = below[0]
        return parent

    def towns_along(self, shape: BaseGeometry, metres: float = 25.0) -> tuple[str, ...]:
        wide = shape.buffer(metres)
        return tuple(c for c, s in self.shapes.items() if len(c) == 9 and s.intersects(wide))

    def truth(self, label: str, text: str) -> Truth:
        """Meaning of a label; `text` seeds the random position. Raises BadLabelError."""
        kind, _, value = label.partition(":")
        parts = value.split("|")
        try:
            truth = self._truth(kind, parts, random.Random(text))
            vague = kind in ("near", "cross", "poi") and any(word in text for word in VAGUE)
            return replace(truth, useful_m=VAGUE_M) if vague else truth
        except KeyError as missing:
            raise BadLabelError(f"{label}: no {missing} in the sample city") from missing

    def _rivals(self, kind: str, value: str) -> tuple[str, ...]:
        if kind == "shared":
            return self.bearers(value)
        if kind == "either":
            return tuple(self.code(*path.split("/")) for path in value.split(","))
        return tuple(value.split(","))

    def _truth(self, kind: str, parts: Sequence[str], luck: random.Random) -> Truth:
        if kind in ("outside", "none"):
            return Truth(kind)
        if kind in ("any", "either", "shared"):
            return Truth("ambiguous", self._rivals(kind, parts[0]))
        if kind == "in":
            return self._truth("div", [self.code(*parts[0].split("/"))], luck)
        if kind == "div":
            code = parts[0]
            at = None if code == CITY else _random_inside(self.shapes[code], luck)
            return Truth("place", (code,), None, at, area=True)
        if kind in ("number", "tower"):
            house = self.numbered[parts[0]] if kind == "number" else self.towers[tuple(parts)]  # type: ignore[index]
            if house.gap:
                return Truth("place", (house.code,), None, house.position, useful_m=150.0)
            record = ("address", house.id)
            return Truth("place", (house.code,), record, house.position, 0.0, 30.0, exact=True)
        if kind == "block":  # no such building: its estate, wherever in it
            houses = [house for (estate, _), house in self.towers.items() if estate == parts[0]]
            middle = shapely.MultiPoint([house.position for house in houses]).centroid
            return Truth("place", (houses[0].code,), None, middle, 150.0, 400.0, no_number=True)
        if kind in ("near", "offset"):
            house = self.numbered[parts[0]]
            away = float(parts[2]) if kind == "offset" else 0.0
            dx, dy = _STEP[parts[1]] if kind == "offset" else (0.0, 0.0)
            at = shapely.Point(house.position.x + dx * away, house.position.y + dy * away)
            slack = 60.0 if kind == "near" else 30.0 + 0.15 * away
            towns = tuple({*self.towns_along(at, 60.0), house.code[:9]})
            return Truth("place", towns, None, at, slack, 120.0 + away / 2)
        if kind == "cross":
            at = self.crossings[parts[0], parts[1]]
            return Truth("place", self.towns_along(at), None, at, 25.0, 80.0, town_wanted=False)
        if kind in ("road", "about"):
            road = self.roads[parts[0]]
            at = luck.choice(shapely.get_parts(road)).interpolate(luck.random(), normalized=True)
            counties = tuple(sorted({c[:6] for c in self.towns_along(road)}))
            return Truth(
                "place", counties, None, at, area=True, road=parts[0], no_number=kind == "about"
            )
        if kind == "poi":
            identity, code, at = self.pois[parts[0]]
            return Truth("place", (code,), ("poi", identity), at, 20.0, 80.0)
        raise BadLabelError(f"{kind}: no such kind of label")


def _random_inside(shape: BaseGeometry, luck: random.Random) -> shapely.Point:
    west, south, east, north = shape.bounds
    while True:
        at = shapely.Point(luck.uniform(west, east), luck.uniform(south, north))
        if shape.contains(at):
            return at
