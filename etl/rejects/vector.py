"""Some features of a layer that GDAL or a reader of ours gives, in a format that GDAL writes."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyogrio
import shapely

from etl.readers import Batch, Source
from etl.rejects.model import MARKS, Marks

DRIVERS = {
    ".gpkg": "GPKG",
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
    ".gdb": "OpenFileGDB",
    ".fgb": "FlatGeobuf",
}
"""Formats that are written as they came, by suffix; all others become a GeoPackage."""

GEOMETRY = "geom"


def write_layer(
    source: Source, target: Path, name: str, marks: Marks | None, *, append: bool
) -> None:
    """Write the marked features (None: all) as layer `name`, coordinates as delivered.

    The layer's own columns stay, the marks are added; the CRS is what the file declared.
    """
    parts = [table for batch in source.batches() if (table := _picked(batch, marks)) is not None]
    if not parts:
        return
    table = pa.concat_tables(parts, promote_options="permissive")
    driver = DRIVERS.get(target.suffix.lower(), "GPKG")
    layer = source.layer
    options = {}
    if driver == "GeoJSON":
        # GDAL's default of 7 decimals is 1 cm, and a row would come back moved
        options = {"COORDINATE_PRECISION": "15", "WRITE_NAME": "NO"}
    with warnings.catch_warnings():
        # a file that declared no CRS declares none when it comes back
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        pyogrio.raw.write_arrow(
            table,
            str(target),
            layer=name,
            driver=driver,
            geometry_name=GEOMETRY,
            geometry_type=_kind(table, layer.geometry_type),
            crs=layer.declared_crs,
            append=append,
            layer_options=options or None,
        )


def _picked(batch: Batch, marks: Marks | None) -> pa.Table | None:
    keep = np.ones(len(batch.rows), dtype=bool)
    if marks is not None:
        keep = np.isin(batch.rows, np.fromiter(marks, np.int64, len(marks)))
    if not keep.any():
        return None
    drop = [name for name in batch.attributes.column_names if name in (*MARKS, GEOMETRY)]
    table = batch.attributes.filter(pa.array(keep)).drop_columns(drop)
    if marks is not None:
        # 32 bits: a FileGDB of GDAL turns 64 into a real number
        cells = [marks[int(row)].cells for row in batch.rows[keep]]
        table = table.append_column(MARKS[0], pa.array([int(c[0]) for c in cells], pa.int32()))
        for at in (1, 2):
            table = table.append_column(MARKS[at], pa.array([c[at] for c in cells], pa.string()))
    shapes = batch.geometry[keep]
    wkb = pa.array(shapely.to_wkb(shapes, flavor="iso").tolist(), pa.binary())
    return table.append_column(GEOMETRY, wkb)


def _kind(table: pa.Table, stated: str | None) -> str:
    """The one type of all shapes; of mixed ones the layer's own, or the general type."""
    kinds = {
        str(shape.geom_type) + (" Z" if shape.has_z else "")
        for shape in shapely.from_wkb(table.column(GEOMETRY).to_pylist())
        if shape is not None
    }
    if len(kinds) == 1:
        return kinds.pop()
    return stated or "Unknown"
