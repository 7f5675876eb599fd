"""Edits of single features, and how wrong ones are refused."""

from __future__ import annotations

import pytest
import shapely

from layers.access import Principal
from layers.edit import Change, Operation, write_changes
from layers.revision import NotAppliedError
from layers.write import WriteError
from tests.layers.support import deliver, lamp_definition, published

ME = Principal("某人")


def test_an_update_keeps_what_it_does_not_name(database: str) -> None:
    connection, definition = published(database)
    deliver(connection, definition, [{"id": "a", "kind": "街灯", "lamps": 2, "at": (116, 24)}])
    change = Change(Operation.UPDATE, "a", {"lamps": None})
    result = write_changes(connection, definition, [change], principal=ME)
    assert result.updated == 1
    row = connection.execute("SELECT kind, lamps, ST_AsText(geom) FROM layer.lamp").fetchone()
    assert row == ("街灯", None, "POINT(116 24)")
    moved = Change(Operation.UPDATE, "a", geometry_wkb=shapely.to_wkb(shapely.Point(116.5, 24.5)))
    write_changes(connection, definition, [moved], principal=ME)
    row = connection.execute("SELECT kind, ST_AsText(geom) FROM layer.lamp").fetchone()
    assert row == ("街灯", "POINT(116.5 24.5)")
    who = connection.execute("SELECT principal FROM catalog.revision WHERE revision = 3")
    assert who.fetchone() == ("某人",)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([Change(Operation.INSERT, "a")], "exists already"),
        ([Change(Operation.UPDATE, "z")], "no such feature"),
        ([Change(Operation.DELETE, "z")], "no such feature"),
        ([Change(Operation.INSERT, "b", {"colour": 1})], "colour"),
        ([Change(Operation.INSERT, "b"), Change(Operation.INSERT, "b")], "repeated"),
        ([Change(Operation.UPDATE, "a", {"lamps": 1}), Change(Operation.DELETE, "a")], "repeated"),
    ],
)
def test_a_wrong_change_refuses_all_of_them(
    database: str, changes: list[Change], reason: str
) -> None:
    connection, definition = published(database)
    deliver(connection, definition, [{"id": "a", "at": (116, 24)}])
    good = Change(Operation.INSERT, "good")
    with pytest.raises(WriteError, match=reason):
        write_changes(connection, definition, [good, *changes], principal=ME)
    state = connection.execute(
        "SELECT (SELECT array_agg(id) FROM layer.lamp), (SELECT revision FROM catalog.layer)"
    )
    assert state.fetchone() == (["a"], 1)


def test_a_layer_that_was_not_applied_is_refused(database: str) -> None:
    connection, _ = published(database)
    other = lamp_definition(name="lump")
    with pytest.raises(NotAppliedError, match="lump"):
        deliver(connection, other, [{"id": "a"}])
