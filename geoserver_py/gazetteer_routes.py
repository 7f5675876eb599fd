"""HTTP of the address engine: /geocode, /geocode/batch, /reverse, /suggest, all GeocodeJSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
from starlette.responses import Response, StreamingResponse

from etl.datum import Coordsys, DatumError, UnknownCoordsys, locate
from gazetteer.answers import Hints
from gazetteer.geocodejson import (
    collection,
    division_chain,
    suggestion_feature,
    surroundings_features,
)
from gazetteer.normalise import MAX_QUERY_LENGTH
from gazetteer.reverse import surroundings
from gazetteer.suggest import suggest, suggest_numbers
from geoserver_py.batch import matched_rows
from geoserver_py.geocoding import MATCH_COLUMNS, geocode, in_coordsys, typed_position
from geoserver_py.operations import Call, Operation, Parameter, read_body
from geoserver_py.pools import run_cancellable
from geoserver_py.positions import POSITION_PARAMETERS, has_position, position_of
from geoserver_py.problems import Problem, invalid_parameter, json_fault
from geoserver_py.services import Services
from geoserver_py.tables import (
    CSV_TYPE,
    XLSX_TYPE,
    Table,
    TableError,
    csv_lines,
    read_csv,
    read_xlsx,
    xlsx_bytes,
)
from layers.definition import Title

MEDIA_TYPE = "application/geo+json"
MAX_BATCH = 1000
"""Most addresses in one batch of JSON."""
MAX_TABLE_ROWS = 100_000
"""Most rows of a table; larger ones belong to the process geocode-batch."""
MAX_TABLE_BYTES = 32 * 1024 * 1024

_QUERY = Parameter(
    "q",
    {"type": "string", "minLength": 1, "maxLength": MAX_QUERY_LENGTH},
    Title("地址、地名或坐标", "An address, a name, or a coordinate as people type it"),
    required=True,
    example="梅江区嘉应中路12号",
)
_LIMIT = Parameter(
    "limit",
    {"type": "integer", "minimum": 1, "maximum": 50, "default": 5},
    Title("最多返回条数", "Most features to return"),
)
_BBOX = Parameter(
    "bbox",
    {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
    Title(
        "只要此范围内的结果：西,南,东,北（度，按 coordsys）",
        "Only what lies in west,south,east,north, degrees in coordsys",
    ),
)
_COORDSYS_OUT = Parameter(
    "coordsys_out",
    {"type": "string", "maxLength": 60, "default": "cgcs2000"},
    Title("输出坐标系", "Coordinate system of the answer: cgcs2000, gcj02, epsg:4548…"),
    example="gcj02",
)
_EXPLAIN = Parameter(
    "explain",
    {"type": "boolean", "default": True},
    Title("是否给出评分依据", "Whether to give the explanation of scores"),
)
_COLUMN = Parameter(
    "column",
    {"type": "string", "maxLength": 100},
    Title(
        "表中的地址列（CSV、Excel）；缺省按常用列名",
        "The column of addresses of a table; by its usual headings where not given",
    ),
    example="地址",
)
_TABLES = {
    CSV_TYPE: {"schema": {"type": "string"}, "example": "id,地址\r\n7,梅江区嘉应中路12号\r\n"},
    XLSX_TYPE: {"schema": {"type": "string", "format": "binary"}},
}
_RESPONSES: Mapping[int, tuple[str, Mapping[str, Any]]] = {
    200: ("GeocodeJSON", {MEDIA_TYPE: {"schema": {"type": "object"}}}),
}
_BATCH_ITEM = {
    "oneOf": [
        {"type": "string", "minLength": 1, "maxLength": MAX_QUERY_LENGTH},
        {
            "type": "object",
            "required": ["q"],
            "properties": {
                "q": {"type": "string"},
                "id": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
            },
        },
    ]
}


async def _geocode(call: Call) -> Response:
    arguments = call.arguments
    hints = Hints(
        focus=_focus(call.services, arguments),
        bbox=_bbox(call.services, arguments),
        limit=arguments["limit"],
    )

    async def answer() -> dict[str, Any]:
        documents = await geocode(
            call.services.gazetteer,
            call.services.pools.lookups,
            call.principal,
            [arguments["q"]],
            profile=call.services.profile,
            registry=call.services.registry,
            hints=hints,
            explain=arguments["explain"],
        )
        return documents[0]

    return _response(call, await run_cancellable(call.request, answer()))


async def _batch(call: Call) -> Response:
    media = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media in (CSV_TYPE, XLSX_TYPE):
        return await _table(call, media)
    items = _items(await _body(call))
    documents = await geocode(
        call.services.gazetteer,
        call.services.pools.lookups,
        call.principal,
        [text for text, _ in items],
        profile=call.services.profile,
        registry=call.services.registry,
        hints=Hints(limit=call.arguments["limit"]),
        explain=call.arguments["explain"],
    )
    for document, (_, identity) in zip(documents, items, strict=True):
        _out(call, document)
        if identity is not None:
            document["geocoding"]["id"] = identity
    return Response(orjson.dumps(documents), media_type="application/json")


async def _table(call: Call, media: str) -> Response:
    """A table with what was matched in further columns, as it was sent: CSV or a workbook."""
    content = await read_body(call.request, MAX_TABLE_BYTES)
    try:
        table = await asyncio.to_thread(read_csv if media == CSV_TYPE else read_xlsx, content)
        column = table.column(call.arguments["column"])
    except TableError as wrong:
        raise Problem(400, "invalid-body", zh=str(wrong), en="") from wrong
    if len(table.rows) > MAX_TABLE_ROWS:
        raise _bad_body(
            f"最多 {MAX_TABLE_ROWS} 行，收到 {len(table.rows)} 行；更大的表用异步处理"
            " /processes/geocode-batch",
            f"at most {MAX_TABLE_ROWS} rows; larger tables: the process geocode-batch",
        )
    matched = _matched(call, table, column)
    heading = (*table.heading, *MATCH_COLUMNS)
    if media == XLSX_TYPE:
        rows = [heading, *[row async for piece in matched for row in piece]]
        return Response(await asyncio.to_thread(xlsx_bytes, rows), media_type=XLSX_TYPE)
    head: list[tuple[Any, ...]] = await anext(
        matched, []
    )  # a refusal must come before the answer begins

    async def lines() -> AsyncIterator[bytes]:
        yield csv_lines([heading, *head], first=True)
        async for piece in matched:
            yield csv_lines(piece, first=False)

    return StreamingResponse(lines(), media_type=f"{CSV_TYPE}; header=present")


async def _matched(call: Call, table: Table, column: int) -> AsyncIterator[list[tuple[Any, ...]]]:
    """The rows with what was matched; Problem 400 where coordsys_out cannot hold a position."""
    services = call.services
    rows = matched_rows(
        services.gazetteer, services.pools.lookups, call.principal, table, column,
        profile=services.profile, registry=services.registry, target=_target(call),
    )  # fmt: skip
    try:
        async for piece in rows:
            yield piece
    except DatumError as refused:
        raise _not_available(call, refused) from refused


async def _reverse(call: Call) -> Response:
    services = call.services
    position = position_of(services, call.arguments)
    layers = services.gazetteer.readable(call.principal)
    index = await services.gazetteer.index(call.principal)
    if not services.profile.extent.contains(position.lon, position.lat):
        reason = {
            "rule": "outside",
            "zh": f"位置不在{services.profile.title.zh}范围内，请检查 coordsys 与坐标",
            "en": f"outside {services.profile.title.en}; check coordsys and the coordinates",
            "delta": 0.0,
        }
        return _response(call, collection((), _asked(call), explanation=[reason]))

    async def answer() -> dict[str, Any]:
        async with services.pools.lookups() as connection:
            found = await surroundings(
                connection, layers, position.lon, position.lat, pois=call.arguments["limit"]
            )
        return collection(
            surroundings_features(index, found),
            _asked(call),
            lon=round(position.lon, 9),
            lat=round(position.lat, 9),
            accuracy_m=position.accuracy_m,
            divisions=division_chain(found),
        )

    return _response(call, await run_cancellable(call.request, answer()))


async def _suggest(call: Call) -> Response:
    services, text, limit = call.services, call.arguments["q"], call.arguments["limit"]
    typed = typed_position(text, services.profile, services.registry)
    if typed is not None:
        return _response(call, typed)
    index = await services.gazetteer.index(call.principal)
    names = suggest(index, text, limit, _focus(services, call.arguments))
    if "address" in services.gazetteer.readable(call.principal):
        plates = await suggest_numbers(services.pools.lookups, index, text, limit)
        names = [*plates, *names][:limit]
    return _response(call, collection([suggestion_feature(name) for name in names], text))


def _asked(call: Call) -> dict[str, Any]:
    names = ("coordsys", "lon", "lat", "north", "east")
    return {n: call.arguments[n] for n in names if call.arguments.get(n) is not None}


def _response(call: Call, document: dict[str, Any]) -> Response:
    return Response(orjson.dumps(_out(call, document)), media_type=MEDIA_TYPE)


def _out(call: Call, document: dict[str, Any]) -> dict[str, Any]:
    """The document in the coordsys that was asked for; Problem 400 where there is none such."""
    target = _target(call)
    try:
        return in_coordsys(document, target, call.services.registry)
    except DatumError as refused:
        raise _not_available(call, refused) from refused


def _target(call: Call) -> Coordsys:
    try:
        return call.services.registry.parse(call.arguments.get("coordsys_out") or "cgcs2000")
    except DatumError as unknown:
        raise _not_available(call, unknown) from unknown


def _not_available(call: Call, refused: DatumError) -> Problem:
    services = call.services
    accepted = (*services.profile.accepted_coordsys, *services.registry.grids)
    return invalid_parameter("coordsys_out", zh=f"{refused}", en="not available", accepted=accepted)


def _focus(services: Services, arguments: Mapping[str, Any]) -> tuple[float, float] | None:
    if not has_position(arguments):
        return None
    position = position_of(services, arguments)
    return position.lon, position.lat


def _bbox(
    services: Services, arguments: Mapping[str, Any]
) -> tuple[float, float, float, float] | None:
    """The rectangle in CGCS2000; its coordsys must be stated and geographic."""
    box = arguments.get("bbox")
    if box is None:
        return None
    geographic = ("cgcs2000", "wgs84", "gcj02", "bd09")
    stated = arguments.get("coordsys")
    if stated is None:
        raise Problem(
            400,
            "coordsys-required",
            zh="bbox 必须注明坐标系：请给出 coordsys。",
            en="(a bbox without a stated datum is not accepted: give coordsys)",
            parameter="coordsys",
            accepted=geographic,
        )
    west, south, east, north = box
    if west > east or south > north:
        raise invalid_parameter(
            "bbox", zh="次序须为 西,南,东,北。", en="its order is west,south,east,north"
        )
    try:
        low = locate(services.registry, stated, lon=west, lat=south)
        high = locate(services.registry, stated, lon=east, lat=north)
    except UnknownCoordsys as unknown:
        raise invalid_parameter(
            "coordsys",
            zh=f"未知坐标系 {stated[:60]!r}，bbox 可用 {'、'.join(geographic)}。",
            en=f"a bbox is given in one of {', '.join(geographic)}, got {stated[:60]!r}",
            accepted=geographic,
        ) from unknown
    except DatumError as refused:
        raise invalid_parameter(
            "bbox", zh=str(refused), en="not usable", accepted=geographic
        ) from refused
    return low.lon, low.lat, high.lon, high.lat


async def _body(call: Call) -> Any:
    """The JSON of the request; Problem 413 or 400."""
    received = await read_body(call.request)
    try:
        return orjson.loads(received)
    except orjson.JSONDecodeError as broken:
        raise _bad_body(*json_fault(broken)) from broken


def _items(body: Any) -> list[tuple[str, str | int | None]]:
    """Texts and identifiers of a batch; Problem 400 names the first item that is wrong."""
    if not isinstance(body, list) or not 1 <= len(body) <= MAX_BATCH:
        raise _bad_body(
            f"须为 1 至 {MAX_BATCH} 个地址的数组", f"an array of 1 to {MAX_BATCH} addresses"
        )
    items: list[tuple[str, str | int | None]] = []
    for number, item in enumerate(body, 1):
        text, identity = (item.get("q"), item.get("id")) if isinstance(item, dict) else (item, None)
        if not isinstance(text, str) or not 1 <= len(text) <= MAX_QUERY_LENGTH:
            raise _bad_body(
                f"第 {number} 项须为 1 至 {MAX_QUERY_LENGTH} 个字符的文本",
                f"item {number} must be a text of 1 to {MAX_QUERY_LENGTH} characters, or {{q, id}}",
            )
        if not isinstance(identity, str | int | None):
            raise _bad_body(f"第 {number} 项的 id 须为文本或整数", f"item {number}: id")
        items.append((text, identity))
    return items


def _bad_body(zh: str, en: str) -> Problem:
    return Problem(400, "invalid-body", zh=f"请求体{zh}。", en=f"(request body: {en})")


OPERATIONS = (
    Operation(
        method="GET",
        path="/geocode",
        operation_id="geocode",
        summary=Title("地址匹配", "Where an address or name is"),
        tag="gazetteer",
        handler=_geocode,
        parameters=(_QUERY, _LIMIT, _BBOX, *POSITION_PARAMETERS, _COORDSYS_OUT, _EXPLAIN),
        responses=_RESPONSES,
    ),
    Operation(
        method="POST",
        path="/geocode/batch",
        operation_id="geocodeBatch",
        summary=Title("批量地址匹配", "Where many addresses are; each answer as /geocode gives it"),
        tag="gazetteer",
        handler=_batch,
        parameters=(_LIMIT, _COLUMN, _COORDSYS_OUT, _EXPLAIN),
        request_body={
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": MAX_BATCH,
                        "items": _BATCH_ITEM,
                    },
                    "example": ["梅江区嘉应中路12号", {"id": 7, "q": "大坪镇"}],
                },
                **_TABLES,
            },
        },
        responses={
            200: (
                "GeocodeJSON 数组，或所送的表加上匹配结果各列"
                " An array of GeocodeJSON, or the table that was sent with columns added",
                {
                    "application/json": {"schema": {"type": "array", "items": {"type": "object"}}},
                    CSV_TYPE: {"schema": {"type": "string"}},
                    XLSX_TYPE: {"schema": {"type": "string", "format": "binary"}},
                },
            ),
        },
    ),
    Operation(
        method="GET",
        path="/reverse",
        operation_id="reverseGeocode",
        summary=Title("逆地址匹配", "What is at a position: address, road, places, divisions"),
        tag="gazetteer",
        handler=_reverse,
        parameters=(*POSITION_PARAMETERS, _LIMIT, _COORDSYS_OUT),
        responses=_RESPONSES,
    ),
    Operation(
        method="GET",
        path="/suggest",
        operation_id="suggest",
        summary=Title("输入提示", "Completions while typing, by prefix or pinyin"),
        tag="gazetteer",
        handler=_suggest,
        parameters=(_QUERY, _LIMIT, *POSITION_PARAMETERS, _COORDSYS_OUT),
        responses=_RESPONSES,
    ),
)
