"""`python -m geoserver_py.bench`: the benchmark from the command line; see docs/performance.md."""

from __future__ import annotations

import argparse
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import orjson

from geoserver_py.bench.plan import Plan
from geoserver_py.bench.report import machine, record, table
from geoserver_py.bench.run import Outcome, run
from geoserver_py.errors import WorkFailed
from geoserver_py.refusals import REFUSALS


def _plan(arguments: argparse.Namespace) -> Plan:
    plan = Plan(
        folder=Path(".data/bench"),
        scale=arguments.scale,
        seconds=arguments.seconds,
        repeats=arguments.repeats,
        parts=tuple(arguments.only.split(",")) if arguments.only else Plan.parts,
    )
    if arguments.quick:
        plan = replace(
            plan, seconds=3, warm=1, repeats=1, clients=(8,), points=100_000, large=500_000
        )
    return plan


def main() -> int:
    """Run the benchmark; 0 when it ran to its end, whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m geoserver_py.bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=Plan.seconds, help="of load a repeat")
    parser.add_argument("--repeats", type=int, default=Plan.repeats, help="median of these")
    parser.add_argument("--scale", type=float, default=Plan.scale, help="of the sample city")
    parser.add_argument("--quick", action="store_true", help="3 s once, 8 clients: for developers")
    parser.add_argument("--only", help=f"parts, by comma, of {','.join(Plan.parts)}")
    parser.add_argument("--record", type=Path, help="document that gets the table, by its marks")
    arguments = parser.parse_args()
    plan = _plan(arguments)
    started = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")

    def say(line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def keep(outcome: Outcome) -> None:
        document = {"started": started, "machine": machine(), **outcome.document()}
        text = orjson.dumps(document, option=orjson.OPT_INDENT_2)
        for name in (started, "latest"):
            (plan.folder / f"{name}.json").write_bytes(text)
        (plan.folder / "table.md").write_text(table(outcome), "utf-8")

    # a SIGTERM ends servers and cluster too, as Ctrl-C does
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        outcome = run(plan, say, keep)
    except (WorkFailed, *REFUSALS) as failure:
        say(f"bench: {failure}")
        return 1
    keep(outcome)
    sys.stdout.write(table(outcome))
    if arguments.record:
        text = arguments.record.read_text("utf-8")
        arguments.record.write_text(record(text, outcome, f"{started[:8]} (UTC)"), "utf-8")
    say(f"bench: {outcome.seconds:.0f} s; results in {plan.folder}/{started}.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
