"""When a delivery is due, as its file says it: `schedule` (a cron line) and `expected_every`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, available_timezones

from croniter import croniter

if TYPE_CHECKING:
    from etl.delivery import _At

_SPAN = re.compile(r"[1-9][0-9]{0,3} (hours?|days?|weeks?|months?|years?)")
RETRY_TIMES = 3
RETRY_MINUTES = 10.0


@dataclass(frozen=True, slots=True)
class Timetable:
    """A cron line of five fields, in a time zone (None: that of the city).

    A pull that fails is tried again `retry_times` times, after `retry_minutes`, twice that, four
    times that... One that is blocked by an objection waits for the bureau, not for the clock.
    """

    cron: str
    timezone: str | None = None
    retry_times: int = RETRY_TIMES
    retry_minutes: float = RETRY_MINUTES

    def next_after(self, moment: datetime, timezone: str) -> datetime:
        """The first due time after an aware moment."""
        zone = ZoneInfo(self.timezone or timezone)
        due: datetime = croniter(self.cron, moment.astimezone(zone)).get_next(datetime)
        return due

    def last_until(self, moment: datetime, timezone: str) -> datetime:
        """The newest due time that is not after an aware moment."""
        zone = ZoneInfo(self.timezone or timezone)
        at = moment.astimezone(zone)
        if croniter.match(self.cron, at.replace(second=0, microsecond=0)):
            return at.replace(second=0, microsecond=0)
        due: datetime = croniter(self.cron, at).get_prev(datetime)
        return due


def parse_timetable(value: Any, at: _At) -> Timetable | None:
    """Read `schedule`: a cron line, or a mapping of cron, timezone and retry."""
    if value is None:
        return None
    inner = at.inside("schedule")
    keys: Mapping[str, Any] = {"cron": value}
    if not isinstance(value, str):
        keys = inner.mapping(value, ("cron", "timezone", "retry"), required=("cron",))
    cron = " ".join(inner.text(keys["cron"], "cron").split())
    if len(cron.split()) != 5 or not croniter.is_valid(cron):
        raise inner.error(
            "cron",
            f"{cron!r} 不是五段的 cron（分 时 日 月 周）"
            "(five fields: minute hour day month weekday, e.g. '30 2 * * 1')",
        )
    timezone = inner.optional(keys.get("timezone"), "timezone")
    if timezone is not None and timezone not in available_timezones():
        raise inner.error("timezone", f"没有时区 {timezone} (e.g. Asia/Shanghai)")
    retry = inner.inside("retry").mapping(keys.get("retry", {}), ("times", "minutes"))
    times, minutes = retry.get("times", RETRY_TIMES), retry.get("minutes", RETRY_MINUTES)
    if isinstance(times, bool) or not isinstance(times, int) or not 0 <= times <= 20:
        raise inner.error("retry.times", "须为 0 至 20 的整数 (an integer from 0 to 20)")
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not minutes >= 0:
        raise inner.error("retry.minutes", "须为分钟数 (minutes, 0 or more)")
    return Timetable(cron, timezone, times, float(minutes))


def parse_span(value: Any, at: _At) -> str | None:
    """Read `expected_every`: a number and a unit, e.g. ``1 month`` or ``7 days``."""
    if value is None:
        return None
    text = " ".join(str(value).split())
    if _SPAN.fullmatch(text) is None:
        raise at.error(
            "expected_every",
            f"{text!r}: 须为数和单位 (a number and hours, days, weeks, months or years, "
            "e.g. 1 month)",
        )
    return text
