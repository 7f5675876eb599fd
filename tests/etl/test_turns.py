"""Two runs into one layer: one waits and says for whom; a run that died is closed by the next."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest
import yaml

from etl.abandoned import close_abandoned
from etl.report import LoadReport, Status
from etl.run import run_delivery
from etl.turns import introduce, take_turn
from geoserver_py.server import close_cut_off
from tests.etl.support import apply_layers, component, component_load, deliver, rows, write_csv


def test_a_run_waits_for_the_writer_before_it_and_says_for_which(
    database: str, tmp_path: Path
) -> None:
    apply_layers(database, "component")
    write_csv(tmp_path / "components.csv", [component(n) for n in range(5)])
    (first,) = deliver(tmp_path, database, [component_load()], delivery="甲", bureau="水务局")
    heard: list[str] = []
    told = threading.Event()
    document = yaml.safe_load((tmp_path / "delivery.yaml").read_text("utf-8"))
    second = tmp_path / "second.yaml"
    second.write_text(
        yaml.safe_dump(document | {"delivery": "乙", "bureau": "园林局"}, allow_unicode=True),
        "utf-8",
    )

    def tell(sentence: str) -> None:
        heard.append(sentence)
        told.set()

    reports: list[LoadReport] = []
    with psycopg.connect(database) as holder, psycopg.connect(database, autocommit=True) as log:
        introduce(holder, first.run)
        take_turn(holder, log, ["component"], [first.run], heard.append)
        assert heard == []
        waiter = threading.Thread(
            target=lambda: reports.extend(run_delivery(second, database, notice=tell))
        )
        waiter.start()
        assert told.wait(60)
        mine = first.run + 1
        assert f"批次 {mine} 等候批次 {first.run}（水务局，交付 甲" in heard[0]
        waiting = "SELECT status, report ->> 'waiting' FROM catalog.run WHERE id = %s"
        for _ in range(200):
            state = log.execute(waiting, [mine]).fetchone()
            if state is not None and state[1]:
                break
        assert state == ("running", heard[0])
        holder.commit()
        waiter.join(60)
    assert [r.status for r in reports] == [Status.UNCHANGED]


def test_any_next_start_closes_what_was_cut_off_and_leaves_what_lives(
    database: str, tmp_path: Path
) -> None:
    apply_layers(database, "component")
    write_csv(tmp_path / "components.csv", [component(1)])
    heard: list[str] = []
    with psycopg.connect(database, autocommit=True) as alive:
        alive.execute("SELECT pg_advisory_lock(hashtextextended('delivery:活', 0))")
        alive.execute(
            "INSERT INTO catalog.run (delivery, layer, bureau)"
            " VALUES ('活', 'component', '甲'), ('死', 'component', '乙')"
        )
        deliver(tmp_path, database, [component_load()], delivery="别的")
        run_delivery(tmp_path / "delivery.yaml", database, notice=heard.append)
        found = rows(
            database,
            "SELECT delivery, status, report ->> 'reason' FROM catalog.run WHERE id <= 2"
            " ORDER BY id DESC",
        )
        reason = "运行中断，图层未变 (the process ended; the layer is as it was)"
        assert found == [("死", "failed", reason), ("活", "running", None)]
        assert heard == [], "said once, at the first start after"
    with psycopg.connect(database, autocommit=True) as connection:
        (gone,) = close_abandoned(connection)
    assert (gone.delivery, gone.layer) == ("活", "component")
    assert "已记为失败" in gone.sentence()


def test_the_service_says_at_its_start_which_runs_were_cut_off(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO catalog.run (delivery, layer, bureau) VALUES ('死', 'component', '乙')"
        )
    close_cut_off(database)
    said = capsys.readouterr().err
    assert "死 → component" in said
    assert "its layer is as it was" in said
    close_cut_off(database)
    assert capsys.readouterr().err == ""


def test_a_database_without_the_catalogue_does_not_keep_the_service_from_starting(
    postgis: str, capsys: pytest.CaptureFixture[str]
) -> None:
    close_cut_off(postgis)
    assert "are not looked for" in capsys.readouterr().err
