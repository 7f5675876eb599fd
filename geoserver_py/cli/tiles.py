"""`geoserver-py tiles`: what the vector tiles of the layers are."""

from __future__ import annotations

from typing import Any

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from geoserver_py.cli.output import JsonOption, emit
from geoserver_py.settings import load_settings
from layers.catalogue import PublishedLayer, load_catalogue
from tiles.grids import GRIDS
from tiles.metadata import OVERZOOM, drawable, zoom_range
from tiles.sql import tile_fields

app = typer.Typer(help="矢量瓦片 / vector tiles", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """矢量瓦片 / vector tiles."""


@app.command()
def info(as_json: JsonOption = False) -> None:
    """各图层的瓦片：级别、字段、数量 / zooms, fields and number of tiles of every layer."""
    with psycopg.connect(load_settings().dsn()) as connection:
        layers = [_row(layer) for layer in drawable(load_catalogue(connection).layers.values())]
    if as_json:
        emit(layers, as_json=True, line="")
        return
    table = Table(title=f"瓦片数计至第 {OVERZOOM} 级 / tiles counted down to zoom {OVERZOOM}")
    for heading in ("图层 layer", "级别 zooms", "字段 fields (from zoom)", *GRIDS):
        table.add_column(heading)
    for layer in layers:
        table.add_row(
            layer["layer"],
            f"{layer['zooms'][0]}-{layer['zooms'][1]}",
            " ".join(f"{name}({zoom})" for name, zoom in layer["fields"].items()),
            *(f"{count:,}" for count in layer["tiles"].values()),
        )
    Console().print(table)


def _row(layer: PublishedLayer) -> dict[str, Any]:
    definition = layer.definition
    return {
        "layer": definition.name,
        "title": str(definition.title),
        "access": definition.access.value,
        "revision": layer.revision,
        "features": layer.feature_count,
        "zooms": [definition.minimum_zoom, definition.maximum_zoom],
        "fields": {field.name: field.zoom for field in tile_fields(definition)},
        "tiles": {name: _tiles(layer, name) for name in GRIDS},
    }


def _tiles(layer: PublishedLayer, grid_name: str) -> int:
    """Number of tiles that the layer's extent touches, down to OVERZOOM."""
    if layer.extent is None:
        return 0
    grid = GRIDS[grid_name]
    low, high = zoom_range([layer], grid, OVERZOOM)
    return sum(grid.limits(layer.extent, level).count for level in range(low, high + 1))
