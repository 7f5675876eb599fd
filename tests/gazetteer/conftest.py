"""The small city in a database, and the service over it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from starlette.testclient import TestClient

from gazetteer.service import GazetteerService
from gazetteer.store import Connection
from geoserver_py.app import create_application
from geoserver_py.settings import Settings
from layers.catalogue import load_catalogue_async
from layers.city import load_city
from tests.gazetteer import city


@pytest.fixture(scope="module")
def city_dsn(module_database: str) -> str:
    city.load(module_database)
    return module_database


@pytest.fixture(scope="module")
def client(city_dsn: str) -> Iterator[TestClient]:
    settings = Settings(database_url=city_dsn)
    with TestClient(create_application(settings), raise_server_exceptions=False) as client:
        yield client


@contextlib.asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[tuple[GazetteerService, Connection]]:
    """A loaded service without HTTP, and a connection for its house numbers."""

    @contextlib.asynccontextmanager
    async def connect() -> AsyncIterator[Connection]:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            yield connection

    service = GazetteerService(connect, load_city("meizhou"))
    async with connect() as connection:
        await service.follow(await load_catalogue_async(connection))
        yield service, connection
