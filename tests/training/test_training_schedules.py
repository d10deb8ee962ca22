"""Learning rates at steps with known values."""

import math

import numpy as np
import pytest
import torch

from lab.config import RunConfig
from lab.training.schedules import RECORDED, compute_lr, is_constant, recorded_steps


def lr(step: int, *, total: int = 100, per_epoch: int = 10, **settings: object) -> float:
    return compute_lr(RunConfig(lr=0.5, **settings), step, steps_per_epoch=per_epoch, total_steps=total)


def test_constant_is_the_same_at_every_step() -> None:
    assert {lr(step) for step in range(100)} == {0.5}


def test_warm_up_rises_linearly_from_zero_over_its_epochs() -> None:
    assert [lr(step, warmup_epochs=0.4) for step in range(5)] == [0.125, 0.25, 0.375, 0.5, 0.5]


def test_step_multiplies_by_gamma_after_each_group_of_epochs() -> None:
    values = [lr(step, schedule="step", step_epochs=3, gamma=0.1) for step in (0, 29, 30, 59, 60)]
    assert values == pytest.approx([0.5, 0.5, 0.05, 0.05, 0.005], rel=1e-12)


def test_cosine_is_half_way_down_in_the_middle_and_nearly_zero_at_the_end() -> None:
    assert lr(0, schedule="cosine") == 0.5
    assert lr(50, schedule="cosine") == pytest.approx(0.25)
    assert lr(99, schedule="cosine") == pytest.approx(0.25 * (1 - 0.99950656), rel=1e-4)  # cos(0.99 pi)


def test_cosine_starts_to_fall_after_the_warm_up() -> None:
    assert lr(9, schedule="cosine", warmup_epochs=1.0) == 0.5
    assert lr(55, schedule="cosine", warmup_epochs=1.0) == pytest.approx(0.25)


@pytest.mark.parametrize("total", [2, 7, 100, 469])
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_one_cycle_equals_torchs_schedule_at_every_step(total: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    torch_schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=total, cycle_momentum=False)
    for step in range(total):
        assert lr(step, total=total, schedule="one-cycle") == pytest.approx(torch_schedule.get_last_lr()[0], rel=1e-9)
        if step + 1 < total:
            torch_schedule.step()


def test_one_cycle_of_a_single_step_uses_a_finite_rate() -> None:
    assert lr(0, total=1, schedule="one-cycle") == 0.5


def test_only_a_constant_rate_without_warm_up_can_be_continued() -> None:
    assert is_constant(RunConfig())
    assert not is_constant(RunConfig(warmup_epochs=1.0))
    assert not is_constant(RunConfig(schedule="cosine"))


SCHEDULES: list[dict[str, object]] = [
    {"schedule": "one-cycle"},
    {"schedule": "cosine"},
    {"schedule": "cosine", "warmup_epochs": 1.3},
    {"schedule": "step", "step_epochs": 3},
    {"schedule": "step", "step_epochs": 2, "warmup_epochs": 0.5},
    {"warmup_epochs": 2.0},
]


def test_a_constant_rate_is_recorded_only_at_the_ends_of_epochs() -> None:
    found = recorded_steps(RunConfig(), steps_per_epoch=10, total_steps=100)
    assert (found.size, found.dtype) == (0, np.int64)


def test_a_step_schedule_is_recorded_on_both_sides_of_each_step_only() -> None:
    config = RunConfig(schedule="step", step_epochs=3)
    found = recorded_steps(config, steps_per_epoch=10, total_steps=100)
    assert found.tolist() == [1, 31, 61, 91]  # steps 30, 60 and 90 end epochs


def test_a_warm_up_is_recorded_until_it_ends() -> None:
    config = RunConfig(warmup_epochs=0.5)
    assert recorded_steps(config, steps_per_epoch=10, total_steps=100).tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("settings", SCHEDULES)
@pytest.mark.parametrize(("per_epoch", "epochs"), [(1, 1), (1, 40), (7, 5), (469, 10), (5000, 20)])
def test_linear_interpolation_of_the_recorded_steps_gives_the_schedule(
    settings: dict[str, object], per_epoch: int, epochs: int
) -> None:
    total = per_epoch * epochs
    config = RunConfig(lr=0.5, **settings)
    steps = recorded_steps(config, steps_per_epoch=per_epoch, total_steps=total)
    assert steps.size <= RECORDED + 2 * epochs
    recorded = np.union1d(steps, per_epoch * np.arange(1, epochs + 1))  # the end of an epoch is recorded separately
    sampled = np.union1d(recorded, np.arange(1, total + 1, max(1, total // 1_000)))
    exact = np.array([lr(u - 1, total=total, per_epoch=per_epoch, **settings) for u in sampled])
    interpolated = np.interp(sampled, recorded, exact[np.searchsorted(sampled, recorded)])
    assert np.abs(interpolated - exact).max() <= 0.002 * exact.max()


@pytest.mark.parametrize("settings", [{"schedule": "step", "step_epochs": 1, "gamma": 0.5}, {"schedule": "cosine"}, {}])
def test_every_schedule_except_one_cycle_rises_over_its_warm_up(settings: dict[str, object]) -> None:
    """Over fifteen steps, which are 1.5 epochs, the schedule's rate is multiplied by 1/15, 2/15 and so on."""
    warm = [lr(step, warmup_epochs=1.5, **settings) for step in range(100)]
    bare = [lr(step, **settings) if settings.get("schedule") != "cosine" else 0.5 for step in range(15)]
    assert warm[:15] == pytest.approx([rate * (step + 1) / 15 for step, rate in enumerate(bare)])
    if settings.get("schedule") != "cosine":
        assert warm[15:] == [lr(step, **settings) for step in range(15, 100)]
    else:
        assert warm[15] == 0.5
        assert warm[99] == pytest.approx(0.25 * (1 + math.cos(math.pi * 84 / 85)))
    assert {lr(step, warmup_epochs=1.5, schedule="one-cycle") for step in (0, 5, 99)} == {
        lr(step, schedule="one-cycle") for step in (0, 5, 99)
    }
