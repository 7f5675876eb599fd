"""GET /collections/{collectionId}/items: one page as one answer, longer ones as a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import orjson
from starlette.responses import Response, StreamingResponse

from geoserver_py.features.compression import SMALLEST, accepts_gzip, gzip_stream, gzipped
from geoserver_py.features.conditional import entity_tag, is_known, layer_headers, not_modified
from geoserver_py.features.links import items_links, link_header
from geoserver_py.features.pages import (
    PAGE_SIZE,
    Page,
    collection_end,
    following,
    frame_of,
    read_page,
)
from geoserver_py.features.parameters import FORMATS, Asked, asked_items, problem_of
from geoserver_py.links import base_url
from geoserver_py.operations import Call
from geoserver_py.pools import run_cancellable
from geoserver_py.representations import HTML, negotiate, render_page
from layers.query import QueryError, compile_count

_CHARSETS = {"csv": "text/csv; charset=utf-8; header=present"}


async def get_items(call: Call) -> Response:
    """Answer a request for the features of a collection."""
    asked = asked_items(call)
    name = negotiate(call, FORMATS)
    name = "json" if name == "geojson" else name
    tag = entity_tag(call, asked.layer, FORMATS[name])
    headers = layer_headers(asked.layer, tag)
    if asked.query.layer.geometry is not None and not asked.query.skip_geometry:
        headers["Content-Crs"] = f"<{asked.query.crs.uri}>"
    if is_known(call, tag):
        return not_modified(headers)
    try:
        if call.arguments["resulttype"] == "hits":
            return await _hits(call, asked, headers)
        if name == "html":
            return await _html(call, asked, headers)
        if asked.query.limit > PAGE_SIZE:
            return await _stream(call, asked, name, headers)
        return await _one_page(call, asked, name, headers)
    except QueryError as bad:
        raise problem_of(bad) from bad


async def _one_page(call: Call, asked: Asked, name: str, headers: dict[str, str]) -> Response:
    page = await run_cancellable(call.request, read_page(call.services.pools, asked, name))
    links = items_links(call, name, last_fid=page.last_fid, more=page.more)
    frame = frame_of(name, asked)
    if name == "json":
        end = collection_end(page.returned, _matched(asked, page), links)
        body = b"".join((frame.head, page.content, end))
    elif page.returned or name == "csv":
        body = b"".join((frame.head, page.content, frame.end))
    else:
        body = b""
    headers["Link"] = link_header(links)
    headers["OGC-NumberReturned"] = str(page.returned)
    headers["Content-Type"] = _CHARSETS.get(name, FORMATS[name])
    if len(body) > SMALLEST and accepts_gzip(call.request):
        headers["Content-Encoding"] = "gzip"
        body = await gzipped(body)
    return Response(body, headers=headers)


def _matched(asked: Asked, page: Page) -> int | None:
    """The number of all matches where it costs nothing to know, else None."""
    query = asked.query
    if query.after_fid is None and query.offset == 0 and not page.more:
        return page.returned
    return None if query.filtered else asked.layer.feature_count


async def _hits(call: Call, asked: Asked, headers: dict[str, str]) -> Response:
    query = replace(asked.query, after_fid=None)
    count = compile_count(query, asked.principal)
    row = await run_cancellable(
        call.request, call.services.pools.reads.fetch_raw(count.sql, count.params)
    )
    matched = int(row[0] or 0)
    links = items_links(call, "json", last_fid=None, more=False)
    body = frame_of("json", asked).head + collection_end(0, matched, links)
    headers |= {"Link": link_header(links), "Content-Type": FORMATS["json"]}
    headers["OGC-NumberMatched"] = str(matched)
    return Response(body, headers=headers)


async def _html(call: Call, asked: Asked, headers: dict[str, str]) -> Response:
    asked = replace(asked, query=replace(asked.query, limit=min(asked.query.limit, PAGE_SIZE)))
    page = await run_cancellable(call.request, read_page(call.services.pools, asked, "json"))
    links = items_links(call, "html", last_fid=page.last_fid, more=page.more)
    end = collection_end(page.returned, _matched(asked, page), links)
    document = orjson.loads(b"".join((frame_of("json", asked).head, page.content, end)))
    definition = asked.layer.definition
    chosen = asked.query.properties
    text = render_page(
        "items.html",
        base_url(call),
        document=document,
        title=definition.title,
        synthetic=asked.layer.synthetic,
        name=definition.name,
        fields=[f for f in definition.fields if chosen is None or f.name in chosen],
        profile=call.services.profile,
    )
    headers |= {"Link": link_header(links), "Content-Type": HTML}
    return Response(text, headers=headers)


async def _stream(call: Call, asked: Asked, name: str, headers: dict[str, str]) -> Response:
    """Send pages as they are read; the connection is given back between them.

    The first page is read before the answer starts, so that refusals are still problems. Each
    feature comes at most once, and every one that exists throughout comes: fid never changes.
    """
    limit = asked.query.limit
    first = replace(asked, query=replace(asked.query, limit=PAGE_SIZE))
    page = await run_cancellable(
        call.request, read_page(call.services.pools, first, name, streamed=True)
    )
    headers["Content-Type"] = _CHARSETS.get(name, FORMATS[name])
    headers["Link"] = link_header(items_links(call, name, last_fid=None, more=False))
    if call.request.method == "HEAD":  # nobody reads the pages; their length is not known either
        return StreamingResponse(_nothing(), headers=headers)
    parts = _parts(call, asked, name, page, limit)
    if accepts_gzip(call.request):
        headers["Content-Encoding"] = "gzip"
        parts = gzip_stream(parts)
    return StreamingResponse(parts, headers=headers)


async def _nothing() -> AsyncIterator[bytes]:
    """A stream without parts."""
    return
    yield b""


async def _parts(
    call: Call, asked: Asked, name: str, page: Page, limit: int
) -> AsyncIterator[bytes | memoryview]:
    frame = frame_of(name, asked)
    returned = page.returned
    matched = _matched(asked, page)
    if returned or name != "jsonl":
        yield frame.head
    yield page.content
    while page.more and returned < limit:
        size = min(PAGE_SIZE, limit - returned)
        rest = replace(asked, query=following(asked.query, page, size))
        last = page
        page = await read_page(call.services.pools, rest, name, streamed=True)
        if page.last_fid is None:  # what followed has been deleted meanwhile
            page = replace(page, last_fid=last.last_fid)
            break
        returned += page.returned
        yield frame.joint
        yield page.content
    if name == "json":
        links = items_links(call, name, last_fid=page.last_fid, more=page.more)
        yield collection_end(returned, matched, links)
    elif returned:
        yield frame.end
