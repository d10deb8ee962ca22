"""The Inside page as Streamlit renders it for a trained run, at every epoch and in every view."""

import base64
import io
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Toggle

from lab.architectures.registry import list_architectures
from lab.config import RunConfig
from lab.data.registry import get_dataset_spec
from lab.runs.owner import Owner
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.settings import Settings
from lab.sketch.saved import encode_ink
from lab.sketch.sketch import Sketch
from lab.worker.execution import execute
from pages.state.inside import INSIDE
from pages.widgets import waiting
from tests.sketch.photo_pictures import pushed_together
from tests.web.addresses import open_page, set_state
from tests.web.plain_text import PLAIN
from tests.web.web_data import Bench, use_home

VIEWS = ("network", "maps", "kernels", "hand", "gradients", "step", "why", "answers", "robustness", "map")
CONFIG = RunConfig(dataset="digits", epochs=2, batch_size=32, train_limit=400, device="cpu", seed=3)


def train(lab: Lab, config: RunConfig) -> RunRecord:
    """Train in this process, as the worker does."""
    lab.submissions.submit(lab.validation.resolve(config))
    run = lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert run is not None
    execute(lab, run, ending=threading.Event())
    return lab.store.runs.get(run.id)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inside") / "home"


@pytest.fixture(scope="module")
def lab(home: Path) -> Lab:
    return Lab(Settings.from_env({"LAB_HOME": str(home)}))


@pytest.fixture(scope="module")
def run(lab: Lab) -> RunRecord:
    threads = torch.get_num_threads()
    try:
        return train(lab, CONFIG)
    finally:
        torch.set_num_threads(threads)


@pytest.fixture
def env_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_home(monkeypatch, home)


def open_inside(**query: str) -> AppTest:
    return open_page("inside", **query)


def component(app: AppTest, field: str) -> dict[str, Any]:
    shown = [json.loads(element.proto.json) for element in app.get("bidi_component") if element.proto.json]
    return next(data for data in shown if field in data)


def tiles(app: AppTest, name: str) -> list[dict[str, Any]]:
    """Return the tiles of the grid whose name starts with `name`."""
    shown = [json.loads(element.proto.json) for element in app.get("bidi_component") if element.proto.json]
    return next(data["tiles"] for data in shown if "tiles" in data and data["name"].startswith(name))


def texts(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error]
    return "\n".join(part.value.translate(PLAIN) for part in parts)


def test_without_a_run_the_page_says_how_to_get_one(bench: Bench) -> None:
    bench.lab.hide_examples(True)
    assert "No runs to inspect yet" in texts(open_inside())


def test_an_unknown_run_is_reported(bench: Bench) -> None:
    assert "nobody" in texts(open_inside(run="nobody"))


def test_a_run_without_weights_is_reported(bench: Bench) -> None:
    finished = bench.finish(bench.start())
    assert "saved no weights" in texts(open_inside(run=finished.id))


def test_the_page_waits_for_a_run_in_its_first_epoch(bench: Bench) -> None:
    assert "first epoch has not finished yet" in texts(open_inside(run=bench.start().id))


def test_the_slider_has_every_saved_epoch_and_the_untrained_network(env_home: None, run: RunRecord) -> None:
    slider = component(open_inside(run=run.id), "epochs")
    assert slider["epochs"] == [0, 1, 2]
    assert slider["test"][0] is None
    assert slider["test"][2] == pytest.approx(run.summary.other["test_accuracy"])


@pytest.mark.parametrize("epoch", ["0", "2"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_opens_at_every_epoch(env_home: None, run: RunRecord, view: str, epoch: str) -> None:
    app = open_inside(run=run.id, view=view, epoch=epoch)
    assert not app.error
    expected = "before training" if epoch == "0" else "after epoch 2"
    if view in ("network", "maps", "map"):
        assert expected in texts(app)


def test_another_run_opens_at_its_own_best_epoch_and_not_at_the_epoch_in_the_address(
    env_home: None, lab: Lab, run: RunRecord
) -> None:
    other = train(lab, CONFIG.replace(seed=4, epochs=3))
    app = open_inside(run=run.id, epoch="1")
    app.selectbox(key="inside.run").set_value(other.id).run()
    slider = component(app, "epochs")
    assert slider["run"] == other.id
    assert slider["epochs"][slider["index"]] == other.summary.best_epoch == 3
    assert app.query_params["epoch"] == "3"


def test_the_confusion_matrix_adds_up_to_the_accuracy_of_the_run(env_home: None, run: RunRecord) -> None:
    app = open_inside(run=run.id, view="answers", epoch="2")
    counts = component(app, "counts")["counts"]
    right, images = sum(counts[k][k] for k in range(10)), sum(map(sum, counts))
    assert images == 359
    assert right / images == pytest.approx(run.summary.other["test_accuracy"])
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown["Errors"] == f"{images - right}"


def test_a_chosen_cell_of_the_confusion_matrix_shows_its_images(env_home: None, run: RunRecord) -> None:
    app = open_inside(run=run.id, view="answers", epoch="2")
    counts = component(app, "counts")["counts"]
    set_state(app, INSIDE, cell=(4, 4), gallery="cell")
    app.run()
    assert len(tiles(app, "Test images")) == counts[4][4]
    assert f"4 read correctly: {counts[4][4]} images" in texts(app).replace("**", "")


def test_a_cell_chosen_for_a_run_with_more_classes_is_ignored(env_home: None, run: RunRecord) -> None:
    app = open_inside(run=run.id, view="answers", epoch="2")
    set_state(app, INSIDE, cell=(30, 2), gallery="cell")
    app.run()
    assert not app.exception
    assert "Click a cell of the matrix" in texts(app)


def test_the_images_of_a_lasso_disappear_with_the_map_it_was_drawn_in(env_home: None, run: RunRecord) -> None:
    app = open_inside(run=run.id, view="map", epoch="2")
    set_state(app, INSIDE, caught=(component(app, "method")["method"], (1, 2, 3)))
    app.run()
    assert "3 images in the lasso" in [head.value for head in app.header]
    [other] = [count for count in app.selectbox(key="inside.points").options if count == "300"]
    app.selectbox(key="inside.points").set_value(int(other)).run()
    assert not app.exception
    assert not app.header


def test_feature_maps_are_numbered_and_a_channel_can_be_chosen(env_home: None, run: RunRecord) -> None:
    app = open_inside(run=run.id, view="maps", epoch="2")
    app.selectbox(key="inside.layer").select("features.conv2").run()
    assert [tile["one"] for tile in tiles(app, "Feature maps")] == [f"#{k}" for k in range(16)]
    set_state(app, INSIDE, channel=5)
    app.run()
    assert "**Channel 5**" in texts(app)


def test_the_arithmetic_of_one_value_matches_what_the_network_computed(env_home: None, run: RunRecord) -> None:
    app = open_inside(run=run.id, view="hand", epoch="2")
    text = next(m.value for m in app.markdown if "computed" in m.value)
    summed = float(text.split("= **")[1].split("**")[0])
    computed = float(text.split("computed **")[1].split("**")[0])
    assert computed == pytest.approx(summed, abs=1e-4)


def test_the_whole_network_is_drawn_from_the_image_to_the_answer(env_home: None, run: RunRecord) -> None:
    shown = component(open_inside(run=run.id, epoch="2"), "stages")
    assert [stage["title"] for stage in shown["stages"]] == [
        "image",
        "conv1",
        "pool1",
        "conv2",
        "pool2",
        "fc1",
        "fc2",
        "fc3",
    ]
    conv = shown["stages"][3]
    assert (conv["size"], conv["shown"], conv["side"]) == ("16×10×10", 16, [10, 10])
    assert len(base64.b64decode(conv["values"])) == 16 * 10 * 10
    answer = shown["answer"]
    assert answer["best"] == int(np.argmax(answer["shares"]))
    assert sum(answer["shares"]) == pytest.approx(1)


def test_a_map_of_the_whole_network_is_explained_down_to_one_value(env_home: None, run: RunRecord) -> None:
    app = open_inside(run=run.id, epoch="2")
    conv = component(app, "stages")["stages"][3]
    set_state(app, INSIDE, stage=conv["id"], place=(4, 2, 7))
    app.run()
    assert not app.exception
    assert "**conv2, channel 4 of 16**" in texts(app)
    shown = component(app, "stages")
    assert shown["chosen"] == {"stage": conv["id"], "channel": 4}
    pixel, window = (next(mark for mark in shown["marks"] if mark["kind"] == kind) for kind in ("pixel", "window"))
    assert (pixel["top"], pixel["left"]) == pytest.approx((0.2, 0.7))
    assert (window["top"], window["height"]) == pytest.approx((2 / 14, 5 / 14))
    (field,) = (mark for mark in shown["marks"] if mark["kind"] == "field")
    assert field["stage"] == shown["stages"][0]["id"]  # 14 of the image's 32 rows, two for each row of the map
    assert [field[side] for side in ("top", "left", "height", "width")] == pytest.approx(
        [4 / 32, 14 / 32, *[14 / 32] * 2]
    )
    pair = component(app, "windows")
    assert pair["place"] == [2, 7]
    text = next(m.value for m in app.markdown if "computed" in m.value)
    computed = float(text.split("computed **")[1].split("**")[0])
    after = max(computed, 0.0)
    assert f"convolution **{computed:.4f}** → ReLU **{after:.4f}**" in texts(app)
    assert float(pair["texts"][2][7]) == pytest.approx(after, abs=5e-4)
    assert min(float(text) for row in pair["texts"] for text in row) == 0  # the map is the one after the activation


@pytest.mark.parametrize("stage", [0, 1, 2, 4, 5, 6, 7])
def test_every_stage_can_be_chosen(env_home: None, run: RunRecord, stage: int) -> None:
    app = open_inside(run=run.id, epoch="2")
    set_state(app, INSIDE, stage=component(app, "stages")["stages"][stage]["id"], place=(0,))
    app.run()
    assert not app.exception
    assert not app.error


def test_an_answer_is_explained_down_to_the_terms_of_its_sum(env_home: None, lab: Lab, run: RunRecord) -> None:
    app = open_inside(run=run.id, epoch="2")
    shown = component(app, "stages")
    fc1, answer = shown["stages"][5], shown["stages"][7]
    for stage, unit, head in ((fc1, 17, "**fc1, unit 17 of 120**"), (answer, 7, "**fc3, the class 7**")):
        set_state(app, INSIDE, stage=stage["id"], place=(unit,))
        app.run()
        assert not app.exception
        assert head in texts(app)
        assert (app.query_params["stage"], app.query_params["place"]) == (stage["id"], str(unit))
        text = next(m.value for m in app.markdown if "The network computed" in m.value)
        summed, computed = (float(text.split(words)[1].split("**")[0]) for words in ("= **", "computed **"))
        assert computed == pytest.approx(summed, abs=2e-4)
    loaded = lab.weights.load(run.id, epoch=2)
    pixels = lab.datasets.load("digits").test_images[0]
    x = torch.from_numpy((pixels[None, None].astype(np.float32) / 255 - loaded.mean) / loaded.std)
    assert computed == pytest.approx(float(loaded.network(x).detach()[0, 7]), abs=2e-4)
    units = tiles(app, "Outputs of fc3")
    assert [unit["one"] for unit in units] == list("0123456789")


def test_the_terms_of_a_linear_layer_after_maps_are_at_the_positions_of_its_inputs(
    env_home: None, run: RunRecord
) -> None:
    app = open_inside(run=run.id, view="hand", hand="classifier.fc1", place="3", epoch="2")
    assert not app.error
    maps = tiles(app, "Terms of the sum")
    text = next(m.value for m in app.markdown if "Sum of the 400 products" in m.value)
    assert len(maps) == 16
    total = float(text.split("products **")[1].split("**")[0])
    assert sum(float(each["two"]) for each in maps) == pytest.approx(total, abs=0.1)


@pytest.mark.parametrize(
    ("view", "chosen", "words"),
    [
        ("network", {"stage": "features_conv2", "place": "4.2.7"}, "**conv2, channel 4 of 16**"),
        ("maps", {"layer": "features.conv2", "channel": "5"}, "**Channel 5**"),
        ("kernels", {"kernel": "features.conv2"}, "16 filters of 5×5, 6 input channels each"),
        ("hand", {"hand": "features.conv2", "place": "3.1.2"}, "150.0"),
        ("gradients", {"quantity": "dead"}, "channels or units that are 0 for every image"),
    ],
)
def test_the_chosen_layer_and_map_are_in_the_address(
    env_home: None, run: RunRecord, view: str, chosen: dict[str, str], words: str
) -> None:
    app = open_inside(run=run.id, view=view, epoch="2", **chosen)
    assert not app.error, [error.value for error in app.error]
    assert {name: app.query_params[name] for name in chosen} == chosen
    if view == "hand":
        assert component(app, "windows")["place"] == [1, 2]
    else:
        assert words in texts(app)
    other = "why"
    app.segmented_control(key="inside.view").set_value(other).run()
    assert not set(chosen) & set(app.query_params), "the choice of another view must not be in the address"
    app.segmented_control(key="inside.view").set_value(view).run()
    assert {name: app.query_params[name] for name in chosen} == chosen, "the choice must be restored"


@pytest.mark.parametrize(
    ("view", "name", "wrong", "rule"),
    [
        ("network", "stage", "conv9", "one of input_1, features_conv1"),
        ("maps", "layer", "features.conv9", "did you mean 'features.conv"),
        ("maps", "channel", "99", "a whole number from 0 to 5"),
        ("hand", "place", "0.99.0", "a map from 0 to 5, or a map, a row up to 27 and a column up to 27"),
    ],
)
def test_an_unknown_layer_or_map_in_the_address_is_reported(
    env_home: None, run: RunRecord, view: str, name: str, wrong: str, rule: str
) -> None:
    app = open_inside(run=run.id, view=view, epoch="2", **{name: wrong})
    (error,) = [each.value.replace("\\", "") for each in app.error]
    assert f"The address has {name}='{wrong}'" in error
    assert rule in error


def test_a_layer_that_the_new_network_lacks_is_replaced_by_its_first_activation(
    env_home: None, lab: Lab, run: RunRecord
) -> None:
    other = train(lab, CONFIG.replace(arch="lenet-bn", seed=6, epochs=1))
    app = open_inside(run=other.id, view="maps", layer="features.bn2", channel="14")
    assert "**Channel 14**" in texts(app)
    app.selectbox(key="inside.run").set_value(run.id).run()
    assert not app.exception
    assert not app.error, [error.value for error in app.error]
    assert app.selectbox(key="inside.layer").value == "features.relu1"
    assert not {"layer", "channel"} & set(app.query_params)


def test_kernels_are_unchanged_before_training_and_changed_after_it(env_home: None, run: RunRecord) -> None:
    assert "They have not changed yet" in texts(open_inside(run=run.id, view="kernels", epoch="0"))
    filters = tiles(open_inside(run=run.id, view="kernels", epoch="2"), "Filters")
    assert all(tile["two"] != "moved 0 %" for tile in filters)


def test_an_invalid_address_opens_the_page_and_reports_each_ignored_part(env_home: None, run: RunRecord) -> None:
    for number in ("99", "-4", "²"):
        image = "-4" if number == "99" else number
        app = open_inside(run=run.id, view="answer", epoch=number, image=image, layr="conv1")
        errors = [error.value.replace("\\", "") for error in app.error]
        assert errors == [
            "The address has 'layr', which this page does not recognise. Did you mean 'layer'?",
            f"The address has epoch={number!r}, but it must be a saved epoch of this run, one from 0 to 2.",
            "The address has view='answer', but it must be one of network, maps, kernels, hand, gradients, step, why, answers, robustness, map: "
            "did you mean 'answers'?",
            f"The address has image={image!r}, but it must be a whole number from 0 to 358.",
        ]
        assert component(app, "epochs")["index"] == 2
        again = app.run()
        assert len(again.error) == 4, "invalid parts must be reported as long as they are in the address"


def test_a_mistyped_run_is_reported_and_not_replaced_by_another(env_home: None, run: RunRecord) -> None:
    app = open_inside(run=f"{run.id[:-1]}x")
    (error,) = app.error
    assert error.value.replace("\\", "") == f"There is no run '{run.id[:-1]}x': did you mean '{run.id}'?"
    assert app.selectbox(key="inside.run").value is None
    assert [each.key for each in app.get("bidi_component")] == ["nav", "share"]  # the frame's own
    app.selectbox(key="inside.run").set_value(run.id).run()
    assert not app.error
    assert component(app, "epochs")["run"] == run.id


@pytest.mark.parametrize(
    ("view", "words"),
    [("answers", "all 359 test images takes 151.87 M mult-adds, roughly 0.0 s"), ("why", "Saliency takes 1.27 M")],
)
def test_the_cost_of_long_work_is_shown_and_it_starts_only_on_request(
    env_home: None, run: RunRecord, monkeypatch: pytest.MonkeyPatch, view: str, words: str
) -> None:
    monkeypatch.setattr(waiting, "_AT_ONCE", 1e6)  # LeNet-5 makes 423,038 mult-adds an image
    app = open_inside(run=run.id, view=view, epoch="2")
    assert words in texts(app)
    assert "Errors" not in [metric.label for metric in app.metric]
    assert "Attribution for" not in texts(app)
    next(button for button in app.button if button.label == "Do it anyway").click().run()
    assert words not in texts(app)
    assert "Errors" in [metric.label for metric in app.metric] or "Attribution for" in texts(app)


@pytest.fixture(scope="module")
def diverged(lab: Lab) -> RunRecord:
    return train(
        lab,
        RunConfig(
            dataset="digits", epochs=1, train_limit=400, device="cpu", optimizer="sgd", lr=100.0, weight_decay=1.0
        ),
    )


@pytest.mark.parametrize("view", ["network", "maps", "why", "answers", "map"])
def test_a_diverged_epoch_shows_an_error_and_no_figures(env_home: None, diverged: RunRecord, view: str) -> None:
    app = open_inside(run=diverged.id, view=view, epoch="1")
    assert all("not finite" in error.value for error in app.error)
    assert len(app.error) == (2 if view == "why" else 1)
    assert "Read as" not in texts(app)
    assert not app.metric


def test_epochs_before_the_training_diverged_have_a_map_of_images(env_home: None, diverged: RunRecord) -> None:
    app = open_inside(run=diverged.id, view="map", epoch="0")
    assert not app.error
    assert len(component(app, "notes")["x"]) == 359


@pytest.mark.parametrize("arch", ["lenet5", "speedrun-cnn"])
def test_the_untrained_network_is_the_one_that_training_started_with(tmp_path: Path, arch: str) -> None:
    lab = Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))
    frozen = RunConfig(
        arch=arch,
        dataset="digits",
        epochs=1,
        max_steps=1,
        train_limit=300,
        optimizer="sgd",
        lr=1e-30,
        momentum=0.0,
        device="cpu",
        seed=5,
        val_fraction=0.2,
    )
    trained = train(lab, frozen)
    began = lab.weights.load_initial(trained.id).network.state_dict()
    ended = lab.weights.load(trained.id, epoch="latest").network.state_dict()
    for name, tensor in began.items():
        if "running" not in name and "batches" not in name:
            assert torch.allclose(tensor, ended[name], rtol=0, atol=1e-25), name


def test_an_image_is_chosen_by_its_class_as_the_next_mistake_or_at_random(env_home: None, run: RunRecord) -> None:
    app = open_inside(run=run.id, epoch="1")
    app.selectbox(key="inside.only").set_value("8").run()
    assert {tile["one"] for tile in tiles(app, "Images to choose")} == {"8"}
    answer = component(app, "stages")["answer"]
    assert answer["truth"] == 8
    number = int(app.query_params["image"])
    seen = []
    for _ in range(3):
        next(button for button in app.button if button.label == "Next error").click().run()
        answer = component(app, "stages")["answer"]
        assert answer["truth"] == 8 != answer["best"]
        seen.append(int(app.query_params["image"]))
    assert number not in seen
    assert len(set(seen)) == 3
    next(button for button in app.button if button.label == "Random").click().run()
    assert component(app, "stages")["answer"]["truth"] == 8


def test_a_saved_drawing_passes_through_the_network(env_home: None, lab: Lab, run: RunRecord) -> None:
    ink = np.zeros((280, 280), np.uint8)
    ink[40:240, 130:150] = 255
    lab.store.sketches.save(encode_ink(Sketch(ink, "live")), label="1", dataset="digits")
    app = open_inside(run=run.id, view="maps", epoch="2")
    app.segmented_control(key="inside.source").set_value("drawing").run()
    assert not app.exception
    assert f"for drawing {len(lab.store.sketches.list())}" in texts(app)  # the newest
    assert len(tiles(app, "Feature maps")) == 6


def test_a_link_opens_the_saved_drawing_that_it_names(env_home: None, lab: Lab, run: RunRecord) -> None:
    drawings = []
    for left in (100, 130):
        ink = np.zeros((280, 280), np.uint8)
        ink[40:240, left : left + 20] = 255
        drawings.append(lab.store.sketches.save(encode_ink(Sketch(ink, "live")), label="1", dataset="digits").id)
    app = open_inside(run=run.id, view="maps", epoch="2", source="drawing", drawing=drawings[0])
    assert app.segmented_control(key="inside.source").value == "drawing"
    assert app.selectbox(key="inside.drawing").value == drawings[0]
    app.selectbox(key="inside.drawing").set_value(drawings[1]).run()
    assert app.query_params["drawing"] == drawings[1]
    app.segmented_control(key="inside.source").set_value("test").run()
    assert not {"source", "drawing"} & set(app.query_params)


def test_the_first_five_test_images_are_shown_in_one_layer(env_home: None, run: RunRecord) -> None:
    app = open_inside(run=run.id, view="maps", epoch="2")
    app.toggle(key="inside.five").set_value(True).run()
    assert not app.exception
    shown = [json.loads(e.proto.json) for e in app.get("bidi_component")]
    assert sum("for test image" in data.get("name", "") for data in shown) == 5


_SMALLER = {"mobilenet": "32", "resnet18": "32", "googlenet": "32"}
_TOO_LARGE = ("alexnet", "vgg11", "vgg19", "vgg16-64")  # half a gigabyte of weights each


@pytest.mark.slow
@pytest.mark.parametrize("arch", [a.id for a in list_architectures() if a.id not in _TOO_LARGE])
def test_every_network_of_the_registry_opens_in_every_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arch: str
) -> None:
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    lab = Lab(Settings.from_env({"LAB_HOME": str(tmp_path)}))
    trained = train(
        lab,
        RunConfig(
            arch=arch,
            dataset="digits",
            epochs=1,
            max_steps=2,
            batch_size=8,
            train_limit=64,
            input_size=_SMALLER.get(arch, "auto"),
            device="cpu",
        ),
    )
    for view in VIEWS:
        app = open_inside(run=trained.id, view=view)
        assert not app.error, (view, [error.value for error in app.error])


def _png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG")
    return out.getvalue()


def test_an_uploaded_picture_of_dark_ink_is_inverted_until_it_is_switched_off(env_home: None, run: RunRecord) -> None:
    """The switch is guessed for each picture; a choice for one picture does not apply to the next."""
    size = get_dataset_spec("digits").image_size
    light = np.zeros((size, size), np.uint8)
    light[size // 8 : -size // 8, size // 2 - 2 : size // 2 + 2] = 255
    app = open_inside(run=run.id, view="maps", epoch="2", source="upload")

    def switch() -> Toggle:
        assert not app.exception
        return next(toggle for toggle in app.toggle if toggle.label == "Dark ink on white paper")

    app.file_uploader(key="inside-upload").set_value(("paper.png", _png(255 - light), "image/png")).run()
    assert switch().value is True
    switch().set_value(False).run()
    assert switch().value is False
    app.file_uploader(key="inside-upload").set_value(("again.png", _png(255 - light), "image/png")).run()
    assert switch().value is True
    app.file_uploader(key="inside-upload").set_value(("board.png", _png(light), "image/png")).run()
    assert switch().value is False


def test_each_of_two_touching_digits_in_a_picture_can_be_inspected(env_home: None) -> None:
    app = open_inside(run="example-drawings", view="maps", source="upload")
    picture = _png(255 - pushed_together("42"))
    app.file_uploader(key="inside-upload").set_value(("two.png", picture, "image/png")).run()
    assert not app.exception
    chosen = next(each for each in app.number_input if each.label.startswith("Digit"))
    assert chosen.label == "Digit, 1 to 2 from left to right"
    assert "Touching digits were split." in [caption.value for caption in app.caption]
    assert next(each.value for each in app.markdown if each.value.startswith("Read as")).startswith("Read as **4**")
    chosen.set_value(2).run()
    assert next(each.value for each in app.markdown if each.value.startswith("Read as")).startswith("Read as **2**")


NO_MAPS = {
    "maps": "No layer of this network has feature maps: it has linear layers only.",
    "kernels": "This network has no convolution, so it has no kernels.",
}


@pytest.fixture(scope="module")
def linear_run(lab: Lab) -> RunRecord:
    threads = torch.get_num_threads()
    try:
        return train(lab, CONFIG.replace(arch="custom", arch_options={"layers": "linear 8, relu"}))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_opens_for_a_network_without_convolutions(env_home: None, linear_run: RunRecord, view: str) -> None:
    app = open_page("inside", run=linear_run.id, view=view)
    assert not app.error
    said = " ".join(each.value for each in app.info)
    assert [name for name, sentence in NO_MAPS.items() if sentence in said] == [
        name for name in NO_MAPS if name == view
    ]
