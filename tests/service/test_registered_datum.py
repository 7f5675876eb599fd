"""A city grid registered in the database is known to the running service, and to nobody before."""

from __future__ import annotations

import time

import httpx
import psycopg
import pytest

from etl.datum.store import register
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
