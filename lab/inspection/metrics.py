"""Classification metrics: confusion matrix, per-class scores, calibration, and notable images. NumPy only.

Rows of a confusion matrix are the truth. Undefined values, such as the precision of a class that was never predicted,
are NaN.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lab.errors import InputError, NotFiniteError
from lab.strict_json import finite_or_none


def softmax(logits_NK: np.ndarray) -> np.ndarray:
    """Return probabilities (N, K)."""
    shifted = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def require_finite(logits: np.ndarray, *, of: str) -> None:
    """Raise `NotFiniteError` if some of a network's logits are not finite. of: the images, such as "this image"."""
    if not np.isfinite(logits).all():
        raise NotFiniteError(
            f"The network's outputs for {of} are not finite because its training diverged. Choose an earlier epoch."
        )


def sample_indices(available: int, count: int) -> np.ndarray:
    """Return the indices of `count` test images, evenly spaced because a data set can be sorted by class."""
    return np.linspace(0, available - 1, min(count, available)).round().astype(int)


@dataclass(frozen=True, slots=True)
class Answers:
    """A network's answers to labelled images, each array (N,).

    labels: the true classes. predicted: the answers. confidence: their probabilities. losses: cross-entropy in nats.
    If the logits of an image are not finite, there is no answer: `predicted` is -1, confidence and loss are NaN.
    """

    labels: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    losses: np.ndarray

    @property
    def answered(self) -> np.ndarray:
        """Whether each image has an answer, bool (N,)."""
        return np.asarray(self.predicted >= 0)

    @property
    def right(self) -> np.ndarray:
        """Whether each answer is right, bool (N,)."""
        return np.asarray(self.predicted == self.labels)

    @property
    def accuracy(self) -> float:
        """Share of right answers; NaN if there are no images."""
        return float(self.right.mean()) if len(self.labels) else float("nan")

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats; NaN if there are no images or an answer is missing."""
        return float(self.losses.mean()) if len(self.labels) else float("nan")


def score_logits(logits_NK: np.ndarray, labels: np.ndarray) -> Answers:
    """Return the answers given by logits (N, K), with the true labels (N,)."""
    answered = np.isfinite(logits_NK).all(axis=1)
    logits = np.where(answered[:, None], logits_NK, 0.0).astype(np.float64)
    top = logits.max(axis=1)
    total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return Answers(
        labels,
        predicted=np.where(answered, logits.argmax(axis=1), -1),
        confidence=np.where(answered, np.exp(top - total), np.nan),
        losses=np.where(answered, total - logits[np.arange(len(labels)), labels], np.nan),
    )


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, *, classes: int) -> np.ndarray:
    """Return counts int64 (K, K): row = truth, column = answer; images without an answer are not counted."""
    places = (labels * classes + predicted)[predicted >= 0]
    return np.bincount(places, minlength=classes * classes).reshape(classes, classes)


def as_rates(confusion: np.ndarray) -> np.ndarray:
    """Return each row divided by its sum; a class without images gives NaN."""
    with np.errstate(invalid="ignore"):
        return np.asarray(confusion / confusion.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True)
class PerClass:
    """Precision, recall and F1 in [0, 1] (NaN where undefined) and number of images, each (K,)."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray


def per_class(confusion: np.ndarray) -> PerClass:
    """Return each class's scores, computed from the confusion matrix."""
    hits = np.diag(confusion).astype(np.float64)
    truth, answered = confusion.sum(axis=1), confusion.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return PerClass(hits / answered, hits / truth, 2 * hits / (truth + answered), truth)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Answers in bins of confidence: mean confidence and accuracy (NaN for an empty bin) and count; edges (n+1,).

    ece: expected calibration error, the mean gap between confidence and accuracy weighted by count (Guo et al. 2017,
    equation 3); NaN if an answer is missing.
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray
    ece: float


def calibrate(answers: Answers, *, bins: int = 10) -> Calibration:
    """Return the numbers of a reliability diagram: the answers in bins of equal width by confidence."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    confidences, right = answers.confidence[answers.answered], answers.right[answers.answered]
    place = np.clip(np.ceil(confidences * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(place, weights=confidences, minlength=bins) / count
        accuracy = np.bincount(place, weights=right, minlength=bins) / count
    gaps = np.nan_to_num(np.abs(confidence - accuracy))  # of empty bins
    ece = float((gaps * count).sum() / max(1, count.sum())) if answers.answered.all() else float("nan")
    return Calibration(edges, confidence, accuracy, count, ece)


def find_cell(answers: Answers, *, truth: int, answer: int, limit: int = 60) -> np.ndarray:
    """Return the indices of the images in one cell of the confusion matrix, most confident first."""
    found = np.flatnonzero((answers.labels == truth) & (answers.predicted == answer))
    return found[np.argsort(-answers.confidence[found], kind="stable")][:limit]


def most_confident_errors(answers: Answers, *, limit: int = 40) -> np.ndarray:
    """Return the indices of the wrong answers, most confident first."""
    wrong = np.flatnonzero(answers.answered & ~answers.right)
    return wrong[np.argsort(-answers.confidence[wrong], kind="stable")][:limit]


def least_confident_correct(answers: Answers, *, limit: int = 40) -> np.ndarray:
    """Return the indices of the correct answers, least confident first."""
    right = np.flatnonzero(answers.right)
    return right[np.argsort(answers.confidence[right], kind="stable")][:limit]


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """All figures of one network on one labelled set."""

    images: int
    accuracy: float
    loss: float
    classes: tuple[str, ...]
    confusion: np.ndarray
    per_class: PerClass
    calibration: Calibration

    def as_dict(self) -> dict[str, Any]:
        """Return the report JSON-safe; numbers that are not finite become None."""
        figures = self.per_class
        return {
            "images": self.images,
            "accuracy": finite_or_none(self.accuracy),
            "loss": finite_or_none(self.loss),
            "calibration_error": finite_or_none(self.calibration.ece),
            "per_class": [
                {
                    "class": name,
                    "precision": finite_or_none(float(figures.precision[k])),
                    "recall": finite_or_none(float(figures.recall[k])),
                    "f1": finite_or_none(float(figures.f1[k])),
                    "images": int(figures.support[k]),
                }
                for k, name in enumerate(self.classes)
            ],
            "confusion": self.confusion.tolist(),
        }


def report(answers: Answers, *, classes: tuple[str, ...]) -> EvaluationReport:
    """Return all figures of the answers. Raises `InputError` if a label exceeds the classes."""
    if len(answers.labels) and int(answers.labels.max()) >= len(classes):
        raise InputError(f"A label is {int(answers.labels.max())}, but there are only {len(classes)} classes.")
    confusion = confusion_matrix(answers.labels, answers.predicted, classes=len(classes))
    return EvaluationReport(
        len(answers.labels),
        answers.accuracy,
        answers.loss,
        classes,
        confusion,
        per_class(confusion),
        calibrate(answers),
    )
