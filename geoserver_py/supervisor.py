"""`make demo` while it runs: cluster, preparation, server; and everything down again, in order.

The supervisor itself stays small: preparation and server are processes of their own, in sessions
of their own, so that Ctrl-C reaches the supervisor alone and it stops them in the right order
(server, then PostgreSQL, last). A supervisor that is killed takes them along (PR_SET_PDEATHSIG),
except PostgreSQL, which the next start finds and takes over.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import http.client
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType, TracebackType

from geoserver_py import cluster
from geoserver_py.cluster import ClusterInfo
from geoserver_py.errors import WorkFailed
from geoserver_py.server import require_port
from geoserver_py.settings import Settings

READY_SECONDS = 60.0
LOOK_SECONDS = 0.05
"""Between looks at a child."""
SERVER_SECONDS = 1.0  # over the server's own grace, before it is killed
CLUSTER_SECONDS = 1.0  # then without a checkpoint
_PR_SET_PDEATHSIG = 1


class Stopped(BaseException):
    """A signal asked for the end; derived like KeyboardInterrupt, so no handler swallows it."""


@dataclass
class Signals:
    """SIGINT, SIGTERM and SIGHUP as the exception Stopped; held back while `deferred`."""

    asked: bool = False
    _deferring: bool = False
    _before: dict[int, object] = field(default_factory=dict)

    def __enter__(self) -> Signals:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        if not self._deferring:
            raise Stopped

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Let a block finish, e.g. the start of PostgreSQL, and only then obey a signal."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        if self.asked:
            raise Stopped

    def ended(self, process: subprocess.Popen[bytes]) -> int | None:
        """Return the exit code of a child, None while it runs.

        Popen locks itself while it looks. Stopped in the middle of that once left the lock held,
        and the supervisor waited for ever to reap its server.
        """
        with self.deferred():
            return process.poll()

    def wait(self, process: subprocess.Popen[bytes], seconds: float = math.inf) -> int | None:
        """Return the exit code of a child, None after so many seconds."""
        deadline = time.monotonic() + seconds
        while (code := self.ended(process)) is None and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        return code

    def ignore(self) -> None:
        """Hold signals back for good: the end is under way."""
        self._deferring = True


@dataclass(frozen=True)
class Commands:
    """What the supervisor runs: the preparation, which ends, and the server, which stays."""

    prepare: tuple[str, ...]
    serve: tuple[str, ...]


def own_commands() -> Commands:
    """Return our own preparation and server."""
    python = (sys.executable, "-m", "geoserver_py.processes")
    return Commands(prepare=(*python, "prepare"), serve=(*python, "serve"))


def run(settings: Settings, commands: Commands, say: Callable[[str], None]) -> None:
    """Bring everything up, say `ready: URL`, and stay until a signal; then take it all down.

    Raises WorkFailed, after taking everything down, if a part fails or ends by itself.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with Signals() as signals, _only_one(settings):
        database: ClusterInfo | None = None
        server: subprocess.Popen[bytes] | None = None
        child: subprocess.Popen[bytes] | None = None
        try:
            # a killed supervisor's server needs its grace to leave the port
            require_port(settings.host, settings.port, patience=settings.shutdown_seconds + 2.0)
            if settings.database_url is None:
                with signals.deferred():
                    database = cluster.ensure_running(
                        settings.cluster, bin_dir=settings.postgres_bin
                    )
                say(f"PostgreSQL {database.major}: {database.data}")
                if database.note:
                    say(f"note: {database.note}")
            with signals.deferred():
                child = _spawn(commands.prepare)
            if signals.wait(child) != 0:
                raise WorkFailed("the demo could not be prepared; the reason is above")
            with signals.deferred():
                server = _spawn(commands.serve)
            _await_ready(settings, signals, server)
            say(f"ready: {url(settings)}  ({time.monotonic() - began:.1f} s)")
            _say_key(settings, say)
            _watch(signals, server, database)
        except Stopped:
            say("stopping")
        finally:
            signals.ignore()
            for process in (child, server):
                if process is not None:
                    _end(process, settings.shutdown_seconds + SERVER_SECONDS)
            if settings.database_url is None:
                _leave_cluster(settings, database, say)


def url(settings: Settings) -> str:
    """Return the address that a person on this machine opens."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)
    return f"http://{host}:{settings.port}"


def _say_key(settings: Settings, say: Callable[[str], None]) -> None:
    if settings.demo_key_file.exists():
        key = settings.demo_key_file.read_text(encoding="utf-8").strip()
        say(f"API key for layers that are not public: X-API-Key: {key}")


@contextlib.contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    path = settings.data_dir / "demo.lock"
    with path.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            raise WorkFailed(
                f"the demo runs already in this clone (process {handle.read().strip()}): "
                "use it, or stop it with Ctrl-C first"
            ) from None
        handle.truncate(0)
        handle.write(f"{os.getpid()} at {url(settings)}")
        handle.flush()
        yield


def end_with_parent() -> None:
    """Ask Linux to send this process SIGTERM when its parent dies, however it dies."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _spawn(command: tuple[str, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=end_with_parent
    )


def _await_ready(settings: Settings, signals: Signals, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    answer = "no answer"
    while time.monotonic() < deadline:
        if signals.ended(server) is not None:
            raise WorkFailed("the server ended before it was ready; the reason is above")
        host = url(settings).removeprefix("http://").rpartition(":")[0].strip("[]")
        connection = http.client.HTTPConnection(host, settings.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            answer = f"{response.status} {response.read(500).decode(errors='replace')}"
            if response.status == 200:
                return
        except (OSError, http.client.HTTPException) as problem:
            answer = str(problem)
        finally:
            connection.close()
        time.sleep(LOOK_SECONDS)
    raise WorkFailed(f"the server is not ready after {READY_SECONDS:.0f} s; /readyz says: {answer}")


def _watch(signals: Signals, server: subprocess.Popen[bytes], database: ClusterInfo | None) -> None:
    while True:
        code = signals.wait(server, 1.0)
        if code is not None:
            raise WorkFailed(f"the server ended by itself with code {code}")
        if database and not cluster.alive(database):
            raise WorkFailed(
                f"PostgreSQL ended by itself: see {database.data}/server.log, then start again"
            )


def _end(process: subprocess.Popen[bytes], patience: float) -> None:
    """End a child and its whole session: SIGTERM, and SIGKILL after `patience` seconds."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _leave_cluster(
    settings: Settings, database: ClusterInfo | None, say: Callable[[str], None]
) -> None:
    """Stop the private PostgreSQL, unless `db up` started it to stay."""
    running = database or cluster.status(settings.cluster)
    if running is None:
        return
    if running.keep:
        say("PostgreSQL stays up, since `geoserver-py db up` started it")
    else:
        cluster.stop(settings.cluster, patience=CLUSTER_SECONDS)
