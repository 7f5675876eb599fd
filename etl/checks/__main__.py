"""Print the table of all rules as Markdown, as docs/checks.md holds it: python -m etl.checks."""

from __future__ import annotations

import sys

from etl.checks.rules import RULES, RuleSpec


def table() -> str:
    """The rules in the order of the registry."""
    columns = ["rule", "标题 title", "sees", "severity", "where", "parameters", "clause"]
    columns.append("怎样改 how to mend")
    head = "| " + " | ".join(columns) + " |\n"
    return head + "|---" * len(columns) + "|\n" + "".join(map(_row, RULES.values()))


def _row(spec: RuleSpec) -> str:
    where = "layers that list it" if spec.declared else "every layer"
    if spec.adjustable:
        where += ", adjustable"
    parameters = ", ".join([*(f"**{name}**" for name in spec.needs), *spec.takes]) or "—"
    return (
        f"| `{spec.name}` | {spec.title} | {spec.scope.value} | {spec.severity.value} | {where} "
        f"| {parameters} | {spec.clause} | {spec.mend} |\n"
    )


if __name__ == "__main__":
    sys.stdout.write(table())
