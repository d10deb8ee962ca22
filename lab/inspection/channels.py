"""What one channel of a layer responds to, and how the network does without it.

The images with the strongest values show what a filter detects (Zeiler and Fergus 2014, "Visualizing and understanding
convolutional networks", section 4); setting a channel to zero shows what it is needed for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lab.inspection.metrics import Answers, require_finite, score_logits
from lab.inspection.observe import compute_logits, in_this_thread

_STRONGEST = 12  # images


@dataclass(frozen=True, slots=True)
class ChannelStudy:
    """A channel on labelled images, by their index.

    strongest: the images with the highest values, highest first, (n,). values: these values, (n,). places: their row
    and column in the map, (n, 2). answers: to all images. without: to all images if the channel is zero everywhere.
    """

    strongest: np.ndarray
    values: np.ndarray
    places: np.ndarray
    answers: Answers
    without: Answers


@dataclass(frozen=True, slots=True)
class ClassChange:
    """The share of a class that is recognised, with a channel and without it."""

    label: int
    recognised: float
    without: float


def study_channel(
    network: nn.Module, images_u8: np.ndarray, labels: np.ndarray, *, layer: str, channel: int, mean: float, std: float
) -> ChannelStudy:
    """Return what a channel responds to and how the network does without it. Raises `InputError` if it has diverged.

    layer: a layer whose output is (B, C, H, W). If it runs twice, its last output counts. images_u8: uint8 (N, H, W) or
    (N, C, H, W). labels: (N,).
    """
    watch = _Watch(channel)
    with _hooked(network, layer, watch.record, at_end=watch.end):
        logits = compute_logits(network, images_u8, mean=mean, std=std)
    require_finite(logits, of="the test images")
    runs, run = watch.runs, 0

    def silence(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor | None:
        nonlocal run
        run = run % runs + 1
        if run < runs:
            return None
        silent = output.clone()
        silent[:, channel] = 0
        return silent

    with _hooked(network, layer, silence):
        without = compute_logits(network, images_u8, mean=mean, std=std)
    highest, at, width = watch.joined()
    strongest = np.argsort(-highest, kind="stable")[:_STRONGEST]
    places = np.stack(np.divmod(at[strongest], width), axis=1)
    return ChannelStudy(
        strongest, highest[strongest], places, score_logits(logits, labels), score_logits(without, labels)
    )


def class_changes(study: ChannelStudy) -> list[ClassChange]:
    """Return the classes in the images, those first whose recognised share falls most without the channel."""
    labels = study.answers.labels
    changes = [
        ClassChange(
            int(label),
            float(study.answers.right[labels == label].mean()),
            float(study.without.right[labels == label].mean()),
        )
        for label in np.unique(labels)
    ]
    return sorted(changes, key=lambda change: change.without - change.recognised)


class _Watch:
    """Records the highest value of a channel, and its place, for each image of every batch."""

    def __init__(self, channel: int) -> None:
        self.runs = 0  # of the layer in one forward pass
        self._channel = channel
        self._run = 0
        self._last = torch.empty(0)
        self._highest: list[Tensor] = []
        self._places: list[Tensor] = []

    def record(self, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        self._run += 1
        if self._channel < output.shape[1]:  # an earlier run of a shared layer may have fewer channels
            self._last = output[:, self._channel].float().clone()  # an in-place activation would overwrite it

    def end(self, *_arguments: Any) -> None:
        self.runs, self._run = self._run, 0
        highest, place = self._last.flatten(1).max(dim=1)
        self._highest.append(highest.cpu())
        self._places.append(place.cpu())

    def joined(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Return the highest value of each image (N,), its place in the flattened map (N,), and the map's width."""
        return torch.cat(self._highest).numpy(), torch.cat(self._places).numpy(), self._last.shape[-1]


@contextmanager
def _hooked(
    network: nn.Module, layer: str, hook: Callable[..., Any], *, at_end: Callable[..., None] | None = None
) -> Iterator[None]:
    """Call `hook` after each run of the layer in this thread, and `at_end` after each forward pass."""
    handles = [network.get_submodule(layer).register_forward_hook(in_this_thread(hook))]
    if at_end is not None:
        handles.append(network.register_forward_hook(in_this_thread(at_end)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
