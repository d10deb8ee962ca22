"""What networks say about drawings: probabilities, top three, disagreement, an average, and whether to believe it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from lab.data import Dataset
from lab.errors import InputError
from lab.sketch.normalise import ALL_STEPS, RECIPES, SIDE, STEPS, normalise
from lab.sketch.photo import find_ink, read_picture
from lab.sketch.sketch import Sketch
from lab.sketch.unsure import UnsureRule, Verdict, judge, learn_rule

_CHUNK = 250  # pictures; larger chunks are slower on a CPU
RULE_IMAGES = 1_000  # test pictures the unsure limits are learned on
_SLOW_IMAGES = 200  # the same for networks that enlarge their input


class NetworkLike(Protocol):
    """What is needed of a loaded run; `lab.experiment.LoadedNetwork` has it."""

    @property
    def network(self) -> nn.Module: ...
    @property
    def mean(self) -> float: ...
    @property
    def std(self) -> float: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One network's reading of one picture: probabilities float64 (K,) in class order, and the verdict on them."""

    probabilities: np.ndarray
    class_names: tuple[str, ...]
    verdict: Verdict

    @property
    def label(self) -> str:
        """The likeliest class's name."""
        return self.class_names[int(self.probabilities.argmax())]

    @property
    def probability(self) -> float:
        """The likeliest class's probability."""
        return float(self.probabilities.max())

    def top(self, count: int = 3) -> tuple[tuple[str, float], ...]:
        """Return the likeliest classes and their probabilities, the best first; equals keep class order."""
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return tuple((self.class_names[i], float(self.probabilities[i])) for i in order)


def compute_probabilities(loaded: NetworkLike, images_BHW: np.ndarray) -> np.ndarray:
    """Return softmax probabilities (B, K) float64 of uint8 pictures (B, 28, 28), in chunks, without gradients."""
    device = next((p.device for p in loaded.network.parameters()), torch.device("cpu"))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(images_BHW), _CHUNK):
            chunk = torch.from_numpy(np.require(images_BHW[start : start + _CHUNK], requirements=["C", "W"])).to(device)
            x_BCHW = (chunk.unsqueeze(1).float() / 255 - loaded.mean) / loaded.std
            parts.append(torch.softmax(loaded.network(x_BCHW).double(), dim=1).cpu())
    return torch.cat(parts).numpy() if parts else np.zeros((0, len(loaded.class_names)))


def learn_network_rule(loaded: NetworkLike, dataset: Dataset, *, count: int = RULE_IMAGES) -> UnsureRule:
    """Learn when this network is unsure, from the first `count` test pictures of its data set."""
    images, labels = dataset.test_images[:count], dataset.test_labels[:count]
    return learn_rule(compute_probabilities(loaded, images), labels, images)


def rule_images(parameters: int, input_size: str) -> int:
    """Return how many test pictures to learn a rule on, so that it takes about a second on a CPU."""
    return _SLOW_IMAGES if input_size in ("64", "224") or parameters > 5_000_000 else RULE_IMAGES


def read_sketch(loaded: NetworkLike, sketch: Sketch, image: np.ndarray, *, rule: UnsureRule) -> Answer:
    """Ask one network about a drawing that was normalised to `image`, uint8 (28, 28)."""
    probabilities = compute_probabilities(loaded, image[None])[0]
    verdict = judge(probabilities, rule=rule, sketch=sketch, image=image)
    return Answer(probabilities, loaded.class_names, verdict)


def average(answers: Sequence[Answer]) -> Answer | None:
    """Return the ensemble: mean probabilities of networks that know the same classes; None if they do not.

    It is unsure where at least half of them are.
    """
    if len(answers) < 2 or len({answer.class_names for answer in answers}) > 1:
        return None
    mean = np.mean([answer.probabilities for answer in answers], axis=0)
    unsure = [answer.verdict for answer in answers if answer.verdict.unsure]
    verdict = Verdict(True, unsure[0].reasons) if 2 * len(unsure) >= len(answers) else Verdict(False, ())
    return Answer(mean, answers[0].class_names, verdict)


def disagree(answers: Iterable[Answer]) -> bool:
    """Whether the networks name different classes."""
    return len({answer.label for answer in answers}) > 1


def compare_steps(
    loaded: NetworkLike, sketch: Sketch, *, recipe_id: str, steps: frozenset[str] = ALL_STEPS
) -> Mapping[str, tuple[str, float]]:
    """Return, for every step that is on, what the network would say without it: step -> (label, probability)."""
    recipe = RECIPES[recipe_id]
    tried = [step for step in STEPS if step in steps]
    if sketch.blank or not tried:
        return {}
    images = np.stack([normalise(sketch, recipe=recipe, steps=steps - {step}) for step in tried])
    rows = compute_probabilities(loaded, images)
    return {s: (loaded.class_names[int(r.argmax())], float(r.max())) for s, r in zip(tried, rows, strict=True)}


def predict_images(
    loaded: NetworkLike,
    pictures: Iterable[tuple[str, bytes]],
    *,
    dataset: Dataset,
    sketch: bool = False,
) -> list[dict[str, Any]]:
    """Read image files: one JSON-safe `{"image", "label", "probabilities", "unsure"}` each, in order.

    pictures: (name, file content). With `sketch` they may have any size and either polarity and go through the drawing
    page's path; without, they must be 28×28 like the data set's own. Raises `InputError` naming the picture.
    """
    rule = learn_network_rule(loaded, dataset)
    return [_predict_image(loaded, name, data, dataset, rule, sketch) for name, data in pictures]


def _predict_image(
    loaded: NetworkLike, name: str, data: bytes, dataset: Dataset, rule: UnsureRule, as_sketch: bool
) -> dict[str, Any]:
    grey = read_picture(data, name=name)
    drawing: Sketch | None = None
    if as_sketch:
        drawing = find_ink(grey)
        image = normalise(drawing, recipe=RECIPES[dataset.spec.recipe])
    elif grey.shape == (SIDE, SIDE):
        image = grey
    else:
        raise InputError(
            f"{name} has {grey.shape[1]}×{grey.shape[0]} pixels, but the network takes {SIDE}×{SIDE}: add --sketch to "
            "have it cut out and scaled like a drawing."
        )
    probabilities = compute_probabilities(loaded, image[None])[0]
    verdict = judge(probabilities, rule=rule, sketch=drawing, image=image)
    return {
        "image": name,
        "label": loaded.class_names[int(probabilities.argmax())],
        "probabilities": [float(p) for p in probabilities],
        "unsure": verdict.unsure,
    }
