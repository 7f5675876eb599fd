"""Normalisation of address text, with a map from every character back to the input.

Two strings of equal length come out: ``text`` (full-width, radicals and look-alikes put right;
what answers quote) and ``key`` (``text`` with traditional and variant characters folded and Latin
lower-cased; what is compared). A name is never rewritten in an answer just because it was folded.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import opencc

MAX_QUERY_LENGTH = 200
"""Longest query that is matched, in characters; the longest standard address here has 60."""

# CJK Radicals Supplement has no NFKC mapping except two; these are the ones that PDF and OCR
# text carries inside place names (Unicode EquivalentUnifiedIdeograph.txt).
_RADICALS = dict(
    zip(
        "⺟⺠⻁⻄⻅⻆⻉⻋⻓⻔⻘⻙⻚⻛⻜⻝⻢⻣⻤⻥⻦⻧⻨⻩⻬⻮⻰⻳⺫⺼⻌⻏⻖",
        "母民虎西见角贝车长门青韦页风飞食马骨鬼鱼鸟卤麦黄齐齿龙龟目月辶阝阝",
        strict=True,
    )
)
_LOOK_ALIKES = {"巿": "市", "囗": "口", "○": "〇", "◯": "〇"}
# Variants that people type for each other in this region's names, folded in the key only
# (輋 is the old form of 畲: 五家輋村 is typed 五家畲村; 礤 and 磜 are both in official names).
_VARIANTS = {"輋": "畲", "𪨶": "畲", "畬": "畲", "磜": "礤"}
_PUNCTUATION = {
    "【": "(", "[": "(", "〔": "(", "〖": "(", "{": "(", "「": "(", "『": "(", "《": "(", "<": "(",
    "】": ")", "]": ")", "〕": ")", "〗": ")", "}": ")", "」": ")", "』": ")", "》": ")", ">": ")",
    "、": ",", "。": ",", ";": ",", "|": ",", "!": ",", "?": ",", "\"": ",", "“": ",", "”": ",",
    "–": "-", "—": "-", "―": "-", "−": "-", "~": "-", "‐": "-", "‑": "-", "〜": "-", "_": "-",
    "№": "#", "·": "", "•": "", "\\": "/",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Normalised:
    """Normalised address text; ``text`` and ``key`` have equal length.

    ``starts[i]`` and ``ends[i]`` delimit the characters of ``source`` that position i came from.
    """

    source: str
    text: str
    key: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Source range [start, end) of the normalised range; raises IndexError outside it."""
        if start >= end:
            position = self.starts[start] if start < len(self.starts) else len(self.source)
            return position, position
        return self.starts[start], self.ends[end - 1]

    def original(self, start: int, end: int) -> str:
        """The source text of a normalised range, as it was typed."""
        low, high = self.span(start, end)
        return self.source[low:high]


def normalise(source: str) -> Normalised:
    """Normalise any text; never raises, drops control characters and blanks between Han."""
    text = source.translate(_SIMPLE)
    if _INTRICATE not in text:
        borders = tuple(range(len(source) + 1))
        return Normalised(source, text, text.translate(_KEYS), borders[:-1], borders[1:])
    pieces = [
        (character, low, high)
        for cluster, low, high in _clusters(source)
        for character in _folded(cluster)
    ]
    kept = _without_blanks(pieces)
    text = "".join(character for character, _, _ in kept)
    return Normalised(
        source=source,
        text=text,
        key=text.translate(_KEYS),
        starts=tuple(low for _, low, _ in kept),
        ends=tuple(high for _, _, high in kept),
    )


def key_of(name: str) -> str:
    """The comparison key of a gazetteer name: the same folding that queries undergo."""
    text = name.translate(_SIMPLE)
    if _INTRICATE not in text:
        return text.translate(_KEYS)
    return normalise(name).key


def is_han(character: str) -> bool:
    """Whether a character is a CJK ideograph of any plane, or the digit 〇."""
    return (
        "一" <= character <= "鿿"
        or "㐀" <= character <= "䶿"
        or "𠀀" <= character <= "𳎯"
        or character == "〇"
    )


def _clusters(source: str) -> list[tuple[str, int, int]]:
    """Base characters with the combining marks that follow them, and their source range."""
    clusters: list[tuple[str, int, int]] = []
    for position, character in enumerate(source):
        if clusters and unicodedata.combining(character):
            base, low, _ = clusters[-1]
            clusters[-1] = (base + character, low, position + 1)
        else:
            clusters.append((character, position, position + 1))
    return clusters


@lru_cache(maxsize=16384)
def _folded(cluster: str) -> str:
    out = []
    for character in unicodedata.normalize("NFKC", cluster):
        folded = _RADICALS.get(character) or _LOOK_ALIKES.get(character) or character
        folded = _PUNCTUATION.get(folded, folded)
        if folded and folded.isspace():
            folded = " "
        elif folded and unicodedata.category(folded) in ("Cc", "Cf", "Cs", "Co", "Cn"):
            folded = ""
        out.append(folded)
    return "".join(out)


_INTRICATE = "\0"
"""Stands for a character that vanishes, multiplies, combines or parts words."""


class _Simple(dict[int, str]):
    """Folding of characters that stay one; a table for str.translate that fills as it is used."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        folded = _INTRICATE
        if character != " " and not unicodedata.combining(character):
            folded = _folded(character)
            if len(folded) != 1 or folded == " ":
                folded = _INTRICATE
        self[code] = folded
        return folded


class _Keys(dict[int, str]):
    """Key of each character; a table for str.translate that fills as it is used."""

    def __missing__(self, code: int) -> str:
        self[code] = key = _key_of(chr(code))
        return key


def _key_of(character: str) -> str:
    """One character for one character."""
    if character.isascii():
        return character.lower()
    if character.isalpha() and character.lower() != character.upper():  # ā of Méijiāng, ü
        plain = unicodedata.normalize("NFD", character)[0].lower()
        return plain if plain.isascii() else character.lower()
    simplified = _converter().convert(character) if is_han(character) else character.lower()
    if len(simplified) != 1:
        simplified = character
    return _VARIANTS.get(simplified) or _VARIANTS.get(character) or simplified


_SIMPLE, _KEYS = _Simple(), _Keys()


@lru_cache(maxsize=1)
def _converter() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


def _without_blanks(pieces: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Drop blanks at the ends, runs of blanks, and blanks that do not part two Latin words."""
    kept: list[tuple[str, int, int]] = []
    for index, piece in enumerate(pieces):
        if piece[0] == " ":
            following = next((p[0] for p in pieces[index + 1 :] if p[0] != " "), "")
            previous = kept[-1][0] if kept else ""
            if not (_is_word(previous) and _is_word(following)):
                continue
        kept.append(piece)
    return kept


def _is_word(character: str) -> bool:
    return character.isascii() and character.isalnum()
