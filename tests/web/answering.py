"""Untrained networks with a fixed answer, and answers, for the tests of the Draw page."""

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
    """A network that gives the same answer to every image."""

    def __init__(self, classes: int, answer: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(8.0 * nn.functional.one_hot(torch.tensor(answer), classes).float())

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(x_BCHW), -1)


def model_of(number: int = 1, *, answer: int = 3, layers: tuple[LayerView, ...] = (), **facts: Any) -> Model:
    """Return the model of a run on MNIST. answer: index of its answer. facts: other settings or fields of the run."""
    record = run(number, **{"dataset": "mnist", **facts})
    classes = get_dataset_spec(record.config.dataset).classes
    network = _Always(len(classes), answer)
    return Model(
        record, f"{number:064x}", LoadedNetwork(record, network, 2, 20, 0.25, 0.5, classes, 28, 1), UnsureRule(), layers
    )


def answer_of(label: str, *, unsure: str = "", classes: Sequence[str] = tuple("0123456789")) -> Answer:
    """Return an answer with a probability of 90 %. unsure: the reason why it is unsure, "" if it is not."""
    shares = np.full(len(classes), 0.1 / (len(classes) - 1))
    shares[list(classes).index(label)] = 0.9
    return Answer(shares, tuple(classes), Verdict(bool(unsure), (unsure,) if unsure else ()))
