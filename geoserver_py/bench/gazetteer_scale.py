"""What ten times the addresses cost: CPU time of a request in two cities, served side by side.

By CPU time, not by the clock: the two take turns, and whoever else uses the machine disturbs the
turns alike.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from geoserver_py.bench.loads import Target, run_wrk
from geoserver_py.bench.peers import Server, ours
from geoserver_py.bench.plan import Plan
from geoserver_py.bench.report import markdown

TURNS = 3
GOAL = 1.5
Figures = dict[str, Any]


def compare(
    plan: Plan,
    dsns: Mapping[int, str],
    paths: Mapping[int, Mapping[str, list[str]]],
    postgres: int,
    *,
    workers: int,
) -> Iterator[Figures]:
    """CPU milliseconds of a request by scale for each case, and their ratio.

    ``dsns`` and ``paths`` (request paths by case) by scale; both services run all the time. Of
    TURNS turns the median counts; a first one, which fills caches, does not. PostgreSQL's share is
    of all that ``postgres`` and its children do, so nobody else may use that server.
    """
    small, large = sorted(dsns)
    with contextlib.ExitStack() as stack:
        servers = {
            scale: stack.enter_context(
                ours(plan, dsns[scale], cache_mb=16, workers=workers, name=f"gazetteer-{scale}")
            )
            for scale in (small, large)
        }
        for case in paths[small]:
            spent: dict[int, list[float]] = {small: [], large: []}
            for turn in range(TURNS + 1):
                for scale, server in servers.items():
                    lines = paths[scale][case]
                    used = _cpu_ms(plan, server, f"{case}-{scale}", lines, postgres)
                    if turn:
                        spent[scale].append(used)
            costs = {scale: statistics.median(turns) for scale, turns in spent.items()}
            yield {
                "case": case,
                "cpu_ms": {str(scale): round(cost, 3) for scale, cost in costs.items()},
                "ratio": round(costs[large] / costs[small], 2),
            }


def _cpu_ms(plan: Plan, server: Server, name: str, lines: list[str], postgres: int) -> float:
    """CPU time of service and PostgreSQL for a request, milliseconds, at eight clients."""
    file = plan.folder / f"ratio-{name}.txt"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    found = run_wrk(
        Target("geoserver_py", server.process, postgres), name, server.base, file,
        clients=8, seconds=plan.seconds, output=plan.raw / f"ratio-{name}.txt",
    )  # fmt: skip
    cpu = found.cpu or {}
    requests = found.rate * found.seconds
    return (cpu["server"] + cpu["postgres"]) * 1000 / requests


def table(found: Mapping[str, Any]) -> str:
    """The comparison as a Markdown table."""
    small, large = (f"{count:,}" for count in found["addresses"])
    rows = []
    for one in found["figures"]:
        costs = [f"{cost} ms" for cost in one["cpu_ms"].values()]
        rows.append((one["case"], *costs, str(one["ratio"]), str(GOAL), found["date"]))
    heading = ("CPU of a request", f"{small} addresses", f"{large}", "ratio", "at most", "date")
    return markdown(heading, rows)
