"""One stated position, as a request or a form carries it, brought to CGCS2000."""

from __future__ import annotations

import math
from dataclasses import dataclass

from etl.datum.coordsys import Coordsys, false_easting
from etl.datum.errors import PositionError
from etl.datum.registry import DatumChain, DatumRegistry

# A Gauss-Krueger easting lies within 500 km of its false easting even in a 6-degree zone.
_HALF_WIDTH_M = 500_000.0


@dataclass(frozen=True, slots=True)
class Position:
    """`lon`, `lat` in CGCS2000 degrees and the chain that led there from `coordsys`."""

    lon: float
    lat: float
    coordsys: Coordsys
    chain: DatumChain

    @property
    def accuracy_m(self) -> float:
        """Stated accuracy of the datum steps, metres."""
        return self.chain.accuracy_m


def zone_code(zone: int) -> int | None:
    """EPSG code of the zone-prefixed CGCS2000 grid: 3-degree zones 25-45, 6-degree 13-23."""
    if 25 <= zone <= 45:
        return 4513 + zone - 25
    if 13 <= zone <= 23:
        return 4491 + zone - 13
    return None


def easting_problem(system: Coordsys, east: float) -> str | None:
    """The sentence that says why an easting cannot belong to a grid, or None.

    A zone prefix is never stripped or added in silence: the caller states the prefixed code.
    """
    origin = None if system.epsg is None else false_easting(system.epsg)
    if origin is None or abs(east - origin) <= _HALF_WIDTH_M:
        return None
    zone = int(east // 1_000_000)
    if origin < 1_000_000 and zone_code(zone) is not None:
        code = f"epsg:{zone_code(zone)}"
        return (
            f"东坐标 {east:.3f} 带有带号 {zone}，而 {system.name} 不带带号："
            f"请写明 coordsys={code}。"
            f" The easting carries zone {zone} but {system.name} has no zone prefix: state {code}."
        )
    if origin >= 1_000_000 and 0 < east < 1_000_000:
        zone = int(origin // 1_000_000)
        return (
            f"{system.name} 的东坐标应以带号 {zone} 开头，收到 {east:.3f}："
            "请补带号，或写明不带带号的坐标系。"
            f" Eastings of {system.name} start with zone {zone}; got {east:.3f} without it."
        )
    return (
        f"东坐标 {east:.3f} 不在 {system.name} 的范围内（北、东是否写反？）。"
        f" The easting {east:.3f} is outside {system.name} (north and east exchanged?)."
    )


def locate(
    registry: DatumRegistry,
    coordsys: str | Coordsys,
    *,
    lon: float | None = None,
    lat: float | None = None,
    north: float | None = None,
    east: float | None = None,
) -> Position:
    """Position from lon+lat (geographic) or north+east (plane) of a stated coordsys.

    Raises UnknownCoordsys, DatumRefused, or PositionError with a sentence for the caller.
    """
    system = coordsys if isinstance(coordsys, Coordsys) else registry.parse(coordsys)
    plane = system.kind == "plane"
    wanted, other = ((east, north), (lon, lat)) if plane else ((lon, lat), (east, north))
    names = "north 和 east" if plane else "lon 和 lat"
    if any(value is not None for value in other) or None in wanted:
        raise PositionError(
            f"{system.name} 的位置须给 {names}。"
            f" A position in {system.name} is given as {names.replace('和', 'and')}."
        )
    x, y = (float(value) for value in wanted if value is not None)
    if not (math.isfinite(x) and math.isfinite(y)):
        raise PositionError("坐标不是有限的数。The coordinates are not finite numbers.")
    if plane:
        problem = easting_problem(system, x)
        if problem is not None:
            raise PositionError(problem)
    elif abs(x) > 180 or abs(y) > 90:
        raise PositionError(
            f"经度须在 ±180、纬度须在 ±90 之内，收到 lon={x} lat={y}（经纬度是否写反？）。"
            f" lon must be within ±180 and lat within ±90; got lon={x} lat={y} (exchanged?)."
        )
    chain = registry.chain(system)
    out_lon, out_lat = chain.point(x, y)
    if not (math.isfinite(out_lon) and math.isfinite(out_lat) and abs(out_lat) <= 90):
        raise PositionError(
            f"{system.name} 中没有这个位置（{x}, {y}）。"
            f" There is no such position in {system.name} ({x}, {y})."
        )
    return Position(out_lon, out_lat, system, chain)
