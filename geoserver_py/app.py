"""The ASGI application: one list of operations, and problem JSON for every error."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import psycopg
from psycopg_pool import PoolTimeout
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from geoserver_py.deliveries import upkeep
from geoserver_py.memory import keep_freed_memory
from geoserver_py.metrics import MetricsMiddleware
from geoserver_py.ogc.bridge import Bridge
from geoserver_py.portal import portal_routes
from geoserver_py.problems import Problem, not_found
from geoserver_py.representations import problem_answer
from geoserver_py.services import open_services
from geoserver_py.settings import Settings, load_settings
from geoserver_py.shutdown import CutQuietly
from geoserver_py.surface import operations
from layers.catalogue import UnknownLayer

log = logging.getLogger(__name__)

EXPOSED_HEADERS = (
    "Content-Crs",
    "ETag",
    "Link",
    "OGC-NumberMatched",
    "OGC-NumberReturned",
    "Retry-After",
    "Server-Timing",
)


def application() -> Starlette:
    """Build the application from the environment's settings (uvicorn's factory)."""
    keep_freed_memory()
    return create_application(load_settings())


def create_application(settings: Settings) -> Starlette:
    """Build the application for these settings; pools open when the server starts it."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with open_services(settings) as services:
            app.state.services = services
            app.state.bridge = Bridge(services)
            daily = asyncio.create_task(upkeep.follow(settings), name="upload-upkeep")
            try:
                yield
            finally:
                daily.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await daily

    app = Starlette(
        routes=[*(operation.route() for operation in operations()), *portal_routes()],
        lifespan=lifespan,
        middleware=[
            Middleware(CutQuietly),
            Middleware(MetricsMiddleware),
            Middleware(
                CORSMiddleware,
                allow_origins=["*"],  # keys travel in headers, so no cookie can be abused
                allow_methods=["GET", "HEAD", "POST", "DELETE", "OPTIONS"],
                allow_headers=["*"],
                expose_headers=EXPOSED_HEADERS,
                max_age=86_400,
            ),
        ],
        exception_handlers={
            Problem: _problem,
            UnknownLayer: _unknown_layer,
            HTTPException: _http_exception,
            psycopg.errors.QueryCanceled: _busy,
            PoolTimeout: _busy,
            psycopg.OperationalError: _database_down,
            Exception: _unexpected,
        },
    )
    app.state.operations = operations()
    return app


async def _problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):  # Starlette types handlers by the base class
        raise error
    return problem_answer(request, error)


async def _unknown_layer(request: Request, _error: Exception) -> Response:
    """The same words for a layer that is absent and one that the caller may not read."""
    return problem_answer(request, not_found("这个图层", "collection"))


async def _http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own refusals: no such path, no such method."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 404:
        problem = Problem(
            404,
            "not-found",
            zh=f"没有路径 {request.url.path[:200]}。",
            en="(no such path; / and /openapi list what there is)",
        )
    elif error.status_code == 405:
        problem = Problem(
            405,
            "method-not-allowed",
            zh=f"此路径不接受 {request.method}。",
            en="(method not allowed here; see the Allow header)",
            headers=error.headers,
        )
    else:
        problem = Problem(
            error.status_code, "http-error", zh="请求无法处理。", en=f"({error.detail})"
        )
    return problem_answer(request, problem)


async def _busy(request: Request, _error: Exception) -> Response:
    return problem_answer(
        request,
        Problem(
            503,
            "busy",
            zh="服务繁忙或查询超时，请稍后重试，或缩小范围。",
            en="(busy, or the query ran out of time; retry later or ask for less)",
            headers={"Retry-After": "2"},
        ),
    )


async def _database_down(request: Request, error: Exception) -> Response:
    log.error("database not reachable: %s", error)
    return problem_answer(
        request,
        Problem(
            503,
            "database-unavailable",
            zh="数据库暂不可用，请稍后重试。",
            en="(the database cannot be reached; retry later)",
            headers={"Retry-After": "5"},
        ),
    )


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected error at %s", request.url.path, exc_info=error)
    return problem_answer(
        request,
        Problem(
            500,
            "internal-error",
            zh="服务内部错误，已记录。",
            en="(internal error, logged; please report it)",
        ),
    )
