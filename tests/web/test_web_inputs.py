"""The inputs of settings and options, and the choice of an executor, each drawn alone."""

from dataclasses import replace

import pytest

from lab.architectures.spec import ArchOption
from lab.config import FIELDS
from pages.state.train import TRAIN
from pages.widgets.executors import executor_input
from pages.widgets.options import initial_value, option_input
from pages.widgets.setting_input import _step, setting_help, setting_input
from tests.web.addresses import draw_alone
from tests.web.web_data import Bench

# -- inputs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "facts"),
    [
        ("epochs", "number_input", {"label": "Epochs", "step": 1}),
        ("lr", "number_input", {"label": "Learning rate", "step": 1e-4}),
        ("label_smoothing", "number_input", {"step": 0.01}),
        ("shuffle", "toggle", {"label": "Shuffle"}),
        ("optimizer", "selectbox", {"label": "Optimizer"}),
        ("device", "text_input", {"label": "Device"}),
    ],
)
def test_a_setting_has_the_input_of_its_kind(name: str, kind: str, facts: dict[str, object]) -> None:
    spec = FIELDS[name]
    app = draw_alone(lambda: setting_input(spec, {"key": "it"}))
    kinds = ("number_input", "toggle", "selectbox", "text_input")
    [found] = [each for each_kind in kinds for each in app.get(each_kind)]
    assert found.type == kind
    assert {fact: getattr(found, fact) for fact in facts} == facts
    assert found.help == setting_help(spec)


@pytest.mark.parametrize("name", [spec.name for spec in FIELDS.values() if spec.kind in (int, float)])
def test_a_number_beyond_its_range_is_sent_so_that_the_page_can_refuse_it(name: str) -> None:
    [found] = draw_alone(lambda: setting_input(FIELDS[name], {"key": "it"})).number_input
    assert (found.proto.has_min, found.proto.has_max) == (False, False)


def test_the_help_of_a_number_states_its_range_and_that_of_another_setting_does_not() -> None:
    assert setting_help(FIELDS["epochs"]).endswith("It must be at least 1 and at most 10000\\.")
    assert "It must be" not in setting_help(FIELDS["optimizer"])
    assert "It must be" not in setting_help(FIELDS["shuffle"])


def test_the_step_of_an_input_is_the_settings_own_or_else_its_default_up_to_a_tenth() -> None:
    spec = FIELDS["momentum"]
    found = [_step(replace(spec, step=step, default=value)) for step, value in ((0.5, 3.0), (None, 3.0), (None, -0.02))]
    assert found == [0.5, 0.1, 0.02]
    assert _step(replace(spec, step=None, default=0.0)) == 0.01


@pytest.mark.parametrize(
    ("option", "kind", "shown"),
    [
        (ArchOption("batch_norm", bool, True, "Words."), "toggle", True),
        (ArchOption("act", str, "relu", "Words.", choices=("silu", "relu")), "selectbox", "relu"),
        (ArchOption("widths", list, [6, 16], "Words.", low=1, high=99), "text_input", "6, 16"),
        (ArchOption("layers", str, "conv 8 3, relu", "Words."), "text_area", "conv 8 3\nrelu"),
        (ArchOption("hidden", int, 120, "Words.", low=1, high=4096), "number_input", 120),
        (ArchOption("dropout", float, 0.5, "Words.", low=0.0, high=0.9), "number_input", 0.5),
    ],
)
def test_an_option_of_a_network_has_the_input_of_its_kind(option: ArchOption, kind: str, shown: object) -> None:
    held: list[object] = []
    app = draw_alone(lambda: held.append(option_input(option, {"key": "it"})), state={"it": initial_value(option)})
    [found] = [
        each for name in ("toggle", "selectbox", "text_input", "text_area", "number_input") for each in app.get(name)
    ]
    assert (found.type, found.label, found.value) == (kind, option.name.replace("_", " ").capitalize(), shown)
    assert held == ["conv 8 3\nrelu" if option.is_layer_list else option.default]
    assert found.help.startswith("Words\\." if option.choices or option.is_layer_list else "Words\\. It must be ")
    if kind == "number_input":
        assert found.step == (1 if option.kind is int else 0.05)
        assert (found.proto.has_min, found.proto.has_max) == (False, False)


def test_the_choices_of_an_option_are_shown_by_their_titles_and_stored_by_their_names() -> None:
    option = ArchOption("act", str, "relu", "Words.", choices=("relu", "silu"), choice_titles={"relu": "ReLU"})
    held: list[object] = []
    app = draw_alone(lambda: held.append(option_input(option, {"key": "it"})), state={"it": initial_value(option)})
    [box] = app.selectbox
    assert box.options == ["ReLU", "silu"]
    box.set_value("silu").run()
    assert held == ["relu", "silu"]


def test_executors_are_offered_if_any_are_configured_and_a_removed_one_is_deselected(bench: Bench) -> None:
    held: list[str | None] = []

    def part() -> None:
        held.append(executor_input(TRAIN))

    assert not draw_alone(part).selectbox
    file = bench.lab.settings.home / "executors.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text("[slurm]\n")
    app = draw_alone(part)
    [box] = app.selectbox
    assert box.options == ["This lab's slots", "Slurm"]
    box.set_value("slurm").run()
    assert held == [None, "local", "slurm"]
    file.write_text('[ray]\naddress = "http://10.0.0.1:8265"\n')
    assert app.run().selectbox[0].value == "local"
    file.write_text("[slurm]\ncpus = 'many'\n")
    assert "executors" in app.run().warning[0].value
    assert held[3:] == ["local", None]
