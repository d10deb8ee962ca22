"""Too little memory, and batches too small for training: what is retried, what is reported, and the results."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lab.architectures.build import build_network
from lab.config import RunConfig
from lab.data.resident import load_resident
from lab.devices import is_out_of_memory
from lab.errors import TrainingError
from lab.seeding import derive_seed
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.evaluation import evaluate
from lab.training.events import Event, Notice, StepMetrics
from lab.training.losses import build_loss
from lab.training.optimizers import Optimizer, build_optimizer
from lab.training.session import Session
from lab.training.stepping import Stepper
from tests.training.training_nets import LinearNet, SmallNet, build_data

CPU = torch.device("cpu")


def config(**settings: object) -> RunConfig:
    return RunConfig(**{"batch_size": 16, "epochs": 2, "val_fraction": 0.2, **settings})


def run(network: nn.Module, data: ResidentData, settings: RunConfig) -> list[Event]:
    return list(train(settings, network=network, data=data, device=CPU))


class OutOfMemoryNet(LinearNet):
    """Runs out of memory on more than `most` images, as a large network does on a small GPU."""

    def __init__(self, most: int, *, training: bool = True) -> None:
        super().__init__()
        self.most, self.fails_in_training = most, training
        self.sizes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training is self.fails_in_training:
            self.sizes.append(len(x))
            if len(x) > self.most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().forward(x)


class OutOfMemorySGD(torch.optim.SGD):
    """Runs out of memory for its state, as Adam and Muon may in their first step."""

    def step(self, closure: object = None) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def steps_of(events: list[Event]) -> np.ndarray:
    return np.concatenate([e.loss for e in events if isinstance(e, StepMetrics)])


@pytest.mark.parametrize(("most", "notices"), [(90, 0), (45, 1), (23, 2)])
def test_parts_of_a_batch_sum_to_the_whole_batch(data: ResidentData, most: int, notices: int) -> None:
    whole, parts = LinearNet(), OutOfMemoryNet(most)
    settings = config(optimizer="sgd", lr=0.1, batch_size=90)
    whole_events, events = run(whole, data, settings), run(parts, data, settings)
    reported = [e for e in events if isinstance(e, Notice) and e.code == "out-of-memory"]
    assert len(reported) == notices
    assert all("batch norm's averages and on the random numbers is not undone" in notice.message for notice in reported)
    assert torch.allclose(whole[1].weight, parts[1].weight, atol=1e-6)
    assert np.allclose(steps_of(whole_events), steps_of(events), atol=1e-6)


def test_memory_too_small_for_a_quarter_of_a_batch_ends_the_run_with_advice(data: ResidentData) -> None:
    with pytest.raises(TrainingError, match="ran out of memory on batches of 16 images, even in 4 parts: choose"):
        run(OutOfMemoryNet(2), data, config())
    with pytest.raises(TrainingError, match="ran out of memory on batches of 2 images: choose"):
        run(OutOfMemoryNet(1), data, config(batch_size=2))


def build_stepper(network: nn.Module, *parts: torch.optim.Optimizer) -> Stepper:
    names = {parameter: name for name, parameter in network.named_parameters()}
    return Stepper(network, build_loss(config()), Optimizer(list(parts), names), config(), CPU)


@pytest.mark.parametrize(("images", "sizes"), [(90, [23, 23, 22, 22]), (6, [2, 2, 2]), (5, [3, 2]), (3, [3]), (1, [1])])
def test_a_batch_is_never_split_into_single_images(data: ResidentData, images: int, sizes: list[int]) -> None:
    network = OutOfMemoryNet(90)
    stepper = build_stepper(network, torch.optim.SGD(network.parameters(), lr=0.1))
    stepper.parts = 4
    stepper.step(data.train_x[:images].float(), data.train_y[:images])
    assert network.sizes == sizes


def test_no_update_is_applied_twice_if_the_optimizer_runs_out_of_memory(data: ResidentData) -> None:
    network = LinearNet()
    parts = torch.optim.SGD([network[1].weight], lr=0.1), OutOfMemorySGD([network[1].bias], lr=0.1)
    with pytest.raises(TrainingError, match=r"out of memory in the optimizer's step.*choose SGD without momentum"):
        build_stepper(network, *parts).step(data.train_x.float(), data.train_y)
    once = LinearNet()
    stepper = build_stepper(once, torch.optim.SGD(once.parameters(), lr=0.1))
    stepper.step(data.train_x.float(), data.train_y)
    assert torch.equal(network[1].weight, once[1].weight)


def test_an_evaluation_that_does_not_fit_continues_in_smaller_chunks_with_the_same_logits(data: ResidentData) -> None:
    whole, limited = LinearNet(), OutOfMemoryNet(12, training=False)
    torch.nn.init.normal_(whole[1].weight)
    limited.load_state_dict(whole.state_dict())
    expected = evaluate(whole, data.test_x, data.test_y, mean=data.mean, std=data.std)
    result = evaluate(limited, data.test_x, data.test_y, mean=data.mean, std=data.std)
    assert limited.sizes == [50, 25, 12, 12, 12, 12, 2]
    assert result.chunk == 12
    assert torch.allclose(result.logits, expected.logits, atol=1e-6)
    assert result.accuracy == expected.accuracy


def test_a_chunk_size_that_fits_is_used_from_then_on(data: ResidentData) -> None:
    network = OutOfMemoryNet(20, training=False)
    run(network, data, config(eval_batch_size=40))
    assert [size for size in network.sizes if size > 20] == [40]


def test_a_single_image_that_does_not_fit_ends_the_evaluation_with_advice(data: ResidentData) -> None:
    with pytest.raises(TrainingError, match="when evaluating a single image: choose a smaller input size"):
        evaluate(OutOfMemoryNet(0, training=False), data.test_x, data.test_y, mean=0.0, std=1.0)


@pytest.mark.parametrize(
    ("images", "batch", "message"),
    [
        (9, 4, r"last batch of an epoch \(9 images by 4\) has one image.*choose another batch size, such as 3\."),
        (9, 1, r"Every batch has one image.*choose another batch size, such as 3\."),
        (1, 4, "has one image.*raise train_limit or lower val_fraction"),
    ],
    ids=["one left over", "batches of one", "one in total"],
)
def test_a_batch_of_one_image_for_batch_norm_is_refused_before_the_first_step(
    tmp_path: Path, images: int, batch: int, message: str
) -> None:
    settings = RunConfig(
        arch="speedrun-cnn", dataset="digits", train_limit=images, batch_size=batch, val_fraction=0.0, epochs=1
    )
    data = load_resident(settings, root=tmp_path, device=CPU)
    with pytest.raises(TrainingError, match=message):
        next(train(settings, network=build_network("speedrun-cnn"), data=data, device=CPU))


def test_a_run_that_ends_before_the_batch_of_one_image_is_not_refused(tmp_path: Path) -> None:
    settings = RunConfig(
        arch="speedrun-cnn", dataset="digits", train_limit=9, batch_size=4, val_fraction=0.0, epochs=1, max_steps=2
    )
    data = load_resident(settings, root=tmp_path, device=CPU)
    session = Session(settings, build_network("speedrun-cnn"), data, CPU)
    assert (session.total_steps, session.steps_per_epoch) == (2, 3)


def test_checking_a_batch_of_one_image_changes_no_state() -> None:
    data, network = build_data(train=33), SmallNet()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    Session(config(), network, data, CPU)
    drawn = torch.rand(3)
    torch.manual_seed(derive_seed(0, "training"))
    assert torch.equal(drawn, torch.rand(3))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert [e.step for e in run(network, data, config(epochs=1)) if isinstance(e, StepMetrics)][-1][-1] == 3


def test_parts_of_unequal_size_are_weighted_by_their_images(data: ResidentData) -> None:
    """For a batch of 10 in three parts of 4, 3 and 3, the gradient equals that of the whole batch."""
    gradients = []
    for parts in (1, 3):
        network = LinearNet()
        settings = config(optimizer="sgd", lr=0.1, momentum=0.0)
        stepper = Stepper(network, build_loss(settings), build_optimizer(settings, network), settings, CPU)
        stepper.parts = parts
        x = data.train_x[:10].float() / 255
        loss, logits = stepper.step(x, data.train_y[:10])
        gradients.append((float(loss), network[1].weight.grad))
        assert logits.shape == (10, 3)
    assert gradients[0][0] == pytest.approx(gradients[1][0], rel=1e-6)
    assert gradients[0][1] is not None
    torch.testing.assert_close(gradients[0][1], gradients[1][1], rtol=1e-5, atol=1e-7)


class BrieflyOutOfMemoryNet(LinearNet):
    """Runs out of memory in the calls with these numbers."""

    def __init__(self, *failures: int) -> None:
        super().__init__()
        self.calls, self.failures = 0, failures

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls in self.failures:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().forward(x)


@pytest.mark.parametrize(("parts", "failures", "after"), [(1, (1,), 2), (2, (2,), 4), (1, (1, 3), 4)])
def test_gradients_accumulated_by_a_failed_attempt_are_discarded(
    data: ResidentData, parts: int, failures: tuple[int, ...], after: int
) -> None:
    """The second part runs out of memory after the first part has accumulated its gradient."""
    x, y = data.train_x[:12].float() / 255, data.train_y[:12]
    whole, limited = LinearNet(), BrieflyOutOfMemoryNet(*failures)
    for network, cut in ((whole, 1), (limited, parts)):
        stepper = build_stepper(network, torch.optim.SGD(network.parameters(), lr=0.1))
        stepper.parts = cut
        stepper.step(x, y)
    assert stepper.parts == after
    torch.testing.assert_close(limited[1].weight, whole[1].weight, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        ("CUDA out of memory. Tried to allocate 2.00 GiB.", True),
        ("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to allocate", True),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True),
        ("cuDNN error: CUDNN_STATUS_ALLOC_FAILED", True),
        ("FIND was unable to find an engine to execute this computation", True),
        ("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`", False),
        ("operation not permitted when stream is capturing", False),
    ],
)
def test_a_failed_allocation_is_recognised_by_its_message(text: str, memory: bool) -> None:
    assert is_out_of_memory(RuntimeError(text)) is memory
