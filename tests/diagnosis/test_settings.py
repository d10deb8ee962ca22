"""What can be said of settings alone: each rule speaks where it should, and stays silent on a sound configuration."""

import math
from typing import Any

import pytest

from lab.config import RunConfig
from lab.diagnosis.causes import higher_rate, is_below_usual, lower_rate
from lab.diagnosis.curves import DataFacts
from lab.diagnosis.rules import diagnose_config
from lab.metrics import Split
from lab.presets import list_presets


def _said(**changes: Any) -> list[tuple[str, str, dict[str, Any]]]:
    found = diagnose_config(RunConfig(**changes), train_images=0)
    return [(finding.code, finding.message, dict(finding.remedy)) for finding in found]


def test_a_warm_up_that_the_run_does_not_outlast_is_said_before_training() -> None:
    assert _said(epochs=5, warmup_epochs=4.9) == []
    words = "The warm-up takes 10 epochs and the run has 5: its learning rate of 0.001 is never reached. Try 0.5."
    for schedule in ("constant", "cosine"):
        assert _said(epochs=5, warmup_epochs=10, schedule=schedule) == [
            ("warmup-long", words, {"warmup_epochs": 0.5}),
        ]
    ((_, words, _),) = _said(epochs=5, warmup_epochs=5)
    assert words.endswith("its learning rate of 0.001 is reached by the last step only. Try 0.5.")
    assert _said(epochs=5, warmup_epochs=10, schedule="one-cycle") == []  # which does not read it
    assert _said(epochs=5, warmup_epochs=0.5) == []  # the remedy


def test_a_warm_up_is_measured_by_the_step_limit_where_the_images_are_known() -> None:
    config = RunConfig(epochs=100, warmup_epochs=2, max_steps=30, batch_size=64)  # 20 steps an epoch of 1,280 images
    assert diagnose_config(config) == ()
    (finding,) = diagnose_config(config, train_images=1_280)
    assert "takes 2 epochs and the run has 1.5" in finding.message
    assert diagnose_config(config.replace(**finding.remedy), train_images=1_280) == ()


def test_a_step_schedule_that_ends_before_its_first_step_is_a_hint() -> None:
    words = "The learning rate is multiplied every 10 epochs, and the run has 9: it stays as it is. Try every 3 epochs."
    assert _said(epochs=9, schedule="step") == [("step-late", words, {"step_epochs": 3})]
    assert _said(epochs=10, schedule="step")[0][0] == "step-late"  # its first step would be the next epoch
    assert _said(epochs=11, schedule="step") == _said(epochs=1, schedule="step") == []
    assert _said(epochs=2, schedule="step", step_epochs=1) == []


def test_a_sound_configuration_has_no_findings() -> None:
    assert diagnose_config(RunConfig()) == ()


def test_nll_on_logits_is_named_with_a_remedy_that_cures_it() -> None:
    (finding,) = diagnose_config(RunConfig(loss="nll", output="logits"))
    assert (finding.code, finding.severity) == ("nll-on-logits", "mistake")
    assert diagnose_config(RunConfig(loss="nll", output="logits").replace(**finding.remedy)) == ()


def test_softmax_before_nll_is_named_with_a_remedy_that_cures_it() -> None:
    config = RunConfig(loss="nll", output="softmax")
    (finding,) = diagnose_config(config)
    assert finding.code == "nll-on-softmax"
    assert diagnose_config(config.replace(**finding.remedy)) == ()


def test_softmax_before_cross_entropy_cannot_fall_below_the_stated_floor() -> None:
    (finding,) = diagnose_config(RunConfig(output="softmax"))
    floor = math.log(math.e + 9) - 1
    assert f"{floor:.2f}" in finding.message


def test_the_learning_rate_that_never_arrived_is_called_small_and_the_remedy_is_not() -> None:
    (finding,) = diagnose_config(RunConfig(lr=1e-5))
    assert finding.code == "lr-low"
    assert diagnose_config(RunConfig(lr=1e-5).replace(**finding.remedy)) == ()


def test_a_learning_rate_out_of_range_gets_a_remedy_inside_it_for_every_optimizer() -> None:
    for optimizer in ("sgd", "adam", "adamw", "rmsprop", "muon"):
        for lr in (1e-6, 2e-5, 5.0, 100.0):
            config = RunConfig(optimizer=optimizer, lr=lr)
            (finding,) = diagnose_config(config)
            assert diagnose_config(config.replace(**finding.remedy)) == (), (optimizer, lr)


def test_every_preset_marked_as_a_mistake_is_found_by_a_rule() -> None:
    for preset in list_presets():
        severities = {f.severity for f in diagnose_config(preset.config())}
        if preset.mistake:
            assert severities & {"mistake", "warning"}, preset.id
        elif "mistake" in severities:
            raise AssertionError(f"{preset.id} has a mistake that it does not own up to")


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
def test_the_range_of_rates_ends_where_it_is_said_to_end(optimizer: str, loss: str, low: float, high: float) -> None:
    def codes(lr: float) -> list[str]:
        output = "softmax" if loss == "mse" else "logits"
        return [f.code for f in diagnose_config(RunConfig(optimizer=optimizer, loss=loss, output=output, lr=lr))]

    assert (codes(low), codes(high)) == ([], [])
    assert (codes(low * 0.99), codes(high * 1.01)) == (["lr-low"], ["lr-high"])


def test_the_rate_to_try_is_a_tenth_or_the_usual_one_whichever_is_lower() -> None:
    for lr, wanted in ((0.05, 1e-3), (100.0, 1e-3), (5e-3, 5e-4)):
        assert lower_rate(RunConfig(optimizer="adam", lr=lr)) == pytest.approx(wanted)


def test_half_of_the_usual_rate_is_below_it() -> None:
    for lr, below in ((5e-4, True), (5.1e-4, False), (1e-3, False)):
        assert is_below_usual(RunConfig(optimizer="adam", lr=lr)) == below


@pytest.mark.parametrize(("lr", "wanted"), [(1e-4, 1e-3), (5e-4, 1e-3), (1e-3, 3e-3), (0.02, 0.03), (0.05, 0.05)])
def test_a_rate_too_low_is_raised_to_the_usual_one_or_threefold_within_its_range(lr: float, wanted: float) -> None:
    assert higher_rate(RunConfig(optimizer="adam", lr=lr)) == pytest.approx(wanted)


@pytest.mark.parametrize(("images", "share"), [(19, 0.2), (20, 0.9)])
def test_a_split_of_fewer_than_two_images_a_class_is_judged_by_the_training_images(images: int, share: float) -> None:
    assert DataFacts(10, {"val": images}, {"train": 0.2, "val": 0.9}).share(Split.VAL) == share


def test_facts_of_the_data_are_read_off_what_a_run_recorded_and_nothing_else() -> None:
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
    for odd in (0, -3, "900", True, None, float("nan"), float("inf"), 0.5):
        assert DataFacts.from_environment({"train_images": odd}, classes=7) == DataFacts(7)
    for least in (1, 1.0):
        assert DataFacts.from_environment({"train_images": least}, classes=7) == DataFacts(7, {"train": 1})
