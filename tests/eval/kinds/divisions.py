"""Names of divisions alone: villages, homonyms, former names, repeated and foreign prefixes."""

from __future__ import annotations

import random

from tests.eval.corpus import HELD_OUT, TUNING, Made, Pool, kind, picks, stem
from tests.eval.errors import initials, spelled, traditional
from tests.eval.kinds.numbers import label

FORMER = {
    "441403": ("梅县", "梅县市", "广东省梅县", "梅县地区梅县"),
    "441481": ("兴宁县", "梅县地区兴宁县", "广东省兴宁县"),
    "441424": ("梅县地区五华县", "长乐县"),
    "441427": ("梅县地区蕉岭县", "镇平县"),
    "441422": ("梅县地区大埔县", "汕头地区大埔县"),
    "441423": ("梅县地区丰顺县", "汕头地区丰顺县"),
    "441426": ("梅县地区平远县",),
}
"""Former names of the counties, from the year books; 长乐 and 镇平 were renamed in 1914."""


def county_short(pool: Pool, code: str) -> str:
    name = pool.county(code)
    return "梅县" if name == "梅县区" else name[:-1]


def alone_in_county(pool: Pool, code: str) -> bool:
    return len(pool.shared(pool.name(code), code[:6])) == 1


def alone(pool: Pool, code: str) -> bool:
    return len(pool.shared(pool.name(code))) == 1


@kind(TUNING, "village", 60)
def county_town_village(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, pool.villages):
        yield f"{pool.county(v.code)}{pool.town(v.code)}{v.name}", f"div:{v.code}"


@kind(TUNING, "village", 40)
def short_county_short_town(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, pool.villages):
        text = f"{county_short(pool, v.code)}{stem(pool.town(v.code))}{v.name}"
        if len(pool.shared(v.name, v.code[:9])) == 1:
            yield text, f"div:{v.code}"


@kind(HELD_OUT, "village", 60)
def town_and_village(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, pool.villages):
        if len(pool.shared(pool.town(v.code))) == 1:
            yield f"{pool.town(v.code)}{v.name}", f"div:{v.code}"


@kind(HELD_OUT, "village", 60)
def county_and_village(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, pool.villages):
        if alone_in_county(pool, v.code):
            yield f"梅州市{pool.county(v.code)}{v.name}", f"div:{v.code}"


@kind(HELD_OUT, "village", 60)
def committee_of_a_village(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, pool.villages):
        full = {"村": "民委员会", "社": ""}.get(v.name[-1:], "")
        name = v.name + full if full else v.official
        yield f"广东省{pool.county(v.code)}{pool.town(v.code)}{name}", f"div:{v.code}"


@kind(HELD_OUT, "village", 60)
def group_in_a_village(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, [v for v in pool.villages if v.name.endswith("村")]):
        place = luck.choice(["上屋", "下围", "老屋", "河背", "塘角", "坑尾", "岭下"])
        rest = luck.choice(
            ["第三小组", "五组", "8队", "第十二村民小组28号", f"{place}", "二组15号"]
        )
        yield f"{pool.county(v.code)}{pool.town(v.code)}{v.name}{rest}", f"div:{v.code}"


@kind(TUNING, "town", 30)
def county_and_town(pool: Pool, luck: random.Random) -> Made:
    for t in picks(luck, pool.towns):
        yield pool.county(t.code) + t.name, f"div:{t.code}"


@kind(HELD_OUT, "town", 40)
def town_by_short_names(pool: Pool, luck: random.Random) -> Made:
    for t in picks(luck, pool.towns):
        form = luck.choice(["广东梅州{}{}", "{}{}", "{} {}", "梅州{}{}"])
        yield form.format(county_short(pool, t.code), stem(t.name)), f"div:{t.code}"


@kind(HELD_OUT, "town", 40)
def town_office(pool: Pool, luck: random.Random) -> Made:
    for t in picks(luck, pool.towns):
        if t.name.endswith("镇") and alone(pool, t.code):
            end = luck.choice(["圩", "圩镇", "政府", "人民政府", "街上", "墟"])
            yield f"{luck.choice(['', pool.county(t.code)])}{t.name}{end}", f"div:{t.code}"


# homonyms --------------------------------------------------------------------


def _shared_names(pool: Pool) -> list[tuple[str, tuple[str, ...]]]:
    names = sorted({d.name for d in pool.base.divisions.values()})
    found = [(name, pool.base.bearers(name)) for name in names if pool.has(name)]
    return [(name, codes) for name, codes in found if len(codes) > 1]


@kind(TUNING, "homonym", 60)
def bare_shared_name(pool: Pool, luck: random.Random) -> Made:
    for name, codes in picks(luck, _shared_names(pool)):
        yield name, f"any:{','.join(codes)}"


@kind(HELD_OUT, "homonym", 60)
def shared_name_in_the_city(pool: Pool, luck: random.Random) -> Made:
    for name, codes in picks(luck, _shared_names(pool)):
        yield luck.choice(["广东省梅州市", "梅州", "梅州市"]) + name, f"any:{','.join(codes)}"


@kind(HELD_OUT, "homonym", 60)
def shared_name_with_county(pool: Pool, luck: random.Random) -> Made:
    for name, codes in picks(luck, _shared_names(pool)):
        code = luck.choice(codes)
        same = [c for c in codes if c[:6] == code[:6]]
        wanted = f"div:{code}" if len(same) == 1 else f"any:{','.join(same)}"
        yield luck.choice([pool.county(code), county_short(pool, code)]) + name, wanted


def _like_a_town(pool: Pool) -> list[tuple[str, str]]:
    """Villages with the stem of a town of another county, and that town."""
    towns = {stem(d.name): c for c, d in pool.base.divisions.items() if len(c) == 9}
    found = []
    for code, name in pool.stems().items():
        town = towns.get(name)
        if town is not None and town[:6] != code[:6]:
            found.append((code, town))
    return found


@kind(TUNING, "homonym", 30)
def village_like_a_town(pool: Pool, luck: random.Random) -> Made:
    for code, _ in picks(luck, [p for p in _like_a_town(pool) if pool.has(p[0][:9])]):
        yield pool.county(code) + pool.town(code) + pool.name(code), f"div:{code}"


@kind(HELD_OUT, "homonym", 47)
def village_like_a_town_no_town_given(pool: Pool, luck: random.Random) -> Made:
    for code, _ in picks(luck, [p for p in _like_a_town(pool) if pool.has(p[0][:9])]):
        same = pool.shared(pool.name(code), code[:6])
        wanted = f"div:{code}" if len(same) == 1 else f"any:{','.join(same)}"
        yield county_short(pool, code) + pool.name(code), wanted


@kind(HELD_OUT, "homonym", 30)
def stem_of_village_and_town(pool: Pool, luck: random.Random) -> Made:
    for code, _ in picks(luck, _like_a_town(pool)):
        name = stem(pool.name(code))
        codes = [c for c, d in pool.base.divisions.items() if stem(d.name) == name]
        yield name, f"any:{','.join(codes)}"


# former names ----------------------------------------------------------------


@kind(TUNING, "former name", 40)
def former_county(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, pool.villages):
        if v.code[:6] in ("441403", "441481"):
            former = FORMER[v.code[:6]][0]
            yield f"{former}{pool.town(v.code)}{v.name}", f"div:{v.code}"


@kind(HELD_OUT, "former name", 60)
def former_prefecture(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, pool.villages):
        former = FORMER.get(v.code[:6], ())[1:]
        if former:
            yield f"{luck.choice(former)}{pool.town(v.code)}{v.name}", f"div:{v.code}"


@kind(HELD_OUT, "former name", 30)
def former_kind_of_town(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, [v for v in pool.villages if pool.town(v.code).endswith("镇")]):
        town = pool.town(v.code)[:-1]
        end = luck.choice(["公社", "乡", "区", "人民公社"])
        village = luck.choice([v.name, stem(v.name) + "大队"])
        yield f"{pool.county(v.code)}{town}{end}{village}", f"div:{v.code}"


@kind(HELD_OUT, "former name", 20)
def names_of_the_old_town(pool: Pool, luck: random.Random) -> Made:
    house = [h for h in pool.houses if h.county == "梅江区"]
    for h in picks(luck, house):
        head = luck.choice(["嘉应州", "程乡县", "梅州城", "梅城", "梅县市", "梅县地区梅县市"])
        yield f"{head}{h.road}{h.number}", label(h)


# prefixes that repeat or contradict ------------------------------------------


@kind(TUNING, "prefix", 50)
def default_county_in_front(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, [h for h in pool.houses if h.county == "梅县区"]):
        yield f"广东省梅州市梅江区{h.full}", label(h)


@kind(TUNING, "prefix", 20)
def prefix_twice(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        yield f"广东省梅州市{h.county}广东省梅州市{h.county}{h.town}{h.road}{h.number}", label(h)


@kind(HELD_OUT, "prefix", 40)
def other_province_in_front(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        head = luck.choice(
            ["广东省深圳市宝安区中国", "浙江省嘉兴市海盐县", "广东省广州市天河区", "福建省龙岩市"]
        )
        yield head + h.full, label(h)


@kind(HELD_OUT, "prefix", 40)
def default_county_before_a_village(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, pool.villages):
        if v.code[:6] != "441402":
            yield (
                f"梅州市梅江区{pool.county(v.code)}{pool.town(v.code)}{v.name}",
                f"div:{v.code}",
            )


@kind(HELD_OUT, "prefix", 40)
def address_twice(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        form = luck.choice(["{a}{b}", "{a} {b}", "{a}（{b}）", "{b},{a}"])
        yield form.format(a=h.full, b=h.county + h.road + h.number), label(h)


@kind(HELD_OUT, "prefix", 30)
def neighbour_town_in_front(pool: Pool, luck: random.Random) -> Made:
    towns = {"江南街道": "金山街道", "金山街道": "江南街道", "扶大镇": "程江镇", "程江镇": "扶大镇"}
    for h in picks(luck, pool.houses):
        yield f"{h.county}{towns[h.town]}{h.road}{h.number}", label(h)


# pinyin ----------------------------------------------------------------------


@kind(TUNING, "pinyin", 40)
def spelled_town(pool: Pool, luck: random.Random) -> Made:
    for t in picks(luck, pool.towns):
        yield spelled(pool.county(t.code) + t.name), f"div:{t.code}"


@kind(HELD_OUT, "pinyin", 40)
def spelled_together(pool: Pool, luck: random.Random) -> Made:
    for t in picks(luck, pool.towns):
        yield f"{spelled(pool.county(t.code), '')} {spelled(t.name, '')}", f"div:{t.code}"


@kind(HELD_OUT, "pinyin", 40)
def spelled_street(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        if "之" not in h.number:
            yield f"{spelled(h.road, luck.choice(['', ' ']))} {h.number}", label(h)


@kind(HELD_OUT, "pinyin", 30)
def letters_of_the_county(pool: Pool, luck: random.Random) -> Made:
    shorts = [initials(d.name) for c, d in pool.base.divisions.items() if len(c) == 6]
    for t in picks(luck, pool.towns):
        letters = initials(pool.county(t.code))
        if shorts.count(letters) == 1:
            yield letters + t.name, f"div:{t.code}"


@kind(HELD_OUT, "pinyin", 8)
def county_of_two_readings(pool: Pool, luck: random.Random) -> Made:
    for text in ("dabu", "dapu", "DBX", "DPX", "dabu xian", "Dapu County", "dapuxian", "DA BU"):
        yield text, "div:441422"


@kind(HELD_OUT, "script", 30)
def traditional_village(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, pool.villages):
        text = pool.county(v.code) + pool.town(v.code) + v.name
        if traditional(text) != text:
            yield traditional("广东省梅州市" + text), f"div:{v.code}"


@kind(HELD_OUT, "no record", 40)
def ancestral_halls(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, [v for v in pool.villages if v.name.endswith("村")]):
        hall = luck.choice(("敦睦堂", "绍德堂", "光禄第", "司马第", "联芳楼", "东升围"))
        form = luck.choice(("{}{}，{}", "{}的{}{}围龙屋旁", "{}{}{}围屋里"))
        yield form.format(pool.town(v.code), v.name, hall), f"div:{v.code}"


@kind(HELD_OUT, "no record", 40)
def towers_never_built(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.towers):
        form = luck.choice(("{}第{}栋", "{}{}座顶楼", "{} {}号楼 1单元", "住{}{}幢一楼"))
        yield h.county + form.format(h.estate, luck.randint(101, 140)), f"block:{h.estate}"
