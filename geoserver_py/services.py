"""What a request handler may use: settings, profile, datum registry, pools, live catalogue.

One ``Services`` per worker process, opened and closed with the application.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import math
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import psycopg

from etl.datum import DatumRegistry
from etl.datum.store import load_registry_async
from gazetteer.service import GazetteerService
from geoserver_py.pools import Pools, open_pools
from geoserver_py.problems import Problem
from geoserver_py.settings import Settings
from layers.access import Principal
from layers.catalogue import Catalogue, catalogue_state, load_catalogue_async
from layers.city import CityProfile, load_city
from layers.definition import DefinitionError
from layers.keys import load_principals
from layers.query import Density, load_densities
from layers.rasters import NO_RASTERS, Rasters, load_rasters_async
from tiles.cache import TileCache
from tiles.server import TileServer

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
"""How often a worker looks whether the catalogue moved; bounds how stale an answer may be."""

DENSITY_SECONDS = 20.0
"""How often a worker looks whether layers were analysed since."""


@dataclass
class Services:
    """The parts of a running service; catalogue and principals are replaced, never changed."""

    settings: Settings
    profile: CityProfile
    registry: DatumRegistry
    pools: Pools
    gazetteer: GazetteerService
    tiles: TileServer
    catalogue: Catalogue
    principals: Mapping[str, Principal]
    """Principals by the hash of their API key."""
    densities: Mapping[str, Density] = field(default_factory=dict)
    """Where the rows of each layer lie; a guess that chooses between ways to the same answer."""
    rasters: Rasters = NO_RASTERS
    looked_at: float = field(default_factory=time.monotonic)
    """When the catalogue was last compared with the store (time.monotonic); asked by /readyz."""
    _state: tuple[int, int] = field(default=(-1, -1), repr=False)
    _densities_at: float = field(default=-math.inf, repr=False)

    async def refresh(self) -> bool:
        """Load catalogue and keys again if either moved; returns whether they had."""
        async with self.pools.control() as connection:
            state = await catalogue_state(connection)
            if time.monotonic() - self._densities_at > DENSITY_SECONDS:
                self.densities = await load_densities(connection, self.densities)
                self._densities_at = time.monotonic()
            if state == self._state:
                return False
            self.catalogue = await load_catalogue_async(connection)
            self.rasters = await load_rasters_async(connection)
            self.principals = await load_principals(connection)
            self.registry = await load_registry_async(connection)
            self._state = state
        return True

    async def follow(self) -> None:
        """Keep catalogue, keys and gazetteer fresh until cancelled; survives a lost database.

        A pool that is full or a query that ran out of time is a Problem, and no reason to end: a
        worker that no longer looked would honour revoked keys for ever.
        """
        trouble = ""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self.look()
            except (psycopg.Error, Problem, DefinitionError) as lost:
                if str(lost) != trouble:  # said once, not twice a second
                    trouble = str(lost)
                    log.warning("catalogue not refreshed, serving what is known: %s", lost)
            else:
                if trouble:
                    trouble = ""
                    log.warning("catalogue refreshed again")

    async def look(self) -> None:
        """Take over what moved in catalogue, keys and names."""
        await self.refresh()
        # also when nothing moved: the last look may have failed, and a look costs nothing
        await self.gazetteer.follow(self.catalogue)
        self.looked_at = time.monotonic()


@contextlib.asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open pools, load the catalogue and the gazetteer, follow changes; close all on exit."""
    profile = load_city(settings.city)
    async with open_pools(settings) as pools:
        services = Services(
            settings=settings,
            profile=profile,
            registry=DatumRegistry(),
            pools=pools,
            gazetteer=GazetteerService(pools.control, profile),
            tiles=TileServer(TileCache(limit=settings.tile_cache_mb * 1024 * 1024)),
            catalogue=Catalogue(generation=-1, layers={}),
            principals={},
        )
        try:
            await services.look()
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as older:
            # /readyz says which version it wants; once migrated, the follower finds it
            log.error(
                "数据库结构不是最新版本，请运行 geoserver-py db migrate "
                "(the schema is older than this program: %s)",
                str(older).partition("\n")[0],
            )
        # what was loaded stays: a search for garbage in it held every answer up for 0.2 s
        gc.collect()
        gc.freeze()
        follower = asyncio.create_task(services.follow(), name="catalogue-follower")
        try:
            yield services
        finally:
            follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await follower
