"""Parts of the Draw page without a browser: escaped HTML, validated messages, and two pads with the same strokes."""

import json
import re
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lab.config import RunConfig
from lab.data.recipes import RECIPES
from lab.errors import InputError
from lab.runs.records import RunState
from lab.sketch.normalise import normalise_steps
from lab.sketch.photo import Photo
from lab.sketch.reading import Answer, average
from lab.sketch.render import draw_digit
from lab.sketch.sketch import MAX_BRUSH, MIN_BRUSH, dump_strokes
from lab.sketch.unsure import Verdict
from pages.draw.game import rounds_html
from pages.draw.pad import canvas_of_strokes, strokes_of_canvas
from pages.draw.photo import _certainty, _digits, _label, _pasted, boxes_html
from pages.draw.tune import tuned
from pages.draw.view import STYLE, answers_html, line_html, percent, steps_html
from pages.state.draw import DRAW, Game
from pages.widgets.network_picture import answer_rows
from pages.widgets.pad import read_message, sketch_of
from tests.web.addresses import ENTRY, go_to, set_state
from tests.web.web_data import DIGITS_CONFIG, Bench

NAMES = tuple("0123456789")


def _answer(label: int, share: float = 0.9, *, unsure: str = "") -> Answer:
    shares = np.full(10, (1 - share) / 9)
    shares[label] = share
    return Answer(shares, NAMES, Verdict(bool(unsure), (unsure,) if unsure else ()))


def test_cards_show_label_probability_and_every_class_once() -> None:
    html = answers_html([("LeNet-5", "99 %", _answer(7))], answered=12, ink=500)
    assert 'data-answered="12" data-ink="500"' in html
    assert 'data-label="7"' in html
    assert html.count('class="cl-row') == 10
    assert "90.0 %" in html


def test_the_card_that_differs_from_the_majority_is_also_marked_as_text() -> None:
    cards = [("a", "", _answer(3)), ("b", "", _answer(3)), ("c", "", _answer(8))]
    html = answers_html(cards, answered=1, ink=1)
    assert html.count("cl-card differs") == 1
    assert html.count("· differs") == 1
    assert line_html(cards, blank=False).count("says") == 3
    assert "disagree" in line_html(cards, blank=False)


def test_an_unsure_answer_shows_its_reason_instead_of_a_probability() -> None:
    html = answers_html([("a", "", _answer(8, unsure="it is only a dot"))], answered=1, ink=1)
    assert "it is only a dot" in html
    assert 'data-unsure="1"' in html
    assert "<span>unsure</span>" in html
    assert "Unsure" in line_html([("a", "", _answer(8, unsure="it is only a dot"))], blank=False)


def test_the_average_is_not_counted_as_a_network_and_shows_its_own_reason() -> None:
    answers = [
        _answer(3, unsure="it is like no training picture"),
        *(_answer(3, unsure="there is more ink") for _ in "123"),
    ]
    answers.append(_answer(8))
    together = average(answers)
    assert together is not None
    cards = [(f"net {k}", "", answer) for k, answer in enumerate(answers)] + [("Ensemble", "average of 5", together)]
    assert "(4 of 5 unsure)" in line_html(cards, blank=False)
    assert "4 of 5 networks are unsure" in answers_html(cards, answered=1, ink=1)
    assert answers_html(cards, answered=1, ink=1).count("it is like no training picture") == 1


def test_the_summary_line_is_a_complete_sentence_for_any_number_of_networks() -> None:
    two = [("a", "", _answer(3, unsure="it is only a dot")), ("b", "", _answer(8, unsure="there is more ink"))]
    assert "both networks, each for the reason on its card." in line_html(two, blank=False)
    assert "it is only a dot." in line_html([two[0], two[0]], blank=False)  # the same for both
    many = [("a network with a long name of its own", "", _answer(digit)) for digit in (3, 3, 8, 3, 5, 8)]
    assert "<b>3</b> (3 networks), <b>5</b> (1 network), <b>8</b> (2 networks)." in line_html(many, blank=False)


def test_nothing_on_a_card_is_cut_off_except_a_long_name() -> None:
    rules = dict(re.findall(r"^\.(cl-[a-z]+) \{([^}]*)\}", STYLE, re.MULTILINE))
    for part in ("cl-why", "cl-sub", "cl-line"):
        assert "overflow: hidden" not in rules[part]
        assert not re.search(r"(?<![-\w])height:", rules[part])
        assert "nowrap" not in rules[part]


def test_an_empty_pad_has_no_answer() -> None:
    html = answers_html([("a", "", _answer(8))], answered=0, ink=0)
    assert 'data-label=""' in html
    assert "%" not in html
    assert "answer as you draw" in line_html([], blank=True)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a & b"])
def test_the_name_of_a_run_is_escaped(text: str) -> None:
    cards = [(text, text, _answer(1)), (text, text, _answer(2))]
    for html in (answers_html(cards, answered=1, ink=1), line_html(cards, blank=False)):
        assert text not in html
        assert "<script" not in html
        assert "<img" not in html


def test_a_probability_below_one_is_never_shown_as_100_percent() -> None:
    assert percent(1.0) == "100.0 %"
    assert percent(0.99999) == ">99.9 %"
    assert percent(0.9994) == "99.9 %"
    assert percent(0.0) == "0.0 %"


def test_the_whole_network_shows_no_answer_for_an_empty_drawing() -> None:
    logits = np.array([0.0, 4.0, 0.0])
    shown, blank = (answer_rows(logits, ("0", "1", "2"), None, blank=blank) for blank in (False, True))
    assert (shown["best"], shown["texts"][1]) == (1, "96.5 %")
    assert (blank["best"], blank["texts"], blank["shares"]) == (None, ["–"] * 3, [0.0] * 3)
    assert blank["classes"] == shown["classes"]


def test_each_normalisation_step_shows_the_answer_without_it_and_marks_a_change() -> None:
    pictures = normalise_steps(draw_digit("7"), recipe=RECIPES["mnist"])
    html = steps_html(pictures, without={"centre": ("1", 0.48), "crop": ("7", 0.9)}, answer=_answer(7))
    assert "<b>without: 1 at 48 %</b>" in html
    assert "without: 7 at 90 %" in html
    assert html.count("<figure>") == 6


def test_strokes_survive_a_round_trip_through_the_standard_canvas() -> None:
    text = dump_strokes(draw_digit("4").strokes)
    assert json.loads(strokes_of_canvas(canvas_of_strokes(text))) == json.loads(text)


def test_standard_canvas_strokes_are_offset_by_half_the_pen_and_a_dot_is_a_line_of_no_length() -> None:
    bent, dot = canvas_of_strokes("[[10,30,40,20,60,50,70],[6,5,8]]")["objects"]
    assert bent["path"] == [["M", 30, 40], ["L", 20, 60], ["L", 50, 70]]
    assert (bent["left"], bent["top"], bent["strokeWidth"], bent["fill"]) == (15, 35, 10, None)
    assert (bent["originX"], bent["originY"], bent["strokeLineCap"]) == ("left", "top", "round")
    assert dot["path"] == [["M", 5, 8], ["L", 5, 8]]
    assert (dot["left"], dot["top"]) == (2, 5)


def test_shapes_of_the_standard_canvas_that_are_not_strokes_are_ignored() -> None:
    drawing: dict[str, Any] = {
        "objects": [{"type": "Rect", "left": 3}, {"type": "Path", "path": [["M", 1, 2], ["Q", 3, 4, 5, 6], ["Z"]]}]
    }
    assert json.loads(strokes_of_canvas(drawing)) == [[16.0, 1.0, 2.0, 5.0, 6.0]]
    assert json.loads(strokes_of_canvas({})) == []


def test_the_message_of_the_pad_is_validated() -> None:
    message = read_message({"ink": '{"seq": 4, "version": 2, "pen": 900, "strokes": [[16, 1, 2, 3, 4]]}'})
    assert message == {"seq": 4, "version": 2, "pen": 40, "strokes": "[[16,1,2,3,4]]", "demo": False}
    assert read_message(None) is None
    assert read_message({"ink": None}) is None
    valid = '{"seq": 1, "version": 0, "pen": 1, "strokes": []}'
    for invalid in ("{", "[]", valid.replace("1", '"x"'), valid.replace("[]", "NaN"), valid.replace("version", "v")):
        with pytest.raises(InputError, match="cannot be read"):
            read_message({"ink": invalid})
    with pytest.raises(InputError, match="cannot be read"):
        sketch_of('[[16, "a", 2]]')


def test_fine_tuning_starts_from_the_parent_with_a_lower_rate_and_no_validation_split() -> None:
    parent = RunConfig(arch="lenet5", lr=0.01, schedule="one-cycle", epochs=9, val_fraction=0.2, patience=2)
    config = tuned(parent, dataset="drawings-mnist-0123456789ab", images=4000, parent="abc123")
    assert (config.init_from, config.arch, config.dataset) == ("abc123", "lenet5", "drawings-mnist-0123456789ab")
    assert config.lr == pytest.approx(0.003)
    assert (config.schedule, config.epochs, config.val_fraction, config.patience) == ("constant", 3, 0.0, 0)


def test_fine_tuning_avoids_a_last_batch_of_one_image_which_batch_norm_could_not_use() -> None:
    parent = RunConfig(arch="speedrun-cnn", batch_size=128)
    sizes = {images: tuned(parent, dataset="d", images=images, parent="p").batch_size for images in (3968, 3969)}
    assert sizes == {3968: 64, 3969: 63}  # 51 drawings 19 times and 3,000 pictures are 62 · 64 + 1


def test_a_failed_first_training_shows_its_reason_and_is_offered_again(bench: Bench) -> None:
    run = bench.start()
    bench.lab.hide_examples(True)
    app = AppTest.from_file(str(ENTRY), default_timeout=300).run()
    set_state(app, DRAW, training=run.id)
    go_to(app, "draw").run()
    assert not app.error
    bench.lab.store.leases.finish(
        run.id, run.lease, state=RunState.FAILED, reason="The disk is full: make room.", seconds=1.0
    )
    app.run()
    assert "is failed and cannot read yet. The disk is full: make room." in app.error[0].value.replace("\\", "")
    assert [button.label for button in app.button if button.label.startswith("Train a LeNet on")]


def _write_requested() -> None:
    import streamlit as st

    from pages.state.draw import requested_runs

    st.text("|".join(requested_runs()))


@pytest.mark.parametrize(
    ("query", "runs"),
    [
        ({"runs": "aaaa.bbbb.aaaa"}, "aaaa|bbbb"),
        ({"runs": "aaaa,bbbb,aaaa"}, "aaaa|bbbb"),
        ({"run": "aaaa"}, "aaaa"),
        ({"runs": ",aaaa,,bbbb"}, "aaaa|bbbb"),
        ({"runs": "", "run": "aaaa"}, "aaaa"),
        ({}, ""),
    ],
)
def test_links_to_one_run_and_to_several_runs_are_read(query: dict[str, str], runs: str) -> None:
    app = AppTest.from_function(_write_requested)
    for name, value in query.items():
        app.query_params[name] = value
    assert app.run().text[0].value == runs


def test_the_end_of_the_game_shows_each_drawing_and_the_input_of_every_network() -> None:
    game = Game(("3", "8"), 3, {"a": 1, "b": 2})
    game.drawn = [{"Asked": "3", "<one>": "3", "two": "unsure: 5"}, {"Asked": "8", "<one>": "8", "two": "8"}]
    game.pictures = [(b"drawn", b"first", b"second"), (b"drawn", b"first", b"second")]
    text = rounds_html(game)
    assert text.count("<figure>") == 2
    assert text.count("<img") == 6
    assert "unsure: 5" in text
    assert text.count("✓") == 3
    assert "<one>" not in text


@pytest.mark.parametrize(("width", "brush"), [(0.1, MIN_BRUSH), (900, MAX_BRUSH), (23.5, 23.5)])
def test_the_width_of_a_standard_canvas_stroke_is_clamped_to_the_pens_of_the_pad(width: float, brush: float) -> None:
    drawing = {"objects": [{"type": "path", "strokeWidth": width, "path": [["M", 1, 2], ["L", 3, 4]]}]}
    assert json.loads(strokes_of_canvas(drawing)) == [[brush, 1.0, 2.0, 3.0, 4.0]]


def test_a_pasted_picture_is_decoded_from_a_png_data_url_and_anything_else_is_refused() -> None:
    assert _pasted({"png": "data:image/png;base64,iVBORw=="}) == ("the pasted picture", b"\x89PNG")
    assert _pasted({}) is _pasted(None) is _pasted({"png": ""}) is None
    for invalid in (
        "data:image/jpeg;base64,iVBORw==",
        "data:image/png;base64,iVB\nORw==",
        "data:image/png;base64,iVBO*Rw==",
        "x",
    ):
        with pytest.raises(InputError, match=r"pasted picture cannot be read \(.+\): save it and upload the file"):
            _pasted({"png": invalid})


def test_the_digits_of_a_photo_show_how_many_are_unsure_and_the_reason_for_each() -> None:
    sure, unsure = _answer(3, 0.9), _answer(4, unsure="ink < digit")
    assert [_digits(read) for read in ([sure], [unsure], [sure, unsure, sure])] == [
        "<b>3</b>",
        "<b>4</b> (unsure)",
        "<b>343</b> (1 of 3 digits unsure)",
    ]
    assert (_certainty(sure), _certainty(unsure)) == ("90.0 %", "unsure: ink &lt; digit")


def test_the_label_of_a_digit_is_the_average_answer_with_a_question_mark_if_unsure() -> None:
    assert _label([_answer(3, 0.6), _answer(8, 0.9), _answer(8, 0.9)]) == "8"
    assert _label([_answer(3, 0.6), _answer(8, 0.9, unsure="odd")]) == "8?"  # half of them are unsure
    assert _label([_answer(3, 0.6, unsure="odd"), _answer(8, 0.9), _answer(8, 0.9)]) == "8"
    assert _label([_answer(3, unsure="odd")]) == "3?"
    other = Answer(np.array([0.1, 0.9]), ("no", "yes"), Verdict(False, ()))
    assert _label([_answer(3), other]) == "3"  # with other classes, so there is no average


def test_the_box_of_a_digit_is_relative_to_the_sheet_and_its_label_is_escaped() -> None:
    sheet = np.zeros((100, 200, 1), np.uint8)
    html = boxes_html(Photo((), (), (100, 200), sheet=sheet), [(10, 20, 60, 120), (0, 150, 100, 200)], ["7", "<3?"])
    assert re.findall(r'style="([^"]*)"><b>([^<]*)</b>', html) == [
        ("--left:0.1000;--top:0.1000;--wide:0.5000;--tall:0.5000", "7"),
        ("--left:0.7500;--top:0.0000;--wide:0.2500;--tall:1.0000", "&lt;3?"),
    ]
    assert 'aria-label="The photo with 2 digits found: 7, &lt;3?"' in html
    coloured = Photo((), (), (100, 200), sheet=np.repeat(sheet, 3, axis=2))
    assert "with 1 digit found: 7" in boxes_html(coloured, [(0, 0, 1, 1)], ["7"])


def _named_in_the_address() -> None:
    import streamlit as st

    from pages.draw.runs import _from_address

    known: dict = {}
    found, wrong = _from_address(known)
    st.text(f"{','.join(found)}|{wrong}|{','.join(known)}")


def test_the_first_six_runs_of_an_address_are_tested_and_missing_ones_are_reported(bench: Bench) -> None:
    runs = [bench.queue(DIGITS_CONFIG.replace(seed=seed)).id for seed in range(7)]
    app = AppTest.from_function(_named_in_the_address)
    for requested, found, errors in (
        (runs[:6], runs[:6], []),
        (
            runs,
            runs[:6],
            ["The address names 7 runs, but at most 6 can be tested at once. Only the first 6 are shown."],
        ),
        (["ffffffffffff", runs[0]], runs[:1], ["There is no run"]),
        ([], [], []),
    ):
        app.query_params["runs"] = ",".join(requested)
        app.run()
        assert app.text[0].value == f"{','.join(found)}|{bool(errors)}|{','.join(found)}"
        assert len(app.error) == len(errors)
        assert all(words in error.value.replace("\\", "") for words, error in zip(errors, app.error))
