"""Divisions, water and land use."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import shapely

from geoserver_py.sample_city.core import (
    HOME,
    INDUSTRY,
    OFFICE,
    PARK,
    RIVER_HALF_WIDTH,
    RURAL,
    STREAM_HALF_WIDTH,
    WATERSIDE,
    Core,
    river_line,
    short_name,
    stream_line,
)
from geoserver_py.sample_city.layout import Layout, Rect
from geoserver_py.sample_city.plane import BLOCK, Geometries, bent, outline
from geoserver_py.sample_city.register import Division
from geoserver_py.sample_city.streets import half_width


def divisions(
    register: Sequence[Division], layout: Layout
) -> dict[str, tuple[pd.DataFrame, Geometries]]:
    """Counties, towns and villages as (frame, polygons in EPSG:4548), sharing their vertices."""
    rects: dict[str, dict[str, tuple[Rect, ...]]] = {
        "division_county": dict(layout.counties),
        "division_town": {code: (rect,) for code, rect in layout.towns.items()},
        "division_village": {code: (rect,) for code, rect in layout.villages.items()},
    }
    names = {division.code: division for division in register}
    made = {}
    for layer, by_code in rects.items():
        codes = sorted(by_code)
        shapes = np.array([_merged(by_code[code]) for code in codes], dtype=object)
        frame = pd.DataFrame(
            {
                "id": codes,
                "name": [short_name(names[code].name) for code in codes],
                "parent_code": [names[code].parent for code in codes],
            }
        )
        made[layer] = (frame, bent(shapes))
    return made


def _merged(rects: tuple[Rect, ...]) -> shapely.Geometry:
    shapes = [shapely.Polygon(outline(r.west, r.south, r.east, r.north)) for r in rects]
    return shapes[0] if len(shapes) == 1 else shapely.coverage_union_all(shapes)


def register_table(register: Sequence[Division]) -> pd.DataFrame:
    """Codes and names of all divisions, without geometry."""
    return pd.DataFrame(
        {
            "id": [division.code for division in register],
            "name": [division.name for division in register],
            "level": [division.level for division in register],
            "parent_code": [division.parent for division in register],
        }
    )


def water(core: Core, seed: int) -> tuple[pd.DataFrame, Geometries, Geometries]:
    """River, tributary and ponds: (frame, polygons in EPSG:4548, the same on the drawing board)."""
    west, east = core.column.min() * BLOCK - 3000.0, (core.column.max() + 1) * BLOCK + 3000.0
    rows: list[tuple[str, str]] = []
    shapes: list[shapely.Geometry] = []
    breaks = np.arange(west, east + 1.0, 2000.0)
    for start, end in pairwise(breaks):
        u = np.linspace(start, end, 41)
        v = river_line(u)
        ring = np.concatenate(
            [
                np.column_stack([u, v - RIVER_HALF_WIDTH]),
                np.column_stack([u, v + RIVER_HALF_WIDTH])[::-1],
            ]
        )
        shapes.append(shapely.Polygon(ring))
        rows.append(("梅江", "河流"))
    river = shapely.union_all(shapes)
    top = (core.row.max() + 1) * BLOCK + 2000.0
    mouth = float(river_line(stream_line(np.array([500.0])))[0])
    v = np.arange(mouth, max(top, mouth + 2000.0), 50.0)
    u = stream_line(v)
    ring = np.concatenate(
        [
            np.column_stack([u - STREAM_HALF_WIDTH, v]),
            np.column_stack([u + STREAM_HALF_WIDTH, v])[::-1],
        ]
    )
    shapes.append(shapely.difference(shapely.Polygon(ring), river))
    rows.append(("程江", "河流"))
    rng = np.random.default_rng([seed, 5])
    parks = np.flatnonzero(core.kind == PARK)
    parks = parks[rng.random(len(parks)) < 0.6]
    angle = np.linspace(0.0, 2 * np.pi, 25)[:-1]
    for park in parks:
        middle = np.array([core.column[park] + 0.5, core.row[park] + 0.5]) * BLOCK
        radius = rng.uniform(22.0, 55.0)
        wobble = 1.0 + 0.2 * np.sin(3 * angle + rng.uniform(0.0, 6.0))
        ring = middle + np.column_stack([1.2 * np.cos(angle), np.sin(angle)]) * (
            radius * wobble[:, None]
        )
        shapes.append(shapely.Polygon(ring))
        rows.append(("", "坑塘"))
    drawn = np.array(shapes, dtype=object)
    frame = pd.DataFrame(rows, columns=["name", "class_word"])
    frame.insert(0, "id", [f"{n:X}" for n in range(0x100, 0x100 + len(frame))])
    return frame, bent(drawn), drawn


_LAND = {
    HOME: ("0701", "城镇住宅用地"), OFFICE: ("0901", "商业用地"), INDUSTRY: ("1001", "工业用地"),
    PARK: ("1401", "公园绿地"), WATERSIDE: ("1402", "防护绿地"), RURAL: ("0703", "农村宅基地"),
}  # fmt: skip


def land_use(core: Core, drawn_water: Geometries) -> tuple[pd.DataFrame, Geometries]:
    """One plot a block between the streets, cut by the river; ponds in it are plots too. EPSG:4548.

    Land use leaves nothing out: what lies inside a plot and is not of its class has its own.
    """
    column, row = core.column, core.row
    left, right = column * BLOCK + half_width(column), (column + 1) * BLOCK - half_width(column + 1)
    low, high = row * BLOCK + half_width(row), (row + 1) * BLOCK - half_width(row + 1)
    steps = ((0, 0), (0.5, 0), (1, 0), (1, 0.5), (1, 1), (0.5, 1), (0, 1), (0, 0.5))
    corners = np.stack(
        [np.column_stack([left + p * (right - left), low + q * (high - low)]) for p, q in steps],
        axis=1,
    )
    plots = np.asarray(shapely.polygons(corners))
    tree = shapely.STRtree(drawn_water)
    hits = tree.query(plots, predicate="intersects")
    for plot in np.unique(hits[0]):
        wet = shapely.union_all(drawn_water[hits[1][hits[0] == plot]])
        plots[plot] = shapely.difference(plots[plot], wet)
    kept = shapely.area(plots) > 1.0
    parts, owner = shapely.get_parts(plots, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    hole = np.concatenate([[False], part[1:] == part[:-1]])  # each part's first ring is its outside
    pond_of = owner[part[hole]]
    shapes = bent(np.concatenate([plots[kept], shapely.polygons(rings[hole])]))
    codes = core.village_codes()[core.village]
    serial = pd.Series(core.village).groupby(core.village).cumcount().to_numpy() + 1
    frame = pd.DataFrame(
        {
            "id": [f"YD{c}{s:04d}" for c, s in zip(codes, serial, strict=True)],
            "class_code": [_LAND[int(k)][0] for k in core.kind],
            "class_name": [_LAND[int(k)][1] for k in core.kind],
            "plot_no": [f"{c[-6:]}-{s:03d}" for c, s in zip(codes, serial, strict=True)],
        }
    )
    ponds = frame.iloc[pond_of].assign(class_code="1704", class_name="坑塘水面")
    turn = pd.Series(pond_of).groupby(pond_of).cumcount().to_numpy() + 1
    for name in ("id", "plot_no"):
        ponds[name] = [f"{text}W{n}" for text, n in zip(ponds[name], turn, strict=True)]
    frame = pd.concat([frame[kept], ponds], ignore_index=True)
    frame["area_m2"] = np.round(shapely.area(shapes), 2)
    return frame, shapes
