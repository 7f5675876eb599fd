"""From an HTTP request to a principal: API keys in a header, never in the URL.

Keys are random tokens of 256 bits; only their SHA-256 is stored (``layers/keys.py``), and the
hashes are held in memory and replaced when the catalogue's generation moves, so that no request
costs a query. A key in a URL would end up in logs and histories, so none is read there.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from starlette.requests import Request

from geoserver_py.problems import Problem
from layers.access import ANONYMOUS, Principal
from layers.keys import hash_key

if TYPE_CHECKING:
    from geoserver_py.services import Services

KEY_HEADER = "X-API-Key"

BASIC_USER = "apikey"
"""User name of a key sent as the password of HTTP Basic: Debian's QGIS can send no other header.

Basic credentials of other users are not ours but of a proxy before the service.
"""


def principal_of(request: Request, services: Services) -> Principal:
    """The principal behind a request: anonymous without a key.

    Raises Problem 401 for a key that is unknown or revoked: answering such a client as anonymous
    would look like lost data.
    """
    token = presented_key(request)
    if token is None:
        return ANONYMOUS
    principal = services.principals.get(hash_key(token))
    if principal is None:
        raise Problem(
            401,
            "unknown-key",
            zh="API 密钥无效或已吊销。",
            en="(the API key is unknown or revoked; ask the operator for a new one)",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return principal


def presented_key(request: Request) -> str | None:
    """The key in ``X-API-Key``, ``Authorization: Bearer`` or, to read only, ``Basic``; or None."""
    token = request.headers.get(KEY_HEADER)
    if token:
        return token
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    # browsers add remembered Basic credentials to what other sites' pages send: never for writes
    if scheme.lower() == "basic" and request.method in ("GET", "HEAD"):
        return _basic_key(value.strip())
    return None


def _basic_key(credentials: str) -> str | None:
    """The password of the user ``apikey`` (RFC 7617); None for any other user."""
    try:
        user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return password if user == BASIC_USER else None


def access_signature(principal: Principal) -> str:
    """A short name of what a principal may read; part of every cache key."""
    return "+".join(sorted(c.value for c in principal.classes)) or "none"
