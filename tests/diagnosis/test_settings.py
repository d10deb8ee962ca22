"""Findings on settings alone: each rule applies where it should, and not to a good configuration."""

import math
from typing import Any

import pytest

from lab.config import RunConfig
from lab.diagnosis.causes import higher_rate, is_below_usual, lower_rate
from lab.diagnosis.curves import DataFacts
from lab.diagnosis.rules import diagnose_config
from lab.metrics import Split
from lab.presets import list_presets


def _findings(**changes: Any) -> list[tuple[str, str, dict[str, Any]]]:
    found = diagnose_config(RunConfig(**changes), train_images=0)
    return [(finding.code, finding.message, dict(finding.remedy)) for finding in found]


def test_a_warm_up_longer_than_the_run_is_reported_before_training() -> None:
    assert _findings(epochs=5, warmup_epochs=4.9) == []
    words = "The warm-up takes 10 epochs and the run has 5: its learning rate of 0.001 is never reached. Try 0.5."
    for schedule in ("constant", "cosine"):
        assert _findings(epochs=5, warmup_epochs=10, schedule=schedule) == [
            ("warmup-long", words, {"warmup_epochs": 0.5}),
        ]
    ((_, words, _),) = _findings(epochs=5, warmup_epochs=5)
    assert words.endswith("its learning rate of 0.001 is reached by the last step only. Try 0.5.")
    assert _findings(epochs=5, warmup_epochs=10, schedule="one-cycle") == []  # which ignores it
    assert _findings(epochs=5, warmup_epochs=0.5) == []  # the remedy


def test_a_warm_up_is_compared_with_the_step_limit_if_the_number_of_images_is_known() -> None:
    config = RunConfig(epochs=100, warmup_epochs=2, max_steps=30, batch_size=64)  # 20 steps per epoch of 1,280 images
    assert diagnose_config(config) == ()
    (finding,) = diagnose_config(config, train_images=1_280)
    assert "takes 2 epochs and the run has 1.5" in finding.message
    assert diagnose_config(config.replace(**finding.remedy), train_images=1_280) == ()


def test_a_step_schedule_that_ends_before_its_first_step_is_a_hint() -> None:
    words = "The learning rate is multiplied every 10 epochs, and the run has 9: it stays as it is. Try every 3 epochs."
    assert _findings(epochs=9, schedule="step") == [("step-late", words, {"step_epochs": 3})]
    assert _findings(epochs=10, schedule="step")[0][0] == "step-late"  # its first step would be the next epoch
    assert _findings(epochs=11, schedule="step") == _findings(epochs=1, schedule="step") == []
    assert _findings(epochs=2, schedule="step", step_epochs=1) == []


def test_the_default_configuration_has_no_findings() -> None:
    assert diagnose_config(RunConfig()) == ()


def test_nll_on_logits_is_reported_with_a_remedy_that_resolves_it() -> None:
    (finding,) = diagnose_config(RunConfig(loss="nll", output="logits"))
    assert (finding.code, finding.severity) == ("nll-on-logits", "mistake")
    assert diagnose_config(RunConfig(loss="nll", output="logits").replace(**finding.remedy)) == ()


def test_softmax_before_nll_is_reported_with_a_remedy_that_resolves_it() -> None:
    config = RunConfig(loss="nll", output="softmax")
    (finding,) = diagnose_config(config)
    assert finding.code == "nll-on-softmax"
    assert diagnose_config(config.replace(**finding.remedy)) == ()


def test_softmax_before_cross_entropy_is_reported_with_its_lowest_loss() -> None:
    (finding,) = diagnose_config(RunConfig(output="softmax"))
    floor = math.log(math.e + 9) - 1
    assert f"{floor:.2f}" in finding.message


def test_a_small_learning_rate_is_reported_with_a_remedy_that_resolves_it() -> None:
    (finding,) = diagnose_config(RunConfig(lr=1e-5))
    assert finding.code == "lr-low"
    assert diagnose_config(RunConfig(lr=1e-5).replace(**finding.remedy)) == ()


def test_a_learning_rate_out_of_range_gets_a_remedy_within_it_for_every_optimizer() -> None:
    for optimizer in ("sgd", "adam", "adamw", "rmsprop", "muon"):
        for lr in (1e-6, 2e-5, 5.0, 100.0):
            config = RunConfig(optimizer=optimizer, lr=lr, momentum=0.9 if optimizer == "sgd" else 0.0)
            (finding,) = diagnose_config(config)
            assert diagnose_config(config.replace(**finding.remedy)) == (), (optimizer, lr)


def test_every_preset_marked_as_a_mistake_is_found_by_a_rule() -> None:
    for preset in list_presets():
        severities = {f.severity for f in diagnose_config(preset.config())}
        if preset.mistake:
            assert severities & {"mistake", "warning"}, preset.id
        elif "mistake" in severities:
            raise AssertionError(f"{preset.id} has a mistake that it is not marked with")


@pytest.mark.parametrize(
    ("optimizer", "loss", "low", "high"),
    [
        ("adam", "cross-entropy", 3e-5, 3e-2),
        ("adamw", "cross-entropy", 3e-5, 3e-2),
        ("rmsprop", "cross-entropy", 3e-5, 3e-2),
        ("muon", "cross-entropy", 1e-4, 1.0),
        ("sgd", "cross-entropy", 1e-4, 1.0),
        ("sgd", "mse", 1e-3, 1.0),
    ],
)
def test_the_range_of_learning_rates_has_these_limits(optimizer: str, loss: str, low: float, high: float) -> None:
    def codes(lr: float) -> list[str]:
        output = "softmax" if loss == "mse" else "logits"
        momentum = 0.0 if optimizer == "rmsprop" else 0.9
        config = RunConfig(optimizer=optimizer, loss=loss, output=output, lr=lr, momentum=momentum)
        return [f.code for f in diagnose_config(config)]

    assert (codes(low), codes(high)) == ([], [])
    assert (codes(low * 0.99), codes(high * 1.01)) == (["lr-low"], ["lr-high"])


def test_the_lower_rate_to_try_is_a_tenth_or_the_usual_one_whichever_is_lower() -> None:
    for lr, expected in ((0.05, 1e-3), (100.0, 1e-3), (5e-3, 5e-4)):
        assert lower_rate(RunConfig(optimizer="adam", lr=lr)) == pytest.approx(expected)


def test_at_most_half_of_the_usual_rate_is_below_usual() -> None:
    for lr, below in ((5e-4, True), (5.1e-4, False), (1e-3, False)):
        assert is_below_usual(RunConfig(optimizer="adam", lr=lr)) == below


@pytest.mark.parametrize(("lr", "expected"), [(1e-4, 1e-3), (5e-4, 1e-3), (1e-3, 3e-3), (0.02, 0.03), (0.05, 0.05)])
def test_the_higher_rate_to_try_is_the_usual_one_or_three_times_the_rate_within_the_range(
    lr: float, expected: float
) -> None:
    assert higher_rate(RunConfig(optimizer="adam", lr=lr)) == pytest.approx(expected)


@pytest.mark.parametrize(("images", "share"), [(19, 0.2), (20, 0.9)])
def test_a_split_with_fewer_than_two_images_per_class_has_the_share_of_the_training_images(
    images: int, share: float
) -> None:
    assert DataFacts(10, {"val": images}, {"train": 0.2, "val": 0.9}).share(Split.VAL) == share


def test_data_facts_are_read_from_valid_recorded_values_only() -> None:
    recorded = {
        "train_images": 900,
        "val_images": 100,
        "test_images": 50.0,
        "train_largest_class": 0.2,
        "val_largest_class": 1.0,
        "test_largest_class": 1.5,
    }
    facts = DataFacts.from_environment(recorded, classes=7)
    assert facts == DataFacts(7, {"train": 900, "val": 100, "test": 50}, {"train": 0.2, "val": 1.0})
    assert facts.environment() == {"train_largest_class": 0.2, "val_largest_class": 1.0}
    for invalid in (0, -3, "900", True, None, float("nan"), float("inf"), 0.5):
        assert DataFacts.from_environment({"train_images": invalid}, classes=7) == DataFacts(7)
    for least in (1, 1.0):
        assert DataFacts.from_environment({"train_images": least}, classes=7) == DataFacts(7, {"train": 1})
