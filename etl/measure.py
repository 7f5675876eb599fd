"""Accuracy of a staged layer: RMSE at check points, offset to the layers beside it.

Check points come from a file of their own, named by the delivery and surveyed apart from it.
Neighbours are measured where the layer lists `neighbour_offset`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import shapely
from psycopg import sql
from shapely import STRtree

from etl.arrays import StagedLayer, after
from etl.checks import values
from etl.checks.accuracy import (
    Offset,
    against_known,
    clear_offset,
    edge_offset,
    point_array,
)
from etl.checks.finding import CheckError, Rule
from etl.checks.metric import local_plane
from etl.checks.network import line_ends
from etl.checks.rules import RULES, Scope, Severity
from etl.datum import DatumRegistry
from etl.datum.coordsys import FloatArray
from etl.delivery import CheckPoints
from etl.ledger import Rejection
from etl.places import ShapeArray
from etl.readers import ReadOptions, open_source
from layers.definition import GeometryType, LayerDefinition

MOST_NEIGHBOURS = 20_000
"""Features of a neighbouring layer that an offset is measured against."""


@dataclass
class Judged:
    """What a layer was found to be beside others: findings, measurements, what was not checked."""

    rejections: list[Rejection] = field(default_factory=list)
    measures: list[Mapping[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def row_less(rule: str, severity: Severity, reason: str) -> Rejection:
    """A finding about the layer, not about a row."""
    return Rejection(None, None, None, rule, reason, severity.value, None, None)


@dataclass(frozen=True)
class _Known:
    """Check points as read: ids (n,), CGCS2000 degrees, heights."""

    ids: list[str]
    lon: FloatArray
    lat: FloatArray
    height: FloatArray | None
    label: str


def measure_check_points(
    connection: psycopg.Connection,
    layer: StagedLayer,
    points: CheckPoints,
    registry: DatumRegistry,
    allowed_m: float | None,
) -> Judged:
    """RMSE of the staged layer at points of known position; above `allowed_m` it blocks.

    Points with an identifier are compared with the feature of that id (point layers), others with
    the nearest vertex within `search_m`. Raises ReadError, DatumError, CheckError.
    """
    known = _known(points, registry)
    if points.id is not None:
        found = _by_id(connection, layer, known.ids)
    else:
        found = _nearest_vertices(connection, layer, known, points.search_m)
    result, apart = against_known(known.ids, (known.lon, known.lat, known.height), found)
    judged = Judged()
    if result is None:
        judged.notes.append(
            f"{known.label}: {len(known.ids)} 个检查点都没有对应的要素，未评定精度 "
            f"(no check point has a feature: accuracy not measured)"
        )
        return judged
    measure = {"kind": "check_points", "file": known.label, **result.to_json()}
    judged.measures.append({**measure, "allowed_m": allowed_m})
    if allowed_m is not None and result.rmse_m > allowed_m:
        spec = RULES["check_points"]
        judged.rejections.append(
            row_less(
                spec.name, spec.severity,
                f"{result.sentence}；限 {allowed_m:g} m (the layer allows {allowed_m:g} m)",
            )
        )  # fmt: skip
    # of a layer that is off as a whole, no single point is to blame
    blunder = 2 * max(allowed_m or 0.0, result.rmse_m)
    for row in np.flatnonzero(apart > blunder):
        judged.rejections.append(
            Rejection(
                known.label, int(row) + 1, known.ids[row], "check_points",
                f"检查点 {known.ids[row]} 相差 {apart[row]:.3f} m，似为粗差 (a gross error)",
                Severity.WARN.value, None, shapely.Point(known.lon[row], known.lat[row]),
            )
        )  # fmt: skip
    return judged


def _known(points: CheckPoints, registry: DatumRegistry) -> _Known:
    file, named = points.file, points.columns
    source = open_source(
        file.path,
        ReadOptions(
            encoding=file.encoding, layer=file.layer or file.sheet,
            x=named.x, y=named.y, z=named.z,
        ),
    )  # fmt: skip
    ids: list[pa.Array] = []
    parts: list[FloatArray] = []
    for batch in source.batches():
        parts.append(shapely.get_coordinates(batch.geometry, include_z=True))
        placed = ~(shapely.is_missing(batch.geometry) | shapely.is_empty(batch.geometry))
        column = pa.array(batch.rows).cast(pa.string())
        if points.id is not None:
            if points.id not in batch.attributes.schema.names:
                raise CheckError(
                    f"check_points: {file.label}: 没有列 no column {points.id}；"
                    f"有 columns: {'、'.join(batch.attributes.schema.names)}"
                )
            column = values.text(batch.attributes.column(points.id).combine_chunks())
        ids.append(column.filter(pa.array(placed)))
    if not ids:
        raise CheckError(f"check_points: {file.label}: 没有点 (no points)")
    xyz = np.concatenate(parts)
    chain = registry.chain(points.coordsys)
    lon, lat, _ = chain.apply(xyz[:, 0], xyz[:, 1])
    heights = xyz[:, 2] if named.z is not None else None
    texts = [str(text) for text in pa.concat_arrays(ids).to_pylist()]
    return _Known(texts, lon, lat, heights, file.label)


def _by_id(
    connection: psycopg.Connection, layer: StagedLayer, ids: Sequence[str]
) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    if layer.definition.geometry is not GeometryType.POINT:
        raise CheckError(
            f"check_points: 图层 {layer.definition.name} 不是点，不能按标识码对应；去掉 id，"
            f"按最近的顶点比较 (no layer of points: leave id out, the nearest vertex is compared)"
        )
    height = sql.SQL("ST_Z(geom)" if layer.definition.has_z else "NULL::float8")
    rows = connection.execute(
        sql.SQL(
            "SELECT id, ST_X(geom), ST_Y(geom), {} FROM {} WHERE id = ANY(%s)"
        ).format(height, layer.staging.table),
        [list(ids)],
    ).fetchall()  # fmt: skip
    by_id = {row[0]: row[1:] for row in rows}
    nothing = (np.nan, np.nan, np.nan)
    xyz = np.array([by_id.get(one, nothing) for one in ids], dtype=np.float64)
    return xyz[:, 0], xyz[:, 1], xyz[:, 2] if layer.definition.has_z else None


def _nearest_vertices(
    connection: psycopg.Connection, layer: StagedLayer, known: _Known, search_m: float
) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    reach = search_m / 80_000  # degrees, at latitudes up to 44
    boxes = shapely.union_all(
        shapely.box(known.lon - reach, known.lat - reach, known.lon + reach, known.lat + reach)
    )
    shapes = _shapes(
        connection,
        sql.SQL(
            "SELECT geom FROM {} WHERE ST_Intersects(geom, ST_GeomFromWKB(%(area)s, 4490))"
        ).format(layer.staging.table),
        {"area": shapely.to_wkb(boxes)},
    )
    vertices = shapely.get_coordinates(shapes, include_z=True)
    size = len(known.lon)
    if not len(vertices):
        nothing = np.full(size, np.nan)
        return nothing, nothing, None
    x, y = local_plane(
        np.concatenate([known.lon, vertices[:, 0]]), np.concatenate([known.lat, vertices[:, 1]])
    )
    tree = STRtree(point_array(x[size:], y[size:]))
    mine = point_array(x[:size], y[:size])
    first, second = tree.query_nearest(mine, max_distance=search_m, all_matches=False)
    out = np.full((size, 3), np.nan)
    out[first] = vertices[second]
    return out[:, 0], out[:, 1], out[:, 2] if layer.definition.has_z else None


def measure_offsets(
    connection: psycopg.Connection,
    layer: StagedLayer,
    delivered: Mapping[str, StagedLayer],
    known: Mapping[str, LayerDefinition],
    bureau: str,
) -> Judged:
    """Offsets of the staged layer to the layers that its `neighbour_offset` rules name."""
    judged = Judged()
    for rule in layer.book.of_scope(Scope.DELIVERY):
        if rule.name != "neighbour_offset":
            continue
        how = _HOW.get(str(rule.parameters["how"]))
        if how is None:
            raise CheckError(
                f"neighbour_offset: how 须为 {'、'.join(_HOW)} 之一 (one of {', '.join(_HOW)})"
            )
        search = float(rule.parameters.get("search_m", 5.0))
        target = str(rule.parameters["to"])
        own = _shapes(
            connection,
            sql.SQL("SELECT geom FROM {} WHERE geom IS NOT NULL ORDER BY id LIMIT %(most)s").format(
                layer.staging.table
            ),
            {"most": MOST_NEIGHBOURS},
        )
        others = _neighbours(
            connection, layer.definition.name, target, own, search, delivered, known, bureau
        )
        offset = None if len(own) == 0 or len(others) == 0 else how(own, others, search)
        if offset is not None:
            _report(judged, rule, target, known[target], offset)
    return judged


def _report(
    judged: Judged, rule: Rule, target: str, definition: LayerDefinition, offset: Offset
) -> None:
    limit = rule.parameters.get("limit_m")
    detail = (
        f"，道路有 {offset.before:.1%} 压在建筑物上，移回后 {offset.after:.1%}"
        if offset.before is not None and offset.after is not None
        else f"，离散 {offset.scatter_m or 0.0:.2f} m"
    )
    sentence = (
        f"相对图层 {definition.title.zh} 偏移 {offset.metres:.2f} m（东 {offset.east_m:+.2f}，"
        f"北 {offset.north_m:+.2f}；{offset.pairs} 处{detail}）(offset to {definition.title.en})"
    )
    judged.measures.append(
        {"kind": "neighbour_offset", "to": target, "how": rule.parameters["how"],
         **offset.to_json(), "limit_m": limit, "sentence": sentence}
    )  # fmt: skip
    scattered = offset.scatter_m is not None and offset.metres <= offset.scatter_m
    if limit is not None and offset.metres > float(limit) and not scattered:
        judged.rejections.append(
            row_less(rule.name, rule.severity, f"{sentence}，限 {float(limit):g} m")
        )


def _edges(own: ShapeArray, others: ShapeArray, search: float) -> Offset | None:
    mine, theirs = _vertices(own), _vertices(others)
    return edge_offset(mine[:, 0], mine[:, 1], theirs[:, 0], theirs[:, 1], search)


def _vertices(shapes: ShapeArray) -> FloatArray:
    """Ends of lines, vertices of everything else."""
    if int(shapely.get_dimensions(shapes[0])) == 1:
        return np.unique(np.concatenate(line_ends(shapes)), axis=0)
    return np.unique(shapely.get_coordinates(shapes), axis=0)


_HOW: Mapping[str, Callable[[ShapeArray, ShapeArray, float], Offset | None]] = {
    "edges": _edges,
    "clear": clear_offset,
}


def _neighbours(
    connection: psycopg.Connection,
    layer: str,
    target: str,
    own: ShapeArray,
    search: float,
    delivered: Mapping[str, StagedLayer],
    known: Mapping[str, LayerDefinition],
    bureau: str,
) -> ShapeArray:
    """Features of another layer around the staged ones; of the same layer, only those that stay."""
    view = after(connection, target, delivered, known, bureau)
    if view is None or len(own) == 0:
        return np.empty(0, dtype=object)
    reach = search / 80_000
    west, south, east, north = shapely.total_bounds(own)
    return _shapes(
        connection,
        sql.SQL(
            """
            SELECT geom FROM {rows} AS source
            WHERE geom && ST_MakeEnvelope(%(west)s, %(south)s, %(east)s, %(north)s, 4490)
                AND ({own} IS NOT TRUE OR source_file IS NULL)
            ORDER BY id LIMIT %(most)s
            """
        ).format(rows=view.select, own=sql.Literal(target == layer)),
        {**view.values, "west": west - reach, "south": south - reach, "east": east + reach,
         "north": north + reach, "most": MOST_NEIGHBOURS},
    )  # fmt: skip


def _shapes(
    connection: psycopg.Connection, statement: sql.Composable, parameters: Mapping[str, object]
) -> ShapeArray:
    rows = connection.execute(
        sql.SQL("SELECT ST_AsBinary(geom) FROM ({}) AS chosen").format(statement), parameters
    ).fetchall()
    made = shapely.from_wkb(np.array([bytes(row[0]) for row in rows], dtype=object))
    return np.atleast_1d(np.asarray(made, dtype=object))
