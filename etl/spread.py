"""Checking the slices of a file in turn here, or at the same time in other processes or machines.

A slice is some rows as the reader gave them; checking one is a pure function of the slice and the
load's `Line`, so that it runs anywhere. Results come back in the order of the file, whoever was
first: rows, rejects and report are those of one process. Files are read, and rows written, by the
process that runs the delivery: workers need neither the files nor the database.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import shapely

from etl.batch import CheckedBatch, Line, check_batch
from etl.mapping import Plan, Records
from etl.places import Boxes
from etl.readers import Batch, ReadError, RowProblem
from etl.readers.model import Positions

AHEAD = 2
"""Slices in flight for each worker: one that is checked, one that is on its way."""
FAR_TIMEOUT = 10
"""Seconds in which a scheduler must answer."""


class SpreadFailed(RuntimeError):  # noqa: N818 - it names an outcome
    """Workers that cannot be used, or that went away."""


class Checks(Protocol):
    """Who checks the slices of a file."""

    def run(
        self, line: Line, plan: Plan, label: str, batches: Iterable[Batch]
    ) -> Iterator[CheckedBatch]:
        """The checked slices in the order of the file."""


@dataclass(frozen=True)
class InTurn:
    """One slice after the other, in this process."""

    def run(
        self, line: Line, plan: Plan, label: str, batches: Iterable[Batch]
    ) -> Iterator[CheckedBatch]:
        """The checked slices in the order of the file."""
        for batch in batches:
            yield check_batch(line, plan, Records.of(batch, label))


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows of a file as they travel: geometries as WKB, which packs ten times faster."""

    label: str
    rows: Any
    attributes: pa.Table
    wkb: pa.Array | None
    problems: tuple[RowProblem, ...]
    positions: Positions | None

    @classmethod
    def of(cls, label: str, batch: Batch) -> Slice:
        """Pack what a reader gives."""
        wkb = None
        if batch.shapes is not None:
            # curves and M never come from a reader; ISO keeps Z
            wkb = pa.array(shapely.to_wkb(batch.shapes, flavor="iso"), pa.binary())
        return cls(label, batch.rows, batch.attributes, wkb, batch.problems, batch.positions)

    def batch(self) -> Batch:
        """Unpack."""
        shapes = None
        if self.wkb is not None:
            shapes = np.empty(len(self.rows), dtype=object)
            shapes[:] = shapely.from_wkb(self.wkb.to_numpy(zero_copy_only=False))
        return Batch(self.rows, shapes, self.attributes, self.problems, self.positions)


def check_slice(shared: tuple[Line, Plan], piece: Slice) -> CheckedBatch:
    """Check one slice; what comes back is what the run writes: kept rows, and rows with findings.

    Equal to `check_batch` in all that a run uses of it.
    """
    line, plan = shared
    checked = check_batch(line, plan, Records.of(piece.batch(), piece.label))
    records = checked.records
    size = len(records.rows)
    named = np.zeros(size, dtype=bool)
    for finding in checked.findings:
        named[finding.rows] = True
    if named.any():
        # the others become null: their values are in `kept` already
        at = pa.array(np.arange(size), mask=~named)
        told = pa.RecordBatch.from_arrays(
            [column.take(at) for column in records.batch.columns], schema=records.batch.schema
        )
    else:
        told = pa.RecordBatch.from_arrays([], names=[])
    nothing = Batch(records.rows, None, pa.table({}))
    return replace(
        checked,
        records=Records(told, nothing, records.file, records.rows, {}),
        places=None if checked.places is None else Boxes(checked.places.bounds()),
    )


@dataclass(frozen=True)
class Spread:
    """Slices at the same time over the workers of a Dask cluster."""

    client: Any
    workers: int

    def run(
        self, line: Line, plan: Plan, label: str, batches: Iterable[Batch]
    ) -> Iterator[CheckedBatch]:
        """The checked slices in the order of the file; SpreadFailed when a worker is lost."""
        from distributed import CancelledError, KilledWorker

        shared = self.client.scatter((line, plan), broadcast=True, hash=False)
        waiting: deque[Any] = deque()
        try:
            try:
                for batch in batches:
                    # straight to a worker, past the scheduler
                    piece = self.client.scatter(Slice.of(label, batch), hash=False)
                    waiting.append(self.client.submit(check_slice, shared, piece, pure=False))
                    del piece  # the worker lets go of the slice once it is checked
                    if len(waiting) >= AHEAD * self.workers:
                        yield waiting.popleft().result()
            except ReadError:
                # the file breaks off: what came before counts, as in one process
                while waiting:
                    yield waiting.popleft().result()
                raise
            while waiting:
                yield waiting.popleft().result()
        except (KilledWorker, CancelledError, OSError) as lost:
            raise SpreadFailed(
                f"Dask 工作进程中断，未入库，请重试或加大内存 (a Dask worker was lost; nothing was "
                f"loaded): {lost}"
            ) from lost
        finally:
            self.client.cancel(list(waiting), force=True)


@contextmanager
def spread(workers: int | None = None, scheduler: str | None = None) -> Iterator[Checks]:
    """Checks over `workers` processes here, or the Dask cluster at `scheduler`; else in turn.

    SpreadFailed where Dask is not installed, the scheduler does not answer, or its workers run
    another version of this program.
    """
    if scheduler is None and (workers or 1) < 2:
        yield InTurn()
        return
    try:
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as absent:
        raise SpreadFailed(
            "没有安装 Dask，请安装 geoserver-py[dask] (Dask is not installed: install the extra)"
        ) from absent
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=FAR_TIMEOUT, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as silent:
            raise SpreadFailed(
                f"Dask 调度器 {scheduler} 没有应答 (the scheduler does not answer): {silent}"
            ) from silent
        with client:
            yield Spread(client, _far_workers(client, scheduler))
        return
    with (
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster, set_as_default=False, direct_to_workers=True) as client,  # type: ignore[no-untyped-call]
    ):
        yield Spread(client, workers or 1)


def code_digest() -> str:
    """A digest of this program's checking code: workers with another would give other rows."""
    digest = hashlib.sha256()
    for room in ("etl", "layers"):
        pending = [resources.files(room)]
        while pending:
            for entry in sorted(pending.pop().iterdir(), key=lambda e: e.name):
                if entry.is_dir() and entry.name != "__pycache__":
                    pending.append(entry)
                elif entry.name.endswith((".py", ".yaml", ".csv")):
                    digest.update(entry.name.encode() + b"\0" + entry.read_bytes())
    return digest.hexdigest()


def _digest_there() -> str:
    return code_digest()


def _far_workers(client: Any, scheduler: str) -> int:
    ours = code_digest()
    found: dict[str, str] = client.run(_digest_there)
    if not found:
        raise SpreadFailed(f"调度器 {scheduler} 没有工作进程 (the scheduler has no workers)")
    other = [name for name, code in found.items() if code != ours]
    if other:
        raise SpreadFailed(
            f"工作进程 {', '.join(other)} 的程序版本不同，请先升级 (workers run another version of "
            f"this program)"
        )
    return len(found)
