"""A city grid registered in the database is known to the running service, and to nobody before."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from typer.testing import CliRunner

from etl.datum.store import register
from geoserver_py.cli.app import app
from tests.service.conftest import City

GRID = "local:service-test"
SHIFT_EAST, SHIFT_NORTH = 390_000.0, 2_650_000.0
REGISTERED = {
    "grids": {GRID: "试验独立坐标系 test grid"},
    "links": [
        {
            "name": "试验四参数",
            "kind": "similarity",
            "source": GRID,
            "target": "EPSG:4548",
            "accuracy_m": 0.05,
            "authority": "made for this test",
            "parameters": {"dE": SHIFT_EAST, "dN": SHIFT_NORTH, "A": 1.0, "B": 0.0},
        }
    ],
}


def test_a_registered_grid_is_accepted_within_two_seconds(client: httpx.Client, city: City) -> None:
    position = {
        "coordsys": GRID,
        "north": 2687537.854 - SHIFT_NORTH,
        "east": 410413.240 - SHIFT_EAST,
    }
    assert client.get("/position", params=position).status_code == 400
    with psycopg.connect(city.dsn) as connection:
        register(connection, REGISTERED, "测试")
    deadline = time.monotonic() + 2
    while (answer := client.get("/position", params=position)).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)
    found = answer.json()
    assert (found["lon"], found["lat"]) == pytest.approx((116.1176, 24.2886), abs=1e-8)
    assert found["datum"]["accuracy_m"] == pytest.approx(0.051, abs=1e-3)
    assert GRID in client.get("/position", params={"lon": 1, "lat": 2}).json()["accepted"]


@pytest.fixture
def xian(city: City) -> Iterator[None]:
    """Xian 80 of the city, registered while the test runs (a shift, made for it)."""
    link = {**REGISTERED["links"][0], "name": "西安80试验", "source": "epsg:2384",
            "parameters": {"dE": 117.3, "dN": 0.2, "A": 1.0, "B": 0.0}}  # fmt: skip
    with psycopg.connect(city.dsn) as connection:
        register(connection, {"links": [link]}, "测试")
    yield
    with psycopg.connect(city.dsn) as connection:
        connection.execute(
            "UPDATE catalog.datum_step SET withdrawn_at = now() WHERE name = '西安80试验'"
        )
        connection.execute("SELECT catalog.bump_generation()")


@pytest.mark.usefixtures("xian")
def test_the_command_line_knows_the_registered_steps_too(
    city: City, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GEOSERVER_PY_DATABASE_URL", city.dsn)
    text = f"epsg:2384 {2687537.854 - 0.2:.3f} {410413.240 - 117.3:.3f}"
    run = CliRunner().invoke(app, ["gazetteer", "match", "--json", text])
    assert run.exit_code == 0, run.output
    (feature, *_) = json.loads(run.stdout)["features"]
    assert feature["geometry"]["coordinates"] == pytest.approx((116.1176, 24.2886), abs=1e-7)
    (tmp_path / "texts.csv").write_text(f"address\n{text}\n", "utf-8")
    table = tmp_path / "out.csv"
    batch = CliRunner().invoke(
        app, ["gazetteer", "batch", str(tmp_path / "texts.csv"), "--out", str(table)]
    )
    assert batch.exit_code == 0, batch.output
    assert "116.1176" in table.read_text("utf-8-sig")
