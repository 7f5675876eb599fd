"""Run by the system's Python, which has PyQGIS: `qgis_reads.py URL KEY FOLDER`.

Prints a JSON document of what QGIS read, and saves the styled map as FOLDER/map.png.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from qgis.core import (  # type: ignore[import-not-found]
    QgsApplication,
    QgsAuthMethodConfig,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorTileLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QSize  # type: ignore[import-not-found]

LAYERS = ("road", "building", "poi", "unit_grid", "division_name", "pipeline_line")


def stored_key(key: str) -> str:
    """Keep the key as Basic credentials, as a planner does; return their id."""
    manager = QgsApplication.authManager()
    manager.setMasterPassword("for the test", True)
    config = QgsAuthMethodConfig()
    config.setName("key")
    config.setMethod("Basic")
    config.setConfigMap({"username": "apikey", "password": key, "realm": ""})
    manager.storeAuthenticationConfig(config)
    name: str = config.id()
    return name


def opened(url: str, name: str, credentials: str | None) -> Any:
    with_key = f" authcfg={credentials}" if credentials else ""
    return QgsVectorLayer(
        f" pagingEnabled='true' restrictToRequestBBOX='1' typename='{name}' url='{url}'"
        f" version='OGC_FEATURE_API'{with_key}",
        name,
        "OAPIF",
    )


def read(url: str, name: str, credentials: str | None) -> dict[str, Any]:
    layer = opened(url, name, credentials)
    features = {
        feature["id"]: [(v.x(), v.y()) for v in feature.geometry().vertices()]
        for feature in layer.getFeatures()
    }
    return {
        "valid": layer.isValid(),
        "geometry": QgsWkbTypes.displayString(layer.wkbType()),
        "fields": {field.name(): field.typeName() for field in layer.fields()},
        "features": features,
    }


def drawn(url: str, target: Path) -> list[str]:
    """Draw the styled tiles of the city's middle; return the warnings of the style reader."""
    tiles = f"{url}/tiles/WebMercatorQuad/{{z}}/{{y}}/{{x}}"
    layer = QgsVectorTileLayer(
        f"styleUrl={url}/styles/basemap&type=xyz&url={tiles}&zmin=4&zmax=18", "map"
    )
    _, read_well = layer.loadDefaultStyle()
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setOutputSize(QSize(600, 400))
    settings.setExtent(QgsRectangle(12925700, 2787200, 12926900, 2788000))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(str(target))
    return [error.message for error in job.errors()] + ([] if read_well else ["style not read"])


def main(url: str, key: str, folder: str) -> None:
    QgsApplication.setPrefixPath("/usr", True)
    application = QgsApplication([], True, f"{folder}/profile")
    application.initQgis()
    credentials = stored_key(key)
    said = {
        "layers": {name: read(url, name, credentials) for name in LAYERS},
        "hidden without a key": not opened(url, "pipeline_line", None).isValid(),
        "warnings": drawn(url, Path(folder) / "map.png"),
    }
    Path(folder, "read.json").write_text(json.dumps(said, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:4])
