"""Parts of the Inside page without a network: a run in training, its epochs, a clicked cell, and galleries."""

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lab.inspection.metrics import Answers
from lab.runs.records import WEIGHTS, RunRecord, RunState, SavedFile
from pages.inside import answers as answers_page
from pages.inside import map as inside_map
from pages.inside.subject import INITIAL, Moment, Subject, _epoch_name
from pages.state.inside import INSIDE
from tests.web.addresses import draw_alone, open_page, set_address
from tests.web.web_data import Bench, series


@pytest.fixture(autouse=True)
def nothing_chosen() -> Iterator[None]:
    INSIDE.forget()
    yield
    INSIDE.forget()


def _save(bench: Bench, run: RunRecord, *epochs: int, best: int = 1) -> None:
    """Save weights after these epochs of ten steps; the validation loss is lowest at `best`."""
    for epoch in epochs:
        measured = {"test/accuracy": 0.1 * epoch, "val/accuracy": 0.2 * epoch, "val/loss": 1.0 + abs(epoch - best)}
        bench.write(run, *(series(name, np.array([value]), first=10 * epoch) for name, value in measured.items()))
        file = SavedFile(run.id, WEIGHTS, 10 * epoch, epoch, f"{run.id}/{epoch}", f"{epoch:064x}", 1, 0.0)
        bench.lab.store.files.add(run.id, run.lease, file)


def _open(page: Callable[[], None], /, **query: str) -> AppTest:
    app = AppTest.from_function(page, default_timeout=120)
    set_address(app, query)
    app.run()
    assert not app.exception, [each.value for each in app.exception]
    return app


def _slider(app: AppTest) -> dict[str, Any]:
    (found,) = [json.loads(each.proto.json) for each in app.get("bidi_component") if "epochs" in each.proto.json]
    return dict(found)


# -- a run and its epochs ----------------------------------------------------------------------------------------------


def _moment() -> None:
    import streamlit as st

    from pages.cache.lab import get_lab
    from pages.inside.subject import choose_moment

    subject = choose_moment(get_lab().store.runs.get(st.query_params["run"]))
    if subject is not None:
        st.text(f"{subject.moment.words} of {[m.epoch for m in subject.moments]}, {subject.answering.epoch} answers")


def test_a_run_in_training_is_followed_to_its_newest_epoch(bench: Bench) -> None:
    run = bench.start()
    app = _open(_moment, run=run.id)
    assert "The first epoch has not finished yet" in app.markdown[0].value
    assert len(app.caption) == 0
    _save(bench, run, 1, best=2)
    app.run()
    assert app.text[0].value == "after epoch 1 of [0, 1], 1 answers"
    assert [caption.value for caption in app.caption] == ["New epochs appear on the slider as soon as they are saved."]
    _save(bench, run, 2, best=2)
    app.run()
    assert app.text[0].value == "after epoch 2 of [0, 1, 2], 2 answers"
    shown = _slider(app)
    assert (shown["epochs"], shown["val"], shown["test"], shown["index"]) == (
        [0, 1, 2],
        [None, 0.2, 0.4],
        [None, 0.1, 0.2],
        2,
    )
    assert shown["names"] == ["Before training", "Epoch 1", "Epoch 2 of 3 (best so far)"]
    bench.finish(run)
    app.run()
    assert len(app.caption) == 0
    assert _slider(app)["names"][-1] == "Epoch 2 of 3 (best)"


def test_the_page_opens_with_the_newest_run_that_has_weights(bench: Bench) -> None:
    older = bench.start()
    _save(bench, older, 1, best=1)
    bench.finish(older)
    newer = bench.start(older.config.replace(seed=7))
    app = open_page("inside")
    assert app.selectbox[0].value == older.id
    assert app.selectbox[0].options[0].endswith(newer.id[:6])


def test_a_run_that_ended_without_weights_can_be_trained_again(bench: Bench) -> None:
    run = bench.start()
    bench.lab.store.leases.finish(run.id, run.lease, state=RunState.STOPPED, seconds=1.0)
    app = open_page("inside", run=run.id)
    assert any(each.value.startswith("**This run (stopped) saved no weights**") for each in app.markdown)
    again = [link.proto.query_string for link in app.get("page_link") if link.proto.label == "Train it again"]
    assert again == [f"run={run.id}"]


def _watched() -> None:
    import streamlit as st

    from pages.cache.lab import get_lab
    from pages.inside.subject import _watch

    run = get_lab().store.runs.get(st.query_params["run"])
    st.session_state["drawn"] = st.session_state.get("drawn", 0) + 1
    known = int(st.session_state.pop("known", 1))
    if run.state.live or st.session_state.pop("late", False):
        _watch(run, known)
    st.text(str(st.session_state["drawn"]))


@pytest.mark.parametrize(
    ("known", "finished", "drawn"), [(1, False, "1"), (0, False, "2"), (2, False, "2"), (1, True, "2")]
)
def test_the_page_reruns_when_another_epoch_is_saved_or_the_run_has_ended(
    bench: Bench, known: int, finished: bool, drawn: str
) -> None:
    run = bench.start()
    _save(bench, run, 1)
    if finished:
        bench.finish(run)
    app = AppTest.from_function(_watched, default_timeout=120)
    set_address(app, {"run": run.id})
    app.session_state["known"], app.session_state["late"] = known, finished
    assert app.run().text[0].value == drawn


def _starts() -> None:
    import streamlit as st

    from pages.cache.lab import get_lab
    from pages.inside.subject import _start, moments_of

    run = get_lab().store.runs.get(st.query_params["run"])
    st.text(str(_start(run, moments_of(run)[0])))


@pytest.mark.parametrize(
    ("epoch", "index", "sentence"),
    [
        (None, 2, ""),  # the best epoch
        ("0", 0, ""),
        ("1", 1, ""),
        ("4", 3, ""),
        ("3", 2, "The address has epoch='3', but it must be a saved epoch of this run, one from 0 to 4."),
        ("x", 2, "The address has epoch='x', but"),
    ],
)
def test_the_slider_starts_at_the_epoch_in_the_address_or_else_at_the_selected_one(
    bench: Bench, epoch: str | None, index: int, sentence: str
) -> None:
    run = bench.start()
    _save(bench, run, 1, 2, 4, best=2)
    bench.finish(run)
    app = _open(_starts, run=run.id, **({} if epoch is None else {"epoch": epoch}))
    assert app.text[0].value == str(index)
    assert [error.value.replace("\\", "").startswith(sentence) for error in app.error] == ([True] if sentence else [])


def test_an_epoch_is_named_by_its_number_and_the_selected_one_is_marked(bench: Bench) -> None:
    run = bench.start()
    _save(bench, run, 1, 3, best=3)
    run = bench.finish(run)
    names = [_epoch_name(run, Moment(epoch, "d")) for epoch in (0, 1, 3)]
    assert names == ["Before training", "Epoch 1", "Epoch 3 of 3 (best)"]
    subject = Subject(run, Moment(1, "d"), (Moment(0, INITIAL), Moment(1, "d")), None)  # type: ignore[arg-type]
    assert (subject.key, subject.answering.epoch) == ((run.id, "d"), 1)  # the newest, because epoch 3 is not among them


# -- answers -----------------------------------------------------------------------------------------------------------

CLASSES = ("zero", "one", "two")
ANSWERS = Answers(
    labels=np.array([0, 0, 1, 1, 2, 0]),
    predicted=np.array([0, 1, 1, 0, 2, 1]),
    confidence=np.array([0.9, 0.6, 0.5, 0.8, 0.99, 0.7]),
    losses=np.zeros(6),
)
SUBJECT: Any = SimpleNamespace(classes=CLASSES)


def test_a_click_on_a_cell_of_the_confusion_matrix_shows_its_images_most_confident_first() -> None:
    nothing, words = answers_page._found(SUBJECT, ANSWERS, "cell")
    assert (nothing.tolist(), words) == ([], "Click a cell of the matrix to see its images.")
    answers_page._pick_cell(0, 1)
    assert (INSIDE.read().cell, INSIDE.read().gallery) == ((0, 1), "cell")
    found, words = answers_page._found(SUBJECT, ANSWERS, "cell")
    assert (found.tolist(), words) == ([5, 1], "**zero** read as **one**: 2 images, most confident first.")
    answers_page._pick_cell(2, 2)
    found, words = answers_page._found(SUBJECT, ANSWERS, "cell")
    assert (found.tolist(), words) == ([4], "**two** read correctly: 1 image, most confident first.")
    answers_page._pick_cell(2, 1)
    assert answers_page._found(SUBJECT, ANSWERS, "cell")[1] == "No **two** was read as **one**."
    for cell in ((3, 0), (0, 3)):  # of a run with more classes
        answers_page._pick_cell(*cell)
        assert answers_page._found(SUBJECT, ANSWERS, "cell")[1].startswith("Click a cell")


def test_the_caption_of_a_cell_with_many_images_says_how_many_are_shown() -> None:
    many = Answers(np.zeros(80, int), np.ones(80, int), np.linspace(0.5, 0.9, 80), np.zeros(80))
    answers_page._pick_cell(0, 1)
    found, words = answers_page._found(SUBJECT, many, "cell")
    assert (len(found), found[0]) == (70, 79)
    assert words == "**zero** read as **one**: 80 images, 70 shown, most confident first."
    whole = Answers(*(part[:70] for part in (many.labels, many.predicted, many.confidence, many.losses)))
    assert "shown" not in answers_page._found(SUBJECT, whole, "cell")[1]
    assert answers_page._found(SUBJECT, many, "mistakes")[1].startswith("80 errors, 70 shown, most")
    right = Answers(np.zeros(1500, int), np.zeros(1500, int), np.linspace(0.5, 0.9, 1500), np.zeros(1500))
    assert answers_page._found(SUBJECT, right, "shaky")[1] == "1,500 correct, 70 shown, least confident first."


def test_errors_are_listed_most_confident_first_and_correct_answers_least_confident_first() -> None:
    found, words = answers_page._found(SUBJECT, ANSWERS, "mistakes")
    assert (found.tolist(), words) == ([3, 5, 1], "3 errors, most confident first: truth → answer.")
    found, words = answers_page._found(SUBJECT, ANSWERS, "shaky")
    assert (found.tolist(), words) == ([2, 0, 4], "3 correct, least confident first.")
    right = Answers(np.zeros(2, int), np.zeros(2, int), np.ones(2), np.zeros(2))
    assert answers_page._found(SUBJECT, right, "mistakes")[1] == "There are no errors at this epoch."


def _gallery() -> None:
    import numpy as np
    import streamlit as st

    from pages.inside.answers import _open, show_gallery
    from tests.web.test_web_inside_parts import ANSWERS, CLASSES, SimpleNamespace

    dataset = SimpleNamespace(test_images=np.zeros((6, 28, 28), np.uint8))
    show_gallery("g", SimpleNamespace(classes=CLASSES, dataset=dataset), ANSWERS, np.array([5, 4]))  # type: ignore[arg-type]
    show_gallery("none", SimpleNamespace(classes=CLASSES, dataset=dataset), ANSWERS, np.array([], int))  # type: ignore[arg-type]
    st.button("open", on_click=_open, args=(5,))


def test_a_gallery_names_truth_answer_and_confidence_and_a_click_opens_the_image() -> None:
    app = _open(_gallery, view="answers", epoch="2")
    (shown,) = [json.loads(each.proto.json) for each in app.get("bidi_component")]
    assert shown["tiles"] == [
        {"label": "Test image 5, a zero, read as one with 70 %", "one": "zero → one", "two": "70 %", "bad": True},
        {"label": "Test image 4, a two, read as two with 99 %", "one": "two", "two": "99 %", "bad": False},
    ]
    assert len(app.caption) == 1
    app.button[0].click().run()
    assert {name: app.query_params[name] for name in app.query_params} == {"view": "maps", "epoch": "2", "image": "5"}


@pytest.mark.parametrize(
    ("available", "offered"),
    [(30, [30]), (300, [300]), (360, [300, 360]), (2_000, [300, 1_000, 2_000]), (10_000, [300, 1_000, 2_000])],
)
def test_the_map_offers_up_to_2_000_images_and_never_more_than_there_are(available: int, offered: list[int]) -> None:
    subject: Any = SimpleNamespace(dataset=SimpleNamespace(test_images=np.zeros(available)))
    app = draw_alone(lambda: inside_map._choose(subject))
    assert app.selectbox[1].options == [f"{count:,}" for count in offered]
