"""Where the checked rows of a layer go: one thread sends while the next batch is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import psycopg
import pyarrow as pa

from etl.batch import CheckedBatch
from etl.datum.coordsys import FloatArray
from layers import building, tables
from layers.building import Building, Connect
from layers.definition import LayerDefinition
from layers.staging import Staging, copy_into, create_staging
from layers.write import INDEX_AFTER_ROWS

WINDOW_ROWS = 100_000
"""Rows of a first load that are laid along one Hilbert curve (30 MB)."""


@dataclass
class Sink:
    """The table that a run fills: built beside its layer where that is empty, else staging.

    `connection` is the run's transaction, which holds the staging table; `connect` opens others.
    """

    connection: psycopg.Connection
    connect: Connect
    definition: LayerDefinition
    run: int
    may_build: bool = True
    """False where the rows will be cut or moved beside live ones."""
    target: Staging | Building | None = None
    staging: Staging | None = None
    _window: list[tuple[pa.Table, FloatArray | None]] = field(default_factory=list)
    _executor: ThreadPoolExecutor | None = None
    _sent: Future[None] | None = None

    @contextmanager
    def sending(self) -> Iterator[None]:
        """The time of one file: all its rows are in the table afterwards, or it raised."""
        with ThreadPoolExecutor(max_workers=1) as self._executor:
            yield
            self._flush()
            self._wait()

    def put(self, checked: CheckedBatch, file: int) -> None:
        """Send the kept rows of a batch; `file` is the ordinal of its file in the run."""
        kept = checked.kept
        if not kept.num_rows:
            return
        target = self._target(kept.num_rows)
        if isinstance(target, Staging):
            self._submit_staged(target, kept)
            return
        row = kept.column("source_row").to_numpy(zero_copy_only=False).astype(np.int64)
        table = pa.Table.from_batches([kept]).drop_columns(["source_file", "source_row"])
        reference = (np.int64(file) << tables.SOURCE_ROW_BITS) | row
        table = table.append_column("source_ref", pa.array(reference))
        self._window.append((table, _bounds(checked)))
        if sum(part.num_rows for part, _ in self._window) >= WINDOW_ROWS:
            self._flush()

    def filled(self, files: Sequence[str]) -> tuple[Building | None, Staging]:
        """The table as built, and its rows as rules read them, once all files were sent.

        `files` are the labels of the run's files in their order.
        """
        target = self._target(0)
        built = target if isinstance(target, Building) else None
        self.staging = target if isinstance(target, Staging) else target.staged(files)
        return built, self.staging

    def close(self) -> None:
        """Give up what the run's transaction does not hold; after that transaction."""
        if isinstance(self.target, Building):
            self.target.close()

    def _target(self, rows: int) -> Staging | Building:
        if self.target is None and self.may_build and rows >= INDEX_AFTER_ROWS:
            self.target = building.begin(self.connect, self.definition, self.run)
        if self.target is None:
            self.target = create_staging(self.connection, self.definition)
        return self.target

    def _submit_staged(self, staging: Staging, kept: pa.RecordBatch) -> None:
        def send() -> None:
            copy_into(self.connection, staging, kept)

        self._submit(send)

    def _flush(self) -> None:
        window, self._window = self._window, []
        if not window or not isinstance(self.target, Building):
            return
        target = self.target

        def send() -> None:
            bounds = [places for _, places in window if places is not None]
            table = pa.concat_tables([part for part, _ in window])
            target.add(table, np.concatenate(bounds) if bounds else None)

        self._submit(send)

    def _submit(self, send: Callable[[], None]) -> None:
        self._wait()
        if self._executor is None:
            raise RuntimeError("rows are sent inside `sending`")
        self._sent = self._executor.submit(send)

    def _wait(self) -> None:
        sent, self._sent = self._sent, None
        if sent is not None:
            sent.result()


def _bounds(checked: CheckedBatch) -> FloatArray | None:
    """Bounds (n, 4) of the kept rows."""
    if checked.places is None:
        return None
    bounds = checked.places.bounds()
    return bounds[~checked.refused] if checked.refused.any() else bounds
