"""Values of any source type turned into the type of a field, whole columns at a time.

Each function returns the typed array and a mask of the rows whose value is of another type;
such rows are null in the array. Blank text counts as no value.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from etl.checks.finding import BoolArray
from layers.definition import FieldType

ARROW_TYPES: Mapping[FieldType, pa.DataType] = {
    FieldType.TEXT: pa.string(),
    FieldType.INTEGER: pa.int64(),
    FieldType.REAL: pa.float64(),
    FieldType.BOOLEAN: pa.bool_(),
    FieldType.DATE: pa.date32(),
    FieldType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
}
_TRUE = pa.array(["true", "t", "yes", "y", "1", "是", "有"])
_FALSE = pa.array(["false", "f", "no", "n", "0", "否", "无"])


def nulls(array: pa.Array) -> BoolArray:
    """Mask of the null rows."""
    if array.null_count == 0:
        return np.zeros(len(array), dtype=bool)
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False), dtype=bool)


def _mask(array: pa.Array) -> BoolArray:
    return np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), dtype=bool)


def text(array: pa.Array) -> pa.Array:
    """Any column as text, trimmed; blank is null. Whole numbers lose the `.0` of spreadsheets."""
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), pa.string())
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        whole = pc.equal(array, pc.floor(array))
        small = pc.less(pc.abs(array), 2.0**53)
        as_whole = pc.if_else(pc.and_(whole, small), array, None).cast(pa.int64())
        array = pc.coalesce(as_whole.cast(pa.string()), array.cast(pa.string()))
    elif pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("us", tz=array.type.tz)).cast(pa.string())
    elif pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type):
        array = pa.array([None] * len(array), pa.string())
    elif array.type != pa.string():
        array = array.cast(pa.string())
    array = pc.utf8_trim_whitespace(array)
    blank = pc.equal(array, "")
    if pc.any(blank).as_py():
        array = pc.if_else(blank, pa.scalar(None, pa.string()), array)
    return array


def number(array: pa.Array) -> tuple[pa.Array, BoolArray]:
    """Any column as float64; text that is no finite number is bad."""
    if pa.types.is_boolean(array.type):
        return pa.nulls(len(array), pa.float64()), ~nulls(array)
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        numbers = array.cast(pa.float64(), safe=False)
        bad = ~nulls(numbers) & ~_mask(pc.is_finite(numbers))
        return _without(numbers, bad), bad
    cleaned = text(array)
    filled = ~nulls(cleaned)
    looks = _mask(
        pc.match_substring_regex(
            cleaned, r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
        )
    )
    bad = filled & ~looks
    cleaned = pc.utf8_ltrim(_without(cleaned, bad), characters="+")
    numbers = cleaned.cast(pa.float64())
    infinite = filled & looks & ~_mask(pc.is_finite(numbers))
    return _without(numbers, infinite), bad | infinite


def convert(array: pa.Array, wanted: FieldType, timezone: str) -> tuple[pa.Array, BoolArray]:
    """Any column as the Arrow type of `wanted`; naive times are local to `timezone`."""
    if wanted is FieldType.TEXT:
        return text(array), np.zeros(len(array), dtype=bool)
    if wanted is FieldType.REAL:
        return number(array)
    if wanted is FieldType.INTEGER:
        return _integer(array)
    if wanted is FieldType.BOOLEAN:
        return _boolean(array)
    if wanted is FieldType.DATE:
        return _date(array)
    return _timestamp(array, timezone)


def _without(array: pa.Array, bad: BoolArray) -> pa.Array:
    if not bad.any():
        return array
    return pc.if_else(pa.array(bad), pa.scalar(None, array.type), array)


def _integer(array: pa.Array) -> tuple[pa.Array, BoolArray]:
    if pa.types.is_integer(array.type):
        return array.cast(pa.int64()), np.zeros(len(array), dtype=bool)
    numbers, bad = number(array)
    fits = pc.and_(pc.equal(numbers, pc.floor(numbers)), pc.less(pc.abs(numbers), 2.0**53))
    broken = ~nulls(numbers) & ~_mask(fits)
    return _without(numbers, broken).cast(pa.int64()), bad | broken


def _boolean(array: pa.Array) -> tuple[pa.Array, BoolArray]:
    if pa.types.is_boolean(array.type):
        return array, np.zeros(len(array), dtype=bool)
    low = pc.utf8_lower(text(array))
    yes, no = _mask(pc.is_in(low, _TRUE)), _mask(pc.is_in(low, _FALSE))
    known = yes | no
    return pa.array(yes, mask=~known), ~nulls(low) & ~known


def _date(array: pa.Array) -> tuple[pa.Array, BoolArray]:
    """ISO, 20261122, 2026/11/22 and 2026年11月22日; a midnight time after it is ignored."""
    if pa.types.is_date(array.type) or pa.types.is_timestamp(array.type):
        if pa.types.is_timestamp(array.type):
            array = array.cast(pa.timestamp("us", tz=array.type.tz))
            array = pc.local_timestamp(array) if array.type.tz else array
            array = pc.floor_temporal(array, unit="day")
        return array.cast(pa.date32()), np.zeros(len(array), dtype=bool)
    raw = text(array)
    if not pa.types.is_string(array.type):
        raw = pc.if_else(pc.equal(raw, "0"), pa.scalar(None, pa.string()), raw)  # empty dbf date
    # few days and many rows: each text is read once (a twentieth of the time for 300 000 rows)
    coded = raw.dictionary_encode()
    days, bad = _days(coded.dictionary)
    wrong = _mask(pa.array(bad).take(coded.indices))
    return days.take(coded.indices), wrong


def _days(raw: pa.Array) -> tuple[pa.Array, BoolArray]:
    plain = pc.replace_substring_regex(raw, r"^([0-9]{4})([0-9]{2})([0-9]{2})$", r"\1-\2-\3")
    plain = pc.replace_substring_regex(plain, r"[ T]0?0:00(:00(\.0+)?)?Z?$", "")
    plain = pc.replace_substring_regex(plain, r"^([0-9]{4})[/.年]([0-9]{1,2})[/.月]", r"\1-\2-")
    plain = pc.replace_substring_regex(plain, "日$", "")
    filled = ~nulls(plain)
    shaped = _mask(pc.match_substring_regex(plain, r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}$"))
    series = pd.Series(_without(plain, filled & ~shaped).to_numpy(zero_copy_only=False))
    days = pd.to_datetime(series, format="%Y-%m-%d", errors="coerce")
    bad = filled & days.isna().to_numpy()
    return pa.array(days.to_numpy(dtype="datetime64[D]"), pa.date32(), from_pandas=True), bad


def _timestamp(array: pa.Array, timezone: str) -> tuple[pa.Array, BoolArray]:
    wanted = ARROW_TYPES[FieldType.TIMESTAMP]
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        moments = array.cast(pa.timestamp("us", tz=getattr(array.type, "tz", None)))
        if moments.type.tz is None:
            moments = pc.assume_timezone(moments, timezone, ambiguous="earliest")
        return moments.cast(wanted), np.zeros(len(array), dtype=bool)
    raw = pc.replace_substring_regex(
        text(array), r"^([0-9]{4})[/.]([0-9]{1,2})[/.]([0-9]{1,2})", r"\1-\2-\3"
    )
    # RE2 references have one digit: r"\10" is group 1 and a zero (2026-1-2 8:30 → 2026-01-02 08:30)
    raw = pc.replace_substring_regex(raw, r"^([0-9]{4}-)([0-9]-)", r"\10\2")
    raw = pc.replace_substring_regex(raw, r"^([0-9]{4}-[0-9]{2}-)([0-9])([ T]|$)", r"\10\2\3")
    raw = pc.replace_substring_regex(raw, r"([ T])([0-9]:)", r"\10\2")
    filled = ~nulls(raw)
    zoned = _mask(pc.match_substring_regex(raw, r"[0-9](Z|[+-][0-9]{2}:?[0-9]{2})$"))
    zoned &= _mask(pc.match_substring(raw, ":"))
    series = pd.Series(raw.to_numpy(zero_copy_only=False), dtype="object")
    result = pd.Series(pd.NaT, index=series.index, dtype="datetime64[us, UTC]")
    if zoned.any():
        aware = pd.to_datetime(series[zoned], format="ISO8601", errors="coerce", utc=True)
        result[zoned] = aware.dt.as_unit("us")
    if (naive := filled & ~zoned).any():
        local = pd.to_datetime(series[naive], format="ISO8601", errors="coerce")
        placed = local.dt.tz_localize(timezone, ambiguous="NaT", nonexistent="shift_forward")
        result[naive] = placed.dt.tz_convert("UTC").dt.as_unit("us")
    bad = filled & result.isna().to_numpy()
    return pa.array(result, wanted, from_pandas=True), bad
