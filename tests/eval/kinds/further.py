"""A second round of phrasings for tuning, written after the first had been passed: what the same
people might have said instead.
"""

from __future__ import annotations

import random

from tests.eval.corpus import TUNING, Made, Pool, kind, picks
from tests.eval.errors import chinese_number, spelled
from tests.eval.kinds.numbers import label, plain
from tests.eval.kinds.otherwise import sounds_alone


@kind(TUNING, "crossing", 60)
def crossing_further(pool: Pool, luck: random.Random) -> Made:
    forms = (
        "{}（{}交界）", "{}和{}交接处", "位于{}与{}的交叉口", "{}、{}的交汇处", "{}交{}",
        "{}/{}交叉口",
        "{}与{}相交", "{}以及{}的路口", "{}与{}交叉路口处", "{}路口（{}）", "{}同{}的十字路口",
        "{} {}路口",
        "{}及{}交叉口", "{}连接{}处", "{}与{}T型路口", "{}和{}的拐弯处", "{}与{}红绿灯路口",
        "{}、{}两路交叉口",
        "{}与{}十字街口", "{}{}交汇", "{}＆{}", "{}+{}", "{}和{}的交叉点", "{}与{}路口斑马线",
        "{}接{}路口",
        "{}跟{}交叉那里", "{}对着{}的路口", "{}路口与{}路口", "{}与{}岔路口", "{}—{}交叉口",
    )  # fmt: skip
    for a, b in picks(luck, pool.crossings):
        yield luck.choice(forms).format(a, b), f"cross:{a}|{b}"


@kind(TUNING, "relative", 80)
def near_further(pool: Pool, luck: random.Random) -> Made:
    forms = (
        "{}左手边", "{}右手边", "{}街对面", "{}马路对面", "{}正后方", "{}西隔壁", "{}跟前",
        "{}外面", "{}大门口",
        "{}后边", "{}侧门", "{}围墙外", "{}巷子里", "{}的斜对面", "在{}的旁边", "{}东面第二家",
        "{}旁边的空地上",
        "{}对面公交站", "{}对面的停车场", "{}隔壁那栋", "{}南侧绿化带", "{}前人行道", "{}门外",
        "{}后巷",
        "{}路对面", "{}前方", "{}后方", "{}斜对过", "挨着{}", "紧邻{}", "{}侧", "{}外围",
        "{}靠北侧",
    )  # fmt: skip
    for h in picks(luck, plain(pool)):
        head = luck.choice((h.county, f"{h.county}{h.town}", "", "梅州市"))
        text = luck.choice(forms).format(f"{head}{h.road}{h.number}")
        yield text, f"near:{h.road}{h.number}"


@kind(TUNING, "relative", 50)
def metres_further(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        way = luck.choice(["东", "南", "西", "北", "东北", "西南"])
        metres = luck.choice([50, 80, 100, 120])
        said = luck.choice((str(metres), chinese_number(metres)))
        form = luck.choice((
            "从{0}往{1}走{2}米", "{0}门口往{1}约{2}米", "{0}{1}方向约{2}m", "{0}{1}{2}m",
            "{0}以{1}{2}米处路边",
            "{0}{1}侧约{2}米", "{0}往{1}{2}米路边", "距{0}{1}侧{2}米", "{0}向{1}约{2}公尺",
            "{0}，往{1}{2}米",
            "{0}往{1}面{2}米", "{0}正{1}{2}米", "{0}偏{1}{2}米", "由{0}向{1}行{2}米",
            "{0}{1}边大约{2}米",
        ))  # fmt: skip
        text = form.format(f"{h.county}{h.road}{h.number}", way, said)
        yield text, f"offset:{h.road}{h.number}|{way}|{metres}"


@kind(TUNING, "relative", 20)
def metres_from_a_crossing(pool: Pool, luck: random.Random) -> Made:
    for a, b in picks(luck, pool.crossings):
        form = luck.choice(("{}与{}交叉口{}", "{}{}路口{}", "{}和{}十字路口{}"))
        side = luck.choice(("东侧", "西北角", "旁边", "往东30米", "南面", "对面"))
        yield form.format(a, b, side), f"cross:{a}|{b}"


@kind(TUNING, "hotline", 80)
def reports_further(pool: Pool, luck: random.Random) -> Made:
    heads = (
        "12345来电：", "市民王先生（尾号1234）反映：", "工单20261103：", "【诉求】", "反映人住",
        "我想投诉一下，",
        "麻烦处理一下：", "来电人反映，其位于", "再次来电，", "关于", "事发地点：", "地址：",
        "2026年11月3日晚上10点",
        "市民称", "本人住在", "这里是", "据群众反映，", "有市民在网上发帖称", "上周三开始，",
        "请派人到",
    )  # fmt: skip
    tails = (
        "有流浪狗出没", "一楼烧烤店油烟扰民", "的店铺每天晚上10点后还在放音乐",
        "3楼住户往下扔垃圾", "门前路面塌陷",
        "，已停水2天", "路口经常有人乱停车", "附近的垃圾桶满了没人清", "后面的工地施工到凌晨2点",
        "对面的公厕没有水",
        "的化粪池堵了", "处有电线垂落，存在安全隐患", "这边停电了", "旁边的路灯坏了3盏", "违章搭建",
    )  # fmt: skip
    for h in picks(luck, plain(pool)):
        head = luck.choice((h.county, f"{h.county}{h.town}", "", f"梅州市{h.county}"))
        text = f"{luck.choice(heads)}{head}{h.road}{h.number}{luck.choice(tails)}"
        yield text, f"near:{h.road}{h.number}"


@kind(TUNING, "hotline", 30)
def reports_at_a_poi(pool: Pool, luck: random.Random) -> Made:
    for name in picks(luck, pool.pois):
        head = luck.choice(("市民反映", "来电称", ""))
        tail = luck.choice(("门口乱停车", "附近有噪音，请核实", "卫生很差"))
        yield f"{head}{pool.county(pool.base.pois[name][1])}{name}{tail}", f"poi:{name}"


@kind(TUNING, "unofficial number", 50)
def own_further(pool: Pool, luck: random.Random) -> Made:
    forms = (
        "自编{}号之二", "自编{}号A", "自编B{}号", "自编{}-1号", "临{}", "临时门牌{}号",
        "暂定{}号", "{}号（自编）",
        "{}号(临)", "{}号(旧)", "（旧门牌）{}号", "临时编号{}", "自编号：{}", "临街{}号",
        "自编门牌号{}",
        "自編{}號", "老{}号", "旧号{}号", "自编 {} 号", "(自编号){}号", "暂{}号", "自编{}号房",
    )  # fmt: skip
    for h in picks(luck, pool.houses):
        said = luck.choice(forms).format(luck.randint(1, 60))
        head = luck.choice((h.county, f"{h.county}{h.town}", ""))
        yield f"{head}{h.road}{said}", f"about:{h.road}"


@kind(TUNING, "post", 40)
def posts_further(pool: Pool, luck: random.Random) -> Made:
    forms = (
        "{}路灯杆号：LD{:04d}", "{}编号为{:04d}的路灯", "{}{}号杆", "{}{}#杆", "{}第{}根灯杆",
        "{}{}号路灯附近",
        "{}灯杆编号{}旁", "{}{}号路灯下", "{}路灯{:03d}号", "{}{}号电线杆对面", "{}{}号通信杆",
        "{}{}号交通信号灯杆",
        "{}{}号高杆灯", "{}10kV{}号杆", "{}LD-{:03d}",
    )  # fmt: skip
    for h in picks(luck, pool.houses):
        yield luck.choice(forms).format(h.road, luck.randint(1, 90)), f"about:{h.road}"


@kind(TUNING, "post", 30)
def kilometres_further(pool: Pool, luck: random.Random) -> Made:
    roads = {
        "G206线": "G206", "S223线": "省道223线", "G235线": "国道G235", "G205线": "205国道",
        "济广高速": "济广高速公路", "梅河高速": "梅河高速",
    }  # fmt: skip
    forms = ("{} K{}+{}", "{}上行K{}+{}", "{} {}KM+{}M", "{}{}公里加{}米", "{}K{}+{}左侧",
    "{}往北方向K{}+{}",
             "{} {}公里{}米处", "{}下行{}公里+{}", "{}K{}+{}~K{}+900", "{}(K{}+{})",
             "{}第{}公里处")  # fmt: skip
    for road in picks(luck, sorted(roads)):
        km, metres = luck.randint(100, 2400), luck.randint(1, 9) * 100
        text = luck.choice(forms).format(luck.choice((road, roads[road])), km, metres, km)
        yield text, f"about:{road}"


@kind(TUNING, "prefix", 40)
def prefixes_further(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        other = luck.choice([t for t in pool.towns if t.code[:6] != h.code[:6]])
        county = pool.county(other.code)
        yield (
            luck.choice((
                f"{county}{other.name}{h.county}{h.town}{h.road}{h.number}",
                f"广东省-梅州市-{county}-{h.county}{h.road}{h.number}",
                f"梅州市{county}{other.name}广东省梅州市{h.county}{h.town}{h.road}{h.number}",
                f"广东省梅州市{county}(实际地址：{h.county}{h.road}{h.number})",
                f"{h.county}{h.county}{h.town}{h.road}{h.number}",
                f"{h.county}{h.town}{h.county}{h.town}{h.road}{h.number}",
            )),
            label(h),
        )  # fmt: skip


@kind(TUNING, "pinyin", 60)
def letters_further(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        if not sounds_alone(pool, spelled(h.road, "")):
            continue
        road, county, n = spelled(h.road), spelled(h.county), int(h.number[:-1])
        yield (
            luck.choice((
                f"{county} {road} {n} hao".upper(), f"{road.replace(' ', '-')} {n}hao",
                f"{county.title()} {road.title()} {n} Hao", f"mzs {road.replace(' ', '')}{n}hao",
                f"{h.county}{road} {n}hao", f"{road.replace(' ', '')},{n}hao", f"{n}hao, {road}",
                f"{county.replace(' ', '')},{spelled(h.town, '')},{road.replace(' ', '')}{n}hao",
                f"guangdong meizhou {county.replace(' ', '')} {road} {n}",
                f"GuangdongSheng MeizhouShi {county.title().replace(' ', '')} {road} {n}Hao",
            )),
            label(h),
        )  # fmt: skip


@kind(TUNING, "pinyin", 30)
def letters_of_a_town(pool: Pool, luck: random.Random) -> Made:
    for t in picks(luck, pool.towns):
        county, town = spelled(pool.county(t.code)), spelled(t.name)
        stem = spelled(t.name.removesuffix("街道").removesuffix("镇"), "").title()
        short = spelled(pool.county(t.code)[:-1], "").title()
        yield (
            luck.choice((
                f"{county} {town}".upper(), f"{town}, {county}, meizhou",
                f"{stem} Town, {short}, Meizhou",
                f"{county.title()}{town.title()}", f"{short} {stem}",
                f"meizhou {short} {stem} zhen",
                f"{stem} Town, {short} County, Meizhou City, Guangdong Province, China",
            )),
            f"div:{t.code}",
        )  # fmt: skip


@kind(TUNING, "number form", 70)
def numbers_further(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, plain(pool)):
        n = int(h.number[:-1])
        said = luck.choice((
            f"{n}号（原{n + 8}号）", f"新{n}号", f"{n}号(旧{n + 3}号)", f"{n}号（新门牌）",
            f"{n}.号", f"{n}号整栋",
            f"{n}号商住楼", f"（{n}号）", f"{n}号大院", f"{n}号 ", f"{n}号(临街)",
            f"{n}号，{n + 1}号", f"〔{n}号〕",
            f"門牌{n}號", f"{n}号院内", f"第{chinese_number(n)}号", f"{n}号李宅", f"{n}号—",
            f"{n}号第1间",
            f"{n}号、", f"{n}号及周边商铺", f"{n}-{n + 2}号", f"{n}号旁一巷", f"#{n}",
            f"{n}号1-3层",
        ))  # fmt: skip
        kind_of = "near" if said.endswith(("及周边商铺", "旁一巷")) or "间" in said else "number"
        if "-" in said or "，" in said:
            kind_of = "near"
        yield f"{h.county}{h.road}{said}", f"{kind_of}:{h.road}{h.number}"


@kind(TUNING, "inside", 80)
def rooms_further(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.houses):
        room = luck.choice((
            "(1-3层)", "1栋1单元1层102", "第1幢", "大院3栋", "内2栋", "院内", "一楼之二",
            "首层A铺", "整栋", "2楼东边",
            "三单元", "4-1", "1-2层", "1F-102", "B1-05", "10楼1001号", "东梯501", "301房之一",
            "二楼西侧", "负1楼",
            "6楼天台", "一至三层", "首层至二层", "3楼(左)", "302-303室", "第三层302室",
            "1号楼302", "之302房", "8F-A",
            "Room 302", "302 室", "二楼 202", "公寓楼502", "宿舍201", "A1-302", "四楼会议室",
        ))  # fmt: skip
        yield f"{luck.choice((h.county, h.county + h.town))}{h.road}{h.number}{room}", label(h)


@kind(TUNING, "inside", 60)
def towers_further(pool: Pool, luck: random.Random) -> Made:
    for h in picks(luck, pool.towers):
        n = int(h.building[:-1])
        room = luck.choice((
            f"{n}栋1单元1001", f"{n}栋10楼1001号", f"{n}座A单元", f"{n}栋东梯", f"{n}栋1001之一",
            f"{n}栋（A梯）",
            f"{n}栋二梯三楼", f"{n}栋5/F", f"{n}栋1-1001", f"{n}幢1梯0502", f"（{n}栋）502",
            f"{n}栋 二单元 502",
            f"{n}栋楼下", f"{n}栋502房李女士", f"{n}棟5樓", f"{n}栋负二层车库12号",
            f"第{n}幢第2单元第5层",
            f"小区{n}栋", f"住宅小区{n}栋502", f",{n}栋", f"南区{n}栋", f"{n}栋住宅楼", f"之{n}栋",
        ))  # fmt: skip
        head = luck.choice((h.county, f"{h.county}{h.town}", "", "梅州市"))
        yield f"{head}{h.estate}{room}", (f"tower:{h.estate}|{h.building}")


_STORIES = (
    "附近的城中村周围环境脏乱，小区物业一直没有处理，要求街道办和社区居委会尽快派人清理",
    "门口的人行道地砖松动，下雨天行人容易摔倒，已有老人受伤，希望市政部门修复",
    "旁边的空地被人堆放建筑垃圾，占用消防通道，存在安全隐患，请城管部门核查处理",
    "一楼的餐饮店油烟直排，严重影响楼上居民生活，多次向镇政府反映无果",
    "，该路段路灯已损坏一个多月，晚上学生放学看不清路，盼尽快维修",
    "有人在公共区域私搭雨棚，影响邻居采光，诉求拆除",
    "前的绿化树枝叶过于茂密，遮挡交通信号灯，建议修剪",
    "后面的工地每天晚上11点到凌晨3点还在施工，噪音很大无法休息，请环保部门到现场检查",
    "自来水发黄有异味，周边几栋楼都是这样，已持续5天",
    "，电动车在楼道内充电，广场舞音乐扰民，请县里和市里协调",
)  # fmt: skip


@kind(TUNING, "hotline", 60)
def stories_at_a_number(pool: Pool, luck: random.Random) -> Made:
    heads = (
        "来电人反映其居住在", "市民反映：", "关于", "诉求人表示，", "您好！本人是",
        "2026年11月5日上午8点左右，在",
        "投诉人称", "我要反映一个问题，就是", "希望政府重视，", "",
    )  # fmt: skip
    for h in picks(luck, plain(pool)):
        head = luck.choice((h.county, f"{h.county}{h.town}", "", f"广东省梅州市{h.county}{h.town}"))
        text = f"{luck.choice(heads)}{head}{h.road}{h.number}{luck.choice(_STORIES)}"
        yield text, f"near:{h.road}{h.number}"


@kind(TUNING, "hotline", 60)
def stories_of_a_village(pool: Pool, luck: random.Random) -> Made:
    heads = ("来电人是", "村民来电反映", "关于", "", "我们是", "投诉", "网民留言：", "请问")
    tails = (
        "的村民，村里的水渠被堵，影响灌溉", "村口的桥破损，大车无法通行", "村民小组的道路没有硬化",
        "有人在河边养猪，污水直排", "附近山体滑坡，道路中断", "第三组的路灯全部不亮",
        "村委会旁边的垃圾池满了",
        "小学门口没有减速带", "村干部不作为", "2组的村道塌方，要求镇里派人处理",
        "修路占用农田未补偿",
        "，村内的自来水停了两天", "村道上有一根电线杆倾斜，随时会倒", "祠堂旁的大树枯死了",
    )  # fmt: skip
    for v in picks(luck, pool.villages):
        head = luck.choice((pool.county(v.code) + pool.town(v.code), pool.town(v.code)))
        if len(pool.shared(v.name, v.code[:9])) == 1 and len(pool.shared(pool.town(v.code))) == 1:
            yield f"{luck.choice(heads)}{head}{v.name}{luck.choice(tails)}", f"div:{v.code}"


@kind(TUNING, "hotline", 30)
def stories_of_a_road(pool: Pool, luck: random.Random) -> Made:
    heads = ("市民反映", "来电称", "", "每天早上", "请问", "关于")
    tails = (
        "路面坑洼不平，请修补", "全线路灯不亮", "沿线商铺占道经营", "路段经常堵车", "的井盖缺失",
        "上有流浪狗追人",
        "两侧违停严重", "洒水车噪音太大", "施工围挡长期不拆", "改造工程何时完工",
    )  # fmt: skip
    roads = sorted({h.road for h in pool.houses})
    for road in picks(luck, roads):
        house = next(h for h in pool.houses if h.road == road)
        head = luck.choice(("", "梅州市", house.county))
        if {h.county for h in pool.houses if h.road == road} == {house.county}:
            yield f"{luck.choice(heads)}{head}{road}{luck.choice(tails)}", f"road:{road}"


@kind(TUNING, "hotline", 40)
def stories_at_a_crossing(pool: Pool, luck: random.Random) -> Made:
    heads = ("来电人反映", "市民建议在", "关于", "今天早上7点半，", "", "我每天经过")
    tails = (
        "红绿灯时间太短，老人过马路来不及", "发生交通事故，两车相撞",
        "没有斑马线，学生过马路危险", "路面下沉",
        "处的下水道井盖异响，影响附近居民休息", "有人摆摊卖水果，占用车道",
        "车辆乱停，公交车无法转弯",
    )  # fmt: skip
    for a, b in picks(luck, pool.crossings):
        form = luck.choice(
            ("{}与{}交叉口", "{}{}交界处", "{}和{}路口", "{}、{}交叉路口", "{}与{}十字路口")
        )
        yield luck.choice(heads) + form.format(a, b) + luck.choice(tails), f"cross:{a}|{b}"


@kind(TUNING, "unofficial number", 50)
def own_with_other_marks(pool: Pool, luck: random.Random) -> Made:
    forms = (
        "{}号自编", "{}号(自编号)", "自编房{}号", "自建房{}号", "临建{}号", "临时建筑{}号",
        "新编{}号", "编号{}",
        "甲{}号", "补{}号", "铺位{}号", "档口{}号", "摊位{}", "临时摊位{}号", "车位{}号",
        "铁皮房{}号", "简易房{}号",
        "内编{}号", "自编{}号楼", "自编{}座", "自编第{}栋", "另编{}号", "{}号临时", "支{}号",
        "自编{}号-1", "未定{}号",
    )  # fmt: skip
    for h in picks(luck, pool.houses):
        n = luck.randint(1, 60)
        said = luck.choice(forms).format(luck.choice((str(n), chinese_number(n))))
        head = luck.choice((h.county, f"{h.county}{h.town}", ""))
        yield f"{head}{h.road}{said}", f"about:{h.road}"
