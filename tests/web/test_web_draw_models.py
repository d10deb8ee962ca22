"""The Draw page with a trained network, which all sessions share while their drawings stay separate."""

import threading
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lab.charts.data_url import png_url
from lab.charts.tiles import encode
from lab.config import RunConfig
from lab.runs.records import RunRecord, RunState
from lab.runs.sketches import SavedSketch
from lab.service.lab import Lab
from lab.service.workers import Workers
from lab.settings import Settings
from lab.sketch.photo import find_digits
from lab.sketch.render import draw_digit
from lab.sketch.saved import encode_ink, normalise_all
from lab.sketch.sketch import Stroke, dump_strokes, sketch_from_strokes
from pages.cache.datasets import dataset_of
from pages.cache.inspection import network_of, stages_of
from pages.draw import inside
from pages.draw.models import Model, bank_size, load_models, nearest_neighbours
from pages.draw.network import _open_layer
from pages.draw.saved_drawings import read_saved
from pages.draw.studio import normalised, read_all, subtitle
from pages.draw.tune import start
from pages.draw.view import picture_url
from pages.state.draw import DRAW, DrawPage
from pages.widgets.pad import sketch_of
from tests.golden.page_text import shown_table
from tests.web.addresses import open_page
from tests.web.test_web_inside import train
from tests.web.web_data import use_home

CONFIG = RunConfig(dataset="digits", epochs=4, lr=3e-3, batch_size=32, device="cpu")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("draw") / "home"


@pytest.fixture(scope="module")
def lab(home: Path) -> Lab:
    return Lab(Settings.from_env({"LAB_HOME": str(home)}))


@pytest.fixture(scope="module")
def run(lab: Lab) -> RunRecord:
    return train(lab, CONFIG)


@pytest.fixture
def model(home: Path, run: RunRecord, monkeypatch: pytest.MonkeyPatch) -> Model:
    use_home(monkeypatch, home)
    (found,), problems = load_models([run.id])
    assert problems == []
    return found


def test_draw_and_inside_share_one_loaded_network(model: Model) -> None:
    assert network_of(model.id, model.digest) is model.loaded


def test_a_click_on_a_stage_opens_its_last_layer_with_feature_maps(model: Model) -> None:
    stages = stages_of(model.id, model.digest, ())
    for stage, layer in ((stages[1], "features.relu1"), (stages[2], "features.pool1")):
        _open_layer(model, stages, stage.box.id)
        assert (DRAW.read().view, DRAW.read().inside_run) == ("Inside", model.id)
        assert DRAW.read().layer[model.id] == layer
    DRAW.forget()
    _open_layer(model, stages, stages[-1].box.id)  # a linear layer has none
    assert DRAW.read().layer == {}


def test_nearest_neighbours_are_not_affected_by_what_another_session_draws_meanwhile(model: Model) -> None:
    sketch = draw_digit("8")

    def draw(*_args: object) -> None:
        if threading.current_thread() is threading.main_thread():
            session = threading.Thread(target=lambda: read_all([model], sketch, normalised([model], sketch)))
            session.start()
            session.join()

    handle = model.loaded.network.register_forward_pre_hook(draw)
    try:
        pictures = dataset_of("digits").train_images
        for number in (3, 700, 1_400):  # in the first, a middle and the last chunk
            (picture, _, likeness), *_ = nearest_neighbours(model, pictures[number])
            assert likeness == pytest.approx(1.0, abs=1e-5)
            assert np.array_equal(picture, pictures[number])
    finally:
        handle.remove()


def test_cards_have_the_current_name_of_the_run_and_the_accuracy_of_the_loaded_weights(lab: Lab, model: Model) -> None:
    result = lab.store.results.at_step(model.id, model.loaded.step)
    assert result is not None
    assert result.epoch == model.loaded.epoch
    assert subtitle(model) == f"{100 * (result.test_accuracy or 0):.2f} % test, epoch {result.epoch} of 4 (best)"
    assert model.title == "LeNet-5 on Digits (built in)"
    lab.store.edits.rename(model.id, "steady hand")
    (renamed,), _ = load_models([model.id])
    assert renamed.title == "steady hand"
    assert renamed.loaded is model.loaded


def _message(seq: int, version: int, strokes: str) -> dict[str, str]:
    return {"ink": f'{{"seq": {seq}, "version": {version}, "pen": 16, "strokes": {strokes}}}'}


def test_done_scores_the_last_stroke_and_an_outdated_message_leaves_the_next_pad_empty(model: Model) -> None:
    app = open_page("draw", runs=model.id)
    app.segmented_control(key="draw.mode").set_value("Guess game").run()
    app.button(key="draw-game-start").click().run()
    page = app.session_state["draw.page"]
    whole = draw_digit("0").strokes
    app.session_state["draw.live"] = _message(1, page.version, dump_strokes([Stroke(((9, 9), (10, 9)), 16)]))
    app.run()
    app.session_state["draw.live"] = _message(2, page.version, dump_strokes(whole))
    app.button(key="draw-game-next").click().run()
    sketch = sketch_from_strokes(whole)
    (answer,) = read_all([model], sketch, normalised([model], sketch))
    (row,) = page.game.drawn
    assert list(row.values())[1] == ("unsure: " if answer.verdict.unsure else "") + answer.label
    assert (page.game.round, page.strokes, page.answered) == (2, "[]", 2)
    outdated = page.version - 1  # sent before the pad was cleared
    app.session_state["draw.live"] = _message(3, outdated, dump_strokes(whole))
    app.run()
    assert (page.strokes, page.answered) == ("[]", 3)


def _game(model: Model, digits: tuple[str, ...]) -> tuple[AppTest, DrawPage]:
    """Return the Draw page in the first round of a game with these digits."""
    app = open_page("draw", run=model.id)
    assert app.query_params["runs"] == model.id
    app.segmented_control(key="draw.mode").set_value("Guess game").run()
    app.button(key="draw-game-start").click().run()
    page: DrawPage = app.session_state["draw.page"]
    assert sorted(page.game.digits) == sorted(model.loaded.class_names)
    page.game.digits = digits
    return app, page


def _draw_round(app: AppTest, page: DrawPage, seq: int, strokes: tuple[Stroke, ...]) -> None:
    app.session_state["draw.live"] = _message(seq, page.version, dump_strokes(strokes))
    app.run()
    app.button(key="draw-game-next").click().run()


def test_a_point_is_scored_only_for_a_sure_answer_that_is_the_requested_digit(model: Model) -> None:
    dot, whole = sketch_from_strokes([Stroke(((140, 140), (141, 140)), 16)]), draw_digit("0")
    (unsure,), (sure,) = (read_all([model], sketch, normalised([model], sketch)) for sketch in (dot, whole))
    assert unsure.verdict.unsure
    assert not sure.verdict.unsure
    wrong = next(name for name in model.loaded.class_names if name != sure.label)
    app, page = _game(model, (unsure.label, wrong, sure.label))
    scores = []
    for seq, sketch in enumerate((dot, whole, whole), start=1):
        _draw_round(app, page, seq, sketch.strokes)
        scores.append(page.game.scores[model.id])
    assert scores == [0, 0, 1]
    assert [row["Asked"] for row in page.game.drawn] == [unsure.label, wrong, sure.label]
    assert not page.game.running
    assert "understood in 1 of 3 rounds" in app.header[0].value
    assert not app.dataframe  # with one network, the cards show everything
    [cards] = [
        part.proto.body for part in app.get("html") if "cl-rounds" in part.proto.body and "<figure>" in part.proto.body
    ]
    assert (cards.count("<figure>"), cards.count("✓")) == (3, 1)


def test_a_stopped_game_ends_with_the_rounds_that_were_played(model: Model) -> None:
    app, page = _game(model, ("0", "1", "2"))
    app.button(key="draw-game-stop").click().run()
    assert "**10 rounds.**" in app.markdown[0].value
    app, page = _game(model, ("0", "1", "2"))
    _draw_round(app, page, 1, draw_digit("0").strokes)
    app.button(key="draw-game-stop").click().run()
    assert app.header[0].value.endswith("of 1 round")
    assert app.button(key="draw-game-start").label == "Play again"


def test_all_answers_are_unsure_if_much_of_a_photo_is_not_a_digit(model: Model) -> None:
    tangle = sketch_from_strokes([Stroke(tuple((60 + 14 * n, 70 + 140 * (n % 2)) for n in range(12)), 12)])
    row = [draw_digit("0"), tangle, draw_digit("1"), tangle, draw_digit("7")]
    ink = np.concatenate([drawing.ink[::2, ::2] for drawing in row], axis=1)
    paper = np.pad(255 - ink, 40, constant_values=255)
    found = find_digits(paper).digits
    alone = [read_all([model], digit, normalised([model], digit))[0].verdict.unsure for digit in found]
    assert len(found) == 5
    assert (alone[1], alone[3]) == (True, True)
    assert not all(alone)
    app = open_page("draw", runs=model.id)
    app.segmented_control(key="draw.mode").set_value("Photo").run()
    app.file_uploader(key="draw-photo").set_value(("row.png", encode(paper), "image/png")).run()
    assert "".join(part.proto.body for part in app.get("html")).count("</b> · unsure: ") == 5


def test_fine_tuning_queues_one_run_that_starts_from_the_weights_and_trains_on_the_drawings(
    lab: Lab, model: Model
) -> None:
    drawings = [draw_digit("3"), draw_digit("7")]
    saved = [
        SavedSketch(f"sketch{at}", label, "digits", encode_ink(each), 0.0)
        for at, (label, each) in enumerate(zip("37", drawings, strict=True))
    ]
    run = start(model, saved, drawings)
    assert (run.parent, run.name, run.state) == (model.id, f"{model.title} + my drawings", RunState.QUEUED)
    assert run.config.init_from == model.id
    data = lab.datasets.load(run.config.dataset)
    for image, label in zip(normalise_all(drawings, recipe=model.recipe), (3, 7), strict=True):
        shown = (data.train_images == image).all(axis=(1, 2))
        assert set(data.train_labels[shown].tolist()) == {label}
    assert start(model, saved, drawings).id == run.id
    assert start(model, saved[:1], drawings[:1]).id != run.id


def test_my_drawings_counts_what_each_network_reads_correctly_and_lists_the_errors(lab: Lab, model: Model) -> None:
    drawings = [draw_digit("0"), draw_digit("7")]
    first, second = read_saved(model, drawings)
    wrong = next(name for name in model.loaded.class_names if name != second)
    lab.store.sketches.delete(tuple(each.id for each in lab.store.sketches.list()))
    for label, drawing in ((first, drawings[0]), (wrong, drawings[1])):
        lab.store.sketches.save(encode_ink(drawing), label=label, dataset="digits")
    lab.store.sketches.save(encode_ink(drawings[0]), label="A", dataset="emnist-letters")  # other classes
    app = open_page("draw", runs=model.id, mode="My drawings")
    assert shown_table(app.dataframe[0]).iloc[0].to_dict() == {
        "Network": model.title,
        "Run": model.id,
        "Correct": "1 of 2",
        "Accuracy": "50.0 %",
        "Misread": f"{wrong} as {second}",
    }
    assert not app.warning


def test_each_view_below_the_pad_shows_what_its_title_says(lab: Lab, model: Model) -> None:
    sketch = sketch_of(dump_strokes(draw_digit("7").strokes))
    (answer,) = read_all([model], sketch, normalised([model], sketch))
    app = open_page("draw", runs=model.id, view="Inside")
    assert "Draw something to see it pass through the network." in [each.value for each in app.caption]
    page = app.session_state["draw.page"]
    app.session_state["draw.live"] = _message(1, page.version, dump_strokes(sketch.strokes))
    app.run()

    def shown() -> str:
        assert not app.exception
        return "".join(part.proto.body for part in app.get("html") if "<style>" not in part.proto.body)

    layer = next(each for each in model.layers if each.kind.is_activation)
    assert app.selectbox(key=f"draw.layer.{model.id}").value == layer.name
    assert f"Grad-CAM: regions that support “{answer.label}”" in shown()
    assert f"Feature maps: {layer.shape[0]}, brighter is stronger" in shown()
    image = normalised([model], sketch)[model.recipe]
    heat, (maps, _) = (
        inside._heat(model, image, int(answer.probabilities.argmax())),
        inside._maps(model, image, layer.name),
    )
    assert png_url(heat) in shown()
    assert png_url(maps) in shown()
    app.segmented_control(key="draw.view").set_value("Nearest neighbours").run()
    for picture, name, likeness in nearest_neighbours(model, image):
        assert f'{picture_url(picture)}"><figcaption>{name}<small>{likeness:.3f}</small>' in shown()
    words = f"among {bank_size(model):,} training images"
    assert any(words in each.value.replace("\\", "") for each in app.caption)
    app.segmented_control(key="draw.view").set_value("Keep").run()
    app.pills(key="draw.label").set_value("7").run()
    before = len(lab.store.sketches.list())
    app.button(key="draw-save").click().run()
    saved = lab.store.sketches.list()[before:]
    assert [(each.label, each.dataset, each.png) for each in saved] == [("7", "digits", encode_ink(sketch))]
    assert page.strokes == "[]"


def test_fine_tune_queues_a_run_and_links_to_it(lab: Lab, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workers, "ensure", lambda _workers: False)
    lab.store.sketches.save(encode_ink(draw_digit("4")), label="4", dataset="digits")
    app = open_page("draw", runs=model.id, mode="My drawings")
    app.button(key="draw-tune").click().run()
    queued = [run for run in lab.store.queue.list() if run.parent == model.id]
    assert f"run={queued[-1].id}" in [link.proto.query_string for link in app.get("page_link")]


def test_without_saved_drawings_there_is_neither_an_accuracy_table_nor_fine_tuning(lab: Lab, model: Model) -> None:
    lab.store.sketches.delete(tuple(each.id for each in lab.store.sketches.list()))
    app = open_page("draw", runs=model.id, mode="My drawings")
    assert [each.value for each in app.info] == [
        "No drawings are saved yet. Draw one, and choose Save below the pad, or save those of a guess game."
    ]
    assert (list(app.dataframe), [each for each in app.button if each.key == "draw-tune"]) == ([], [])
