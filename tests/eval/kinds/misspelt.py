"""Misspelt names: one and two characters, dropped, swapped, doubled, homophones, look-alikes.

A misspelling is used only where no other name of its kind is as near, so that a reader who knows
the place can mean one; otherwise even the best engine could only guess.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.eval import errors
from tests.eval.corpus import HELD_OUT, TUNING, Made, Pool, kind, picks, stem
from tests.eval.errors import Error, unlike
from tests.eval.kinds.divisions import county_short
from tests.eval.kinds.numbers import label, plain
from tests.eval.truth import Division


def villages(
    pool: Pool, luck: random.Random, error: Error, *, town: bool, most: int = 1
) -> Iterator[tuple[Division, str]]:
    """Villages and a wrong spelling that fits no other village of the town, or of the city."""
    for v in picks(luck, [v for v in pool.villages if stem(v.name) != v.name]):
        wrong = error(v.name, luck)
        others = pool.stems(v.code[:9] if town else "4414")
        mine = stem(v.name)
        rest = [name for name in others.values() if name != mine]
        alone = list(others.values()).count(mine) == 1
        if wrong != v.name and alone and unlike(stem(wrong), rest, most):
            yield v, wrong


def streets(
    pool: Pool, luck: random.Random, error: Error, *, most: int = 1
) -> Iterator[tuple[str, str]]:
    """(wrong text of street and number, label) where no other street is as near."""
    names = {h.road for h in pool.base.houses if h.road}
    for h in picks(luck, plain(pool)):
        wrong = error(h.road, luck)
        if wrong != h.road and unlike(wrong, names - {h.road}, most):
            yield f"{h.county}{h.town}{wrong}{h.number}", label(h)


# villages, the town being given ----------------------------------------------


@kind(TUNING, "village typo, town given", 60)
def substituted_in_village(pool: Pool, luck: random.Random) -> Made:
    for v, wrong in villages(pool, luck, errors.substituted, town=True):
        yield f"{pool.county(v.code)}{pool.town(v.code)}{wrong}", f"div:{v.code}"


@kind(TUNING, "village typo, town given", 30)
def dropped_in_village(pool: Pool, luck: random.Random) -> Made:
    for v, wrong in villages(pool, luck, errors.dropped, town=True):
        if len(stem(v.name)) >= 3:
            yield f"{pool.county(v.code)}{pool.town(v.code)}{wrong}", f"div:{v.code}"


@kind(HELD_OUT, "village typo, town given", 60)
def look_alike_in_village(pool: Pool, luck: random.Random) -> Made:
    for v, wrong in villages(pool, luck, errors.look_alike, town=True):
        yield f"{pool.town(v.code)}{wrong}", f"div:{v.code}"


@kind(HELD_OUT, "village typo, town given", 40)
def swapped_in_village(pool: Pool, luck: random.Random) -> Made:
    for v, wrong in villages(pool, luck, errors.swapped, town=True):
        yield f"{county_short(pool, v.code)}{pool.town(v.code)}{wrong}", f"div:{v.code}"


@kind(HELD_OUT, "village typo, town given", 40)
def inserted_in_village(pool: Pool, luck: random.Random) -> Made:
    for v, wrong in villages(pool, luck, errors.inserted, town=True):
        yield f"广东梅州{pool.county(v.code)}{pool.town(v.code)}{wrong}", f"div:{v.code}"


# villages without their town -------------------------------------------------


@kind(TUNING, "village typo, no town", 50)
def substituted_no_town(pool: Pool, luck: random.Random) -> Made:
    for v, wrong in villages(pool, luck, errors.substituted, town=False):
        if len(stem(v.name)) >= 3:
            yield f"梅州市{wrong}", f"div:{v.code}"


@kind(HELD_OUT, "village typo, no town", 50)
def look_alike_no_town(pool: Pool, luck: random.Random) -> Made:
    for v, wrong in villages(pool, luck, errors.look_alike, town=False):
        yield f"{pool.county(v.code)}{wrong}", f"div:{v.code}"


@kind(HELD_OUT, "village typo, no town", 50)
def doubled_no_town(pool: Pool, luck: random.Random) -> Made:
    for v, wrong in villages(pool, luck, errors.doubled, town=False):
        yield f"{wrong}", f"div:{v.code}"


@kind(HELD_OUT, "village typo, no town", 40)
def homophone_no_town(pool: Pool, luck: random.Random) -> Made:
    for v, wrong in villages(pool, luck, errors.homophone, town=False):
        yield f"{county_short(pool, v.code)}{wrong}", f"div:{v.code}"


# upper levels ----------------------------------------------------------------


@kind(TUNING, "town or county typo", 50)
def substituted_in_town(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, pool.villages):
        town = pool.town(v.code)
        wrong = errors.substituted(town, luck)
        others = {d.name for c, d in pool.base.divisions.items() if len(c) == 9} - {town}
        if unlike(wrong, others, 1):
            yield f"{pool.county(v.code)}{wrong}{v.name}", f"div:{v.code}"


@kind(HELD_OUT, "town or county typo", 50)
def swapped_or_homophone_town(pool: Pool, luck: random.Random) -> Made:
    for t in picks(luck, pool.towns):
        wrong = luck.choice([errors.homophone, errors.look_alike])(t.name, luck)
        others = {d.name for c, d in pool.base.divisions.items() if len(c) == 9} - {t.name}
        if wrong != t.name and unlike(wrong, others, 1):
            yield f"{pool.county(t.code)}{wrong}", f"div:{t.code}"


@kind(HELD_OUT, "town or county typo", 50)
def homophone_county(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, pool.villages):
        county = pool.county(v.code)
        wrong = luck.choice([errors.homophone, errors.near_homophone])(county, luck)
        if wrong != county:
            yield f"梅州市{wrong}{pool.town(v.code)}{v.name}", f"div:{v.code}"


@kind(HELD_OUT, "town or county typo", 40)
def town_and_village_wrong(pool: Pool, luck: random.Random) -> Made:
    for v, wrong in villages(pool, luck, errors.substituted, town=False):
        town = pool.town(v.code)
        other = errors.homophone(town, luck)
        others = {d.name for c, d in pool.base.divisions.items() if len(c) == 9} - {town}
        if other != town and len(stem(v.name)) >= 3 and unlike(other, others, 1):
            yield f"{pool.county(v.code)}{other}{wrong}", f"div:{v.code}"


# streets ---------------------------------------------------------------------


@kind(TUNING, "street typo", 60)
def substituted_in_street(pool: Pool, luck: random.Random) -> Made:
    yield from streets(pool, luck, errors.substituted)


@kind(HELD_OUT, "street typo", 40)
def swapped_in_street(pool: Pool, luck: random.Random) -> Made:
    yield from streets(pool, luck, errors.swapped)


@kind(HELD_OUT, "street typo", 40)
def inserted_in_street(pool: Pool, luck: random.Random) -> Made:
    yield from streets(pool, luck, errors.inserted)


@kind(HELD_OUT, "street typo", 40)
def look_alike_in_street(pool: Pool, luck: random.Random) -> Made:
    yield from streets(pool, luck, errors.look_alike)


# sounds ----------------------------------------------------------------------


@kind(TUNING, "sound", 40)
def homophone_village(pool: Pool, luck: random.Random) -> Made:
    for v, wrong in villages(pool, luck, errors.homophone, town=True):
        yield f"{pool.county(v.code)}{pool.town(v.code)}{wrong}", f"div:{v.code}"


@kind(HELD_OUT, "sound", 40)
def homophone_street(pool: Pool, luck: random.Random) -> Made:
    yield from streets(pool, luck, errors.homophone)


@kind(HELD_OUT, "sound", 40)
def near_homophone_village(pool: Pool, luck: random.Random) -> Made:
    for v, wrong in villages(pool, luck, errors.near_homophone, town=True):
        yield f"{pool.county(v.code)}{pool.town(v.code)}{wrong}", f"div:{v.code}"


@kind(HELD_OUT, "sound", 40)
def two_homophones_village(pool: Pool, luck: random.Random) -> Made:
    for v, wrong in villages(pool, luck, errors.twice(errors.homophone), town=True, most=2):
        if len(stem(v.name)) >= 3:
            yield f"{pool.county(v.code)}{pool.town(v.code)}{wrong}", f"div:{v.code}"
