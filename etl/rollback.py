"""Roll a run back: its layers become what they were before it, as a new revision.

History is not rewritten: the rollback is a run of its own through the one write function, and
can be rolled back like any other. What somebody changed after the run is not touched: it stops
the rollback, or stays as it is with `keep_later`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from etl import ledger
from etl.abandoned import close_abandoned
from etl.ledger import PastRun
from etl.report import LoadReport, Status
from etl.turns import Notice, introduce, take_turn
from layers import tables
from layers.access import SYSTEM, Principal
from layers.definition import LayerDefinition, load_definitions
from layers.sql import text
from layers.staging import Staging, create_staging, drop_staging
from layers.write import Deletes, write

EXAMPLES = 5
"""Features that a refusal names; it counts the rest."""


class RollbackRefused(ValueError):  # noqa: N818 - it names an outcome
    """The run cannot be rolled back; nothing was changed. The message says why."""


@dataclass(frozen=True, slots=True)
class Later:
    """A feature that somebody changed after the run: in which revision, by which run or person."""

    id: str
    revision: int
    run: int | None
    delivery: str | None
    principal: str

    def __str__(self) -> str:
        whom = (
            f"编辑 edit by {self.principal}"
            if self.run is None
            else f"批次 run {self.run} ({self.delivery})"
        )
        return f"{self.id}: {whom}, 版本 revision {self.revision}"


def rollback_run(
    run: int,
    dsn: str,
    *,
    definitions: Mapping[str, LayerDefinition] | None = None,
    principal: Principal = SYSTEM,
    keep_later: bool = False,
    one_layer: bool = False,
    notice: Notice | None = None,
) -> tuple[LoadReport, ...]:
    """Undo what a run did, in all layers of its delivery's start (`one_layer`: in its own only).

    One report a layer that it had changed; all layers or none. With `keep_later`, features that
    were changed since keep their newest state. Raises RollbackRefused, ledger.DeliveryBusy.
    """
    known = definitions or load_definitions()
    tell = notice or _unheard
    with (
        psycopg.connect(dsn, autocommit=True) as log,
        psycopg.connect(dsn, autocommit=False) as work,
    ):
        for abandoned in close_abandoned(log):
            tell(abandoned.sentence())
        targets = _targets(log, run, known, one_layer=one_layer)
        ledger.hold(log, targets[0].delivery)
        attempt: int | None = None
        undone: list[tuple[PastRun, int]] = []
        for target in targets:
            made = ledger.begin(log, target, target.layer, principal, attempt=attempt)
            attempt = attempt or made
            undone.append((target, made))
        introduce(work, undone[0][1])
        reports: list[LoadReport] = []
        reason = "回退中断 (the rollback was interrupted)"
        try:
            take_turn(work, log, [t.layer for t in targets], [made for _, made in undone], tell)
            undo = _Undo(work, known, principal, keep_later)
            reports = [undo.one(target, made) for target, made in undone]
            work.commit()
        except RollbackRefused as refused:
            reason = str(refused)
            raise
        finally:
            if not reports or len(reports) < len(undone):
                work.close()
                for _, made in undone:
                    ledger.finish(
                        log, made, "failed", counts={}, report={"reason": reason}, steps=(),
                        accuracy_m=None,
                    )  # fmt: skip
    return tuple(reports)


def _targets(
    log: psycopg.Connection, run: int, known: Mapping[str, LayerDefinition], *, one_layer: bool
) -> tuple[PastRun, ...]:
    """The runs to undo: those of the same start that changed their layer."""
    start = ledger.past_runs(log, run)
    mine = next((past for past in start if past.run == run), None)
    if mine is None:
        raise RollbackRefused(f"没有批次 {run} (no such run)")
    if mine.status == "running":
        raise RollbackRefused(f"批次 {run} 正在运行 (the run is still running)")
    chosen = [mine] if one_layer else list(start)
    changed = tuple(past for past in chosen if past.revision is not None)
    if not changed:
        raise RollbackRefused(
            f"批次 {run} 没有改变图层（{mine.status}），无可回退 (the run changed nothing)"
        )
    for past in changed:
        if past.reverted_by is not None:
            raise RollbackRefused(
                f"批次 {past.run} 已由批次 {past.reverted_by} 回退；要恢复它，请回退批次 "
                f"{past.reverted_by} (rolled back already; roll that rollback back to redo it)"
            )
        if past.layer not in known:
            raise RollbackRefused(
                f"图层 {past.layer} 已没有定义 (the layer of run {past.run} has no definition)"
            )
    return changed


@dataclass(frozen=True)
class _Undo:
    """The undoing of runs in one transaction."""

    work: psycopg.Connection
    known: Mapping[str, LayerDefinition]
    principal: Principal
    keep_later: bool

    def one(self, target: PastRun, run: int) -> LoadReport:
        """Bring one layer back; its run is closed in the same transaction."""
        definition = self.known[target.layer]
        started, clock = datetime.now(UTC), time.perf_counter()
        later = self._later(definition, target)
        if later and not self.keep_later:
            raise RollbackRefused(self._sentence(target, later))
        staging = create_staging(self.work, definition)
        self._stage(staging, target)
        result = write(
            self.work, definition, staging,
            run=run, principal=self.principal, deletes=Deletes.EXPLICIT,
        )  # fmt: skip
        drop_staging(self.work, staging)
        steps, accuracy = self._steps(definition, result.revision)
        status = Status.SUCCEEDED if result.changed else Status.UNCHANGED
        report = LoadReport(
            run=run,
            delivery=target.delivery,
            layer=definition.name,
            layer_title=str(definition.title),
            bureau=target.bureau,
            city=definition.frame,
            synthetic=target.synthetic,
            status=status,
            started_at=started,
            seconds=round(time.perf_counter() - clock, 3),
            reason=f"回退批次 {target.run} (rolls back run {target.run})"
            + (f"；{len(later)} 个后来改过的要素保持现状 (kept)" if later else ""),
            revision=result.revision,
            counts={
                "inserted": result.inserted,
                "updated": result.updated,
                "deleted": result.deleted,
                "unchanged": result.unchanged,
                "kept": len(later),
            },
            accuracy_m=accuracy,
            required_accuracy_m=definition.required_accuracy_m,
        )
        ledger.finish(
            self.work, run, status.value, counts=report.counts, report=report.to_json(),
            steps=steps, accuracy_m=accuracy,
        )  # fmt: skip
        ledger.describe_layer(self.work, definition, target.synthetic)
        return report

    def _later(self, definition: LayerDefinition, target: PastRun) -> list[Later]:
        """Features of the run's revision that changed since; left in pg_temp.changed_later."""
        self.work.execute("DROP TABLE IF EXISTS pg_temp.changed_later")
        self.work.execute(
            text("changed_later").format(**_places(definition)),
            {"revision": target.revision},
        )
        rows = self.work.execute(
            """
            SELECT changed.id, changed.revision, made.run, run.delivery, made.principal
            FROM pg_temp.changed_later AS changed
            LEFT JOIN catalog.revision AS made
                ON made.layer = %s AND made.revision = changed.revision
            LEFT JOIN catalog.run ON run.id = made.run
            ORDER BY changed.revision, changed.id COLLATE "C"
            """,
            [definition.name],
        )
        return [Later(*row) for row in rows]

    def _sentence(self, target: PastRun, later: list[Later]) -> str:
        named = "; ".join(str(feature) for feature in later[:EXAMPLES])
        more = "" if len(later) <= EXAMPLES else " …"
        runs = sorted({feature.run for feature in later if feature.run is not None})
        advice = (
            f"请先回退批次 {'、'.join(map(str, reversed(runs)))}，或"
            if runs and all(feature.run is not None for feature in later)
            else "可"
        )
        return (
            f"批次 {target.run} 不能回退：图层 {target.layer} 有 {len(later)} 个要素在其后又被改动"
            f"（{named}{more}）。{advice}用 --keep-later 保留这些要素的现状，只回退其余 "
            f"({len(later)} features were changed after the run: roll the later runs back first, "
            f"newest first, or keep their newest state with --keep-later)"
        )

    def _stage(self, staging: Staging, target: PastRun) -> None:
        """Versions to bring back, and what the run inserted as deletes."""
        definition = staging.definition
        content = tables.content_columns(definition)
        self.work.execute(
            text("rollback").format(
                **_places(definition),
                staging=staging.table,
                columns=tables.columns(content),
                past_columns=tables.columns(content, "past"),
            ),
            {"revision": target.revision},
        )

    def _steps(self, definition: LayerDefinition, revision: int) -> tuple[list[Any], float | None]:
        """Datum steps and accuracy of the versions that came back: those of their own runs."""
        rows = self.work.execute(
            sql.SQL(
                "SELECT applied_steps, accuracy_m FROM catalog.run WHERE id IN ("
                " SELECT past.run FROM {history} AS past JOIN {live} AS back USING (id)"
                " WHERE back.revision = %(now)s AND past.row_hash = back.row_hash)"
                " ORDER BY id"
            ).format(**_places(definition)),
            {"now": revision},
        ).fetchall()
        steps: list[Any] = []
        for run_steps, _ in rows:
            steps += [step for step in run_steps if step not in steps]
        return steps, max((float(a) for _, a in rows if a is not None), default=None)


def _places(definition: LayerDefinition) -> dict[str, sql.Identifier]:
    return {
        "live": tables.layer_table(definition.name),
        "history": tables.history_table(definition.name),
    }


def _unheard(_sentence: str) -> None:
    """Nobody to tell."""
