"""A delivery in the wrong datum still lies in the city: what is loaded there shows the offset."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import psycopg
import pytest

from etl.report import Status
from etl.run import run_delivery
from geoserver_py.sample_city import BuildSummary
from geoserver_py.sample_city.obfuscation import bd09_from_wgs84, gcj02_from_wgs84
from layers.definition import load_definitions, standing
from layers.schema import apply
from tests.conftest import MakeDatabase

DELIVERY = """
delivery: test/wrong-datum/{name}
bureau: 测试局
city: meizhou
synthetic: true
loads:
  - layer: poi
    files: [{{path: places.csv, encoding: UTF-8}}]
    coordsys: {coordsys}
    columns: {{lon: 经度, lat: 纬度}}
    id: {{column: 标识}}
    fields: {{name: {{column: 名称}}, category: {{value: food}}}}
"""
SHIFTS = {
    "cgcs2000": lambda lon, lat: (lon, lat),
    "gcj02": gcj02_from_wgs84,
    "bd09": bd09_from_wgs84,
}


@pytest.fixture(scope="module")
def trusted_dsn(city: BuildSummary, make_database: MakeDatabase) -> str:
    """A database of its own with what the deliveries of these tests are compared with."""
    dsn = make_database("trusted")
    with psycopg.connect(dsn) as connection:
        apply(connection, standing(load_definitions()))
    for path in city.deliveries:
        if path.parent.name in {"housing", "transport", "public-security"}:
            assert all(report.good for report in run_delivery(path, dsn))
    return dsn


def deliver(folder: Path, truth: Path, name: str, true: str, stated: str, count: int) -> Path:
    """A CSV of places at house entrances, really in `true`, said to be in `stated`."""
    doors = gpd.read_parquet(truth / "address.parquet").geometry[:count]
    lon, lat = SHIFTS[true](doors.x.to_numpy(), doors.y.to_numpy())
    table = pd.DataFrame({"标识": [f"{name}-{i}" for i in range(len(doors))], "名称": "店"})
    table["经度"], table["纬度"] = np.round(lon, 8), np.round(lat, 8)
    folder.mkdir()
    table.to_csv(folder / "places.csv", index=False)
    path = folder / "delivery.yaml"
    path.write_text(DELIVERY.format(name=name, coordsys=stated), "utf-8")
    return path


WRONG = [("gcj02", "cgcs2000"), ("bd09", "gcj02"), ("cgcs2000", "gcj02"), ("bd09", "wgs84")]


@pytest.mark.parametrize(("true", "stated"), WRONG)
def test_a_wrongly_stated_datum_is_objected_to_in_metres_and_nothing_is_loaded(
    trusted_dsn: str, truth: Path, tmp_path: Path,
    true: str, stated: str,
) -> None:  # fmt: skip
    name = f"{true}-as-{stated}"
    path = deliver(tmp_path / name, truth, name, true, stated, 300)
    (report,) = run_delivery(path, trusted_dsn)
    assert report.status is Status.BLOCKED
    assert report.reason is not None
    assert true in report.reason
    assert " m" in report.reason
    with psycopg.connect(trusted_dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM layer.poi WHERE id LIKE %s", [f"{name}-%"]
        ).fetchone()
    assert row == (0,)


@pytest.mark.parametrize("datum", ["cgcs2000", "gcj02", "bd09"])
def test_a_rightly_stated_datum_is_not_objected_to(
    trusted_dsn: str, truth: Path, tmp_path: Path, datum: str
) -> None:
    name = f"right-{datum}"
    path = deliver(tmp_path / name, truth, name, datum, datum, 300)
    (report,) = run_delivery(path, trusted_dsn)
    assert report.status is Status.SUCCEEDED, report.reason


def test_a_datum_that_changes_far_behind_in_a_long_file_is_objected_to(
    trusted_dsn: str, truth: Path, tmp_path: Path
) -> None:
    """The first 50 000 rows are right; a third of the file behind them comes from phones."""
    doors = gpd.read_parquet(truth / "address.parquet").geometry
    generator = np.random.default_rng(20261122)
    drawn = generator.integers(0, len(doors), 75_000)
    lon = doors.x.to_numpy()[drawn] + generator.normal(0, 2e-6, len(drawn))
    lat = doors.y.to_numpy()[drawn] + generator.normal(0, 2e-6, len(drawn))
    lon[50_000:], lat[50_000:] = gcj02_from_wgs84(lon[50_000:], lat[50_000:])
    name = "long"
    path = deliver(tmp_path / name, truth, name, "cgcs2000", "cgcs2000", 1)
    table = pd.DataFrame({"标识": [f"{name}-{i}" for i in range(len(drawn))], "名称": "店"})
    table["经度"], table["纬度"] = np.round(lon, 8), np.round(lat, 8)
    table.to_csv(path.with_name("places.csv"), index=False)
    (report,) = run_delivery(path, trusted_dsn)
    assert report.status is Status.BLOCKED
    assert "gcj02" in (report.reason or "")
