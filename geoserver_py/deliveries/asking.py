"""Who asks about which delivery: the caller's bureau, its uploads and runs, what is sent along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from geoserver_py.deliveries import store
from geoserver_py.deliveries.store import Upload
from geoserver_py.operations import Call, read_body
from geoserver_py.problems import Problem, not_found
from geoserver_py.security import KEY_HEADER
from layers.access import ANONYMOUS

_JSON = "application/json"


def require_deliverer(call: Call) -> str | None:
    """The bureau whose deliveries the caller sees; None for all. Problem 401 or 403."""
    principal = call.principal
    if principal == ANONYMOUS:
        raise Problem(
            401,
            "key-required",
            zh="交付需要密钥，请向地理信息中心申请。",
            en=f"(deliveries need a key in {KEY_HEADER}; ask the centre for one)",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if not principal.delivers:
        raise Problem(
            403,
            "not-a-deliverer",
            zh="这个密钥不能交付。",
            en="(this key has no right to deliver; ask for one with --right deliver)",
        )
    return None if principal.is_admin else principal.bureau


async def own_upload(call: Call) -> Upload:
    """The upload of the path; the same 404 for one that is absent and one of another bureau."""
    bureau = require_deliverer(call)
    async with call.services.pools.reads() as connection:
        found = await store.upload_by_id(connection, call.arguments["id"])
    if found is None or (bureau is not None and found.bureau != bureau):
        raise not_found("这次上传", "upload")
    return found


async def own_run(call: Call) -> int:
    """The run of the path; the same 404 for one that is absent and one of another bureau."""
    bureau = require_deliverer(call)
    run = call.arguments["run"]
    async with call.services.pools.reads() as connection:
        found = await connection.execute("SELECT bureau FROM catalog.run WHERE id = %s", [run])
        row = await found.fetchone()
    if row is None or (bureau is not None and row[0] != bureau):
        raise not_found("这个批次", "run")
    return int(run)


async def json_body(call: Call) -> Any:
    """The JSON body of the request; Problem 400."""
    raw = await read_body(call.request)
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as bad:
        raise Problem(
            400, "bad-json", zh="请求体须为 JSON。", en="(the body must be JSON)"
        ) from bad


def json_answer(
    document: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON response."""
    return Response(orjson.dumps(document), status, headers, _JSON)
