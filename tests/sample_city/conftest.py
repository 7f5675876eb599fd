"""One small sample city for all tests of this folder, and its deliveries loaded into PostGIS."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from etl.report import LoadReport
from etl.run import run_delivery
from geoserver_py.sample_city import BuildSummary, build_sample_city
from layers.definition import load_definitions
from layers.schema import apply

SEED, SCALE = 20261122, 0.05


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> BuildSummary:
    return build_sample_city(tmp_path_factory.mktemp("sample") / "city", SEED, SCALE)


@pytest.fixture(scope="session")
def truth(city: BuildSummary) -> Path:
    return city.folder / "truth"


@pytest.fixture(scope="session")
def city_dsn(make_database) -> str:
    dsn: str = make_database("sample_city")
    with psycopg.connect(dsn) as connection:
        apply(connection, load_definitions().values())
    return dsn


@pytest.fixture(scope="session")
def loaded(city: BuildSummary, city_dsn: str) -> dict[str, LoadReport]:
    """Reports by layer of the first run of every delivery."""
    reports = [r for path in city.deliveries for r in run_delivery(path, city_dsn)]
    return {report.layer: report for report in reports}
