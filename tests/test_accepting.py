"""Clients that keep their connections are spread evenly over the workers of a service."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from geoserver_py.accepting import Tally

CLIENTS = 8


@pytest.fixture
def port() -> Iterator[int]:
    """A service of two workers that say which they are."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "tests.process_app", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            both(port)
            yield port
        finally:
            server.terminate()
            server.wait(10)


def served_by(client: socket.socket) -> int:
    """The process that answers on this connection."""
    client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while not answer.endswith(b"0\r\n\r\n"):
        piece = client.recv(4096)
        assert piece, "the connection was closed"
        answer += piece
    return int(answer.split(b"\r\n")[-4])


def spread(port: int) -> Counter[int]:
    """How many of CLIENTS that come at once are served by each process."""
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            for _ in range(CLIENTS)
        ]
        return Counter(served_by(client) for client in clients)


def both(port: int) -> Counter[int]:
    """What spread gives as soon as two processes serve."""
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError):
            found = spread(port)
            if len(found) == 2:
                return found
        assert time.monotonic() < deadline, "two workers did not come"
        time.sleep(0.1)


def unevenness(port: int) -> int:
    """The median of several spreads' larger half; a busy machine spoils one of them at times."""
    worst = []
    for _ in range(7):
        worst.append(max(spread(port).values()))
        time.sleep(0.05)  # closed connections are to be counted off
    return sorted(worst)[3]


def test_connections_that_stay_open_are_halved_between_two_workers(port: int) -> None:
    assert unevenness(port) <= CLIENTS // 2 + 1


def test_a_worker_that_was_killed_leaves_its_place_to_the_next(port: int) -> None:
    before = set(both(port))
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        killed = served_by(client)
        os.kill(killed, signal.SIGKILL)
    (left,) = before - {killed}
    deadline = time.monotonic() + 20
    while len(after := set(both(port))) != 2 or killed in after:
        assert time.monotonic() < deadline
    assert left in after
    assert unevenness(port) <= CLIENTS // 2 + 1


def test_each_worker_counts_in_a_place_of_its_own_and_sees_the_others() -> None:
    own = Tally()
    own.join()
    own.add(3)
    code = (
        "import sys; from geoserver_py.accepting import Tally\n"
        f"other = Tally({own.path!r}); other.join(); other.add(5)\n"
        "print(other.others(), other.own, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "(3,) 5\n"
        assert (own.own, own.others()) == (3, (5,))
        own.leave()
        assert (own.own, own.others()) == (0, (5,))
