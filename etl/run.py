"""Run a delivery: stage every layer first, then write them all in one transaction, or none."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import psycopg

from etl import ledger, staged
from etl.area import AreaError, resolve_area
from etl.checks.finding import CheckError, RuleBook
from etl.datum import DatumError, DatumRegistry
from etl.datum.store import load_registry
from etl.delivery import Delivery, DeliveryError, Load, Mode, load_delivery
from etl.detection import References
from etl.mapping import MappingError
from etl.partial import Partial, confine, join_edges, strangers
from etl.partial import stage_deletes as stage_area_deletes
from etl.prepare import (
    Context,
    LayerWork,
    LoadBlocked,
    LoadFailed,
    Progress,
    compare,
    keep_findings,
    prepare,
)
from etl.readers import ReadError
from etl.report import LoadReport, Status
from etl.spread import Checks, InTurn, SpreadFailed
from etl.turns import Notice, introduce, take_turn
from layers.access import SYSTEM, Principal
from layers.building import Building, fits, unpack
from layers.city import CityProfile, load_city
from layers.codes import code_list
from layers.definition import LayerDefinition, load_definitions
from layers.revision import NotAppliedError
from layers.staging import Staging, drop_staging
from layers.write import Deletes, WriteError, WriteResult, unchanged, write

# Each of these says in a sentence what is wrong with the delivery; anything else is our fault.
_REFUSALS = (
    LoadFailed, AreaError, ReadError, MappingError, DatumError, CheckError, WriteError,
    NotAppliedError, SpreadFailed, psycopg.DataError,
)  # fmt: skip


def run_delivery(
    delivery: Delivery | Path,
    dsn: str,
    profile: CityProfile | None = None,
    *,
    definitions: Mapping[str, LayerDefinition] | None = None,
    principal: Principal = SYSTEM,
    reference: References | None = None,
    progress: Progress | None = None,
    notice: Notice | None = None,
    checks: Checks | None = None,
) -> tuple[LoadReport, ...]:
    """Load a delivery; one report a layer, in the order of the delivery file.

    All or nothing: if one layer fails or is blocked, no layer changes. Running the same delivery
    again changes nothing and consumes no revision. `profile` defaults to the delivery's city,
    `reference` is trusted linework for the datum detection. `notice` is called with sentences for
    the operator: runs found abandoned, runs waited for. `checks` says who checks the rows (see
    `etl.spread`). Raises DeliveryError for a delivery
    that cannot be run at all, ledger.DeliveryBusy while it is running elsewhere.
    """
    if isinstance(delivery, Path):
        delivery = load_delivery(delivery)
    frame = profile or _city(delivery)
    known = definitions or load_definitions()
    grouped = _by_layer(delivery, frame, known)
    own = _registry(delivery)
    with (
        psycopg.connect(dsn, autocommit=True) as log,
        psycopg.connect(dsn, autocommit=False) as work,
    ):
        tell = notice or _unheard
        for abandoned in ledger.register(log, delivery):
            tell(abandoned.sentence())
        context = Context(
            delivery=delivery,
            registry=load_registry(log).merged(own),
            frame=frame,
            known=known,
            other_frames=_frames(),
            reference=reference,
            domains={
                field.domain: code_list(field.domain)
                for name in grouped
                for field in known[name].fields
                if field.domain is not None
            },
            log=log,
            work=work,
            connect=lambda: psycopg.connect(dsn),
            progress=progress or _silent,
            checks=checks or InTurn(),
        )
        works: list[LayerWork] = []
        for name, loads in grouped.items():
            attempt = works[0].run if works else None
            run = ledger.begin(log, delivery, name, principal, attempt=attempt)
            works.append(LayerWork(known[name], tuple(loads), run, RuleBook(known[name])))
        introduce(work, works[0].run)
        return _Transaction(context, works, principal, tell).run()


class _Transaction:
    """The staging and writing of all layers of a delivery."""

    def __init__(
        self, context: Context, works: list[LayerWork], principal: Principal, notice: Notice
    ) -> None:
        self.context, self.works, self.principal = context, works, principal
        self.notice = notice
        self.started = datetime.now(UTC)
        self.clock = time.perf_counter()
        self.seconds: dict[int, float] = {}

    def run(self) -> tuple[LoadReport, ...]:
        """Reports of all layers; on the way out of any failure the runs are closed as failed."""
        reports: tuple[LoadReport, ...] = ()
        try:
            for step in (self._attempt, self._compare):
                for work in self.works:
                    began = time.perf_counter()
                    refusal = step(work)
                    self.seconds[work.run] = (
                        self.seconds.get(work.run, 0.0) + time.perf_counter() - began
                    )
                    if refusal is not None:
                        reports = self._refused(work, refusal)
                        return reports
            reports = self._write()
            return reports
        finally:
            if not reports:
                self.context.work.close()
                for work in self.works:
                    self._close(work, self._report(work, Status.FAILED, "运行中断 (interrupted)"))
            for work in self.works:
                if work.sink is not None:
                    work.sink.close()

    def _attempt(self, work: LayerWork) -> Exception | None:
        context = self.context
        try:
            self._require_same_kind(work, context.log)  # early: staging takes its time
            work.partial = self._partial(work)
            prepare(context, work)
        except _REFUSALS as refusal:
            return refusal
        return None

    def _compare(self, work: LayerWork) -> Exception | None:
        try:
            compare(self.context, work, self.works)
        except _REFUSALS as refusal:
            return refusal
        return None

    def _write(self) -> tuple[LoadReport, ...]:
        take_turn(
            self.context.work,
            self.context.log,
            [work.definition.name for work in self.works],
            [work.run for work in self.works],
            self.notice,
        )
        reports: dict[int, LoadReport] = {}
        while len(reports) < len(self.works):
            # readers of a layer wait from its swap to the commit: what takes long comes before
            left = [work for work in self.works if work.run not in reports]
            merged = [work for work in left if _building(work) is None] or self._overtaken(left)
            for work in merged or left:
                began = time.perf_counter()
                try:
                    result = self._write_one(work, swap=not merged)
                except _REFUSALS as refusal:
                    return self._refused(work, refusal)
                self.seconds[work.run] += time.perf_counter() - began
                reports[work.run] = self._written(work, result)
        self.context.work.commit()
        return tuple(reports[work.run] for work in self.works)

    def _overtaken(self, works: list[LayerWork]) -> list[LayerWork]:
        """Layers that somebody filled meanwhile, or reads for long; if none, all are locked."""
        connection = self.context.work
        with connection.transaction() as locks:
            late = [
                work
                for work in works
                if (built := _building(work)) is not None and not fits(connection, built)
            ]
            if late:
                raise psycopg.Rollback(locks)  # nobody waits while these are merged
        return late

    def _written(self, work: LayerWork, result: WriteResult) -> LoadReport:
        """Close the run of a layer in the transaction that wrote it."""
        work.tally.counts.update(
            inserted=result.inserted,
            updated=result.updated,
            deleted=result.deleted,
            unchanged=result.unchanged,
        )
        status = Status.SUCCEEDED if result.changed else Status.UNCHANGED
        report = self._report(work, status, None, result.revision)
        self._close(work, report, self.context.work)
        if result.changed:
            ledger.describe_layer(
                self.context.work, work.definition, self.context.delivery.synthetic
            )
        return report

    def _write_one(self, work: LayerWork, *, swap: bool) -> WriteResult:
        """Merge a layer, or put the table built beside it in its place."""
        connection = self.context.work
        if work.sink is None or work.staging is None or work.sink.target is None:
            raise LoadFailed("没有暂存 (nothing was staged)")
        self._require_same_kind(work, connection)  # the layer is locked now: nobody else writes
        target = work.sink.target
        if isinstance(target, Building) and not swap:
            target = unpack(connection, work.staging)
        if isinstance(target, Staging) and work.partial is None:
            same = unchanged(connection, work.definition, target)
            if same is not None:
                drop_staging(connection, target)
                return same
        gone = 0
        if isinstance(target, Building):
            pass  # the layer is empty: nothing can go
        elif work.loads[0].mode is Mode.FULL:
            gone = staged.stage_deletes(connection, target, self.context.delivery.bureau, work.run)
        elif work.partial is not None:
            gone = self._confine(work, target, work.partial)
        deletes = Deletes.EXPLICIT if gone else Deletes.NONE
        result = write(
            connection, work.definition, target,
            run=work.run, principal=self.principal, deletes=deletes,
            files=[file.file for file in work.files],
        )  # fmt: skip
        if isinstance(target, Staging):
            drop_staging(connection, target)
        return result

    def _require_same_kind(self, work: LayerWork, connection: psycopg.Connection) -> None:
        """LoadFailed where the layer holds synthetic data and these are real, or the reverse."""
        present = ledger.layer_is_synthetic(connection, work.definition.name)
        if present is not None and present != self.context.delivery.synthetic:
            raise LoadFailed(
                "合成数据与真实数据不得同层 (synthetic and real data never share a layer)"
            )

    def _partial(self, work: LayerWork) -> Partial | None:
        keys = work.loads[0].area
        if keys is None:
            return None
        if work.definition.geometry is None:
            raise LoadFailed(
                "图层没有图形，不能按区域交付 (no geometry: mode partial is not for it)"
            )
        area = resolve_area(keys, self.context.log, self.context.registry)
        bureau = self.context.delivery.bureau
        return Partial(area, keys.crossing, keys.edges, bureau, work.run)

    def _confine(self, work: LayerWork, staging: Staging, partial: Partial) -> int:
        """Keep a partial delivery to its area; returns how many live rows go."""
        connection, said = self.context.work, partial.sentence()
        work.files[:] = [replace(file, notes=(*file.notes, said)) for file in work.files]
        keep_findings(self.context, work, confine(connection, staging, partial))
        if staged.count(connection, staging) == 0:
            raise LoadFailed(
                f"没有一行在交付区域 {partial.area.title} 内 (no row lies in the area)"
            )
        gone = stage_area_deletes(connection, staging, partial)
        keep_findings(self.context, work, strangers(connection, staging, partial))
        keep_findings(self.context, work, join_edges(connection, staging, partial))
        return gone

    def _refused(self, at_fault: LayerWork, refusal: Exception) -> tuple[LoadReport, ...]:
        """Undo everything and close all runs; the others say whose fault it was."""
        self.context.work.rollback()
        sentence = " ".join(str(refusal).split())
        status = Status.BLOCKED if isinstance(refusal, LoadBlocked) else Status.FAILED
        reports = []
        for work in self.works:
            for key in ("inserted", "updated", "deleted", "unchanged"):
                work.tally.counts.pop(key, None)
            reason = (
                sentence
                if work is at_fault
                else f"同一交付的图层 {at_fault.definition.name} 未通过，整个交付未入库 "
                f"(another layer of the delivery was refused)"
            )
            report = self._report(work, status if work is at_fault else Status.FAILED, reason)
            self._close(work, report)
            reports.append(report)
        return tuple(reports)

    def _report(
        self, work: LayerWork, status: Status, reason: str | None, revision: int | None = None
    ) -> LoadReport:
        delivery, extent = self.context.delivery, self.context.frame.extent
        return LoadReport(
            run=work.run,
            delivery=delivery.name,
            layer=work.definition.name,
            layer_title=str(work.definition.title),
            bureau=delivery.bureau,
            city=delivery.city,
            synthetic=delivery.synthetic,
            status=status,
            started_at=self.started,
            seconds=round(self.seconds.get(work.run, 0.0), 3),
            reason=reason,
            revision=revision,
            files=tuple(work.files),
            counts=dict(work.tally.counts),
            rules=dict(work.tally.rules.most_common()),
            sample=tuple(work.tally.sample),
            places=tuple(work.tally.places),
            measures=tuple(work.tally.measures),
            notes=tuple(work.tally.notes),
            frame=(extent.west, extent.south, extent.east, extent.north),
            accuracy_m=max((f.datum["accuracy_m"] for f in work.files if f.datum), default=None),
            required_accuracy_m=work.definition.required_accuracy_m,
        )

    def _close(
        self, work: LayerWork, report: LoadReport, connection: psycopg.Connection | None = None
    ) -> None:
        status = "failed" if report.status is Status.BLOCKED else report.status.value
        ledger.finish(
            connection or self.context.log,
            work.run,
            status,
            counts=report.counts,
            report=report.to_json(),
            steps=_steps(report),
            accuracy_m=report.accuracy_m,
        )


def _building(work: LayerWork) -> Building | None:
    """The table that was built beside the layer; None for rows in staging."""
    target = None if work.sink is None else work.sink.target
    return target if isinstance(target, Building) else None


def _steps(report: LoadReport) -> list[Mapping[str, Any]]:
    """Datum steps of all files, each once, and the accuracy waivers among them."""
    steps: list[Mapping[str, Any]] = []
    for file in report.files:
        for step in (file.datum or {}).get("steps", ()):
            if step not in steps:
                steps.append(step)
        if file.waiver is not None and file.datum is not None:
            waiver = {
                "name": "精度豁免 accuracy waiver",
                "kind": "waiver",
                "source": file.datum["source"],
                "target": file.datum["target"],
                "accuracy_m": file.waiver["metres"],
                "authority": report.bureau,
                "parameters": {
                    "reason": file.waiver["reason"],
                    "required_accuracy_m": report.required_accuracy_m,
                },
            }
            if waiver not in steps:
                steps.append(waiver)
    steps += [
        {
            "name": "检查点 check points",
            "kind": "check_points",
            "accuracy_m": measure["rmse_m"],
            "authority": report.bureau,
            "parameters": dict(measure),
        }
        for measure in report.measures
        if measure["kind"] == "check_points"
    ]
    return steps


def _by_layer(
    delivery: Delivery, frame: CityProfile, known: Mapping[str, LayerDefinition]
) -> dict[str, list[Load]]:
    if frame.name != delivery.city:
        raise DeliveryError(
            f"{delivery.path.name}: city: {delivery.city} 与城市配置 {frame.name} 不符 "
            f"(the delivery is for another city)"
        )
    grouped: dict[str, list[Load]] = {}
    for load in delivery.loads:
        definition = known.get(load.layer)
        if definition is None:
            raise DeliveryError(
                f"{delivery.path.name}: loads: 没有图层 no layer {load.layer!r}; "
                f"可用 known: {', '.join(sorted(known))}"
            )
        if definition.frame != frame.name:
            raise DeliveryError(
                f"{delivery.path.name}: loads: 图层 {load.layer} 属于 {definition.frame}，"
                f"不属于 {frame.name} (the layer belongs to another city profile)"
            )
        grouped.setdefault(load.layer, []).append(load)
    return grouped


def _registry(delivery: Delivery) -> DatumRegistry:
    """The steps that the delivery brings along, beside those registered in the database."""
    if delivery.datum_parameters is None:
        return DatumRegistry()
    try:
        return DatumRegistry.from_yaml(delivery.datum_parameters)
    except (OSError, DatumError) as bad:
        raise DeliveryError(f"{delivery.path.name}: datum_parameters: {bad}") from bad


def _city(delivery: Delivery) -> CityProfile:
    try:
        return load_city(delivery.city)
    except FileNotFoundError as missing:
        raise DeliveryError(f"{delivery.path.name}: city: {missing}") from missing


def _frames() -> tuple[CityProfile, ...]:
    """All profiles that we know, to say where a stray row lies."""
    names = (entry.name for entry in (resources.files("layers") / "cities").iterdir())
    return tuple(
        load_city(name.removesuffix(".yaml")) for name in sorted(names) if name.endswith(".yaml")
    )


def _unheard(_sentence: str) -> None:
    """Nobody to tell."""


def _silent(_layer: str, _rows: int, _total: int | None) -> None:
    """No progress shown."""
