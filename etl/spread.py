"""Checking the slices of a file in turn here, or at the same time in other processes or machines.

A slice is some rows as the reader gave them; checking one is a pure function of the slice and the
load's `Line`, so that it runs anywhere. Results come back in the order of the file, whoever was
first: rows, rejects and report are those of one process. Files are read, and rows written, by the
process that runs the delivery: workers need neither the files nor the database.
"""

from __future__ import annotations

import hashlib
import logging
import time
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
SENDINGS = 5
"""How often a slice is sent whose workers die; KilledWorker of Dask comes before."""
RESEND_SECONDS = 1.0
"""Until then a scheduler knows that a worker is gone."""
WORKERLESS = 60
"""Seconds without any worker after which a run gives up."""

log = logging.getLogger(__name__)


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


@dataclass
class _Sent:
    """A slice that is being checked: kept until its result is here, for workers may die."""

    piece: Slice
    future: Any = None
    times: int = 0


@dataclass
class _Shared:
    """What all slices of a file need, here and on the workers."""

    value: tuple[Line, Plan]
    there: Any = None


@dataclass(frozen=True)
class Spread:
    """Slices at the same time over the workers of a Dask cluster."""

    client: Any
    workers: int

    def run(
        self, line: Line, plan: Plan, label: str, batches: Iterable[Batch]
    ) -> Iterator[CheckedBatch]:
        """The checked slices in the order of the file.

        What a worker had when it died goes to another, or to the one in its place. SpreadFailed
        when a slice is lost SENDINGS times or no worker is left.
        """
        waiting: deque[_Sent] = deque()
        shared = _Shared((line, plan))
        try:
            try:
                for batch in batches:
                    sent = _Sent(Slice.of(label, batch))
                    self._send(shared, sent)
                    waiting.append(sent)
                    if len(waiting) >= AHEAD * self.workers:
                        yield self._result(shared, waiting.popleft())
            except ReadError:
                # the file breaks off: what came before counts, as in one process
                while waiting:
                    yield self._result(shared, waiting.popleft())
                raise
            while waiting:
                yield self._result(shared, waiting.popleft())
        finally:
            self.client.cancel([sent.future for sent in waiting], force=True)

    def _send(self, shared: _Shared, sent: _Sent) -> None:
        """Send a slice, and again where the worker that it goes to dies meanwhile."""
        from distributed import CancelledError

        while True:
            sent.times += 1
            try:
                if shared.there is None:
                    shared.there = self.client.scatter(shared.value, broadcast=True, hash=False)
                # the slice as data of its own: not in the graph, which the scheduler keeps
                piece = self.client.scatter(sent.piece, hash=False)
                sent.future = self.client.submit(check_slice, shared.there, piece, pure=False)
            except (CancelledError, OSError) as lost:
                self._again(shared, sent, lost)
            else:
                return

    def _result(self, shared: _Shared, sent: _Sent) -> CheckedBatch:
        from distributed import CancelledError, KilledWorker

        while True:
            try:
                return self._awaited(sent.future)
            except KilledWorker as lost:  # Dask tried it on several that all died
                raise _failed(lost) from lost
            except (CancelledError, OSError) as lost:
                # scattered data died with its worker, and Dask cannot make it again
                self._again(shared, sent, lost)
                self._send(shared, sent)

    def _again(self, shared: _Shared, sent: _Sent, lost: BaseException) -> None:
        """Get ready to send a slice once more; SpreadFailed after SENDINGS times."""
        if sent.times >= SENDINGS:
            raise _failed(lost) from lost
        log.warning("工作进程中断，重发 (a Dask worker was lost, a slice goes again): %s", lost)
        time.sleep(RESEND_SECONDS)
        self._await_workers()
        shared.there = None  # it may be gone, too

    def _awaited(self, future: Any) -> CheckedBatch:
        """The result; SpreadFailed when there has been no worker for WORKERLESS seconds."""
        while True:
            try:
                found: CheckedBatch = future.result(timeout=WORKERLESS)
            except TimeoutError:
                self._await_workers()
            else:
                return found

    def _await_workers(self) -> None:
        try:
            self.client.wait_for_workers(1, timeout=WORKERLESS)
        except TimeoutError as none:
            raise SpreadFailed(
                f"{WORKERLESS} 秒没有 Dask 工作进程，未入库，请启动后重试 (no Dask worker is left; "
                f"nothing was loaded: start workers and run again)"
            ) from none


def _failed(lost: BaseException) -> SpreadFailed:
    return SpreadFailed(
        f"Dask 工作进程或调度器中断，未入库，请重试或加大内存 (a Dask worker was lost, or the "
        f"scheduler; nothing was loaded): {lost}"
    )


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
