"""Content negotiation and HTML pages.

Every page is a template over the JSON document of the same resource, so that both say the same;
templates are compiled once and load nothing from another host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2

from geoserver_py.problems import Problem, invalid_parameter

if TYPE_CHECKING:
    from geoserver_py.operations import Call

HTML = "text/html; charset=utf-8"


def negotiate(call: Call, offered: Mapping[str, str]) -> str:
    """The name of the representation to send, out of ``offered`` (name to media type).

    The ``f`` parameter wins over the Accept header; the first offered is the default.
    Raises Problem 400 for an unknown ``f`` and 406 when Accept excludes all that is offered.
    """
    wanted = call.arguments.get("f") or call.request.query_params.get("f")
    if wanted is not None:
        if wanted not in offered:
            raise invalid_parameter(
                "f",
                zh=f"不支持格式 {wanted[:40]!r}。",
                en="format not offered",
                accepted=[*offered],
            )
        return wanted
    accept = call.request.headers.get("accept")
    if not accept:
        return next(iter(offered))
    best = max(
        (
            (_quality(accept, media), -order, name)
            for order, (name, media) in enumerate(offered.items())
        ),
    )
    if best[0] <= 0:
        raise Problem(
            406,
            "not-acceptable",
            zh="没有 Accept 所要求的格式。",
            en="(none of the offered formats is acceptable)",
            accepted=list(offered.values()),
        )
    return best[2]


def _quality(accept: str, media: str) -> float:
    """The q value that an Accept header gives to a media type (RFC 9110 section 12.5.1)."""
    essence = media.partition(";")[0].strip().lower()
    main = essence.partition("/")[0]
    best = (-1, 0.0)  # specificity, q
    for entry in accept.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        specificity = {essence: 2, f"{main}/*": 1, "*/*": 0}.get(name, -1)
        if name == "application/json" and essence.endswith("+json"):
            specificity = 2  # a client that asks for JSON takes GeoJSON
        if specificity > best[0]:
            best = (specificity, _q(parameters))
    return best[1]


def _q(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def wants_html(call: Call) -> bool:
    """Whether a JSON-or-HTML resource should be sent as a page."""
    return negotiate(call, {"json": "application/json", "html": "text/html"}) == "html"


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("geoserver_py", "pages"),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_page(template: str, root: str, **context: Any) -> str:
    """Render ``pages/<template>``; ``root`` is the service's base URL for its links."""
    return _environment().get_template(template).render(root=root, **context)
