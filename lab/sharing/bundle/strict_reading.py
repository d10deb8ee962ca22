"""Reads untrusted JSON: strict syntax, no duplicate keys, no nesting deep enough to crash the process."""

import json
import math
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from lab.errors import InputError
from lab.runs.encoding import FLOAT_MARK
from lab.runs.facts import MOMENT, SPAN, Kind

_WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_MAX_DETAIL = 180  # characters: keeps the whole sentence below 300
_Value = TypeVar("_Value")


def refuse(detail: str, *, way_out: str = "export it again from the lab it came from") -> NoReturn:
    """Raise the `InputError` of every invalid bundle. detail: what is wrong. way_out: what the user can do."""
    short = detail if len(detail) <= _MAX_DETAIL else detail[:_MAX_DETAIL] + "…"
    raise InputError(f"This is not a bundle that ConvLab can import ({short}): {way_out}.")


def read_json(data: bytes, name: str) -> dict[str, Any]:
    """Return one JSON object with marked floats restored. Raises `InputError` for anything unexpected."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
        json.dumps(value, ensure_ascii=False).encode()  # fails for a lone surrogate
    except (ValueError, RecursionError) as error:  # invalid syntax or a number too long; nested too deeply
        refuse(f"{name} is not strict JSON: {str(error)[:100]}")
    if not isinstance(value, dict):
        refuse(f"{name} is not an object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    if found.keys() == {FLOAT_MARK}:
        word = found[FLOAT_MARK]
        if not isinstance(word, str) or word not in _WORDS:
            raise ValueError("a marked number is invalid")
        return _WORDS[word]
    return found


def _constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


class Fields:
    """The fields of one JSON object, taken one by one; `done` refuses any that are left."""

    def __init__(self, values: Any, where: str) -> None:
        if not isinstance(values, dict):
            refuse(f"{where} is not an object")
        self._left = dict(values)
        self._where = where

    def take(self, name: str, check: Callable[[Any], _Value]) -> _Value:
        """Return the checked value of a field. Raises `InputError` if it is missing or `check` raises ValueError.

        check: returns the value to use. The text of its ValueError completes the sentence "'name' in FILE …".
        """
        if name not in self._left:
            refuse(f"{self._where} lacks {name!r}")
        try:
            return check(self._left.pop(name))
        except ValueError as error:
            refuse(f"{name!r} in {self._where} {error}")

    def done(self) -> None:
        """Raise `InputError` if the object has fields that this release does not know."""
        if self._left:
            refuse(f"{self._where} has the unknown field {next(iter(self._left))[:40]!r}")


def whole(low: int, high: int) -> Callable[[Any], int]:
    """Return a check for a whole number from `low` to `high`."""

    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"is not a whole number from {low} to {high}")
        return value

    return check


def seconds(value: Any) -> float:
    """Return a checked duration in seconds. Raises ValueError."""
    return _time(value, SPAN)


def moment(value: Any) -> float:
    """Return a checked point in time (Unix time in seconds). Raises ValueError."""
    return _time(value, MOMENT)


def _time(value: Any, kind: Kind) -> float:
    if not kind.fits(value):
        raise ValueError(f"is {str(value)[:40]!r}, but it {kind.rule}")
    return float(value)


def maybe(check: Callable[[Any], _Value]) -> Callable[[Any], _Value | None]:
    """Return a check that also allows null."""
    return lambda value: None if value is None else check(value)


def items(check: Callable[[Any], _Value], *, most: int) -> Callable[[Any], tuple[_Value, ...]]:
    """Return a check for a list of at most `most` values that all pass `check`."""

    def check_all(value: Any) -> tuple[_Value, ...]:
        if not isinstance(value, list) or len(value) > most:
            raise ValueError(f"is not a list of at most {most}")
        return tuple(map(check, value))

    return check_all
