"""GET /openapi: the document for machines; people read it at the same address as a page."""

from __future__ import annotations

import orjson
from starlette.responses import Response

from geoserver_py.links import base_url
from geoserver_py.openapi.document import build_document
from geoserver_py.operations import Call, Operation, Parameter
from geoserver_py.representations import HTML, negotiate, render_page
from layers.definition import Title

MEDIA_TYPE = "application/vnd.oai.openapi+json;version=3.0"


async def _openapi(call: Call) -> Response:
    operations = call.request.app.state.operations
    root = base_url(call)
    document = build_document(operations, call.services, call.principal, root)
    headers = {"Vary": "Accept, Authorization, X-API-Key"}
    if negotiate(call, {"json": MEDIA_TYPE, "html": "text/html"}) == "html":
        page = render_page("openapi.html", root, document=document)
        return Response(page, media_type=HTML, headers=headers)
    return Response(orjson.dumps(document), media_type=MEDIA_TYPE, headers=headers)


OPERATIONS = (
    Operation(
        method="GET",
        path="/openapi",
        operation_id="getOpenApi",
        summary=Title("接口定义", "API definition"),
        tag="capabilities",
        handler=_openapi,
        parameters=(
            Parameter(
                "f",
                {"type": "string", "enum": ["json", "html"]},
                Title("格式", "Format; default by the Accept header"),
            ),
        ),
        responses={
            200: (
                "OpenAPI 3.0",
                {
                    MEDIA_TYPE: {"schema": {"type": "object"}},
                    "text/html": {"schema": {"type": "string"}},
                },
            )
        },
    ),
)
