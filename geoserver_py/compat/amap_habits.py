"""AMap's parameters and refusals, shared by its operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request

from etl.datum import DatumError, locate
from geoserver_py.compat.amap_shapes import ToGcj
from geoserver_py.compat.foreign import CALLBACK, RESPONSES, ForeignOperation
from geoserver_py.operations import Handler, Parameter
from geoserver_py.problems import Problem, invalid_parameter
from geoserver_py.services import Services
from layers.definition import Title

PREFIX = "/compat/amap"

FOREIGN = frozenset(
    {"key", "sig", "s", "platform", "logversion", "sdkversion", "appname", "csid", "jscode", "_",
     "language", "homeorcorp", "channel", "source", "uuid", "scode", "ts"}
)  # fmt: skip
"""Keys that AMap's own clients and its JavaScript API send along; accepted and ignored."""

OUTPUT = Parameter(
    "output",
    {"type": "string", "enum": ["JSON", "json"], "default": "JSON"},
    Title("输出格式，仅 JSON", "Format of the answer; only JSON"),
)
EXTENSIONS = Parameter(
    "extensions",
    {"type": "string", "enum": ["base", "all"], "default": "base"},
    Title("返回基本或全部信息", "How much is told"),
)
BATCH = Parameter(
    "batch",
    {"type": "string", "enum": ["true", "false"], "default": "false"},
    Title("是否批量，以 | 分隔", "Whether | separates several questions"),
)
CITY = Parameter(
    "city",
    {"type": "string", "maxLength": 60},
    Title(
        "城市或区县：名称、拼音、区号或 adcode",
        "City or county: name, pinyin, telephone area code or adcode",
    ),
    example="441402",
)
PAGE = Parameter(
    "page", {"type": "integer", "minimum": 1, "maximum": 100, "default": 1}, Title("页码", "Page")
)
OFFSET = Parameter(
    "offset",
    {"type": "integer", "minimum": 1, "maximum": 25, "default": 20},
    Title("每页条数", "Entries of a page"),
)

_BUSY, _BAD_KEY, _MISSING, _INVALID = 503, 401, "20001", "20000"


def refusal(problem: Problem, request: Request) -> Mapping[str, Any]:
    """A problem as AMap tells it: status "0", a word, its code; the sentence stands in detail."""
    if problem.status == _BUSY:
        info, infocode = "SERVER_IS_BUSY", "10016"
    elif problem.status == _BAD_KEY:
        info, infocode = "INVALID_USER_KEY", "10001"
    elif problem.parameter is not None and problem.parameter not in request.query_params:
        info, infocode = "MISSING_REQUIRED_PARAMS", _MISSING
    else:
        info, infocode = "INVALID_PARAMS", _INVALID
    detail = f"{problem.zh} {problem.en}".strip()
    return {"status": "0", "info": info, "infocode": infocode, "detail": detail}


def operation(
    path: str, name: str, summary: Title, handler: Handler, *parameters: Parameter
) -> ForeignOperation:
    """An operation with the parameters that all of AMap's have."""
    return ForeignOperation(
        method="GET",
        path=f"{PREFIX}{path}",
        operation_id=f"amap.{name}",
        summary=summary,
        tag="compat",
        handler=handler,
        parameters=(*parameters, OUTPUT, CALLBACK),
        free_parameters=FOREIGN,
        responses=RESPONSES,
        refusal=refusal,
    )


def to_gcj(services: Services) -> ToGcj:
    """The step from CGCS2000 to GCJ-02 degrees."""
    step: Callable[[float, float], tuple[float, float]]
    step = services.registry.chain("cgcs2000", "gcj02").point
    return step


def pair(name: str, text: str) -> tuple[float, float]:
    """ "lng,lat" as two numbers; Problem 400."""
    try:
        x, y = (float(number) for number in text.split(","))
    except ValueError as bad:
        raise invalid_parameter(
            name, zh="须为“经度,纬度”。", en=f'"lng,lat" in degrees, got {text[:60]!r}'
        ) from bad
    return x, y


def position(services: Services, name: str, text: str, coordsys: str) -> tuple[float, float]:
    """A typed position in CGCS2000 lon, lat degrees; Problem 400 where there is none."""
    lon, lat = pair(name, text)
    try:
        found = locate(services.registry, coordsys, lon=lon, lat=lat)
    except DatumError as refused:
        raise invalid_parameter(name, zh=str(refused), en="not a position") from refused
    return found.lon, found.lat


def several(name: str, text: str, most: int, *, batch: bool) -> list[str]:
    """The parts of a | list: the first alone without batch, at most ``most`` with it."""
    parts = text.split("|")
    if not batch:
        return parts[:1]
    if len(parts) > most:
        raise invalid_parameter(
            name, zh=f"最多 {most} 个，收到 {len(parts)} 个。", en=f"at most {most} with batch"
        )
    return parts
