"""Registered datum steps in the database: who registered what, when, and what it replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from etl.datum.errors import RegistryError
from etl.datum.registry import DatumRegistry


def register(
    connection: psycopg.Connection[Any], mapping: Mapping[str, Any], registered_by: str
) -> tuple[str, ...]:
    """Store the grids and steps of `mapping` ({grids, links}); the names of the steps.

    A step of the same name is withdrawn and kept. The caller commits. RegistryError for anything
    that the registry itself would refuse, also together with what is stored already.
    """
    if not registered_by.strip():
        raise RegistryError("须写明登记人；say who registers (--by)")
    stored = stored_mapping(connection)
    grids = {**stored["grids"], **(mapping.get("grids") or {})}
    added = DatumRegistry.from_mapping({**mapping, "grids": grids})
    names = []
    for grid, title in (mapping.get("grids") or {}).items():
        connection.execute(
            "INSERT INTO catalog.datum_grid (name, title, registered_by) VALUES (%s, %s, %s)"
            " ON CONFLICT (name) DO UPDATE SET title = EXCLUDED.title,"
            " registered_by = EXCLUDED.registered_by, registered_at = now()",
            (grid, title, registered_by),
        )
    for entry in mapping.get("links") or ():
        name = str(entry.get("name") or f"{entry['source']} → {entry['target']}")
        connection.execute(
            "UPDATE catalog.datum_step SET withdrawn_at = now()"
            " WHERE name = %s AND withdrawn_at IS NULL",
            (name,),
        )
        connection.execute(
            "INSERT INTO catalog.datum_step (name, entry, registered_by) VALUES (%s, %s, %s)",
            (name, Jsonb({**entry, "name": name}), registered_by),
        )
        names.append(name)
    if len(names) != len(added.links) + len(added.heights):
        raise RegistryError("同名的转换；two steps share a name")
    connection.execute("SELECT catalog.bump_generation()")  # running services load it anew
    return tuple(names)


_GRIDS = "SELECT name, title FROM catalog.datum_grid ORDER BY name"
_STEPS = (
    "SELECT entry, registered_by FROM catalog.datum_step WHERE withdrawn_at IS NULL ORDER BY id"
)


def _mapping(grids: Iterable[Sequence[Any]], steps: Iterable[Sequence[Any]]) -> dict[str, Any]:
    return {
        "grids": {row[0]: row[1] for row in grids},
        "links": [{**row[0], "registered_by": row[1]} for row in steps],
    }


def stored_mapping(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    """What is registered and not withdrawn, as `DatumRegistry.from_mapping` takes it."""
    grids = connection.execute(_GRIDS).fetchall()
    return _mapping(grids, connection.execute(_STEPS).fetchall())


def load_registry(connection: psycopg.Connection[Any]) -> DatumRegistry:
    """The registry of the database."""
    return DatumRegistry.from_mapping(stored_mapping(connection))


async def load_registry_async(connection: psycopg.AsyncConnection[Any]) -> DatumRegistry:
    """The registry of the database, for a running service."""
    grids = await (await connection.execute(_GRIDS)).fetchall()
    steps = await (await connection.execute(_STEPS)).fetchall()
    return DatumRegistry.from_mapping(_mapping(grids, steps))
