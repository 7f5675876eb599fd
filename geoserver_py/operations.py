"""One declaration per HTTP operation; routes, validation and /openapi all derive from it.

A parameter that is not declared is refused (OGC API Features Part 1, requirement
query-param-unknown), so the document at /openapi is the truth about what is accepted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from geoserver_py.problems import Problem, invalid_parameter
from geoserver_py.security import principal_of
from layers.access import Principal
from layers.definition import Title

if TYPE_CHECKING:
    from geoserver_py.services import Services

MAX_VALUE_LENGTH = 4000
"""Longest value of a query parameter whose schema sets no maxLength of its own, in characters."""
MOST_LISTED = 12
"""Accepted values that the sentence of a refusal names; its member `accepted` has all."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation.

    ``schema`` is the JSON Schema that /openapi shows and values are checked against (integer,
    number, boolean, string with enum/pattern/length, array of these as a comma list).
    ``parse`` turns the checked value into what the handler wants; its ValueError text, Chinese
    first, becomes the problem's sentence. ``stated`` are members of the schema that /openapi shows
    and no value is refused by: a limit above the maximum is no error (Features Part 1, 7.15.2).
    """

    name: str
    schema: Mapping[str, Any]
    description: Title
    location: Literal["query", "path", "header"] = "query"
    required: bool = False
    parse: Callable[[Any], Any] | None = None
    example: Any = None
    stated: Mapping[str, Any] = field(default_factory=dict)

    def value_of(self, text: str) -> Any:
        """Check and convert one raw value; raises Problem 400 naming the parameter."""
        value = _checked(self.name, self.schema, text)
        if self.parse is None:
            return value
        try:
            return self.parse(value)
        except ValueError as bad:
            raise invalid_parameter(self.name, zh=str(bad), en=f"got {text[:80]!r}") from bad

    def document(self) -> dict[str, Any]:
        """The OpenAPI 3.0 Parameter Object."""
        body: dict[str, Any] = {
            "name": self.name,
            "in": self.location,
            "description": str(self.description),
            "required": self.required or self.location == "path",
            "schema": {**self.schema, **self.stated},
        }
        if self.schema.get("type") == "array":
            body |= {"style": "form", "explode": False}
        if self.example is not None:
            body["example"] = self.example
        return body


MAX_BODY_BYTES = 2 * 1024 * 1024


async def read_body(request: Request, most: int = MAX_BODY_BYTES) -> bytes:
    """The body of a request; Problem 413 as soon as it is longer than `most` bytes."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > most:
            raise Problem(
                413,
                "body-too-large",
                zh=f"请求体超过 {most // 1024} KB。",
                en=f"(body above {most // 1024} KB; send less at a time)",
            )
    return bytes(received)


@dataclass(frozen=True)
class Call:
    """What a handler gets: who asks, with which checked arguments, and what it may use."""

    request: Request
    services: Services
    principal: Principal
    arguments: Mapping[str, Any]
    dynamic: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of parameters that depend on the path, e.g. field filters of a collection."""


Handler = Callable[[Call], Awaitable[Response]]
DynamicParameters = Callable[["Services", Principal, Mapping[str, Any]], Mapping[str, Parameter]]


@dataclass(frozen=True)
class Operation:
    """An HTTP operation.

    ``dynamic_parameters`` names further query parameters by path arguments (one per field of a
    collection); /openapi then lists a concrete path for every collection that the caller sees.
    ``free_parameters`` are foreign keys accepted and ignored (drop-in interfaces only).
    ``responses`` maps status codes to (description, {media type: OpenAPI Media Type Object}).
    """

    method: str
    path: str
    operation_id: str
    summary: Title
    tag: str
    handler: Handler
    parameters: tuple[Parameter, ...] = ()
    dynamic_parameters: DynamicParameters | None = None
    free_parameters: frozenset[str] = frozenset()
    request_body: Mapping[str, Any] | None = None
    responses: Mapping[int, tuple[str, Mapping[str, Any]]] = field(
        default_factory=lambda: {
            200: ("成功 Success", {"application/json": {"schema": {"type": "object"}}})
        }
    )

    def arguments_of(
        self, request: Request, services: Services, principal: Principal
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Check path and query of a request; raises Problem 400 for the first thing wrong."""
        arguments: dict[str, Any] = {}
        declared = self._by_name
        for name, text in request.path_params.items():
            arguments[name] = declared[name].value_of(str(text)) if name in declared else text
        unknown: dict[str, str] = {}
        for name, text in request.query_params.multi_items():
            parameter = declared.get(name)
            if name in arguments or name in unknown:
                raise invalid_parameter(name, zh="只能给出一次。", en="may be given once only")
            if parameter is not None and parameter.location == "query":
                arguments[name] = parameter.value_of(text)
            elif name not in self.free_parameters:
                unknown[name] = text
        dynamic: dict[str, Any] = {}
        if unknown:
            further = (
                self.dynamic_parameters(services, principal, arguments)
                if self.dynamic_parameters is not None
                else {}
            )
            for name, text in unknown.items():
                if name not in further:
                    raise _unknown_parameter(name, [*self._query_names, *further])
                dynamic[name] = further[name].value_of(text)
        for parameter in self.parameters:
            if parameter.name in arguments or parameter.location != "query":
                continue
            if parameter.required:
                raise invalid_parameter(
                    parameter.name, zh="必须给出。", en="this parameter is required"
                )
            arguments[parameter.name] = parameter.schema.get("default")
        return arguments, dynamic

    @cached_property
    def _by_name(self) -> Mapping[str, Parameter]:
        return {p.name: p for p in self.parameters}

    @cached_property
    def _query_names(self) -> list[str]:
        return [p.name for p in self.parameters if p.location == "query"]

    def route(self) -> Route:
        """The Starlette route that checks the request and calls the handler."""

        async def endpoint(request: Request) -> Response:
            services: Services = request.app.state.services
            principal = principal_of(request, services)
            arguments, dynamic = self.arguments_of(request, services, principal)
            answer = await self.handler(Call(request, services, principal, arguments, dynamic))
            # what a key opens must not come out of a shared cache to somebody without it
            answer.headers.setdefault("Cache-Control", "private, no-cache")
            answer.headers.setdefault("Vary", "Accept, Authorization, X-API-Key")
            return answer

        return Route(self.path, endpoint, methods=[self.method], name=self.operation_id)


def _unknown_parameter(name: str, accepted: Sequence[str]) -> Problem:
    return Problem(
        400,
        "unknown-parameter",
        zh=f"未知参数 {name[:80]}。",
        en=f"(unknown parameter {name[:80]}; see accepted)",
        parameter=name[:80],
        accepted=accepted,
    )


def _checked(name: str, schema: Mapping[str, Any], text: str) -> Any:
    """Convert ``text`` to the schema's type and check it; raises Problem 400."""
    limit = schema.get("maxLength", MAX_VALUE_LENGTH)
    if len(text) > limit:
        raise invalid_parameter(
            name,
            zh=f"最长 {limit} 个字符，收到 {len(text)} 个。",
            en=f"at most {limit} characters, got {len(text)}",
        )
    if "\x00" in text:
        raise invalid_parameter(name, zh="不得含有空字符。", en="must not hold a NUL character")
    kind = schema.get("type", "string")
    if kind == "array":
        return _checked_array(name, schema, text)
    value: Any = text
    if kind == "integer":
        value = _integer(name, schema, text)
    elif kind == "number":
        value = _number(name, schema, text)
    elif kind == "boolean":
        if text not in ("true", "false"):
            raise invalid_parameter(
                name,
                zh=f"须为 true 或 false，收到 {text[:80]!r}。",
                en=f"must be true or false, got {text[:80]!r}",
                accepted=("true", "false"),
            )
        value = text == "true"
    elif len(text) < schema.get("minLength", 0):
        raise invalid_parameter(name, zh="不得为空。", en="must not be empty")
    if "enum" in schema and value not in schema["enum"]:
        accepted = [str(entry) for entry in schema["enum"]]
        raise invalid_parameter(
            name,
            zh=f"不接受 {text[:80]!r}，可用 {_listed(accepted, '、')}。",
            en=f"{text[:80]!r} is not accepted; use {_listed(accepted, ', ')}",
            accepted=accepted,
        )
    pattern = schema.get("pattern")
    if kind == "string" and pattern is not None and re.search(pattern, text) is None:
        raise invalid_parameter(
            name,
            zh=f"{text[:80]!r} 的写法不对，须匹配 {pattern}。",
            en=f"{text[:80]!r} must match {pattern}",
        )
    return value


def _checked_array(name: str, schema: Mapping[str, Any], text: str) -> list[Any]:
    values = [_checked(name, schema.get("items", {}), part) for part in text.split(",")]
    low, high = schema.get("minItems", 0), schema.get("maxItems", math.inf)
    if not low <= len(values) <= high:
        raise invalid_parameter(
            name,
            zh=f"须有 {_span(low, high, ' 至 ')} 个以逗号分隔的值，收到 {len(values)} 个。",
            en=f"must hold {_span(low, high, ' to ')} comma-separated values, got {len(values)}",
        )
    return values


def _listed(accepted: Sequence[str], between: str) -> str:
    """The first values of a list, and that there are more: problems carry all as `accepted`."""
    shown = between.join(accepted[:MOST_LISTED])
    return shown if len(accepted) <= MOST_LISTED else f"{shown}…"


def _span(low: int, high: float, between: str) -> str:
    if low == high:
        return f"{low}"
    return f"≥ {low}" if math.isinf(high) else f"{low}{between}{high}"


def _integer(name: str, schema: Mapping[str, Any], text: str) -> int:
    # 18 digits always fit the bigint that the value will be bound as
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text) is None:
        raise invalid_parameter(
            name,
            zh=f"须为整数，收到 {text[:80]!r}。",
            en=f"must be an integer of at most 18 digits, got {text[:80]!r}",
        )
    value = int(text)
    _check_range(name, schema, value)
    return value


def _number(name: str, schema: Mapping[str, Any], text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in text:
        raise invalid_parameter(
            name,
            zh=f"须为数字，收到 {text[:80]!r}。",
            en=f"must be a finite number, got {text[:80]!r}",
        )
    _check_range(name, schema, value)
    return value


def _check_range(name: str, schema: Mapping[str, Any], value: float) -> None:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    if low <= value <= high:
        return
    if math.isinf(high):
        zh, en = f"最小 {low}", f"at least {low}"
    elif math.isinf(low):
        zh, en = f"最大 {high}", f"at most {high}"
    else:
        zh, en = f"须在 {low} 与 {high} 之间", f"between {low} and {high}"
    raise invalid_parameter(name, zh=f"{zh}，收到 {value}。", en=f"{en}, got {value}")
