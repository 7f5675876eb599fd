"""The private PostGIS: made, started, found again after a crash, and stopped.

One cluster a clone, under `.data/pg`, listening on a unix socket only, in a short temporary
folder that only its account and root may enter; so the socket needs no password. The server is a
session of its own (pg_ctl does that), which Ctrl-C does not reach: whoever starts it calls `stop`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from geoserver_py.cluster_host import (
    Account,
    ClusterError,
    DiskFullError,
    Programs,
    choose_place,
    find_account,
    find_programs,
    require_room,
)

DATABASE = "geoserver_py"
OWNER = "geoserver_py"
SUPERUSER = "postgres"
PORT = 5432  # part of the socket's name only: no TCP port is opened
SOCKET_LIMIT = 107  # bytes of a unix socket's path on Linux, sun_path less its NUL
START_SECONDS = 60
ORPHAN_SECONDS = 10


@dataclass(frozen=True)
class ClusterPaths:
    """Where one cluster keeps things, all below `root` (`.data` of a clone)."""

    root: Path

    @property
    def data(self) -> Path:
        """Wanted folder of the data files (see `ClusterInfo.data` for the one in use)."""
        return self.root / "pg"

    @property
    def state(self) -> Path:
        """JSON that says where the cluster is, written when it runs."""
        return self.root / "cluster.json"

    @property
    def lock(self) -> Path:
        """File lock, held while a cluster is started or stopped."""
        return self.root / "cluster.lock"


@dataclass(frozen=True)
class ClusterInfo:
    """A running cluster; `keep` says that it outlives `make demo` (it came from `db up`)."""

    data: Path
    sockets: Path
    port: int
    pid: int
    major: int
    bin: Path
    account: str
    keep: bool
    note: str

    def dsn(self, database: str = DATABASE, user: str = OWNER) -> str:
        """Return a libpq URL, understood by psycopg, SQLAlchemy (with a driver) and GDAL."""
        host = quote(str(self.sockets), safe="")
        return f"postgresql://{quote(user)}@/{quote(database)}?host={host}&port={self.port}"


def ensure_running(
    paths: ClusterPaths, *, durable: bool = True, keep: bool = False, bin_dir: Path | None = None
) -> ClusterInfo:
    """Return the running cluster of `paths`, made and started when it is not.

    `durable=False` trades safety for speed (no fsync), for tests only. The database
    `geoserver_py`, its owner role of that name and PostGIS are there afterwards.
    Raises ClusterError with a sentence that says what to do.
    """
    paths.root.mkdir(parents=True, exist_ok=True)
    with _locked(paths):
        found = status(paths)
        if found:
            if keep and not found.keep:
                found = ClusterInfo(**{**asdict(found), "keep": True})
                _remember(paths, found)
            return found
        _forget_sockets(paths)
        account = find_account(paths.data)
        data, note = choose_place(paths.data, account)
        require_room(data)
        major = _made_by(data)
        programs = find_programs(major, bin_dir)
        if major is None:
            _initialise(data, programs, account, durable=durable)
        _configure(data, account, durable=durable)
        sockets = _socket_folder(account)
        try:
            _start(data, sockets, programs, account)
        except ClusterError:
            shutil.rmtree(sockets, ignore_errors=True)
            raise
        pid = _postmaster_pid(data)
        if pid is None:
            raise ClusterError(f"PostgreSQL started and went away: see {data}/server.log")
        info = ClusterInfo(
            data, sockets, PORT, pid, programs.major, programs.bin, account.name, keep, note
        )
        _remember(paths, info)
        _provide_database(info)
        return info


def status(paths: ClusterPaths) -> ClusterInfo | None:
    """Return the cluster of `paths` if its server runs and answers, else None."""
    recorded = _recorded(paths)
    if recorded is None or _postmaster_pid(recorded.data) != recorded.pid:
        return None
    try:
        with psycopg.connect(recorded.dsn("postgres", SUPERUSER), connect_timeout=5):
            return recorded
    except psycopg.OperationalError:
        return None


def stop(paths: ClusterPaths, *, patience: float = 3.0) -> bool:
    """Stop the cluster of `paths`; True if one was running.

    Clients are disconnected at once (fast); after `patience` seconds without success the server
    is stopped without a checkpoint (immediate), which its next start recovers from.
    """
    recorded = _recorded(paths)
    if recorded is None:
        return False
    with _locked(paths):
        ran = _end_server(recorded.data, patience)
        _forget_sockets(paths)
        paths.state.unlink(missing_ok=True)
        return ran


def remove(paths: ClusterPaths) -> None:
    """Stop the cluster and delete its data files, also those kept outside `paths.root`."""
    recorded = _recorded(paths)
    place = paths.root / "place"
    stop(paths)
    folders = {paths.data}
    if recorded:
        folders.add(recorded.data)
    if place.exists():
        folders.add(Path(place.read_text(encoding="utf-8")))
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)
        if folder.parent.parent == Path("/var/tmp") and folder.parent.exists():
            folder.parent.rmdir()
    for leftover in (place, paths.lock):
        leftover.unlink(missing_ok=True)


# -- state on disk ---------------------------------------------------------------------------


@contextlib.contextmanager
def _locked(paths: ClusterPaths) -> Iterator[None]:
    with paths.lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _remember(paths: ClusterPaths, info: ClusterInfo) -> None:
    text = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(info).items()}
    text["dsn"] = info.dsn()
    fresh = paths.state.with_suffix(".new")
    fresh.write_text(json.dumps(text, ensure_ascii=False, indent=1), encoding="utf-8")
    fresh.replace(paths.state)
    if info.data != paths.data:
        (paths.root / "place").write_text(str(info.data), encoding="utf-8")


def _recorded(paths: ClusterPaths) -> ClusterInfo | None:
    try:
        text = json.loads(paths.state.read_text(encoding="utf-8"))
        text.pop("dsn", None)
        for key in ("data", "sockets", "bin"):
            text[key] = Path(text[key])
        return ClusterInfo(**text)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        # written by another version, or cut short by a full disk: the data files tell the rest
        return None


def _forget_sockets(paths: ClusterPaths) -> None:
    recorded = _recorded(paths)
    if recorded and recorded.sockets.name.startswith("gspy-"):
        shutil.rmtree(recorded.sockets, ignore_errors=True)


def _postmaster_pid(data: Path) -> int | None:
    """Return the process id of the live server over `data`; None for a stale lock file.

    The id in postmaster.pid may by now be somebody else's process: a server works in its data
    folder, so that is what is compared.
    """
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
    return pid if _works_in(pid, data) else None


def _socket_of(data: Path) -> Path:
    """Return the socket folder that a running server wrote into its lock file (fifth line)."""
    lines = (data / "postmaster.pid").read_text().splitlines()
    return Path(lines[4]) if len(lines) > 4 else Path()


def _works_in(pid: int, data: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == data.resolve()
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return False


def _end_server(data: Path, patience: float = 3.0) -> bool:
    """End the server over `data`, fast and then immediate; False if there was none."""
    pid = _postmaster_pid(data)
    if pid is None:
        return False
    for kind, seconds in ((signal.SIGINT, patience), (signal.SIGQUIT, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, kind)
        if _gone(pid, seconds):
            return True
    raise ClusterError(f"PostgreSQL, process {pid}, does not stop: look at {data}/server.log")


def _gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":  # in a container without an init nobody collects it
            return True
        time.sleep(0.02)
    return False


# -- making and starting -----------------------------------------------------------------------


def _made_by(data: Path) -> int | None:
    """Return the major version that made `data`; a first start that was cut short is removed."""
    version = data / "PG_VERSION"
    if version.exists() and (data / "geoserver_py.made").exists():
        return int(version.read_text().strip())
    if any(data.iterdir()):
        if version.exists() and _postmaster_pid(data):
            raise ClusterError(f"a PostgreSQL that is not ours runs over {data}: stop it")
        for item in data.iterdir():
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item)
            else:
                item.unlink()
    return None


def _initialise(data: Path, programs: Programs, account: Account, *, durable: bool) -> None:
    command = [programs.path("initdb"), "-D", str(data), "-U", SUPERUSER, "-A", "trust"]
    command += ["-E", "UTF8", "--locale=C.UTF-8", "--no-instructions"]
    command += ["--data-checksums"] if durable else ["--no-sync"]
    answer = account.run(command)
    if answer.returncode != 0:
        raise _explain("initdb", answer, data)
    _write(data / "geoserver_py.made", "initdb finished\n", account)


def _configure(data: Path, account: Account, *, durable: bool) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    settings = {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "max_connections": "120",
        "shared_buffers": f"{min(1024, max(64, memory // 8))}MB",
        "effective_cache_size": f"{max(256, memory // 2)}MB",
        "work_mem": "16MB",
        "maintenance_work_mem": f"{min(256, max(64, memory // 16))}MB",
        "random_page_cost": "1.1",
        "jit": "off",  # costs more than it saves on map queries; see the design's store section
        "max_wal_size": "2GB",
        "checkpoint_timeout": "10min",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "logging_collector": "off",
        "log_line_prefix": "%m [%p] %u@%d ",
        "log_lock_waits": "on",
    }
    if not durable:
        settings |= {
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "autovacuum_naptime": "10s",
        }
    lines = [f"{name} = '{value}'" for name, value in settings.items()]
    _write(data / "geoserver_py.conf", "\n".join(lines) + "\n", account)
    main = data / "postgresql.conf"
    text = main.read_text(encoding="utf-8")
    include = "include = 'geoserver_py.conf'"
    if include not in text:
        _write(main, f"{text}\n{include}\n", account)
    log = data / "server.log"
    if log.exists() and log.stat().st_size > 10 * 2**20:
        log.replace(data / "server.log.1")


def _write(path: Path, text: str, account: Account) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as problem:
        raise DiskFullError(f"cannot write {path}: {problem.strerror}") from problem
    if account.switch:
        os.chown(path, account.uid, account.gid)
    path.chmod(0o600)


def _socket_folder(account: Account) -> Path:
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        if len(os.fsencode(f"{parent}/gspy-xxxxxxxx/.s.PGSQL.{PORT}.lock")) > SOCKET_LIMIT:
            continue
        folder = Path(tempfile.mkdtemp(prefix="gspy-", dir=parent))
        if account.switch:
            os.chown(folder, account.uid, account.gid)
        inside = account.run(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)])
        if inside.returncode == 0:
            return folder
        folder.rmdir()
    raise ClusterError("no temporary folder with a path short enough for a unix socket: see TMPDIR")


def _start(data: Path, sockets: Path, programs: Programs, account: Account) -> None:
    """Start the server; clears what a `kill -9` left: a stale lock file, orphaned backends."""
    log = data / "server.log"
    deadline = time.monotonic() + ORPHAN_SECONDS
    while True:
        if _postmaster_pid(data) is None:
            (data / "postmaster.pid").unlink(missing_ok=True)
        else:
            lost = _socket_of(data)
            _end_server(data)  # its socket or our record of it is gone: start afresh
            if lost.name.startswith("gspy-"):
                shutil.rmtree(lost, ignore_errors=True)
        before = log.stat().st_size if log.exists() else 0
        command = [programs.path("pg_ctl"), "-D", str(data), "-l", str(log), "-w"]
        command += ["-t", str(START_SECONDS), "-o", f"-k {sockets} -p {PORT}", "start"]
        try:
            answer = account.run(command, timeout=START_SECONDS + 10)
        except subprocess.TimeoutExpired:
            raise ClusterError(
                f"PostgreSQL did not start within {START_SECONDS} s: see {log}"
            ) from None
        if answer.returncode == 0:
            return
        said = log.read_bytes()[before:].decode(errors="replace") if log.exists() else ""
        blocked = "shared memory block" in said or "lock file" in said
        if not blocked or time.monotonic() > deadline:
            raise _explain("PostgreSQL", answer, data, said)
        _end_orphans(data)
        time.sleep(0.3)


def _end_orphans(data: Path) -> None:
    """End backends whose server was killed: they hold its shared memory until their query ends."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or not _works_in(int(entry.name), data):
            continue
        try:
            ours = (entry / "exe").readlink().name == "postgres"
        except (FileNotFoundError, PermissionError):
            continue
        if ours:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(entry.name), signal.SIGTERM)


def _explain(
    what: str, answer: subprocess.CompletedProcess[bytes], data: Path, log: str = ""
) -> ClusterError:
    said = answer.stderr.decode(errors="replace") + answer.stdout.decode(errors="replace") + log
    if "No space left on device" in said:
        return DiskFullError(f"the disk of {data} is full: make room there and start again")
    wrong = [line for line in said.splitlines() if "FATAL" in line or "error:" in line]
    reason = (wrong or said.strip().splitlines() or ["no reason given"])[-1]
    return ClusterError(f"{what} failed over {data}: {reason} (more in {data}/server.log)")


def _provide_database(info: ClusterInfo) -> None:
    """Create the owner role, the database and PostGIS where they are missing."""
    with psycopg.connect(info.dsn("postgres", SUPERUSER), autocommit=True) as connection:
        role = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone()
        if role is None:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE").format(sql.Identifier(OWNER))
            )
    provide_database(info, DATABASE)


def provide_database(info: ClusterInfo, name: str, template: str = "template1") -> str:
    """Create database `name`, owned by the owner role and with PostGIS; return the owner's DSN."""
    with psycopg.connect(info.dsn("postgres", SUPERUSER), autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if known.fetchone() is None:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(OWNER), sql.Identifier(template)
                )
            )
    if template == "template1":
        with psycopg.connect(info.dsn(name, SUPERUSER), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS postgis")
            # a city's own plane grid is a row that the owner adds
            connection.execute(
                sql.SQL("GRANT SELECT, INSERT, UPDATE ON spatial_ref_sys TO {}").format(
                    sql.Identifier(OWNER)
                )
            )
    return info.dsn(name)
