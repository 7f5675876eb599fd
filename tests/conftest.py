"""Fixtures that the whole suite shares: a private PostGIS and the real data beside the clone.

cluster         (session)  ClusterInfo of a PostgreSQL of this test run, in a temporary folder,
                           without fsync; started by the same code as the service's own
make_database   (session)  make_database("name") -> DSN of a fresh database with the catalogue
                           migrated; make_database("name", migrated=False): PostGIS only.
                           Copied from a template (0.1 s), dropped when the session ends
database        (function) DSN of a fresh migrated database, dropped after the test
postgis         (function) DSN of a fresh database with PostGIS and nothing else, dropped after
module_database (module)   DSN of one migrated database for all tests of a module
shared_data     (session)  folder of the real data sets: GEOSERVER_PY_TEST_DATA, or `shared/data`
                           beside the clone; the test is skipped with a reason where it is absent

A DSN connects as the owner role; `cluster.dsn("name", "postgres")` is the superuser's.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from geoserver_py import cluster as private
from geoserver_py.cluster import ClusterInfo, ClusterPaths
from layers.migrate import upgrade

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = "gspy-test-"
POSTGIS_TEMPLATE = "template_postgis"
MIGRATED_TEMPLATE = "template_geoserver"


class MakeDatabase(Protocol):
    """Type of the `make_database` fixture."""

    def __call__(self, name: str, *, migrated: bool = True) -> str: ...


def _remove_abandoned() -> None:
    """Remove the clusters of test runs that were killed: their folder names their process."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        pid = folder.name.removeprefix(FOLDER).split("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            private.stop(ClusterPaths(folder))
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[ClusterInfo]:
    _remove_abandoned()
    root = Path(tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-"))
    root.chmod(0o755)  # the server's account must pass through
    paths = ClusterPaths(root)
    yield private.ensure_running(paths, durable=False)
    private.stop(paths, patience=1.0)
    shutil.rmtree(root)


@pytest.fixture(scope="session")
def postgis_template(cluster: ClusterInfo) -> str:
    private.provide_database(cluster, POSTGIS_TEMPLATE)
    return POSTGIS_TEMPLATE


@pytest.fixture(scope="session")
def migrated_template(cluster: ClusterInfo, postgis_template: str) -> str:
    dsn = private.provide_database(cluster, MIGRATED_TEMPLATE, postgis_template)
    upgrade(dsn)
    return MIGRATED_TEMPLATE


@pytest.fixture(scope="session")
def make_database(cluster: ClusterInfo, request: pytest.FixtureRequest) -> Iterator[MakeDatabase]:
    numbers = itertools.count(1)
    made: list[str] = []

    def make(name: str, *, migrated: bool = True) -> str:
        wanted = "migrated_template" if migrated else "postgis_template"
        template: str = request.getfixturevalue(wanted)
        unique = re.sub(r"\W+", "_", name)[:40].lower() + f"_{next(numbers)}"
        made.append(unique)
        return private.provide_database(cluster, unique, template)

    yield make
    for name in made:
        private.drop_database(cluster, name)


def _one(make: MakeDatabase, cluster: ClusterInfo, name: str, migrated: bool) -> Iterator[str]:
    dsn = make(name, migrated=migrated)
    yield dsn
    private.drop_database(cluster, dsn.partition("@/")[2].partition("?")[0])


@pytest.fixture
def database(
    make_database: MakeDatabase, cluster: ClusterInfo, request: pytest.FixtureRequest
) -> Iterator[str]:
    yield from _one(make_database, cluster, request.node.name, migrated=True)


@pytest.fixture
def postgis(
    make_database: MakeDatabase, cluster: ClusterInfo, request: pytest.FixtureRequest
) -> Iterator[str]:
    yield from _one(make_database, cluster, request.node.name, migrated=False)


@pytest.fixture(scope="module")
def module_database(
    make_database: MakeDatabase, cluster: ClusterInfo, request: pytest.FixtureRequest
) -> Iterator[str]:
    name = request.node.name.rpartition("/")[2].removesuffix(".py")
    yield from _one(make_database, cluster, name, migrated=True)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    named = os.environ.get("GEOSERVER_PY_TEST_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data sets at {folder} (GEOSERVER_PY_TEST_DATA names another place)")
    return folder
