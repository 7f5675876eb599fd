"""Pulls from a running service that a delivery names by its URL: nothing else is ever fetched.

`oapif+https://host/api` and `arcgis+https://host/…/FeatureServer/0`. Every page is fetched, each
with a time limit; a service that repeats a page or returns less than it counted is an error, never
a smaller data set. `since` asks only for what changed, where the service can say so: ArcGIS by its
edit date; OGC API Features Part 1 has no such question and refuses.
"""

from __future__ import annotations

import datetime as dt
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from etl.readers.model import (
    Batch,
    FieldInfo,
    LayerInfo,
    ReadError,
    ReadOptions,
    RowProblem,
    SourceInfo,
    choose_layer,
)

TIMEOUT_SECONDS = 60
MAX_PAGE_BYTES = 200_000_000
PAGE = 1000
KINDS = ("arcgis", "oapif")
_ACCEPTED = "application/geo+json, application/json"


class ServiceError(ReadError):
    """A service that does not answer, or not with what its protocol promises."""

    def __init__(self, url: str, zh: str, en: str) -> None:
        super().__init__(Path(urllib.parse.urlsplit(url).hostname or "service"), zh, en)


def fetch_json(url: str) -> Any:
    """The JSON at `url`; ServiceError for any other answer, a time-out, or too large a page."""
    request = urllib.request.Request(url, headers={"Accept": _ACCEPTED})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            body = answer.read(MAX_PAGE_BYTES + 1)
    except urllib.error.HTTPError as error:
        raise ServiceError(
            url, f"服务回答 HTTP {error.code}。", f"the service answered HTTP {error.code}."
        ) from error
    except (urllib.error.URLError, OSError) as error:
        raise ServiceError(
            url, "服务没有应答或超时。", f"the service does not answer ({error})."
        ) from error
    if len(body) > MAX_PAGE_BYTES:
        raise ServiceError(url, "一页超过 200 MB。", "a page is larger than 200 MB.")
    try:
        return json.loads(body)
    except ValueError as error:
        raise ServiceError(
            url, "服务的回答不是 JSON。", "the service did not answer with JSON."
        ) from error


def checked(url: str) -> str:
    """The URL if it is http(s) with a host and without a password; ServiceError otherwise."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ServiceError(url, "须为 http(s) 地址。", "an http(s) URL is needed.")
    if parts.password is not None:
        raise ServiceError(
            url, "地址里不能写密码。", "a URL in a delivery must not hold a password."
        )
    return url


def _query(url: str, **values: str | int) -> str:
    parts = urllib.parse.urlsplit(url)
    named = [(k, v) for k, v in urllib.parse.parse_qsl(parts.query) if k not in values]
    query = urllib.parse.urlencode([*named, *((k, str(v)) for k, v in values.items())])
    return urllib.parse.urlunsplit(parts._replace(query=query, fragment=""))


def _batch(start: int, shapes: list[Any], records: list[dict[str, Any]], names: list[str]) -> Batch:
    rows = np.arange(start + 1, start + 1 + len(shapes), dtype=np.int64)
    geometry: NDArray[np.object_] = np.empty(len(shapes), dtype=object)
    geometry[:] = [shape if not isinstance(shape, str) else None for shape in shapes]
    columns = {name: pa.array([_text(r.get(name)) for r in records], pa.string()) for name in names}
    table = pa.table(columns) if columns else pa.table({"row": pa.array(rows)})
    bad = tuple(
        RowProblem(int(row), None, shape)
        for row, shape in zip(rows, shapes, strict=True)
        if isinstance(shape, str)
    )
    return Batch(rows, geometry, table, bad)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True)
class FeaturesSource:
    """OGC API Features: all pages by their `next` links; GeoJSON, CRS84."""

    url: str
    options: ReadOptions

    @cached_property
    def info(self) -> SourceInfo:
        """The collections; fields are those of the first feature."""
        document = fetch_json(f"{self.url.rstrip('/')}/collections?f=json")
        found = document.get("collections") if isinstance(document, dict) else None
        if not isinstance(found, list) or not all(isinstance(c, dict) and "id" in c for c in found):
            raise ServiceError(self.url, "没有 collections。", "no collections in the answer.")
        layers = tuple(LayerInfo(str(c["id"]), None, (), "OGC:CRS84", None, None) for c in found)
        return SourceInfo(Path(self.url), "OAPIF", layers)

    @cached_property
    def _first(self) -> dict[str, Any]:
        name = urllib.parse.quote(choose_layer(self.info, self.options.layer).name, safe="")
        return self._page(f"{self.url.rstrip('/')}/collections/{name}/items?f=json&limit={PAGE}")

    def _page(self, url: str) -> dict[str, Any]:
        page = fetch_json(url)
        if not isinstance(page, dict) or not isinstance(page.get("features"), list):
            raise ServiceError(url, "不是 GeoJSON 要素。", "no GeoJSON features in the answer.")
        return page

    @cached_property
    def layer(self) -> LayerInfo:
        """The chosen collection with the fields of its first page."""
        chosen = choose_layer(self.info, self.options.layer)
        names = {"id": None} | {
            name: None for f in self._first["features"] for name in f.get("properties") or {}
        }
        kinds = {g["type"] for f in self._first["features"] if (g := f.get("geometry"))}
        kind = kinds.pop() if len(kinds) == 1 else None
        count = self._first.get("numberMatched")
        fields = tuple(FieldInfo(name, "String") for name in names)
        return LayerInfo(
            chosen.name,
            kind,
            fields,
            chosen.declared_crs,
            count if isinstance(count, int) else None,
            None,
        )

    def batches(self) -> Iterator[Batch]:
        """Stream the pages; ServiceError when fewer come than the service counted."""
        names = [field.name for field in self.layer.fields]
        page, done, seen = self._first, 0, set[str]()
        while True:
            features = page["features"]
            if features:
                yield _batch(
                    done,
                    [_geojson(f.get("geometry")) for f in features],
                    [{"id": f.get("id"), **(f.get("properties") or {})} for f in features],
                    names,
                )
            done += len(features)
            links = page.get("links", ())
            following = next((link["href"] for link in links if link.get("rel") == "next"), None)
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
        _complete(self.url, self.layer.feature_count, done)


def _complete(url: str, stated: int | None, done: int) -> None:
    if stated is not None and done < stated:
        raise ServiceError(
            url,
            f"服务说有 {stated} 个要素，只取到 {done} 个。",
            f"the service counted {stated} features, {done} came.",
        )


def _geojson(geometry: Any) -> Any:
    """Shape, None for no geometry, or the reason why it is none."""
    if geometry is None:
        return None
    try:
        return shapely.from_geojson(json.dumps(geometry))
    except (shapely.errors.ShapelyError, TypeError, ValueError) as error:
        return f"图形无法解析 the geometry cannot be read ({error})"


@dataclass(frozen=True)
class ArcgisSource:
    """A layer of an ArcGIS FeatureServer or MapServer, by pages in the order of its object ids."""

    url: str
    options: ReadOptions
    since: dt.datetime | None = None

    @cached_property
    def _meta(self) -> dict[str, Any]:
        found = fetch_json(_query(self.url, f="json"))
        if not isinstance(found, dict) or "error" in found or "fields" not in found:
            said = found.get("error", {}) if isinstance(found, dict) else {}
            raise ServiceError(
                self.url,
                "不是 ArcGIS 图层地址（应以 /FeatureServer/0 这样的编号结尾）。",
                f"not the URL of an ArcGIS layer, which ends in /FeatureServer/0 ({said}).",
            )
        return found

    @property
    def _items(self) -> str:
        return f"{self.url.rstrip('/')}/query"

    @cached_property
    def _where(self) -> str:
        if self.since is None:
            return "1=1"
        named = (self._meta.get("editFieldsInfo") or {}).get("editDateField")
        if not named:
            raise ServiceError(
                self.url,
                "图层没有编辑时间字段，不能只取变化，请整层取。",
                "the layer has no edit date (editFieldsInfo): pull the whole layer.",
            )
        at = self.since.astimezone(dt.UTC)
        return f"{named} >= TIMESTAMP '{at:%Y-%m-%d %H:%M:%S}'"

    @cached_property
    def layer(self) -> LayerInfo:
        """Fields, CRS and the count of what will be pulled."""
        meta = self._meta
        reference = meta.get("extent", {}).get("spatialReference", {})
        code = reference.get("latestWkid") or reference.get("wkid")
        answer = fetch_json(
            _query(self._items, where=self._where, returnCountOnly="true", f="json")
        )
        count = answer.get("count") if isinstance(answer, dict) else None
        fields = tuple(FieldInfo(str(f["name"]), str(f["type"])) for f in meta["fields"])
        return LayerInfo(
            str(meta.get("name", "layer")),
            str(meta.get("geometryType", "")).removeprefix("esriGeometry") or None,
            fields,
            f"EPSG:{code}" if code else None,
            count if isinstance(count, int) else None,
            None,
        )

    @cached_property
    def info(self) -> SourceInfo:
        """The one layer of the URL."""
        return SourceInfo(Path(self.url), "ArcGIS", (self.layer,))

    def batches(self) -> Iterator[Batch]:
        """Stream pages; dates come as ISO 8601 in UTC, as the service keeps them."""
        meta, layer = self._meta, self.layer
        size = min(PAGE, int(meta.get("maxRecordCount") or PAGE))
        key = str(meta.get("objectIdField") or next(
            (f["name"] for f in meta["fields"] if f["type"] == "esriFieldTypeOID"), "OBJECTID"
        ))  # fmt: skip
        dates = {f["name"] for f in meta["fields"] if f["type"] == "esriFieldTypeDate"}
        names, done = [field.name for field in layer.fields], 0
        while True:
            page = fetch_json(
                _query(
                    self._items,
                    where=self._where,
                    outFields="*",
                    f="json",
                    orderByFields=key,
                    resultOffset=done,
                    resultRecordCount=size,
                    returnZ="true",
                )
            )
            features = page.get("features") if isinstance(page, dict) else None
            if not isinstance(features, list):
                raise ServiceError(self.url, "查询失败。", f"the query failed ({str(page)[:200]}).")
            if features:
                records = [
                    {k: _date(v) if k in dates else v for k, v in f["attributes"].items()}
                    for f in features
                ]
                yield _batch(done, [esri(f.get("geometry")) for f in features], records, names)
            done += len(features)
            if not features or not page.get("exceededTransferLimit", len(features) == size):
                break
        _complete(self.url, layer.feature_count, done)


def _date(milliseconds: Any) -> Any:
    if not isinstance(milliseconds, int | float):
        return milliseconds
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (epoch + dt.timedelta(milliseconds=milliseconds)).isoformat()


def esri(geometry: Any) -> Any:
    """Shape of an Esri JSON geometry, None for none, or the reason why it is none.

    Rings that turn clockwise are shells, the others holes of the shell around them.
    """
    if not geometry or ("x" in geometry and geometry["x"] in ("NaN", None)):
        return None
    try:
        if "x" in geometry:
            z = geometry.get("z")
            place = (geometry["x"], geometry["y"])
            return shapely.Point(*place) if z is None else shapely.Point(*place, z)
        if "points" in geometry:
            return shapely.MultiPoint(geometry["points"])
        if "paths" in geometry:
            return shapely.MultiLineString([np.array(path)[:, :3] for path in geometry["paths"]])
        if "rings" in geometry:
            return _rings([np.array(ring, dtype=float) for ring in geometry["rings"]])
    except (shapely.errors.ShapelyError, TypeError, ValueError, IndexError, KeyError) as error:
        return f"图形无法解析 the geometry cannot be read ({error})"
    kinds = ", ".join(geometry)
    return f"曲线等图形不支持 geometry of this kind is not read ({kinds})"


def _rings(rings: list[NDArray[np.float64]]) -> Any:
    shells = [ring for ring in rings if not shapely.is_ccw(shapely.LinearRing(ring))]
    holes = [ring for ring in rings if shapely.is_ccw(shapely.LinearRing(ring))]
    inside: list[list[NDArray[np.float64]]] = [[] for _ in shells]
    for hole in holes:
        line = shapely.LinearRing(hole)
        owner = next((i for i, s in enumerate(shells) if shapely.Polygon(s).covers(line)), None)
        if owner is None:
            return "内环不在任何外环里 a hole lies in no shell"
        inside[owner].append(hole)
    parts = zip(shells, inside, strict=True)
    return shapely.MultiPolygon([shapely.Polygon(shell, own) for shell, own in parts])


def is_service(text: str) -> bool:
    """Whether a delivery's path names a service: `arcgis+https://…`, `oapif+https://…`."""
    kind, plus, rest = text.partition("+")
    return bool(plus) and kind in KINDS and rest.startswith(("http://", "https://"))


def open_service(
    text: str, options: ReadOptions, since: dt.datetime | None = None
) -> ArcgisSource | FeaturesSource:
    """Open a service URL; `since` (with an offset) asks for what changed at or after it."""
    if not is_service(text):
        listed = "、".join(f"{kind}+https://…" for kind in KINDS)
        raise ServiceError(text, f"服务地址须为 {listed}。", f"a service URL is one of {listed}.")
    kind, _, rest = text.partition("+")
    url = checked(rest)
    if since is not None and since.tzinfo is None:
        raise ServiceError(url, "since 须带时区。", "`since` needs an offset.")
    if kind == "arcgis":
        source = ArcgisSource(url, options, since)
        _ = source.info
        return source
    if since is not None:
        raise ServiceError(
            url,
            "OGC API Features 不能只取变化（datetime 是要素的时间，不是修改时间），请整层取。",
            "OGC API Features cannot tell what changed (datetime is the features' own time): pull "
            "the whole collection.",
        )
    pulled = FeaturesSource(url, options)
    _ = pulled.info
    return pulled
