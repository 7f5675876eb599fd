"""GET /collections/{collectionId}/items/{featureId}/lineage: where a feature comes from."""

from __future__ import annotations

from urllib.parse import quote

import orjson
import psycopg
from starlette.responses import Response

from etl.report.words import coordsys_words
from geoserver_py.features.parameters import COLLECTION_ID, FEATURE_ID
from geoserver_py.links import base_url, link
from geoserver_py.operations import Call, Operation, Parameter
from geoserver_py.pools import run_cancellable
from geoserver_py.problems import Problem, not_found
from geoserver_py.representations import HTML, render_page, wants_html
from layers.access import AccessClass
from layers.definition import LayerDefinition, Title
from layers.lineage import Lineage, assemble, statement

_VARY = {"Vary": "Accept, Authorization, X-API-Key"}


async def get_lineage(call: Call) -> Response:
    """Answer with all versions of a feature; also of one that is deleted.

    Whoever may read the layer may read its lineage; who edited by hand is named only to keys that
    open government layers.
    """
    layer = call.services.catalogue.layer(call.arguments["collectionId"], call.principal)
    wanted = call.arguments["featureId"]
    found = await run_cancellable(call.request, _read(call, layer.definition, wanted))
    if not found.versions:
        raise not_found(f"要素 {wanted[:80]!r}", f"feature {wanted[:80]!r}")
    item = f"{base_url(call)}/collections/{quote(layer.name)}/items/{quote(wanted, safe='')}"
    page = wants_html(call)
    links = [
        link(f"{item}/lineage", "self", "text/html" if page else "application/json"),
        link(f"{item}/lineage", "alternate", "application/json", "JSON", f="json")
        if page
        else link(f"{item}/lineage", "alternate", "text/html", "网页 HTML", f="html"),
    ]
    if found.live:
        links.append(link(item, "latest-version", "application/geo+json"))
    document = found.to_json(people=call.principal.may_read(AccessClass.GOVERNMENT))
    if page:
        text = render_page(
            "lineage.html",
            base_url(call),
            document=document,
            title=layer.definition.title,
            synthetic=layer.synthetic,
            profile=call.services.profile,
            coordsys_words=coordsys_words,
        )
        return Response(text, media_type=HTML, headers=_VARY)
    body = orjson.dumps({**document, "links": links})
    return Response(body, media_type="application/json", headers=_VARY)


async def _read(call: Call, definition: LayerDefinition, ident: str) -> Lineage:
    bound = {"id": ident, "layer": definition.name}
    try:
        async with call.services.pools.reads() as connection:
            rows = await (await connection.execute(statement(definition), bound)).fetchall()
    except psycopg.errors.UndefinedColumn as outdated:
        raise Problem(
            503,
            "not-migrated",
            zh="数据库版本较旧，暂不能查询来源。",
            en="(the database is older than this service: run `geoserver-py db migrate`)",
            headers={"Retry-After": "60"},
        ) from outdated
    return assemble(definition.name, ident, rows)


_VERSION = {
    "type": "object",
    "required": ["fid", "operation", "revision", "sources"],
    "properties": {
        "fid": {"type": "integer"},
        "operation": {"type": "string", "enum": ["insert", "update", "edit", "rollback"]},
        "revision": {"type": "integer"},
        "at": {"type": "string", "nullable": True, "format": "date-time"},
        "replacedBy": {"type": "integer", "nullable": True},
        "replacedAt": {"type": "string", "nullable": True, "format": "date-time"},
        "endedBy": {"type": "string", "nullable": True, "enum": ["update", "delete", None]},
        "restores": {"type": "integer", "nullable": True},
        "run": {"type": "object", "nullable": True},
        "principal": {"type": "string", "nullable": True},
        "sources": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["file", "row"],
                "properties": {
                    "file": {"type": "string"},
                    "row": {"type": "integer"},
                    "coordsys": {"type": "string", "nullable": True},
                    "accuracy_m": {"type": "number", "nullable": True},
                    "datumSteps": {"type": "array", "nullable": True, "items": {"type": "object"}},
                },
            },
        },
    },
}
_LINEAGE = {
    "schema": {
        "type": "object",
        "required": ["collection", "id", "live", "versions", "links"],
        "properties": {
            "collection": {"type": "string"},
            "id": {"type": "string"},
            "live": {"type": "boolean"},
            "versions": {"type": "array", "minItems": 1, "items": _VERSION},
            "links": {"type": "array", "items": {"type": "object"}},
        },
    }
}

OPERATIONS = (
    Operation(
        method="GET",
        path="/collections/{collectionId}/items/{featureId}/lineage",
        operation_id="getItemLineage",
        summary=Title(
            "要素的来源与历次版本", "Where a feature comes from: versions, files, rows, datum steps"
        ),
        tag="features",
        handler=get_lineage,
        parameters=(
            COLLECTION_ID,
            FEATURE_ID,
            Parameter(
                "f",
                {"type": "string", "enum": ["json", "html"]},
                Title("格式；缺省依 Accept", "Format; default by the Accept header"),
            ),
        ),
        responses={
            200: (
                "来源 Lineage",
                {"application/json": _LINEAGE, "text/html": {"schema": {"type": "string"}}},
            )
        },
    ),
)
