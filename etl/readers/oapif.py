"""A collection of an OGC API Features service, by its `next` links.

GeoJSON in CRS84, or in the `crs` of Part 2 that the delivery names (the one the data is kept in
saves a transformation by somebody else's PROJ): its axis order is the authority's and is turned to
x = east or longitude here. What changed is asked by Part 3 (CQL2) where the service has it, else by
`datetime` of Part 1 where the collection's schema (Part 5) says that this is the time it compares.
"""

from __future__ import annotations

import datetime as dt
import json
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from pyproj.exceptions import CRSError

from etl.readers.http import ServiceError, Web, checked, complete, with_query
from etl.readers.model import Batch, FieldInfo, LayerInfo, ReadOptions, SourceInfo, choose_layer
from etl.readers.records import batch_of

PAGE = 1000
_FILTER = ("conf/features-filter", "conf/cql2-text")
_DESCRIBED_BY = ("ogc/1.0/schema", "ogc/1.0/queryables")
"""How the relations of links to a schema end (Part 5, Part 3), the fuller one first."""


@dataclass(frozen=True)
class FeaturesSource:
    """One collection; `since` with `since_column` asks for rows at or after that time."""

    url: str
    options: ReadOptions
    web: Web
    since: dt.datetime | None = None
    since_column: str | None = None
    crs: str | None = None

    def _at(self, path: str) -> str:
        parts = urllib.parse.urlsplit(self.url)
        return urllib.parse.urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{path}"))

    @cached_property
    def info(self) -> SourceInfo:
        """The collections; fields are those of the first page."""
        layers = tuple(
            LayerInfo(str(c["id"]), None, (), self._declared, None, None) for c in self._collections
        )
        return SourceInfo(Path(self.url), "OAPIF", layers)

    @cached_property
    def _collections(self) -> list[dict[str, Any]]:
        document = self.web.json(with_query(self._at("collections"), f="json"))
        found = document.get("collections") if isinstance(document, dict) else None
        if not isinstance(found, list) or not all(isinstance(c, dict) and "id" in c for c in found):
            raise ServiceError(self.url, "没有 collections。", "no collections in the answer.")
        return found

    @property
    def _declared(self) -> str:
        return "OGC:CRS84" if self.crs is None else self._asked.to_string()

    @cached_property
    def _asked(self) -> pyproj.CRS:
        try:
            return pyproj.CRS.from_user_input(self.crs)
        except CRSError as error:
            raise ServiceError(
                self.url, f"crs 不是坐标系：{self.crs}。", f"crs is no CRS: {self.crs}."
            ) from error

    @cached_property
    def _uri(self) -> str | None:
        """The URI of the wanted CRS as the collection lists it; None for CRS84."""
        if self.crs is None:
            return None
        name, offered = self._collection["id"], self._collection.get("crs") or ()
        listed = [str(uri) for uri in offered if not str(uri).startswith("#")]
        code = self._asked.to_authority()
        ends = () if code is None else (f"/{code[0]}/0/{code[1]}",)
        for uri in listed:
            if uri == self.crs or uri.endswith(ends):
                return uri
        raise ServiceError(
            self.url,
            f"图层 {name} 不提供 {self.crs}，有：{'、'.join(listed) or 'CRS84'}。",
            f"collection {name!r} does not offer {self.crs}.",
        )

    @cached_property
    def changed(self) -> dict[str, str]:
        """The parameters that ask for what changed; ServiceError where the service has none."""
        if self.since is None:
            return {}
        at = f"{self.since.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
        if self.since_column is not None and self._filters:
            quoted = self.since_column.replace('"', '""')
            asked = f"\"{quoted}\" >= TIMESTAMP('{at}')"
            return {"filter": asked, "filter-lang": "cql2-text"}
        described = None if self.since_column is None else self._properties.get(self.since_column)
        if isinstance(described, dict) and described.get("x-ogc-role") == "primary-instant":
            return {"datetime": f"{at}/.."}
        raise ServiceError(
            self.url,
            "不能只取变化：须写明 since_column，且服务支持 CQL2 过滤，或其 schema 说明 datetime "
            "比较的就是该字段（primary-instant）。请整层取。",
            "the service cannot tell what changed: that needs since_column, and CQL2 filters or a "
            "schema that says that datetime compares this field (primary-instant); pull the whole "
            "collection.",
        )

    @cached_property
    def _filters(self) -> bool:
        """Whether the service filters by CQL2 text."""
        classes = self.web.json(with_query(self._at("conformance"), f="json"))
        listed = classes.get("conformsTo") if isinstance(classes, dict) else None
        known = [str(uri) for uri in listed] if isinstance(listed, list) else []
        return all(any(uri.endswith(end) for uri in known) for end in _FILTER)

    @cached_property
    def _collection(self) -> dict[str, Any]:
        name = choose_layer(self.info, self.options.layer).name
        return next(c for c in self._collections if str(c["id"]) == name)

    @cached_property
    def _properties(self) -> dict[str, Any]:
        """The properties that the collection's schema or queryables list; {} without either."""
        links = self._collection.get("links")
        known = [n for n in links if isinstance(n, dict)] if isinstance(links, list) else []
        for relation in _DESCRIBED_BY:
            for link in known:
                kind = str(link.get("type") or "json")
                if str(link.get("rel", "")).endswith(relation) and "json" in kind:
                    found = self.web.json(urllib.parse.urljoin(self.url, str(link.get("href"))))
                    listed = found.get("properties") if isinstance(found, dict) else None
                    if isinstance(listed, dict):
                        return listed
        return {}

    @cached_property
    def _first(self) -> dict[str, Any]:
        name = urllib.parse.quote(choose_layer(self.info, self.options.layer).name, safe="")
        asked: dict[str, str | int] = {"f": "json", "limit": PAGE}
        if self._uri is not None:
            asked["crs"] = self._uri
        asked |= self.changed
        return self._page(with_query(self._at(f"collections/{name}/items"), **asked))

    def _page(self, url: str) -> dict[str, Any]:
        page, headers = self.web.answer(url)
        if not isinstance(page, dict) or not isinstance(page.get("features"), list):
            raise ServiceError(url, "不是 GeoJSON 要素。", "no GeoJSON features in the answer.")
        if not all(_is_feature(f) for f in page["features"]):
            raise ServiceError(
                url,
                "有一个要素不合 GeoJSON（RFC 7946）。",
                "a member of features is no GeoJSON feature.",
            )
        answered = headers.get("content-crs", "").strip("<>")
        if self._uri is not None and answered != self._uri:
            raise ServiceError(
                url,
                f"要了 {self._uri}，回答的 Content-Crs 是 {answered or '空'}。",
                f"asked for {self._uri}, the answer's Content-Crs is {answered or 'missing'}.",
            )
        return page

    @cached_property
    def layer(self) -> LayerInfo:
        """The chosen collection with the fields of its schema and of its first page.

        A page alone would not do: services leave out what is null, and nothing may have changed.
        """
        chosen = choose_layer(self.info, self.options.layer)
        names = {"id": None} | {
            name: None
            for name, about in self._properties.items()
            if not (isinstance(about, dict) and _is_geometry(about))
        }
        names |= {name: None for f in self._first["features"] for name in f.get("properties") or {}}
        kinds = {str(g.get("type")) for f in self._first["features"] if (g := f.get("geometry"))}
        kind = kinds.pop() if len(kinds) == 1 else None
        count = self._first.get("numberMatched")
        if not self._first["features"] and self._next(self._first) is None:
            count = 0
        return LayerInfo(
            chosen.name,
            kind,
            tuple(FieldInfo(name, "String") for name in names),
            chosen.declared_crs,
            count if isinstance(count, int) else None,
            None,
        )

    def batches(self) -> Iterator[Batch]:
        """Stream the pages; ServiceError when they overlap or fewer come than were counted."""
        names = [field.name for field in self.layer.fields]
        turned = self._uri is not None and north_first(self._asked)
        page, done, seen, known = self._first, 0, set[str](), set[str]()
        while True:
            features = page["features"]
            # without this a repeat makes up for a feature that no page holds: the count is right
            self._all_new(features, known)
            self._require_known(features, names)
            if features:
                yield batch_of(
                    done,
                    [_geojson(f.get("geometry"), turned) for f in features],
                    [{"id": f.get("id"), **(f.get("properties") or {})} for f in features],
                    names,
                )
            done += len(features)
            following = self._next(page)
            if following is None:
                break
            following = checked(urllib.parse.urljoin(self.url, following))
            same = urllib.parse.urlsplit(following).netloc == urllib.parse.urlsplit(self.url).netloc
            if following in seen or not same:
                raise ServiceError(
                    self.url, "分页链接重复或指向别处。", "a next link repeats or leads elsewhere."
                )
            seen.add(following)
            page = self._page(following)
        complete(self.url, self.layer.feature_count, done)

    def _next(self, page: dict[str, Any]) -> str | None:
        """Address of the next page; no `links`, or null, means that this is the last."""
        links = page.get("links") or ()
        if not isinstance(links, list | tuple) or not all(isinstance(link, dict) for link in links):
            raise ServiceError(self.url, "links 不是链接的列表。", "links is no list of links.")
        following = [link.get("href") for link in links if link.get("rel") == "next"]
        if not following:
            return None
        if not isinstance(following[0], str):
            raise ServiceError(
                self.url, "下一页的链接没有 href。", "the link to the next page has no href."
            )
        return following[0]

    def _require_known(self, features: list[dict[str, Any]], names: list[str]) -> None:
        """ServiceError for a property that neither the schema nor the first page has."""
        for feature in features:
            for name in feature.get("properties") or {}:
                if name not in names:
                    raise ServiceError(
                        self.url,
                        f"后面的页有首页没有的属性 {name}，服务又没有 schema，无法保证不丢值。",
                        f"a later page has the property {name!r} that the first has not, and there "
                        f"is no schema: its values would be lost.",
                    )

    def _all_new(self, features: list[dict[str, Any]], known: set[str]) -> None:
        """Add the ids of a page to those known; ServiceError for one that came before."""
        for feature in features:
            ident = feature.get("id")
            if ident is None:  # Part 1 does not demand ids: nothing to compare by
                continue
            if str(ident) in known:
                raise ServiceError(
                    self.url,
                    f"分页重复给出要素（如 {ident}），服务没有稳定的次序。",
                    f"pages repeat features ({ident}): the service keeps no order.",
                )
            known.add(str(ident))


def north_first(crs: pyproj.CRS) -> bool:
    """Whether the authority of a CRS writes latitude or northing before the other."""
    return bool(crs.axis_info) and crs.axis_info[0].direction.lower() == "north"


def _is_geometry(about: dict[str, Any]) -> bool:
    """Whether a property of a schema is the geometry (Part 5: its role; Part 3: a $ref)."""
    return (
        about.get("x-ogc-role") == "primary-geometry"
        or str(about.get("format", "")).startswith("geometry-")
        or "geojson.org/schema" in str(about.get("$ref", ""))
    )


def _is_feature(found: Any) -> bool:
    """Whether properties and geometry can be read: each an object, null or absent."""
    return isinstance(found, dict) and all(
        isinstance(found.get(key), dict | None) for key in ("properties", "geometry")
    )


def _geojson(geometry: Any, turned: bool) -> Any:
    """Shape, None for no geometry, or the reason why it is none."""
    if geometry is None:
        return None
    try:
        shape = shapely.from_geojson(json.dumps(geometry))
    except (shapely.errors.ShapelyError, TypeError, ValueError) as error:
        return f"图形无法解析 the geometry cannot be read ({error})"
    if not turned:
        return shape
    solid = bool(shapely.has_z(shape))
    order = [1, 0, 2] if solid else [1, 0]
    return shapely.transform(shape, lambda xyz: np.asarray(xyz)[:, order], include_z=solid)
