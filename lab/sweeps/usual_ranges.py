"""The ranges that a form starts with: typical values for each setting, which the user can change."""

from typing import Any

from lab.config import FIELDS
from lab.sweeps.space import Parameter, read_parameter

_USUAL: dict[str, dict[str, Any]] = {
    "lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "batch_size": {"values": [16, 32, 64, 128]},
    "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
    "momentum": {"low": 0.5, "high": 0.99},
    "beta1": {"low": 0.8, "high": 0.99},
    "beta2": {"low": 0.9, "high": 0.9999},
    "label_smoothing": {"low": 0.0, "high": 0.2},
    "warmup_epochs": {"low": 0.0, "high": 2.0},
    "gamma": {"low": 0.05, "high": 0.9},
    "grad_clip": {"values": [0.0, 1.0, 5.0]},
    "epochs": {"values": [5, 10, 20]},
    "seed": {"values": [0, 1, 2, 3, 4]},
}


def usual_range(name: str) -> Parameter:
    """Return the initial range of a search over one setting: a typical range, all choices, or its default only."""
    spec = FIELDS[name]
    if name in _USUAL:
        return read_parameter(name, _USUAL[name])
    if spec.choices:
        return read_parameter(name, {"values": list(spec.choices)})
    values = [False, True] if spec.kind is bool else [spec.default]
    return read_parameter(name, {"values": values})
