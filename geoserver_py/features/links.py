"""Links of items: in the body and in the `Link` header (RFC 8288)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from geoserver_py.features.parameters import FORMATS, token_of
from geoserver_py.links import base_url
from geoserver_py.operations import Call

_TITLES = {
    "json": "GeoJSON",
    "html": "网页 HTML",
    "csv": "表格 CSV",
    "jsonl": "GeoJSON 文本序列 text sequence",
}


def _address(call: Call, **changes: str | None) -> str:
    """URL of this resource with some query parameters replaced (None: removed)."""
    pairs = [(k, v) for k, v in call.request.query_params.multi_items() if k not in changes]
    pairs += [(key, value) for key, value in changes.items() if value is not None]
    path = base_url(call) + quote(call.request.scope["path"])
    return f"{path}?{urlencode(pairs)}" if pairs else path


def _formats(call: Call, name: str, offered: Sequence[str]) -> list[dict[str, str]]:
    links = [{"rel": "self", "type": FORMATS[name], "href": _address(call, f=name)}]
    links += [
        {"rel": "alternate", "type": FORMATS[other], "href": _address(call, f=other),
         "title": _TITLES[other]}
        for other in offered if FORMATS[other] != FORMATS[name]
    ]  # fmt: skip
    return links


def items_links(call: Call, name: str, *, last_fid: int | None, more: bool) -> list[dict[str, str]]:
    """Return the links of a page in the format `name`; `next` only when more features follow."""
    links = _formats(call, name, list(_TITLES))
    if more and last_fid is not None:
        links.append(next_link(call, name, last_fid))
    links.append(collection_link(call))
    return links


def next_link(call: Call, name: str, last_fid: int) -> dict[str, str]:
    """Return the link to the page after a feature: by key, whatever the offset of this one was."""
    href = _address(call, f=name, offset=None, after=token_of(last_fid))
    return {"rel": "next", "type": FORMATS[name], "href": href}


def item_links(call: Call, name: str) -> list[dict[str, str]]:
    """Return the links of one feature."""
    return [*_formats(call, name, ("json", "html")), collection_link(call)]


def collection_link(call: Call) -> dict[str, str]:
    """Return the link to the collection that the features belong to."""
    href = f"{base_url(call)}/collections/{call.arguments['collectionId']}"
    return {"rel": "collection", "type": "application/json", "href": href}


def link_header(links: Sequence[dict[str, str]]) -> str:
    """Return links as the value of a `Link` header."""
    return ", ".join(f'<{e["href"]}>; rel="{e["rel"]}"; type="{e["type"]}"' for e in links)
