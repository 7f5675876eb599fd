"""What foreign interfaces share: errors told in the body of a 200, and JSONP.

The apps behind them never look at the HTTP status, so even a refusal is a document in the foreign
service's own form, and nothing here ends in a 5xx.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import psycopg
from psycopg_pool import PoolTimeout
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from geoserver_py.operations import Call, Operation, Parameter
from geoserver_py.problems import Problem
from geoserver_py.security import principal_of
from layers.definition import Title

if TYPE_CHECKING:
    from geoserver_py.services import Services

JSON = "application/json"
SCRIPT = "application/javascript"

_CALLBACK = re.compile(r"[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*", re.ASCII)
"""A dotted JavaScript name; anything else could carry script into the page that asked."""

CALLBACK = Parameter(
    "callback",
    {
        "type": "string",
        "maxLength": 100,
        "pattern": r"^[A-Za-z_$][A-Za-z0-9_$]*(\.[A-Za-z_$][A-Za-z0-9_$]*)*$",
    },
    Title("JSONP 回调函数名", "JSONP: name of the function that is called with the answer"),
)
RESPONSES: Mapping[int, tuple[str, Mapping[str, Any]]] = {
    200: (
        "结果，错误亦然 The answer, errors too",
        {JSON: {"schema": {"type": "object"}}, SCRIPT: {"schema": {"type": "string"}}},
    )
}

Refusal = Callable[[Problem, Request], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class ForeignOperation(Operation):
    """An operation whose refusals are documents of the foreign service, with HTTP status 200."""

    refusal: Refusal

    def route(self) -> Route:
        """The route; like any operation's, but every Problem becomes a body."""

        async def endpoint(request: Request) -> Response:
            services: Services = request.app.state.services
            try:
                principal = principal_of(request, services)
                arguments, _ = self.arguments_of(request, services, principal)
                return await self.handler(Call(request, services, principal, arguments))
            except Problem as problem:
                return rendered(request, self.refusal(problem, request))
            except (psycopg.errors.QueryCanceled, psycopg.OperationalError, PoolTimeout):
                return rendered(request, self.refusal(_busy(), request))

        return Route(self.path, endpoint, methods=[self.method], name=self.operation_id)


def rendered(request: Request, document: Mapping[str, Any]) -> Response:
    """The document as JSON, or as a call of the function that the request names."""
    body = orjson.dumps(document)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    callback = request.query_params.get("callback", "")
    if len(callback) > 100 or _CALLBACK.fullmatch(callback) is None:
        return Response(body, media_type=JSON, headers=headers)
    # the two separators end a line in JavaScript before ES2019, not in JSON
    safe = body.replace("\u2028".encode(), b"\\u2028").replace("\u2029".encode(), b"\\u2029")
    script = callback.encode() + b"(" + safe + b")"
    return Response(script, media_type=f"{SCRIPT}; charset=utf-8", headers=headers)


def _busy() -> Problem:
    return Problem(
        503,
        "busy",
        zh="服务繁忙或查询超时，请稍后重试。",
        en="(busy, or the query ran out of time; retry later)",
    )
