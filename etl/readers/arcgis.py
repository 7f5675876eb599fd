"""A layer of an ArcGIS FeatureServer or MapServer by its REST interface; Esri JSON geometry."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.readers.http import ServiceError, Web, complete, with_query
from etl.readers.model import Batch, FieldInfo, LayerInfo, ReadOptions, SourceInfo
from etl.readers.records import batch_of

PAGE = 1000
_TOKEN_WANTED = (401, 403, 498, 499)
"""Codes of errors inside an answer: no token, one that is not valid, or not for this layer."""
_ESRI_CODES = 37000
"""Well-known ids from here on are Esri's own, not EPSG's."""
_FARTHEST_ZONE = dt.timedelta(hours=14)


@dataclass(frozen=True)
class ArcgisSource:
    """A layer of an ArcGIS FeatureServer or MapServer, by pages in the order of its object ids.

    `since` asks for rows whose edit date (or `since_column`) is at or after that time.
    """

    url: str
    options: ReadOptions
    web: Web
    since: dt.datetime | None = None
    since_column: str | None = None

    def _asked(self, url: str, **query: str | int) -> dict[str, Any]:
        """The answer; ServiceError for an error, which ArcGIS sends with HTTP 200."""
        found = self.web.json(with_query(url, **query, f="json"))
        if not isinstance(found, dict):
            raise ServiceError(self.url, "回答不是 JSON 对象。", "the answer is no JSON object.")
        if "error" not in found:
            return found
        error = found["error"] if isinstance(found["error"], dict) else {}
        code = error.get("code")
        details = error.get("details")
        words = [error.get("message"), *(details if isinstance(details, list) else [])]
        said = f"{code} {' '.join(str(word) for word in words if word)}".strip()[:300]
        if code in _TOKEN_WANTED:
            raise ServiceError(
                self.url,
                f"服务要求令牌（{said}）：请在交付里写 credentials: {{token: 环境变量名}}，"
                f"或换新令牌。",
                f"the service wants a token ({said}): name its variable under credentials, or "
                f"renew it.",
            )
        raise ServiceError(
            self.url, f"服务回答错误：{said}。", f"the service answered with an error: {said}."
        )

    @cached_property
    def _meta(self) -> dict[str, Any]:
        found = self._asked(self.url)
        fields = found.get("fields")
        if not isinstance(fields, list) or not all(
            isinstance(f, dict) and "name" in f and "type" in f for f in fields
        ):
            raise ServiceError(
                self.url,
                "不是 ArcGIS 图层地址（应以 /FeatureServer/0 这样的编号结尾）。",
                "not the URL of an ArcGIS layer, which ends in /FeatureServer/0.",
            )
        return found

    @property
    def _reference(self) -> dict[str, Any]:
        """The layer's spatial reference; {} where it says none (a table, an empty layer)."""
        extent = self._meta.get("extent")
        found = extent.get("spatialReference") if isinstance(extent, dict) else None
        found = found or self._meta.get("sourceSpatialReference")
        return found if isinstance(found, dict) else {}

    @property
    def _items(self) -> str:
        return f"{self.url.rstrip('/')}/query"

    @cached_property
    def _dates(self) -> set[str]:
        return {str(f["name"]) for f in self._meta["fields"] if f["type"] == "esriFieldTypeDate"}

    @cached_property
    def _where(self) -> str:
        if self.since is None:
            return "1=1"
        tracking = self._meta.get("editFieldsInfo") or {}
        tracked = tracking.get("editDateField")
        named = self.since_column or tracked
        if not named:
            raise ServiceError(
                self.url,
                "图层没有编辑时间字段，不能只取变化：请写 since_column，或整层取。",
                "the layer has no edit date (editFieldsInfo): name since_column, or pull the whole "
                "layer.",
            )
        if named not in self._dates:
            raise ServiceError(
                self.url,
                f"图层没有日期字段 {named}，有：{'、'.join(sorted(self._dates)) or '无'}。",
                f"the layer has no date field {named!r}.",
            )
        zone = self._meta.get("dateFieldsTimeReference")
        if named == tracked:
            zone = tracking.get("dateFieldsTimeReference") or zone
        at = _earliest(self.since, zone if isinstance(zone, dict) else {})
        return f"{named} >= TIMESTAMP '{at:%Y-%m-%d %H:%M:%S}'"

    @cached_property
    def layer(self) -> LayerInfo:
        """Fields, CRS and the count of what will be pulled."""
        meta = self._meta
        count = self._asked(self._items, where=self._where, returnCountOnly="true").get("count")
        if not isinstance(count, int):
            raise ServiceError(self.url, "服务不说有多少要素。", "the service gives no count.")
        return LayerInfo(
            str(meta.get("name", "layer")),
            str(meta.get("geometryType") or "").removeprefix("esriGeometry") or None,
            tuple(FieldInfo(str(f["name"]), str(f["type"])) for f in meta["fields"]),
            _crs_name(self._reference),
            count,
            None,
        )

    def _require_declared(self, stated: Any) -> None:
        """ServiceError for a page in another CRS than the layer's; one that says none passes."""
        if not isinstance(stated, dict):
            return
        codes, here = (
            {c for c in (found.get("latestWkid"), found.get("wkid")) if c}
            for found in (self._reference, stated)
        )
        if here and not here & codes:
            raise ServiceError(
                self.url,
                f"图层声明坐标系 {sorted(codes)}，回答的坐标却是 {sorted(here)}。",
                f"the layer is said to be in {sorted(codes)}, the answer is in {sorted(here)}.",
            )

    @cached_property
    def info(self) -> SourceInfo:
        """The one layer of the URL."""
        return SourceInfo(Path(self.url), "ArcGIS", (self.layer,))

    @cached_property
    def _key(self) -> str:
        fields = self._meta["fields"]
        found = (f["name"] for f in fields if f["type"] == "esriFieldTypeOID")
        return str(self._meta.get("objectIdField") or next(found, "OBJECTID"))

    def batches(self) -> Iterator[Batch]:
        """Stream pages; dates come as ISO 8601 in UTC, as the service keeps them.

        ServiceError when pages repeat an object id or fewer features come than were counted.
        """
        layer, done, known = self.layer, 0, set[Any]()
        names = [field.name for field in layer.fields]
        for features in self._pages():
            records = [
                {k: _date(v) if k in self._dates else v for k, v in f["attributes"].items()}
                for f in features
            ]
            keys = {record.get(self._key) for record in records} - {None}
            if len(keys) < len(records) or keys & known:
                raise ServiceError(
                    self.url,
                    f"分页重复给出要素，或要素没有 {self._key}。",
                    f"pages repeat features, or features have no {self._key}.",
                )
            known |= keys
            yield batch_of(done, [esri(f.get("geometry")) for f in features], records, names)
            done += len(features)
        complete(self.url, layer.feature_count, done)

    def _pages(self) -> Iterator[list[dict[str, Any]]]:
        """Features by offset, or by ranges of object ids where the layer has no pagination."""
        size = min(PAGE, int(self._meta.get("maxRecordCount") or PAGE))
        able = self._meta.get("advancedQueryCapabilities") or {}
        if able.get("supportsPagination", self._meta.get("supportsPagination", True)) is False:
            yield from self._ranges(size)
            return
        done = 0
        while True:
            features, more = self._page(
                where=self._where, resultOffset=done, resultRecordCount=size
            )
            if features:
                yield features
            done += len(features)
            if not features or not (len(features) == size if more is None else more):
                return

    def _ranges(self, size: int) -> Iterator[list[dict[str, Any]]]:
        # not by lists of ids: a thousand of them make a URL that servers refuse
        found = self._asked(self._items, where=self._where, returnIdsOnly="true")
        ids = found.get("objectIds") or []  # null: none matches
        if not isinstance(ids, list) or not all(isinstance(i, int) for i in ids):
            raise ServiceError(self.url, "objectIds 不是整数。", "objectIds are no integers.")
        ids = sorted(ids)
        for start in range(0, len(ids), size):
            first, last = ids[start], ids[start : start + size][-1]
            span = f"{self._key} >= {first} AND {self._key} <= {last}"
            features, _ = self._page(where=f"({self._where}) AND {span}")
            if features:
                yield features

    def _page(self, **asked: str | int) -> tuple[list[dict[str, Any]], bool | None]:
        """Features of one page, and whether there are more; None: the answer does not say."""
        page = self._asked(
            self._items, **asked, outFields="*", orderByFields=self._key, returnZ="true"
        )
        features = page.get("features")
        if not isinstance(features, list) or not all(
            isinstance(f, dict) and isinstance(f.get("attributes"), dict) for f in features
        ):
            raise ServiceError(
                self.url, "回答里没有要素。", f"no features in the answer ({str(page)[:200]})."
            )
        self._require_declared(page.get("spatialReference"))
        more = page.get("exceededTransferLimit")
        return features, None if more is None else bool(more)


def _earliest(since: dt.datetime, reference: Mapping[str, Any]) -> dt.datetime:
    """The clock reading that asks for all since then, whatever zone the service reads it in.

    Esri: a TIMESTAMP is in the zone of the layer's time reference, UTC without one. Services
    published otherwise exist, and rows that come twice change nothing: so the earlier reading.
    """
    at = since.astimezone(dt.UTC).replace(tzinfo=None)
    zone = reference.get("timeZoneIANA") or reference.get("timeZone")
    if zone in (None, "UTC", "Etc/UTC"):
        return at
    try:
        there = since.astimezone(ZoneInfo(str(zone))).replace(tzinfo=None)
    except (ZoneInfoNotFoundError, ValueError):  # names of Windows: "China Standard Time"
        return at - _FARTHEST_ZONE
    return min(at, there)


def _crs_name(reference: Mapping[str, Any]) -> str | None:
    code = reference.get("latestWkid") or reference.get("wkid")
    if not isinstance(code, int):
        return None
    return f"EPSG:{code}" if code < _ESRI_CODES else f"ESRI:{code}"


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
