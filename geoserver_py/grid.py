"""Place an event in its unit grid cell: who is responsible, and which thing is concerned."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from psycopg.rows import dict_row

from etl.datum import Position, format_readout, locate, step_json
from geoserver_py.grid_inputs import Category, EventRequest
from geoserver_py.positions import position_of, require_inside_city
from geoserver_py.problems import Problem
from geoserver_py.services import Services
from layers.access import Principal

UNIT_GRID = "unit_grid"
COMPONENT = "component"
DIVISIONS = "division_name"

EDGE_TOLERANCE_DEGREES = 5e-8
"""5 mm: more than notations of one position differ by (8 decimals of GCJ-02 are 1 mm)."""

COMPONENT_RADIUS_M = 200.0
"""A component farther away is not the one that a report is about."""

_VILLAGE_DIGITS, _TOWN_DIGITS, _COUNTY_DIGITS = 12, 9, 6


@cache
def _sql(name: str) -> str:
    # files of this package, never a client's text
    return (resources.files("geoserver_py") / "sql" / f"{name}.sql").read_text("utf-8")


async def locate_event(
    services: Services, principal: Principal, request: EventRequest
) -> dict[str, Any]:
    """Cell, divisions, nearest component and department of an event, as a JSON object.

    Positions out are CGCS2000 degrees, and metres north and east on the city's plane grid.
    Raises Problem 400 for a position without datum, 404 outside the city or outside every cell.
    """
    address: dict[str, Any] | None = None
    if request.position is not None:
        position = position_of(services, request.position)
    else:
        position, address = await _position_of_address(services, principal, request.address or "")
    require_inside_city(services, position)
    cell = await _cell(services, principal, position)
    component = await _component(services, principal, position, request.category)
    document: dict[str, Any] = {
        **describe_position(services, position),
        "cell": {key: value for key, value in cell.items() if key != "village_code"},
        **await _divisions(services, principal, str(cell["village_code"])),
        "category": None
        if request.category is None
        else {"code": request.category.code, "name": request.category.name},
        "component": component,
        "department": _department(services, request.category, cell, component),
    }
    if address is not None:
        document["address"] = address
    return document


async def _position_of_address(
    services: Services, principal: Principal, text: str
) -> tuple[Position, dict[str, Any]]:
    """The one place an address means; a guess between equals would send people astray.

    Raises Problem 404 when nothing is known of it, 409 when it is ambiguous or too coarse.
    """
    answer = await services.gazetteer.match(services.pools.lookups, principal, text)
    if not answer.candidates:
        raise Problem(
            404,
            "address-not-found",
            zh=f"地址 {text!r} 没有找到。",
            en="(address not found; give a position, or more of the address)",
            parameter="address",
        )
    best = answer.candidates[0]
    if best.lon is None or best.lat is None or answer.ambiguous:
        raise Problem(
            409,
            "address-ambiguous",
            zh=f"地址 {text!r} 不能确定为一处，请补充上级地名或门牌号。",
            en="(the address does not say one place; accepted lists the readings)",
            parameter="address",
            accepted=[candidate.label for candidate in answer.candidates[:10]],
        )
    position = locate(services.registry, "cgcs2000", lon=best.lon, lat=best.lat)
    return position, {
        "label": best.label,
        "level": best.level.value,
        "score": best.score,
        "error_m": best.error_m,
    }


def describe_position(services: Services, position: Position) -> dict[str, Any]:
    """A position in CGCS2000 and on the plane grid, with the datum steps that led there."""
    document: dict[str, Any] = {
        "coordsys": "cgcs2000",
        "lon": round(position.lon, 9),
        "lat": round(position.lat, 9),
        "readout": format_readout(position.lon, position.lat, services.profile),
        "datum": {
            "source": position.coordsys.name,
            "accuracy_m": position.accuracy_m,
            "steps": [step_json(step) for step in position.chain.steps],
        },
    }
    grid = services.profile.plane_grid
    if grid is not None:
        chain = services.registry.chain("cgcs2000", grid.crs)
        east, north = chain.point(position.lon, position.lat)
        document["plane"] = {
            "coordsys": grid.crs.lower(),
            "north": round(north, 4),
            "east": round(east, 4),
        }
    return document


async def _cell(services: Services, principal: Principal, position: Position) -> dict[str, Any]:
    services.catalogue.layer(UNIT_GRID, principal)
    row = await _first(
        services,
        "unit_grid_cell",
        lon=position.lon,
        lat=position.lat,
        tolerance=EDGE_TOLERANCE_DEGREES,
        today=datetime.now(ZoneInfo(services.profile.calendar.timezone)).date(),
    )
    if row is None:
        raise Problem(
            404,
            "outside-grid",
            zh=f"位置（{position.lon:.6f}, {position.lat:.6f}，CGCS2000）不在任何单元网格内。",
            en="(in no unit grid cell; check coordsys, or the grid is not drawn here yet)",
        )
    return row


async def _component(
    services: Services, principal: Principal, position: Position, category: Category | None
) -> dict[str, Any] | None:
    """The nearest component of the category's class; None without one in reach or in sight."""
    readable = {layer.definition.name for layer in services.catalogue.visible_to(principal)}
    if category is None or category.component_class is None or COMPONENT not in readable:
        return None
    row = await _first(
        services,
        "nearest_component",
        lon=position.lon,
        lat=position.lat,
        class_code=category.component_class,
        radius_m=COMPONENT_RADIUS_M,
    )
    if row is None or row["distance_m"] > COMPONENT_RADIUS_M:
        return None
    return {**row, "distance_m": round(row["distance_m"], 2), "coordsys": "cgcs2000"}


async def _divisions(
    services: Services, principal: Principal, village_code: str
) -> dict[str, dict[str, str | None]]:
    """Community, street and county of a 12-digit code, by their names in the register."""
    services.catalogue.layer(DIVISIONS, principal)
    codes = {
        "community": village_code[:_VILLAGE_DIGITS],
        "street": village_code[:_TOWN_DIGITS],
        "county": village_code[:_COUNTY_DIGITS],
    }
    async with services.pools.reads() as connection:
        cursor = await connection.execute(
            "SELECT id, name FROM layer.division_name WHERE id = ANY(%s)", [list(codes.values())]
        )
        names = {str(code): str(name) for code, name in await cursor.fetchall()}
    return {level: {"code": code, "name": names.get(code)} for level, code in codes.items()}


def _department(
    services: Services,
    category: Category | None,
    cell: dict[str, Any],
    component: dict[str, Any] | None,
) -> dict[str, Any]:
    """Who answers: the component's own department, else the category's, else the cell's body."""
    if component is not None and component["department"]:
        return {
            "code": component["department_code"],
            "name": component["department"],
            "basis": "component",
        }
    by_prefix = services.profile.codes.get("departments", {})
    if category is not None:
        for length in range(len(category.code), 1, -1):
            name = by_prefix.get(category.code[:length])
            if name is not None:
                return {"code": None, "name": name, "basis": "category"}
    return {"code": None, "name": cell["responsible"], "basis": "cell"}


async def _first(services: Services, statement: str, **values: Any) -> dict[str, Any] | None:
    async with services.pools.reads() as connection:
        cursor = connection.cursor(row_factory=dict_row)
        await cursor.execute(_sql(statement), values)
        return await cursor.fetchone()
