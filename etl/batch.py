"""One batch through the line: filter, mapping, datum steps, checks; no I/O.

`check_batch` is a pure function of a batch and a `Line`, so that a delivery can be tried without
a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from etl import mapping
from etl.checks import geometry as rules
from etl.checks import values
from etl.checks.attributes import check_attributes
from etl.checks.finding import BoolArray, Finding, RuleBook, Severity
from etl.checks.pipes import check_segments
from etl.datum import DatumChain
from etl.datum.coordsys import FloatArray
from etl.delivery import Load
from etl.places import Boxes, Places, Points, Shapes, describe, points_of, without
from layers.city import CityProfile
from layers.codes import CodeList
from layers.definition import GeometryType, LayerDefinition


@dataclass(frozen=True)
class Line:
    """All that the batches of one load pass through."""

    definition: LayerDefinition
    load: Load
    chain: DatumChain | None
    frame: CityProfile
    other_frames: tuple[CityProfile, ...]
    book: RuleBook
    domains: Mapping[str, CodeList]


@dataclass(frozen=True, slots=True)
class CheckedBatch:
    """The outcome: `kept` for staging, findings with positions in `records`, and who was kept out.

    `kept` has columns id, fields..., source_file, source_row, and geom (WKB, EPSG:4490, x = lon)
    where the layer has geometry. `places` and `ids` cover all rows of `records`.
    """

    records: mapping.Records
    kept: pa.RecordBatch
    findings: tuple[Finding, ...]
    refused: BoolArray
    ids: pa.Array
    places: Places | Boxes | None
    skipped: int

    def kept_bounds(self) -> FloatArray | None:
        """(n, 4) west, south, east, north of the rows of `kept`; None without geometry."""
        if self.places is None:
            return None
        bounds = self.places.bounds()
        return bounds[~self.refused] if self.refused.any() else bounds


def check_batch(line: Line, plan: mapping.Plan, records: mapping.Records) -> CheckedBatch:
    """Run one batch; rows with a reject or block finding stay out of `kept`."""
    keep = mapping.select(records, line.load.where)
    skipped = int(np.count_nonzero(~keep))
    if skipped:
        records = records.take(keep)
    timezone = line.frame.calendar.timezone
    ids, findings = mapping.evaluate(plan.id, records, None, timezone)
    columns: dict[str, pa.Array] = {}
    mistyped: dict[str, BoolArray] = {"id": _rows(findings, len(records.rows))}
    for field in line.definition.fields:
        expression = plan.fields.get(field.name)
        if expression is None:
            kind = values.ARROW_TYPES[field.type]
            columns[field.name] = pa.nulls(len(records.rows), kind)
            continue
        columns[field.name], found = mapping.evaluate(expression, records, field, timezone)
        mistyped[field.name] = _rows(found, len(records.rows))
        findings += found
    mapped = {name: columns[name] for name in plan.fields}
    findings += check_attributes(line.book, line.definition, ids, mapped, line.domains, mistyped)
    findings += _unreadable(line, records)
    places: Places | None = None
    if line.definition.geometry is not None:
        places, found = _positions(line, records)
        findings += found
    findings += check_segments(line.book, columns, places, len(records.rows))
    refused = np.zeros(len(records.rows), dtype=bool)
    for finding in findings:
        if finding.severity is not Severity.WARN:
            refused[finding.rows] = True
    return CheckedBatch(
        records=records,
        kept=_kept(line.definition, records, ids, columns, places, ~refused),
        findings=tuple(findings),
        refused=refused,
        ids=ids,
        places=places,
        skipped=skipped,
    )


def _rows(findings: list[Finding], size: int) -> BoolArray:
    mask = np.zeros(size, dtype=bool)
    for finding in findings:
        mask[finding.rows] = True
    return mask


def _positions(line: Line, records: mapping.Records) -> tuple[Places, list[Finding]]:
    places, findings = _fitted(line, records)
    if line.chain is not None:
        before = places
        places = places.moved(line.chain)
        where, coordsys = describe(before), line.chain.source.name
        findings += line.book.finding(
            "datum_step",
            before.finite() & ~places.finite(),
            lambda row: (
                f"{where(row)} 不能由 {coordsys} 换算到 CGCS2000，超出该坐标系的范围 "
                f"(outside what {coordsys} can hold)"
            ),
        )
    coordsys = line.load.coordsys or "cgcs2000"
    findings += rules.inside_frame(line.book, places, coordsys, line.frame, line.other_frames)
    places, mended = rules.repair(line.book, places)
    return places, findings + mended


def _fitted(line: Line, records: mapping.Records) -> tuple[Places, list[Finding]]:
    """Geometries in the type of the layer; finite ones only."""
    known = np.zeros(len(records.rows), dtype=bool)
    known[list(records.problems)] = True
    placed = records.positions
    if placed is not None and line.definition.geometry is GeometryType.POINT:
        return rules.fit_points(line.book, line.definition, Points(placed.x, placed.y, placed.z),
                                known)  # fmt: skip
    shapes, findings = rules.fit_type(line.book, line.definition, records.geometry, known)
    finite = Shapes(shapes).finite()
    findings += line.book.finding(
        "coordinate", ~finite, lambda _row: "坐标不是有限的数字 (a coordinate is NaN or infinite)"
    )
    shapes = without(shapes, ~finite)
    if line.definition.geometry is GeometryType.POINT:
        return points_of(shapes, has_z=line.definition.has_z), findings
    return Shapes(shapes), findings


def _unreadable(line: Line, records: mapping.Records) -> list[Finding]:
    """What the reader could not make of the rows; a problem with a column is a coordinate's."""
    findings: list[Finding] = []
    for rule in ("coordinate", "unreadable"):
        bad = np.zeros(len(records.rows), dtype=bool)
        for row, problem in records.problems.items():
            bad[row] = (problem.column is not None) is (rule == "coordinate")
        findings += line.book.finding(rule, bad, lambda row: records.problems[row].reason)
    return findings


def _kept(
    definition: LayerDefinition,
    records: mapping.Records,
    ids: pa.Array,
    columns: Mapping[str, pa.Array],
    places: Places | None,
    keep: BoolArray,
) -> pa.RecordBatch:
    size = len(records.rows)
    arrays: dict[str, pa.Array] = {
        "id": ids,
        **columns,
        "source_file": pa.repeat(pa.scalar(records.file), size),
        "source_row": pa.array(records.rows),
    }
    batch = pa.RecordBatch.from_pydict(arrays)
    whole = bool(keep.all())
    if not whole:
        batch = batch.filter(pa.array(keep))
    if places is None:
        return batch
    kept = places if whole else places.take(keep)
    return batch.append_column("geom", kept.wkb(definition.has_z))
