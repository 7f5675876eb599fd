"""GDAL's own client of OGC API Features reads every feature, exactly where it lies."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import shapely

from tests.features import town
from tests.features.conftest import Served

pytestmark = pytest.mark.skipif(shutil.which("ogr2ogr") is None, reason="GDAL's tools are absent")


@pytest.mark.parametrize(("layer", "page"), [("t_place", 1000), ("t_area", 100), ("t_pipe", 3)])
def test_ogr2ogr_reads_all_features_through_paging(
    served: Served, tmp_path: Path, layer: str, page: int
) -> None:
    target = tmp_path / "read.geojson"
    subprocess.run(
        ["ogr2ogr", "-f", "GeoJSON", "-lco", "COORDINATE_PRECISION=9", "-oo", f"PAGE_SIZE={page}",
         str(target), f"OAPIF:{served.url}", layer],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    read = {f["properties"]["label"]: f for f in json.loads(target.read_text())["features"]}
    rows = [row for row in town.rows()[layer] if row.properties["label"] != town.AWKWARD]
    assert len(read) == len({row.properties["label"] for row in town.rows()[layer]})
    for row in rows:
        got = shapely.geometry.shape(read[row.properties["label"]]["geometry"])
        # GDAL may turn rings round (RFC 7946), so the shapes are compared, not the order
        assert shapely.hausdorff_distance(got, row.geometry) < 2e-9
        if got.has_z:
            assert shapely.get_coordinates(got, include_z=True)[:, 2].tolist() == (
                shapely.get_coordinates(row.geometry, include_z=True)[:, 2].tolist()
            )


def test_gdal_pushes_its_spatial_filter_down(served: Served) -> None:
    box = (116.05, 24.25, 116.1, 24.3)
    inside = sum(shapely.box(*box).intersects(row.geometry) for row in town.rows()["t_place"])
    answer = subprocess.run(
        ["ogrinfo", "-so", "-spat", *map(str, box), f"OAPIF:{served.url}", "t_place"],
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert f"Feature Count: {inside}" in answer.stdout
