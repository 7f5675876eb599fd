"""What is not in the city: other provinces, roads named like its counties, and nonsense."""

from __future__ import annotations

import csv
import random
from functools import cache

from geoserver_py.sample_city.register import default_register
from tests.eval.corpus import HELD_OUT, TUNING, Made, Pool, kind, picks


@cache
def _elsewhere() -> tuple[tuple[str, str, str, str], ...]:
    """(province, city, county, town) outside the city, from the national register."""
    folder = default_register()
    tables: dict[str, dict[str, dict[str, str]]] = {}
    for name in ("provinces", "cities", "areas", "streets"):
        with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            tables[name] = {row["code"]: row for row in csv.DictReader(file)}
    found = []
    for code, town in sorted(tables["streets"].items()):
        city = tables["cities"][town["cityCode"]]["name"]
        if code.startswith("4414"):
            continue
        county = tables["areas"][town["areaCode"]]["name"]
        province = tables["provinces"][town["provinceCode"]]["name"]
        found.append((province, "" if city in ("市辖区", "县") else city, county, town["name"]))
    return tuple(found)


def _of(pool: Pool) -> list[tuple[str, str, str, str]]:
    return [place for place in _elsewhere() if pool.has(place[2])]


_ROADS = ("人民路", "解放路", "建设路", "中山路", "和平路", "新华街", "文化路")
_OTHER_ROADS = ("朝阳大街", "胜利路", "嘉应路", "江南大道", "公园路", "学府路", "滨江东路")


@kind(TUNING, "outside", 60)
def full_elsewhere(pool: Pool, luck: random.Random) -> Made:
    for place in picks(luck, _of(pool)):
        yield f"{''.join(place)}{luck.choice(_ROADS)}{luck.randint(1, 300)}号", "outside"


@kind(HELD_OUT, "outside", 60)
def elsewhere_without_province(pool: Pool, luck: random.Random) -> Made:
    for province, city, county, town in picks(luck, _of(pool)):
        road = f"{luck.choice(_OTHER_ROADS)}{luck.randint(1, 300)}号"
        yield f"{city or province}{county}{luck.choice([town, ''])}{road}", "outside"


@kind(HELD_OUT, "outside", 40)
def elsewhere_in_guangdong(pool: Pool, luck: random.Random) -> Made:
    near = [p for p in _elsewhere() if p[0] == "广东省"]
    for _, city, county, town in picks(luck, near):
        yield f"广东{city}{county}{town}", "outside"


@kind(HELD_OUT, "outside", 40)
def elsewhere_with_names_of_ours(pool: Pool, luck: random.Random) -> Made:
    ours = {d.name for d in pool.base.divisions.values()}
    for place in picks(luck, [p for p in _elsewhere() if p[3] in ours]):
        yield "".join(place), "outside"


@kind(TUNING, "road named like a county", 30)
def street_of_a_county_elsewhere(pool: Pool, luck: random.Random) -> Made:
    cities = ["上海市长宁区", "浙江省宁波市鄞州区", "广东省广州市越秀区", "辽宁省大连市沙河口区"]
    for city in picks(luck, cities):
        road = luck.choice(["兴宁路", "五华路", "大埔路"])
        yield f"{city}{road}{luck.randint(1, 300)}弄{luck.randint(1, 60)}号", "outside"


@kind(HELD_OUT, "road named like a county", 30)
def namesakes_elsewhere(pool: Pool, luck: random.Random) -> Made:
    places = ["云南省昆明市五华区", "广西南宁市兴宁区", "台湾省台中市大埔里", "四川省成都市梅县路",
              "云南省文山州砚山县平远镇", "香港大埔区", "浙江省绍兴市兴宁街",
              "安徽省合肥市肥西县丰顺路",
              "江苏省南京市江宁区梅江路", "福建省漳州市平和县大埔村",
              "浙江省衢州市兴宁巷"]  # fmt: skip
    for place in picks(luck, places):
        tail = luck.choice(["", "人民路", "中心小学", "1组"])
        yield f"{place}{tail}{luck.choice(['', f'{luck.randint(1, 99)}号'])}", "outside"


@kind(HELD_OUT, "road named like a county", 20)
def no_such_district(pool: Pool, luck: random.Random) -> Made:
    """五华区 is in Kunming and 兴宁区 in Nanning; written behind Guangdong they mean ours."""
    for v in picks(luck, [v for v in pool.villages if v.code[:6] in ("441424", "441481")]):
        wrong = {"441424": "五华区", "441481": "兴宁区"}[v.code[:6]]
        yield f"广东省梅州市{wrong}{pool.town(v.code)}{v.name}", f"div:{v.code}"


@kind(TUNING, "nonsense", 30)
def keyboard(pool: Pool, luck: random.Random) -> Made:
    letters = "asdfghjklqwertyuiopzxcvbnm1234567890!@#$%^&*() "
    while True:
        yield "".join(luck.choice(letters) for _ in range(luck.randint(5, 40))), "none"


_WORDS = (
    "谢谢", "不知道", "待定", "无", "同上", "测试", "。。。", "本人自提", "电话联系", "见附件",
    "😀😀😀", "NULL", "SELECT * FROM users; --", "<script>alert(1)</script>", "مرحبا بالعالم",
    "ここはどこですか", "12345", "-", "0", "在那边那个楼", "老地方见", "我家", "公司楼下",
    "ЪЪЪ Привет", "\x01\x02\x03", "号号号号", "路路路", "省市区县镇村", "今天天气不错",
    "明天下午三点开会", "一二三四五六七", "( )（）【】", "https://example.org/?q=1", "%00%0a",
    "N/A", "客户未填写地址", "地址不详", "查无此人",
)  # fmt: skip


@kind(HELD_OUT, "nonsense", 40)
def words_that_are_no_place(pool: Pool, luck: random.Random) -> Made:
    for word in luck.sample(_WORDS, len(_WORDS)):
        yield word, "none"
