"""What each rule takes from a score, and the words that explain it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice, pairwise

from gazetteer.answers import Reason
from gazetteer.history import other_names
from gazetteer.index import Form
from gazetteer.levels import Kind
from gazetteer.locate import How
from gazetteer.normalise import Normalised, is_han, key_of
from gazetteer.readings import Edge, Reading
from gazetteer.records import Place, contains
from gazetteer.relative import displacement

CROSSING = "crossing"
"""Category of a place that is the crossing of two roads."""

_LEADS = ("在", "到", "于", "反映", "是", "住", "经过", "路过", "去", "从", "称", "报", "投诉", ":")
"""Words after which a report names its place."""
_FOLLOWS = (
    "有", "发生", "出现", "存在", "乱", "被", "没", "无", "很", "请", "希望", "要求", "积水", "堵",
    "损坏", "缺失", "漏水", "噪音", "占道", "违", "路面", "垃圾", "井盖", "停", "晚上", "每天",
)  # fmt: skip
"""Words with which a report goes on to what happened there."""

_BESIDE = "内里口门近旁处店铺同及"

HOW_REASON = {
    How.EXACT: Reason("number", "门牌相符", "the house number is on record"),
    How.MAIN_NUMBER: Reason(
        "main-number", "主门牌相符，附号没有记录", "main number on record, its suffix is not", -0.08
    ),
    How.INTERPOLATED: Reason(
        "interpolated",
        "由相邻门牌沿道路内插",
        "interpolated along the road between neighbours",
        -0.15,
    ),
    How.EXTRAPOLATED: Reason(
        "extrapolated", "按同侧门牌的间距外推", "continued in the rhythm of its side", -0.2
    ),
    How.NEAREST: Reason(
        "nearest", "取最近的门牌", "position of the nearest number on record", -0.25
    ),
}
_FORM_REASON = {
    Form.SHORT: ("short-name", "简称", "short name"),
    Form.CLASS: ("other-class", "通名不同", "other class word"),
    Form.PINYIN: ("pinyin", "拼音", "pinyin"),
    Form.FORMER: ("former-name", "旧名", "former name"),
    Form.ALIAS: ("alias", "别名", "alias"),
    Form.INITIALS: ("initials", "拼音首字母", "pinyin initials"),
    Form.HOMOPHONE: ("homophone", "同音字", "sounds the same"),
    Form.FUZZY: ("one-character", "一字之差", "one character differs"),
}
_FORM_DELTA = {
    Form.CLASS: -0.08,
    Form.PINYIN: -0.05,
    Form.FORMER: -0.03,
    Form.ALIAS: -0.05,
    Form.INITIALS: -0.15,
    Form.HOMOPHONE: -0.11,
    Form.FUZZY: -0.12,
}
_OTHER_CLASS_OF_VILLAGE = -0.12
"""兴南社区 for 兴南村: there are many villages, and another may lack one character."""
CORRECTED = (Form.HOMOPHONE, Form.FUZZY)
"""Forms that are not what was typed, but near it."""
UNCONFIRMED = Reason(
    "unconfirmed", "没有上级地名佐证", "no other name in the text confirms it", -0.2
)
GIVEN_UP = Reason(
    "restart", "前面的区划与后文矛盾，以后文为准", "an earlier division was given up", -0.25
)
_SHORT_DELTA = {Kind.PROVINCE: 0.0, Kind.CITY: 0.0, Kind.COUNTY: 0.0, Kind.TOWN: -0.02}


def general_reasons(
    normalised: Normalised, reading: Reading, behind: float, place: Place
) -> Iterable[Reason]:
    """What the reading as a whole takes from the score, whatever it is matched to."""
    confirmers = _confirmers(reading)
    for edge in reading.edges:
        if edge.form in _FORM_REASON and edge.form is not None:
            rule, zh, en = _FORM_REASON[edge.form]
            delta = _FORM_DELTA.get(edge.form) or _SHORT_DELTA.get(edge.kind, -0.05)
            if edge.form is Form.CLASS and edge.kind is Kind.VILLAGE:
                delta = _OTHER_CLASS_OF_VILLAGE
            typed = normalised.original(edge.start, edge.end)
            meant = _meant(edge, place)
            if edge.form in (Form.FORMER, Form.ALIAS):
                zh = f"{zh}：{_became(normalised.key[edge.start : edge.end], place.code[:4])}"
            yield Reason(rule, f"{typed} → {meant}（{zh}）", f"{en}: {meant}", delta)
            if edge.form in CORRECTED and not _confirmed(confirmers, edge):
                yield UNCONFIRMED
        elif edge.is_unknown and not edge.codes:
            yield unknown_name(edge)
    yield from _unread_reasons(normalised, reading)
    if any(_begins_with_note(*pair) for pair in pairwise(reading.edges)):
        # 内河岭村 need not be 河岭村 inside something
        yield Reason(
            "gap", "名称之前的字可能属于名称", "what stands before may belong to it", -0.12
        )
    for before, after in reading.conflicts:
        yield Reason(
            "conflict",
            f"{after.value}不属于{before.value}",
            f"{after.value} is not in {before.value}",
            -0.5,
        )
    if reading.restarted:
        yield GIVEN_UP
    way = displacement(reading, crossing=place.category == CROSSING)
    if way is not None:
        yield Reason(
            "displaced",
            f"文中说的是“{way.text}”，不是原处",
            f"the text says {way.text!r}: near it, not at it",
            -0.05 if way.azimuth is not None and way.metres else -0.1,
        )
    if behind > 0:
        yield Reason("other-reading", "另一种读法", "another reading is likelier", -0.08 * behind)


def unknown_name(edge: Edge) -> Reason:
    """What it costs that a name has the shape of one, and no record."""
    return Reason(
        "unknown-name",
        f"{edge.kind.zh}“{edge.value}”不在地名库中",
        f"{edge.kind.label} {edge.value!r} is not in the gazetteer",
        -0.2,
    )


def named_elsewhere(edge: Edge) -> Reason:
    """What it costs that the name corrected is right for another village: 江上村 in 隆文镇."""
    return Reason(
        "named-elsewhere",
        f"别处另有同名村，这里按{edge.value}理解",
        f"another town has a village of the name typed; taken for {edge.value}",
        -0.15,
    )


def _unread_reasons(normalised: Normalised, reading: Reading) -> Iterable[Reason]:
    """What was not read: part of the address (which costs), or prose around it (hardly)."""
    key = normalised.key
    prose: list[tuple[int, int]] = []
    missed_ranges: list[tuple[int, int]] = []
    for low, high in reading.unread(key):
        (prose if _is_prose(key, reading, low, high) else missed_ranges).append((low, high))
    if prose:
        words = "、".join(normalised.original(low, high) for low, high in prose)[:60]
        yield Reason("prose", f"与地点无关：{words}", f"not about the place: {words}", -0.03)
    if not missed_ranges:
        return
    apart = sum(high - low for low, high in prose)
    total = max(1, sum(is_han(c) or c.isalnum() for c in key) - apart)
    missed = sum(is_han(c) or c.isalnum() for low, high in missed_ranges for c in key[low:high])
    words = "、".join(normalised.original(low, high) for low, high in missed_ranges)[:60]
    plates = [
        key[low:high]
        for low, high in missed_ranges
        if key[low:high].isdigit()
        and any(e.kind is Kind.ROAD and e.end == low for e in reading.edges)
    ]
    if plates:  # a bare number behind a road is its plate: the road alone says less
        yield Reason("number-unread", f"未用到门牌 {plates[0]}", f"no plate {plates[0]}", -0.2)
    yield Reason(
        "unread",
        f"未用到：{words}",
        f"not used: {words}",
        -max(0.05, 0.03 * missed, 0.45 * missed / total),
    )
    confirmers = _confirmers(reading)
    glued = _glued(reading, missed_ranges)
    if glued:
        yield Reason("gap", "名称之前有未读的字", "characters before a name were not read", -0.12)
    if any(e.codes and e.form not in CORRECTED and not _confirmed(confirmers, e) for e in glued):
        # the tail of a longer name: 圩镇社区 of a misspelled 荷泗圩镇社区
        yield UNCONFIRMED


def _is_prose(key: str, reading: Reading, low: int, high: int) -> bool:
    """Whether unread text stands apart from the place: before it or after it, behind a break."""
    located = [e for e in reading.edges if e.kind is not Kind.NOTE and not e.is_unknown]
    if not located:
        return False
    first, last = located[0].start, max(e.end for e in located)
    if high <= first:
        return high < first or key[:high].endswith(_LEADS)
    if low >= last:
        return low > last or key.startswith(_FOLLOWS, low)
    return False


def _became(typed: str, city_code: str) -> str:
    """What became of a former name, or what an alias is for."""
    known = (o.reason for o in other_names(city_code) if key_of(o.name) == typed)
    return next(known, "")


def _glued(reading: Reading, ranges: Iterable[tuple[int, int]]) -> list[Edge]:
    """Names that one or two unread characters stand directly before, so that they belong to it."""
    starts = {e.start: e for e in reversed(reading.edges) if e.places}
    ends = {e.end for e in reading.edges if e.places}
    return [
        starts[high]
        for low, high in ranges
        if high - low <= 2 and (low == 0 or low in ends) and high in starts
    ]


def _begins_with_note(before: Edge, name: Edge) -> bool:
    """Whether one character that says where (内, 口, 近) stands before a village or town name."""
    return (
        name.kind in (Kind.TOWN, Kind.VILLAGE)
        and before.kind is Kind.NOTE
        and before.end == name.start
        and before.end - before.start == 1
        and before.value in _BESIDE
    )


def _confirmers(reading: Reading) -> tuple[Edge, ...]:
    """Two names at most, county or nearer, that leave few enough places for a misspelled one."""
    sure = (Form.FULL, Form.SHORT, Form.CLASS)
    found = (e for e in reading.edges if e.form in sure and e.kind >= Kind.COUNTY)
    return tuple(islice(found, 2))


def _confirmed(confirmers: tuple[Edge, ...], edge: Edge) -> bool:
    """Whether another name than the edge itself confirms it."""
    return any(e is not edge for e in confirmers)


def _meant(edge: Edge, place: Place) -> str:
    """Which of the names that an edge may stand for leads to the place."""
    if edge.kind is place.kind and not edge.codes:
        return place.name
    fitting = (p.name for p in edge.places if contains(p.code, place.code))
    return next(fitting, edge.value)
