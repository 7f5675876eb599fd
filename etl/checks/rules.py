"""The registry of rules: name, severity, clause, and what a bureau does to mend a finding.

A rule of scope ROW sees a batch of rows; LAYER sees the whole staged layer once; DELIVERY also
needs other layers, staged beside it or loaded already; FILE judges a file before its rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """reject keeps the row out, warn only records it, block fails the whole delivery."""

    REJECT = "reject"
    WARN = "warn"
    BLOCK = "block"


class Scope(StrEnum):
    """What a rule has to see to judge."""

    ROW = "row"
    LAYER = "layer"
    DELIVERY = "delivery"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """A rule as it is registered.

    `title` and `mend` (how to mend it) are Chinese first, English beside it. `clause` names the
    standard, or says that the city configures it. `declared` rules run only in layers that list
    them; `adjustable` ones run everywhere and a layer may change their severity. `needs` and
    `takes` are names of required and of possible parameters.
    """

    name: str
    title: str
    scope: Scope
    clause: str
    mend: str
    severity: Severity = Severity.REJECT
    declared: bool = False
    adjustable: bool = False
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, str]:
        """What a report says of the rule."""
        return {"title": self.title, "clause": self.clause, "mend": self.mend}


_DEFINITION = "图层定义 layer definition"
_CITY = "本市配置 set by the city"
_SURVEY = "CJJ 61-2017 成果检查 check of survey results"
_PARTIAL = "交付文件 area、crossing delivery file"
_QUALITY = "GB/T 18316-2008 成果质量 quality of results"
_BATCH = (
    RuleSpec(
        "type", "类型不符 value of another type", Scope.ROW, _DEFINITION,
        "按字段类型填写：数字不带单位和文字，日期写 2026-11-22 (write a plain number or date)",
    ),
    RuleSpec(
        "map", "代码无法翻译 code without translation", Scope.ROW, "交付文件 delivery file",
        "改用交付文件 map 中的词，或在 map 中补上该词 (use a known word, or add it to map)",
    ),
    RuleSpec(
        "required", "必填项为空 required value missing", Scope.ROW, _DEFINITION,
        "补填该字段 (fill it in)",
    ),
    RuleSpec(
        "max_length", "超出长度 text too long", Scope.ROW, _DEFINITION,
        "缩短文字，或检查是否错列 (shorten it, or look for shifted columns)", adjustable=True,
    ),
    RuleSpec(
        "range", "超出值域 number out of range", Scope.ROW, _DEFINITION,
        "核对数值和单位 (check number and unit)", adjustable=True,
    ),
    RuleSpec(
        "domain", "不在代码表中 code not in the list", Scope.ROW, "图层标准的代码表 code list",
        "改为代码表中的代码 (use a code of the list)", adjustable=True,
    ),
    RuleSpec(
        "id_required", "缺少标识码 identifier missing", Scope.ROW, _DEFINITION,
        "补填标识码 (fill in the identifier)",
    ),
    RuleSpec(
        "id_pattern", "标识码格式不符 identifier of another form", Scope.ROW, _DEFINITION,
        "按标准的位数和字符编码 (follow the form of the standard)", adjustable=True,
    ),
    RuleSpec(
        "unique_id", "标识码重复 identifier delivered twice", Scope.LAYER, _DEFINITION,
        "保留一条，其余改号或删除 (keep one, renumber or remove the others)",
    ),
    RuleSpec(
        "exclusive", "互斥字段 exclusive fields", Scope.ROW, f"{_SURVEY}（特征、附属物）",
        "只填其中一个，另一个留空 (fill exactly one of them)", declared=True,
        needs=("fields",), takes=("required",),
    ),
    RuleSpec(
        "coordinate", "坐标不是数字 coordinate is not a number", Scope.ROW, _DEFINITION,
        "填写完整的数字坐标 (write plain numbers)",
    ),
    RuleSpec(
        "no_geometry", "没有几何 geometry missing or empty", Scope.ROW, _DEFINITION,
        "补上图形或坐标 (add the shape or the coordinates)",
    ),
    RuleSpec(
        "unreadable", "行或几何无法读取 row or geometry cannot be read", Scope.ROW, _DEFINITION,
        "按原因改正后重新导出 (correct it and export again)",
    ),
    RuleSpec(
        "geometry_type", "几何类型不符 geometry of another type", Scope.ROW, _DEFINITION,
        "点、线、面分别交付到各自的图层 (deliver points, lines and areas to their own layers)",
    ),
    RuleSpec(
        "height_required", "缺少高程 height missing", Scope.ROW, _DEFINITION,
        "补测或补填高程 (add the height)",
    ),
    RuleSpec(
        "datum_step", "无法换算到 CGCS2000 no CGCS2000 position", Scope.ROW, "坐标系 datum",
        "核对坐标系、带号和列的次序 (check coordsys, zone and column order)",
    ),
    RuleSpec(
        "frame", "位置在城市范围之外 outside the city", Scope.ROW, _CITY,
        "核对坐标系和该点坐标 (check coordsys and the position)",
    ),
    RuleSpec(
        "valid_geometry", "几何无效 invalid geometry", Scope.ROW, "ISO 19125-1 (OGC 06-103r4)",
        "已自动修复的请核对面积；未修复的请重画 (check the repaired ones, redraw the others)",
        declared=True,
    ),
)  # fmt: skip
_SEGMENTS = (
    RuleSpec(
        "distinct_ends", "起点与终点相同 start is end", Scope.ROW, _SURVEY,
        "改正起点点号或终点点号 (correct one point number)", declared=True, takes=("start", "end"),
    ),
    RuleSpec(
        "segment_length", "管段长度异常 unusual length", Scope.ROW, f"{_SURVEY}；{_CITY}",
        "过短的合并，过长的补测中间点，或核对点号 (merge, add a point between, or check numbers)",
        Severity.WARN, declared=True, takes=("minimum_m", "maximum_m"),
    ),
    RuleSpec(
        "slope", "坡度超限 too steep", Scope.ROW, f"{_SURVEY}；{_CITY}",
        "核对两端高程和平面位置 (check heights and positions of both ends)",
        Severity.WARN, declared=True, needs=("limits",),
    ),
    RuleSpec(
        "adverse_slope", "逆坡 gravity pipe runs uphill", Scope.ROW, f"GB 50014-2021；{_CITY}",
        "核对流向与两端管底高程 (check flow direction and inverts)",
        Severity.WARN, declared=True, takes=("when", "tolerance_m"),
    ),
    RuleSpec(
        "burial_depth", "埋深不合要求 burial depth against the limits", Scope.ROW,
        f"GB 50289-2016 4.1.1；{_CITY}",
        "核对埋深和埋设方式；属实的在备注说明 (check depth and laying; explain true ones)",
        Severity.WARN, declared=True, needs=("limits",),
    ),
    RuleSpec(
        "repeated_segment", "管段重复 segment delivered twice", Scope.LAYER, _SURVEY,
        "删去重复（或起终点颠倒）的一条 (remove the repeated or reversed one)",
        declared=True, takes=("start", "end", "same"),
    ),
    RuleSpec(
        "clearance", "管线水平净距不足 pipes too near side by side", Scope.LAYER,
        f"GB 50289-2016 4.1.9；{_CITY}",
        "核对平面位置和管径；属实的说明保护措施 (check position and size; explain true ones)",
        Severity.WARN, declared=True, needs=("limits",),
    ),
    RuleSpec(
        "same_at_node", "两侧管径或材质不一致 size or material changes", Scope.DELIVERY, _SURVEY,
        "在变化处设变径点、变材点，或改正属性 (put a 变径 or 变材 point there, or correct it)",
        Severity.WARN, declared=True, needs=("points", "fields"),
        takes=("start", "end", "feature", "allowed"),
    ),
    RuleSpec(
        "depth_elevation", "地面高程 ≠ 埋深 + 管线高程 ground is not depth + elevation",
        Scope.DELIVERY, _SURVEY,
        "压力管和电缆埋深到管顶，排水埋深到管内底；核对三个数 (depth is to the top, of drains to "
        "the invert; check the three numbers)",
        Severity.WARN, declared=True, needs=("points", "limits"), takes=("start", "end"),
    ),
    RuleSpec(
        "end_position", "线端不在点上 line does not end at its point", Scope.DELIVERY, _SURVEY,
        "核对点号，或把线端移到点上 (check the number, or move the end to the point)",
        Severity.WARN, declared=True, needs=("points",), takes=("start", "end", "tolerance_m"),
    ),
    RuleSpec(
        "node_degree", "连接数与特征不符 degree does not fit the feature", Scope.DELIVERY, _SURVEY,
        "补上漏测的管段，或改正特征 (add the missing segment, or correct the feature)",
        Severity.WARN, declared=True, needs=("lines", "degrees"), takes=("start", "end", "feature"),
    ),
    RuleSpec(
        "orphan_point", "孤立点 point without a line", Scope.DELIVERY, _SURVEY,
        "补上与它相连的管段，或删去该点 (add its segment, or remove the point)",
        Severity.WARN, declared=True, needs=("lines",), takes=("start", "end"),
    ),
)  # fmt: skip
_WHOLE = (
    RuleSpec(
        "no_overlap", "与其他图形重叠 overlaps another feature", Scope.LAYER, _QUALITY,
        "修改公共边，使相邻图形只共边 (edit the common edge)", declared=True,
        takes=("tolerance_m",),
    ),
    RuleSpec(
        "no_gap", "图形之间有空隙 gap between features", Scope.LAYER, _QUALITY,
        "补上缺少的图形或修改公共边 (add the missing area, or edit the common edge)",
        declared=True, takes=("tolerance_m",),
    ),
    RuleSpec(
        "near_duplicate", "疑似重复 likely duplicate", Scope.LAYER, _QUALITY,
        "核对是否同一实体，保留一条 (keep one if they are the same thing)",
        Severity.WARN, declared=True, needs=("distance_m",), takes=("same",),
    ),
    RuleSpec(
        "dangling_end", "悬挂端点 dangling end", Scope.LAYER, _QUALITY,
        "把线端接到相邻的线上，或删去伸出的一小段 (snap the end to the line, or trim it)",
        Severity.WARN, declared=True, takes=("tolerance_m",),
    ),
    RuleSpec(
        "reference", "引用的要素不存在 refers to nothing", Scope.DELIVERY, _DEFINITION,
        "改正引用的编号，或先交付被引用的要素 (correct the number, or deliver what it names)",
        declared=True, needs=("fields", "to"), takes=("key",),
    ),
    RuleSpec(
        "neighbour_offset", "与相邻图层有偏移 offset to a neighbouring layer", Scope.DELIVERY,
        f"{_QUALITY}（接边、套合）；{_CITY}",
        "核对坐标系和转换参数，或做接边 (check datum and parameters, or match the edges)",
        Severity.WARN, declared=True, needs=("to", "how"), takes=("search_m", "limit_m"),
    ),
    RuleSpec(
        "outside_area", "在交付区域之外 outside the delivered area", Scope.DELIVERY, _PARTIAL,
        "只交付区域内的要素，或改正 area (deliver what lies inside, or correct the area)",
    ),
    RuleSpec(
        "border_crossing", "跨越区域边界而未交付 crosses the border, not delivered",
        Scope.DELIVERY, _PARTIAL,
        "整条交付该要素，或由相邻区域交付 (deliver it whole, or let the neighbour do so)",
        Severity.WARN,
    ),
    RuleSpec(
        "moved_in", "由区域外移入 moved in from outside", Scope.DELIVERY, _PARTIAL,
        "核对编号是否与区域外的要素相同 (check that it is the same feature)", Severity.WARN,
    ),
    RuleSpec(
        "edge_snapped", "已接边 edge matched, end moved", Scope.DELIVERY, _QUALITY,
        "核对接边结果 (check the joined end)", Severity.WARN,
    ),
    RuleSpec(
        "edge_gap", "未接边 edges do not meet", Scope.DELIVERY, _QUALITY,
        "与相邻区域核对端点位置 (agree with the neighbour where the ends meet)", Severity.WARN,
    ),
    RuleSpec(
        "edge_open", "边界处中断 ends at the border", Scope.DELIVERY, _QUALITY,
        "确认是否应有接续 (find out whether it should go on)", Severity.WARN,
    ),
    RuleSpec(
        "check_points", "检查点中误差超限 check points beyond the accuracy", Scope.DELIVERY,
        "GB/T 24356-2023 中误差 root mean square error",
        "复测或改用更准的转换参数后重新交付 (survey again, or use better parameters)",
        Severity.BLOCK,
    ),
    RuleSpec(
        "datum", "坐标系与声明不符 another datum than stated", Scope.FILE, "坐标系 datum",
        "改正 coordsys，或在 answers 中说明 (correct coordsys, or answer with a reason)",
        Severity.BLOCK,
    ),
    RuleSpec(
        "datum_accuracy", "换算精度不够 datum steps not accurate enough", Scope.FILE,
        _DEFINITION, "交付更准的坐标，或写明 accept_accuracy (deliver better, or accept it)",
        Severity.BLOCK,
    ),
)  # fmt: skip

RULES: Mapping[str, RuleSpec] = {spec.name: spec for spec in (*_BATCH, *_SEGMENTS, *_WHOLE)}
"""All rules by name."""

RULE_TITLES: Mapping[str, str] = {name: spec.title for name, spec in RULES.items()}
"""Rules by name, as reports show them."""


def rule_book(names: Mapping[str, object] | list[str]) -> dict[str, dict[str, str]]:
    """Title, clause and mending of the named rules, for a report."""
    return {name: RULES[name].to_json() for name in names if name in RULES}
