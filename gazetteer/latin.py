"""Addresses in Latin letters: pinyin with tones or blanks, English class words, either order.

``41 Jiaying Middle Road, Meijiang District`` is read as ``41jiayingzhonglu,meijiangqu``: class
words become the syllables of the Chinese class, so that names are found by their pinyin.
"""

from __future__ import annotations

import re

from gazetteer.normalise import Normalised

_CLASSES = {
    "road": "lu", "rd": "lu", "street": "jie", "st": "jie", "avenue": "dadao", "ave": "dadao",
    "boulevard": "dadao", "blvd": "dadao", "lane": "xiang", "alley": "xiang", "highway": "gonglu",
    "district": "qu", "county": "xian", "city": "shi", "province": "sheng", "town": "zhen",
    "township": "xiang", "subdistrict": "jiedao", "village": "cun", "community": "shequ",
    "building": "dong", "east": "dong", "west": "xi", "south": "nan", "north": "bei",
    "middle": "zhong", "central": "zhong", "number": "no", "china": "", "prc": "",
}  # fmt: skip
_TWO = 2
_WORD = re.compile("[a-z]+")
_SIDES = frozenset({"east", "west", "south", "north", "middle", "central"})
_ROADS = frozenset({"road", "rd", "street", "st", "avenue", "ave", "boulevard", "blvd"})


def romanised(normalised: Normalised) -> Normalised:
    """The same text with English class words as pinyin, and without blanks and apostrophes.

    Positions lead back to the words they were made from.
    """
    key = normalised.key
    pieces: list[tuple[str, int, int]] = []
    position = 0
    words = list(_WORD.finditer(key))
    for number, word in enumerate(words):
        pieces += [(c, i, i) for i, c in enumerate(key[position : word.start()], position)]
        position = word.end()
        said = word[0]
        following = words[number + 1][0] if number + 1 < len(words) else ""
        meant = _CLASSES.get(said)
        if meant is None or (said in _SIDES and following not in _ROADS) or (number == 0 and meant):
            meant = said  # a side is one only before a road; no name begins with its class
        if meant == said:
            pieces += [(c, i, i) for i, c in enumerate(said, word.start())]
        else:
            pieces += [(c, word.start(), word.end() - 1) for c in meant]
    pieces += [(c, i, i) for i, c in enumerate(key[position:], position)]
    kept = [
        piece
        for number, piece in enumerate(pieces)
        if piece[0] not in "'`’" and not _joins(pieces, number)
    ]
    text = "".join(
        normalised.text[low] if low == high else character for character, low, high in kept
    )
    return Normalised(
        source=normalised.source,
        text=text,
        key="".join(character for character, _, _ in kept),
        starts=tuple(normalised.starts[low] for _, low, _ in kept),
        ends=tuple(normalised.ends[high] for _, _, high in kept),
    )


def _joins(pieces: list[tuple[str, int, int]], number: int) -> bool:
    """Whether a stroke joins two syllables (tao-quan-jie), or a blank anything but two numbers."""
    joiner = pieces[number][0]
    around = [pieces[at][0] for at in (number - 1, number + 1) if 0 <= at < len(pieces)]
    if joiner == " ":
        return not all(character.isdigit() for character in around)
    return joiner == "-" and all(character.isalpha() for character in around)


def reversed_parts(normalised: Normalised) -> Normalised | None:
    """The parts between commas from the last to the first, as Western addresses are written.

    None where there is one part only.
    """
    parts = normalised.key.split(",")
    if len(parts) < _TWO:
        return None
    order: list[int] = []
    end = len(normalised.key)
    for part in reversed(parts):
        order += [*range(end - len(part), end)]
        if len(part) < end:
            order.append(end - len(part) - 1)  # the comma, now behind its part
        end -= len(part) + 1
    return Normalised(
        source=normalised.source,
        text="".join(normalised.text[i] for i in order),
        key="".join(normalised.key[i] for i in order),
        starts=tuple(normalised.starts[i] for i in order),
        ends=tuple(normalised.ends[i] for i in order),
    )
