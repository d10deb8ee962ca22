"""Sequences of training steps on the Inside page, each on a network of its own, within a budget of bytes.

A sequence is a pure function of its key, so all sessions share it: a step more continues it, and fewer steps than it
has taken begin it again. Nothing here is the only copy.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from lab.service.training_steps import StepSequence, StepsTaken, choose_images, following_batches
from lab.service.update_rules import NEXT_BATCH
from pages.cache.datasets import dataset_of
from pages.cache.inspection import load_network

_BYTES = 600_000_000  # of all sequences; the latest one is kept whatever its size
_ENTRIES = 16


@dataclass(frozen=True, slots=True)
class StepsKey:
    """What a sequence depends on: run, digest of the weights, update rule, learning rate, batch size, other images.

    batches: whether each step takes the same batch or the next one (`lab.service.update_rules`). sample: whether only the sample of the data set is on this machine.
    """

    run: str
    digest: str
    rule: str
    lr: float
    images: int
    others: int
    batches: str
    sample: bool


@dataclass(slots=True)
class _Entry:
    """A sequence, None before its first use; `lock` is held while it takes steps."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    sequence: StepSequence | None = None


@dataclass(slots=True)
class _Sequences:
    """Sequences by key, least recently used first."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    recent: OrderedDict[StepsKey, _Entry] = field(default_factory=OrderedDict)


_sequences = _Sequences()


def steps_ahead(key: StepsKey, steps: int) -> int | None:
    """Return how many steps have to be computed to show `steps` of them; None if also the point before the first."""
    with _sequences.lock:
        entry = _sequences.recent.get(key)
        sequence = None if entry is None else entry.sequence
    ahead = -1 if sequence is None else sequence.ahead(steps)
    return None if ahead < 0 else ahead


def take_steps(key: StepsKey, steps: int) -> StepsTaken:
    """Return a sequence after `steps` steps, or after fewer if it diverged. Raises `InputError` as `StepSequence`."""
    with _sequences.lock:
        entry = _sequences.recent.setdefault(key, _Entry())
        _sequences.recent.move_to_end(key)
    try:
        with entry.lock:
            if entry.sequence is None or entry.sequence.ahead(steps) < 0:
                entry.sequence = None  # its memory is free before another network is loaded
                entry.sequence = _begin(key)
            return entry.sequence.advance(steps)
    finally:
        _drop_oldest()


def _begin(key: StepsKey) -> StepSequence:
    loaded = load_network(key.run, key.digest)
    config = loaded.run.config
    data = dataset_of(config.dataset)
    images = choose_images(config, data, images=key.images, others=key.others, sample=key.sample)
    following = None
    if key.batches == NEXT_BATCH:
        following = following_batches(config, data, images=key.images, sample=key.sample)
    return StepSequence(loaded, images, rule=key.rule, lr=key.lr, following=following)


def _drop_oldest() -> None:
    """Drop the sequences used longest ago until the others are within the budget, except the latest one."""
    with _sequences.lock:
        sizes = {key: entry.sequence.bytes if entry.sequence else 0 for key, entry in _sequences.recent.items()}
        while len(sizes) > 1 and (sum(sizes.values()) > _BYTES or len(sizes) > _ENTRIES):
            oldest = next(iter(sizes))
            del sizes[oldest], _sequences.recent[oldest]
