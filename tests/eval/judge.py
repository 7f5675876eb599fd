"""An answer held against the truth, and the table of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyproj
import shapely

from tests.eval.truth import CITY, Truth

CONFIDENT = 0.9
DOUBT = 0.5
"""An answer to nonsense below this score says itself that it is a guess."""
HONEST = frozenset(
    {"homonym", "prefix", "former name", "pinyin", "road named like a county", "handwritten"}
)
"""Groups where naming the true place among the rivals of an ambiguous answer is right too."""
_NUMBER_LEVELS = frozenset({"房间", "楼层", "单元号", "门牌号"})
_TO_PLANE = pyproj.Transformer.from_crs("EPSG:4490", "EPSG:4548", always_xy=True)


@dataclass(frozen=True)
class Verdict:
    """One answer judged; None where the label says nothing of it."""

    right: bool
    county: bool | None = None
    town: bool | None = None
    number: bool | None = None
    position: bool | None = None
    wrong: bool = False
    confident_wrong: bool = False
    honest: bool | None = None
    """Where the label or the answer is ambiguous: whether the true place is among the rivals."""
    needless: bool = False
    """Called ambiguous although a reader can only mean one place."""


class Answer:
    """The first feature, or any other, of a GeocodeJSON answer."""

    def __init__(self, feature: Mapping[str, Any]) -> None:
        found = feature["properties"]["geocoding"]
        self.code: str = found.get("division_code", "")
        self.level: str = found["level"]
        self.score: float = found["score"]
        self.error_m: float | None = found["error_m"]
        self.names = {found.get("street"), found.get("name")}
        record = found.get("record")
        self.record = (record["collection"], record["id"]) if record else None
        self.point = None
        if feature["geometry"] is not None:
            self.point = shapely.Point(_TO_PLANE.transform(*feature["geometry"]["coordinates"]))

    def beyond(self, truth: Truth) -> float | None:
        """Metres from the truth, less what the words leave open."""
        if self.point is None or truth.position is None:
            return None
        return float(max(0.0, self.point.distance(truth.position) - truth.slack_m))

    def county(self, truth: Truth) -> bool:
        return self.code[:6] in truth.counties

    def town(self, truth: Truth) -> bool:
        return self.code[:9] in truth.towns

    def reaches(self, truth: Truth) -> bool:
        """Whether the stated error covers the true position."""
        beyond = self.beyond(truth)
        return beyond is not None and self.error_m is not None and beyond <= self.error_m + 0.05

    def fits(self, truth: Truth) -> bool:
        """Whether this is the place, as exactly as the text allows."""
        if truth.counties and not self.county(truth):
            return False
        if CITY in truth.codes and not self.code.startswith(CITY):
            return False
        if truth.towns and (truth.town_wanted or len(self.code) >= 9) and not self.town(truth):
            return False
        if truth.area and truth.villages and self.code not in truth.villages:
            return False
        if truth.exact and self.record != truth.record:
            return False
        if truth.road and (truth.road not in self.names or self._claims_number(truth)):
            return False
        if truth.area or truth.position is None:
            return True
        useful = truth.useful_m is None or (self.error_m or 0.0) <= truth.useful_m
        return useful and self.reaches(truth)

    def contradicts(self, truth: Truth) -> bool:
        """Whether this says something untrue, not just less than it could."""
        if truth.expect == "outside":
            return self.code.startswith(CITY)
        if truth.expect == "none":
            return True
        if truth.counties and len(self.code) >= 6 and not self.county(truth):
            return True
        if truth.towns and len(self.code) >= 9 and not self.town(truth):
            return True
        if truth.area and truth.villages and len(self.code) == 12:
            return self.code not in truth.villages
        if truth.exact and self.level in _NUMBER_LEVELS and self.record != truth.record:
            return True
        if self._claims_number(truth):
            return True
        if truth.area:
            return False
        beyond = self.beyond(truth)
        return beyond is not None and beyond > 3 * (self.error_m or 0.0) + 50.0

    def _claims_number(self, truth: Truth) -> bool:
        return truth.no_number and self.level in _NUMBER_LEVELS


def judge(document: Mapping[str, Any], truth: Truth, group: str) -> Verdict:
    """Hold an answer against the truth of its text."""
    answers = [Answer(feature) for feature in document["features"]]
    flagged = bool(document["geocoding"].get("ambiguous"))
    top = answers[0] if answers else None
    doubted = truth.expect == "none" and top is not None and top.score < DOUBT
    wrong = top is not None and top.contradicts(truth) and not doubted
    sure = wrong and not flagged and top is not None and top.score > CONFIDENT
    if truth.expect in ("outside", "none"):
        county = (not wrong) if truth.expect == "outside" else None
        return Verdict(not wrong, county, wrong=wrong, confident_wrong=sure)
    if truth.expect == "ambiguous":
        named = {answer.code for answer in answers} & set(truth.codes)
        honest = flagged and len(named) >= 2 and top is not None and top.code in truth.codes
        sure = top is not None and not flagged and top.score > CONFIDENT
        return Verdict(honest, honest, wrong=not honest, confident_wrong=sure, honest=honest)
    first = top is not None and top.fits(truth)
    among = any(answer.fits(truth) for answer in answers)
    return Verdict(
        right=first or (flagged and among and group in HONEST),
        county=(top is not None and top.county(truth)) if truth.counties else None,
        town=(top is not None and top.town(truth)) if truth.towns else None,
        number=(top is not None and top.record == truth.record) if truth.exact else None,
        position=None if truth.position is None else top is not None and top.reaches(truth),
        wrong=wrong,
        confident_wrong=sure,
        honest=among if flagged else None,
        needless=flagged,
    )


COLUMNS = ("right", "county", "town", "number", "position", "wrong", "confident_wrong", "honest",
           "needless")  # fmt: skip


def share(verdicts: Sequence[Verdict], column: str) -> float | None:
    """Share of the verdicts that have this column and are true; None where none has it."""
    known = [getattr(v, column) for v in verdicts if getattr(v, column) is not None]
    return sum(known) / len(known) if known else None
