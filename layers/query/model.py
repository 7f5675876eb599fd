"""What a client may ask of a layer, free of HTTP and of SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from layers.crs import Bounds, OutputCrs
from layers.definition import LayerDefinition

FieldValue = str | int | float | bool | date | datetime


class QueryError(ValueError):
    """A query that cannot be answered; names the parameter, and says in zh and en what would do."""

    def __init__(self, parameter: str, zh: str, en: str) -> None:
        super().__init__(f"{zh} {en}")
        self.parameter = parameter
        self.zh = zh
        self.en = en


@dataclass(frozen=True)
class Interval:
    """A time span, open where None; `end` itself belongs to it unless `end_open`.

    Dates were read in `zone`, as whole days of the city.
    """

    start: datetime | None
    end: datetime | None
    end_open: bool
    zone: tzinfo

    def days(self) -> tuple[date | None, date | None]:
        """First and last day of the span in its zone, both included."""
        start = None if self.start is None else self.start.astimezone(self.zone).date()
        if self.end is None:
            return start, None
        last = self.end - timedelta(microseconds=1) if self.end_open else self.end
        return start, last.astimezone(self.zone).date()


@dataclass(frozen=True)
class FeatureQuery:
    """What to read from a layer.

    ``bbox`` is in `bbox_crs`, x before y whatever the authority's order (the edge has flipped it);
    west > east crosses the antimeridian. ``heights`` is its third axis. ``filters`` are typed
    values by field, all must be equal. ``properties`` None means all fields. Order is that of
    `fid`; ``after_fid`` excludes all up to it; ``offset`` skips further ones.
    """

    layer: LayerDefinition
    crs: OutputCrs
    bbox: Bounds | None = None
    bbox_crs: OutputCrs | None = None
    heights: tuple[float, float] | None = None
    datetime: Interval | None = None
    filters: Mapping[str, FieldValue] = field(default_factory=dict)
    ids: tuple[str, ...] | None = None
    properties: tuple[str, ...] | None = None
    skip_geometry: bool = False
    limit: int = 10
    after_fid: int | None = None
    offset: int = 0

    @property
    def filtered(self) -> bool:
        """Whether anything but the position in key order restricts the result."""
        return bool(self.bbox or self.datetime or self.filters or self.ids is not None)

    @property
    def by_key(self) -> bool:
        """Whether keys alone choose the features: one plan is then good whatever the values."""
        return not (self.bbox or self.heights or self.datetime or self.filters)


@dataclass(frozen=True)
class Statement:
    """A statement for a psycopg cursor: text with named placeholders, and the values to bind."""

    sql: bytes
    params: Mapping[str, Any]
