"""Shapefile, GeoPackage, GeoJSON, FileGDB, DXF and OSM PBF through GDAL (pyogrio, Arrow)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FieldError

from etl.readers import shapefile
from etl.readers.encoding import text_encoding
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

_NO_GEOMETRY = {"None", None}
_UNREADABLE = (
    DataSourceError, DataLayerError, FieldError, UnicodeDecodeError, pa.ArrowException, OSError,
)  # fmt: skip


def _open_options(path: Path, text: str | None) -> dict[str, Any]:
    """OSM keeps the tags without a column as JSON; DXF is read by its bytes, not its code page."""
    if ".osm" in path.name.lower():
        return {"TAGS_FORMAT": "JSON"}
    return {} if text is None else {"ENCODING": text}


def _target(path: Path) -> str:
    return f"/vsigzip/{path}" if path.name.lower().endswith(".osm.gz") else str(path)


@contextmanager
def _without_measure_warnings() -> Iterator[None]:
    """M values are dropped by design (no layer has them); GDAL's warning says nothing more."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Measured \\(M\\) geometry", UserWarning)
        yield


def _states_crs(path: Path) -> bool:
    """Whether a GeoJSON has a `crs` member near its beginning or its end."""
    with path.open("rb") as stream:
        head = stream.read(65_536)
        stream.seek(max(0, path.stat().st_size - 4_096))
        tail = stream.read()
    return b'"crs"' in head or b'"crs"' in tail


def _bounds(value: Any) -> tuple[float, float, float, float] | None:
    if value is None or not np.all(np.isfinite(value)):
        return None
    return (float(value[0]), float(value[1]), float(value[2]), float(value[3]))


@dataclass(frozen=True)
class OgrSource:
    """A file that GDAL reads; layers are listed lazily, batches stream through Arrow."""

    path: Path
    options: ReadOptions
    check: shapefile.ShapefileCheck | None = None
    text: str | None = None
    """Encoding of a text DXF; $DWGCODEPAGE says CP936 or CP1252 over GB18030 and UTF-8 alike."""
    metas: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False, compare=False)
    open_options: Mapping[str, str] = field(default_factory=dict)
    """Open options of the GDAL driver, beside those that the format always gets."""

    @property
    def _encoding(self) -> str | None:
        return self.check.encoding if self.check is not None else None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the layers; ReadError when the file cannot be opened or has none."""
        try:
            with _without_measure_warnings():
                names = tuple(str(row[0]) for row in pyogrio.list_layers(_target(self.path)))
        except (DataSourceError, UnicodeDecodeError) as error:
            raise self._unreadable(error) from error
        if not names:
            raise ReadError(self.path, "文件里没有图层。", "the file holds no layer.")
        return names

    @cached_property
    def _silent(self) -> bool:
        # RFC 7946 means WGS 84 when nothing is said; to us nothing said is nothing declared.
        return self.path.suffix.lower() in {".geojson", ".json"} and not _states_crs(self.path)

    @cached_property
    def info(self) -> SourceInfo:
        """Driver and all layers; a sequential format (OSM) tells no counts."""
        checked = self.check
        notes = checked.notes if checked else ()
        if self._silent:
            notes += ("GeoJSON 未写 crs，坐标系未声明 no crs member: the datum is not declared",)
        metas = [self._meta(name) for name in self.names]
        declared = metas[0]["encoding"]
        return SourceInfo(
            path=self.path,
            driver=str(metas[0]["driver"]),
            layers=tuple(map(self._layer, self.names, metas)),
            encoding_declared=checked.declared if checked else declared and str(declared),
            encoding_detected=checked.detected if checked else self.text,
            notes=notes,
        )

    def _meta(self, name: str) -> dict[str, Any]:
        """What GDAL says of a layer, asked once: on an OSM file each question costs an open."""
        if name in self.metas:
            return self.metas[name]
        try:
            with _without_measure_warnings():
                found: dict[str, Any] = pyogrio.read_info(
                    _target(self.path), layer=name, encoding=self._encoding, **self.open_options
                )
        except (DataSourceError, DataLayerError, UnicodeDecodeError) as error:
            raise self._unreadable(error) from error
        self.metas[name] = found
        return found

    def _layer(self, name: str, meta: dict[str, Any]) -> LayerInfo:
        fields = tuple(
            FieldInfo(str(title), str(kind).removeprefix("OFT"))
            for title, kind in zip(meta["fields"], meta["ogr_types"], strict=True)
        )
        kind = meta["geometry_type"]
        count = int(meta["features"])
        return LayerInfo(
            name=name,
            geometry_type=None if kind in _NO_GEOMETRY else str(kind),
            fields=fields,
            declared_crs=None if meta["crs"] is None or self._silent else str(meta["crs"]),
            feature_count=None if count < 0 else count,
            extent=_bounds(meta["total_bounds"]),
        )

    @cached_property
    def layer(self) -> LayerInfo:
        """The chosen layer, without a look at the others: a FileGDB may have hundreds."""
        wanted = self.options.layer
        if wanted is None and len(self.names) == 1:
            wanted = self.names[0]
        if wanted is None or wanted not in self.names:
            return choose_layer(self.info, wanted)
        return self._layer(wanted, self._meta(wanted))

    def batches(self) -> Iterator[Batch]:
        """Stream the layer; the ordinal of the feature is its row number."""
        layer = self.layer
        done = 0
        try:
            with ExitStack() as stack:
                with _without_measure_warnings():
                    opened = pyogrio.raw.open_arrow(
                        _target(self.path),
                        layer=layer.name,
                        encoding=self._encoding,
                        batch_size=self.options.batch_rows,
                        use_pyarrow=True,
                        **_open_options(self.path, self.text),
                        **self.open_options,
                    )
                    meta, reader = stack.enter_context(opened)
                geometry_name = meta["geometry_name"] or "wkb_geometry"
                for record in reader:
                    yield self._batch(pa.Table.from_batches([record]), geometry_name, done)
                    done += record.num_rows
        except _UNREADABLE as error:
            raise self._unreadable(error, done) from error
        if layer.feature_count is not None and done != layer.feature_count:
            raise self._short(layer.feature_count, done)

    def _batch(self, table: pa.Table, geometry_name: str, done: int) -> Batch:
        table.validate(full=True)  # GDAL passes on bytes that are no UTF-8
        rows = np.arange(done + 1, done + 1 + table.num_rows, dtype=np.int64)
        if geometry_name not in table.column_names:
            return Batch(rows, np.full(table.num_rows, None, dtype=object), table)
        wkb = table.column(geometry_name).to_numpy(zero_copy_only=False)
        shapes = shapely.from_wkb(wkb, on_invalid="ignore")
        unread = np.array([raw is not None for raw in wkb]) & (shapes == None)  # noqa: E711
        problems = tuple(
            RowProblem(int(row), None, "图形无法解析 the geometry cannot be read")
            for row in rows[unread]
        )
        return Batch(rows, shapes, table.drop_columns([geometry_name]), problems)

    def _short(self, stated: int, done: int) -> ReadError:
        return ReadError(
            self.path,
            f"应有 {stated} 个要素，只读到 {done} 个，文件可能被截断。",
            f"{stated} features stated, {done} read: the file may be truncated.",
        )

    def _unreadable(self, error: Exception, done: int | None = None) -> ReadError:
        after = f"（读到第 {done} 个要素）" if done else ""
        also = f" after feature {done}" if done else ""
        detail = " ".join(str(error).split())[:300].replace(str(self.path), self.path.name)
        return ReadError(
            self.path,
            f"无法读取{after}，文件损坏、被截断或不是它声称的格式。",
            f"cannot be read{also}: damaged, truncated or not the format it claims ({detail}).",
        )


def open_ogr(path: Path, options: ReadOptions) -> OgrSource:
    """Open with GDAL; Shapefile and DXF are checked for their encoding first."""
    checked = shapefile.check(path, options.encoding) if path.suffix.lower() == ".shp" else None
    text = None
    if path.suffix.lower() == ".dxf":
        with path.open("rb") as stream:
            binary = stream.read(22).startswith(b"AutoCAD Binary DXF")
        text = None if binary else text_encoding(path, options.encoding)[0]
    source = OgrSource(path, options, checked, text)
    _ = source.names
    return source
