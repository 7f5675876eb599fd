"""A small synthetic town in Meizhou, written into a database through the one write function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import shapely
from shapely.affinity import rotate, scale, translate

from layers.access import SYSTEM
from layers.definition import LayerDefinition, load_definitions
from layers.schema import apply
from layers.staging import copy_into, create_staging, drop_staging
from layers.write import Deletes, write

CENTRE = (116.1176, 24.2886)
METRE = 1 / 111_000
RARE_NAME = "五华县輋𣒍村"
"""Two characters outside GBK, one of them outside the BMP."""


@dataclass(frozen=True)
class Row:
    """A feature to write: its id, properties and geometry (CGCS2000 degrees, x = longitude)."""

    id: str
    geometry: shapely.Geometry
    properties: Mapping[str, Any]


def definitions() -> dict[str, LayerDefinition]:
    return load_definitions()


def load(
    connection: psycopg.Connection[Any],
    definition: LayerDefinition,
    rows: Sequence[Row],
    deletes: Deletes = Deletes.NONE,
) -> int:
    """Write rows as one revision, as a delivery would; return the revision."""
    names = sorted({name for row in rows for name in row.properties})
    batch = pa.table(
        {
            "id": [row.id for row in rows],
            **{name: [row.properties.get(name) for row in rows] for name in names},
            "geom": pa.array([shapely.to_wkb(r.geometry) for r in rows], type=pa.binary()),
        }
    )
    staging = create_staging(connection, definition)
    copy_into(connection, staging, batch)
    result = write(connection, definition, staging, run=None, principal=SYSTEM, deletes=deletes)
    drop_staging(connection, staging)
    connection.commit()
    return result.revision


def _shape(random: np.random.Generator, number: int) -> shapely.Geometry:
    """A house: mostly rectangles, some L-shaped, with a court, in two parts, or very small."""
    width, height = random.uniform(5, 40, 2) * METRE
    kind = number % 10
    shape: shapely.Geometry = shapely.box(0, 0, width, height)
    if kind in (1, 2):
        shape = shape.difference(shapely.box(width / 2, height / 2, width, height))
    elif kind == 3:
        court = scale(shape, 0.5, 0.5)
        shape = shape.difference(court)
    elif kind == 4:
        shape = shapely.MultiPolygon([shape, translate(shape, width * 1.5, 0)])
    elif kind == 5:
        shape = scale(shape, 0.05, 0.05)
    return rotate(shape, random.uniform(0, 360), origin="centroid")


def houses(count: int = 4000) -> list[Row]:
    random = np.random.default_rng(20261122)
    offsets = random.normal(0, 0.012, (count, 2))
    return [
        Row(
            f"B{number:06d}",
            shapely.geometry.MultiPolygon(shapely.get_parts(placed).tolist()),
            {
                "name": RARE_NAME if number == 7 else None,
                "use": "residential",
                "floors": number % 30 + 1,
                "height_m": 3.0 * (number % 30 + 1),
                "built_year": 1990,
            },
        )
        for number, offset in enumerate(offsets)
        for placed in [
            translate(_shape(random, number), CENTRE[0] + offset[0], CENTRE[1] + offset[1])
        ]
    ]


def lamps(count: int = 3000) -> list[Row]:
    random = np.random.default_rng(7)
    at = random.normal(0, 0.01, (count, 2)) + CENTRE
    common = {
        "name": "路灯",
        "class_code": "01037",
        "department_code": "1",
        "department": "城市管理和综合执法局",
        "grid_code": "441402004001001",
        "state": "完好",
        "initial_date": date(2024, 5, 1),
    }
    return [Row(f"441402010370{n:05d}", shapely.Point(x, y), common) for n, (x, y) in enumerate(at)]


def roads(count: int = 60) -> list[Row]:
    random = np.random.default_rng(11)
    return [
        Row(
            f"R{number:03d}",
            shapely.MultiLineString(
                [random.normal(0, 0.02, (12, 2)).cumsum(axis=0) * 0.3 + CENTRE]
            ),
            {"name": f"{number}路", "road_class": "branch", "one_way": number % 2 == 0},
        )
        for number in range(count)
    ]


def counties() -> list[Row]:
    """Two counties that share a border through the town."""
    x, y = CENTRE
    west, east = (
        shapely.box(x - 0.5, y - 0.4, x, y + 0.4),
        shapely.box(x, y - 0.4, x + 0.5, y + 0.4),
    )
    return [
        Row("441402", shapely.MultiPolygon([west]), {"name": "梅江区", "parent_code": "4414"}),
        Row("441403", shapely.MultiPolygon([east]), {"name": "梅县区", "parent_code": "4414"}),
    ]


def pipes() -> list[Row]:
    x, y = CENTRE
    line = shapely.MultiLineString([[(x, y, 71.5), (x + 0.002, y + 0.001, 71.25)]])
    return [
        Row(
            "JS1-JS2",
            line,
            {"class_code": "JS", "start_point": "JS1", "end_point": "JS2", "section_mm": "300"},
        )
    ]


def events() -> list[Row]:
    return [
        Row(
            "2026112200000000001",
            shapely.Point(*CENTRE),
            {
                "category_code": "06010",
                "name": "暴露垃圾",
                "reported_at": datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC),
                "state": "立案",
            },
        )
    ]


def build(dsn: str) -> None:
    """Create all layers and load the town."""
    known = definitions()
    with psycopg.connect(dsn) as connection:
        apply(connection, known.values())
        connection.commit()
        for name, rows in (
            ("building", houses()),
            ("component", lamps()),
            ("road", roads()),
            ("division_county", counties()),
            ("pipeline_line", pipes()),
            ("event", events()),
        ):
            load(connection, known[name], rows)
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE")
