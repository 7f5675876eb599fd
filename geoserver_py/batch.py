"""A table of addresses with what was matched behind each row: for the route, and for the job."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from etl.datum import Coordsys, DatumRegistry
from gazetteer.answers import Hints
from gazetteer.normalise import MAX_QUERY_LENGTH
from gazetteer.service import Connect, GazetteerService
from geoserver_py.geocoding import MATCH_COLUMNS, flat, geocode, in_coordsys
from geoserver_py.tables import Table, pieces
from layers.access import Principal
from layers.city import CityProfile

PIECE = 200
"""Rows matched at a time; others go between."""


async def matched_rows(
    gazetteer: GazetteerService,
    connect: Connect,
    principal: Principal,
    table: Table,
    column: int,
    *,
    profile: CityProfile,
    registry: DatumRegistry,
    target: Coordsys,
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """The rows with MATCH_COLUMNS behind, in order, PIECE at a time, positions in ``target``.

    Raises DatumError where the target cannot hold a position.
    """
    nothing = dict.fromkeys(MATCH_COLUMNS)
    for piece in pieces(table, PIECE):
        texts = [str(row[column] or "").strip()[:MAX_QUERY_LENGTH] for row in piece]
        documents = await geocode(
            gazetteer, connect, principal, [text for text in texts if text],
            profile=profile, registry=registry, hints=Hints(limit=1), explain=False,
        )  # fmt: skip
        answers = iter(flat(in_coordsys(found, target, registry)) for found in documents)
        found = [next(answers) if text else nothing for text in texts]
        yield [
            (*row, *(answer[name] for name in MATCH_COLUMNS))
            for row, answer in zip(piece, found, strict=True)
        ]
