"""How a layer's run ends: its report, and what the catalogue keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import psycopg

from etl import ledger
from etl.layer_work import Context, LayerWork
from etl.report import LoadReport, Status


def report_of(
    context: Context,
    work: LayerWork,
    status: Status,
    *,
    started: datetime,
    seconds: float,
    reason: str | None = None,
    revision: int | None = None,
) -> LoadReport:
    """The report of a layer as its work stands."""
    delivery, extent, tally = context.delivery, context.frame.extent, work.tally
    counts = dict(tally.counts)
    if tally.warned:
        counts["warned"] = tally.warned
    return LoadReport(
        run=work.run,
        delivery=delivery.name,
        layer=work.definition.name,
        layer_title=str(work.definition.title),
        bureau=delivery.bureau,
        city=delivery.city,
        synthetic=delivery.synthetic,
        status=status,
        started_at=started,
        seconds=round(seconds, 3),
        reason=reason,
        revision=revision,
        files=tuple(work.files),
        counts=counts,
        rules=dict(tally.rules.most_common()),
        sample=tuple(tally.sample),
        places=tuple(tally.places),
        measures=tuple(tally.measures),
        notes=tuple(tally.notes),
        frame=(extent.west, extent.south, extent.east, extent.north),
        accuracy_m=max((f.datum["accuracy_m"] for f in work.files if f.datum), default=None),
        required_accuracy_m=work.definition.required_accuracy_m,
    )


def close(connection: psycopg.Connection, report: LoadReport) -> None:
    """Finish the run in the catalogue, as its report says."""
    status = "failed" if report.status is Status.BLOCKED else report.status.value
    ledger.finish(
        connection,
        report.run,
        status,
        counts=report.counts,
        report=report.to_json(),
        steps=steps_of(report),
        accuracy_m=report.accuracy_m,
    )


def steps_of(report: LoadReport) -> list[Mapping[str, Any]]:
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
