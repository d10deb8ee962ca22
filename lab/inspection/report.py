"""Complete results for the CLI and other packages: the inspection of one image, the evaluation of one network."""

from dataclasses import dataclass

import numpy as np
from torch import nn

from lab.inspection.metrics import EvaluationReport, report, score_logits, softmax
from lab.inspection.observe import FeatureMaps, compute_logits, feature_maps, to_input


@dataclass(frozen=True, slots=True)
class Inspected:
    """One image through one network: a layer's maps and the probabilities (K,)."""

    maps: FeatureMaps
    probabilities: np.ndarray


def inspect_image(network: nn.Module, image_u8: np.ndarray, *, layer: str, mean: float, std: float) -> Inspected:
    """Return a layer's maps and the probabilities for a uint8 image (H, W) or (C, H, W).

    Raises `InputError` for an unknown layer.
    """
    maps = feature_maps(network, to_input(image_u8[None], mean=mean, std=std), layer=layer)
    return Inspected(maps, softmax(compute_logits(network, image_u8[None], mean=mean, std=std))[0])


def evaluate_network(
    network: nn.Module, images_u8: np.ndarray, labels: np.ndarray, *, mean: float, std: float, classes: tuple[str, ...]
) -> EvaluationReport:
    """Return all metrics of a network on uint8 images (N, H, W) or (N, C, H, W) with labels (N,)."""
    return report(score_logits(compute_logits(network, images_u8, mean=mean, std=std), labels), classes=classes)
