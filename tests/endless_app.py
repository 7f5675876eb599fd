"""An ASGI app for the supervisor's tests: ready at once, and one download that never ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route


async def _ready(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("ready")


async def _endless(_request: Request) -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)
            await asyncio.sleep(0)

    return StreamingResponse(chunks())


app = Starlette(routes=[Route("/readyz", _ready), Route("/endless", _endless)])
