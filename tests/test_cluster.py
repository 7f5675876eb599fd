"""The private PostgreSQL starts whatever happened before, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from geoserver_py import cluster
from geoserver_py.cluster import ClusterInfo, ClusterPaths
from geoserver_py.cluster_host import ClusterError, DiskFullError, find_programs, require_room

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes accounts")


@pytest.fixture(scope="module")
def paths() -> Iterator[ClusterPaths]:
    """One cluster that the tests of this module crash and start again."""
    root = Path(tempfile.mkdtemp(prefix=f"gspy-test-{os.getpid()}-"))
    root.chmod(0o755)
    yield ClusterPaths(root)
    cluster.remove(ClusterPaths(root))
    shutil.rmtree(root)


def processes_in(folder: Path) -> list[int]:
    """Process ids that work in `folder`: what a server and its children do."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == folder:
                    found.append(int(entry.name))
            except (FileNotFoundError, PermissionError, ProcessLookupError):
                continue
    return found


def one(dsn: str, query: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def kill_all(info: ClusterInfo) -> None:
    os.kill(info.pid, signal.SIGKILL)  # first, or it would restart the others
    for pid in processes_in(info.data):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def test_a_database_of_ours_has_postgis_utf8_and_the_owner(postgis: str) -> None:
    with psycopg.connect(postgis) as connection:
        row = connection.execute(
            "SELECT current_user::text, current_setting('server_encoding'), "
            "ST_AsText(ST_Point(1, 2)), current_setting('is_superuser')"
        ).fetchone()
    assert row == ("geoserver_py", "UTF8", "POINT(1 2)", "off")


def test_starting_twice_is_one_server_and_stopping_leaves_nothing(paths: ClusterPaths) -> None:
    first = cluster.ensure_running(paths)
    assert cluster.ensure_running(paths).pid == first.pid
    assert cluster.status(paths) == first
    assert json.loads(paths.state.read_text())["dsn"] == first.dsn()
    assert stat.S_IMODE(first.sockets.stat().st_mode) == 0o700

    assert cluster.stop(paths)
    assert processes_in(first.data) == []
    assert not first.sockets.exists()
    assert not paths.state.exists()
    assert cluster.status(paths) is None
    assert not cluster.stop(paths)


def test_a_service_finds_the_server_again_after_it_was_stopped_and_started(
    paths: ClusterPaths,
) -> None:
    first = cluster.ensure_running(paths)
    assert cluster.stop(paths)
    assert cluster.ensure_running(paths).dsn() == first.dsn()


def test_no_tcp_port_is_opened_and_the_demo_is_durable(paths: ClusterPaths) -> None:
    dsn = cluster.ensure_running(paths).dsn()
    assert one(dsn, "SHOW listen_addresses") == ""
    assert one(dsn, "SHOW fsync") == "on"
    assert one(dsn, "SHOW data_checksums") == "on"


def test_after_kill_9_of_everything_the_next_start_has_what_was_committed(
    paths: ClusterPaths,
) -> None:
    info = cluster.ensure_running(paths)
    with psycopg.connect(info.dsn()) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS answer")
    kill_all(info)
    again = cluster.ensure_running(paths)
    assert again.pid != info.pid
    assert one(again.dsn(), "SELECT answer FROM kept") == 42
    assert again.sockets == info.sockets or not info.sockets.exists()


def test_a_busy_backend_that_outlives_its_server_does_not_block_the_next_start(
    paths: ClusterPaths,
) -> None:
    info = cluster.ensure_running(paths)
    client = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import psycopg, sys; c = psycopg.connect(sys.argv[1]); print('on', flush=True);"
            'c.execute("DO $$ DECLARE t timestamptz := clock_timestamp(); BEGIN WHILE'
            " clock_timestamp() < t + interval '60 s' LOOP END LOOP; END $$\")",
            info.dsn(),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert client.stdout is not None
    client.stdout.readline()
    time.sleep(0.3)
    os.kill(info.pid, signal.SIGKILL)
    began = time.monotonic()
    again = cluster.ensure_running(paths)
    assert one(again.dsn(), "SELECT 1") == 1
    assert time.monotonic() - began < 15
    client.wait(10)


def test_a_lock_file_that_names_somebody_elses_process_is_stale(paths: ClusterPaths) -> None:
    info = cluster.ensure_running(paths)
    lock = (info.data / "postmaster.pid").read_text()
    kill_all(info)
    (info.data / "postmaster.pid").write_text(lock.replace(str(info.pid), str(os.getpid()), 1))
    again = cluster.ensure_running(paths)
    assert again.pid not in (info.pid, os.getpid())


def test_a_running_server_whose_record_was_lost_is_taken_over(paths: ClusterPaths) -> None:
    info = cluster.ensure_running(paths)
    paths.state.unlink()
    again = cluster.ensure_running(paths)
    assert one(again.dsn(), "SELECT 1") == 1
    assert info.pid not in processes_in(info.data)
    assert not info.sockets.exists()


def test_a_first_start_that_was_cut_short_is_made_again(paths: ClusterPaths) -> None:
    info = cluster.ensure_running(paths)
    cluster.stop(paths)
    (info.data / "geoserver_py.made").unlink()
    (info.data / "global" / "pg_control").unlink()
    assert one(cluster.ensure_running(paths).dsn(), "SELECT postgis_lib_version()")


def test_db_up_stays_when_the_demo_meets_it(paths: ClusterPaths) -> None:
    cluster.ensure_running(paths)
    assert cluster.ensure_running(paths, keep=True).keep
    assert cluster.ensure_running(paths).keep


@needs_root
def test_a_clone_in_a_closed_folder_gets_its_data_elsewhere_and_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    paths = ClusterPaths(tmp_path / ".data")
    info = cluster.ensure_running(paths, durable=False)
    try:
        assert info.data.is_relative_to("/var/tmp")
        assert "may not enter" in info.note
        assert str(info.data) in info.note
        cluster.stop(paths)
        assert cluster.ensure_running(paths, durable=False).data == info.data
    finally:
        cluster.remove(paths)
    assert not info.data.parent.exists()
    assert list(paths.root.iterdir()) == []


@needs_root
def test_a_full_disk_is_named_before_anything_is_written(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m,mode=755", "tmpfs", str(tmp_path)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        with pytest.raises(DiskFullError, match=r"64 MB free.* at least 400 MB: make room"):
            require_room(tmp_path)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@needs_root
def test_a_disk_that_fills_during_the_start_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(tempfile.mkdtemp(prefix="gspy-full-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", str(root)], check=False
    )
    if mounted.returncode != 0:
        root.rmdir()
        pytest.skip("this machine lets nobody mount a small disk")
    monkeypatch.setattr(cluster, "require_room", lambda _folder: None)
    try:
        with pytest.raises(DiskFullError, match="is full: make room"):
            cluster.ensure_running(ClusterPaths(root))
    finally:
        subprocess.run(["umount", str(root)], check=True)
        root.rmdir()


PARALLEL = """
import sys
from pathlib import Path
import psycopg
from geoserver_py import cluster
from geoserver_py.cluster import ClusterPaths
paths = ClusterPaths(Path(sys.argv[1]))
info = cluster.ensure_running(paths, durable=False)
with psycopg.connect(info.dsn()) as connection:
    connection.execute("SET min_parallel_table_scan_size = 0")
    connection.execute("SET parallel_setup_cost = 0")
    connection.execute("SET parallel_tuple_cost = 0")
    connection.execute("CREATE TABLE t AS SELECT generate_series(1, 400000) AS a")
    query = "SELECT count(*) FROM t JOIN t u USING (a)"
    assert "Parallel" in str(connection.execute("EXPLAIN " + query).fetchall())
    print(connection.execute(query).fetchone()[0])
cluster.remove(paths)
"""


@needs_root
def test_without_much_dev_shm_as_in_a_container_it_starts_and_sorts_in_parallel() -> None:
    root = Path(tempfile.mkdtemp(prefix="gspy-shm-"))
    root.chmod(0o755)
    script = 'mount -t tmpfs -o size=8m tmpfs /dev/shm || exit 77; exec "$@"'
    command = ["unshare", "--mount", "/bin/sh", "-c", script, "sh"]
    command += [sys.executable, "-c", PARALLEL, str(root)]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        shutil.rmtree(root)
    if answer.returncode in (1, 77) and "Operation not permitted" in answer.stderr:
        pytest.skip("this machine lets nobody mount")
    assert (answer.returncode, answer.stdout) == (0, "400000\n"), answer.stderr


def test_missing_programs_are_named_with_what_installs_them(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"was not found in .*install the packages postgresql"):
        find_programs(bin_dir=tmp_path)


@needs_root
@pytest.mark.parametrize(("user", "expected"), [(65534, "nobody"), (54321, "no entry in /etc")])
def test_an_ordinary_user_runs_it_itself_and_one_without_an_account_is_told(
    user: int, expected: str
) -> None:
    root = Path(tempfile.mkdtemp(prefix="gspy-user-"))
    os.chown(root, user, user)
    reader, writer = os.pipe()
    child = os.fork()  # not exec: the other user may not be let into this Python's folder
    if child == 0:
        said = "the child failed"
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            said = cluster.ensure_running(ClusterPaths(root), durable=False).account
            cluster.remove(ClusterPaths(root))
        except ClusterError as failure:
            said = str(failure)
        finally:
            os.write(writer, said.encode())
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    shutil.rmtree(root)
    assert expected in answer


def test_remove_takes_the_data_and_leaves_what_lies_beside_it() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        root = Path(folder)
        root.chmod(0o755)
        mine = root / "mine.txt"
        mine.write_text("mine", "utf-8")
        data = cluster.ensure_running(ClusterPaths(root)).data
        cluster.remove(ClusterPaths(root))
        assert not data.exists()
        assert list(root.iterdir()) == [mine]
