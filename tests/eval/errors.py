"""The errors that people make in a name: each takes a name and luck, and gives a wrong spelling."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cache

import opencc
from pypinyin import Style, lazy_pinyin, pinyin
from rapidfuzz import process
from rapidfuzz.distance import OSA

Error = Callable[[str, random.Random], str]

LOOK_ALIKE = {
    "市": "巿", "未": "末", "大": "太", "土": "士", "日": "曰", "人": "入", "龙": "尨", "西": "酉",
    "田": "由", "东": "冻", "石": "右", "白": "自", "玉": "王", "天": "夫", "鸟": "乌", "坪": "评",
    "坑": "抗", "塘": "搪", "洋": "详", "村": "材", "陂": "坡", "径": "经", "堂": "堂", "湖": "胡",
    "樟": "障", "畲": "畬", "磜": "礤", "礤": "磜", "岗": "冈", "埔": "浦", "圩": "圬", "寨": "赛",
    "畬": "畲", "潭": "谭", "溪": "奚", "桥": "挢", "营": "萤", "群": "裙", "锦": "绵", "蓝": "篮",
}  # fmt: skip
RADICALS = {
    "西": "⻄", "长": "⻓", "金": "⾦", "石": "⽯", "山": "⼭", "大": "⼤", "水": "⽔", "田": "⽥",
    "口": "⼝", "车": "⻋", "龙": "⻰", "黄": "⻩", "马": "⻢", "门": "⻔", "青": "⻘", "白": "⽩",
    "高": "⾼", "谷": "⾕", "里": "⾥", "風": "⾵", "土": "⼟", "玉": "⽟", "竹": "⽵", "日": "⽇",
    "东": "东", "文": "⽂", "新": "新", "龍": "⿓", "木": "⽊", "心": "⼼", "小": "⼩",
}  # fmt: skip
_NEAR_SOUNDS = (
    ("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"), ("l", "n"), ("h", "f"), ("f", "h"),
    ("z", "zh"), ("c", "ch"), ("s", "sh"),
)  # fmt: skip
_ENDINGS = ("ing", "eng", "ang", "in", "en", "an")
_COMMON = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面"
    "方后多定行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性"
    "好应开它合还因由其些然前外天政四日那社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气"
    "第向道命此变条只没结解问意建月公无系军很情者最立代想已通并提直题党程展五果料象员革位入常文总次品式活设"
    "及管特件长求老头基资边流路级少图山统接知较将组见计别她手角期根论运农指几九区强放决西被干做必战先回则任"
    "取据处府研门间洞龙塘坪坑岭溪桥湖东南北田屋寨围岗石松梅竹桃李林黄白红金银铁铜丰福安康和平永宁兴旺"
)


def _place(name: str, luck: random.Random) -> int:
    """Where to err: never in the last character, which is the kind of thing (村, 镇, 路)."""
    return luck.randrange(max(1, len(name) - 1))


def substituted(name: str, luck: random.Random) -> str:
    """Another common character in place of one."""
    at = _place(name, luck)
    other = luck.choice([c for c in _COMMON if c != name[at]])
    return name[:at] + other + name[at + 1 :]


def dropped(name: str, luck: random.Random) -> str:
    """One character less."""
    at = _place(name, luck)
    return name[:at] + name[at + 1 :]


def swapped(name: str, luck: random.Random) -> str:
    """Two neighbours in the wrong order."""
    at = luck.randrange(max(1, len(name) - 2))
    return name[:at] + name[at + 1 : at + 2] + name[at] + name[at + 2 :]


def doubled(name: str, luck: random.Random) -> str:
    """A character typed twice."""
    at = _place(name, luck)
    return name[:at] + name[at] + name[at:]


def inserted(name: str, luck: random.Random) -> str:
    """A character too many."""
    at = 1 + _place(name, luck)
    return name[:at] + luck.choice(_COMMON) + name[at:]


def look_alike(name: str, luck: random.Random) -> str:
    """A character that looks like the right one; the name itself where there is none."""
    return _replaced(name, LOOK_ALIKE, luck)


def radical(name: str, luck: random.Random) -> str:
    """A CJK or Kangxi radical instead of the character, as PDF files give them."""
    return _replaced(name, RADICALS, luck)


def _replaced(name: str, table: Mapping[str, str], luck: random.Random) -> str:
    at = [i for i, c in enumerate(name[:-1]) if table.get(c, c) != c]
    if not at:
        return name
    i = luck.choice(at)
    return name[:i] + table[name[i]] + name[i + 1 :]


@cache
def _by_sound() -> Mapping[str, tuple[str, ...]]:
    """Common characters by their sound without tone (GB 2312, level one: 3 755 characters)."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in range(0xB0, 0xD8):
        for cell in range(0xA1, 0xFF):
            if (row, cell) > (0xD7, 0xF9):
                break
            character = bytes([row, cell]).decode("gb2312")
            found[lazy_pinyin(character)[0]].append(character)
    return {sound: tuple(characters) for sound, characters in found.items()}


def homophone(name: str, luck: random.Random) -> str:
    """A character of the same sound, as a pinyin keyboard offers it."""
    at = _place(name, luck)
    same = [c for c in _by_sound().get(lazy_pinyin(name)[at], ()) if c != name[at]]
    return name[:at] + luck.choice(same) + name[at + 1 :] if same else name


def near_homophone(name: str, luck: random.Random) -> str:
    """A character of a sound that Hakka and Cantonese speakers do not keep apart."""
    at = _place(name, luck)
    sound = lazy_pinyin(name)[at]
    near = [other + sound[len(one) :] for one, other in _NEAR_SOUNDS if sound.startswith(one)]
    if sound.endswith("ng"):
        near.append(sound[:-1])
    elif sound.endswith(_ENDINGS):
        near.append(sound + "g")
    same = [c for s in near for c in _by_sound().get(s, ())]
    return name[:at] + luck.choice(same) + name[at + 1 :] if same else name


def twice(error: Error) -> Error:
    """The error made two times."""
    return lambda name, luck: error(error(name, luck), luck)


@cache
def _converter(name: str) -> opencc.OpenCC:
    return opencc.OpenCC(name)


def traditional(text: str) -> str:
    """Characters of mainland tradition."""
    return str(_converter("s2t").convert(text))


def full_width(text: str) -> str:
    """Digits and Latin letters as an input method in full-width mode writes them."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def spelled(text: str, between: str = " ") -> str:
    """Pinyin without tones; other characters stay."""
    return between.join(lazy_pinyin(text))


def initials(text: str) -> str:
    """First letters in capitals: 大埔县 gives DPX."""
    return "".join(s[0][0] for s in pinyin(text, style=Style.FIRST_LETTER)).upper()


_DIGITS = "〇一二三四五六七八九"


def chinese_number(number: int) -> str:
    """41 as 四十一, 105 as 一百零五."""
    if number < 10:
        return _DIGITS[number]
    if number < 100:
        ten, one = divmod(number, 10)
        return ("" if ten == 1 else _DIGITS[ten]) + "十" + (_DIGITS[one] if one else "")
    hundred, rest = divmod(number, 100)
    if not rest:
        return f"{_DIGITS[hundred]}百"
    zero = "零" if rest < 10 else ("一" if rest < 20 else "")
    return f"{_DIGITS[hundred]}百{zero}{chinese_number(rest)}"


def unlike(name: str, others: Iterable[str], most: int) -> bool:
    """Whether no other name is within `most` edits, so that a reader can only mean one."""
    return process.extractOne(name, others, scorer=OSA.distance, score_cutoff=most) is None
