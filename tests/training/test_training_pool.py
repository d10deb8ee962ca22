"""Adaptive pooling by matrix products, whose gradients are deterministic on a GPU."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lab.training.kernels import RepeatablePool
from lab.training.layout import build_view


@pytest.mark.parametrize("side", [1, 2, 5, 6, 7, 13])
@pytest.mark.parametrize("size", [7, (3, 2), (None, 4)])
def test_matrix_products_give_the_means_and_gradients_of_adaptive_pooling(side: int, size: object) -> None:
    x = torch.rand(2, 3, side, side + 1, dtype=torch.float64, requires_grad=True)
    pool = RepeatablePool(size).double()
    weights = torch.rand_like(F.adaptive_avg_pool2d(x, size))  # type: ignore[arg-type]
    found = []
    for pooled in (pool.by_products(x.float()), F.adaptive_avg_pool2d(x, size)):  # type: ignore[arg-type]
        (gradient,) = torch.autograd.grad((pooled * weights).sum(), x)
        found.append((pooled.double(), gradient))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_matrices_created_in_an_evaluation_can_be_used_in_training() -> None:
    pool = RepeatablePool(7)
    with torch.inference_mode():
        pool.by_products(torch.rand(1, 1, 2, 2))
    x = torch.rand(1, 1, 2, 2, requires_grad=True)
    torch.autograd.backward(pool.by_products(x).sum())
    assert x.grad is not None
    torch.testing.assert_close(x.grad.sum(), torch.tensor(49.0))


def test_on_a_cpu_a_view_pools_as_torch_does() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d((7, 7)))
    x = torch.rand(2, 1, 2, 2)
    assert isinstance(build_view(network)[1], RepeatablePool)  # type: ignore[index]
    assert torch.equal(build_view(network)(x), network(x))
