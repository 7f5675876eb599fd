"""What the machine offers a private PostgreSQL: its programs, an account to run as, a place.

initdb refuses root and a user without a passwd entry, so a caller who is root hands the server
to an unprivileged account; that account must be able to enter the folder of the data files.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from geoserver_py.errors import WorkFailed

MINIMUM_MAJOR = 15  # generated columns over ST_Transform were checked on PostgreSQL 15
ACCOUNTS = ("postgres", "geoserver-py")  # in this order, when the caller is root
SMALLEST_FREE = 400 * 2**20  # bytes: an empty cluster with PostGIS and its first WAL take 90 MB


class ClusterError(WorkFailed):
    """The private PostgreSQL cannot do what was asked; the sentence says what would help."""


class ProgramsMissingError(ClusterError):
    """PostgreSQL or PostGIS is not installed."""


class AccountMissingError(ClusterError):
    """There is no unprivileged account that may run the server."""


class DiskFullError(ClusterError):
    """No room for the data files."""


@dataclass(frozen=True)
class Programs:
    """The `bin` folder of one PostgreSQL that has PostGIS, and its major version."""

    bin: Path
    major: int

    def path(self, name: str) -> str:
        """Return the full path of one program, e.g. `pg_ctl`."""
        return str(self.bin / name)


_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
    "MALLOC_TOP_PAD_": str(1 << 20),
}
"""glibc keeps what a backend frees up to 64 MiB instead of giving it back to the kernel: a page of
1 000 polygons or a tile allocates and frees megabytes, and page faults were a sixth of its CPU time
(3.2 ms instead of 4.8 for the polygons, 2.1 instead of 2.8 for points). mallopt(3)."""


@dataclass(frozen=True)
class Account:
    """The user that owns the data files and runs the server; `switch` when it is not the caller."""

    name: str
    uid: int
    gid: int
    home: str
    switch: bool

    def run(
        self, command: list[str], *, timeout: float = 120
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `command` as this account from `/`, in an environment without libpq's variables.

        The caller's folder may be closed to the account, hence `/`; PGDATA, PGPORT and the like
        of the caller must not steer a private server; Ctrl-C must not cut pg_ctl short, hence a
        session of its own.
        """
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": self.home,
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            **_ALLOCATOR,
        }
        if self.switch:
            return subprocess.run(
                command,
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                check=False,
                start_new_session=True,
                user=self.uid,
                group=self.gid,
                extra_groups=[],
                umask=0o077,
            )
        return subprocess.run(
            command,
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
            start_new_session=True,
            umask=0o077,
        )


def find_programs(major: int | None = None, bin_dir: Path | None = None) -> Programs:
    """Return a PostgreSQL with PostGIS: `bin_dir`, or the newest installed (or just `major`).

    Raises ProgramsMissingError with the command that installs them.
    """
    candidates = [bin_dir] if bin_dir else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    on_path = shutil.which("pg_ctl")
    if not bin_dir and on_path:
        candidates.append(Path(on_path).resolve().parent)
    found = [p for p in map(_inspect, candidates) if p and p.major >= MINIMUM_MAJOR]
    if major is not None:
        found = [p for p in found if p.major == major]
    if found:
        return max(found, key=lambda p: p.major)
    wanted = f"PostgreSQL {major}" if major else f"PostgreSQL {MINIMUM_MAJOR} or newer"
    where = f" in {bin_dir}" if bin_dir else ""
    raise ProgramsMissingError(
        f"{wanted} with PostGIS was not found{where}: run `make setup` as root or with sudo, or "
        "install the packages postgresql-15 and postgresql-15-postgis-3, or set DATABASE_URL to "
        "a PostGIS database that exists"
    )


def _inspect(folder: Path) -> Programs | None:
    needed = ("initdb", "pg_ctl", "postgres", "pg_config")
    if not all((folder / name).exists() for name in needed):
        return None
    answer = subprocess.run(
        [str(folder / "pg_config"), "--version", "--sharedir"],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        return None
    version, share = answer.stdout.splitlines()[:2]
    if not (Path(share) / "extension" / "postgis.control").exists():
        return None
    return Programs(folder, int(version.split()[1].split(".")[0]))


def find_account(data: Path) -> Account:
    """Return who runs the server over `data`.

    An ordinary caller runs it itself. For root it is the owner of data files that exist already,
    else the first of ACCOUNTS. Raises AccountMissingError when root has no such account or the
    caller no passwd entry, ClusterError when `data` belongs to somebody else.
    """
    uid = os.geteuid()
    owner = data.stat().st_uid if data.exists() else 0
    if uid != 0 and owner not in (0, uid):
        raise ClusterError(
            f"{data} belongs to user id {owner}, who made it in an earlier start: start again as "
            "that user or as root, or remove it with `sudo make clean`"
        )
    if uid != 0:
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            raise AccountMissingError(
                f"user id {uid} has no entry in /etc/passwd, and PostgreSQL's initdb needs one: "
                "add the entry, start as another user, or set DATABASE_URL"
            ) from None
        return Account(entry.pw_name, uid, entry.pw_gid, entry.pw_dir, switch=False)
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    owners = [entry.pw_name for entry in known.values() if owner and entry.pw_uid == owner]
    for name in (*owners, *ACCOUNTS):
        if name in known:
            entry = known[name]
            return Account(name, entry.pw_uid, entry.pw_gid, entry.pw_dir, switch=True)
    raise AccountMissingError(
        "PostgreSQL does not run as root and there is no user `postgres`: create one with "
        "`useradd --system --home-dir /nonexistent geoserver-py`, or start as an ordinary user"
    )


def choose_place(wanted: Path, account: Account) -> tuple[Path, str]:
    """Return a folder owned by `account`, mode 700, and a note ("" when it is `wanted` itself).

    Another folder under /var/tmp, keyed by `wanted`, is taken when the account may not enter
    `wanted` (a clone below /root) or the file system keeps no owners (a shared folder of a VM).
    """
    if _make_private(wanted, account):
        return wanted, ""
    key = hashlib.sha256(str(wanted).encode()).hexdigest()[:12]
    elsewhere = Path("/var/tmp") / f"geoserver-py-{key}" / "pg"
    ours = not elsewhere.parent.exists() or elsewhere.parent.lstat().st_uid == os.geteuid()
    if ours and _make_private(elsewhere, account):
        note = (
            f"the data files are in {elsewhere}, because user {account.name}, who runs the "
            f"server, may not enter {wanted.parent}"
        )
        return elsewhere, note
    raise ClusterError(
        f"user {account.name}, who runs PostgreSQL, may not use {wanted} nor {elsewhere}: move "
        f"the clone out of folders closed to others (`namei -m {wanted}` shows them), or remove "
        f"{elsewhere.parent} if it belongs to somebody else"
    )


def _make_private(folder: Path, account: Account) -> bool:
    """Create `folder` for `account`; False if it cannot be its own, closed and reachable one."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (account.uid, os.geteuid()):
            return False
        if account.switch:
            os.chown(folder, account.uid, account.gid)
        folder.chmod(0o700)
        found = folder.lstat()
    except PermissionError:
        return False
    if found.st_uid != account.uid or stat.S_IMODE(found.st_mode) != 0o700:
        return False
    return account.run(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)]).returncode == 0


def require_room(folder: Path, least: int = SMALLEST_FREE) -> None:
    """Raise DiskFullError when the file system of `folder` has less than `least` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < least:
        raise DiskFullError(
            f"{folder} is on a disk with {free // 2**20} MB free, and PostgreSQL needs at least "
            f"{least // 2**20} MB: make room, or put the clone on another disk"
        )
