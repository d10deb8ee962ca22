"""Loss and accuracy of every step, collected on the device and read in bulk, so that no step synchronises."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class StepResults(NamedTuple):
    """Results of steps, one entry per step."""

    loss: np.ndarray  # float64 (n,), mean over the batch
    correct: np.ndarray  # int64 (n,), correctly predicted images
    images: np.ndarray  # int64 (n,)


class StepBuffer:
    """Holds the results of the steps since the last `drain` on the device."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._loss: list[Tensor] = []
        self._logits: list[Tensor] = []
        self._labels: list[Tensor] = []

    def add(self, loss: Tensor, logits_BK: Tensor, y_B: Tensor) -> None:
        """Add one step; the tensors must be detached and never written again."""
        self._loss.append(loss)
        self._logits.append(logits_BK)
        self._labels.append(y_B)

    def drain(self) -> StepResults:
        """Return and clear the results, of which there must be at least one; waits for the device."""
        images = np.array([len(y) for y in self._labels], dtype=np.int64)
        hits = torch.cat(self._logits).argmax(1) == torch.cat(self._labels)
        flags = hits.cpu().numpy().astype(np.int64)
        correct = np.add.reduceat(flags, np.concatenate([[0], np.cumsum(images)[:-1]]))
        loss = torch.stack(self._loss).cpu().double().numpy()
        self._clear()
        return StepResults(loss, correct, images)
