"""Several runs in one process that take steps in turn: each has the same bits as alone."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch

from lab.config import RunConfig
from lab.errors import TrainingError
from lab.training.checkpoint import Checkpoint, weights_digest
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.events import Command, Ended, Evaluated, Event, Snapshot, Started, StepMetrics, Turn
from lab.training.step_choice import StepKind
from lab.training.together import Job, train_together
from tests.training.training_nets import SmallNet

CPU = torch.device("cpu")
CLOCKS = ("images_per_second", "memory_mb")
BASE = RunConfig(arch="lenet5", epochs=2, batch_size=16, lr=0.01, val_fraction=0.2, augment="light")


class Digest:
    """What a run reports, as comparable values independent of the number of steps per report."""

    def __init__(self) -> None:
        self.found: list[Any] = []
        self.steps: dict[int, tuple[float, float]] = {}
        self.saved: list[str] = []
        self.outcome = ""

    def add(self, event: Event) -> None:
        assert not isinstance(event, Turn)
        if isinstance(event, StepMetrics):
            self.steps |= dict(zip(event.step.tolist(), zip(event.loss.tolist(), event.accuracy.tolist())))
        elif isinstance(event, Evaluated):
            metrics = {name: value for name, value in event.metrics.items() if name not in CLOCKS}
            self.found.append((event.step, metrics, event.answers))
        elif isinstance(event, Snapshot) and event.kind == "checkpoint":
            state = event.state()
            assert isinstance(state, Checkpoint)
            self.saved.append(weights_digest({**state.model, **dict(sorted(state.optimizer.items())), **state.rng}))
        elif isinstance(event, Ended):
            self.outcome = event.outcome

    def result(self) -> tuple[Any, ...]:
        return self.found, self.steps, self.saved, self.outcome


def small(seed: int) -> SmallNet:
    torch.manual_seed(seed)
    return SmallNet()


def pause_after(polls: int) -> Callable[[], Command]:
    commands = iter([Command.RUN] * polls)
    return lambda: next(commands, Command.PAUSE)


def follow(events: Iterable[tuple[int, Event]], count: int) -> list[tuple[Any, ...]]:
    digests = [Digest() for _ in range(count)]
    for number, event in events:
        digests[number].add(event)
    return [digest.result() for digest in digests]


@pytest.mark.parametrize("steps", [StepKind.LAUNCHED, StepKind.REPEATED])
def test_every_run_has_the_same_bits_as_alone(steps: StepKind, data: ResidentData) -> None:
    """With different seeds, lengths, schedules and evaluations, one paused run, dropout and augmentation."""
    changes: list[dict[str, Any]] = [
        {"seed": 1},
        {"seed": 2, "epochs": 1, "eval_every": 2},
        {"seed": 3, "optimizer": "sgd", "schedule": "one-cycle", "max_steps": 9},
        {"seed": 4, "augment": "sketch"},
    ]
    configs = [BASE.replace(**values) for values in changes]
    polls = [3 * len(configs) if config.seed == 4 else 10_000 for config in configs]

    def jobs() -> list[Job]:
        return [
            Job(config=config, network=small(config.seed), data=data, command=pause_after(count), steps=steps)
            for config, count in zip(configs, polls)
        ]

    alone = [follow(((0, event) for event in _alone(job)), 1)[0] for job in jobs()]
    threads = torch.get_num_threads()
    together = follow(train_together(jobs(), device=CPU), len(configs))
    assert together == alone
    assert [outcome for *_, outcome in together] == ["finished", "finished", "finished", "paused"]
    assert torch.get_num_threads() == threads


def _alone(job: Job) -> Iterable[Event]:
    return train(job.config, network=job.network, data=job.data, device=CPU, command=job.command, steps=job.steps)


class RecordedNet(SmallNet):
    """Records when it is trained."""

    def __init__(self, number: int, taken: list[int]) -> None:
        super().__init__()
        self.number, self.taken = number, taken

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.taken.append(self.number)
        return super().forward(x)


def test_runs_take_their_steps_in_turn(data: ResidentData) -> None:
    taken: list[int] = []
    configs = [BASE.replace(max_steps=steps, val_fraction=0.0) for steps in (3, 1, 5)]
    jobs = [Job(config=config, network=RecordedNet(n, taken), data=data) for n, config in enumerate(configs)]
    list(train_together(jobs, device=CPU))
    assert taken == [0, 1, 2, 0, 2, 0, 2, 2, 2]


def test_closing_the_iterator_ends_all_runs(data: ResidentData) -> None:
    taken: list[int] = []
    jobs = [Job(config=BASE, network=RecordedNet(n, taken), data=data) for n in range(2)]
    events = train_together(jobs, device=CPU)
    assert isinstance(next(events)[1], Started)
    events.close()
    assert taken == []
    assert list(train_together([], device=CPU)) == []


def test_settings_of_the_process_must_agree(data: ResidentData) -> None:
    configs = (BASE, BASE.replace(deterministic=True))
    jobs = [Job(config=config, network=small(1), data=data) for config in configs]
    with pytest.raises(TrainingError, match=r"must agree on deterministic: choose one value for all\."):
        next(train_together(jobs, device=CPU))


def test_turn_events_are_emitted_only_on_request(data: ResidentData) -> None:
    config = BASE.replace(max_steps=4)
    for turns in (False, True):
        events = list(train(config, network=small(1), data=data, device=CPU, turns=turns))
        assert sum(isinstance(event, Turn) for event in events) == 4 * turns
