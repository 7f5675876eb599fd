"""Landing page, conformance, collections, schemas, queryables, processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
from pygeoapi import api as pygeoapi_api
from pygeoapi.api import itemtypes, processes
from starlette.responses import Response

from geoserver_py.links import base_url, link
from geoserver_py.ogc import documents
from geoserver_py.ogc.bridge import Answer, Bridge
from geoserver_py.ogc.conformance import conforms_to
from geoserver_py.ogc.processes import with_own_control
from geoserver_py.operations import Call, Operation, Parameter, read_body
from geoserver_py.problems import Problem, json_fault
from geoserver_py.raster_routes import raster_collection
from geoserver_py.representations import HTML, render_page, wants_html
from layers.definition import Title

_VARY = {"Vary": "Accept, Accept-Language, Authorization, X-API-Key"}

FORMAT = Parameter(
    "f",
    {"type": "string", "enum": ["json", "html"]},
    Title("格式；缺省依 Accept", "Format; default by the Accept header"),
)
LANGUAGE = Parameter(
    "lang",
    {"type": "string", "enum": ["zh-CN", "en-US"]},
    Title("语言；缺省中文", "Language of titles; Chinese by default"),
)
COLLECTION = Parameter(
    "collectionId",
    {"type": "string", "maxLength": 100},
    Title("图层", "Collection"),
    location="path",
)
PROCESS = Parameter(
    "processId", {"type": "string", "maxLength": 100}, Title("处理", "Process"), location="path"
)
_COMMON = (FORMAT, LANGUAGE)


def _answer(
    call: Call,
    document: Any,
    template: str,
    media_type: str = "application/json",
    english: Any = None,
) -> Response:
    """The document as JSON, or as the page made from it and from the same document in English."""
    if wants_html(call):
        page = render_page(
            template,
            base_url(call),
            document=document,
            english=english or {},
            profile=call.services.profile,
        )
        return Response(page, media_type=HTML, headers=_VARY)
    return Response(orjson.dumps(document), media_type=media_type, headers=_VARY)


def _bridge(call: Call) -> Bridge:
    bridge: Bridge = call.request.app.state.bridge
    return bridge


async def _asked(call: Call, answer: Answer, *arguments: str) -> tuple[Any, Any]:
    """What pygeoapi says in the caller's language; for pages in Chinese, and in English beside it.

    JSON has one language (RFC 9110, Accept-Language); a page bears both, whoever asks.
    """
    if not wants_html(call):
        return await _bridge(call).ask(call, answer, *arguments), None
    one, other = (
        replace(call, arguments={**call.arguments, "lang": lang}) for lang in ("zh-CN", "en-US")
    )
    return (
        await _bridge(call).ask(one, answer, *arguments),
        await _bridge(call).ask(other, answer, *arguments),
    )


async def _landing(call: Call) -> Response:
    document, english = await _asked(call, pygeoapi_api.landing_page)
    body = documents.landing_page(document, base_url(call))
    return _answer(call, body, "landing.html", english=english)


async def _conformance(call: Call) -> Response:
    return _answer(call, {"conformsTo": conforms_to()}, "conformance.html")


async def _collections(call: Call) -> Response:
    root = base_url(call)
    document, english = await _asked(call, pygeoapi_api.describe_collections)
    body = {
        "links": [
            link(f"{root}/collections", "self", "application/json", f="json"),
            link(f"{root}/collections", "alternate", "text/html", f="html"),
        ],
        "collections": [
            documents.collection(
                entry,
                call.services.catalogue.layer(entry["id"], call.principal),
                call.services.profile,
                root,
            )
            for entry in document["collections"]
        ]
        + [
            raster_collection(raster, root)
            for raster in call.services.rasters.visible_to(call.principal)
        ],
    }
    words = {entry["id"]: entry for entry in (english or {}).get("collections", ())}
    return _answer(call, body, "collections.html", english=words)


async def _collection(call: Call) -> Response:
    name = call.arguments["collectionId"]
    raster = call.services.rasters.find(name, call.principal)
    if raster is not None:
        return _answer(call, raster_collection(raster, base_url(call)), "raster.html")
    layer = call.services.catalogue.layer(name, call.principal)
    document, english = await _asked(call, pygeoapi_api.describe_collections, name)
    body = documents.collection(document, layer, call.services.profile, base_url(call))
    return _answer(call, body, "collection.html", english=english)


async def _schema(call: Call) -> Response:
    name = call.arguments["collectionId"]
    layer = call.services.catalogue.layer(name, call.principal)
    document = await _bridge(call).ask(call, pygeoapi_api.get_collection_schema, name)
    body = documents.schema(document, layer.definition)
    return _answer(call, body, "schema.html", "application/schema+json")


async def _queryables(call: Call) -> Response:
    name = call.arguments["collectionId"]
    layer = call.services.catalogue.layer(name, call.principal)
    document = await _bridge(call).ask(call, itemtypes.get_collection_queryables, name)
    body = {**documents.schema(document, layer.definition), "additionalProperties": False}
    return _answer(call, body, "schema.html", "application/schema+json")


async def _processes(call: Call) -> Response:
    document, english = await _asked(call, processes.describe_processes)
    words = {entry["id"]: entry for entry in (english or {}).get("processes", ())}
    body = documents.without_unserved(with_own_control(document))
    return _answer(call, body, "processes.html", english=words)


async def _process(call: Call) -> Response:
    document, english = await _asked(
        call, processes.describe_processes, call.arguments["processId"]
    )
    return _answer(call, with_own_control(document), "process.html", english=english)


async def _execute(call: Call) -> Response:
    body = await read_body(call.request)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as bad:
        zh, en = json_fault(bad)
        raise _bad_execution(f"请求体{zh}。", f"the body is {en}") from bad
    if not isinstance(document, Mapping) or not isinstance(document.get("inputs"), Mapping):
        raise _bad_execution(
            '请求体须为 {"inputs": {…}}。', 'the body must be an object {"inputs": {…}}'
        )
    result = await _bridge(call).ask(
        call, processes.execute_process, call.arguments["processId"], body=body
    )
    return Response(orjson.dumps(result), media_type="application/json", headers=_VARY)


def _bad_execution(zh: str, en: str) -> Problem:
    return Problem(400, "invalid-request", zh=zh, en=f"({en})", parameter="inputs")


def _get(
    path: str, operation_id: str, zh: str, en: str, tag: str, handler: Any, *own: Parameter
) -> Operation:
    return Operation(
        method="GET",
        path=path,
        operation_id=operation_id,
        summary=Title(zh, en),
        tag=tag,
        handler=handler,
        parameters=(*own, *_COMMON),
        responses={
            200: (
                "成功 Success",
                {
                    "application/json": {"schema": {"type": "object"}},
                    "application/schema+json": {"schema": {"type": "object"}},
                    "text/html": {"schema": {"type": "string"}},
                },
            )
        },
    )


_C = "capabilities"
_ONE = "/collections/{collectionId}"
OPERATIONS = (
    _get("/", "getLandingPage", "首页", "Landing page", _C, _landing),
    _get("/conformance", "getConformance", "符合性", "Conformance", _C, _conformance),
    _get("/collections", "getCollections", "图层目录", "Collections", _C, _collections),
    _get(_ONE, "getCollection", "图层", "Collection", _C, _collection, COLLECTION),
    _get(f"{_ONE}/schema", "getSchema", "字段定义", "Schema", _C, _schema, COLLECTION),
    _get(
        f"{_ONE}/queryables",
        "getQueryables",
        "可查询字段",
        "Queryables",
        _C,
        _queryables,
        COLLECTION,
    ),
    _get("/processes", "getProcesses", "处理目录", "Processes", "processes", _processes),
    _get(
        "/processes/{processId}",
        "getProcess",
        "处理说明",
        "Process description",
        "processes",
        _process,
        PROCESS,
    ),
    Operation(
        method="POST",
        path="/processes/{processId}/execution",
        operation_id="execute",
        summary=Title("执行处理", "Execute a process"),
        tag="processes",
        handler=_execute,
        parameters=(PROCESS,),
        request_body={
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["inputs"],
                        "properties": {"inputs": {"type": "object"}},
                    }
                }
            },
        },
    ),
)
