"""Old outbox entries go; who has not read them is told to read the layer anew, losing nothing."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import sql

from layers import outbox
from layers.access import SYSTEM
from layers.asof import versions
from layers.definition import LayerDefinition
from layers.edit import Change, Operation, write_changes
from tests.layers.support import published


def grow(connection: psycopg.Connection[Any], definition: LayerDefinition, count: int) -> None:
    """`count` revisions, each a new feature and a change of the first one."""
    known = connection.execute("SELECT count(*) FROM layer.lamp").fetchone()
    start = 0 if known is None else int(known[0])
    for number in range(start, start + count):
        changes = [Change(Operation.INSERT, f"L{number}", {"lamps": number})]
        if number:
            changes.append(Change(Operation.UPDATE, "L0", {"lamps": number}))
        write_changes(connection, definition, changes, principal=SYSTEM)
    connection.commit()


def age(connection: psycopg.Connection[Any], up_to: int, days: int) -> None:
    """Let revisions be so old."""
    connection.execute(
        "UPDATE catalog.revision SET at = at - make_interval(days => %s) WHERE revision <= %s",
        [days, up_to],
    )


def kept(connection: psycopg.Connection[Any]) -> set[int]:
    return {r for (r,) in connection.execute("SELECT DISTINCT revision FROM catalog.outbox")}


def test_entries_without_consumers_go_by_age_alone(database: str) -> None:
    connection, definition = published(database)
    grow(connection, definition, 6)
    age(connection, 4, 40)
    pruned = outbox.prune(connection, keep_days=30)
    assert (pruned.entries, dict(pruned.floors), pruned.left_behind) == (7, {"lamp": 4}, ())
    assert kept(connection) == {5, 6}
    again = outbox.prune(connection, keep_days=30)
    assert (again.entries, again.floors) == (0, {})
    assert outbox.floor(connection, "lamp") == 4


def test_a_consumer_that_lives_holds_back_what_it_has_not_read(database: str) -> None:
    connection, definition = published(database)
    grow(connection, definition, 6)
    outbox.advance(connection, "tiles", "lamp", 2)
    age(connection, 6, 40)
    assert dict(outbox.prune(connection).floors) == {"lamp": 2}
    seen = [entry.revision for entry in outbox.read(connection, "tiles", "lamp")]
    assert sorted(set(seen)) == [3, 4, 5, 6]


def test_a_consumer_left_behind_is_told_and_goes_on_after_reading_the_layer(
    database: str,
) -> None:
    connection, definition = published(database)
    grow(connection, definition, 5)
    outbox.advance(connection, "feed", "lamp", 1)
    age(connection, 4, 100)
    connection.execute(
        "UPDATE catalog.outbox_cursor SET updated_at = updated_at - interval '95 days'"
    )
    pruned = outbox.prune(connection, keep_days=30, wait_days=90)
    assert [(c.name, c.cursor, c.floor, c.behind) for c in pruned.left_behind] == [
        ("feed", 1, 4, 4)
    ]
    connection.commit()
    with pytest.raises(outbox.OutboxGap, match="read the whole layer") as gap:
        outbox.read(connection, "feed", "lamp")
    assert (gap.value.cursor, gap.value.floor) == (1, 4)
    # a consumer that comes new is in the same place
    with pytest.raises(outbox.OutboxGap):
        outbox.read(connection, "newcomer", "lamp")
    connection.rollback()
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    at = outbox.restart(connection, "feed", "lamp")
    with psycopg.connect(database) as writer:
        grow(writer, definition, 1)  # while the consumer reads
    copy = dict(connection.execute("SELECT id, lamps FROM layer.lamp").fetchall())
    connection.commit()
    assert (at, len(copy)) == (5, 5)
    for entry in outbox.read(connection, "feed", "lamp"):
        row = connection.execute("SELECT lamps FROM layer.lamp WHERE id = %s", [entry.id])
        copy[entry.id] = row.fetchone()[0]  # type: ignore[index]
    assert copy == dict(connection.execute("SELECT id, lamps FROM layer.lamp").fetchall())
    assert outbox.forget(connection, "feed") == 1
    assert outbox.consumers(connection) == ()


def test_an_export_as_of_a_revision_does_not_need_the_outbox(database: str) -> None:
    connection, definition = published(database)
    grow(connection, definition, 5)
    query = sql.SQL("SELECT id, lamps FROM {} AS past ORDER BY id").format(versions(definition))
    before = connection.execute(query, {"as_of": 2}).fetchall()
    age(connection, 5, 400)
    outbox.prune(connection)
    assert kept(connection) == set()
    assert connection.execute(query, {"as_of": 2}).fetchall() == before
    grow(connection, definition, 1)
    assert kept(connection) == {6}
