"""MapLibre styles over HTTP (OGC API Styles: list and style)."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from starlette.responses import Response

from geoserver_py.links import base_url, link
from geoserver_py.operations import Call, Operation, Parameter
from geoserver_py.problems import not_found
from layers.definition import Title
from tiles.grids import WEB_MERCATOR_QUAD
from tiles.style import BASEMAP, TITLE, basemap

MAPBOX_STYLE = "application/vnd.mapbox.style+json"
HEADERS = {"Vary": "Authorization, X-API-Key", "Cache-Control": "no-cache"}
STYLE_JSON = {MAPBOX_STYLE: {"schema": {"type": "object"}}}


async def _styles(call: Call) -> Response:
    root = base_url(call)
    href = f"{root}/styles/{BASEMAP}"
    body = {
        "default": BASEMAP,
        "styles": [
            {
                "id": BASEMAP,
                "title": str(TITLE),
                "links": [link(href, "stylesheet", MAPBOX_STYLE, str(TITLE))],
            }
        ],
        "links": [link(f"{root}/styles", "self", "application/json")],
    }
    return Response(orjson.dumps(body), media_type="application/json", headers=HEADERS)


async def _style(call: Call) -> Response:
    name = call.arguments["styleId"]
    if name != BASEMAP:
        raise not_found(f"样式 {name[:80]}", f"style {name[:80]}")
    tiles = f"{base_url(call)}/tiles/{WEB_MERCATOR_QUAD.id}"

    def tiles_url(layers: Sequence[str]) -> str:
        return f"{tiles}/{{z}}/{{y}}/{{x}}?collections={','.join(layers)}"

    document = basemap(
        call.services.catalogue.visible_to(call.principal),
        tiles_url=tiles_url,
        title=call.services.profile.title,
        center=call.services.profile.center,
    )
    return Response(orjson.dumps(document), media_type=MAPBOX_STYLE, headers=HEADERS)


_FORMAT = Parameter("f", {"type": "string", "enum": ["json"]}, Title("格式", "Format"))

OPERATIONS = (
    Operation(
        method="GET",
        path="/styles",
        operation_id="getStyles",
        summary=Title("样式列表", "Styles"),
        tag="styles",
        handler=_styles,
        parameters=(_FORMAT,),
    ),
    Operation(
        method="GET",
        path="/styles/{styleId}",
        operation_id="getStyle",
        summary=Title("MapLibre 样式", "A MapLibre style for what the caller may see"),
        tag="styles",
        handler=_style,
        parameters=(
            Parameter(
                "styleId",
                {"type": "string", "minLength": 1, "maxLength": 100},
                Title("样式", "Style"),
                location="path",
                example=BASEMAP,
            ),
            _FORMAT,
        ),
        responses={200: ("MapLibre style", STYLE_JSON)},
    ),
)
