"""Evaluation in chunks, which leaves the network unchanged."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from lab.architectures.build import build_network
from lab.training.data import ResidentData
from lab.training.evaluation import MAX_BYTES, Forward, evaluate
from tests.training.training_nets import SmallNet

Build = Callable[[], nn.Module]


@pytest.mark.parametrize("chunk", [1, 7, 49, 50, 1000])
def test_evaluation_in_chunks_gives_the_result_of_the_whole_set(
    data: ResidentData, small_net: Build, chunk: int
) -> None:
    network = small_net().eval()
    x = (data.test_x.float() / 255 - data.mean) / data.std
    with torch.no_grad():
        logits = network(x)
    result = evaluate(network, data.test_x, data.test_y, mean=data.mean, std=data.std, batch_size=chunk)
    assert torch.allclose(result.logits, logits, atol=1e-5)
    assert result.loss == pytest.approx(nn.functional.cross_entropy(logits, data.test_y).item(), rel=1e-5)
    assert result.accuracy == int((logits.argmax(1) == data.test_y).sum()) / 50


def test_evaluation_leaves_the_network_unchanged(data: ResidentData, small_net: Build) -> None:
    network = small_net().train()
    network[5].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    evaluate(network, data.test_x, data.test_y, mean=0.0, std=1.0)
    assert [module.training for module in network] == [True] * 5 + [False, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_training_modes_are_restored_after_an_interruption(data: ResidentData, small_net: Build) -> None:
    network = small_net().train()

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(network, data.test_x, data.test_y, mean=0.0, std=1.0, before_chunk=interrupt)
    assert all(module.training for module in network.modules())


def test_an_empty_set_has_no_loss(small_net: Build) -> None:
    empty = torch.empty(0, 1, 8, 8, dtype=torch.uint8)
    result = evaluate(small_net(), empty, torch.empty(0, dtype=torch.int64), mean=0.0, std=1.0)
    assert math.isnan(result.loss)
    assert math.isnan(result.accuracy)


def test_the_logits_can_be_used_in_later_gradient_computations(data: ResidentData, small_net: Build) -> None:
    logits = evaluate(small_net(), data.test_x, data.test_y, mean=0.0, std=1.0).logits
    scale = torch.ones(3, requires_grad=True)
    (logits * scale).sum().backward()
    assert torch.allclose(scale.grad, logits.sum(0), rtol=1e-4)


def test_the_chunk_size_on_a_gpu_is_limited_by_the_largest_feature_map() -> None:
    """The small network's convolution has 4 maps of 6x6 for 8x8 pixels; MobileNet's largest maps are 64 of 112x112."""
    network, shape, gpu = SmallNet(), torch.Size([1, 8, 8]), torch.device("cuda")
    hooks = [len(module._forward_hooks) for module in network.modules()]
    forward = Forward(network, 0.0, 1.0)
    assert forward.map_bytes(shape) == 4 * 4 * 6 * 6
    assert forward.resolve_chunk(0, shape, gpu) == MAX_BYTES // (4 * 4 * 6 * 6)
    assert forward.resolve_chunk(7, shape, gpu) == 7
    assert forward.resolve_chunk(0, shape, torch.device("cpu")) == 250
    assert [len(module._forward_hooks) for module in network.modules()] == hooks
    with torch.device("meta"):
        wide = build_network("mobilenet")
    assert Forward(wide, 0.0, 1.0).map_bytes(torch.Size([1, 28, 28])) == 4 * 64 * 112 * 112
    assert Forward(nn.Flatten(), 0.0, 1.0).map_bytes(shape) == 4 * 64
    huge = nn.Upsample(size=30_000)
    assert Forward(huge, 0.0, 1.0).resolve_chunk(0, shape, gpu) == 1


def test_the_callback_is_called_before_every_chunk(data: ResidentData, small_net: Build) -> None:
    polls: list[int] = []
    evaluate(
        small_net(), data.test_x, data.test_y, mean=0.0, std=1.0, batch_size=12, before_chunk=lambda: polls.append(1)
    )
    assert len(polls) == 5  # 50 images


@pytest.mark.parametrize(("options", "chunk"), [({}, 250), ({"batch_size": 0}, 250), ({"batch_size": 7}, 7)])
def test_a_cpu_evaluates_250_images_at_once_by_default(data: ResidentData, options: dict[str, int], chunk: int) -> None:
    found = evaluate(SmallNet(), data.test_x, data.test_y, mean=data.mean, std=data.std, **options)
    assert (found.chunk, len(found.logits)) == (chunk, 50)
