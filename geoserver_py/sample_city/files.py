"""Writers of the formats that bureaus deliver, as deterministic as each format allows."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pyogrio
import shapely
import yaml
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.cell_range import CellRange

from geoserver_py.sample_city.plane import FloatArray, Geometries

STAMP = datetime(2026, 11, 22)  # noqa: DTZ001 - Excel and zip know no zones
Move = Callable[[FloatArray], FloatArray]


def moved(shapes: Geometries, move: Move) -> Geometries:
    """Geometries with their plan coordinates replaced; heights stay."""
    flat = shapely.get_coordinates(shapes)
    has_z = bool(shapely.has_z(shapes).any())
    coordinates = shapely.get_coordinates(shapes, include_z=has_z)
    coordinates[:, :2] = move(flat)
    return np.asarray(shapely.set_coordinates(shapes.copy(), coordinates))


def write_vector(
    path: Path, layer: str, frame: pd.DataFrame, shapes: Geometries, crs: str, **options: Any
) -> None:
    """GeoPackage, FileGDB or Shapefile by the suffix; UTF-8 unless `encoding` says otherwise."""
    drivers = {".gpkg": "GPKG", ".gdb": "OpenFileGDB", ".shp": "ESRI Shapefile"}
    table = gpd.GeoDataFrame(frame, geometry=shapes, crs=crs)
    # GDAL stamps GeoPackages with the time and dBase headers with the day.
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2026-11-22T00:00:00.000Z"})
    if path.suffix == ".shp":
        options = {"DBF_DATE_LAST_UPDATE": "2026-11-22"} | options
    pyogrio.write_dataframe(
        table, path, layer=layer, driver=drivers[path.suffix], use_arrow=True, **options
    )
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def write_csv(path: Path, frame: pd.DataFrame, encoding: str) -> None:
    """A CSV with CRLF, as Windows tools write it."""
    path.write_bytes(frame.to_csv(index=False, lineterminator="\r\n").encode(encoding))


def write_geojson(path: Path, frame: pd.DataFrame, lonlat: FloatArray) -> None:
    """Points with ten decimals, undeclared CRS, one feature a line."""
    records = frame.to_dict("records")
    lines = [
        json.dumps(
            {
                "type": "Feature",
                "properties": record,
                "geometry": {"type": "Point", "coordinates": [round(x, 10), round(y, 10)]},
            },
            ensure_ascii=False,
        )
        for record, (x, y) in zip(records, lonlat.tolist(), strict=True)
    ]
    text = '{"type": "FeatureCollection", "features": [\n' + ",\n".join(lines) + "\n]}\n"
    path.write_text(text, encoding="utf-8")


def write_dxf(
    path: Path, layers: Sequence[str], handles: Sequence[str], shapes: Geometries
) -> None:
    """Polygons as hatches on CAD layers, DXF 2000 in GBK ($DWGCODEPAGE ANSI_936)."""
    pairs: list[tuple[int, object]] = [
        (0, "SECTION"), (2, "HEADER"), (9, "$ACADVER"), (1, "AC1015"),
        (9, "$DWGCODEPAGE"), (3, "ANSI_936"), (0, "ENDSEC"),
        (0, "SECTION"), (2, "ENTITIES"),
    ]  # fmt: skip
    for layer, handle, shape in zip(layers, handles, shapes, strict=True):
        boundary = [shape.exterior, *shape.interiors]
        pairs += [(0, "HATCH"), (5, handle), (100, "AcDbEntity"), (8, layer), (100, "AcDbHatch")]
        pairs += [(10, 0.0), (20, 0.0), (30, 0.0), (210, 0.0), (220, 0.0), (230, 1.0)]
        pairs += [(2, "SOLID"), (70, 1), (71, 0), (91, len(boundary))]
        for number, ring in enumerate(boundary):
            xy = shapely.get_coordinates(ring)[:-1]
            pairs += [(92, 3 if number == 0 else 2), (72, 0), (73, 1), (93, len(xy))]
            for x, y in xy.tolist():
                pairs += [(10, f"{x:.6f}"), (20, f"{y:.6f}")]
            pairs.append((97, 0))
        pairs += [(75, 0), (76, 1), (98, 0)]
    pairs += [(0, "ENDSEC"), (0, "EOF")]
    text = "".join(f"{code:3d}\r\n{value}\r\n" for code, value in pairs)
    path.write_bytes(text.encode("gb18030"))


def write_workbook(
    path: Path, sheets: Iterable[tuple[str, str, Sequence[str], Iterable[Sequence[object]]]]
) -> None:
    """An Excel table as survey firms make them: merged title, titles in row 2, signed footer.

    `sheets`: name, title, column titles, rows. Texts stay texts: a point number 12E3 is no number.
    """
    book = openpyxl.Workbook(write_only=True)
    book.properties.creator = "geoserver_py (synthetic)"
    book.properties.created = book.properties.modified = STAMP
    for name, title, titles, rows in sheets:
        sheet = book.create_sheet(name)
        last = get_column_letter(len(titles))
        sheet.merged_cells.ranges.add(CellRange(f"A1:{last}1"))
        sheet.append([title])
        sheet.append(list(titles))
        for row in rows:
            sheet.append(list(row))
        sheet.append([])
        sheet.append(["制表人：Z.S.", None, None, "检查者：L.S.", None, None, "日期：2026-10-30"])
    book.save(path)
    _settle_zip(path)


_MODIFIED = re.compile(rb"(<(?:\w+:)?modified\b[^>]*>)[^<]*")


def _settle_zip(path: Path) -> None:
    """Rewrite a zip with fixed times, so that two builds give the same bytes."""
    with zipfile.ZipFile(path) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts:
            if name == "docProps/core.xml":
                # openpyxl stamps the moment of saving over what it was told; the prefix of the
                # element is whatever some library registered for Dublin Core in this process
                content = _MODIFIED.sub(rb"\g<1>2026-11-22T00:00:00Z", content)
            stamped = zipfile.ZipInfo(name, STAMP.timetuple()[:6])
            # a ZipInfo of one's own is stored, whatever the archive says
            archive.writestr(stamped, content, zipfile.ZIP_DEFLATED)


def write_yaml(path: Path, document: dict[str, Any], heading: str) -> None:
    """A YAML file with a comment on top."""
    body = yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=100)
    path.write_text(f"# {heading}\n{body}", encoding="utf-8")


def write_truth(path: Path, frame: pd.DataFrame, shapes: Geometries | None, move: Move) -> None:
    """GeoParquet of the true CGCS2000 positions (lon, lat) by id, with the attributes."""
    if shapes is None:
        frame.to_parquet(path, index=False)
        return
    table = gpd.GeoDataFrame(frame, geometry=moved(shapes, move), crs="EPSG:4490")
    table.to_parquet(path, index=False)
