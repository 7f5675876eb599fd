"""Texts of a query string as values of a field's type, and `datetime` intervals (RFC 3339)."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, timedelta, tzinfo

from layers.definition import Field, FieldType
from layers.query.model import FieldValue, Interval, QueryError

_TIMESTAMP = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

_WANTED = {
    FieldType.INTEGER: ("须为整数", "an integer of at most 64 bits"),
    FieldType.REAL: ("须为有限数", "a finite number"),
    FieldType.BOOLEAN: ("须为 true 或 false", "true or false"),
    FieldType.DATE: ("须为日期 YYYY-MM-DD", "a date YYYY-MM-DD"),
    FieldType.TIMESTAMP: ("须为带时区的时间", "a date-time such as 2026-11-22T08:00:00+08:00"),
}


def parse_field_value(column: Field, text: str, zone: tzinfo) -> FieldValue:
    """Return `text` as the type of a field; QueryError names the field and its type.

    Timestamps without an offset are of `zone`.
    """
    value = _parsed(column.type, text, zone)
    if value is None:
        zh, en = _WANTED[column.type]
        raise QueryError(
            column.name,
            f"{zh}（类型 {column.type.value}），收到 {text[:60]!r}。",
            f"{en} (type {column.type.value}), got {text[:60]!r}",
        )
    return value


def _parsed(kind: FieldType, text: str, zone: tzinfo) -> FieldValue | None:
    if kind is FieldType.TEXT:
        return text
    try:
        if kind is FieldType.INTEGER:
            number = int(text) if re.fullmatch(r"[+-]?\d{1,19}", text, re.ASCII) else None
            return number if number is not None and -(2**63) <= number < 2**63 else None
        if kind is FieldType.REAL:
            real = float(text)
            return real if math.isfinite(real) and "_" not in text else None
        if kind is FieldType.BOOLEAN:
            return {"true": True, "false": False}.get(text)
        if kind is FieldType.DATE:
            return date.fromisoformat(text) if _DATE.fullmatch(text) else None
        return _timestamp(text, zone)
    except (ValueError, OverflowError):
        return None


def _timestamp(text: str, zone: tzinfo) -> datetime | None:
    # a plus sign that a client forgot to escape arrives as a space
    text = re.sub(r" (?=\d\d:?\d\d$)", "+", text) if text.count(":") > 1 else text
    if not _TIMESTAMP.fullmatch(text):
        return None
    value = datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=zone)


def parse_interval(text: str, zone: tzinfo, parameter: str = "datetime") -> Interval:
    """Return the time span of an OGC `datetime` value: an instant, or `start/end`.

    Ends may be open (`..` or empty). Dates are whole days of `zone`. Raises QueryError.
    """
    parts = text.split("/")
    if len(parts) > 2:
        raise _bad_time(parameter, text)
    first = _moment(parts[0], zone, parameter, text, may_be_open=len(parts) == 2)
    last = _moment(parts[-1], zone, parameter, text, may_be_open=len(parts) == 2)
    start = None if first is None else first[0]
    end, end_open = (None, False) if last is None else (last[1], last[2])
    if start is None and end is None:
        raise _bad_time(parameter, text)
    if start is not None and end is not None and start > end:
        raise QueryError(
            parameter,
            f"起始晚于结束：{text[:80]!r}。",
            f"the start is later than the end: {text[:80]!r}",
        )
    return Interval(start, end, end_open, zone)


def _moment(
    part: str, zone: tzinfo, parameter: str, text: str, *, may_be_open: bool
) -> tuple[datetime, datetime, bool] | None:
    """Begin, end and whether the end is excluded; None for an open end."""
    if may_be_open and part in ("", ".."):
        return None
    try:
        if _DATE.fullmatch(part):
            begin = datetime.combine(date.fromisoformat(part), datetime.min.time(), zone)
            return begin, begin + timedelta(days=1), True
        moment = _timestamp(part, zone)
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise _bad_time(parameter, text)
    return moment, moment, False


def _bad_time(parameter: str, text: str) -> QueryError:
    return QueryError(
        parameter,
        f"须为时刻或区间（RFC 3339），收到 {text[:80]!r}。",
        f"an instant or interval such as 2026-01-01/.. , got {text[:80]!r}",
    )
