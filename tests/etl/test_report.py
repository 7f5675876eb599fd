"""Reports: what people read, in HTML and on the command line, and what machines get."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import orjson
import pytest
from lxml import html
from typer.testing import CliRunner

from etl.report import render_html
from geoserver_py.cli.etl import app
from geoserver_py.errors import WorkFailed
from layers.codes import code_list
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
def layered(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    apply_layers(database, "component")
    monkeypatch.setenv("GEOSERVER_PY_DATABASE_URL", database)
    return database


def faulty(folder: Path) -> None:
    lon, lat = CENTRE_GCJ02
    # a metre apart: two covers in one place are a finding of their own
    records = [component(n, lon=lon + n * 1e-5, lat=lat) for n in range(3)]
    records[1]["GLBJMC"] = "<script>alert(1)</script>"
    records[1]["GLBJZT"] = "坏掉"
    write_csv(folder / "components.csv", records)


def test_the_page_shows_counts_rules_reasons_steps_and_loads_nothing(
    layered: str, tmp_path: Path
) -> None:
    faulty(tmp_path)
    load = component_load(coordsys="gcj02", accept_accuracy=WAIVER)
    (report,) = deliver(tmp_path, layered, [load])
    ((stored,),) = rows(layered, "SELECT report FROM catalog.run WHERE id = %s", report.run)
    page = html.fromstring(render_html(stored))
    text = " ".join(page.text_content().split())
    for expected in (
        "成功 succeeded", "管理部件", "合成数据", "不在代码表中", "坏掉", "GCJ-02 → WGS 84",
        WAIVER["reason"], "0.5 m",
    ):  # fmt: skip
        assert str(expected) in text
    assert not page.xpath("//script | //link | //img | //@src | //a/@href")
    assert len(page.xpath("//*[local-name()='circle']")) == 1
    assert text.index("数量") < text.index("Counts")  # Chinese first
    # a code in the delivered record bears its word, and the time is the city's
    record = page.xpath("//dt[text()='class_code']/following-sibling::dd[1]")[0]
    word = code_list("component_class").entries["01001"].zh
    assert record.text_content().split() == ["01001", word]
    here = report.started_at.astimezone(ZoneInfo("Asia/Shanghai"))
    assert f"{here:%Y-%m-%d %H:%M:%S} (UTC+08:00)" in text


def test_run_prints_what_was_rejected_and_succeeds(layered: str, tmp_path: Path) -> None:
    faulty(tmp_path)
    load = component_load(coordsys="gcj02", accept_accuracy=WAIVER)
    deliver(tmp_path, layered, [load])
    path = str(tmp_path / "delivery.yaml")
    shown = CliRunner().invoke(app, ["run", path])
    assert shown.exit_code == 0
    assert "1 行被拒绝" in shown.output
    answer = CliRunner().invoke(app, ["run", path, "--json"])
    assert answer.exit_code == 0
    (report,) = orjson.loads(answer.output)
    assert (report["status"], report["counts"]["rejected"]) == ("unchanged", 1)
    page = tmp_path / "report.html"
    written = CliRunner().invoke(app, ["report", str(report["run"]), "--html", str(page)])
    assert written.exit_code == 0
    assert "坏掉" in page.read_text("utf-8")
    machine = CliRunner().invoke(app, ["report", str(report["run"]), "--json"])
    assert orjson.loads(machine.output)["rules"] == {"domain": 1}


def test_run_that_is_blocked_fails_with_one_line(layered: str, tmp_path: Path) -> None:
    faulty(tmp_path)
    deliver(tmp_path, layered, [component_load(coordsys="gcj02")])
    failed = CliRunner().invoke(app, ["run", str(tmp_path / "delivery.yaml")])
    assert failed.exit_code == 1
    assert isinstance(failed.exception, WorkFailed)
    sentence = str(failed.exception)
    assert "accept_accuracy" in sentence
    assert "\n" not in sentence


def test_a_delivery_that_cannot_be_read_fails_with_one_line(layered: str, tmp_path: Path) -> None:
    path = tmp_path / "delivery.yaml"
    path.write_text("delivery: x\n", "utf-8")
    failed = CliRunner().invoke(app, ["run", str(path)])
    assert isinstance(failed.exception, WorkFailed)
    assert "bureau" in str(failed.exception)
    unknown = CliRunner().invoke(app, ["report", "999999"])
    assert isinstance(unknown.exception, WorkFailed)


def test_the_first_refused_row_is_the_first_of_the_file_not_of_the_rules(
    layered: str, tmp_path: Path
) -> None:
    records = [component(n) for n in range(3)]
    records[0]["lon"] = "116.1x"  # coordinates are checked last
    records[1]["GLBJZT"] = "坏掉"
    records[2]["GLBJBSM"] = ""  # identifiers first
    write_csv(tmp_path / "components.csv", records)
    (report,) = deliver(tmp_path, layered, [component_load()])
    assert report.reason is not None
    assert "components.csv 第 2 行" in report.reason
    assert "116.1x" in report.reason
    assert [row.row for row in report.sample] == [2, 3, 4]
