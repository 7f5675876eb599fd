"""Six writers and a consumer: nothing is lost, nothing comes twice, the order is kept."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter

import psycopg

from layers import outbox
from layers.access import Principal
from layers.definition import LayerDefinition
from layers.edit import Change, Operation, write_changes
from tests.layers.support import published

WRITERS = 6
SECONDS = float(os.environ.get("GEOSERVER_PY_SOAK_SECONDS", "4"))
"""How long the writers write; `GEOSERVER_PY_SOAK_SECONDS=60` for the whole minute."""


def write_until(
    stop: float, dsn: str, definition: LayerDefinition, number: int, made: list[tuple[str, str]]
) -> None:
    """Insert, update and delete features, sometimes of others, sometimes rolling back."""
    me = Principal(f"writer-{number}")
    with psycopg.connect(dsn) as connection:
        turn = 0
        while time.monotonic() < stop:
            turn += 1
            mine = f"w{number}-{turn}"
            shared = f"shared-{turn % 3}"
            changes = [
                Change(Operation.INSERT, mine, {"lamps": turn}),
                Change(Operation.UPDATE, shared, {"lamps": number * 1_000_000 + turn}),
            ]
            if turn > 5 and (turn - 5) % 7 != 0:
                changes.append(Change(Operation.DELETE, f"w{number}-{turn - 5}"))
            write_changes(connection, definition, changes, principal=me)
            if turn % 7 == 0:
                connection.rollback()
                continue
            connection.commit()
            made += [(c.operation.value, c.id) for c in changes]


def test_consumer_sees_every_change_once_and_in_order(database: str) -> None:
    connection, definition = published(database)
    shared = [Change(Operation.INSERT, f"shared-{k}", {"lamps": 0}) for k in range(3)]
    write_changes(connection, definition, shared, principal=Principal("test"))
    connection.commit()
    made: list[tuple[str, str]] = [("insert", c.id) for c in shared]
    failures: list[BaseException] = []

    def guarded(stop: float, number: int) -> None:
        try:
            write_until(stop, database, definition, number, made)
        except BaseException as failure:  # noqa: BLE001 - handed to the test's own thread
            failures.append(failure)

    stop = time.monotonic() + SECONDS
    writers = [threading.Thread(target=guarded, args=(stop, n)) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    seen: list[outbox.OutboxEntry] = []
    with psycopg.connect(database) as consumer:
        while True:
            running = any(writer.is_alive() for writer in writers)
            entries = outbox.read(consumer, "test", "lamp", limit=7)
            if entries:
                seen += entries
                outbox.advance(consumer, "test", "lamp", entries[-1].revision)
            consumer.commit()
            if not running and not entries:
                break
    assert not failures
    assert Counter((e.operation, e.id) for e in seen) == Counter(made)
    order = [(e.revision, e.ordinal) for e in seen]
    assert order == sorted(set(order))
    revisions = connection.execute("SELECT revision, at FROM catalog.revision ORDER BY revision")
    numbers, moments = zip(*revisions.fetchall(), strict=True)
    assert list(numbers) == list(range(1, len(numbers) + 1))
    assert list(moments) == sorted(moments)
    assert len(seen) > 100
    # every superseded version is in history: inserts, updates and deletes add up
    operations = Counter(e.operation for e in seen)
    counts = connection.execute(
        "SELECT (SELECT count(*) FROM layer.lamp), (SELECT count(*) FROM history.lamp),"
        " (SELECT feature_count FROM catalog.layer)"
    ).fetchone()
    live = operations["insert"] - operations["delete"]
    assert counts == (live, operations["update"] + operations["delete"], live)


def test_two_edits_of_different_fields_both_survive(database: str) -> None:
    connection, definition = published(database)
    me = Principal("test")
    write_changes(connection, definition, [Change(Operation.INSERT, "a", {})], principal=me)
    connection.commit()
    first = Change(Operation.UPDATE, "a", {"kind": "景观灯"})
    second = Change(Operation.UPDATE, "a", {"lamps": 2})
    write_changes(connection, definition, [first], principal=me)  # not committed yet

    def other() -> None:
        with psycopg.connect(database) as beside:
            write_changes(beside, definition, [second], principal=me)

    waiting = threading.Thread(target=other)
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()  # writers of a layer wait for each other
    connection.commit()
    waiting.join(10)
    row = connection.execute("SELECT kind, lamps, revision FROM layer.lamp").fetchone()
    assert row == ("景观灯", 2, 3)


def test_outbox_hands_out_whole_revisions(database: str) -> None:
    connection, definition = published(database)
    me = Principal("test")
    for revision in range(3):
        inserts = [Change(Operation.INSERT, f"{revision}-{k}", {}) for k in range(4)]
        write_changes(connection, definition, inserts, principal=me)
    assert len(outbox.read(connection, "c", "lamp", limit=2)) == 4
    assert len(outbox.read(connection, "c", "lamp", limit=9)) == 8
    assert len(outbox.read(connection, "c", "lamp", limit=12)) == 12
    outbox.advance(connection, "c", "lamp", 2)
    outbox.advance(connection, "c", "lamp", 1)  # never backwards
    assert outbox.cursor(connection, "c", "lamp") == 2
    assert {e.revision for e in outbox.read(connection, "c", "lamp")} == {3}
    assert outbox.behind(connection, "c") == {"lamp": 3}
    assert outbox.behind(connection, "other") == {"lamp": 3}


def test_notification_wakes_a_listener(database: str) -> None:
    connection, definition = published(database)
    with psycopg.connect(database, autocommit=True) as ear:
        heard = outbox.listen(ear, poll_seconds=0.05)
        assert next(heard) == frozenset()
        insert = Change(Operation.INSERT, "a", {})
        write_changes(connection, definition, [insert], principal=Principal("test"))
        assert next(heard) == frozenset()  # not before the commit
        connection.commit()
        assert next(heard) == {"lamp"}
