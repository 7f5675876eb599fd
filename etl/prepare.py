"""Bring the files of one layer into staging: read, map, move to CGCS2000, check, keep refusals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

from etl import mapping, staged
from etl.batch import Line
from etl.datum import DatumChain
from etl.delivery import FileSource, Load
from etl.detection import Detection
from etl.findings import account, keep_findings, require_rows
from etl.inspect import declared_name
from etl.judge import judge_layer
from etl.layer_work import Context, LayerWork, LoadBlocked, LoadFailed
from etl.pull import last_success, unseen
from etl.readers import Batch, ReadOptions, Source, open_source
from etl.readers.pull import Pull
from etl.readers.service import open_pull
from etl.report import FileReport
from etl.segments import SegmentSource
from etl.sink import Sink
from etl.trusted import trusted_around
from etl.watch import DatumWatch
from layers.definition import LayerDefinition

BATCH_ROWS = 50_000
COMPARED_BESIDE = 2_000_000
"""Up to so many rows identifiers are compared while the last rows are sent; both take memory."""


def prepare(context: Context, work: LayerWork) -> None:
    """Fill the layer's sink from all its files; LoadFailed or LoadBlocked with the reason.

    Also ReadError, MappingError, DatumError and CheckError, each with a sentence.
    """
    work.sink = sink = Sink(
        context.work, context.connect, work.definition, work.run, may_build=work.partial is None
    )
    with sink.sending():
        for load in work.loads:
            for file in load.files:
                _file(context, work, load, file, sink)
        sink.flush()
        few = work.staged_rows <= COMPARED_BESIDE
        may_repeat = few and work.may_repeat_ids()
    may_repeat = may_repeat if few else work.may_repeat_ids()
    files = [report.file for report in work.files]
    built, staging = sink.filled(files)
    if work.tally.counts["read"] == 0:
        if all(file.pull and file.pull.partial for load in work.loads for file in load.files):
            work.tally.counts["read"] = 0  # nothing has changed since
            return
        raise LoadFailed("文件里没有记录 (the files hold no rows)")
    if may_repeat:
        repeated = (
            staged.remove_repeated(context.work, staging)
            if built is None
            else staged.remove_repeated_built(built, files)
        )
        keep_findings(context, work, repeated)
    # the server builds indexes while rules over the whole layer are judged here
    with nullcontext() if built is None else built.indexing():
        layer = replace(work.staged(staging), placed=work.placed())
        keep_findings(context, work, judge_layer(context.work, layer))
        require_rows(context, work, staging)


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
    judged = _judged(context, work, load, source, chain, at)
    for checked in context.checks.run(line, plan, file.label, judged):
        sink.put(checked, ordinal)
        account(context, work, checked, at, plan)
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
