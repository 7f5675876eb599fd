"""Lines to draw behind the places of a report: county borders, where they are loaded."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
import shapely

from etl.report.sketch import Lines
from layers.city import CityProfile

_BORDERS = """
SELECT ST_AsBinary(ST_SimplifyPreserveTopology(ST_Boundary(geom), 0.001))
FROM layer.division_county WHERE geom && ST_MakeEnvelope(%s, %s, %s, %s, 4490)
"""


def county_borders(connection: psycopg.Connection[Any], profile: CityProfile) -> Lines:
    """Borders within the city's extent, lon/lat CGCS2000; none where the layer is not there."""
    if connection.execute("SELECT to_regclass('layer.division_county')").fetchone() == (None,):
        return ()
    extent = profile.extent
    rows = connection.execute(_BORDERS, [extent.west, extent.south, extent.east, extent.north])
    lines: list[Any] = []
    for (wkb,) in rows:
        if wkb is not None:
            parts = shapely.get_parts(shapely.from_wkb(bytes(wkb)))
            lines += [shapely.get_coordinates(part) for part in parts]
    return tuple(np.asarray(line, dtype=np.float64) for line in lines if len(line) > 1)
