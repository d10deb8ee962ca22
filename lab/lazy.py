"""Lazy imports by a string that a table can hold: "module:name"."""

from importlib import import_module
from typing import Any


def load(place: str) -> Any:
    """Import a module and return one of its attributes. place: such as "lab.sharing.weights:model_card"."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
