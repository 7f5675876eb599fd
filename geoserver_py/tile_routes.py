"""Vector tiles over HTTP: a thin skin over ``tiles``, because a small tile costs 1 ms of SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from psycopg.types.numeric import Int4
from starlette.responses import Response

from geoserver_py.operations import Call, Operation, Parameter
from geoserver_py.pools import run_cancellable
from geoserver_py.problems import Problem
from geoserver_py.tileset_routes import (
    COLLECTION_ID,
    COLLECTIONS,
    TILE_MATRIX_SET_ID,
    collection_of,
    grid_of,
    layers_of,
)
from geoserver_py.tileset_routes import OPERATIONS as TILESET_OPERATIONS
from layers.access import AccessClass
from layers.catalogue import PublishedLayer
from layers.definition import Title
from tiles.grids import Grid, TileOutOfRangeError
from tiles.metadata import CONFORMANCE, MVT
from tiles.server import Address, Served, reaching
from tiles.sql import in_zoom_range

__all__ = ["CONFORMANCE", "OPERATIONS"]

VARY = "Accept-Encoding, Authorization, X-API-Key"


async def _collection_tile(call: Call) -> Response:
    layer = collection_of(call)
    grid, address = _address(call)
    if not in_zoom_range(layer.definition, address.zoom):
        low = max(layer.definition.minimum_zoom, grid.first)
        high = min(layer.definition.maximum_zoom, grid.last)
        raise Problem(
            404,
            "tile-out-of-range",
            zh=f"图层 {layer.definition.name} 只有第 {low} 至 {high} 级的瓦片。",
            en=f"(this layer has tiles of matrices {low} to {high})",
            parameter="tileMatrix",
            accepted=[f"{low}-{high}"],
        )
    return await _tile(call, (layer,), grid, address)


async def _dataset_tile(call: Call) -> Response:
    layers = layers_of(call)
    grid, address = _address(call)
    return await _tile(call, layers, grid, address)


def _address(call: Call) -> tuple[Grid, Address]:
    """Grid and tile of a request; raises Problem 404 where the grid has no such tile."""
    grid = grid_of(call)
    arguments = call.arguments
    address = Address(grid.id, arguments["tileMatrix"], arguments["tileRow"], arguments["tileCol"])
    try:
        grid.check(address.zoom, address.row, address.col)
    except TileOutOfRangeError as outside:
        parameter = {"z": "tileMatrix", "row": "tileRow", "col": "tileCol"}[outside.parameter]
        raise Problem(
            404,
            "tile-out-of-range",
            zh=outside.zh,
            en=outside.en,
            parameter=parameter,
            accepted=[outside.accepted],
        ) from outside
    return grid, address


async def _tile(
    call: Call, layers: tuple[PublishedLayer, ...], grid: Grid, address: Address
) -> Response:
    services, request = call.services, call.request
    gzipped = accepts_gzip(request.headers.get("accept-encoding", ""))
    near = reaching(layers, grid, address)
    plan = services.tiles.plan(services.catalogue, near, grid, address.zoom)
    etag = plan.etag(address, gzipped=gzipped)
    headers = {"ETag": etag, "Vary": VARY, "Cache-Control": _cache_control(layers)}
    if matches(request.headers.get("if-none-match", ""), etag):
        headers["Server-Timing"] = "cache;desc=revalidated"
        return Response(status_code=304, headers=headers)

    async def fetch(statement: bytes, parameters: Mapping[str, Int4]) -> bytes:
        row = await services.pools.reads.fetch_raw(statement, parameters, binary=True)
        return row[0] or b""

    served = await run_cancellable(
        request, services.tiles.tile(plan, address, fetch, gzipped=gzipped)
    )
    headers["Server-Timing"] = _timing(served)
    if not served.tile.body:
        return Response(status_code=204, headers=headers)
    if gzipped:
        headers["Content-Encoding"] = "gzip"
        return Response(served.tile.body, headers=headers, media_type=MVT)
    return Response(served.tile.plain(), headers=headers, media_type=MVT)


def _cache_control(layers: Sequence[PublishedLayer]) -> str:
    """Always revalidated: the answer to it costs no query, and an edit shows at once."""
    public = all(layer.definition.access is AccessClass.PUBLIC for layer in layers)
    return "public, no-cache" if public else "private, no-cache"


def _timing(served: Served) -> str:
    if served.hit:
        return "cache;desc=hit"
    return f"cache;desc=miss, db;dur={served.query_ms:.2f}, gzip;dur={served.compress_ms:.2f}"


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header allows gzip (RFC 9110, 12.5.3)."""
    if "gzip" not in header:
        return False
    for entry in header.lower().split(","):
        coding, _, weight = entry.partition(";")
        if coding.strip() == "gzip":
            return re.fullmatch(r"\s*q=0(\.0*)?\s*", weight) is None
    return False


def matches(header: str, etag: str) -> bool:
    """Whether an If-None-Match header names the entity tag (weak comparison, RFC 9110, 13.1.2)."""
    if not header:
        return False
    tags = (tag.strip().removeprefix("W/") for tag in header.split(","))
    return any(tag in ("*", etag) for tag in tags)


_TILE = (
    TILE_MATRIX_SET_ID,
    Parameter(
        "tileMatrix",
        {"type": "integer", "minimum": 0, "maximum": 30},
        Title("级别", "Tile matrix: the level"),
        location="path",
        example=14,
    ),
    Parameter(
        "tileRow",
        {"type": "integer", "minimum": 0},
        Title("行号，自北向南", "Row, from the north; before the column"),
        location="path",
        example=7052,
    ),
    Parameter(
        "tileCol",
        {"type": "integer", "minimum": 0},
        Title("列号，自西向东", "Column, from the west"),
        location="path",
        example=13477,
    ),
)

_RESPONSES = {
    200: ("瓦片 Mapbox Vector Tile", {MVT: {"schema": {"type": "string", "format": "binary"}}}),
    204: ("空瓦片 Nothing in this tile", {}),
    304: ("未变化 Not modified", {}),
    404: (
        "没有此瓦片 No such tile",
        {"application/problem+json": {"schema": {"$ref": "#/components/schemas/problem"}}},
    ),
}

_ADDRESS = "{tileMatrixSetId}/{tileMatrix}/{tileRow}/{tileCol}"

OPERATIONS = (
    Operation(
        method="GET",
        path=f"/collections/{{collectionId}}/tiles/{_ADDRESS}",
        operation_id="getCollectionTile",
        summary=Title("单图层矢量瓦片", "A vector tile of one layer"),
        tag="tiles",
        handler=_collection_tile,
        parameters=(COLLECTION_ID, *_TILE),
        responses=_RESPONSES,
    ),
    Operation(
        method="GET",
        path=f"/tiles/{_ADDRESS}",
        operation_id="getDatasetTile",
        summary=Title("多图层矢量瓦片", "A vector tile of several layers"),
        tag="tiles",
        handler=_dataset_tile,
        parameters=(*_TILE, COLLECTIONS),
        responses=_RESPONSES,
    ),
    *TILESET_OPERATIONS,
)
