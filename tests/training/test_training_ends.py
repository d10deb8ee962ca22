"""The last event of a training: exactly one `Ended`, with the outcome and the step."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from lab.config import RunConfig
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.events import Command, Ended, Snapshot, Started
from tests.training.training_nets import LinearNet, StuckNet

CPU = torch.device("cpu")
ENDLESS = 10**6


def _after(polls: int, command: Command) -> Callable[[], Command]:
    """Return a command that changes after `polls` polls: one before each of two evaluations and before each step."""
    left = iter([Command.RUN] * polls)
    return lambda: next(left, command)


@pytest.mark.parametrize(
    ("network", "settings", "options", "outcome", "step", "epoch", "planned"),
    [
        (LinearNet, {}, {}, "finished", 6, 2, False),
        (LinearNet, {"max_steps": 4}, {}, "finished", 4, 2, False),
        (StuckNet, {"patience": 1, "epochs": 9}, {}, "early-stopped", 6, 2, False),
        (LinearNet, {}, {"pause_epoch": 1}, "paused", 3, 1, True),
        (LinearNet, {}, {"pause_epoch": 2}, "finished", 6, 2, False),
        (LinearNet, {}, {"command": _after(0, Command.PAUSE)}, "paused", 0, 0, False),
        (LinearNet, {}, {"command": _after(2, Command.PAUSE)}, "paused", 0, 1, False),
        (LinearNet, {}, {"command": _after(4, Command.PAUSE)}, "paused", 2, 1, False),
        (LinearNet, {}, {"command": _after(4, Command.STOP)}, "stopped", 2, 1, False),
        (LinearNet, {}, {"command": _after(4, Command.STOP), "pause_epoch": 1}, "stopped", 2, 1, False),
        (LinearNet, {}, {"command": _after(5, Command.STOP)}, "stopped", 3, 1, False),
        (LinearNet, {}, {"command": _after(7, Command.STOP)}, "stopped", 3, 2, False),
        (LinearNet, {}, {"command": _after(ENDLESS, Command.STOP)}, "finished", 6, 2, False),
    ],
)
def test_training_ends_with_exactly_one_event_with_the_outcome_and_the_step(
    data: ResidentData,
    network: Callable[[], nn.Module],
    settings: dict[str, Any],
    options: dict[str, Any],
    outcome: str,
    step: int,
    epoch: int,
    planned: bool,
) -> None:
    config = RunConfig(**{"batch_size": 32, "epochs": 2, "device": "cpu", **settings})
    events = list(train(config, network=network(), data=data, device=CPU, **options))
    assert isinstance(events[0], Started)
    assert [at for at, event in enumerate(events) if isinstance(event, Ended)] == [len(events) - 1]
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert (ended.outcome, ended.step, ended.epoch, ended.planned) == (outcome, step, epoch, planned)
    last = [event for event in events if isinstance(event, Snapshot) and event.kind == "checkpoint"][-1]
    assert (last.step, last.epoch) == (step, epoch), "the final state is saved"
    saved = [event.step for event in events if isinstance(event, Snapshot) and event.kind == "weights"]
    epoch_ends = [at for at in (3, 6) if at <= step] or []
    inside = [step] if outcome in ("stopped", "finished") and step and step not in epoch_ends else []
    assert saved == epoch_ends + inside
