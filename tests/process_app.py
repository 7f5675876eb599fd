"""An ASGI app that answers with the process that serves it; for tests of several workers."""

from __future__ import annotations

import os
import sys
from typing import Any

from geoserver_py.accepting import run_workers


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The process id as text."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})


if __name__ == "__main__":
    run_workers(
        "tests.process_app:app", workers=2, host="127.0.0.1", port=int(sys.argv[1]),
        timeout_graceful_shutdown=1,
    )  # fmt: skip
