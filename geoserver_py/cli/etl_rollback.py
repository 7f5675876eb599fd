"""`geoserver-py etl rollback`: bring the layers of a run back to what they were before it."""

from __future__ import annotations

from typing import Annotated

import typer

from etl.ledger import DeliveryBusy
from etl.rollback import RollbackRefused, rollback_run
from geoserver_py.cli.output import JsonOption, emit, say, warn
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import load_settings


def rollback(
    run_id: Annotated[int, typer.Argument(metavar="RUN", help="批次号 / number of the run")],
    keep_later: Annotated[
        bool,
        typer.Option(
            "--keep-later",
            help="后来改过的要素保持现状 / features changed since keep their newest state",
        ),
    ] = False,
    one_layer: Annotated[
        bool,
        typer.Option(
            "--one-layer",
            help="只回退该批次的图层 / not the other layers of the same delivery",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """回退批次 / bring the layers back to what they were before a run, as a new run.

    All layers of the delivery's start go back together, or none. Refused (exit code 1) when
    features of the run were changed since.
    """
    try:
        reports = rollback_run(
            run_id,
            load_settings().dsn(),
            keep_later=keep_later,
            one_layer=one_layer,
            notice=warn,
        )
    except (RollbackRefused, DeliveryBusy) as refused:
        raise WorkFailed(str(refused)) from refused
    if as_json:
        emit([report.to_json() for report in reports], as_json=True, line="")
        return
    for report in reports:
        say(f"{report.sentence()}；{report.reason}，批次 run {report.run}")
