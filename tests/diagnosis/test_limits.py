"""The thresholds of each rule: jumps, slow losses, lasting rises, and training accuracies below validation."""

import math
from typing import Any

import numpy as np
import pytest

from lab.config import RunConfig
from lab.diagnosis.causes import cause_of_divergence, cause_of_no_learning, highest_jump, option_of, rate_range
from lab.diagnosis.curves import CurveView, DataFacts, Points, mean_of, moving_mean, share
from lab.diagnosis.learning import find_overfitting, find_setback, find_slow
from lab.diagnosis.rules import diagnose_config
from lab.metrics import Split
from tests.diagnosis.synthetic_curves import FACTS, LOG_10, PER_EPOCH, batches, codes, diagnose, epochs, flat


def _view(config: RunConfig, curves: dict[str, Points], *, ended: bool = True) -> CurveView:
    return CurveView(config, curves, FACTS, ended)


def test_means_are_of_full_windows_and_of_finite_values() -> None:
    assert moving_mean(np.array([1.0, 2.0, 6.0, 8.0]), 3).tolist() == [3.0, 16 / 3]
    assert moving_mean(np.array([1.0, 2.0]), 3).size == 0
    assert moving_mean(np.array([1.0, 2.0, 6.0]), 3).tolist() == [3.0]
    assert mean_of([1.0, math.nan, 3.0, math.inf]) == 2.0
    assert math.isnan(mean_of([math.nan]))
    assert (share(0.9731), share(1.0), share(2.5)) == ("97.31 %", "100.00 %", "2.5000")


# -- a loss that jumped ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rise", "jumped"), [(0.049, False), (0.051, True)])
def test_a_jump_is_a_rise_of_ten_batches_by_five_percent_of_the_guessing_level(rise: float, jumped: bool) -> None:
    loss = np.full(200, 2.0)
    loss[50:60] += rise * LOG_10
    found = highest_jump(_view(RunConfig(), batches(loss)))
    assert found == (pytest.approx(2.0 + rise * LOG_10) if jumped else None)


def test_the_highest_batch_of_a_jump_is_named_but_a_single_batch_is_no_jump() -> None:
    spike = np.full(200, 2.0)
    spike[54] = 3.0  # the mean of ten has a tenth of it
    assert highest_jump(_view(RunConfig(), batches(spike))) is None
    spike[50:60] = 2.5
    spike[54] = 9.0
    assert highest_jump(_view(RunConfig(), batches(spike))) == 9.0
    spike[55] = math.nan
    assert highest_jump(_view(RunConfig(), batches(spike))) == math.inf


def test_with_fewer_than_ten_batches_jumps_are_found_in_epochs() -> None:
    nine = batches([2.0, *[9.0] * 8])
    assert highest_jump(_view(RunConfig(), nine)) is None
    assert highest_jump(_view(RunConfig(), nine | epochs(train_loss=[2.0, 4.0, 3.0]))) == 4.0
    assert highest_jump(_view(RunConfig(), batches([2.0, *[9.0] * 9]))) == 9.0


# -- causes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "curves", "code", "remedy"),
    [
        ({"optimizer": "sgd", "lr": 9e-5}, flat(LOG_10), "lr-low", {"lr": 0.01}),
        ({"optimizer": "sgd", "lr": 9e-5}, flat(2.0, jump=9.0), "lr-high", {"lr": 9e-6}),
        ({"optimizer": "sgd", "lr": 1.1}, flat(LOG_10), "lr-high", {"lr": 0.01}),
        ({"loss": "nll", "output": "softmax", "lr": 1e-3}, flat(-0.1), "nll-on-softmax", {"output": "log-softmax"}),
        ({"loss": "nll", "output": "softmax", "lr": 6e-4}, flat(-0.1), "", {"lr": 6e-5}),
        ({"optimizer": "sgd", "lr": 0.02}, flat(2.0, jump=9.0), "lr-high", {"lr": 0.002}),
        ({"optimizer": "sgd", "lr": 0.005}, flat(LOG_10), "lr-low", {"lr": 0.01}),
        ({"optimizer": "sgd", "lr": 0.01}, flat(LOG_10), "", {"lr": 0.001}),
        ({"optimizer": "sgd", "lr": 0.01}, flat(LOG_10, count=3), "", {"epochs": 20}),
        (
            {"optimizer": "sgd", "lr": 0.01},
            flat(LOG_10, count=4),
            "",
            {"lr": 0.001},
        ),  # 200 steps are enough for a diagnosis
    ],
)
def test_a_run_that_did_not_learn_has_one_cause_from_its_settings_and_curves(
    config: dict[str, Any], curves: dict[str, Points], code: str, remedy: dict[str, Any]
) -> None:
    cause = cause_of_no_learning(_view(RunConfig(epochs=6, **config), curves))
    assert cause.code == code
    assert cause.remedy == pytest.approx(remedy) if "lr" in remedy else cause.remedy == remedy


def test_a_loss_that_falls_too_slowly_gets_a_higher_rate() -> None:
    falling = np.linspace(2.31, 2.25, 6 * PER_EPOCH)
    slow = cause_of_no_learning(_view(RunConfig(optimizer="sgd", lr=0.01), batches(falling)))
    assert (slow.code, slow.remedy) == ("lr-low", {"lr": pytest.approx(0.03)})
    assert slow.text.startswith("The loss hardly moved: 2.3100 at first") or "still what guessing gives" in slow.text


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"loss": "nll"}, {"loss": "cross-entropy", "output": "logits"}),
        ({"loss": "nll", "output": "softmax", "optimizer": "sgd", "lr": 0.05}, {"output": "log-softmax"}),
        ({"loss": "nll", "output": "softmax", "optimizer": "sgd", "lr": 1.1}, {"lr": 0.01}),
        ({"optimizer": "adam", "weight_decay": 0.05}, {"weight_decay": 1e-4}),
        ({"precision": "float16", "lr": 1e-3}, {"precision": "bfloat16"}),
        ({"precision": "float16", "lr": 1.1e-3}, {"lr": 1.1e-4}),
        ({"precision": "bfloat16", "lr": 1e-3}, {"lr": 1e-4}),
    ],
)
def test_a_divergence_has_one_cause(changes: dict[str, Any], remedy: dict[str, Any]) -> None:
    found = cause_of_divergence(_view(RunConfig(**changes), flat(9.0))).remedy
    assert found == (pytest.approx(remedy) if "lr" in remedy else remedy)


def test_options_of_a_network_and_usual_rates_are_those_of_the_configuration() -> None:
    assert option_of(RunConfig(arch="vgg11"), "batch_norm") is False
    assert option_of(RunConfig(arch="vgg11", arch_options={"batch_norm": True}), "batch_norm") is True
    assert option_of(RunConfig(), "batch_norm") is None
    assert rate_range(RunConfig(optimizer="muon")).usual == 0.02
    assert rate_range(RunConfig(optimizer="sgd", loss="mse", output="softmax")).usual == 0.1


# -- outcomes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("times", "diverged"), [(1.99, False), (2.01, True)])
def test_a_loss_above_twice_the_guessing_level_is_a_divergence(times: float, diverged: bool) -> None:
    loss = [times * LOG_10] * 6
    curves = epochs(train_loss=loss, train_accuracy=[0.4] * 6, val_loss=loss, val_accuracy=[0.4] * 6)
    assert ("diverged" in codes(RunConfig(), curves)) is diverged


@pytest.mark.parametrize(("accuracy", "diverged"), [(0.5, True), (0.51, False)])
def test_an_accuracy_above_one_half_is_no_divergence(accuracy: float, diverged: bool) -> None:
    loss = [9.0] * 6
    curves = epochs(train_loss=loss, train_accuracy=[accuracy] * 6, val_loss=loss, val_accuracy=[accuracy] * 6)
    assert ("diverged" in codes(RunConfig(), curves)) is diverged


def test_in_its_first_epoch_a_run_can_diverge_after_two_hundred_steps() -> None:
    def steps(count: int, accuracy: float = 0.1) -> dict[str, Points]:
        return batches([9.0] * count) | {"batch/accuracy": batches([accuracy] * count)["batch/loss"]}

    assert codes(RunConfig(), steps(199), ended=False) == []
    assert codes(RunConfig(), steps(200), ended=False) == ["diverged"]
    assert codes(RunConfig(), steps(200, accuracy=0.6), ended=False) == []
    assert codes(RunConfig(loss="mse", output="softmax"), steps(200, accuracy=0.4), ended=False) == []


@pytest.mark.parametrize(("best", "code"), [(0.20, "at-chance"), (0.22, "diverged")])
def test_a_run_had_learned_if_its_best_accuracy_was_five_points_above_chance(best: float, code: str) -> None:
    """Chance on 400 images is 0.1125 + 3 × 0.0158 = 0.1599, so above 0.2099 something was learned."""
    accuracy = [0.1, best, 0.1, 0.1, 0.1, 0.1]
    (finding,) = diagnose(RunConfig(lr=0.02), flat(2.3) | epochs(val_accuracy=accuracy))
    assert finding.code == code


@pytest.mark.parametrize(("accuracy", "memorised"), [(0.55, False), (0.58, True)])
def test_a_training_accuracy_halfway_from_chance_to_one_is_memorising(accuracy: float, memorised: bool) -> None:
    """Chance on 3,200 images is 0.1291, so halfway is 0.5646."""
    (finding,) = diagnose(RunConfig(), flat(2.3) | epochs(train_accuracy=[accuracy] * 6))
    assert ("the network only memorised them" in finding.message) is memorised


@pytest.mark.parametrize("above", [False, True])
def test_an_accuracy_at_the_limit_of_chance_is_at_chance(above: bool) -> None:
    limits = {split: FACTS.chance(split) for split in (Split.VAL, Split.TEST)}
    accuracies = {
        f"{split}_accuracy": [math.nextafter(limit, 1) if above else limit] * 6 for split, limit in limits.items()
    }
    assert ("at-chance" in codes(RunConfig(), flat(LOG_10) | epochs(**accuracies))) is not above


@pytest.mark.parametrize(
    ("steps", "changes", "reported"), [(199, {}, False), (200, {}, True), (300, {"warmup_epochs": 1}, False)]
)
def test_a_run_that_ended_in_its_first_epoch_is_diagnosed_from_enough_batches(
    steps: int, changes: dict[str, Any], reported: bool
) -> None:
    curves = batches([LOG_10] * steps) | {"batch/accuracy": batches([0.1] * steps)["batch/loss"]}
    assert ("at-chance" in codes(RunConfig(lr=0.01, **changes), curves)) is reported
    assert "at-chance" not in codes(RunConfig(lr=0.01, **changes), batches([LOG_10] * steps))


def test_a_loss_that_becomes_nan_in_the_first_epoch_is_reported_without_an_epoch() -> None:
    (finding,) = diagnose(RunConfig(lr=1.0), batches([2.3, 2.3, math.nan, math.nan]))
    assert "the loss is NaN from step 3 on" in finding.message


@pytest.mark.parametrize("split", ["val", "test"])
def test_one_split_above_chance_is_enough_to_have_learned(split: str) -> None:
    assert "at-chance" not in codes(RunConfig(), flat(1.0) | epochs(**{f"{split}_accuracy": [0.3] * 6}))


# -- learning ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("last", "slow"), [(1.16, True), (1.14, False)])
def test_a_run_is_slow_if_its_loss_is_above_half_of_the_guessing_level(last: float, slow: bool) -> None:
    curves = epochs(train_loss=[2.0, 1.5, last]) | batches([2.3] + [1.0] * 249)
    found = find_slow(_view(RunConfig(lr=5e-4), curves))
    assert (found is not None) is slow
    assert find_slow(_view(RunConfig(lr=5.1e-4), curves)) is None  # not below the usual rate
    two = epochs(train_loss=[2.0, 1.9]) | batches([2.3] + [1.0] * 249)  # epochs, too few for a trend
    assert find_slow(_view(RunConfig(lr=5e-4), two)) is None
    if found is not None:
        assert found.remedy == {"lr": 0.001}


@pytest.mark.parametrize(("end", "reported"), [(0.479, False), (0.485, True)])
def test_a_rise_of_twenty_percent_is_overfitting(end: float, reported: bool) -> None:
    """Six epochs at 0.4, then a rise to a constant level: without noise, a fifth is the threshold."""
    validation = np.concatenate([np.linspace(1.0, 0.5, 5), np.full(7, 0.4), np.full(40, end)])
    curves = epochs(val_loss=validation, train_loss=0.9 ** np.arange(len(validation)))
    assert (find_overfitting(_view(RunConfig(), curves)) is not None) is reported


def test_a_rise_within_the_noise_of_the_epochs_is_not_overfitting() -> None:
    """From 0.4 to 0.6, with epochs alternately 0.3 above and below: the error of a difference of means is 0.16."""
    alternating = np.where(np.arange(52) % 2, 0.3, -0.3)
    validation = np.concatenate([np.linspace(1.0, 0.5, 5), np.full(7, 0.4), np.full(40, 0.6)])
    curves = {"train_loss": 0.9 ** np.arange(52)}
    assert find_overfitting(_view(RunConfig(), epochs(val_loss=validation, **curves))) is not None
    assert find_overfitting(_view(RunConfig(), epochs(val_loss=validation + alternating, **curves))) is None


def test_overfitting_names_the_accuracy_if_every_epoch_has_one() -> None:
    validation = np.concatenate([np.linspace(1.0, 0.5, 5), np.full(7, 0.4), np.full(40, 0.8)])
    curves = {"val_loss": validation, "train_loss": 0.9 ** np.arange(52)}
    accuracy = np.concatenate([np.full(12, 0.9), np.full(40, 0.85)])
    reported = find_overfitting(_view(RunConfig(), epochs(**curves, val_accuracy=accuracy)))
    assert reported is not None
    assert "(means of 7), the accuracy 90.00 % and 85.00 %, while" in reported.message
    accuracy[3] = math.nan
    without_accuracy = find_overfitting(_view(RunConfig(), epochs(**curves, val_accuracy=accuracy)))
    assert without_accuracy is not None
    assert "accuracy" not in without_accuracy.message


def test_a_setback_is_measured_from_the_best_measured_epoch() -> None:
    loss, accuracy = [0.5, 0.3, 0.9], [0.9, math.nan, 0.7]
    found = find_setback(_view(RunConfig(lr=0.02), epochs(train_loss=loss, val_accuracy=accuracy)))
    assert found is not None
    assert "90.00 % of the validation images were right after epoch 1 and 70.00 % are after epoch 3" in found.message
    assert found.remedy == {"lr": 0.001}


@pytest.mark.parametrize(
    ("images", "training", "validation", "reported"),
    [
        (1_000_000, 0.9449, 0.95, True),  # more than half a per cent
        (1_000_000, 0.9451, 0.95, False),
        (400, 0.927, 0.95, True),  # two standard errors of 0.0109
        (400, 0.929, 0.95, False),
        (0, 0.51, 0.95, True),  # as for one image if their number is unknown: 0.4359
        (0, 0.52, 0.95, False),
    ],
)
def test_training_may_be_below_validation_by_half_a_percent_or_two_standard_errors(
    images: int, training: float, validation: float, reported: bool
) -> None:
    image_counts = {**FACTS.images, "val": images}
    data = DataFacts(10, {split: count for split, count in image_counts.items() if count}, FACTS.largest)
    curves = epochs(train_loss=[0.2], train_accuracy=[training], val_loss=[0.2], val_accuracy=[validation])
    assert (codes(RunConfig(), curves, data=data) == ["training-below-validation"]) is reported


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code", "severity", "remedy"),
    [
        ({"shuffle": False}, "unshuffled", "warning", {"shuffle": True}),
        ({"normalization": "none"}, "unnormalised", "hint", {"normalization": "dataset"}),
        ({"loss": "mse"}, "mse-without-softmax", "hint", {"output": "softmax"}),
        ({"loss": "mse", "output": "log-softmax"}, "mse-without-softmax", "hint", {"output": "softmax"}),
        ({"output": "softmax"}, "softmax-twice", "mistake", {"output": "logits"}),
        ({"loss": "nll", "output": "softmax"}, "nll-on-softmax", "mistake", {"output": "log-softmax"}),
        ({"loss": "nll"}, "nll-on-logits", "mistake", {"loss": "cross-entropy", "output": "logits"}),
        ({"lr": 0.5}, "lr-high", "warning", {"lr": 0.001}),
        ({"lr": 1e-6}, "lr-low", "warning", {"lr": 0.001}),
        ({"warmup_epochs": 50}, "warmup-long", "warning", {"warmup_epochs": 0.5}),
        ({"schedule": "step"}, "step-late", "hint", {"step_epochs": 1}),
        ({"schedule": "step", "step_epochs": 1, "epochs": 9}, "step-early", "warning", {"step_epochs": 3}),
    ],
)
def test_each_unusual_setting_has_one_finding_with_its_remedy(
    changes: dict[str, Any], code: str, severity: str, remedy: dict[str, Any]
) -> None:
    (finding,) = diagnose_config(RunConfig(**changes))
    assert (finding.code, finding.severity, finding.remedy) == (code, severity, remedy)


@pytest.mark.parametrize(("optimizer", "name"), [("adam", "Adam"), ("sgd", "SGD")])
def test_a_learning_rate_out_of_range_names_the_optimizer_by_its_title(optimizer: str, name: str) -> None:
    for lr, word in ((5.0, "large"), (1e-7, "small")):
        (finding,) = diagnose_config(RunConfig(optimizer=optimizer, lr=lr))
        assert f" is very {word} for {name}: " in finding.message


def test_hints_on_settings_are_not_repeated_in_the_findings_of_a_run_but_warnings_are() -> None:
    unusual = RunConfig(shuffle=False, normalization="none")
    assert [finding.code for finding in diagnose_config(unusual)] == ["unshuffled", "unnormalised"]
    assert codes(unusual, {}) == ["unshuffled"]
    learned = epochs(train_loss=[0.4, 0.3], train_accuracy=[0.9, 0.92], val_accuracy=[0.9, 0.93])
    assert codes(unusual, learned) == ["unshuffled"]
