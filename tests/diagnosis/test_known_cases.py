"""Runs as an experienced engineer would judge them: no alarm on healthy ones, and the right cause for the others."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lab.architectures.registry import complete_options, get_architecture, list_architectures
from lab.config import RunConfig
from lab.diagnosis.causes import RateRange, higher_rate, lower_rate, rate_range
from lab.diagnosis.curves import DataFacts, Points, lowest_loss
from lab.diagnosis.rules import diagnose_config
from lab.networks import build_from_config
from lab.training.losses import build_loss, compute_loss
from tests.diagnosis.synthetic_curves import LOG_10, PER_EPOCH, batches, codes, diagnose, epochs, flat


def _before(curves: dict[str, Points], **values: float) -> dict[str, Points]:
    """Return the curves with these values at step 0."""
    found = dict(curves)
    for name, value in values.items():
        of = found[name.replace("_", "/")]
        found[name.replace("_", "/")] = Points(np.r_[0, of.step], np.r_[value, of.value])
    return found


def _learning(loss: list[float], accuracy: list[float]) -> dict[str, Points]:
    return epochs(train_loss=loss, val_loss=loss, train_accuracy=accuracy, val_accuracy=accuracy)


def _norms(count: int) -> dict[str, Points]:
    return {"grad_norm": Points(PER_EPOCH * np.arange(1, count + 1), np.full(count, 2.0))}


# -- healthy runs ------------------------------------------------------------------------------------------------------


def test_a_trained_network_that_is_tuned_with_a_small_rate_is_not_slow() -> None:
    """Its loss starts low, so it cannot fall to half of that."""
    tuned = RunConfig(init_from="a" * 12, lr=1e-4, epochs=6)
    curves = _learning([0.10, 0.09, 0.085, 0.08, 0.075, 0.07], [0.97] * 6)
    assert codes(tuned, _before(curves, val_loss=0.11)) == []


@pytest.mark.parametrize("origin", [{"init_from": "a" * 12}, {"fork_of": "a" * 12, "fork_epoch": 2}])
def test_a_very_small_rate_is_usual_for_a_network_that_is_already_trained(origin: dict[str, Any]) -> None:
    assert diagnose_config(RunConfig(lr=1e-5, **origin)) == ()
    assert [finding.code for finding in diagnose_config(RunConfig(lr=1e-5))] == ["lr-low"]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3, 0.5])
@pytest.mark.parametrize(("loss", "output"), [("cross-entropy", "logits"), ("cross-entropy", "softmax")])
def test_the_lowest_loss_is_that_of_the_best_possible_answers(loss: str, output: str, smoothing: float) -> None:
    config = RunConfig(loss=loss, output=output, label_smoothing=smoothing)
    own = 1 - 0.9 * smoothing
    answers = [own, *[smoothing / 10] * 9] if output == "logits" else [1.0, *[0.0] * 9]
    logits = torch.tensor([answers], dtype=torch.float64).clamp(min=1e-12).log()
    least = build_loss(config)(logits, torch.tensor([0])).item()
    assert lowest_loss(config, 10) == pytest.approx(least, abs=1e-6)


def test_the_lowest_loss_of_other_objectives() -> None:
    least = {pair: lowest_loss(RunConfig(loss=pair[0], output=pair[1]), 10) for pair in _PAIRS}
    assert least == _PAIRS


_PAIRS = {("nll", "log-softmax"): 0.0, ("nll", "softmax"): -1.0, ("nll", "logits"): -math.inf, ("mse", "softmax"): 0.0}


def test_smoothed_labels_keep_the_loss_high_without_making_the_run_slow() -> None:
    """With a smoothing of 0.3, no answers have a loss below 1.18, which is more than half of log 10."""
    smooth = RunConfig(lr=5e-4, label_smoothing=0.3, epochs=6)
    assert codes(smooth, _learning([1.5, 1.35, 1.28, 1.24, 1.22, 1.21], [0.99] * 6)) == []
    unfinished = _learning([2.3, 2.2, 2.1, 2.0, 1.9, 1.8], [0.6] * 6)
    assert codes(smooth, unfinished) == ["lr-low"]


def test_a_first_epoch_that_began_with_a_jump_and_recovered_is_no_divergence() -> None:
    spike = np.r_[2.3, 60.0, 40.0, 20.0, 10.0, np.linspace(8, 1.5, 45)]
    curves = batches(spike) | epochs(
        train_loss=[spike.mean()], train_accuracy=[0.3], val_loss=[1.4], val_accuracy=[0.55]
    )
    assert spike.mean() > 2 * LOG_10
    assert "diverged" not in codes(RunConfig(epochs=10), curves, ended=False)
    stays = batches(np.r_[spike[:5], np.full(45, 8.0)])
    assert codes(RunConfig(epochs=10), curves | stays, ended=False) == ["diverged"]


def test_a_rate_that_still_warms_up_is_not_called_too_low() -> None:
    curves = _learning([2.25, 2.0, 1.8, 1.6, 1.5], [0.4] * 5)
    warming = RunConfig(lr=5e-4, epochs=20, warmup_epochs=3)
    assert codes(warming, curves, ended=False) == []
    assert codes(warming.replace(warmup_epochs=2), curves, ended=False) == ["lr-low"]
    assert codes(warming, curves) == ["lr-low"]  # it ended


# -- causes ------------------------------------------------------------------------------------------------------------


def test_the_higher_training_loss_of_batch_norm_before_training_is_no_jump() -> None:
    """`conv3-bn`: 2.31 in eval mode and 2.51 in training mode, both before the first update."""
    curves = _before(flat(2.3, accuracy=0.1) | batches(np.full(6 * PER_EPOCH, 2.51)), val_loss=2.31)
    (finding,) = diagnose(RunConfig(arch="conv3-bn", lr=1e-6), curves)
    assert (finding.code, finding.remedy) == ("at-chance", {"lr": 0.001})
    assert "too low" in finding.message


def test_every_option_that_adds_a_loss_counts_in_the_objective() -> None:
    for arch in list_architectures():
        assert set(arch.auxiliary) <= {option.name for option in arch.options}
        assert arch.objective_weight(complete_options(arch, {})) == 1.0
    options = complete_options(get_architecture("googlenet"), {"aux": True})
    network = build_from_config(
        RunConfig(arch="googlenet", dataset="digits", input_size="32", arch_options={"aux": True})
    )
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    total, _ = compute_loss(F.cross_entropy, network.train()(torch.zeros(2, 1, 28, 28)), torch.tensor([0, 1]))
    assert total.item() == pytest.approx(LOG_10 * get_architecture("googlenet").objective_weight(options))


def test_auxiliary_classifiers_raise_the_level_of_guessing() -> None:
    aux = RunConfig(arch="googlenet", arch_options={"aux": True}, optimizer="sgd", lr=1e-5)
    level = 1.6 * LOG_10
    curves = _before(
        flat(LOG_10) | batches(np.full(6 * PER_EPOCH, level)) | epochs(train_loss=[level] * 6), val_loss=LOG_10
    )
    (finding,) = diagnose(aux, curves)
    assert (finding.code, finding.remedy) == ("at-chance", {"lr": 0.01})
    assert "the loss is 3.6841, still what guessing gives (3.6841)" in finding.message


@pytest.mark.parametrize(
    ("optimizer", "momentum", "low", "usual", "high"),
    [
        ("sgd", 0.0, 1e-3, 0.1, 1.0),
        ("sgd", 0.5, 5e-4, 0.05, 1.0),
        ("sgd", 0.9, 1e-4, 0.01, 1.0),
        ("sgd", 0.99, 1e-5, 1e-3, 0.1),
        ("sgd", 0.999, 1e-6, 1e-4, 0.01),
        ("rmsprop", 0.0, 3e-5, 1e-3, 0.03),
        ("rmsprop", 0.9, 3e-6, 1e-4, 3e-3),
        ("adam", 0.999, 3e-5, 1e-3, 0.03),  # which does not use it
    ],
)
def test_the_range_of_rates_is_that_of_the_steps_with_momentum(
    optimizer: str, momentum: float, low: float, usual: float, high: float
) -> None:
    """With RMSprop, `basic-cnn` and LeNet-5 learned best at 0.001 without momentum and at 0.0001 to 0.0003 with 0.9."""
    assert rate_range(RunConfig(optimizer=optimizer, momentum=momentum)) == RateRange(low, usual, high)


def test_a_rate_to_try_has_no_last_bits_of_a_product() -> None:
    assert (lower_rate(RunConfig(lr=0.003)), higher_rate(RunConfig(lr=0.0007))) == (0.0003, 0.0021)
    assert str(0.003 / 10) != "0.0003"


def test_sgd_without_momentum_at_a_rate_usual_with_it_is_slow() -> None:
    curves = _learning([2.3, 2.25, 2.2, 2.1, 2.0], [0.4] * 5)
    plain = RunConfig(optimizer="sgd", lr=0.01, momentum=0.0)
    (finding,) = diagnose(plain, curves)
    assert (finding.code, finding.remedy) == ("lr-low", {"lr": 0.1})
    assert codes(plain.replace(momentum=0.9), curves) == []


def test_steps_that_a_momentum_makes_too_long_are_not_blamed_on_the_rate() -> None:
    """The rate would have to be so low that the run is too short for the momentum: remedies were tried on the digits."""
    accuracy = [0.3, 0.79, 0.7, 0.1, 0.1, 0.1]
    curves = flat(2.32) | epochs(val_accuracy=accuracy, test_accuracy=accuracy)
    heavy = RunConfig(optimizer="sgd", lr=0.01, momentum=0.999)
    (finding,) = diagnose(heavy, curves)
    assert (finding.code, finding.remedy) == ("diverged", {"momentum": 0.9})
    assert finding.message.endswith("a momentum of 0.999 makes steps 1,000 times as long. Try 0.9.")
    for other in (heavy.replace(momentum=0.95), heavy.replace(lr=0.3), heavy.replace(optimizer="rmsprop")):
        assert "lr" in diagnose(other, curves)[0].remedy, other


def test_sgd_whose_gradients_are_clipped_to_a_fraction_is_not_blamed_on_its_rate() -> None:
    clipped = RunConfig(optimizer="sgd", lr=0.01, grad_clip=0.001)
    falling = _learning([2.3, 2.29, 2.28, 2.27, 2.26], [0.3] * 5) | _norms(5)
    (finding,) = diagnose(clipped, falling)
    assert (finding.code, finding.remedy) == ("clipped", {"grad_clip": 1.0})
    assert "gradients of norm 2 are clipped to 0.001" in finding.message
    (finding,) = diagnose(clipped, flat(LOG_10) | _norms(6))
    assert (finding.code, finding.remedy) == ("at-chance", {"grad_clip": 1.0})
    for other in (
        clipped.replace(grad_clip=0.3),
        clipped.replace(optimizer="adam", lr=1e-3),
        clipped.replace(grad_clip=0.0),
    ):
        assert "clipped" not in codes(other, falling), other


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"weight_decay": 0.1}, True),  # 0.01 x 10 x 0.1 x 250 steps = 2.5 e-foldings
        ({"weight_decay": 0.03}, False),
        ({"weight_decay": 0.1, "lr": 0.003}, False),  # 0.75
        ({"weight_decay": 0.1, "optimizer": "adamw", "lr": 1e-3}, False),
    ],
)
def test_a_loss_that_weight_decay_holds_up_is_reported_with_its_cause(changes: dict[str, Any], found: bool) -> None:
    """SGD with a weight decay of 0.1 ended at a loss of 1.52 on the digits, without a fall in the last epochs."""
    curves = _learning([2.2, 1.6, 1.52, 1.53, 1.52], [0.4] * 5)
    decayed = RunConfig(**{"optimizer": "sgd", "lr": 0.01, **changes})
    assert codes(decayed, curves) == (["decay-high"] if found else [])
    if found:
        (finding,) = diagnose(decayed, curves)
        assert finding.remedy == {"weight_decay": 1e-4}
        assert "A weight decay of 0.1 pulls all weights to zero. Try 0.0001." in finding.message


# -- too few steps -----------------------------------------------------------------------------------------------------


def _whole_set(count: int, loss: float) -> dict[str, Points]:
    """Return a run with one step per epoch."""
    curves = _learning(list(np.linspace(2.3, loss, count)), [0.4] * count)
    return {name: Points(np.arange(1, count + 1), points.value) for name, points in curves.items()}


def test_a_batch_of_the_whole_data_set_is_the_cause_of_too_few_steps() -> None:
    """Twenty batches of 64 are twenty times as many steps for the same computation."""
    whole = RunConfig(batch_size=1_280, epochs=30)
    (finding,) = diagnose(whole, _whole_set(30, 1.6))
    assert (finding.code, finding.severity) == ("few-steps", "hint")
    assert finding.remedy == {"batch_size": 64, "epochs": 50}
    assert finding.message.endswith("30 steps are few. Train for 50 epochs in batches of 64.")
    assert codes(whole, _whole_set(30, 1.6), ended=False) == []
    assert codes(whole, _whole_set(30, 0.9)) == []
    (finding,) = diagnose(whole.replace(epochs=60), flat_shares(_whole_set(60, 2.3)))
    assert (finding.code, finding.remedy) == ("at-chance", {"batch_size": 64})
    assert finding.message.endswith("Train in batches of 64.")


def flat_shares(curves: dict[str, Points]) -> dict[str, Points]:
    """Return the curves with accuracies of guessing."""
    return {n: Points(p.step, np.full(len(p.step), 0.1)) if "accuracy" in n else p for n, p in curves.items()}


def test_one_short_epoch_is_advised_to_be_followed_by_more() -> None:
    (finding,) = diagnose(RunConfig(epochs=1), _learning([2.05], [0.4]))
    assert (finding.code, finding.remedy) == ("few-steps", {"epochs": 20})
    assert "The training loss is 2.0500, and guessing gives 2.3026: 50 steps are few." in finding.message


def test_a_run_that_early_stopping_ended_is_not_advised_what_would_stop_at_the_same_epoch() -> None:
    """More epochs alone would repeat it exactly."""
    patient = RunConfig(optimizer="sgd", lr=0.01, epochs=50, patience=2)
    (finding,) = diagnose(patient, flat(LOG_10, count=3))
    assert (finding.code, finding.remedy) == ("at-chance", {"patience": 0})
    assert finding.message.endswith("Train without early stopping.")
    (finding,) = diagnose(patient.replace(epochs=10), flat(LOG_10, count=3))
    assert finding.remedy == {"patience": 0, "epochs": 20}
    assert finding.message.endswith("Train for 20 epochs, without early stopping.")


# -- the weights before training ---------------------------------------------------------------------------------------


def test_a_trained_network_that_training_spoils_is_unstable() -> None:
    curves = _learning([1.2, 1.0, 0.9, 0.85], [0.6, 0.65, 0.68, 0.7])
    tuned = RunConfig(init_from="a" * 12, lr=0.02, epochs=4)
    (finding,) = diagnose(tuned, _before(curves, val_loss=0.05, val_accuracy=0.98))
    assert (finding.code, finding.remedy) == ("unstable", {"lr": 0.001})
    assert (
        "98.00 % of the validation images were right before training and 70.00 % are after epoch 4" in finding.message
    )
    assert "the training loss rose from 0.0500 to 0.8500" in finding.message
    assert codes(tuned, _before(curves, val_loss=2.4, val_accuracy=0.1)) == []


def test_a_trained_network_that_is_reduced_to_guessing_diverged() -> None:
    (finding,) = diagnose(
        RunConfig(init_from="a" * 12, lr=0.5), _before(flat(LOG_10, jump=9.0), val_loss=0.05, val_accuracy=0.98)
    )
    assert finding.code == "diverged"
    assert "fell from 98.00 % (before training) to 10.00 % after epoch 6" in finding.message


# -- schedules ---------------------------------------------------------------------------------------------------------


def test_a_step_schedule_that_ends_the_learning_in_the_first_third_is_reported() -> None:
    early = RunConfig(schedule="step", step_epochs=1, gamma=0.1, epochs=15)
    (finding,) = diagnose_config(early)
    assert (finding.code, finding.remedy) == ("step-early", {"step_epochs": 5})
    assert "multiplied by 0.1 every epoch: after epoch 2 of 15 it is at most 1 % of 0.001" in finding.message
    assert diagnose_config(early.replace(**finding.remedy)) == ()
    for sound in ({"gamma": 0.9, "epochs": 100}, {"gamma": 1.0}, {"step_epochs": 3}, {"gamma": 0.5, "epochs": 20}):
        assert diagnose_config(early.replace(**sound)) == (), sound


def test_a_network_with_fewer_images_than_classes_has_findings_too() -> None:
    assert codes(RunConfig(), flat(LOG_10), data=DataFacts(10, {"train": 5, "val": 1}, {})) == ["at-chance"]
