"""A database of an older version goes on working after `db migrate` alone."""

from __future__ import annotations

from importlib import resources

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from layers.lineage import lineage
from layers.migrate import current, head, upgrade
from tests.layers.support import deliver, published


def back_to(dsn: str, revision: str) -> None:
    """What an older version had made of the database."""
    config = Config()
    config.set_main_option("script_location", str(resources.files("layers") / "migrations"))
    config.set_main_option("path_separator", "os")
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), poolclass=NullPool
    )
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    engine.dispose()


def test_rows_from_before_lineage_are_kept_and_say_that_they_have_none(database: str) -> None:
    connection, definition = published(database)
    deliver(connection, definition, [{"id": "a", "at": (116, 24)}])
    deliver(connection, definition, [{"id": "a", "at": (116.1, 24)}])
    connection.execute("DELETE FROM catalog.outbox WHERE revision = 1")
    connection.commit()
    connection.close()
    back_to(database, "0005")
    assert current(database) == "0005"
    upgrade(database)
    assert current(database) == head()
    with psycopg.connect(database) as connection:
        deliver(connection, definition, [{"id": "b", "at": (116, 24)}])
        found = lineage(connection, definition, "a").versions
        assert [(v.revision, v.sources) for v in found] == [(1, ()), (2, ())]
        # what an operator had pruned by hand is known as a gap
        floor = connection.execute("SELECT layer, revision FROM catalog.outbox_floor")
        assert floor.fetchall() == [("lamp", 1)]
