"""Files as bureaus write them: a table, Shapefile, GeoJSON, GeoPackage, Excel or DXF."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pyogrio
import shapely

from geoserver_py.sample_city.plane import Geometries

TABLES = ("csv", "xlsx")
EPSG = {"cgcs2000": 4490, "wgs84": 4326}


def epsg_of(system: str) -> int | None:
    """EPSG code of a system name; None for GCJ-02 and BD-09."""
    return EPSG.get(system) or (int(system[5:]) if system.startswith("epsg:") else None)


def write_table(
    path: Path, titles: tuple[str, str], texts: tuple[Sequence[str], Sequence[str]], encoding: str
) -> None:
    """A table with columns y-titled and x-titled in the order that their words usually have."""
    count = len(texts[0])
    frame = pd.DataFrame({"编号": [f"P{n:05d}" for n in range(count)]})
    # A survey table writes X (north) before Y (east).
    order = (1, 0) if titles[0].upper().startswith(("Y", "横", "东")) else (0, 1)
    for at in order:
        frame[titles[at]] = list(texts[at])
    frame["备注"] = ""
    if path.suffix == ".csv":
        path.write_bytes(frame.to_csv(index=False, lineterminator="\r\n").encode(encoding))
        return
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("成果表")
    sheet.append(list(frame.columns))
    for row in frame.itertuples(index=False):
        sheet.append([_cell(value) for value in row])
    book.save(path)


def _cell(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text or None


def write_shapes(path: Path, shapes: Geometries, declared: str | None) -> None:
    """Shapes with an id; `declared` goes into the file where the format can hold it."""
    code = None if declared is None else epsg_of(declared)
    if path.suffix == ".geojson":
        _geojson(path, shapes, code)
    elif path.suffix == ".dxf":
        lines = [shapely.boundary(g) if shapely.get_dimensions(g) == 2 else g for g in shapes]
        _vector(path, gpd.GeoDataFrame({"Layer": ["0"] * len(lines)}, geometry=lines), "DXF")
    else:
        drivers = {".shp": "ESRI Shapefile", ".gpkg": "GPKG"}
        table = gpd.GeoDataFrame(
            {"BSM": np.arange(len(shapes))},
            geometry=shapes,
            crs=None if code is None else f"EPSG:{code}",
        )
        _vector(path, table, drivers[path.suffix])


def _vector(path: Path, table: gpd.GeoDataFrame, driver: str) -> None:
    with warnings.catch_warnings():
        # A file without a CRS is what some bureaus deliver.
        warnings.filterwarnings("ignore", "'crs' was not provided")
        pyogrio.write_dataframe(table, path, driver=driver)


def _geojson(path: Path, shapes: Geometries, code: int | None) -> None:
    features = [
        {"type": "Feature", "properties": {"id": n}, "geometry": json.loads(text)}
        for n, text in enumerate(shapely.to_geojson(shapes))
    ]
    document: dict[str, object] = {"type": "FeatureCollection"}
    if code is not None:
        name = f"urn:ogc:def:crs:EPSG::{code}"
        document["crs"] = {"type": "name", "properties": {"name": name}}
    path.write_text(json.dumps(document | {"features": features}), "utf-8")


def packed(degrees: float, decimals: int) -> str:
    """Degrees as DDD.MMSSff, carries done in whole units of the last place."""
    scale = 10 ** (decimals - 4)
    total = round(degrees * 3600 * scale)
    whole, rest = divmod(total, 3600 * scale)
    minutes, seconds = divmod(rest, 60 * scale)
    return f"{whole}.{minutes:02d}{seconds:0{decimals - 2}d}"


STYLES = ("{d}°{m:02d}′{s}″{w}", "{d}°{m:02d}'{s}\"", "{d}-{m:02d}-{s}", "{d}:{m:02d}:{s}",
          "{d}度{m:02d}分{s}秒", "{d} {m:02d} {s}")  # fmt: skip


def sexagesimal(degrees: float, style: str, letter: str) -> str:
    """Degrees, minutes and seconds as text."""
    total = round(degrees * 3600 * 1000)
    whole, rest = divmod(total, 3600 * 1000)
    minutes, thousandths = divmod(rest, 60 * 1000)
    return style.format(d=whole, m=minutes, s=f"{thousandths / 1000:06.3f}", w=letter)
