"""GET /position: one position in every notation the city uses."""

from __future__ import annotations

import orjson
from starlette.responses import Response

from geoserver_py.grid import describe_position
from geoserver_py.operations import Call, Operation
from geoserver_py.positions import POSITION_PARAMETERS, position_of
from layers.definition import Title


async def _position(call: Call) -> Response:
    position = position_of(call.services, call.arguments)
    return Response(
        orjson.dumps(describe_position(call.services, position)), media_type="application/json"
    )


OPERATIONS = (
    Operation(
        method="GET",
        path="/position",
        operation_id="describePosition",
        summary=Title("坐标换算与写法", "A position in CGCS2000, plane metres and DMS"),
        tag="grid",
        handler=_position,
        parameters=POSITION_PARAMETERS,
    ),
)
