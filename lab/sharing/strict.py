"""Strict JSON for files that other programs read: NaN and infinities as text, keys in order, the same bytes each time."""

import json
import math
from typing import Any

import numpy as np

_WORDS = {math.inf: "Infinity", -math.inf: "-Infinity"}


def float_text(value: float) -> str:
    """Write a number so that `float()` gives the same bits back, NaN and infinities as JSON-like words."""
    if math.isfinite(value):
        return repr(float(value))
    return "NaN" if math.isnan(value) else _WORDS[value]


def plain(value: Any) -> Any:
    """Return a value that strict JSON can hold: what is not finite becomes "NaN", "Infinity" or "-Infinity"."""
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return float_text(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def strict_json(value: Any, *, indent: int | None = 1) -> str:
    """Return one strict JSON document ending with a line end."""
    return json.dumps(plain(value), allow_nan=False, ensure_ascii=False, indent=indent) + "\n"
