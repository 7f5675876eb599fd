"""The whole-layer rules of a delivery: read staged layers once, judge, take refused rows out.

Rules of scope LAYER read their own staged layer; those of scope DELIVERY also another layer as it
will be after this delivery: its staged rows, and the live rows that stay. A layer that lists no
such rule is not read at all. Networks, coverages and neighbours are judged on arrays (a neighbour
search or a node degree in SQL needs an index or a self-join of the staged table first); references
are an anti-join in the database, where both sides are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
import shapely
from psycopg import sql

from etl.arrays import StagedLayer, after, positions, read
from etl.checks import coverage, network, proximity
from etl.checks.clearance import clearances, fields_between
from etl.checks.finding import Rule
from etl.checks.limits import fields_of
from etl.checks.rules import RULES, Scope, Severity
from etl.checks.whole import (
    LayerCheck,
    Located,
    PlacedFinding,
    Whole,
    named,
)
from etl.ledger import Rejection
from etl.measure import Judged
from layers.definition import LayerDefinition
from layers.staging import Staging

PairRun = Callable[[Rule, Whole, Whole], list[PlacedFinding]]


@dataclass(frozen=True)
class PairCheck:
    """A rule over a layer and another one, which the parameter `other` names."""

    run: PairRun
    other: str
    fields: Callable[[Mapping[str, object]], set[str]]
    other_fields: Callable[[Mapping[str, object]], set[str]]
    shapes: bool = False
    other_centres: bool = False


def _overlaps(rule: Rule, layer: Whole) -> list[PlacedFinding]:
    return [] if layer.shapes is None else coverage.overlaps(rule, layer.shapes, layer.located)


def _gaps(rule: Rule, layer: Whole) -> list[PlacedFinding]:
    return [] if layer.shapes is None else coverage.gaps(rule, layer.shapes)


def _ends(parameters: Mapping[str, object]) -> set[str]:
    return named(parameters, **network.ENDS)


_DEPTHS = {"start_depth_m", "end_depth_m", "start_elevation_m", "end_elevation_m", "section_mm"}
LAYER_CHECKS: Mapping[str, LayerCheck] = {
    "no_overlap": LayerCheck(_overlaps, shapes=True),
    "no_gap": LayerCheck(_gaps, shapes=True),
    "dangling_end": LayerCheck(proximity.dangling_ends, shapes=True),
    "clearance": LayerCheck(
        clearances,
        lambda p: {"section_mm"} | fields_between(p["limits"]),  # type: ignore[arg-type]
        shapes=True,
    ),
    "repeated_segment": LayerCheck(
        network.repeated_segments, lambda p: _ends(p) | named(p, "same"), centres=True
    ),
}
PAIR_CHECKS: Mapping[str, PairCheck] = {
    "depth_elevation": PairCheck(
        network.depth_and_elevation, "points",
        lambda p: _ends(p) | _DEPTHS | fields_of(p["limits"]),  # type: ignore[arg-type]
        lambda _p: {"ground_elevation_m"},
    ),
    "end_position": PairCheck(
        network.ends_at_points, "points", _ends, lambda _p: set(), shapes=True, other_centres=True
    ),
    "same_at_node": PairCheck(
        network.changes_at_nodes, "points", lambda p: _ends(p) | named(p, "fields"),
        lambda p: named(p, feature="feature") | {"appurtenance"},
    ),
    "node_degree": PairCheck(
        network.node_degrees, "lines", lambda p: named(p, feature="feature"), _ends
    ),
    "orphan_point": PairCheck(network.orphans, "lines", lambda _p: set(), _ends),
}  # fmt: skip
"""Rules of two layers. `end_position` and others name the second by `points` or `lines`."""


def judge_layer(connection: psycopg.Connection, layer: StagedLayer) -> list[Rejection]:
    """Findings of the layer's own whole-layer rules; refused rows leave staging."""
    listed = layer.book.of_scope(Scope.LAYER)
    found = [
        f
        for rule in listed
        if rule.name == "near_duplicate"
        for f in _twins(connection, layer, rule)
    ]
    rules = [rule for rule in listed if rule.name in LAYER_CHECKS]
    if not rules:
        return _settled(connection, layer.staging, found)
    checks = [LAYER_CHECKS[rule.name] for rule in rules]
    fields: set[str] = set()
    for rule, check in zip(rules, checks, strict=True):
        fields |= check.fields(rule.parameters)
    whole = read(
        connection, layer.definition, layer.staging.table, fields,
        shapes=any(c.shapes for c in checks), centres=any(c.centres for c in checks),
    )  # fmt: skip
    found += [f for rule, check in zip(rules, checks, strict=True) for f in check.run(rule, whole)]
    return _settled(connection, layer.staging, found)


def _twins(connection: psycopg.Connection, layer: StagedLayer, rule: Rule) -> list[PlacedFinding]:
    """Likely duplicates: positions first, and the rows themselves only of those that are near."""
    geometry = layer.definition.geometry
    if geometry is None:
        return []
    where = layer.placed or positions(connection, layer.staging, geometry.dimension)
    near = proximity.near_any(where.x, where.y, float(rule.parameters["distance_m"]))
    if not len(near):
        return []
    # row numbers of several files repeat: what comes too much is measured and let go
    some = sql.SQL("(SELECT * FROM {} WHERE source_row = ANY(%(rows)s::bigint[]))")
    rows = {"rows": np.unique(where.row[near]).tolist()}
    whole = read(
        connection, layer.definition, some.format(layer.staging.table),
        named(rule.parameters, "same"), centres=True, values=rows,
    )  # fmt: skip
    return proximity.near_duplicates(rule, whole)


def judge_references(
    connection: psycopg.Connection,
    layer: StagedLayer,
    delivered: Mapping[str, StagedLayer],
    known: Mapping[str, LayerDefinition],
    bureau: str,
    rules: Sequence[Rule],
) -> Judged:
    """Rows that name nothing in another layer, by these rules of the layer; none is taken out."""
    judged = Judged()
    for rule in rules:
        _references(judged, connection, layer, rule, delivered, known, bureau)
    return judged


def judge_pairs(
    connection: psycopg.Connection,
    layer: StagedLayer,
    delivered: Mapping[str, StagedLayer],
    known: Mapping[str, LayerDefinition],
    bureau: str,
) -> Judged:
    """Findings of the rules over a layer and another one; no row is taken out."""
    judged = Judged()
    pairs = [rule for rule in layer.book.of_scope(Scope.DELIVERY) if rule.name in PAIR_CHECKS]
    own: Whole | None = None
    for rule in pairs:
        check = PAIR_CHECKS[rule.name]
        view = after(connection, str(rule.parameters[check.other]), delivered, known, bureau)
        if view is None:
            judged.notes.append(_unjudged(rule, str(rule.parameters[check.other])))
            continue
        if own is None:
            own = _own(connection, layer, pairs)
        other = read(
            connection, view.definition, view.select, check.other_fields(rule.parameters),
            centres=check.other_centres, values=view.values,
        )  # fmt: skip
        if not len(other):
            judged.notes.append(_unjudged(rule, view.definition.name))
            continue
        judged.rejections += map(_kept, check.run(rule, own, other))
    return judged


def settle(connection: psycopg.Connection, staging: Staging, found: Sequence[Rejection]) -> bool:
    """Take rows at fault out of staging, unless it is a warning; whether any were."""
    refused = {
        Located(row.file, row.row, row.id or "")
        for row in found
        if row.file is not None and row.row is not None and row.severity != Severity.WARN
    }
    remove(connection, staging, refused)
    return bool(refused)


def _own(connection: psycopg.Connection, layer: StagedLayer, rules: Sequence[Rule]) -> Whole:
    """The staged layer with all that its rules ask for, and a place of each record."""
    fields: set[str] = set()
    for rule in rules:
        fields |= PAIR_CHECKS[rule.name].fields(rule.parameters)
    shapes = any(PAIR_CHECKS[rule.name].shapes for rule in rules)
    return read(
        connection, layer.definition, layer.staging.table, fields, shapes=shapes,
        centres=not shapes,
    )  # fmt: skip


def _unjudged(rule: Rule, other: str) -> str:
    return (
        f"{RULES[rule.name].title}: 图层 {other} 没有数据，未检查 "
        f"(not checked: the layer {other} holds nothing)"
    )


def _kept(found: PlacedFinding) -> Rejection:
    at = found.at
    return Rejection(
        file=None if at is None else at.file,
        row=None if at is None else at.row,
        id=None if at is None else at.id,
        rule=found.rule,
        reason=found.reason,
        severity=found.severity.value,
        record=None,
        place=found.place,
    )


def _settled(
    connection: psycopg.Connection, staging: Staging, found: Sequence[PlacedFinding]
) -> list[Rejection]:
    kept = [_kept(one) for one in found]
    settle(connection, staging, kept)
    return kept


def remove(connection: psycopg.Connection, staging: Staging, rows: Iterable[Located]) -> None:
    """Take rows out of staging."""
    gone = list(rows)
    if not gone:
        return
    connection.execute(
        sql.SQL(
            """
            DELETE FROM {} AS s
            USING unnest(%s::text[], %s::bigint[]) AS gone (file, at)
            WHERE s.source_file = gone.file AND s.source_row = gone.at
            """
        ).format(staging.table),
        [[row.file for row in gone], [row.row for row in gone]],
    )


def _references(
    judged: Judged,
    connection: psycopg.Connection,
    layer: StagedLayer,
    rule: Rule,
    delivered: Mapping[str, StagedLayer],
    known: Mapping[str, LayerDefinition],
    bureau: str,
) -> None:
    """Rows one of whose `fields` names nothing in the column `key` of the layer `to`."""
    target = str(rule.parameters["to"])
    view = after(connection, target, delivered, known, bureau)
    if view is None:
        judged.notes.append(_unjudged(rule, target))
        return
    key = sql.Identifier(str(rule.parameters.get("key", "id")))
    some = connection.execute(
        sql.SQL("SELECT EXISTS (SELECT FROM {} AS target)").format(view.select), view.values
    ).fetchone()
    if some is None or not some[0]:
        judged.notes.append(_unjudged(rule, target))
        return
    has_geometry = layer.definition.geometry is not None
    place = "ST_AsBinary(ST_PointOnSurface(ST_Force2D(s.geom)))" if has_geometry else "NULL::bytea"
    statement = sql.SQL(
        """
        SELECT s.source_file, s.source_row, s.id, s.{field}, {place}
        FROM {staging} AS s LEFT JOIN {target} AS target ON target.{key} = s.{field}
        WHERE s.{field} IS NOT NULL AND target.{key} IS NULL
        ORDER BY s.source_file, s.source_row
        """
    )
    out: dict[Located, Rejection] = {}
    title = view.definition.title
    for name in rule.parameters["fields"]:
        field = layer.definition.field_by_name[str(name)]
        rows = connection.execute(
            statement.format(
                field=sql.Identifier(field.name),
                place=sql.SQL(place),
                staging=layer.staging.table,
                target=view.select,
                key=key,
            ),
            view.values,
        ).fetchall()
        for file, row, ident, value, point in rows:
            at = Located(file, row, ident)
            reason = (
                f"{field.title.zh} {value} 不在图层 {title.zh} 中 (names nothing in {title.en})"
            )
            if at in out:
                reason = f"{out[at].reason}；{reason}"
            shape = None if point is None else shapely.from_wkb(bytes(point))
            out[at] = Rejection(
                file, row, ident, rule.name, reason, rule.severity.value, None,
                shape if isinstance(shape, shapely.Point) else None,
            )  # fmt: skip
    judged.rejections += out.values()
