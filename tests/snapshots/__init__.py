"""Snapshots: known answers for whole objects as readable text files, with one line for each fact.

A test calls `check` with the name of its file in this folder. After an intended change, `python -m tests.snapshots`
writes all files again. Read the diff before you commit it: a snapshot records what the code does, not what is right.
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
_DIGITS = 7  # significant digits of a number; sums in another order differ in later ones
_MAX = 24  # longest list whose values are all written; longer ones are written as both ends, length and sum
_ENDS = 3
_ROWS = 240  # characters of the longest list of lists that is written in one line


def check(name: str, text: str) -> None:
    """Compare a text with the file `name`, line by line; with `WRITE` in the environment, write the file."""
    path, lines = ROOT / name, text.rstrip("\n").split("\n")
    if os.environ.get(WRITE):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert path.exists(), f"{name} is missing: run python -m tests.snapshots"
    known = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    assert lines == known, "\n".join([f"{name} differs:", *difflib.unified_diff(known, lines, lineterm="", n=0)])


def flat(value: Any, name: str = "") -> str:
    """Return a nested value with one line for each leaf, such as "layout.title.x = 0".

    A list of plain values is one leaf. The plain leaves of a list item share one line, such as "data[0]: mode = lines,
    marker.size = 9". Numbers have seven significant digits; long lists are written as both ends, the number of values
    and their sum. Fields of dataclasses and named tuples are written with their names, even if they are None or empty.
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
    if callable(value):  # its repr has an address, which varies
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
