"""Bring the schemas that Alembic owns (catalog, gazetteer, jobs, staging) to the newest revision.

The schemas `layer` and `history` are not Alembic's: `layers.schema.apply` derives them from the
layer definitions.
"""

from __future__ import annotations

from importlib import resources

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

LOCK = 0x6773_7079_0001
"""Advisory lock that makes two upgrades of one database wait for each other."""

ROLES = {
    "geoserver_py_owner": "owns every schema and table",
    "geoserver_py_loader": "writes layers through layers.write",
    "geoserver_py_editor": "asks for runs and edits; no direct write to schema layer",
    "geoserver_py_reader": "reads; the role of the request pools",
}


class MigrationRefused(RuntimeError):  # noqa: N818 - it names an outcome
    """The database cannot be migrated; the message says what a database administrator must do."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files("layers") / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """Return the newest revision that this code has."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    if newest is None:
        raise MigrationRefused("layers/migrations 里没有版本 (the package lacks its migrations)")
    return newest


def current(dsn: str) -> str | None:
    """Return the revision that the database is at; None before the first upgrade."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT to_regclass('catalog.migration') IS NOT NULL").fetchone()
        if row is None or not row[0]:
            return None
        found = connection.execute("SELECT version_num FROM catalog.migration").fetchone()
        return None if found is None else str(found[0])


def upgrade(dsn: str) -> None:
    """Create roles, PostGIS and the catalogue schema where missing, then run what is pending.

    Idempotent; concurrent callers wait for each other. Raises MigrationRefused when the login
    role of the DSN may not do what is needed.
    """
    with psycopg.connect(dsn, autocommit=True) as guard:
        guard.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        _provide_roles(guard)
        _provide_postgis(guard)
        guard.execute("CREATE SCHEMA IF NOT EXISTS catalog")
        engine = create_engine(
            "postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), poolclass=NullPool
        )
        with engine.begin() as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        engine.dispose()


def _provide_roles(connection: psycopg.Connection) -> None:
    """Create the NOLOGIN group roles, and make the login role a member of them."""
    for role in ROLES:
        name = sql.Identifier(role)
        try:
            exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
            if exists.fetchone() is None:
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(name))
            member = connection.execute("SELECT pg_has_role(current_user, %s, 'MEMBER')", [role])
            if member.fetchone() != (True,):
                connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(name))
        except psycopg.errors.DuplicateObject:
            continue  # another database of the same cluster was migrated at the same moment
        except psycopg.errors.InsufficientPrivilege as refused:
            raise MigrationRefused(
                f"登录角色无权建立数据库角色 the login role may not create role {role}: grant it "
                f"CREATEROLE, or let an administrator create {', '.join(ROLES)} and grant them"
            ) from refused


def _provide_postgis(connection: psycopg.Connection) -> None:
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS postgis")
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported) as refused:
        raise MigrationRefused(
            f"无法启用 PostGIS cannot enable PostGIS ({refused.diag.message_primary}): let an "
            "administrator run CREATE EXTENSION postgis in this database"
        ) from refused
