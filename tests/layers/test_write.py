"""What a delivery changes, what it leaves, and what history and outbox say of it."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime

import numpy as np
import psycopg
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from layers import outbox
from layers.access import SYSTEM
from layers.catalogue import load_catalogue
from layers.revision import current
from layers.schema import apply
from layers.staging import copy_into, create_staging
from layers.write import Deletes, WriteError, unchanged, write
from tests.layers.support import batch, deliver, lamp_definition, published


def lamps(count: int, **values: object) -> list[dict[str, object]]:
    side = int(count**0.5) + 1
    return [
        {"id": f"L{k:05d}", "kind": "街灯", "at": (116 + k % side * 1e-3, 24 + k // side * 1e-3)}
        | values
        for k in range(count)
    ]


def test_redelivery_changes_nothing_and_takes_no_revision(database: str) -> None:
    connection, definition = published(database)
    first = deliver(connection, definition, lamps(50), deletes=Deletes.ABSENT)
    connection.commit()
    again = deliver(connection, definition, lamps(50), deletes=Deletes.ABSENT)
    connection.commit()
    assert (first.revision, first.inserted) == (1, 50)
    assert (again.revision, again.unchanged, again.changed) == (1, 50, False)
    assert connection.execute("SELECT count(*) FROM catalog.revision").fetchone() == (1,)
    assert connection.execute("SELECT revision FROM catalog.layer").fetchone() == (1,)


def test_a_delivery_is_unchanged_only_if_every_row_is(database: str) -> None:
    connection, definition = published(database)
    rows = lamps(40)
    deliver(connection, definition, rows)

    def told(staged: list[dict[str, object]]) -> int | None:
        staging = create_staging(connection, definition)
        copy_into(connection, staging, batch(staged))
        result = unchanged(connection, definition, staging)
        return None if result is None else result.unchanged

    assert told(rows[::-1]) == 40
    assert told(rows[1:]) is None
    assert told([*rows, *lamps(41)[40:]]) is None
    assert told([*rows[1:], rows[0] | {"kind": "井盖"}]) is None
    assert told([*rows[1:], rows[0] | {"at": (116.0, 24.0 + 1e-12)}]) is None
    assert told([*rows[1:], rows[0] | {"id": "another"}]) is None
    assert current(connection, "lamp") == 1


def test_changed_rows_keep_their_fid_and_leave_their_old_version_in_history(database: str) -> None:
    connection, definition = published(database)
    deliver(connection, definition, lamps(10))
    before = dict(connection.execute("SELECT id, fid FROM layer.lamp").fetchall())
    rows = lamps(10)
    rows[3]["height_m"] = 8.5
    rows[4]["at"] = (116.5, 24.5)
    del rows[7]
    result = deliver(connection, definition, rows, deletes=Deletes.ABSENT)
    connection.commit()
    assert (result.inserted, result.updated, result.deleted, result.unchanged) == (0, 2, 1, 7)
    after = dict(connection.execute("SELECT id, fid FROM layer.lamp").fetchall())
    assert after == {k: v for k, v in before.items() if k != "L00007"}
    past = connection.execute(
        "SELECT id, fid, revision, replaced_by_revision, operation, height_m, ST_X(geom)"
        " FROM history.lamp ORDER BY id"
    ).fetchall()
    assert past == [
        ("L00003", before["L00003"], 1, 2, "update", None, 116.003),
        ("L00004", before["L00004"], 1, 2, "update", None, 116.0),
        ("L00007", before["L00007"], 1, 2, "delete", None, 116.003),
    ]
    stamped = connection.execute("SELECT id FROM layer.lamp WHERE revision = 2 ORDER BY id")
    assert stamped.fetchall() == [("L00003",), ("L00004",)]


def test_outbox_names_each_edited_feature_with_its_old_and_new_place(database: str) -> None:
    connection, definition = published(database)
    deliver(connection, definition, lamps(4))
    connection.commit()
    outbox.advance(connection, "tiles", "lamp", 1)
    moved = lamps(4)[1] | {"at": (117.0, 25.0)}
    deliver(connection, definition, [moved])
    connection.commit()
    (entry,) = outbox.read(connection, "tiles", "lamp")
    assert (entry.revision, entry.operation, entry.id) == (2, "update", "L00001")
    assert entry.envelope == (116.001, 24.0, 117.0, 25.0)


def test_bulk_run_is_announced_by_cells_that_hold_every_feature(database: str) -> None:
    connection, definition = published(database)
    deliver(connection, definition, lamps(6_400))
    connection.commit()
    entries = outbox.read(connection, "tiles", "lamp")
    assert {e.operation for e in entries} == {"bulk"}
    assert sum(e.feature_count for e in entries) == 6_400
    assert len(entries) < 40
    places = connection.execute("SELECT ST_X(geom), ST_Y(geom) FROM layer.lamp").fetchall()
    boxes = [shapely.box(*e.envelope) for e in entries if e.envelope is not None]
    assert shapely.covers(shapely.union_all(boxes), shapely.points(places)).all()


def test_first_load_and_merge_give_the_same_table(database: str) -> None:
    connection, definition = published(database)
    twin = lamp_definition(name="twin")
    apply(connection, [twin])
    rows = lamps(3_000, seen_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    deliver(connection, definition, rows)  # 2 000 and more into an empty layer: indexes after
    deliver(connection, twin, rows[:1])
    deliver(connection, twin, rows)
    connection.commit()
    query = "SELECT id, row_hash, kind, seen_at, geom, tile_geom FROM layer.{} ORDER BY id"
    assert (
        connection.execute(query.format("lamp")).fetchall()
        == connection.execute(query.format("twin")).fetchall()
    )
    indexes = "SELECT replace(indexdef, 'twin', 'lamp') FROM pg_indexes WHERE tablename = %s"
    assert sorted(connection.execute(indexes, ["lamp"])) == sorted(
        connection.execute(indexes, ["twin"])
    )


def test_catalogue_follows_count_extent_and_times(database: str) -> None:
    connection, definition = published(database)
    early, late = datetime(2025, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    deliver(
        connection,
        definition,
        [
            {"id": "a", "at": (116.0, 24.0), "seen_at": early},
            {"id": "b", "at": (116.5, 24.25), "seen_at": late},
        ],
    )
    layer = load_catalogue(connection).layer("lamp", SYSTEM)
    assert layer.feature_count == 2
    assert layer.extent == (116.0, 24.0, 116.5, 24.25)
    assert layer.time_extent == (early, late)
    deliver(connection, definition, [{"id": "c", "at": (115.5, 24.5)}], deletes=Deletes.ABSENT)
    layer = load_catalogue(connection).layer("lamp", SYSTEM)
    assert layer.feature_count == 1
    assert layer.extent == (115.5, 24.0, 116.5, 24.5)  # edits only grow it
    assert layer.time_extent is None


def test_full_delivery_within_a_scope_spares_the_others(database: str) -> None:
    connection, definition = published(database)
    mixed = [{"id": f"{kind}{k}", "kind": kind, "at": (116, 24)} for kind in "AB" for k in (1, 2)]
    deliver(connection, definition, mixed)
    result = deliver(connection, definition, mixed[:1], deletes=Deletes.ABSENT, scope={"kind": "A"})
    left = connection.execute("SELECT id FROM layer.lamp ORDER BY id").fetchall()
    assert result.deleted == 1
    assert left == [("A1",), ("B1",), ("B2",)]


@pytest.mark.parametrize("count", [1, 2_500])
def test_refused_rows_change_nothing(database: str, count: int) -> None:
    connection, definition = published(database)
    twice = [*lamps(count), lamps(count)[0]]
    staging = create_staging(connection, definition)
    copy_into(connection, staging, batch(twice))
    with pytest.raises(WriteError, match="L00000"):
        write(connection, definition, staging, run=None, principal=SYSTEM)
    connection.commit()
    state = connection.execute(
        "SELECT (SELECT count(*) FROM layer.lamp), (SELECT sum(revision) FROM catalog.layer),"
        " (SELECT count(*) FROM catalog.outbox)"
    )
    assert state.fetchone() == (0, 0, 0)
    indexes = connection.execute("SELECT count(*) FROM pg_indexes WHERE tablename = 'lamp'")
    assert indexes.fetchone() == (10,)  # 6 of the live table, dropped and restored; 4 of history
    connection.close()


def test_first_load_beside_a_reader_keeps_the_reader_alive(database: str) -> None:
    connection, definition = published(database)
    with psycopg.connect(database) as reader:
        assert reader.execute("SELECT count(*) FROM layer.lamp").fetchone() == (0,)
        result = deliver(connection, definition, lamps(3_000))  # does not wait for the lock
        connection.commit()
        assert result.inserted == 3_000
        assert reader.execute("SELECT count(*) FROM layer.lamp").fetchone() == (3_000,)


def test_every_value_type_survives(database: str) -> None:
    connection, definition = published(database)
    row = {
        "id": '五华县輋𣒍村,"1"\n号',
        "kind": "",
        "height_m": 0.1 + 0.2,
        "lamps": 2**53 + 1,
        "lit": False,
        "seen_on": date(1949, 10, 1),
        "seen_at": datetime(2026, 11, 22, 9, 30, 0, 123456, tzinfo=UTC),
    }
    deliver(connection, definition, [row | {"at": (116.1, 24.1)}, {"id": "empty"}])
    names = ", ".join(row)
    stored = connection.execute(f"SELECT {names} FROM layer.lamp WHERE kind = ''").fetchone()  # noqa: S608
    assert stored == tuple(row.values())
    nulls = connection.execute(
        "SELECT kind, height_m, lamps, lit, seen_on, seen_at, geom FROM layer.lamp"
        " WHERE id = 'empty'"
    )
    assert nulls.fetchone() == (None,) * 7


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(
            st.floats(-180, 180, allow_subnormal=False), st.floats(-85, 85, allow_subnormal=False)
        ),
        min_size=1,
        max_size=30,
    )
)
def test_coordinates_survive_bit_by_bit(
    module_database: str, places: list[tuple[float, float]]
) -> None:
    connection, definition = published(module_database)
    rows = [{"id": str(k), "at": place} for k, place in enumerate(places)]
    deliver(connection, definition, rows, deletes=Deletes.ABSENT)
    stored = connection.execute(
        "SELECT ST_AsBinary(geom, 'NDR') FROM layer.lamp ORDER BY id::int"
    ).fetchall()
    got = [struct.unpack("<dd", bytes(wkb)[5:]) for (wkb,) in stored]
    connection.commit()
    connection.close()
    assert np.array(got).tobytes() == np.array(places).tobytes()


def test_lines_become_multi_and_heights_stay(database: str) -> None:
    connection, definition = published(
        database, geometry="MultiLineString", has_z=True, name="pipe"
    )
    line = shapely.LineString([(116.1, 24.1, 12.345678), (116.2, 24.2, -1.5)])
    deliver(connection, definition, [{"id": "p", "shape": line}])
    stored = connection.execute(
        "SELECT ST_AsText(geom, 15), ST_AsText(ST_Force2D(tile_geom)) = ST_AsText(tile_geom)"
        " FROM layer.pipe"
    ).fetchone()
    assert stored == ("MULTILINESTRING Z ((116.1 24.1 12.345678,116.2 24.2 -1.5))", True)


def test_leftovers_of_a_killed_run_are_cleaned_and_live_ones_spared(database: str) -> None:
    live, definition = published(database)
    kept = create_staging(live, definition)
    live.commit()
    with psycopg.connect(database) as victim:
        lost = create_staging(victim, definition)
        victim.commit()
        pid = victim.info.backend_pid
        live.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        live.commit()
        with pytest.raises(psycopg.OperationalError):
            victim.execute("SELECT 1")
    present = "SELECT tablename FROM pg_tables WHERE schemaname = 'staging'"
    with psycopg.connect(database) as next_run:
        third = create_staging(next_run, definition)
        next_run.commit()
        names = {name for (name,) in next_run.execute(present)}
    assert names == {kept.name, third.name}
    assert lost.name not in names
