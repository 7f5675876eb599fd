"""Which worker takes a new connection: one that has no more of them than any other.

Workers share one listening socket. Left alone, whichever wakes first takes all that wait there:
eight clients came to lie 6/2 on two workers, six stood in one line, and the 95th percentile was
three times the mean. Counting in shared memory gives 4/4.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import mmap
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess

WORKERS = 256
"""Most workers that count; any more accept as they can."""
PATIENCE_SECONDS = 0.003
"""How long a worker with more connections leaves a new one to the others."""
EXHAUSTED_SECONDS = 1.0
"""Pause where the process has no file descriptor left (asyncio's own)."""
_GONE = -1
_WIDTH = 4


class Tally:
    """Open connections by worker, in memory without a name that the workers of a parent share.

    Each worker writes its own place alone. A place is held by a file lock, which ends with its
    process, so a worker that was killed leaves it to the next.
    """

    def __init__(self, path: str | None = None) -> None:
        if path is None:
            self._file = os.memfd_create("connections")
            os.ftruncate(self._file, WORKERS * _WIDTH)
            os.pwrite(self._file, _GONE.to_bytes(_WIDTH, "little", signed=True) * WORKERS, 0)
        else:
            self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.path = path or f"/proc/{os.getpid()}/fd/{self._file}"
        self._counts = memoryview(mmap.mmap(self._file, WORKERS * _WIDTH)).cast("i")
        self._own: int | None = None

    def __reduce__(self) -> tuple[type[Tally], tuple[str]]:
        """A process that is sent one opens the same memory, while this one lives."""
        return Tally, (self.path,)

    def join(self) -> None:
        """Take a place with no connection; without one where WORKERS have theirs."""
        for place in range(WORKERS):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            except (BlockingIOError, PermissionError):  # POSIX allows either for a held lock
                continue
            self._own = place
            self._counts[place] = 0
            return

    def leave(self) -> None:
        """Be counted no more: others need not leave connections to this worker."""
        if self._own is not None:
            self._counts[self._own] = _GONE
            self._own = None

    def add(self, connections: int) -> None:
        """Connections were opened, or closed where negative."""
        if self._own is not None:
            self._counts[self._own] += connections

    @property
    def own(self) -> int:
        """Connections of this worker; 0 where it has no place."""
        return 0 if self._own is None else self._counts[self._own]

    def others(self) -> tuple[int, ...]:
        """Connections of each other worker."""
        counts = self._counts.tolist()
        return tuple(n for place, n in enumerate(counts) if n != _GONE and place != self._own)


class Listening:
    """A listening socket that gives connections to a protocol, one at a time and in turn.

    Has the part of asyncio.Server that uvicorn uses.
    """

    def __init__(
        self, loop: Loop, listening: socket.socket, protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        self._loop, self._socket, self._protocol = loop, listening, protocol
        self._waiting: asyncio.TimerHandle | None = None
        self._opening: set[asyncio.Task[None]] = set()
        self._pauses = self._left_over = 0
        loop.tally.join()
        loop.add_reader(listening, self._acceptable)

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening socket."""
        return (self._socket,)

    def close(self) -> None:
        """Accept no more; the socket belongs to the caller."""
        self._loop.remove_reader(self._socket)
        if self._waiting is not None:
            self._waiting.cancel()
        self._loop.tally.leave()

    async def wait_closed(self) -> None:
        """Wait for the connections under way to their protocol."""
        await asyncio.gather(*self._opening)

    def _acceptable(self) -> None:
        others = self._loop.tally.others()
        if self._left_over:
            self._left_over -= 1
        elif others and self._loop.tally.own > min(others):
            self._pause(PATIENCE_SECONDS, others)
            return
        self._accept()

    def _pause(self, seconds: float, others: tuple[int, ...]) -> None:
        self._loop.remove_reader(self._socket)
        self._waiting = self._loop.call_later(seconds, self._resume, others)

    def _resume(self, before: tuple[int, ...]) -> None:
        # the others took none: they are busy, and what waits is for this worker; one connection
        # a pause at first, then two, four, eight
        busy = self._loop.tally.others() == before
        self._pauses = self._pauses + 1 if busy else 0
        self._left_over = 2 ** min(max(self._pauses - 4, 0), 10) if busy else 0
        self._waiting = None
        self._loop.add_reader(self._socket, self._acceptable)

    def _accept(self) -> None:
        try:
            connection, _ = self._socket.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another worker has it, or the client is gone
        except OSError as trouble:
            if trouble.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
            self._pause(EXHAUSTED_SECONDS, ())
            return
        connection.setblocking(False)
        self._loop.tally.add(1)
        opening = self._loop.create_task(self._open(connection))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    async def _open(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:  # the client went away in between
            self._loop.tally.add(-1)
            connection.close()


class Loop(uvloop.Loop):
    """uvloop, which listens on sockets that workers share as Listening does."""

    tally: Tally

    async def create_server(self, protocol_factory: Any, *place: Any, **options: Any) -> Any:
        """As asyncio's; a plain socket that is given is taken to be shared."""
        listening = options.get("sock")
        if listening is None or options.get("ssl") is not None:
            return await super().create_server(protocol_factory, *place, **options)
        listening.setblocking(False)
        listening.listen(options.get("backlog", 100))
        return Listening(self, listening, protocol_factory)


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP, which says when a connection ends."""

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's, and one connection less."""
        if isinstance(self.loop, Loop):
            self.loop.tally.add(-1)
        super().connection_lost(exc)


class _Config(uvicorn.Config):
    tally: Tally

    def get_loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop] | None:
        return partial(_loop, self.tally)


def _loop(tally: Tally) -> Loop:
    loop = Loop()
    loop.tally = tally
    return loop


def run_workers(app: str, **options: Any) -> None:
    """As `uvicorn.run` with several workers, but connections are spread evenly over them."""
    config = _Config(app, http=Protocol, **options)
    config.tally = Tally()
    Multiprocess(config, sockets=[config.bind_socket()]).run()
