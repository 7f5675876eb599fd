"""API keys: random tokens that name a bureau and the access classes it may read.

Only SHA-256 of a token is stored. A slow password hash protects guessable secrets; a token of 256
random bits cannot be guessed, so a fast hash is as safe and needs no salt, and every request can
be checked by a look-up of the hash.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from layers.access import AccessClass, Principal, Right

PREFIX = "gsp_"
"""Start of every token, so that secret scanners and people recognise one that leaked."""

VALID = (
    "SELECT hash, name, bureau, classes, rights, layers FROM catalog.api_key"
    " WHERE revoked_at IS NULL"
)


class KeyNameTaken(ValueError):  # noqa: N818 - it names an outcome
    """A valid key has the name already; the message says what to do."""


@dataclass(frozen=True)
class ApiKey:
    """A key without its secret."""

    name: str
    bureau: str | None
    classes: frozenset[AccessClass]
    created_at: datetime
    revoked_at: datetime | None
    rights: frozenset[Right] = frozenset()
    layers: tuple[str, ...] | None = None


def hash_key(token: str) -> str:
    """Return the stored form of a token: SHA-256 in hexadecimal."""
    return hashlib.sha256(token.encode()).hexdigest()


def add_key(
    connection: psycopg.Connection[Any],
    name: str,
    *,
    bureau: str | None,
    classes: Iterable[AccessClass],
    rights: Iterable[Right] = (),
    layers: Iterable[str] | None = None,
) -> str:
    """Create a key and return its token, which nobody can read again.

    `layers` may be delivered to, by default those of the bureau. Raises KeyNameTaken when a valid
    key has the name, ValueError for a key that is to deliver but names no bureau.
    """
    allowed = sorted(set(rights))
    if allowed == [Right.DELIVER] and bureau is None:
        raise ValueError(
            "交付密钥须写明委办局 (a key that delivers must name its bureau: --bureau)"
        )
    token = PREFIX + secrets.token_urlsafe(32)
    granted = sorted({AccessClass.PUBLIC, *classes})
    try:
        with connection.transaction():
            connection.execute(
                "INSERT INTO catalog.api_key (name, bureau, classes, hash, rights, layers)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                [
                    name,
                    bureau,
                    [c.value for c in granted],
                    hash_key(token),
                    [right.value for right in allowed],
                    None if layers is None else sorted(layers),
                ],
            )
            connection.execute("SELECT catalog.bump_generation()")
    except psycopg.errors.UniqueViolation as taken:
        raise KeyNameTaken(
            f"已有名为 {name} 的有效密钥 (a valid key has this name); "
            f"run `geoserver-py keys revoke {name}` first, or choose another name"
        ) from taken
    return token


def revoke_key(connection: psycopg.Connection[Any], name: str) -> bool:
    """End the validity of a key; return False when no valid key has the name."""
    ended = connection.execute(
        "UPDATE catalog.api_key SET revoked_at = clock_timestamp()"
        " WHERE name = %s AND revoked_at IS NULL",
        [name],
    )
    if ended.rowcount:
        connection.execute("SELECT catalog.bump_generation()")
    return bool(ended.rowcount)


def list_keys(connection: psycopg.Connection[Any]) -> list[ApiKey]:
    """Return all keys, also revoked ones, oldest first."""
    rows = connection.execute(
        "SELECT name, bureau, classes, created_at, revoked_at, rights, layers"
        " FROM catalog.api_key ORDER BY id"
    )
    return [
        ApiKey(
            name,
            bureau,
            frozenset(map(AccessClass, classes)),
            created_at,
            revoked_at,
            frozenset(map(Right, rights)),
            None if layers is None else tuple(layers),
        )
        for name, bureau, classes, created_at, revoked_at, rights, layers in rows
    ]


async def load_principals(connection: psycopg.AsyncConnection[Any]) -> Mapping[str, Principal]:
    """Return the principals of all valid keys by the hash of the key."""
    rows = await (await connection.execute(VALID)).fetchall()
    return {
        str(stored): Principal(
            name,
            bureau,
            frozenset(map(AccessClass, classes)),
            frozenset(map(Right, rights)),
            None if layers is None else frozenset(layers),
        )
        for stored, name, bureau, classes, rights, layers in rows
    }
