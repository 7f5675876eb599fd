"""GeoParquet 1.x by its `geo` metadata, and plain Parquet tables, streamed by pyarrow.

Geometry is WKB, x = lon/east first whatever the CRS (GeoParquet 1.1, "Coordinate axis order").
Without a `crs` the specification means OGC:CRS84; to us nothing said is nothing declared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely
from pyproj.exceptions import CRSError

from etl.readers.columns import CoordinateColumns, points
from etl.readers.model import (
    Batch,
    Bounds,
    FieldInfo,
    LayerInfo,
    ReadError,
    ReadOptions,
    RowProblem,
    SourceInfo,
    choose_layer,
)
from etl.readers.table import coordinate_columns


@dataclass(frozen=True)
class ParquetSource:
    """A Parquet file; its primary geometry column, other geometry columns are left out."""

    path: Path
    options: ReadOptions

    @cached_property
    def _file(self) -> tuple[pa.Schema, int, dict[str, Any]]:
        try:
            with pq.ParquetFile(self.path) as file:
                schema, rows = file.schema_arrow, file.metadata.num_rows
            raw = (schema.metadata or {}).get(b"geo")
            geo = json.loads(raw) if raw is not None else {}
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._unreadable(error) from error
        if not isinstance(geo, dict) or not isinstance(geo.get("columns", {}), dict):
            raise self._unreadable(ValueError("the geo metadata is no GeoParquet"))
        return schema, rows, geo

    def _unreadable(self, error: Exception) -> ReadError:
        return ReadError(
            self.path,
            "不是 Parquet，或文件损坏、被截断。",
            f"not Parquet, damaged or cut off ({' '.join(str(error).split())[:200]}).",
        )

    @cached_property
    def _geometry(self) -> str | None:
        schema, _, geo = self._file
        name = geo.get("primary_column")
        if name is None:
            return None
        column = geo.get("columns", {}).get(name)
        if name not in schema.names or not isinstance(column, dict):
            raise self._unreadable(ValueError(f"no geometry column {name!r}"))
        if column.get("encoding") != "WKB":
            raise ReadError(
                self.path,
                f"几何编码 {column.get('encoding')} 不支持，请用 WKB 编码导出。",
                f"geometry encoding {column.get('encoding')!r} is not read; export as WKB.",
            )
        return str(name)

    @cached_property
    def _columns(self) -> tuple[tuple[str, ...], CoordinateColumns | None, tuple[str, ...]]:
        schema, _, geo = self._file
        left_out = set(geo.get("columns", {}))
        boxes = {
            box.get("covering", {}).get("bbox", {}).get("xmin", [None])[0]
            for box in geo.get("columns", {}).values()
            if isinstance(box, dict)
        }
        names = tuple(n for n in schema.names if n not in left_out and n not in boxes)
        if self._geometry is not None:
            return names, None, ()
        columns, notes = coordinate_columns(self.path, names, self.options)
        return names, columns, notes

    @cached_property
    def info(self) -> SourceInfo:
        """One layer named after the file."""
        schema, rows, geo = self._file
        names, columns, notes = self._columns
        declared, kind, bounds = None, ("Point" if columns else None), None
        if self._geometry is not None:
            column = geo["columns"][self._geometry]
            declared = _crs(column.get("crs"))
            kinds = column.get("geometry_types") or ["Unknown"]
            kind = str(kinds[0]) if len(kinds) == 1 else "Unknown"
            bounds = _bounds(column.get("bbox"))
            if declared is None:
                notes += ("未写 crs，坐标系未声明 no crs: the datum is not declared",)
        layer = LayerInfo(
            self.path.stem,
            kind,
            tuple(FieldInfo(name, str(schema.field(name).type)) for name in names),
            declared,
            rows,
            bounds,
        )
        driver = "Parquet" if self._geometry is None else "GeoParquet"
        return SourceInfo(self.path, driver, (layer,), "UTF-8", "UTF-8", notes)

    @property
    def layer(self) -> LayerInfo:
        """The only layer."""
        return choose_layer(self.info, self.options.layer)

    def batches(self) -> Iterator[Batch]:
        """Stream row groups; the ordinal of the record is its row."""
        names, columns, _ = self._columns
        geometry, done = self._geometry, 0
        wanted = [*names, *([geometry] if geometry is not None else [])]
        try:
            with pq.ParquetFile(self.path) as file:
                for record in file.iter_batches(self.options.batch_rows, columns=wanted):
                    rows = np.arange(done + 1, done + 1 + record.num_rows, dtype=np.int64)
                    yield self._batch(rows, pa.Table.from_batches([record]), geometry, columns)
                    done += record.num_rows
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error

    def _batch(
        self,
        rows: np.ndarray[Any, np.dtype[np.int64]],
        table: pa.Table,
        geometry: str | None,
        columns: CoordinateColumns | None,
    ) -> Batch:
        if geometry is None:
            if columns is None:
                return Batch(rows, np.full(len(rows), None, dtype=object), table)
            texts = table
            for name in (columns.x, columns.y, columns.z):
                if name is not None:
                    position = texts.column_names.index(name)
                    texts = texts.set_column(position, name, texts.column(name).cast(pa.string()))
            shapes, problems = points(columns, texts, rows)
            return Batch(rows, shapes, table, problems)
        wkb = table.column(geometry).cast(pa.binary()).to_numpy(zero_copy_only=False)
        shapes = shapely.from_wkb(wkb, on_invalid="ignore")
        unread = np.array([raw is not None for raw in wkb]) & shapely.is_missing(shapes)
        bad = tuple(
            RowProblem(int(row), None, "图形无法解析 the geometry cannot be read")
            for row in rows[unread]
        )
        return Batch(rows, shapes, table.drop_columns([geometry]), bad)


def _crs(projjson: Any) -> str | None:
    """`AUTHORITY:CODE` of a PROJJSON object, else its WKT; None where there is none."""
    if not isinstance(projjson, dict):
        return None
    identity = projjson.get("id")
    if isinstance(identity, dict) and {"authority", "code"} <= identity.keys():
        return f"{identity['authority']}:{identity['code']}"
    try:
        crs = pyproj.CRS.from_json_dict(projjson)
    except CRSError:
        return None
    code = crs.to_authority()
    return ":".join(code) if code else str(crs.to_wkt())


def _bounds(box: Any) -> Bounds | None:
    if not isinstance(box, list) or len(box) not in (4, 6):
        return None
    if not all(isinstance(value, int | float) for value in box):
        return None
    half = len(box) // 2
    return (float(box[0]), float(box[1]), float(box[half]), float(box[half + 1]))


def open_parquet(path: Path, options: ReadOptions) -> ParquetSource:
    """Open by the footer; ReadError when it is no Parquet."""
    source = ParquetSource(path, options)
    _ = source.info
    return source
