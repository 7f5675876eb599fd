"""The whole HTTP surface: every operation of every skin, in the order routes are tried."""

from __future__ import annotations

from functools import cache

from geoserver_py import (
    compat,
    features,
    gazetteer_routes,
    grid_routes,
    health,
    lineage_routes,
    metrics,
    ogc,
    openapi,
    parse_routes,
    position_routes,
    raster_routes,
    style_routes,
    tile_routes,
)
from geoserver_py.deliveries import routes as deliveries
from geoserver_py.jobs import routes as jobs
from geoserver_py.operations import Operation


@cache
def operations() -> tuple[Operation, ...]:
    """All operations; later skins never shadow a path of an earlier one."""
    return (
        *health.OPERATIONS,
        *metrics.OPERATIONS,
        *features.OPERATIONS,
        *lineage_routes.OPERATIONS,
        *tile_routes.OPERATIONS,
        *style_routes.OPERATIONS,
        *gazetteer_routes.OPERATIONS,
        *parse_routes.OPERATIONS,
        *compat.OPERATIONS,
        *grid_routes.OPERATIONS,
        *position_routes.OPERATIONS,
        *raster_routes.OPERATIONS,
        *deliveries.OPERATIONS,
        *openapi.OPERATIONS,
        *jobs.OPERATIONS,
        *ogc.OPERATIONS,
    )
