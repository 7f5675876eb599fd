"""HTTP of the parser: /parse, an address taken apart with its reasons, without any position."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from starlette.responses import Response

from gazetteer.index import GazetteerIndex
from gazetteer.levels import Kind, Status
from gazetteer.normalise import MAX_QUERY_LENGTH
from gazetteer.parse import parse
from gazetteer.readings import Edge, Parse, Reading
from geoserver_py.operations import Call, Operation, Parameter
from layers.definition import Title

_CERTAIN_GAP = 0.3
"""Readings nearer in cost than this are told as rivals; leaving one character unread costs 1."""


async def _parse(call: Call) -> Response:
    index = await call.services.gazetteer.index(call.principal)
    parsed = parse(index, call.arguments["q"])
    return Response(
        orjson.dumps(parse_document(index, parsed, call.arguments["limit"])),
        media_type="application/json",
    )


def parse_document(index: GazetteerIndex, parsed: Parse, limit: int = 3) -> dict[str, Any]:
    """The readings of a text, likeliest first; ``span`` is [start, end) in the text as typed."""
    readings = parsed.readings
    close = [r for r in readings[1:] if r.cost - readings[0].cost < _CERTAIN_GAP]
    return {
        "query": parsed.normalised.source,
        "normalised": parsed.normalised.text,
        "ambiguous": any(_meaning(r) != _meaning(readings[0]) for r in close),
        "readings": [_reading_document(index, parsed, reading) for reading in readings[:limit]],
    }


def _meaning(reading: Reading) -> tuple[object, ...]:
    return reading.codes, tuple((e.kind, e.value) for e in reading.edges if e.kind != Kind.NOTE)


def _reading_document(index: GazetteerIndex, parsed: Parse, reading: Reading) -> dict[str, Any]:
    code = next(iter(reading.codes)) if len(reading.codes) == 1 and not reading.outside else ""
    components = [
        *_completed(index, reading, code),
        *(_component(parsed, edge, _edge_code(edge)) for edge in reading.edges),
    ]
    components.sort(key=lambda c: (c.pop("order"), c.get("span", [0])[0]))
    normalised = parsed.normalised
    return {
        "cost": round(reading.cost, 3),
        "division_code": code,
        "outside": reading.outside,
        "components": components,
        "unread": [
            {"text": normalised.original(low, high), "span": list(normalised.span(low, high))}
            for low, high in reading.unread(normalised.key)
        ],
        "explanation": list(_reasons(parsed, reading)),
    }


def _edge_code(edge: Edge) -> str:
    """The division code that an edge stands for, '' where several fit."""
    return next(iter(edge.codes)) if len(edge.codes) == 1 and edge.places else ""


def _component(parsed: Parse, edge: Edge, code: str) -> dict[str, Any]:
    document: dict[str, Any] = {
        "order": int(edge.kind),
        "kind": edge.kind.label,
        "title": edge.kind.zh,
        "value": edge.value,
        "status": edge.status.value,
        "text": parsed.normalised.original(edge.start, edge.end),
        "span": list(parsed.normalised.span(edge.start, edge.end)),
    }
    if code:
        document["code"] = code
    if edge.codes and len(edge.places) > 1:
        document["candidates"] = len(edge.places)
    return document


def _completed(index: GazetteerIndex, reading: Reading, code: str) -> Iterator[dict[str, Any]]:
    """The levels above what is named, which the text leaves out."""
    named = {edge.kind for edge in reading.edges if edge.codes}
    for division in index.chain(code):
        if division.kind not in named:
            yield {
                "order": int(division.kind),
                "kind": division.kind.label,
                "title": division.kind.zh,
                "value": division.name,
                "status": Status.COMPLETED.value,
                "code": division.code,
            }


def _reasons(parsed: Parse, reading: Reading) -> Iterator[dict[str, str]]:
    for edge in reading.edges:
        typed = parsed.normalised.original(edge.start, edge.end)
        if edge.is_unknown:
            yield _reason("unknown-name", f"“{typed}”不在地名库中", f"{typed} is not known")
        elif edge.form is not None and edge.value != typed:
            yield _reason(
                edge.form.value, f"{typed} → {edge.value}", f"{typed} read as {edge.value}"
            )
        if edge.codes and len(edge.places) > 1:
            count = len(edge.places)
            yield _reason("several", f"有 {count} 处名为{edge.value}", f"{count} bear this name")
    for before, after in reading.conflicts:
        yield _reason(
            "conflict",
            f"{after.value}不属于{before.value}",
            f"{after.value} is not in {before.value}",
        )
    if reading.restarted:
        yield _reason(
            "restart", "前面的区划与后文矛盾，以后文为准", "an earlier division was given up"
        )
    if reading.outside:
        yield _reason("outside", "不在本市范围内", "outside this city")


def _reason(rule: str, zh: str, en: str) -> dict[str, str]:
    return {"rule": rule, "zh": zh, "en": en}


OPERATIONS = (
    Operation(
        method="GET",
        path="/parse",
        operation_id="parseAddress",
        summary=Title("地址解析", "An address taken apart into its components, without positions"),
        tag="gazetteer",
        handler=_parse,
        parameters=(
            Parameter(
                "q",
                {"type": "string", "minLength": 1, "maxLength": MAX_QUERY_LENGTH},
                Title("地址或含地址的句子", "An address, or a sentence that holds one"),
                required=True,
                example="梅江区嘉应中路12号之一3单元502室",
            ),
            Parameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": 8, "default": 3},
                Title("最多返回几种读法", "Most readings to return"),
            ),
        ),
    ),
)
