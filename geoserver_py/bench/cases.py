"""The cases: for each the paths asked of every server, the statements of bare SQL, the goals."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from geoserver_py.bench.draws import (
    Bounds,
    Tile,
    boxes,
    classify,
    least_time,
    tiles,
)
from geoserver_py.bench.plan import Plan
from geoserver_py.bench.scripts import items_scripts, tile_script
from geoserver_py.bench.stats import Goal
from geoserver_py.pools import AREAS, LOOKUPS, READS
from layers.definition import LayerDefinition, load_definitions
from layers.query import Density, load_densities
from tiles.grids import GRIDS
from tiles.sql import in_zoom_range, tile_fields, tile_parameters, tile_statement

GOALS = (
    Goal("items10", "tipg", 20),
    Goal("items10", "pygeoapi", 25),
    Goal("points1000", "sql", 0.75),
    Goal("points1000", "tipg", 25),
    Goal("points1000", "pygeoapi", 15),
    Goal("polygons1000", "sql", 0.60),
    Goal("polygons1000", "tipg", 25),
    Goal("polygons1000", "pygeoapi", 15),
    Goal("tiles-1ms", "sql", 0.60),
    Goal("tiles-5ms", "sql", 0.85),
    Goal("tiles-20ms", "sql", 0.90),
    Goal("tiles-1ms", "tipg", 1.4),
    Goal("tiles-5ms", "tipg", 1.4),
    Goal("tiles-20ms", "tipg", 1.4),
)

SHORT = ("class_code", "name", "state")
"""Fields of points1000: with these 1 000 components are about 200 KB of GeoJSON."""

CLASSES = (("tiles-1ms", 0.6, 1.7), ("tiles-5ms", 3.5, 7.0), ("tiles-20ms", 13.0, 30.0))
ZOOMS = (12, 14, 16)
CLASS_ZOOMS = (13, 14, 15, 16, 17, 18)


def goals(processes: int) -> tuple[Goal, ...]:
    """Return the goals; those on items hold as well with several processes of every server."""
    if processes == 1:
        return GOALS
    items = (goal for goal in GOALS if not goal.case.startswith("tiles"))
    return (
        *GOALS,
        *(replace(goal, case=_several(goal.case, processes)) for goal in items),
    )


def _several(case: str, processes: int) -> str:
    return f"{case}-{processes}-processes"


@dataclass(frozen=True)
class Case:
    """A case; `paths` by server name, `scripts` of bare SQL with their weights, and how the
    service's sessions for it plan (PostgreSQL's plan_cache_mode)."""

    name: str
    about: str
    paths: Mapping[str, tuple[str, ...]]
    scripts: tuple[tuple[str, int], ...]
    plans: str = READS.plans

    @property
    def is_tiles(self) -> bool:
        """Whether the answers are vector tiles."""
        return self.name.startswith("tiles")

    def with_processes(self, number: int) -> Case:
        """Return the same case, for servers of so many processes each."""
        return replace(
            self,
            name=_several(self.name, number),
            about=f"{self.about}; {number} processes of every server",
        )


def item_cases(connection: psycopg.Connection, plan: Plan) -> list[Case]:
    """Return the cases on items, their areas drawn where features are."""
    known = load_definitions()
    component, building = known["component"], known["building"]
    around = {
        layer.name: boxes(connection, layer.name, plan.urls, 1100, 3000)
        for layer in (component, building)
    }
    densities = asyncio.run(_densities(connection.info.dsn))
    first = [_items_paths(layer.name, 10, [], ()) for layer in (component, building)]
    made = [
        Case(
            "items10",
            "items, limit=10, first page of components and of buildings in turn",
            {server: first[0][server] + first[1][server] for server in first[0]},
            items_scripts(component, 10) + items_scripts(building, 10),
            plans=LOOKUPS.plans,
        )
    ]
    for name, about, layer, limit, fields in (
        ("items10-bbox", "items, limit=10 with a bbox, components", component, 10, ()),
        (
            "points1000",
            f"items, limit=1000 with a bbox, components with properties={','.join(SHORT)}",
            component,
            1000,
            SHORT,
        ),
        ("polygons1000", "items, limit=1000 with a bbox, buildings", building, 1000, ()),
        (
            "points1000-all",
            "items, limit=1000 with a bbox, components with all 19 fields",
            component,
            1000,
            (),
        ),
    ):
        areas = around[layer.name]
        scripts = items_scripts(layer, limit, areas, fields, densities.get(layer.name))
        made.append(
            Case(
                name,
                about,
                _items_paths(layer.name, limit, areas, fields),
                scripts,
                # the pages of several scripts are read in several ways, planned in two
                plans=AREAS.plans if len(scripts) == 1 else READS.plans,
            )
        )
    return made


async def _densities(dsn: str) -> dict[str, Density]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        return await load_densities(connection, {})


def _items_paths(
    layer: str, limit: int, areas: Sequence[Bounds], fields: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    chosen = f"&properties={','.join(fields)}" if fields else ""
    boxed = [f"&bbox={','.join(f'{value:.6f}' for value in area)}" for area in areas] or [""]
    return {
        server: tuple(
            f"/collections/{name}/items?f={form}&limit={limit}{chosen}{box}" for box in boxed
        )
        for server, name, form in (
            ("geoserver_py", layer, "json"),
            ("tipg", f"bench.{layer}", "geojson"),
            ("pygeoapi", layer, "json"),
        )
    }


def tile_cases(connection: psycopg.Connection, plan: Plan) -> list[Case]:
    """Return the cases on tiles: buildings by zoom, and tiles of both layers by what they cost."""
    known = load_definitions()
    made = []
    for zoom in ZOOMS:
        drawn = tiles(connection, "building", zoom, plan.urls)
        about = f"tiles of buildings at z{zoom}, {len(drawn)} different"
        made.append(_tile_case(f"tiles-z{zoom}", about, known, drawn))
    groups = classify(
        _candidates(connection, known, plan.urls),
        lambda tile: _cost(connection, known, tile),
        CLASSES,
        plan.urls,
    )
    for name, low, high in CLASSES:
        if groups[name]:
            about = f"tiles that cost bare SQL {low} to {high} ms, {len(groups[name])} different"
            made.append(_tile_case(name, about, known, groups[name]))
    return made


def _candidates(
    connection: psycopg.Connection, known: Mapping[str, LayerDefinition], number: int
) -> list[Tile]:
    """Tiles of all kinds in turn, so that no class is of one zoom and layer only."""
    kinds = [
        tiles(connection, layer, zoom, number)
        for zoom in CLASS_ZOOMS
        for layer in ("building", "component")
        if in_zoom_range(known[layer], zoom)
    ]
    longest = max(map(len, kinds))
    return [kind[place] for place in range(longest) for kind in kinds if place < len(kind)]


def _cost(
    connection: psycopg.Connection, known: Mapping[str, LayerDefinition], tile: Tile
) -> float:
    composed = tile_statement([known[tile.layer]], GRIDS["WebMercatorQuad"], tile.zoom)
    if composed is None:
        return 0.0
    parameters = tile_parameters(tile.zoom, tile.row, tile.col)
    return least_time(connection, composed.as_bytes(None), parameters, 3)


def _tile_case(
    name: str, about: str, known: Mapping[str, LayerDefinition], drawn: Sequence[Tile]
) -> Case:
    kinds: dict[tuple[str, int], list[Tile]] = {}
    for tile in drawn:
        kinds.setdefault((tile.layer, tile.zoom), []).append(tile)
    return Case(
        name,
        about,
        {
            "geoserver_py": tuple(
                f"/collections/{t.layer}/tiles/WebMercatorQuad/{t.zoom}/{t.row}/{t.col}"
                for t in drawn
            ),
            "tipg": tuple(_tipg_path(known[t.layer], t) for t in drawn),
        },
        tuple((tile_script(known, group), len(group)) for group in kinds.values()),
    )


def _tipg_path(layer: LayerDefinition, tile: Tile) -> str:
    """The same tile with the same attributes; tipg takes column before row."""
    fields = ["fid", *(f.name for f in tile_fields(layer) if f.zoom <= tile.zoom)]
    return (
        f"/collections/bench.{tile.layer}/tiles/WebMercatorQuad"
        f"/{tile.zoom}/{tile.col}/{tile.row}?properties={','.join(fields)}"
    )


def write_paths(plan: Plan, case: Case, server: str) -> Path:
    """Write the paths of a case for a server; return the file."""
    plan.raw.mkdir(parents=True, exist_ok=True)
    path = plan.raw / f"{case.name}.{server}.paths"
    path.write_text("\n".join(case.paths[server]) + "\n", "utf-8")
    return path


def write_scripts(plan: Plan, case: Case) -> list[tuple[Path, int]]:
    """Write the pgbench scripts of a case; return files and weights."""
    plan.sql.mkdir(parents=True, exist_ok=True)
    made = []
    for number, (text, weight) in enumerate(case.scripts):
        path = plan.sql / f"{case.name}.{number}.sql"
        path.write_text(text, "utf-8")
        made.append((path, weight))
    return made
