"""The parts of OGC API that pygeoapi, used as a library, answers: metadata and processes."""

from geoserver_py.ogc.routes import OPERATIONS

__all__ = ["OPERATIONS"]
