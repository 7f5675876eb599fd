"""Places without a plain number: crossings, relative positions, points of interest, posts."""

from __future__ import annotations

import random

from tests.eval.corpus import HELD_OUT, TUNING, Made, Pool, kind, picks
from tests.eval.kinds.numbers import plain


@kind(TUNING, "crossing", 50)
def crossing_and(pool: Pool, luck: random.Random) -> Made:
    for a, b in picks(luck, pool.crossings):
        form = luck.choice(["{}与{}交叉口", "{}和{}交汇处", "{}与{}交界处"])
        head = luck.choice(["", "梅州市", "广东省梅州市"])
        yield head + form.format(a, b), f"cross:{a}|{b}"


@kind(HELD_OUT, "crossing", 60)
def crossing_otherwise(pool: Pool, luck: random.Random) -> Made:
    forms = ["{}/{}路口", "{}×{}", "{}{}十字路口", "{}转{}拐角处", "{}跟{}的丁字路口",
             "{}-{}交叉路口", "{}（{}路口）", "{}&{}", "{}、{}交会处", "{} {} 路口"]  # fmt: skip
    for a, b in picks(luck, pool.crossings):
        yield luck.choice(forms).format(a, b), f"cross:{a}|{b}"


@kind(HELD_OUT, "crossing", 30)
def corner_of_a_crossing(pool: Pool, luck: random.Random) -> Made:
    for a, b in picks(luck, pool.crossings):
        corner = luck.choice(["东北角", "西南角", "红绿灯处", "东南侧", "人行道上", "公交站旁"])
        yield f"{a}与{b}交叉口{corner}", f"cross:{a}|{b}"


@kind(TUNING, "relative", 50)
def opposite_or_beside(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        where = luck.choice(["对面", "旁边", "附近", "隔壁"])
        yield f"{h.county}{h.road}{h.number}{where}", f"near:{h.road}{h.number}"


@kind(TUNING, "relative", 30)
def metres_to_the_east(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        way, metres = luck.choice("东南西北"), luck.choice([50, 100, 200])
        yield (
            f"{h.county}{h.road}{h.number}往{way}{metres}米",
            f"offset:{h.road}{h.number}|{way}|{metres}",
        )


@kind(HELD_OUT, "relative", 60)
def some_way_off(pool: Pool, luck: random.Random) -> Made:
    forms = ["{}{}方向约{}米", "{}向{}走{}米左右", "距{}{}侧{}米处", "{}以{}{}m", "{}偏{}{}米"]
    for h in picks(luck, plain(pool)):
        way = luck.choice(["东", "南", "西", "北", "东北", "西南"])
        metres = luck.choice([80, 150, 300])
        text = luck.choice(forms).format(h.town + h.road + h.number, way, metres)
        yield text, f"offset:{h.road}{h.number}|{way}|{metres}"


@kind(HELD_OUT, "relative", 40)
def spoken_nearness(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        where = luck.choice(
            ["斜对面", "门口", "门前路边", "后面巷子里", "楼下", "正对面人行道", "左手边"]
        )
        yield f"{h.town}{h.road}{h.number}{where}", f"near:{h.road}{h.number}"


@kind(HELD_OUT, "relative", 30)
def near_a_crossing(pool: Pool, luck: random.Random) -> Made:
    for a, b in picks(luck, pool.crossings):
        near = luck.choice(["附近", "旁", "处", "旁边的店铺"])
        yield f"梅州{a}靠近{b}路口{near}", f"cross:{a}|{b}"


@kind(TUNING, "point of interest", 50)
def poi_with_county(pool: Pool, luck: random.Random) -> Made:
    for name in picks(luck, pool.pois):
        yield pool.county(pool.base.pois[name][1]) + name, f"poi:{name}"


@kind(HELD_OUT, "point of interest", 60)
def poi_alone(pool: Pool, luck: random.Random) -> Made:
    for name in picks(luck, pool.pois):
        yield name, f"poi:{name}"


@kind(HELD_OUT, "point of interest", 40)
def poi_with_a_space_in_its_name(pool: Pool, luck: random.Random) -> Made:
    for name in picks(luck, [p for p in pool.pois if "号" in p and not p.endswith("号")]):
        address, _, word = name.rpartition("号")
        head = pool.town(pool.base.pois[name][1])
        yield (
            luck.choice([f"{word}（{head}{address}号）", f"{head}{address}号 {word}"]),
            f"poi:{name}",
        )


@kind(TUNING, "post", 20)
def kilometre_post(pool: Pool, luck: random.Random) -> Made:
    roads = ["G206线", "S223线", "G235线", "G205线"]
    for road in picks(luck, roads):
        yield f"{road}K{luck.randint(2000, 2400)}+{luck.randint(0, 9)}00", f"road:{road}"


@kind(TUNING, "post", 20)
def lamp_post(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        yield f"{h.road}路灯杆LD-{luck.randint(1, 900):04d}旁", f"about:{h.road}"


@kind(HELD_OUT, "post", 30)
def highway_words(pool: Pool, luck: random.Random) -> Made:
    forms = ["国道206线{}公里+{}米处", "省道223线{}km+{}m右侧", "梅河高速K{}+{}往河源方向",
             "济广高速{}公里{}米", "205国道{}公里{}米路段", "G235 K{}+{}"]  # fmt: skip
    roads = ["G206线", "S223线", "梅河高速", "济广高速", "G205线", "G235线"]
    for at in picks(luck, range(len(forms))):
        text = forms[at].format(luck.randint(20, 80), luck.choice([100, 300, 650]))
        yield text, f"road:{roads[at]}"


@kind(HELD_OUT, "post", 30)
def other_posts(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        number = luck.randint(1, 300)
        post = luck.choice(
            [f"{number}号电线杆", f"监控杆JK{number:03d}", f"第{number}号路灯", f"井盖YS-{number}"]
        )
        yield f"{h.road}{post}", f"about:{h.road}"


@kind(TUNING, "unofficial number", 30)
def own_or_temporary(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        form = luck.choice(["自编{}号", "临{}号", "自编{}号之三"])
        yield f"{h.county}{h.road}{form.format(luck.randint(1, 90))}", f"about:{h.road}"


@kind(HELD_OUT, "unofficial number", 40)
def other_unofficial(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        form = luck.choice(
            ["（自编）{}号", "临时{}号", "自编A{}", "无门牌，自编第{}号", "临街{}号铺"]
        )
        yield f"{h.town}{h.road}{form.format(luck.randint(1, 90))}", f"about:{h.road}"
