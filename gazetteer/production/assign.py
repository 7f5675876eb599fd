"""Giving codes to the records of the address layer, and checking those that were given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from gazetteer.numbers import house_number
from gazetteer.production.codes import AddressCoder, AddressUnit
from gazetteer.production.statements import statement

_TOGETHER = 1000


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that got no code, and why."""

    address: str
    style: str
    reason: str


@dataclass(frozen=True, slots=True)
class Assigned:
    """What an assignment did; ``kept`` had a live code of that style already."""

    assigned: int
    kept: int
    refused: tuple[Refused, ...]


class StoredNumbers:
    """Serial numbers kept in gazetteer.code_number; other assignments wait until the caller's
    transaction ends, so that a number is never given twice."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute("LOCK TABLE gazetteer.code_number IN EXCLUSIVE MODE")
        self._connection = connection
        self._scopes: dict[str, dict[str, int]] = {}

    def number(self, scope: str, name: str, most: int) -> int:
        """The number of a name, given at its first use; ValueError where the scope is full."""
        known = self._scopes.get(scope)
        if known is None:
            rows = self._connection.execute(
                "SELECT name, number FROM gazetteer.code_number WHERE scope = %s", [scope]
            )
            known = self._scopes[scope] = dict(rows.fetchall())
        if name not in known:
            number = max(known.values(), default=0) + 1
            if number > most:
                raise ValueError(
                    f"代码段 {scope} 已满（{most}）the scope is full; widen it in the city profile"
                )
            self._connection.execute(
                "INSERT INTO gazetteer.code_number (scope, name, number) VALUES (%s, %s, %s)",
                [scope, name, number],
            )
            known[name] = number
        return known[name]


def assign(
    connection: psycopg.Connection[Any],
    coders: Iterable[AddressCoder],
    ids: Sequence[str] | None = None,
) -> Assigned:
    """Give every record (or those of ``ids``) a code of each style; the caller commits.

    A record keeps the code that it has. Two records of one standard address would get one code:
    the second, by id, is refused, since one of them is a duplicate.
    """
    assigned = kept = 0
    refused: list[Refused] = []
    numbers = StoredNumbers(connection)
    for coder in coders:
        cursor = connection.execute(
            "SELECT count(*) FROM gazetteer.address_code WHERE style = %s AND retired_at IS NULL"
            " AND (%s::text[] IS NULL OR address = ANY (%s))",
            [coder.style, ids, ids],
        )
        row = cursor.fetchone()
        kept += row[0] if row else 0
        for units in _uncoded(connection, coder.style, ids):
            given: dict[str, str] = {}
            for unit in units:
                try:
                    code = coder.encode(unit, numbers)
                except ValueError as lacking:
                    refused.append(Refused(unit.id, coder.style, str(lacking)))
                    continue
                if code in given:
                    refused.append(_same(unit.id, coder.style, given[code], code))
                else:
                    given[code] = unit.id
            taken = connection.execute(
                "SELECT code, address FROM gazetteer.address_code WHERE code = ANY (%s)",
                [list(given)],
            ).fetchall()
            own = [code for code, other in taken if given[code] == other]
            for code, other in taken:
                if code not in own:
                    refused.append(_same(given.pop(code), coder.style, other, code))
            # a code that was the address's own once, e.g. its spot when only its number changed
            connection.execute(
                "UPDATE gazetteer.address_code SET retired_at = NULL WHERE code = ANY (%s)", [own]
            )
            assigned += len(own)
            for code in own:
                del given[code]
            with connection.cursor() as writer:
                writer.executemany(
                    "INSERT INTO gazetteer.address_code (code, style, address) VALUES (%s, %s, %s)",
                    [(code, coder.style, address) for code, address in given.items()],
                )
            assigned += len(given)
    return Assigned(assigned, kept, tuple(refused))


def retire_codes(connection: psycopg.Connection[Any], address: str) -> int:
    """End the codes of an address that is no more; they are never given again."""
    return connection.execute(
        "UPDATE gazetteer.address_code SET retired_at = clock_timestamp()"
        " WHERE address = %s AND retired_at IS NULL",
        [address],
    ).rowcount


def check_codes(
    connection: psycopg.Connection[Any], coders: Iterable[AddressCoder]
) -> list[tuple[str, str]]:
    """Codes on record with what is wrong with them: form, check digit, an address that is gone."""
    by_style = {coder.style: coder for coder in coders}
    wrong: list[tuple[str, str]] = []
    cursor = connection.execute(statement("codes_on_record"))
    for code, style, address, is_live in cursor.fetchall():
        wrong += [(code, fault.zh) for fault in by_style[style].faults(code)]
        if not is_live:
            wrong.append((code, f"地址 {address} 已不在图层中 (its address is gone)"))
    return wrong


def unit_of(row: dict[str, Any]) -> AddressUnit:
    """The parts that a code is made of, from a row of the layer.

    The plate is written in one form (１２号 and 12号 are one plate); an estate without a road
    stands where a street does.
    """
    number = house_number(row["number"]) if row["number"] else None
    plate = str(number) if number else (row["number"] or "")
    street = row["road"] or row["estate"] or ""
    inside = row["estate"] if row["road"] else ""
    return AddressUnit(
        id=row["id"],
        division=row["village_code"] or "",
        street=street,
        plate="|".join(part for part in (plate, inside, row["building"]) if part),
        room=row["unit"] or "",
        lon=row["lon"],
        lat=row["lat"],
    )


def _uncoded(
    connection: psycopg.Connection[Any], style: str, ids: Sequence[str] | None
) -> Iterator[list[AddressUnit]]:
    """Records without a live code of the style, by id, a thousand at a time."""
    after = ""
    while True:
        cursor = connection.execute(
            statement("uncoded"),
            {"style": style, "ids": ids, "after": after, "count": _TOGETHER},
        )
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        if not rows:
            return
        yield [unit_of(row) for row in rows]
        after = rows[-1]["id"]


def _same(address: str, style: str, other: str, code: str) -> Refused:
    return Refused(address, style, f"与 {other} 是同一标准地址 (same standard address: {code})")
