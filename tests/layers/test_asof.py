"""Every revision can be looked at again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from psycopg import sql

from layers.asof import revision_at, versions
from layers.write import Deletes
from tests.layers.support import deliver, published


def test_every_revision_shows_what_was_delivered_then(database: str) -> None:
    connection, definition = published(database)
    rng = np.random.default_rng(20261122)
    delivered: list[dict[str, int]] = [{}]
    began = datetime.now(UTC)
    for _ in range(12):
        # full deliveries in which features come, change, go, and come again
        state = {f"L{k}": int(rng.integers(3)) for k in np.flatnonzero(rng.random(30) < 0.7)}
        rows: list[dict[str, Any]] = [
            {"id": name, "lamps": lamps, "at": (116, 24)} for name, lamps in state.items()
        ]
        result = deliver(connection, definition, rows, deletes=Deletes.ABSENT)
        connection.commit()
        assert result.revision == len(delivered)
        delivered.append(state)
    query = sql.SQL("SELECT id, lamps FROM {} AS past").format(versions(definition))
    for revision, state in enumerate(delivered):
        past = connection.execute(query, {"as_of": revision}).fetchall()
        assert len(past) == len(state)
        assert dict(past) == state
    assert revision_at(connection, "lamp", began) == 0
    moments = connection.execute("SELECT revision, at FROM catalog.revision ORDER BY 1").fetchall()
    for revision, at in moments:
        assert revision_at(connection, "lamp", at) == revision
