"""`geoserver-py db`: the private PostgreSQL and whatever database the service uses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import psycopg
import typer

from geoserver_py import cluster
from geoserver_py.cli.output import JsonOption, emit, progress, say
from geoserver_py.cluster_server import SUPERUSER
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import Settings, load_settings

if TYPE_CHECKING:
    from geoserver_py.backup import Advance, BackupResult

app = typer.Typer(help="数据库 / the database", no_args_is_help=True)


@app.command()
def up(as_json: JsonOption = False) -> None:
    """启动数据库 / start the private PostgreSQL; it stays until `db down`."""
    settings = _private("start")
    info = cluster.ensure_running(settings.cluster, keep=True, bin_dir=settings.postgres_bin)
    if info.note and not as_json:
        say(f"note: {info.note}")
    emit(_described(info), as_json=as_json, line=info.dsn())


@app.command()
def down(as_json: JsonOption = False) -> None:
    """停止数据库 / stop the private PostgreSQL."""
    stopped = cluster.stop(_private("stop").cluster)
    line = "PostgreSQL is stopped" if stopped else "PostgreSQL was not running"
    emit({"stopped": stopped}, as_json=as_json, line=line)


@app.command("status")
def show(as_json: JsonOption = False) -> None:
    """状态 / say what database is used and whether it answers; exit code 1 if it does not."""
    settings = load_settings()
    with psycopg.connect(settings.dsn(), connect_timeout=5) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version'), current_database(), current_user::text,"
            " pg_database_size(current_database())"
        ).fetchone()
        postgis = connection.execute(
            "SELECT extversion FROM pg_extension WHERE extname = 'postgis'"
        ).fetchone()
    if row is None or postgis is None:
        raise WorkFailed("the database has no PostGIS: `CREATE EXTENSION postgis` as superuser")
    running = None if settings.database_url else cluster.status(settings.cluster)
    answer = {
        "private": running is not None,
        "postgresql": row[0],
        "postgis": postgis[0],
        "database": row[1],
        "user": row[2],
        "bytes": row[3],
        "cluster": _described(running) if running else None,
    }
    where = str(running.data) if running else "DATABASE_URL"
    line = (
        f"{row[1]} as {row[2]}, {row[3] / 2**20:.0f} MB, PostgreSQL {row[0]}, "
        f"PostGIS {postgis[0]}, {where}"
    )
    emit(answer, as_json=as_json, line=line)


@app.command()
def migrate(as_json: JsonOption = False) -> None:
    """升级结构 / bring the catalogue's tables to this version; changes nothing when they are."""
    from layers.migrate import current, upgrade  # Alembic: 0.2 s that `db status` need not wait

    dsn = load_settings().dsn()
    before = current(dsn)
    upgrade(dsn)
    after = current(dsn)
    line = f"schema is at {after}" if before == after else f"schema went from {before} to {after}"
    emit({"before": before, "after": after}, as_json=as_json, line=line)


@app.command()
def remove(
    yes: Annotated[bool, typer.Option("--yes", help="确认 / really delete all data")] = False,
) -> None:
    """删除私有数据库 / stop the private PostgreSQL and delete its data files."""
    if not yes:
        raise typer.BadParameter("this deletes every row: say --yes", param_hint="--yes")
    cluster.remove(_private("remove").cluster)
    say("the private PostgreSQL and its data files are gone")


@app.command("backup")
def save(
    file: Annotated[Path, typer.Argument(help="文件 / file to write, pg_dump custom format")],
    as_json: JsonOption = False,
) -> None:
    """备份 / write the whole database to one file."""
    from geoserver_py.backup import backup, program

    settings = load_settings()
    with progress(quiet=as_json) as shown:
        task = shown.add_task("backup", total=None)

        def advance(done: int, total: int, what: str) -> None:
            shown.update(task, completed=done >> 10, total=total >> 10, description=what)

        pg_dump = program("pg_dump", _bin(settings))
        result = backup(_superuser_dsn(settings), file, pg_dump, advance)
    _report("backup", result, as_json=as_json)


@app.command("restore")
def load(
    file: Annotated[Path, typer.Argument(help="文件 / a file that `db backup` wrote")],
    replace: Annotated[
        bool, typer.Option("--replace", help="替换现有数据 / replace what the private one holds")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """恢复 / load a backup into the empty database, or with --replace in place of it."""
    from geoserver_py.backup import program, restore
    from layers.migrate import upgrade

    settings = load_settings()
    with progress(quiet=as_json) as shown:
        task = shown.add_task("restore", total=None)

        def advance(done: int, total: int, what: str) -> None:
            shown.update(task, completed=done, total=total, description=what)

        pg_restore = program("pg_restore", _bin(settings))
        if replace:
            result = _replace(_private("replace"), file, pg_restore, advance)
        else:
            private = settings.database_url is None
            dsn = _superuser_dsn(settings)
            result = restore(dsn, file, pg_restore, advance, keep_owners=private)
    upgrade(settings.dsn())  # a backup may be older than this code
    _report("restore", result, as_json=as_json)


def _replace(settings: Settings, file: Path, pg_restore: str, advance: Advance) -> BackupResult:
    """Restore beside the database in use and swap the two, so that a bad file costs nothing."""
    from geoserver_py.backup import restore

    info = cluster.status(settings.cluster)
    if info is None:
        raise WorkFailed("the private PostgreSQL does not run: `geoserver-py db up` starts it")
    fresh = f"{cluster.DATABASE}_restored_{os.getpid()}"
    cluster.provide_database(info, fresh)
    try:
        dsn = info.dsn(fresh, SUPERUSER)
        result = restore(dsn, file, pg_restore, advance, keep_owners=True)
    except WorkFailed:
        cluster.drop_database(info, fresh)
        raise
    cluster.drop_database(info, cluster.DATABASE)
    cluster.rename_database(info, fresh, cluster.DATABASE)
    return result


def _report(what: str, result: BackupResult, *, as_json: bool) -> None:
    answer = {
        "file": str(result.file),
        "bytes": result.bytes,
        "tables": result.tables,
        "seconds": round(result.seconds, 2),
    }
    line = (
        f"{what} of {result.tables} tables, {result.bytes / 2**20:.1f} MB, "
        f"{result.seconds:.1f} s: {result.file}"
    )
    emit(answer, as_json=as_json, line=line)


def _private(verb: str) -> Settings:
    settings = load_settings()
    if settings.database_url:
        raise WorkFailed(f"DATABASE_URL is set: there is no private PostgreSQL to {verb}")
    return settings


def _bin(settings: Settings) -> Path | None:
    running = None if settings.database_url else cluster.status(settings.cluster)
    return running.bin if running else settings.postgres_bin


def _superuser_dsn(settings: Settings) -> str:
    """Return the DSN that may read and write everything; outside, the one that we were given."""
    running = None if settings.database_url else cluster.status(settings.cluster)
    return running.dsn(user=SUPERUSER) if running else settings.dsn()


def _described(info: cluster.ClusterInfo) -> dict[str, object]:
    return {
        "dsn": info.dsn(),
        "data": str(info.data),
        "sockets": str(info.sockets),
        "pid": info.pid,
        "postgresql": info.major,
        "account": info.account,
        "note": info.note,
    }
