"""Run a delivery: stage every layer first, then write them all in one transaction, or none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psycopg

from etl import ledger
from etl.checks.finding import RuleBook
from etl.datum.store import load_registry
from etl.delivery import Delivery, DeliveryError, Load, load_delivery
from etl.detection import References
from etl.layer_work import Context, LayerWork, Progress
from etl.report import LoadReport
from etl.setting import all_cities, city_of, parameters_of
from etl.spread import Checks, InTurn
from etl.transaction import Transaction
from etl.turns import Notice, introduce
from layers.access import SYSTEM, Principal
from layers.city import CityProfile
from layers.codes import code_list
from layers.definition import LayerDefinition, load_definitions


def run_delivery(
    delivery: Delivery | Path,
    dsn: str,
    profile: CityProfile | None = None,
    *,
    definitions: Mapping[str, LayerDefinition] | None = None,
    principal: Principal = SYSTEM,
    reference: References | None = None,
    progress: Progress | None = None,
    notice: Notice | None = None,
    checks: Checks | None = None,
) -> tuple[LoadReport, ...]:
    """Load a delivery; one report a layer, in the order of the delivery file.

    All or nothing: if one layer fails or is blocked, no layer changes. Running the same delivery
    again changes nothing and consumes no revision. `profile` defaults to the delivery's city,
    `reference` is trusted linework for the datum detection. `notice` is called with sentences for
    the operator: runs found abandoned, runs waited for. `checks` says who checks the rows (see
    `etl.spread`). Raises DeliveryError for a delivery
    that cannot be run at all, ledger.DeliveryBusy while it is running elsewhere.
    """
    if isinstance(delivery, Path):
        delivery = load_delivery(delivery)
    frame = profile or city_of(delivery.path, delivery.city)
    known = definitions or load_definitions()
    grouped = _by_layer(delivery, frame, known)
    own = parameters_of(delivery.path, delivery.datum_parameters)
    with (
        psycopg.connect(dsn, autocommit=True) as log,
        psycopg.connect(dsn, autocommit=False) as work,
    ):
        tell = notice or _unheard
        for abandoned in ledger.register(log, delivery):
            tell(abandoned.sentence())
        context = Context(
            delivery=delivery,
            registry=load_registry(log).merged(own),
            frame=frame,
            known=known,
            other_frames=all_cities(),
            reference=reference,
            domains={
                field.domain: code_list(field.domain)
                for name in grouped
                for field in known[name].fields
                if field.domain is not None
            },
            log=log,
            work=work,
            connect=lambda: psycopg.connect(dsn),
            progress=progress or _silent,
            checks=checks or InTurn(),
        )
        works: list[LayerWork] = []
        for name, loads in grouped.items():
            attempt = works[0].run if works else None
            run = ledger.begin(log, delivery, name, principal, attempt=attempt)
            works.append(LayerWork(known[name], tuple(loads), run, RuleBook(known[name])))
        introduce(work, works[0].run)
        return Transaction(context, works, principal, tell).run()


def _by_layer(
    delivery: Delivery, frame: CityProfile, known: Mapping[str, LayerDefinition]
) -> dict[str, list[Load]]:
    if frame.name != delivery.city:
        raise DeliveryError(
            f"{delivery.path.name}: city: {delivery.city} 与城市配置 {frame.name} 不符 "
            f"(the delivery is for another city)"
        )
    grouped: dict[str, list[Load]] = {}
    for load in delivery.loads:
        definition = known.get(load.layer)
        if definition is None:
            raise DeliveryError(
                f"{delivery.path.name}: loads: 没有图层 no layer {load.layer!r}; "
                f"可用 known: {', '.join(sorted(known))}"
            )
        if definition.frame != frame.name:
            raise DeliveryError(
                f"{delivery.path.name}: loads: 图层 {load.layer} 属于 {definition.frame}，"
                f"不属于 {frame.name} (the layer belongs to another city profile)"
            )
        grouped.setdefault(load.layer, []).append(load)
    return grouped


def _unheard(_sentence: str) -> None:
    """Nobody to tell."""


def _silent(_layer: str, _rows: int, _total: int | None) -> None:
    """No progress shown."""
