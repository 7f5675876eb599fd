"""GET /collections/{collectionId}/items/{featureId}: one feature by its business key."""

from __future__ import annotations

from dataclasses import replace

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from geoserver_py.features.compression import SMALLEST, accepts_gzip, gzipped
from geoserver_py.features.conditional import entity_tag, is_known, layer_headers, not_modified
from geoserver_py.features.links import item_links, link_header
from geoserver_py.features.pages import read_page
from geoserver_py.features.parameters import FORMATS, asked_item
from geoserver_py.features.shape import shape_of
from geoserver_py.links import base_url
from geoserver_py.operations import Call
from geoserver_py.pools import run_cancellable
from geoserver_py.problems import not_found
from geoserver_py.representations import HTML, negotiate, render_page
from layers.crs import crs_for_layer

_FORMATS = {name: FORMATS[name] for name in ("json", "geojson", "html")}


async def get_item(call: Call) -> Response:
    """Answer a request for one feature; 404 when the collection has none of this id."""
    asked = asked_item(call)
    name = negotiate(call, _FORMATS)
    name = "json" if name == "geojson" else name
    if name == "html" and asked.query.layer.geometry is not None:
        # the page gives both, degrees and the city's plane grid, whatever was asked for
        lonlat = crs_for_layer(asked.layer.definition, call.services.profile)[0]
        asked = replace(asked, query=replace(asked.query, crs=lonlat))
    page = await run_cancellable(call.request, read_page(call.services.pools, asked, "json"))
    if page.returned == 0:
        wanted = call.arguments["featureId"][:80]
        raise not_found(f"要素 {wanted!r}", f"feature {wanted!r}")
    tag = entity_tag(call, asked.layer, FORMATS[name])
    headers = layer_headers(asked.layer, tag)
    if asked.query.layer.geometry is not None and not asked.query.skip_geometry:
        headers["Content-Crs"] = f"<{asked.query.crs.uri}>"
    if is_known(call, tag):
        return not_modified(headers)
    links = item_links(call, name)
    headers["Link"] = link_header(links)
    body = b"".join((page.content[:-1], b',"links":', orjson.dumps(links), b"}"))
    if name == "html":
        definition = asked.layer.definition
        document = orjson.loads(body)
        services = call.services
        geometry = document.get("geometry")
        shape = geometry and await run_in_threadpool(
            shape_of, geometry, services.profile, services.registry
        )
        text = render_page(
            "item.html",
            base_url(call),
            document=document,
            shape=shape or None,
            has_geometry=definition.geometry is not None and not asked.query.skip_geometry,
            title=definition.title,
            synthetic=asked.layer.synthetic,
            name=definition.name,
            fields=definition.fields,
            profile=call.services.profile,
        )
        return Response(text, headers={**headers, "Content-Type": HTML})
    headers["Content-Type"] = FORMATS["json"]
    if len(body) > SMALLEST and accepts_gzip(call.request):
        headers["Content-Encoding"] = "gzip"
        body = await gzipped(body)
    return Response(body, headers=headers)
