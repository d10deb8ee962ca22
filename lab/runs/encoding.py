"""Numbers and texts on their way into the database and back, exactly.

JSON has no NaN and no infinities, and SQLite turns NaN into NULL. So: in JSON columns such a number is written as
`{"$float": "nan"}`; in the points' value column NULL *means* NaN, on every backend. Infinities are stored as they are.
"""

import json
import math
from typing import Any

_MARK = "$float"


def _marked(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {_MARK: repr(value)}
    if isinstance(value, dict):
        return {str(key): _marked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_marked(item) for item in value]
    return value


def _unmarked(value: dict[str, Any]) -> Any:
    return float(value[_MARK]) if value.keys() == {_MARK} else value


# Made once: `json.loads` with a hook makes a decoder for every text, which takes longer than reading a short one.
_ENCODER = json.JSONEncoder(allow_nan=False, sort_keys=True)
_DECODER = json.JSONDecoder(object_hook=_unmarked)


def encode_json(value: Any) -> str:
    """Write strict JSON in which NaN and infinities are marked. Raises TypeError for what JSON cannot hold."""
    return _ENCODER.encode(_marked(value))


def decode_json(text: str | bytes) -> Any:
    """Read what `encode_json` wrote; Postgres' driver hands bytes over."""
    return _DECODER.decode(text if isinstance(text, str) else str(text, "utf-8"))


def encode_tags(tags: tuple[str, ...]) -> str:
    """Write tags as lines with a line end before and after each, so that one LIKE finds a whole tag."""
    return "\n" + "\n".join(tags) + "\n" if tags else ""


def decode_tags(text: str) -> tuple[str, ...]:
    """Read what `encode_tags` wrote."""
    return tuple(text.split("\n")[1:-1])
