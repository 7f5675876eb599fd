"""GET /grid/locate: the plain form of the process locate-event, for integrators."""

from __future__ import annotations

import orjson
from starlette.responses import Response

from geoserver_py.grid import locate_event
from geoserver_py.grid_inputs import INPUTS, event_request
from geoserver_py.operations import Call, Operation
from layers.definition import Title


async def _locate(call: Call) -> Response:
    document = await locate_event(call.services, call.principal, event_request(call.arguments))
    return Response(orjson.dumps(document), media_type="application/json")


OPERATIONS = (
    Operation(
        method="GET",
        path="/grid/locate",
        operation_id="locateEvent",
        summary=Title("定位到单元网格", "Unit grid cell of a position or an address"),
        tag="grid",
        handler=_locate,
        parameters=INPUTS,
    ),
)
