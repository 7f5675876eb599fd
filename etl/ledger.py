"""What the catalogue remembers of deliveries: runs, rejected rows, and how accurate a layer is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import psycopg
import shapely
from psycopg import sql
from psycopg.types.json import Jsonb

from etl.abandoned import Abandoned, close_abandoned
from etl.delivery import Delivery
from layers.access import Principal
from layers.definition import LayerDefinition


class DeliveryBusy(RuntimeError):  # noqa: N818 - it names a state, not a fault
    """The same delivery is being run by somebody else at this moment."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row of catalog.reject; `place` is in CGCS2000 degrees."""

    file: str | None
    row: int | None
    id: str | None
    rule: str
    reason: str
    severity: str
    record: Mapping[str, Any] | None
    place: shapely.Point | None


def json_text(value: object) -> str:
    """JSON of any record: dates as ISO, bytes and other values as text, NaN as null."""
    text = orjson.dumps(value, default=str, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    # jsonb cannot hold U+0000, and dbf files padded with it do occur
    return text.replace("\\u0000", "")


def _jsonb(value: object) -> Jsonb:
    return Jsonb(value, dumps=json_text)


def hold(connection: psycopg.Connection, delivery: str) -> None:
    """Hold the lock of a delivery until the connection closes; DeliveryBusy if somebody has it."""
    row = connection.execute(
        "SELECT pg_try_advisory_lock(hashtextextended('delivery:' || %s, 0))", [delivery]
    ).fetchone()
    if row is None or not row[0]:
        raise DeliveryBusy(
            f"交付 {delivery} 正在运行，请等它结束 (this delivery is already running)"
        )


def register(connection: psycopg.Connection, delivery: Delivery) -> tuple[Abandoned, ...]:
    """Hold the delivery's lock until the connection closes, and remember the delivery.

    Returns the runs, of any delivery, that it found abandoned and closed. The lock comes last:
    with it held, open runs of this very delivery would look alive. Raises DeliveryBusy.
    """
    abandoned = close_abandoned(connection)
    hold(connection, delivery.name)
    remember(connection, delivery)
    return abandoned


def remember(connection: psycopg.Connection, delivery: Delivery) -> None:
    """Keep the delivery as it is written now."""
    connection.execute(
        """
        INSERT INTO catalog.delivery (name, bureau, city, synthetic, document, expected_every)
        VALUES (%(name)s, %(bureau)s, %(city)s, %(synthetic)s, %(document)s, %(every)s)
        ON CONFLICT (name) DO UPDATE
            SET bureau = excluded.bureau, city = excluded.city, synthetic = excluded.synthetic,
                document = excluded.document, expected_every = excluded.expected_every
        """,
        {
            "name": delivery.name,
            "bureau": delivery.bureau,
            "city": delivery.city,
            "synthetic": delivery.synthetic,
            "document": _jsonb(dict(delivery.document)),
            "every": delivery.expected_every,
        },
    )


def begin(
    connection: psycopg.Connection,
    delivery: Delivery | PastRun,
    layer: str,
    principal: Principal,
    *,
    attempt: int | None = None,
) -> int:
    """Open a run of a delivery into one layer, or one that rolls a past run back; its id.

    `attempt` is the first run of the same start, None for that first one itself.
    """
    name = delivery.delivery if isinstance(delivery, PastRun) else delivery.name
    reverts = delivery.run if isinstance(delivery, PastRun) else None
    path = None if isinstance(delivery, PastRun) else str(delivery.path.absolute())
    row = connection.execute(
        """
        INSERT INTO catalog.run
            (delivery, layer, bureau, principal, synthetic, attempt, reverts, path)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING id
        """,
        [name, layer, delivery.bureau, principal.name, delivery.synthetic, attempt, reverts, path],
    ).fetchone()
    if row is None:
        raise RuntimeError("INSERT ... RETURNING gave no row")
    return int(row[0])


def never_began(
    connection: psycopg.Connection, delivery: str, principal: Principal, reason: str
) -> int:
    """Keep the failure of a known delivery whose file cannot be read: a run without a layer."""
    row = connection.execute(
        """
        INSERT INTO catalog.run
            (delivery, bureau, principal, synthetic, status, finished_at, report)
        SELECT name, bureau, %(principal)s, synthetic, 'failed', clock_timestamp(), %(report)s
        FROM catalog.delivery WHERE name = %(delivery)s RETURNING id
        """,
        {
            "delivery": delivery,
            "principal": principal.name,
            "report": _jsonb({"reason": reason}),
        },
    ).fetchone()
    if row is None:
        raise LookupError(f"没有交付 {delivery} (no such delivery)")
    return int(row[0])


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run of the ledger. `revision` is what it made of its layer; None if it changed nothing."""

    run: int
    delivery: str
    layer: str
    bureau: str
    synthetic: bool
    status: str
    started_at: datetime
    revision: int | None
    reverts: int | None
    reverted_by: int | None


def past_runs(connection: psycopg.Connection, run: int) -> tuple[PastRun, ...]:
    """The run and the others of the same start, in order; empty for an unknown run."""
    rows = connection.execute(
        """
        SELECT run.id, coalesce(run.delivery, ''), run.layer, coalesce(run.bureau, ''),
            coalesce(run.synthetic, false), run.status, run.started_at,
            (SELECT revision FROM catalog.revision
             WHERE revision.run = run.id AND revision.layer = run.layer),
            run.reverts,
            (SELECT max(later.id) FROM catalog.run AS later
             WHERE later.reverts = run.id AND later.status = 'succeeded')
        FROM catalog.run
        WHERE coalesce(run.attempt, run.id)
            = (SELECT coalesce(attempt, id) FROM catalog.run WHERE id = %s)
        ORDER BY run.id
        """,
        [run],
    )
    return tuple(PastRun(*row) for row in rows)


def finish(
    connection: psycopg.Connection,
    run: int,
    status: str,
    *,
    counts: Mapping[str, int],
    report: Mapping[str, Any],
    steps: Iterable[Mapping[str, Any]],
    accuracy_m: float | None,
) -> None:
    """Close a run with its outcome; `report` is kept whole for `etl report`."""
    connection.execute(
        """
        UPDATE catalog.run
        SET status = %(status)s, finished_at = clock_timestamp(), counts = %(counts)s,
            report = %(report)s, applied_steps = %(steps)s, accuracy_m = %(accuracy_m)s
        WHERE id = %(run)s
        """,
        {
            "run": run,
            "status": status,
            "counts": _jsonb(dict(counts)),
            "report": _jsonb(dict(report)),
            "steps": _jsonb(list(steps)),
            "accuracy_m": accuracy_m,
        },
    )


def reject(connection: psycopg.Connection, run: int, rows: Iterable[Rejection]) -> None:
    """Keep rejected and warned rows with their source records."""
    statement = (
        "COPY catalog.reject (run, file, source_row, id, rule, reason, severity, record, geom)"
        " FROM STDIN"
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            record = None if row.record is None else json_text(row.record)
            place = None
            if row.place is not None:
                place = shapely.to_wkb(
                    shapely.set_srid(row.place, 4490), hex=True, include_srid=True
                )
            fixed = (run, row.file, row.row, row.id, row.rule, row.reason, row.severity)
            copy.write_row((*fixed, record, place))


def layer_is_synthetic(connection: psycopg.Connection, layer: str) -> bool | None:
    """Whether the features that a layer holds are synthetic; None for an empty layer."""
    row = connection.execute(
        "SELECT synthetic FROM catalog.layer WHERE name = %s AND feature_count > 0", [layer]
    ).fetchone()
    return None if row is None else row[0]


def describe_layer(
    connection: psycopg.Connection, definition: LayerDefinition, synthetic: bool
) -> None:
    """Publish steps and accuracy of a layer: of the runs whose rows it holds, the worst counts.

    A row that an edit changed counts by the last run that placed it. Call it after the runs were
    finished, in the transaction that wrote the features.
    """
    runs = sql.SQL(
        """
        SELECT applied_steps, accuracy_m FROM catalog.run
        WHERE id IN (
            SELECT DISTINCT coalesce(live.run, (
                SELECT past.run FROM {history} AS past
                WHERE past.fid = live.fid AND past.run IS NOT NULL
                ORDER BY past.revision DESC LIMIT 1
            )) FROM {table} AS live
        ) ORDER BY id
        """
    ).format(
        table=sql.Identifier("layer", definition.name),
        history=sql.Identifier("history", definition.name),
    )
    steps: list[Any] = []
    accuracies: list[float] = []
    for run_steps, accuracy in connection.execute(runs):
        steps += [step for step in run_steps if step not in steps]
        if accuracy is not None:
            accuracies.append(float(accuracy))
    changed = connection.execute(
        """
        UPDATE catalog.layer
        SET applied_steps = %(steps)s, accuracy_m = %(accuracy)s, synthetic = %(synthetic)s
        WHERE name = %(layer)s
            AND (applied_steps, accuracy_m, synthetic)
                IS DISTINCT FROM (%(steps)s::jsonb, %(accuracy)s::float8, %(synthetic)s::boolean)
        """,
        {
            "layer": definition.name,
            "steps": _jsonb(steps),
            "accuracy": max(accuracies, default=None),
            "synthetic": synthetic,
        },
    )
    if changed.rowcount:
        connection.execute("SELECT catalog.bump_generation()")
