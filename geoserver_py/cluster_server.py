"""One PostgreSQL server over one folder: made, configured, started, ended, its remains cleared.

Knows data folders and processes only; what a clone's cluster is and where it is recorded is
`geoserver_py.cluster`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from geoserver_py.cluster_host import Account, ClusterError, DiskFullError, Programs

SUPERUSER = "postgres"
PORT = 5432  # part of the socket's name only: no TCP port is opened
SOCKET_LIMIT = 107  # bytes of a unix socket's path on Linux, sun_path less its NUL
START_SECONDS = 60
ORPHAN_SECONDS = 10


def made_by(data: Path) -> int | None:
    """Return the major version that made `data`; a first start that was cut short is removed."""
    version = data / "PG_VERSION"
    if version.exists() and (data / "geoserver_py.made").exists():
        return int(version.read_text().strip())
    if any(data.iterdir()):
        if version.exists() and postmaster_pid(data):
            raise ClusterError(f"a PostgreSQL that is not ours runs over {data}: stop it")
        for item in data.iterdir():
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item)
            else:
                item.unlink()
    return None


def initialise(data: Path, programs: Programs, account: Account, *, durable: bool) -> None:
    """Make an empty cluster in UTF-8 (locale C.UTF-8); a mark says when it is complete.

    Text collates as C: the order is that of C.UTF-8 (code points), but PostgreSQL 15 compares
    bytes only under the name C and builds an index of 300 000 ids in half the time.
    """
    command = [programs.path("initdb"), "-D", str(data), "-U", SUPERUSER, "-A", "trust"]
    command += ["-E", "UTF8", "--locale=C.UTF-8", "--lc-collate=C", "--no-instructions"]
    command += ["--data-checksums"] if durable else ["--no-sync"]
    answer = account.run(command)
    if answer.returncode != 0:
        raise _explain("initdb", answer, data)
    _write(data / "geoserver_py.made", "initdb finished\n", account)


def shared_memory(folder: Path = Path("/dev/shm"), least: int = 256 * 2**20) -> str:
    """Return how parallel workers share memory: `posix` needs `folder`, with `least` bytes free.

    A container has 64 MB of it, or none, and a query or the start itself then fails; `sysv` is the
    kernel's own memory, which the server's lock needs in any case.
    """
    roomy = folder.is_dir() and shutil.disk_usage(folder).free >= least
    return "posix" if roomy else "sysv"


def configure(data: Path, account: Account, *, durable: bool) -> None:
    """Write our settings for this machine's memory; `durable=False` gives up crash safety."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    settings = {
        "listen_addresses": "",
        "dynamic_shared_memory_type": shared_memory(),
        "unix_socket_permissions": "0700",
        "max_connections": "120",
        "shared_buffers": f"{min(1024, max(64, memory // 8))}MB",
        "effective_cache_size": f"{max(256, memory // 2)}MB",
        "work_mem": "16MB",
        "maintenance_work_mem": f"{min(256, max(64, memory // 16))}MB",
        "random_page_cost": "1.1",
        "jit": "off",  # costs more than it saves on map queries; see the design's store section
        # nobody replicates from it, and rows of a table emptied in the same transaction (a layer's
        # first load) then reach the disk once, not once more as WAL
        "wal_level": "minimal",
        "max_wal_senders": "0",
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


def socket_folder(account: Account, data: Path) -> Path:
    """Create a folder for the socket, closed to others, with a path that is short enough.

    Its name follows from the place of the data files, so that a service finds the server again
    after `db down` and `db up`; where that name is taken it is any other.
    """
    name = f"gspy-{hashlib.sha256(os.fsencode(data)).hexdigest()[:8]}"
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        if len(os.fsencode(f"{parent}/gspy-xxxxxxxx/.s.PGSQL.{PORT}.lock")) > SOCKET_LIMIT:
            continue
        folder = Path(parent) / name
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            folder = Path(tempfile.mkdtemp(prefix="gspy-", dir=parent))
        if account.switch:
            os.chown(folder, account.uid, account.gid)
        inside = account.run(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)])
        if inside.returncode == 0:
            return folder
        folder.rmdir()
    raise ClusterError("no temporary folder with a path short enough for a unix socket: see TMPDIR")


def start_server(data: Path, sockets: Path, programs: Programs, account: Account) -> None:
    """Start the server; clears what a `kill -9` left: a stale lock file, orphaned backends."""
    log = data / "server.log"
    deadline = time.monotonic() + ORPHAN_SECONDS
    while True:
        if postmaster_pid(data) is None:
            (data / "postmaster.pid").unlink(missing_ok=True)
        else:
            lost = socket_of(data)
            end_server(data)  # its socket or our record of it is gone: start afresh
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
    if "shared memory segment" in said:
        return ClusterError(
            f"{what} has too little shared memory: give /dev/shm 64 MB or more "
            "(`mount -o remount,size=256m /dev/shm` as root; for a container, --shm-size=256m)"
        )
    if "No space left on device" in said:
        return DiskFullError(f"the disk of {data} is full: make room there and start again")
    wrong = [line for line in said.splitlines() if "FATAL" in line or "error:" in line]
    reason = (wrong or said.strip().splitlines() or ["no reason given"])[-1]
    return ClusterError(f"{what} failed over {data}: {reason} (more in {data}/server.log)")


def postmaster_pid(data: Path) -> int | None:
    """Return the process id of the live server over `data`; None for a stale lock file.

    The id in postmaster.pid may by now be somebody else's process: a server works in its data
    folder, so that is what is compared.
    """
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
    return pid if _works_in(pid, data) else None


def socket_of(data: Path) -> Path:
    """Return the socket folder that a running server wrote into its lock file (fifth line)."""
    lines = (data / "postmaster.pid").read_text().splitlines()
    return Path(lines[4]) if len(lines) > 4 else Path()


def _works_in(pid: int, data: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == data.resolve()
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return False


def end_server(data: Path, patience: float = 3.0) -> bool:
    """End the server over `data`, fast and then immediate; False if there was none."""
    pid = postmaster_pid(data)
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
