"""Compares the networks of two runs on the same test images with McNemar's test. Imports torch."""

import numpy as np

from lab.comparison.sides import check_comparable
from lab.comparison.verdict import Verdict, compare_answers
from lab.inspection.metrics import score_logits
from lab.inspection.observe import compute_logits
from lab.runs.records import RunRecord
from lab.service.lab import Lab


def compare_networks(lab: Lab, a: RunRecord, b: RunRecord) -> Verdict:
    """Return the verdict on the selected weights of two runs, from every image of their test set.

    Raises `InputError` for runs of different data sets and for runs without saved weights.
    """
    check_comparable([a], [b])
    return compare_answers(_right(lab, a), _right(lab, b))


def _right(lab: Lab, run: RunRecord) -> np.ndarray:
    """Return whether the run's network classifies each test image correctly, bool (N,)."""
    loaded = lab.weights.load(run.id)
    data = lab.datasets.load(run.config.dataset)
    logits = compute_logits(loaded.network, data.test_images, mean=loaded.mean, std=loaded.std)
    return score_logits(logits, data.test_labels).right
