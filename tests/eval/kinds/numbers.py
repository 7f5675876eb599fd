"""Streets and house numbers: plain forms, missing levels, spellings of numbers, gaps, insides."""

from __future__ import annotations

import random
import re

from tests.eval.corpus import HELD_OUT, TUNING, Made, Pool, kind, picks, stem
from tests.eval.errors import chinese_number, full_width, look_alike, radical, traditional, unlike
from tests.eval.truth import House


def label(house: House) -> str:
    if house.number:
        return f"number:{house.road}{house.number}"
    return f"tower:{house.estate}|{house.building}"


def plain(pool: Pool) -> list[House]:
    """Houses without 之一."""
    return [h for h in pool.houses if re.fullmatch(r"\d+号", h.number)]


# plain forms -----------------------------------------------------------------


@kind(TUNING, "plain form")
def full_form(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        yield h.full, label(h)


@kind(TUNING, "plain form", 20)
def from_the_city(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        yield h.full.removeprefix("广东省"), label(h)


@kind(HELD_OUT, "plain form")
def with_the_community(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        yield f"广东省梅州市{h.county}{h.town}{h.village}{h.road}{h.number}", label(h)


@kind(HELD_OUT, "plain form")
def by_fields(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        comma = luck.choice([" ", "，", ",", "/", "-", "、", "|", "\t", "　"])
        yield comma.join(["广东省", "梅州市", h.county, h.town, h.road + h.number]), label(h)


@kind(HELD_OUT, "plain form")
def country_in_front(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, [*pool.houses, *pool.towers]):
        head = luck.choice(["中国", "中华人民共和国", "中国·"])
        yield head + h.full, label(h)


# missing upper levels --------------------------------------------------------


@kind(TUNING, "missing levels")
def street_and_number(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        yield h.road + h.number, label(h)


@kind(TUNING, "missing levels")
def county_and_street(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        yield h.county + h.road + h.number, label(h)


@kind(HELD_OUT, "missing levels")
def town_and_street(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        yield h.town + h.road + h.number, label(h)


@kind(HELD_OUT, "missing levels")
def community_and_street(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        yield h.village + h.road + h.number, label(h)


@kind(HELD_OUT, "missing levels")
def city_and_street(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        yield luck.choice(["梅州市", "梅州", "广东梅州", "广东"]) + h.road + h.number, label(h)


# short names -----------------------------------------------------------------


@kind(TUNING, "short names")
def short_county_and_town(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        yield f"{h.county.rstrip('区')}{stem(h.town)}{h.road}{h.number}", label(h)


@kind(HELD_OUT, "short names")
def short_levels_apart(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        county = h.county[:-1] if h.county != "梅县区" else "梅县"
        yield f"梅州 {county} {stem(h.town)} {h.road} {h.number.rstrip('号')}", label(h)


@kind(HELD_OUT, "short names")
def short_down_to_community(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        county = h.county[:-1] if h.county != "梅县区" else "梅县"
        yield f"广东梅州{county}{stem(h.town)}{stem(h.village)}{h.road}{h.number}", label(h)


# scripts ---------------------------------------------------------------------


@kind(TUNING, "script")
def traditional_full(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        yield traditional(h.full), label(h)


@kind(TUNING, "script", 20)
def full_width_digits(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        yield full_width(h.county + h.road + h.number), label(h)


@kind(HELD_OUT, "script")
def look_alike_city(pool: Pool, luck: random.Random) -> Made:
    roads = {h.road for h in pool.base.houses if h.road}
    for h in picks(luck, pool.houses):
        wrong = look_alike(h.road, luck)
        if unlike(wrong, roads - {h.road}, 1):
            yield f"梅州巿{h.county}{wrong}{h.number}", label(h)


@kind(HELD_OUT, "script")
def radicals_from_pdf(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        wrong = radical(radical(h.county + h.town + h.road, luck), luck)
        if wrong != h.county + h.town + h.road:
            yield wrong + h.number, label(h)


@kind(HELD_OUT, "script", 30)
def traditional_number_word(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        digits = full_width(h.number[:-1])
        yield f"{traditional(h.county)} {traditional(h.road)} {digits}號", label(h)


@kind(HELD_OUT, "script", 30)
def invisible_characters(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        parts = ["\ufeff", h.county, "\u200b", h.town, "\u00a0", h.road, "\u2006", h.number]
        yield "".join(parts), label(h)


# spellings of numbers --------------------------------------------------------


@kind(TUNING, "number form")
def chinese_digits(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        yield f"{h.county}{h.road}{chinese_number(int(h.number[:-1]))}号", label(h)


@kind(TUNING, "number form")
def hash_mark(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        yield f"{h.county}{h.town}{h.road}{h.number[:-1]}#", label(h)


@kind(TUNING, "number form", 20)
def first_of_a_number(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, [h for h in pool.houses if "之一" in h.number]):
        yield h.county + h.road + h.number.replace("之一", "之1"), label(h)


@kind(TUNING, "number form", 20)
def added_number(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        yield f"{h.county}{h.road}{h.number}附{luck.randint(1, 6)}号", f"near:{h.road}{h.number}"


@kind(HELD_OUT, "number form")
def bare_digits(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        yield f"{h.county}{h.road}{h.number[:-1]}", label(h)


@kind(HELD_OUT, "number form", 20)
def hyphen_one(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, [h for h in pool.houses if "之一" in h.number]):
        number = h.number.removesuffix("号之一")
        form = luck.choice(["{}-1号", "{}之一号", "{}号-1", "{}—1号", "{}号之（一）"])
        yield h.county + h.road + form.format(number), label(h)


@kind(HELD_OUT, "number form")
def shops_of_a_number(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        more = luck.choice(
            ["第3间", "-2铺", "首层2号铺", "A", "之三", "临1", "（3）店面", "1-2号店"]
        )
        yield f"{h.county}{h.road}{h.number}{more}", f"near:{h.road}{h.number}"


@kind(HELD_OUT, "number form")
def spoken_number(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        number = h.number[:-1]
        forms = ["第{}号", "门牌{}号", "{} 号", "NO.{}", "No{}", "门牌号：{}号", "（{}号）", "{}號"]
        yield f"{h.town}{h.road}{luck.choice(forms).format(number)}", label(h)


@kind(HELD_OUT, "number form")
def old_and_new_plate(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        old = luck.randint(1, 20) * 2 + 100
        form = luck.choice(["（旧门牌{}号）新门牌{}", "{}号（原{}号）", "新{}号旧{}号"])
        number = h.number[:-1]
        values = (old, h.number) if form.startswith("（旧") else (number, old)
        yield f"{h.county}{h.road}{form.format(*values)}", label(h)


# numbers that the base does not have -----------------------------------------


@kind(TUNING, "gap", 50)
def gap_in_the_street(pool: Pool, luck: random.Random) -> Made:
    for h in luck.sample(pool.gaps, len(pool.gaps)):
        yield h.county + h.road + h.number, label(h)


@kind(HELD_OUT, "gap", 80)
def gap_with_town(pool: Pool, luck: random.Random) -> Made:
    for h in luck.sample(pool.gaps, len(pool.gaps)):
        yield luck.choice([h.town, f"广东省梅州市{h.county}{h.town}"]) + h.road + h.number, label(h)


# inside a plot ---------------------------------------------------------------


@kind(TUNING, "inside")
def unit_and_room(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.towers):
        room = f"{luck.randint(1, 3)}单元{luck.randint(2, 15)}0{luck.randint(1, 4)}"
        yield f"{h.county}{h.town}{h.estate}{h.building}{room}室", label(h)


@kind(TUNING, "inside")
def rooms_of_a_number(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        yield f"{h.county}{h.road}{h.number}{luck.randint(2, 8)}楼{luck.randint(1, 6)}室", label(h)


@kind(HELD_OUT, "inside")
def words_for_building(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.towers):
        number = int(h.building[:-1])
        forms = [f"{number}幢", f"{number}座", f"第{number}栋", f"{number}号楼", f"{number}#楼",
                 f"{chinese_number(number)}栋", f"{number}#"]  # fmt: skip
        room = luck.choice(["301房", "2单元1202", "B梯6楼03", "-1-502", "一单元十二楼1203室", ""])
        yield f"{h.village}{h.estate}{luck.choice(forms)}{room}", label(h)


@kind(HELD_OUT, "inside")
def estate_without_upper_levels(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.towers):
        floor, room = luck.randint(2, 16), luck.randint(1, 4)
        yield f"{h.estate} {h.building} {floor}层 {floor}0{room}", label(h)


@kind(HELD_OUT, "inside")
def building_behind_a_number(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        rest = luck.choice(
            ["A栋1单元402房", "后座3楼", "大院内2栋", "二层201", "负一层车库", "天台"]
        )
        yield f"{h.town}{h.road}{h.number}{rest}", label(h)
