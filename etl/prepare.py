"""Bring the files of one layer into staging: read, map, move to CGCS2000, check, keep refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from etl import ledger, mapping, staged
from etl.arrays import StagedLayer
from etl.batch import CheckedBatch, Line
from etl.checks.finding import RULE_TITLES, RuleBook, Severity
from etl.datum import DatumChain, DatumRegistry
from etl.delivery import Delivery, FileSource, Load, Mode
from etl.detection import Detection, References
from etl.inspect import declared_name
from etl.judge import judge_layer, judge_together
from etl.ledger import Rejection
from etl.measure import measure_check_points, measure_offsets
from etl.partial import Partial
from etl.pull import last_success, unseen
from etl.readers import Batch, ReadOptions, Source, open_source
from etl.readers.pull import Pull
from etl.readers.service import open_pull
from etl.report import FileReport, RowReport, Tally
from etl.report.model import SAMPLE_PLACES, SAMPLE_ROWS
from etl.segments import SegmentSource
from etl.sink import Sink
from etl.spread import Checks, InTurn
from etl.trusted import trusted_around
from etl.watch import DatumWatch
from layers.building import Building, Connect
from layers.city import CityProfile
from layers.codes import CodeList
from layers.definition import LayerDefinition
from layers.staging import Staging

BATCH_ROWS = 50_000
IDS_COMPARED = 5_000_000
"""Up to so many rows (some 100 MB) identifiers are compared in memory, above in staging."""

Progress = Callable[[str, int, int | None], None]
"""Called with layer, rows read so far of this file, and rows of the file when known."""


class LoadFailed(ValueError):  # noqa: N818 - it names an outcome
    """A file that cannot be loaded as delivered; the layer stays as it was."""


class LoadBlocked(LoadFailed):
    """An objection that the bureau must answer in the delivery file first."""


@dataclass(frozen=True)
class Context:
    """What all loads of a delivery share.

    `log` commits at once, `work` is the transaction, `connect` opens another connection.
    """

    delivery: Delivery
    registry: DatumRegistry
    frame: CityProfile
    known: Mapping[str, LayerDefinition]
    other_frames: tuple[CityProfile, ...]
    reference: References | None
    domains: Mapping[str, CodeList]
    log: psycopg.Connection
    work: psycopg.Connection
    connect: Connect
    progress: Progress
    checks: Checks = field(default_factory=InTurn)
    workbooks: dict[Path, Any] = field(default_factory=dict)


@dataclass
class LayerWork:
    """One layer's run while it is under way."""

    definition: LayerDefinition
    loads: tuple[Load, ...]
    run: int
    book: RuleBook
    sink: Sink | None = None
    tally: Tally = field(default_factory=Tally)
    files: list[FileReport] = field(default_factory=list)
    ids: list[pa.Array] = field(default_factory=list)
    """Identifiers staged so far, while they are few enough to compare here."""
    staged_rows: int = 0
    partial: Partial | None = None
    """The area that the delivery replaces, when its mode is partial."""

    @property
    def staging(self) -> Staging | None:
        """Its rows as rules over whole layers read them; None before they are there."""
        return None if self.sink is None else self.sink.staging

    def staged(self, staging: Staging) -> StagedLayer:
        """What the rules over whole layers are told of it."""
        full = self.loads[0].mode is not Mode.APPEND
        told = StagedLayer(self.definition, staging, self.book, full, self.run)
        if self.partial is None:
            return told
        return replace(told, inside=self.partial.owns("live"), bound=self.partial.bound)

    def note_ids(self, ids: pa.Array) -> None:
        """Remember the identifiers of a batch, or none at all of a very long delivery."""
        self.staged_rows += len(ids)
        if self.staged_rows <= IDS_COMPARED:
            self.ids.append(ids)
        else:
            self.ids.clear()

    def may_repeat_ids(self) -> bool:
        """False where the identifiers are known to be all different (30 ms; 0.4 s in SQL).

        Asked once: it forgets them.
        """
        if self.staged_rows > IDS_COMPARED:
            return True
        ids = pa.chunked_array(self.ids, pa.string())
        self.ids = []  # 100 MB of a long delivery, and what the count needs beside them
        repeated = bool(pc.count_distinct(ids).as_py() < len(ids) - ids.null_count)
        del ids
        pa.default_memory_pool().release_unused()
        return repeated


def prepare(context: Context, work: LayerWork) -> None:
    """Fill the layer's sink from all its files; LoadFailed or LoadBlocked with the reason.

    Also ReadError, MappingError, DatumError and CheckError, each with a sentence.
    """
    work.sink = sink = Sink(
        context.work, context.connect, work.definition, work.run, may_build=work.partial is None
    )
    for load in work.loads:
        for file in load.files:
            _file(context, work, load, file, sink)
    files = [report.file for report in work.files]
    built, staging = sink.filled(files)
    if work.tally.counts["read"] == 0:
        if all(file.pull and file.pull.partial for load in work.loads for file in load.files):
            work.tally.counts["read"] = 0  # nothing has changed since
            return
        raise LoadFailed("文件里没有记录 (the files hold no rows)")
    if work.may_repeat_ids():
        repeated = (
            staged.remove_repeated(context.work, staging)
            if built is None
            else staged.remove_repeated_built(built, files)
        )
        keep_findings(context, work, repeated)
    # the server builds indexes while rules over the whole layer are judged here
    with nullcontext() if built is None else built.indexing():
        keep_findings(context, work, judge_layer(context.work, work.staged(staging)))
        _require_rows(context, work, staging)


def compare(context: Context, work: LayerWork, works: Sequence[LayerWork]) -> None:
    """Judge a staged layer beside the others of the delivery and those that are loaded."""
    if work.staging is None or work.tally.counts["read"] == 0:
        return
    delivered = {w.definition.name: w.staged(w.staging) for w in works if w.staging is not None}
    own = delivered[work.definition.name]
    parts = [
        judge_together(context.work, own, delivered, context.known, context.delivery.bureau),
        measure_offsets(context.work, own, delivered, context.known, context.delivery.bureau),
    ]
    for load in work.loads:
        if load.check_points is not None:
            required, waiver = work.definition.required_accuracy_m, load.accept_accuracy
            allowed = required if waiver is None else max(waiver.metres, required or 0.0)
            parts.append(
                measure_check_points(
                    context.work, own, load.check_points, context.registry, allowed
                )
            )
    for part in parts:
        work.tally.notes += part.notes
        work.tally.measures += part.measures
        keep_findings(context, work, part.rejections)
    if any(part.rejections for part in parts):
        _require_rows(context, work, work.staging)


def _require_rows(context: Context, work: LayerWork, staging: Staging) -> None:
    """Stop at a finding that blocks, and where no row is left."""
    if work.tally.blocked is not None:
        raise LoadBlocked(work.tally.blocked)
    rows = staged.count(context.work, staging)
    if work.sink is not None and isinstance(work.sink.target, Building):
        work.sink.target.recounted(rows)
    if rows == 0:
        counts = work.tally.counts
        if not counts["rejected"]:
            raise LoadFailed("没有一行通过 where 过滤 (no row passes `where`)")
        first = work.tally.first
        said = "" if first is None else f"{first.file or ''} 第 {first.row} 行: {first.reason}"
        raise LoadFailed(
            f"全部 {counts['rejected']} 行被拒绝 (all rows rejected)，第一条 the first: {said}"
        )


def _file(context: Context, work: LayerWork, load: Load, file: FileSource, sink: Sink) -> None:
    at = len(work.files)
    work.files.append(FileReport(file=file.label, coordsys=load.coordsys))
    pull = _asked(context, work, file)
    source = _open(context, load, file, pull)
    info, layer = source.info, source.layer
    work.files[at] = replace(
        work.files[at],
        driver=info.driver,
        encoding=file.encoding or info.encoding_detected or info.encoding_declared,
        declared_crs=layer.declared_crs,
        notes=info.notes if pull is None else (*info.notes, *unseen(pull)),
    )
    if pull is not None and pull.since is not None and layer.feature_count == 0:
        return  # nothing has changed: such an answer need not tell CRS and fields either
    chain = None
    if work.definition.geometry is not None:
        chain = _chain(context, load, file, layer.declared_crs)
        waiver = load.accept_accuracy
        work.files[at] = replace(
            work.files[at],
            coordsys=chain.source.name,
            datum=chain.to_json(),
            waiver=None if waiver is None else {"metres": waiver.metres, "reason": waiver.reason},
        )
        _require_accuracy(work.definition, load, chain)
    plan = mapping.plan(work.definition, load, [f.name for f in layer.fields], file.label)
    work.files[at] = replace(work.files[at], unused_columns=plan.unused)
    line = Line(
        work.definition, load, chain, context.frame, context.other_frames, work.book,
        context.domains,
    )  # fmt: skip
    ordinal = [report.file for report in work.files].index(file.label)
    with sink.sending():
        judged = _judged(context, work, load, source, chain, at)
        for checked in context.checks.run(line, plan, file.label, judged):
            sink.put(checked, ordinal)
            _account(context, work, checked, at)
            context.progress(work.definition.name, work.files[at].rows, layer.feature_count)


def _asked(context: Context, work: LayerWork, file: FileSource) -> Pull | None:
    """The pull of a service with the time that `since: last run` means now; None for a file."""
    if file.pull is None or not file.pull.since_last_run:
        return file.pull
    since = last_success(context.log, context.delivery.name, work.definition.name)
    return replace(file.pull, since=since)


def _open(context: Context, load: Load, file: FileSource, pull: Pull | None) -> Source:
    """The rows of a file with their geometry; positions may stand in a point table beside them."""
    named, join = load.columns, load.from_points
    plain = ReadOptions(
        encoding=file.encoding,
        layer=file.layer or file.sheet,
        batch_rows=BATCH_ROWS,
        workbooks=context.workbooks,
    )
    placed = replace(
        plain,
        x=None if named is None else named.x,
        y=None if named is None else named.y,
        z=None if named is None else named.z,
    )
    if pull is not None:
        return open_pull(pull, placed)
    if join is None:
        return open_source(file.path, placed)
    return SegmentSource(
        open_source(file.path, plain),
        open_source(file.path, replace(placed, layer=file.points or join.sheet)),
        join,
    )


def _chain(context: Context, load: Load, file: FileSource, declared_crs: str | None) -> DatumChain:
    stated = load.coordsys or declared_name(declared_crs, context.registry)
    if stated is None:
        accepted = ", ".join(dict.fromkeys((*context.frame.accepted_coordsys,
                                            *context.registry.grids)))  # fmt: skip
        raise LoadFailed(
            f"{file.label}: 没有声明坐标系，请在交付文件写明 coordsys，可用 (neither the file nor "
            f"the delivery states a coordsys; one of): {accepted}"
        )
    chain = context.registry.chain(stated)
    if load.columns is not None and load.columns.plane != (chain.source.kind == "plane"):
        raise LoadFailed(
            f"{file.label}: {chain.source.name} 是"
            + (
                "平面坐标，columns 须写 north 和 east (a plane grid: name north and east)"
                if chain.source.kind == "plane"
                else "经纬度，columns 须写 lon 和 lat (degrees: name lon and lat)"
            )
        )
    return chain


def _require_accuracy(definition: LayerDefinition, load: Load, chain: DatumChain) -> None:
    """Block steps less accurate than the layer requires, unless waived for that accuracy."""
    required, given = definition.required_accuracy_m, chain.accuracy_m
    if required is None or given <= required:
        return
    waiver = load.accept_accuracy
    if waiver is not None and given <= waiver.metres:
        return
    steps = " → ".join(step.name for step in chain.steps)
    short = (
        ""
        if waiver is None
        else f"；豁免只到 {waiver.metres:g} m (the waiver covers {waiver.metres:g} m only)"
    )
    raise LoadBlocked(
        f"要求精度 {required:g} m，{chain.source.name} 的换算（{steps}）只有 {given:g} m{short}。"
        f"请交付更准的坐标，或在交付文件写明 accept_accuracy: {{metres: {given:g}, reason: …}} "
        f"(the layer requires {required:g} m, these steps give {given:g} m)"
    )


def _judged(
    context: Context,
    work: LayerWork,
    load: Load,
    source: Source,
    chain: DatumChain | None,
    at: int,
) -> Iterator[Batch]:
    """The batches, watched by the datum detection; LoadBlocked at an unanswered objection."""
    if chain is None:
        yield from source.batches()
        return
    named = load.columns
    watch = DatumWatch(
        chain=chain,
        frame=context.frame,
        registry=context.registry,
        reference=context.reference,
        field_names=None if named is None else (named.x, named.y),
        trusted=lambda lon, lat: trusted_around(
            context.log, work.definition, context.known, context.delivery.synthetic, lon, lat
        ),
    )
    for batch in source.batches():
        _confirmed(work, load, at, watch.see(batch))
        yield batch
    _confirmed(work, load, at, watch.end())


def _confirmed(work: LayerWork, load: Load, at: int, found: Detection | None) -> None:
    """Record what detection says of the stated datum; LoadBlocked at an unanswered objection."""
    if found is None:
        return
    answer = load.answers.get("datum")
    work.files[at] = replace(
        work.files[at],
        detection={**found.to_json(), "sentence": found.objection or found.summary},
        answer=answer,
    )
    if found.objection is not None and answer is None:
        raise LoadBlocked(
            f"{work.files[at].file}: {found.objection} 请改正交付文件，或用 answers: "
            f"{{datum: 理由}} 答复 (correct the delivery, or answer with a reason)"
        )


def _account(context: Context, work: LayerWork, checked: CheckedBatch, at: int) -> None:
    """Count a batch and keep its findings."""
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
    work.note_ids(checked.kept.column("id"))
    if checked.findings:
        # by row, not by rule: people read a report beside their file
        ledger_rows = sorted(_rejections(checked), key=lambda r: r.row or 0)
        warned = {
            int(row)
            for f in checked.findings
            if f.severity is Severity.WARN
            for row in f.rows
            if not checked.refused[row]
        }
        work.tally.counts["warned"] += len(warned)
        _note(work, ledger_rows)
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
    warned = {(r.file, r.row) for r in found if r.severity == Severity.WARN and r.row is not None}
    work.tally.counts.update(rejected=len(refused), warned=len(warned - refused))
    for at, file in enumerate(work.files):
        mine = sum(1 for name, _ in refused if name == file.file)
        work.files[at] = replace(file, rejected=file.rejected + mine)
    _note(work, found)
    ledger.reject(context.log, work.run, found)


def _note(work: LayerWork, found: Iterable[Rejection]) -> None:
    tally = work.tally
    for row in found:
        tally.rules[row.rule] += 1
        if row.severity == Severity.BLOCK and tally.blocked is None:
            tally.blocked = f"{RULE_TITLES.get(row.rule, row.rule)}: {row.reason}"
        place = None if row.place is None else (round(row.place.x, 6), round(row.place.y, 6))
        shown = RowReport(
            row.file, row.row, row.id, row.rule, row.reason, row.severity, row.record, place
        )
        if tally.first is None and row.severity != Severity.WARN and row.row is not None:
            tally.first = shown
        if len(tally.sample) < SAMPLE_ROWS:
            tally.sample.append(shown)
        if place is not None and len(tally.places) < SAMPLE_PLACES:
            tally.places.append(place)
