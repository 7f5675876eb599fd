"""Where the checked rows of a layer go.

Three at a time: one thread arranges rows for COPY while the server takes those before, and the
caller checks the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import psycopg
import pyarrow as pa

from etl.batch import CheckedBatch
from etl.datum.coordsys import FloatArray
from layers import building, tables
from layers.building import Arranged, Building, Connect
from layers.copying import Encoded, encode
from layers.definition import LayerDefinition
from layers.staging import Staging, copy_into, create_staging
from layers.write import INDEX_AFTER_ROWS

WINDOW_ROWS = 100_000
"""Rows of a first load that are laid along one Hilbert curve (30 MB)."""
EARLY_WINDOWS = 2
"""Batches at the start that go alone."""

Prepared = TypeVar("Prepared")


@dataclass
class _Threads:
    """Two threads in a row: what one has arranged the other sends, in the order of `submit`."""

    arranger: ThreadPoolExecutor
    sender: ThreadPoolExecutor
    _sent: deque[Future[None]] = field(default_factory=deque)

    def submit(self, arrange: Callable[[], Prepared], send: Callable[[Prepared], None]) -> None:
        """Hand over rows; waits while two are under way, and raises what befell those before."""
        while len(self._sent) > 1:
            self._sent.popleft().result()
        arranged = self.arranger.submit(arrange)
        self._sent.append(self.sender.submit(lambda: send(arranged.result())))

    def wait(self) -> None:
        """Until all is sent."""
        while self._sent:
            self._sent.popleft().result()


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
    _windows: int = 0
    _threads: _Threads | None = None

    @contextmanager
    def sending(self) -> Iterator[None]:
        """While rows are put: all are in the table afterwards, or it raised."""
        with ThreadPoolExecutor(1) as arranger, ThreadPoolExecutor(1) as sender:
            self._threads = threads = _Threads(arranger, sender)
            yield
            self.flush()
            threads.wait()

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
        self._window.append((table, checked.kept_bounds()))
        # the first go as they come: the server has nothing to do yet
        early = self._windows < EARLY_WINDOWS
        if early or sum(part.num_rows for part, _ in self._window) >= WINDOW_ROWS:
            self.flush()

    def flush(self) -> None:
        """Send what was put so far, without waiting for it to arrive."""
        window, self._window = self._window, []
        if not window or not isinstance(self.target, Building):
            return
        self._windows += 1
        target = self.target

        def arrange() -> Arranged:
            # nothing here holds on to the rows as they came once they are laid anew (30 MB)
            table = [pa.concat_tables([part for part, _ in window])]
            bounds = [places for _, places in window if places is not None]
            window.clear()
            return target.arrange(table.pop(), np.concatenate(bounds) if bounds else None)

        self._sending.submit(arrange, target.add)

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
        def send(rows: Encoded) -> None:
            copy_into(self.connection, staging, rows)

        self._sending.submit(lambda: encode(pa.Table.from_batches([kept])), send)

    @property
    def _sending(self) -> _Threads:
        if self._threads is None:
            raise RuntimeError("rows are put inside `sending`")
        return self._threads
