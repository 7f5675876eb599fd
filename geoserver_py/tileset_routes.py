"""Metadata of tiles over HTTP: tile matrix sets, tilesets, TileJSON."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response

from geoserver_py.links import base_url, link
from geoserver_py.operations import Call, Operation, Parameter
from geoserver_py.problems import invalid_parameter, not_found
from geoserver_py.representations import HTML, render_page, wants_html
from layers.access import AccessClass
from layers.catalogue import PublishedLayer, UnknownLayer
from layers.definition import Title
from tiles.grids import GRIDS, Grid
from tiles.metadata import MVT, TILEJSON, drawable, tilejson, tileset, tileset_item

JSON = "application/json"
TILING_SCHEME = "http://www.opengis.net/def/rel/ogc/1.0/tiling-scheme"
GEODATA = "http://www.opengis.net/def/rel/ogc/1.0/geodata"

COLLECTION_ID = Parameter(
    "collectionId",
    {"type": "string", "minLength": 1, "maxLength": 100},
    Title("图层", "Collection"),
    location="path",
)
TILE_MATRIX_SET_ID = Parameter(
    "tileMatrixSetId",
    {"type": "string", "enum": list(GRIDS)},
    Title("瓦片矩阵集", "Tile matrix set"),
    location="path",
)
COLLECTIONS = Parameter(
    "collections",
    {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "maxItems": 50},
    Title("图层，逗号分隔；默认全部", "Layers, comma separated; all by default"),
)
FORMAT = Parameter(
    "f", {"type": "string", "enum": ["json"]}, Title("格式", "Format"), example="json"
)
PAGE_FORMAT = Parameter(
    "f",
    {"type": "string", "enum": ["json", "html"]},
    Title("格式；缺省依 Accept", "Format; default by the Accept header"),
)


def collection_of(call: Call) -> PublishedLayer:
    """The layer that the path names; Problem 404 where it is absent, hidden or not drawable."""
    return _layer(call, call.arguments["collectionId"], 404)


def layers_of(call: Call) -> tuple[PublishedLayer, ...]:
    """The layers that ``collections`` names in that order, or all that the caller may read."""
    names = call.arguments.get("collections")
    if names is None:
        return drawable(call.services.catalogue.visible_to(call.principal))
    if len(set(names)) != len(names):
        raise invalid_parameter(
            "collections", zh="图层不得重复。", en="must name each layer once only"
        )
    return tuple(_layer(call, name, 400) for name in names)


def grid_of(call: Call) -> Grid:
    """The grid that the path names (the declared parameter lets only known ones through)."""
    return GRIDS[call.arguments["tileMatrixSetId"]]


def _layer(call: Call, name: str, status: int) -> PublishedLayer:
    try:
        layer = call.services.catalogue.layer(name, call.principal)
    except UnknownLayer:
        layer = None
    if layer is not None and drawable((layer,)):
        return layer
    if status == 404:
        raise not_found(f"可绘制的图层 {name[:80]}", f"drawable collection {name[:80]}") from None
    visible = drawable(call.services.catalogue.visible_to(call.principal))
    raise invalid_parameter(
        "collections",
        zh=f"没有可绘制的图层 {name[:80]}。",
        en=f"no drawable collection {name[:80]}",
        accepted=[layer.definition.name for layer in visible],
    ) from None


_HEADERS = {"Vary": "Accept, Authorization, X-API-Key", "Cache-Control": "no-cache"}


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type=JSON, headers=_HEADERS)


def _answer(call: Call, body: Any, template: str) -> Response:
    """The document as JSON, or as the page made from it."""
    if not wants_html(call):
        return _json(body)
    page = render_page(template, base_url(call), document=body)
    return Response(page, media_type=HTML, headers=_HEADERS)


async def _tile_matrix_sets(call: Call) -> Response:
    root = base_url(call)
    return _answer(
        call,
        {
            "tileMatrixSets": [
                {
                    "id": grid.id,
                    "title": str(grid.title),
                    "uri": grid.uri,
                    "crs": grid.crs,
                    "links": [link(f"{root}/tileMatrixSets/{grid.id}", "self", JSON)],
                }
                for grid in GRIDS.values()
            ]
        },
        "grids.html",
    )


async def _tile_matrix_set(call: Call) -> Response:
    return _answer(call, dict(grid_of(call).document), "grid.html")


def _tileset_links(root: str, path: str, grid: Grid, query: str) -> list[dict[str, Any]]:
    """Links of a tileset: itself, its tiles, its TileJSON, its grid."""
    own = f"{root}{path}/{grid.id}"
    return [
        link(f"{own}{query}", "self", JSON, str(grid.title)),
        {
            **link(
                f"{own}/{{tileMatrix}}/{{tileRow}}/{{tileCol}}{query}", "item", MVT, "瓦片 Tiles"
            ),
            "templated": True,
        },
        link(f"{own}/tilejson{query}", "describedby", TILEJSON, "TileJSON"),
        link(f"{root}/tileMatrixSets/{grid.id}", TILING_SCHEME, JSON, str(grid.title)),
    ]


def _query(call: Call) -> str:
    names = call.arguments.get("collections")
    return "" if names is None else "?collections=" + ",".join(names)


def _tilesets(call: Call, path: str, title: str) -> Response:
    root, query = base_url(call), _query(call)
    items = [
        tileset_item(grid, title=title, links=_tileset_links(root, path, grid, query))
        for grid in GRIDS.values()
    ]
    own = link(f"{root}{path}{query}", "self", JSON)
    return _answer(call, {"title": title, "links": [own], "tilesets": items}, "tilesets.html")


def _tileset(call: Call, layers: tuple[PublishedLayer, ...], path: str, title: str) -> Response:
    grid, root = grid_of(call), base_url(call)
    links = _tileset_links(root, path, grid, _query(call))
    links += [
        link(
            f"{root}/collections/{layer.definition.name}",
            GEODATA,
            JSON,
            str(layer.definition.title),
        )
        for layer in layers
    ]
    public = all(layer.definition.access is AccessClass.PUBLIC for layer in layers)
    access = "unclassified" if public else "restricted"
    body = tileset(layers, grid, title=title, links=links, access=access)
    return _answer(call, body, "tileset.html")


def _tilejson(call: Call, layers: tuple[PublishedLayer, ...], path: str, title: Title) -> Response:
    grid = grid_of(call)
    template = f"{base_url(call)}{path}/{grid.id}/{{z}}/{{y}}/{{x}}{_query(call)}"
    return _json(
        tilejson(
            layers,
            grid,
            template=template,
            name=str(title),
            description="、".join(layer.definition.title.zh for layer in layers),
            version=f"1.0.{max((layer.revision for layer in layers), default=0)}",
        )
    )


def _collection_path(layer: PublishedLayer) -> str:
    return f"/collections/{layer.definition.name}/tiles"


def _dataset_title(call: Call) -> Title:
    title = call.services.profile.title
    return Title(f"{title.zh}一张图", f"{title.en} one map")


async def _collection_tilesets(call: Call) -> Response:
    layer = collection_of(call)
    return _tilesets(call, _collection_path(layer), str(layer.definition.title))


async def _collection_tileset(call: Call) -> Response:
    layer = collection_of(call)
    return _tileset(call, (layer,), _collection_path(layer), str(layer.definition.title))


async def _collection_tilejson(call: Call) -> Response:
    layer = collection_of(call)
    return _tilejson(call, (layer,), _collection_path(layer), layer.definition.title)


async def _dataset_tilesets(call: Call) -> Response:
    layers_of(call)
    return _tilesets(call, "/tiles", str(_dataset_title(call)))


async def _dataset_tileset(call: Call) -> Response:
    return _tileset(call, layers_of(call), "/tiles", str(_dataset_title(call)))


async def _dataset_tilejson(call: Call) -> Response:
    return _tilejson(call, layers_of(call), "/tiles", _dataset_title(call))


def _operation(
    path: str, operation_id: str, summary: Title, handler: Any, *parameters: Parameter
) -> Operation:
    content: dict[str, Any] = {JSON: {"schema": {"type": "object"}}}
    paged = not path.endswith("/tilejson")  # TileJSON is for map libraries alone
    if paged:
        content["text/html"] = {"schema": {"type": "string"}}
    return Operation(
        method="GET",
        path=path,
        operation_id=operation_id,
        summary=summary,
        tag="tiles",
        handler=handler,
        parameters=(*parameters, PAGE_FORMAT if paged else FORMAT),
        responses={200: (str(summary), content)},
    )


_LIST = Title("瓦片集列表", "Tilesets")
_ONE = Title("瓦片集", "Tileset metadata")
_JSON_OF = Title("TileJSON 描述", "TileJSON")
_C = "/collections/{collectionId}/tiles"

OPERATIONS = (
    _operation(_C, "getCollectionTileSetsList", _LIST, _collection_tilesets, COLLECTION_ID),
    _operation(
        _C + "/{tileMatrixSetId}",
        "getCollectionTileSet", _ONE, _collection_tileset, COLLECTION_ID, TILE_MATRIX_SET_ID,
    ),
    _operation(
        _C + "/{tileMatrixSetId}/tilejson",
        "getCollectionTileJson", _JSON_OF, _collection_tilejson, COLLECTION_ID, TILE_MATRIX_SET_ID,
    ),
    _operation("/tiles", "getDatasetTileSetsList", _LIST, _dataset_tilesets, COLLECTIONS),
    _operation(
        "/tiles/{tileMatrixSetId}",
        "getDatasetTileSet", _ONE, _dataset_tileset, TILE_MATRIX_SET_ID, COLLECTIONS,
    ),
    _operation(
        "/tiles/{tileMatrixSetId}/tilejson",
        "getDatasetTileJson", _JSON_OF, _dataset_tilejson, TILE_MATRIX_SET_ID, COLLECTIONS,
    ),
    _operation(
        "/tileMatrixSets",
        "getTileMatrixSetsList", Title("瓦片矩阵集列表", "Tile matrix sets"), _tile_matrix_sets,
    ),
    _operation(
        "/tileMatrixSets/{tileMatrixSetId}",
        "getTileMatrixSet", Title("瓦片矩阵集", "Tile matrix set"), _tile_matrix_set,
        TILE_MATRIX_SET_ID,
    ),
)  # fmt: skip
