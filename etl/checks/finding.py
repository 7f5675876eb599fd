"""Findings: which rows of a batch break which rule, how grave that is, and why in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etl.checks.rules import RULE_TITLES, RULES, Scope, Severity
from layers.definition import LayerDefinition

__all__ = [
    "RULE_TITLES", "BoolArray", "CheckError", "Finding", "IntArray", "Rule", "RuleBook", "Severity",
]  # fmt: skip

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


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
        self._rules: list[Rule] = []
        for name, parameters in definition.checks:
            rest = dict(parameters)
            severity = rest.pop("severity", None)
            spec = RULES.get(name)
            if spec is None or not (spec.declared or spec.adjustable):
                may = sorted(s.name for s in RULES.values() if s.declared or s.adjustable)
                raise CheckError(
                    f"图层 {definition.name}: 不认识的检查 unknown or fixed check {name!r}; "
                    f"可用 known: {', '.join(may)}"
                )
            if severity is not None and severity not in set(Severity):
                raise CheckError(
                    f"图层 {definition.name}: {name}: severity 须为 reject、warn 或 block "
                    f"(got {severity!r})"
                )
            missing = [key for key in spec.needs if key not in rest]
            unknown = [key for key in rest if key not in (*spec.needs, *spec.takes)]
            if missing or unknown:
                raise CheckError(
                    f"图层 {definition.name}: {name}: 缺少参数 missing {missing}，"
                    f"未知参数 unknown {unknown}；可用 known: "
                    f"{', '.join((*spec.needs, *spec.takes)) or '—'}"
                )
            rule = Rule(name, Severity(severity or spec.severity), rest)
            self._named.setdefault(name, rule)
            self._rules.append(rule)

    def severity(self, rule: str) -> Severity:
        """Severity of a rule in this layer."""
        named = self._named.get(rule)
        return RULES[rule].severity if named is None else named.severity

    def of_scope(self, scope: Scope) -> tuple[Rule, ...]:
        """The listed rules of a scope, in the order of the definition; one name may come twice."""
        return tuple(rule for rule in self._rules if RULES[rule.name].scope is scope)

    def asked(self, rule: str) -> Rule | None:
        """The rule when the definition lists it."""
        return self._named.get(rule)

    def finding(self, rule: str, bad: BoolArray, reason: Callable[[int], str]) -> list[Finding]:
        """Findings of the rows where `bad`; `reason` is asked for these rows only."""
        rows = np.flatnonzero(bad)
        if not len(rows):
            return []
        return [Finding(rule, self.severity(rule), rows, [reason(int(row)) for row in rows])]
