"""Known answers of whole objects as texts: what a test compares is a file that people can read, a line for each fact.

A test calls `check` with the name of its file under this folder. After a change that is meant, `python -m tests.snapshots` writes all
files anew; what has changed is then read in the diff before it is committed, because a file says what the code does, not what is right.
"""

import dataclasses
import difflib
import math
import os
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent
WRITE = "LAB_WRITE_SNAPSHOTS"  # environment: files are written instead of compared
_DIGITS = 7  # significant ones of a number: sums in another order differ in later ones
_MAX = 24  # values of a list that are all written; of a longer one both ends, the number and the sum
_ENDS = 3
_ROWS = 240  # characters of a list of lists that stands in one line


def check(name: str, text: str) -> None:
    """Compare a text with the file `name`, line by line; with `WRITE` in the environment, write the file."""
    path, lines = ROOT / name, text.rstrip("\n").split("\n")
    if os.environ.get(WRITE):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert path.exists(), f"{name} is missing: run python -m tests.snapshots"
    known = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    assert lines == known, "\n".join([f"{name} says otherwise:", *difflib.unified_diff(known, lines, lineterm="", n=0)])


def flat(value: Any, name: str = "") -> str:
    """Return a nested value as a line for each leaf, such as "layout.title.x = 0"; a list of plain values is one leaf.

    The plain leaves of an item of a list stand in one line, such as "data[0]: mode = lines, marker.size = 9".

    Numbers have seven significant digits; of long lists only both ends, the number of values and their sum are written. Fields of dataclasses and named tuples are named; defaults of none and empty ones are there too.
    """
    return "\n".join(_lines(value, name))


def _lines(value: Any, name: str) -> Iterator[str]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    elif isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _lines(part, f"{name}.{_plain(key)}" if name else _plain(key))
    elif isinstance(value, list | tuple) and any(_nested(part) for part in value) and not _is_short(value):
        for at, part in enumerate(value):
            yield from _item(part, f"{name}[{at}]")
    else:
        yield f"{name} = {_plain(value)}" if name else _plain(value)


def _item(value: Any, name: str) -> Iterator[str]:
    lines = list(_lines(value, name))
    plain = [line for line in lines if " = [" not in line]
    if len(plain) > 1:
        yield f"{name}: {', '.join(line.removeprefix(name).removeprefix('.') for line in plain)}"
        lines = [line for line in lines if " = [" in line]
    yield from lines


def _is_short(value: Any) -> bool:
    rows = isinstance(value, list | tuple) and all(type(part) in (list, tuple) for part in value)
    return rows and not any(_nested(each) for part in value for each in part) and len(str(value)) < _ROWS


def _nested(value: Any) -> bool:
    if isinstance(value, list | tuple | np.ndarray):
        return True
    return isinstance(value, Mapping) or (dataclasses.is_dataclass(value) and not isinstance(value, type))


def _plain(value: Any) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if callable(value):  # its address is another one each time
        return str(getattr(value, "__qualname__", type(value).__name__))
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, float):
        return f"{value:.{_DIGITS}g}" if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        if len(value) > _MAX:
            ends = [*map(_plain, value[:_ENDS]), "…", *map(_plain, value[-_ENDS:])]
            numbers = [one for one in value if isinstance(one, int | float) and math.isfinite(one)]
            return f"[{', '.join(ends)}] ({len(value)} values, sum of the finite {_plain(float(sum(numbers)))})"
        return f"[{', '.join(_plain(part) for part in value)}]"
    text = value if isinstance(value, str) else repr(value)
    return text.replace("\n", "⏎")
