"""From source columns to the fields of a layer: explicit expressions first, then names and aliases.

A field that the delivery does not mention takes the column named like the field, like its
Chinese title or like one of its aliases, without regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.checks import values
from etl.checks.finding import BoolArray, Finding, IntArray, Severity
from etl.delivery import Expression, Load
from etl.readers import Batch, RowProblem
from etl.readers.model import Positions
from layers.definition import Field, FieldType, LayerDefinition

ROW, FILE = "row", "file"
"""Names that a template may use beside the columns: row number in the file, and file name."""

_PIECE = re.compile(r"\{([^{}]+)\}")
# Factors to the first unit of each row; keys are what delivery files and UCUM write.
_UNITS: tuple[Mapping[str, float], ...] = (
    {"m": 1, "米": 1, "mm": 0.001, "毫米": 0.001, "cm": 0.01, "厘米": 0.01, "dm": 0.1, "km": 1000,
     "公里": 1000, "千米": 1000},
    {"m2": 1, "平方米": 1, "km2": 1e6, "平方公里": 1e6, "ha": 1e4, "公顷": 1e4, "亩": 2000 / 3},
)  # fmt: skip


class MappingError(ValueError):
    """A file whose columns cannot fill the layer; the message names what is missing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which expression fills the id and each field, for files with one set of columns.

    Fields without a source are absent from `fields` and become null.
    """

    id: Expression
    fields: Mapping[str, Expression]
    unused: tuple[str, ...]


def plan(definition: LayerDefinition, load: Load, columns: Sequence[str], label: str) -> Plan:
    """Resolve the mapping for a file with `columns`; MappingError names missing columns."""
    unknown = [name for name in load.fields if name not in definition.field_by_name]
    if unknown:
        raise MappingError(
            f"图层 {definition.name} 没有字段 no such field: {', '.join(unknown)}; "
            f"可用 fields: {', '.join(definition.field_names)}"
        )
    folded = {_fold(column): column for column in reversed(columns)}
    fields = dict(load.fields)
    for field in definition.fields:
        if field.name not in fields:
            found = _first(folded, (field.name, field.title.zh, *field.alias))
            if found is not None:
                fields[field.name] = Expression(column=found)
    identity = load.id
    if identity is None:
        names = ("id", definition.id_title.zh, *definition.id_alias)
        found = _first(folded, names)
        if found is None:
            raise MappingError(
                f"{label}: 没有标识码列 {_listed(names)}，请用 id: {{column: …}} 指明；"
                f"文件的列 no identifier column, state id: {{column: …}}; columns: "
                f"{_listed(columns)}"
            )
        identity = Expression(column=found)
    used = {*_sources(identity), *load.where}
    for expression in fields.values():
        used.update(_sources(expression))
    if load.from_points is not None:
        used.update(load.from_points.names)
    elif load.columns is not None:
        used.update(load.columns.names)
    known = {*columns, ROW, FILE}
    if missing := sorted(used - known):
        raise MappingError(
            f"{label}: 缺少列 missing columns: {_listed(missing)}; "
            f"文件的列 columns: {_listed(columns)}"
        )
    for field in definition.fields:
        if field.required and field.name not in fields:
            names = (field.name, field.title.zh, *field.alias)
            raise MappingError(
                f"{label}: 缺少必填字段 {field.title.zh}（{field.name}），列名 {_listed(names)}；"
                f"文件的列 required field {field.name} has no column; columns: {_listed(columns)}"
            )
        if field.name in fields:
            _check_unit(fields[field.name], field, label)
    unused = tuple(column for column in columns if column not in used)
    return Plan(identity, fields, unused)


def match_columns(
    definition: LayerDefinition, columns: Sequence[str]
) -> tuple[str | None, dict[str, str]]:
    """The column of the identifier, and fields by column, as `plan` finds them by their names."""
    folded = {_fold(column): column for column in reversed(columns)}
    fields = {}
    for field in definition.fields:
        found = _first(folded, (field.name, field.title.zh, *field.alias))
        if found is not None:
            fields[field.name] = found
    return _first(folded, ("id", definition.id_title.zh, *definition.id_alias)), fields


@dataclass(frozen=True, slots=True)
class Records:
    """Rows as read: their columns, geometries (n,), file label and row numbers (n,).

    `problems` says by position in the batch what the reader could not make of a row.
    """

    batch: pa.RecordBatch
    source: Batch
    file: str
    rows: IntArray
    problems: Mapping[int, RowProblem]
    kept: BoolArray | None = None
    """Mask of the rows of `source` that are left, None for all."""

    @property
    def geometry(self) -> NDArray[np.object_]:
        """Geometries (n,) as read."""
        shapes = self.source.geometry
        return shapes if self.kept is None else shapes[self.kept]

    @property
    def positions(self) -> Positions | None:
        """Points of a table as coordinate arrays (n,), where the reader gave them so."""
        places = self.source.positions
        return places if places is None or self.kept is None else places.take(self.kept)

    @classmethod
    def of(cls, batch: Batch, file: str) -> Records:
        """From what a reader gives."""
        position = {}
        if batch.problems:
            by_row = {int(row): at for at, row in enumerate(batch.rows)}
            position = {by_row[p.row]: p for p in reversed(batch.problems) if p.row in by_row}
        arrays = [
            column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
            for column in batch.attributes.columns
        ]
        record = pa.RecordBatch.from_arrays(arrays, schema=batch.attributes.schema)
        return cls(record, batch, file, batch.rows, position)

    def column(self, name: str) -> pa.Array:
        """A column, or the pseudo-columns of templates."""
        if name in self.batch.schema.names:
            return self.batch.column(name)
        if name == ROW:
            return pa.array(self.rows)
        if name == FILE:
            return pa.repeat(pa.scalar(self.file), len(self.rows))
        raise MappingError(f"{self.file}: 没有列 no column {name}")

    def take(self, keep: BoolArray) -> Records:
        """The rows of a mask."""
        new = np.cumsum(keep) - 1
        return Records(
            self.batch.filter(pa.array(keep)),
            self.source,
            self.file,
            self.rows[keep],
            {int(new[at]): problem for at, problem in self.problems.items() if keep[at]},
            keep if self.kept is None else _within(self.kept, keep),
        )


def _within(kept: BoolArray, keep: BoolArray) -> BoolArray:
    """A mask of the rows that another mask left, as a mask of all rows."""
    out = kept.copy()
    out[kept] = keep
    return out


def select(records: Records, where: Mapping[str, tuple[str | None, ...]]) -> BoolArray:
    """Mask of the rows that pass the row filter (texts compared after trimming; None = blank)."""
    keep = np.ones(len(records.rows), dtype=bool)
    for column, wanted in where.items():
        array = values.text(records.column(column))
        keep &= _is_in(array, [item for item in wanted if item is not None]) | (
            values.nulls(array) if None in wanted else False
        )
    return keep


def evaluate(
    expression: Expression, records: Records, field: Field | None, timezone: str
) -> tuple[pa.Array, list[Finding]]:
    """The typed column of an expression (`field` None: the identifier, text) and its findings."""
    label = "id" if field is None else field.name
    title = "标识码 id" if field is None else f"{field.title.zh} {field.name}"
    wanted = FieldType.TEXT if field is None else field.type
    findings: list[Finding] = []
    raw = _raw(expression, records)
    origin = expression.column or expression.template or label
    if expression.blank:
        written = values.text(raw)
        none = _is_in(written, list(expression.blank))
        raw = pc.if_else(pa.array(none), pa.scalar(None, pa.string()), written)
    if expression.map is not None:
        before = values.text(raw)
        raw = _translate(before, expression.map)
        lost = values.nulls(raw) & ~values.nulls(before)
        # A code mapped to null on purpose is a blank, not a miss.
        lost &= ~_is_in(before, [k for k, v in expression.map.items() if v is None])
        findings += _finding(
            "map",
            lost,
            lambda row: (
                f"列 {origin} 的值 {before[row].as_py()!r} 不在 map 中，可翻译的有 "
                f"{_listed(expression.map or ())} (no translation into {label})"
            ),
        )
    typed, bad = values.convert(raw, wanted, timezone)
    findings += _finding(
        "type",
        bad,
        lambda row: (
            f"列 {origin} 的值 {raw[row].as_py()!r} 不能作为 {title} 的 {wanted.value} "
            f"(not a value of type {wanted.value})"
        ),
    )
    factor = _factor(expression.unit, field)
    if factor != 1.0:
        typed = pc.multiply(typed.cast(pa.float64()), factor)
        if wanted is FieldType.INTEGER:
            typed = pc.round(typed).cast(pa.int64())
    return typed, findings


def _raw(expression: Expression, records: Records) -> pa.Array:
    if expression.column is not None:
        return records.column(expression.column)
    if expression.template is not None:
        return _template(expression.template, records)
    size = len(records.rows)
    if expression.value is None:
        return pa.nulls(size, pa.string())
    value = expression.value
    if not isinstance(value, bool | int | float | str):
        value = str(value)  # YAML reads 2026-11-22 as a date
    return pa.repeat(pa.scalar(value), size)


def _template(template: str, records: Records) -> pa.Array:
    """`{column}` pieces between literal text; a null piece makes the row null."""
    parts: list[pa.Array | pa.Scalar] = []
    at = 0
    for piece in _PIECE.finditer(template):
        if piece.start() > at:
            parts.append(pa.scalar(template[at : piece.start()]))
        parts.append(values.text(records.column(piece[1])))
        at = piece.end()
    if at < len(template):
        parts.append(pa.scalar(template[at:]))
    if not any(isinstance(part, pa.Array) for part in parts):
        return pa.repeat(pa.scalar(template), len(records.rows))
    return pc.binary_join_element_wise(*parts, "")


def _translate(before: pa.Array, codes: Mapping[str, object]) -> pa.Array:
    keys = pa.array(list(codes), pa.string())
    targets = [None if v is None else str(v) for v in codes.values()]
    return pa.array(targets, pa.string()).take(pc.index_in(before, keys))


def _is_in(array: pa.Array, wanted: list[str]) -> BoolArray:
    if not wanted:
        return np.zeros(len(array), dtype=bool)
    hit = pc.is_in(array, pa.array(wanted, pa.string()))
    return np.asarray(hit.to_numpy(zero_copy_only=False), dtype=bool)


def _finding(rule: str, bad: BoolArray, reason: Callable[[int], str]) -> list[Finding]:
    rows = np.flatnonzero(bad)
    reasons = [reason(int(row)) for row in rows]
    return [Finding(rule, Severity.REJECT, rows, reasons)] if reasons else []


def _sources(expression: Expression) -> set[str]:
    if expression.column is not None:
        return {expression.column}
    return set(_PIECE.findall(expression.template or ""))


def _factor(unit: float | str | None, field: Field | None) -> float:
    if unit is None or field is None:
        return 1.0
    if isinstance(unit, float):
        return unit
    for family in _UNITS:
        if field.unit is not None and unit in family and field.unit in family:
            # one division, so that mm → mm is exactly 1
            return family[unit] / family[field.unit]
    return float("nan")


def _check_unit(expression: Expression, field: Field, label: str) -> None:
    if expression.unit is None:
        return
    if field.type not in (FieldType.REAL, FieldType.INTEGER):
        raise MappingError(f"{label}: 字段 {field.name} 不是数字，不能有 unit (not a number field)")
    if not np.isfinite(_factor(expression.unit, field)):
        known = sorted({name for family in _UNITS if field.unit in family for name in family})
        raise MappingError(
            f"{label}: 字段 {field.name}: 单位 {expression.unit!r} 不能换算到 {field.unit}；"
            f"可用系数或 use a factor or one of: {', '.join(known) or '—'}"
        )


def _fold(name: str) -> str:
    return name.strip().casefold()


def _first(folded: Mapping[str, str], names: Iterable[str]) -> str | None:
    for name in names:
        if _fold(name) in folded:
            return folded[_fold(name)]
    return None


def _listed(names: Iterable[str], limit: int = 20) -> str:
    shown = [str(name) for name in names]
    more = f" … ({len(shown)})" if len(shown) > limit else ""
    return "、".join(shown[:limit]) + more
