"""Checks of ids and field values against the layer definition, a whole column at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.checks.finding import BoolArray, CheckError, Finding, RuleBook
from etl.checks.values import nulls
from layers.codes import CodeList
from layers.definition import Field, LayerDefinition


def check_attributes(
    book: RuleBook,
    definition: LayerDefinition,
    ids: pa.Array,
    columns: Mapping[str, pa.Array],
    domains: Mapping[str, CodeList],
    mistyped: Mapping[str, BoolArray],
) -> list[Finding]:
    """Findings for a batch: `ids` and `columns` (typed, by field name) of one length n.

    `mistyped` marks the rows of a field that were nulled because their value was of another
    type, so that they are not reported as missing too. `domains` holds the code lists by name.
    """
    findings = _identifier(book, definition, ids, mistyped.get("id"))
    for field in definition.fields:
        array = columns.get(field.name)
        if array is None:
            continue
        findings += _field(book, field, array, domains, mistyped.get(field.name))
    rule = book.asked("exclusive")
    if rule is not None:
        names = [str(name) for name in rule.parameters.get("fields", ())]
        if len(names) < 2 or any(name not in definition.field_by_name for name in names):
            raise CheckError(
                f"图层 {definition.name}: exclusive 须列出两个以上的字段 fields: [a, b]"
            )
        present = [~nulls(columns[name]) for name in names if name in columns]
        titles = "、".join(definition.field_by_name[name].title.zh for name in names)
        if len(present) > 1:
            findings += book.finding(
                "exclusive",
                np.sum(present, axis=0) > 1,
                lambda _row: (
                    f"{titles} 不能同时有值 (only one of {', '.join(names)} may be filled)"
                ),
            )
        if rule.parameters.get("required") and present:
            findings += book.finding(
                "exclusive",
                ~np.any(present, axis=0),
                lambda _row: (
                    f"{titles} 都为空，须填其一 (one of {', '.join(names)} must be filled)"
                ),
            )
    return findings


def _identifier(
    book: RuleBook, definition: LayerDefinition, ids: pa.Array, mistyped: BoolArray | None
) -> list[Finding]:
    title = definition.id_title
    missing = nulls(ids) if mistyped is None else nulls(ids) & ~mistyped
    findings = book.finding(
        "id_required", missing, lambda _row: f"{title.zh}为空 ({title.en} is missing)"
    )
    if definition.id_pattern is not None:
        matches = pc.match_substring_regex(ids, definition.id_pattern)
        findings += book.finding(
            "id_pattern",
            _false(matches),
            lambda row: (
                f"{title.zh} {ids[row].as_py()!r} 不符合格式 (does not match) "
                f"{definition.id_pattern}"
            ),
        )
    return findings


def _field(
    book: RuleBook,
    field: Field,
    array: pa.Array,
    domains: Mapping[str, CodeList],
    mistyped: BoolArray | None,
) -> list[Finding]:
    name = f"{field.title.zh} {field.name}"
    findings: list[Finding] = []
    if field.required and array.null_count:
        missing = nulls(array) if mistyped is None else nulls(array) & ~mistyped
        findings += book.finding("required", missing, lambda _row: f"{name} 为空 (is required)")
    if field.max_length is not None and pa.types.is_string(array.type):
        length = pc.utf8_length(array)
        findings += book.finding(
            "max_length",
            _true(pc.greater(length, field.max_length)),
            lambda row: (
                f"{name} 有 {length[row].as_py()} 个字符，最多 {field.max_length} "
                f"(longer than {field.max_length})"
            ),
        )
    findings += _range(book, field, array, name)
    if field.domain is not None:
        entries = domains[field.domain].entries
        known = pc.is_in(array, pa.array([str(code) for code in entries], pa.string()))
        findings += book.finding(
            "domain", ~_true(known) & ~nulls(array), _domain_reason(name, array, domains, field)
        )
    return findings


def _domain_reason(
    name: str, array: pa.Array, domains: Mapping[str, CodeList], field: Field
) -> Callable[[int], str]:
    entries = domains[str(field.domain)].entries
    by_title = {entry.zh: str(code) for code, entry in entries.items()}
    codes = [str(code) for code in entries]
    sample = "、".join(codes[:12]) + (f" … ({len(codes)})" if len(codes) > 12 else "")

    def reason(row: int) -> str:
        value = array[row].as_py()
        hint = f"；{value} 的代码是 {by_title[value]} (its code)" if value in by_title else ""
        return f"{name} 的值 {value!r} 不在代码表 {field.domain} 中 (one of {sample}){hint}"

    return reason


def _range(book: RuleBook, field: Field, array: pa.Array, name: str) -> list[Finding]:
    if field.minimum is None and field.maximum is None:
        return []
    bad = np.zeros(len(array), dtype=bool)
    if field.minimum is not None:
        bad |= _true(pc.less(array, field.minimum))
    if field.maximum is not None:
        bad |= _true(pc.greater(array, field.maximum))
    low = "-∞" if field.minimum is None else f"{field.minimum:g}"
    high = "∞" if field.maximum is None else f"{field.maximum:g}"
    unit = f" {field.unit}" if field.unit else ""
    return book.finding(
        "range",
        bad,
        lambda row: (
            f"{name} = {array[row].as_py():g}{unit} 不在 {low} 到 {high} 之间 (out of range)"
        ),
    )


def _true(array: pa.Array) -> BoolArray:
    return np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), dtype=bool)


def _false(array: pa.Array) -> BoolArray:
    return ~np.asarray(pc.fill_null(array, True).to_numpy(zero_copy_only=False), dtype=bool)
