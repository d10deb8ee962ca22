"""When the lab says "unsure" instead of naming a digit: limits learned on the run's test set, and a look at the ink.

A network shouts for anything it is shown, so probability alone does not do: a scribble has far more ink than any digit
and a dot has no shape. What cannot be a member of the data set is said to be none before the network is believed.
"""

from dataclasses import dataclass

import numpy as np

from lab.sketch.normalise import measure
from lab.sketch.sketch import Sketch

KEEP = 0.98  # share of rightly read test pictures that must not be called unsure, by each limit
_DOT = 2.2  # ink no longer than this many stroke widths is a dot (a disc has 1.8)
_HAIR = 6  # pixels: ink shorter than this is a slip of the hand


@dataclass(frozen=True, slots=True)
class UnsureRule:
    """Limits of one network: lowest largest probability, highest entropy in nats, and usual (least, most) mean ink.

    The ink is a share in [0, 1] of the normalised picture.
    """

    probability: float = 0.5
    entropy: float = 1.2
    ink: tuple[float, float] = (0.01, 0.4)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer should be believed, and the reasons in words if not."""

    unsure: bool
    reasons: tuple[str, ...]


def compute_entropy(probabilities_BK: np.ndarray) -> np.ndarray:
    """Return the entropy in nats of each row; K equal probabilities give log K."""
    safe = np.maximum(probabilities_BK, 1e-12)
    entropy: np.ndarray = -(probabilities_BK * np.log(safe)).sum(axis=1)
    return entropy


def learn_rule(probabilities_BK: np.ndarray, labels_B: np.ndarray, images_BHW: np.ndarray) -> UnsureRule:
    """Learn limits from test pictures (uint8), so that `KEEP` of those read rightly stay sure by each.

    With fewer than 20 right answers there is nothing to learn from: the plain defaults are returned.
    """
    right = probabilities_BK.argmax(axis=1) == labels_B
    ink = images_BHW.reshape(len(images_BHW), -1).mean(axis=1) / 255
    least, most = float(ink.min()), float(ink.max())
    if right.sum() < 20:
        return UnsureRule(ink=(least * 0.7, most * 1.15))
    surest = probabilities_BK[right].max(axis=1)
    entropy = compute_entropy(probabilities_BK[right])
    # Half is asked for at least: below it the others together are likelier. A saturated network's limits are kept
    # apart from 1 and 0, or every drawing would be unsure.
    probability = float(np.clip(np.quantile(surest, 1 - KEEP), 0.5, 0.9))
    limit = float(np.clip(np.quantile(entropy, KEEP), 0.35, np.log(probabilities_BK.shape[1]) * 0.8))
    return UnsureRule(probability, limit, (least * 0.7, most * 1.15))


def judge(
    probabilities_K: np.ndarray, *, rule: UnsureRule, sketch: Sketch | None = None, image: np.ndarray | None = None
) -> Verdict:
    """Say whether one answer (probabilities in class order) is unsure, given the drawing and its normalised picture."""
    reasons = _shape_reasons(sketch) if sketch is not None else []
    if image is not None and not reasons:
        share = float(image.mean()) / 255
        if share > rule.ink[1]:
            reasons.append("there is more ink than in any picture of the data set")
        elif share < rule.ink[0]:
            reasons.append("there is less ink than in any picture of the data set")
    top = float(probabilities_K.max())
    entropy = float(compute_entropy(probabilities_K[None])[0])
    if not top >= rule.probability:  # "not inside", so that NaN fails too
        reasons.append(f"the best answer has only {top:.0%} (usual: at least {rule.probability:.0%})")
    elif not entropy <= rule.entropy:
        reasons.append(f"the answer is spread out (entropy {entropy:.2f}, usual: at most {rule.entropy:.2f})")
    return Verdict(bool(reasons), tuple(reasons))


def _shape_reasons(sketch: Sketch) -> list[str]:
    found = measure(sketch)
    if found is None:
        return ["nothing is drawn"]
    if found.longest < _HAIR or found.longest <= _DOT * found.width:
        return ["it is only a dot"]
    return []
