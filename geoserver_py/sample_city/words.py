"""Words that synthetic streets, estates and shops are named with."""

from __future__ import annotations

ARTERIALS = (
    "客都大道", "梅水路", "嘉应中路", "剑英大道", "彬芳大道", "学艺路", "华南大道", "新中路",
    "梅松路", "梅石路", "嘉应东路", "嘉应西路", "广梅路", "梅塘路", "金燕大道", "芹洋大道",
    "客天下大道", "秀兰大道", "沿江东路", "沿江西路", "公园路", "泰康路", "江南路", "丽都路",
    "中山路", "仲元路", "文化路", "五洲大道", "滨芳路", "府前大道", "宪梓大道", "归读大道",
)  # fmt: skip
FIRST = "新和安平康泰丰庆华荣福寿祥瑞吉昌盛隆兴德仁义礼智信文明光辉金银梅兰竹菊松柏桂桃"
SECOND = "园苑湖山江河溪桥塘田坪岗岭坑围寨屋楼亭台阁门庭苗圃林泉石沙洲湾岸浦港津渡陂圳"
ESTATES = ("花园", "苑", "小区", "新村", "公寓", "雅居", "华庭", "名邸")
SHOPS = (
    ("便利店", "shopping"), ("腌面店", "food"), ("药房", "health"), ("早餐店", "food"),
    ("客家菜馆", "food"), ("五金店", "shopping"), ("理发店", "service"), ("快递驿站", "service"),
    ("银行网点", "finance"), ("宾馆", "hotel"), ("书店", "shopping"), ("停车场", "transport"),
)  # fmt: skip
PUBLIC = (
    ("小学", "education"), ("中学", "education"), ("幼儿园", "education"), ("医院", "health"),
    ("卫生站", "health"), ("派出所", "government"), ("文化站", "culture"), ("农贸市场", "shopping"),
    ("加油站", "transport"), ("敬老院", "service"),
)  # fmt: skip


def street_name(number: int, *, arterial: bool) -> str:
    """The name of street `number`: unique for each number among arterials and among streets."""
    if arterial and number < len(ARTERIALS):
        return ARTERIALS[number]
    kinds = ("大道", "路") if arterial else ("街", "路", "巷")
    pair, kind = divmod(number, len(kinds))
    first, second = divmod(pair * 617 % (len(FIRST) * len(SECOND)), len(SECOND))
    rounds = pair // (len(FIRST) * len(SECOND))
    ordinal = "" if rounds == 0 else "一二三四五六七八九"[(rounds - 1) % 9]
    middle = "" if not arterial else "嘉"
    return f"{middle}{FIRST[first]}{SECOND[second]}{ordinal}{kinds[kind]}"


def estate_name(number: int) -> str:
    """The name of estate `number`, unique up to some 10 000."""
    pair, kind = divmod(number, len(ESTATES))
    first, second = divmod(pair * 389 % (len(FIRST) * len(SECOND)), len(SECOND))
    return f"{SECOND[second]}{FIRST[first]}{ESTATES[kind]}"
