"""Which reader opens what: by suffix, and by a look inside where that does not say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from etl.readers import landtxt, refused, survey
from etl.readers.access import open_access
from etl.readers.archive import open_archive
from etl.readers.citygml import open_citygml
from etl.readers.dbf import open_shapefile
from etl.readers.encoding import SAMPLE_BYTES
from etl.readers.excel import open_excel
from etl.readers.geoparquet import open_parquet
from etl.readers.graphml import open_graphml
from etl.readers.inp import open_inp
from etl.readers.kml import open_kml
from etl.readers.model import ReadError, ReadOptions, Source
from etl.readers.ogr import open_ogr
from etl.readers.pull import is_service
from etl.readers.service import open_service
from etl.readers.sqlite import refuse_foreign_tables
from etl.readers.table import open_table
from etl.readers.xml import release, stream


def _text(path: Path, options: ReadOptions) -> Source:
    """A .txt: 国土报盘 plots, a headerless point file, or a table with a header."""
    with path.open("rb") as stream:
        head = stream.read(SAMPLE_BYTES)
    # the section names are the same bytes in GBK and GB18030; UTF-8 differs
    if any(landtxt.is_land_text(head.decode(name, "replace")) for name in ("utf-8", "gb18030")):
        return landtxt.open_land_text(path, options)
    return survey.recognise(path, options) or open_table(path, options)


def _dxf(path: Path, options: ReadOptions) -> Source:
    """CASS drawings by ezdxf, which knows XDATA; all others streamed by GDAL at any size."""
    from etl.readers import cass  # ezdxf takes 0.3 s to import: only for drawings

    opener = cass.open_cass if cass.is_cass(path) else open_ogr
    return opener(path, options)


def _xml(path: Path, options: ReadOptions) -> Source:
    """GML and OSM XML through GDAL, which would pass over a cut-off end: checked first."""
    for element in stream(path):
        release(element)
    return open_ogr(path, options)


def _gml(path: Path, options: ReadOptions) -> Source:
    """CityGML by its own reader, any other GML by GDAL."""
    with path.open("rb") as file:
        city = b"CityModel" in file.read(4096)
    return open_citygml(path, options) if city else _xml(path, options)


def _zip(path: Path, options: ReadOptions) -> Source:
    """A zipped delivery; a zipped FileGDB (.gdb.zip) is read in place by GDAL."""
    if path.name.lower().endswith(".gdb.zip"):
        return open_ogr(path, options)
    return open_archive(path, options, open_any)


_OPENERS: dict[str, Callable[[Path, ReadOptions], Source]] = {
    ".csv": open_table,
    ".txt": _text,
    ".tsv": open_table,
    ".dat": survey.open_dat,
    ".xlsx": open_excel,
    ".xls": open_excel,
    ".mdb": open_access,
    ".accdb": open_access,
    ".graphml": open_graphml,
    ".gml": _gml,
    ".osm": _xml,
    ".citygml": open_citygml,
    ".kml": open_kml,
    ".kmz": open_kml,
    ".shp": open_shapefile,
    ".dxf": _dxf,
    ".inp": open_inp,
    ".parquet": open_parquet,
    ".geoparquet": open_parquet,
    ".zip": _zip,
}


def open_any(path: Path | str, options: ReadOptions | None = None) -> Source:
    """Open a file by what it is, or the service that a text names; ReadError (zh first)."""
    if isinstance(path, str) and is_service(path):
        return open_service(path, options or ReadOptions())
    where = Path(path)
    if not where.exists():
        raise ReadError(where, "文件不存在。", "the file does not exist.")
    refused.refuse(where)
    refuse_foreign_tables(where)
    return _OPENERS.get(where.suffix.lower(), open_ogr)(where, options or ReadOptions())
