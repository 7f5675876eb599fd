"""A command group whose sub-commands are imported when they are run, not when they are listed.

Importing all rooms (GDAL, pandas, pygeoapi, the phrase book of the gazetteer) costs 2.4 s of CPU;
the help and `db status` need none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group


class LazyGroup(TyperGroup):
    """Sub-commands by name: ("module:attribute", help); a Typer app or a function."""

    sources: ClassVar[Mapping[str, tuple[str, str]]] = {}

    def list_commands(self, _ctx: Any) -> list[str]:
        """Names in the order of the table."""
        return list(self.sources)

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        """What the help lists, or the command itself once it was asked for."""
        if cmd_name in self.commands or cmd_name not in self.sources:
            return self.commands.get(cmd_name)
        return TyperGroup(name=cmd_name, help=self.sources[cmd_name][1])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that is run."""
        if args and args[0] in self.sources and args[0] not in self.commands:
            self.commands[args[0]] = _load(self.sources[args[0]][0], args[0])
        return super().resolve_command(ctx, args)


def _load(source: str, name: str) -> Any:
    module, _, attribute = source.partition(":")
    found = getattr(import_module(module), attribute)
    single = not isinstance(found, typer.Typer)
    if single:
        app = typer.Typer(add_completion=False)
        app.command(name)(found)
        found = app
    command = get_command(found) if single else get_group(found)
    command.name = name
    return command
