"""Synthetic curves, and checks that hold for all findings."""

import math
from collections.abc import Sequence

import numpy as np

from lab.config import RunConfig
from lab.diagnosis.curves import DataFacts, Points
from lab.diagnosis.rules import diagnose_run
from lab.findings import Finding

LOG_10 = math.log(10)
PER_EPOCH = 50  # steps
FACTS = DataFacts(
    10, {"train": 3_200, "val": 400, "test": 1_000}, {"train": 0.1124, "val": 0.1125, "test": 0.1135}
)  # similar to MNIST


def batches(values: Sequence[float] | np.ndarray) -> dict[str, Points]:
    """Return the loss of consecutive steps, starting at the first."""
    value = np.asarray(values, dtype=np.float64)
    return {"batch/loss": Points(np.arange(1, len(value) + 1), value)}


def epochs(**metrics: Sequence[float] | np.ndarray) -> dict[str, Points]:
    """Return metrics at the ends of epochs; `val_loss` is the series val/loss."""
    found = {}
    for name, values in metrics.items():
        value = np.asarray(values, dtype=np.float64)
        found[name.replace("_", "/")] = Points(PER_EPOCH * np.arange(1, len(value) + 1), value)
    return found


def flat(level: float, *, count: int = 6, accuracy: float = 0.1, jump: float | None = None) -> dict[str, Points]:
    """Return a run with a constant loss and accuracy. jump: the loss to which it rises after the first step."""
    loss = np.full(count * PER_EPOCH, level)
    if jump is not None:
        loss[1:15] = jump
    constant = np.full(count, level)
    shares = np.full(count, accuracy)
    return batches(loss) | epochs(
        train_loss=constant,
        train_accuracy=shares,
        val_loss=constant,
        val_accuracy=shares,
        test_loss=constant,
        test_accuracy=shares,
    )


def diagnose(
    config: RunConfig, curves: dict[str, Points], *, data: DataFacts = FACTS, ended: bool = True
) -> tuple[Finding, ...]:
    """Return the findings, after checking properties that all findings must have."""
    found = diagnose_run(config, curves, data, ended=ended)
    assert len({finding.code for finding in found}) == len(found)
    rates = {finding.remedy["lr"] > config.lr for finding in found if "lr" in finding.remedy}
    assert len(rates) < 2, "findings must not recommend both raising and lowering the learning rate"
    for finding in found:
        assert len(finding.message) < 300, finding.message
        assert "may" not in finding.message.split() or not (ended and curves), finding.message
        config.replace(**finding.remedy)  # a remedy must be a valid configuration
    return found


def codes(config: RunConfig, curves: dict[str, Points], *, data: DataFacts = FACTS, ended: bool = True) -> list[str]:
    """Return the codes of the findings."""
    return [finding.code for finding in diagnose(config, curves, data=data, ended=ended)]
