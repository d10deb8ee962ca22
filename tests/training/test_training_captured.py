"""The step that a CUDA graph captures, launched on a CPU: it must equal the launched step bit for bit.

`StepKind.REPEATED` takes exactly the function that is captured on a GPU, including the warm-up and restoring the state
after it, and `Watched` refuses operations that a graph cannot contain. `test_training_gpu.py` tests what needs a GPU.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lab.architectures.build import build_network
from lab.architectures.registry import list_architectures
from lab.config import RunConfig
from lab.data.resident import load_resident
from lab.errors import TrainingError
from lab.training.batches import Batches
from lab.training.checkpoint import Checkpoint, weights_digest
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.events import Ended, Evaluated, Event, Notice, Snapshot, Started, StepMetrics
from lab.training.layout import build_view
from lab.training.recordings import WARM_UPS, Repeat
from lab.training.session import Session
from lab.training.step_choice import StepKind, build_steps, why_launched
from tests.golden.losses import is_large
from tests.training.training_nets import LinearNet, SmallNet, build_data
from tests.training.watched import Watched

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
CLOCKS = ("images_per_second", "memory_mb")
WAIT_ON_A_CPU = ("rmsprop", "mse")  # on a CPU torch's RMSprop reads the rate, and one_hot checks the classes
BASE = {"arch": "lenet5", "epochs": 2, "batch_size": 16, "seed": 3, "lr": 0.01, "val_fraction": 0.2}


def digests(config: RunConfig, network: nn.Module, data: ResidentData, steps: StepKind) -> tuple[Any, ...]:
    """Return everything that a run reports and its last checkpoint as comparable values."""
    steps_of: dict[int, tuple[float, ...]] = {}
    reported: list[object] = []
    saved = ""
    waits = config.optimizer in WAIT_ON_A_CPU or config.loss in WAIT_ON_A_CPU
    watched = Watched(waiting=waits)
    build = partial(build_steps, kind=StepKind.REPEATED, recording=watched)
    kind = build if steps is StepKind.REPEATED else steps
    for event in train(config, network=network, data=data, device=CPU, steps=kind):
        if isinstance(event, StepMetrics):
            steps_of |= dict(zip(event.step.tolist(), zip(event.loss.tolist(), event.accuracy.tolist())))
            reported += list(zip(event.lr_step.tolist(), event.lr.tolist()))
        elif isinstance(event, Evaluated):
            reported.append({n: v for n, v in event.metrics.items() if n not in CLOCKS})
        elif isinstance(event, Snapshot) and event.kind == "checkpoint":
            state = event.state()
            assert isinstance(state, Checkpoint)
            saved = weights_digest({**state.model, **dict(sorted(state.optimizer.items())), **state.rng})
    assert steps is not StepKind.REPEATED or watched.replays
    return steps_of, reported, saved, weights_digest(network.state_dict())


SETTINGS: dict[str, dict[str, object]] = {
    "adam": {"optimizer": "adam", "weight_decay": 0.01},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.01},
    "sgd": {"optimizer": "sgd", "momentum": 0.0},
    "sgd with momentum": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.001},
    "sgd with nesterov": {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
    "rmsprop": {"optimizer": "rmsprop", "momentum": 0.0},
    "rmsprop with momentum": {"optimizer": "rmsprop", "momentum": 0.9, "weight_decay": 0.01},
    "muon": {"optimizer": "muon", "weight_decay": 0.1},
    "steps of the rate": {"schedule": "step", "step_epochs": 1, "gamma": 0.5},
    "cosine after a warm-up": {"schedule": "cosine", "warmup_epochs": 0.5},
    "one-cycle": {"schedule": "one-cycle", "optimizer": "muon"},
    "clipped": {"grad_clip": 0.1},
    "label smoothing": {"label_smoothing": 0.1},
    "squared error": {"loss": "mse", "output": "softmax"},
    "light augmentation": {"augment": "light"},
    "sketch augmentation": {"augment": "sketch"},
    "bfloat16": {"precision": "bfloat16"},
    "not in channels-last": {"channels_last": False},
    "a whole last batch": {"batch_size": 30},
    "a step limit inside an epoch": {"max_steps": 9},
    "evaluations inside an epoch": {"eval_every": 2},
    "evaluations in chunks": {"eval_batch_size": 7, "eval_every": 1},
    "early stopping": {"patience": 1, "epochs": 5, "restore_best": True, "lr": 0.5},
    "no shuffling": {"shuffle": False},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_with_all_settings_the_step_to_capture_equals_the_launched_one(
    settings: dict[str, object], data: ResidentData
) -> None:
    found = []
    for kind in (StepKind.LAUNCHED, StepKind.REPEATED):
        torch.manual_seed(1)
        found.append(digests(RunConfig(**{**BASE, **settings}), SmallNet(), data, kind))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "arch",
    [
        pytest.param(
            arch.id,
            marks=[pytest.mark.slow] * (is_large(arch.id) or arch.default_input_size == "64")
            + [pytest.mark.long] * (arch.id in ("wide-cnn", "resnet18-tv")),  # seconds each
        )
        for arch in list_architectures()
    ],
)
def test_every_network_is_trained_identically_by_the_step_to_capture(arch: str, tmp_path: Path) -> None:
    batch = 2 if is_large(arch) else 16
    config = RunConfig(**{**BASE, "arch": arch, "batch_size": batch, "epochs": 1, "max_steps": 3, "val_fraction": 0.0})
    data = load_resident(config.replace(dataset="digits", train_limit=3 * batch), root=tmp_path, device=CPU)
    data = ResidentData(
        data.train_x, data.train_y, data.val_x, data.val_y, data.test_x[:4], data.test_y[:4], 0.1, 0.3, 10
    )
    found = []
    for kind in (StepKind.LAUNCHED, StepKind.REPEATED):
        torch.manual_seed(2)
        found.append(digests(config, build_network(arch), data, kind))
    assert found[0] == found[1]


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop", "muon"])
def test_preparing_the_step_changes_no_state(optimizer: str, data: ResidentData) -> None:
    network = SmallNet()
    config = RunConfig(**{**BASE, "optimizer": optimizer, "augment": "light"})
    session = Session(config, network, data, CPU, steps=StepKind.REPEATED)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    states = session.generators.read()
    session.prepare()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(torch.equal(state, states[name]) for name, state in session.generators.read().items())
    moments = session.steps.optimizer.state()
    assert moments
    assert not any(tensor.any() for tensor in moments.values())


class WaitingNet(LinearNet):
    """Reads a value on the host in its forward pass, which a graph cannot."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x * (1.0 if x.max().item() else 2.0))


class MaskingNet(LinearNet):
    """Selects images by a mask, whose count only the device knows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(torch.cat([x[x[:, 0, 0, 0] > 0], x])[-len(x) :])


@pytest.mark.parametrize(("kind", "name"), [(WaitingNet, "_local_scalar_dense"), (MaskingNet, "index.Tensor")])
def test_a_step_that_waits_for_the_device_is_refused(kind: type[LinearNet], name: str, data: ResidentData) -> None:
    build = partial(build_steps, kind=StepKind.REPEATED, recording=Watched())
    started = next(train(RunConfig(**BASE), network=kind(), data=data, device=CPU, steps=build))
    assert isinstance(started, Started)
    assert (
        started.environment["steps"]
        == f"launched, because it could not be captured (aten::{name} waits for the device)"
    )


def test_a_step_whose_tensors_have_moved_is_refused(data: ResidentData) -> None:
    network = LinearNet()
    build = partial(build_steps, kind=StepKind.REPEATED, recording=Watched())
    session = Session(RunConfig(**BASE), network, data, CPU, steps=build)
    session.prepare()
    session.steps.begin(torch.arange(len(data.train_y)), first=0, rates=np.full(4, 0.01))
    session.steps.step(measure_norm=False)
    network[1].weight.data = network[1].weight.data.clone()
    with pytest.raises(AssertionError):
        session.steps.step(measure_norm=False)


class OutOfMemoryNet(LinearNet):
    """Runs out of memory on more than `most` images, after `after` forward passes in training."""

    def __init__(self, most: int, *, after: int = 0) -> None:
        super().__init__()
        self.most, self.after = most, after
        self.sizes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.sizes.append(len(x))
            if len(x) > self.most and len(self.sizes) > self.after:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().forward(x)


def run(network: nn.Module, data: ResidentData, **settings: object) -> list[Event]:
    config = RunConfig(**{**BASE, "optimizer": "sgd", "momentum": 0.0, **settings})
    return list(train(config, network=network, data=data, device=CPU, steps=StepKind.REPEATED))


def notices(events: list[Event]) -> list[str]:
    return [e.code for e in events if isinstance(e, Notice)]


@pytest.mark.parametrize("after", [0, WARM_UPS], ids=["in the warm-up", "while recording"])
def test_running_out_of_memory_halves_the_batch(after: int, data: ResidentData) -> None:
    network, whole = OutOfMemoryNet(9, after=after), LinearNet()
    events = run(network, data, batch_size=16)
    run(whole, data, batch_size=16)
    assert notices(events) == ["out-of-memory"]
    assert network.sizes[: after + 1] == [16] * (after + 1)
    assert max(network.sizes[after + 1 :]) == 8
    recorded, taken = WARM_UPS + 1, 2 * 6  # steps of two parts each: recorded again with the warm-up, then two epochs
    assert len(network.sizes) == after + 1 + 2 * (recorded + taken)
    torch.testing.assert_close(network[1].weight, whole[1].weight, rtol=1e-5, atol=1e-6)


def test_running_out_of_memory_in_a_launched_step_records_the_step_again(data: ResidentData) -> None:
    """Five batches of 16: memory runs out in the last, which is launched, and the next epoch replays two parts."""
    network, whole = OutOfMemoryNet(9, after=WARM_UPS + 5), LinearNet()
    events = run(network, data.__class__(*_first(data, 80)), batch_size=16)
    run(whole, data.__class__(*_first(data, 80)), batch_size=16)
    assert notices(events) == ["out-of-memory"]
    attempts = WARM_UPS + 7  # the launched step twice, the second time after the recorded step's memory was freed
    assert network.sizes[:attempts] == [16] * attempts
    assert set(network.sizes[attempts:]) == {8}
    torch.testing.assert_close(network[1].weight, whole[1].weight, rtol=1e-5, atol=1e-6)


class CountedRepeat(Repeat):
    """Marks when it replays and counts its recordings; `LaunchFailsNet` counts its failures here."""

    def __init__(self) -> None:
        super().__init__()
        self.replaying, self.recorded, self.failed = False, 0, 0

    def record(self, warm_up: Callable[[], None], step: Callable[[], None], *, warm_ups: int = WARM_UPS) -> None:
        super().record(warm_up, step, warm_ups=warm_ups)
        self.recorded += 1

    def replay(self) -> None:
        self.replaying = True
        super().replay()
        self.replaying = False


class LaunchFailsNet(LinearNet):
    """Runs out of memory in launched training steps while a recorded step occupies memory."""

    def __init__(self, recording: CountedRepeat) -> None:
        super().__init__()
        self.recording = recording

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and self.recording.ready and not self.recording.replaying:
            self.recording.failed += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().forward(x)


def test_a_launched_step_that_runs_out_of_memory_gets_that_of_the_recorded_step(data: ResidentData) -> None:
    """The batch is not halved, only the first launched step fails once, and each epoch records the step again."""
    recording = CountedRepeat()
    network, whole = LaunchFailsNet(recording), LinearNet()

    build = partial(build_steps, kind=StepKind.REPEATED, recording=recording)
    config = RunConfig(**{**BASE, "optimizer": "sgd", "momentum": 0.0, "epochs": 3})
    events = list(train(config, network=network, data=data, device=CPU, steps=build))
    run(whole, data, epochs=3)
    assert notices(events) == ["recorded-anew"]
    assert (recording.failed, recording.recorded) == (1, 3)
    assert weights_digest(network.state_dict()) == weights_digest(whole.state_dict())


class RecordedOnce(CountedRepeat):
    """Can be recorded only once."""

    def record(self, warm_up: Callable[[], None], step: Callable[[], None], *, warm_ups: int = WARM_UPS) -> None:
        if self.recorded:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        super().record(warm_up, step, warm_ups=warm_ups)


def test_a_run_that_cannot_be_recorded_again_continues_launched_with_a_notice(data: ResidentData) -> None:
    recording = RecordedOnce()
    network, whole = LaunchFailsNet(recording), LinearNet()
    build = partial(build_steps, kind=StepKind.REPEATED, recording=recording)
    config = RunConfig(**{**BASE, "optimizer": "sgd", "momentum": 0.0, "epochs": 3})
    events = list(train(config, network=network, data=data, device=CPU, steps=build))
    run(whole, data, epochs=3)
    assert notices(events) == ["recorded-anew", "steps-launched"]
    message = next(e.message for e in events if isinstance(e, Notice) and e.code == "steps-launched")
    cause = "it could not be captured (operation not permitted when stream is capturing)"
    assert message == f"From now on, steps are launched, because {cause}."
    assert weights_digest(network.state_dict()) == weights_digest(whole.state_dict())


def _first(data: ResidentData, images: int) -> tuple[Any, ...]:
    rest = (data.val_x, data.val_y, data.test_x, data.test_y, data.mean, data.std, data.classes)
    return (data.train_x[:images], data.train_y[:images], *rest)


def test_memory_too_small_for_a_quarter_of_a_batch_ends_the_run_before_its_first_step(data: ResidentData) -> None:
    with pytest.raises(TrainingError, match="ran out of memory on batches of 16 images, even in 4 parts: choose"):
        run(OutOfMemoryNet(2), data)


class RefusingNet(SmallNet):
    """Cannot be recorded: its first forward pass in training fails like an operation that no graph can contain."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and not self.refused:
            self.refused = True
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        return super().forward(x)


def test_steps_that_cannot_be_recorded_are_launched_and_the_run_has_the_reason(data: ResidentData) -> None:
    torch.manual_seed(1)
    network = RefusingNet()
    events = run(network, data, augment="light")
    assert isinstance(events[0], Started)
    cause = "launched, because it could not be captured (operation not permitted when stream is capturing)"
    assert events[0].environment["steps"] == cause
    torch.manual_seed(1)
    same = SmallNet()
    config = RunConfig(**{**BASE, "optimizer": "sgd", "momentum": 0.0, "augment": "light"})
    list(train(config, network=same, data=data, device=CPU, steps=StepKind.LAUNCHED))
    assert weights_digest(network.state_dict()) == weights_digest(same.state_dict())
    assert isinstance(events[-1], Ended)


class HostNet(LinearNet):
    """Branches on a value on the host, which a graph cannot."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) if x.sum() > 0 else super().forward(-x)


def reason(network: nn.Module, data: ResidentData, device: torch.device = CUDA, **settings: object) -> str:
    config = RunConfig(**{**BASE, **settings})
    batches = Batches(data.train_x, data.train_y, mean=data.mean, std=data.std, batch_size=config.batch_size)
    return why_launched(config, build_view(network), batches, device)


@pytest.mark.parametrize("arch", [a.id for a in list_architectures()])
def test_every_network_can_be_captured(arch: str) -> None:
    data = build_data(size=28)
    with torch.device("meta"):
        network = build_network(arch)
    assert reason(network, data) == ""


def test_the_reason_why_steps_cannot_be_captured_is_known_before_the_first_step(data: ResidentData) -> None:
    assert reason(LinearNet(), data) == ""
    assert "reads a value on the host" in reason(HostNet(), data)
    assert "float16 decides on the host" in reason(LinearNet(), data, precision="float16")
    assert reason(LinearNet(), data, batch_size=46) == "an epoch has no two whole batches"
    assert reason(LinearNet(), data, batch_size=45) == ""
    assert reason(LinearNet(), data, device=torch.device("mps")) == "mps has no CUDA graphs"


def test_on_a_cpu_the_environment_names_how_steps_are_taken(data: ResidentData) -> None:
    config = RunConfig(**BASE)
    for kind, expected in (
        (StepKind.AUTO, "launched"),
        (StepKind.LAUNCHED, "launched, because this was requested"),
        (StepKind.REPEATED, "repeated"),
    ):
        started = next(train(config, network=SmallNet(), data=data, device=CPU, steps=kind))
        assert isinstance(started, Started)
        assert started.environment["steps"] == expected
