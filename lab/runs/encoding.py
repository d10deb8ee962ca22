"""Lossless encoding of numbers and texts for the database.

JSON has no NaN and no infinities, and SQLite turns NaN into NULL. Therefore JSON columns store such a number as
`{"$float": "nan"}`; in the value column of the points, NULL *means* NaN on every backend. Infinities are stored there
as they are.
"""

import json
import math
from typing import Any

FLOAT_MARK = "$float"  # the only key of an object that stands for NaN or an infinity


def _marked(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {FLOAT_MARK: repr(value)}
    if isinstance(value, dict):
        return {str(key): _marked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_marked(item) for item in value]
    return value


def _unmarked(value: dict[str, Any]) -> Any:
    return float(value[FLOAT_MARK]) if value.keys() == {FLOAT_MARK} else value


# Created once: `json.loads` with a hook creates a decoder per text, which takes longer than decoding a short one.
_ENCODER = json.JSONEncoder(allow_nan=False, sort_keys=True)
_DECODER = json.JSONDecoder(object_hook=_unmarked)


def encode_json(value: Any) -> str:
    """Return strict JSON in which NaN and infinities are marked. Raises TypeError for what JSON cannot represent."""
    return _ENCODER.encode(_marked(value))


def decode_json(text: str | bytes) -> Any:
    """Decode what `encode_json` returned; the driver of Postgres passes bytes."""
    return _DECODER.decode(text if isinstance(text, str) else str(text, "utf-8"))


def encode_tags(tags: tuple[str, ...]) -> str:
    """Return tags as lines, with a line end before and after each, so that one LIKE matches a whole tag."""
    return "\n" + "\n".join(tags) + "\n" if tags else ""


def decode_tags(text: str) -> tuple[str, ...]:
    """Decode what `encode_tags` returned."""
    return tuple(text.split("\n")[1:-1])
