"""The possible values of a run's facts, stated once: an import refuses impossible values, a reader leaves them out.

Otherwise one run with an accuracy of 2^60, or a date past the year 9999, would break the list of runs for everybody.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.formatting import LAST_MOMENT
from lab.metrics import is_share

LONGEST_S = 1e10  # three hundred years: no training took longer
MAX_INTEGER = 2**53 - 1  # the largest integer that JSON numbers represent exactly
_FASTEST = 1e12  # images per second, megabytes
DEVICE = re.compile(r"(cpu|cuda|mps|xpu)(:[0-9]{1,3})?")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,59}")
_ANSWERS = 100  # on sample images; a run has ten
_NAMES = 100  # facts of one record; regular runs have about twenty


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fact: a predicate for its values, and its rule in words that follow the fact's name."""

    fits: Callable[[Any], bool]
    rule: str


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) <= MAX_INTEGER)


def _between(low: float, high: float, *, nan: bool = False) -> Callable[[Any], bool]:
    return lambda value: _is_number(value) and (low <= value <= high or (nan and math.isnan(value)))


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_INTEGER


def _version(value: Any) -> bool:
    return isinstance(value, str) and _VERSION.fullmatch(value) is not None


def is_device(value: Any) -> bool:
    """Return whether this is the name of a device as torch writes it, or "", for a run that was never trained."""
    return isinstance(value, str) and (not value or DEVICE.fullmatch(value) is not None)


def _normalization(value: Any) -> bool:
    if not isinstance(value, (list, tuple)) or len(value) not in (0, 2) or not all(map(_is_number, value)):
        return False
    return not value or (abs(value[0]) < 1e6 and 0 < value[1] < 1e6)


def _answers(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _ANSWERS and all(map(_answer, value))


def _answer(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and _count(value[0]) and _between(0, 1)(value[1])


SHARE = Kind(_between(0, 1, nan=True), "must be from 0 to 1, or NaN")
COUNT = Kind(_count, "must be a whole number from 0 to 2^53")
SPAN = Kind(_between(0, LONGEST_S), f"must be from 0 to {LONGEST_S:,.0f} seconds")
MOMENT = Kind(_between(0, LAST_MOMENT), "must be a time between the years 1970 and 9999, in seconds")
RATE = Kind(_between(0, _FASTEST, nan=True), f"must be from 0 to {_FASTEST:,.0f}, or NaN")
NUMBER = Kind(_is_number, "must be a number, and a whole one at most 2^53")
TEXT = Kind(lambda value: isinstance(value, str), "must be text")
VERSION = Kind(_version, "must be the number of a version")
DEVICES = Kind(is_device, "must be the name of a device, such as cpu or cuda:0")
NORMALIZATION = Kind(_normalization, "must be a mean and a deviation above 0, both below a million")
ANSWERS = Kind(_answers, "must be a short list of classes with their probabilities")
ANY = Kind(
    lambda value: value is None or isinstance(value, (str, bool)) or _is_number(value),
    "must be a number, text, true, false or null",
)


def usable(facts: Any, kind: Callable[[str], Kind]) -> dict[str, Any]:
    """Return the stored facts that have possible values; the others are left out, as if they were unknown."""
    if not isinstance(facts, dict):
        return {}
    found = {name: value for name, value in facts.items() if kind(name).fits(value)}
    return found | {"latest": usable(facts["latest"], kind)} if "latest" in facts else found


def plain_number(value: object) -> float | None:
    """Return a number, or None for anything else and for NaN."""
    return float(value) if isinstance(value, int | float) and value == value else None


def usable_moment(value: Any) -> float | None:
    """Return a stored time, or None if it is impossible."""
    return float(value) if MOMENT.fits(value) else None


def moment_or_nan(value: Any) -> float:
    """Return a stored time of a field that is never None, or NaN if it is impossible."""
    return float(value) if MOMENT.fits(value) else math.nan


def usable_span(value: Any) -> float:
    """Return a stored duration in seconds, or NaN if it is impossible."""
    return float(value) if SPAN.fits(value) else math.nan


def usable_device(value: Any) -> str:
    """Return a stored device, or "" if it is not one."""
    return str(value) if is_device(value) else ""


def usable_texts(values: Any) -> tuple[str, ...]:
    """Return the strings of a stored list; () if it is not a list."""
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, list) else ()


def curve_fault(name: str, column: str, values: np.ndarray) -> str:
    """Return what is wrong with one column of a curve, or "" if nothing is. Losses may have any value."""
    if column == "time_s" and not ((values >= 0) & (values <= LONGEST_S)).all():
        return f"has times that are not {SPAN.rule.removeprefix('must be ')}"
    if column == "value" and is_share(name) and not (np.isnan(values) | ((values >= 0) & (values <= 1))).all():
        return f"has values that are not {SHARE.rule.removeprefix('must be ')}"
    return ""
