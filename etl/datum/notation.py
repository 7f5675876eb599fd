"""Positions as people type them and as the portal reads them out.

Chinese survey notation: X is north, Y is east, an easting may start with its zone number. The
reader never guesses in silence: every candidate says which coordsys it was read in, and whether
the text named that coordsys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from etl.datum.errors import DatumError, PositionError
from etl.datum.position import locate
from etl.datum.registry import DatumRegistry
from layers.city import CityProfile

_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_DATUM = re.compile(
    r"(gcj-?02|火星坐标系?|bd-?09|百度坐标|wgs-?84|cgcs-?2000|国家2000|epsg:\s*\d{4,6})", re.I
)
_DMS = re.compile(
    r"(?P<pre>[EWNS]|东经|西经|北纬|南纬)?\s*"
    r"(?P<d>\d{1,3})\s*[°度]\s*(?P<m>\d{1,2}(?:\.\d+)?)\s*['分]\s*"
    r"(?:(?P<s>\d{1,2}(?:\.\d+)?)\s*[\"秒])?\s*(?P<post>[EWNS])?",
    re.I,
)
_NORTH = re.compile(rf"(?:X\s*(?:\(北\))?|N|北(?:坐标)?)\s*[=:]?\s*({_NUMBER})(?!\d)", re.I)
_EAST = re.compile(rf"(?:Y\s*(?:\(东\))?|E|东(?:坐标)?)\s*[=:]?\s*({_NUMBER})(?!\d)", re.I)
_LON = re.compile(rf"(?:lon(?:gitude)?|lng|经度|东经)\s*[=:]?\s*({_NUMBER})", re.I)
_LAT = re.compile(rf"(?:lat(?:itude)?|纬度|北纬)\s*[=:]?\s*({_NUMBER})", re.I)
_PAIR = re.compile(rf"(?<![\d.A-Za-z-])({_NUMBER})\s*[,;、\s]\s*({_NUMBER})(?![\d.]|\s*[号路街米])")
_SIGNS = str.maketrans(
    {"″": '"', "”": '"', "“": '"', "′": "'", "’": "'", "‘": "'", "，": ",", "；": ";", "：": ":"}
    | {"（": "(", "）": ")", "＝": "=", "º": "°", "|": " ", "｜": " ", "　": " "}
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One reading of a text: position in CGCS2000, the coordsys it was read in, and why.

    `stated` is False when the text did not name the datum or grid and the reading assumes it.
    """

    lon: float
    lat: float
    coordsys: str
    stated: bool
    accuracy_m: float
    note: str


def parse_position(
    text: str, profile: CityProfile, registry: DatumRegistry | None = None
) -> tuple[Candidate, ...]:
    """Readings of `text` inside the city, likeliest first; empty when it holds no position.

    Raises PositionError when the text is plainly a position but none inside the city's extent
    or not one its stated coordsys can hold.
    """
    if len(text) > 400:
        return ()
    plain = text.translate(_SIGNS).strip()
    steps = registry or DatumRegistry()
    datum = _DATUM.search(plain)
    stated = None if datum is None else re.sub(r"\s", "", datum[1])
    body = plain if datum is None else plain[: datum.start()] + " " + plain[datum.end() :]
    readings = _read_plane_labels(body, stated, profile)
    readings = _read_dms(body, stated) if readings is None else readings
    readings = _read_labels(body, stated) if readings is None else readings
    readings = _read_pair(body, stated, profile) if readings is None else readings
    return () if readings is None else _inside(readings, profile, steps, text)


@dataclass(frozen=True, slots=True)
class _Reading:
    coordsys: str
    x: float
    y: float
    stated: bool
    note: str


def _grids(profile: CityProfile) -> Iterator[str]:
    if profile.plane_grid is not None:
        yield profile.plane_grid.crs
        if profile.plane_grid.prefixed_crs:
            yield profile.plane_grid.prefixed_crs
    yield from profile.other_grids


def _plane(north: float, east: float, stated: str | None, profile: CityProfile) -> list[_Reading]:
    if stated is not None:
        return [_Reading(stated, east, north, True, f"按 {stated} 读 read in {stated}")]
    return [
        _Reading(
            code, east, north, False, f"未写坐标系，按 {code} 读 no datum named, read in {code}"
        )
        for code in _grids(profile)
    ]


def _geographic(lon: float, lat: float, stated: str | None) -> list[_Reading]:
    if stated is not None:
        return [_Reading(stated, lon, lat, True, f"按 {stated} 读 read in {stated}")]
    note = "未写坐标系，按 CGCS2000 读 no datum named, read as CGCS2000"
    return [_Reading("cgcs2000", lon, lat, False, note)]


def _read_plane_labels(
    body: str, stated: str | None, profile: CityProfile
) -> list[_Reading] | None:
    north, east = _NORTH.search(body), _EAST.search(body)
    if north is None or east is None or min(abs(float(north[1])), abs(float(east[1]))) <= 180:
        return None
    return _plane(float(north[1]), float(east[1]), stated, profile)


def _read_dms(body: str, stated: str | None) -> list[_Reading] | None:
    found: dict[str, float] = {}
    for match in _DMS.finditer(body):
        minutes, seconds = float(match["m"]), float(match["s"] or 0)
        if minutes >= 60 or seconds >= 60:
            raise PositionError(
                f"度分秒中分、秒须小于 60：{match[0].strip()}。"
                " Minutes and seconds must be below 60."
            )
        value = int(match["d"]) + minutes / 60 + seconds / 3600
        mark = (match["pre"] or match["post"] or "").upper()
        axis = "lat" if mark in {"N", "S", "北纬", "南纬"} else "lon" if mark else ""
        if mark in {"W", "S", "西经", "南纬"}:
            value = -value
        found.setdefault(axis or ("lat" if "lon" in found or abs(value) < 60 else "lon"), value)
    if set(found) != {"lon", "lat"}:
        return None
    return _geographic(found["lon"], found["lat"], stated)


def _read_labels(body: str, stated: str | None) -> list[_Reading] | None:
    lon, lat = _LON.search(body), _LAT.search(body)
    if lon is None or lat is None:
        return None
    return _geographic(float(lon[1]), float(lat[1]), stated)


def _packed(value: str) -> float | None:
    """Degrees of packed ddd.mmssffff (a CASS habit), None when minutes or seconds reach 60."""
    degrees, _, rest = value.partition(".")
    if len(rest) < 6:
        return None
    minutes, seconds = int(rest[:2]), float(f"{rest[2:4]}.{rest[4:]}")
    if minutes >= 60 or seconds >= 60:
        return None
    return int(degrees) + minutes / 60 + seconds / 3600


def _read_pair(body: str, stated: str | None, profile: CityProfile) -> list[_Reading] | None:
    match = _PAIR.search(body)
    if match is None:
        return None
    first, second = match[1], match[2]
    fraction = min(len(value.partition(".")[2]) for value in (first, second))
    rest = (body[: match.start()] + body[match.end() :]).strip(" ()[],;:")
    if rest and stated is None and fraction < 3:
        return None  # "12 3" inside an address is no position
    a, b = float(first), float(second)
    if abs(a) <= 180 and abs(b) <= 180:
        if rest == "" and stated is None and fraction == 0:
            return None
        readings = _geographic(a, b, stated)
        readings += [
            _Reading(r.coordsys, r.y, r.x, r.stated, f"{r.note}；纬度在前 latitude first")
            for r in readings
        ]
        packed = (_packed(first), _packed(second))
        if stated is None and packed[0] is not None and packed[1] is not None:
            readings += [
                _Reading(r.coordsys, r.x, r.y, False, f"{r.note}；按度.分秒 packed ddd.mmss")
                for r in _geographic(packed[0], packed[1], stated)
            ]
        return readings
    if min(abs(a), abs(b)) < 10_000:
        return None
    return [*_plane(a, b, stated, profile), *_plane(b, a, stated, profile)]


def _inside(
    readings: list[_Reading], profile: CityProfile, registry: DatumRegistry, text: str
) -> tuple[Candidate, ...]:
    """The readings that fall into the city, equal positions (1 mm) once."""
    kept: list[Candidate] = []
    refusal: DatumError | None = None
    for reading in readings:
        try:
            system = registry.parse(reading.coordsys)
            at = (
                locate(registry, system, north=reading.y, east=reading.x)
                if system.kind == "plane"
                else locate(registry, system, lon=reading.x, lat=reading.y)
            )
        except DatumError as error:
            refusal = error if reading.stated and refusal is None else refusal
            continue
        known = any(abs(c.lon - at.lon) < 1e-8 and abs(c.lat - at.lat) < 1e-8 for c in kept)
        if profile.extent.contains(at.lon, at.lat) and not known:
            kept.append(
                Candidate(at.lon, at.lat, system.name, reading.stated, at.accuracy_m, reading.note)
            )
    if not kept and refusal is not None:
        raise PositionError(str(refusal)) from refusal
    if not kept:
        shown = text if len(text) <= 80 else text[:80] + "…"
        grids = ", ".join(_grids(profile))
        raise PositionError(
            f"{shown!r} 按 {grids} 或经纬度都不在{profile.title.zh}范围内。"
            f" {shown!r} is not inside {profile.title.en} in any of its grids or as lon, lat."
        )
    return tuple(kept)


def format_dms(value: float, positive: str, negative: str) -> str:
    """Degrees as 116°07′03.36″E: seconds to 0.01 (0.3 m), carried over properly."""
    hundredths = round(abs(value) * 360_000)
    degrees, rest = divmod(hundredths, 360_000)
    minutes, rest = divmod(rest, 6_000)
    mark = positive if value >= 0 else negative
    return f"{degrees}°{minutes:02d}′{rest / 100:05.2f}″{mark}"


def format_readout(
    lon: float, lat: float, profile: CityProfile, registry: DatumRegistry | None = None
) -> str:
    """The portal's read-out of a CGCS2000 position: plane, zone-prefixed, and DMS.

    `X(北)=2687537.854 Y(东)=410413.240 | 带号39: 39410413.240 | 116°07′03.36″E 24°17′18.96″N`;
    a profile without a plane grid gives the DMS part alone.
    """
    steps = registry or DatumRegistry()
    parts: list[str] = []
    grid = profile.plane_grid
    if grid is not None:
        east, north = steps.chain("cgcs2000", grid.crs).point(lon, lat)
        parts.append(f"X(北)={north:.3f} Y(东)={east:.3f}")
        if grid.prefixed_crs:
            prefixed, _ = steps.chain("cgcs2000", grid.prefixed_crs).point(lon, lat)
            parts.append(f"带号{grid.zone}: {prefixed:.3f}")
    parts.append(f"{format_dms(lon, 'E', 'W')} {format_dms(lat, 'N', 'S')}")
    return " | ".join(parts)
