"""`geoserver-py layers outbox`: who reads the changes of the layers, and what may go."""

from __future__ import annotations

from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from geoserver_py.cli.output import JsonOption, emit, warn
from geoserver_py.errors import WorkFailed
from geoserver_py.settings import load_settings
from layers import outbox

app = typer.Typer(help="变更记录 / the outbox of changes", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """变更记录 / the outbox: consumers, pruning."""


@app.command()
def status(as_json: JsonOption = False) -> None:
    """消费者 / consumers, where each stands, and who must read a layer anew."""
    with psycopg.connect(load_settings().dsn()) as connection:
        found = outbox.consumers(connection)
    if as_json:
        emit([_consumer(one) for one in found], as_json=True, line="")
        return
    table = Table("消费者 consumer", "图层 layer", "位置 cursor", "落后 behind", "须重读 lost")
    for one in found:
        table.add_row(
            one.name, one.layer, str(one.cursor), str(one.behind), "是 yes" if one.lost else ""
        )
    Console().print(table)


@app.command()
def prune(
    keep_days: Annotated[
        float, typer.Option(min=0, help="保留天数 / days to keep, whoever read them")
    ] = 30,
    wait_days: Annotated[
        float, typer.Option(min=0, help="等候天数 / days that a silent consumer is waited for")
    ] = 90,
    as_json: JsonOption = False,
) -> None:
    """清除旧记录 / delete old entries; consumers left behind must read their layers anew."""
    with psycopg.connect(load_settings().dsn()) as connection:
        pruned = outbox.prune(connection, keep_days=keep_days, wait_days=wait_days)
    if not as_json:
        for one in pruned.left_behind:
            warn(
                f"{one.name} 停在图层 {one.layer} 的版本 {one.cursor}，须重读整个图层 "
                f"(left behind: it must read the whole layer anew)"
            )
    emit(
        {
            "entries": pruned.entries,
            "floors": dict(pruned.floors),
            "left_behind": [_consumer(one) for one in pruned.left_behind],
        },
        as_json=as_json,
        line=f"{pruned.entries} entries of {len(pruned.floors)} layers pruned",
    )


@app.command()
def forget(
    consumer: Annotated[str, typer.Argument(help="消费者 / consumer that is no more")],
) -> None:
    """注销消费者 / remove the cursors of a consumer, so that nothing is kept for it."""
    with psycopg.connect(load_settings().dsn()) as connection:
        gone = outbox.forget(connection, consumer)
    if not gone:
        raise WorkFailed(f"没有消费者 {consumer} (no such consumer; see `layers outbox status`)")


def _consumer(one: outbox.Consumer) -> dict[str, object]:
    return {
        "consumer": one.name,
        "layer": one.layer,
        "cursor": one.cursor,
        "newest": one.newest,
        "behind": one.behind,
        "lost": one.lost,
        "moved_at": one.moved_at,
    }
