"""How the shell prints: strict JSON, tables, and numbers a person can read."""

import dataclasses
import json
import math
import time
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 240  # characters

json_flag = click.option("--json", "as_json", is_flag=True, help="Print strict JSON and nothing else.")


def jsonable(value: Any) -> Any:
    """Return a value strict JSON can hold: NaN and infinities become "NaN", "Infinity", "-Infinity"."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return jsonable(dataclasses.asdict(value))
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [jsonable(item) for item in value]
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    return value


def print_json(value: Any) -> None:
    """Print one strict JSON document on standard output."""
    click.echo(json.dumps(jsonable(value), allow_nan=False, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """Print rows under headings; the columns named in `right` are numbers. Cells are text, never markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH)  # a file has no width: never fold an id that a script will read
    console.print(table)


def percent(share: float | None) -> str:
    """Write a share as per cent with two digits, or a dash."""
    return "–" if share is None else f"{100 * share:.2f} %"


def duration(seconds: float | None) -> str:
    """Write seconds as "8.3 s", "4 min 05 s" or "2 h 10 min"."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def moment(stamp: float | None) -> str:
    """Write a time of the clock in this machine's zone."""
    return "–" if stamp is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(stamp))
