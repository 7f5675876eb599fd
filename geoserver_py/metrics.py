"""Prometheus metrics of the HTTP surface, by operation and status class."""

from __future__ import annotations

import time

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from geoserver_py.operations import Call, Operation
from layers.definition import Title

REQUESTS = Counter(
    "geoserver_py_requests_total", "HTTP requests", ["operation", "status"]
)  # Prometheus keeps process-wide registries by design
SECONDS = Histogram(
    "geoserver_py_request_seconds",
    "Time until the response is sent",
    ["operation"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


class MetricsMiddleware:
    """Counts and times every request under its operation's name, not its path."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and record what came of it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            route = scope.get("route")
            name = getattr(route, "name", None) or "none"
            REQUESTS.labels(name, f"{status // 100}xx").inc()
            SECONDS.labels(name).observe(time.perf_counter() - started)


async def _metrics(_call: Call) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


OPERATIONS = (
    Operation(
        method="GET",
        path="/metrics",
        operation_id="getMetrics",
        summary=Title("运行指标", "Prometheus metrics"),
        tag="operations",
        handler=_metrics,
        responses={200: ("指标 Metrics", {"text/plain": {"schema": {"type": "string"}}})},
    ),
)
