"""What a caller says about an event: a position or an address, and a category."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from geoserver_py.operations import Parameter
from geoserver_py.positions import POSITION_PARAMETERS, has_position
from geoserver_py.problems import Problem, invalid_parameter
from layers.codes import code_list
from layers.definition import Title

INPUTS = (
    *POSITION_PARAMETERS,
    Parameter(
        "address",
        {"type": "string", "minLength": 1, "maxLength": 200},
        Title("地址，代替坐标", "An address in place of coordinates"),
    ),
    Parameter(
        "category",
        {"type": "string", "pattern": "^[0-9]{5}$"},
        Title(
            "部件或事项类别代码（GB/T 47678.5-2026，5 位）",
            "Component or matter class code, GB/T 47678.5-2026, 5 digits",
        ),
        example="06010",
    ),
)

_INPUT_BY_NAME = {parameter.name: parameter for parameter in INPUTS}


@dataclass(frozen=True)
class Category:
    """A component or matter class; ``component_class`` is the class of the thing concerned."""

    code: str
    name: str
    component_class: str | None


@dataclass(frozen=True)
class EventRequest:
    """A checked request: exactly one of a stated position and an address."""

    position: Mapping[str, Any] | None
    address: str | None
    category: Category | None


def event_request(values: Mapping[str, Any]) -> EventRequest:
    """Check the inputs of the process or the query; raises Problem 400 naming the input."""
    arguments = {name: _value(name, value) for name, value in values.items() if value is not None}
    address = arguments.get("address")
    if has_position(arguments) == (address is not None):
        raise Problem(
            400,
            "position-or-address",
            zh="请给出坐标（注明 coordsys）或地址，二者取一。",
            en="(give a position with its coordsys, or an address: exactly one of them)",
            parameter="address" if address is not None else "coordsys",
            accepted=[parameter.name for parameter in INPUTS],
        )
    return EventRequest(
        position=arguments if address is None else None,
        address=address,
        category=None if "category" not in arguments else category_of(arguments["category"]),
    )


def _value(name: str, value: Any) -> Any:
    parameter = _INPUT_BY_NAME.get(name)
    if parameter is None:
        raise Problem(
            400,
            "unknown-parameter",
            zh=f"未知输入 {name[:80]}。",
            en=f"(unknown input {name[:80]})",
            parameter=name[:80],
            accepted=[*_INPUT_BY_NAME],
        )
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise invalid_parameter(name, zh="须为文本或数字。", en="must be a string or a number")
    if isinstance(value, str) and parameter.schema["type"] == "number":
        raise invalid_parameter(name, zh="须为数字。", en="must be a number, not a string")
    # numbers pass through repr, which round-trips every double
    return parameter.value_of(value if isinstance(value, str) else repr(value))


def category_of(code: str) -> Category:
    """The category of a code; raises Problem 400 when the standard has no such class."""
    component = code_list("component_class").entries.get(code)
    if component is not None:
        return Category(code, component.zh, code)
    matter = code_list("matter_class").entries.get(code)
    if matter is not None:
        return Category(code, matter.zh, None)
    raise invalid_parameter(
        "category",
        zh=f"GB/T 47678.5-2026 没有类别 {code}。",
        en="no such component or matter class",
        accepted=("01001–05009 部件 components", "06001–10002 事项 matters"),
    )
