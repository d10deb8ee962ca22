"""Parts of the Draw page, each alone and with networks of known answers: photos, the views below the pad, both pads."""

import json
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import nn

from lab.inspection.layer_kinds import kind_of
from lab.inspection.observe import LayerView
from lab.runs.headline import HeadlineResult
from lab.runs.records import RunState
from lab.runs.run_facts import RunProgress
from lab.sketch.normalise import STEPS, normalise_steps
from lab.sketch.render import draw_digit
from lab.sketch.sketch import dump_strokes
from pages.draw import pad, photo, studio
from pages.draw.inside import _first_activation, inside, maps_words, similar
from pages.draw.models import load_models
from pages.draw.network import _turn_block
from pages.draw.runs import label, starter, training_words
from pages.draw.view import percent, picture_url
from pages.state.draw import DRAW, DrawPage, DrawState
from tests.charts.charts_data import run
from tests.web.addresses import draw_alone
from tests.web.answering import BLANK, SKETCH, answer_of, model_of
from tests.web.web_data import DIGITS_CONFIG, Bench


@pytest.fixture(autouse=True)
def reset_state() -> None:
    DRAW.forget()


# -- which networks ----------------------------------------------------------------------------------------------------


def test_the_first_network_is_trained_for_drawings_if_mnist_is_downloaded() -> None:
    best = starter(("digits", "mnist"))
    assert (best.arch, best.dataset, best.augment, best.epochs, best.lr, best.schedule) == (
        "lenet5",
        "mnist",
        "sketch",
        3,
        0.003,
        "one-cycle",
    )
    assert (starter(("digits",)).dataset, starter(("digits",)).arch) == ("digits", "lenet-bn")


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        ({"step": 20, "total_steps": 80, "eta_seconds": 65.0}, (0.25, "step 20 of 80, 1 min 05 s left")),
        ({"step": 20, "total_steps": 80, "eta_seconds": 0.0}, (0.25, "step 20 of 80, 0.0 s left")),
        ({"step": 1_200, "total_steps": 4_800}, (0.25, "step 1,200 of 4,800")),
        ({"step": None, "total_steps": 80}, (0.0, "step 0 of 80")),
        ({"step": None, "total_steps": None, "eta_seconds": 65.0}, (0.0, "starting")),
    ],
)
def test_the_first_training_shows_its_progress(progress: dict[str, Any], expected: tuple[float, str]) -> None:
    assert training_words(replace(run(), progress=RunProgress.from_dict(progress))) == expected


def test_a_first_training_without_a_heartbeat_has_no_time_left() -> None:
    progress = RunProgress.from_dict({"step": 20, "total_steps": 80, "eta_seconds": 65.0})
    silent = replace(run(state=RunState.RUNNING), progress=progress, responding=False, heartbeat_age_s=245.0)
    assert training_words(silent) == (0.25, "step 20 of 80, not responding, no heartbeat for 4 min 05 s")


def test_the_label_of_a_run_distinguishes_it_from_others() -> None:
    one = run(name="mine", augment="light", summary={"test_accuracy": 0.97, "final_epoch": 5, "epochs": 5})
    assert label(one) == f"mine, light augmentation · {one.headline_text} · {one.id[:4]}"
    assert label(run(state=RunState.QUEUED)) == f"LeNet-5 on Digits (built in) · {run().id[:4]}"


def test_each_run_without_weights_and_each_unknown_run_is_reported(bench: Bench) -> None:
    without = bench.queue(DIGITS_CONFIG.replace(seed=3))
    models, problems = load_models([without.id, "ffffffffffff"])
    assert models == []
    assert ["weights" in problems[0], "ffffffffffff" in problems[1]] == [True, True]


def test_cards_show_the_name_of_a_run_and_the_data_sets_if_they_differ() -> None:
    plain, named = model_of(1), model_of(2, name="mine", arch="basic-cnn")
    assert studio.titles([plain, named]) == ["LeNet-5", "mine"]
    assert studio.titles([plain, model_of(3, dataset="digits")]) == ["LeNet-5 on MNIST", "LeNet-5 on Digits (built in)"]


def test_the_subtitle_of_a_card_has_the_result_of_the_weights_and_the_augmentation() -> None:
    bare = model_of(augment="light")
    assert studio.subtitle(bare) == "epoch 2 · light augmentation"
    result = HeadlineResult(20, 2, "best", 0.9731)
    tested = replace(model_of(), loaded=replace(bare.loaded, result=result))
    assert studio.subtitle(tested) == "97.31 % test, epoch 2 of 5 (best)"
    running = replace(tested, run=replace(tested.run, state=RunState.RUNNING))
    assert studio.subtitle(running) == "97.31 % test, epoch 2 of 5 (best so far)"


# -- photos ------------------------------------------------------------------------------------------------------------


def test_the_line_of_a_photo_has_each_network_and_the_ensemble_if_they_have_the_same_classes() -> None:
    models = [model_of(1, name="a<b"), model_of(2, name="c")]
    read = [[answer_of("3"), answer_of("3")], [answer_of("5"), answer_of("6", unsure="odd")]]
    line = photo._summary(models, read)
    assert line == (
        '<p class="cl-line cl-photo" role="status">a&lt;b reads <b>35</b>; c reads <b>36</b> (1 of 2 digits unsure); '
        "the ensemble reads <b>35</b> (1 of 2 digits unsure).</p>"
    )
    letters = [answer_of("x", classes="xy"), answer_of("3")]
    assert "ensemble" not in photo._summary(models, [letters])
    assert photo._summary(models[:1], [[answer_of("3")]]).endswith("a&lt;b reads <b>3</b>.</p>")


def test_below_a_photo_each_digit_is_shown_as_the_first_networks_input_with_every_answer() -> None:
    models = [model_of(1, name="a<b"), model_of(2, name="c", dataset="usps")]
    html = photo._table(models, [SKETCH, draw_digit("7")], [[answer_of("4"), answer_of("9", unsure="odd")]] * 2)
    assert html.count("<figure>") == 2
    assert picture_url(studio.normalised(models[:1], SKETCH)[models[0].recipe]) in html
    assert html.count("<small>a&lt;b: <b>4</b> · 90.0 %</small><small>c: <b>9</b> · unsure: odd</small>") == 2
    assert "<small><b>4</b> · 90.0 %</small>" in photo._table(models[:1], [SKETCH], [[answer_of("4")]])


# -- the views below the pad -------------------------------------------------------------------------------------------


def test_steps_that_are_switched_off_are_left_out_of_the_pictures() -> None:
    model, answer = model_of(), answer_of("3")
    for steps in (STEPS, ("crop", "scale")):
        app = draw_alone(
            lambda: studio._why([model], SKETCH, [answer]),
            state={DRAW.state_key: DrawState(steps=steps)},
        )
        html = app.get("html")[0].proto.body
        pictures = normalise_steps(SKETCH, recipe=model.recipe, steps=frozenset(steps))
        assert [picture_url(each.picture) in html for each in pictures] == [True] * len(pictures)
        assert html.count("without: 3 at") == len(steps)
        assert app.pills[0].value == list(steps)
    words = app.caption[0].value
    assert (
        "Prepared like the images of MNIST, then normalised with mean 0.2500 and standard deviation 0.5000 for LeNet"
        in words
    )
    blank = draw_alone(lambda: studio._why([model], BLANK, [answer]))
    assert blank.caption[0].value == "Draw something to see the image after each step."


@pytest.mark.parametrize(
    ("count", "words"), [(1, "1"), (64, "64"), (65, "the first 64 of 65"), (512, "the first 64 of 512")]
)
def test_the_caption_of_feature_maps_says_how_many_of_them_are_shown(count: int, words: str) -> None:
    assert maps_words(count) == f"Feature maps: {words}, brighter is stronger"


def _layer(name: str, module: nn.Module) -> LayerView:
    return LayerView(name, type(module).__name__, kind_of(module), (2, 4, 4), None)


def test_a_view_of_one_layer_starts_with_the_first_activation() -> None:
    layers = (_layer("conv", nn.Conv2d(1, 2, 3)), _layer("relu", nn.ReLU()), _layer("again", nn.ReLU()))
    assert _first_activation(model_of(layers=layers)) == 1
    assert _first_activation(model_of(layers=layers[:1])) == 0
    app = draw_alone(lambda: inside([model_of(layers=layers)], {}, [], blank=True))
    assert app.selectbox[1].options == ["conv · Conv2d 2×4×4", "relu · ReLU 2×4×4", "again · ReLU 2×4×4"]
    assert app.selectbox[1].value == "relu"
    assert app.caption[0].value == "Draw something to see it pass through the network."


def test_without_layers_or_ink_a_view_says_what_is_missing() -> None:
    models = [model_of(1, name="a"), model_of(2, name="b")]
    app = draw_alone(lambda: inside(models, {}, [], blank=False))
    assert app.info[0].value == "a has no layer with feature maps."
    assert app.selectbox[0].options == [f"a · {models[0].id[:4]}", f"b · {models[1].id[:4]}"]
    app = draw_alone(
        lambda: similar(models, {}, blank=True), state={DRAW.state_key: DrawState(similar_run=models[1].id)}
    )
    assert app.caption[0].value == "Draw something to see which training images it resembles."
    assert app.selectbox[0].value == models[1].id
    unknown = draw_alone(lambda: similar(models, {}, blank=True), state={DRAW.state_key: DrawState(similar_run="gone")})
    assert unknown.selectbox[0].value == models[0].id


def test_opening_or_closing_a_block_leaves_the_other_blocks_as_they_are() -> None:
    _turn_block("layer1", True)
    _turn_block("layer2", True)
    assert DRAW.read().opened == ("layer1", "layer2")
    _turn_block("layer1", False)
    assert DRAW.read().opened == ("layer2",)


# -- the pads ----------------------------------------------------------------------------------------------------------


def _png(pixels: np.ndarray) -> bytes:
    target = BytesIO()
    Image.fromarray(pixels).save(target, "PNG")
    return target.getvalue()


def test_the_picture_of_the_standard_pad_takes_precedence_over_the_strokes() -> None:
    page = DrawPage(strokes=dump_strokes(SKETCH.strokes))
    assert np.array_equal(pad.drawn(page).ink, SKETCH.ink)
    ink = draw_digit("7").ink
    page.png = _png(np.dstack([*[np.zeros_like(ink)] * 3, ink]))  # only the alpha of a stroke is read
    assert np.array_equal(pad.drawn(page).ink, ink)


def test_switching_the_pad_transfers_the_strokes_and_drops_the_picture() -> None:
    page = DrawPage(strokes=dump_strokes(SKETCH.strokes), png=b"old", version=2)
    pad.switch_pad(page)
    assert (page.png, page.version) == (b"", 3)
    assert json.loads(pad.strokes_of_canvas(page.canvas or {})) == json.loads(page.strokes)


def test_a_probability_is_shown_with_one_decimal() -> None:
    assert percent(0.12345) == "12.3 %"
