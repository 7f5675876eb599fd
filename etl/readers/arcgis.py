"""A layer of an ArcGIS FeatureServer or MapServer by its REST interface; Esri JSON geometry."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.readers.http import ServiceError, Web, complete, with_query
from etl.readers.model import Batch, FieldInfo, LayerInfo, ReadOptions, SourceInfo
from etl.readers.records import batch_of

PAGE = 1000


@dataclass(frozen=True)
class ArcgisSource:
    """A layer of an ArcGIS FeatureServer or MapServer, by pages in the order of its object ids."""

    url: str
    options: ReadOptions
    web: Web
    since: dt.datetime | None = None

    @cached_property
    def _meta(self) -> dict[str, Any]:
        found = self.web.json(with_query(self.url, f="json"))
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
        answer = self.web.json(
            with_query(self._items, where=self._where, returnCountOnly="true", f="json")
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

    def _require_declared(self, stated: Any) -> None:
        """ServiceError for a page in another CRS than the layer's; one that says none passes."""
        if not isinstance(stated, dict):
            return
        reference = self._meta.get("extent", {}).get("spatialReference", {})
        codes, here = (
            {c for c in (found.get("latestWkid"), found.get("wkid")) if c}
            for found in (reference, stated)
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
            page = self.web.json(
                with_query(
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
            self._require_declared(page.get("spatialReference"))
            if features:
                records = [
                    {k: _date(v) if k in dates else v for k, v in f["attributes"].items()}
                    for f in features
                ]
                yield batch_of(done, [esri(f.get("geometry")) for f in features], records, names)
            done += len(features)
            if not features or not page.get("exceededTransferLimit", len(features) == size):
                break
        complete(self.url, layer.feature_count, done)


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
