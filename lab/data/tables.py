"""Tables of labels and pixels with one image per row.

Users' files vary: any separator, the label in the first or last column, with or without an index column, in UTF-8,
UTF-16 or an 8-bit encoding. Names of columns are only compared with ASCII words, so it does not matter which 8-bit one.
"""

import csv
import math
from pathlib import Path

import numpy as np

from lab.data.recognise import INDEX_NAMES, START, is_number, separator_of, text_encoding
from lab.errors import InputError

_LABELS = ("label", "class", "target", "digit", "y")


def read_table(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return square images float64 (N, H, H) and labels float64 (N,). Raises `InputError` if it is no such table.

    The label is the column with a known name, else the first column, or the last one if only that can be digits.
    """
    try:
        with path.open("rb") as binary:
            encoding = text_encoding(binary.read(START))
        with path.open(encoding=encoding, newline="") as stream:
            line = next(filter(str.strip, stream), "")
        mark = separator_of(line)
        first = [cell.strip().lower() for cell in next(csv.reader([line], delimiter=mark))]
        headed = not all(map(is_number, first))
        table = _read_numbers(path, mark, encoding=encoding, headed=headed)
    except (ValueError, OverflowError, OSError) as error:  # pandas' parser errors are ValueErrors
        raise InputError(f"{path} cannot be read as a table of numbers ({error}): look at its rows.") from error
    if not len(table):
        raise InputError(f"{path} has no rows: choose a table with images.")
    names = first if headed and len(first) == table.shape[1] else [""] * table.shape[1]
    if headed and names[0] in INDEX_NAMES and _side(table.shape[1] - 2):
        table, names = table[:, 1:], names[1:]
    side = _side(table.shape[1] - 1)
    if not side:
        raise InputError(
            f"{path} has {table.shape[1]} columns, but a label and a square of pixels are expected, such as 785 "
            "columns: Kaggle's test.csv has no labels and cannot be trained on."
        )
    place = _label_column(table, names)
    return np.delete(table, place, axis=1).reshape(-1, side, side), table[:, place]


def _read_numbers(path: Path, mark: str, *, encoding: str, headed: bool) -> np.ndarray:
    """Return a table's numbers float64 (rows, columns), trying a decimal comma if a decimal point fails."""
    import pandas as pd  # a quarter of a second, which the help of `datasets` must not take

    def read(decimal: str) -> np.ndarray:
        frame = pd.read_csv(path, header=0 if headed else None, encoding=encoding, sep=mark, decimal=decimal)
        return frame.to_numpy(dtype=np.float64)

    try:
        return read(".")
    except ValueError:
        if mark == ",":
            raise
        return read(",")


def _side(pixels: int) -> int:
    """Return the side of a square with this number of pixels, 0 if there is none."""
    side = math.isqrt(max(0, pixels))
    return side if side * side == pixels else 0


def _label_column(table: np.ndarray, names: list[str]) -> int:
    named = [number for number, name in enumerate(names) if name in _LABELS]
    if named:
        return named[0]
    may_be_label = [bool(np.isin(column, np.arange(11)).all()) for column in (table[:, 0], table[:, -1])]
    differs = [bool((column != column[0]).any()) for column in (table[:, 0], table[:, -1])]
    last = may_be_label[1] and differs[1] and not (may_be_label[0] and differs[0])
    return table.shape[1] - 1 if last else 0
