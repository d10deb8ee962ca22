"""Flags and options as values: how texts are parsed, which values are inherited, and what is refused."""

import re
from typing import Any

import pytest

from lab.cli.commands.fork import _changes
from lab.cli.options import build_config, parse_option, parse_setting
from lab.config import RunConfig
from lab.errors import ConfigError
from lab.presets import get_preset


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("widths=32,128", ("widths", [32, 128])),
        ("widths=32,", ("widths", [32])),
        ("dropout=0.5", ("dropout", 0.5)),
        ("dropout=1e-2", ("dropout", 0.01)),
        ("width=6", ("width", 6)),
        ("aux=TRUE", ("aux", True)),
        ("aux=false", ("aux", False)),
        ("norm=a=b", ("norm", "a=b")),
        ("norm=", ("norm", "")),
    ],
)
def test_the_value_of_a_network_option_gets_the_narrowest_type_that_fits_its_text(
    text: str, parsed: tuple[str, Any]
) -> None:
    found = parse_option(text)
    assert found == parsed
    assert type(found[1]) is type(parsed[1])


@pytest.mark.parametrize("text", ["widths", "=3", ""])
def test_an_option_without_name_or_equals_sign_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="must look like NAME=VALUE"):
        parse_option(text)


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("lr=0.01", ("lr", 0.01, False)),
        (" batch-size =32", ("batch_size", 32, False)),
        ("nesterov=true", ("nesterov", True, False)),
        ("init_from=12", ("init_from", "12", False)),  # an id of digits stays a string
        ("dropout=0.5", ("dropout", 0.5, True)),
        ("widths=6,16", ("widths", [6, 16], True)),
    ],
)
def test_a_change_names_a_setting_or_an_option_of_the_network(text: str, parsed: tuple[str, Any, bool]) -> None:
    assert parse_setting(text) == parsed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr", "The change is 'lr', but it must look like NAME=VALUE, such as lr=0.01."),
        ("=1", "must look like NAME=VALUE"),
        ("schedul=step", "No setting and no option of a network is called 'schedul'. Did you mean 'schedule'?"),
    ],
)
def test_a_change_of_an_unknown_setting_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        parse_setting(text)


def test_a_fork_inherits_the_options_that_are_not_changed() -> None:
    before = {"dropout": 0.5, "width": 6}
    assert _changes(("lr=0.1",), before=before) == {"lr": 0.1}
    assert _changes(("lr=0.1", "dropout=0.25"), before=before) == {
        "lr": 0.1,
        "arch_options": {"dropout": 0.25, "width": 6},
    }
    for name in ("fork_of", "fork-epoch"):
        with pytest.raises(ConfigError, match=r"fork_(of|epoch) follows from RUN and --epoch: leave it out"):
            _changes((f"{name}=1",), before=before)


def test_flags_change_a_preset_and_its_options_apply_only_to_its_own_network() -> None:
    preset = get_preset("b-small-lr-0.01").config()
    same = build_config("b-small-lr-0.01", {"batch_size": 8, "epochs": None, "arch_options": ()})
    assert same == preset.replace(batch_size=8)
    other = build_config("b-small-lr-0.01", {"arch": "lenet-bn", "arch_options": ("dropout=0.25",)})
    assert (other.arch, dict(other.arch_options)) == ("lenet-bn", {"dropout": 0.25})
    again = build_config("b-small-lr-0.01", {"arch": preset.arch, "arch_options": ("more=1",)})
    assert dict(again.arch_options) == {**preset.arch_options, "more": 1}
    assert build_config(None, {"nesterov": False, "batch_size": 8}) == RunConfig(nesterov=False, batch_size=8)
