"""Tables that sort by what they show: a cell can be a number with a text of its own.

A click on a heading sorts text letter by letter, "10 of 20" before "9 of 20". A column of `NumberAsText` is sorted by
its numbers and shows their texts. Screen readers and the clipboard get the number, so its text should say little more.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from lab.config import FIELDS

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler


_LEADING = re.compile(r"[-\u2212]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?")


class NumberAsText(float):
    """A number that is shown as `text`: the one with which the text begins, else a given one."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, value: float, text: str) -> "NumberAsText":
        """Return the number with its text. value: used if the text does not begin with a number, such as "all"."""
        shown = _LEADING.match(text)
        number = super().__new__(cls, shown[0].replace(",", "").replace("\u2212", "-") if shown else value)
        number.text = text
        return number

    def __str__(self) -> str:
        return self.text


def number_cell(value: object, text: str) -> NumberAsText | str | None:
    """Return a cell that is sorted by its value if this is a number, else by its text; None if there is no value."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return NumberAsText(value, text)
    return None if value is None else text


def setting_cell(name: str, value: object, text: str) -> NumberAsText | str | None:
    """Return the cell of a setting or, for any other name, of a number; no limit is sorted after every limit."""
    no_limit = name in FIELDS and FIELDS[name].unlimited and value == 0
    return number_cell(math.inf if no_limit else value, text)


def sortable(rows: Sequence[Mapping[str, Any]]) -> "pd.DataFrame | Styler":
    """Return the rows for `st.dataframe` or `st.data_editor`; a column with words among its numbers is one of text.

    The columns of numbers need no `format`, which would replace their texts, and cannot be edited.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [_whole(row.get(name)) for row in rows] for name in names}
    numbers = [name for name, cells in columns.items() if _are_numbers(cells)]
    frame = pd.DataFrame(
        {
            name: pd.Series(cells, dtype=object) if name in numbers else [_as_text(cell) for cell in cells]
            for name, cells in columns.items()
        }
    )
    if not numbers:
        return frame
    return frame.style.format(_shown)


def _whole(cell: Any) -> Any:
    # Next to a missing value, pandas would make 2 a float, and its text "2.0".
    return NumberAsText(cell, str(cell)) if type(cell) is int else cell


def _are_numbers(cells: Sequence[Any]) -> bool:
    known = [cell for cell in cells if cell is not None]
    return bool(known) and all(isinstance(cell, NumberAsText) for cell in known)


def _as_text(cell: Any) -> Any:
    return str(cell) if isinstance(cell, NumberAsText) else cell


def _shown(cell: Any) -> str:
    return "" if cell is None or cell != cell else str(cell)
