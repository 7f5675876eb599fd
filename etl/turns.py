"""Runs into one layer take turns: who waits is told for whom, in the ledger and on the screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import psycopg
from psycopg.types.json import Jsonb

from layers.revision import lock_layers

LAYER_CLASS = 0x6773_6C79
"""First key of the advisory locks of runs that write a layer."""

_NAME = "geoserver-py run {run}"
"""application_name of a run's connection: everybody may read it, whoever holds the lock."""

Notice = Callable[[str], None]
"""Called with a sentence for the operator."""


def introduce(work: psycopg.Connection, run: int) -> None:
    """Let others see which run this connection works for."""
    work.execute("SELECT set_config('application_name', %s, false)", [_NAME.format(run=run)])
    work.commit()  # a rollback would take the name back


def take_turn(
    work: psycopg.Connection,
    log: psycopg.Connection,
    layers: Iterable[str],
    runs: Sequence[int],
    notice: Notice,
) -> None:
    """Lock the layers for the transaction of `work`, waiting for other runs into them.

    Locks are taken in the order of names, so that two runs never wait for each other. Before a
    wait, `notice` and the ledger (``report.waiting`` of `runs`) say which run is in the way.
    """
    names = sorted(set(layers))
    for name in names:
        free = work.execute(
            "SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", [LAYER_CLASS, name]
        ).fetchone()
        if free == (True,):
            continue
        sentence = _who(log, name, runs[0])
        notice(sentence)
        log.execute(
            "UPDATE catalog.run SET report = coalesce(report, '{}') || %s WHERE id = ANY(%s)",
            [Jsonb({"waiting": sentence}), list(runs)],
        )
        work.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [LAYER_CLASS, name])
    lock_layers(work, names)


def _who(log: psycopg.Connection, layer: str, mine: int) -> str:
    row = log.execute(
        """
        SELECT activity.application_name
        FROM pg_locks JOIN pg_stat_activity AS activity USING (pid)
        WHERE locktype = 'advisory' AND objsubid = 2 AND granted
            AND classid = %s::bigint::oid
            AND objid = (hashtext(%s)::bigint & 4294967295)::oid
            AND pg_locks.database = (SELECT oid FROM pg_database
                                     WHERE datname = current_database())
        """,
        [LAYER_CLASS, layer],
    ).fetchone()
    found = None if row is None else re.fullmatch(r"geoserver-py run (\d+)", str(row[0]))
    if found is None:
        return (
            f"批次 {mine} 等候图层 {layer} 的另一次写入结束 "
            f"(run {mine} waits for another writer of {layer})"
        )
    other = int(found[1])
    holder = log.execute(
        "SELECT delivery, bureau, to_char(started_at, 'HH24:MI:SS') FROM catalog.run WHERE id = %s",
        [other],
    ).fetchone()
    delivery, bureau, since = holder or ("?", "?", "?")
    return (
        f"批次 {mine} 等候批次 {other}（{bureau}，交付 {delivery}，{since} 起）写完图层 {layer} "
        f"(run {mine} waits for run {other} to finish writing {layer})"
    )
