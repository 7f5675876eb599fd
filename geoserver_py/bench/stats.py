"""Figures from the tools' outputs: rates, percentiles, medians of repeats, ratios."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median


@dataclass(frozen=True)
class Measured:
    """One load: rate, latency in milliseconds, bytes an answer, CPU seconds by process group."""

    case: str
    target: str
    clients: int
    seconds: float
    rate: float
    p50: float
    p95: float
    p99: float
    answer_bytes: float = 0.0
    errors: int = 0
    cpu: Mapping[str, float] | None = None


class OutputError(ValueError):
    """A tool printed something else than figures."""


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the sorted values lie (nearest rank)."""
    if not ordered:
        raise OutputError("no value to take a percentile of")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def parse_wrk(text: str) -> dict[str, float]:
    """Return the figures that load.lua printed as the last JSON line of wrk's output."""
    lines = [line for line in text.splitlines() if line.startswith("{")]
    if not lines:
        raise OutputError(f"wrk printed no figures: {text[-400:]}")
    return {str(key): float(value) for key, value in json.loads(lines[-1]).items()}


_TPS = re.compile(r"^tps = ([0-9.]+) \(without initial connection time\)", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: (\d+)", re.MULTILINE)


def parse_pgbench(text: str) -> tuple[float, int]:
    """Return transactions a second and the number that failed, from pgbench's summary."""
    found = _TPS.search(text)
    if found is None:
        raise OutputError(f"pgbench printed no rate: {text[-400:]}")
    failed = _FAILED.search(text)
    return float(found[1]), int(failed[1]) if failed else 0


def parse_pgbench_log(lines: Iterable[str]) -> list[float]:
    """Return the sorted latencies, in milliseconds, of a pgbench transaction log.

    Its third column is microseconds (PostgreSQL manual, pgbench, per-transaction logging).
    """
    return sorted(int(line.split()[2]) / 1000 for line in lines if line.strip())


def middle(repeats: Sequence[Measured]) -> Measured:
    """Return the repeat with the median rate, its other figures included; even: the lower."""
    ordered = sorted(repeats, key=lambda m: m.rate)
    return ordered[(len(ordered) - 1) // 2]


def medians(all_repeats: Iterable[Measured]) -> list[Measured]:
    """Return one figure a (case, target, clients): the median repeat, in order of appearance."""
    groups: dict[tuple[str, str, int], list[Measured]] = {}
    for one in all_repeats:
        groups.setdefault((one.case, one.target, one.clients), []).append(one)
    return [
        replace(middle(group), errors=sum(one.errors for one in group)) for group in groups.values()
    ]


@dataclass(frozen=True)
class Goal:
    """A ratio to reach: `ours` over `other` in a case, with 8 clients."""

    case: str
    other: str
    least: float


@dataclass(frozen=True)
class Ratio:
    """A ratio measured: the median over the repeats of ours to other."""

    case: str
    other: str
    clients: int
    value: float
    goal: float | None

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        return None if self.goal is None else self.value >= self.goal


def ratios(
    all_repeats: Sequence[Measured], goals: Sequence[Goal], *, ours: str = "geoserver_py"
) -> list[Ratio]:
    """Return the ratios of our rate to every other target's, case by case.

    Repeat n of one is divided by repeat n of the other, which ran next to it, and the median of
    these is taken: what a noisy neighbour does to one repeat it does to both.
    """
    wanted = {(goal.case, goal.other): goal.least for goal in goals}
    groups: dict[tuple[str, int], dict[str, list[float]]] = {}
    for one in all_repeats:
        groups.setdefault((one.case, one.clients), {}).setdefault(one.target, []).append(one.rate)
    made = []
    for (case, clients), targets in groups.items():
        mine = targets.get(ours, [])
        for other, rates in targets.items():
            pairs = [a / b for a, b in zip(mine, rates, strict=False) if b]
            if other != ours and pairs:
                goal = wanted.get((case, other)) if clients == 8 else None
                made.append(Ratio(case, other, clients, median(pairs), goal))
    return made


def as_json(values: Iterable[Measured | Ratio]) -> list[dict[str, object]]:
    """Return figures as JSON objects."""
    return [asdict(value) for value in values]
