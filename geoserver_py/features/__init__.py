"""OGC API Features Parts 1 and 2: items and single items, over the query compiler."""

from geoserver_py.features.routes import CONFORMANCE, OPERATIONS

__all__ = ["CONFORMANCE", "OPERATIONS"]
