"""Losses of logits with a known loss."""

import math

import pytest
import torch
from torch import Tensor

from lab.config import RunConfig
from lab.training.losses import build_loss, compute_loss

LABELS = torch.tensor([0, 3, 9, 3])


@pytest.mark.parametrize(
    ("loss", "output"), [("cross-entropy", "logits"), ("cross-entropy", "log-softmax"), ("nll", "log-softmax")]
)
@pytest.mark.parametrize("classes", [10, 26])
def test_uniform_logits_give_log_k(loss: str, output: str, classes: int) -> None:
    value = build_loss(RunConfig(loss=loss, output=output))(torch.full((4, classes), 1.7), LABELS)
    assert value.item() == pytest.approx(math.log(classes), rel=1e-6)


def test_nll_on_raw_logits_is_minus_the_correct_logit_and_unbounded_below() -> None:
    logits = torch.zeros(4, 10)
    logits[torch.arange(4), LABELS] = 1e6
    assert build_loss(RunConfig(loss="nll", output="logits"))(logits, LABELS).item() == -1e6


def test_softmax_then_nll_is_at_least_minus_one() -> None:
    logits = torch.zeros(4, 10)
    loss = build_loss(RunConfig(loss="nll", output="softmax"))
    assert loss(logits, LABELS).item() == pytest.approx(-0.1)
    logits[torch.arange(4), LABELS] = 1e6
    assert loss(logits, LABELS).item() == -1.0


def test_mse_is_the_mean_over_all_entries_of_the_one_hot_difference() -> None:
    loss = build_loss(RunConfig(loss="mse", output="softmax"))
    assert loss(torch.zeros(4, 10), LABELS).item() == pytest.approx((0.9**2 + 9 * 0.1**2) / 10)


def test_label_smoothing_distributes_its_fraction_over_all_classes() -> None:
    logits = torch.zeros(4, 10)
    logits[torch.arange(4), LABELS] = 2.0
    plain = math.log(math.exp(2.0) + 9) - 2.0
    spread = math.log(math.exp(2.0) + 9) - 0.2  # mean over the ten classes
    smoothed = build_loss(RunConfig(label_smoothing=0.1))(logits, LABELS).item()
    assert smoothed == pytest.approx(0.9 * plain + 0.1 * spread, rel=1e-6)


def test_each_auxiliary_classifier_has_weight_0_3() -> None:
    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        return logits.sum()

    main, first, second = torch.tensor([[2.0]]), torch.tensor([[10.0]]), torch.tensor([[100.0]])
    total, logits = compute_loss(loss, (main, (first, second)), LABELS[:1])
    assert total.item() == pytest.approx(2.0 + 0.3 * 110.0)
    assert logits is main


def test_a_network_that_returns_no_tensor_raises_a_type_error() -> None:
    with pytest.raises(TypeError, match="returned dict, not logits"):
        compute_loss(lambda a, b: a, {}, LABELS)
