"""Which division an app means by a name, a pinyin, a telephone area code or an adcode."""

from __future__ import annotations

from collections.abc import Iterator

from gazetteer.index import GazetteerIndex
from gazetteer.levels import CODE_LENGTH
from gazetteer.names import pinyin_keys, short_name
from gazetteer.records import Place
from layers.city import CityProfile

_NATION = ("全国", "中国", "china", "100000", "total")


def telephone_area(profile: CityProfile) -> str:
    """The city's telephone area code, which AMap calls citycode; '' if the profile has none."""
    return str(profile.codes.get("telephone_area", ""))


def adcode(code: str) -> str:
    """Six digits of GB/T 2260 for a division code of any level: 4414 is 441400; '' for ''."""
    return code[:6].ljust(6, "0") if code else ""


def towncode(code: str) -> str:
    """Twelve digits of the town that holds a code, '' above the town level."""
    return f"{code[:9]}000" if len(code) >= 9 else ""


def areas(index: GazetteerIndex, profile: CityProfile, text: str) -> list[Place]:
    """Divisions down to towns that a text names, the coarsest level only.

    Accepted are full and short names, pinyin (city and counties), adcodes of 2 to 12 digits with
    or without trailing zeros, and the telephone area code. Empty for what is not in the city.
    """
    wanted = text.strip()
    if not wanted:
        return []
    if wanted == telephone_area(profile):
        wanted = profile.division_code
    found = list(_named(index, wanted))
    if not found:
        return []
    coarsest = min(len(place.code) for place in found)
    return [place for place in found if len(place.code) == coarsest]


def area_codes(index: GazetteerIndex, profile: CityProfile, text: str | None) -> list[str] | None:
    """Division codes that restrict a search; [''] for no restriction, None for another city."""
    if text is None or not text.strip() or text.strip().lower() in _NATION:
        return [""]
    found = [place.code for place in areas(index, profile, text)]
    city = profile.division_code
    inside = [code for code in found if code.startswith(city) or city.startswith(code)]
    return inside or None


def within(code: str, accepted: list[str]) -> bool:
    """Whether a division code lies in one of the areas."""
    return any(code.startswith(area) for area in accepted)


def _named(index: GazetteerIndex, wanted: str) -> Iterator[Place]:
    if wanted.isdigit():
        code = _trimmed(wanted)
        if code in index.divisions and len(code) <= 9:  # villages are no divisions of AMap
            yield index.divisions[code]
        return
    latin = wanted.lower().replace(" ", "") if wanted.isascii() else ""
    for code, place in index.divisions.items():
        if len(code) > 9:
            continue
        short = short_name(place.name, place.kind)
        if wanted in (place.name, short):
            yield place
        elif latin and len(code) <= 6:
            spelled = {*pinyin_keys(place.name), *(pinyin_keys(short) if short else ())}
            if latin in spelled:
                yield place


def _trimmed(digits: str) -> str:
    """The code without the zeros that fill it up: 441400 is 4414, 441402004000 is 441402004."""
    for length in CODE_LENGTH:
        if len(digits) >= length and not digits[length:].strip("0"):
            return digits[:length]
    return digits
