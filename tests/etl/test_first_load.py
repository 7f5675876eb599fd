"""A first load goes into a table built beside the empty layer, which then takes its place.

Nobody can tell afterwards: rows, table, rights and outbox are those of the way through staging,
which a view on the layer makes the run take.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import sql

from etl.report import Status
from layers import building, hilbert
from layers.access import SYSTEM
from layers.cells import cells_of, merged
from layers.edit import Change, Operation, write_changes
from layers.revision import lock_layers
from layers.sql import text
from layers.staging import copy_into, create_staging
from layers.write import Deletes, write
from tests.conftest import MakeDatabase
from tests.etl.support import apply_layers, component, component_load, deliver, rows, write_csv
from tests.layers.support import batch, published

ROWS = 5_000
_TABLE = """
SELECT relkind, relpersistence, reloptions, relowner::regrole::text, relacl::text
FROM pg_class WHERE oid = 'layer.component'::regclass
"""
_GRANTED = """
SELECT grantee::bigint, privilege_type, is_grantable FROM pg_class, aclexplode(relacl)
WHERE oid = 'layer.component'::regclass
"""
_SEQUENCE_GRANTED = """
SELECT grantee::bigint, privilege_type, is_grantable
FROM pg_class, aclexplode(coalesce(relacl, acldefault('s', relowner)))
WHERE oid = pg_get_serial_sequence('layer.component', 'fid')::regclass
"""
_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
    a.attgenerated, pg_get_expr(d.adbin, d.adrelid)
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = 'layer.component'::regclass AND a.attnum > 0 ORDER BY a.attnum
"""
_KEYS = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = 'layer.component'::regclass
"""
_INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'component' ORDER BY 1, 2"
_SEQUENCE = "SELECT pg_get_serial_sequence('layer.component', 'fid')"
_ROWS = """
SELECT id, revision, source_ref, row_hash, name, department, note, initial_date, ST_AsEWKB(geom),
    ST_AsEWKB(tile_geom) FROM layer.component ORDER BY id
"""
_OUTBOX = """
SELECT revision, ordinal, operation, fid, id, feature_count,
    round(ST_XMin(envelope)::numeric, 12), round(ST_YMin(envelope)::numeric, 12),
    round(ST_XMax(envelope)::numeric, 12), round(ST_YMax(envelope)::numeric, 12)
FROM catalog.outbox ORDER BY 1, 2
"""
_CATALOGUE = """
SELECT name, revision, feature_count, ST_AsText(extent, 12), accuracy_m FROM catalog.layer
ORDER BY 1
"""
_REJECTS = """
SELECT file, source_row, id, rule, reason, severity, ST_AsText(geom, 9) FROM catalog.reject
ORDER BY 1, 2
"""


def _records(seed: int = 7) -> list[dict[str, Any]]:
    random = Random(seed)
    return [
        component(
            number,
            lon=f"{116.1 + random.random() / 10:.9f}",
            lat=f"{24.2 + random.random() / 10:.9f}",
            class_code=random.choice(["01001", "01037"]),
            BZ=random.choice(["", "a\\b", "五华县輋𣒍村", "tab"]),
        )
        for number in range(ROWS)
    ]


def _load(folder: Path, dsn: str, records: Iterable[Mapping[str, Any]], **more: Any) -> None:
    folder.mkdir(exist_ok=True)
    write_csv(folder / "components.csv", list(records))
    (report,) = deliver(folder, dsn, [component_load(**more)])
    assert report.status is Status.SUCCEEDED, report.reason


def test_a_first_load_is_the_same_whichever_way_it_took(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    records = _records()
    records[17]["CSRQ"] = "yesterday"
    records[4_900]["GLBJBSM"] = records[3]["GLBJBSM"]
    found = []
    for way in ("beside", "staging"):
        dsn = make_database(f"first_load_{way}")
        apply_layers(dsn, "component")
        with psycopg.connect(dsn, autocommit=True) as connection:
            before = connection.execute("SELECT 'layer.component'::regclass::oid").fetchone()
            if way == "staging":
                connection.execute("CREATE VIEW public.theirs AS SELECT id FROM layer.component")
        _load(tmp_path / "same", dsn, records)
        with psycopg.connect(dsn) as connection:
            oid = connection.execute("SELECT 'layer.component'::regclass::oid").fetchone()
        assert (oid != before) is (way == "beside")
        questions = (_TABLE, _COLUMNS, _KEYS, _INDEXES, _SEQUENCE, _ROWS, _OUTBOX, _CATALOGUE)
        found.append([rows(dsn, question) for question in (*questions, _REJECTS)])
        assert rows(
            dsn, "SELECT count(*) FROM pg_class WHERE relnamespace = 'staging'::regnamespace"
        ) == [(0,)]
        assert rows(
            dsn, "SELECT count(DISTINCT attname) > 3 FROM pg_stats WHERE tablename = 'component'"
        ) == [(True,)]
    assert len(found[0][5]) == ROWS - 2
    for beside, staged in zip(*found, strict=True):
        assert beside == staged


def test_features_after_a_first_load_get_numbers_of_their_own(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    dsn = make_database("first_load_fid")
    known = apply_layers(dsn, "component")
    _load(tmp_path / "one", dsn, _records())
    with psycopg.connect(dsn) as connection:
        (highest,) = connection.execute("SELECT max(fid) FROM layer.component").fetchone() or (0,)
        (ident,) = connection.execute("SELECT min(id) FROM layer.component").fetchone() or ("",)
        delete = Change(Operation.DELETE, ident)
        write_changes(connection, known["component"], [delete], principal=SYSTEM)
        staging = create_staging(connection, known["component"])
        write(
            connection,
            known["component"],
            staging,
            run=None,
            principal=SYSTEM,
            deletes=Deletes.ABSENT,
        )
        assert connection.execute("SELECT count(*) FROM layer.component").fetchone() == (0,)
    _load(tmp_path / "two", dsn, _records(8))
    assert rows(dsn, "SELECT min(fid) > %s, count(*) FROM layer.component", highest) == [
        (True, ROWS)
    ]
    assert rows(dsn, "SELECT revision FROM catalog.layer WHERE name = 'component'") == [(4,)]
    assert rows(dsn, "SELECT DISTINCT revision FROM layer.component") == [(4,)]


def test_a_reader_that_stays_does_not_stop_a_first_load(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    dsn = make_database("first_load_reader")
    apply_layers(dsn, "component")
    with psycopg.connect(dsn) as reader:
        assert reader.execute("SELECT count(*) FROM layer.component").fetchone() == (0,)
        _load(tmp_path / "one", dsn, _records())
        assert reader.execute("SELECT count(*) FROM layer.component").fetchone() == (ROWS,)


def _town_beside_components(folder: Path, dsn: str, name: str, number: int) -> Any:
    """A delivery whose first layer is a first load, and whose second is merged."""
    ring = [[116.1, 24.2], [116.2, 24.2], [116.2, 24.3], [116.1, 24.2]]
    feature = {"type": "Feature", "properties": {"name": name},
               "geometry": {"type": "Polygon", "coordinates": [ring]}}  # fmt: skip
    (folder / "town.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": [feature]}), "utf-8"
    )
    town = {"layer": "division_town", "files": ["town.geojson"], "coordsys": "cgcs2000",
            "id": {"value": f"44140200{number}"}, "fields": {"name": "name"}}  # fmt: skip
    return deliver(folder, dsn, [component_load(), town])


def test_readers_of_a_first_load_do_not_wait_for_the_merges_beside_it(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    """While a merge is under way (here it waits for a table), the empty layer can be read."""
    dsn = make_database("first_load_merges")
    apply_layers(dsn, "component", "division_town")
    write_csv(tmp_path / "components.csv", [*_records()])
    with (
        psycopg.connect(dsn, autocommit=True) as reader,
        psycopg.connect(dsn) as holder,
        ThreadPoolExecutor(max_workers=1) as runs,
    ):
        reader.execute("SET statement_timeout = '1s'")
        # a reader of the other layer: its merge stops in the middle of the transaction
        holder.execute("LOCK TABLE layer.division_town IN SHARE MODE")
        running = runs.submit(_town_beside_components, tmp_path, dsn, "镇", 3)
        try:
            waits = (
                "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted"
                " AND relation = 'layer.division_town'::regclass)"
            )
            for _ in range(600):
                if running.done() or reader.execute(waits).fetchone() == (True,):
                    break
                time.sleep(0.05)
            assert not running.done()
            assert reader.execute("SELECT count(*) FROM layer.component").fetchone() == (0,)
        finally:
            holder.rollback()
        reports = running.result()
    assert [report.layer for report in reports] == ["component", "division_town"]
    assert [report.status for report in reports] == [Status.SUCCEEDED] * 2
    assert rows(dsn, "SELECT count(*) FROM layer.component") == [(ROWS,)]
    assert rows(dsn, "SELECT status FROM catalog.run ORDER BY id") == [("succeeded",)] * 2


def test_what_others_were_granted_stays(make_database: MakeDatabase, tmp_path: Path) -> None:
    dsn = make_database("first_load_rights")
    apply_layers(dsn, "component")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("GRANT SELECT ON layer.component TO PUBLIC")
        connection.execute(
            "GRANT UPDATE ON layer.component TO geoserver_py_editor WITH GRANT OPTION"
        )
    before, granted = rows(dsn, _TABLE), sorted(rows(dsn, _GRANTED))
    _load(tmp_path / "one", dsn, _records())
    assert rows(dsn, _TABLE)[0][:4] == before[0][:4]
    assert sorted(rows(dsn, _GRANTED)) == granted
    assert (0, "SELECT", False) in granted


def test_what_others_were_refused_is_not_given_back_by_default_privileges(
    make_database: MakeDatabase, tmp_path: Path
) -> None:
    dsn = make_database("first_load_refused")
    apply_layers(dsn, "component")
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in (
            "ALTER DEFAULT PRIVILEGES GRANT SELECT, UPDATE ON TABLES TO PUBLIC",
            "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO geoserver_py_editor WITH GRANT OPTION",
            "ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC",
            "GRANT SELECT ON layer.component TO geoserver_py_editor",
            "REVOKE TRUNCATE ON layer.component FROM CURRENT_USER",
        ):
            connection.execute(sql.SQL(statement))
    granted = [sorted(rows(dsn, question)) for question in (_GRANTED, _SEQUENCE_GRANTED)]
    before = rows(dsn, "SELECT 'layer.component'::regclass::oid")
    _load(tmp_path / "one", dsn, _records())
    assert rows(dsn, "SELECT 'layer.component'::regclass::oid") != before
    assert [sorted(rows(dsn, question)) for question in (_GRANTED, _SEQUENCE_GRANTED)] == granted
    assert not [grantee for grantee, *_ in granted[0] if grantee == 0]


def test_a_layer_that_was_filled_meanwhile_is_merged_into(database: str) -> None:
    connection, lamp = published(database)
    built = building.begin(lambda: psycopg.connect(database), lamp, None)
    assert built is not None
    lamps = batch([{"id": f"L{k}", "at": (116.0, 24.0), "source_ref": k} for k in range(3_000)])
    built.add(built.arrange(lamps, np.tile([116.0, 24.0, 116.0, 24.0], (3_000, 1))))
    staged = built.staged(["one.csv"])
    built.finish()
    first = create_staging(connection, lamp)
    copy_into(connection, first, batch([{"id": "other", "at": (116.0, 24.0)}]))
    write(connection, lamp, first, run=None, principal=SYSTEM)
    connection.commit()
    lock_layers(connection, [lamp.name])
    assert not building.fits(connection, built)
    with pytest.raises(ValueError, match="revision 2, not 1"):
        write(connection, lamp, built, run=None, principal=SYSTEM)
    merged_in = building.unpack(connection, staged)
    result = write(connection, lamp, merged_in, run=None, principal=SYSTEM, files=["one.csv"])
    connection.commit()
    built.close()
    assert (result.inserted, result.revision) == (3_000, 2)
    assert connection.execute("SELECT count(*), count(source_ref) FROM layer.lamp").fetchone() == (
        3_001,
        3_000,
    )
    left = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'staging'::regnamespace"
        " AND relname NOT IN (%s, %s)",
        [first.name, merged_in.name],
    )
    assert left.fetchall() == []


def test_rows_that_a_rule_takes_out_again_are_nowhere(database: str) -> None:
    connection, lamp = published(database)
    built = building.begin(lambda: psycopg.connect(database), lamp, None)
    assert built is not None
    lamps = batch([{"id": f"L{k}", "at": (116.0, 24.0), "source_ref": k} for k in range(2_000)])
    built.add(built.arrange(lamps, np.tile([116.0, 24.0, 116.0, 24.0], (2_000, 1))))
    staged = built.staged(["one.csv"])
    with built.indexing():
        # waits for the indexes, then sees file and row as in any staging table
        gone = sql.SQL("DELETE FROM {} WHERE source_file = 'one.csv' AND source_row < 3")
        assert connection.execute(gone.format(staged.table)).rowcount == 3
        built.recounted(1_997)
    assert building.fits(connection, built)
    result = write(connection, lamp, built, run=None, principal=SYSTEM)
    connection.commit()
    built.close()
    assert result.inserted == 1_997
    assert connection.execute(
        "SELECT (SELECT count(*) FROM layer.lamp), (SELECT feature_count FROM catalog.layer),"
        " (SELECT sum(feature_count) FROM catalog.outbox)"
    ).fetchone() == (1_997, 1_997, 1_997)


def test_a_layer_with_rows_or_with_more_than_apply_made_is_not_built_beside(database: str) -> None:
    connection, lamp = published(database)

    def begun() -> bool:
        connection.commit()
        built = building.begin(lambda: psycopg.connect(database), lamp, None)
        if built is not None:
            built.close()
        return built is not None

    assert begun()
    for statement, undo in (
        ("CREATE VIEW public.v AS SELECT id FROM layer.lamp", "DROP VIEW public.v"),
        ("CREATE INDEX theirs ON layer.lamp (lamps)", "DROP INDEX layer.theirs"),
        ("CREATE STATISTICS layer.both ON kind, lit FROM layer.lamp", "DROP STATISTICS layer.both"),
        ("COMMENT ON TABLE layer.lamp IS 'ours'", "COMMENT ON TABLE layer.lamp IS NULL"),
        (
            "ALTER TABLE layer.lamp ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE layer.lamp DISABLE ROW LEVEL SECURITY",
        ),
        (
            "ALTER TABLE layer.lamp SET (fillfactor = 70)",
            "ALTER TABLE layer.lamp RESET (fillfactor)",
        ),
        (
            "ALTER TABLE layer.lamp ADD CHECK (lamps > 0)",
            "ALTER TABLE layer.lamp DROP CONSTRAINT lamp_lamps_check",
        ),
    ):
        connection.execute(sql.SQL(statement))
        assert not begun(), statement
        connection.execute(sql.SQL(undo))
        assert begun(), undo


@pytest.mark.parametrize("side", [8, 64])
def test_along_the_curve_every_step_goes_to_a_neighbour(side: int) -> None:
    x, y = (axis.ravel().astype(float) for axis in np.meshgrid(np.arange(side), np.arange(side)))
    shuffled = np.random.default_rng(1).permutation(side * side)
    along = shuffled[hilbert.order(x[shuffled], y[shuffled])]
    steps = np.abs(np.diff(x[along])) + np.abs(np.diff(y[along]))
    assert (steps == 1).all()


def test_places_without_a_number_come_last() -> None:
    assert hilbert.order(np.array([np.nan, 1.0, 1.0]), np.array([0.0, 2.0, 2.0])).tolist() == [
        1,
        2,
        0,
    ]
    assert hilbert.order(np.array([]), np.array([])).tolist() == []


def test_cells_counted_on_the_way_are_those_that_the_database_counts(database: str) -> None:
    """The oracle is the statement that every other bulk run uses."""
    random = np.random.default_rng(20261122)
    west = random.uniform(-180, 179, 4_000)
    south = random.uniform(-90, 89, 4_000)
    bounds = np.column_stack(
        (west, south, west + random.uniform(0, 1, 4_000), south + random.uniform(0, 1, 4_000))
    )
    bounds[::50] = np.nan
    bounds[1] = [116.1, 24.2, 116.1, 24.2]
    cells = merged([*cells_of(bounds[:1_500], 1_500), *cells_of(bounds[1_500:], 2_500)])
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE TEMPORARY TABLE boxes (west float8, south float8, east float8, north float8)"
        )
        with connection.cursor().copy("COPY boxes FROM STDIN") as copy:
            for box in bounds.tolist():
                copy.write_row([None if value != value else value for value in box])
        connection.execute(
            "INSERT INTO catalog.layer (name, definition, access) VALUES ('boxes', '{}', 'public')"
        )
        versions = sql.SQL("SELECT *, 1 AS weight FROM boxes")
        connection.execute(
            text("outbox_cells").format(versions=versions), {"layer": "boxes", "revision": 1}
        )
        expected = connection.execute(
            "SELECT feature_count, ST_XMin(envelope), ST_YMin(envelope), ST_XMax(envelope),"
            " ST_YMax(envelope) FROM catalog.outbox WHERE layer = 'boxes' ORDER BY ordinal"
        ).fetchall()
    assert [(c.count, *(c.envelope or (None,) * 4)) for c in cells] == expected
