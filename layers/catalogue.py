"""The catalogue as a value: which layers are published, for whom, and how far they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from layers.access import AccessClass, Principal
from layers.definition import LayerDefinition, parse_definition
from layers.sql import text

LAYERS = text("catalogue")
GENERATION = "SELECT generation FROM catalog.generation"
STATE = (
    "SELECT (SELECT generation FROM catalog.generation),"
    " (SELECT coalesce(sum(revision), 0)::bigint FROM catalog.layer)"
)


class UnknownLayer(LookupError):  # noqa: N818 - it names an outcome, as HTTP's 404 does
    """No such layer, or none that the principal may read: the text is the same for both."""

    def __init__(self, name: str) -> None:
        super().__init__(f"没有图层 {name} (no such layer)")
        self.name = name


@dataclass(frozen=True)
class PublishedLayer:
    """A layer as the catalogue knows it.

    `extent` is (west, south, east, north) in EPSG:4490 degrees; it holds every feature and may be
    larger after edits. `time_extent` are the first and last value of the definition's time field.
    `applied_steps` are the datum steps that led here, `accuracy_m` what they claim together.
    """

    definition: LayerDefinition
    revision: int
    feature_count: int
    extent: tuple[float, float, float, float] | None
    time_extent: tuple[datetime, datetime] | None
    applied_steps: tuple[Mapping[str, Any], ...]
    accuracy_m: float | None
    synthetic: bool | None
    updated_at: datetime

    @property
    def name(self) -> str:
        """The layer's name, in URLs and table names."""
        return self.definition.name

    @property
    def access(self) -> AccessClass:
        """The access class; it decides for whom the layer exists."""
        return self.definition.access


@dataclass(frozen=True)
class Catalogue:
    """All published layers at one moment; `generation` grows when their description changes."""

    generation: int
    layers: Mapping[str, PublishedLayer]

    def visible_to(self, principal: Principal) -> tuple[PublishedLayer, ...]:
        """Layers that exist for the principal, in order of their names."""
        return tuple(layer for layer in self.layers.values() if principal.may_read(layer.access))

    def layer(self, name: str, principal: Principal) -> PublishedLayer:
        """Return a layer; raises UnknownLayer alike for absent and for unreadable ones."""
        found = self.layers.get(name)
        if found is None or not principal.may_read(found.access):
            raise UnknownLayer(name)
        return found


def load_catalogue(connection: psycopg.Connection[Any]) -> Catalogue:
    """Read the whole catalogue."""
    # the generation first: a change between the two reads is then seen at the next look
    generation = connection.execute(GENERATION).fetchone()
    rows = connection.execute(LAYERS).fetchall()
    return _catalogue(generation, rows)


async def load_catalogue_async(connection: psycopg.AsyncConnection[Any]) -> Catalogue:
    """Read the whole catalogue."""
    generation = await (await connection.execute(GENERATION)).fetchone()
    rows = await (await connection.execute(LAYERS)).fetchall()
    return _catalogue(generation, rows)


async def catalogue_state(connection: psycopg.AsyncConnection[Any]) -> tuple[int, int]:
    """Return (generation, sum of all revisions): equal pairs mean an equal catalogue."""
    row: Any = await (await connection.execute(STATE)).fetchone()
    return int(row[0]), int(row[1])


def _catalogue(generation: tuple[Any, ...] | None, rows: Iterable[tuple[Any, ...]]) -> Catalogue:
    if generation is None:
        raise LookupError("catalog.generation 为空 (is empty): run `geoserver-py db migrate`")
    layers = {str(row[0]): _published(row) for row in rows}
    return Catalogue(int(generation[0]), MappingProxyType(layers))


def _published(row: tuple[Any, ...]) -> PublishedLayer:
    (name, document, access, revision, count, west, south, east, north, start, end, steps) = row[
        :12
    ]
    accuracy_m, synthetic, updated_at = row[12:]
    definition = parse_definition(document, origin=f"catalog.layer {name}")
    return PublishedLayer(
        # the column wins over the document: what restricts access must not hide in JSON
        definition=replace(definition, access=AccessClass(access)),
        revision=int(revision),
        feature_count=int(count),
        extent=None if west is None else (west, south, east, north),
        time_extent=None if start is None else (start, end),
        applied_steps=tuple(steps),
        accuracy_m=accuracy_m,
        synthetic=synthetic,
        updated_at=updated_at,
    )


def describe(
    connection: psycopg.Connection[Any],
    layer: str,
    *,
    applied_steps: Iterable[Mapping[str, Any]],
    accuracy_m: float | None,
    synthetic: bool,
) -> bool:
    """Record how a layer's coordinates came about; return whether that was new.

    A new description bumps the generation, so that collection metadata is rebuilt.
    """
    changed = connection.execute(
        """
        UPDATE catalog.layer
        SET applied_steps = %(steps)s, accuracy_m = %(accuracy_m)s, synthetic = %(synthetic)s,
            updated_at = clock_timestamp()
        WHERE name = %(layer)s AND (applied_steps, accuracy_m, synthetic)
            IS DISTINCT FROM (%(steps)s, %(accuracy_m)s::float8, %(synthetic)s::boolean)
        """,
        {
            "layer": layer,
            "steps": Jsonb([dict(step) for step in applied_steps]),
            "accuracy_m": accuracy_m,
            "synthetic": synthetic,
        },
    )
    if changed.rowcount:
        connection.execute("SELECT catalog.bump_generation()")
    return bool(changed.rowcount)
