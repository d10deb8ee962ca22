"""Speeds, intervals and limits of the loop, on a fake clock, so that no number depends on the machine."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from lab.config import RunConfig
from lab.training import engine, session
from lab.training.checkpoint import Checkpoint
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.events import Command, Ended, Evaluated, Event, Snapshot, StepMetrics
from lab.training.samples import START_IMAGES
from lab.training.together import Job, train_together
from tests.training.training_nets import LinearNet, build_data

CPU = torch.device("cpu")
STEP_S = 0.5


class FakeTime:
    """A fake module `time`: `perf_counter` returns what the test set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def perf_counter(self) -> float:
        return self.now


class SlowNet(LinearNet):
    """Each training step takes half a second of the fake clock; evaluation takes none."""

    def __init__(self, clock: FakeTime) -> None:
        super().__init__()
        self.clock = clock

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.clock.now += STEP_S
        return super().forward(x)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    fake = FakeTime()
    monkeypatch.setattr(engine, "time", fake)
    monkeypatch.setattr(session, "time", fake)
    return fake


def config(**settings: object) -> RunConfig:
    return RunConfig(**{"batch_size": 16, "epochs": 3, "val_fraction": 0.2, "optimizer": "sgd", "lr": 0.01, **settings})


def run(network: nn.Module, data: ResidentData, settings: RunConfig) -> list[Event]:
    return list(train(settings, network=network, data=data, device=CPU))


def test_the_speed_of_an_epoch_counts_its_own_images(clock: FakeTime, data: ResidentData) -> None:
    """90 images in 6 steps of half a second are 30 per second, in the first epoch and in the third."""
    events = run(SlowNet(clock), data, config())
    speeds = [e.metrics["images_per_second"] for e in events if isinstance(e, Evaluated) and e.epoch_end]
    assert speeds == pytest.approx([30.0, 30.0, 30.0])
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert ended.summary["images_per_second"] == pytest.approx(30.0)
    assert ended.summary["train_seconds"] == pytest.approx(9.0)


def test_the_clock_stops_while_events_are_handled(clock: FakeTime, data: ResidentData) -> None:
    """Six steps of half a second; handling a snapshot takes a minute."""
    ended: Event | None = None
    for ended in train(config(epochs=1), network=SlowNet(clock), data=data, device=CPU):
        clock.now += 60.0 if isinstance(ended, Snapshot) else 0.0
    assert isinstance(ended, Ended)
    assert ended.time_s == pytest.approx(3.0)


def test_runs_that_take_turns_count_their_own_seconds(clock: FakeTime, data: ResidentData) -> None:
    """Six and three steps of half a second, taken in turn."""
    jobs = [Job(config=config(max_steps=steps), network=SlowNet(clock), data=data) for steps in (6, 3)]
    started_at = clock.now
    seconds = {n: event.time_s for n, event in train_together(jobs, device=CPU) if isinstance(event, Ended)}
    assert seconds == {0: pytest.approx(3.0), 1: pytest.approx(1.5)}
    assert clock.now - started_at == pytest.approx(sum(seconds.values()))


class SlowlyEvaluatedNet(SlowNet):
    """Evaluation takes three seconds per chunk."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            self.clock.now += 3.0
        return super().forward(x)


def test_the_time_of_evaluations_counts_for_the_run_and_not_for_training(clock: FakeTime, data: ResidentData) -> None:
    """Twelve steps of half a second, with each set evaluated before the first step and after each of two epochs.

    The sample images are classified once in between.
    """
    ended = run(SlowlyEvaluatedNet(clock), data, config(epochs=2))[-1]
    assert isinstance(ended, Ended)
    numbers = {name: ended.summary[name] for name in ("seconds", "train_seconds", "images_per_second")}
    assert numbers == pytest.approx({"seconds": 6.0 + 7 * 3.0, "train_seconds": 6.0, "images_per_second": 30.0})
    assert ended.time_s == pytest.approx(27.0)


class QuicklyEvaluatedNet(SlowNet):
    """Evaluation takes 0.03 seconds per chunk."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            self.clock.now += 0.03
        return super().forward(x)


@pytest.mark.parametrize(("network", "steps"), [(SlowNet, 1), (QuicklyEvaluatedNet, 6)])
def test_predictions_for_sample_images_take_at_most_a_hundredth_of_the_time(
    clock: FakeTime, data: ResidentData, network: type[SlowNet], steps: int
) -> None:
    """Steps take half a second, which is also the shortest interval; after 0.03 seconds, the next are due in 3."""
    events = run(network(clock), data, config(epochs=1, batch_size=4))
    answered = [int(e.step[-1]) for e in events if isinstance(e, StepMetrics) and e.answers is not None]
    assert answered == list(range(1, 24, steps))


def test_step_times_are_seconds_of_the_engine(clock: FakeTime, data: ResidentData) -> None:
    times = np.concatenate(
        [e.time_s for e in run(SlowNet(clock), data, config(epochs=1)) if isinstance(e, StepMetrics)]
    )
    assert times.tolist() == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.5, 3.0])


def test_the_time_of_event_handlers_does_not_count_for_the_run(clock: FakeTime, data: ResidentData) -> None:
    last = 0.0
    for event in train(config(epochs=1), network=SlowNet(clock), data=data, device=CPU):
        clock.now += 100.0
        if isinstance(event, Ended):
            last = event.time_s
    assert last == pytest.approx(3.0)


def _checkpoint_steps(data: ResidentData, clock: FakeTime, *, save_s: float, epochs: int = 40) -> list[int]:
    steps = []
    for event in train(config(epochs=epochs), network=SlowNet(clock), data=data, device=CPU):
        if isinstance(event, Snapshot) and event.kind == "checkpoint":
            clock.now += save_s
            steps.append(event.step)
    return steps


def test_a_cheap_checkpoint_is_saved_every_thirty_seconds_within_an_epoch(clock: FakeTime) -> None:
    """One epoch of 200 steps of half a second; a save takes a tenth of a second."""
    steps = _checkpoint_steps(build_data(train=3200), clock, save_s=0.1, epochs=1)
    assert steps == [60, 120, 180, 200]


def test_an_expensive_checkpoint_waits_fifty_times_as_long_as_it_takes(clock: FakeTime) -> None:
    steps = _checkpoint_steps(build_data(train=3200), clock, save_s=1.0, epochs=1)
    assert steps == [60, 160, 200]


def test_the_first_evaluation_uses_the_first_thousand_images_of_each_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The 1,001st image would change the accuracy: a linear network with zero weights always predicts class 0."""
    data = build_data(train=32, val=1_500, test=1_200)
    assert START_IMAGES == 1_000
    events = run(LinearNet(), data, config(epochs=1))
    first = next(e for e in events if isinstance(e, Evaluated))
    assert first.step == 0
    assert first.metrics["val/accuracy"] == pytest.approx((data.val_y[:1_000] == 0).double().mean().item())
    assert first.metrics["test/accuracy"] == pytest.approx((data.test_y[:1_000] == 0).double().mean().item())
    last = [e for e in events if isinstance(e, Evaluated) and e.epoch_end][-1]
    share = last.metrics["test/accuracy"] * 1_200
    assert share == pytest.approx(round(share), abs=1e-6)  # at the end of an epoch all images are evaluated


def test_the_speed_shown_while_training_counts_the_images_since_the_last_report(
    clock: FakeTime, data: ResidentData
) -> None:
    """Each report covers one step: 16 images, or the 10 of the last batch, in half a second."""
    steps = [event for event in run(SlowNet(clock), data, config(epochs=2)) if isinstance(event, StepMetrics)]
    assert [event.images_per_second for event in steps] == [32.0, 32.0, 32.0, 32.0, 32.0, 20.0] * 2


def test_the_time_of_saving_a_checkpoint_does_not_count_for_training(
    clock: FakeTime, data: ResidentData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handler encodes a checkpoint; the time that the engine itself takes must not count for the next step."""
    monkeypatch.setattr(engine, "CHECKPOINT_S", 0.1)
    read = session.Session.checkpoint

    def slow(self: session.Session) -> object:
        clock.now += 7.0
        return read(self)

    monkeypatch.setattr(session.Session, "checkpoint", slow)
    speeds = []
    for event in train(config(epochs=1), network=SlowNet(clock), data=data, device=CPU):
        if isinstance(event, StepMetrics):
            speeds.append(event.images_per_second)
        if isinstance(event, Snapshot):
            event.state()
    assert speeds == [32.0, 32.0, 32.0, 32.0, 32.0, 20.0]


def _pause_after(steps: int) -> Callable[[], Command]:
    """Return a command that pauses after `steps` steps: polled for each set before training, then before each step."""
    commands = iter([Command.RUN] * (steps + 2))
    return lambda: next(commands, Command.PAUSE)


def test_training_time_continues_after_a_resume(clock: FakeTime, data: ResidentData) -> None:
    """Eight of twelve steps of half a second, a pause of a minute, and the rest: six seconds in total."""
    settings = config(epochs=2)
    # Two more polls at the end of the first epoch.
    first = list(train(settings, network=SlowNet(clock), data=data, device=CPU, command=_pause_after(10)))
    paused = first[-1]
    assert isinstance(paused, Ended)
    assert (paused.outcome, paused.step, paused.time_s) == ("paused", 8, pytest.approx(4.0))
    saved = [event.state() for event in first if isinstance(event, Snapshot) and event.kind == "checkpoint"][-1]
    assert isinstance(saved, Checkpoint)
    clock.now += 60.0
    rest = list(train(settings, network=SlowNet(clock), data=data, device=CPU, resume=saved))
    times = np.concatenate([event.time_s for event in rest if isinstance(event, StepMetrics)])
    assert times.tolist() == pytest.approx([4.5, 5.0, 5.5, 6.0])
    ended = rest[-1]
    assert isinstance(ended, Ended)
    assert ended.time_s == pytest.approx(6.0)
    numbers = {name: ended.summary[name] for name in ("seconds", "train_seconds", "images_per_second")}
    assert numbers == pytest.approx({"seconds": 6.0, "train_seconds": 6.0, "images_per_second": 30.0})
    speeds = [event.metrics["images_per_second"] for event in rest if isinstance(event, Evaluated) and event.epoch_end]
    assert speeds == pytest.approx([30.0])
