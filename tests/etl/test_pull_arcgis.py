"""Pulls from a FeatureServer: whole and changed since, with pages, errors and tokens as it has."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import shapely

from etl.readers import ReadError, ReadOptions, open_source
from etl.readers.service import open_service
from etl.report import Status
from tests.etl.featureserver import FeatureServer, feature_server
from tests.etl.support import CENTRE, apply_layers, component, deliver, rows
from tests.etl.test_pulls import pulled

LONG_AGO = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
EDIT = "UPDATE layer SET GLBJZT = ?, last_edited_date = ? WHERE OBJECTID = ?"


def milliseconds(at: dt.datetime) -> int:
    return round(at.timestamp() * 1000)


def parts(count: int, **more: Any) -> FeatureServer:
    """A layer of components, last edited long ago; object ids have gaps and begin at 3."""
    server = FeatureServer(**more)
    found = []
    for n in range(count):
        record = component(n)
        place = {"x": float(record.pop("lon")), "y": float(record.pop("lat"))}
        found.append((3 * n + 3, {**record, "last_edited_date": milliseconds(LONG_AGO)}, place))
    server.put(found)
    return server


@pytest.fixture
def layered(database: str) -> str:
    apply_layers(database, "component")
    return database


def loaded(dsn: str) -> list[tuple[Any, ...]]:
    return rows(dsn, "SELECT id, state, ST_X(geom), ST_Y(geom) FROM layer.component ORDER BY id")


@pytest.mark.parametrize("pagination", [True, False])
def test_whole_then_three_changed_and_one_deleted(
    layered: str, tmp_path: Path, pagination: bool
) -> None:
    server = parts(25, pagination=pagination)
    with feature_server(server) as url:
        changes = pulled(url, mode="append", since="last run")
        (first,) = deliver(tmp_path, layered, [changes])
        assert first.counts.get("inserted") == 25, first.reason
        assert "首次取数" in first.files[0].notes[-1]
        (nothing,) = deliver(tmp_path, layered, [changes])
        assert (nothing.status, nothing.counts["read"]) == (Status.UNCHANGED, 0), nothing.reason

        for key in (3, 36, 75):
            server.change(EDIT, "破损", milliseconds(dt.datetime.now(dt.UTC)), key)
        server.change("DELETE FROM layer WHERE OBJECTID = 6")
        (changed,) = deliver(tmp_path, layered, [changes])
        assert (changed.counts["read"], changed.counts["updated"]) == (3, 3), changed.reason
        assert "已删除的要素取不到" in changed.files[0].notes[-1]
        assert len(loaded(layered)) == 25

        (whole,) = deliver(tmp_path, layered, [pulled(url, mode="full")])
        assert whole.counts["deleted"] == 1, whole.reason
    found = loaded(layered)
    assert [row[0] for row in found] == [component(n)["GLBJBSM"] for n in range(25) if n != 1]
    assert [row[0] for row in found if row[1] == "破损"] == [
        component(n)["GLBJBSM"] for n in (0, 11, 24)
    ]
    assert found[0][2:] == pytest.approx(CENTRE, abs=1e-9)
    offsets = {query["resultOffset"] for query in server.asked if "resultOffset" in query}
    assert offsets == ({"0", "10", "20"} if pagination else set())


@pytest.mark.parametrize(
    ("zone", "windows"),
    [(None, None), ("Asia/Shanghai", None), ("America/Bogota", None),
     ("Asia/Shanghai", "China Standard Time")],
)  # fmt: skip
def test_no_change_is_missed_whatever_zone_the_server_reads_times_in(
    zone: str | None, windows: str | None
) -> None:
    """A TIMESTAMP is in the layer's zone: in UTC alone, eight hours of changes would be lost."""
    server = parts(5, zone=zone, windows_zone=windows)
    since = dt.datetime(2026, 11, 22, 3, tzinfo=dt.UTC)
    server.change(EDIT, "破损", milliseconds(since), 3)
    server.change(EDIT, "破损", milliseconds(since + dt.timedelta(minutes=1)), 9)
    with feature_server(server) as url:
        source = open_service(url, ReadOptions(), since)
        found = [r for batch in source.batches() for r in batch.attributes.to_pylist()]
    assert [r["OBJECTID"] for r in found] == ["3", "9"]
    assert found[0]["last_edited_date"] == since.isoformat()


def test_a_date_field_that_the_delivery_names(layered: str, tmp_path: Path) -> None:
    server = parts(3, tracking=False)
    with feature_server(server) as url:
        load = pulled(url, mode="append", since="2026-01-01T08:00:00+08:00")
        (refused,) = deliver(tmp_path, layered, [load])
        assert "没有编辑时间字段" in str(refused.reason)
        load["files"][0]["since_column"] = "GLBJZT"
        (refused,) = deliver(tmp_path, layered, [load])
        assert "没有日期字段 GLBJZT" in str(refused.reason)
        load["files"][0]["since_column"] = "last_edited_date"
        (report,) = deliver(tmp_path, layered, [load])
    assert report.counts.get("inserted") == 3, report.reason


@pytest.mark.parametrize("pagination", [True, False])
def test_an_error_in_the_middle_loads_nothing(
    layered: str, tmp_path: Path, pagination: bool
) -> None:
    """It comes with HTTP 200; the pages before it must not pass for the whole layer."""
    server = parts(25, pagination=pagination, breaks_at=2)
    with feature_server(server) as url:
        (report,) = deliver(tmp_path, layered, [pulled(url)])
        assert report.status is Status.FAILED
        assert "服务回答错误：500 Error performing query operation 数据库连接中断" in str(
            report.reason
        )
        assert loaded(layered) == []
        server.breaks_at = None
        (again,) = deliver(tmp_path, layered, [pulled(url)])
    assert again.counts.get("inserted") == 25, again.reason


def test_a_token_that_is_missing_or_no_longer_valid(
    layered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = parts(3, token="good")
    with feature_server(server) as url:
        (missing,) = deliver(tmp_path, layered, [pulled(url)])
        assert "服务要求令牌（499 Token Required）" in str(missing.reason)
        load = pulled(url, credentials={"token": "GEOSERVER_PY_SERVICE_TOKEN"})
        monkeypatch.setenv("GEOSERVER_PY_SERVICE_TOKEN", "old")
        (old,) = deliver(tmp_path, layered, [load])
        assert "498 Invalid token." in str(old.reason)
        monkeypatch.setenv("GEOSERVER_PY_SERVICE_TOKEN", "good")
        (report,) = deliver(tmp_path, layered, [load])
    assert report.counts.get("inserted") == 3, report.reason
    assert "good" not in str(report.to_json())


def test_polygons_with_holes_and_parts_of_an_empty_layer() -> None:
    shell = [[0, 0], [0, 10], [10, 10], [10, 0], [0, 0]]
    hole = [[2, 2], [4, 2], [4, 4], [2, 4], [2, 2]]
    other = [[20, 0], [20, 5], [25, 5], [25, 0], [20, 0]]
    server = FeatureServer(geometry="esriGeometryPolygon", wkid=4548)
    server.put([(1, {"last_edited_date": 0}, {"rings": [shell, other, hole]})])
    with feature_server(server) as url:
        (batch,) = open_source(url).batches()
        assert batch.geometry is not None
        assert batch.geometry[0].equals(shapely.MultiPolygon([(shell, [hole]), (other, [])]))
        server.change("DELETE FROM layer")
        empty = open_source(url)
        assert (list(empty.batches()), empty.layer.feature_count) == ([], 0)


def test_a_page_that_comes_twice_stands_for_one_that_never_came() -> None:
    server = parts(20)
    server.change("UPDATE layer SET OBJECTID = 3 WHERE OBJECTID > 30")
    with feature_server(server) as url, pytest.raises(ReadError, match="pages repeat features"):
        list(open_source(url).batches())
