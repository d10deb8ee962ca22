"""When an answer is unsure: by limits learned on test pictures, and by the drawing's own shape."""

import numpy as np
import pytest
from torch import nn

from lab.data.recipes import RECIPES
from lab.errors import InputError
from lab.sketch.normalise import normalise
from lab.sketch.reading import (
    Answer,
    average,
    compare_steps,
    compute_features,
    compute_probabilities,
    read_sketch,
    rule_images,
)
from lab.sketch.render import draw_digit
from lab.sketch.sketch import Sketch, Stroke, sketch_from_strokes
from lab.sketch.unsure import Familiar, UnsureRule, Verdict, assess_answer, compute_entropy, learn_rule, outline_length
from tests.sketch.conftest import Loaded

SURE = np.array([0.97, 0.01, 0.02])
RULE = UnsureRule(probability=0.6, entropy=0.8, ink=(0.01, 0.4))


def test_uniform_probabilities_have_the_entropy_log_k() -> None:
    assert compute_entropy(np.full((1, 10), 0.1))[0] == pytest.approx(np.log(10))
    assert compute_entropy(np.array([[1.0, 0.0]]))[0] == pytest.approx(0.0, abs=1e-9)


def test_learned_limits_leave_the_intended_share_of_correct_answers_sure() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 1, (1000, 10))
    labels = random.integers(0, 10, 1000)
    logits[np.arange(1000), labels] += random.uniform(2, 9, 1000)
    rows = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    images = np.zeros((1000, 28, 28), dtype=np.uint8)
    images[:, 5:20, 10:13] = random.integers(100, 255, (1000, 1, 1))
    rule = learn_rule(rows, labels, images)
    right = rows.argmax(1) == labels
    sure = [not assess_answer(row, rule=rule, image=image).unsure for row, image in zip(rows[right], images[right])]
    assert np.mean(sure) > 0.9
    flat = np.full(10, 0.1)
    assert assess_answer(flat, rule=rule).unsure


def test_the_limits_of_an_always_certain_network_stay_loose_enough_for_drawings() -> None:
    rows = np.eye(10)[np.arange(100) % 10]
    rule = learn_rule(rows, np.arange(100) % 10, np.full((100, 28, 28), 30, dtype=np.uint8))
    assert rule.probability <= 0.9
    assert rule.entropy >= 0.35


def test_too_few_correct_answers_leave_the_default_limits() -> None:
    rule = learn_rule(np.full((50, 2), 0.5), np.ones(50, dtype=int), np.full((50, 28, 28), 51, dtype=np.uint8))
    assert (rule.probability, rule.entropy) == (UnsureRule().probability, UnsureRule().entropy)
    assert rule.ink == pytest.approx((0.14, 0.23))


@pytest.mark.parametrize(
    ("strokes", "reason"),
    [
        ((), "nothing is drawn"),
        ((Stroke(((140.0, 140.0),), 16.0),), "only a dot"),
        ((Stroke(((140.0, 140.0), (143.0, 141.0)), 20.0),), "only a dot"),
    ],
)
def test_blank_drawings_and_dots_are_unsure_whatever_the_network_answers(
    strokes: tuple[Stroke, ...], reason: str
) -> None:
    verdict = assess_answer(SURE, rule=RULE, sketch=sketch_from_strokes(strokes))
    assert verdict.unsure
    assert reason in verdict.reasons[0]


def test_a_picture_with_too_much_or_too_little_ink_is_unsure() -> None:
    image = np.full((28, 28), 130, dtype=np.uint8)
    assert "more ink" in assess_answer(SURE, rule=RULE, sketch=draw_digit("8"), image=image).reasons[0]
    assert "less ink" in assess_answer(SURE, rule=RULE, image=np.zeros((28, 28), dtype=np.uint8)).reasons[0]


def test_a_tangle_has_a_longer_outline_than_any_digit() -> None:
    stripes = np.zeros((28, 28), dtype=np.uint8)
    stripes[::4] = 255  # seven lines from edge to edge: 28 pixels each, two edges, one at the border
    assert outline_length(stripes[None])[0] == pytest.approx(13 * 28)
    rule = UnsureRule(probability=0.6, outline=160.0)
    assert "tangled" in assess_answer(SURE, rule=rule, image=stripes).reasons[0]
    assert not assess_answer(SURE, rule=UnsureRule(probability=0.6, outline=400.0), image=stripes).unsure


def test_a_picture_unlike_any_training_picture_is_unsure() -> None:
    rule = UnsureRule(probability=0.6, familiar=Familiar(np.eye(3)[:2], least=0.9))
    assert not assess_answer(SURE, rule=rule, features_D=np.array([0.0, 5.0, 0.1])).unsure
    assert (
        "unlike any training picture" in assess_answer(SURE, rule=rule, features_D=np.array([0.1, 0.1, 5.0])).reasons[0]
    )
    assert assess_answer(SURE, rule=rule, features_D=np.zeros(3)).unsure


def test_the_features_are_the_last_linear_layers_input_and_no_hook_remains(halves: Loaded) -> None:
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    image[0, 3, 5] = 255
    features = compute_features(halves, image)
    assert np.flatnonzero(features[0]).tolist() == [3 * 28 + 5]
    assert not halves.network[1]._forward_pre_hooks


def test_a_network_without_linear_layer_has_no_features() -> None:
    with pytest.raises(InputError, match="no linear layer"):
        compute_features(Loaded(nn.Flatten()), np.zeros((1, 28, 28), np.uint8))


def test_a_clear_digit_is_sure_and_nan_is_not() -> None:
    image = np.full((28, 28), 30, dtype=np.uint8)
    assert assess_answer(SURE, rule=RULE, sketch=draw_digit("8"), image=image) == Verdict(False, ())
    assert assess_answer(np.array([np.nan, 0.5]), rule=RULE).unsure


@pytest.mark.parametrize(
    ("probabilities", "limits", "reason"),
    [
        # 0.62 ln(1/0.62) + 2 x 0.19 ln(1/0.19) = 0.9275 nats of ln 3 = 1.0986; the limit is 0.8 of them
        (
            [0.62, 0.19, 0.19],
            RULE,
            "the answer is spread out (entropy 84 % of the largest possible, usual: at most 73 %)",
        ),
        (
            [0.5, 0.5],
            UnsureRule(0.4, 0.5),
            "the answer is spread out (entropy 100 % of the largest possible, usual: at most 72 %)",
        ),
        ([0.3, 0.4, 0.3], RULE, "the best answer has only 40 % (usual: at least 60 %)"),
        ([0.596, 0.4, 0.004], RULE, "the best answer has only 59.6 % (usual: at least 60.0 %)"),
    ],
)
def test_limits_are_reported_as_shares_with_enough_digits_to_distinguish_them(
    probabilities: list[float], limits: UnsureRule, reason: str
) -> None:
    assert assess_answer(np.array(probabilities), rule=limits).reasons == (reason,)


def test_reading_gives_the_networks_own_probabilities(halves: Loaded) -> None:
    image = np.zeros((28, 28), dtype=np.uint8)
    image[10, 20:23] = 255  # three pixels on the right: logits 0 and 0.6
    answer = read_sketch(halves, draw_digit("1"), image, rule=UnsureRule(probability=0.5, ink=(0, 1)))
    assert answer.label == "right"
    assert answer.probability == pytest.approx(1 / (1 + np.exp(-0.6)), abs=1e-6)
    assert answer.top(2)[1] == ("left", pytest.approx(1 / (1 + np.exp(0.6)), abs=1e-6))
    assert compute_probabilities(halves, np.zeros((0, 28, 28), dtype=np.uint8)).shape == (0, 2)


def _answer(*shares: float, unsure: bool = False, names: tuple[str, ...] = ("a", "b")) -> Answer:
    return Answer(np.array(shares), names, Verdict(unsure, ("why",) if unsure else ()))


def test_the_ensemble_averages_and_is_unsure_if_half_of_its_networks_are() -> None:
    together = average([_answer(0.9, 0.1), _answer(0.3, 0.7, unsure=True), _answer(0.6, 0.4)])
    assert together is not None
    assert together.probabilities == pytest.approx([0.6, 0.4])
    assert not together.verdict.unsure
    half = average([_answer(0.9, 0.1), _answer(0.8, 0.2, unsure=True)])
    assert half is not None
    assert half.verdict == Verdict(True, ("1 of 2 networks is unsure",))  # without the reason of the one network
    both = average([_answer(0.9, 0.1, unsure=True)] * 2)
    assert both is not None
    assert both.verdict.reasons == ("both networks are unsure",)
    assert (both.networks, _answer(1.0, 0.0).networks) == (2, 1)
    assert average([_answer(1.0, 0.0)]) is None
    assert average([_answer(1.0, 0.0), _answer(1.0, 0.0, names=("x", "y"))]) is None


def test_networks_that_are_sure_of_different_answers_are_unsure_together() -> None:
    names = ("a", "b", "c")
    sure = [_answer(*shares, names=names) for shares in ((0.98, 0.01, 0.01), (0.01, 0.98, 0.01), (0.01, 0.01, 0.98))]
    together = average(sure)
    assert together is not None
    assert together.verdict.reasons == ("the networks disagree: on average their best answer has only 33 %",)


def test_without_centring_a_position_dependent_network_answers_differently(halves: Loaded) -> None:
    ink = np.zeros((280, 280), dtype=np.uint8)
    ink[40:240, 40:60] = 255  # a long stem on the left
    ink[40:60, 40:240] = 255  # and an arm to the right
    ink[40:100, 160:240] = 255
    changed = compare_steps(halves, Sketch(ink, "canvas"), recipe=RECIPES["mnist"])
    assert set(changed) == {"crop", "pen", "scale", "smooth", "centre"}
    assert changed["centre"][1] != pytest.approx(changed["smooth"][1], abs=0.02)
    assert compare_steps(halves, Sketch(np.zeros((9, 9), dtype=np.uint8), "canvas"), recipe=RECIPES["mnist"]) == {}


def test_a_picture_with_less_ink_than_any_of_the_data_set_is_unsure() -> None:
    image = np.zeros((28, 28), dtype=np.uint8)
    image[10:14, 14] = 255  # half a per cent of the picture
    verdict = assess_answer(SURE, rule=RULE, image=image)
    assert verdict.reasons == ("there is less ink than in any picture of the data set",)
    assert not assess_answer(SURE, rule=UnsureRule(probability=0.6, entropy=0.8, ink=(0.004, 0.4)), image=image).unsure


def test_the_likeliest_classes_come_first_and_ties_in_class_order() -> None:
    names = ("a", "b", "c", "d")
    equal = _answer(0.1, 0.4, 0.1, 0.4, names=names)
    assert equal.top() == (("b", 0.4), ("d", 0.4), ("a", 0.1))
    assert equal.top(1) == (("b", 0.4),)
    assert (equal.label, equal.probability) == ("b", 0.4)
    assert [name for name, _ in equal.top(9)] == ["b", "d", "a", "c"]


@pytest.mark.parametrize(
    ("parameters", "input_size", "images"),
    [
        (60_000, "native", 1_000),
        (5_000_000, "32", 1_000),
        (5_000_001, "32", 200),
        (60_000, "64", 200),
        (60_000, "224", 200),
    ],
)
def test_a_slow_network_learns_its_limits_on_fewer_pictures(parameters: int, input_size: str, images: int) -> None:
    assert rule_images(parameters, input_size) == images


def test_without_a_step_the_answer_is_that_to_the_picture_made_without_it(halves: Loaded) -> None:
    sketch, recipe = draw_digit("7"), RECIPES["mnist"]
    some = frozenset({"crop", "scale", "centre"})
    answers = compare_steps(halves, sketch, recipe=recipe, steps=some)
    assert list(answers) == ["crop", "scale", "centre"]
    for step, (label, probability) in answers.items():
        picture = normalise(sketch, recipe=recipe, steps=some - {step})
        (shares,) = compute_probabilities(halves, picture[None])
        assert (label, probability) == (halves.class_names[shares.argmax()], pytest.approx(shares.max()))
