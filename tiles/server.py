"""From a tile address to encoded bytes: plan, cache, one query for identical misses."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from psycopg.types.numeric import Int4

from layers.catalogue import Catalogue, PublishedLayer
from tiles.cache import EncodedTile, SingleFlight, TileCache, compress
from tiles.grids import Grid
from tiles.sql import BUFFER, EXTENT, tile_parameters, tile_statement

ROUNDING = 1e-6
"""Share of a tile's width by which extents may be rounded."""

MOST_PLANS = 2_000
"""Plans kept, 5 KB each; a map asks for one a zoom and set of layers that reach a tile."""

Fetch = Callable[[bytes, Mapping[str, Int4]], Awaitable[bytes]]
"""Runs a tile statement with its parameters and returns the tile's bytes."""


class Address(NamedTuple):
    """A tile of a grid, in OGC order: row before column."""

    grid: str
    zoom: int
    row: int
    col: int


@dataclass(frozen=True)
class TilePlan:
    """What a tile of given layers at a zoom takes: its statement, and a name of its content.

    ``version`` changes with every revision of the layers and with every change of the statement,
    and so tells tiles apart without asking the database. ``statement`` is None where no layer is
    drawn at the zoom.
    """

    statement: bytes | None
    version: str

    def etag(self, address: Address, *, gzipped: bool) -> str:
        """The entity tag, different for each encoding (RFC 9110, 8.8.3.3)."""
        coding = "g" if gzipped else "i"
        return f'"{self.version}-{address.zoom}.{address.row}.{address.col}-{coding}"'


class Served(NamedTuple):
    """A tile with how it was come by: cache hit or not, milliseconds of query and compression."""

    tile: EncodedTile
    hit: bool
    query_ms: float
    compress_ms: float


@dataclass
class TileServer:
    """Serves tiles of one process. Plans live as long as the catalogue they were made from."""

    cache: TileCache
    _flights: SingleFlight[Served] = field(default_factory=SingleFlight, repr=False)
    _plans: dict[tuple[tuple[str, ...], str, int], TilePlan] = field(
        default_factory=dict, repr=False
    )
    _catalogue: Catalogue | None = field(default=None, repr=False)

    def plan(
        self, catalogue: Catalogue, layers: tuple[PublishedLayer, ...], grid: Grid, zoom: int
    ) -> TilePlan:
        """The plan of the tiles of ``layers`` (already checked to be visible) at a zoom."""
        if catalogue is not self._catalogue:
            self._plans.clear()
            self._catalogue = catalogue
        key = (tuple(layer.definition.name for layer in layers), grid.id, zoom)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= MOST_PLANS:  # clients choose the layers and their order
                self._plans.clear()
            plan = self._plans[key] = make_plan(layers, grid, zoom)
        return plan

    async def tile(
        self, plan: TilePlan, address: Address, fetch: Fetch, *, gzipped: bool
    ) -> Served:
        """The tile at an address, from the cache or through ``fetch``.

        The key needs no principal: a plan names exactly the layers that the caller may read, and
        a tile is the same for everybody who may read its layers.
        """
        key = (plan.version, *address)
        kept = self.cache.get(key)
        if kept is not None and (kept.gzipped or not gzipped or not kept.body):
            return Served(kept, True, 0.0, 0.0)
        if kept is not None:
            started = time.perf_counter()
            packed = await compress(kept.body)
            self.cache.put(key, packed)
            return Served(packed, True, 0.0, _milliseconds(started))
        return await self._flights.run(
            (key, gzipped), lambda: self._make(plan, address, fetch, key, gzipped)
        )

    async def _make(
        self,
        plan: TilePlan,
        address: Address,
        fetch: Fetch,
        key: tuple[str | int, ...],
        gzipped: bool,
    ) -> Served:
        if plan.statement is None:
            return Served(EncodedTile(b"", gzipped=False), False, 0.0, 0.0)
        started = time.perf_counter()
        body = await fetch(plan.statement, tile_parameters(address.zoom, address.row, address.col))
        query_ms = _milliseconds(started)
        started = time.perf_counter()
        tile = await compress(body) if gzipped else EncodedTile(body, gzipped=False)
        self.cache.put(key, tile)
        return Served(tile, False, query_ms, _milliseconds(started) if gzipped else 0.0)


def reaching(
    layers: tuple[PublishedLayer, ...], grid: Grid, address: Address
) -> tuple[PublishedLayer, ...]:
    """The layers that can have features in a tile: the extent of a layer covers all of them.

    Most layers of a city with foreign sets beside it are far away from most tiles, and even an
    empty SELECT costs 0.2 ms of planning.
    """
    west, south, east, north = grid.degrees(
        address.zoom, address.row, address.col, BUFFER / EXTENT + ROUNDING
    )
    return tuple(
        layer
        for layer in layers
        if layer.extent is not None
        and layer.extent[0] <= east
        and layer.extent[2] >= west
        and layer.extent[1] <= north
        and layer.extent[3] >= south
    )


def make_plan(layers: tuple[PublishedLayer, ...], grid: Grid, zoom: int) -> TilePlan:
    """Compile the statement and name the content of tiles of ``layers`` at a zoom.

    The time of the last update goes into the name beside the revision: a database that was built
    anew counts revisions from the start, and a browser may still hold tiles of the old one.
    """
    composed = tile_statement((layer.definition for layer in layers), grid, zoom)
    statement = None if composed is None else composed.as_bytes(None)
    name = hashlib.blake2b(statement or b"", digest_size=8)
    for layer in layers:
        name.update(f"{layer.definition.name}:{layer.revision}:{layer.updated_at}".encode())
    return TilePlan(statement, name.hexdigest())


def _milliseconds(started: float) -> float:
    return (time.perf_counter() - started) * 1000
