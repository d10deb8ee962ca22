"""The galleries of the Train form: texts of the cards, best results, and that none is drawn before it is opened."""

import json
from typing import Any

from streamlit.testing.v1 import AppTest

from lab.architectures.registry import list_architectures
from lab.data.registry import list_datasets
from lab.presets import list_presets
from pages.state.train import TRAIN
from pages.train.gallery import best_run, reached
from tests.web.addresses import open_page, set_state
from tests.web.web_data import DIGITS_CONFIG, Bench


def open_form() -> AppTest:
    return open_page("train")


def cards(app: AppTest) -> dict[str, Any] | None:
    shown = [json.loads(element.proto.json) for element in app.get("bidi_component") if element.proto.json]
    return next((data for data in shown if "cards" in data), None)


def browse(app: AppTest, field: str) -> dict[str, dict[str, Any]]:
    """Open one gallery and return its cards by id."""
    app.button(key=f"browse-{field}").click().run()
    assert not app.exception
    found = cards(app)
    assert found is not None
    return {card["id"]: card for card in found["cards"]}


def test_nothing_is_drawn_before_a_gallery_is_opened(bench: Bench) -> None:
    assert cards(open_form()) is None


def test_every_network_has_a_card_with_its_size_and_its_best_result(bench: Bench) -> None:
    bench.finish(bench.start(DIGITS_CONFIG))
    found = browse(open_form(), "arch")
    assert set(found) == {arch.id for arch in list_architectures()}
    assert found["lenet5"]["one"] == "61,706 parameters, 5 layers"
    assert found["lenet5"]["two"].startswith("Best here: ")
    assert found["vgg19"]["two"] == ""
    assert {card["group"] for card in found.values()} == {"LeNet", "Small CNN", "ResNet", "VGG", "Others"}
    assert all(card["picture"].startswith("data:image/svg+xml;base64,") for card in found.values())


def test_every_data_set_has_a_card_with_a_picture_if_it_is_on_this_machine(bench: Bench) -> None:
    found = browse(open_form(), "dataset")
    assert set(found) == {spec.id for spec in list_datasets()}
    assert found["digits"]["group"] == "On this machine"
    assert found["digits"]["one"] == "1,797 images, 10 classes, 28×28"
    assert found["digits"]["picture"].startswith("data:image/png;base64,")
    assert (found["mnist"]["group"], found["mnist"]["picture"], found["mnist"]["two"]) == (
        "Not downloaded",
        "",
        "12 MB",
    )


def test_every_experiment_has_a_card_with_the_result_of_its_report(bench: Bench) -> None:
    found = browse(open_form(), "preset")
    assert set(found) == {preset.id for preset in list_presets()}
    assert found["a-conv2-fc2"]["two"] == "report 95.10 %"
    assert found["a-conv2-fc2"]["one"] == "Two convolutions, two linear layers, MNIST, 10 epochs"
    assert found["d-vgg11"]["group"] == "Report D · Seven networks from LeNet to GoogLeNet"


def test_an_unknown_gallery_shows_no_cards(bench: Bench) -> None:
    app = open_form()
    set_state(app, TRAIN, browse="optimizer")
    app.run()
    assert not app.exception
    assert cards(app) is None


def test_the_best_run_has_the_highest_test_accuracy_on_its_data_set(bench: Bench) -> None:
    ids = {}
    for seed, arch, test, val in [(1, "lenet5", 0.95, 0.99), (2, "lenet5", 0.97, 0.9), (3, "conv2-bn", 0.98, 0.8)]:
        run = bench.start(DIGITS_CONFIG.replace(seed=seed, arch=arch))
        ids[seed] = bench.finish(run, test_accuracy=test, val_accuracy=val).id
    best = best_run(dataset="digits", arch="lenet5")
    assert best is not None
    assert best.id == ids[2]
    assert reached(dataset="digits", arch="lenet5") == "Best here: 97.00 %."
    assert reached(dataset="digits") == "Best here: 98.00 %, by Two convolutions with batch norm."
    assert reached(dataset="digits", arch="vgg11") == reached(dataset="mnist") == ""
