"""Errors that a client sees: RFC 9457 problem details, Chinese first, English beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # noqa: N818 - the RFC's own word
    """A refusal that says what was wrong, which parameter, and what would be accepted.

    ``code`` is a stable kebab-case name of the kind of problem, ``type`` its URI; ``zh`` and
    ``en`` are one sentence each. Raised anywhere in the service, rendered in one place
    (``problem_response``).
    """

    def __init__(
        self,
        status: int,
        code: str,
        *,
        zh: str,
        en: str,
        parameter: str | None = None,
        accepted: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {en}")
        self.status = status
        self.code = code
        self.type = f"urn:geoserver-py:problem:{code}"
        self.zh = zh
        self.en = en
        self.parameter = parameter
        self.accepted = None if accepted is None else tuple(accepted)
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """The problem as a JSON object (RFC 9457 section 3)."""
        body: dict[str, Any] = {
            "type": self.type,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": f"{self.zh} {self.en}",
        }
        if self.parameter is not None:
            body["parameter"] = self.parameter
        if self.accepted is not None:
            body["accepted"] = list(self.accepted)
        return body


def problem_response(problem: Problem) -> Response:
    """Render a problem as application/problem+json with its status and headers."""
    return Response(
        orjson.dumps(problem.document()),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **problem.headers},
    )


def invalid_parameter(
    name: str, *, zh: str, en: str, accepted: Sequence[str] | None = None
) -> Problem:
    """400 for a parameter whose value cannot be used."""
    return Problem(
        400,
        "invalid-parameter",
        zh=f"参数 {name}：{zh}",
        en=f"(parameter {name}: {en})",
        parameter=name,
        accepted=accepted,
    )


def json_fault(broken: json.JSONDecodeError) -> tuple[str, str]:
    """Where a body stops being JSON, in zh and en; the parser's own words are for programmers."""
    at = f"{broken.lineno}:{broken.colno}"
    return f"从第 {broken.lineno} 行第 {broken.colno} 列起不是合法的 JSON", f"not JSON from {at} on"


def not_found(what_zh: str, what_en: str) -> Problem:
    """404; the same words whether a thing is absent or may not be read. Both name the thing."""
    return Problem(404, "not-found", zh=f"没有{what_zh}。", en=f"({what_en} not found)")
