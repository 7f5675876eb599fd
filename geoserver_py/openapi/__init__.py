"""The OpenAPI document: what every operation accepts, as this caller may see it."""

from geoserver_py.openapi.routes import OPERATIONS

__all__ = ["OPERATIONS"]
