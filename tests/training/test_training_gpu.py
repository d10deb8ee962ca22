"""What needs a GPU: captured steps against launched ones, random streams, resume, pause, memory, fallback.

`make test-gpu` runs these; without a CUDA device they are skipped.
"""

import copy
import dataclasses
import gc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lab.architectures.build import build_network
from lab.architectures.registry import list_architectures
from lab.checkpoint_files import decode_checkpoint, encode
from lab.config import RunConfig
from lab.training.batches import normalise
from lab.training.checkpoint import weights_digest
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.evaluation import evaluate
from lab.training.events import Command, Ended, Event, Notice, Snapshot, Started, StepMetrics
from lab.training.recordings import CudaGraph
from lab.training.session import Session, process_settings
from lab.training.static_evaluation import LAUNCHED_FIRST
from lab.training.step_choice import StepKind
from lab.training.together import Job, train_together
from lab.training.warm_up import warm_up
from tests.training.training_nets import LinearNet, SmallNet, build_data

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
    # A warning of a GPU's libraries depends on their versions; it is printed and fails no test.
    pytest.mark.filterwarnings("default"),
]
CUDA = torch.device("cuda")
# 2^-10 is exact in float32 and float64; with deterministic algorithms only rounding within kernels remains.
EXACT = {
    "arch": "lenet5",
    "epochs": 3,
    "batch_size": 16,
    "seed": 3,
    "lr": 2.0**-10,
    "val_fraction": 0.2,
    "deterministic": True,
}
GB = 10**9


def on_gpu(data: ResidentData, device: torch.device = CUDA) -> ResidentData:
    parts = ("train_x", "train_y", "val_x", "val_y", "test_x", "test_y")
    return dataclasses.replace(data, **{name: getattr(data, name).to(device) for name in parts})


@pytest.fixture
def gpu_data() -> ResidentData:
    return on_gpu(build_data())


def follow(
    config: RunConfig,
    network: nn.Module,
    data: ResidentData,
    *,
    kind: StepKind = StepKind.AUTO,
    command: Callable[[], Command] = lambda: Command.RUN,
    resume: bytes | None = None,
) -> tuple[list[Event], bytes]:
    """Return the events of a run and its last checkpoint."""
    events, saved = [], b""
    for event in watch(config, network, data, kind=kind, command=command, resume=resume):
        events.append(event)
        if isinstance(event, Snapshot) and event.kind == "checkpoint":
            saved = encode(event.state())
    return events, saved


def watch(
    config: RunConfig,
    network: nn.Module,
    data: ResidentData,
    *,
    kind: StepKind = StepKind.AUTO,
    command: Callable[[], Command] = lambda: Command.RUN,
    resume: bytes | None = None,
) -> Iterator[Event]:
    """Yield the events of a run. Its checkpoints are not encoded: those of the largest networks have 1.7 GB."""
    checkpoint = decode_checkpoint(resume) if resume else None
    return train(config, network=network, data=data, device=CUDA, steps=kind, command=command, resume=checkpoint)


def losses(events: list[Event]) -> np.ndarray:
    return np.concatenate([e.loss for e in events if isinstance(e, StepMetrics)])


def how(events: list[Event]) -> str:
    assert isinstance(events[0], Started)
    return str(events[0].environment["steps"])


def small() -> nn.Module:
    torch.manual_seed(1)
    return SmallNet()


def assert_a_hundred_steps_agree(tolerance: float, **settings: Any) -> None:
    data = on_gpu(build_data(train=1600, size=28, classes=10))
    config = RunConfig(epochs=1, batch_size=16, lr=2.0**-13, seed=3, val_fraction=0.0, **settings)
    torch.manual_seed(2)
    network = build_network(config.arch)  # a copy is made in a moment, but the largest weights are drawn in seconds
    found = []
    for kind in (StepKind.AUTO, StepKind.LAUNCHED):
        events = list(watch(config, copy.deepcopy(network), data, kind=kind))
        found.append(losses(events))
        assert how(events) == ("captured" if kind is StepKind.AUTO else "launched, because this was requested")
    assert len(found[0]) == 100
    np.testing.assert_allclose(found[0], found[1], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("arch", [a.id for a in list_architectures()])
def test_a_hundred_captured_steps_of_every_network_equal_the_launched_ones(arch: str, precision: str) -> None:
    """With deterministic algorithms, which are not benchmarked either; all networks take minutes."""
    assert_a_hundred_steps_agree(1e-3, arch=arch, precision=precision, deterministic=True)


@pytest.mark.parametrize("arch", ["lenet-bn", "resnet-small", "resnet18-tv"])
def test_a_hundred_captured_steps_with_the_fastest_algorithms_equal_the_launched_ones(arch: str) -> None:
    """They sum in a different order each time, and the differences grow from step to step."""
    assert_a_hundred_steps_agree(0.02, arch=arch)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adam", "weight_decay": 0.01},
        {"optimizer": "adamw", "weight_decay": 0.01},
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
        {"optimizer": "rmsprop", "momentum": 0.9},
        {"optimizer": "muon", "schedule": "one-cycle"},
        {"schedule": "cosine", "warmup_epochs": 0.5, "grad_clip": 0.1, "label_smoothing": 0.1},
        {"augment": "light", "eval_every": 2},
        {"augment": "sketch", "channels_last": False},
        {"precision": "bfloat16", "max_steps": 11},
    ],
    ids=str,
)
def test_captured_and_launched_steps_draw_the_same_random_numbers(
    settings: dict[str, Any], gpu_data: ResidentData
) -> None:
    """With dropout and augmentation: the generators end in the same state, and the losses agree to 1 in 1,000."""
    config = RunConfig(**{**EXACT, **settings})
    captured, saved = follow(config, small(), gpu_data)
    launched, saved_launched = follow(config, small(), gpu_data, kind=StepKind.LAUNCHED)
    assert how(captured) == "captured"
    np.testing.assert_allclose(losses(captured), losses(launched), rtol=1e-3, atol=1e-4)
    states = decode_checkpoint(saved).rng, decode_checkpoint(saved_launched).rng
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_bytes_are_normalised_as_on_a_cpu() -> None:
    x_u8 = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    expected = (x_u8.double() / 255 - 0.1307) / 0.3081
    found = normalise(x_u8.to(CUDA), mean=0.1307, std=0.3081).cpu().double()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_preparing_the_step_changes_no_state(gpu_data: ResidentData) -> None:
    network = small()
    session = Session(RunConfig(**{**EXACT, "augment": "light"}), network, gpu_data, CUDA)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    states = session.generators.read()
    session.prepare()
    assert session.steps.how == "captured"
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(torch.equal(state, states[name]) for name, state in session.generators.read().items())
    assert not any(tensor.any() for tensor in session.steps.optimizer.state().values())


def pause_after(polls: int) -> Callable[[], Command]:
    commands = iter([Command.RUN] * polls)
    return lambda: next(commands, Command.PAUSE)


def test_two_hundred_paused_runs_have_the_bits_of_an_uninterrupted_one(gpu_data: ResidentData) -> None:
    config = RunConfig(**{**EXACT, "augment": "light", "epochs": 2})
    network = small()
    follow(config, network, gpu_data)
    expected = weights_digest(network.state_dict())
    for number in range(200):
        resumed, saved, outcome = small(), b"", "paused"
        command = pause_after(number % 17)
        while outcome == "paused":
            resumed = small()
            events, saved = follow(config, resumed, gpu_data, command=command, resume=saved or None)
            assert isinstance(events[-1], Ended)
            outcome, command = events[-1].outcome, lambda: Command.RUN
        assert weights_digest(resumed.state_dict()) == expected, f"differs when paused after {number % 17} polls"


def test_a_launched_run_continues_captured_with_a_notice(gpu_data: ResidentData) -> None:
    config = RunConfig(**EXACT)
    uninterrupted, _ = follow(config, small(), gpu_data, kind=StepKind.LAUNCHED)
    first, saved = follow(config, small(), gpu_data, kind=StepKind.LAUNCHED, command=pause_after(9))
    rest, _ = follow(config, small(), gpu_data, resume=saved)
    notices = [e.message for e in rest if isinstance(e, Notice)]
    assert len(notices) == 1
    assert "steps launched is now captured" in notices[0]
    np.testing.assert_allclose(
        np.concatenate([losses(first), losses(rest)]), losses(uninterrupted), rtol=1e-3, atol=1e-4
    )


def test_a_pause_takes_effect_at_the_step_at_which_it_was_requested(gpu_data: ResidentData) -> None:
    config = RunConfig(**{**EXACT, "epochs": 200})
    polls = 0

    def command() -> Command:
        nonlocal polls
        polls += 1
        return Command.PAUSE if polls > 200 else Command.RUN

    events, _ = follow(config, small(), gpu_data, command=command)
    assert isinstance(events[-1], Ended)
    assert events[-1].outcome == "paused"
    assert len(losses(events)) == events[-1].step > 100


@pytest.fixture
def three_gigabytes() -> Iterator[None]:
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(3 * GB / torch.cuda.get_device_properties(CUDA).total_memory)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.usefixtures("three_gigabytes")
def test_running_out_of_memory_halves_the_batch_and_captures_the_step_again() -> None:
    data = on_gpu(build_data(train=1024, val=8, test=8, size=28, classes=10))
    config = RunConfig(arch="resnet18", epochs=1, batch_size=256, val_fraction=0.0)
    events, _ = follow(config, build_network("resnet18"), data)
    assert next(e.code for e in events if isinstance(e, Notice)) == "out-of-memory"
    assert how(events) == "captured"
    assert len(losses(events)) == 4
    del events
    gc.collect()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved(CUDA) < GB


class ValueNet(SmallNet):
    """Reads a value on the host, which fails only during the capture on a GPU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training and x.is_cuda:
            x.sum().item()
        return super().forward(x)


class LateNet(SmallNet):
    """Synchronises only during the capture, which fails."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.is_cuda and torch.cuda.is_current_stream_capturing():
            torch.cuda.synchronize()
        return super().forward(x)


class RaisingNet(SmallNet):
    """Raises an error during the capture, which is not invalidated; out of memory does the same."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.is_cuda and torch.cuda.is_current_stream_capturing():
            raise RuntimeError("not in a capture")
        return super().forward(x)


class UnevaluatedNet(SmallNet):
    """Synchronises only while an evaluation is captured, which fails."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.is_cuda and not self.training and torch.cuda.is_current_stream_capturing():
            torch.cuda.synchronize()
        return super().forward(x)


@pytest.mark.parametrize("kind", [ValueNet, LateNet, RaisingNet])
def test_steps_that_cannot_be_captured_are_launched_with_the_reason_and_the_same_losses(
    kind: type[SmallNet], gpu_data: ResidentData
) -> None:
    config = RunConfig(**EXACT)
    torch.manual_seed(1)
    events, _ = follow(config, kind(), gpu_data)
    same, _ = follow(config, small(), gpu_data, kind=StepKind.LAUNCHED)
    assert how(events).startswith("launched, because it could not be captured (")
    np.testing.assert_allclose(losses(events), losses(same), rtol=1e-3, atol=1e-4)


def test_evaluations_that_cannot_be_captured_are_launched_and_change_no_later_step(gpu_data: ResidentData) -> None:
    """With dropout, whose generator state is part of the checkpoint."""
    config = RunConfig(**{**EXACT, "eval_every": 1, "epochs": 4})
    expected, saved = follow(config, small(), gpu_data)
    torch.manual_seed(1)
    events, saved_same = follow(config, UnevaluatedNet(), gpu_data)
    assert how(events) == "captured"
    assert [e.code for e in events if isinstance(e, Notice)] == ["evaluation-launched"]
    np.testing.assert_array_equal(losses(events), losses(expected))
    states = decode_checkpoint(saved).rng, decode_checkpoint(saved_same).rng
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_float16_is_launched_with_the_reason(gpu_data: ResidentData) -> None:
    events, _ = follow(RunConfig(**{**EXACT, "precision": "float16"}), small(), gpu_data)
    assert how(events) == "launched, because float16 decides on the host whether a step is skipped"


def test_evaluating_at_224_pixels_takes_a_few_gigabytes() -> None:
    data = on_gpu(build_data(test=2000, size=28, classes=10))
    network = build_network("mobilenet").to(CUDA)
    torch.cuda.reset_peak_memory_stats(CUDA)
    evaluate(network, data.test_x, data.test_y, mean=data.mean, std=data.std)
    assert torch.cuda.max_memory_allocated(CUDA) < 8 * GB


def test_captured_evaluations_equal_launched_ones_and_share_the_memory_of_the_step(gpu_data: ResidentData) -> None:
    config = RunConfig(**{**EXACT, "eval_batch_size": 12})
    with process_settings(config, CUDA):
        session = Session(config, small(), gpu_data, CUDA)
        session.prepare()
        found = [session.evaluate("test", before_chunk=lambda: None) for _ in range(LAUNCHED_FIRST + 2)]
        expected = evaluate(
            session.view,
            gpu_data.test_x,
            gpu_data.test_y,
            mean=gpu_data.mean,
            std=gpu_data.std,
            batch_size=12,
            channels_last=True,
        )
        graph = session._evaluations["test"]._recording
        assert isinstance(graph, CudaGraph)
        owner = graph._owner and graph._owner()
        assert isinstance(owner, CudaGraph)
        assert graph._graph is not None
        assert owner._graph is not None
        assert graph._graph.pool() == owner._graph.pool()
        assert graph._stream == owner._stream
    assert session.notices() == []
    for evaluation in found:
        torch.testing.assert_close(evaluation.logits, expected.logits, rtol=1e-4, atol=1e-5)


def test_captured_evaluations_do_not_change_later_steps(gpu_data: ResidentData) -> None:
    """The graphs share a memory pool: what an evaluation leaves there must not affect a step."""
    often = RunConfig(**{**EXACT, "eval_every": 1, "epochs": 4})
    captured, _ = follow(often, small(), gpu_data)
    rarely, _ = follow(often.replace(eval_every=0), small(), gpu_data)
    assert how(captured) == "captured"
    np.testing.assert_array_equal(losses(captured), losses(rarely))
    assert [e.code for e in captured if isinstance(e, Notice)] == []


def test_runs_that_take_turns_have_the_same_bits_as_alone(gpu_data: ResidentData) -> None:
    """With dropout and augmentation on separate streams; four captured, two launched."""
    configs = [RunConfig(**{**EXACT, "augment": "light", "seed": seed, "epochs": 1 + seed % 3}) for seed in range(6)]
    kinds = [StepKind.AUTO] * 4 + [StepKind.LAUNCHED] * 2
    alone = []
    for config, kind in zip(configs, kinds):
        network = small()
        follow(config, network, gpu_data, kind=kind)
        alone.append(weights_digest(network.state_dict()))
    jobs = [Job(config=config, network=small(), data=gpu_data, steps=kind) for config, kind in zip(configs, kinds)]
    ended = [number for number, event in train_together(jobs, device=CUDA) if isinstance(event, Ended)]
    torch.cuda.synchronize()
    assert sorted(ended) == list(range(len(jobs)))
    assert [weights_digest(job.network.state_dict()) for job in jobs] == alone


def test_copies_that_event_handlers_launch_are_made_before_the_next_step(gpu_data: ResidentData) -> None:
    """The copies are delayed on the device, and the host does not wait for them."""
    config = RunConfig(**EXACT)
    expected = [weights_digest(e.state().model) for e in watch(config, small(), gpu_data) if isinstance(e, Snapshot)]
    copies = []
    for _, event in train_together([Job(config=config, network=small(), data=gpu_data)], device=CUDA):
        if isinstance(event, Snapshot):
            torch.cuda._sleep(10**8)  # cycles: some 50 ms
            copies.append({name: tensor.clone() for name, tensor in event.state().model.items()})
    assert [weights_digest(model) for model in copies] == expected


def test_process_settings_apply_until_the_last_run_has_ended(gpu_data: ResidentData) -> None:
    jobs = [Job(config=RunConfig(**{**EXACT, "max_steps": steps}), network=small(), data=gpu_data) for steps in (9, 2)]
    seen = []
    for _, event in train_together(jobs, device=CUDA):
        if isinstance(event, Ended):
            seen.append((torch.backends.cudnn.deterministic, torch.get_float32_matmul_precision()))
    assert seen == [(True, "high")] * 2
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.utils.deterministic.fill_uninitialized_memory


def test_matrix_products_have_the_precision_of_convolutions(gpu_data: ResidentData) -> None:
    events, _ = follow(RunConfig(**EXACT), LinearNet(), gpu_data)
    assert isinstance(events[0], Started)
    assert events[0].environment["matmul"] == "high"
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_worker_can_warm_up() -> None:
    warm_up(CUDA)
    assert torch.cuda.is_initialized()
