"""Runs that learned: overfitting is only a lasting rise, and training below validation is explained."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lab.config import RunConfig
from lab.diagnosis.curves import Points
from lab.diagnosis.learning import _width
from tests.diagnosis.synthetic_curves import FACTS, LOG_10, codes, diagnose, epochs

# A healthy but noisy run: the first one of a new lab (LeNet-5 on the digits, 15 of 40 epochs).
DIGITS_VAL = [
    0.6176,
    0.3246,
    0.1734,
    0.1815,
    0.1787,
    0.1047,
    0.2139,
    0.1706,
    0.0749,
    0.081,
    0.0868,
    0.2095,
    0.0502,
    0.0366,
    0.1352,
]
DIGITS_TRAIN = [
    1.5772,
    0.4052,
    0.2258,
    0.157,
    0.1186,
    0.0815,
    0.0523,
    0.0512,
    0.0519,
    0.0455,
    0.033,
    0.0216,
    0.0195,
    0.0088,
    0.0136,
]


def _overfitted(count: int = 30, *, noise: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the validation and training loss of a run whose validation loss is lowest (0.4) at epoch 8, then doubles."""
    epoch = np.arange(1, count + 1)
    validation = np.where(epoch < 8, 0.4 + 0.1 * (8 - epoch), 0.4 + 0.4 * (epoch - 8) / (count - 8))
    return validation + noise * np.random.default_rng(seed).normal(size=count), 0.8 * 0.85**epoch


def test_a_lasting_rise_is_overfitting_with_the_means_of_the_last_epochs() -> None:
    validation, training = _overfitted()
    (finding,) = diagnose(RunConfig(), epochs(val_loss=validation, train_loss=training))
    assert (finding.code, finding.severity) == ("overfitting", "warning")
    assert f"is {validation[-5:].mean():.4f} in epochs 26 to 30 (means of 5)" in finding.message
    assert f"was {validation[7:12].mean():.4f} around epoch 10" in finding.message
    assert finding.remedy == {"patience": 5, "restore_best": True}


@pytest.mark.parametrize(
    ("changes", "remedy", "words"),
    [
        ({}, {"patience": 5, "restore_best": True}, "Stop early, or add augmentation"),
        ({"patience": 10}, {"restore_best": True}, "Restore the best epoch's weights, or add augmentation"),
        ({"patience": 10, "restore_best": True}, {}, "Add augmentation"),
        ({"patience": 10, "restore_best": True, "augment": "sketch", "arch": "lenet5"}, {}, "Train a smaller network."),
        (
            {"arch": "basic-cnn", "arch_options": {"dropout": 0.0}},
            {"patience": 5, "restore_best": True},
            "add augmentation or dropout.",
        ),
        ({"augment": "sketch"}, {"patience": 5, "restore_best": True}, "Stop early, or "),
    ],
)
def test_an_overfitted_run_is_not_advised_to_use_what_it_used_already(
    changes: dict[str, Any], remedy: dict[str, Any], words: str
) -> None:
    validation, training = _overfitted()
    (finding,) = diagnose(RunConfig(**changes), epochs(val_loss=validation, train_loss=training))
    assert finding.remedy == remedy
    assert words in finding.message
    assert ("augmentation" in finding.message) == ("augment" not in changes)


@pytest.mark.parametrize("seed", range(5))
def test_overfitting_is_found_through_noise(seed: int) -> None:
    validation, training = _overfitted(noise=0.04, seed=seed)
    assert codes(RunConfig(), epochs(val_loss=validation, train_loss=training)) == ["overfitting"]


@pytest.mark.parametrize("seed", range(20))
def test_noise_around_a_loss_that_no_longer_falls_is_not_overfitting(seed: int) -> None:
    generator = np.random.default_rng(seed)
    validation = 0.08 + 0.5 * 0.6 ** np.arange(40) + 0.02 * np.abs(generator.normal(size=40))
    for count in range(1, 41):
        assert codes(RunConfig(), epochs(val_loss=validation[:count], train_loss=0.7 ** np.arange(count))) == []


def test_a_healthy_run_has_no_findings_after_any_of_its_epochs() -> None:
    for count in range(1, len(DIGITS_VAL) + 1):
        curves = epochs(val_loss=DIGITS_VAL[:count], train_loss=DIGITS_TRAIN[:count])
        assert codes(RunConfig(), curves, ended=False) == [], count


def test_one_last_epoch_that_is_worse_than_all_others_is_not_overfitting() -> None:
    validation = [*np.linspace(1.0, 0.1, 29), 0.9]
    assert codes(RunConfig(), epochs(val_loss=validation, train_loss=np.linspace(1.0, 0.05, 30))) == []


def test_a_rise_from_which_the_run_recovered_is_not_overfitting() -> None:
    validation, training = _overfitted(20)
    assert codes(RunConfig(), epochs(val_loss=validation, train_loss=training), ended=False) == ["overfitting"]
    recovered = np.concatenate([validation, np.linspace(0.5, 0.2, 10)])
    assert codes(RunConfig(), epochs(val_loss=recovered, train_loss=0.8 * 0.85 ** np.arange(30))) == []


def test_a_negative_validation_loss_is_compared_by_its_magnitude() -> None:
    probabilities = RunConfig(loss="nll", output="softmax")  # the loss is between -1 and 0
    training = -1 + 0.5 * 0.8 ** np.arange(20)
    shares = {"train_accuracy": [0.9] * 20, "val_accuracy": [0.9] * 20}
    stays = np.concatenate([[-0.5, -0.8], np.full(18, -0.9) + 0.0001 * np.arange(18)])
    assert codes(probabilities, epochs(val_loss=stays, train_loss=training, **shares)) == ["nll-on-softmax"]
    rises = np.concatenate([[-0.5, -0.8], np.linspace(-0.9, -0.5, 18)])
    assert "overfitting" in codes(probabilities, epochs(val_loss=rises, train_loss=training, **shares))


def test_a_training_loss_that_rises_as_well_is_not_overfitting() -> None:
    validation, training = _overfitted()
    assert codes(RunConfig(), epochs(val_loss=validation, train_loss=training[::-1])) == []


def test_training_below_validation_is_explained_by_the_mean_over_the_epoch() -> None:
    curves = epochs(train_loss=[0.5], train_accuracy=[0.85], val_loss=[0.2], val_accuracy=[0.95])
    (finding,) = diagnose(RunConfig(), curves)
    assert (finding.code, finding.severity, finding.remedy) == ("training-below-validation", "hint", {})
    assert "In epoch 1 the training accuracy (85.00 %) is below the validation accuracy (95.00 %)" in finding.message
    assert "a mean over the epoch" in finding.message
    assert "dropout" not in finding.message


def test_dropout_and_augmentation_are_named_if_they_are_used() -> None:
    curves = epochs(train_loss=[0.5], train_accuracy=[0.85], val_loss=[0.2], val_accuracy=[0.95])
    for arch, options, augment, words in (
        ("lenet-bn", {}, "none", ", and dropout made"),
        ("lenet-bn", {"dropout": 0.0}, "light", ", and augmentation made"),
        ("lenet-bn", {}, "sketch", ", and dropout and augmentation made"),
    ):
        (finding,) = diagnose(RunConfig(arch=arch, arch_options=options, augment=augment), curves)
        assert words in finding.message


def test_equal_accuracies_need_no_explanation() -> None:
    curves = epochs(train_loss=[0.2], train_accuracy=[0.946], val_loss=[0.2], val_accuracy=[0.95])
    assert codes(RunConfig(), curves) == []


def test_a_run_that_ended_far_below_its_best_is_unstable_and_both_epochs_are_named() -> None:
    accuracy, loss = [0.8, 0.95, 0.96, 0.7, 0.6, 0.62], [0.7, 0.2, 0.15, 0.9, 1.2, 1.1]
    (finding,) = diagnose(
        RunConfig(optimizer="sgd", lr=0.2), epochs(train_loss=loss, train_accuracy=accuracy, val_accuracy=accuracy)
    )
    assert (finding.code, finding.remedy) == ("unstable", {"lr": 0.01})
    assert "96.00 % of the validation images were right after epoch 3 and 62.00 % are after epoch 6" in finding.message
    assert "the training loss rose from 0.1500 to 1.1000" in finding.message
    recovered = epochs(train_loss=[*loss, 0.1], train_accuracy=[*accuracy, 0.97], val_accuracy=[*accuracy, 0.96])
    assert codes(RunConfig(optimizer="sgd", lr=0.2), recovered) == []


def test_a_setback_is_a_tenth_of_accuracy_and_a_tenth_of_the_guessing_level() -> None:
    def found(accuracy: float, loss: float) -> bool:
        curves = epochs(
            train_loss=[1.0, 0.5, 0.5 + loss * LOG_10],
            train_accuracy=[0.6, 0.8, 0.8],
            val_loss=[1.0, 0.6, 0.7],
            val_accuracy=[0.6, 0.8, 0.8 - accuracy],
        )
        return "unstable" in codes(RunConfig(), curves)

    assert found(0.11, 0.11)
    assert not found(0.09, 0.11)
    assert not found(0.11, 0.09)


@pytest.mark.parametrize(("count", "width"), [(12, 3), (14, 3), (15, 5), (49, 5), (50, 7)])
def test_overfitting_is_averaged_over_more_epochs_in_longer_runs(count: int, width: int) -> None:
    best = count // 3
    validation = [1.0 - 0.5 * min(n, best) / best + max(0, n - best) * 0.2 for n in range(count)]
    curves = epochs(
        train_loss=np.geomspace(1.0, 0.01, count),
        train_accuracy=[0.9] * count,
        val_loss=validation,
        val_accuracy=[0.85] * count,
    )
    found = [finding.message for finding in diagnose(RunConfig(), curves) if finding.code == "overfitting"]
    assert [f"(means of {width})" in message for message in found] == [True]


@pytest.mark.parametrize(("width", "lowest"), [(3, 4), (3, 6), (5, 9)])
def test_overfitting_is_reported_once_as_many_epochs_as_are_averaged_have_risen(width: int, lowest: int) -> None:
    """The lowest mean is that of `width` epochs from `lowest` (counted from 1); it is reported after as many more."""
    validation = np.concatenate([np.linspace(2.0, 1.0, lowest - 1), np.full(width, 0.5), np.full(30, 2.2)])
    reported = [
        count
        for count in range(1, 2 * width + lowest + 3)
        if _width(count) == width
        and codes(RunConfig(), epochs(val_loss=validation[:count], train_loss=0.7 ** np.arange(count)))
        == ["overfitting"]
    ]
    assert reported[0] == max(lowest + 2 * width - 1, 15 if width == 5 else 0)


@pytest.mark.parametrize(("dip", "reported"), [(0.5, False), (0.65, True)])
def test_each_of_the_last_epochs_must_be_above_half_of_the_rise(dip: float, reported: bool) -> None:
    """The loss rises from 0.1 to a mean of about 1.03 over the last seven epochs, so half of the rise is at 0.56."""
    validation = np.concatenate([np.linspace(1.0, 0.2, 10), np.full(7, 0.1), np.full(40, 1.1)])
    validation[-3] = dip
    curves = epochs(val_loss=validation, train_loss=0.9 ** np.arange(len(validation)))
    assert codes(RunConfig(), curves) == (["overfitting"] if reported else [])


def _gap(training: float, validation: float, *, count: int = 6) -> dict[str, Points]:
    """Return a run with these accuracies, whose validation loss does not rise."""
    return epochs(
        train_loss=np.geomspace(1.0, 0.05, count),
        train_accuracy=np.linspace(training - 0.02, training + 0.02, count),  # mean of the last three: training + 0.008
        val_loss=np.geomspace(1.0, 0.3, count),
        val_accuracy=[validation] * count,
    )


def test_a_training_accuracy_far_above_validation_is_a_generalisation_gap() -> None:
    (finding,) = diagnose(RunConfig(), _gap(0.97, 0.9))
    assert (finding.code, finding.severity, finding.remedy) == ("generalisation-gap", "hint", {"augment": "light"})
    assert (
        "in epochs 4 to 6, 98.20 % of the training images and 90.00 % of the validation images were right (means of 3)"
    ) in finding.message
    assert finding.message.endswith("Add augmentation.")


def test_a_gap_needs_five_points_and_more_than_the_noise_of_the_validation_images() -> None:
    def found(gap: float, images: int) -> bool:
        data = replace(FACTS, images={"train": 50_000, "val": images})
        return codes(RunConfig(), _gap(0.9 + gap - 0.012, 0.9), data=data) == ["generalisation-gap"]

    assert found(0.0501, 10_000)
    assert not found(0.0499, 10_000)
    assert found(0.121, 100)  # four standard errors of 90 % of 100 images are 0.12
    assert not found(0.119, 100)


def test_a_gap_is_no_finding_yet_in_the_first_epochs_nor_beside_overfitting() -> None:
    assert codes(RunConfig(), _gap(0.97, 0.9, count=5)) == []
    validation, training = _overfitted()
    curves = epochs(
        val_loss=validation, train_loss=training, train_accuracy=np.full(30, 0.99), val_accuracy=np.full(30, 0.85)
    )
    assert codes(RunConfig(), curves) == ["overfitting"]
    assert codes(RunConfig(), _gap(math.nan, 0.8)) == []
    assert codes(RunConfig(val_fraction=0.0), epochs(train_loss=[0.1] * 9, train_accuracy=[0.99] * 9)) == []


@pytest.mark.parametrize(
    ("changes", "used", "remedy", "words"),
    [
        (
            {"train_limit": 3_600},
            3_600,
            {"train_limit": 0},
            "Train with all images instead of 3,600, or add augmentation.",
        ),
        (
            {"train_limit": 3_600, "augment": "light"},
            3_600,
            {"train_limit": 0},
            "Train with all images instead of 3,600.",
        ),
        ({"train_limit": 60_000}, 3_600, {"augment": "light"}, "Add augmentation."),  # the data set has no more images
        ({"augment": "sketch"}, 3_600, {}, "Train a smaller network."),
        ({"augment": "light", "arch": "basic-cnn", "arch_options": {"dropout": 0.0}}, 3_600, {}, "Add dropout."),
    ],
)
def test_against_a_gap_only_what_the_run_has_not_used_is_advised(
    changes: dict[str, Any], used: int, remedy: dict[str, Any], words: str
) -> None:
    data = replace(FACTS, images={"train": used - 400, "val": 400})
    (finding,) = diagnose(RunConfig(**changes), _gap(0.97, 0.8), data=data)
    assert finding.remedy == remedy
    assert finding.message.endswith(words)
