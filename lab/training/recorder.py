"""Loss and accuracy of every step, gathered on the device and read in bulk: no step waits for its number."""

import numpy as np
import torch
from torch import Tensor


class Recorder:
    """Keeps the steps since the last `take`."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._loss: list[Tensor] = []
        self._logits: list[Tensor] = []
        self._labels: list[Tensor] = []
        self._time: list[float] = []

    def __len__(self) -> int:
        return len(self._time)

    def add(self, loss: Tensor, logits_BK: Tensor, y_B: Tensor, time_s: float) -> None:
        """Note one step; the tensors must be detached and never written again."""
        self._loss.append(loss)
        self._logits.append(logits_BK)
        self._labels.append(y_B)
        self._time.append(time_s)

    def take(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return (loss float64, right answers int64, images int64, time_s float64) per step and forget them."""
        images = np.array([len(y) for y in self._labels], dtype=np.int64)
        right = torch.cat(self._logits).argmax(1) == torch.cat(self._labels)
        flags = right.cpu().numpy().astype(np.int64)
        counts = np.add.reduceat(flags, np.concatenate([[0], np.cumsum(images)[:-1]]))
        loss = torch.stack(self._loss).double().cpu().numpy()
        time_s = np.array(self._time)
        self._clear()
        return loss, counts, images, time_s
