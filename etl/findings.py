"""What is found in a layer's rows: kept in the catalogue, counted, and a reason to stop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import shapely

from etl import ledger, staged
from etl.batch import CheckedBatch
from etl.checks.finding import RULE_TITLES, Severity
from etl.layer_work import Context, LayerWork, LoadBlocked, LoadFailed
from etl.ledger import Rejection
from etl.mapping import Plan
from etl.report import RowReport
from etl.report.model import SAMPLE_PLACES, SAMPLE_ROWS
from layers.codes import CodeList
from layers.staging import Staging


def account(context: Context, work: LayerWork, checked: CheckedBatch, at: int, plan: Plan) -> None:
    """Count a batch and keep its findings; `plan` tells which source columns hold codes."""
    read, rejected = len(checked.records.rows), int(checked.refused.sum())
    work.tally.counts.update(
        read=read + checked.skipped, skipped=checked.skipped, rejected=rejected
    )
    before = work.files[at]
    work.files[at] = replace(
        before,
        rows=before.rows + read + checked.skipped,
        skipped=before.skipped + checked.skipped,
        rejected=before.rejected + rejected,
    )
    work.note(checked)
    if checked.findings:
        # by row, not by rule: people read a report beside their file
        ledger_rows = sorted(_rejections(checked), key=lambda r: r.row or 0)
        told = [f.rows for f in checked.findings if f.severity is Severity.WARN]
        if told:
            at_rows = np.unique(np.concatenate(told))
            loaded = at_rows[~checked.refused[at_rows]]
            work.tally.warn(checked.records.file, checked.records.rows[loaded])
        coded = {
            column: context.domains[field.domain]
            for field in work.definition.fields
            if field.domain is not None
            and (source := plan.fields.get(field.name)) is not None
            and (column := source.column) is not None
        }
        _note(work, ledger_rows, coded)
        ledger.reject(context.log, work.run, ledger_rows)


def _rejections(checked: CheckedBatch) -> Iterator[Rejection]:
    rows = np.unique(np.concatenate([f.rows for f in checked.findings]))
    records = dict(zip(rows.tolist(), checked.records.batch.take(rows).to_pylist(), strict=True))
    ids = dict(zip(rows.tolist(), checked.ids.take(rows).to_pylist(), strict=True))
    bounds = None if checked.places is None else checked.places.bounds()
    for finding in checked.findings:
        for row, reason in zip(finding.rows.tolist(), finding.reasons, strict=True):
            yield Rejection(
                file=checked.records.file,
                row=int(checked.records.rows[row]),
                id=ids[row],
                rule=finding.rule,
                reason=reason,
                severity=finding.severity.value,
                record=records[row],
                place=None if bounds is None else _centre(bounds[row]),
            )


def _centre(bounds: np.ndarray) -> shapely.Point | None:
    x, y = (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2
    return shapely.Point(x, y) if abs(x) <= 180 and abs(y) <= 90 else None


def keep_findings(context: Context, work: LayerWork, found: Sequence[Rejection]) -> None:
    """Keep findings about staged rows, which were counted as read before."""
    if not found:
        return
    refused = {(r.file, r.row) for r in found if r.severity != Severity.WARN and r.row is not None}
    work.tally.counts["rejected"] += len(refused)
    for at, file in enumerate(work.files):
        mine = [row for name, row in refused if name == file.file and row is not None]
        told = [
            r.row
            for r in found
            if r.file == file.file and r.row is not None and r.severity == Severity.WARN
        ]
        # of a row with two warnings one is counted, of a row that goes none
        work.tally.warn(file.file, told)
        work.tally.unwarn(file.file, mine)
        work.files[at] = replace(file, rejected=file.rejected + len(mine))
    _note(work, found)
    ledger.reject(context.log, work.run, found)


def _words(record: Mapping[str, Any] | None, coded: Mapping[str, CodeList]) -> dict[str, str]:
    """What the codes in a source record mean, by column."""
    out = {}
    for column, codes in coded.items():
        entry = codes.entries.get(str((record or {}).get(column)))
        if entry is not None:
            out[column] = entry.zh
    return out


def _note(
    work: LayerWork, found: Iterable[Rejection], coded: Mapping[str, CodeList] | None = None
) -> None:
    tally = work.tally
    for row in found:
        tally.rules[row.rule] += 1
        if row.severity == Severity.BLOCK and tally.blocked is None:
            tally.blocked = f"{RULE_TITLES.get(row.rule, row.rule)}: {row.reason}"
        place = None if row.place is None else (round(row.place.x, 6), round(row.place.y, 6))
        shown = RowReport(
            row.file,
            row.row,
            row.id,
            row.rule,
            row.reason,
            row.severity,
            row.record,
            place,
            _words(row.record, coded or {}),
        )
        if tally.first is None and row.severity != Severity.WARN and row.row is not None:
            tally.first = shown
        if len(tally.sample) < SAMPLE_ROWS:
            tally.sample.append(shown)
        if place is not None and len(tally.places) < SAMPLE_PLACES:
            tally.places.append(place)


def require_rows(context: Context, work: LayerWork, staging: Staging) -> None:
    """Stop at a finding that blocks, and where no row is left."""
    if work.tally.blocked is not None:
        raise LoadBlocked(work.tally.blocked)
    rows = staged.count(context.work, staging)
    if work.building is not None:
        work.building.recounted(rows)
    if rows == 0:
        counts = work.tally.counts
        if not counts["rejected"]:
            raise LoadFailed("没有一行通过 where 过滤 (no row passes `where`)")
        first = work.tally.first
        said = "" if first is None else f"{first.file or ''} 第 {first.row} 行: {first.reason}"
        raise LoadFailed(
            f"全部 {counts['rejected']} 行被拒绝 (all rows rejected)，第一条 the first: {said}"
        )
