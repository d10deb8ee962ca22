"""Decides when an answer is "unsure", by limits learned on the run's test set and checks of the ink.

A network gives a confident answer to any input, so its probability alone is not enough: a scribble has far more ink
than any digit, and a dot has no shape. An answer is unsure if the picture cannot belong to the data set, whatever the
network says, or if its features in the last hidden layer are unlike those of any training picture.
"""

from dataclasses import dataclass

import numpy as np

from lab.formatting import format_percent
from lab.sketch.crossed import is_crossed_out
from lab.sketch.normalise import measure
from lab.sketch.shape import Shape, learn_limits, shape_reason
from lab.sketch.sketch import Sketch
from lab.sketch.touching import Looks

CERTAIN_SHARE = 0.98  # share of correctly classified test images that each limit must leave certain
_USUAL = 0.995  # share of test pictures whose outline counts as usual
CROSSED_OUT = "it looks crossed out: a line or a cross runs across it"
_DOT = 2.2  # ink no longer than this many stroke widths is a dot (a disc has 1.8)
_HAIR = 6  # pixels: shorter ink is accidental


@dataclass(frozen=True, slots=True, eq=False)
class Familiar:
    """Features of training pictures in the last hidden layer, as unit vectors (N, D).

    least: the least usual cosine similarity to the nearest one. strange: the similarity below which a picture counts as
    strange and is checked for two digits that touch.
    """

    bank: np.ndarray
    least: float
    strange: float = -1.0

    def likeness(self, features_D: np.ndarray) -> float:
        """Return the cosine similarity of features to those of the nearest training picture."""
        return float((self.bank @ unit_rows(features_D[None])[0]).max())


@dataclass(frozen=True, slots=True, eq=False)
class UnsureRule:
    """Limits for the answers of one network and for its pictures.

    probability: least probability of the best answer. entropy: greatest entropy in nats. ink: usual (least, greatest)
    share of ink in [0, 1]. outline: longest usual outline, the summed differences of neighbouring pixels; scribbles
    have more. shape: limits of a picture's outline. familiar: features of training pictures, None if the network has no
    hidden layer. looks: training pictures themselves, for drawings and photos.
    """

    probability: float = 0.5
    entropy: float = 1.2
    ink: tuple[float, float] = (0.01, 0.4)
    outline: float = float("inf")
    shape: Shape = Shape()
    familiar: Familiar | None = None
    looks: Looks | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer is unsure, and the reasons as text if it is."""

    unsure: bool
    reasons: tuple[str, ...]


def compute_entropy(probabilities_BK: np.ndarray) -> np.ndarray:
    """Return the entropy of each row, in nats; K equal probabilities give log K."""
    safe = np.maximum(probabilities_BK, 1e-12)
    entropy: np.ndarray = -(probabilities_BK * np.log(safe)).sum(axis=1)
    return entropy


def unit_rows(rows_ND: np.ndarray) -> np.ndarray:
    """Return each row scaled to length 1; a row of zeros is left unchanged."""
    unit: np.ndarray = rows_ND / np.maximum(np.linalg.norm(rows_ND, axis=1, keepdims=True), 1e-12)
    return unit


def outline_length(images_BHW: np.ndarray) -> np.ndarray:
    """Return the total variation of uint8 pictures, in full steps from paper to ink: about two per pixel of stroke."""
    level = images_BHW.astype(np.float32) / 255
    across, down = np.abs(np.diff(level, axis=-1)), np.abs(np.diff(level, axis=-2))
    length: np.ndarray = across.sum(axis=(-1, -2)) + down.sum(axis=(-1, -2))
    return length


def learn_rule(probabilities_BK: np.ndarray, labels_B: np.ndarray, images_BHW: np.ndarray) -> UnsureRule:
    """Return limits learned from test pictures (uint8); each leaves `CERTAIN_SHARE` of the correct answers certain.

    With fewer than 20 correct answers, probability and entropy keep their defaults.
    """
    right = probabilities_BK.argmax(axis=1) == labels_B
    ink = images_BHW.reshape(len(images_BHW), -1).mean(axis=1) / 255
    usual = (float(ink.min()) * 0.7, float(ink.max()) * 1.15)
    outline = float(np.quantile(outline_length(images_BHW), _USUAL)) * 1.05
    shape = learn_limits(images_BHW)
    if right.sum() < 20:
        return UnsureRule(ink=usual, outline=outline, shape=shape)
    surest = probabilities_BK[right].max(axis=1)
    entropy = compute_entropy(probabilities_BK[right])
    # At least one half: below it the other classes together are likelier. The limits of a saturated network are kept
    # away from 1 and 0, or every drawing would be unsure.
    probability = float(np.clip(np.quantile(surest, 1 - CERTAIN_SHARE), 0.5, 0.9))
    limit = float(np.clip(np.quantile(entropy, CERTAIN_SHARE), 0.35, np.log(probabilities_BK.shape[1]) * 0.8))
    return UnsureRule(probability, limit, usual, outline, shape)


def _apart(value: float, limit: float) -> tuple[str, str]:
    """Return two shares in per cent, with as few digits as needed to distinguish them."""
    for digits in range(3):
        texts = format_percent(value, digits=digits), format_percent(limit, digits=digits)
        if texts[0] != texts[1]:
            break
    return texts


def assess_answer(
    probabilities_K: np.ndarray,
    *,
    rule: UnsureRule,
    sketch: Sketch | None = None,
    image: np.ndarray | None = None,
    features_D: np.ndarray | None = None,
) -> Verdict:
    """Return the verdict on one answer (probabilities in class order).

    sketch, image, features_D: the drawing, its normalised picture and its features in the last hidden layer; each is
    checked if it is given.
    """
    reasons = _shape_reasons(sketch) if sketch is not None else []
    if image is not None and not reasons:
        reasons = _picture_reasons(image, rule)
    top = float(probabilities_K.max())
    entropy = float(compute_entropy(probabilities_K[None])[0])
    if not top >= rule.probability:  # "not inside", so that NaN fails too
        share, usual = _apart(top, rule.probability)
        reasons.append(f"the best answer has only {share} (usual: at least {usual})")
    elif not entropy <= rule.entropy:
        largest = float(np.log(len(probabilities_K)))  # shares of the maximum are easier to judge than nats
        share, usual = _apart(entropy / largest, rule.entropy / largest)
        reasons.append(f"the answer is spread out (entropy {share} of the largest possible, usual: at most {usual})")
    strange = False
    if rule.familiar is not None and features_D is not None and not reasons:
        likeness = rule.familiar.likeness(features_D)
        strange = likeness < rule.familiar.strange
        if not likeness >= rule.familiar.least:
            reasons.append(
                f"it is unlike any training picture (similarity {likeness:.2f}, usual: {rule.familiar.least:.2f})"
            )
    if sketch is not None and not reasons:  # last: each takes milliseconds
        reasons = _overlaid(sketch, image, int(probabilities_K.argmax()), rule, strange=strange)
    return Verdict(bool(reasons), tuple(reasons))


def _picture_reasons(image: np.ndarray, rule: UnsureRule) -> list[str]:
    share = float(image.mean()) / 255
    if share > rule.ink[1]:
        return ["there is more ink than in any picture of the data set"]
    if share < rule.ink[0]:
        return ["there is less ink than in any picture of the data set"]
    if float(outline_length(image[None])[0]) > rule.outline:
        return ["its lines are longer and more tangled than the data set's"]
    reason = shape_reason(image, rule.shape)
    return [] if reason is None else [reason]


def _overlaid(sketch: Sketch, image: np.ndarray | None, label: int, rule: UnsureRule, *, strange: bool) -> list[str]:
    if is_crossed_out(sketch.ink):
        return [CROSSED_OUT]
    if image is None or rule.looks is None:
        return []
    if rule.looks.may_touch(image, label) or (strange and rule.looks.is_like_two(image, label)):
        return ["it may be two that touch"]
    return []


def _shape_reasons(sketch: Sketch) -> list[str]:
    found = measure(sketch)
    if found is None:
        return ["nothing is drawn"]
    if found.longest < _HAIR or found.longest <= _DOT * found.width:
        return ["it is only a dot"]
    return []
