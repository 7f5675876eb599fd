"""Beside, opposite, 200 m to the east: from the place that a text names to the one it means."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from gazetteer.levels import Kind
from gazetteer.readings import Reading

_AZIMUTH = {
    "北": 0.0, "东北": 45.0, "东": 90.0, "东南": 135.0,
    "南": 180.0, "西南": 225.0, "西": 270.0, "西北": 315.0,
}  # fmt: skip
_TOWARDS = re.compile(
    r"(?:再?(?:往|向|朝|以)|的)?(?P<direction>东北|东南|西北|西南|东|南|西|北)(?:面|侧|边|方向|方|行|走)*"
    r"(?:大约|大概|约|近)?(?P<metres>[0-9]{1,4})多?(?:米|m)(?:左右|处|远)*"
)
_SIDE = re.compile(r"(?:以|往|向|朝)(?P<a>东北|东南|西北|西南|东|南|西|北)(?![0-9])|"
                   r"(?P<b>东北|东南|西北|西南|东|南|西|北)(?:侧|面|边)")  # fmt: skip
_AWAY = re.compile(r"(?:约|大约)?(?P<metres>[0-9]{1,4})多?米(?:左右|处|远|内)*")
_WORDS = {
    "斜对面": 80.0, "对面": 60.0, "正对面": 60.0, "隔壁": 60.0, "旁边": 100.0, "旁": 100.0,
    "左侧": 100.0, "右侧": 100.0, "靠近": 300.0, "附近": 300.0, "周边": 300.0, "一带": 300.0,
    "路口": 150.0, "交叉口": 150.0, "交汇处": 150.0, "交叉路口": 150.0, "交界处": 150.0,
    "十字路口": 150.0,
}  # fmt: skip
"""Metres that the place meant may be from the one named."""
CROSSINGS = frozenset({"路口", "交叉口", "交汇处", "交叉路口", "交界处", "十字路口"})
_SIDE_M = 50.0
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
    for edge in reading.edges:
        if edge.kind is not Kind.NOTE:
            continue
        here = _of(edge.value)
        if here is None or (crossing and edge.value in CROSSINGS):
            continue
        if found is None or (found.azimuth is None and here.azimuth is not None):
            found = here
    return found


def _of(note: str) -> Displacement | None:
    towards = _TOWARDS.fullmatch(note)
    if towards is not None:
        metres = float(towards["metres"])
        return Displacement(_AZIMUTH[towards["direction"]], metres, 0.3 * metres + 20, note)
    side = _SIDE.fullmatch(note)
    if side is not None:
        azimuth = _AZIMUTH[side["a"] or side["b"]]
        return Displacement(azimuth, _SIDE_M, 2 * _SIDE_M, note)
    away = _AWAY.fullmatch(note)
    if away is not None:
        return Displacement(None, 0.0, float(away["metres"]) + 20, note)
    return Displacement(None, 0.0, _WORDS[note], note) if note in _WORDS else None
