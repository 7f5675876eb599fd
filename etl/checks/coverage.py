"""Checks of a whole layer of areas: no two overlap, no gap lies between them.

These need every area at once and keep the geometries of such layers in memory (unit grids,
divisions, land use: tens of thousands; the other checks see one batch at a time).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from pyproj import Geod
from shapely import STRtree

from etl.checks.finding import Rule
from etl.checks.whole import Located, PlacedFinding
from etl.places import ShapeArray

WIDTH_M = 0.05
"""Overlaps and gaps narrower than this are slivers of numeric noise, unless a rule says other."""

_GRS80 = Geod(ellps="GRS80")


def overlaps(rule: Rule, shapes: ShapeArray, rows: Sequence[Located]) -> list[PlacedFinding]:
    """Pairs of areas that overlap; the later row of each pair is at fault, naming the earlier.

    `tolerance_m` in the rule's parameters is the mean width from which an overlap counts.
    """
    tolerance = float(rule.parameters.get("tolerance_m", WIDTH_M))
    tree = STRtree(shapes)
    first, second = tree.query(shapes, predicate="intersects")
    once = first < second
    first, second = first[once], second[once]
    # neighbours that only share an edge are most pairs: relate is cheaper than intersection
    inner = ~shapely.touches(shapes[first], shapes[second])
    first, second = first[inner], second[inner]
    common = shapely.intersection(shapes[first], shapes[second])
    findings = []
    for one, two, shape in zip(first, second, common, strict=True):
        area, width = _area_and_width(shape)
        if width < tolerance:
            continue
        earlier = rows[one]
        findings.append(
            PlacedFinding(
                rule.name,
                rule.severity,
                rows[two],
                f"与 {earlier.id}（{earlier.file} 第 {earlier.row} 行）重叠 {area:.2f} m² "
                f"(overlaps it)",
                shapely.point_on_surface(shape),
            )
        )
    return findings


def gaps(rule: Rule, shapes: ShapeArray) -> list[PlacedFinding]:
    """Holes that the areas of a layer leave between them (open bays at the edge are no gaps).

    `tolerance_m` in the rule's parameters is the mean width from which a gap counts.
    """
    tolerance = float(rule.parameters.get("tolerance_m", WIDTH_M))
    whole = shapely.union_all(shapes)
    findings = []
    for part in shapely.get_parts(whole):
        for ring in shapely.get_rings(part)[1:]:
            hole = shapely.polygons(ring)
            area, width = _area_and_width(hole)
            if width < tolerance:
                continue
            place = shapely.point_on_surface(hole)
            findings.append(
                PlacedFinding(
                    rule.name,
                    rule.severity,
                    None,
                    f"{place.x:.6f}, {place.y:.6f} 处有空隙 {area:.2f} m² (a gap in the layer)",
                    place,
                )
            )
    return findings


def _area_and_width(shape: shapely.Geometry) -> tuple[float, float]:
    """Area (m2) on the ellipsoid and mean width (m) of the areas in a geometry."""
    parts = shapely.get_parts(shape)
    areas = [part for part in np.atleast_1d(parts) if shapely.get_dimensions(part) == 2]
    total, length = 0.0, 0.0
    for part in areas:
        area, perimeter = _GRS80.geometry_area_perimeter(shapely.force_2d(part))
        total, length = total + abs(area), length + perimeter
    return total, 2 * total / length if length else 0.0
