"""Words of the pages that no document of the service bears: themes in English, times as read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

_THEMES: Mapping[str, str] = {
    "交通": "transport",
    "国外样例": "foreign samples",
    "地下管线": "underground pipelines",
    "地名地址": "place names and addresses",
    "城市管理": "city management",
    "基础地理": "base geography",
    "影像与高程": "imagery and elevation",
    "行政区划": "administrative divisions",
    "规划": "planning",
}
"""English of the themes of the layer definitions that come with the service."""

_RELATIONS: Mapping[str, str] = {
    "self": "本页",
    "alternate": "另一格式",
    "root": "首页",
    "service-desc": "接口定义",
    "service-doc": "接口说明",
    "conformance": "符合性",
    "data": "图层目录",
    "processes": "处理",
    "items": "要素",
    "queryables": "可查询字段",
    "schema": "字段定义",
    "describedby": "字段定义",
}


def link_words(link: Mapping[str, str]) -> str:
    """What a link leads to, Chinese first: pygeoapi titles its own in English alone."""
    title = link.get("title") or link["rel"]
    if not title.isascii():
        return title
    name = link["rel"].rpartition("/")[2]
    return f"{_RELATIONS[name]} {title}" if name in _RELATIONS else title


def theme_words(theme: str) -> str:
    """A theme in Chinese, with English beside it where there is a word."""
    english = _THEMES.get(theme)
    return theme if english is None else f"{theme} {english}"


def moment(at: str | datetime | None, timezone: str) -> str:
    """A time as people of the city read it: 2026-11-23 08:00:49+08:00; empty for None."""
    if at is None:
        return ""
    time = datetime.fromisoformat(at) if isinstance(at, str) else at
    return time.astimezone(ZoneInfo(timezone)).isoformat(" ", "seconds")


def metres(value: float | None) -> str:
    """A length of three digits and its unit; — for None."""
    return "—" if value is None else f"{value:.3g} m"
