"""What every sub-command says and how: one line for people, `--json` for machines, progress."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

JsonOption = Annotated[bool, typer.Option("--json", help="机器可读 / machine output")]


def say(line: str) -> None:
    """Print one line for people; flushed, since a log or a pipe may be what reads it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def warn(line: str) -> None:
    """Print one line on stderr, beside the answer."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def emit(value: Mapping[str, Any] | list[Any], *, as_json: bool, line: str) -> None:
    """Print `value` as one JSON document, or `line` for people."""
    say(orjson.dumps(value, default=str).decode() if as_json else line)


def progress(*, quiet: bool = False) -> Progress:
    """Return a progress display on stderr with share, elapsed time and time left."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(show_speed=True),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=quiet or not sys.stderr.isatty(),
        transient=True,
    )
