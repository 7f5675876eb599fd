"""`make demo` ends wholly: by Ctrl-C, by a failing part, and by kill -9 before the next start."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from geoserver_py import cluster
from geoserver_py.cluster import ClusterPaths
from geoserver_py.supervisor import Signals, Stopped

REPOSITORY = Path(__file__).resolve().parent.parent
RUN = """
import sys
from geoserver_py.cli.output import say
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import load_settings
from geoserver_py.supervisor import Commands, run

settings = load_settings()
serve = (sys.executable, "-m", "uvicorn", "tests.endless_app:app", "--port", str(settings.port),
         "--timeout-graceful-shutdown", str(settings.shutdown_seconds), "--log-level", "warning")
try:
    run(settings, Commands(prepare=(sys.executable, "-c", sys.argv[1]), serve=serve), say)
except WorkFailed as failure:
    say(f"failed: {failure}")
    sys.exit(1)
"""


@pytest.fixture
def data() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix=f"gspy-test-{os.getpid()}-"))
    root.chmod(0o755)
    yield root
    cluster.remove(ClusterPaths(root))
    shutil.rmtree(root)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(data: Path, port: int, prepare: str = "pass") -> subprocess.Popen[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.endswith("DATABASE_URL")
    }
    environment |= {"GEOSERVER_PY_DATA_DIR": str(data), "GEOSERVER_PY_PORT": str(port)}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, prepare],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def read_until(process: subprocess.Popen[str], wanted: str) -> str:
    """Return the output up to the line with `wanted`, or all of it when it never comes."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if wanted in line:
            break
    return text


def processes_with(marks: list[str]) -> list[str]:
    """Command lines, environments and folders of living processes that hold one of `marks`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(FileNotFoundError, PermissionError, ProcessLookupError):
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
            where = str((entry / "cwd").readlink())
            if any(mark in command or mark in where for mark in marks):
                found.append(command)
    return found


def stalled_download(port: int) -> socket.socket:
    """Open a download and read nothing of it, so that the server's writes block."""
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(b"GET /endless HTTP/1.1\r\nHost: test\r\n\r\n")
    time.sleep(0.5)
    return client


def test_ctrl_c_with_a_stalled_download_ends_everything_within_6_seconds(
    data: Path, port: int
) -> None:
    demo = start(data, port)
    assert f"ready: http://127.0.0.1:{port}" in read_until(demo, "ready:")
    with stalled_download(port):
        began = time.monotonic()
        os.killpg(demo.pid, signal.SIGINT)  # a terminal signals its whole foreground group
        assert demo.wait(6) == 0
        assert time.monotonic() - began < 6
    assert processes_with([str(data), f"--port\0{port}"]) == []
    assert not (data / "cluster.json").exists()


@pytest.mark.parametrize("victim", ["everything", "supervisor"])
def test_after_kill_9_the_next_start_works(data: Path, port: int, victim: str) -> None:
    demo = start(data, port)
    read_until(demo, "ready:")
    info = cluster.status(ClusterPaths(data))
    assert info is not None
    children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text().split()
    assert len(children) == 1  # the server; PostgreSQL is a session of its own
    os.kill(demo.pid, signal.SIGKILL)
    if victim == "everything":
        for pid in (info.pid, int(children[0])):
            os.kill(pid, signal.SIGKILL)
    demo.wait()

    again = start(data, port)
    assert "ready:" in read_until(again, "ready:")
    os.killpg(again.pid, signal.SIGTERM)
    assert again.wait(6) == 0
    assert processes_with([str(data), f"--port\0{port}"]) == []


def test_a_taken_port_is_named_with_another_and_nothing_is_started(data: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        demo = start(data, port)
        output = read_until(demo, "failed")
    assert demo.wait() == 1
    assert f"port {port} on 127.0.0.1 is taken" in output
    assert f"PORT={port + 1}" in output
    assert not (data / "pg").exists()


def test_a_failing_preparation_stops_postgresql_and_fails(data: Path, port: int) -> None:
    demo = start(data, port, prepare="raise SystemExit('no such layer')")
    output = read_until(demo, "never")
    assert demo.wait() == 1
    assert "no such layer" in output
    assert "failed: the demo could not be prepared" in output
    assert processes_with([str(data)]) == []


def test_ctrl_c_during_the_preparation_ends_everything(data: Path, port: int) -> None:
    demo = start(data, port, prepare="import time; print('busy', flush=True); time.sleep(60)")
    read_until(demo, "busy")
    os.killpg(demo.pid, signal.SIGINT)
    assert demo.wait(6) == 0
    assert processes_with([str(data)]) == []


def test_a_second_demo_in_the_same_clone_is_refused_and_the_first_goes_on(
    data: Path, port: int
) -> None:
    demo = start(data, port)
    read_until(demo, "ready:")
    second = start(data, port + 1)
    assert f"runs already in this clone (process {demo.pid}" in read_until(second, "failed")
    assert second.wait() == 1
    assert cluster.status(ClusterPaths(data)) is not None
    os.killpg(demo.pid, signal.SIGINT)
    assert demo.wait(6) == 0


def test_postgresql_that_dies_ends_the_demo_with_its_log_named(data: Path, port: int) -> None:
    demo = start(data, port)
    read_until(demo, "ready:")
    info = cluster.status(ClusterPaths(data))
    assert info is not None
    os.kill(info.pid, signal.SIGKILL)
    assert "PostgreSQL ended by itself" in read_until(demo, "failed")
    assert demo.wait(6) == 1


def test_a_database_that_db_up_started_stays_up(data: Path, port: int) -> None:
    cluster.ensure_running(ClusterPaths(data), keep=True)
    demo = start(data, port)
    read_until(demo, "ready:")
    os.killpg(demo.pid, signal.SIGINT)
    assert "stays up" in read_until(demo, "stays up")
    demo.wait(6)
    assert cluster.status(ClusterPaths(data)) is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a disk")
@pytest.mark.parametrize(
    ("options", "said"),
    [("ro", "Read-only file system: put the clone"), ("nr_inodes=2", "No space left on device")],
)
def test_a_disk_that_takes_nothing_is_named_in_one_sentence(
    tmp_path: Path, port: int, options: str, said: str
) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", f"size=1m,mode=755,{options}", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "geoserver_py.processes", "demo"],
            cwd=REPOSITORY,
            env={"GEOSERVER_PY_DATA_DIR": str(tmp_path / "data"), "GEOSERVER_PY_PORT": str(port)},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert said in answer.stderr
    assert str(tmp_path / "data") in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


class InterruptedLock:
    """A lock that is interrupted by SIGTERM just when it has been taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def acquire(self, blocking: bool = True) -> bool:
        taken = self._lock.acquire(blocking)
        os.kill(os.getpid(), signal.SIGTERM)
        return taken

    def release(self) -> None:
        self._lock.release()


def test_a_signal_while_a_child_is_looked_at_leaves_it_reapable() -> None:
    with subprocess.Popen(["sleep", "60"]) as child, Signals() as signals:
        # Popen's own lock: a signal between taking it and its `try` is a matter of a microsecond
        plain, child._waitpid_lock = child._waitpid_lock, InterruptedLock()  # type: ignore[attr-defined]
        with pytest.raises(Stopped):
            signals.wait(child)
        signals.ignore()
        lock = child._waitpid_lock._lock  # type: ignore[attr-defined]
        assert not lock.locked()
        child._waitpid_lock = plain  # type: ignore[attr-defined]
        child.kill()
        assert child.wait(5) == -signal.SIGKILL
