"""Lines joined from a point table by point number: every end where its point is, or a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl
import pyproj
import pytest

from etl.delivery import DeliveryError
from etl.report import Status
from tests.etl.support import CENTRE_4548, apply_layers, deliver, rows

EAST, NORTH = CENTRE_4548
POINTS = [
    # number, X (north), Y (east), elevation of the ground
    ("001", NORTH, EAST, 80.0),
    ("12E3", NORTH + 40, EAST, 80.2),
    ("003", NORTH + 40, EAST + 30, 80.4),
    ("004", NORTH + 90, EAST, 80.5),
    ("004", NORTH + 91, EAST, 80.5),
    ("005", "缺", EAST, 80.5),
]
LINES = [
    ("001", "12E3", 78.9, 78.8),
    ("12E3", "003", 78.8, 78.7),
    ("003", "B17", 78.7, 78.6),
    ("004", "001", 78.7, 78.6),
    ("001", "005", 78.7, 78.6),
    (None, "001", 78.7, 78.6),
    ("003", "001", None, 78.6),
]


def load(**changes: Any) -> dict[str, Any]:
    return {
        "layer": "pipeline_line",
        "files": [{"path": "成果表.xlsx", "sheet": "JSLINE", "points": "JSPOINT"}],
        "coordsys": "epsg:4548",
        "columns": {"north": "X", "east": "Y", "z": "地面高程"},
        "mode": "full",
        "id": {"template": "{起点点号}-{终点点号}-{row}"},
        "fields": {"class_code": {"value": "JS"}},
        "geometry": {
            "from_points": {
                "id": "物探点号",
                "start": "起点点号",
                "end": "终点点号",
                "z": {"start": "起点高程", "end": "终点高程"},
            }
        },
        **changes,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    book = openpyxl.Workbook()
    points, lines = book.active, book.create_sheet("JSLINE")
    points.title = "JSPOINT"
    points.append(["给水管线点成果表"])
    points.append(["物探点号", "X", "Y", "地面高程"])
    lines.append(["起点点号", "终点点号", "起点高程", "终点高程"])
    for row in POINTS:
        points.append(row)
    for row in LINES:
        lines.append(row)
    book.save(tmp_path / "成果表.xlsx")
    return tmp_path


@pytest.fixture
def dsn(database: str) -> str:
    apply_layers(database, "pipeline_line")
    return database


def test_ends_lie_at_their_points_with_the_elevations_of_the_pipe(dsn, folder) -> None:
    (report,) = deliver(folder, dsn, [load()])
    assert report.status is Status.SUCCEEDED
    assert (report.counts["inserted"], report.counts["rejected"]) == (2, 5)
    found = rows(
        dsn,
        "SELECT start_point, ST_X(p), ST_Y(p), ST_Z(p) FROM layer.pipeline_line,"
        " LATERAL ST_EndPoint(ST_GeometryN(geom, 1)) AS p ORDER BY 1",
    )
    plane = pyproj.Transformer.from_crs("EPSG:4490", "EPSG:4548", always_xy=True)
    for (_, lon, lat, z), (east, north, height) in zip(
        found, [(EAST, NORTH + 40, 78.8), (EAST + 30, NORTH + 40, 78.7)], strict=True
    ):
        assert plane.transform(lon, lat) == pytest.approx((east, north), abs=0.001)
        assert z == height


def test_a_row_without_its_points_is_rejected_with_the_number(dsn, folder) -> None:
    deliver(folder, dsn, [load()])
    refused = rows(dsn, "SELECT source_row, rule, reason FROM catalog.reject ORDER BY source_row")
    by_row = {row: (rule, reason) for row, rule, reason in refused}
    assert sorted(by_row) == [4, 5, 6, 7, 8]
    assert "终点点号 B17" in by_row[4][1]
    assert "004" in by_row[5][1]
    assert "several positions" in by_row[5][1]
    assert "005" in by_row[6][1]
    assert "no usable coordinates" in by_row[6][1]
    assert "起点点号 为空" in by_row[7][1]
    assert by_row[8][0] == "height_required"


def test_without_z_the_line_takes_the_heights_of_its_points(dsn, folder) -> None:
    join = {"id": "物探点号", "start": "起点点号", "end": "终点点号"}
    deliver(folder, dsn, [load(geometry={"from_points": join})])
    query = "SELECT ST_Z(ST_StartPoint(ST_GeometryN(geom, 1))) FROM layer.pipeline_line ORDER BY id"
    assert rows(dsn, query)[0] == (80.0,)


def test_a_point_table_without_the_number_column_fails_the_run(dsn, folder) -> None:
    join = {"id": "点号", "start": "起点点号", "end": "终点点号"}
    (report,) = deliver(folder, dsn, [load(geometry={"from_points": join})])
    assert report.status is Status.FAILED
    assert "点号列 点号" in str(report.reason)


def test_the_point_table_must_be_named(dsn, folder) -> None:
    files = [{"path": "成果表.xlsx", "sheet": "JSLINE"}]
    with pytest.raises(DeliveryError, match=r"files\[0\]: .*points: SHEET"):
        deliver(folder, dsn, [load(files=files)])
