"""A planner's QGIS reads the service: `make qgis`, where PyQGIS is installed (docs/clients.md)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import rasterio
import shapely

from layers.definition import load_definitions
from tests.service.conftest import City

PYTHON = "/usr/bin/python3"
TOLERANCE_DEG = 0.51e-9  # nine decimals; 0.06 mm

pytestmark = pytest.mark.skipif(
    os.environ.get("GEOSERVER_PY_TEST_QGIS") != "1", reason="QGIS is tried by `make qgis` alone"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("qgis")


@pytest.fixture(scope="module")
def seen(city: City, folder: Path) -> dict[str, Any]:
    """What QGIS read from the service."""
    asked = subprocess.run([PYTHON, "-c", "import qgis.core"], capture_output=True, check=False)
    if asked.returncode != 0:
        pytest.skip("PyQGIS is absent: apt-get install --no-install-recommends qgis python3-qgis")
    script = Path(__file__).with_name("qgis_reads.py")
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "QT_QPA_PLATFORM": "offscreen",
        "XDG_RUNTIME_DIR": str(folder),
    }
    ran = subprocess.run(
        [PYTHON, str(script), city.url, city.restricted_key, str(folder)],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    written = folder / "read.json"
    assert written.exists(), ran.stderr[-2000:]
    read: dict[str, Any] = json.loads(written.read_text("utf-8"))
    return read


def test_every_vertex_lies_where_the_database_has_it(city: City, seen: dict[str, Any]) -> None:
    for name, layer in seen["layers"].items():
        assert layer["valid"], name
        shape = "NULL" if load_definitions()[name].geometry is None else "ST_AsBinary(geom)"
        with psycopg.connect(city.dsn) as connection:
            rows = connection.execute(f"SELECT id, {shape} FROM layer.{name}").fetchall()  # noqa: S608
        assert layer["features"].keys() == {row[0] for row in rows}
        for identity, binary in rows:
            if binary is not None:
                expected = shapely.get_coordinates(shapely.from_wkb(binary))
                given = np.array(layer["features"][identity])
                np.testing.assert_allclose(given, expected, rtol=0, atol=TOLERANCE_DEG)


def test_fields_and_geometry_types_are_those_of_the_layer(seen: dict[str, Any]) -> None:
    road = seen["layers"]["road"]
    assert road["geometry"] == "MultiLineString"
    assert list(road["fields"]) == ["id", *load_definitions()["road"].field_names]
    assert (road["fields"]["lanes"], road["fields"]["one_way"]) == ("Integer", "Boolean")
    assert seen["layers"]["pipeline_line"]["geometry"] == "MultiLineStringZ"
    assert seen["layers"]["division_name"]["geometry"] == "NoGeometry"


def test_a_key_opens_a_layer_that_is_absent_without(seen: dict[str, Any]) -> None:
    assert seen["layers"]["pipeline_line"]["features"]
    assert seen["hidden without a key"]


def test_the_style_is_read_whole_and_drawn_in_many_colours(
    seen: dict[str, Any], folder: Path
) -> None:
    assert seen["warnings"] == []
    with rasterio.open(folder / "map.png") as picture:
        pixels = picture.read([1, 2, 3]).reshape(3, -1)
    assert len(np.unique(pixels, axis=1).T) > 200
    assert (pixels.max(axis=0) < 60).mean() < 0.02  # roads whose colour QGIS cannot read are black
