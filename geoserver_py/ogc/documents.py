"""What we add to, and take from, the documents that pygeoapi writes."""

from __future__ import annotations

from typing import Any

from geoserver_py.links import link
from geoserver_py.ogc.provider import json_type
from layers.catalogue import PublishedLayer
from layers.city import CityProfile
from layers.codes import code_list
from layers.crs import crs_for_layer
from layers.definition import LayerDefinition

REL = "http://www.opengis.net/def/rel/ogc/1.0"
JSON = "application/json"
_NOT_SERVED = ("application/ld+json",)


def landing_page(document: dict[str, Any], root: str) -> dict[str, Any]:
    """Landing page: links to what is served, none to what is not."""
    kept = [
        entry
        for entry in document["links"]
        if entry["type"] not in _NOT_SERVED
        and not entry["rel"].endswith(("tiling-schemes", "job-list"))
        and entry["rel"] != "about"
    ]
    for entry in kept:
        entry["href"] = entry["href"].replace(f"{root}?", f"{root}/?")
    further = [
        link(
            f"{root}/tileMatrixSets", f"{REL}/tiling-schemes", JSON, "瓦片矩阵集 Tile matrix sets"
        ),
        link(f"{root}/tiles", f"{REL}/tilesets-vector", JSON, "矢量瓦片集 Vector tilesets"),
        link(f"{root}/styles", f"{REL}/styles", JSON, "样式 Styles"),
        link(f"{root}/portal/", "alternate", "text/html", "一张图门户 Map portal"),
        {
            **link(
                f"{root}/geocode?q={{q}}", "search", "application/geo+json", "地址匹配 Geocoder"
            ),
            "templated": True,
        },
    ]
    return {**document, "links": [*kept, *further]}


def without_unserved(document: dict[str, Any]) -> dict[str, Any]:
    """A document without links to representations that are not served."""
    links = [entry for entry in document.get("links", []) if entry["type"] not in _NOT_SERVED]
    return {**document, "links": links}


def collection(
    document: dict[str, Any], layer: PublishedLayer, profile: CityProfile, root: str
) -> dict[str, Any]:
    """A collection: CRSs, count, theme, datum steps, accuracy, and links to its tiles."""
    definition = layer.definition
    own = f"{root}/collections/{definition.name}"
    links = [entry for entry in document["links"] if entry["type"] not in _NOT_SERVED]
    for entry in links:
        entry["href"] = entry["href"].replace(f"{root}?", f"{root}/?")
    body = {**document, "links": links}
    if definition.geometry is None:
        body.pop("extent", None)
    else:
        links.append(
            link(f"{own}/tiles", f"{REL}/tilesets-vector", JSON, "矢量瓦片集 Vector tilesets")
        )
    offered = crs_for_layer(definition, profile)
    if offered:
        body["crs"] = [crs.uri for crs in offered]
    body |= {
        "itemType": "feature",
        "itemCount": layer.feature_count,
        "theme": definition.theme,
        "bureau": definition.bureau,
        "access": definition.access.value,
        "standard": definition.standard,
        "geometryType": definition.postgis_type,
        "synthetic": layer.synthetic,
        "revision": layer.revision,
        "updated": None if layer.updated_at is None else layer.updated_at.isoformat(),
        "positionalAccuracy": {
            "stated_m": layer.accuracy_m,
            "required_m": definition.required_accuracy_m,
            "datumSteps": [s for s in layer.applied_steps if s["kind"] != "check_points"],
            "checkPoints": [
                s["parameters"] for s in layer.applied_steps if s["kind"] == "check_points"
            ],
        },
    }
    return body


def schema(document: dict[str, Any], definition: LayerDefinition) -> dict[str, Any]:
    """A schema or queryables document: titles, units and code lists of the definition."""
    properties: dict[str, Any] = {
        "id": {"type": "string", "title": str(definition.id_title), "x-ogc-role": "id"}
    }
    if definition.geometry is not None:
        properties["geometry"] = {
            "format": f"geometry-{definition.geometry.value.lower()}",
            "x-ogc-role": "primary-geometry",
        }
    for position, field in enumerate(definition.fields, 1):
        entry = {**json_type(field), "title": str(field.title), "x-ogc-propertySeq": position}
        if field.domain is not None:
            codes = code_list(field.domain).entries
            entry["x-enum-titles"] = {code: known.zh for code, known in codes.items()}
        if field.unit is not None:
            entry["x-ogc-unit"] = field.unit
        if field.max_length is not None:
            entry["maxLength"] = field.max_length
        if field.name == definition.time_field:
            entry["x-ogc-role"] = "primary-instant"
        properties[field.name] = entry
    return {
        **document,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": str(document["$id"]).partition("?")[0],
        "title": str(definition.title),
        "properties": properties,
    }
