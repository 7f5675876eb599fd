"""gzip for clients that ask for it; identity is the default, since a LAN is faster than zlib."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator

from starlette.requests import Request

SMALLEST = 1024
"""Bytes below which an answer is sent as it is: it would fit in one packet anyway."""
LEVEL = 1
"""1 000 buildings (716 KB) shrink 4.3 times in 9 ms; level 6 makes that 5.4 times in 36 ms."""
_OFF_LOOP = 16_384
"""Bytes from which compression leaves the event loop (zlib releases the interpreter lock)."""
_GZIP_WINDOW = 31


def accepts_gzip(request: Request) -> bool:
    """Whether Accept-Encoding names gzip with a q above 0 (RFC 9110, 12.5.3)."""
    for entry in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, parameter = entry.partition(";")
        if name.strip() in ("gzip", "*"):
            return parameter.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _compress(body: bytes) -> bytes:
    return zlib.compress(body, LEVEL, _GZIP_WINDOW)


async def gzipped(body: bytes) -> bytes:
    """Return the gzip form of a body, made in a thread when that takes more than moments."""
    if len(body) < _OFF_LOOP:
        return _compress(body)
    return await asyncio.to_thread(_compress, body)


async def gzip_stream(
    parts: AsyncIterator[bytes | memoryview],
) -> AsyncIterator[bytes | memoryview]:
    """Compress a stream part by part; each part can be read when it arrives."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP_WINDOW)

    def pack(part: bytes | memoryview) -> bytes:
        return packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)

    async for part in parts:
        yield await asyncio.to_thread(pack, part)
    yield packer.flush()
