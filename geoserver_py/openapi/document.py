"""Build the OpenAPI 3.0 document from the declared operations.

No remote ``$ref``: every schema is inside, so that validators need no network. A path whose
parameters depend on the collection appears once for each collection that the caller may read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from geoserver_py import __version__
from geoserver_py.features.parameters import LIMIT
from geoserver_py.operations import Operation, Parameter
from geoserver_py.problems import MEDIA_TYPE as PROBLEM_MEDIA_TYPE
from geoserver_py.security import BASIC_USER
from geoserver_py.services import Services
from layers.access import Principal
from layers.catalogue import PublishedLayer

COLLECTION = "collectionId"

_TAGS = {
    "capabilities": "服务能力 Capabilities",
    "features": "要素 Features",
    "tiles": "矢量瓦片 Vector tiles",
    "styles": "样式 Styles",
    "rasters": "影像与高程 Rasters",
    "gazetteer": "地址匹配 Gazetteer",
    "compat": "兼容接口 Drop-in interfaces",
    "deliveries": "交付 Deliveries",
    "grid": "单元网格 Unit grid",
    "processes": "处理 Processes",
    "operations": "运维 Operations",
}

_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "parameter": {"type": "string"},
        "accepted": {"type": "array", "items": {"type": "string"}},
    },
}


def build_document(
    operations: Iterable[Operation], services: Services, principal: Principal, server_url: str
) -> dict[str, Any]:
    """The document for one caller; collections it may not read leave no trace."""
    visible = services.catalogue.visible_to(principal)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        for path, item in _path_items(operation, services, principal, visible):
            paths.setdefault(path, {})[operation.method.lower()] = item
    used = {item["tags"][0] for methods in paths.values() for item in methods.values()}
    return {
        "openapi": "3.0.3",
        "info": {
            "title": f"{services.profile.title.zh}一张图 {services.profile.title.en} one map",
            "description": "OGC API、矢量瓦片与地址匹配；数据为 CGCS2000。"
            " OGC API, vector tiles and address matching; data in CGCS2000.",
            "version": __version__,
            "license": {"name": "Apache-2.0"},
        },
        "servers": [{"url": server_url}],
        "tags": [{"name": k, "description": v} for k, v in _TAGS.items() if k in used],
        "paths": paths,
        "components": {
            # QGIS learns the size of its pages from here, and takes 100 where it finds nothing
            "parameters": {"limit": LIMIT.document()},
            "schemas": {"problem": _PROBLEM_SCHEMA},
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": f"用户名 user {BASIC_USER}，密码为密钥 the key as password;"
                    " 只读 reading only",
                },
            },
        },
        "security": [{}, {"apiKey": []}, {"bearer": []}, {"basic": []}],
    }


def _path_items(
    operation: Operation,
    services: Services,
    principal: Principal,
    visible: tuple[PublishedLayer, ...],
) -> Iterable[tuple[str, dict[str, Any]]]:
    template = re.sub(r":[a-z]+\}", "}", operation.path)
    if operation.dynamic_parameters is None or f"{{{COLLECTION}}}" not in template:
        ids = [layer.definition.name for layer in visible]
        parameters = [
            {**p.document(), "schema": {**p.schema, "enum": ids}}
            if p.name == COLLECTION and ids
            else p.document()
            for p in operation.parameters
        ]
        yield template, _item(operation, operation.operation_id, parameters)
        return
    for layer in visible:
        name = layer.definition.name
        dynamic = operation.dynamic_parameters(services, principal, {COLLECTION: name})
        own = [p for p in operation.parameters if p.name != COLLECTION]
        # Features Part 1, 7.15.6 gives style and explode; QGIS filters by such parameters alone
        parameters = [p.document() for p in own]
        parameters += [
            {**p.document(), "style": "form", "explode": False} for p in _distinct(own, dynamic)
        ]
        yield (
            template.replace(f"{{{COLLECTION}}}", name),
            _item(operation, f"{operation.operation_id}.{name}", parameters),
        )


def _distinct(own: list[Parameter], dynamic: Mapping[str, Parameter]) -> Iterable[Parameter]:
    names = {p.name for p in own}
    return (p for p in dynamic.values() if p.name not in names)


def _item(
    operation: Operation, operation_id: str, parameters: list[dict[str, Any]]
) -> dict[str, Any]:
    problem = {
        PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/problem"}},
        "text/html": {"schema": {"type": "string"}},  # for browsers
    }
    responses: dict[str, Any] = {
        str(status): {"description": description, **({"content": dict(media)} if media else {})}
        for status, (description, media) in operation.responses.items()
    }
    responses.setdefault("default", {"description": "问题 Problem (RFC 9457)", "content": problem})
    item: dict[str, Any] = {
        "operationId": operation_id,
        "summary": str(operation.summary),
        "tags": [operation.tag],
        "parameters": parameters,
        "responses": responses,
    }
    if operation.request_body is not None:
        item["requestBody"] = dict(operation.request_body)
    return item
