"""Rows that a step reads and writes at an index on the device, each with one kernel.

A step of a small network is a hundred kernels of 2 to 3 µs on a GPU, and each kernel of the engine adds to them.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lab.training.batches import Batches


class EpochPlan:
    """Image indices, labels and learning rate of every batch of an epoch: one row of 64-bit integers for each.

    `go_to` copies the row of a batch to a fixed place; `part_B`, `y_B` and `rate` are views of that place.
    """

    def __init__(self, batches: Batches) -> None:
        size, device = batches.batch_size, batches.device
        self.rows_SR = torch.zeros(batches.steps_per_epoch, 2 * size + 1, dtype=torch.int64, device=device)
        self.row_1R = torch.zeros(1, 2 * size + 1, dtype=torch.int64, device=device)
        self.part_B, self.y_B = self.row_1R[0, :size], self.row_1R[0, size:-1]
        self.rate = _rates(self.row_1R)[0]
        self._rates_S = _rates(self.rows_SR)
        self.labels_SB = self.rows_SR[:, size:-1]

    def set_images(self, places: Tensor, labels: Tensor) -> None:
        """Set image indices and labels (int64, on the device) of all batches, in order; the last may be smaller."""
        size = len(self.y_B)
        for rows_SB, values in ((self.rows_SR[:, :size], places), (self.labels_SB, labels)):
            rows_SB.copy_(F.pad(values, (0, rows_SB.numel() - len(values))).view_as(rows_SB))

    def set_rates(self, first: int, rates: np.ndarray) -> None:
        """Set the learning rates of the batches from `first` on."""
        self._rates_S[first : first + len(rates)].copy_(torch.from_numpy(rates))

    def go_to(self, batch_1: Tensor) -> None:
        """Make this batch, an index on the device, the current one."""
        torch.index_select(self.rows_SR, 0, batch_1, out=self.row_1R)


def _rates(rows_SR: Tensor) -> Tensor:
    """Return the last column as rates (S,), in the dtype that torch's fused optimizers read on the device."""
    dtype = torch.float64 if rows_SR.device.type == "cpu" else torch.float32
    return rows_SR[:, -1:].view(dtype)[:, 0]


def write_row(rows: Tensor, index_1: Tensor, row: Tensor) -> None:
    """Write the row at this index, which is on the device.

    Torch's deterministic algorithm would sort the indices, of which there is only one.
    """
    deterministic = torch.are_deterministic_algorithms_enabled()
    if deterministic:
        torch.use_deterministic_algorithms(False)
    try:
        rows.index_copy_(0, index_1, row.unsqueeze(0))
    finally:
        if deterministic:
            torch.use_deterministic_algorithms(True)
