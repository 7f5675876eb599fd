"""Address codes of two styles behind one interface: by area (区划式) and by coordinate (坐标式).

The segments are those of GB/T 39609-2020, clauses 7 and 8: division + street or estate + building
or plate + unit and room; and coordinate + height. The standard's digit widths could not be
verified, so widths are the city profile's (``codes.address`` in layers/cities/*.yaml), not code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gazetteer.production.checkdigit import has_valid_check, mod_11_10

AREA, COORDINATE = "area", "coordinate"


@dataclass(frozen=True, slots=True)
class AddressUnit:
    """What a code is made for: an address by its parts and its position.

    ``division`` is a 12-digit code (community or village); ``lon``, ``lat`` are CGCS2000 degrees,
    ``height_m`` is above the ellipsoid or sea level as the city's profile of heights says.
    """

    id: str
    division: str
    street: str
    plate: str
    room: str
    lon: float
    lat: float
    height_m: float | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a code; ``zh`` and ``en`` are a sentence each."""

    rule: str
    zh: str
    en: str


class Numbers(Protocol):
    """Serial numbers of names within a scope, given once and never again to another name."""

    def number(self, scope: str, name: str, most: int) -> int:
        """The number of ``name``, from 1 to ``most``; ValueError where the scope is full."""


class AddressCoder(Protocol):
    """One style of code."""

    @property
    def style(self) -> str:
        """AREA or COORDINATE."""

    @property
    def length(self) -> int:
        """Digits of a code."""

    def encode(self, unit: AddressUnit, numbers: Numbers) -> str:
        """The code of an address; ValueError says which part it lacks."""

    def decode(self, code: str) -> Mapping[str, str]:
        """The segments of a code by name; ValueError where it is none of this style."""

    def faults(self, code: str) -> list[Fault]:
        """What is wrong with the form of a code; nothing for a good one."""


@dataclass(frozen=True)
class AreaCoder:
    """Division, street or estate, building or plate, unit and room; serial numbers in each."""

    division: int
    street: int
    building: int
    room: int
    check: bool
    style: str = AREA

    @property
    def length(self) -> int:
        """Digits of a code, the check digit among them."""
        return self.division + self.street + self.building + self.room + self.check

    def encode(self, unit: AddressUnit, numbers: Numbers) -> str:
        """The code of an address; a part that it does not have is zeros."""
        code = unit.division
        if len(code) != self.division or not code.isdigit():
            raise ValueError(
                f"{unit.id}: 区划代码须为 {self.division} 位数字 the division code must have "
                f"{self.division} digits, got {code!r}"
            )
        if not unit.street and not unit.plate:
            raise ValueError(f"{unit.id}: 既无街路巷也无门牌 neither street nor plate")
        for name, width in (
            (unit.street, self.street),
            (unit.plate, self.building),
            (unit.room, self.room),
        ):
            serial = numbers.number(code, name, 10**width - 1) if name else 0
            code += f"{serial:0{width}d}"
        return code + (mod_11_10(code) if self.check else "")

    def decode(self, code: str) -> Mapping[str, str]:
        """Segments division, street, building, room, and check where there is one."""
        _require(self, code)
        segments, start = {}, 0
        for name in ("division", "street", "building", "room"):
            width = getattr(self, name)
            segments[name] = code[start : start + width]
            start += width
        if self.check:
            segments["check"] = code[start:]
        return segments

    def faults(self, code: str) -> list[Fault]:
        """Wrong length, other than digits, a wrong check digit, a room without a building."""
        found = _form_faults(code, self.length, self.check)
        if not found:
            parts = self.decode(code)
            if not int(parts["street"]) and not int(parts["building"]):
                found.append(
                    Fault("empty", "街巷与门楼代码都为零。", "neither street nor building")
                )
            elif int(parts["room"]) and not int(parts["building"]):
                found.append(
                    Fault("room-without-building", "有户室而无门楼。", "a room without a building")
                )
        return found


@dataclass(frozen=True)
class CoordinateCoder:
    """Longitude, latitude, height and, on one spot, a serial number; CGCS2000.

    Degrees are cut (not rounded) to ``decimals``, so that a code names the cell whose south-west
    corner it states: 5 decimals are about 1 m. Heights are in ``height_step_m`` from
    ``height_zero_m``; all nines say that the height is not known.
    """

    decimals: int
    height: int
    height_step_m: float
    height_zero_m: float
    serial: int
    check: bool
    style: str = COORDINATE

    @property
    def length(self) -> int:
        """Digits of a code, the check digit among them."""
        return 5 + 2 * self.decimals + self.height + self.serial + self.check

    def encode(self, unit: AddressUnit, numbers: Numbers) -> str:
        """The code of an address at its position; several on one spot are numbered."""
        code = self._degrees(unit.lon, 3, unit.id) + self._degrees(unit.lat, 2, unit.id)
        code += self._height(unit)
        if self.serial:
            serial = numbers.number(code, unit.id, 10**self.serial - 1)
            code += f"{serial:0{self.serial}d}"
        return code + (mod_11_10(code) if self.check else "")

    def decode(self, code: str) -> Mapping[str, str]:
        """Segments lon, lat (degrees with the decimals that the code has), height_m, serial."""
        _require(self, code)
        lon, lat = code[: 3 + self.decimals], code[3 + self.decimals : 5 + 2 * self.decimals]
        start = 5 + 2 * self.decimals
        height = code[start : start + self.height]
        segments = {
            "lon": f"{lon[:3]}.{lon[3:]}",
            "lat": f"{lat[:2]}.{lat[2:]}",
            "height_m": "",
            "serial": code[start + self.height : start + self.height + self.serial],
        }
        if height and height != "9" * self.height:
            segments["height_m"] = f"{int(height) * self.height_step_m + self.height_zero_m:g}"
        if self.check:
            segments["check"] = code[-1]
        return segments

    def faults(self, code: str) -> list[Fault]:
        """Wrong length, other than digits, a wrong check digit, degrees that cannot be."""
        found = _form_faults(code, self.length, self.check)
        if not found:
            parts = self.decode(code)
            if float(parts["lon"]) > 180 or float(parts["lat"]) > 90:
                found.append(Fault("degrees", "经纬度超出范围。", "degrees beyond the earth"))
        return found

    def _degrees(self, value: float, whole: int, identity: str) -> str:
        if not 0 <= value < (180 if whole == 3 else 90):
            raise ValueError(
                f"{identity}: 坐标式代码只用于东经、北纬 east longitudes and north latitudes "
                f"only, got {value}"
            )
        # cut in decimal digits: 0.1 * 10 may be 0.9999999
        scaled = int(f"{value:.9f}".replace(".", "")) // 10 ** (9 - self.decimals)
        return f"{scaled:0{whole + self.decimals}d}"

    def _height(self, unit: AddressUnit) -> str:
        if not self.height:
            return ""
        if unit.height_m is None:
            return "9" * self.height
        step = int((unit.height_m - self.height_zero_m) // self.height_step_m)
        if not 0 <= step < 10**self.height - 1:
            raise ValueError(f"{unit.id}: 高程超出编码范围 height out of range: {unit.height_m}")
        return f"{step:0{self.height}d}"


def load_coders(codes: Mapping[str, Any]) -> dict[str, AddressCoder]:
    """The coders of a city's profile (its ``codes``), by style.

    Raises ValueError naming what the profile lacks.
    """
    settings = codes.get("address")
    if not settings:
        raise ValueError("城市配置没有 codes.address (the city profile has no codes.address)")
    try:
        area, point = settings["area"], settings["coordinate"]
        return {
            AREA: AreaCoder(
                int(area["division"]),
                int(area["street"]),
                int(area["building"]),
                int(area["room"]),
                bool(area["check"]),
            ),
            COORDINATE: CoordinateCoder(
                int(point["decimals"]),
                int(point["height"]),
                float(point["height_step_m"]),
                float(point["height_zero_m"]),
                int(point["serial"]),
                bool(point["check"]),
            ),
        }
    except KeyError as missing:
        raise ValueError(f"codes.address 缺少 lacks {missing}") from missing


def _form_faults(code: str, length: int, check: bool) -> list[Fault]:
    if not code.isascii() or not code.isdigit():
        return [Fault("digits", "只能由数字组成。", "digits only")]
    if len(code) != length:
        return [Fault("length", f"须为 {length} 位，实为 {len(code)} 位。", f"must be {length}")]
    if check and not has_valid_check(code):
        return [Fault("check-digit", "校验位不符。", "the check digit does not fit")]
    return []


def _require(coder: AddressCoder, code: str) -> None:
    if len(code) != coder.length or not code.isascii() or not code.isdigit():
        raise ValueError(
            f"不是 {coder.length} 位的代码 not a code of {coder.length} digits: {code[:60]!r}"
        )
