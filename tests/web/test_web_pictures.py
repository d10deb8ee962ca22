"""Pictures and cards of Inside and Draw as numbers: maps over their image, frames, cells, bars and scores."""

import re

import numpy as np
import pytest

from lab.config import RunConfig
from lab.data.registry import get_dataset_spec
from lab.inspection.kernels import Kernels
from lab.inspection.metrics import score_logits
from lab.inspection.picture import Box
from lab.inspection.receptive_field import ReceptiveField
from lab.inspection.stages import NetworkValues, Stage, StageValues
from lab.sketch.reading import Answer, average
from lab.sketch.unsure import Verdict
from pages.draw.game import _score
from pages.draw.models import Model
from pages.draw.tune import tuned
from pages.draw.view import answers_html, line_html, pictures_html
from pages.inside import weighted
from pages.inside.figures import framed, layer_words
from pages.inside.hand import _number, _table, _windows, scale_of
from pages.inside.map import _notes
from pages.inside.maps import _placed, _tile_height
from pages.state.draw import Game
from pages.widgets import network_picture

DIGITS = tuple("0123456789")

# -- Inside ------------------------------------------------------------------------------------------------------------


def test_a_map_that_depends_on_the_whole_image_is_stretched_over_it() -> None:
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert _placed(values, None, side=4, read_side=4).tolist() == [
        [1, 1, 2, 2],
        [1, 1, 2, 2],
        [3, 3, 4, 4],
        [3, 3, 4, 4],
    ]


def test_a_value_covers_the_pixels_it_is_centred_on_and_the_border_stays_empty() -> None:
    """An unpadded 3×3 convolution has no values for the border of a 4×4 image."""
    field = ReceptiveField(((0, 2),), 1, ((0, 2), (1, 3)))
    values = np.array([[1.0, 2.0], [3.0, 4.0]])
    placed = _placed(values, field, side=4, read_side=4)
    assert placed.tolist() == [[0, 0, 0, 0], [0, 1, 2, 0], [0, 3, 4, 0], [0, 0, 0, 0]]
    doubled = _placed(values, field, side=8, read_side=4)  # the network's input is the image at half its size
    assert doubled.tolist() == np.kron(placed, np.ones((2, 2))).tolist()


@pytest.mark.parametrize(
    ("side", "near", "height"), [(28, 84, 84), (24, 84, 96), (84, 84, 84), (85, 84, 84), (60, 84, 60)]
)
def test_tiles_are_enlarged_by_integer_factors(side: int, near: int, height: int) -> None:
    assert _tile_height(side, near) == height


def test_a_layer_is_named_without_its_container() -> None:
    assert layer_words("features.conv1", "Conv2d", (6, 28, 28)) == "conv1 · Conv2d · 6×28×28"


def _frame(text: str) -> list[float]:
    return [
        float(each) for each in re.findall(r"(?:top|left|width|height):([\d.]+)%", text.split("position:absolute")[1])
    ]


def test_a_frame_covers_its_first_to_its_last_cell() -> None:
    picture = np.zeros((10, 20, 3), np.uint8)
    top, left, width, height = _frame(framed(picture, "words", box=(2, 4, 5, 5)))
    assert (top, left, width, height) == (20.0, 25.0, 5.0, 30.0)
    top, left, width, height = _frame(framed(picture, "words", box=(0, 13, 7, 27), of=28))
    assert (top, left, width, height) == (0.0, 25.0, 75.0, 50.0)
    assert "box-shadow" not in framed(picture, "words")
    assert "&lt;b&gt;" in framed(picture, "<b>")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (3.0, "3"),
        (-3.0, "-3"),
        (999.0, "999"),
        (1000.0, "1000.00"),
        (0.256, "0.26"),
        (-0.001, "0.00"),
    ],
)
def test_a_cell_has_two_decimals_unless_it_is_a_small_integer(value: float, text: str) -> None:
    assert _number(value) == text


def test_cells_are_tinted_by_sign_and_by_their_share_of_the_bound() -> None:
    text = _table(np.array([[2.0, -1.0], [0.0, 4.0]]), 2.0, "Kernel")
    assert re.findall(r"(#\w+) (\d+)%", text) == [
        ("#e0861a", "60"),
        ("#3b8fd4", "30"),
        ("#3b8fd4", "0"),
        ("#e0861a", "60"),
    ]
    assert text.count("<tr>") == 2
    assert "<figcaption>Kernel</figcaption>" in text


def test_the_input_rows_of_a_value_are_clipped_to_the_image() -> None:
    weight, bias = np.zeros((1, 1, 3, 3)), np.zeros(1)
    same = Kernels("conv", weight, bias, stride=1, padding=1, dilation=1, groups=1)
    assert _windows(same, rows=4, side=4, span=3) == [(0, 1), (0, 2), (1, 3), (2, 3)]
    strided = Kernels("conv", weight, bias, stride=2, padding=0, dilation=1, groups=1)
    assert _windows(strided, rows=2, side=5, span=3) == [(0, 2), (2, 4)]


def test_the_colour_scale_is_centred_on_zero_if_there_are_negative_values() -> None:
    assert [scale_of(np.array(values)) for values in ([0.0, 1.0], [-1e-9, 1.0])] == ["viridis", "diverging"]


def test_of_many_classes_the_ten_most_likely_and_the_true_one_are_rows_of_the_answer() -> None:
    names = list("abcdefghijkl")
    likely = network_picture.answer_rows(np.arange(12.0), names, 5)
    assert (likely["rows"], likely["best"], likely["truth"]) == ([11, 10, 9, 8, 7, 6, 5, 4, 3, 2], 0, 6)
    rare = network_picture.answer_rows(np.arange(12.0), names, 1)
    assert (rare["classes"], rare["truth"]) == (list("lkjihgfedcb"), 10)
    assert network_picture.answer_rows(np.arange(12.0), names, None)["truth"] is None
    few = network_picture.answer_rows(np.log([1.0, 3.0]), ["no", "yes"], 0)
    assert (few["rows"], few["best"], few["truth"], few["texts"]) == ([0, 1], 1, 0, ["25.0 %", "75.0 %"])
    assert few["shares"] == pytest.approx([0.25, 0.75])


def test_a_term_is_drawn_as_a_bar_from_zero_to_its_side() -> None:
    def bar(value: float) -> list[str]:
        return re.findall(
            r"left:([\d.]+)%;width:([\d.]+)%;background:(#\w+)", weighted._row("x", value, "h", bound=4.0)
        )

    raises, lowers = "#e0861a", "#3b8fd4"
    assert [bar(value) for value in (2.0, -1.0, 8.0, -4.0, 0.0)] == [
        [("50.0", "25.0", raises)],
        [("37.5", "12.5", lowers)],
        [("50.0", "50.0", raises)],
        [("0.0", "50.0", lowers)],
        [("50.0", "0.0", raises)],
    ]
    assert bar(float("nan"))[0][1] == "0.0"
    assert "<i" not in weighted._row("bias", -0.25, "", bound=4.0)
    assert ">-0.250</span>" in weighted._row("bias", -0.25, "", bound=4.0)


def test_a_term_is_named_by_the_position_of_its_input() -> None:
    assert [weighted._where(index, (2, 2, 3)) for index in (0, 7, 11)] == [
        "#0, row 0, col 0",
        "#1, row 0, col 1",
        "#1, row 1, col 2",
    ]
    assert weighted._where(7, (12,)) == "#7"


def test_a_point_of_the_map_names_the_prediction_if_it_is_wrong() -> None:
    answers = score_logits(np.array([[5.0, 0.0], [5.0, 0.0], [0.0, 5.0]]), np.array([0, 1, 1]))
    assert _notes(answers, ("zero", "one"), 2) == ["zero, test image 0", "one read as zero, test image 1"]
    assert _notes(answers, ("zero", "one"), 3)[2] == "one, test image 2"


# -- Draw --------------------------------------------------------------------------------------------------------------


def _answer(label: int, share: float = 0.9, *, unsure: str = "", names: tuple[str, ...] = DIGITS) -> Answer:
    shares = np.full(len(names), (1 - share) / (len(names) - 1))
    shares[label] = share
    return Answer(shares, names, Verdict(bool(unsure), (unsure,) if unsure else ()))


def _cards(*answers: Answer) -> list[tuple[str, str, Answer]]:
    return [(f"net {k}", "", answer) for k, answer in enumerate(answers)]


def _common_answer(text: str) -> str:
    return re.findall(r'data-answer="([^"]*)"', text)[0]


def test_the_common_answer_is_the_averages_else_the_most_frequent_or_first_of_a_tie() -> None:
    three = (_answer(3), _answer(8), _answer(8))
    assert _common_answer(line_html(_cards(*three), blank=False)) == "8"
    assert _common_answer(line_html(_cards(_answer(8), _answer(3)), blank=False)) == "3"
    together = average([_answer(3, 0.99), _answer(8, 0.5), _answer(8, 0.5)])
    assert together is not None
    assert _common_answer(line_html([*_cards(*three), ("Ensemble", "", together)], blank=False)) == "3"
    assert "data-answer" not in line_html(_cards(*three), blank=True)
    assert "data-answer" not in line_html([], blank=False)


def test_networks_are_named_as_long_as_their_titles_fit_the_line() -> None:
    def line(first: int, second: int) -> str:
        return line_html([("a" * first, "", _answer(3)), ("b" * second, "", _answer(8))], blank=False)

    assert "says" in line(20, 25)
    assert "(1 network)" in line(20, 26)


def test_the_second_class_is_named_from_0_05_per_cent_on() -> None:
    def why(second: float) -> str:
        shares = np.zeros(10)
        shares[[3, 8]] = 1 - second, second
        html = answers_html(_cards(Answer(shares, DIGITS, Verdict(False, ()))), answered=1, ink=1)
        return re.findall(r'class="cl-why">([^<]*)<', html)[0]

    assert why(0.0005).startswith("then 8 (")
    assert why(0.0004) == "no other class is likely"


def test_of_many_classes_the_ten_most_likely_have_a_bar_and_ten_keep_their_order() -> None:
    letters = tuple("abcdefghijklmnopqrstuvwxyz")
    html = answers_html(_cards(_answer(25, names=letters)), answered=1, ink=1)
    names = re.findall(r"<i>(\w)</i>", html)
    assert len(names) == 10
    assert names[:3] == ["z", "a", "b"]
    few = answers_html(_cards(_answer(7, 0.5)), answered=1, ink=1)
    assert re.findall(r"<i>(\w)</i>", few) == list(DIGITS)
    assert re.findall(r'cl-row( first)?"><i>7', few) == [" first"]
    assert "width:50.0%" in few


def test_a_card_is_marked_if_it_differs_from_the_majority_of_sure_networks() -> None:
    cards = _cards(_answer(3), _answer(3), _answer(8), _answer(5, unsure="why"))
    html = answers_html(cards, answered=1, ink=1)
    assert [card.split('"')[0] for card in html.split('class="cl-card')[1:]] == ["", "", " differs", " cl-unsure"]
    assert "differs" not in answers_html(cards, answered=1, ink=0)


class _Named:
    """The attributes of a model that the game uses."""

    def __init__(self, id: str) -> None:
        self.id, self.title, self.spec = id, id, get_dataset_spec("digits")


@pytest.mark.parametrize(("right", "understood"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_a_drawing_is_understood_if_more_than_half_of_the_networks_read_it(right: int, understood: int) -> None:
    models: list[Model] = [_Named(name) for name in "abc"]  # type: ignore[list-item]
    game = Game(("3", "8"), 1, {"a": 4})
    _score(game, models, [_answer(3 if k < right else 8) for k in range(3)])
    assert (game.understood, game.round) == (understood, 2)
    assert game.scores == {"a": 4 + (right > 0), "b": int(right > 1), "c": int(right > 2)}


def test_half_of_the_networks_is_not_enough_and_an_unsure_answer_is_no_hit() -> None:
    models: list[Model] = [_Named(name) for name in "ab"]  # type: ignore[list-item]
    game = Game(("3", "3"), 1, {})
    _score(game, models, [_answer(3), _answer(8)])
    assert game.understood == 0
    _score(game, models, [_answer(3), _answer(3, unsure="why")])
    assert (game.understood, game.scores) == (0, {"a": 2, "b": 0})
    assert list(game.drawn[1].values()) == ["3", "3", "unsure: 3"]
    assert not game.running


def test_small_pictures_have_a_caption_and_small_print() -> None:
    html = pictures_html([(np.zeros((2, 2), np.uint8), "<1>", "read as 7")])
    assert "&lt;1&gt;<small>read as 7</small>" in html
    assert 'alt="&lt;1&gt;"' in html


def test_fine_tuning_is_short_with_a_lower_learning_rate_and_uses_every_drawing() -> None:
    parent = RunConfig(
        optimizer="sgd",
        momentum=0.8,
        lr=0.1,
        max_steps=7,
        warmup_epochs=1.0,
        schedule="cosine",
        train_limit=50,
        shuffle=False,
        restore_best=True,
        weight_decay=0.01,
        batch_size=16,
    )
    config = tuned(parent, dataset="digits", images=320, parent="abc1")
    expected = parent.replace(
        dataset="digits",
        init_from="abc1",
        epochs=3,
        max_steps=0,
        lr=0.03,
        warmup_epochs=0.0,
        schedule="constant",
        augment="sketch",
        val_fraction=0.0,
        restore_best=False,
        train_limit=0,
        shuffle=True,
    )
    assert config.replace(lr=0.03) == expected
    assert config.lr == pytest.approx(0.03)


@pytest.mark.parametrize(("signed", "orange"), [({"image", "answer"}, False), ({"conv"}, True)])
def test_colours_of_negative_values_are_named_only_if_a_map_has_some(signed: set[str], orange: bool) -> None:
    """The image is grey whatever its normalisation, and the answer is bars."""
    families = {"image": "input", "conv": "convolution", "answer": "linear"}
    stages = [
        Stage(Box(name, name, "", family, (1, 2, 2), 0, (), ()), closed=False) for name, family in families.items()
    ]
    none = np.zeros(0)
    values = {name: StageValues(none, none, -1.0 if name in signed else 0.0, 1.0) for name in families}
    words = network_picture.colour_words(stages, NetworkValues(values, none))
    assert words.startswith("Each layer has its own colour scale; brighter is stronger")
    assert ("orange is above zero" in words) is orange
