"""A run's facts as frozen records: its newest step, its final numbers and where it was trained.

Stored JSON may be of an older or a newer release: facts without a field here are preserved in `other`, and `as_dict`
returns exactly what was read. `read` leaves out impossible facts (`lab.runs.facts`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, ClassVar, Self

from lab.metrics import is_share
from lab.runs.facts import (
    ANSWERS,
    ANY,
    COUNT,
    DEVICES,
    NORMALIZATION,
    NUMBER,
    RATE,
    SHARE,
    SPAN,
    TEXT,
    VERSION,
    Kind,
    usable,
)


def _fact(kind: Kind) -> Any:
    return field(default=None, metadata={"kind": kind})


_known: dict[Any, dict[str, Kind]] = {}  # by class


def _kinds(facts: Any) -> Mapping[str, Kind]:
    if facts not in _known:
        _known[facts] = {one.name: one.metadata["kind"] for one in fields(facts) if "kind" in one.metadata}
    return _known[facts]


def _no_kind(_name: str) -> Kind:
    return ANY


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Named facts, None if unknown; `other` has those that this release has no field for."""

    _of_others: ClassVar[Callable[[str], Kind]] = staticmethod(_no_kind)
    other: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def kind(cls, name: str) -> Kind:
        """Return the kind that the value of a fact must have."""
        return _kinds(cls).get(name) or cls._of_others(name)

    @classmethod
    def read(cls, stored: object) -> Self:
        """Return stored facts without the impossible ones."""
        return cls.from_dict(usable(stored, cls.kind))

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Self:
        """Return a record of facts by name, unchecked."""
        if not facts:
            return cls()
        named = _kinds(cls)
        known = {name: value for name, value in facts.items() if name in named}
        return cls(**known, other={name: value for name, value in facts.items() if name not in named})

    def as_dict(self) -> dict[str, Any]:
        """Return the known facts, sorted by name, in the form in which they are stored and exported."""
        known = {name: value for name in _kinds(type(self)) if (value := getattr(self, name)) is not None}
        return dict(sorted({**known, **self.other}.items()))

    def value(self, name: str) -> Any:
        """Return one fact by its stored name, or None if it is unknown."""
        return getattr(self, name) if name in _kinds(type(self)) else self.other.get(name)


def _of_results(name: str) -> Kind:
    return SHARE if is_share(name) else NUMBER


def _of_progress(name: str) -> Kind:
    return SHARE if is_share(name) else ANY


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts(RunFacts):
    """Counts and measurements shared by the newest step and the end of a run. Times in seconds."""

    epoch: int | None = _fact(COUNT)
    epochs: int | None = _fact(COUNT)
    step: int | None = _fact(COUNT)
    steps: int | None = _fact(COUNT)
    params: int | None = _fact(COUNT)
    best_epoch: int | None = _fact(COUNT)
    final_epoch: int | None = _fact(COUNT)
    images_per_second: float | None = _fact(RATE)
    memory_mb: float | None = _fact(RATE)
    seconds: float | None = _fact(SPAN)
    train_seconds: float | None = _fact(SPAN)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary(_Counts):
    """The end of a run; `other` holds each metric of `final_epoch` by its `MetricSpec.result_key`.

    outcome: how training ended, such as "finished" or "early-stopped".
    """

    _of_others: ClassVar[Callable[[str], Kind]] = staticmethod(_of_results)
    outcome: str | None = _fact(TEXT)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress(_Counts):
    """A run's newest step. phase: its current activity, such as "training"; `other` holds "latest", the newest metrics.

    answers: latest prediction, class and probability, for each sample image (`lab.training.samples`).
    """

    _of_others: ClassVar[Callable[[str], Kind]] = staticmethod(_of_progress)
    total_steps: int | None = _fact(COUNT)
    steps_per_epoch: int | None = _fact(COUNT)
    eta_seconds: float | None = _fact(SPAN)
    phase: str | None = _fact(TEXT)
    device: str | None = _fact(DEVICES)
    answers: list[list[Any]] | None = _fact(ANSWERS)


class ForkState(StrEnum):
    """Where the initial state of a fork came from."""

    CHECKPOINT = "checkpoint"  # the other run's checkpoint of that epoch
    RECOMPUTED = "recomputed"  # its epochs, trained again with weights equal to the saved ones
    WEIGHTS = "weights"  # its saved weights and a fresh optimizer


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnvironment(RunFacts):
    """Where and on what data a run was trained. normalization: mean and deviation, or empty; memory in megabytes.

    steps: "captured", "launched" (always on a CPU) or "launched, because …". matmul: torch's name for the precision of
    float32 matrix products. fork_state: a `ForkState`, None for a run that is not a fork.
    """

    device: str | None = _fact(DEVICES)
    name: str | None = _fact(TEXT)
    cores: int | None = _fact(COUNT)
    threads: int | None = _fact(COUNT)
    torch: str | None = _fact(VERSION)
    python: str | None = _fact(VERSION)
    platform: str | None = _fact(TEXT)
    memory_mb: int | None = _fact(COUNT)
    cuda: str | None = _fact(TEXT)
    matmul: str | None = _fact(TEXT)
    steps: str | None = _fact(TEXT)
    normalization: list[float] | tuple[float, ...] | None = _fact(NORMALIZATION)
    params: int | None = _fact(COUNT)
    train_images: int | None = _fact(COUNT)
    val_images: int | None = _fact(COUNT)
    test_images: int | None = _fact(COUNT)
    fork_state: str | None = _fact(TEXT)

    @property
    def steps_words(self) -> str:
        """How steps were executed, such as "steps: captured"; "" if they were launched without a choice."""
        return f"steps: {self.steps}" if self.steps and self.steps != "launched" else ""
