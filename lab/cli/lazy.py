"""A command group that imports a command's module when the command is called, not when the program starts.

Listing runs must not wait for torch. The group's help needs a summary of every command, so the table repeats it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import click

from lab.lazy import load

PACKAGE = "lab.cli.commands"


class LazyCommand(NamedTuple):
    """A command's name, the first sentence of its help, and its place in `lab.cli.commands` ("module:function")."""

    name: str
    summary: str
    place: str


class LazyGroup(click.Group):
    """A Click group whose commands are imported on demand."""

    def __init__(self, *args: Any, lazy: Sequence[LazyCommand] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = {command.name: command for command in lazy}

    def list_commands(self, ctx: click.Context | None = None) -> list[str]:
        """Return the names of all commands, sorted."""
        return sorted({*self.lazy, *self.commands})

    def get_command(self, ctx: click.Context | None, cmd_name: str) -> click.Command | None:
        """Import and return one command; None for an unknown name."""
        if cmd_name in self.lazy and cmd_name not in self.commands:
            self.add_command(load(f"{PACKAGE}.{self.lazy[cmd_name].place}"), cmd_name)
        return self.commands.get(cmd_name)

    def load_all(self) -> dict[str, click.Command]:
        """Import every command and return them by name."""
        for name in self.lazy:
            self.get_command(None, name)
        return dict(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, without importing them."""
        width = formatter.width - 6 - max(map(len, self.lazy), default=0)
        named = sorted(self.lazy.items())
        rows = [(name, click.Command(name, help=one.summary).get_short_help_str(width)) for name, one in named]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
