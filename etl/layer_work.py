"""One layer's run while it is under way, what all runs of a delivery share, and how they stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from etl.arrays import Positions, StagedLayer
from etl.batch import CheckedBatch
from etl.checks.finding import RuleBook
from etl.datum import DatumRegistry
from etl.delivery import Delivery, Load, Mode
from etl.detection import References
from etl.partial import Partial
from etl.report import FileReport, Tally
from etl.sink import Sink
from etl.spread import Checks, InTurn
from layers.building import Building, Connect
from layers.city import CityProfile
from layers.codes import CodeList
from layers.definition import GeometryType, LayerDefinition
from layers.staging import Staging

IDS_COMPARED = 5_000_000
"""Up to so many rows (some 100 MB) identifiers are compared in memory, above in staging."""

PLACES_COMPARED = 2_000_000
"""Up to so many points (48 MB) places are compared as they came, above as they are staged."""

Progress = Callable[[str, int, int | None], None]
"""Called with layer, rows read so far of this file, and rows of the file when known."""


class LoadFailed(ValueError):  # noqa: N818 - it names an outcome
    """A file that cannot be loaded as delivered; the layer stays as it was."""


class LoadBlocked(LoadFailed):
    """An objection that the bureau must answer in the delivery file first."""


@dataclass(frozen=True)
class Context:
    """What all loads of a delivery share.

    `log` commits at once, `work` is the transaction, `connect` opens another connection.
    """

    delivery: Delivery
    registry: DatumRegistry
    frame: CityProfile
    known: Mapping[str, LayerDefinition]
    other_frames: tuple[CityProfile, ...]
    reference: References | None
    domains: Mapping[str, CodeList]
    log: psycopg.Connection
    work: psycopg.Connection
    connect: Connect
    progress: Progress
    checks: Checks = field(default_factory=InTurn)
    workbooks: dict[Path, Any] = field(default_factory=dict)


@dataclass
class LayerWork:
    """One layer's run while it is under way."""

    definition: LayerDefinition
    loads: tuple[Load, ...]
    run: int
    book: RuleBook
    sink: Sink | None = None
    tally: Tally = field(default_factory=Tally)
    files: list[FileReport] = field(default_factory=list)
    ids: list[pa.Array] = field(default_factory=list)
    """Identifiers staged so far, while they are few enough to compare here."""
    places: list[Positions] = field(default_factory=list)
    """Points staged so far, while they are few enough."""
    staged_rows: int = 0
    partial: Partial | None = None
    """The area that the delivery replaces, when its mode is partial."""

    @property
    def building(self) -> Building | None:
        """The table that was built beside the layer; None for rows in staging."""
        target = None if self.sink is None else self.sink.target
        return target if isinstance(target, Building) else None

    @property
    def staging(self) -> Staging | None:
        """Its rows as rules over whole layers read them; None before they are there."""
        return None if self.sink is None else self.sink.staging

    def staged(self, staging: Staging) -> StagedLayer:
        """What the rules over whole layers are told of it."""
        full = self.loads[0].mode is not Mode.APPEND
        told = StagedLayer(self.definition, staging, self.book, full, self.run)
        if self.partial is None:
            return told
        return replace(told, inside=self.partial.owns("live"), bound=self.partial.bound)

    def note(self, checked: CheckedBatch) -> None:
        """Remember identifiers and places of a batch, or none at all of a very long delivery."""
        kept = checked.kept
        self.staged_rows += kept.num_rows
        if self.staged_rows <= IDS_COMPARED:
            self.ids.append(kept.column("id"))
        else:
            self.ids.clear()
        bounds = checked.kept_bounds()
        if bounds is None or self.definition.geometry is not GeometryType.POINT:
            return
        if self.staged_rows <= PLACES_COMPARED:
            rows = kept.column("source_row").to_numpy(zero_copy_only=False).astype(np.int64)
            self.places.append(Positions(bounds[:, 0], bounds[:, 1], rows))
        else:
            self.places.clear()

    def placed(self) -> Positions | None:
        """Where the points staged lie (half a second in SQL for 350 000); None when not known.

        Asked once: it forgets them.
        """
        places, self.places = self.places, []
        return Positions.joined(places) if places else None

    def may_repeat_ids(self) -> bool:
        """False where the identifiers are known to be all different (30 ms; 0.4 s in SQL).

        Asked once: it forgets them.
        """
        if self.staged_rows > IDS_COMPARED:
            return True
        ids = pa.chunked_array(self.ids, pa.string())
        self.ids = []  # 100 MB of a long delivery, and what the count needs beside them
        repeated = any(
            pc.count_distinct(part).as_py() < len(part) - part.null_count for part in _parts(ids)
        )
        del ids
        pa.default_memory_pool().release_unused()
        return repeated


def _parts(ids: pa.ChunkedArray) -> Iterator[pa.ChunkedArray]:
    """Identifiers by whether they end in an even digit: to count half at a time takes half the
    memory, and that is 500 MB for 5 000 000."""
    if len(ids) <= PLACES_COMPARED:
        yield ids
        return
    even = pc.is_in(pc.utf8_slice_codeunits(ids, -1), value_set=pa.array(list("02468")))
    yield ids.filter(even)
    yield ids.filter(pc.invert(even))
