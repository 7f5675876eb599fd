"""Findings: which rows of a batch break which rule, how grave that is, and why in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layers.definition import LayerDefinition

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


class Severity(StrEnum):
    """reject keeps the row out, warn only records it, block fails the whole run."""

    REJECT = "reject"
    WARN = "warn"
    BLOCK = "block"


RULE_TITLES: Mapping[str, str] = {
    "type": "类型不符 value of another type",
    "map": "代码无法翻译 code without translation",
    "required": "必填项为空 required value missing",
    "max_length": "超出长度 text too long",
    "range": "超出值域 number out of range",
    "domain": "不在代码表中 code not in the list",
    "id_required": "缺少标识码 identifier missing",
    "id_pattern": "标识码格式不符 identifier of another form",
    "unique_id": "标识码重复 identifier delivered twice",
    "exclusive": "互斥字段同时有值 exclusive fields both filled",
    "coordinate": "坐标不是数字 coordinate is not a number",
    "no_geometry": "没有几何 geometry missing or empty",
    "unreadable": "行或几何无法读取 row or geometry cannot be read",
    "geometry_type": "几何类型不符 geometry of another type",
    "height_required": "缺少高程 height missing",
    "datum_step": "无法换算到 CGCS2000 no CGCS2000 position",
    "frame": "位置在城市范围之外 outside the city",
    "valid_geometry": "几何无效 invalid geometry",
    "no_overlap": "与其他图形重叠 overlaps another feature",
    "no_gap": "图形之间有空隙 gap between features",
}
"""Rules by name, as reports show them."""

_ADJUSTABLE = {
    "max_length", "range", "domain", "id_pattern", "exclusive", "valid_geometry", "no_overlap",
    "no_gap",
}  # fmt: skip


class CheckError(ValueError):
    """A rule of a layer definition that does not exist or has wrong parameters."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with its severity and parameters in one layer."""

    name: str
    severity: Severity
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """Rows (positions in the batch) that break one rule; `reasons` has one sentence a row."""

    rule: str
    severity: Severity
    rows: IntArray
    reasons: Sequence[str]


class RuleBook:
    """The rules of one layer: those every layer has, adjusted and extended by its `checks`."""

    def __init__(self, definition: LayerDefinition) -> None:
        self._named: dict[str, Rule] = {}
        for name, parameters in definition.checks:
            rest = dict(parameters)
            severity = rest.pop("severity", Severity.REJECT)
            if name not in _ADJUSTABLE:
                raise CheckError(
                    f"图层 {definition.name}: 不认识的检查 unknown or fixed check {name!r}; "
                    f"可用 known: {', '.join(sorted(_ADJUSTABLE))}"
                )
            if severity not in set(Severity):
                raise CheckError(
                    f"图层 {definition.name}: {name}: severity 须为 reject、warn 或 block "
                    f"(got {severity!r})"
                )
            self._named[name] = Rule(name, Severity(severity), rest)

    def severity(self, rule: str) -> Severity:
        """Severity of a rule in this layer."""
        named = self._named.get(rule)
        return Severity.REJECT if named is None else named.severity

    def asked(self, rule: str) -> Rule | None:
        """The rule when the definition lists it."""
        return self._named.get(rule)

    def finding(self, rule: str, bad: BoolArray, reason: Callable[[int], str]) -> list[Finding]:
        """Findings of the rows where `bad`; `reason` is asked for these rows only."""
        rows = np.flatnonzero(bad)
        if not len(rows):
            return []
        return [Finding(rule, self.severity(rule), rows, [reason(int(row)) for row in rows])]
