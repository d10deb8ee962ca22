"""Choices on the Inside page, with an untrained network: maps, values, units, images, and the effect of clicks."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lab.config import RunConfig
from lab.inspection.attribution import Attribution
from lab.inspection.kernels import Kernels
from lab.inspection.metrics import Answers
from lab.inspection.picture import Box
from lab.inspection.plain_convolution import convolve, take_window
from lab.inspection.stages import Stage
from pages.cache.datasets import dataset_of
from pages.cache.inspection import outputs_of, stages_of
from pages.inside import hand, image, kernels, network, picked, views, weighted, why
from pages.inside.answers import may_ask
from pages.inside.map import _caught
from pages.inside.subject import INITIAL, Moment, Picture, Subject
from pages.state.inside import INSIDE
from pages.widgets.number_choice import show_refusal
from tests.web.addresses import draw_alone
from tests.web.shown_components import Shown
from tests.web.web_data import DIGITS_CONFIG, Bench

NUMBERS = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def nothing_chosen() -> Iterator[None]:
    INSIDE.forget()
    yield
    INSIDE.forget()


def _draw(part: Callable[[], object], **state: Any) -> Any:
    """Draw a part with these fields of the page's state; return the app, whose state `_state` reads."""
    return draw_alone(part, state={INSIDE.state_key: replace(INSIDE.record(), **state)})


def _state(app: Any) -> Any:
    return app.session_state[INSIDE.state_key]


def _untrained(bench: Bench, config: RunConfig = DIGITS_CONFIG) -> Subject:
    """Return a queued run before its training, with the initial weights of its seed."""
    run, moment = bench.queue(config), Moment(0, INITIAL)
    return Subject(run, moment, (moment,), dataset_of("digits"))


def _first(subject: Subject) -> Picture:
    return Picture(subject.dataset.test_images[0], int(subject.dataset.test_labels[0]), "test image 0")


# -- a place on maps ---------------------------------------------------------------------------------------------------

MAPS = np.array([[[0.0, 1.0], [2.0, -3.0]], [[9.0, 1.0], [np.nan, 4.0]], [[0.0, 0.0], [0.0, 0.0]]])  # (3, 2, 2)


@pytest.mark.parametrize(
    ("held", "chosen"),
    [
        ((), (0, 1, 1)),  # the strongest of the first map
        ((1,), (1, 0, 0)),  # NaN is not the strongest
        ((2,), (2, 0, 0)),
        ((1, 1, 1), (1, 1, 1)),
        ((7,), (2, 0, 0)),  # from a layer with more maps
        ((1, 5, 0), (1, 0, 0)),
    ],
)
def test_the_explained_value_is_the_chosen_one_or_else_the_strongest_of_its_map(
    held: tuple[int, ...], chosen: tuple[int, int, int]
) -> None:
    INSIDE.change(place=held)
    assert hand.chosen_place(MAPS) == chosen


@pytest.mark.parametrize(
    ("held", "limited"), [((1, 1, 0), (1, 1, 0)), ((7,), (2,)), ((7, 1, 1), (2,)), ((1, 5, 0), (1,)), ((), ())]
)
def test_a_place_from_another_layer_is_limited_to_the_maps_of_this_one(
    held: tuple[int, ...], limited: tuple[int, ...]
) -> None:
    assert _state(_draw(lambda: hand.take_place(MAPS), place=held)).place == limited


def test_choosing_a_filter_preserves_the_value_and_choosing_a_value_preserves_the_filter() -> None:
    INSIDE.change(place=(0, 1, 0))
    hand.choose_filter(2)
    assert INSIDE.read().place == (2, 1, 0)
    hand.choose_value(MAPS, 0, 1)
    assert INSIDE.read().place == (2, 0, 1)
    INSIDE.change(place=())
    hand.choose_filter(1)
    assert INSIDE.read().place == (1,)
    hand.choose_value(MAPS, 1, 0)
    assert INSIDE.read().place == (1, 1, 0)


def test_the_first_64_filters_are_offered_and_none_if_there_is_only_one(shown: Shown) -> None:
    many = NUMBERS.random((70, 2, 2))
    INSIDE.change(place=(3,))
    hand._choose_filter(many)
    assert ([len(shown.data["tiles"]), shown.data["selected"]], shown.data["tiles"][3]["one"]) == ([64, 3], "#3")
    shown.report("pick", 5)
    assert INSIDE.read().place == (5,)
    INSIDE.change(place=(66,))
    hand._choose_filter(many)
    assert shown.data["selected"] is None
    shown.given = {}
    hand._choose_filter(many[:1])
    assert shown.given == {}


# -- one value of a convolution ----------------------------------------------------------------------------------------


def _convolution(groups: int = 1) -> hand.Convolution:
    """Return four filters of 2×2 on four channels of 3×3."""
    given, weight = NUMBERS.normal(size=(4, 3, 3)), NUMBERS.normal(size=(4, 4 // groups, 2, 2))
    bias = NUMBERS.normal(size=4)
    made = convolve(given[None], weight, bias, groups=groups)[0]
    read = Kernels("conv", weight, bias, stride=1, padding=0, dilation=1, groups=groups)
    return hand.Convolution(given, read, made, np.maximum(made, 0), "before", "here", then="and then")


@pytest.mark.parametrize(("groups", "first"), [(1, 0), (2, 2), (4, 3)])
def test_a_value_is_shown_next_to_the_channel_of_its_group_that_contributes_most(
    shown: Shown, groups: int, first: int
) -> None:
    taken = _convolution(groups)
    window = take_window(taken.given, taken.kernels, filter=3, row=1, column=0)
    strongest = int(np.abs(window.products.sum(axis=(1, 2))).argmax())
    app = _draw(lambda: hand.show_convolution("value", taken), place=(3, 1, 0))
    data = shown.of("value")
    assert data["given"]["title"] == f"before, channel {first + strongest}, 3×3"
    assert data["made"]["title"] == "here, filter 3, 2×2: click a value"
    assert (data["place"], data["windows"]) == ([1, 0], [[0, 1], [1, 2]])
    sentence = app.markdown[0].value
    assert f"+ bias **{window.bias:.4f}** = **{window.value:.4f}**" in sentence
    assert f"The network computed **{taken.made[3, 1, 0]:.4f}**" in sentence
    assert app.markdown[1].value == "and then"
    own = float(window.products[strongest].sum())
    others = f" (this channel {own:.4f}, the other {4 // groups - 1} together {window.total - own:.4f})"
    assert (others in sentence) is (groups < 4)
    INSIDE.change(place=(3, 1, 0))
    shown.report("pick", [0, 1], key="value")
    assert INSIDE.read().place == (3, 0, 1)


def test_another_channel_can_be_chosen_and_one_that_does_not_exist_becomes_the_strongest(shown: Shown) -> None:
    taken = _convolution()
    sums = take_window(taken.given, taken.kernels, filter=0, row=0, column=0).products.sum(axis=(1, 2))
    for held, now in ((2, 2), (4, -1), (-1, -1)):
        app = _draw(lambda: hand.show_convolution("value", taken), place=(0, 0, 0), hand_channel=held)
        assert _state(app).hand_channel == now
        channel = held if held == now == 2 else int(np.abs(sums).argmax())
        assert shown.of("value")["given"]["title"].startswith(f"before, channel {channel},")
    (box,) = app.selectbox
    assert box.options[1] == f"channel 0 (its products sum to {sums[0]:.3f})"
    assert box.options[0] == f"the strongest one: {np.abs(sums).argmax()}"


def test_the_example_of_report_e_is_computed_by_loops(bench: Bench, shown: Shown) -> None:
    subject = _untrained(bench)
    app = _draw(lambda: hand.show_hand(subject, _first(subject)), hand="example")
    assert "The loops computed" in app.markdown[0].value
    assert shown.of("inside-hand")["given"]["title"] == "the image, channel 0, 4×4"
    assert shown.of("inside-hand")["made"]["side"] == [3, 3]


# -- units of a linear layer -------------------------------------------------------------------------------------------


def test_the_chosen_one_of_many_outputs_is_among_those_shown(shown: Shown) -> None:
    outputs = NUMBERS.normal(size=(300, 1, 1))
    app = _draw(lambda: weighted.choose_unit(outputs, 200, name="fc1", names=()))
    shown_tiles = shown.data["tiles"]
    assert (len(shown_tiles), shown.data["selected"]) == (128, 127)
    assert shown_tiles[127]["one"] == "#200"
    assert shown_tiles[126]["label"] == f"Output 126 of fc1, {outputs[126, 0, 0]:.3f}"
    assert [caption.value for caption in app.caption] == ["128 of 300 outputs."]
    for tile, unit in ((127, 200), (5, 5)):
        shown.report("pick", tile)
        assert INSIDE.read().place == (unit,)
    few = _draw(lambda: weighted.choose_unit(outputs[:2], 1, name="fc3", names=("no", "yes")))
    assert ([tile["one"] for tile in shown.data["tiles"]], shown.data["selected"]) == (["no", "yes"], 1)
    assert not few.caption


# -- the whole network -------------------------------------------------------------------------------------------------


def test_a_click_on_a_map_chooses_it_and_a_second_click_closes_it() -> None:
    INSIDE.change(stage="one", place=(2, 1, 1))
    network._pick("two", 2)
    assert (INSIDE.read().stage, INSIDE.read().place) == ("two", (2,))
    network._pick("two", 3)
    assert (INSIDE.read().stage, INSIDE.read().place) == ("two", (3,))
    INSIDE.change(place=(3, 1, 1))
    network._pick("two", 3)
    assert (INSIDE.read().stage, INSIDE.read().place) == ("", ())


def test_blocks_are_opened_and_closed_by_the_last_part_of_their_name() -> None:
    network._turn("features.residual1", True)
    network._turn("features.residual2", True)
    assert INSIDE.read().opened == ("residual1", "residual2")
    network._turn("features.residual1", False)
    assert INSIDE.read().opened == ("residual2",)


SMALL = DIGITS_CONFIG.replace(arch="resnet-small", input_size="32")


def test_blocks_and_stages_of_another_network_are_dropped_from_the_choices(bench: Bench) -> None:
    subject = _untrained(bench, SMALL)
    found: list[Any] = []
    app = _draw(lambda: found.append(network._opened(subject)), opened=("inception4a", "residual1"))
    assert found == [("features.residual1",)]
    assert _state(app).opened == ("residual1",)
    stages = stages_of(*subject.key, ())
    unknown = _draw(lambda: network._take_stage(stages), stage="conv9", place=(1,))
    assert (_state(unknown).stage, _state(unknown).place) == ("", ())
    known = _draw(lambda: network._take_stage(stages), stage=stages[1].box.id, place=(1,))
    assert (_state(known).stage, _state(known).place) == (stages[1].box.id, (1,))


def test_values_of_a_vector_can_be_chosen_only_in_a_linear_layer(bench: Bench) -> None:
    subject = _untrained(bench)
    picture, stages = _first(subject), stages_of(*subject.key, ())
    pooled = Stage(Box("pool", "pool", "", "pooling", (10, 1, 1), 0, ("pool",), ()), closed=False)
    assert network._place(subject, picture, pooled) is None
    found: list[Any] = []
    _draw(lambda: found.extend(network._place(subject, picture, each) for each in stages[-2:]), place=(7,))
    assert found == [(7, 0, 0), (7, 0, 0)]
    INSIDE.change(place=(7,))
    (mark,) = network._marks(subject, stages, stages[-1], (7, 0, 0))
    assert (mark.stage, mark.channel, mark.kind) == (stages[-1].box.id, 7, "pixel")
    assert (mark.top, mark.left, mark.height, mark.width) == (0, 0, 1, 1)


# -- one map of it -----------------------------------------------------------------------------------------------------


def test_the_chosen_one_of_many_maps_is_among_those_shown(shown: Shown) -> None:
    stage = Stage(Box("conv", "conv4", "", "convolution", (100, 2, 2), 0, ("conv",), ()), closed=False)
    INSIDE.change(place=(70, 1, 1))
    app = draw_alone(lambda: picked._layer(stage, NUMBERS.random((100, 2, 2)), 70))
    assert (len(shown.data["tiles"]), shown.data["selected"]) == (64, 63)
    assert [shown.data["tiles"][at]["one"] for at in (62, 63)] == ["#62", "#70"]
    assert [caption.value for caption in app.caption] == ["64 of 100 channels."]
    shown.report("pick", 4)
    assert INSIDE.read().place == (4, 1, 1)
    few = draw_alone(lambda: picked._layer(stage, NUMBERS.random((64, 2, 2)), 63))
    assert (shown.data["selected"], len(few.caption)) == (63, 0)
    shown.given = {}
    picked._layer(stage, NUMBERS.random((1, 2, 2)), 0)
    assert shown.given == {}


def _stage(subject: Subject, family: str, opened: tuple[str, ...] = ()) -> tuple[tuple[Stage, ...], Stage]:
    stages = stages_of(*subject.key, opened)
    return stages, next(each for each in stages if each.box.family == family)


def test_a_value_at_a_shortcut_is_the_sum_of_the_joined_values(bench: Bench, shown: Shown) -> None:
    subject = _untrained(bench, SMALL)
    stages, join = _stage(subject, "join", ("features.residual1",))
    app = _draw(lambda: picked.show_picked(subject, _first(subject), stages, join), place=(1, 2, 3))
    sentence = next(each.value for each in app.markdown if " = **" in each.value).replace("\\", "")
    terms, total = sentence.split(" = ")
    assert sum(map(float, terms.split(" + "))) == pytest.approx(float(total.strip("*")), abs=2e-4)
    added = outputs_of(*subject.key, join.box.nodes[:1], _first(subject).pixels)[join.box.nodes[0]]
    assert float(total.strip("*")) == pytest.approx(float(added[1, 2, 3]), abs=1e-4)
    pair = shown.of("inside-picked-value")
    assert pair["made"]["title"] == f"{join.box.title}, channel 1, {added.shape[1]}×{added.shape[2]}: click a value"
    assert pair["place"] == [2, 3]


def test_a_closed_block_says_what_it_contains_and_shows_no_arithmetic(bench: Bench, shown: Shown) -> None:
    subject = _untrained(bench, SMALL)
    stages, block = _stage(subject, "block")
    app = _draw(lambda: picked.show_picked(subject, _first(subject), stages, block), place=(1, 0, 0))
    assert f"The block's {block.box.detail} lie between" in app.caption[-1].value.replace("\\", "")
    assert not [each for each in app.markdown if "→" in each.value or " = **" in each.value]
    app.button[0].click().run()
    assert (_state(app).stage, _state(app).place) == ("", ())


# -- images ------------------------------------------------------------------------------------------------------------

LABELS = np.array([0, 1, 2] * 40)  # 120 images, 40 of each class
FEW: Any = SimpleNamespace(
    classes=("a", "b", "c"),
    dataset=SimpleNamespace(test_labels=LABELS, test_images=np.zeros((120, 4, 4), np.uint8)),
)


@pytest.mark.parametrize(
    ("only", "number", "first", "count", "selected"),
    [
        ("", 0, 0, 40, 0),
        ("", 41, 40, 40, 1),
        ("", 119, 80, 40, 39),
        ("b", 1, 1, 40, 0),
        ("b", 119, 1, 40, None),  # after the last image of the class: the last page
        ("b", 2, 1, 40, None),
    ],
)
def test_the_strip_shows_the_page_of_images_that_contains_the_chosen_one(
    shown: Shown, only: str, number: int, first: int, count: int, selected: int | None
) -> None:
    INSIDE.change(only=only)
    image._strip(FEW, number)
    shown_tiles = shown.data["tiles"]
    assert (shown_tiles[0]["label"], len(shown_tiles)) == (f"test image {first}", count)
    assert shown_tiles[0]["one"] == FEW.classes[LABELS[first]]
    assert shown.data["selected"] == selected


def test_choosing_a_class_chooses_its_first_image_unless_the_current_one_belongs_to_it() -> None:
    def first(only: str, chosen: int) -> int:
        app = _draw(lambda: image._first_of_class(FEW), only=only, image=chosen, source="upload")
        return int(_state(app).image)

    assert [first("b", 0), first("b", 4), first("", 5), first("z", 5)] == [1, 4, 5, 5]


def test_a_random_image_is_one_of_the_chosen_class() -> None:
    numbers = {int(_state(_draw(lambda: image._random(FEW), only="c", image=0)).image) for _ in range(3)}
    assert {int(LABELS[number]) for number in numbers} == {2}


def test_without_wrong_answers_there_is_no_next_mistake(bench: Bench) -> None:
    subject = _untrained(bench)
    none = replace(
        subject.dataset, test_labels=subject.dataset.test_labels[:0], test_images=subject.dataset.test_images[:0]
    )
    app = _draw(lambda: image._next_mistake(replace(subject, dataset=none)), image=4)
    assert [toast.value for toast in app.toast] == ["There are no errors at this epoch."]
    assert _state(app).image == 4


# -- a lasso -----------------------------------------------------------------------------------------------------------


def test_of_many_images_in_a_lasso_the_sixty_least_confident_are_shown(shown: Shown) -> None:
    subject: Any = SimpleNamespace(
        classes=("a", "b"), dataset=SimpleNamespace(test_images=np.zeros((80, 4, 4), np.uint8))
    )
    answers = Answers(np.zeros(80, int), np.zeros(80, int), np.linspace(0.9, 0.5, 80), np.zeros(80))
    app = draw_alone(lambda: _caught(subject, answers, np.arange(5, 75)))
    assert app.header[0].value == "70 images in the lasso"
    assert app.caption[0].value == "The 60 least confident of them."
    labels = [tile["label"].split(",")[0] for tile in shown.data["tiles"]]
    assert labels == [f"Test image {k}" for k in range(74, 14, -1)]
    few = draw_alone(lambda: _caught(subject, answers, np.arange(60)))
    assert len(few.caption) == 1
    assert [tile["label"].split(",")[0] for tile in shown.data["tiles"]] == [f"Test image {k}" for k in range(60)]


# -- why, kernels ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "values", "gap", "words"),
    [
        ("saliency", [0.5, -0.25], None, "Computed after epoch 3. Units are logits per unit of input."),
        ("smoothgrad", [0.5], None, "Computed after epoch 3. Units are logits per unit of input."),
        ("occlusion", [0.5], None, "Computed after epoch 3. Units are logits."),
        (
            "integrated-gradients",
            [0.5, -0.25],
            0.0312,
            "The values add up to 0.250, the difference between this logit and that of a black image, within 0.03.",
        ),
        ("grad-cam", [0.0, 0.0], None, "According to this method, nothing in the image is evidence for this class."),
    ],
)
def test_the_caption_of_an_attribution_states_its_unit(
    method: str, values: list[float], gap: float | None, words: str
) -> None:
    subject: Any = SimpleNamespace(moment=Moment(3, "d"))
    found = Attribution(method, 1, np.array([values]), gap)
    assert why._note(found, subject) == words
    assert why._signed(found) is (method != "grad-cam")


def test_the_explained_class_is_the_chosen_one_or_else_the_answer(bench: Bench) -> None:
    subject = _untrained(bench)
    picture = _first(subject)
    answer = int(image.probabilities_of(*subject.key, picture.pixels).argmax())
    found: list[int] = []
    for target in ("answer", (answer + 1) % 10, 12):
        app = _draw(lambda: found.append(why._choose_class(subject, picture)), target=target)
    assert found == [answer, (answer + 1) % 10, answer]
    assert _state(app).target == "answer"


@pytest.mark.parametrize(("count", "held", "channel"), [(1, 3, 0), (3, 1, 1), (3, 5, 2)])
def test_an_input_channel_beyond_the_last_one_becomes_the_last_one(count: int, held: int, channel: int) -> None:
    found: list[int] = []
    app = _draw(lambda: found.append(kernels._input_channel(count)), input_channel=held)
    assert found == [channel]
    assert app.number_input[0].disabled is (count == 1)


def test_a_number_out_of_range_is_refused_with_a_message_and_the_nearest_is_shown() -> None:
    found: list[int] = []

    def part() -> None:
        found.append(kernels._input_channel(3))
        show_refusal(INSIDE.widget_key("input_channel"), beside=found[-1])

    app = _draw(part)
    (number_input,) = app.number_input
    # With limits, the browser would not send a number outside them.
    assert (number_input.proto.has_min, number_input.proto.has_max) == (False, False)
    for typed, taken, errors in (
        (5, 2, ["Input channel is 5, but it must be from 0 to 2: 2 is shown."]),
        (-4, 0, ["Input channel is -4, but it must be from 0 to 2: 0 is shown."]),
        (1, 1, []),
    ):
        app.number_input[0].set_value(typed).run()
        app.run()  # the message is still shown after a rerun
        shown = [each.value.replace("\\", "") for each in app.error]
        assert (found[-1], app.number_input[0].value, _state(app).input_channel, shown) == (taken, taken, taken, errors)
    app.number_input[0].set_value(9).run()
    app.session_state[INSIDE.state_key] = replace(_state(app), input_channel=1)  # changed outside the widget
    assert ([each.value for each in app.run().error], found[-1]) == ([], 1)


def test_a_frozen_layer_is_unchanged_and_undefined_cosine_similarities_are_left_out() -> None:
    still, turned = np.zeros(2), np.ones(2)
    shape = (2, 3, 5, 5)
    assert kernels.kernel_words(still, turned, shape, untrained=False) == (
        "2 filters of 5×5, 3 input channels each. This layer is frozen: training did not change it."
    )
    assert kernels.kernel_words(still, turned, shape, untrained=True).endswith("to see training change them.")
    moved = kernels.kernel_words(np.array([0.5, 0.1]), np.full(2, np.nan), shape, untrained=False)
    assert moved.endswith("#0 the most (50 %).")


# -- views -------------------------------------------------------------------------------------------------------------


def test_only_the_views_of_one_image_have_the_choice_of_an_image(bench: Bench, shown: Shown) -> None:
    subject = _untrained(bench)
    for view, with_source in (("kernels", False), ("hand", True)):
        shown.given = {}
        app = draw_alone(lambda: views.show_views(subject), address={"view": view})
        assert bool([each for each in app.button if each.label == "Next error"]) is with_source
        assert not app.error
    assert may_ask(subject)
