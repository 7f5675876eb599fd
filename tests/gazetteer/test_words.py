"""Places by words in their name or address: what ILIKE finds, without reading the table."""

from __future__ import annotations

import random
import re

import psycopg
import pytest
import shapely

from gazetteer.words import Texts
from geoserver_py.compat.statements import statement
from layers.access import SYSTEM
from layers.definition import load_definitions
from layers.edit import Change, Operation, write_changes
from layers.schema import apply

WORDS = ["医院", "梅江", "梅江 医院", "院", "kfc", "KFC 店", "100%", "a_b", "江.*院", "没有"]
PARTS = ["梅江", "梅县", "第一", "人民", "医院", "小学", "KFC", "kfc店", "100%", "50", "a_b", "axb",
         "江", "院", "\\", " "]  # fmt: skip


@pytest.fixture(scope="module")
def filled(module_database: str) -> str:
    chance = random.Random(20261122)

    def text(length: int) -> str:
        return "".join(chance.choices(PARTS, k=length))

    changes = [
        Change(
            Operation.INSERT,
            f"P{number}",
            {"name": text(3) + "x", "address": text(5), "category": "health"},
            shapely.to_wkb(shapely.Point(116.1, 24.3)),
        )
        for number in range(300)
    ]
    with psycopg.connect(module_database) as connection:
        poi = load_definitions()["poi"]
        apply(connection, [poi])
        write_changes(connection, poi, changes, principal=SYSTEM)
    return module_database


def texts(dsn: str) -> Texts:
    with psycopg.connect(dsn) as connection:
        return Texts.of(connection.execute("SELECT fid, name, address FROM layer.poi").fetchall())


@pytest.mark.parametrize("word", WORDS)
def test_words_find_what_ilike_finds(filled: str, word: str) -> None:
    escaped = re.sub(r"([\\%_])", r"\\\1", word)
    pattern = f"%{'%'.join(escaped.split())}%"
    with psycopg.connect(filled) as connection:
        rows = connection.execute(
            "SELECT fid FROM layer.poi WHERE name ILIKE %(p)s OR address ILIKE %(p)s ORDER BY fid",
            {"p": pattern},
        ).fetchall()
    found = texts(filled).holding([word])
    assert found == [fid for (fid,) in rows]
    assert bool(found) is (word not in {"江.*院", "没有"})


def test_several_words_are_alternatives(filled: str) -> None:
    known = texts(filled)
    both = set(known.holding(["医院"])) | set(known.holding(["小学"]))
    assert known.holding(["医院", "小学"]) == sorted(both)
    assert known.holding(["", "  "]) == []


def test_the_place_search_reads_the_places_that_it_names_and_no_others(filled: str) -> None:
    given = {"fids": [3, 5], "words": ["医院"], "patterns": ["%医院%"], "categories": None,
             "areas": [""], "count": 20, "start": 0}  # fmt: skip
    with psycopg.connect(filled) as connection:
        connection.execute("SET enable_seqscan = off")
        query = psycopg.sql.SQL("EXPLAIN {}").format(statement("place_text"))
        plan = "\n".join(line for (line,) in connection.execute(query, given))
    assert "Seq Scan on poi" not in plan
    assert "poi_pkey" in plan


def test_two_hundred_thousand_places_take_hundredths_of_a_second() -> None:
    import time

    known = Texts.of((n, f"第{n}小学", f"梅江区嘉应中路{n}号") for n in range(200_000))
    began = time.process_time()
    assert known.holding(["9号 "]) == [n for n in range(200_000) if n % 10 == 9]
    assert len(known.holding(["中路77777号"])) == 1
    assert time.process_time() - began < 0.5
