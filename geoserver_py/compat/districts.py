"""AMap's config/district: the tree of divisions with centres, levels and, if asked, outlines."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from gazetteer.index import GazetteerIndex
from gazetteer.records import Place
from gazetteer.store import Connection
from geoserver_py.compat.amap_habits import to_gcj
from geoserver_py.compat.amap_shapes import location, text
from geoserver_py.compat.areas import adcode, areas, telephone_area
from geoserver_py.compat.statements import statement

if TYPE_CHECKING:
    from geoserver_py.services import Services

_LEVEL = {2: "province", 4: "city", 6: "district", 9: "street"}
_BELOW = {2: 4, 4: 6, 6: 9}


async def districts(
    connection: Connection,
    index: GazetteerIndex,
    services: Services,
    keywords: str,
    *,
    depth: int,
    within: str,
    readable: Collection[str],
    outlines: bool,
) -> list[dict[str, Any]]:
    """The divisions that ``keywords`` names, each with ``depth`` levels below it.

    Outlines are GCJ-02 rings, only of the divisions named (as AMap does), and only where the
    polygons of their level are readable.
    """
    prefix = within.rstrip("0") if len(within) == 6 else within
    found = []
    for place in areas(index, services.profile, keywords):
        if not place.code.startswith(prefix):
            continue
        document = _document(index, services, place, depth)
        if outlines:
            document["polyline"] = text(await _outline(connection, services, place, readable))
        found.append(document)
    return found


def _document(
    index: GazetteerIndex, services: Services, place: Place, depth: int
) -> dict[str, Any]:
    code = place.code
    lon, lat = place.lon, place.lat
    if lon is None and code == services.profile.division_code:
        lon, lat = services.profile.center
    ours = len(code) >= 4
    below = _BELOW.get(len(code))
    parts = (
        []
        if depth == 0 or below is None
        else [
            _document(index, services, index.divisions[inner], depth - 1)
            for inner in sorted(index.divisions)
            if len(inner) == below and inner.startswith(code)
        ]
    )
    return {
        "citycode": text(telephone_area(services.profile) if ours else None),
        "adcode": adcode(code),
        "name": place.name,
        "center": location(to_gcj(services), lon, lat),
        "level": _LEVEL[len(code)],
        "districts": parts,
    }


async def _outline(
    connection: Connection, services: Services, place: Place, readable: Collection[str]
) -> str:
    """Rings "lng,lat;lng,lat" parted by |; '' where no polygon is known."""
    layer = "division_town" if len(place.code) == 9 else "division_county"
    if layer not in readable or len(place.code) < 4:
        return ""
    cursor = await connection.execute(
        statement("outline", layer), {"code": f"{place.code}%", "digits": max(len(place.code), 6)}
    )
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        return ""
    chain = services.registry.chain("cgcs2000", "gcj02")
    rings = []
    for polygon in shapely.get_parts(shapely.from_wkb(row[0])):
        corners = shapely.get_coordinates(shapely.get_exterior_ring(polygon))
        moved = np.column_stack(chain.apply(corners[:, 0], corners[:, 1])[:2])
        rings.append(";".join(f"{x:.8f},{y:.8f}" for x, y in moved.tolist()))
    return "|".join(rings)
