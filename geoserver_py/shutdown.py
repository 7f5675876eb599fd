"""Connections that are cut when the server stops: one line in the log, not a traceback."""

from __future__ import annotations

import asyncio
import logging

from starlette.types import ASGIApp, Receive, Scope, Send

log = logging.getLogger("uvicorn.error")


class CutQuietly:
    """Outermost middleware: uvicorn cancels what is still running after its grace period."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; a cancellation by the stopping server ends it here."""
        try:
            await self.app(scope, receive, send)
        except asyncio.CancelledError as cancelled:
            if "graceful shutdown" not in str(cancelled):
                raise
            log.info("cut at shutdown: %s", scope.get("path"))
