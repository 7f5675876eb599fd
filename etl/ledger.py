"""What the catalogue remembers of deliveries: runs, rejected rows, and how accurate a layer is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
import shapely
from psycopg import sql
from psycopg.types.json import Jsonb

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


def register(connection: psycopg.Connection, delivery: Delivery) -> None:
    """Remember the delivery and hold its lock until the connection closes.

    Runs of this delivery that never ended are marked failed: their process is gone, since it
    would hold the lock. Raises DeliveryBusy.
    """
    row = connection.execute(
        "SELECT pg_try_advisory_lock(hashtextextended('delivery:' || %s, 0))", [delivery.name]
    ).fetchone()
    if row is None or not row[0]:
        raise DeliveryBusy(
            f"交付 {delivery.name} 正在运行，请等它结束 (this delivery is already running)"
        )
    connection.execute(
        """
        UPDATE catalog.run
        SET status = 'failed', finished_at = clock_timestamp(),
            report = coalesce(report, '{}') || %(report)s
        WHERE delivery = %(name)s AND status = 'running'
        """,
        {"name": delivery.name, "report": _jsonb({"reason": "运行中断 (the process ended)"})},
    )
    connection.execute(
        """
        INSERT INTO catalog.delivery (name, bureau, city, synthetic, document)
        VALUES (%(name)s, %(bureau)s, %(city)s, %(synthetic)s, %(document)s)
        ON CONFLICT (name) DO UPDATE
            SET bureau = excluded.bureau, city = excluded.city, synthetic = excluded.synthetic,
                document = excluded.document
        """,
        {
            "name": delivery.name,
            "bureau": delivery.bureau,
            "city": delivery.city,
            "synthetic": delivery.synthetic,
            "document": _jsonb(dict(delivery.document)),
        },
    )


def begin(
    connection: psycopg.Connection, delivery: Delivery, layer: str, principal: Principal
) -> int:
    """Open a run of a delivery into one layer; returns its id."""
    row = connection.execute(
        """
        INSERT INTO catalog.run (delivery, layer, bureau, principal, synthetic)
        VALUES (%s, %s, %s, %s, %s) RETURNING id
        """,
        [delivery.name, layer, delivery.bureau, principal.name, delivery.synthetic],
    ).fetchone()
    if row is None:
        raise RuntimeError("INSERT ... RETURNING gave no row")
    return int(row[0])


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

    Call it after the runs were finished, in the transaction that wrote the features.
    """
    runs = sql.SQL(
        """
        SELECT applied_steps, accuracy_m FROM catalog.run
        WHERE id IN (SELECT DISTINCT run FROM {table}) ORDER BY id
        """
    ).format(table=sql.Identifier("layer", definition.name))
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


def stored_report(connection: psycopg.Connection, run: int) -> Mapping[str, Any] | None:
    """The report of a run as it was kept, or None for an unknown run."""
    row = connection.execute("SELECT report FROM catalog.run WHERE id = %s", [run]).fetchone()
    return None if row is None else (row[0] or {})
