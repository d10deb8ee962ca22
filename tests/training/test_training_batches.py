"""The order, positions and values of batches."""

import pytest
import torch

from lab.training.batches import Batches, epoch_order, fitting_batch_size, normalise
from tests.training.training_nets import build_data

X, Y = build_data(train=53).train_x, build_data(train=53).train_y
GENERATOR = torch.Generator()


def test_every_epoch_has_every_image_once_in_a_different_order() -> None:
    orders = [epoch_order(1000, seed=4, epoch=epoch) for epoch in (1, 2)]
    assert all(torch.equal(order.sort().values, torch.arange(1000)) for order in orders)
    assert not torch.equal(*orders)


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    first = epoch_order(1000, seed=4, epoch=7)
    torch.rand(5)
    assert torch.equal(first, epoch_order(1000, seed=4, epoch=7))
    assert not torch.equal(first, epoch_order(1000, seed=5, epoch=7))
    assert torch.equal(epoch_order(5, seed=4, epoch=7, shuffle=False), torch.arange(5))


def test_normalising_maps_the_mean_to_zero_and_one_standard_deviation_to_one() -> None:
    x = torch.tensor([51, 102], dtype=torch.uint8)  # 0.2 and 0.4
    assert torch.allclose(normalise(x, mean=0.2, std=0.2), torch.tensor([0.0, 1.0]), atol=1e-6)


def test_batches_from_a_later_start_are_the_tail_of_the_whole_epoch() -> None:
    batches = Batches(X, Y, mean=0.2, std=0.3, batch_size=8)
    order = epoch_order(53, seed=0, epoch=1)
    whole = list(batches.iterate(order, 0, GENERATOR))
    assert batches.steps_per_epoch == len(whole) == 7
    assert [len(y) for _, y in whole] == [8] * 6 + [5]
    assert torch.equal(torch.cat([y for _, y in whole]), Y[order])
    assert torch.equal(torch.cat([x for x, _ in whole]), normalise(X[order], mean=0.2, std=0.3))
    for start in range(8):
        tail = list(batches.iterate(order, start, GENERATOR))
        assert len(tail) == 7 - start
        assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(tail, whole[start:]))


def test_images_are_augmented_in_the_unit_range_and_normalised_afterwards() -> None:
    seen = []

    def brighten(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        seen.append((float(x.min()) >= 0.0, float(x.max()) == 1.0))
        return torch.ones_like(x)

    batches = Batches(X, Y, mean=0.2, std=0.4, batch_size=32, augment=brighten)
    x, _ = next(batches.iterate(torch.arange(53), 0, GENERATOR))
    assert seen == [(True, True)]
    assert torch.allclose(x, torch.full_like(x, 2.0))


@pytest.mark.parametrize(
    ("images", "limit", "size"),
    [(4000, 64, 64), (3969, 64, 63), (51, 10, 9), (51, 1, 1), (51, 2, 3), (2, 64, 64), (1, 64, 64)],
)
def test_a_fitting_batch_size_leaves_no_batch_of_one_image(images: int, limit: int, size: int) -> None:
    assert fitting_batch_size(images, limit) == size


@pytest.mark.parametrize(
    ("images", "limit", "size"),
    [(100, 10, 10), (101, 10, 9), (101, 100, 99), (3, 2, 3), (9, 1, 1), (4, 3, 2), (7, 3, 4), (13, 4, 5)],
)
def test_the_fitting_batch_size_is_the_requested_one_if_that_fits(images: int, limit: int, size: int) -> None:
    assert fitting_batch_size(images, limit) == size
