"""GDAL's limits in a process that reads uploads; nothing here imports GDAL."""

from __future__ import annotations

from collections.abc import Mapping

_DRIVERS = (
    "VRT", "OGR_VRT", "GTI", "WMS", "WMTS", "WCS", "WFS", "OAPIF", "OGCAPI", "CSW", "HTTP",
    "PostgreSQL", "PostGISRaster", "MySQL", "ODBC", "PGeo", "MSSQLSpatial", "OCI", "HANA", "Carto",
    "AmigoCloud", "Elasticsearch", "NGW", "PLScenes", "PLMOSAIC", "EEDA", "EEDAI", "DAAS", "STACIT",
    "STACTA", "GMLAS",
    # a GDALG file is a command line that reads any file; these others hold paths, too
    "GDALG", "ADBC", "GPSBabel", "PDS", "PDS4", "OGR_PDS", "ISIS3", "VICAR", "PCIDSK", "Idrisi",
    "EDIGEO", "MiraMonVector",
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
