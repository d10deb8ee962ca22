"""Robustness on the Inside page: every distortion, the chosen level, and the accuracy beside that of another run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event
from streamlit.testing.v1 import AppTest

from lab.data.load import Dataset
from lab.inspection.distort import distort
from lab.inspection.distortions import DISTORTIONS
from lab.inspection.metrics import Answers, score_logits
from lab.inspection.observe import compute_logits
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.settings import Settings
from pages.cache.lab import get_lab
from pages.inside import subject
from pages.widgets import waiting
from tests.golden.opening import RELEASES, unpack_home
from tests.web import test_web_inside
from tests.web.test_web_inside import CONFIG, open_inside, texts, tiles, train
from tests.web.web_data import Bench, use_home

home, lab, run, env_home = test_web_inside.home, test_web_inside.lab, test_web_inside.run, test_web_inside.env_home
diverged = test_web_inside.diverged


@pytest.fixture(scope="module")
def other(lab: Lab) -> RunRecord:
    return train(lab, CONFIG.replace(epochs=1, seed=21))


def _figure(app: AppTest, name: str) -> dict[str, Any]:
    shown = [json.loads(element.proto.json) for element in app.get("bidi_component") if element.proto.json]
    return dict(json.loads(next(data["figure"] for data in shown if data.get("filename") == name)))


def _data(lab: Lab) -> Dataset:
    return lab.datasets.load("digits")


@pytest.mark.parametrize("name", DISTORTIONS)
def test_every_distortion_shows_the_image_at_its_levels_and_the_accuracy(
    env_home: None, lab: Lab, run: RunRecord, name: str
) -> None:
    app = open_inside(run=run.id, view="robustness", epoch="2", image="3", distortion=name)
    assert not app.error
    distortion, data, loaded = DISTORTIONS[name], _data(lab), lab.weights.load(run.id, epoch=2)

    def answer_to(chosen: slice, level: float) -> Answers:
        images = distort(data.test_images[chosen], name, level)
        logits = compute_logits(loaded.network, images, mean=loaded.mean, std=loaded.std)
        return score_logits(logits, data.test_labels[chosen])

    of_all, of_one = (
        [answer_to(chosen, level) for level in distortion.levels] for chosen in (slice(None), slice(3, 4))
    )
    shown = tiles(app, f"The image at every level of {distortion.title.lower()}")
    assert [tile["one"] for tile in shown] == [
        f"{label} → {answer.predicted[0]}" for label, answer in zip(distortion.labels, of_one, strict=True)
    ]
    assert [tile["bad"] for tile in shown] == [not answer.right[0] for answer in of_one]
    (line,) = _figure(app, "robustness")["data"]
    assert line["y"] == pytest.approx([answer.accuracy for answer in of_all])
    start = distortion.levels.index(distortion.start)
    shapes = _figure(app, "probabilities")["layout"]["shapes"]
    assert (shapes[0]["x0"], shapes[0]["x1"]) == (start - 0.5, start + 0.5)
    assert f"Measured with {len(data.test_labels)} test images, evenly spaced" in texts(app)
    (table,) = [element.value for element in app.dataframe]
    assert list(table[distortion.title]) == list(distortion.labels)
    assert np.asarray(table.iloc[:, 1], float) == pytest.approx([100 * answer.accuracy for answer in of_all], abs=0.006)


def test_the_level_is_in_the_address_until_another_distortion_is_chosen(env_home: None, run: RunRecord) -> None:
    app = open_inside(run=run.id, view="robustness", distortion="size", level="0")
    assert not app.error
    assert _figure(app, "robustness")["layout"]["shapes"][0]["x0"] == 0
    assert app.query_params["level"] == "0"
    app.segmented_control(key="inside.distortion").set_value("noise").run()
    assert app.query_params["distortion"] == "noise"
    assert "level" not in app.query_params
    assert _figure(app, "robustness")["layout"]["shapes"][0]["x0"] == DISTORTIONS["noise"].levels.index(40)
    app.segmented_control(key="inside.view").set_value("kernels").run()
    assert not {"distortion", "level", "against"} & set(app.query_params)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"distortion": "rotate"}, "did you mean 'rotation'?"),
        ({"distortion": "stroke", "level": "6"}, "level='6', but it must be a whole number from 0 to 5"),
        ({"against": "nobody"}, "against='nobody', but it must be"),
    ],
)
def test_invalid_parts_of_the_address_are_reported(
    env_home: None, run: RunRecord, other: RunRecord, query: dict[str, str], words: str
) -> None:
    app = open_inside(run=run.id, view="robustness", **query)
    (error,) = [each.value.replace("\\", "") for each in app.error]
    assert words in error
    assert tiles(app, "The image at every level"), "the view is drawn all the same"


def test_the_accuracy_is_compared_with_that_of_another_run(
    env_home: None, lab: Lab, run: RunRecord, other: RunRecord
) -> None:
    app = open_inside(run=run.id, view="robustness", epoch="1", distortion="shift")
    app.selectbox(key="inside.against").set_value(other.id).run()
    assert app.query_params["against"] == other.id
    first, second = _figure(app, "robustness")["data"]
    data, loaded = _data(lab), lab.weights.load(other.id)
    logits = compute_logits(loaded.network, distort(data.test_images, "shift", -10), mean=loaded.mean, std=loaded.std)
    at = DISTORTIONS["shift"].levels.index(-10)
    assert second["y"][at] == pytest.approx(score_logits(logits, data.test_labels).accuracy)
    assert other.id[:6] in second["name"]
    assert first["y"] != second["y"]
    assert "is measured with its selected weights." in texts(app)
    assert texts(app).count("without distortion") == 2
    opened = open_inside(run=run.id, view="robustness", epoch="1", distortion="shift", against=other.id)
    assert _figure(opened, "robustness")["data"][1]["y"] == second["y"]


def test_a_run_that_is_not_listed_any_more_is_compared_by_its_link(
    env_home: None, run: RunRecord, other: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "_LISTED", 0)
    query = {"run": run.id, "view": "robustness", "distortion": "size"}
    app = open_inside(**query, against=other.id)
    assert not app.error
    assert len(_figure(app, "robustness")["data"]) == 2
    assert not [box for box in open_inside(**query).selectbox if box.label == "Compare with"]
    (error,) = [each.value.replace("\\", "") for each in open_inside(**query, against="nobody").error]
    assert "there is nothing to choose from" in error


def test_a_diverged_run_cannot_be_compared_and_the_other_is_shown_alone(
    env_home: None, run: RunRecord, diverged: RunRecord
) -> None:
    app = open_inside(run=run.id, view="robustness", against=diverged.id)
    (error,) = [each.value.replace("\\", "") for each in app.error]
    assert "has diverged, so its outputs are not finite: choose another run to compare." in error
    assert len(_figure(app, "robustness")["data"]) == 1
    assert "is measured with its selected weights" not in texts(app)


def test_a_diverged_network_is_refused_with_the_way_out(env_home: None, diverged: RunRecord) -> None:
    app = open_inside(run=diverged.id, view="robustness", epoch="1")
    assert "are not finite because its training diverged. Choose an earlier epoch." in texts(app)
    assert not open_inside(run=diverged.id, view="robustness", epoch="0").error


def test_a_large_network_classifies_fewer_images_and_asks_first(
    env_home: None, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = len(DISTORTIONS["size"].levels)
    monkeypatch.setattr(waiting, "_IMAGES_WORK", 150 * levels * 423_038)  # of LeNet-5 for one image
    app = open_inside(run=run.id, view="robustness", distortion="size")
    assert "Measured with 150 test images" in texts(app)
    monkeypatch.setattr(waiting, "_AT_ONCE", 1e6)
    app = open_inside(run=run.id, view="robustness", distortion="size", epoch="0")
    assert "Classifying 1,050 distorted images takes 444.19 M" in texts(app)
    with pytest.raises(StopIteration):
        _figure(app, "robustness")
    next(button for button in app.button if button.label == "Do it anyway").click().run()
    assert "Measured with 150 test images" in texts(app)


@pytest.mark.parametrize("release", RELEASES)
def test_runs_of_earlier_releases_have_the_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str) -> None:
    old = unpack_home(release, tmp_path / "home")
    use_home(monkeypatch, old)
    lab = Lab(Settings.from_env({"LAB_HOME": str(old)}))
    runs = [
        each
        for each in lab.store.runs.list(limit=100)
        if each.config.dataset == "digits" and each.has_weights and each.status != "diverged"
    ]
    for each in runs[:3]:
        app = open_inside(run=each.id, view="robustness")
        assert not app.error, [error.value for error in app.error]
        assert "without distortion" in texts(app)
    assert runs


def test_an_example_is_measured_with_the_images_that_ship_with_it(bench: Bench) -> None:
    example = bench.lab.list_examples()[0]
    app = open_inside(run=example.id, view="robustness")
    assert not app.error
    assert "Measured with 1,000 test images" in texts(app)


def test_the_runs_to_compare_with_are_those_offered_above_and_are_read_once(
    env_home: None, run: RunRecord, other: RunRecord
) -> None:
    read: list[str] = []
    engine = get_lab().store.database.engine
    event.listen(engine, "before_cursor_execute", lambda *values: read.append(values[2]))
    app = open_inside(run=run.id, view="robustness", epoch="2")
    assert len([each for each in read if "ORDER BY runs.created_at DESC" in each]) == 1
    assert other.id[:6] in str(app.selectbox(key="inside.against").options)
