"""Plans of tiles: kept for the next tile, but not for every order that a client can think of."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

from layers.catalogue import Catalogue, PublishedLayer
from layers.definition import load_definitions
from tiles.cache import TileCache
from tiles.grids import GRIDS
from tiles.server import MOST_PLANS, TileServer


def test_a_client_that_asks_in_every_order_does_not_fill_the_memory() -> None:
    names = ("road", "building", "water_area", "land_use", "address", "component", "poi")
    definitions = load_definitions()
    layers = [
        PublishedLayer(definitions[name], 1, 1, None, None, (), None, None, datetime.now(UTC))
        for name in names
        if name in definitions
    ]
    catalogue = Catalogue(1, {layer.name: layer for layer in layers})
    server, grid = TileServer(TileCache(limit=0)), GRIDS["WebMercatorQuad"]
    for order in itertools.islice(itertools.permutations(layers), 720):
        for zoom in (14, 15, 16, 17):
            server.plan(catalogue, order, grid, zoom)
        assert len(server._plans) <= MOST_PLANS
    assert server.plan(catalogue, order, grid, 17) is server.plan(catalogue, order, grid, 17)
