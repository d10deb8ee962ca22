"""The Train form is in the address: a link fills it, changes are written to it, and invalid settings are reported."""

import pytest

from lab.architectures.registry import list_architectures
from lab.config import RunConfig
from lab.presets import list_presets
from pages.state.form_address import read_settings, write_settings
from tests.web.addresses import open_page, set_address
from tests.web.web_data import Bench

FRESH = RunConfig(dataset="digits")


@pytest.mark.parametrize("preset", list_presets(), ids=lambda preset: preset.id)
def test_a_link_to_a_preset_restores_its_settings(preset) -> None:  # type: ignore[no-untyped-def]
    config = preset.config()
    settings, options, problems = read_settings(write_settings(config, fresh=FRESH))
    assert problems == ()
    assert RunConfig(**settings, arch_options=options) == config


@pytest.mark.parametrize("arch", [arch for arch in list_architectures() if arch.options], ids=lambda arch: arch.id)
def test_the_options_of_every_network_survive_a_link(arch) -> None:  # type: ignore[no-untyped-def]
    options = {option.name: option.default for option in arch.options}
    address = write_settings(RunConfig(arch=arch.id, arch_options=options), fresh=FRESH)
    assert read_settings(address)[1] == options


def test_an_unchanged_form_has_a_bare_address_and_any_other_names_its_data_set() -> None:
    assert write_settings(FRESH, fresh=FRESH) == {}
    assert write_settings(FRESH.replace(lr=0.003, nesterov=True), fresh=FRESH) == {
        "dataset": "digits",
        "lr": "0.003",
        "nesterov": "1",
    }


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ({"lr": "x"}, "The address has lr='x', but it must be a number."),
        ({"lr": "nan"}, "lr is nan, but it must be"),
        ({"epochs": "2.5"}, "The address has epochs='2.5', but it must be a whole number."),
        ({"epochs": "0"}, "epochs is 0, but it must be at least 1"),
        ({"nesterov": "yes"}, "The address has nesterov='yes', but it must be 0 or 1."),
        ({"optimizer": "adm"}, "Did you mean 'adam'?"),
        ({"arch": "lenet"}, "There is no network 'lenet'"),
        ({"dataset": "mnits"}, "'mnits'"),
        (
            {"option.width": "6"},
            "The address has 'option.width', which this page does not recognise. Did you mean",
        ),
        ({"option.widths": "6.x"}, "it must be whole numbers with points between them."),
    ],
)
def test_an_invalid_setting_in_a_link_is_reported_and_the_others_are_applied(
    address: dict[str, str], sentence: str
) -> None:
    settings, _, problems = read_settings({"batch_size": "32", **address})
    assert settings == {"batch_size": 32}
    assert len(problems) == 1
    assert sentence in problems[0]


def test_a_link_fills_the_form_and_a_change_is_written_to_the_address(bench: Bench) -> None:
    app = open_page("train", dataset="digits", arch="lenet-bn", lr="0.02", **{"option.dropout": "0.25"})
    assert app.selectbox(key="train.arch").value == "lenet-bn"
    assert app.number_input(key="train.lr").value == 0.02
    assert app.number_input(key="train.option.lenet-bn.dropout").value == 0.25
    app.number_input(key="train.epochs").set_value(7).run()
    assert dict(app.query_params) == {
        "dataset": "digits",
        "arch": "lenet-bn",
        "epochs": "7",
        "lr": "0.02",
        "option.dropout": "0.25",
    }


def test_a_request_sent_with_an_outdated_address_does_not_revert_a_choice(bench: Bench) -> None:
    app = open_page("train", lr="0.003")
    app.number_input(key="train.epochs").set_value(9).run()
    assert app.query_params["epochs"] == "9"
    set_address(app, {"dataset": "digits", "lr": "0.003"})
    app.run()
    assert app.number_input(key="train.epochs").value == 9
    assert app.query_params["epochs"] == "9"


def test_an_invalid_setting_is_reported_until_it_is_changed(bench: Bench) -> None:
    app = open_page("train", lr="fast", batch_size="32")
    assert "lr='fast'" in app.error[0].value.replace("\\", "")
    assert app.number_input(key="train.batch_size").value == 32
    assert app.query_params["lr"] == "fast"
    app.run()
    assert len(app.error) == 1
    app.number_input(key="train.lr").set_value(0.01).run()
    assert len(app.error) == 0
    assert app.query_params["lr"] == "0.01"


def test_a_form_of_a_fork_says_so_and_can_be_turned_into_one_of_a_new_run(bench: Bench) -> None:
    parent = bench.start()
    app = open_page("train", dataset="digits", fork_of=parent.id, fork_epoch="2")
    assert "This run continues after epoch 2 of" in app.info[0].value
    assert app.selectbox(key="train.fork_of").value == parent.id
    app.selectbox(key="train.fork_of").set_value("").run()
    assert not app.exception
    assert [message.value for message in (*app.error, *app.info) if "epoch" in message.value] == []
    assert not {"fork_of", "fork_epoch"} & set(dict(app.query_params))
