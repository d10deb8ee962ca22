"""The game and the saved drawings of the Draw page, each alone and with networks of known answers."""

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import streamlit as st
from PIL import Image

from lab.config import RunConfig
from lab.data.registry import get_dataset_spec
from lab.runs.sketches import SavedSketch
from lab.sketch.saved import encode_ink
from pages.draw import game, saved_drawings, studio, tune
from pages.draw.view import pictures_html
from pages.state.draw import DRAW, DrawPage, DrawState, Game
from tests.golden.page_text import shown_table
from tests.web.addresses import draw_alone
from tests.web.answering import BLANK, SKETCH, answer_of, model_of
from tests.web.web_data import Bench


@pytest.fixture(autouse=True)
def reset_state() -> None:
    DRAW.forget()


# -- the game ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "points", "understood"),
    [
        ("3", [1], 1),
        ("5", [0], 0),
        ("3?", [0], 0),
        ("35", [1, 0], 0),  # half of the networks are not most
        ("33", [1, 1], 1),
        ("3 3 5", [1, 1, 0], 1),
        ("3 3? 5", [1, 0, 0], 0),
    ],
)
def test_a_round_is_understood_if_more_than_half_of_the_networks_are_sure_of_the_digit(
    answers: str, points: list[int], understood: int
) -> None:
    labels = answers.split() if " " in answers or "?" in answers else list(answers)
    models = [model_of(number, name=f"net {number}") for number in range(1, len(labels) + 1)]
    played = Game(("8", "3"), 2, {models[0].id: 4})
    game._score(played, models, [answer_of(each[0], unsure="odd" if "?" in each else "") for each in labels])
    assert [played.scores[model.id] - 4 * (model is models[0]) for model in models] == points
    assert (played.understood, played.round) == (understood, 3)
    names = [f"net {number} · {model.id[:4]}" for number, model in enumerate(models, start=1)]
    shown = [f"unsure: {each[0]}" if "?" in each else each for each in labels]
    assert played.drawn == [{"Asked": "3", **dict(zip(names, shown, strict=True))}]


def test_a_game_asks_for_ten_different_classes_and_starts_with_an_empty_pad(monkeypatch: pytest.MonkeyPatch) -> None:
    page = DrawPage(strokes="[[1,2,3]]", version=4)
    monkeypatch.setattr(game, "draw_page", lambda: page)
    for dataset, classes in (("mnist", 10), ("emnist-letters", 26)):
        models = [model_of(1, dataset=dataset), model_of(2, dataset=dataset)]
        game._start(models)
        names = get_dataset_spec(dataset).classes
        assert len(names) == classes
        assert len(page.game.digits) == len(set(page.game.digits)) == 10
        assert set(page.game.digits) <= set(names)
        assert (page.game.round, page.game.scores) == (1, {model.id: 0 for model in models})
    assert (page.strokes, page.version) == ("[]", 6)
    page.game.drawn = [{"Asked": "3"}, {"Asked": "5"}]
    digits = page.game.digits
    game._stop()
    assert (page.game.digits, page.version) == (digits[:2], 7)


def test_each_network_has_its_points_and_the_best_ones_are_marked() -> None:
    models = [model_of(1, name="a"), model_of(2, name="b"), model_of(3, name="c"), model_of(4, name="d")]
    played = Game(drawn=[{}, {}], scores={models[0].id: 2, models[1].id: 1, models[2].id: 2, "gone": 9})
    assert [[str(cell) for cell in row.values()] for row in game.score_rows(models, played)] == [
        ["a", models[0].id, "2 of 2", "best"],
        ["b", models[1].id, "1 of 2", ""],
        ["c", models[2].id, "2 of 2", "best"],
        ["d", models[3].id, "0 of 2", ""],
    ]


def test_the_end_of_a_game_of_several_networks_has_a_table_of_points_and_one_of_answers() -> None:
    models = [model_of(1, name="a"), model_of(2, name="b")]
    played = Game(drawn=[{"Asked": "3", "a": "3"}], pictures=[(b"drawn", b"given")], scores={}, understood=1)
    app = draw_alone(lambda: game._result(models, played))
    assert app.header[0].value == "You were understood in 1 of 1 round"
    assert [list(table.value.columns) for table in app.dataframe] == [
        ["Network", "Run", "Understood", ""],
        ["Asked", "a"],
    ]
    alone = draw_alone(lambda: game._result(models[:1], played))
    assert not alone.dataframe


def test_a_round_saves_a_thumbnail_of_the_drawing_and_the_input_of_each_network() -> None:
    models = [model_of(1), model_of(2, dataset="usps")]
    images = studio.normalised(models, SKETCH)
    pictures = game._pictures(models, SKETCH, images)
    opened = [Image.open(BytesIO(each)) for each in pictures]
    assert [each.size for each in opened[:2]] == [(84, 84), (28, 28)]
    assert len(opened) == 3
    for model, shown in zip(models, opened[1:], strict=True):
        assert np.array_equal(np.asarray(shown.convert("L")), images[model.recipe])


def test_the_drawings_of_a_game_are_saved_once_with_the_digits_that_were_asked(bench: Bench) -> None:
    models, ink = [model_of(name="a")], encode_ink(SKETCH)
    played = Game(
        drawn=[{"Asked": "3", "a": "8"}, {"Asked": "4", "a": "4"}],
        pictures=[(b"drawn", b"given")] * 2,
        inks=[ink, ink],
        dataset="mnist",
    )
    state = {"draw.page": DrawPage(game=played)}
    app = draw_alone(lambda: game.guess_game(models), state=state)
    app.button(key="draw-game-save").click().run()
    saved = bench.lab.store.sketches.list()
    assert [(each.label, each.dataset, each.png) for each in saved] == [("3", "mnist", ink), ("4", "mnist", ink)]
    assert (app.button(key="draw-game-save").label, app.button(key="draw-game-save").disabled) == (
        "Saved in My drawings",
        True,
    )


# -- saved drawings ----------------------------------------------------------------------------------------------------


def _saved(labels: Sequence[str]) -> list[SavedSketch]:
    png = encode_ink(SKETCH)
    return [SavedSketch(f"s{at}", name, "mnist", png, 0.0) for at, name in enumerate(labels)]


def test_the_row_of_a_network_counts_its_correct_answers_and_lists_the_first_eight_errors() -> None:
    model = model_of(name="mine")
    assert list(map(str, saved_drawings.accuracy_row(model, "334", "335").values())) == [
        "mine",
        model.id,
        "2 of 3",
        "66.7 %",
        "4 as 5",
    ]
    assert saved_drawings.accuracy_row(model, "33", "33")["Misread"] == "none"
    wrong = saved_drawings.accuracy_row(model, "012345678", "123456789")
    assert wrong["Misread"] == "0 as 1, 1 as 2, 2 as 3, 3 as 4, 4 as 5, 5 as 6, 6 as 7, 7 as 8"
    assert (str(wrong["Correct"]), str(wrong["Accuracy"])) == ("0 of 9", "0.0 %")


def test_networks_with_other_classes_have_no_row() -> None:
    models = [
        model_of(1, answer=4, name="a"),
        model_of(2, dataset="emnist-letters", name="b"),
        model_of(3, answer=5, name="c"),
    ]
    saved = _saved("44")
    app = draw_alone(lambda: saved_drawings._accuracy(models, saved, [SKETCH, SKETCH]))
    table = shown_table(app.dataframe[0])
    assert table["Network"].tolist() == ["a", "c"]
    assert table["Correct"].tolist() == ["2 of 2", "0 of 2"]


def test_the_last_sixty_drawings_are_shown_with_their_answers_and_counted_when_chosen(bench: Bench) -> None:
    saved = _saved("4" * 61 + "3")
    drawings = [SKETCH] * 61 + [BLANK]
    model = model_of(answer=3, name="mine")
    app = draw_alone(lambda: saved_drawings._gallery(saved, drawings, model))
    pictures = [(SKETCH.ink, f"{at}: 4", "read as 3") for at in range(1, 60)] + [(BLANK.ink, "60: 3", "correct")]
    assert app.get("html")[0].proto.body == pictures_html(pictures)
    assert app.caption[0].value == "As read by mine:"
    assert (app.button(key="draw-delete").label, app.button(key="draw-delete").disabled) == ("Delete", True)
    chosen = [saved[2].id, saved[61].id]
    app.pills(key="draw.doomed").set_value(chosen).run()
    assert app.button(key="draw-delete").label == "Delete 2"


def test_chosen_drawings_are_deleted_and_no_others(bench: Bench) -> None:
    sketches = bench.lab.store.sketches
    saved = [sketches.save(encode_ink(SKETCH), label=name, dataset="mnist") for name in "456"]

    @st.fragment
    def part() -> None:
        saved_drawings._gallery(sketches.list(), [SKETCH] * len(sketches.list()), model_of())

    app = draw_alone(part, state={DRAW.state_key: DrawState(doomed=(saved[1].id, "gone"))})
    assert app.pills(key="draw.doomed").value == [saved[1].id]
    app.button(key="draw-delete").click().run()
    assert sorted(each.label for each in sketches.list()) == ["4", "6"]
    assert app.session_state[DRAW.state_key].doomed == ()


def test_deleted_drawings_are_restored_by_undo(bench: Bench) -> None:
    sketches = bench.lab.store.sketches
    saved = [sketches.save(encode_ink(SKETCH), label=name, dataset="mnist") for name in "456"]

    @st.fragment
    def part() -> None:
        saved_drawings._undo_box()
        saved_drawings._gallery(sketches.list(), [SKETCH] * len(sketches.list()), model_of())

    app = draw_alone(part, state={DRAW.state_key: DrawState(doomed=(saved[1].id,))})
    app.button(key="draw-delete").click().run()
    assert app.markdown[0].value.endswith("1 drawing was deleted.")
    app.button(key="draw-undo").click().run()
    assert list(sketches.list()) == saved
    assert [each.key for each in app.button] == ["draw-delete"]
    app.pills(key="draw.doomed").set_value([saved[0].id]).run()
    app.button(key="draw-delete").click().run()
    app.button(key="draw-dismiss").click().run()
    assert sorted(each.label for each in sketches.list()) == ["5", "6"]
    assert [each.key for each in app.button] == ["draw-delete"]


def test_chosen_drawings_get_another_label_and_no_others(bench: Bench) -> None:
    sketches = bench.lab.store.sketches
    saved = [sketches.save(encode_ink(SKETCH), label=name, dataset="mnist") for name in "456"]

    @st.fragment
    def part() -> None:
        saved_drawings._gallery(sketches.list(), [SKETCH] * len(sketches.list()), model_of())

    app = draw_alone(part)
    assert app.selectbox(key="draw.relabel").disabled
    app.pills(key="draw.doomed").set_value([saved[0].id, saved[2].id]).run()
    app.selectbox(key="draw.relabel").set_value("9").run()
    assert [each.label for each in sketches.list()] == ["9", "5", "9"]
    assert (app.selectbox(key="draw.relabel").value, app.pills(key="draw.doomed").value) == (None, [])


def test_drawings_count_if_their_data_set_has_the_networks_classes_and_their_label_is_one(bench: Bench) -> None:
    for name, dataset in (("4", "mnist"), ("7", "digits"), ("a", "emnist-letters"), ("x", "mnist")):
        bench.lab.store.sketches.save(encode_ink(SKETCH), label=name, dataset=dataset)
    found = saved_drawings.same_classes([model_of(), model_of(2, dataset="emnist-letters")])
    assert sorted(each.label for each in found) == ["4", "7"]


@pytest.mark.parametrize(
    ("dataset", "ink", "chosen", "ready"),
    [
        ("mnist", True, "4", True),
        ("mnist", True, None, False),
        ("mnist", False, "4", False),
        ("mnist", True, "x", False),  # chosen for a previous network with letters
        ("emnist-letters", True, "a", True),
    ],
)
def test_a_drawing_can_be_saved_once_there_is_ink_and_a_label(
    bench: Bench, dataset: str, ink: bool, chosen: str | None, ready: bool
) -> None:
    sketch, model = (SKETCH if ink else BLANK), model_of(dataset=dataset)
    if dataset == "emnist-letters":
        chosen = model.loaded.class_names[0]

    def part() -> None:
        saved_drawings.save_form([model], sketch)

    app = draw_alone(part, state={DRAW.state_key: DrawState(label=chosen)})
    few = app.get("selectbox") == []
    assert few is (dataset == "mnist")
    button = app.button(key="draw-save")
    assert button.disabled is not ready
    words = "The drawing is saved with this label" if ink else "Draw something first."
    assert app.caption[0].value.startswith(words)


def test_a_read_only_lab_saves_no_drawing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_READ_ONLY", "1")
    app = draw_alone(
        lambda: saved_drawings.save_form([model_of()], SKETCH), state={DRAW.state_key: DrawState(label="4")}
    )
    assert app.button(key="draw-save").disabled


def test_only_the_users_own_runs_on_digits_can_be_fine_tuned(bench: Bench) -> None:
    own, letters = model_of(1, name="own"), model_of(2, dataset="emnist-letters", name="letters")
    example = replace(model_of(3), run=replace(model_of(3).run, id="example-overfit"))
    second = model_of(4, name="second", dataset="digits")
    app = draw_alone(lambda: tune.fine_tune([letters, example, own, second], _saved("4"), [SKETCH]))
    assert app.selectbox[0].options == [f"own · {own.id[:4]}", f"second · {second.id[:4]}"]
    assert app.selectbox[0].value == own.id
    assert "3 epochs over your 1 drawing and part" in app.caption[0].value
    assert not draw_alone(lambda: tune.fine_tune([letters, example], _saved("4"), [SKETCH])).header


def test_a_fine_tuned_run_does_not_inherit_the_limits_of_its_parent() -> None:
    parent = RunConfig(max_steps=7, train_limit=50, warmup_epochs=1.5, shuffle=False, restore_best=True, batch_size=16)
    config = tune.tuned(parent, dataset="d", images=4000, parent="p")
    assert (config.max_steps, config.train_limit, config.warmup_epochs) == (0, 0, 0.0)
    assert (config.shuffle, config.restore_best, config.augment, config.batch_size) == (True, False, "sketch", 16)
