"""Absolute URLs of the service as its client sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.requests import Request

if TYPE_CHECKING:
    from geoserver_py.operations import Call


def base_url(call: Call) -> str:
    """The service's root URL without a trailing slash: the configured one, or the request's."""
    return root_url(call.request, call.services.settings.base_url)


def root_url(request: Request, configured: str | None) -> str:
    """The same, where a request did not get so far as to be a call."""
    if configured is not None:
        return configured.rstrip("/")
    scope = request.scope
    host = request.headers.get("host")
    if host is None:  # HTTP/1.0: the address that was connected to
        host = ":".join(str(part) for part in scope.get("server") or ("localhost",))
    return f"{scope['scheme']}://{host}{scope.get('root_path', '').rstrip('/')}"


def link(
    href: str, rel: str, media_type: str, title: str | None = None, **query: str
) -> dict[str, str]:
    """A link object as OGC API writes it (RFC 8288 members)."""
    body = {"href": f"{href}?{urlencode(query)}" if query else href, "rel": rel, "type": media_type}
    if title is not None:
        body["title"] = title
    return body
