"""The findings of a run as the catalogue kept them, one row a finding, for lists and drawings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

_CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """A finding with its row; `lon`, `lat` in CGCS2000 degrees where the row has a position."""

    file: str | None
    row: int | None
    id: str | None
    rule: str
    severity: str
    reason: str
    lon: float | None
    lat: float | None


def stored_findings(connection: psycopg.Connection[Any], run: int) -> Iterator[StoredFinding]:
    """All findings of a run by file and row, streamed; warnings too."""
    statement = """
        SELECT file, source_row, id, rule, severity, reason,
               ST_X(ST_PointOnSurface(geom)), ST_Y(ST_PointOnSurface(geom))
        FROM catalog.reject WHERE run = %s
        ORDER BY file, source_row, rule
    """
    with connection.transaction(), connection.cursor(name="findings") as cursor:
        cursor.itersize = _CHUNK
        cursor.execute(statement, [run])
        for row in cursor:
            yield StoredFinding(*row)
