"""One run: data, loads of every case on every server in turn, extras, report."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg

from geoserver_py.bench.cases import (
    Case,
    goals,
    item_cases,
    tile_cases,
    write_paths,
    write_scripts,
)
from geoserver_py.bench.data import build_city, load_city, start_cluster
from geoserver_py.bench.loading import Loaded, measure_loads
from geoserver_py.bench.loads import Target, run_pgbench, run_wrk
from geoserver_py.bench.peers import Server, ours, pygeoapi, tipg
from geoserver_py.bench.plan import Plan
from geoserver_py.bench.scale import Large, Scaled, measure_scale
from geoserver_py.bench.stats import Measured, Ratio, medians, ratios
from geoserver_py.bench.streams import Streamed, stalled, stream
from geoserver_py.bench.verify import fetch, verify
from geoserver_py.cluster import ClusterInfo, ClusterPaths, stop

Say = Callable[[str], None]


@dataclass
class Outcome:
    """What a run found; filled as it goes, so that a run cut short still reports."""

    plan: Plan
    counts: Mapping[str, int] = field(default_factory=dict)
    cases: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, Mapping[str, float]] = field(default_factory=dict)
    measured: list[Measured] = field(default_factory=list)
    loads: list[Loaded] = field(default_factory=list)
    scaled: list[Scaled] = field(default_factory=list)
    large: Large | None = None
    streamed: Streamed | None = None
    seconds: float = 0.0

    def medians(self) -> list[Measured]:
        """The median repeat of every case, target and number of clients."""
        return medians(self.measured)

    def ratios(self) -> list[Ratio]:
        """Ratios of our rate to the others'."""
        return ratios(self.measured, goals(self.plan.workers))

    def document(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "plan": {**asdict(self.plan), "folder": str(self.plan.folder)},
            "rows": dict(self.counts),
            "cases": self.cases,
            "answer_bytes": self.sizes,
            "repeats": [asdict(one) for one in self.measured],
            "medians": [asdict(one) for one in self.medians()],
            "ratios": [{**asdict(one), "reached": one.reached} for one in self.ratios()],
            "loads": [{**asdict(one), "rate": one.rate} for one in self.loads],
            "scaled": [asdict(one) for one in self.scaled],
            "large": asdict(self.large) if self.large else None,
            "streamed": asdict(self.streamed) if self.streamed else None,
            "seconds": self.seconds,
        }


def run(plan: Plan, say: Say, keep: Callable[[Outcome], None]) -> Outcome:
    """Run the benchmark; `keep` is called after each part with what there is so far."""
    began = time.monotonic()
    plan.folder.mkdir(parents=True, exist_ok=True)
    outcome = Outcome(plan)
    try:
        say("bench: cluster, sample city, load")
        cluster = start_cluster(plan)
        say(f"  sample city: {build_city(plan)}")
        dsn, outcome.counts = load_city(plan, cluster)
        say(f"  rows: {dict(outcome.counts)}")
        _Run(plan, say, outcome, cluster, dsn, lambda: keep(_timed(outcome, began))).all()
    finally:
        stop(ClusterPaths(plan.folder.absolute()), patience=10.0)
    return _timed(outcome, began)


def _timed(outcome: Outcome, began: float) -> Outcome:
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


@dataclass
class _Run:
    plan: Plan
    say: Say
    outcome: Outcome
    cluster: ClusterInfo
    dsn: str
    keep: Callable[[], None]

    def all(self) -> None:
        """Run the parts that the plan names."""
        parts = self.plan.parts
        if "etl" in parts:
            self.say("bench: first load of components against ogr2ogr")
            self.outcome.loads = measure_loads(self.plan, self.cluster, self.say)
            self.keep()
            self.say("bench: points at scale, first and again, against ogr2ogr; memory")
            found = measure_scale(self.plan, self.cluster, self.say)
            self.outcome.scaled, self.outcome.large = found
            self.keep()
        if "items" in parts or "tiles" in parts:
            self._cases()
        if "extra" in parts:
            self._extra()

    def _cases(self) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute("SET plan_cache_mode = force_custom_plan")
            cases = item_cases(connection, self.plan) if "items" in self.plan.parts else []
            if "tiles" in self.plan.parts:
                cases += tile_cases(connection, self.plan)
        self._turns(cases, workers=1, clients=self.plan.clients)
        if self.plan.workers > 1:
            judged = {goal.case for goal in goals(1)}
            several = [
                case.with_processes(self.plan.workers)
                for case in cases
                if case.name in judged and not case.is_tiles
            ]
            self._turns(several, workers=self.plan.workers, clients=self.plan.clients[-1:])

    def _turns(self, cases: Sequence[Case], *, workers: int, clients: Sequence[int]) -> None:
        """Measure cases with so many processes of every server."""
        with contextlib.ExitStack() as stack:
            servers = [
                stack.enter_context(ours(self.plan, self.dsn, cache_mb=0, workers=workers)),
                stack.enter_context(tipg(self.plan, self.cluster, workers)),
                stack.enter_context(pygeoapi(self.plan, self.cluster, workers)),
            ]
            for case in cases:
                self.outcome.sizes[case.name] = verify(case, servers)
                self.outcome.cases[case.name] = case.about
                self.say(f"bench: {case.name}: {case.about}")
                for number in clients:
                    self._case(case, servers, number)
                self.keep()

    def _case(self, case: Case, servers: Iterable[Server], clients: int) -> None:
        """Load every target in turn, and that `repeats` times: noise then meets all of them."""
        asked = [server for server in servers if server.name in case.paths]
        seconds = self.plan.seconds if clients > 1 else max(2, self.plan.seconds // 2)
        self._sql(case, clients, self.plan.warm)
        for server in asked:
            self._http(case, server, clients, self.plan.warm)
        for repeat in range(self.plan.repeats):
            found = [self._sql(case, clients, seconds, repeat)]
            found += [self._http(case, server, clients, seconds, repeat) for server in asked]
            self.outcome.measured += found
            self.say(
                f"  {clients} client(s): "
                + ", ".join(f"{one.target} {one.rate:.1f}/s p95 {one.p95:.1f} ms" for one in found)
            )

    def _sql(self, case: Case, clients: int, seconds: int, repeat: int | None = None) -> Measured:
        return run_pgbench(
            Target("sql", None, self.cluster.pid),
            case.name,
            self.dsn,
            write_scripts(self.plan, case),
            plans=case.plans,
            pgbench=self.cluster.bin / "pgbench",
            clients=clients,
            seconds=seconds,
            output=self._output(case.name, "sql", clients, repeat),
        )

    def _http(
        self, case: Case, server: Server, clients: int, seconds: int, repeat: int | None = None
    ) -> Measured:
        found = run_wrk(
            Target(server.name, server.process, self.cluster.pid),
            case.name,
            server.base,
            write_paths(self.plan, case, server.name),
            clients=clients,
            seconds=seconds,
            output=self._output(case.name, server.name, clients, repeat),
        )
        if found.errors:
            self.say(f"  WARNING: {server.name}: {found.errors} answers were errors")
        return found

    def _output(self, case: str, target: str, clients: int, repeat: int | None) -> Path:
        turn = "warm" if repeat is None else str(repeat)
        return self.plan.raw / f"{case}.{target}.{clients}.{turn}.txt"

    # -- rows of their own ---------------------------------------------------------------------

    def _extra(self) -> None:
        """gzip, cached tiles, 304, memory of long downloads, stalled clients: one process each."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute("SET plan_cache_mode = force_custom_plan")
            known = {case.name: case for case in item_cases(connection, self.plan)}
            known |= {case.name: case for case in tile_cases(connection, self.plan)}
        with (
            ours(self.plan, self.dsn, cache_mb=0, workers=1) as plain,
            tipg(self.plan, self.cluster, workers=1) as peer,
            ours(self.plan, self.dsn, cache_mb=512, workers=1, name="geoserver_py-cache") as cached,
        ):
            self.say("bench: memory of a long download")
            self.outcome.streamed = stream(plain)
            for name in ("polygons1000", "tiles-5ms"):
                self._row(known[name], "gzip", (plain, peer), encoding="gzip")
            self._row(known["tiles-5ms"], "cached", (cached,))
            self._row(known["tiles-5ms"], "cached gzip", (cached,), encoding="gzip")
            self._row(self._tagged(known["tiles-5ms"], cached), "304", (cached,))
            self._row(known["items10"], "alone", (plain,))
            with stalled(plain):
                self._row(known["items10"], "beside 3 stalled downloads", (plain,))
        self.keep()

    def _row(
        self, case: Case, kind: str, servers: Iterable[Server], *, encoding: str = "identity"
    ) -> None:
        name = f"{case.name} {kind}"
        self.outcome.cases[name] = f"{case.about}; {kind}"
        self.say(f"bench: {name}")
        for turn in range(-1, self.plan.repeats):
            for server in servers:
                target = server.name.partition("-")[0]
                found = run_wrk(
                    Target(target, server.process, self.cluster.pid),
                    name,
                    server.base,
                    write_paths(self.plan, case, target),
                    clients=8,
                    seconds=self.plan.seconds if turn >= 0 else self.plan.warm + 3,
                    output=self.plan.raw / f"{name.replace(' ', '-')}.{target}.8.{turn}.txt",
                    encoding=encoding,
                )
                if turn >= 0:
                    self.outcome.measured.append(found)
                    self.say(f"  {found.target} {found.rate:.1f}/s p95 {found.p95:.1f} ms")

    def _tagged(self, case: Case, server: Server) -> Case:
        """The case with every path's entity tag, which makes the requests conditional."""
        paths = case.paths["geoserver_py"]
        tags = [fetch(server.base + path)[1]["etag"] for path in paths]
        tagged = tuple(f"{path} {tag}" for path, tag in zip(paths, tags, strict=True))
        return replace(case, paths={"geoserver_py": tagged})
