"""Where a feature comes from: its versions, and of each the delivery, file, row, run and steps.

A version keeps its run and `source_ref` (tables.SOURCE_ROW_BITS); what the run says of its files
is in the run's report. Both stay when versions move to history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from layers import tables
from layers.definition import LayerDefinition
from layers.sql import text

STEP_KEYS = ("name", "kind", "source", "target", "accuracy_m", "authority")
"""What lineage tells of a datum step; survey parameters are confidential."""


@dataclass(frozen=True)
class SourceFile:
    """The file of a version as the delivery names it, and its way to EPSG:4490.

    `coordsys` and `steps` are None where the run kept none (a layer without geometry).
    """

    name: str
    row: int
    coordsys: str | None
    accuracy_m: float | None
    steps: tuple[Mapping[str, Any], ...] | None


@dataclass(frozen=True)
class Version:
    """One version of a feature: live from revision `revision` until `replaced_by` (None: still).

    `operation` is insert, update, edit (by hand: `run` is None) or rollback; `ended_by` is update
    or delete. `sources` holds one file, or several when the delivery reads one file in several
    ways; none for edits, and for versions older than the recording of files.
    """

    fid: int
    revision: int
    at: datetime | None
    operation: str
    principal: str | None
    run: int | None
    delivery: str | None
    bureau: str | None
    sources: tuple[SourceFile, ...]
    reverts: int | None
    restores: int | None
    """Of a rollback: the revision of the version that it brought back."""
    replaced_by: int | None
    replaced_at: datetime | None
    ended_by: str | None


@dataclass(frozen=True)
class Lineage:
    """All versions of the features that had a business id, oldest first."""

    layer: str
    id: str
    versions: tuple[Version, ...]

    @property
    def live(self) -> bool:
        """Whether the feature is there now."""
        return bool(self.versions) and self.versions[-1].replaced_by is None

    def to_json(self, *, people: bool) -> dict[str, Any]:
        """As plain data; names of people who edited only with `people`."""
        return {
            "collection": self.layer,
            "id": self.id,
            "live": self.live,
            "versions": [_version_json(version, people=people) for version in self.versions],
        }


def statement(definition: LayerDefinition) -> sql.Composed:
    """The query of a feature's versions; binds ``%(id)s`` and ``%(layer)s``."""
    return text("lineage").format(
        live=tables.layer_table(definition.name),
        history=tables.history_table(definition.name),
        bits=sql.Literal(tables.SOURCE_ROW_BITS),
    )


def assemble(layer: str, ident: str, rows: Iterable[tuple[Any, ...]]) -> Lineage:
    """Versions from the rows of `statement`."""
    found = list(rows)
    ends = {row[5]: row[1] for row in found if row[5] is not None}
    seen: set[int] = set()
    versions = []
    for row in found:
        (fid, revision, at, principal, run, until, gone_at, ended_by, source_row, delivery, bureau,
         reverts, reverted_revision, files) = row  # fmt: skip
        first, restores = fid not in seen, None
        seen.add(fid)
        if reverts is not None:
            operation, restores = "rollback", ends.get(reverted_revision)
        elif run is None:
            operation = "insert" if first else "edit"
        else:
            operation = "insert" if first else "update"
        versions.append(
            Version(
                fid=fid,
                revision=revision,
                at=at,
                operation=operation,
                principal=principal,
                run=run,
                delivery=delivery,
                bureau=bureau,
                sources=tuple(_source(file, source_row) for file in files or ()),
                reverts=reverts,
                restores=restores,
                replaced_by=until,
                replaced_at=gone_at,
                ended_by=ended_by,
            )
        )
    return Lineage(layer, ident, tuple(versions))


def lineage(
    connection: psycopg.Connection[Any], definition: LayerDefinition, ident: str
) -> Lineage:
    """Read the lineage of a feature by its business id; no versions: there never was one."""
    bound = {"id": ident, "layer": definition.name}
    return assemble(definition.name, ident, connection.execute(statement(definition), bound))


def _source(file: Mapping[str, Any], row: int) -> SourceFile:
    datum = file.get("datum")
    return SourceFile(
        name=str(file.get("file")),
        row=row,
        coordsys=file.get("coordsys"),
        accuracy_m=None if datum is None else datum.get("accuracy_m"),
        steps=None
        if datum is None
        else tuple({key: step.get(key) for key in STEP_KEYS} for step in datum.get("steps", ())),
    )


def _version_json(version: Version, *, people: bool) -> dict[str, Any]:
    run = None
    if version.run is not None:
        run = {
            "id": version.run,
            "delivery": version.delivery,
            "bureau": version.bureau,
            "reverts": version.reverts,
        }
    return {
        "fid": version.fid,
        "operation": version.operation,
        "revision": version.revision,
        "at": version.at,
        "replacedBy": version.replaced_by,
        "replacedAt": version.replaced_at,
        "endedBy": version.ended_by,
        "restores": version.restores,
        "run": run,
        "principal": version.principal if people else None,
        "sources": [
            {
                "file": source.name,
                "row": source.row,
                "coordsys": source.coordsys,
                "accuracy_m": source.accuracy_m,
                "datumSteps": None if source.steps is None else list(source.steps),
            }
            for source in version.sources
        ],
    }
