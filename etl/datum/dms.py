"""Degrees, minutes and seconds as people write them into a coordinate column."""

from __future__ import annotations

import re

# 116°07′03.36″E, E116°7.056', 116度07分03.36秒, 116-07-03.36, 116:07:03.36, 116 07 03.36
_DMS = re.compile(
    r"\s*(?P<pre>[EWNS]|东经|西经|北纬|南纬)?\s*(?P<d>\d{1,3})\s*(?:[°º度d:]|\s|-)\s*"
    r"(?P<m>\d{1,2}(?:\.\d+)?)\s*(?:['′’‘分m:]|\s|-|$)\s*"
    r"(?:(?P<s>\d{1,2}(?:\.\d+)?)\s*(?:[\"″”“秒s]|''|′′)?)?\s*(?P<post>[EWNS])?\s*",
    re.I,
)


def dms_degrees(text: str) -> float | None:
    """Decimal degrees, negative in the west and south; None where the text is not DMS."""
    match = _DMS.fullmatch(text)
    if match is None:
        return None
    minutes, seconds = float(match["m"]), float(match["s"] or 0)
    if minutes >= 60 or seconds >= 60:
        return None
    value = int(match["d"]) + minutes / 60 + seconds / 3600
    mark = (match["pre"] or match["post"] or "").upper()
    return -value if mark in {"W", "S", "西经", "南纬"} else value
