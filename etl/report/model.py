"""The report of a load as data: what came, what was refused and why, what the layer became."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from etl.checks.rules import rule_book

_Rows = npt.NDArray[np.int64]

SAMPLE_ROWS = 100
"""Rejected rows shown in a report; all of them are in catalog.reject."""

SAMPLE_PLACES = 2_000
"""Places of rejected rows drawn on the report's sketch."""


class Status(StrEnum):
    """Outcome of a load. blocked: an objection or a rule needs an answer of the bureau."""

    SUCCEEDED = "succeeded"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    BLOCKED = "blocked"

    @property
    def words(self) -> str:
        """In both languages."""
        return {
            "succeeded": "成功 succeeded",
            "unchanged": "无变化 unchanged",
            "failed": "失败 failed",
            "blocked": "待答复 blocked",
        }[self.value]


@dataclass(frozen=True, slots=True)
class FileReport:
    """One file of a load. `datum` is the chain of steps, `detection` the verdict on a sample."""

    file: str
    driver: str | None = None
    encoding: str | None = None
    coordsys: str | None = None
    declared_crs: str | None = None
    rows: int = 0
    skipped: int = 0
    rejected: int = 0
    unused_columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    datum: Mapping[str, Any] | None = None
    detection: Mapping[str, Any] | None = None
    answer: str | None = None
    waiver: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RowReport:
    """A row at fault, as the sample shows it."""

    file: str | None
    row: int | None
    id: str | None
    rule: str
    reason: str
    severity: str
    record: Mapping[str, Any] | None
    place: tuple[float, float] | None = None
    """Where, EPSG:4490: longitude, latitude."""
    words: Mapping[str, str] = field(default_factory=dict)
    """What the codes in `record` mean, by its columns."""


@dataclass(frozen=True)
class LoadReport:
    """What one run did to one layer. Counts: read, skipped, rejected, warned, inserted, updated,
    deleted, unchanged. `accuracy_m` is that of the least accurate file."""

    run: int
    delivery: str
    layer: str
    layer_title: str
    bureau: str
    city: str
    synthetic: bool
    status: Status
    started_at: datetime
    seconds: float
    reason: str | None = None
    revision: int | None = None
    files: tuple[FileReport, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    rules: Mapping[str, int] = field(default_factory=dict)
    sample: tuple[RowReport, ...] = ()
    places: tuple[tuple[float, float], ...] = ()
    measures: tuple[Mapping[str, Any], ...] = ()
    """Accuracy measured: RMSE at check points, offsets to neighbouring layers; each says itself."""
    notes: tuple[str, ...] = ()
    """What could not be checked, and why."""
    frame: tuple[float, float, float, float] | None = None
    accuracy_m: float | None = None
    required_accuracy_m: float | None = None

    @property
    def good(self) -> bool:
        """Whether the layer is now as the delivery says (rejected rows aside)."""
        return self.status in (Status.SUCCEEDED, Status.UNCHANGED)

    @property
    def rate(self) -> float:
        """Rows read per second."""
        return self.counts.get("read", 0) / self.seconds if self.seconds else 0.0

    def sentence(self) -> str:
        """The outcome in one line."""
        counts = self.counts
        if not self.good:
            return f"{self.layer}: {self.status.words}: {self.reason}"
        changed = (
            f"新增 {counts.get('inserted', 0)}，更新 {counts.get('updated', 0)}，"
            f"删除 {counts.get('deleted', 0)} (inserted, updated, deleted)"
        )
        refused = ""
        if counts.get("rejected", 0):
            refused = f"；{counts['rejected']} 行被拒绝，未入库 (rows rejected, not loaded)"
        return f"{self.layer}: {self.status.words}: {changed}{refused}"

    def to_json(self) -> dict[str, Any]:
        """As plain data, for catalog.run.report and `--json`."""
        return {
            **asdict(self),
            "sentence": self.sentence(),
            "rate": round(self.rate, 1),
            "rule_book": rule_book(self.rules),
        }


class Tally:
    """Collects what a report shows while batches go by."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        self.sample: list[RowReport] = []
        self.places: list[tuple[float, float]] = []
        self.first: RowReport | None = None
        """The first row that was kept out, in the order of the files."""
        self.measures: list[Mapping[str, Any]] = []
        self.notes: list[str] = []
        self.blocked: str | None = None
        """First finding of severity block."""
        self._warned: defaultdict[str, list[_Rows]] = defaultdict(list)
        self._unwarned: defaultdict[str, list[_Rows]] = defaultdict(list)

    def warn(self, file: str, rows: npt.ArrayLike) -> None:
        """Note warnings about rows (n,) of a file; a row may come any number of times."""
        self._warned[file].append(np.asarray(rows, np.int64))

    def unwarn(self, file: str, rows: npt.ArrayLike) -> None:
        """Note rows that were refused after all: they count as that alone."""
        self._unwarned[file].append(np.asarray(rows, np.int64))

    @property
    def warned(self) -> int:
        """Rows with a warning or more that were not refused; `rules` counts the findings."""
        return sum(
            len(np.setdiff1d(np.concatenate(told), _joined(self._unwarned.get(file, []))))
            for file, told in self._warned.items()
        )


def _joined(parts: list[_Rows]) -> _Rows:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
