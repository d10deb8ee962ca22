"""The faster view computes the same as the network, with the network's own tensors."""

import pytest
import torch
from torch import nn

from lab.architectures.blocks import Resize
from lab.architectures.build import build_network
from lab.training.kernels import QuickDropout, QuickFlatten, QuickResize, to_channels_last
from lab.training.layout import build_view

SMALL = ("lenet5", "lenet-bn", "basic-cnn", "conv2-fc2", "vgg-small", "resnet-small", "speedrun-cnn")


def test_relu_and_pool_are_swapped_only_in_the_view() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    view = build_view(network)
    assert [type(m).__name__ for m in view] == ["Conv2d", "MaxPool2d", "ReLU", "QuickFlatten"]
    assert [type(m).__name__ for m in network] == ["Conv2d", "ReLU", "MaxPool2d", "Flatten"]
    assert view[0] is network[0]
    assert view[2].inplace
    assert not network[1].inplace


def test_a_pool_that_returns_indices_is_not_moved() -> None:
    network = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2, return_indices=True))
    assert isinstance(build_view(network)[0], nn.ReLU)


@pytest.mark.parametrize("arch", SMALL)
def test_outputs_and_gradients_of_the_view_equal_the_networks(arch: str) -> None:
    torch.manual_seed(0)
    network = build_network(arch).to(memory_format=torch.channels_last)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # it draws other random numbers; see below
    view = build_view(network)
    x = to_channels_last(torch.randn(6, 1, 28, 28))
    results = []
    for module in (network, view):
        torch.manual_seed(7)  # for Dropout2d
        module.train()
        network.zero_grad()
        logits = module(x)
        logits.square().sum().backward()
        results.append((logits.detach(), [p.grad.clone() for p in network.parameters() if p.grad is not None]))
    (logits, gradients), (view_logits, view_gradients) = results
    assert torch.allclose(logits, view_logits, rtol=1e-5, atol=1e-6)
    for own, other in zip(gradients, view_gradients, strict=True):
        assert torch.allclose(own, other, rtol=1e-4, atol=1e-5 * float(own.abs().max()))


def test_the_state_of_the_view_has_the_names_and_the_storage_of_the_network() -> None:
    network = build_network("lenet-bn")
    own, other = network.state_dict(), build_view(network).state_dict()
    assert own.keys() == other.keys()
    assert all(own[name].data_ptr() == other[name].data_ptr() for name in own)


def test_images_with_one_channel_make_the_whole_network_run_in_nhwc() -> None:
    conv = nn.Conv2d(1, 4, 3).to(memory_format=torch.channels_last)
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(to_channels_last(x), x)
    assert conv(to_channels_last(x)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("shape", [(100, 999), (50, 8, 9, 9)])
def test_dropout_drops_its_share_and_keeps_the_mean(p: float, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.ones(shape, requires_grad=True)
    x_last = x if len(shape) == 2 else x.contiguous(memory_format=torch.channels_last)
    y = QuickDropout(p)(x_last)
    deviation = (p * (1 - p) / x.numel()) ** 0.5
    assert (y == 0).double().mean().item() == pytest.approx(p, abs=4 * deviation)
    assert torch.allclose(y[y != 0], torch.tensor(1 / (1 - p)), rtol=1e-4)
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], y.detach())


def test_dropout_depends_on_the_seed_and_is_the_identity_in_eval_mode() -> None:
    x = torch.randn(30, 40)
    masks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masks.append(QuickDropout(0.5)(x) == 0)
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
    assert torch.equal(QuickDropout(0.5).eval()(x), x)
    assert torch.equal(QuickDropout(0.0)(x), x)


@pytest.mark.parametrize(("side", "size"), [(28, 32), (28, 224), (28, 28), (28, 20), (8, 31)])
def test_resizing_by_matrices_equals_torchs_bilinear_resize(side: int, size: int) -> None:
    x = torch.randn(3, 1, side, side)
    assert torch.allclose(QuickResize(size)(x), Resize(size)(x), atol=2e-6)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_flattening_has_torchs_order_and_a_gradient_in_the_memory_format_of_the_images(
    layout: torch.memory_format,
) -> None:
    images = torch.randn(5, 3, 4, 6).contiguous(memory_format=layout).requires_grad_()
    weights = torch.randn(5, 72)
    flat = QuickFlatten()(images)
    assert torch.equal(flat, images.flatten(1))
    (gradient,) = torch.autograd.grad((flat * weights).sum(), images)
    assert torch.equal(gradient, weights.reshape(5, 3, 4, 6))
    assert gradient.is_contiguous(memory_format=layout)
    assert torch.equal(QuickFlatten(2)(images), images.flatten(2))


def test_downscaling_smooths_the_images() -> None:
    """One bright pixel per 4x4 block lies between the sampled points: its brightness must not vanish."""
    x = torch.zeros(1, 1, 32, 32)
    x[..., ::4, ::4] = 1.0
    small = QuickResize(8)(x)
    assert small.shape == (1, 1, 8, 8)
    torch.testing.assert_close(small[..., 1:-1, 1:-1], torch.full((1, 1, 6, 6), 1 / 16), rtol=0.6, atol=0)
    assert small.mean().item() == pytest.approx(1 / 16, rel=0.2)
