"""What people call a place: short forms, one-character neighbours, pinyin."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from pypinyin import Style, pinyin
from pypinyin.constants import PHRASES_DICT
from pypinyin.contrib.tone_convert import to_normal

from gazetteer.levels import Kind
from gazetteer.normalise import is_han, key_of

_COMMITTEES = ("村民委员会", "居民委员会", "村委会", "居委会", "委员会")
_CLASS_SUFFIXES = {
    Kind.PROVINCE: ("特别行政区", "维吾尔自治区", "壮族自治区", "回族自治区", "自治区", "省", "市"),
    Kind.CITY: ("市", "地区", "盟"),
    Kind.COUNTY: ("自治县", "县", "区", "市", "旗"),
    Kind.TOWN: ("街道办事处", "街道", "镇", "民族乡", "乡", "苏木"),
    Kind.VILLAGE: ("社区", "村", "嘎查"),
}
CLASS_CHARACTERS = "省市县区旗镇乡村社街路道巷里弄"
"""A short name followed by one of these is (part of) another name: 兴宁|路, 新圩|村."""


def official_name(name: str, kind: Kind) -> str:
    """The place's name within the name of its committee: 扶贵村委会 is 扶贵村."""
    if kind is not Kind.VILLAGE:
        return name
    for committee in _COMMITTEES:
        stem = name.removesuffix(committee)
        if stem != name and stem:
            village = committee.startswith("村") and not stem.endswith("村")
            return f"{stem}村" if village else stem
    return name


def short_name(name: str, kind: Kind) -> str | None:
    """The name without its class (大埔县 is 大埔), None where fewer than two characters remain."""
    for suffix in _CLASS_SUFFIXES.get(kind, ()):
        stem = name.removesuffix(suffix)
        if stem != name:
            return stem if len(stem) >= 2 else None
    return None


def class_variants(name: str, kind: Kind) -> tuple[str, ...]:
    """The name with another class of its level: 兴宁市 was 兴宁县, 梅县区 was 梅县."""
    stem = short_name(name, kind)
    if stem is None:
        return ()
    classes = {
        Kind.COUNTY: ("县", "区", "市"),
        Kind.TOWN: ("镇", "街道", "乡"),
        Kind.VILLAGE: ("村", "社区"),
    }.get(kind, ())
    return tuple(f"{stem}{c}" for c in classes if f"{stem}{c}" != name)


def deletions(key: str) -> Iterator[str]:
    """The key and everything that is left of it without one character.

    Two keys whose sets meet are within one substitution, insertion, deletion or swap of
    neighbours (Garbe's symmetric delete), or two deletions apart; the distance decides.
    """
    yield key
    for position in range(len(key)):
        yield key[:position] + key[position + 1 :]


@lru_cache(maxsize=65536)
def syllables(character: str) -> tuple[str, ...]:
    """Toneless readings of one character, the commonest first; itself for Latin and digits."""
    if not is_han(character):
        return (character,) if character.isalnum() else ()
    readings = pinyin(character, style=Style.NORMAL, heteronym=True, errors="ignore")
    return tuple(dict.fromkeys(readings[0])) if readings else ()


def readings_of(key: str) -> tuple[list[tuple[str, ...]], list[str]]:
    """Readings of each character, and the likeliest of each as phrases (银行) decide it.

    Both empty when a character has no reading, so that a rare character never turns a name into a
    fragment of itself. Phrases are looked up as they stand: pypinyin's own segmenter takes 20
    times as long for the same answer on names.
    """
    readings = [syllables(character) for character in key]
    if not readings or not all(readings):
        return [], []
    first = [reading[0] for reading in readings]
    if sum(len(reading) > 1 for reading in readings) > 1:
        position = 0
        while position < len(key) - 1:
            for length in (4, 3, 2):
                spelled = _phrase(key[position : position + length])
                if spelled:
                    first[position : position + len(spelled)] = spelled
                    position += len(spelled) - 1
                    break
            position += 1
    return readings, first


def _phrase(text: str) -> tuple[str, ...]:
    return _toneless(text) if text in PHRASES_DICT and len(text) > 1 else ()


@lru_cache(maxsize=65536)
def _toneless(phrase: str) -> tuple[str, ...]:
    return tuple(to_normal(choices[0]) for choices in PHRASES_DICT[phrase])


def spellings(name: str, *, heteronyms: bool = True) -> tuple[list[str], list[str]]:
    """Pinyin without blanks and initials: the likeliest first, then each with one other reading.

    大埔县 gives dabuxian (official romanisation) and dapuxian, dbx and dpx.
    """
    readings, first = readings_of(key_of(name))
    if not readings:
        return [], []
    sounds, initials = ["".join(first)], ["".join(s[0] for s in first)]
    if heteronyms:
        for position, choices in enumerate(readings):
            for choice in choices:
                if choice != first[position]:
                    changed = [*first[:position], choice, *first[position + 1 :]]
                    sounds.append("".join(changed))
                    initials.append("".join(s[0] for s in changed))
    return sounds, initials


def pinyin_keys(name: str) -> tuple[str, ...]:
    """Pinyin spellings without blanks, the likeliest first."""
    return tuple(dict.fromkeys(spellings(name)[0]))


def homophone_key(key: str) -> str:
    """Likeliest toneless pinyin of a key, for comparing names that sound alike."""
    return " ".join((syllables(character) or (character,))[0] for character in key)


_BLURRED = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"), ("f", "h"), ("r", "l"))


def blurred_key(key: str) -> str:
    """Sounds of a key without what southern speakers do not keep apart: zh and z, n and l, f and h,
    -ng and -n (the 模糊音 of every pinyin keyboard).
    """
    return " ".join(_blurred((syllables(character) or (character,))[0]) for character in key)


@lru_cache(maxsize=8192)
def _blurred(syllable: str) -> str:
    for one, other in _BLURRED:
        if syllable.startswith(one):
            syllable = other + syllable[len(one) :]
            break
    return syllable.removesuffix("g") if syllable.endswith("ng") else syllable
