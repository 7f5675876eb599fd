"""Links of items: in the body and in the `Link` header (RFC 8288)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
_POSITION = ("offset", "after")


@dataclass(frozen=True)
class _Addresses:
    """URLs of this resource: the parts of its query that links share are encoded once."""

    root: str
    path: str
    query: str
    position: str

    def here(self, name: str) -> str:
        """This page in a format."""
        return self._join(self.query, self.position, f"f={name}")

    def after(self, name: str, fid: int) -> str:
        """The page after a feature, by key, whatever the offset of this one was."""
        return self._join(self.query, f"after={quote(token_of(fid))}", f"f={name}")

    def _join(self, *parts: str) -> str:
        return f"{self.root}{self.path}?{'&'.join(filter(None, parts))}"


def _addresses(call: Call) -> _Addresses:
    pairs = call.request.query_params.multi_items()
    return _Addresses(
        root=base_url(call),
        # the root of a mounted service is part of both
        path=quote(
            call.request.scope["path"].removeprefix(call.request.scope.get("root_path", ""))
        ),
        query=urlencode([(k, v) for k, v in pairs if k != "f" and k not in _POSITION]),
        position=urlencode([(k, v) for k, v in pairs if k in _POSITION]),
    )


def _formats(at: _Addresses, name: str, offered: Sequence[str]) -> list[dict[str, str]]:
    links = [{"rel": "self", "type": FORMATS[name], "href": at.here(name)}]
    links += [
        {
            "rel": "alternate",
            "type": FORMATS[other],
            "href": at.here(other),
            "title": _TITLES[other],
        }
        for other in offered
        if other != name
    ]
    return links


def items_links(call: Call, name: str, *, last_fid: int | None, more: bool) -> list[dict[str, str]]:
    """Return the links of a page in the format `name`; `next` only when more features follow."""
    at = _addresses(call)
    links = _formats(at, name, list(_TITLES))
    if more and last_fid is not None:
        links.append({"rel": "next", "type": FORMATS[name], "href": at.after(name, last_fid)})
    links.append(_collection(call, at))
    return links


def item_links(call: Call, name: str) -> list[dict[str, str]]:
    """Return the links of one feature."""
    at = _addresses(call)
    item = f"{_collection(call, at)['href']}/items/{quote(call.arguments['featureId'], safe='')}"
    history = {"rel": "version-history", "type": "application/json", "href": f"{item}/lineage"}
    return [*_formats(at, name, ("json", "html")), _collection(call, at), history]


def _collection(call: Call, at: _Addresses) -> dict[str, str]:
    href = f"{at.root}/collections/{quote(call.arguments['collectionId'])}"
    return {"rel": "collection", "type": "application/json", "href": href}


def link_header(links: Sequence[dict[str, str]]) -> str:
    """Return links as the value of a `Link` header."""
    return ", ".join(f'<{e["href"]}>; rel="{e["rel"]}"; type="{e["type"]}"' for e in links)
