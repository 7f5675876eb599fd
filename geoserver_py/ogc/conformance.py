"""The conformance classes that the service keeps, and no others."""

from __future__ import annotations

from geoserver_py.features import CONFORMANCE as FEATURES
from geoserver_py.tile_routes import CONFORMANCE as TILES

_SPEC = "http://www.opengis.net/spec"

COMMON = (
    f"{_SPEC}/ogcapi-common-1/1.0/conf/core",
    f"{_SPEC}/ogcapi-common-1/1.0/conf/landing-page",
    f"{_SPEC}/ogcapi-common-1/1.0/conf/json",
    f"{_SPEC}/ogcapi-common-1/1.0/conf/html",
    f"{_SPEC}/ogcapi-common-1/1.0/conf/oas30",
    f"{_SPEC}/ogcapi-common-2/1.0/conf/collections",
)
PROCESSES = (
    f"{_SPEC}/ogcapi-processes-1/1.0/conf/core",
    f"{_SPEC}/ogcapi-processes-1/1.0/conf/json",
    f"{_SPEC}/ogcapi-processes-1/1.0/conf/ogc-process-description",
    f"{_SPEC}/ogcapi-processes-1/1.0/conf/job-list",
    f"{_SPEC}/ogcapi-processes-1/1.0/conf/dismiss",
)


def conforms_to() -> list[str]:
    """All classes, once each, in the order of the specifications."""
    return list(dict.fromkeys((*COMMON, *FEATURES, *TILES, *PROCESSES)))
