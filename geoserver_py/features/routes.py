"""The operations of this skin, and the conformance classes that they keep."""

from __future__ import annotations

from geoserver_py.features.item import get_item
from geoserver_py.features.items import get_items
from geoserver_py.features.parameters import ITEM_PARAMETERS, ITEMS_PARAMETERS, field_parameters
from geoserver_py.operations import Operation
from layers.definition import Title

CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/html",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
)

_GEOJSON = {"schema": {"type": "object", "required": ["type"]}}
_TEXT = {"schema": {"type": "string"}}

OPERATIONS = (
    Operation(
        method="GET",
        path="/collections/{collectionId}/items",
        operation_id="getItems",
        summary=Title("图层的要素", "Features of a collection"),
        tag="features",
        handler=get_items,
        parameters=ITEMS_PARAMETERS,
        dynamic_parameters=field_parameters,
        responses={
            200: (
                "要素 Features",
                {
                    "application/geo+json": _GEOJSON,
                    "text/html": _TEXT,
                    "text/csv": _TEXT,
                    "application/geo+json-seq": _TEXT,
                },
            )
        },
    ),
    Operation(
        method="GET",
        path="/collections/{collectionId}/items/{featureId}",
        operation_id="getItem",
        summary=Title("单个要素", "One feature"),
        tag="features",
        handler=get_item,
        parameters=ITEM_PARAMETERS,
        responses={200: ("要素 Feature", {"application/geo+json": _GEOJSON, "text/html": _TEXT})},
    ),
)
