"""The one transaction of a delivery: all its layers are staged, judged and written, or none."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import psycopg

from etl import ledger, staged
from etl.area import AreaError, resolve_area
from etl.checks.finding import CheckError
from etl.closing import close, report_of
from etl.datum import DatumError
from etl.delivery import Mode
from etl.findings import keep_findings
from etl.layer_work import Context, LayerWork, LoadBlocked, LoadFailed
from etl.mapping import MappingError
from etl.partial import Partial, confine, join_edges, strangers
from etl.partial import stage_deletes as stage_area_deletes
from etl.prepare import prepare
from etl.readers import ReadError
from etl.report import LoadReport, Status
from etl.spread import SpreadFailed
from etl.together import compare
from etl.turns import Notice, take_turn
from layers.access import Principal
from layers.building import Building, fits, unpack
from layers.revision import NotAppliedError
from layers.staging import Staging, drop_staging
from layers.write import Deletes, WriteError, WriteResult, unchanged, write

# Each of these says in a sentence what is wrong with the delivery; anything else is our fault.
REFUSALS = (
    LoadFailed, AreaError, ReadError, MappingError, DatumError, CheckError, WriteError,
    NotAppliedError, SpreadFailed, psycopg.DataError,
)  # fmt: skip


class Transaction:
    """The staging and writing of all layers of a delivery."""

    def __init__(
        self, context: Context, works: list[LayerWork], principal: Principal, notice: Notice
    ) -> None:
        self.context, self.works, self.principal = context, works, principal
        self.notice = notice
        self.started = datetime.now(UTC)
        self.seconds: defaultdict[int, float] = defaultdict(float)
        self.current = works[0]

    def run(self) -> tuple[LoadReport, ...]:
        """Reports of all layers; on the way out of any failure the runs are closed as failed."""
        reports: tuple[LoadReport, ...] = ()
        try:
            reports = self._all()
            return reports
        finally:
            if not reports:
                self.context.work.close()
                for work in self.works:
                    broken = self._report(work, Status.FAILED, "运行中断 (interrupted)")
                    close(self.context.log, broken)
            for work in self.works:
                if work.sink is not None:
                    work.sink.close()

    def _all(self) -> tuple[LoadReport, ...]:
        """Stage all layers, judge them beside each other, write them."""
        try:
            for work in self.works:
                with self._at(work):
                    # early, for staging takes its time
                    self._require_same_kind(work, self.context.log)
                    work.partial = self._partial(work)
                    prepare(self.context, work)
            compare(self.context, self.works, self._at)
            return self._write()
        except REFUSALS as refusal:
            return self._refused(self.current, refusal)

    @contextmanager
    def _at(self, work: LayerWork) -> Iterator[None]:
        """While a layer is worked at: the time is its own, and so is a refusal."""
        self.current, began = work, time.perf_counter()
        try:
            yield
        finally:
            self.seconds[work.run] += time.perf_counter() - began

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
            merged = [work for work in left if work.building is None] or self._overtaken(left)
            for work in merged or left:
                with self._at(work):
                    result = self._write_one(work, swap=not merged)
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
                if (built := work.building) is not None and not fits(connection, built)
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
        close(self.context.work, report)
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
            close(self.context.log, report)
            reports.append(report)
        return tuple(reports)

    def _report(
        self, work: LayerWork, status: Status, reason: str | None, revision: int | None = None
    ) -> LoadReport:
        return report_of(
            self.context, work, status, started=self.started, seconds=self.seconds[work.run],
            reason=reason, revision=revision,
        )  # fmt: skip
