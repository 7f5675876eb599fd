"""Long downloads: memory while many features stream, and three clients that stop reading."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from geoserver_py.bench.peers import Server
from geoserver_py.bench.usage import resident_mb
from geoserver_py.errors import WorkFailed

FEATURES = 100_000
PAGE = 10_000
"""The most that one answer holds."""
PATH = f"/collections/component/items?f=json&limit={PAGE}"


@dataclass(frozen=True)
class Streamed:
    """A download: what came in how many seconds, and the server's memory before and at most."""

    features: int
    megabytes: float
    seconds: float
    idle_mb: float
    peak_mb: float


def stream(server: Server) -> Streamed:
    """Download 100 000 features by `next` links, watching the server's resident memory."""
    idle = peak = resident_mb(server.process)
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            peak = max(peak, resident_mb(server.process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.perf_counter()
    size = found = 0
    url: str | None = server.base + PATH
    try:
        while url is not None and found < FEATURES:
            page = _download(url)
            size += page.size
            found += page.features
            url = page.following
    finally:
        done.set()
        watcher.join()
    if found != FEATURES:
        raise WorkFailed(f"bench: {FEATURES} features asked for, {found} came")
    return Streamed(found, size / 1e6, time.perf_counter() - began, idle, peak)


@dataclass(frozen=True)
class _Page:
    size: int
    features: int
    following: str | None


def _download(url: str) -> _Page:
    """Read an answer as it comes; its end holds the number of features and the link to go on."""
    size, tail = 0, b""
    with urllib.request.urlopen(url, timeout=120) as answer:
        while part := answer.read(1 << 18):
            size += len(part)
            tail = (tail + part)[-8192:]
    end = orjson.loads(b"{" + tail[tail.rindex(b'"numberReturned"') :])
    links = {link["rel"]: link["href"] for link in end["links"]}
    return _Page(size, int(end["numberReturned"]), links.get("next"))


@contextlib.contextmanager
def stalled(server: Server, number: int = 3) -> Iterator[None]:
    """Keep `number` clients that asked for a long download and read nothing of it."""
    host, _, port = server.base.removeprefix("http://").partition(":")
    with contextlib.ExitStack() as stack:
        for _ in range(number):
            client = stack.enter_context(contextlib.closing(socket.socket()))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            client.connect((host, int(port)))
            client.sendall(f"GET {PATH} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        time.sleep(1.0)
        yield
