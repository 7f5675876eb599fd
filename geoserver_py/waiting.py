"""Database connections that watch their socket once a statement, not once a part of its answer.

PostgreSQL sends an answer in parts of 8 KB, and psycopg lets go of the event loop's watch on the
socket, and takes it again, at each one that it waits for: for 1 000 polygons (419 KB) that was a
sixth of the service's CPU, and it woke PostgreSQL the oftener.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from typing import Any, TypeVar, cast

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.waiting import Ready, Wait

_LOG = logging.getLogger(__name__)
Answer = TypeVar("Answer")
# the same bits say what a step waits for and what has come
_READ, _WRITE = int(Wait.R), int(Wait.W)
STOP_SECONDS = 5.0
"""How long a cancelled statement may take to end before its connection is given up."""


class WatchingConnection(psycopg.AsyncConnection[Any]):
    """An AsyncConnection that waits for its server in another way, and answers as it does."""

    async def wait(
        self,
        gen: Generator[Wait, Ready | int, Answer],
        interval: float = 0.1,
        timeout: float | None = None,
    ) -> Answer:
        """Run a statement's steps as the socket allows them; psycopg's own wait for a `timeout`.

        Cancelled, it ends the statement in the server first, and the connection if it cannot.
        """
        if timeout is not None:
            return await super().wait(gen, interval, timeout)
        try:
            return await self._run(gen)
        except asyncio.CancelledError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                await self._stop(gen)
            raise

    async def _run(self, gen: Generator[Wait, Ready | int, Answer]) -> Answer:
        """Drive the steps from the event loop's own callbacks: no task is woken between them."""
        try:
            wanted = next(gen)
        except StopIteration as done:
            return cast("Answer", done.value)
        loop, socket = asyncio.get_running_loop(), self.pgconn.socket
        answer: asyncio.Future[Answer] = loop.create_future()
        writing = False

        def step(ready: int) -> None:
            nonlocal wanted
            if answer.done():  # cancelled, and not yet let go of
                return
            try:
                wanted = gen.send(ready)
            except StopIteration as done:
                answer.set_result(done.value)
            except Exception as failure:  # noqa: BLE001 - it is raised where it is awaited
                answer.set_exception(failure)
            else:
                watch_writing()

        def watch_writing() -> None:
            nonlocal writing
            if bool(wanted & _WRITE) is writing:
                return
            writing = not writing
            if writing:
                loop.add_writer(socket, step, _WRITE)
            else:
                loop.remove_writer(socket)

        loop.add_reader(socket, step, _READ)
        try:
            watch_writing()
            return await answer
        finally:
            loop.remove_reader(socket)
            if writing:
                loop.remove_writer(socket)

    async def _stop(self, gen: Generator[Wait, Ready | int, Any]) -> None:
        """End the statement under way in the server; the connection is closed where that fails.

        Raises nothing of the server's: the cancellation is what the caller is to see.
        """
        ended = False
        try:
            await self.cancel_safe(timeout=STOP_SECONDS)
            await super().wait(gen, timeout=STOP_SECONDS)
            ended = True  # it was done before the cancellation came
        except psycopg.errors.QueryCanceled:
            ended = True
        except psycopg.Error as failure:
            _LOG.warning("a cancelled statement failed, its connection is closed: %s", failure)
        finally:
            if not ended:
                self.pgconn.finish()
