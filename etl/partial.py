"""Partial deliveries: a delivery replaces what lies inside its area, and nothing outside.

Called with the layer locked, so that what is compared is what the write will find. Every effect
beyond plain inserts and updates is a finding: rows refused because they lie outside, features
that cross the border and were not delivered, features that came in from outside, ends moved.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
import shapely
from psycopg import sql

from etl import staged
from etl.area import Area, Crossing, EdgeRule
from etl.checks.finding import Severity
from etl.edges import EdgeFinding, EdgeKind, match_edges
from etl.ledger import Rejection
from layers.definition import GeometryType
from layers.staging import Staging

_COVERED = "ST_Covers(%(area)s::geometry, {geom})"
# lines and polygons: a common border alone is not inside
_REACHES_IN = (
    "({geom} && %(area)s::geometry AND (ST_Covers(%(area)s::geometry, {geom})"
    " OR ST_Relate({geom}, %(area)s::geometry, 'T********')))"
)
_CENTRE = "ST_Covers(%(area)s::geometry, ST_Centroid({geom}))"


@dataclass(frozen=True)
class Partial:
    """The area of a load, and how its border is treated."""

    area: Area
    crossing: Crossing
    edges: EdgeRule
    bureau: str
    run: int

    def sentence(self) -> str:
        """The area and its rules, as the report states them."""
        tolerance = self.edges.tolerance_m
        joined = "不移动端点 no end is moved" if tolerance is None else (
            f"{tolerance:g} m 以内的端点移至接边处 ends up to {tolerance:g} m apart are joined"
        )  # fmt: skip
        return (
            f"局部交付，区域 {self.area.title}，跨界要素 {self.crossing.value}，接边搜索 "
            f"{self.edges.search_m:g} m，{joined} (partial delivery: only what lies inside)"
        )

    @property
    def bound(self) -> dict[str, Any]:
        """Values of the area's predicates."""
        return {"area": shapely.to_wkb(shapely.set_srid(self.area.shape, 4490), hex=True,
                                       include_srid=True)}  # fmt: skip

    def accepts(self, qualifier: str) -> sql.Composed:
        """Predicate: a row with this geometry belongs to the delivery."""
        rule = {
            Crossing.CARRY: _REACHES_IN, Crossing.CENTRE: _CENTRE, Crossing.KEEP: _COVERED,
        }[self.crossing]  # fmt: skip
        return sql.SQL(rule).format(geom=sql.Identifier(qualifier, "geom"))

    def owns(self, qualifier: str) -> sql.Composed:
        """Predicate: a live feature here that the delivery lacks is to be deleted."""
        rule = _CENTRE if self.crossing is Crossing.CENTRE else _COVERED
        return sql.SQL(rule).format(geom=sql.Identifier(qualifier, "geom"))


def confine(connection: psycopg.Connection, staging: Staging, partial: Partial) -> list[Rejection]:
    """Take rows outside the area out of staging; each is refused with its distance from it."""
    statement = sql.SQL(
        """
        DELETE FROM {staging} AS s
        WHERE s.geom IS NULL OR NOT {accepts}
        RETURNING s.source_file, s.source_row, s.id, jsonb_strip_nulls(to_jsonb(s)) - 'geom',
            ST_AsBinary(ST_Force2D(ST_PointOnSurface(s.geom))),
            s.geom IS NOT NULL AND ST_Intersects(s.geom, %(area)s::geometry),
            ST_Distance(ST_Force2D(s.geom)::geography, %(area)s::geometry::geography)
        """
    ).format(staging=staging.table, accepts=partial.accepts("s"))
    found = []
    for file, row, ident, record, place, crosses, metres in connection.execute(
        statement, partial.bound
    ):
        if place is None:
            reason = "没有图形，不知是否在区域内 (no geometry: inside or not?)"
        elif crosses:
            reason = (
                f"跨越交付区域 {partial.area.title} 的边界，按 crossing: {partial.crossing.value} "
                f"不属于本交付 (crosses the border of the area; by that rule not this delivery's)"
            )
        else:
            reason = (
                f"在交付区域 {partial.area.title} 之外 {metres:.2f} m "
                f"({metres:.2f} m outside the area of the delivery)"
            )
        found.append(
            Rejection(
                file=file, row=row, id=ident, rule="outside_area", reason=reason,
                severity=Severity.REJECT, record=record, place=_point(place),
            )
        )  # fmt: skip
    return found


def stage_deletes(connection: psycopg.Connection, staging: Staging, partial: Partial) -> int:
    """Mark what this bureau had inside the area and no longer delivers."""
    return staged.stage_deletes(
        connection, staging, partial.bureau, partial.run,
        inside=partial.owns("live"), bound=partial.bound,
    )  # fmt: skip


def strangers(
    connection: psycopg.Connection, staging: Staging, partial: Partial
) -> list[Rejection]:
    """Report what crosses the border and was not delivered, and what came in from outside.

    Call it after `stage_deletes`.
    """
    live = sql.Identifier("layer", staging.definition.name)
    came_in = connection.execute(
        sql.SQL(
            """
            SELECT s.source_file, s.source_row, s.id,
                ST_AsBinary(ST_Force2D(ST_PointOnSurface(live.geom))),
                ST_Distance(ST_Force2D(live.geom)::geography, %(area)s::geometry::geography)
            FROM {staging} AS s JOIN {live} AS live USING (id)
            WHERE s.operation IS NULL AND live.geom IS NOT NULL AND NOT {accepts}
            ORDER BY s.id COLLATE "C"
            """
        ).format(staging=staging.table, live=live, accepts=partial.accepts("live")),
        partial.bound,
    )
    found = [
        Rejection(
            file=file, row=row, id=ident, rule="moved_in",
            reason=f"{ident} 原在交付区域之外 {metres:.2f} m，现移入 "
            f"(was {metres:.2f} m outside the area, and is moved into it)",
            severity=Severity.WARN, record=None, place=_point(place),
        )
        for file, row, ident, place, metres in came_in
    ]  # fmt: skip
    if partial.crossing is Crossing.CENTRE or staging.definition.geometry is GeometryType.POINT:
        return found
    crossing = connection.execute(
        sql.SQL(
            """
            SELECT live.id, ST_AsBinary(ST_Force2D(ST_PointOnSurface(live.geom)))
            FROM {live} AS live
            WHERE ST_Intersects(live.geom, ST_Boundary(%(area)s::geometry)) AND {reaches_in}
                AND NOT ST_Covers(%(area)s::geometry, live.geom)
                AND NOT EXISTS (SELECT FROM {staging} AS s WHERE s.id = live.id)
            ORDER BY live.id COLLATE "C"
            """
        ).format(
            staging=staging.table,
            live=live,
            reaches_in=sql.SQL(_REACHES_IN).format(geom=sql.Identifier("live", "geom")),
        ),
        partial.bound,
    )
    found += [
        Rejection(
            file=None, row=None, id=ident, rule="border_crossing",
            reason=f"{ident} 跨越交付区域边界，本次未交付，保持原状 "
            f"(crosses the border of the area and was not delivered: it stays as it is)",
            severity=Severity.WARN, record=None, place=_point(place),
        )
        for ident, place in crossing
    ]  # fmt: skip
    return found


def join_edges(
    connection: psycopg.Connection, staging: Staging, partial: Partial
) -> list[Rejection]:
    """Match what was delivered near the border with what stays outside; moves ends in staging.

    Call it after `stage_deletes`: what is to be deleted is nobody's neighbour.
    """
    if staging.definition.geometry in (None, GeometryType.POINT):
        return []
    border = partial.area.shape.boundary
    latitude = max(abs(border.bounds[1]), abs(border.bounds[3]))
    # a degree of longitude is the shortest: no neighbour within the distance is missed
    degrees = partial.edges.search_m / (110_000 * math.cos(math.radians(latitude)))
    bound = {**partial.bound, "reach": degrees}
    near = "ST_DWithin({geom}, ST_Boundary(%(area)s::geometry), %(reach)s)"
    live = sql.Identifier("layer", staging.definition.name)
    mine = connection.execute(
        sql.SQL(
            "SELECT s.id, ST_AsBinary(s.geom), s.source_file, s.source_row FROM {staging} AS s"
            ' WHERE s.operation IS NULL AND {near} ORDER BY s.id COLLATE "C"'
        ).format(
            staging=staging.table, near=sql.SQL(near).format(geom=sql.Identifier("s", "geom"))
        ),
        bound,
    ).fetchall()
    theirs = connection.execute(
        sql.SQL(
            "SELECT live.id, ST_AsBinary(live.geom) FROM {live} AS live"
            " WHERE {near} AND NOT EXISTS (SELECT FROM {staging} AS s WHERE s.id = live.id)"
            ' ORDER BY live.id COLLATE "C"'
        ).format(
            staging=staging.table,
            live=live,
            near=sql.SQL(near).format(geom=sql.Identifier("live", "geom")),
        ),
        bound,
    ).fetchall()
    match = match_edges(
        [shapely.from_wkb(bytes(row[1])) for row in mine],
        [shapely.from_wkb(bytes(row[1])) for row in theirs],
        border,
        partial.edges,
    )
    for index, shape in match.snapped.items():
        connection.execute(
            sql.SQL("UPDATE {} SET geom = ST_GeomFromWKB(%s, 4490) WHERE id = %s").format(
                staging.table
            ),
            [shapely.to_wkb(shape), mine[index][0]],
        )
    return list(_told(match.findings, mine, theirs))


def _told(
    findings: Iterable[EdgeFinding], mine: list[tuple[Any, ...]], theirs: list[tuple[Any, ...]]
) -> Iterable[Rejection]:
    for finding in findings:
        own = None if finding.feature is None else mine[finding.feature]
        other = None if finding.neighbour is None else theirs[finding.neighbour][0]
        ident = other if own is None else own[0]
        if finding.kind is EdgeKind.OPEN:
            side = "区域外没有接续 (nothing goes on outside)" if own is not None else (
                "交付中没有接续 (the delivery has nothing that goes on)"
            )  # fmt: skip
            reason = f"{ident} 止于交付区域边界，{side}"
        else:
            far = f"{finding.distance_m:.3f} m，方位 {finding.direction}"
            done = (
                "已移至该处 (moved onto it)"
                if finding.kind is EdgeKind.SNAPPED
                else "未接上，未改动 (should meet; nothing was changed)"
            )
            why = "" if finding.obstacle is None else f"：{finding.obstacle}"
            reason = f"{ident} 与区域外 {other} 相距 {far}，{done}{why}"
        yield Rejection(
            file=None if own is None else own[2],
            row=None if own is None else own[3],
            id=ident,
            rule=f"edge_{finding.kind.value}",
            reason=reason,
            severity=Severity.WARN,
            record=None,
            place=shapely.Point(finding.at),
        )


def _point(wkb: bytes | None) -> shapely.Point | None:
    shape = None if wkb is None else shapely.from_wkb(bytes(wkb))
    return shape if isinstance(shape, shapely.Point) and not shape.is_empty else None
