"""What a run says of itself, as frozen records: its newest step, its final numbers and where it was trained.

Stored JSON is older and newer than any release: a fact that this release does not name is kept in `other`, and
`as_dict` gives back exactly what was read. `read` leaves out what cannot be what it says (`lab.runs.facts`).
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
    """Named facts, None where they are not known, and in `other` those that this release does not name."""

    _of_others: ClassVar[Callable[[str], Kind]] = staticmethod(_no_kind)
    other: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def kind(cls, name: str) -> Kind:
        """Return what a fact must be."""
        return _kinds(cls).get(name) or cls._of_others(name)

    @classmethod
    def read(cls, stored: object) -> Self:
        """Return stored facts without those that cannot be what they say."""
        return cls.from_dict(usable(stored, cls.kind))

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Self:
        """Return facts by name as a record, unchecked."""
        if not facts:
            return cls()
        named = _kinds(cls)
        known = {name: value for name, value in facts.items() if name in named}
        return cls(**known, other={name: value for name, value in facts.items() if name not in named})

    def as_dict(self) -> dict[str, Any]:
        """Return the facts that are known by name, in the order of their names, as they are stored and exported."""
        known = {name: value for name in _kinds(type(self)) if (value := getattr(self, name)) is not None}
        return dict(sorted({**known, **self.other}.items()))

    def value(self, name: str) -> Any:
        """Return one fact by its stored name, None where it is not known."""
        return getattr(self, name) if name in _kinds(type(self)) else self.other.get(name)


def _of_results(name: str) -> Kind:
    return SHARE if is_share(name) else NUMBER


def _of_progress(name: str) -> Kind:
    return SHARE if is_share(name) else ANY


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts(RunFacts):
    """What both the newest step and the end of a run count and measure. Times in seconds."""

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
    """How a run ended; `other` holds each metric of `final_epoch` by its `MetricSpec.result_key`.

    outcome: "finished", "early-stopped" and the like, in the training's words.
    """

    _of_others: ClassVar[Callable[[str], Kind]] = staticmethod(_of_results)
    outcome: str | None = _fact(TEXT)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress(_Counts):
    """A run's newest step. phase: what it does, such as "training"; `other` holds "latest", the newest metrics.

    answers: class and probability of each sample image (`lab.training.samples`), as they were evaluated last.
    """

    _of_others: ClassVar[Callable[[str], Kind]] = staticmethod(_of_progress)
    total_steps: int | None = _fact(COUNT)
    steps_per_epoch: int | None = _fact(COUNT)
    eta_seconds: float | None = _fact(SPAN)
    phase: str | None = _fact(TEXT)
    device: str | None = _fact(DEVICES)
    answers: list[list[Any]] | None = _fact(ANSWERS)


class ForkState(StrEnum):
    """How a fork got the state in which it began."""

    CHECKPOINT = "checkpoint"  # the other run's checkpoint of that epoch
    RECOMPUTED = "recomputed"  # its epochs trained again, and their weights found equal to the saved ones
    WEIGHTS = "weights"  # its saved weights and a fresh optimizer


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnvironment(RunFacts):
    """Where and on what data a run was trained. normalization: mean and deviation, or empty; memory in megabytes.

    steps: "captured", "launched" (a CPU knows no other way) or "launched, because …". matmul: torch's name for the
    precision of float32 matrix products. fork_state: a `ForkState`, None for a run that is no fork.
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
        """Return how steps were taken where there was a choice, such as "steps: captured", else nothing."""
        return f"steps: {self.steps}" if self.steps and self.steps != "launched" else ""
