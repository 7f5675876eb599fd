"""Locks by which a process shows that it lives: PostgreSQL lets go of them when it ends, however.

A lock has two keys: the class of the work, and the number of the piece of work or of the slot.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

GRACE_SECONDS = 30
"""So long a process may take to start before work without one counts as broken off."""

HELD_BY_NONE = sql.SQL("""
    NOT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 2 AND granted
            AND classid = %(lock)s::bigint::oid AND objid = id::bigint::oid
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
""")
"""SQL: no process holds the lock of class `lock` for the row whose `id` stands around it."""


def try_hold(connection: psycopg.Connection[Any], kind: int, number: int) -> bool:
    """Hold a lock until the connection closes, without waiting; False where another does."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", [kind, number]).fetchone()
    return row == (True,)


def take_slot(connection: psycopg.Connection[Any], kind: int, slots: int) -> bool:
    """Take one of the places of work that runs at a time, without waiting."""
    return any(try_hold(connection, kind, slot) for slot in range(slots))
