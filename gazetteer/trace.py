"""The way of one text through the engine, step by step, for a person who asks why.

The same functions in the same order as ``GazetteerService.match``; nothing is reckoned anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gazetteer.answers import AddressRows, Answer, Asked, Candidate, Crossing, Hints
from gazetteer.index import GazetteerIndex
from gazetteer.match import resolve, wanted
from gazetteer.normalise import Normalised
from gazetteer.parse import parse
from gazetteer.readings import Parse
from gazetteer.service import Connect, GazetteerService
from gazetteer.store import fetch_addresses
from layers.access import Principal

_MOST = 50
"""Candidates of a trace, beside those that the answer gives."""


@dataclass(frozen=True, slots=True)
class Change:
    """What normalisation made of the range [start, end) of the text as typed.

    ``text`` is what answers quote ('': dropped); ``key`` is what is compared with the dictionary.
    """

    start: int
    end: int
    typed: str
    text: str
    key: str


@dataclass(frozen=True, slots=True)
class Trace:
    """All that was looked at on the way to ``answer``.

    ``asked``: what was looked up in the tables, with the number of rows found for each.
    ``candidates``: the answer with all its candidates, whatever limit was asked for. ``vetoed``:
    what readings that contradict themselves give, were there no others.
    """

    index: GazetteerIndex
    parse: Parse
    asked: tuple[tuple[Asked | Crossing, int], ...]
    candidates: Answer
    vetoed: tuple[Candidate, ...]
    answer: Answer


async def trace(
    service: GazetteerService,
    connect: Connect,
    principal: Principal,
    text: str,
    hints: Hints | None = None,
) -> Trace:
    """Match one text as the service does, keeping every step."""
    known = hints or Hints()
    index, readable = await service.index(principal), service.readable(principal)
    parsed = parse(index, text)
    sources = {Asked: "address" in readable, Crossing: "road" in readable}
    asked = [key for key in wanted(parsed) if sources[type(key)]]
    rows = AddressRows()
    if asked:
        async with connect() as connection:
            rows = await fetch_addresses(connection, asked, roads=sources[Crossing])
    every = Hints(known.focus, known.bbox, max(known.limit, _MOST))
    return Trace(
        index,
        parsed,
        tuple((key, rows.count(key)) for key in sorted(asked, key=_order)),
        resolve(index, parsed, rows, every),
        tuple(
            candidate
            for reading in parsed.readings
            if reading.conflicts
            for candidate in resolve(
                index, replace(parsed, readings=(reading,)), rows, every
            ).candidates
        ),
        resolve(index, parsed, rows, known),
    )


def _order(key: Asked | Crossing) -> tuple[str, ...]:
    return (type(key).__name__, *map(str, key))


def changes(normalised: Normalised) -> list[Change]:
    """What normalisation changed, in the order of the text; neighbours are told together."""
    source, found = normalised.source, list(_single(normalised))
    joined: list[Change] = []
    for change in found:
        last = joined[-1] if joined else None
        if last is not None and last.end == change.start and bool(last.text) == bool(change.text):
            joined[-1] = Change(
                last.start,
                change.end,
                source[last.start : change.end],
                last.text + change.text,
                last.key + change.key,
            )
        else:
            joined.append(change)
    return joined


def _single(normalised: Normalised) -> Iterator[Change]:
    source, at, position = normalised.source, 0, 0
    for start, end, group in _groups(normalised.starts, normalised.ends):
        if at < start:
            yield Change(at, start, source[at:start], "", "")
        size = len(group)
        text = normalised.text[position : position + size]
        key = normalised.key[position : position + size]
        if source[start:end] not in (text, key) or text != key:
            yield Change(start, end, source[start:end], text, key)
        at, position = max(at, end), position + size
    if at < len(source):
        yield Change(at, len(source), source[at:], "", "")


def _groups(
    starts: Sequence[int], ends: Sequence[int]
) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Positions that came from one range of the text: ㈱ gives three characters."""
    group: tuple[int, ...] = ()
    for position, (start, end) in enumerate(zip(starts, ends, strict=True)):
        if group and (starts[group[0]], ends[group[0]]) != (start, end):
            yield starts[group[0]], ends[group[0]], group
            group = ()
        group = (*group, position)
    if group:
        yield starts[group[0]], ends[group[0]], group
