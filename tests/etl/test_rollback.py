"""A run is undone as a new revision: layers are as before it, history is complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from etl.report import LoadReport
from etl.rollback import RollbackRefused, rollback_run
from layers.access import Principal
from layers.asof import versions
from layers.definition import load_definitions
from layers.edit import Change, Operation, write_changes
from tests.etl.support import (
    CENTRE,
    apply_layers,
    component,
    component_load,
    deliver,
    rows,
    write_csv,
)

LAYERS = ("component", "poi")
State = dict[str, set[tuple[Any, ...]]]


@pytest.fixture
def layered(database: str) -> str:
    apply_layers(database, *LAYERS)
    return database


def state(dsn: str, revisions: dict[str, int] | None = None) -> State:
    """Content of each row, now or as of a revision of each layer."""
    found: State = {}
    with psycopg.connect(dsn) as connection:
        for name, definition in load_definitions().items():
            if name in LAYERS:
                source: sql.Composable = sql.Identifier("layer", name)
                if revisions is not None:
                    source = versions(definition)
                query = sql.SQL("SELECT id, row_hash, ST_AsEWKB(geom) FROM {} AS v").format(source)
                bound = {} if revisions is None else {"as_of": revisions[name]}
                found[name] = set(connection.execute(query, bound).fetchall())
    return found


def issue(folder: Path, dsn: str, numbers: range, name: str = "上水井盖") -> tuple[LoadReport, ...]:
    """A delivery into two layers: components and points of interest with these numbers."""
    write_csv(folder / "components.csv", [component(n, GLBJMC=name) for n in numbers])
    places = [
        {"id": f"P{n}", "name": f"{name}{n}", "category": "公园", "lon": CENTRE[0] + n * 1e-4,
         "lat": CENTRE[1]}
        for n in numbers
    ]  # fmt: skip
    write_csv(folder / "places.csv", places)
    poi = {
        "layer": "poi", "files": ["places.csv"], "coordsys": "cgcs2000", "mode": "full",
        "columns": {"lon": "lon", "lat": "lat"}, "id": {"column": "id"},
        "fields": {"category": {"value": category()}},
    }  # fmt: skip
    reports = deliver(folder, dsn, [component_load(), poi])
    assert [r.reason for r in reports] == [None, None]
    return reports


def category() -> str:
    """Some valid category of points of interest."""
    from layers.codes import code_list

    return next(iter(code_list("poi_category").entries))


def revisions(dsn: str) -> dict[str, int]:
    return dict(rows(dsn, "SELECT name, revision FROM catalog.layer"))


def test_all_layers_of_a_delivery_go_back_and_history_keeps_every_state(
    layered: str, tmp_path: Path
) -> None:
    issue(tmp_path, layered, range(20))
    first, known = state(layered), revisions(layered)
    runs = issue(tmp_path, layered, range(5, 30), "雨水井盖")
    second, then = state(layered), revisions(layered)
    assert first != second
    reports = rollback_run(runs[1].run, layered)
    assert [r.layer for r in reports] == list(LAYERS)
    # 10 came, 15 were changed, 5 went
    assert {tuple(r.counts[k] for k in ("inserted", "updated", "deleted")) for r in reports} == {
        (5, 15, 10)
    }
    assert state(layered) == first
    assert state(layered, known) == first
    assert state(layered, then) == second
    assert {n: r - then[n] for n, r in revisions(layered).items()} == dict.fromkeys(LAYERS, 1)
    assert rows(
        layered, "SELECT status, reverts, delivery FROM catalog.run ORDER BY id DESC LIMIT 2"
    ) == [("succeeded", r.run, r.delivery) for r in reversed(runs)]
    assert rows(layered, "SELECT DISTINCT feature_count FROM catalog.layer") == [(20,)]
    # the same delivery again is not "unchanged": the city did take it back
    issue(tmp_path, layered, range(5, 30), "雨水井盖")
    assert {n: {i[0] for i in s} for n, s in state(layered).items()} == {
        n: {i[0] for i in s} for n, s in second.items()
    }


def test_a_first_load_is_undone_and_redone(layered: str, tmp_path: Path) -> None:
    (first, _) = issue(tmp_path, layered, range(8))
    loaded = state(layered)
    (undone, _) = rollback_run(first.run, layered)
    assert state(layered) == {"component": set(), "poi": set()}
    with pytest.raises(RollbackRefused, match=f"已由批次 {undone.run} 回退"):
        rollback_run(first.run, layered)
    rollback_run(undone.run, layered)
    assert state(layered) == loaded


def test_one_layer_alone(layered: str, tmp_path: Path) -> None:
    component_run, _ = issue(tmp_path, layered, range(3))
    before = state(layered)
    rollback_run(component_run.run, layered, one_layer=True)
    assert state(layered) == {"component": set(), "poi": before["poi"]}


def test_what_was_changed_since_stops_it_or_is_kept(layered: str, tmp_path: Path) -> None:
    issue(tmp_path, layered, range(6))
    first = state(layered)
    second, _ = issue(tmp_path, layered, range(2, 9), "雨水井盖")
    edited, gone, back = (component(n)["GLBJBSM"] for n in (3, 8, 0))
    changes = [
        Change(Operation.UPDATE, edited, {"state": "破损"}),
        Change(Operation.DELETE, gone),
        # deleted by the run, and entered by hand again
        Change(Operation.INSERT, back, {"class_code": "01001", "name": "手工"}),
    ]
    with psycopg.connect(layered) as connection:
        write_changes(
            connection, load_definitions()["component"], changes, principal=Principal("张工")
        )
    now, known = state(layered), revisions(layered)
    with pytest.raises(RollbackRefused) as refused:
        rollback_run(second.run, layered)
    for part in ("3 个要素", edited, gone, back, "编辑 edit by 张工", "--keep-later"):
        assert part in str(refused.value)
    assert (state(layered), revisions(layered)) == (now, known)
    assert rows(
        layered,
        "SELECT count(*) FROM catalog.run WHERE status = 'failed' AND reverts IS NOT NULL"
        " AND report ->> 'reason' LIKE '%%不能回退%%'",
    ) == [(2,)]
    component_back, _ = rollback_run(second.run, layered, keep_later=True)
    assert component_back.counts["kept"] == 3
    after = state(layered)
    assert after["poi"] == first["poi"]
    touched = {edited, gone, back}

    def of(rows: set[tuple[Any, ...]], mine: bool) -> set[tuple[Any, ...]]:
        return {row for row in rows if (row[0] in touched) is mine}

    assert of(after["component"], True) == of(now["component"], True)
    assert of(after["component"], False) == of(first["component"], False)


def test_a_later_run_is_named_and_goes_first(layered: str, tmp_path: Path) -> None:
    issue(tmp_path, layered, range(4))
    first = state(layered)
    second, _ = issue(tmp_path, layered, range(4), "雨水井盖")
    third, _ = issue(tmp_path, layered, range(4), "污水井盖")
    with pytest.raises(RollbackRefused, match=f"请先回退批次 {third.run}"):
        rollback_run(second.run, layered)
    rollback_run(third.run, layered)
    # what the rollback gave back is as the second run had made it, though it is a newer version
    rollback_run(second.run, layered)
    assert state(layered) == first


@pytest.mark.parametrize("kind", ["unknown", "unchanged", "failed"])
def test_a_run_that_changed_nothing_is_refused(layered: str, tmp_path: Path, kind: str) -> None:
    run = 999
    if kind != "unknown":
        issue(tmp_path, layered, range(2))
        if kind == "unchanged":
            run = issue(tmp_path, layered, range(2))[0].run
        else:
            (tmp_path / "components.csv").unlink()
            run = deliver(tmp_path, layered, [component_load()])[0].run
    with pytest.raises(RollbackRefused, match="no such run" if kind == "unknown" else "nothing"):
        rollback_run(run, layered)


def test_a_full_delivery_after_a_rollback_deletes_only_its_own_bureaus_rows(
    layered: str, tmp_path: Path
) -> None:
    """A row that another bureau overwrote by mistake is again its own bureau's."""
    write_csv(tmp_path / "components.csv", [component(n) for n in range(4)])
    deliver(tmp_path, layered, [component_load()], delivery="水", bureau="水务局")
    write_csv(tmp_path / "components.csv", [component(n, GLBJMC="误") for n in range(2)])
    load = component_load(mode="append")
    (mistake,) = deliver(tmp_path, layered, [load], delivery="园", bureau="园林局")
    rollback_run(mistake.run, layered)
    write_csv(tmp_path / "components.csv", [component(9)])
    deliver(tmp_path, layered, [component_load()], delivery="园", bureau="园林局")
    assert len(rows(layered, "SELECT FROM layer.component")) == 5
    write_csv(tmp_path / "components.csv", [component(3)])
    deliver(tmp_path, layered, [component_load()], delivery="水", bureau="水务局")
    ids = {i[-1] for (i,) in rows(layered, "SELECT id FROM layer.component")}
    assert ids == {"3", "9"}
