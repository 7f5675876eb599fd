"""Beside, opposite, 200 m to the east: from the place that a text names to the one it means."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from gazetteer.levels import Kind
from gazetteer.numbers import numeral
from gazetteer.readings import Reading

_AZIMUTH = {
    "北": 0.0, "东北": 45.0, "东": 90.0, "东南": 135.0,
    "南": 180.0, "西南": 225.0, "西": 270.0, "西北": 315.0,
}  # fmt: skip
_EIGHT = "东北|东南|西北|西南|东|南|西|北"
_FAR = "(?:[0-9]{1,4}|[一二两三四五六七八九十百千零]{1,6})"
_TOWARDS = re.compile(
    rf"(?:再?(?:往|向|朝|以)|的)?(?P<direction>{_EIGHT})(?:面|侧|边|方向|方|行|走)*"
    rf"(?:大约|大概|约|近)?(?P<metres>{_FAR})多?(?P<unit>米|公里|千米|km|m)(?:左右|处|远|的地方)*"
)
_SIDE = re.compile(rf"(?:以|往|向|朝)(?P<a>{_EIGHT})(?![0-9])|(?P<b>{_EIGHT})(?:侧|面|边|角)")
_AWAY = re.compile(rf"(?:大约|约)?(?P<metres>{_FAR})多?米(?:左右|处|远|范围|以|之)*内?")
_WORDS = {
    "斜对面": 80.0, "对面": 60.0, "正对面": 60.0, "对过": 60.0, "对出": 60.0, "隔壁": 60.0,
    "旁边": 60.0, "旁": 60.0, "边上": 60.0, "左侧": 60.0, "右侧": 60.0, "左边": 60.0,
    "右边": 60.0, "后面": 60.0, "背后": 60.0, "前面": 60.0, "侧面": 60.0, "侧边": 60.0,
    "靠近": 100.0, "路段": 100.0, "附近": 300.0, "周边": 300.0, "周围": 300.0, "一带": 300.0,
    "不远": 300.0, "往前": 100.0, "前行": 100.0,
    "路口": 100.0, "交叉口": 150.0, "交汇处": 150.0, "交叉路口": 150.0, "交界处": 150.0,
    "十字路口": 150.0,
}  # fmt: skip
"""Metres that the place meant may be from the one named."""
CROSSINGS = frozenset({
    "路口", "交叉口", "交汇处", "交叉路口", "交界处", "十字路口", "交叉处", "交叉", "交口",
    "交汇", "交界",
    "交会处", "交会", "相交处", "相交", "交接处", "汇合处", "相接处", "拐角", "拐角处", "拐弯处",
    "转角", "转角处",
    "转弯处", "丁字路口", "三岔路口", "岔路口", "岔口", "街口", "路口处", "口", "红绿灯",
    "交汇路口", "相交路口",
    "转盘", "环岛", "t字路口", "交叉的地方", "交汇的地方", "相交的地方",
})  # fmt: skip
"""What people call the place where two roads meet."""
_JOINERS = frozenset({"与", "和", "靠近", "近", "口", "路口", "旁"})
_CORNER_M, _CORNER_ERROR_M = 20.0, 40.0
"""东北角 of a crossing: how far from its middle, and how uncertain that is."""
_CROSSING_MOST_M = 150.0
_SIDE_M = 30.0
_METRES_PER_DEGREE = 111_195.0


@dataclass(frozen=True, slots=True)
class Displacement:
    """Where the place meant is, seen from the one named.

    ``azimuth`` in degrees from north (None: not said), ``metres`` to go, ``error_m`` to add to the
    error; ``text`` is what says so.
    """

    azimuth: float | None
    metres: float
    error_m: float
    text: str

    def moved(self, lon: float, lat: float) -> tuple[float, float]:
        """The position after going ``metres`` along ``azimuth`` (sphere, below 0.5 % off)."""
        if self.azimuth is None:
            return lon, lat
        angle = math.radians(self.azimuth)
        north = self.metres * math.cos(angle) / _METRES_PER_DEGREE
        east = self.metres * math.sin(angle) / _METRES_PER_DEGREE
        return lon + east / math.cos(math.radians(lat)), lat + north


def displacing_ranges(key: str) -> list[tuple[int, int]]:
    """Ranges of a key that say a direction or a distance."""
    return [m.span() for p in (_TOWARDS, _SIDE, _AWAY) for m in p.finditer(key)]


def displacement(reading: Reading, *, crossing: bool = False) -> Displacement | None:
    """What the notes of a reading say of the way from the place named; None if nothing.

    With ``crossing`` the place named is a crossing already, and the word itself moves nothing.
    """
    found: Displacement | None = None
    inside = -1
    for edge in reading.edges:
        if edge.kind is not Kind.NOTE:
            inside = edge.end if edge.kind in (Kind.UNIT, Kind.FLOOR, Kind.ROOM) else -1
            continue
        if edge.start == inside:
            continue  # 二楼西侧 is a side of the floor
        here = _of(edge.value)
        if crossing and here is not None:
            here = _at_crossing(here)
        if here is None:
            continue
        if found is None or (found.azimuth is None and here.azimuth is not None):
            found = here
    return found


def _at_crossing(way: Displacement) -> Displacement | None:
    """The same said of a crossing, where the words that join the roads move nothing."""
    if way.text in CROSSINGS or way.text in _JOINERS:
        return None
    if way.metres == _SIDE_M and way.error_m == 2 * _SIDE_M:
        return Displacement(way.azimuth, _CORNER_M, _CORNER_ERROR_M, way.text)
    if way.azimuth is None and way.text in _WORDS:
        error = _CROSSING_MOST_M if way.error_m > _CROSSING_MOST_M else _CORNER_ERROR_M
        return Displacement(None, 0.0, error, way.text)
    return way


def _of(note: str) -> Displacement | None:
    towards = _TOWARDS.fullmatch(note)
    if towards is not None:
        metres = float(numeral(towards["metres"]))
        if towards["unit"] in ("公里", "千米", "km"):
            metres *= 1000.0
        return Displacement(_AZIMUTH[towards["direction"]], metres, 0.3 * metres + 20, note)
    side = _SIDE.fullmatch(note)
    if side is not None:
        azimuth = _AZIMUTH[side["a"] or side["b"]]
        return Displacement(azimuth, _SIDE_M, 2 * _SIDE_M, note)
    away = _AWAY.fullmatch(note)
    if away is not None:
        return Displacement(None, 0.0, float(numeral(away["metres"])) + 20, note)
    return Displacement(None, 0.0, _WORDS[note], note) if note in _WORDS else None
