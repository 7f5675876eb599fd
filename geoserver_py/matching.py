"""Tables of addresses matched in several processes, in order.

The dictionary is loaded once; the processes are forks that share its memory. They must start
before this process has threads or database connections of its own that it goes on using.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.connection import Connection as Pipe

import psycopg

from etl.datum.store import load_registry_async
from gazetteer.service import GazetteerService, lent
from geoserver_py.errors import WorkFailed
from geoserver_py.geocoding import Row, flat, geocode
from layers.access import SYSTEM
from layers.city import CityProfile

_AHEAD = 2
"""Pieces that a process has waiting, so that it never waits for this one."""


def match_in_processes(
    service: GazetteerService,
    dsn: str,
    profile: CityProfile,
    pieces: Iterable[Sequence[str]],
    processes: int | None = None,
) -> Iterator[list[Row]]:
    """The first answer of every text, MATCH_COLUMNS by name, piece by piece in the order given.

    ``service`` has its dictionary loaded. Raises WorkFailed if a process ends before its work.
    """
    context = multiprocessing.get_context("fork")
    gc.collect()
    gc.freeze()  # or counting references would copy the shared pages
    workers = []
    for _ in range(processes or os.cpu_count() or 1):
        here, there = context.Pipe()
        worker = context.Process(target=_work, args=(service, dsn, profile, there), daemon=True)
        worker.start()
        there.close()
        workers.append((worker, here))
    gc.unfreeze()
    try:
        yield from _dealt(pieces, [pipe for _, pipe in workers])
    except (EOFError, BrokenPipeError) as ended:
        raise WorkFailed("匹配进程意外结束 (a matching process ended before its work)") from ended
    finally:
        for _, pipe in workers:
            pipe.close()
        for worker, _ in workers:
            worker.join(timeout=5)


def _dealt(pieces: Iterable[Sequence[str]], pipes: Sequence[Pipe]) -> Iterator[list[Row]]:
    waiting: deque[Pipe] = deque()
    for number, piece in enumerate(pieces):
        pipe = pipes[number % len(pipes)]
        pipe.send(list(piece))
        waiting.append(pipe)
        if len(waiting) >= _AHEAD * len(pipes):
            yield waiting.popleft().recv()
    while waiting:
        yield waiting.popleft().recv()


def _work(service: GazetteerService, dsn: str, profile: CityProfile, pipe: Pipe) -> None:
    asyncio.run(_answer(service, dsn, profile, pipe))


async def _answer(service: GazetteerService, dsn: str, profile: CityProfile, pipe: Pipe) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        registry = await load_registry_async(connection)
        while True:
            try:
                texts = pipe.recv()
            except EOFError:
                return
            documents = await geocode(
                service, lent(connection), SYSTEM, texts,
                profile=profile, registry=registry, explain=False,
            )  # fmt: skip
            pipe.send([flat(document) for document in documents])
