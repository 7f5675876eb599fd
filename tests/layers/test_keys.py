"""API keys: shown once, stored as a hash, valid until revoked."""

from __future__ import annotations

import asyncio
import hashlib

import psycopg
import pytest

from layers.access import AccessClass, Principal
from layers.catalogue import load_catalogue
from layers.keys import KeyNameTaken, add_key, hash_key, list_keys, load_principals, revoke_key


def principals(dsn: str) -> dict[str, Principal]:
    async def load() -> dict[str, Principal]:
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            return dict(await load_principals(connection))

    return asyncio.run(load())


def test_a_key_names_its_bureau_and_classes_until_it_is_revoked(database: str) -> None:
    with psycopg.connect(database) as connection:
        token = add_key(connection, "巡查", bureau="城管局", classes=[AccessClass.GOVERNMENT])
    holder = principals(database)[hash_key(token)]
    assert holder == Principal(
        "巡查", "城管局", frozenset({AccessClass.PUBLIC, AccessClass.GOVERNMENT})
    )
    assert not holder.may_read(AccessClass.RESTRICTED)
    with psycopg.connect(database) as connection:
        before = load_catalogue(connection).generation
        assert revoke_key(connection, "巡查")
        assert not revoke_key(connection, "巡查")
        assert load_catalogue(connection).generation == before + 1  # servers notice
    assert principals(database) == {}


def test_the_token_itself_is_nowhere_in_the_database(database: str) -> None:
    with psycopg.connect(database) as connection:
        token = add_key(connection, "a", bureau=None, classes=[])
        row = connection.execute("SELECT to_jsonb(api_key)::text FROM catalog.api_key").fetchone()
    assert row is not None
    assert token not in row[0]
    assert hashlib.sha256(token.encode()).hexdigest() in row[0]
    assert len(token) > 43  # 256 random bits


def test_a_name_is_free_again_after_revocation(database: str) -> None:
    with psycopg.connect(database) as connection:
        first = add_key(connection, "a", bureau=None, classes=[])
        with pytest.raises(KeyNameTaken, match="revoke"):
            add_key(connection, "a", bureau=None, classes=[])
        revoke_key(connection, "a")
        assert add_key(connection, "a", bureau=None, classes=[]) != first
        assert [key.revoked_at is None for key in list_keys(connection)] == [False, True]
