"""`etl raster` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from rasterio import Affine
from typer.testing import CliRunner

from geoserver_py.cli.etl import app
from geoserver_py.errors import WorkFailed
from tests.etl.raster.support import write


def test_a_delivery_of_rasters_by_command(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOSERVER_PY_DATABASE_URL", database)
    monkeypatch.setenv("GEOSERVER_PY_RASTER_DIR", str(tmp_path / "published"))
    transform = Affine(1e-4, 0, 116.1, 0, -1e-4, 24.3)
    write(tmp_path / "in.tif", transform, (30, 20), lambda x, _y: x, "EPSG:4326")
    document = {
        "delivery": "test/rasters", "bureau": "自然资源局", "city": "meizhou", "synthetic": True,
        "rasters": [{"name": "photo", "file": "in.tif", "kind": "image"}],
    }  # fmt: skip
    path = tmp_path / "rasters.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), "utf-8")
    done = CliRunner().invoke(app, ["raster", str(path), "--json"])
    assert done.exit_code == 0, done.output
    (report,) = json.loads(done.output)
    assert (report["epsg"], report["access"], report["size"]) == (4490, "restricted", [30, 20])
    assert (tmp_path / "published" / report["file"]).stat().st_size == report["bytes"]
    told = CliRunner().invoke(app, ["raster", str(path)])
    assert "EPSG:4490 30 × 20" in told.output
    path.write_text(yaml.safe_dump({**document, "loads": []}), "utf-8")
    refused = CliRunner().invoke(app, ["raster", str(path)])
    assert isinstance(refused.exception, WorkFailed)
    assert "unknown key" in str(refused.exception)
