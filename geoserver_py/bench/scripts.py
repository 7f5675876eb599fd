"""pgbench scripts of the very statements that the service sends, taken from its compilers.

A script draws one of the prepared areas or tiles a transaction. pgbench's own variables are
numbers, so the drawn values stand in the script as a decision tree of nested CASE expressions,
which the client evaluates in about a microsecond.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from geoserver_py.bench.draws import Bounds, Tile
from layers.access import SYSTEM
from layers.crs import parse_crs
from layers.definition import LayerDefinition
from layers.query import Density, FeatureQuery, compile_page, scan_of
from layers.query.predicate import SIDES, inner_rectangle
from tiles.grids import GRIDS
from tiles.sql import tile_statement


def items_scripts(
    layer: LayerDefinition,
    limit: int,
    areas: Sequence[Bounds] = (),
    fields: Sequence[str] = (),
    density: Density | None = None,
) -> tuple[tuple[str, int], ...]:
    """Return scripts of GET items with their weights: a limit; one of `areas` as bbox, `fields` as
    properties, where there are any. Areas of which the service reads a page in another way, by its
    `density`, make a script of their own.
    """
    crs = parse_crs("CRS84")
    query = FeatureQuery(
        layer, crs, bbox_crs=crs, properties=tuple(fields) or None, limit=limit
    )  # fmt: skip
    if not areas:
        return ((_items_script(query, (), ()), 1),)
    asked = [(area, scan_of(replace(query, bbox=area), density)) for area in areas]
    indexed = [area for area, scan in asked if scan is None]
    scanned = [(area, scan) for area, scan in asked if scan is not None]
    groups = (
        (indexed, ()),
        ([area for area, _ in scanned], [scan for _, scan in scanned]),
    )
    return tuple(
        (_items_script(replace(query, bbox=group[0]), group, scans), len(group))
        for group, scans in groups
        if group
    )


def _items_script(query: FeatureQuery, areas: Sequence[Bounds], scans: Sequence[int]) -> str:
    scan = scans[0] if scans else None
    text = compile_page(query, SYSTEM, scan=scan).sql.decode()
    inner = [inner_rectangle(replace(query, bbox=area)) for area in areas]
    statement = text % {
        "limit": ":limit::bigint",
        "offset": ":offset::bigint",
        "scan": ":scan::bigint",
        "separator": "E',\\n'::text",
        **{name: f":{name[0]}::float8" for name in SIDES},
        **{f"inner_{name}": f":i{name[0]}::float8" for name in SIDES},
    }
    # bound like the rest: without parameters the server would keep one plan and never plan again
    lines = [f"\\set limit {query.limit}", "\\set offset 0"]
    if areas:
        lines.append(_draw(len(areas)))
    for place, side in enumerate("wsen" if areas else ""):
        lines.append(f"\\set {side} {lookup([area[place] for area in areas])}")
        if inner[0] is not None:
            edges = [rectangle[place] for rectangle in inner if rectangle is not None]
            lines.append(f"\\set i{side} {lookup(edges)}")
    if scans:
        lines.append(f"\\set scan {lookup(scans)}")
    return _script(lines, statement)


def tile_script(definitions: Mapping[str, LayerDefinition], tiles: Sequence[Tile]) -> str:
    """Return the script of GET tile: one of `tiles`, of one layer and zoom, a transaction."""
    first = tiles[0]
    composed = tile_statement([definitions[first.layer]], GRIDS["WebMercatorQuad"], first.zoom)
    if composed is None:
        raise ValueError(f"{first.layer} is not drawn at zoom {first.zoom}")
    statement = composed.as_string(None) % {
        "z": f"{first.zoom}::int",
        "x": ":x::int",
        "y": ":y::int",
    }
    lines = [_draw(len(tiles))]
    lines.append(f"\\set x {lookup([tile.col for tile in tiles])}")
    lines.append(f"\\set y {lookup([tile.row for tile in tiles])}")
    return _script(lines, statement)


def _draw(number: int) -> str:
    return f"\\set k random(0, {number - 1})"


def _script(lines: Sequence[str], statement: str) -> str:
    return "\n".join([*lines, f"{statement.strip()};", ""])


def lookup(values: Sequence[float], first: int = 0) -> str:
    """Return a pgbench expression that is `values[k - first]`, by halving."""
    if len(values) == 1:
        return repr(values[0])
    half = len(values) // 2
    low, high = lookup(values[:half], first), lookup(values[half:], first + half)
    return f"case when :k < {first + half} then {low} else {high} end"
