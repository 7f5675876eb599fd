"""What the codes of a report mean, Chinese first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pyproj
from pyproj.exceptions import CRSError

from etl.detection.model import KIND_TITLES
from layers.city import load_city

COUNTS: Mapping[str, str] = {
    "read": "读取", "skipped": "过滤", "rejected": "拒绝", "warned": "警告",
    "inserted": "新增", "updated": "更新", "deleted": "删除", "unchanged": "未变",
}  # fmt: skip
"""Counts of a run, in the order of reports."""

SEVERITIES: Mapping[str, str] = {"reject": "拒绝", "warn": "警告", "block": "阻断"}

_CONFIDENCE: Mapping[str, str] = {
    "certain": "确定 certain", "likely": "很可能 likely", "none": "不能判定 cannot tell",
}  # fmt: skip
_COORDSYS: Mapping[str, str] = {
    "cgcs2000": "CGCS2000 经纬度",
    "wgs84": "WGS 84 经纬度",
    "gcj02": "GCJ-02（火星坐标）",
    "bd09": "BD-09（百度坐标）",
}


@cache
def coordsys_words(name: str) -> str:
    """A coordinate system as people call it: EPSG codes get the name that EPSG gives them."""
    known = _COORDSYS.get(name.lower())
    if known is not None:
        return known
    try:
        return f"{pyproj.CRS.from_user_input(name).name}（{name.upper()}）"
    except CRSError:
        return name


def verdict_words(detection: Mapping[str, Any]) -> str:
    """The verdict on a file's datum: what it is, and how sure."""
    kind = KIND_TITLES.get(detection.get("kind", ""))
    title = f"{kind[0]} {kind[1]}" if kind is not None else ""
    sure = _CONFIDENCE.get(str(detection.get("confidence", "")), "")
    return f"{title}（{sure}）" if title and sure else title


def metres(value: float | None) -> str:
    """A length as people read it."""
    return "—" if value is None else f"{value:g} m"


def measured(report: Mapping[str, Any]) -> list[str]:
    """What was measured against check points and neighbours, and what could not be, in sentences.

    Reports of earlier versions have neither.
    """
    said = [str(m["sentence"]) for m in report.get("measures") or () if m.get("sentence")]
    return [*said, *(str(note) for note in report.get("notes") or ())]


def moment(at: datetime | str, city: str) -> str:
    """A time as people of the city read it; as UTC says it where the city is not known here."""
    read = datetime.fromisoformat(at) if isinstance(at, str) else at
    try:
        read = read.astimezone(ZoneInfo(load_city(city).calendar.timezone))
    except FileNotFoundError:  # a report outlives the profile that it was made under
        read = read.astimezone(UTC)
    return f"{read:%Y-%m-%d %H:%M:%S} (UTC{_offset(read)})"


def _offset(at: datetime) -> str:
    written = at.strftime("%z")
    return f"{written[:3]}:{written[3:]}"
