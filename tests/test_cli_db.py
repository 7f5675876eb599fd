"""`geoserver-py db`: exit codes, backup and restore, as an operator sees them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from geoserver_py import cluster
from geoserver_py.cluster import ClusterPaths


def run(data: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.endswith("DATABASE_URL")
    }
    environment |= {"GEOSERVER_PY_DATA_DIR": str(data), **variables}
    return subprocess.run(
        [sys.executable, "-m", "geoserver_py.cli", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix=f"gspy-test-{os.getpid()}-"))
    root.chmod(0o755)
    assert run(root, "db", "up").returncode == 0
    assert run(root, "db", "migrate").returncode == 0
    yield root
    cluster.remove(ClusterPaths(root))
    shutil.rmtree(root)


def dsn(data: Path) -> str:
    info = cluster.status(ClusterPaths(data))
    assert info is not None
    return info.dsn()


def test_work_that_fails_says_why_in_one_line_and_exits_1(tmp_path: Path) -> None:
    answer = run(tmp_path, "db", "status")
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert len(answer.stderr.splitlines()) == 1
    assert "`geoserver-py db up` starts the private one" in answer.stderr


def test_wrong_usage_exits_2(tmp_path: Path) -> None:
    assert run(tmp_path, "db", "sideways").returncode == 2
    assert run(tmp_path, "db", "backup").returncode == 2
    assert run(tmp_path, "db", "remove").returncode == 2


def test_a_wrong_setting_is_named_with_its_value(tmp_path: Path) -> None:
    answer = run(tmp_path, "db", "status", GEOSERVER_PY_PORT="eighty")
    assert answer.returncode == 1
    assert "GEOSERVER_PY_PORT='eighty'" in answer.stderr


@pytest.mark.parametrize("name", ["DATABASE_URL", "GEOSERVER_PY_DATABASE_URL"])
def test_database_url_is_used_instead_of_a_private_cluster(
    data: Path, tmp_path: Path, name: str
) -> None:
    answer = run(tmp_path, "db", "status", "--json", **{name: dsn(data)})
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert told["private"] is False
    assert told["database"] == "geoserver_py"
    refused = run(tmp_path, "db", "up", **{name: dsn(data)})
    assert refused.returncode == 1
    assert "DATABASE_URL is set" in refused.stderr


def test_an_unreachable_database_is_one_line(tmp_path: Path) -> None:
    answer = run(tmp_path, "db", "status", DATABASE_URL="postgresql://127.0.0.1:1/none")
    assert answer.returncode == 1
    assert len(answer.stderr.splitlines()) == 1
    assert "127.0.0.1" in answer.stderr


def test_migrating_twice_changes_nothing(data: Path) -> None:
    told = json.loads(run(data, "db", "migrate", "--json").stdout)
    assert told["before"] == told["after"] is not None


def test_a_backup_brings_back_what_was_lost(data: Path, tmp_path: Path) -> None:
    with psycopg.connect(dsn(data)) as connection:
        connection.execute("DROP TABLE IF EXISTS layer.village")
        connection.execute(
            "CREATE TABLE layer.village (name text, geom geometry(Point, 4490), tile_geom"
            " geometry(Point, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED)"
        )
        connection.execute("GRANT SELECT ON layer.village TO geoserver_py_reader")
        connection.execute(
            "INSERT INTO layer.village VALUES ('輋𣒍村', 'SRID=4490;POINT(115.7 23.9)')"
        )
    file = tmp_path / "city.dump"
    saved = run(data, "db", "backup", str(file), "--json")
    assert saved.returncode == 0, saved.stderr
    assert json.loads(saved.stdout)["bytes"] == file.stat().st_size

    with psycopg.connect(dsn(data)) as connection:
        before = connection.execute("SELECT *, pg_typeof(geom) FROM layer.village").fetchall()
        connection.execute("DELETE FROM layer.village")
        connection.execute("SELECT catalog.bump_generation()")
        (seen,) = connection.execute("SELECT generation FROM catalog.generation").fetchone() or ()
    refused = run(data, "db", "restore", str(file))
    assert refused.returncode == 1
    assert "not empty" in refused.stderr

    replaced = run(data, "db", "restore", "--replace", str(file))
    assert replaced.returncode == 0, replaced.stderr
    with psycopg.connect(dsn(data)) as connection:
        after = connection.execute("SELECT *, pg_typeof(geom) FROM layer.village").fetchall()
        owner = connection.execute(
            "SELECT tableowner, has_table_privilege('geoserver_py_reader', 'layer.village',"
            " 'SELECT') FROM pg_tables WHERE tablename = 'village'"
        ).fetchone()
        (now,) = connection.execute("SELECT generation FROM catalog.generation").fetchone() or ()
    assert now > seen  # or workers and clients would take the restored state for one they know
    assert after == before
    assert owner == ("geoserver_py", True)


def test_a_file_that_is_no_backup_changes_nothing(data: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.dump"
    wrong.write_text("this is no backup of anything")
    answer = run(data, "db", "restore", "--replace", str(wrong))
    assert answer.returncode == 1
    assert "is no backup" in answer.stderr
    assert run(data, "db", "status").returncode == 0
    with psycopg.connect(dsn(data)) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_database WHERE datname LIKE 'geoserver_py_restored%'"
        ).fetchone()
    assert row == (0,)


def test_a_backup_never_overwrites_a_file(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "kept"
    file.write_text("last year's")
    answer = run(data, "db", "backup", str(file))
    assert answer.returncode == 1
    assert "never overwritten" in answer.stderr
    assert file.read_text() == "last year's"
