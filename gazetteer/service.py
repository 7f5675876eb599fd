"""The gazetteer of a running service: loads the names, follows the layers, answers queries.

Every worker process keeps its own snapshot in memory and its own position in the outbox: nothing
is persisted, since all of it is derived from layer tables in seconds. House numbers are read from
the address table by each query and so are never stale; only names are cached.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

import psycopg

from gazetteer.answers import AddressRows, Answer, Asked, Crossing, Hints
from gazetteer.index import GazetteerIndex
from gazetteer.levels import Kind
from gazetteer.match import resolve, wanted
from gazetteer.parse import parse
from gazetteer.readings import Parse
from gazetteer.records import Place
from gazetteer.store import (
    DIVISION_LAYERS,
    SOURCES,
    Connection,
    Frame,
    fetch_addresses,
    known_road_names,
    read_address_names,
    read_divisions,
    read_pois,
    read_register,
    read_roads,
    statement,
)
from gazetteer.words import Texts
from layers.access import AccessClass, Principal
from layers.catalogue import Catalogue
from layers.city import CityProfile

Connect = Callable[[], AbstractAsyncContextManager[Connection]]

MAX_PATCH = 500
"""More changed addresses than this are read again as a whole."""
_DEFAULT_ACCURACY_M = 10.0
_TOGETHER = 200
"""Queries of a batch that share one look-up of house numbers."""
_HEAVY = 10
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Source:
    """What is known of one layer: its state when read, and the places read from it.

    Revisions count from the start again in a database that was restored, so the times of the
    revision and of the catalogue's row belong to what a state is.
    """

    revision: int
    made_at: datetime | None
    updated_at: datetime
    access: AccessClass
    accuracy_m: float
    places: tuple[Place, ...]


def lent(connection: Connection) -> Connect:
    """Return what lends one connection again and again, for those that have just one."""
    return lambda: contextlib.nullcontext(connection)


class GazetteerService:
    """Snapshots of a city's names, one index for each set of layers that a principal may read."""

    def __init__(self, connect: Connect, profile: CityProfile) -> None:
        self._connect = connect
        self._profile = profile
        self._sources: Mapping[str, _Source] = {}
        self._frame = Frame(())
        self._indexes: dict[frozenset[str], GazetteerIndex] = {}
        self._lock = asyncio.Lock()
        self._texts: tuple[tuple[int, datetime], Texts] | None = None
        self._texts_lock = asyncio.Lock()
        self._loaded = False

    @property
    def ready(self) -> bool:
        """Whether the names have been loaded at least once."""
        return self._loaded

    def readable(self, principal: Principal) -> frozenset[str]:
        """Names of the gazetteer's layers that exist for the principal."""
        return frozenset(
            name for name, source in self._sources.items() if principal.may_read(source.access)
        )

    async def index(self, principal: Principal) -> GazetteerIndex:
        """The dictionary of the layers that the principal may read; built once a state."""
        layers = self.readable(principal)
        found = self._indexes.get(layers)
        if found is not None:
            return found
        async with self._lock:
            if layers not in self._indexes:
                sources = self._sources
                built = await asyncio.to_thread(self._build, layers, sources)
                if sources is not self._sources:  # a refresh came between
                    return built
                self._indexes[layers] = built
            return self._indexes[layers]

    async def follow(
        self, catalogue: Catalogue, on_layer: Callable[[str], None] | None = None
    ) -> bool:
        """Read again what changed since the last call; returns whether names did.

        Cheap when nothing did: revisions and access classes are compared in memory. ``on_layer``
        is told each layer before it is looked at.
        """
        sources = dict(self._sources)
        names_changed = not self._loaded
        frame = self._frame
        async with self._lock:
            for name in SOURCES:
                if on_layer is not None:
                    on_layer(name)
                published = catalogue.layers.get(name)
                known = sources.get(name)
                if published is None:
                    names_changed |= sources.pop(name, None) is not None
                    continue
                access = published.definition.access
                # the datum steps' accuracy alone (0 m for exact ones) says nothing of the survey
                accuracy = max(
                    published.accuracy_m or 0.0,
                    published.definition.required_accuracy_m or _DEFAULT_ACCURACY_M,
                )
                state = (published.revision, published.updated_at)
                if known is not None and (known.revision, known.updated_at) == state:
                    if (known.access, known.accuracy_m) != (access, accuracy):
                        sources[name] = replace(known, access=access, accuracy_m=accuracy)
                        names_changed = True
                    continue
                async with self._connect() as connection, connection.transaction():
                    # names and revision must be of one moment, or a change could be missed
                    await connection.execute(
                        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
                    )
                    revision, made_at, updated_at = await _revision(connection, name)
                    if name in ("division_county", "division_town"):
                        frame = await _read_frame(connection, catalogue)
                    places = await self._read(connection, name, known, frame, accuracy)
                sources[name] = _Source(revision, made_at, updated_at, access, accuracy, places)
                names_changed |= known is None or places != known.places
            self._frame = frame
            self._loaded = True
            if names_changed:
                self._sources = sources
                everyone = self.readable(Principal("public"))
                index = await asyncio.to_thread(self._build, everyone, sources)
                self._indexes = {everyone: index}
            else:
                self._sources = sources
        return names_changed

    async def match(
        self, connect: Connect, principal: Principal, text: str, hints: Hints | None = None
    ) -> Answer:
        """Answer one address; a connection is borrowed while house numbers are looked up."""
        answers = await self.match_many(connect, principal, [text], hints)
        return answers[0]

    async def match_many(
        self,
        connect: Connect,
        principal: Principal,
        texts: Sequence[str],
        hints: Hints | None = None,
    ) -> list[Answer]:
        """Answer addresses in order, with one look-up of house numbers for all of them."""
        index = await self.index(principal)
        known = hints or Hints()
        readable = self.readable(principal)
        sources = {Asked: "address" in readable, Crossing: "road" in readable}
        answers: list[Answer] = []
        for start in range(0, len(texts), _TOGETHER):
            some = texts[start : start + _TOGETHER]
            parses, keys = await _aside(len(some), _read_all, index, some)
            asked = [k for k in keys if sources[type(k)]]
            rows = AddressRows({}, {}, {})
            if asked:  # borrowed for the look-up alone: a batch computes for seconds
                async with connect() as connection:
                    rows = await fetch_addresses(connection, asked, roads=sources[Crossing])
            answers += await _aside(len(some), _judge_all, index, parses, rows, known)
        return answers

    async def pois_holding(self, connection: Connection, words: Sequence[str]) -> list[int]:
        """The fids of points of interest whose name or address holds one of the words.

        Their texts are read once a revision; the caller sees to it that the layer may be read.
        """
        source = self._sources.get("poi")
        if source is None:
            return []
        state = (source.revision, source.updated_at)
        async with self._texts_lock:
            if self._texts is None or self._texts[0] != state:
                rows = await (await connection.execute(statement("poi_texts"))).fetchall()
                self._texts = state, await asyncio.to_thread(Texts.of, rows)
            texts = self._texts[1]
        return await asyncio.to_thread(texts.holding, words)

    def _build(self, layers: frozenset[str], sources: Mapping[str, _Source]) -> GazetteerIndex:
        places: list[Place] = []
        for name in SOURCES:
            if name in layers and name != "address":
                places += sources[name].places
        accuracy = _DEFAULT_ACCURACY_M
        if "address" in layers:
            accuracy = sources["address"].accuracy_m
            roads = known_road_names(places)
            places += [
                place
                for place in sources["address"].places
                if place.kind is not Kind.ROAD or (place.name, place.code[:6]) not in roads
            ]
        with _without_collection():
            return GazetteerIndex.build(
                places,
                city_code=self._profile.division_code,
                city_name=self._profile.title.zh,
                address_accuracy_m=accuracy,
                locator=self._frame.codes,
            )

    async def _read(
        self,
        connection: Connection,
        layer: str,
        known: _Source | None,
        frame: Frame,
        accuracy_m: float,
    ) -> tuple[Place, ...]:
        if layer in DIVISION_LAYERS:
            places, _ = await read_divisions(connection, layer, shapes=False)
            return tuple(places)
        if layer == "division_name":
            return tuple(await read_register(connection))
        if layer == "road":
            return tuple(await read_roads(connection, frame))
        if layer == "poi":
            return tuple(await read_pois(connection, frame, accuracy_m))
        fids = None if known is None else await _new_rows(connection, layer, known)
        if known is None or fids is None:
            return tuple(await read_address_names(connection, frame))
        added = await read_address_names(connection, frame, fids)
        seen = {(place.kind, place.name, place.code) for place in known.places}
        return (
            *known.places,
            *(place for place in added if (place.kind, place.name, place.code) not in seen),
        )


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """No search for garbage while a million lasting objects are made: it halves the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


async def _aside(weight: int, work: Callable[..., T], *arguments: object) -> T:
    """Run pure work: a little at once, much of it in a thread, so that others are not held up."""
    if weight < _HEAVY:
        return work(*arguments)
    return await asyncio.to_thread(work, *arguments)


def _read_all(
    index: GazetteerIndex, texts: Sequence[str]
) -> tuple[list[Parse], set[Asked | Crossing]]:
    parses = [parse(index, text) for text in texts]
    keys: set[Asked | Crossing] = set()
    for parsed in parses:
        keys |= wanted(parsed)
    return parses, keys


def _judge_all(
    index: GazetteerIndex, parses: Sequence[Parse], rows: AddressRows, hints: Hints
) -> list[Answer]:
    return [resolve(index, parsed, rows, hints) for parsed in parses]


async def _revision(connection: Connection, layer: str) -> tuple[int, datetime | None, datetime]:
    """Revision of a layer, when it was made, and when the layer's row was last written."""
    cursor = await connection.execute(
        "SELECT l.revision, r.at, l.updated_at FROM catalog.layer AS l"
        " LEFT JOIN catalog.revision AS r ON r.layer = l.name AND r.revision = l.revision"
        " WHERE l.name = %s",
        [layer],
    )
    row = await cursor.fetchone()
    if row is None:
        raise psycopg.OperationalError(f"layer {layer} left the catalogue while it was read")
    return int(row[0]), row[1], row[2]


async def _read_frame(connection: Connection, catalogue: Catalogue) -> Frame:
    shapes: list[tuple[str, bytes]] = []
    for layer in ("division_county", "division_town"):
        if layer in catalogue.layers:
            _, polygons = await read_divisions(connection, layer, shapes=True)
            shapes += polygons
    return Frame(shapes)


async def _new_rows(connection: Connection, layer: str, known: _Source) -> list[int] | None:
    """The fids inserted since a layer was read; None if anything else happened to it.

    Also None where the outbox has gaps, and where the revision read is not one of this database.
    """
    since = known.revision
    cursor = await connection.execute(
        "SELECT FROM catalog.revision WHERE layer = %s AND revision = %s AND at = %s",
        [layer, since, known.made_at],
    )
    if await cursor.fetchone() is None:
        return None
    cursor = await connection.execute(
        "SELECT operation, fid, revision FROM catalog.outbox"
        " WHERE layer = %s AND revision > %s ORDER BY revision, ordinal LIMIT %s",
        [layer, since, MAX_PATCH + 1],
    )
    rows = await cursor.fetchall()
    if not rows or len(rows) > MAX_PATCH or rows[0][2] != since + 1:
        return None
    if any(operation != "insert" or fid is None for operation, fid, _ in rows):
        return None
    return [int(fid) for _, fid, _ in rows]
