"""Each rule speaks where it should, and stays silent on a sound run."""

import math

import numpy as np

from lab.config import RunConfig
from lab.diagnosis.rules import diagnose_config, diagnose_curves
from lab.presets import list_presets

SOUND = RunConfig()


def _codes(config: RunConfig, **curves: list[float]) -> set[str]:
    arrays = {name.replace("_", "/"): np.array(values) for name, values in curves.items()}
    return {finding.code for finding in diagnose_curves(config, arrays, classes=10)}


def test_a_sound_configuration_has_no_findings() -> None:
    assert diagnose_config(SOUND) == ()


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


def test_the_learning_rate_that_never_arrived_is_called_small() -> None:
    assert {f.code for f in diagnose_config(RunConfig(lr=1e-5))} == {"lr-low"}


def test_every_preset_marked_as_a_mistake_is_found_by_a_rule() -> None:
    for preset in list_presets():
        severities = {f.severity for f in diagnose_config(preset.config())}
        if preset.mistake:
            assert severities & {"mistake", "warning"}, preset.id
        elif "mistake" in severities:
            raise AssertionError(f"{preset.id} has a mistake that it does not own up to")


def test_a_nan_loss_is_reported_with_its_step() -> None:
    findings = diagnose_curves(SOUND, {"batch/loss": np.array([2.3, math.nan, math.nan])}, classes=10)
    assert [f.code for f in findings] == ["not-finite"]
    assert "step 2 on" in findings[0].message


def test_a_loss_at_log_k_is_stuck_only_after_enough_steps() -> None:
    assert _codes(SOUND, batch_loss=[math.log(10)] * 500) == {"stuck"}
    assert _codes(SOUND, batch_loss=[math.log(10)] * 50) == set()
    assert _codes(SOUND, batch_loss=[0.1] * 500) == set()


def test_a_runaway_loss_is_named_only_for_nll_on_logits() -> None:
    falling = [-float(i) for i in range(500)]
    assert _codes(RunConfig(loss="nll", output="logits"), batch_loss=falling) == {"runaway"}
    assert _codes(SOUND, batch_loss=falling) == set()


def test_a_validation_loss_that_turned_up_is_overfitting() -> None:
    training = [1.0, 0.5, 0.3, 0.2, 0.1, 0.05]
    assert _codes(SOUND, train_loss=training, val_loss=[1.0, 0.6, 0.5, 0.55, 0.6, 0.7]) == {"overfitting"}
    assert _codes(SOUND, train_loss=training, val_loss=[1.0, 0.6, 0.5, 0.45, 0.44, 0.43]) == set()


def test_a_validation_loss_below_zero_that_stays_at_its_lowest_is_not_overfitting() -> None:
    probabilities = RunConfig(loss="nll", output="softmax")  # the loss lies between -1 and 0
    training = [-0.5, -0.8, -0.9, -0.95, -0.97]
    assert _codes(probabilities, train_loss=training, val_loss=[-0.5, -0.8, -0.9, -0.899, -0.898]) == set()
    assert _codes(probabilities, train_loss=training, val_loss=[-0.5, -0.9, -0.85, -0.8, -0.7]) == {"overfitting"}


def test_a_diverged_loss_that_comes_back_is_not_overfitting() -> None:
    assert _codes(SOUND, train_loss=[1e14, 1e12, 1e10, 1e3, 1e2], val_loss=[1e12, 1e10, 50.0, 60.0, 80.0]) == set()


def test_no_curves_give_no_findings() -> None:
    assert _codes(SOUND) == set()
