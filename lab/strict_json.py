"""Non-finite numbers in JSON responses and files for other programs: by name, or as null.

Data that only this lab reads has other encodings, which stored data fix: `lab.runs.encoding` marks such numbers in the
database and in bundles, and `lab.training.progress` writes every float of a checkpoint exactly.
"""

import math
from typing import Any

import numpy as np


def number_name(value: float) -> str:
    """Return "NaN", "Infinity" or "-Infinity" for a number that is not finite."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def float_text(value: float) -> str:
    """Return a number as text from which `float()` restores the same bits, NaN and infinities by name."""
    return repr(float(value)) if math.isfinite(value) else number_name(value)


def finite_or_none(value: Any) -> Any:
    """Return a value unchanged, or None for a non-finite float, for readers that accept only numbers and null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def with_names(value: Any) -> Any:
    """Return a value that strict JSON can represent: arrays as lists, non-finite numbers by name."""
    if isinstance(value, (np.ndarray, np.generic)):
        return with_names(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return number_name(value)
    if isinstance(value, dict):
        return {str(key): with_names(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_names(item) for item in value]
    return value
