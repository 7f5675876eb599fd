"""A position in a request: parameters, and the one way they become CGCS2000.

A position is lon+lat for geographic datums and north+east for plane grids, never a bare x and y,
and never without its ``coordsys``: city management's phones send GCJ-02, 560 m off in Meizhou.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etl.datum import DatumError, Position, UnknownCoordsys, locate
from geoserver_py.operations import Parameter
from geoserver_py.problems import Problem, invalid_parameter
from geoserver_py.services import Services
from layers.definition import Title

POSITION_PARAMETERS = (
    Parameter(
        "coordsys",
        {"type": "string", "maxLength": 60},
        Title("坐标系，必填", "Coordinate system of the position, required: gcj02, epsg:4548…"),
        example="gcj02",
    ),
    Parameter(
        "lon",
        {"type": "number"},
        Title("经度（度），与 lat 同用", "Longitude in degrees, with lat"),
        example=116.12243233,
    ),
    Parameter(
        "lat",
        {"type": "number"},
        Title("纬度（度），与 lon 同用", "Latitude in degrees, with lon"),
        example=24.285977,
    ),
    Parameter(
        "north",
        {"type": "number"},
        Title("北坐标 X（米），用于平面坐标系", "Northing in metres, for plane grids"),
    ),
    Parameter(
        "east",
        {"type": "number"},
        Title("东坐标 Y（米），用于平面坐标系", "Easting in metres, for plane grids"),
    ),
)


def has_position(arguments: Mapping[str, Any]) -> bool:
    """Whether any coordinate was given."""
    return any(arguments.get(name) is not None for name in ("lon", "lat", "north", "east"))


def position_of(services: Services, arguments: Mapping[str, Any]) -> Position:
    """The position that checked arguments state, in CGCS2000 (x = lon, y = lat, degrees).

    Raises Problem 400: no coordsys (lists what is accepted), an unknown or unregistered one,
    the wrong pair of coordinates for it, or coordinates that cannot be.
    """
    accepted = (*services.profile.accepted_coordsys, *services.registry.grids)
    coordsys = arguments.get("coordsys")
    if coordsys is None:
        raise Problem(
            400,
            "coordsys-required",
            zh="坐标必须注明坐标系：请给出 coordsys。",
            en="(a coordinate without a stated datum is not accepted: give coordsys)",
            parameter="coordsys",
            accepted=accepted,
        )
    try:
        return locate(
            services.registry,
            coordsys,
            lon=arguments.get("lon"),
            lat=arguments.get("lat"),
            north=arguments.get("north"),
            east=arguments.get("east"),
        )
    except UnknownCoordsys as unknown:
        raise invalid_parameter(
            "coordsys",
            zh=f"未知坐标系 {coordsys[:60]!r}，可用 {'、'.join(accepted)}。",
            en=f"no coordinate system {coordsys[:60]!r} is known; use {', '.join(accepted)}",
            accepted=accepted,
        ) from unknown
    except DatumError as refused:
        raise Problem(
            400,
            "position-refused",
            zh=str(refused),
            en="",
            parameter="coordsys",
            accepted=accepted,
        ) from refused


def require_inside_city(services: Services, position: Position) -> None:
    """Raise Problem 404 when a position lies outside the city's frame; says where it came to."""
    if not services.profile.extent.contains(position.lon, position.lat):
        raise Problem(
            404,
            "outside-city",
            zh=f"位置（{position.lon:.6f}, {position.lat:.6f}，CGCS2000）不在"
            f"{services.profile.title.zh}范围内，请检查 coordsys 与坐标。",
            en=f"(outside {services.profile.title.en}; check coordsys and the coordinates)",
        )
