"""Where a feature comes from is told for every version: delivery, file, row, run, datum steps."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg

from etl.rollback import rollback_run
from layers import tables
from layers.access import Principal
from layers.definition import load_definitions
from layers.edit import Change, Operation, write_changes
from layers.lineage import Lineage, lineage
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


def read(dsn: str, number: int) -> Lineage:
    with psycopg.connect(dsn) as connection:
        definition = load_definitions()["component"]
        return lineage(connection, definition, str(component(number)["GLBJBSM"]))


def test_every_version_names_its_file_row_run_and_steps(database: str, tmp_path: Path) -> None:
    apply_layers(database, "component")
    write_csv(tmp_path / "东区.csv", [component(n) for n in range(3)])
    records = [component(n) for n in range(3, 6)]
    for record in records:
        record["lon"], record["lat"] = (str(c) for c in CENTRE_GCJ02)
    write_csv(tmp_path / "西区.csv", records)
    loads = [
        component_load("东区.csv"),
        component_load("西区.csv", coordsys="gcj02", accept_accuracy=WAIVER),
    ]
    (first,) = deliver(tmp_path, database, loads, delivery="部件/1", bureau="城管局")

    (only,) = read(database, 4).versions
    (source,) = only.sources
    assert (only.operation, only.delivery, only.bureau, only.run, only.revision) == (
        "insert", "部件/1", "城管局", first.run, 1,
    )  # fmt: skip
    assert (source.name, source.row, source.coordsys) == ("西区.csv", 3, "gcj02")
    assert source.accuracy_m == 3
    assert [step["source"] for step in source.steps or ()][:1] == ["gcj02"]
    assert "parameters" not in (source.steps or ())[0], "survey parameters are confidential"
    (east,) = read(database, 2).versions
    assert [(s.name, s.row, s.coordsys) for s in east.sources] == [("东区.csv", 4, "cgcs2000")]

    # the second issue changes one feature, drops another, and leaves the rest alone
    changed = [component(n, GLBJMC="换" if n == 0 else "上水井盖") for n in (1, 0)]
    write_csv(tmp_path / "二期.csv", changed)
    (second,) = deliver(tmp_path, database, [component_load("二期.csv")], delivery="部件/2",
                        bureau="城管局")  # fmt: skip
    assert [(v.run, v.sources[0].name, v.sources[0].row) for v in read(database, 0).versions] == [
        (first.run, "东区.csv", 2),
        (second.run, "二期.csv", 3),
    ]
    assert len(read(database, 1).versions) == 1, "an unchanged row is still the first delivery's"
    (dropped,) = read(database, 2).versions
    assert (dropped.replaced_by, dropped.ended_by) == (second.revision, "delete")
    assert not read(database, 2).live

    edit = Change(Operation.UPDATE, str(component(1)["GLBJBSM"]), {"state": "破损"})
    with psycopg.connect(database) as connection:
        write_changes(
            connection, load_definitions()["component"], [edit], principal=Principal("张工")
        )
    edited = read(database, 1).versions[-1]
    assert (edited.operation, edited.principal, edited.run, edited.sources) == (
        "edit", "张工", None, (),
    )  # fmt: skip
    document = json.dumps(read(database, 1).to_json(people=False), default=str)
    assert "张工" not in document

    (undone,) = rollback_run(second.run, database, keep_later=True)
    back = read(database, 2)
    assert back.live
    assert [(v.operation, v.run, v.reverts, v.restores) for v in back.versions] == [
        ("insert", first.run, None, None),
        ("rollback", undone.run, second.run, 1),
    ]
    assert back.versions[0].fid != back.versions[1].fid
    assert read(database, 77).versions == ()


def test_a_large_first_load_keeps_file_and_row_as_well(database: str, tmp_path: Path) -> None:
    apply_layers(database, "component")
    write_csv(tmp_path / "一.csv", [component(n) for n in range(2_500)])
    write_csv(tmp_path / "二.csv", [component(n) for n in range(2_500, 5_000)])
    loads = [component_load("一.csv"), component_load("二.csv")]
    (report,) = deliver(tmp_path, database, loads)
    assert report.counts["inserted"] == 5_000
    for number, file, row in ((0, "一.csv", 2), (2_499, "一.csv", 2_501), (2_500, "二.csv", 2)):
        ((source,),) = (version.sources for version in read(database, number).versions)
        assert (source.name, source.row) == (file, row)
    (undone,) = rollback_run(report.run, database)
    assert undone.counts["deleted"] == 5_000
    rollback_run(undone.run, database)
    assert rows(database, "SELECT count(*) FROM layer.component") == [(5_000,)]


def test_lineage_costs_eight_bytes_a_row(database: str, tmp_path: Path) -> None:
    apply_layers(database, "component")
    write_csv(tmp_path / "components.csv", [component(n) for n in range(3)])
    deliver(tmp_path, database, [component_load()])
    found = rows(
        database,
        "SELECT pg_column_size(source_ref), source_ref FROM layer.component ORDER BY id",
    )
    assert found == [(8, 2), (8, 3), (8, 4)]
    assert tables.SOURCE_ROW_BITS == 40, "stored values say so"
