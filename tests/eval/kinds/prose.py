"""Addresses inside other words: couriers' labels and calls to the 12345 hotline.

The sentences are invented; there are no names or telephone numbers of people.
"""

from __future__ import annotations

import random

from tests.eval.corpus import HELD_OUT, TUNING, Made, Pool, kind, picks
from tests.eval.kinds.numbers import label, plain


@kind(TUNING, "courier", 50)
def shipping_label(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        head = luck.choice(["收货地址：", "地址:", "寄往", "【收件】"])
        tail = luck.choice([" 李先生收", "（请放门口）", " 到付", "，送货前电联"])
        yield head + h.full + tail, label(h)


@kind(HELD_OUT, "courier", 60)
def chatty_label(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, [*pool.houses, *pool.towers]):
        head = luck.choice(
            ["派送至→", "[默认]", "所在地区：广东省 梅州市 ；详细地址：", "To: ", "收：", "*家*"]
        )
        tail = luck.choice(["放快递柜", "#勿放驿站#", "（周末不在家）王阿姨代收", " 易碎轻放！！",
                            "~谢谢", " 联系电话见面单", "/保安亭"])  # fmt: skip
        rest = h.road + h.number if h.number else f"{h.estate}{h.building}"
        yield f"{head}{h.county}{h.town}{rest}{tail}", label(h)


@kind(HELD_OUT, "courier", 40)
def fields_of_a_form(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        yield (
            f"省：广东 市：梅州 区：{h.county} 街道：{h.town} 地址：{h.road}{h.number}",
            label(h),
        )


_MATTERS = (
    "有人乱倒垃圾，臭味大，请处理", "路灯不亮三天了", "井盖破损有安全隐患", "占道经营严重影响通行",
    "半夜施工噪音扰民", "下水道堵塞污水外溢", "共享单车乱停放",
)  # fmt: skip
_OTHER_MATTERS = (
    "树木倒伏挡住了半边路", "自来水爆管，水流了一地", "流浪狗追咬小孩", "店铺油烟直排居民楼",
    "工地扬尘没有洒水", "红绿灯不亮，车堵得厉害", "有人在绿化带种菜",
)  # fmt: skip


@kind(TUNING, "hotline", 50)
def report_at_a_number(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        yield (
            f"市民反映在{h.county}{h.road}{h.number}附近{luck.choice(_MATTERS)}",
            f"near:{h.road}{h.number}",
        )


@kind(TUNING, "hotline", 20)
def report_in_a_village(pool: Pool, luck: random.Random) -> Made:
    for v in picks(luck, pool.villages):
        text = f"群众反映{pool.county(v.code)}{pool.town(v.code)}{v.name}{luck.choice(_MATTERS)}"
        yield text, f"div:{v.code}"


@kind(HELD_OUT, "hotline", 50)
def caller_tells(pool: Pool, luck: random.Random) -> Made:
    forms = ["您好，我要投诉，{1}，位置在{0}门口，已经打过两次电话了",
             "{1}！就在{0}这里，麻烦派人来看看",
             "来电人称其住在{0}，{1}，要求相关部门核实",
             "昨天晚上八点左右，{0}楼下{1}"]  # fmt: skip
    for h in picks(luck, plain(pool)):
        text = luck.choice(forms).format(f"{h.town}{h.road}{h.number}", luck.choice(_OTHER_MATTERS))
        yield text, f"near:{h.road}{h.number}"


@kind(HELD_OUT, "hotline", 40)
def caller_at_a_crossing(pool: Pool, luck: random.Random) -> Made:
    forms = ["12345你好，{0}和{1}的路口{2}，请尽快处理", "我现在在{0}，快到{1}那个路口，{2}",
             "{2}，地点：{0}与{1}交叉口，诉求：尽快恢复"]  # fmt: skip
    for a, b in picks(luck, pool.crossings):
        yield luck.choice(forms).format(a, b, luck.choice(_OTHER_MATTERS)), f"cross:{a}|{b}"


@kind(HELD_OUT, "hotline", 50)
def villager_calls(pool: Pool, luck: random.Random) -> Made:
    forms = ["我是{0}{1}{2}的村民，我们村{3}", "反映{0}{1}{2}村道{3}，希望{1}政府重视",
             "{3}，具体地点是{0}{1}的{2}，村委会不管"]  # fmt: skip
    for v in picks(luck, [v for v in pool.villages if v.name.endswith("村")]):
        names = (pool.county(v.code), pool.town(v.code), v.name, luck.choice(_OTHER_MATTERS))
        yield luck.choice(forms).format(*names), f"div:{v.code}"
