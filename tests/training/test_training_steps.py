"""The contract of `Steps`, which every implementation must fulfil."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from lab.config import RunConfig
from lab.training.batches import Batches
from lab.training.data import ResidentData
from lab.training.generators import Generators
from lab.training.recordings import Repeat
from lab.training.step_choice import StepKind, build_steps, compile_whole_batches
from lab.training.steps import Steps
from tests.training.training_nets import LinearNet, build_data

CPU = torch.device("cpu")


Build = Callable[..., Steps]


@pytest.fixture(params=[StepKind.LAUNCHED, StepKind.REPEATED])
def build(request: pytest.FixtureRequest) -> Build:
    def steps(network: LinearNet, data: ResidentData, **settings: object) -> Steps:
        config = RunConfig(**{"optimizer": "sgd", "momentum": 0.0, "lr": 0.0001, "batch_size": 32, **settings})
        batches = Batches(data.train_x, data.train_y, mean=data.mean, std=data.std, batch_size=config.batch_size)
        built = build_steps(config, network, network, batches, Generators(CPU), CPU, kind=request.param)
        built.prepare()
        return built

    return steps


def begin(steps: Steps, *, first: int = 0, batches: int = 3) -> None:
    steps.begin(torch.arange(90), first=first, rates=np.full(batches - first, 0.0001))


def test_results_are_drained_once_with_one_entry_per_step(build: Build, data: ResidentData) -> None:
    """With zero weights the first loss is log 3 and class 0 is predicted; the last batch has 26 images."""
    steps = build(LinearNet(), data)
    begin(steps)
    for _ in range(3):
        steps.step(measure_norm=False)
    loss, correct, images = steps.drain()
    assert loss[0] == pytest.approx(math.log(3), rel=1e-6)
    assert correct[0] == (data.train_y[:32] == 0).sum()
    assert images.tolist() == [32, 32, 26]
    begin(steps)
    steps.step(measure_norm=False)
    assert steps.drain().images.tolist() == [32]


def test_an_epoch_can_start_at_a_later_batch(build: Build, data: ResidentData) -> None:
    steps = build(LinearNet(), data)
    begin(steps, first=2)
    steps.step(measure_norm=False)
    loss, correct, images = steps.drain()
    assert images.tolist() == [26]
    assert correct[0] == (data.train_y[64:] == 0).sum()
    assert loss[0] == pytest.approx(math.log(3), rel=1e-6)


def test_every_batch_has_its_own_learning_rate(build: Build, data: ResidentData) -> None:
    network = LinearNet()
    steps = build(network, data)
    steps.begin(torch.arange(90), first=0, rates=np.array([0.0, 0.1, 0.1]))
    steps.step(measure_norm=False)
    assert not network[1].weight.any()
    steps.step(measure_norm=False)
    assert network[1].weight.any()


def test_the_gradient_norm_is_measured_on_request_only(build: Build, data: ResidentData) -> None:
    network = LinearNet()
    steps = build(network, data, batch_size=90)
    begin(steps, batches=1)
    assert steps.gradient_norm() is None
    x_BCHW = (data.train_x.float() / 255 - data.mean) / data.std
    loss = torch.nn.functional.cross_entropy(network(x_BCHW), data.train_y)
    expected = torch.nn.utils.get_total_norm(torch.autograd.grad(loss, list(network.parameters())))
    steps.step(measure_norm=True)
    assert steps.gradient_norm() == pytest.approx(expected.item(), rel=1e-5)


def test_the_loss_scale_of_float16_is_saved_and_restored(build: Build, data: ResidentData) -> None:
    steps = build(LinearNet(), data, precision="float16")
    assert steps.state() == {"parts": 1, "scaler": {**steps.state()["scaler"], "scale": 65536.0}}
    steps.load_state({"parts": 2, "scaler": {**steps.state()["scaler"], "scale": 1024.0}})
    assert (steps.state()["parts"], steps.state()["scaler"]["scale"]) == (2, 1024.0)
    fresh = build(LinearNet(), data)
    fresh.load_state({})
    assert fresh.state() == {"parts": 1, "scaler": {}}
    scale = steps.state()["scaler"]
    fresh.load_state({"parts": 2, "scaler": scale})  # of a run in float16, which is ignored in float32
    assert fresh.state() == {"parts": 2, "scaler": {}}
    steps.load_state({"parts": 1, "scaler": {}})  # and vice versa: the scale does not change
    assert steps.state() == {"parts": 1, "scaler": scale}


def test_steps_report_how_they_are_taken_and_why() -> None:
    data = build_data()

    def how(kind: StepKind) -> str:
        batches = Batches(data.train_x, data.train_y, mean=data.mean, std=data.std, batch_size=32)
        network = LinearNet()
        return build_steps(RunConfig(), network, network, batches, Generators(CPU), CPU, kind=kind).how

    assert [how(kind) for kind in (StepKind.AUTO, StepKind.LAUNCHED, StepKind.REPEATED)] == [
        "launched",  # on a CPU this is expected, and needs no reason
        "launched, because this was requested",
        "repeated",
    ]


@pytest.mark.parametrize("saved", ["cpu", "augment"])
def test_generators_continue_from_a_saved_state(saved: str) -> None:
    generators = Generators(CPU)
    generators.seed_epoch(3, 1)
    torch.manual_seed(7)
    states = generators.read()

    def draw() -> float:
        return torch.rand(1, generator=generators.augment if saved == "augment" else None).item()

    first = [draw() for _ in range(3)]
    generators.write(states)
    assert [draw() for _ in range(3)] == first
    generators.seed_epoch(3, 1)
    again = draw()
    generators.seed_epoch(3, 2)
    other = draw()
    assert (again == first[0], other == again) == ((True, False) if saved == "augment" else (False, False))


def test_a_dependent_recording_is_separate_from_the_step_and_freed_with_it() -> None:
    data = build_data()
    batches = Batches(data.train_x, data.train_y, mean=data.mean, std=data.std, batch_size=32)
    network, recording = LinearNet(), Repeat()
    kind = StepKind.REPEATED
    steps = build_steps(RunConfig(), network, network, batches, Generators(CPU), CPU, kind=kind, recording=recording)
    assert steps.new_recording() is None, "nothing is recorded yet"
    steps.prepare()
    dependent = steps.new_recording()
    assert dependent is not None
    assert dependent is not recording
    assert (recording.ready, dependent.ready) == (True, False)
    dependent.record(lambda: None, lambda: None)
    assert dependent.ready
    recording.free()
    assert not dependent.ready
    launched = build_steps(RunConfig(), network, network, batches, Generators(CPU), CPU, kind=StepKind.LAUNCHED)
    launched.prepare()
    assert launched.new_recording() is None


def test_only_whole_batches_and_their_parts_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    def fake_compile(network: torch.nn.Module, *, dynamic: bool) -> Callable[[torch.Tensor], torch.Tensor]:
        assert not dynamic
        return lambda x: (compiled.append(len(x)), network(x))[1]

    monkeypatch.setattr(torch, "compile", fake_compile)
    network = compile_whole_batches(torch.nn.Identity(), 30)
    for size in (30, 15, 8, 7, 26, 1):
        assert len(network(torch.ones(size, 2))) == size
    assert compiled == [30, 15, 8, 7]
