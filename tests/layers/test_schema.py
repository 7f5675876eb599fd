"""`layers apply`: what it makes, that it is idempotent, and that it never loses a value."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql

from layers.access import ANONYMOUS, SYSTEM, AccessClass
from layers.catalogue import UnknownLayer, load_catalogue
from layers.definition import load_definitions, parse_definition
from layers.migrate import current, head, upgrade
from layers.migrations import SCHEMA_VERSION
from layers.schema import SchemaError, apply
from tests.layers.support import LAMPS, deliver, lamp_definition, published


def generation(connection: psycopg.Connection) -> int:
    return load_catalogue(connection).generation


def test_all_definitions_become_tables_and_a_second_apply_does_nothing(database: str) -> None:
    definitions = load_definitions()
    with psycopg.connect(database) as connection:
        dry = apply(connection, definitions.values(), dry_run=True)
        assert load_catalogue(connection).layers == {}
        done = apply(connection, definitions.values())
        recorded = connection.execute("SELECT statement FROM catalog.ddl ORDER BY at").fetchall()
        assert [s.text(connection) for s in dry] == [s.text(connection) for s in done]
        assert [s.text(connection) for s in done] == [text for (text,) in recorded]
        before = generation(connection)
        assert apply(connection, definitions.values()) == []
        assert generation(connection) == before
        assert set(load_catalogue(connection).layers) == set(definitions)
        for definition in definitions.values():
            assert load_catalogue(connection).layer(definition.name, SYSTEM).definition == (
                definition
            )


def test_migrating_twice_is_harmless(database: str) -> None:
    assert current(database) == head()
    upgrade(database)
    assert current(database) == head()


def test_new_field_is_added_and_old_rows_stay_unchanged(database: str) -> None:
    connection, definition = published(database)
    rows = [{"id": "a", "kind": "街灯", "at": (116, 24)}]
    deliver(connection, definition, rows)
    wider = lamp_definition(
        fields=[
            *LAMPS["fields"],
            {
                "name": "maker",
                "type": "text",
                "title": {"zh": "厂家", "en": "Maker"},
                "indexed": True,
            },
        ]
    )
    before = generation(connection)
    steps = [s.text(connection) for s in apply(connection, [wider])]
    assert steps == [
        'ALTER TABLE "layer"."lamp" ADD COLUMN "maker" text',
        'ALTER TABLE "history"."lamp" ADD COLUMN "maker" text',
        'CREATE INDEX "lamp_maker_ix" ON "layer"."lamp" USING btree ("maker")',
    ]
    assert generation(connection) > before
    assert not deliver(connection, wider, rows).changed  # although the stored hash is older
    assert deliver(connection, wider, [rows[0] | {"maker": "甲厂"}]).updated == 1


def test_dropped_field_leaves_the_layer_and_stays_in_history(database: str) -> None:
    connection, definition = published(database)
    deliver(
        connection,
        definition,
        [{"id": "a", "kind": "街灯", "at": (116, 24)}, {"id": "b", "at": (116, 24)}],
    )
    narrower = lamp_definition(fields=[f for f in LAMPS["fields"] if f["name"] != "kind"])
    apply(connection, [narrower])
    past = connection.execute(
        "SELECT id, kind, revision, replaced_by_revision FROM history.lamp"
    ).fetchall()
    assert past == [("a", "街灯", 1, 2)]
    assert connection.execute("SELECT id, revision FROM layer.lamp ORDER BY id").fetchall() == [
        ("a", 2),
        ("b", 1),
    ]
    with pytest.raises(psycopg.errors.UndefinedColumn), connection.transaction():
        connection.execute("SELECT kind FROM layer.lamp")
    assert apply(connection, [narrower]) == []
    assert not deliver(connection, narrower, [{"id": "a", "at": (116, 24)}]).changed


def test_changes_that_would_lose_data_are_refused(database: str) -> None:
    connection, _ = published(database)
    fields = [dict(f) for f in LAMPS["fields"]]
    fields[0]["type"] = "integer"
    for refused in (
        lamp_definition(fields=fields),
        lamp_definition(geometry="MultiPolygon"),
        lamp_definition(has_z=True),
    ):
        with pytest.raises(SchemaError, match="lamp"):
            apply(connection, [refused])
    assert apply(connection, [lamp_definition()]) == []


def test_a_busy_table_is_named_and_left_as_it_was(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layers.schema.LOCK_TIMEOUT", "100ms")
    connection, _ = published(database)
    with psycopg.connect(database) as reader:
        reader.execute("SELECT count(*) FROM layer.lamp")
        narrower = lamp_definition(fields=LAMPS["fields"][1:])
        with pytest.raises(SchemaError, match="lamp 正被使用"):
            apply(connection, [narrower])
    connection.commit()
    assert load_catalogue(connection).layer("lamp", SYSTEM).definition.field_names[0] == "kind"


def test_access_is_restricted_unless_the_definition_says_otherwise(database: str) -> None:
    document = {k: v for k, v in LAMPS.items() if k != "access"}
    connection, _ = published(database)
    before = generation(connection)
    assert apply(connection, [parse_definition(document)]) == []  # a catalogue row, no DDL
    assert generation(connection) == before + 1
    catalogue = load_catalogue(connection)
    assert catalogue.layer("lamp", SYSTEM).access is AccessClass.RESTRICTED
    assert catalogue.visible_to(ANONYMOUS) == ()
    with pytest.raises(UnknownLayer) as hidden:
        catalogue.layer("lamp", ANONYMOUS)
    with pytest.raises(UnknownLayer) as absent:
        catalogue.layer("lump", ANONYMOUS)
    assert str(hidden.value) == str(absent.value).replace("lump", "lamp")


def test_long_names_stay_apart(database: str) -> None:
    name = "a" * 48
    fields = [
        {"name": "b" * 40 + tail, "type": "text", "title": LAMPS["title"], "indexed": True}
        for tail in ("x", "y")
    ]
    connection, definition = published(database, name=name, fields=fields, time_field=None)
    assert apply(connection, [definition]) == []


@pytest.mark.parametrize("role", ["geoserver_py_reader", "geoserver_py_editor"])
def test_request_roles_read_and_cannot_write_layers(database: str, role: str) -> None:
    connection, definition = published(database)
    deliver(connection, definition, [{"id": "a", "at": (116, 24)}])
    connection.commit()
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
    assert connection.execute("SELECT id FROM layer.lamp").fetchone() == ("a",)
    assert connection.execute("SELECT count(*) FROM history.lamp").fetchone() == (0,)
    assert load_catalogue(connection).layers
    for statement in (
        "DELETE FROM layer.lamp",
        "UPDATE layer.lamp SET kind = 'x'",
        "INSERT INTO history.lamp (fid) VALUES (1)",
        "UPDATE catalog.layer SET access = 'public'",
        "DROP TABLE layer.lamp",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute(statement)


def test_the_loader_role_can_write(database: str) -> None:
    connection, definition = published(database)
    connection.execute("SET ROLE geoserver_py_loader")
    rows = [{"id": str(k), "at": (116, 24)} for k in range(2_500)]
    assert deliver(connection, definition, rows).inserted == 2_500  # keeps the indexes
    assert deliver(connection, definition, [rows[0], {"id": "x"}]).inserted == 1


def test_the_version_that_a_server_asks_for_is_the_newest_migration() -> None:
    assert head() == SCHEMA_VERSION
