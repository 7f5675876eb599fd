"""Published rasters: the catalogue's entry beside the layers; the pixels stand in a COG file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from layers.access import AccessClass, Principal
from layers.catalogue import UnknownLayer
from layers.definition import Title

_LIST = "SELECT name, access, file, document FROM catalog.raster ORDER BY name"


class RasterNameTaken(ValueError):  # noqa: N818 - it names an outcome
    """A layer of features has this name already; both stand at /collections/NAME."""


@dataclass(frozen=True, slots=True)
class PublishedRaster:
    """A raster as the catalogue knows it; `file` is a name in the folder of rasters.

    `document`: title, kind, epsg, bounds (of its CRS), extent (EPSG:4490 degrees), size, bands,
    steps, datum_accuracy_m, stated_accuracy_m, heights, synthetic, sha256, bytes and more.
    """

    name: str
    access: AccessClass
    file: str
    document: Mapping[str, Any]

    @property
    def title(self) -> Title:
        """Title, zh and en."""
        both = self.document["title"]
        return Title(str(both["zh"]), str(both.get("en", "")))


@dataclass(frozen=True, slots=True)
class Rasters:
    """All published rasters at one moment."""

    entries: Mapping[str, PublishedRaster]

    def visible_to(self, principal: Principal) -> tuple[PublishedRaster, ...]:
        """Rasters that exist for the principal, by name."""
        return tuple(r for r in self.entries.values() if principal.may_read(r.access))

    def raster(self, name: str, principal: Principal) -> PublishedRaster:
        """One raster; UnknownLayer alike for absent and unreadable ones."""
        found = self.find(name, principal)
        if found is None:
            raise UnknownLayer(name)
        return found

    def find(self, name: str, principal: Principal) -> PublishedRaster | None:
        """One raster, or None where there is none for the principal."""
        found = self.entries.get(name)
        return found if found is not None and principal.may_read(found.access) else None


NO_RASTERS = Rasters(MappingProxyType({}))


def publish_rasters(
    connection: psycopg.Connection[Any], rasters: Sequence[PublishedRaster]
) -> list[str]:
    """Enter rasters into the catalogue; returns the files that they replace. The caller commits.

    RasterNameTaken when a layer has the name.
    """
    gone: list[str] = []
    for raster in rasters:
        taken = connection.execute(
            "SELECT 1 FROM catalog.layer WHERE name = %s", [raster.name]
        ).fetchone()
        if taken is not None:
            raise RasterNameTaken(
                f"{raster.name}: 已有同名图层，请换名 (a layer has this name: choose another)"
            )
        before = connection.execute(
            "SELECT file FROM catalog.raster WHERE name = %s FOR UPDATE", [raster.name]
        ).fetchone()
        if before is not None and before[0] != raster.file:
            gone.append(str(before[0]))
        connection.execute(
            """
            INSERT INTO catalog.raster (name, access, file, document)
            VALUES (%(name)s, %(access)s, %(file)s, %(document)s)
            ON CONFLICT (name) DO UPDATE SET access = excluded.access, file = excluded.file,
                document = excluded.document, updated_at = clock_timestamp()
            """,
            {
                "name": raster.name,
                "access": raster.access.value,
                "file": raster.file,
                "document": Jsonb(dict(raster.document)),
            },
        )
    connection.execute("SELECT catalog.bump_generation()")
    return gone


def withdraw_raster(connection: psycopg.Connection[Any], name: str) -> str | None:
    """Take a raster out of the catalogue; returns its file, None where there was none."""
    row = connection.execute(
        "DELETE FROM catalog.raster WHERE name = %s RETURNING file", [name]
    ).fetchone()
    connection.execute("SELECT catalog.bump_generation()")
    return None if row is None else str(row[0])


def load_rasters(connection: psycopg.Connection[Any]) -> Rasters:
    """Read all entries."""
    return _rasters(connection.execute(_LIST).fetchall())


async def load_rasters_async(connection: psycopg.AsyncConnection[Any]) -> Rasters:
    """Read all entries."""
    return _rasters(await (await connection.execute(_LIST)).fetchall())


def _rasters(rows: Iterable[tuple[Any, ...]]) -> Rasters:
    found = {
        str(name): PublishedRaster(str(name), AccessClass(access), str(file), document)
        for name, access, file, document in rows
    }
    return Rasters(MappingProxyType(found))
