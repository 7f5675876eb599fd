"""The private PostGIS: made, started, found again after a crash, and stopped.

One cluster a clone, under `.data/pg`, listening on a unix socket only, in a short temporary
folder that only its account and root may enter; so the socket needs no password. The server is a
session of its own (pg_ctl does that), which Ctrl-C does not reach: whoever starts it calls `stop`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from geoserver_py.cluster_host import (
    ClusterError,
    choose_place,
    find_account,
    find_programs,
    require_room,
)
from geoserver_py.cluster_server import (
    PORT,
    SUPERUSER,
    configure,
    end_server,
    initialise,
    made_by,
    postmaster_pid,
    socket_folder,
    start_server,
)

DATABASE = "geoserver_py"
OWNER = "geoserver_py"


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
        major = made_by(data)
        programs = find_programs(major, bin_dir)
        if major is None:
            initialise(data, programs, account, durable=durable)
        configure(data, account, durable=durable)
        sockets = socket_folder(account, data)
        try:
            start_server(data, sockets, programs, account)
        except ClusterError:
            shutil.rmtree(sockets, ignore_errors=True)
            raise
        pid = postmaster_pid(data)
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
    if recorded is None or postmaster_pid(recorded.data) != recorded.pid:
        return None
    try:
        with psycopg.connect(recorded.dsn("postgres", SUPERUSER), connect_timeout=5):
            return recorded
    except psycopg.OperationalError:
        return None


def alive(info: ClusterInfo) -> bool:
    """Say whether the server process of `info` still runs; asks the kernel, not the server."""
    return postmaster_pid(info.data) == info.pid


def stop(paths: ClusterPaths, *, patience: float = 3.0) -> bool:
    """Stop the cluster of `paths`; True if one was running.

    Clients are disconnected at once (fast); after `patience` seconds without success the server
    is stopped without a checkpoint (immediate), which its next start recovers from.
    """
    recorded = _recorded(paths)
    if recorded is None:
        return False
    with _locked(paths):
        ran = end_server(recorded.data, patience)
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
        # what was made for the data alone goes too; a folder of somebody's is never empty then
        own = folder.parent
        if own.parent == Path("/var/tmp") and own.exists() and not any(own.iterdir()):
            own.rmdir()
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


def drop_database(info: ClusterInfo, name: str) -> None:
    """Drop database `name` if it exists, and its connections with it."""
    with psycopg.connect(info.dsn("postgres", SUPERUSER), autocommit=True) as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


def rename_database(info: ClusterInfo, name: str, wanted: str) -> None:
    """Rename database `name` to `wanted`; nobody may be connected to it."""
    with psycopg.connect(info.dsn("postgres", SUPERUSER), autocommit=True) as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                sql.Identifier(name), sql.Identifier(wanted)
            )
        )
