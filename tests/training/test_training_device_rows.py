"""Rows that a step selects and writes at an index on the device."""

import numpy as np
import pytest
import torch

from lab.training.batches import Batches
from lab.training.device_rows import EpochPlan, write_row


def build_plan(*, images: int, batch_size: int) -> EpochPlan:
    x_u8 = torch.zeros(images, 1, 2, 2, dtype=torch.uint8)
    return EpochPlan(Batches(x_u8, torch.arange(images), mean=0.0, std=1.0, batch_size=batch_size))


def test_a_plan_gives_each_batch_its_images_labels_and_rate_at_the_same_addresses() -> None:
    plan = build_plan(images=5, batch_size=2)
    order = torch.tensor([4, 0, 3, 1, 2])
    plan.set_images(order, 10 + order)
    plan.set_rates(0, np.array([0.1, 1 / 3, 1e-300]))
    current = (plan.part_B, plan.y_B, plan.rate)
    addresses = [tensor.data_ptr() for tensor in current]
    found = []
    for batch in (0, 1, 2, 0):
        plan.go_to(torch.tensor([batch]))
        found.append((plan.part_B.tolist(), plan.y_B.tolist(), plan.rate.item()))
    whole = [([4, 0], [14, 10], 0.1), ([3, 1], [13, 11], 1 / 3)]
    assert found == [*whole, ([2, 0], [12, 0], 1e-300), whole[0]]  # zeros after the end of the smaller batch
    assert [tensor.data_ptr() for tensor in current] == addresses
    assert plan.rate.shape == ()


def test_rates_can_be_set_from_any_batch_on() -> None:
    plan = build_plan(images=6, batch_size=2)
    plan.set_rates(0, np.array([0.1, 0.2, 0.3]))
    plan.set_rates(1, np.array([0.5]))
    rates = []
    for batch in range(3):
        plan.go_to(torch.tensor([batch]))
        rates.append(plan.rate.item())
    assert rates == [0.1, 0.5, 0.3]


@pytest.mark.parametrize("deterministic", [False, True])
def test_a_written_row_leaves_the_others_and_the_choice_of_algorithms_unchanged(deterministic: bool) -> None:
    rows = torch.arange(12.0).view(3, 2, 2)
    expected = rows.clone()
    expected[1] = 7.0
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(deterministic)
    try:
        write_row(rows, torch.tensor([1]), torch.full((2, 2), 7.0))
        assert torch.are_deterministic_algorithms_enabled() is deterministic
        with pytest.raises(RuntimeError, match="same slice shapes"):
            write_row(rows, torch.tensor([1]), torch.full((2, 3), 7.0))
        assert torch.are_deterministic_algorithms_enabled() is deterministic
    finally:
        torch.use_deterministic_algorithms(before)
    assert torch.equal(rows, expected)


def test_a_row_is_written_into_a_part_of_the_columns() -> None:
    rows = torch.zeros(2, 3, 1)
    write_row(rows[:, :2], torch.tensor([1]), torch.tensor([[1.0], [2.0]]))
    assert rows.view(2, 3).tolist() == [[0.0, 0.0, 0.0], [1.0, 2.0, 0.0]]
