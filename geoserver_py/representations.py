"""Content negotiation and HTML pages.

Every page is a template over the JSON document of the same resource, so that both say the same;
templates are compiled once and load nothing from another host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2
from starlette.requests import Request
from starlette.responses import Response

from geoserver_py.links import root_url
from geoserver_py.page_words import link_words, metres, moment, theme_words
from geoserver_py.problems import MEDIA_TYPE, Problem, invalid_parameter, problem_response
from layers.codes import code_list
from layers.definition import Field

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


def prefers_html(request: Request) -> bool:
    """Whether a refusal should be a page: `f=html`, or a browser that likes HTML better."""
    wanted = request.query_params.get("f")
    if wanted is not None:
        return wanted == "html"
    accept = request.headers.get("accept", "")
    return _quality(accept, "text/html") > _quality(accept, MEDIA_TYPE)


def problem_answer(request: Request, problem: Problem) -> Response:
    """A refusal as problem JSON, or for browsers as a page of the same status and words."""
    vary = {"Vary": "Accept, Authorization, X-API-Key"}
    if not prefers_html(request):
        answer = problem_response(problem)
        answer.headers.setdefault("Vary", vary["Vary"])
        return answer
    services = getattr(request.app.state, "services", None)
    root = root_url(request, None if services is None else services.settings.base_url)
    return Response(
        render_page("problem.html", root, problem=problem, document=problem.document()),
        status_code=problem.status,
        headers={"Cache-Control": "no-store", **vary, **problem.headers, "Content-Type": HTML},
    )


def wants_html(call: Call) -> bool:
    """Whether a JSON-or-HTML resource should be sent as a page."""
    return negotiate(call, {"json": "application/json", "html": "text/html"}) == "html"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("geoserver_py", "pages"),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        in_words=in_words,
        theme_words=theme_words,
        link_words=link_words,
        moment=moment,
        metres=metres,
    )
    return environment


def in_words(field: Field, value: Any) -> str:
    """A value as people read it: the word of a code before the code, 是 or 否, the unit."""
    if value is None:
        return ""
    if field.domain is not None:
        entry = code_list(field.domain).entries.get(str(value))
        return str(value) if entry is None else f"{entry.zh}（{value}）"
    if isinstance(value, bool):
        return "是" if value else "否"
    return str(value) if field.unit is None else f"{value} {field.unit}"


def render_page(template: str, root: str, **context: Any) -> str:
    """Render ``pages/<template>``; ``root`` is the service's base URL for its links."""
    return _environment().get_template(template).render(root=root, **context)
