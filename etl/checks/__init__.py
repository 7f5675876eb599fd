"""Checks derived from layer definitions: every rule looks at whole columns, never row by row."""

from etl.checks.finding import CheckError, Finding, RuleBook
from etl.checks.rules import RULE_TITLES, RULES, RuleSpec, Scope, Severity

__all__ = [
    "RULES",
    "RULE_TITLES",
    "CheckError",
    "Finding",
    "RuleBook",
    "RuleSpec",
    "Scope",
    "Severity",
]
