"""Gradients on the Inside page: the heat map, its epochs, its reading, and runs of every kind and release."""

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lab.inspection.gradient_flow import QUANTITIES
from lab.runs.records import WEIGHTS, RunRecord
from lab.service.lab import Lab
from lab.settings import Settings
from pages.inside import gradients
from pages.inside.gradients import evenly_spaced
from pages.widgets import waiting
from tests.golden.opening import RELEASES, unpack_home
from tests.web import test_web_inside
from tests.web.test_web_inside import CONFIG, open_inside, texts, train
from tests.web.web_data import Bench, use_home

home, lab, run, env_home = test_web_inside.home, test_web_inside.lab, test_web_inside.run, test_web_inside.env_home
diverged = test_web_inside.diverged


def _plots(app: AppTest) -> list[dict[str, Any]]:
    shown = [json.loads(element.proto.json) for element in app.get("bidi_component") if element.proto.json]
    return [data for data in shown if "narrow" in data]


def _heat_map(app: AppTest) -> dict[str, Any]:
    """Return the heat map's figure as a document."""
    return dict(json.loads(_plots(app)[0]["figure"]))


def _epochs(app: AppTest) -> list[str]:
    return [text.removeprefix("<b>").removesuffix("</b>") for text in _heat_map(app)["layout"]["xaxis"]["ticktext"]]


@pytest.mark.parametrize("epoch", ["0", "2"])
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_every_quantity_is_shown_at_every_epoch(env_home: None, run: RunRecord, quantity: str, epoch: str) -> None:
    app = open_inside(run=run.id, view="gradients", epoch=epoch, quantity=quantity)
    assert not app.error
    document = _heat_map(app)
    assert _epochs(app) == ["0", "1", "2"]
    assert document["layout"]["shapes"][0]["x0"] == int(epoch) - 0.5
    assert document["layout"]["yaxis"]["ticktext"][0] == "conv1"
    assert _plots(app)[0]["words"].startswith(f"{QUANTITIES[quantity].title} of 5 layers at 3 epochs")
    words = texts(app)
    assert "The gradients of conv1 and classifier.fc3 differ by a factor of" in words
    assert ("Since the previous saved epoch" in words) == (epoch == "2")
    assert "for 32 images of the run's first training batch" in words
    assert app.header[0].value == ("Layers before training" if epoch == "0" else "Layers after epoch 2")
    layers, epochs = (element.value for element in app.dataframe)
    assert list(layers["Layer"]) == ["conv1", "conv2", "classifier.fc1", "classifier.fc2", "classifier.fc3"]
    assert list(epochs.columns) == ["Layer", "0", "1", "2"]


def test_the_quantity_is_in_the_address_for_this_view_only(env_home: None, run: RunRecord) -> None:
    app = open_inside(run=run.id, view="gradients")
    assert "quantity" not in app.query_params
    app.segmented_control(key="inside.quantity").set_value("dead").run()
    assert app.query_params["quantity"] == "dead"
    assert _plots(app)[0]["words"].startswith("Dead units")
    app.segmented_control(key="inside.view").set_value("kernels").run()
    assert "quantity" not in app.query_params
    app.segmented_control(key="inside.view").set_value("gradients").run()
    assert app.query_params["quantity"] == "dead"


def test_an_unknown_quantity_in_the_address_is_reported(env_home: None, run: RunRecord) -> None:
    app = open_inside(run=run.id, view="gradients", quantity="gradients")
    (error,) = [each.value.replace("\\", "") for each in app.error]
    assert "one of gradient, ratio, change, zeros, dead: did you mean 'gradient'?" in error


def test_a_diverged_epoch_is_shown_as_not_finite(env_home: None, diverged: RunRecord) -> None:
    app = open_inside(run=diverged.id, view="gradients", epoch="1")
    assert not app.error
    assert "are not finite because the training diverged" in texts(app)
    assert "NaN" in _heat_map(app)["data"][1]["text"]
    assert len(_plots(app)) == 1, "there are no ranges of magnitudes"
    assert len(_plots(open_inside(run=diverged.id, view="gradients", epoch="0"))) == 2


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"arch": "speedrun-cnn"}, "Not trained (frozen): conv1."),
        ({"arch_options": {"activation": "sigmoid"}}, "it vanishes on the way back"),
    ],
)
def test_what_the_numbers_mean_is_said(env_home: None, lab: Lab, config: dict[str, Any], words: str) -> None:
    made = train(lab, CONFIG.replace(epochs=1, seed=11, **config))
    app = open_inside(run=made.id, view="gradients", epoch="0")
    assert not app.error
    assert words in texts(app)


def test_long_work_is_done_on_request_only_and_a_few_epochs_without(
    env_home: None, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = train(lab, CONFIG.replace(epochs=7, seed=12, train_limit=96))
    column = 3 * 32 * 423_038  # forward and backward for a batch, in mult-adds of LeNet-5
    monkeypatch.setattr(waiting, "_AT_ONCE", 2.5 * column)
    app = open_inside(run=made.id, view="gradients", epoch="2")
    assert "Computing the gradients of 4 epochs takes 162.45 M" in texts(app)  # every fourth, the last and the chosen
    assert not _plots(app)
    _accept(app)
    assert _epochs(app) == ["0", "2", "4", "7"]
    assert "4 of 8 saved epochs are shown." in texts(app)
    assert "Computing the gradients of 8 epochs takes 324.89 M" in texts(app)
    _accept(app)
    assert _epochs(app) == [str(epoch) for epoch in range(8)]
    assert "saved epochs are shown" not in texts(app)
    assert not [button for button in app.button if button.label == "Do it anyway"]


def _accept(app: AppTest) -> None:
    next(button for button in app.button if button.label == "Do it anyway").click().run()


def test_of_a_long_run_some_epochs_are_shown(env_home: None, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    made = train(lab, CONFIG.replace(epochs=7, seed=13, train_limit=96))
    monkeypatch.setattr(gradients, "_MOST", 3)
    app = open_inside(run=made.id, view="gradients", epoch="5")
    assert _epochs(app) == ["0", "4", "5", "7"]
    assert "4 of 8 saved epochs are shown." in texts(app)
    assert not app.info


@pytest.mark.parametrize(
    ("count", "chosen", "most", "expected"),
    [
        (1, 0, 3, [0]),
        (4, 2, 8, [0, 1, 2, 3]),
        (8, 3, 8, [0, 1, 2, 3, 4, 5, 6, 7]),
        (9, 3, 8, [0, 2, 3, 4, 6, 8]),
        (9, 4, 1, [0, 4, 8]),
        (100, 99, 4, [0, 32, 64, 96, 99]),
    ],
)
def test_epochs_are_evenly_spaced_with_the_first_the_last_and_the_chosen_one(
    count: int, chosen: int, most: int, expected: list[int]
) -> None:
    assert evenly_spaced(count, chosen, most=most) == expected


def test_a_growing_run_keeps_the_epochs_that_are_computed_or_every_second_of_them() -> None:
    for count in range(2, 200):
        before, after = (set(evenly_spaced(n, 0, most=16)) for n in (count, count + 1))
        assert len(after) <= 18
        assert after - before <= {count}


@pytest.mark.parametrize("release", RELEASES)
def test_runs_of_earlier_releases_have_gradients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str) -> None:
    old = unpack_home(release, tmp_path / "home")
    use_home(monkeypatch, old)
    lab = Lab(Settings.from_env({"LAB_HOME": str(old)}))
    opened = 0
    for each in lab.store.runs.list(limit=100):
        if each.config.dataset == "digits" and not each.state.live and lab.store.files.list(each.id, kind=WEIGHTS):
            app = open_inside(run=each.id, view="gradients")
            assert not app.error, [error.value for error in app.error]
            assert len(_plots(app)) >= 1
            opened += 1
        if opened == 3:
            break
    assert opened


def test_an_example_has_gradients_without_its_data_set(bench: Bench) -> None:
    example = bench.lab.list_examples()[0]
    app = open_inside(run=example.id, view="gradients")
    assert not app.error
    assert "images of the training set that ship with the examples" in texts(app)
