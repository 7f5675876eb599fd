"""A layer that several deliveries and editors share keeps its word about what it holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psycopg
import pytest

from etl.datum import DatumRegistry
from etl.places import Points
from etl.report import LoadReport, Status
from etl.run import run_delivery
from layers.access import SYSTEM
from layers.definition import load_definitions
from layers.edit import Change, Operation, write_changes
from tests.etl.support import (
    CENTRE_GCJ02,
    WAIVER,
    apply_layers,
    component,
    component_load,
    deliver,
    rows,
    write_csv,
)


@pytest.fixture
def layered(database: str) -> str:
    apply_layers(database, "component", "unit_grid", "division_village")
    return database


def test_synthetic_data_that_arrived_during_a_real_delivery_is_not_joined(
    layered: str, tmp_path: Path
) -> None:
    """Both saw an empty layer when they began; the second to write looks again, under the lock."""
    real, synthetic = tmp_path / "real", tmp_path / "synthetic"
    for folder, number in ((real, 0), (synthetic, 1)):
        folder.mkdir()
        write_csv(folder / "components.csv", [component(number)])
    between: list[LoadReport] = []

    def meanwhile(_layer: str, _rows: int, _total: int | None) -> None:
        if not between:
            between.extend(deliver(synthetic, layered, [component_load()], delivery="b"))

    deliver(real, layered, [component_load(files=["absent.csv"])], delivery="a", synthetic=False)
    path = real / "delivery.yaml"
    path.write_text(path.read_text("utf-8").replace("absent.csv", "components.csv"), "utf-8")
    (late,) = run_delivery(path, layered, progress=meanwhile)
    assert between[0].status is Status.SUCCEEDED
    assert late.status is Status.FAILED
    assert "synthetic" in str(late.reason)
    assert rows(layered, "SELECT count(*), bool_and(c.synthetic) FROM layer.component AS f"
                " JOIN catalog.run AS c ON c.id = f.run") == [(1, True)]  # fmt: skip


def test_an_edit_does_not_make_a_layer_more_accurate(layered: str, tmp_path: Path) -> None:
    lon, lat = CENTRE_GCJ02
    write_csv(tmp_path / "phone.csv", [component(1, lon=lon, lat=lat)])
    write_csv(tmp_path / "exact.csv", [component(0)])
    phone = component_load("phone.csv", coordsys="gcj02", accept_accuracy=WAIVER)
    deliver(tmp_path, layered, [phone], bureau="乙", delivery="1")
    edit = Change(Operation.UPDATE, component(1)["GLBJBSM"], {"state": "破损"})
    with psycopg.connect(layered) as connection:
        write_changes(connection, load_definitions()["component"], [edit], principal=SYSTEM)
    deliver(tmp_path, layered, [component_load("exact.csv")], bureau="甲", delivery="2")
    ((accuracy, steps),) = rows(
        layered, "SELECT accuracy_m, applied_steps FROM catalog.layer WHERE name = 'component'"
    )
    assert accuracy == DatumRegistry().chain("gcj02").accuracy_m
    assert any("gcj" in str(step).lower() for step in steps)


def test_points_without_heights_are_never_written_with_them() -> None:
    flat = Points(np.array([116.1]), np.array([24.2]), None)
    assert len(flat.wkb(has_z=False)[0].as_py()) == 21
    with pytest.raises(ValueError, match="heights"):
        flat.wkb(has_z=True)
    nowhere = Points(np.array([np.nan]), np.array([np.nan]), None)
    assert nowhere.wkb(has_z=True).to_pylist() == [None]
