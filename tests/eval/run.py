"""Running the engine over cases, and the table by group."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from etl.datum import DatumRegistry
from gazetteer.answers import Hints
from gazetteer.service import lent
from geoserver_py.geocoding import geocode
from layers.access import SYSTEM
from layers.city import load_city
from tests.eval import city
from tests.eval.corpus import Case
from tests.eval.judge import COLUMNS, Verdict, judge, share
from tests.eval.truth import Base, Truth

LIMIT = 20
BATCH = 500


@dataclass(frozen=True)
class Judged:
    """A case with its answer, judged; `ms` is the time of the single query."""

    case: Case
    truth: Truth
    document: Mapping[str, Any]
    verdict: Verdict
    ms: float
    same: bool
    """Whether the batch gave the same answer as the single query."""


async def judged(dsn: str, base: Base, cases: Sequence[Case]) -> list[Judged]:
    """Ask every case once alone and once in a batch; the batch is judged."""
    profile, registry, hints = load_city("meizhou"), DatumRegistry(), Hints(limit=LIMIT)
    found: list[Judged] = []
    async with city.engine(dsn) as (service, connection):

        async def ask(texts: Sequence[str]) -> list[dict[str, Any]]:
            return await geocode(
                service, lent(connection), SYSTEM, texts,
                profile=profile, registry=registry, hints=hints, explain=False,
            )  # fmt: skip

        await ask([case.text for case in cases[:20]])  # caches of the first queries
        for start in range(0, len(cases), BATCH):
            some = cases[start : start + BATCH]
            documents = await ask([case.text for case in some])
            for case, document in zip(some, documents, strict=True):
                began = time.perf_counter()
                alone = (await ask([case.text]))[0]
                ms = (time.perf_counter() - began) * 1000
                truth = base.truth(case.label, case.text)
                verdict = judge(document, truth, case.group)
                found.append(Judged(case, truth, document, verdict, ms, alone == document))
    return found


def percentile(values: Sequence[float], part: float) -> float:
    """The value that `part` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def summary(some: Sequence[Judged]) -> dict[str, Any]:
    """One row of the table."""
    verdicts = [j.verdict for j in some]
    times = [j.ms for j in some]
    row: dict[str, Any] = {"n": len(some)}
    row |= {column: share(verdicts, column) for column in COLUMNS}
    row |= {"p50_ms": percentile(times, 0.5), "p95_ms": percentile(times, 0.95)}
    return row


def by_group(found: Sequence[Judged]) -> dict[str, dict[str, Any]]:
    """Rows of the table by group, and `all`."""
    groups: dict[str, list[Judged]] = defaultdict(list)
    for j in found:
        groups[j.case.group].append(j)
    rows = {group: summary(groups[group]) for group in sorted(groups)}
    return {**rows, "all": summary(found)}


def by_kind(found: Sequence[Judged]) -> dict[str, float]:
    """Share that is right by kind of case."""
    kinds: dict[str, list[bool]] = defaultdict(list)
    for j in found:
        kinds[f"{j.case.group} / {j.case.kind}"].append(j.verdict.right)
    return {kind: sum(right) / len(right) for kind, right in sorted(kinds.items())}


def failure(j: Judged) -> dict[str, Any]:
    """What went wrong with one case, for a person to read."""
    document = j.document
    first = document["features"][0]["properties"]["geocoding"] if document["features"] else {}
    wanted = ("label", "level", "score", "error_m", "division_code", "record")
    return {
        **asdict(j.case),
        "ambiguous": document["geocoding"].get("ambiguous"),
        "answer": {key: first.get(key) for key in wanted},
        "verdict": asdict(j.verdict),
    }


_TITLES = ("n", "right", "county", "town", "number", "position", "wrong", "wrong >0.9", "honest",
           "needless", "p50 ms", "p95 ms")  # fmt: skip


def table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> Table:
    """The rows for a terminal; shares in per cent."""
    drawn = Table(title=title, title_justify="left", box=None, pad_edge=False)
    drawn.add_column("class")
    for name in _TITLES:
        drawn.add_column(name, justify="right", no_wrap=True)
    for group, row in rows.items():
        shares = ["-" if row[c] is None else f"{100 * row[c]:.1f}" for c in COLUMNS]
        times = [f"{row['p50_ms']:.1f}", f"{row['p95_ms']:.1f}"]
        drawn.add_row(group, str(row["n"]), *shares, *times, end_section=group == "all")
    return drawn
