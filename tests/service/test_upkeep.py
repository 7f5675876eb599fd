"""What keeps a service truthful over days: it follows the catalogue whatever a query runs into."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg
import shapely
from psycopg import sql

from geoserver_py import cluster as private
from geoserver_py.backup import mark_restored
from geoserver_py.cluster import ClusterInfo
from geoserver_py.services import Services, open_services
from geoserver_py.settings import Settings
from layers.access import SYSTEM, AccessClass
from layers.definition import load_definitions
from layers.edit import Change, Operation, write_changes
from layers.keys import add_key, hash_key, revoke_key
from layers.schema import apply
from tests.conftest import MakeDatabase

_WAITING = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'geoserver_py control' AND wait_event_type = 'Lock'"
)


async def _until(what: Callable[[], bool], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.05)


def _cancel_the_follower(admin: psycopg.Connection) -> None:
    """Let the query that looks at the catalogue wait, and cancel it as a time limit would."""
    with admin.transaction(), psycopg.connect(admin.info.dsn, autocommit=True) as watch:
        admin.execute("LOCK TABLE catalog.generation IN ACCESS EXCLUSIVE MODE")
        waiting = None
        while waiting is None:
            waiting = watch.execute(_WAITING).fetchone()
        watch.execute("SELECT pg_cancel_backend(%s)", waiting)
        while watch.execute(_WAITING).fetchone() == waiting:
            watch.execute("SELECT pg_sleep(0.02)")


def test_keys_are_still_followed_after_a_query_was_cancelled(database: str) -> None:
    """A follower that ends leaves revoked keys valid until somebody restarts the worker."""

    async def run(services: Services) -> None:
        with psycopg.connect(database, autocommit=True) as admin:
            token = add_key(admin, "one", bureau=None, classes=[AccessClass.GOVERNMENT])
            await _until(lambda: hash_key(token) in services.principals)
            await asyncio.to_thread(_cancel_the_follower, admin)
            assert revoke_key(admin, "one")
            await _until(lambda: hash_key(token) not in services.principals)

    asyncio.run(_with_services(database, run))


def test_names_are_read_again_after_the_gazetteer_failed_once(database: str) -> None:
    """The catalogue moved once; the gazetteer could not read its table at that moment."""

    async def run(services: Services) -> None:
        with psycopg.connect(database, autocommit=True) as admin:
            admin.execute("ALTER TABLE layer.poi RENAME TO poi_elsewhere")
            admin.execute("UPDATE catalog.layer SET revision = 7 WHERE name = 'poi'")
            await _until(lambda: services.catalogue.layers["poi"].revision == 7)
            await asyncio.sleep(0.3)
            admin.execute("ALTER TABLE layer.poi_elsewhere RENAME TO poi")
            known = services.gazetteer._sources
            await _until(lambda: services.gazetteer._sources is not known)
            assert services.gazetteer._sources["poi"].revision == 7

    with psycopg.connect(database) as connection:
        definitions = load_definitions()
        apply(connection, [definitions[n] for n in ("poi", "address", "road")])
    asyncio.run(_with_services(database, run))


async def _with_services(dsn: str, run: Callable[[Services], object]) -> None:
    async with open_services(Settings(database_url=dsn)) as services:
        await run(services)  # type: ignore[misc]


def test_a_table_under_load_is_busy_and_holds_up_no_other(database: str) -> None:
    """A first load locks its table until it commits; requests for it must not fill the pool."""

    async def run(services: Services) -> None:
        async def ask(layer: str) -> None:
            async with services.pools.reads() as connection:
                await connection.execute(
                    sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("layer", layer))
                )

        with psycopg.connect(database) as loading:
            loading.execute("LOCK TABLE layer.poi IN ACCESS EXCLUSIVE MODE")
            asked = asyncio.gather(*(ask("poi") for _ in range(8)), return_exceptions=True)
            await asyncio.sleep(0.2)
            async with asyncio.timeout(4):
                await ask("road")
            refused = await asked
        assert {getattr(problem, "code", problem) for problem in refused} == {"busy"}

    with psycopg.connect(database) as connection:
        definitions = load_definitions()
        apply(connection, [definitions[n] for n in ("poi", "road")])
    asyncio.run(_with_services(database, run))


def _new_place(dsn: str, name: str) -> None:
    change = Change(
        Operation.INSERT, name, {"name": name, "category": "health"},
        shapely.to_wkb(shapely.Point(116.1, 24.3)),
    )  # fmt: skip
    with psycopg.connect(dsn) as connection:
        write_changes(connection, load_definitions()["poi"], [change], principal=SYSTEM)


def test_a_restored_database_with_the_same_counters_is_seen_as_another(
    cluster: ClusterInfo, make_database: MakeDatabase
) -> None:
    """Backup at revision 1; revision 2 is lost; after the restore another revision 2 is made."""
    dsn = make_database("upkeep")
    with psycopg.connect(dsn) as connection:
        apply(connection, [load_definitions()[name] for name in ("poi", "address", "road")])
    _new_place(dsn, "甲医院")
    name = dsn.partition("@/")[2].partition("?")[0]
    restored = private.provide_database(cluster, f"{name}_restored", name)
    _new_place(dsn, "乙医院")
    _new_place(restored, "丙医院")
    with psycopg.connect(restored) as connection:
        mark_restored(connection)

    async def names(services: Services) -> set[str]:
        index = await services.gazetteer.index(SYSTEM)
        return {place.name for place in index.places if place.name.endswith("医院")}

    async def run(services: Services) -> None:
        assert await names(services) == {"甲医院", "乙医院"}
        with psycopg.connect(cluster.dsn("postgres", "postgres"), autocommit=True) as admin:
            for old, new in ((name, f"{name}_lost"), (f"{name}_restored", name)):
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                    [old],
                )
                admin.execute(
                    sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                        sql.Identifier(old), sql.Identifier(new)
                    )
                )
        async with asyncio.timeout(20):
            while await names(services) != {"甲医院", "丙医院"}:
                await asyncio.sleep(0.1)

    try:
        asyncio.run(_with_services(dsn, run))
    finally:
        for leftover in (f"{name}_lost", f"{name}_restored"):
            private.drop_database(cluster, leftover)
