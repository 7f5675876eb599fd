"""Owner and privileges of a layer's table, carried over to the one that takes its place.

What `ALTER DEFAULT PRIVILEGES` gives a new table is taken away again where the old one had not.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from layers import tables

_ACL = """
SELECT CASE WHEN acl.grantee <> 0 THEN pg_get_userbyid(acl.grantee) END, acl.privilege_type,
    bool_or(acl.is_grantable)
FROM pg_class
CROSS JOIN aclexplode(
    coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
) WITH ORDINALITY AS acl
WHERE pg_class.oid = %s::regclass
GROUP BY 1, 2 ORDER BY min(acl.ordinality)
"""

Acl = dict[tuple[str | None, str], bool]
"""Role (None: PUBLIC) and privilege: whether the role may pass it on."""


@dataclass(frozen=True)
class Rights:
    """Owner and privileges of a layer's table, and of the sequence of its `fid`."""

    owner: str
    table: Acl
    sequence: Acl


def rights_of(connection: psycopg.Connection, layer: str) -> Rights:
    """Those that a layer's table has now; ValueError where there is none."""
    found = connection.execute(
        "SELECT tableowner FROM pg_tables WHERE schemaname = 'layer' AND tablename = %s", [layer]
    ).fetchone()
    if found is None:
        raise ValueError(f"{layer}: no table of schema layer")
    table, sequence = _names(connection, layer)
    return Rights(str(found[0]), _acl(connection, table), _acl(connection, sequence))


def restore(connection: psycopg.Connection, layer: str, rights: Rights) -> None:
    """Give a layer's table exactly these rights: what is missing and nothing beyond."""
    table = tables.layer_table(layer)
    # first: what the maker of the table may do passes to the owner, the sequence with it
    connection.execute(
        sql.SQL("ALTER TABLE {} OWNER TO {}").format(table, sql.Identifier(rights.owner))
    )
    for kind, name, wanted in zip(
        ("TABLE", "SEQUENCE"),
        _names(connection, layer),
        (rights.table, rights.sequence),
        strict=True,
    ):
        target = sql.SQL(f"{kind} {name}")  # as the catalogue quotes it
        for statement in _differences(target, _acl(connection, name), wanted):
            connection.execute(statement)


def _differences(target: sql.Composable, present: Acl, wanted: Acl) -> list[sql.Composed]:
    """Statements that make `wanted` of `present`; privileges are words of the catalogue."""
    found = []
    for (role, privilege), passed_on in present.items():
        kept = (role, privilege) in wanted
        if not kept or (passed_on and not wanted[role, privilege]):
            option = "GRANT OPTION FOR " if kept else ""
            found.append(
                sql.SQL("REVOKE {} ON {} FROM {}").format(
                    sql.SQL(option + privilege), target, _role(role)
                )
            )
    for (role, privilege), grantable in wanted.items():
        there = (role, privilege) in present
        if not there or (grantable and not present[role, privilege]):
            option = " WITH GRANT OPTION" if grantable else ""
            found.append(
                sql.SQL("GRANT {} ON {} TO {}{}").format(
                    sql.SQL(privilege), target, _role(role), sql.SQL(option)
                )
            )
    return found


def _names(connection: psycopg.Connection, layer: str) -> tuple[str, str]:
    """Table and sequence of a layer, qualified and quoted."""
    row = connection.execute(
        "SELECT name, pg_get_serial_sequence(name, 'fid') FROM format('layer.%%I', %s::text)"
        " AS name",
        [layer],
    ).fetchone()
    if row is None or row[1] is None:
        raise ValueError(f"{layer}: its fid has no sequence")
    return str(row[0]), str(row[1])


def _acl(connection: psycopg.Connection, relation: str) -> Acl:
    return {
        (role, privilege): grantable
        for role, privilege, grantable in connection.execute(_ACL, [relation])
    }


def _role(name: str | None) -> sql.Composable:
    return sql.SQL("PUBLIC") if name is None else sql.Identifier(name)
