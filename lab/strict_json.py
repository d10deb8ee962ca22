"""Numbers that JSON has no word for, in answers and files for other programs: by name, or as null.

What only this lab reads has encodings of its own, which stored data fix: `lab.runs.encoding` marks such numbers in the
database and in bundles, and `lab.training.progress` writes every float of a checkpoint exactly.
"""

import math
from typing import Any

import numpy as np


def number_name(value: float) -> str:
    """Return "NaN", "Infinity" or "-Infinity" for a number that is not finite."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def float_text(value: float) -> str:
    """Write a number so that `float()` gives the same bits back, NaN and infinities by name."""
    return repr(float(value)) if math.isfinite(value) else number_name(value)


def finite_or_none(value: Any) -> Any:
    """Return a value as it is, None for a float that is not finite: for readers that expect numbers or nothing."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def with_names(value: Any) -> Any:
    """Return a value that strict JSON can hold: arrays as lists, what is not finite by name."""
    if isinstance(value, (np.ndarray, np.generic)):
        return with_names(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return number_name(value)
    if isinstance(value, dict):
        return {str(key): with_names(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_names(item) for item in value]
    return value
