"""The fingerprint of a configuration: equal for runs that must give the same result, in every release.

It is a SHA-256 over the settings that decide the result, by their first names. The settings of the first schema are
always in it, at the values below where they have no effect; a later one is in it only where it is not neutral. So a new
setting changes no fingerprint, a renamed one is known by its first name, and a removed one stays at its value here.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from lab.config.fields import FieldSpec

ENGINE = 1  # raised when the same configuration gives other numbers; part of every fingerprint
_FIRST_SCHEMA = 1  # stands in every fingerprint, however many schemas have followed

# The settings of schema 1 that decide a result, with the defaults they had. Never edited: every stored fingerprint is
# made from them.
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
    """Return what a fingerprint is made from: the settings that decide the result, by their first names.

    `without` leaves settings out altogether.
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
