"""The fingerprint of a configuration: equal for runs that must give the same result, in every release.

It is a SHA-256 over the settings that determine the result, by their first names. The settings of the first schema are
always included, with the values below if they have no effect; later settings are included only if they are not neutral.
So a new setting changes no fingerprint, a renamed setting keeps its first name, and a removed setting keeps its value
here.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from lab.config.fields import FieldSpec

ENGINE = 1  # incremented when the same configuration gives different results; part of every fingerprint
_FIRST_SCHEMA = 1  # part of every fingerprint, and does not change with later schemas

# The settings of schema 1 that determine a result, with their defaults at the time. Never edit them: every stored
# fingerprint depends on them.
FIRST_SETTINGS: Mapping[str, Any] = {
    "arch": "lenet5",
    "arch_options": {},
    "input_size": "auto",
    "dataset": "mnist",
    "train_limit": 0,
    "val_fraction": 0.1,
    "normalization": "dataset",
    "augment": "none",
    "shuffle": True,
    "epochs": 5,
    "max_steps": 0,
    "batch_size": 64,
    "seed": 0,
    "init_from": "",
    "eval_every": 0,
    "optimizer": "adam",
    "lr": 1e-3,
    "momentum": 0.9,
    "nesterov": False,
    "beta1": 0.9,
    "beta2": 0.999,
    "weight_decay": 0.0,
    "grad_clip": 0.0,
    "schedule": "constant",
    "warmup_epochs": 0.0,
    "step_epochs": 10,
    "gamma": 0.1,
    "loss": "cross-entropy",
    "output": "logits",
    "label_smoothing": 0.0,
    "patience": 0,
    "min_delta": 0.0,
    "restore_best": False,
    "precision": "float32",
}


def identity(config: object, specs: Mapping[str, FieldSpec], *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the input of the fingerprint: the settings that determine the result, by their first names.

    without: settings to omit completely.
    """
    left_out = {specs[name].identity for name in without}
    found = {name: value for name, value in FIRST_SETTINGS.items() if name not in left_out}
    for spec in specs.values():
        if not spec.result or spec.name in without or not spec.relevant(config):
            continue
        value = getattr(config, spec.name)
        if spec.identity in FIRST_SETTINGS or value != spec.neutral:
            found[spec.identity] = spec.identity_values.get(value, value) if isinstance(value, str) else value
    return found


def digest(config: object, specs: Mapping[str, FieldSpec], *, data_checksum: str, without: tuple[str, ...] = ()) -> str:
    """Return the SHA-256 of a configuration's identity, its data set's checksum and the engine's version."""
    text = json.dumps(
        {
            "config": identity(config, specs, without=without),
            "data": data_checksum,
            "engine": ENGINE,
            "schema": _FIRST_SCHEMA,
        },
        sort_keys=True,
        allow_nan=False,
    )
    return hashlib.sha256(text.encode()).hexdigest()
