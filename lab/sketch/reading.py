"""Networks' answers to drawings: probabilities, top classes, the ensemble's average, and verdicts."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import nn

from lab.architectures.inference_batches import inference_batch_size
from lab.data.channels import as_grey, normalise_images, with_channels
from lab.data.load import Dataset
from lab.data.recipes import Recipe
from lab.errors import InputError
from lab.formatting import format_percent
from lab.sketch.normalise import ALL_STEPS, STEPS, normalise
from lab.sketch.sketch import Sketch
from lab.sketch.touching import learn_looks
from lab.sketch.unsure import Familiar, UnsureRule, Verdict, assess_answer, learn_rule, unit_rows

LARGE = 5_000_000  # parameters; larger networks are slow for each picture
RULE_IMAGES = 1_000  # number of test pictures from which the unsure limits are learned
_STRANGE = 0.01  # share of test pictures whose features may count as unlike any training picture's
_UNUSUAL = 0.04  # share of test pictures that are checked for two digits that touch
_SELDOM = 0.2  # share of test pictures that are checked as well if they are rather wide for their class
_UNTYPICAL = 0.35  # share of test pictures that would be cut apart in a photo, to see whether they are two digits
_MEAN_LEAST = 0.5  # least probability of the mean's best answer; below it the other classes together are likelier
_CROWD = 3  # least number of digits in a photo that are judged together
_DOUBTED = 0.3  # share of unsure answers that makes the others unsure; half of it if two or more are unsure
_SLOW_IMAGES = 200  # like `RULE_IMAGES`, for large networks and those that enlarge their input


class NetworkLike(Protocol):
    """The part of a loaded run that is needed here; `lab.loaded_network.LoadedNetwork` implements it."""

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
    """The answer to one picture: probabilities float64 (K,) in class order, and the verdict on them.

    networks: the number of networks whose mean it is.
    """

    probabilities: np.ndarray
    class_names: tuple[str, ...]
    verdict: Verdict
    networks: int = 1

    @property
    def label(self) -> str:
        """Name of the likeliest class."""
        return self.class_names[int(self.probabilities.argmax())]

    @property
    def probability(self) -> float:
        """Probability of the likeliest class."""
        return float(self.probabilities.max())

    def top(self, count: int = 3) -> tuple[tuple[str, float], ...]:
        """Return the likeliest classes and their probabilities, best first; ties keep class order."""
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return tuple((self.class_names[i], float(self.probabilities[i])) for i in order)


def compute_probabilities(loaded: NetworkLike, images: np.ndarray) -> np.ndarray:
    """Return softmax probabilities float64 (B, K) for uint8 images (B, H, W) or (B, C, H, W)."""
    return run_network(loaded, images)[0]


def compute_features(loaded: NetworkLike, images: np.ndarray) -> np.ndarray:
    """Return the last linear layer's inputs (B, D) for uint8 images (B, H, W) or (B, C, H, W).

    Raises `InputError` if the network has no linear layer.
    """
    features = run_network(loaded, images)[1]
    if features is None:
        raise InputError("This network has no linear layer, so there is no last hidden layer to show.")
    return features


def run_network(loaded: NetworkLike, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return probabilities float64 (B, K) and the last linear layer's inputs (B, D), None without such a layer.

    images: uint8 (B, H, W) or (B, C, H, W). They are processed in batches that fit into memory, without gradients.
    """
    device = next((p.device for p in loaded.network.parameters()), torch.device("cpu"))
    probabilities: list[torch.Tensor] = []
    features: list[torch.Tensor] = []
    images_BCHW = with_channels(images)
    size = inference_batch_size(loaded.network, images=len(images_BCHW), image_shape=images_BCHW.shape[1:])
    with torch.inference_mode(), _last_inputs(loaded.network, features):
        for start in range(0, len(images_BCHW), size):
            part_BCHW = normalise_images(images_BCHW[start : start + size], mean=loaded.mean, std=loaded.std)
            x_BCHW = torch.from_numpy(np.ascontiguousarray(part_BCHW)).to(device)
            probabilities.append(torch.softmax(loaded.network(x_BCHW).double(), dim=1).cpu())
    if not probabilities:
        return np.zeros((0, len(loaded.class_names))), None
    return torch.cat(probabilities).numpy(), torch.cat(features).numpy() if features else None


@contextmanager
def _last_inputs(network: nn.Module, inputs_seen: list[torch.Tensor]) -> Iterator[None]:
    """Collect the last linear layer's inputs in this thread; others may use the network at the same time."""
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not linear:
        yield
        return
    me = threading.get_ident()

    def record(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if threading.get_ident() == me:
            inputs_seen.append(inputs[0].detach().float().flatten(1).cpu())

    handle = linear[-1].register_forward_pre_hook(record)
    try:
        yield
    finally:
        handle.remove()


def learn_network_rule(loaded: NetworkLike, dataset: Dataset, *, count: int = RULE_IMAGES) -> UnsureRule:
    """Return this network's rule for unsure answers.

    It is learned from the first `count` test pictures and twice as many training pictures.
    """
    images, labels = dataset.test_images[:count], dataset.test_labels[:count]
    probabilities, features = run_network(loaded, images)
    rule = learn_rule(probabilities, labels, as_grey(images))
    others, classes = dataset.train_images[: 2 * count], dataset.train_labels[: 2 * count]
    right = probabilities.argmax(axis=1) == labels
    if right.any() and len(others) and dataset.spec.recipe is not None:  # without a recipe there are no drawings
        looks = learn_looks(
            as_grey(images)[right], labels[right], as_grey(others), classes, share=_UNUSUAL, untypical=_UNTYPICAL
        )
        rule = replace(rule, looks=looks)
    _, known = run_network(loaded, others)
    if features is None or known is None:
        return rule
    bank = unit_rows(known)
    nearest = (unit_rows(features) @ bank.T).max(axis=1)
    least, strange = np.quantile(nearest, [_STRANGE, _SELDOM])
    return replace(rule, familiar=Familiar(bank, float(least), float(strange)))


def rule_images(parameters: int, input_size: str) -> int:
    """Return from how many test pictures to learn a rule, so that it takes about a second on a CPU."""
    return _SLOW_IMAGES if input_size in ("64", "224") or parameters > LARGE else RULE_IMAGES


def read_sketch(loaded: NetworkLike, sketch: Sketch, image: np.ndarray, *, rule: UnsureRule) -> Answer:
    """Return one network's answer to a drawing. image: the normalised drawing, uint8 (H, W)."""
    return read_image(loaded, image, rule=rule, sketch=sketch)


def read_image(loaded: NetworkLike, image: np.ndarray, *, rule: UnsureRule, sketch: Sketch | None = None) -> Answer:
    """Return one network's answer to a picture uint8 (H, W) or (C, H, W). sketch: the drawing it comes from, if any."""
    probabilities, features = run_network(loaded, image[None])
    seen = None if features is None else features[0]
    verdict = assess_answer(probabilities[0], rule=rule, sketch=sketch, image=as_grey(image[None])[0], features_D=seen)
    return Answer(probabilities[0], loaded.class_names, verdict)


def doubt_crowd(answers: Sequence[Answer]) -> list[Answer]:
    """Return one network's answers to everything found in a photo, all made unsure if many of several are.

    Text, patterns and other drawings consist of pieces, some of which look like digits.
    """
    unsure = sum(answer.verdict.unsure for answer in answers)
    few = unsure < _DOUBTED * len(answers) and not (unsure > 1 and unsure >= _DOUBTED / 2 * len(answers))
    if len(answers) < _CROWD or few:
        return list(answers)
    reason = f"{unsure} of the {len(answers)} things found in the picture are unsure"
    return [
        answer if answer.verdict.unsure else replace(answer, verdict=Verdict(True, (reason,))) for answer in answers
    ]


def average(answers: Sequence[Answer]) -> Answer | None:
    """Return the ensemble's answer: the mean probabilities of several networks; None if their classes differ.

    It is unsure if at least half of the networks are, or if they disagree so much that no class has a mean of one half.
    The reason given is the ensemble's, not that of a single network.
    """
    if len(answers) < 2 or len({answer.class_names for answer in answers}) > 1:
        return None
    mean = np.mean([answer.probabilities for answer in answers], axis=0)
    reasons = []
    unsure = sum(answer.verdict.unsure for answer in answers)
    if 2 * unsure >= len(answers):
        reasons.append(f"{_of_all(unsure, len(answers))} unsure")
    elif not mean.max() >= _MEAN_LEAST:  # "not inside", so that NaN fails too
        reasons.append(
            f"the networks disagree: on average their best answer has only {format_percent(mean.max(), digits=0)}"
        )
    return Answer(mean, answers[0].class_names, Verdict(bool(reasons), tuple(reasons)), len(answers))


def _of_all(some: int, count: int) -> str:
    if some == count:
        return "both networks are" if count == 2 else f"all {count} networks are"
    return f"{some} of {count} networks {'is' if some == 1 else 'are'}"


def compare_steps(
    loaded: NetworkLike, sketch: Sketch, *, recipe: Recipe, steps: frozenset[str] = ALL_STEPS
) -> Mapping[str, tuple[str, float]]:
    """Return the network's answer without each enabled step: step -> (label, probability)."""
    tried = [step for step in STEPS if step in steps]
    if sketch.blank or not tried:
        return {}
    images = np.stack([normalise(sketch, recipe=recipe, steps=steps - {step}) for step in tried])
    rows = compute_probabilities(loaded, images)
    return {s: (loaded.class_names[int(r.argmax())], float(r.max())) for s, r in zip(tried, rows, strict=True)}
