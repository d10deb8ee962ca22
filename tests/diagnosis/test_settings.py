"""What can be said of settings alone: each rule speaks where it should, and stays silent on a sound configuration."""

import math

from lab.config import RunConfig
from lab.diagnosis.rules import diagnose_config
from lab.presets import list_presets


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
