"""More ways to say the same, for tuning: written from the words of the classes alone, without a
look at the makers of the held-out part.
"""

from __future__ import annotations

import random

from tests.eval.corpus import TUNING, Made, Pool, kind, picks
from tests.eval.errors import chinese_number, spelled
from tests.eval.kinds.divisions import county_short
from tests.eval.kinds.numbers import label, plain
from tests.eval.truth import House

_FORMAL = dict(zip("零一二三四五六七八九十百", "零壹贰叁肆伍陆柒捌玖拾佰", strict=True))
_DIGITS = "〇一二三四五六七八九"
_MATTERS = (
    "路灯不亮", "井盖破损", "有人占道经营", "垃圾没人清运", "污水外溢", "深夜施工扰民",
    "车辆乱停放",
    "下水道堵塞", "有一棵树倒了",
)  # fmt: skip
_OWN = (
    "自编{}号", "自编号{}", "自编{}", "自编门牌{}号", "临{}号", "临时{}号", "临编{}号", "暂编{}号",
    "(自编){}号", "自编A{}号", "老门牌{}号", "旧{}号", "原{}号", "旧门牌号{}号", "自编{}栋",
    "自编第{}号", "(临){}号", "增{}号",
)  # fmt: skip


def _number(house: House) -> int:
    return int(house.number[:-1])


@kind(TUNING, "crossing", 60)
def crossing_in_other_words(pool: Pool, luck: random.Random) -> Made:
    forms = (
        "{}{}路口", "{}、{}交叉口", "{}/{}", "{}&{}路口", "{}与{}的交叉路口", "{}和{}十字路口",
        "{}跟{}拐角", "{}同{}相交处", "{}与{}交界", "{}{}交叉口", "{}与{}丁字路口", "{}-{}路口",
        "{}({}路口)", "{}近{}", "{}与{}交汇", "{}{}口", "{}和{}红绿灯", "{}与{}转角处",
        "{}和{}交叉的地方", "{}×{}", "{}口{}", "{}（近{}）", "{}与{}交会处", "{}{}交叉处",
        "{}路段与{}交叉口", "{}转{}路口", "{}靠近{}路口", "{}与{}路口", "{}，{}交口",
    )  # fmt: skip
    for a, b in picks(luck, pool.crossings):
        yield luck.choice(forms).format(a, b), f"cross:{a}|{b}"


@kind(TUNING, "crossing", 40)
def crossing_in_a_county(pool: Pool, luck: random.Random) -> Made:
    for a, b in picks(luck, pool.crossings):
        towns = pool.base.towns_along(pool.base.crossings[a, b])
        if len(towns) == 1:
            county = pool.name(towns[0][:6])
            head = luck.choice([county, county_short(pool, towns[0]), county + pool.name(towns[0])])
            form = luck.choice(["{}与{}交叉口", "{}{}路口", "{}和{}交叉处", "{}、{}十字路口"])
            yield head + form.format(a, b), f"cross:{a}|{b}"


@kind(TUNING, "crossing", 20)
def side_of_a_crossing(pool: Pool, luck: random.Random) -> Made:
    for a, b in picks(luck, pool.crossings):
        corner = luck.choice(["东北角", "西南角", "东南角", "西北侧", "东侧", "附近", "旁"])
        yield f"{a}与{b}{luck.choice(['交叉口', '路口'])}{corner}", f"cross:{a}|{b}"


@kind(TUNING, "relative", 70)
def near_in_other_words(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        where = luck.choice((
            "斜对面", "正对面", "门口", "门前", "楼下", "后面", "背后", "前面", "左边", "右侧",
            "旁",
            "边上", "侧面", "周边", "一带", "对过", "对出", "后门", "路边", "东侧", "南面", "以西",
            "北边", "门口路段", "门前人行道", "旁的巷子", "隔壁店铺", "附近的空地", "往前一点",
        ))  # fmt: skip
        head = luck.choice((h.county, f"{h.county}{h.town}", ""))
        yield f"{head}{h.road}{h.number}{where}", f"near:{h.road}{h.number}"


@kind(TUNING, "relative", 50)
def metres_in_other_words(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        way = luck.choice(["东", "南", "西", "北", "东北", "西北", "东南", "西南"])
        metres = luck.choice([30, 60, 80, 100, 150])
        form = luck.choice((
            "以{}{}米", "{}侧{}米", "{}面约{}米", "{}边{}米处", "向{}{}米", "往{}走{}米",
            "{}方向{}米",
            "往{}大概{}米左右", "朝{}{}米", "{}{}米处", "再往{}{}m", "往{}方向约{}米的地方",
        ))  # fmt: skip
        said = luck.choice((str(metres), chinese_number(metres)))
        yield (
            f"{h.county}{h.road}{h.number}{form.format(way, said)}",
            f"offset:{h.road}{h.number}|{way}|{metres}",
        )


@kind(TUNING, "relative", 20)
def some_way_from(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        form = luck.choice(
            ("距{}约50米", "离{}不远", "{}附近50米内", "靠近{}", "在{}的对面", "{}50米范围内")
        )
        yield form.format(f"{h.county}{h.road}{h.number}"), f"near:{h.road}{h.number}"


@kind(TUNING, "hotline", 80)
def reports_in_other_words(pool: Pool, luck: random.Random) -> Made:
    heads = (
        "市民来电反映：", "来电人称", "您好，我想反映一下", "网友投诉", "诉求人反映其住在",
        "热心市民致电12345反映", "你好，", "投诉：", "居民反映", "昨晚十点左右在", "我是住在",
        "我家在",
        "咨询：", "举报", "张先生反映", "请问", "今天早上经过", "市民李女士反映，位于",
    )  # fmt: skip
    tails = ("{}，请尽快处理", "的{}", "门口{}，已经三天了", "这里{}", "，{}，希望相关部门核实",
             "对面{}", "附近一直{}", "{}。", " {}，谢谢", "楼下有个烧烤摊，{}",
             "一楼店铺{}")  # fmt: skip
    for h in picks(luck, plain(pool)):
        place = luck.choice((
            f"{h.county}{h.road}{h.number}", f"{h.road}{h.number}",
            f"{h.county}{h.town}{h.road}{h.number}", f"梅州市{h.county}{h.road}{h.number}",
        ))  # fmt: skip
        tail = luck.choice(tails).format(luck.choice(_MATTERS))
        yield luck.choice(heads) + place + tail, f"near:{h.road}{h.number}"


@kind(TUNING, "hotline", 40)
def reports_of_a_crossing(pool: Pool, luck: random.Random) -> Made:
    heads = ("市民反映", "来电反映：", "你好，", "早高峰期间", "")
    for a, b in picks(luck, pool.crossings):
        form = luck.choice(("{}与{}交叉口", "{}{}路口", "{}和{}交汇处", "{}、{}路口"))
        tail = luck.choice(("红绿灯坏了", "经常堵车", "路面积水严重，请处理", "的路灯不亮"))
        yield luck.choice(heads) + form.format(a, b) + tail, f"cross:{a}|{b}"


@kind(TUNING, "hotline", 40)
def reports_of_a_village(pool: Pool, luck: random.Random) -> Made:
    heads = ("村民反映", "我是", "来电人反映其是", "群众举报：", "希望政府关注", "")
    tails = (
        "村道没有路灯",
        "的自来水三天没水了",
        "村口有人倒垃圾",
        "村民，{}",
        "{}，请核实",
        "一带{}",
    )
    for v in picks(luck, pool.villages):
        place = pool.county(v.code) + pool.town(v.code) + v.name
        tail = luck.choice(tails).format(luck.choice(_MATTERS))
        yield luck.choice(heads) + place + tail, f"div:{v.code}"


@kind(TUNING, "hotline", 20)
def reports_of_an_estate(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.towers):
        tail = luck.choice(("电梯故障", "楼下噪音扰民", "的电梯又坏了，请处理"))
        text = f"{luck.choice(['业主反映', '我是', ''])}{h.estate}{h.building}{tail}"
        yield text, label(h)


@kind(TUNING, "unofficial number", 60)
def own_in_other_words(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        said = luck.choice(_OWN).format(luck.randint(1, 60))
        head = luck.choice((h.county, f"{h.county}{h.town}", ""))
        yield f"{head}{h.road}{said}", f"about:{h.road}"


@kind(TUNING, "unofficial number", 20)
def no_number_yet(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        said = luck.choice(("无门牌", "(无号)", "没有门牌", "无门牌号", "门牌不详", "号牌缺失"))
        yield f"{h.county}{h.road}{said}", f"about:{h.road}"


@kind(TUNING, "post", 40)
def posts_in_other_words(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        n = luck.randint(1, 90)
        form = luck.choice((
            "{}{}号路灯", "{}{}号灯杆", "{}第{}号路灯杆", "{}{}号电线杆旁", "{}路灯编号{}",
            "{}{}号电杆",
            "{}{}号井盖", "{}L{:03d}号灯杆", "{}灯杆{:04d}", "{}{}号监控杆", "{}{}号公交站牌",
            "{}DG-{:03d}灯杆",
            "{}{}#灯杆", "{}{}号配电箱", "{}{}号变压器",
        ))  # fmt: skip
        yield form.format(h.road, n), f"about:{h.road}"


@kind(TUNING, "post", 40)
def kilometres_in_other_words(pool: Pool, luck: random.Random) -> Made:
    roads = {"G206线": "206国道", "S223线": "223省道", "G235线": "235国道", "G205线": "国道205"}
    for road in picks(luck, sorted(roads)):
        km, metres = luck.randint(2000, 2400), luck.randint(1, 9) * 100
        form = luck.choice((
            "{}{}公里+{}米处", "{}{}公里{}米", "{}线{}km+{}m", "{}K{}+{}处", "{}K{}+{}M",
            "{}{}公里处",
            "{}{}km处", "{}K{}路段", "{}k{}+{}至k{}+900段", "{}桩号K{}+{}", "{}{}+{}", "{}{}KM",
        ))  # fmt: skip
        said = luck.choice((road, roads[road]))
        text = form.replace("线", "").format(said, km, metres, km)
        yield text, f"about:{road}"


@kind(TUNING, "prefix", 50)
def other_town_in_front(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        code = luck.choice([t.code for t in pool.towns if t.code[:6] == h.code[:6]])
        if code != h.code[:9]:
            head = luck.choice(("广东省梅州市", "梅州市", ""))
            tail = luck.choice((h.road, f"{h.town}{h.road}"))
            yield f"{head}{h.county}{pool.name(code)}{tail}{h.number}", label(h)


@kind(TUNING, "prefix", 40)
def other_prefixes(pool: Pool, luck: random.Random) -> Made:
    heads = (
        "广东省梅州市梅江区金山街道", "广东梅州", "中国广东省梅州市", "梅州市梅江区",
        "广东省广州市天河区",
        "梅州市区", "广东省深圳市福田区", "梅州市城区",
    )  # fmt: skip
    for h in picks(luck, pool.houses):
        if h.county != "梅江区":
            yield f"{luck.choice(heads)}广东省梅州市{h.county}{h.town}{h.road}{h.number}", label(h)


@kind(TUNING, "pinyin", 60)
def street_in_letters(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        if not sounds_alone(pool, spelled(h.road, "")):
            continue
        road, n = spelled(h.road), _number(h)
        joined = road.replace(" ", "")
        yield (
            luck.choice((
                f"{spelled(h.county)} {road} {n} hao", f"{road}{n}hao", f"{joined} {n}",
                f"{spelled(h.county, '')} {joined} {n}hao", f"{joined}{n}号",
                f"No.{n} {road.title()}, {spelled(h.county, '').title()}, Meizhou",
                f"{n} {joined.title()}, Meizhou, Guangdong", f"{h.county}{joined}{n}号",
                f"meizhoushi {spelled(h.county, '')} {joined} {n} hao",
            )),
            label(h),
        )  # fmt: skip


def sounds_alone(pool: Pool, sound: str) -> bool:
    """Whether one street alone sounds so, so that its pinyin means one place."""
    return sum(spelled(name, "") == sound for name in pool.base.roads) == 1


@kind(TUNING, "pinyin", 20)
def english_street(pool: Pool, luck: random.Random) -> Made:
    words = {"路": "Road", "街": "Street", "大道": "Avenue", "巷": "Lane"}
    for h in picks(luck, plain(pool)):
        suffix = next(s for s in words if h.road.endswith(s))
        stem = spelled(h.road.removesuffix(suffix), "").title()
        if not sounds_alone(pool, spelled(h.road, "")):
            continue
        county = spelled(h.county[:-1], "").title()
        yield (
            luck.choice((
                f"{_number(h)} {stem} {words[suffix]}, {county} District, Meizhou",
                f"No. {_number(h)}, {stem} {words[suffix]}, {county}, Meizhou City",
            )),
            label(h),
        )  # fmt: skip


@kind(TUNING, "pinyin", 30)
def spelled_village(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, pool.villages):
        names = (pool.county(v.code), pool.town(v.code), v.name)
        sounds = [spelled(n, "") for n in pool.stems(v.code[:9]).values()]
        name = spelled(pool.stems(v.code[:9])[v.code], "")
        if sounds.count(name) == 1:
            between = luck.choice(("", " "))
            yield (
                luck.choice((" ", ",", "")).join(spelled(n, between) for n in names),
                (f"div:{v.code}"),
            )


@kind(TUNING, "gap", 60)
def gap_in_other_words(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.gaps):
        yield (
            luck.choice((
                h.full, f"{h.road}{h.number}", f"{h.county}{h.town}{h.road}{h.number}",
                f"梅州市{h.county}{h.road}{h.number}", f"{h.county}{h.road}{h.number[:-1]}",
                f"{h.county}{h.road}{h.number}302室",
            )),
            label(h),
        )  # fmt: skip


@kind(TUNING, "number form", 90)
def numbers_in_other_words(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        n = _number(h)
        han = chinese_number(n)
        formal = "".join(_FORMAL.get(c, c) for c in han)
        said = luck.choice((
            f"{n}號", f"第{n}号", f"门牌{n}号", f"No.{n}", f"№{n}", f"{n:03d}号", f"{n}号门牌",
            f"{n}",
            f"{formal}号", f"{han}號", "".join(_DIGITS[int(c)] for c in str(n)) + "号",
            f"{n} 号", f"-{n}号", f"门牌号{n}", f"{n}号院", f"({n}号)", f"{n}hao", f"N{n}号",
            f"{n}号。",
            f"，{n}号", f"的{n}号", f"{n}号门", f"{n}号铺", f"NO:{n}", f"门牌号：{n}号",
            f"{n}号楼下",
        ))  # fmt: skip
        kind_of = "near" if said.endswith("楼下") else "number"
        yield f"{h.county}{h.road}{said}", f"{kind_of}:{h.road}{h.number}"


@kind(TUNING, "number form", 40)
def suffixes_in_other_words(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, [h for h in pool.houses if "之一" in h.number]):
        n = h.number[: h.number.index("号")]
        said = luck.choice((
            f"{n}-1号", f"{n}号-1", f"{n}之一号", f"{n}号之一号", f"{n}号之1号", f"{n}之1号",
            f"{n}—1号",
            f"{n}－1号", f"{chinese_number(int(n))}号之一", f"{n}-1", f"{n}#之一", f"{n}号(之一)",
        ))  # fmt: skip
        yield f"{h.county}{h.road}{said}", label(h)


@kind(TUNING, "number form", 30)
def suffix_unknown(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        n = _number(h)
        said = luck.choice((
            f"{n}号甲", f"{n}甲号", f"{n}号后座", f"{n}号A座", f"{n}号B铺", f"{n}号之十一",
            f"{n}-9号",
            f"{n}号之九首层", f"{n}C号", f"{n}号副2号", f"{n}号首层03铺", f"{n}之八号",
        ))  # fmt: skip
        yield f"{h.county}{h.road}{said}", f"near:{h.road}{h.number}"


@kind(TUNING, "number form", 20)
def several_numbers(pool: Pool, luck: random.Random) -> Made:
    numbered = pool.base.numbered
    for h in picks(luck, plain(pool)):
        n = _number(h)
        other = numbered.get(f"{h.road}{n + 2}号")
        if other is not None and other.position.distance(h.position) < 60:
            form = luck.choice(
                ("{}-{}号", "{}号-{}号", "{}、{}号", "{}号、{}号", "{}至{}号", "{}号至{}号")
            )
            yield f"{h.county}{h.road}{form.format(n, n + 2)}", f"near:{h.road}{h.number}"


@kind(TUNING, "inside", 80)
def towers_in_other_words(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.towers):
        n = int(h.building[:-1])
        block = luck.choice((
            f"{n}栋", f"{n}幢", f"{n}座", f"第{n}栋", f"{n}号楼", f"{chinese_number(n)}栋",
            f"{n}#楼",
            f"{n} 栋", f"{chinese_number(n)}号楼", f"第{chinese_number(n)}幢", f"{n}#", f"{n}棟",
        ))  # fmt: skip
        room = luck.choice((
            "", "502", "2单元502室", "2梯502房", "5楼", "五楼502", "二单元五楼", "A单元502",
            "502房",
            "-502", "2-502", "2单元5层", "一单元", "首层", "5F", "负一层", "地下室", "顶楼",
            "102铺", "一楼商铺", "B502",
        ))  # fmt: skip
        head = luck.choice(
            (h.county, f"{h.county}{h.town}", "", f"{h.county}{h.town}{h.village}", "梅州市")
        )
        yield f"{head}{h.estate}{block}{room}", label(h)


@kind(TUNING, "inside", 80)
def rooms_in_other_words(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        room = luck.choice((
            "302", "302房", "3楼302房", "三楼", "一楼商铺", "-302", "负一层", "首层", "3F", "3/F",
            "1栋302", "A座302室", "B栋3楼", "二单元302", "后座", "02铺", "2号铺", "3层301-303",
            "顶楼",
            "第3层", "一层102号", "三层之二", "2幢2单元201室", "3楼A室", "楼上", "内", "店面",
            "商铺",
            "三楼302房间", "一楼102档", "地下停车场", "(三楼)", "302单元",
        ))  # fmt: skip
        yield f"{luck.choice((h.county, h.county + h.town))}{h.road}{h.number}{room}", label(h)


@kind(TUNING, "inside", 20)
def rooms_by_strokes(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.towers):
        n = int(h.building[:-1])
        form = luck.choice(("{}-2-502", "{}-502", "{}栋-2-502", "{}/2/502", "{}#2-502"))
        yield f"{h.county}{h.estate}{form.format(n)}", label(h)


@kind(TUNING, "former name", 40)
def former_in_other_words(pool: Pool, luck: random.Random) -> Made:
    former = {
        "441403": ("梅县", "广东省梅县", "梅县地区梅县", "广东梅县", "原梅县"),
        "441481": ("兴宁县", "广东省兴宁县", "原兴宁县", "梅县地区兴宁县"),
        "441424": ("长乐县", "广东长乐县"), "441427": ("镇平县", "广东省镇平县"),
        "441402": ("梅县市",),
    }  # fmt: skip
    for v in picks(luck, pool.villages):
        names = former.get(v.code[:6])
        if names and len(pool.shared(v.name, v.code[:9])) == 1:
            yield f"{luck.choice(names)}{pool.town(v.code)}{v.name}", f"div:{v.code}"


@kind(TUNING, "former name", 20)
def former_class_of_a_town(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, pool.villages):
        town = pool.town(v.code)
        if town.endswith("镇") and len(town) > 2:
            other = town[:-1] + luck.choice(("乡", "公社", "区", "人民公社"))
            village = v.name.removesuffix("村")
            what = luck.choice((v.name, f"{village}大队", f"{village}村委会"))
            if len(village) > 1 and village != v.name and _one(pool, v.code, village):
                yield f"{pool.county(v.code)}{other}{what}", f"div:{v.code}"


def _one(pool: Pool, code: str, village: str) -> bool:
    return list(pool.stems(code[:9]).values()).count(village) == 1


@kind(TUNING, "no record", 40)
def round_houses(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, [v for v in pool.villages if v.name.endswith("村")]):
        house = luck.choice(
            ("德馨堂", "棣华居", "南华又庐", "继善楼", "余庆堂", "承德楼", "世德堂")
        )
        said = luck.choice(("{}围龙屋", "{}围屋", "{}", "{}老屋", "{}土楼", "{}围龙屋漏水，请处理"))
        yield (
            f"{pool.county(v.code)}{pool.town(v.code)}{v.name}{said.format(house)}",
            f"div:{v.code}",
        )


@kind(TUNING, "no record", 40)
def buildings_that_an_estate_has_not(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.towers):
        head = luck.choice((h.county, h.county + h.town, "梅州市" + h.county))
        block = luck.choice(("栋", "幢", "座", "号楼", "栋2单元301", "幢502室"))
        yield f"{head}{h.estate}{luck.randint(70, 99)}{block}", f"block:{h.estate}"
