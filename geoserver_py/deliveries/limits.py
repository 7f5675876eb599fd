"""GDAL's limits in a process that reads uploads; importing this imports no GDAL."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

_DRIVERS = (
    "VRT", "OGR_VRT", "GTI", "WMS", "WMTS", "WCS", "WFS", "OAPIF", "OGCAPI", "CSW", "HTTP",
    "PostgreSQL", "PostGISRaster", "MySQL", "ODBC", "PGeo", "MSSQLSpatial", "OCI", "HANA", "Carto",
    "AmigoCloud", "Elasticsearch", "NGW", "PLScenes", "PLMOSAIC", "EEDA", "EEDAI", "DAAS", "STACIT",
    "STACTA", "GMLAS",
    # a GDALG file is a command line that reads any file; these others hold paths, too
    "GDALG", "ADBC", "GPSBabel", "PDS", "PDS4", "OGR_PDS", "ISIS3", "VICAR", "PCIDSK", "Idrisi",
    "EDIGEO", "MiraMonVector",
    # no bureau delivers these: tiles, pages, dumps, coverages of many files
    "MBTiles", "MVT", "PMTiles", "MapML", "PDF", "PGDUMP", "AIVector", "AVCBin",
)  # fmt: skip

GDAL_ENVIRONMENT: Mapping[str, str] = {
    "GDAL_SKIP": ",".join(_DRIVERS),
    "GML_DOWNLOAD_SCHEMA": "NO",
    "GML_SKIP_RESOLVE_ELEMS": "ALL",
    # whatever is left that would ask another host finds none
    "GDAL_HTTP_PROXY": "127.0.0.1:9",
    "GDAL_HTTP_TIMEOUT": "1",
}
"""For the process that reads uploads: no drivers that name other files, hosts or databases."""

ALLOWED_DRIVERS = frozenset({
    "MEM", "ESRI Shapefile", "GPKG", "SQLite", "OpenFileGDB", "FlatGeobuf", "MapInfo File",
    "GeoJSON", "GeoJSONSeq", "ESRIJSON", "TopoJSON", "JSONFG", "GML", "KML", "LIBKML", "GPX", "JML",
    "GeoRSS", "LVBAG", "DXF", "DGN", "OSM", "CSV", "XLSX", "ODS", "AVCE00", "GTFS", "OGR_GMT",
    "S57", "SXF", "Selafin", "VDV", "VFK", "WAsP",
})  # fmt: skip
"""All vector drivers that may open an upload. One that a later GDAL brings is added only after a
look at which other files, hosts or commands its format can name."""


def allow_known_drivers(again: Sequence[str]) -> None:
    """Leave this process ALLOWED_DRIVERS alone, whatever GDAL has; before anything imports GDAL.

    GDAL reads what to skip once. Where it has drivers that nobody looked at, the process becomes
    the command `again`, told to skip them, too. RuntimeError if they are there even then.
    """
    before = os.environ.get("GDAL_SKIP", "").split(",")
    skipped = {*before, *GDAL_ENVIRONMENT["GDAL_SKIP"].split(",")} - {""}
    os.environ.update(GDAL_ENVIRONMENT)
    os.environ["GDAL_SKIP"] = ",".join(sorted(skipped))
    import pyogrio

    unknown = set(pyogrio.list_drivers()) - ALLOWED_DRIVERS
    if not unknown:
        return
    if unknown & skipped:
        raise RuntimeError(f"GDAL keeps drivers that it was told to skip: {sorted(unknown)}")
    os.environ["GDAL_SKIP"] = ",".join(sorted(skipped | unknown))
    sys.stderr.write(f"GDAL drivers that are not allowed for uploads: {sorted(unknown)}\n")
    sys.stderr.flush()
    os.execv(again[0], list(again))
