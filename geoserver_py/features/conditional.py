"""Entity tags, 304 and the headers that every answer about a layer carries."""

from __future__ import annotations

import hashlib

from starlette.responses import Response

from geoserver_py.links import base_url
from geoserver_py.operations import Call
from layers.access import AccessClass
from layers.catalogue import PublishedLayer

VARY = "Accept, Accept-Encoding, Authorization, X-API-Key"


def entity_tag(call: Call, layer: PublishedLayer, media_type: str) -> str:
    """Return the tag of a representation: it changes with the layer's revision, and only then.

    Weak, since `timeStamp` and the encoding differ between equal answers. A client may be told
    304 for as long as the catalogue is behind the store (`services.POLL_SECONDS`).
    """
    scope = call.request.scope
    text = "\n".join(
        (base_url(call), scope["path"], scope["query_string"].decode("latin-1"), media_type,
         str(call.services.catalogue.generation))
    )  # fmt: skip
    digest = hashlib.blake2b(text.encode(), digest_size=9).hexdigest()
    return f'W/"{layer.revision}-{digest}"'


def is_known(call: Call, tag: str) -> bool:
    """Whether the client says that it holds this version (If-None-Match, weak comparison)."""
    given = call.request.headers.get("if-none-match")
    if given is None:
        return False
    bare = tag.removeprefix("W/")
    return given.strip() == "*" or any(
        entry.strip().removeprefix("W/") == bare for entry in given.split(",")
    )


def layer_headers(layer: PublishedLayer, tag: str) -> dict[str, str]:
    """Return the caching headers; only what everybody may read may lie in shared caches."""
    public = layer.definition.access is AccessClass.PUBLIC
    return {
        "ETag": tag,
        "Cache-Control": "public, no-cache" if public else "private, no-cache",
        "Vary": VARY,
        "Content-Language": "zh-CN",
    }


def not_modified(headers: dict[str, str]) -> Response:
    """Return 304 with the headers that the full answer would carry."""
    return Response(status_code=304, headers=headers)
