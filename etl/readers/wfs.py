"""A feature type of a WFS (2.0.0 or 1.1.0): GML or GeoJSON, page by page, the axes proven.

Own requests rather than GDAL's WFS driver, which follows whatever URL the capabilities name; GDAL
reads each answer as a file. The axis order is the trap: `srsName` is always asked for as a URN, so
that the order is the authority's; MapServer answers 1.1.0 with the short name `EPSG:4490` over
latitude-first numbers, old servers write east first under a URN. So the first page is compared with
the service's own WGS84BoundingBox: what both could mean is decided by it, what contradicts it is
refused until the delivery states `axis_order`. Declared types of the fields come from
DescribeFeatureType: a code such as `001` stays text.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape

import numpy as np
import pyproj
import shapely
from pyproj.exceptions import CRSError

from etl.readers import gmlpage
from etl.readers.gmlpage import Page
from etl.readers.http import ServiceError, Web, complete, with_query
from etl.readers.model import Batch, Bounds, LayerInfo, ReadOptions, SourceInfo, choose_layer
from etl.readers.ogr import OgrSource, open_ogr
from etl.readers.wfs_capabilities import Capabilities, FeatureType, capabilities_of

PAGE = 5000
MARGIN = 0.02
"""Degrees by which features may lie outside the stated WGS84BoundingBox (rounded, or not fresh)."""

_FES = {
    "2.0.0": ("fes", "http://www.opengis.net/fes/2.0", "ValueReference"),
    "1.1.0": ("ogc", "http://www.opengis.net/ogc", "PropertyName"),
}


@dataclass(frozen=True)
class WfsSource:
    """One feature type; `since` with `since_column` asks for rows at or after that time."""

    url: str
    options: ReadOptions
    web: Web
    since: dt.datetime | None = None
    since_column: str | None = None
    version: str | None = None
    output: Literal["gml", "geojson"] = "gml"
    crs: str | None = None
    axis_order: Literal["authority", "east-first"] | None = None
    folder: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="wfs-"), repr=False
    )

    @property
    def _place(self) -> Path:
        return Path(self.folder.name)

    def _failed(self, zh: str, en: str) -> ServiceError:
        return ServiceError(self.url, zh, en)

    @cached_property
    def capabilities(self) -> Capabilities:
        """What the service offers; ServiceError when it is no WFS 2.0.0 or 1.1.0."""
        wanted = self.version or "2.0.0,1.1.0"
        named = {"version": self.version} if self.version else {"AcceptVersions": wanted}
        path = self._place / "capabilities.xml"
        self.web.save(with_query(self.url, service="WFS", request="GetCapabilities", **named), path)
        return capabilities_of(path, self.url)

    @cached_property
    def info(self) -> SourceInfo:
        """The feature types with the CRS that would be asked for."""
        layers = tuple(
            LayerInfo(name, None, (), kind.default_crs, None, None)
            for name, kind in self.capabilities.types.items()
        )
        driver = f"WFS {self.capabilities.version}"
        return SourceInfo(Path(self.url), driver, layers, "UTF-8", None, self._notes)

    @property
    def _notes(self) -> tuple[str, ...]:
        if len(self.capabilities.types) > 1 and self.options.layer is None:
            return ()
        return self._first.notes

    @cached_property
    def _type(self) -> FeatureType:
        known = self.capabilities.types
        listed = SourceInfo(
            Path(self.url), "WFS",
            tuple(LayerInfo(name, None, (), None, None, None) for name in known),
        )  # fmt: skip
        wanted = self.options.layer
        if wanted is not None and wanted not in known:
            # GeoServer's `city:road` is often given as `road`
            ends = [name for name in known if name.partition(":")[2] == wanted]
            wanted = ends[0] if len(ends) == 1 else wanted
        return known[choose_layer(listed, wanted).name]

    @cached_property
    def _asked(self) -> pyproj.CRS:
        """The CRS that is asked for, one that the type offers."""
        offered = (self._type.default_crs, *self._type.other_crs)
        try:
            wanted = pyproj.CRS.from_user_input(self.crs or self._type.default_crs)
        except CRSError as error:
            raise self._failed(
                f"坐标系不认识：{self.crs or self._type.default_crs}。",
                f"unknown CRS {self.crs or self._type.default_crs!r}.",
            ) from error
        if self.crs is not None and not any(_same(wanted, name) for name in offered):
            raise self._failed(
                f"图层 {self._type.name} 不提供 {self.crs}，有：{'、'.join(offered)}。",
                f"{self._type.name} does not offer {self.crs}; it has: {', '.join(offered)}.",
            )
        return wanted

    def _query(self, **values: str | int) -> str:
        version = self.capabilities.version
        names = "typeNames" if version.startswith("2") else "typeName"
        asked: dict[str, str | int] = {
            "service": "WFS",
            "version": version,
            "request": "GetFeature",
            names: self._type.name,
            **values,
        }
        authority = self._asked.to_authority()
        counting = "resultType" in values  # MapServer counts wrongly when a CRS is named
        if authority is not None and not counting:
            asked["srsName"] = f"urn:ogc:def:crs:{authority[0]}::{authority[1]}"
        if self._type.namespace:
            prefix = self._type.name.partition(":")[0]
            key = "namespaces" if version.startswith("2") else "namespace"
            comma = "," if version.startswith("2") else "="
            asked[key] = f"xmlns({prefix}{comma}{self._type.namespace})"
        if self.output == "geojson" and not counting:
            asked["outputFormat"] = self._geojson
        if self.since is not None:
            asked["filter"] = self._filter
        return with_query(self.url, **asked)

    @cached_property
    def _geojson(self) -> str:
        formats = (*self._type.formats, *self.capabilities.formats)
        found = next((name for name in formats if "json" in name.lower()), None)
        if found is None:
            raise self._failed("服务不提供 GeoJSON 输出。", "the service offers no GeoJSON output.")
        return found

    @cached_property
    def _filter(self) -> str:
        if self.since_column is None or self.since is None:
            raise self._failed(
                "只取变化须写明 since_column（修改时间的字段）。",
                "asking for changes needs `since_column`, the field of the edit time.",
            )
        prefix, uri, name = _FES[self.capabilities.version]
        at = f"{self.since.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
        return (
            f'<{prefix}:Filter xmlns:{prefix}="{uri}"><{prefix}:PropertyIsGreaterThanOrEqualTo>'
            f"<{prefix}:{name}>{escape(self.since_column)}</{prefix}:{name}>"
            f"<{prefix}:Literal>{at}</{prefix}:Literal>"
            f"</{prefix}:PropertyIsGreaterThanOrEqualTo></{prefix}:Filter>"
        )

    @cached_property
    def _schema(self) -> Path:
        """The application schema of the type, for the types of its fields."""
        version = self.capabilities.version
        names = "typeNames" if version.startswith("2") else "typeName"
        path = self._place / "schema.xsd"
        self.web.save(
            with_query(
                self.url, service="WFS", version=version, request="DescribeFeatureType",
                **{names: self._type.name},
            ),
            path,
        )  # fmt: skip
        return path

    @cached_property
    def _stated(self) -> int | None:
        """How many features the service counts; None where it does not say."""
        path = self._place / "hits.xml"
        self.web.save(self._query(resultType="hits"), path)
        count = gmlpage.stated_count(path, self.url)
        # MapServer 8.0 counts 0 where it then gives 23: such a count is none
        return None if count is not None and count < self._first.page.count else count

    def _fetch(self, start: int) -> Page:
        """The page from feature `start` on; without paging the only one."""
        name = "page" if start else "first"
        path = self._place / f"{name}.{self.output}"
        for old in self._place.glob(f"{name}.*"):
            old.unlink()  # GDAL's .gfs beside it would be taken for the next page's
        asked: dict[str, str | int] = {}
        if self.capabilities.paging:
            asked = {"startIndex": start, "count": self.capabilities.page_limit(PAGE)}
        self.web.save(self._query(**asked), path)
        return gmlpage.page_of(path, self.url)

    def _opened(self, page: Page, order: Literal["authority", "east-first"]) -> OgrSource:
        options: dict[str, str] = {}
        if self.output == "gml":
            options = {
                "XSD": str(self._schema),
                "DOWNLOAD_SCHEMA": "NO",
                "CONSIDER_EPSG_AS_URN": "YES",
                "INVERT_AXIS_ORDER_IF_LAT_LONG": "YES" if order == "authority" else "NO",
            }
        opened = open_ogr(page.path, replace(self.options, layer=None))
        return replace(opened, open_options=options, metas={})

    @cached_property
    def _first(self) -> _Opening:
        """The first page, its axis order, and what is to be said about it."""
        page = self._fetch(0)
        if page.count == 0:
            return _Opening(page, "authority", ())
        return self._judged(page, self.axis_order or "authority")

    def _judged(self, page: Page, order: Literal["authority", "east-first"]) -> _Opening:
        """Compare the numbers with the service's WGS84BoundingBox; ServiceError if they differ."""
        notes: list[str] = []
        if page.decimals is not None and self._asked.is_geographic and page.decimals < 8:
            metres = 111_320 * 10.0**-page.decimals / 2
            notes.append(
                f"服务只给 {page.decimals} 位小数的经纬度，舍入误差 {metres:.2g} m，可改取平面坐标 "
                f"(crs) the service rounds degrees to {page.decimals} decimals"
            )
        seen, stated = _extent(self._opened(page, order)), self._type.bounds
        if seen is None or stated is None or self.axis_order is not None:
            if page.short_names and self.axis_order is None:
                raise self._ambiguous()
            return _Opening(page, order, tuple(notes))
        east_first = (seen[1], seen[0], seen[3], seen[2])
        fits, turned = _inside(seen, stated, self._asked), _inside(east_first, stated, self._asked)
        if fits or not (turned or page.short_names):
            return _Opening(page, order, tuple(notes))
        if not turned:
            raise self._ambiguous()
        if page.short_names:
            notes.append(
                "srsName 用短名 EPSG:nnnn，按服务的 WGS84BoundingBox 判定为先东后北 "
                "short srsName: east first, as the WGS84BoundingBox shows"
            )
            return _Opening(page, "east-first", tuple(notes))
        raise self._failed(
            f"坐标轴次序与坐标系不符：按 {self._asked.to_string()} 读出的位置不在服务自己的 "
            f"WGS84BoundingBox 内，对调后才在。请核实，并在交付里写 axis_order: east-first。",
            f"the axes are not in the order of {self._asked.to_string()}: read so, the features "
            f"lie outside the service's own WGS84BoundingBox, swapped they lie inside. State "
            f"`axis_order: east-first` once you have made sure.",
        )

    def _ambiguous(self) -> ServiceError:
        return self._failed(
            "srsName 是短名 EPSG:nnnn，坐标轴次序不明，WGS84BoundingBox 也不能判定；请在交付里写 "
            "axis_order: authority 或 east-first。",
            "the short srsName EPSG:nnnn leaves the axis order open and the WGS84BoundingBox does "
            "not decide it: state `axis_order: authority` or `east-first`.",
        )

    @cached_property
    def layer(self) -> LayerInfo:
        """Fields and CRS as the first page has them; the count is the service's own."""
        first = self._first
        declared = self._asked.to_string()
        if first.page.count == 0:
            return LayerInfo(self._type.name, None, (), declared, 0, None)
        found = self._opened(first.page, first.order).layer
        # GeoJSON without a crs member is still in the CRS that was asked for
        return replace(
            found,
            name=self._type.name,
            declared_crs=found.declared_crs or declared,
            feature_count=self._stated,
            extent=None,
        )

    def batches(self) -> Iterator[Batch]:
        """Stream the pages; ServiceError when pages overlap or fewer come than were counted."""
        order, names = self._first.order, tuple(f.name for f in self.layer.fields)
        page, done, seen = self._first.page, 0, set[str]()
        while page.count:
            repeated = seen.intersection(page.ids)
            if repeated:
                raise self._failed(
                    f"分页重复给出要素（如 {min(repeated)}），服务没有稳定的次序。",
                    f"pages repeat features ({min(repeated)}): the service keeps no order.",
                )
            seen.update(page.ids)
            rows = 0
            for batch in self._opened(page, order).batches():
                rows += len(batch.rows)
                yield _moved(batch, done, names)
            done += rows
            if not self.capabilities.paging:
                break
            page = self._fetch(done)
        complete(self.url, self._stated, done)


@dataclass(frozen=True, slots=True)
class _Opening:
    page: Page
    order: Literal["authority", "east-first"]
    notes: tuple[str, ...]


def _extent(source: OgrSource) -> Bounds | None:
    """Bounds of all geometries; GDAL tells none for GML with a schema."""
    parts = [shapely.total_bounds(batch.geometry) for batch in source.batches()]
    finite = [part for part in parts if np.all(np.isfinite(part))]
    if not finite:
        return None
    low, high = np.min(finite, axis=0), np.max(finite, axis=0)
    return (float(low[0]), float(low[1]), float(high[2]), float(high[3]))


def _same(crs: pyproj.CRS, name: str) -> bool:
    try:
        return bool(pyproj.CRS.from_user_input(name).to_authority() == crs.to_authority())
    except CRSError:
        return False


def _moved(batch: Batch, done: int, names: tuple[str, ...]) -> Batch:
    """The batch with rows counted over all pages, and the fields of the first page."""
    table = batch.attributes.select([n for n in names if n in batch.attributes.column_names])
    problems = tuple(replace(p, row=p.row + done) for p in batch.problems)
    return replace(batch, rows=batch.rows + done, attributes=table, problems=problems)


def _inside(seen: Bounds, stated: Bounds, crs: pyproj.CRS) -> bool:
    """Whether bounds in a CRS (x = east) lie within WGS 84 bounds, kilometres being no matter."""
    if crs.is_projected:
        turned = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
        west, south, east, north = turned.transform_bounds(*seen, errcheck=False)
    else:
        west, south, east, north = seen
    corners = np.array([west, south, east, north])
    if not np.all(np.isfinite(corners)):
        return False
    box = shapely.buffer(shapely.box(*stated), MARGIN, join_style="mitre")
    inside = shapely.covers(box, shapely.box(*corners))
    return bool(inside)
