"""A small synthetic layer and rows for it, shared by the tests of the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
import pyarrow as pa
import shapely

from layers.access import SYSTEM
from layers.definition import LayerDefinition, parse_definition
from layers.schema import apply
from layers.staging import copy_into, create_staging, drop_staging
from layers.write import Deletes, WriteResult, write

LAMPS: dict[str, Any] = {
    "name": "lamp",
    "title": {"zh": "测试路灯", "en": "Test lamps"},
    "theme": "测试",
    "bureau": "测试",
    "access": "public",
    "geometry": "Point",
    "time_field": "seen_at",
    "fields": [
        {"name": "kind", "type": "text", "title": {"zh": "类别", "en": "Kind"}, "indexed": True},
        {"name": "height_m", "type": "real", "title": {"zh": "高度", "en": "Height"}},
        {"name": "lamps", "type": "integer", "title": {"zh": "灯数", "en": "Lamps"}},
        {"name": "lit", "type": "boolean", "title": {"zh": "亮", "en": "Lit"}},
        {"name": "seen_on", "type": "date", "title": {"zh": "日期", "en": "Seen on"}},
        {"name": "seen_at", "type": "timestamp", "title": {"zh": "时间", "en": "Seen at"}},
    ],
}


def lamp_definition(**changes: Any) -> LayerDefinition:
    """The test layer, with keys of its document replaced."""
    return parse_definition({**LAMPS, **changes})


def batch(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows (id, fields, `at`: lon and lat, or `shape`) as an Arrow table with WKB."""
    records = []
    for row in rows:
        record = dict(row)
        if "at" in record:
            record["shape"] = shapely.Point(*record.pop("at"))
        if "shape" in record:
            record["geom"] = shapely.to_wkb(record.pop("shape"))
        records.append(record)
    names = dict.fromkeys(name for record in records for name in record)
    return pa.Table.from_pylist([{name: r.get(name) for name in names} for r in records])


def deliver(
    connection: psycopg.Connection,
    definition: LayerDefinition,
    rows: Iterable[Mapping[str, Any]],
    *,
    deletes: Deletes = Deletes.NONE,
    scope: Mapping[str, Any] | None = None,
) -> WriteResult:
    """Stage and write rows; the caller commits."""
    staging = create_staging(connection, definition)
    copy_into(connection, staging, batch(rows))
    result = write(
        connection, definition, staging, run=None, principal=SYSTEM, deletes=deletes, scope=scope
    )
    drop_staging(connection, staging)
    return result


def published(dsn: str, **changes: Any) -> tuple[psycopg.Connection, LayerDefinition]:
    """A connection to a database in which the test layer is applied."""
    definition = lamp_definition(**changes)
    connection = psycopg.connect(dsn)
    apply(connection, [definition])
    connection.commit()
    return connection, definition
