"""pygeoapi as a library: one API object for each catalogue generation and kind of caller.

Base URLs come from the Host header, which a client may make up; building an API object costs
tens of milliseconds. So the objects write one root that stands for all, replaced in the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson
from pygeoapi.api import API, APIRequest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from geoserver_py.links import base_url
from geoserver_py.ogc.config import pygeoapi_config
from geoserver_py.ogc.context import ProcessContext
from geoserver_py.operations import Call
from geoserver_py.problems import Problem
from geoserver_py.security import access_signature
from geoserver_py.services import Services
from layers.catalogue import Catalogue

_ROOT = "http://root.invalid"
"""Base URL in the objects' configuration; the name can belong to nobody (RFC 2606)."""

Answer = Callable[..., tuple[Mapping[str, str], int, str | bytes]]


@dataclass
class Bridge:
    """Builds API objects on demand and asks them; replaced ones are forgotten."""

    services: Services
    _apis: dict[str, API] = field(default_factory=dict)
    """By the classes that the caller may read: as many as there are sets of them."""
    _described: Catalogue | None = None
    """The catalogue that the kept API objects describe."""

    def _api(self, call: Call) -> API:
        catalogue = self.services.catalogue
        if catalogue is not self._described:
            self._apis.clear()
            self._described = catalogue
        key = access_signature(call.principal)
        api = self._apis.get(key)
        if api is None:
            context = ProcessContext(self.services, call.principal, asyncio.get_running_loop())
            config = pygeoapi_config(
                catalogue, call.principal, self.services.profile, _ROOT, context
            )
            # /openapi is our own document; pygeoapi only wants a mapping here
            api = self._apis[key] = API(config, {"openapi": "3.0.3", "paths": {}})
        return api

    async def ask(
        self, call: Call, answer: Answer, *arguments: str, body: bytes = b""
    ) -> dict[str, Any]:
        """The JSON document that a pygeoapi handler answers; its errors become Problems.

        ``body`` is the request's, read by the caller, who bounds it.
        """
        api = self._api(call)
        request = await _json_request(call, api, body)
        _, status, content = await run_in_threadpool(answer, api, request, *arguments)
        text = content.decode() if isinstance(content, bytes) else content
        root = orjson.dumps(base_url(call)).decode()[1:-1]
        document: dict[str, Any] = orjson.loads(text.replace(_ROOT, root))
        if status >= 400:
            raise Problem(
                status,
                str(document.get("code", "error")).lower(),
                zh="请求被拒绝：",
                en=str(document.get("description", "")),
            )
        return document


async def _json_request(call: Call, api: API, body: bytes) -> APIRequest:
    """The request as pygeoapi is to see it: JSON asked for, our own parameters left out."""
    language = call.arguments.get("lang") or (
        "en-US"
        if call.request.headers.get("accept-language", "").lower().startswith("en")
        else "zh-CN"
    )
    scope = {
        **call.request.scope,
        "query_string": urlencode({"f": "json", "lang": language}).encode(),
        "headers": [
            (name, value)
            for name, value in call.request.scope["headers"]
            if name not in (b"accept", b"accept-encoding", b"accept-language")
        ],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return await APIRequest.from_starlette(Request(scope, receive), api.locales)
