"""pgbench scripts of the very statements that the service sends, taken from its compilers.

A script draws one of the prepared areas or tiles a transaction. pgbench's own variables are
numbers, so the drawn values stand in the script as a decision tree of nested CASE expressions,
which the client evaluates in about a microsecond, and the area is built by ST_MakeEnvelope from
four bound numbers where the service binds the same rectangle as WKB. Both are folded to a constant
when the custom plan is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from geoserver_py.bench.draws import Bounds, Tile
from layers.access import SYSTEM
from layers.crs import parse_crs
from layers.definition import LayerDefinition
from layers.query import FeatureQuery, compile_page
from layers.query.predicate import AREA
from tiles.grids import GRIDS
from tiles.sql import tile_statement

_ENVELOPE = "ST_MakeEnvelope(:w::float8, :s::float8, :e::float8, :n::float8, 4490)"


def items_script(
    layer: LayerDefinition,
    limit: int,
    areas: Sequence[Bounds] = (),
    fields: Sequence[str] = (),
) -> str:
    """Return the script of GET items with a limit; one of `areas` as bbox, `fields` as properties,
    where there are any.
    """  # fmt: skip
    crs = parse_crs("CRS84")
    query = FeatureQuery(
        layer,
        crs,
        bbox=areas[0] if areas else None,
        bbox_crs=crs,
        properties=tuple(fields) or None,
        limit=limit,
    )
    text = compile_page(query, SYSTEM).sql.decode().replace(AREA.as_string(None), _ENVELOPE)
    statement = text % {
        "limit": ":limit::bigint",
        "offset": ":offset::bigint",
        "separator": "','::text",
        **{name: f":{name[0]}::float8" for name in ("west", "south", "east", "north")},
    }
    # bound like the rest: without parameters the server would keep one plan and never plan again
    lines = [f"\\set limit {limit}", "\\set offset 0"]
    if areas:
        lines.append(_draw(len(areas)))
        lines += [
            f"\\set {name} {lookup([area[place] for area in areas])}"
            for place, name in enumerate("wsen")
        ]
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
