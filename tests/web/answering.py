"""Networks for the Draw page's tests that answer what they are told to, made without training."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from lab.data.registry import get_dataset_spec
from lab.inspection.observe import LayerView
from lab.loaded_network import LoadedNetwork
from lab.sketch.reading import Answer
from lab.sketch.render import draw_digit
from lab.sketch.sketch import sketch_from_strokes
from lab.sketch.unsure import UnsureRule, Verdict
from pages.draw.models import Model
from tests.charts.charts_data import run

SKETCH = draw_digit("4")
BLANK = sketch_from_strokes([])


class _Always(nn.Module):
    """A network that answers with one class whatever it is shown."""

    def __init__(self, classes: int, answer: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(8.0 * nn.functional.one_hot(torch.tensor(answer), classes).float())

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(x_BCHW), -1)


def model_of(number: int = 1, *, says: int = 3, layers: tuple[LayerView, ...] = (), **facts: Any) -> Model:
    """Return the model of a run on MNIST, of other data or settings where they are given. says: index of the class it names."""
    record = run(number, **{"dataset": "mnist", **facts})
    classes = get_dataset_spec(record.config.dataset).classes
    network = _Always(len(classes), says)
    return Model(
        record, f"{number:064x}", LoadedNetwork(record, network, 2, 20, 0.25, 0.5, classes, 28, 1), UnsureRule(), layers
    )


def answer_of(said: str, *, unsure: str = "", classes: Sequence[str] = tuple("0123456789")) -> Answer:
    """Return an answer of 90 %. unsure: why it is not to be believed."""
    shares = np.full(len(classes), 0.1 / (len(classes) - 1))
    shares[list(classes).index(said)] = 0.9
    return Answer(shares, tuple(classes), Verdict(bool(unsure), (unsure,) if unsure else ()))
