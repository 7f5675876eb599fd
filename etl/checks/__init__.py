"""Checks derived from layer definitions: every rule looks at whole columns, never row by row."""

from etl.checks.finding import RULE_TITLES, CheckError, Finding, RuleBook, Severity

__all__ = ["RULE_TITLES", "CheckError", "Finding", "RuleBook", "Severity"]
