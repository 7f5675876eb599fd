"""pygeoapi's configuration, built from the catalogue for one kind of caller.

A layer that the caller may not read is not in the configuration, so that no page, link or error
text of pygeoapi can name it.
"""

from __future__ import annotations

from typing import Any

from geoserver_py.ogc.context import ProcessContext
from layers.access import Principal
from layers.catalogue import Catalogue, PublishedLayer
from layers.city import CityProfile
from layers.crs import CRS84_URI, STORAGE_CRS_URI, crs_for_layer
from layers.definition import Title

LANGUAGES = ("zh-CN", "en-US")
WORLD = (-180.0, -90.0, 180.0, 90.0)


def _both(title: Title) -> dict[str, str]:
    return {"zh": title.zh, "en": title.en or title.zh}


def pygeoapi_config(
    catalogue: Catalogue,
    principal: Principal,
    profile: CityProfile,
    base_url: str,
    context: ProcessContext,
) -> dict[str, Any]:
    """The configuration for callers who may read what ``principal`` may."""
    name = _both(profile.title)
    resources: dict[str, Any] = {
        layer.definition.name: _collection(layer, profile)
        for layer in catalogue.visible_to(principal)
    }
    resources["locate-event"] = {
        "type": "process",
        "processor": {"name": "geoserver_py.ogc.processes.LocateEvent", "context": context},
    }
    resources["geocode-batch"] = {
        "type": "process",
        "processor": {"name": "geoserver_py.ogc.processes.GeocodeBatch"},
    }
    return {
        "server": {
            "bind": {"host": "127.0.0.1", "port": 0},
            "url": base_url,
            "mimetype": "application/json; charset=UTF-8",
            "encoding": "utf-8",
            "gzip": False,
            "languages": list(LANGUAGES),
            "map": {"url": "", "attribution": ""},
            "manager": {"name": "geoserver_py.ogc.manager.DirectManager"},
            "limits": {"default_items": 1000, "max_items": 1000},
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {
                "title": {"zh": f"{name['zh']}一张图", "en": f"{name['en']} one map"},
                "description": {
                    "zh": "各委办局空间数据，统一于 CGCS2000，附精度与来历。",
                    "en": "The bureaus' spatial data on one map, in CGCS2000, with accuracy"
                    " and lineage.",
                },
                "keywords": {"zh": ["一张图", "CGCS2000"], "en": ["one map", "CGCS2000"]},
                "keywords_type": "theme",
                "terms_of_service": "",
                "url": base_url,
            },
            "license": {"name": "", "url": ""},
            "provider": {"name": name["zh"], "url": base_url},
            "contact": {},
        },
        "resources": resources,
    }


def _collection(layer: PublishedLayer, profile: CityProfile) -> dict[str, Any]:
    definition = layer.definition
    title = _both(definition.title)
    if layer.synthetic:
        title = {"zh": f"{title['zh']}（模拟数据）", "en": f"{title['en']} (synthetic)"}
    extents: dict[str, Any] = {"spatial": {"bbox": list(layer.extent or WORLD), "crs": CRS84_URI}}
    if layer.time_extent is not None:
        begin, end = layer.time_extent
        extents["temporal"] = {"begin": begin, "end": end}
    provider: dict[str, Any] = {
        "type": "feature",
        "name": "geoserver_py.ogc.provider.CatalogueProvider",
        "data": definition,
        "id_field": "id",
        "time_field": definition.time_field,
    }
    offered = crs_for_layer(definition, profile)
    if offered:
        provider |= {"crs": [crs.uri for crs in offered], "storage_crs": STORAGE_CRS_URI}
    return {
        "type": "collection",
        "title": title,
        "description": _both(definition.description)
        if definition.description.zh
        else {
            "zh": f"{definition.bureau}；{definition.standard or '无国家标准'}",
            "en": f"{definition.title.en}; {definition.standard or 'no national standard'}",
        },
        "keywords": {"zh": [definition.theme, definition.bureau], "en": [definition.name]},
        "links": [],
        "extents": extents,
        "providers": [provider],
    }
