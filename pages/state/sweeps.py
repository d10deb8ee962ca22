"""The state of the Sweeps page: the sweep, the chart, and the form of a new sweep."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.config import FIELDS
from lab.executors.base import LOCAL
from pages.state.codec import one_of, param, whole
from pages.state.page_state import PageState

LOOKS = {
    "curves": "Curves",
    "best": "Optimization history",
    "parallel": "Parallel coordinates",
    "importance": "Importance",
    "slices": "Slice",
    "surface": "Contour",
}


@dataclass(frozen=True, slots=True)
class SweepsState:
    """A sweep and its view, followed by the fields of the form.

    rung: the number (from 1) of the rung at which trials are compared. x, y: the settings of the view "Contour".
    start: where the base settings come from. taken: their key when they were copied. vary: names of settings. kind,
    low, high, log, values: inputs of each setting. executor: where the trials are trained. more_trials, more_minutes:
    the extension.
    """

    sweep: str = param("", str)
    look: str = param("curves", one_of(LOOKS))
    rung: int = param(1, whole(1, 99))
    x: str = param("", one_of(FIELDS))
    y: str = param("", one_of(FIELDS))
    start: str = "form"
    taken: tuple[str, ...] = ()
    name: str = ""
    vary: tuple[str, ...] = ("lr", "batch_size")
    kind: Mapping[str, str] = field(default_factory=dict)
    low: Mapping[str, Any] = field(default_factory=dict)
    high: Mapping[str, Any] = field(default_factory=dict)
    log: Mapping[str, bool] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    dataset: str = ""
    arch: str = ""
    epochs: int = 8
    method: str = "tpe"
    trials: int = 16
    minutes: float = 0.0
    halving: bool = True
    factor: int = 4
    first_epochs: int = 1
    executor: str = LOCAL
    more_trials: int = 8
    more_minutes: float = 0.0


SWEEPS = PageState(SweepsState, key="sweeps")
