"""What clients need to know before they ask for tiles: TileJSON 3.0 and OGC tileset metadata.

Bounds and limits come from the extent of the data (CGCS2000 degrees, numerically CRS84).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from layers.catalogue import PublishedLayer
from layers.definition import FieldType, LayerDefinition
from tiles.grids import Box, Grid
from tiles.sql import LABEL_SUFFIX, TileField, has_tiles, label_zooms, tile_fields

MVT = "application/vnd.mapbox-vector-tile"
TILEJSON = "application/json"

OVERZOOM = 18
"""Last zoom that TileJSON announces: a tile unit is 3.7 cm there; clients scale beyond it."""

CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"

CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tileset",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tilesets-list",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/dataset-tilesets",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/geodata-tilesets",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/collections-selection",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/mvt",
    "http://www.opengis.net/spec/tms/2.0/conf/tilematrixset",
    "http://www.opengis.net/spec/tms/2.0/conf/tilematrixsetlimits",
    "http://www.opengis.net/spec/tms/2.0/conf/json-tilematrixset",
    "http://www.opengis.net/spec/tms/2.0/conf/json-tilematrixsetlimits",
)
"""Conformance classes that the tile routes keep."""

_JSON_TYPES: Mapping[FieldType, Mapping[str, str]] = {
    FieldType.TEXT: {"type": "string"},
    FieldType.INTEGER: {"type": "integer"},
    FieldType.REAL: {"type": "number"},
    FieldType.BOOLEAN: {"type": "boolean"},
    FieldType.DATE: {"type": "string", "format": "date"},
    FieldType.TIMESTAMP: {"type": "string", "format": "date-time"},
}


def drawable(layers: Iterable[PublishedLayer]) -> tuple[PublishedLayer, ...]:
    """The layers among ``layers`` that have tiles."""
    return tuple(layer for layer in layers if has_tiles(layer.definition))


def bounds_of(layers: Iterable[PublishedLayer]) -> Box | None:
    """West, south, east, north around the data of the layers; None where there is none."""
    extents = [layer.extent for layer in layers if layer.extent is not None]
    if not extents:
        return None
    west, south, east, north = zip(*extents, strict=True)
    return (min(west), min(south), max(east), max(north))


def zoom_range(layers: Sequence[PublishedLayer], grid: Grid, last: int) -> tuple[int, int]:
    """First and last matrix in which any of the layers is drawn, within the grid and ``last``."""
    definitions = [layer.definition for layer in layers]
    low = max(min((d.minimum_zoom for d in definitions), default=grid.first), grid.first)
    high = min(max((d.maximum_zoom for d in definitions), default=grid.last), grid.last, last)
    return low, max(low, high)


def tilejson(
    layers: Sequence[PublishedLayer],
    grid: Grid,
    *,
    template: str,
    name: str,
    description: str,
    version: str,
) -> dict[str, Any]:
    """TileJSON 3.0.0. ``template`` is the absolute URL with {z}, {y} (row) and {x} (column).

    TileJSON knows Web Mercator only; for another grid the members ``crs`` and ``tileMatrixSet``
    say so, and only clients that read them (OpenLayers, not MapLibre) may use it.
    """
    low, high = zoom_range(layers, grid, OVERZOOM)
    body: dict[str, Any] = {
        "tilejson": "3.0.0",
        "name": name,
        "description": description,
        "version": version,
        "scheme": "xyz",
        "tiles": [template],
        "minzoom": low,
        "maxzoom": high,
        "vector_layers": [entry for layer in layers for entry in _vector_layers(layer, high)],
        "crs": grid.crs,
        "tileMatrixSet": grid.id,
    }
    bounds = bounds_of(layers)
    if bounds is not None:
        body["bounds"] = list(bounds)
        body["center"] = [(bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2, low]
    return body


def _vector_layers(layer: PublishedLayer, last: int) -> Iterable[dict[str, Any]]:
    definition = layer.definition
    if definition.minimum_zoom > last:
        return
    yield {
        "id": definition.name,
        "description": str(definition.title),
        "minzoom": definition.minimum_zoom,
        "maxzoom": min(definition.maximum_zoom, last),
        "fields": {f.name: _field_text(definition, f) for f in tile_fields(definition)},
    }
    zooms = label_zooms(definition)
    if zooms and definition.label_field:
        yield {
            "id": definition.name + LABEL_SUFFIX,
            "description": f"{definition.title.zh}注记点 {definition.title.en}, label points",
            "minzoom": zooms[0],
            "maxzoom": min(zooms[-1], last),
            "fields": {
                f.name: _field_text(definition, f)
                for f in tile_fields(definition)
                if f.name == definition.label_field
            },
        }


def _field_text(definition: LayerDefinition, field: TileField) -> str:
    title = definition.id_title if field.field is None else field.field.title
    return f"{title} ({field.type.value}, z{field.zoom}+)"


def tileset(
    layers: Sequence[PublishedLayer],
    grid: Grid,
    *,
    title: str,
    links: Sequence[Mapping[str, Any]],
    access: str,
) -> dict[str, Any]:
    """The TileSet object of OGC 17-083r4 clause 7.2 with its limits and layers."""
    body = tileset_item(grid, title=title, links=links)
    body["accessConstraints"] = access
    body["layers"] = [_layer(layer, grid) for layer in layers]
    bounds = bounds_of(layers)
    if bounds is not None:
        low, high = zoom_range(layers, grid, grid.last)
        body["tileMatrixSetLimits"] = [
            grid.limits(bounds, level).document() for level in range(low, high + 1)
        ]
        body["boundingBox"] = _bounding_box(bounds)
    if layers:
        body["updated"] = max(layer.updated_at for layer in layers).isoformat()
    return body


def tileset_item(grid: Grid, *, title: str, links: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The TileSetItem object of a list of tilesets."""
    return {
        "title": title,
        "dataType": "vector",
        "crs": grid.crs,
        "tileMatrixSetId": grid.id,
        "tileMatrixSetURI": grid.uri,
        "links": list(links),
    }


def _layer(layer: PublishedLayer, grid: Grid) -> dict[str, Any]:
    definition = layer.definition
    low, high = zoom_range([layer], grid, grid.last)
    body: dict[str, Any] = {
        "id": definition.name,
        "title": str(definition.title),
        "dataType": "vector",
        "minTileMatrix": str(low),
        "maxTileMatrix": str(high),
        "propertiesSchema": {
            "type": "object",
            "properties": {f.name: _schema(definition, f) for f in tile_fields(definition)},
        },
    }
    if definition.geometry is not None:
        body["geometryDimension"] = definition.geometry.dimension
    if str(definition.description).strip():
        body["description"] = str(definition.description)
    if layer.extent is not None:
        body["boundingBox"] = _bounding_box(layer.extent)
    return body


def _schema(definition: LayerDefinition, field: TileField) -> dict[str, Any]:
    title = definition.id_title if field.field is None else field.field.title
    body: dict[str, Any] = {"title": str(title), **_JSON_TYPES[field.type]}
    if field.field is not None and field.field.unit is not None:
        body["x-ogc-unit"] = field.field.unit
    return body


def _bounding_box(bounds: Box) -> dict[str, Any]:
    return {
        "lowerLeft": [bounds[0], bounds[1]],
        "upperRight": [bounds[2], bounds[3]],
        "crs": CRS84,
        "orderedAxes": ["Lon", "Lat"],
    }
