"""The figures as Markdown: ratios with their goals, rates, loads, downloads."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median

from geoserver_py.bench.loading import Loaded
from geoserver_py.bench.run import Outcome
from geoserver_py.bench.scale import Scaled
from geoserver_py.bench.stats import Measured, Ratio
from geoserver_py.errors import WorkFailed

OURS = "geoserver_py"
LOAD_GOAL = 0.6
POINTS_GOAL = 0.7
AGAIN_GOAL = 0.7
LARGE_GOAL_MB = 1_430
MEMORY_GOAL_MB = 200
BEGIN = "<!-- results: written by the benchmark -->"
END = "<!-- end of results -->"


def machine() -> dict[str, str]:
    """Return what the figures were measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": model,
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "system": platform.platform(),
        "python": platform.python_version(),
        "load at the end": " ".join(f"{value:.1f}" for value in os.getloadavg()),
    }


def table(outcome: Outcome) -> str:
    """Return the whole report as Markdown."""
    parts = [_goals(outcome), _rates(outcome.medians())]
    if outcome.large:
        large = outcome.large
        parts.append(
            f"A file of {large.rows} points loaded in {large.seconds:.0f} s: the ETL's process"
            f" took {large.peak_mb:.0f} MiB at most (goal: under {LARGE_GOAL_MB})."
        )
    if outcome.streamed:
        s = outcome.streamed
        parts.append(
            f"{s.features} features streamed in {s.seconds:.1f} s ({s.megabytes:.0f} MB):"
            f" the server took {s.peak_mb:.0f} MiB at most, {s.idle_mb:.0f} before"
            f" (goal: under {MEMORY_GOAL_MB})."
        )
    return "\n\n".join(part for part in parts if part) + "\n"


def _goals(outcome: Outcome) -> str:
    work = {(m.case, m.target, m.clients): cpu_milliseconds(m) for m in outcome.medians()}
    rows: list[tuple[str, ...]] = [_ratio_row(one, work) for one in outcome.ratios()]
    rows += load_rows(outcome.loads)
    rows += scale_rows(outcome.scaled)
    heading = ("case", "against", "clients", "ratio", "goal", "reached", "by CPU")
    return markdown(heading, rows)


def cpu_milliseconds(one: Measured) -> float:
    """Return the CPU time of a request in all process groups together."""
    requests = one.rate * one.seconds
    return 1000 * sum((one.cpu or {}).values()) / requests if requests else 0.0


def _ratio_row(one: Ratio, work: Mapping[tuple[str, str, int], float]) -> tuple[str, ...]:
    """A ratio of rates, and the ratio of CPU a request, which other users of the machine disturb
    less.
    """  # fmt: skip
    mine = work.get((one.case, OURS, one.clients), 0.0)
    theirs = work.get((one.case, one.other, one.clients), 0.0)
    by_cpu = f"{theirs / mine:.2f}" if mine and theirs else ""
    return (one.case, one.other, str(one.clients), *verdict(one.value, one.goal), by_cpu)


def verdict(value: float, goal: float | None) -> tuple[str, str, str]:
    """Return ratio, goal and whether it is reached, as shown; the goal may be absent."""
    if goal is None:
        return f"{value:.2f}", "", ""
    return f"{value:.2f}", f"{goal:g}", "yes" if value >= goal else "no"


def load_rows(loads: Sequence[Loaded]) -> list[tuple[str, ...]]:
    """Return the rows of the ETL: its median rate to that of ogr2ogr, by ogr2ogr's source."""
    mine = [one.rate for one in loads if one.loader == "geoserver_py"]
    rows: list[tuple[str, ...]] = []
    for source in dict.fromkeys(one.source for one in loads if one.loader == "ogr2ogr"):
        theirs = [o.rate for o in loads if o.loader == "ogr2ogr" and o.source == source]
        value = median(a / b for a, b in zip(mine, theirs, strict=True))
        case = f"first load, {median(mine):.0f} rows/s"
        rows.append((case, f"ogr2ogr, {source}", "1", *verdict(value, LOAD_GOAL), ""))
    return rows


def scale_rows(found: Sequence[Scaled]) -> list[tuple[str, ...]]:
    """Return the rows of the ETL at scale: medians of the repeats' ratios, by clock and by CPU."""
    if not found:
        return []
    points = found[0].rows
    first = median(one.ogr2ogr.seconds / one.first.seconds for one in found)
    first_cpu = median(one.ogr2ogr.cpu / one.first.cpu for one in found)
    again = median(one.again.seconds / one.first.seconds for one in found)
    again_cpu = median(one.again.cpu / one.first.cpu for one in found)
    rate = points / median(one.first.seconds for one in found)
    reached = "yes" if again < AGAIN_GOAL else "no"
    return [
        (f"first load of {points} points, {rate:.0f} rows/s", "ogr2ogr, CSV, UTF-8", "1",
         *verdict(first, POINTS_GOAL), f"{first_cpu:.2f}"),
        (f"time of the same {points} again, unchanged, in another order", "first load", "1",
         f"{again:.2f}", f"< {AGAIN_GOAL:g}", reached, f"{again_cpu:.2f}"),
    ]  # fmt: skip


def _rates(found: Sequence[Measured]) -> str:
    rows = []
    for one in found:
        cpu = one.cpu or {}
        milliseconds = {
            name: 1000 * spent / (one.rate * one.seconds) if one.rate else 0.0
            for name, spent in cpu.items()
        }
        rows.append(
            (
                one.case,
                one.target,
                str(one.clients),
                f"{one.rate:.1f}",
                f"{one.p50:.1f}",
                f"{one.p95:.1f}",
                f"{one.p99:.1f}",
                f"{one.answer_bytes / 1000:.1f}" if one.answer_bytes else "",
                *(
                    f"{milliseconds[name]:.2f}" if name in milliseconds else ""
                    for name in ("postgres", "server", "client")
                ),
                str(one.errors or ""),
            )
        )
    heading = ("case", "target", "clients", "req/s", "p50 ms", "p95 ms", "p99 ms", "KB",
               "CPU ms postgres", "server", "client", "errors")  # fmt: skip
    return markdown(heading, rows)


def record(text: str, outcome: Outcome, date: str) -> str:
    """Return a document with the results between its two marks replaced by those of a run.

    Raises WorkFailed for a document without the marks.
    """
    before, opened, rest = text.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not opened or not closed:
        raise WorkFailed(f"the document has no marks {BEGIN} and {END}")
    facts = ", ".join(f"{name} {value}" for name, value in machine().items())
    rows = ", ".join(f"{count} of {layer}" for layer, count in outcome.counts.items())
    heading = (
        f"Measured {date} in {outcome.seconds / 60:.0f} min: {facts}. Rows: {rows};"
        f" {outcome.plan.repeats} x {outcome.plan.seconds} s a figure."
    )
    return f"{before}{BEGIN}\n\n{heading}\n\n{table(outcome)}\n{END}{after}"


def markdown(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; "" without rows."""
    lines = [" | ".join(row) for row in rows]
    if not lines:
        return ""
    rule = " | ".join("---" for _ in heading)
    return "\n".join(f"| {line} |" for line in (" | ".join(heading), rule, *lines))
