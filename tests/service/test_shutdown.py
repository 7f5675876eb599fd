"""The server stops when it is told to, whoever still holds a download open."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import httpx

from tests.service.conftest import City, free_port


def stalled_download(port: int) -> socket.socket:
    """A client that asks for everything, reads the first bytes, and then reads no more."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.connect(("127.0.0.1", port))
    path = "/collections/division_village/items?limit=10000"
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert client.recv(64).startswith(b"HTTP/1.1 200")
    return client


def test_a_stalled_download_does_not_hold_the_server_nor_fill_the_log(city: City) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "geoserver_py.cli", "serve", "--port", str(port)],
        env={**os.environ, "GEOSERVER_PY_DATABASE_URL": city.dsn},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/healthz")
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        with stalled_download(port):
            process.terminate()
            _, log = process.communicate(timeout=6)
    finally:
        process.kill()
    assert "Traceback" not in log
    assert "cut at shutdown: /collections/division_village/items" in log
