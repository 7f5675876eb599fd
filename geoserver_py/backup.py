"""Backup and restore of the whole database through pg_dump and pg_restore, with progress.

A backup is one file in pg_dump's custom format, written beside its final name and renamed when
complete. A restore goes into an empty database in one transaction, so nothing half-loaded stays.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from geoserver_py.errors import WorkFailed
from layers.migrate import ROLES

Advance = Callable[[int, int, str], None]  # done, total (bytes of tables, or entries), what
_DUMPING = re.compile(r'dumping contents of table "([^"]+)\.([^"]+)"')
_RESTORING = re.compile(r"pg_restore: (creating|processing data for|executing) (.*)")
# made with the database by its superuser; an owner may not restore them
_NOT_OURS = re.compile(r" (EXTENSION - postgis|COMMENT - EXTENSION |ACL public TABLE spatial_ref)")


@dataclass(frozen=True)
class BackupResult:
    """What was written or read: file, its size in bytes, tables with rows, seconds."""

    file: Path
    bytes: int
    tables: int
    seconds: float


def program(name: str, bin_dir: Path | None) -> str:
    """Return the path of `pg_dump` or `pg_restore`; WorkFailed when it is not installed."""
    found = str(bin_dir / name) if bin_dir else shutil.which(name)
    if found is None or not Path(found).exists():
        raise WorkFailed(f"{name} is not installed: install the package postgresql-client")
    return found


def backup(dsn: str, file: Path, pg_dump: str, advance: Advance) -> BackupResult:
    """Write the database of `dsn` to `file`; raises WorkFailed and leaves no partial file."""
    if file.exists():
        raise WorkFailed(f"{file} exists: name another file, a backup is never overwritten")
    if not file.absolute().parent.is_dir():
        raise WorkFailed(f"{file.absolute().parent} is not a folder: create it first")
    began = time.monotonic()
    sizes = _table_sizes(dsn)
    total = sum(sizes.values())
    part = file.with_name(f"{file.name}.part")
    command = [pg_dump, "--format=custom", "--compress=6", "--verbose", "--no-password"]
    command += [f"--file={part}", f"--dbname={dsn}"]
    done, tables, running = 0, 0, ""
    try:
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            last: list[str] = []
            for line in process.stderr or ():
                last = [*last[-5:], line.strip()]
                found = _DUMPING.search(line)
                if found:
                    done += sizes.get(running, 0)
                    running = f"{found[1]}.{found[2]}"
                    tables += 1
                    advance(done, total, running)
        if process.returncode != 0:
            raise WorkFailed(f"backup to {file} failed: {_reason(last)}")
        part.rename(file)
    finally:
        part.unlink(missing_ok=True)
    advance(total, total, "")
    return BackupResult(file, file.stat().st_size, tables, time.monotonic() - began)


def restore(
    dsn: str, file: Path, pg_restore: str, advance: Advance, *, keep_owners: bool
) -> BackupResult:
    """Load `file` into the empty database of `dsn`, wholly or not at all.

    `keep_owners` needs a superuser; without it everything belongs to the role of `dsn`. Raises
    WorkFailed when the database holds tables of ours or `file` is no backup.
    """
    began = time.monotonic()
    if not file.is_file():
        raise WorkFailed(f"{file} is not a file")
    _require_empty(dsn)
    listing = subprocess.run(
        [pg_restore, "--list", str(file)], capture_output=True, text=True, check=False
    )
    if listing.returncode != 0:
        raise WorkFailed(f"{file} is no backup: {_reason(listing.stderr.splitlines())}")
    entries = [line for line in listing.stdout.splitlines() if not _NOT_OURS.search(line)]
    total = sum(1 for line in entries if line and not line.startswith(";"))
    tables = sum(1 for line in entries if " TABLE DATA " in line)
    _provide_roles(dsn)
    with tempfile.NamedTemporaryFile("w", suffix=".list", encoding="utf-8") as chosen:
        chosen.write("\n".join(entries))
        chosen.flush()
        command = [pg_restore, "--single-transaction", "--exit-on-error"]
        command += [] if keep_owners else ["--no-owner"]
        command += ["--verbose", "--no-password", f"--use-list={chosen.name}"]
        command += [f"--dbname={dsn}", str(file)]
        done = 0
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            last: list[str] = []
            for line in process.stderr or ():
                last = [*last[-5:], line.strip()]
                found = _RESTORING.search(line)
                if found:
                    done += 1
                    advance(min(done, total), total, found[2].strip())
    if process.returncode != 0:
        raise WorkFailed(f"restore of {file} failed and left nothing behind: {_reason(last)}")
    with psycopg.connect(dsn, autocommit=True) as connection:
        mark_restored(connection)
        connection.execute("ANALYZE")  # a dump carries no planner statistics
    advance(total, total, "")
    return BackupResult(file, file.stat().st_size, tables, time.monotonic() - began)


def mark_restored(connection: psycopg.Connection) -> None:
    """Move the catalogue's generation to one that no worker and no client can have seen.

    Counters go on from where the backup stood: without this, what was published between backup
    and restore could come back under the same numbers with other content.
    """
    connection.execute(
        "UPDATE catalog.generation SET generation ="
        " greatest(generation + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)"
    )


def _table_sizes(dsn: str) -> dict[str, int]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT schemaname || '.' || relname, pg_table_size(relid) FROM pg_stat_user_tables"
        )
        return {str(name): int(size) for name, size in rows}


def _provide_roles(dsn: str) -> None:
    """Create the group roles that the backup's grants name: roles are no part of a database."""
    with psycopg.connect(dsn) as connection:
        known = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
        for role in ROLES:
            if role not in known:
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))


def _require_empty(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT string_agg(nspname, ', ') FROM pg_namespace"
            " WHERE nspname IN ('catalog', 'layer', 'history', 'gazetteer', 'jobs')"
        ).fetchone()
    if row and row[0]:
        raise WorkFailed(
            f"the database is not empty (schemas {row[0]}): restore into a new database, or say "
            "--replace to replace the private one"
        )


def _reason(lines: list[str]) -> str:
    wrong = [line for line in lines if "error:" in line or "FATAL" in line]
    return (wrong or lines or ["no reason given"])[-1]
