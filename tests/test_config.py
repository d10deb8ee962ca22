"""The configuration validates itself, survives JSON, and its digest changes exactly when the result would."""

import dataclasses
import json
import math
import re
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.config import FIELDS, GROUPS, RunConfig
from lab.config.fields import FieldSpec, build_specs, setting, shown
from lab.config.identity import ENGINE
from lab.config.steps import epoch_images, epoch_steps, run_steps
from lab.errors import ConfigError
from lab.presets import PRESETS, get_preset
from tests.snapshots import check


def test_every_field_has_a_label_a_sentence_of_help_and_a_known_group() -> None:
    for spec in FIELDS.values():
        assert spec.label, spec.name
        assert spec.help.endswith("."), spec.name
        assert spec.group in GROUPS, spec.name
        assert spec.check(spec.default) == spec.default


def test_a_configuration_survives_json() -> None:
    config = RunConfig(arch="wide-cnn", arch_options={"widths": [8, 16, 32]}, lr=3e-4, patience=3)
    assert RunConfig.from_dict(json.loads(json.dumps(config.as_dict(), allow_nan=False))) == config


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("lr", math.nan, "above 0 and at most 100"),
        ("lr", math.inf, "above 0 and at most 100"),
        ("lr", 0, "above 0"),
        ("batch_size", 0, "at least 1"),
        ("batch_size", 2.5, "a whole number"),
        ("epochs", True, "a whole number"),
        ("epochs", "5", "a whole number"),
        ("val_fraction", 1.0, "at most 0.9"),
        ("optimizer", "adm", "Did you mean 'adam'"),
        ("loss", "🙂", "Choose one of"),
        ("arch", 7, "must be text"),
        ("seed", -1, "at least 0"),
        ("seed", 10**400, "at most"),
        ("lr", -(10**400), "above 0"),
        ("lr", 10**400, "above 0 and at most 100"),
        ("train_limit", 10**400, "at most 2147483647"),
        ("nesterov", 1, "true or false"),
        ("arch_options", [("dropout", 0.1)], "must be"),
    ],
    ids=lambda part: str(part)[:20],
)
def test_an_invalid_value_is_refused_with_its_field_and_the_rule(name: str, value: Any, rule: str) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        RunConfig.from_dict({name: value})
    assert rule in str(caught.value)
    assert caught.value.field == name


@pytest.mark.parametrize("name", sorted(name for name, spec in FIELDS.items() if spec.kind is str and not spec.choices))
@pytest.mark.parametrize("hidden", ["\ud800", "\x1b", "\u202e"], ids=ascii)
def test_text_with_a_hidden_character_is_refused(name: str, hidden: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} is .*U\+{ord(hidden):04X}") as caught:
        RunConfig.from_dict({name: f"cpu{hidden}"})
    assert hidden not in str(caught.value)


def test_an_unknown_field_is_refused_with_the_near_miss() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'batch_size'"):
        RunConfig.from_dict({"batchsize": 64})


def test_a_newer_schema_is_refused() -> None:
    with pytest.raises(ConfigError, match="update ConvLab"):
        RunConfig.from_dict({"schema": 99})


def test_patience_without_a_validation_set_is_refused() -> None:
    with pytest.raises(ConfigError, match="set val_fraction above 0"):
        RunConfig(patience=3, val_fraction=0.0)


def test_folds_replace_the_validation_fraction_and_change_no_digest_if_there_are_none() -> None:
    old = {name: value for name, value in RunConfig().as_dict().items() if name not in ("folds", "fold")}
    assert RunConfig.from_dict(old).digest(data_checksum="x") == RunConfig(fold=3).digest(data_checksum="x")
    five = RunConfig(folds=5, val_fraction=0.0, patience=2)
    assert five.held_out == 0.2
    assert five.digest(data_checksum="x") == five.replace(val_fraction=0.3).digest(data_checksum="x")
    assert RunConfig(val_fraction=0.3).held_out == 0.3
    with pytest.raises(ConfigError, match="folds is 1, which leaves no images to train on"):
        RunConfig(folds=1)
    with pytest.raises(ConfigError, match="fold is 6, but there are 5"):
        RunConfig(folds=5, fold=6)


def test_settings_without_effect_do_not_change_the_digest() -> None:
    adam = RunConfig(optimizer="adam")
    assert adam.replace(momentum=0.1).digest(data_checksum="x") == adam.digest(data_checksum="x")
    sgd = RunConfig(optimizer="sgd")
    assert sgd.replace(momentum=0.1).digest(data_checksum="x") != sgd.digest(data_checksum="x")


def test_where_a_run_is_computed_does_not_change_the_digest() -> None:
    base = RunConfig().digest(data_checksum="x")
    assert RunConfig(device="cpu", keep_mb=10, compile=True).digest(data_checksum="x") == base
    assert RunConfig().digest(data_checksum="y") != base


def test_every_setting_that_determines_the_result_changes_the_digest() -> None:
    # Under these settings every field is relevant at least once.
    contexts = [
        RunConfig(optimizer="sgd", schedule="step", patience=2),
        RunConfig(optimizer="adam", schedule="cosine", loss="cross-entropy"),
        RunConfig(fork_of="0123456789ab", fork_epoch=2),
        RunConfig(folds=5),
    ]
    for spec in FIELDS.values():
        if not spec.result:
            continue
        changed = any(
            base.replace(**{spec.name: _other(spec.name, getattr(base, spec.name))}).digest(data_checksum="x")
            != base.digest(data_checksum="x")
            for base in contexts
        )
        assert changed, spec.name


def _other(name: str, value: Any) -> Any:
    spec = FIELDS[name]
    if spec.choices:
        return next(c for c in spec.choices if c != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, dict):
        return {"dropout": 0.1}
    if isinstance(value, str):
        return value + "x"
    if name == "folds":
        return value + 2  # one fold is refused
    return value + 1 if spec.kind is int else value / 2 + 0.01


_ADAM = {"momentum", "nesterov"}
_USUALLY = {"fold", "fork_of", "fork_epoch", "step_epochs", "gamma", "min_delta"}


@pytest.mark.parametrize(
    ("changes", "irrelevant"),
    [
        ({}, _USUALLY | _ADAM),
        ({"optimizer": "adamw"}, _USUALLY | _ADAM),
        ({"optimizer": "sgd"}, _USUALLY | {"beta1", "beta2"}),
        ({"optimizer": "sgd", "momentum": 0.0}, _USUALLY | {"beta1", "beta2", "nesterov"}),
        ({"optimizer": "rmsprop"}, _USUALLY | {"beta1", "beta2", "nesterov"}),
        ({"optimizer": "muon"}, _USUALLY | {"nesterov"}),
        ({"schedule": "step"}, (_USUALLY | _ADAM) - {"step_epochs", "gamma"}),
        ({"schedule": "one-cycle"}, _USUALLY | _ADAM | {"warmup_epochs"}),
        ({"loss": "nll", "output": "log-softmax"}, _USUALLY | _ADAM | {"label_smoothing"}),
        ({"patience": 1}, (_USUALLY | _ADAM) - {"min_delta"}),
        ({"val_fraction": 0.0}, _USUALLY | _ADAM | {"restore_best"}),
        ({"folds": 2}, (_USUALLY | _ADAM | {"val_fraction"}) - {"fold"}),
        ({"folds": 2, "val_fraction": 0.0}, (_USUALLY | _ADAM | {"val_fraction"}) - {"fold"}),
        ({"fork_of": "0123456789ab", "fork_epoch": 1}, (_USUALLY | _ADAM) - {"fork_of", "fork_epoch"}),
    ],
)
def test_which_settings_have_no_effect_given_others(changes: dict[str, Any], irrelevant: set[str]) -> None:
    config = RunConfig(**changes)
    assert {spec.name for spec in FIELDS.values() if not spec.relevant(config)} == irrelevant


def test_settings_of_where_and_how_fast_a_run_is_computed_do_not_determine_its_result() -> None:
    assert {spec.name for spec in FIELDS.values() if not spec.result} == {
        "device",
        "devices",
        "channels_last",
        "compile",
        "deterministic",
        "eval_batch_size",
        "keep_mb",
    }


def test_a_digest_without_epochs_is_the_same_for_runs_that_differ_only_in_length() -> None:
    short, long = RunConfig(epochs=5), RunConfig(epochs=20)
    assert short.digest(data_checksum="x", without=("epochs",)) == long.digest(data_checksum="x", without=("epochs",))


def test_the_configuration_cannot_be_changed_in_place() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match="epochs"):
        RunConfig().epochs = 6  # type: ignore[misc]


def test_every_preset_is_a_valid_configuration() -> None:
    for preset in PRESETS.values():
        assert preset.config().as_dict()["schema"] == 1


def test_report_b_has_its_twenty_accuracies() -> None:
    by_epoch = get_preset("b-wide-cnn").reported.test_accuracy_by_epoch
    assert len(by_epoch) == get_preset("b-wide-cnn").config().epochs == 20
    assert max(by_epoch) == by_epoch[14] == 0.9935


def test_an_unknown_preset_is_refused_with_the_near_miss() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'd-lenet-bn'"):
        get_preset("d-lenetbn")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(sorted(FIELDS)) | st.text(max_size=12), _JSON, max_size=4))
def test_any_json_gives_a_configuration_or_a_config_error(values: dict[str, Any]) -> None:
    try:
        config = RunConfig.from_dict(values)
    except ConfigError as error:
        assert len(str(error)) < 1_000
    else:
        assert config.normalised().normalised() == config.normalised()


def test_nesterov_without_momentum_does_not_change_the_digest() -> None:
    base = RunConfig(optimizer="sgd", momentum=0.0)
    assert base.replace(nesterov=True).digest(data_checksum="x") == base.digest(data_checksum="x")
    moving = RunConfig(optimizer="sgd", momentum=0.9)
    assert moving.replace(nesterov=True).digest(data_checksum="x") != moving.digest(data_checksum="x")


def test_labels_of_runs_and_names_of_choices_come_from_the_declaration() -> None:
    assert [FIELDS[name].short_label for name in ("lr", "batch_size", "input_size", "train_limit", "weight_decay")] == [
        "lr",
        "batch",
        "input",
        "images",
        "weight decay",
    ]
    assert [FIELDS["optimizer"].choice_title(choice) for choice in FIELDS["optimizer"].choices] == [
        "SGD",
        "Adam",
        "AdamW",
        "RMSprop",
        "Muon",
    ]
    assert [FIELDS["loss"].choice_title(choice) for choice in FIELDS["loss"].choices] == ["cross-entropy", "NLL", "MSE"]
    assert FIELDS["lr"].step == 1e-4


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lr", "above 0 and at most 100"),
        ("batch_size", "at least 1 and at most 65536"),
        ("momentum", "at least 0 and at most 0.9999"),
        ("grad_clip", "at least 0"),
        ("gamma", "above 0 and at most 1"),
    ],
)
def test_ranges_are_described_and_include_their_bounds(name: str, words: str) -> None:
    spec = FIELDS[name]
    assert spec.range_words() == words
    if not spec.open_low:
        assert spec.check(spec.low) == spec.low
    if spec.high is not None:
        assert spec.check(spec.high) == spec.high
        with pytest.raises(ConfigError, match=f"at most {spec.high:g}"):
            spec.check(spec.high * 1.01 if spec.kind is float else spec.high + 1)


_DIGITS = RunConfig(dataset="digits")


@pytest.mark.parametrize(
    ("config", "changes", "same"),
    [
        (_DIGITS.replace(patience=1), {"min_delta": 0.1}, False),
        (_DIGITS.replace(patience=0), {"min_delta": 0.1}, True),
        (_DIGITS.replace(schedule="constant"), {"warmup_epochs": 1.0}, False),
        (_DIGITS.replace(schedule="step"), {"warmup_epochs": 1.0}, False),
        (_DIGITS.replace(schedule="one-cycle"), {"warmup_epochs": 1.0}, True),
        (_DIGITS.replace(schedule="cosine"), {"gamma": 0.5, "step_epochs": 3}, True),
        (_DIGITS.replace(schedule="step"), {"gamma": 0.5}, False),
        (_DIGITS.replace(schedule="step"), {"step_epochs": 3}, False),
        (_DIGITS.replace(loss="mse", output="softmax"), {"label_smoothing": 0.1}, True),
        (_DIGITS.replace(loss="nll", output="log-softmax"), {"label_smoothing": 0.1}, True),
        (_DIGITS.replace(patience=0), {"restore_best": True}, False),
        (_DIGITS.replace(val_fraction=0.0), {"restore_best": True}, True),
        (_DIGITS.replace(optimizer="muon"), {"momentum": 0.5}, False),
        (_DIGITS.replace(optimizer="muon"), {"beta1": 0.5}, False),
        (_DIGITS.replace(optimizer="rmsprop"), {"momentum": 0.5}, False),
        (_DIGITS.replace(optimizer="rmsprop"), {"beta2": 0.5}, True),
        (_DIGITS.replace(optimizer="sgd", momentum=0.0), {"nesterov": True}, True),
        (_DIGITS.replace(optimizer="sgd", momentum=0.1), {"nesterov": True}, False),
    ],
    ids=str,
)
def test_a_setting_changes_the_digest_only_if_it_has_an_effect(
    config: RunConfig, changes: dict[str, Any], same: bool
) -> None:
    changed = config.replace(**changes).digest(data_checksum="x")
    assert (changed == config.digest(data_checksum="x")) == same


@pytest.mark.parametrize("patience", [1, 2])
def test_any_patience_needs_a_validation_set(patience: int) -> None:
    with pytest.raises(ConfigError, match="needs a validation set"):
        RunConfig(patience=patience, val_fraction=0.0)
    assert RunConfig(patience=0, val_fraction=0.0).patience == 0


def test_the_engine_that_computed_a_run_is_part_of_its_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = RunConfig().digest(data_checksum="x")
    monkeypatch.setattr("lab.config.identity.ENGINE", ENGINE + 1)
    assert RunConfig().digest(data_checksum="x") != before


@pytest.mark.parametrize("name", [name for name, spec in FIELDS.items() if spec.kind is float])
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_every_float_setting_refuses_values_that_are_not_finite(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} is (-?inf|nan), but it must be"):
        RunConfig(**{name: value})


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "x" * 5_000},
        {"epochs": "9" * 5_000},
        {"lr": ["0.1"] * 5_000},
        {"seed": {"a" * 5_000: 1}},
        {"x" * 5_000: 1},
        {"schema": "1" * 5_000},
    ],
    ids=lambda changes: next(iter(changes))[:10],
)
def test_an_error_quotes_only_the_beginning_of_a_long_value(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as refused:
        RunConfig.from_dict(changes)
    assert len(str(refused.value)) < 400
    assert "..." in str(refused.value)


def test_values_are_converted_to_the_type_of_their_setting_and_copied() -> None:
    options = {"widths": [8, 16]}
    config = RunConfig.from_dict({"epochs": 7.0, "lr": 1, "arch_options": MappingProxyType(options)})
    assert (type(config.epochs), config.epochs) == (int, 7)
    assert (type(config.lr), config.lr) == (float, 1.0)
    assert (type(config.arch_options), config.arch_options) == (dict, options)
    given = {"widths": [8, 16]}
    assert RunConfig(arch_options=given).arch_options is not given
    assert RunConfig.specs() is RunConfig.specs()  # built once: lists of runs read thousands of configurations


@pytest.mark.parametrize(
    ("value", "text"),
    [("x" * 58, repr("x" * 58)), ("x" * 59, f"'{'x' * 56}..."), (0.1 + 0.2, "0.3"), (12, "12"), (1 / 3, "0.333333")],
)
def test_messages_quote_sixty_characters_and_six_digits(value: object, text: str) -> None:
    assert shown(value) == text


def test_only_whole_numbers_without_an_upper_limit_get_one() -> None:
    @dataclasses.dataclass
    class Toy:
        count: int = setting(1, "Count", "A count.", "toy")
        few: int = setting(1, "Few", "A few.", "toy", high=3)
        rate: float = setting(1.0, "Rate", "A rate.", "toy")

    specs = build_specs(Toy)
    assert {name: spec.high for name, spec in specs.items()} == {"count": 2**31 - 1, "few": 3, "rate": None}
    assert specs["rate"].check(1e100) == 1e100
    assert specs["rate"].range_words() == "a finite number"


@pytest.mark.parametrize(
    ("changes", "images", "trained"),
    [
        ({"val_fraction": 0.1}, 60_000, 54_000),
        ({"val_fraction": 0.1, "train_limit": 1_000}, 60_000, 900),
        ({"val_fraction": 0.0, "train_limit": 1_000}, 500, 500),
        ({"folds": 5, "fold": 1, "val_fraction": 0.0}, 1_000, 800),
        ({"train_limit": 1_000}, 0, 0),  # unknown
    ],
)
def test_an_epoch_trains_on_what_is_neither_cut_off_nor_held_out(
    changes: dict[str, Any], images: int, trained: int
) -> None:
    assert epoch_images(RunConfig(**changes), images) == trained


@pytest.mark.parametrize(("images", "batch", "updates"), [(128, 64, 2), (129, 64, 3), (1, 64, 1), (0, 64, 0)])
def test_a_smaller_last_batch_is_an_update_too(images: int, batch: int, updates: int) -> None:
    assert epoch_steps(images, batch) == updates


@pytest.mark.parametrize(("limit", "updates"), [(0, 30), (29, 29), (30, 30), (31, 30)])
def test_a_run_ends_with_its_epochs_or_at_its_step_limit(limit: int, updates: int) -> None:
    assert run_steps(RunConfig(epochs=3, max_steps=limit), 10) == updates


def test_every_setting_is_declared_as_in_the_snapshot() -> None:
    """Compare ranges, choices and their titles, form steps, flags: whatever takes effect when the class is created."""
    usual = {field.name: field.default for field in dataclasses.fields(FieldSpec)}
    lines = []
    for spec in FIELDS.values():
        facts = {name: getattr(spec, name) for name in usual if name not in ("name", "relevant", "help")}
        listed = [f"{name} {value!r}" for name, value in facts.items() if value not in (usual[name], {})]
        lines.append(f"{spec.name} ({spec.flag}): {', '.join(listed)}")
    check("settings.txt", "\n".join(lines))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("arch", 3, "arch is 3, but it must be text. The default is 'lenet5'."),
        ("epochs", "x", "epochs is 'x', but it must be a whole number. The default is 5."),
        ("epochs", True, "epochs is True, but it must be a whole number. The default is 5."),
        ("lr", "x", "lr is 'x', but it must be a number. The default is 0.001."),
        ("lr", False, "lr is False, but it must be a number. The default is 0.001."),
        ("shuffle", 1, "shuffle is 1, but it must be true or false. The default is True."),
        ("arch_options", [], "arch_options is [], but it must be a set of options. The default is {}."),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_the_right_type_and_the_default(
    name: str, value: object, words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        FIELDS[name].check(value)
    assert (str(refused.value), refused.value.field) == (words, name)


def test_a_zero_with_a_special_meaning_is_shown_as_a_word() -> None:
    special = {
        name for name, spec in FIELDS.items() if re.search(r"\b0 (is|uses|holds|chooses|validates)\b", spec.help)
    }
    assert {"train_limit", "folds", "max_steps", "eval_every", "grad_clip", "patience"} <= special
    assert {name for name in special if FIELDS[name].number_text(0) == "0"} == set()
    assert {name for name, spec in FIELDS.items() if spec.unlimited and "0" not in spec.choice_titles} == set()
