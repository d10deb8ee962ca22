"""A network of one's own layers on Train and Architecture: editing, links, and errors."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.architecture import design as architecture_design
from tests.web.addresses import labelled, open_page, set_address
from tests.web.plain_text import PLAIN
from tests.web.web_data import Bench

LENET = "conv 6 5, relu, maxpool 2, conv 16 5, relu, maxpool 2, linear 120, relu, linear 84, relu"


def editor(app: AppTest) -> Any:
    return labelled(app.text_area, "Layers")


def press(app: AppTest, label: str) -> AppTest:
    return labelled(app.button, label).click().run()


def slabs(app: AppTest) -> list[str]:
    shown = [json.loads(each.proto.json) for each in app.get("bidi_component") if each.proto.json]
    return [stage["title"] for data in shown for stage in data.get("stages", ())]


def parameters(app: AppTest) -> str:
    return next(metric.value for metric in app.metric if metric.label == "Parameters")


def errors(app: AppTest) -> list[str]:
    return [each.value.translate(PLAIN) for each in app.error]


@pytest.mark.parametrize("page", ["train", "architecture"])
def test_the_layers_of_a_network_are_edited_from_its_button_and_the_link_has_them(bench: Bench, page: str) -> None:
    app = press(open_page(page, arch="lenet5"), "Edit layers")
    assert not app.exception
    assert editor(app).value == LENET.replace(", ", "\n")
    assert parameters(app) == "61,706"  # as LeNet-5: the images are still resized to 32×32
    assert app.query_params["option.layers"] == LENET
    press(app, "Max pooling")
    assert editor(app).value.split("\n")[4:8] == ["relu", "maxpool 2", "maxpool 2", "linear 120"]
    assert parameters(app) == f"{61_706 - 120 * 16 * (25 - 4):,}"  # 2×2 instead of 5×5 positions
    assert slabs(app)[:6] == ["image", "conv1", "pool1", "conv2", "pool2", "pool3"]
    again = open_page(page, **dict(app.query_params))
    assert (editor(again).value, parameters(again)) == (editor(app).value, parameters(app))


@pytest.mark.parametrize("page", ["train", "architecture"])
def test_a_wrong_layer_is_reported_and_what_was_typed_remains(bench: Bench, page: str) -> None:
    app = open_page(page, arch="custom")
    before = dict(app.query_params)
    editor(app).set_value("conv 8 3\nnothing").run()
    assert not app.exception
    assert errors(app)[0].startswith("Layer 2 is 'nothing', but there is no layer 'nothing'. Choose one of: avgpool,")
    assert editor(app).value == "conv 8 3\nnothing"
    assert dict(app.query_params) == before
    assert slabs(app) == []
    editor(app).set_value("conv 8 3, maxpool 40").run()
    assert "features.pool1 (MaxPool2d) cannot take 8×26×26" in errors(app)[0]
    editor(app).set_value("conv 8 3, Linear 10").run()
    assert errors(app) == []
    assert slabs(app) == ["image", "conv1", "fc1", "fc2"]


@pytest.mark.parametrize(
    ("arch", "disabled"), [("lenet5", False), ("vgg11", False), ("googlenet", True), ("resnet-small", True)]
)
def test_only_networks_whose_layers_can_be_listed_are_edited(bench: Bench, arch: str, disabled: bool) -> None:
    for page in ("train", "architecture"):
        button = labelled(open_page(page, arch=arch).button, "Edit layers")
        assert (button.disabled, "cannot be listed" in button.help) == (disabled, disabled)
    assert "Edit layers" not in [each.label for each in open_page("train", arch="custom").button]


def test_editing_drops_weights_that_do_not_fit(bench: Bench) -> None:
    parent = bench.finish(bench.start())
    app = open_page("train", arch="lenet5", dataset="digits", init_from=parent.id)
    press(app, "Edit layers")
    assert not app.exception
    assert "init_from" not in app.query_params
    assert app.query_params["dataset"] == "digits"


def test_another_network_in_the_address_has_its_own_options(bench: Bench) -> None:
    app = open_page("architecture", arch="lenet5", **{"option.widths": "3.4"})
    assert parameters(app) == f"{3 * 26 + 4 * (3 * 25 + 1) + 100 * 120 + 120 + 120 * 84 + 84 + 850:,}"
    assert app.query_params["option.widths"] == "3.4"
    labelled(app.selectbox, "Network").set_value("vgg11").run()
    assert not [name for name in app.query_params if name.startswith("option.")]
    labelled(app.selectbox, "Network").set_value("lenet5").run()
    assert app.query_params["option.widths"] == "3.4"
    app = open_page("architecture", arch="lenet5", **{"option.width": "3.4", "option.activation": "tanh"})
    assert "which this page does not recognise. Did you mean 'option.widths'?" in errors(app)[0]
    assert app.query_params["option.width"] == "3.4"
    set_address(app, {"arch": "lenet5", "option.activation": "gelu"})
    app.run()
    assert (errors(app), app.query_params["option.activation"]) == ([], "gelu")


def test_the_chosen_network_is_trained_from_a_link_with_its_options(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, str]] = []
    original: Callable[..., object] = architecture_design.st.page_link

    def page_link(path: str, **given: Any) -> object:
        if given["label"] == "Train this network":
            asked.append(given["query_params"])
        return original(path, **given)

    monkeypatch.setattr(architecture_design.st, "page_link", page_link)
    open_page("architecture", arch="custom", size="64", **{"option.layers": "conv 4 3, globalpool"})
    assert asked == [{"arch": "custom", "input_size": "64", "option.layers": "conv 4 3, globalpool"}]
    app = open_page("train", **asked[0])
    assert (editor(app).value, labelled(app.selectbox, "Input size").value) == ("conv 4 3\nglobalpool", "64")


def test_the_size_of_a_network_is_not_stated_for_other_options(bench: Bench) -> None:
    def words(**query: str) -> str:
        return " ".join(each.value.translate(PLAIN) for each in open_page("train", **query).caption)

    assert "61,706 parameters, 5 layers." in words(arch="lenet5")
    assert "61,706" not in words(arch="lenet5", **{"option.widths": "3.4"})
    assert "106,122 parameters, 4 layers." in words(arch="custom")
    assert "106,122" not in words(arch="custom", **{"option.layers": "relu"})
