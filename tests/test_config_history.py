"""Stored configurations outlive the fields: adding, renaming and removing settings (in memory) loses nothing."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.config import FIELDS, RunConfig
from lab.config.base import ConfigBase
from lab.config.fields import setting
from lab.config.identity import FIRST_SETTINGS
from lab.config.upgrades import UPGRADES, Values, upgrade
from lab.errors import ConfigError
from tests.golden.opening import RELEASES, read

_Field = tuple[str, Any, Any]


def _declared() -> list[_Field]:
    """Return today's fields as `make_dataclass` expects them."""
    declared = []
    for item in dataclasses.fields(RunConfig):
        if item.default_factory is not dataclasses.MISSING:
            copy = dataclasses.field(default_factory=item.default_factory, metadata=item.metadata)
        else:
            copy = dataclasses.field(default=item.default, metadata=item.metadata)
        declared.append((item.name, item.type, copy))
    return declared


def _release(name: str, fields: list[_Field], *upgrades: Any) -> type[ConfigBase]:
    """Return the configuration class of a hypothetical later release."""
    computed = {name: value for name, value in vars(RunConfig).items() if isinstance(value, property)}
    namespace = {**computed, "upgrades": (*UPGRADES, *upgrades)}
    created = dataclasses.make_dataclass(
        name, fields, bases=(ConfigBase,), frozen=True, kw_only=True, namespace=namespace
    )
    assert issubclass(created, ConfigBase)
    return created


def _stored() -> list[tuple[dict[str, Any], str]]:
    """Return every configuration of the golden stores with its stored fingerprint."""
    return [
        (facts["config"], facts["fingerprint"])
        for release in RELEASES
        for facts in read(release, "expected.json")["runs"].values()
    ]


def test_the_golden_stores_contain_configurations() -> None:
    assert len(_stored()) >= 10


def test_stored_configurations_of_the_first_schema_have_all_of_its_settings() -> None:
    for config, _ in _stored():
        if config["schema"] == 1:
            assert set(FIRST_SETTINGS) <= set(config)


def test_digests_are_the_same_as_in_the_first_release() -> None:
    """Recorded at release 0.1.0: a stored fingerprint must be found again by every later release."""
    plain = RunConfig().digest(data_checksum="x")
    sgd = RunConfig(arch="basic-cnn", optimizer="sgd", momentum=0.5, nesterov=True, schedule="step", patience=2)
    assert plain == "2d353b67c2b607137bb8c8913e20bd4037be78e3401ace630506af4690f86ef5"
    assert sgd.digest(data_checksum="y") == "b67d313fe777f5cb4f71ab2264519c65677681f38deb567fe340cfd68fdd1b60"
    assert (
        sgd.digest(data_checksum="", without=("seed",))
        == "c3a1d37e51bbe1cd89679f6bb624026e2578dd46d0886f0545d46e7ea510b7c0"
    )


def test_a_new_neutral_setting_changes_no_digest_and_no_stored_configuration_is_refused() -> None:
    new = ("mixup", float, setting(0.2, "Mixup", "Share of mixed images.", "data", low=0.0, high=1.0, neutral=0.0))
    later = _release("Later", [*_declared(), new])
    for config, _ in _stored():
        old, read_again = RunConfig.from_dict(config), later.from_dict(config)
        assert read_again.digest(data_checksum="x") == old.digest(data_checksum="x")
        assert read_again.as_dict()["mixup"] == 0.0  # the value that the run was trained with, not today's default


def test_a_new_setting_that_is_not_neutral_changes_the_digest() -> None:
    new = ("mixup", float, setting(0.0, "Mixup", "Share of mixed images.", "data", low=0.0, high=1.0))
    later = _release("Later", [*_declared(), new])
    assert later.from_dict({"mixup": 0.4}).digest(data_checksum="x") != later.from_dict({}).digest(data_checksum="x")
    assert later.from_dict({}).digest(data_checksum="x") == RunConfig().digest(data_checksum="x")


def test_a_renamed_setting_is_found_under_its_old_name() -> None:
    def rename(values: Values) -> Values:
        values["learning_rate"] = values.pop("lr")
        return values

    fields = [
        (
            ("learning_rate", kind, setting(1e-3, "Learning rate", "Step size.", "optimizer", identity="lr"))
            if name == "lr"
            else (name, kind, field)
        )
        for name, kind, field in _declared()
    ]
    later = _release("Later", fields, rename)
    for config, _ in _stored():
        old, read_again = RunConfig.from_dict(config), later.from_dict(config)
        assert read_again.as_dict()["learning_rate"] == old.lr
        assert read_again.digest(data_checksum="x") == old.digest(data_checksum="x")
        assert read_again.as_dict()["schema"] == 2


def test_a_renamed_choice_keeps_its_digest() -> None:
    def rename(values: Values) -> Values:
        values["optimizer"] = {"sgd": "sgd-momentum"}.get(values["optimizer"], values["optimizer"])
        return values

    renamed = setting(
        "adam",
        "Optimizer",
        "Update rule.",
        "optimizer",
        choices=("sgd-momentum", "adam", "adamw", "rmsprop", "muon"),
        identity_values={"sgd-momentum": "sgd"},
    )
    # The settings of SGD are relevant under its new name.
    fields: list[_Field] = []
    for name, kind, field in _declared():
        if name == "optimizer":
            fields.append((name, kind, renamed))
        elif name in ("momentum", "nesterov"):
            metadata = {**field.metadata, "relevant": lambda c: c.optimizer in ("sgd-momentum", "rmsprop", "muon")}
            fields.append((name, kind, dataclasses.field(default=field.default, metadata=metadata)))
        else:
            fields.append((name, kind, field))
    later = _release("Later", fields, rename)
    for config, _ in _stored():
        assert later.from_dict(config).digest(data_checksum="x") == RunConfig.from_dict(config).digest(
            data_checksum="x"
        )


def test_removing_a_setting_changes_no_digest_and_leaves_stored_configurations_readable() -> None:
    def remove(values: Values) -> Values:
        if values.pop("shuffle", True) is not True:
            raise ConfigError("shuffle was removed; this run was trained without it.", field="shuffle")
        return values

    later = _release("Later", [field for field in _declared() if field[0] != "shuffle"], remove)
    for config, _ in _stored():
        assert later.from_dict(config).digest(data_checksum="x") == RunConfig.from_dict(config).digest(
            data_checksum="x"
        )
    with pytest.raises(ConfigError, match="trained without it"):
        later.from_dict({**RunConfig(shuffle=False).as_dict()})


def test_a_missing_setting_gets_its_neutral_value_and_not_todays_default() -> None:
    stored = RunConfig(seed=4).as_dict()
    del stored["channels_last"]
    assert RunConfig.from_dict(stored) == RunConfig(seed=4)


@settings(max_examples=200)
@given(st.data())
def test_irrelevant_settings_never_change_the_digest(data: st.DataObject) -> None:
    """The fingerprint is the same for any value of an irrelevant setting, so also after a change of its default."""
    base = RunConfig(
        optimizer=data.draw(st.sampled_from(["sgd", "adam", "rmsprop", "muon"])),
        schedule=data.draw(st.sampled_from(["constant", "step", "one-cycle"])),
        loss=data.draw(st.sampled_from(["cross-entropy", "nll", "mse"])),
        patience=data.draw(st.integers(0, 2)),
    )
    irrelevant = [spec for spec in FIELDS.values() if not spec.relevant(base) and spec.kind is float]
    values = {
        spec.name: data.draw(st.floats(spec.low or 0.1, spec.high or 1.0, exclude_min=True)) for spec in irrelevant
    }
    assert base.replace(**values).digest(data_checksum="x") == base.digest(data_checksum="x")


@pytest.mark.parametrize("schema", [0, -1, True, 1.0, "1", None, RunConfig.schema() + 1])
def test_only_the_schemas_of_this_and_of_earlier_releases_are_read(schema: object) -> None:
    stored = RunConfig(seed=4).as_dict()
    assert RunConfig.from_dict({**stored, "schema": 1}) == RunConfig(seed=4)
    with pytest.raises(ConfigError, match=f"but this release reads 1 to {RunConfig.schema()}"):
        RunConfig.from_dict({**stored, "schema": schema})


def test_a_renamed_setting_can_be_left_out_of_a_digest_by_its_new_name() -> None:
    passes = setting(5, "Epochs", "Passes.", "training", identity="epochs")
    fields = [("passes", int, passes) if field[0] == "epochs" else field for field in _declared()]
    later = _release("Later", fields)
    two, five = later.from_dict({"passes": 2}), later.from_dict({})
    assert two.digest(data_checksum="x") == RunConfig(epochs=2).digest(data_checksum="x")
    assert two.digest(data_checksum="x", without=("passes",)) == five.digest(data_checksum="x", without=("passes",))
    assert five.digest(data_checksum="x", without=("passes",)) == RunConfig().digest(
        data_checksum="x", without=("epochs",)
    )


def test_changed_settings_are_relative_to_todays_defaults_and_not_to_neutral_values() -> None:
    new = ("mixup", float, setting(0.2, "Mixup", "Share of mixed images.", "data", low=0.0, high=1.0, neutral=0.0))
    later = _release("Later", [*_declared(), new])
    assert later.from_dict({}).changed() == {}
    assert later.from_dict({"mixup": 0.0, "seed": 3}).changed() == {"seed": 3, "mixup": 0.0}
    assert later.from_dict(RunConfig().as_dict()).changed() == {"mixup": 0.0}


@pytest.mark.parametrize(
    ("schema", "upgraded"),
    [(1, {"lr": 0.5, "seen": "12"}), (2, {"lr": 0.5, "seen": "2"}), (3, {"lr": 0.5, "seen": ""})],
)
def test_a_configuration_is_upgraded_by_the_steps_since_its_schema(schema: int, upgraded: dict[str, Any]) -> None:
    steps = tuple(lambda values, number=number: {**values, "seen": values["seen"] + number} for number in "12")
    assert upgrade({"schema": schema, "lr": 0.5, "seen": ""}, steps) == upgraded
    for wrong in (0, 4, "1", True, None):
        with pytest.raises(ConfigError, match="but this release reads 1 to 3: update ConvLab to open it"):
            upgrade({"schema": wrong}, steps)
