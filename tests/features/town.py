"""A small synthetic town for the tests of features: layers of every kind, awkward values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import shapely
from psycopg import sql
from shapely.affinity import rotate

from layers.access import SYSTEM
from layers.definition import LayerDefinition, parse_definition
from layers.schema import apply
from layers.staging import copy_into, create_staging, drop_staging
from layers.write import write

CENTRE = (116.1176, 24.2886)
PLACES = 2500
BIG = 100_000
AWKWARD = '五华县輋𣒍村 "引号" \\ \t\n\x01 <b>&amp;</b>'


def definition(name: str, geometry: str | None, **more: Any) -> LayerDefinition:
    """A public layer with a field of every type."""
    return parse_definition(
        {
            "name": name,
            "title": {"zh": f"试验{name}", "en": f"Test {name}"},
            "theme": "试验",
            "bureau": "试验局",
            "geometry": geometry,
            "access": "public",
            "fields": [
                {"name": "label", "type": "text", "title": {"zh": "名称", "en": "Name"}},
                {"name": "floors", "type": "integer", "title": {"zh": "层数", "en": "Floors"}},
                {"name": "height", "type": "real", "title": {"zh": "高度", "en": "Height"}},
                {"name": "open", "type": "boolean", "title": {"zh": "开放", "en": "Open"}},
                {"name": "built", "type": "date", "title": {"zh": "建成", "en": "Built"}},
                {"name": "seen", "type": "timestamp", "title": {"zh": "巡查", "en": "Seen"}},
            ],
            **more,
        }
    )


LAYERS = {
    d.name: d
    for d in (
        definition("t_place", "Point", time_field="seen"),
        definition("t_area", "MultiPolygon", time_field="built"),
        definition("t_pipe", "MultiLineString", has_z=True),
        definition("t_name", None),
        definition("t_secret", "Point", access="restricted"),
        definition("t_big", "Point"),
    )
}


@dataclass(frozen=True)
class Row:
    """A feature: id, geometry in CGCS2000 degrees (x = lon) or None, properties."""

    id: str
    geometry: shapely.Geometry | None
    properties: Mapping[str, Any]


def rows() -> dict[str, list[Row]]:
    """The town's features by layer, the same at every call."""
    random = np.random.default_rng(20261122)
    lon = CENTRE[0] + random.uniform(-0.15, 0.15, PLACES)
    lat = CENTRE[1] + random.uniform(-0.12, 0.12, PLACES)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    places = [
        Row(
            f"P{i:05}",
            shapely.Point(lon[i], lat[i]),
            {
                "label": f"地点{i}",
                "floors": i % 7,
                "height": i / 8,
                "open": i % 2 == 0,
                "built": date(2000, 1, 1) + timedelta(days=i),
                "seen": start + timedelta(hours=i),
            },
        )
        for i in range(PLACES)
    ]
    bad = [float("nan"), float("inf"), float("-inf"), None]
    places[:4] = [
        Row(p.id, p.geometry, {**p.properties, "height": h, "label": AWKWARD})
        for p, h in zip(places[:4], bad, strict=True)
    ]
    areas = []
    for i in range(400):
        x, y = lon[i], lat[i]
        box = shapely.box(x, y, x + random.uniform(1e-4, 8e-3), y + random.uniform(1e-4, 8e-3))
        turned = rotate(box, random.uniform(0, 90))
        areas.append(
            Row(
                f"A{i:05}",
                shapely.MultiPolygon([turned]),
                {"label": f"地块{i}", "built": date(2020, 1, 1) + timedelta(days=i)},
            )
        )
    pipes = [
        Row(
            f"L{i}",
            shapely.MultiLineString(
                [[(lon[i], lat[i], 80 - i), (lon[i] + 1e-3, lat[i], 79.5 - i)]]
            ),
            {"label": f"管线{i}"},
        )
        for i in range(10)
    ]
    return {
        "t_place": places,
        "t_area": areas,
        "t_pipe": pipes,
        "t_name": [Row("440000/1", None, {"label": "甲"}), Row("梅江区", None, {"label": "乙"})],
        "t_secret": [Row("S1", shapely.Point(*CENTRE), {"label": "机密"})],
    }


def load(connection: psycopg.Connection[Any], name: str, features: Sequence[Row]) -> None:
    """Write features as one delivery and commit."""
    definition = LAYERS[name]
    columns: dict[str, Any] = {"id": [f.id for f in features]}
    for field in definition.field_names:
        columns[field] = [f.properties.get(field) for f in features]
    if definition.geometry is not None:
        wkb = [None if f.geometry is None else shapely.to_wkb(f.geometry) for f in features]
        columns["geom"] = pa.array(wkb, type=pa.binary())
    staging = create_staging(connection, definition)
    copy_into(connection, staging, pa.table(columns))
    write(connection, definition, staging, run=None, principal=SYSTEM)
    drop_staging(connection, staging)
    connection.commit()


def build(dsn: str) -> None:
    """Create and fill all layers of the town."""
    with psycopg.connect(dsn) as connection:
        apply(connection, LAYERS.values())
        connection.commit()
        for name, features in rows().items():
            load(connection, name, features)
        staging = create_staging(connection, LAYERS["t_big"])
        connection.execute("SELECT setseed(0.2026)")
        connection.execute(
            sql.SQL(
                "INSERT INTO {} (id, label, floors, geom) "
                "SELECT 'B' || i, '井盖' || i, i %% 9, ST_SetSRID(ST_MakePoint("
                "  115.9 + 0.4 * random(), 24.1 + 0.4 * random()), 4490) "
                "FROM generate_series(1, %s) AS i"
            ).format(staging.table),
            [BIG],
        )
        write(connection, LAYERS["t_big"], staging, run=None, principal=SYSTEM)
        drop_staging(connection, staging)
        connection.commit()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ANALYZE")
