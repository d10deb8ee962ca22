"""Output of all commands: strict JSON, tables, escaped text, and atomic writing of files."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.atomic_files import write_atomically
from lab.errors import InputError
from lab.settings import user_path
from lab.strict_json import with_names
from lab.system_errors import reason, remedy
from lab.text import escaped

PIPE_WIDTH = 10_000  # characters; wider than any row, so that ids that a script reads are not folded

json_flag = click.option("--json", "as_json", is_flag=True, help="Print strict JSON and nothing else.")


def echo(text: str, *, err: bool = False) -> None:
    """Print text with control characters escaped, because names and paths may contain anything."""
    click.echo(escaped(text, lines=True), err=err)


def print_json(value: Any) -> None:
    """Print one strict JSON document on standard output, in ASCII, which is valid in every terminal's encoding."""
    click.echo(json.dumps(with_names(value), allow_nan=False, indent=2))


def write_file(path: Path, data: bytes) -> None:
    """Write a file atomically, creating its parent folders. Raises `InputError` if that fails."""
    if str(path) == "-":
        raise InputError("- is not the name of a file: give one, or /dev/stdout for standard output.")
    try:
        place = user_path(path)
        if place.exists() and not place.is_file():
            place.write_bytes(data)  # a pipe or a device must not be replaced by a file: /dev/null would be lost
        else:
            write_atomically(Path(os.path.realpath(place)), (data,), private=False)
    except OSError as error:
        how = remedy(error, "choose another path")
        raise InputError(f"{path} cannot be written ({reason(error)}): {how}.") from error


def echo_written(path: Path, text: str) -> None:
    """Print what was written to a path, on standard error if the path is standard output, whose data must stay whole."""
    try:
        is_output = os.path.samestat(user_path(path).stat(), os.fstat(1))
    except OSError:  # a folder of files, or standard output is closed
        is_output = False
    echo(text, err=is_output)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """Print a table; the columns in `right` are aligned right. Cells are one line of plain text, without markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else escaped(str(cell))) for cell in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH)
    console.print(table)
