"""Costs and curves that Train and Runs cache between reruns. Networks and their answers are in `inspection.py`.

Keys are ids and settings. Nothing cached here is the only copy: pressing C in Streamlit clears it all, which costs
time but never a run.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from lab.charts.data_url import svg_url
from lab.charts.spark import COLOUR, sparkline
from lab.config import RunConfig
from lab.errors import LabError
from lab.lazy import load
from lab.metrics import TEST_ACCURACY, VAL_ACCURACY
from lab.runs.records import RunRecord, Series
from lab.service.resolved import ResolvedConfig
from pages.cache.lab import get_lab
from pages.cache.torch_import import require_torch

if TYPE_CHECKING:
    from lab.service.costs import Estimate

_ENTRIES = 256
_CURVES = 64  # runs; 100,000 steps take 5 MB
_SPARKS = 1024  # small curves of 1 kB
_MINUTE_S = 60.0  # a run that finishes in the meantime can improve the estimate
_COSTLY = (  # the settings that change the cost of an epoch; a change of the others needs no new estimate
    "arch",
    "arch_options",
    "input_size",
    "dataset",
    "train_limit",
    "val_fraction",
    "folds",
    "batch_size",
    "max_steps",
    "optimizer",
    "device",
    "precision",
    "compile",
    "deterministic",
    "devices",
    "augment",
)
_LARGE = 64  # pixels; for inputs with a longer side, a smaller one is worth offering


def estimate_cost(resolved: ResolvedConfig) -> "tuple[Estimate, tuple[str, Estimate] | None]":
    """Return a configuration's cost and, for large inputs, the smallest input size with its cost.

    Raises what `lab.service.costs.estimate` raises. Imports torch if it is not imported yet.
    """
    config = resolved.config
    decisive = json.dumps({name: getattr(config, name) for name in _COSTLY}, sort_keys=True)
    cost, smaller = _estimate_cost(str(get_lab().settings.home), decisive, resolved)
    if smaller is not None:
        smaller = (smaller[0], replace(smaller[1], epochs=config.epochs))
    return replace(cost, epochs=config.epochs), smaller


@st.cache_data(max_entries=_ENTRIES, ttl=_MINUTE_S, show_spinner=False)
def _estimate_cost(
    home: str, decisive: str, _resolved: ResolvedConfig
) -> "tuple[Estimate, tuple[str, Estimate] | None]":
    require_torch()
    lab = get_lab()
    cost: Estimate = load("lab.service.costs:estimate")(lab, _resolved)
    return cost, load("lab.service.costs:smaller_input")(lab, _resolved) if cost.side > _LARGE else None


def estimate_seconds(config: RunConfig) -> float:
    """Return how long all epochs of a configuration will take, in seconds. Raises and imports as `estimate_cost`."""
    return _estimate_seconds(str(get_lab().settings.home), json.dumps(config.as_dict(), sort_keys=True))


@st.cache_data(max_entries=_ENTRIES, ttl=10 * _MINUTE_S, show_spinner=False)
def _estimate_seconds(home: str, config: str) -> float:
    require_torch()
    lab = get_lab()
    cost: Estimate = load("lab.service.costs:estimate")(
        lab, lab.validation.resolve(RunConfig.from_dict(json.loads(config)))
    )
    return cost.seconds


def run_points(run: RunRecord) -> Mapping[str, Series]:
    """Return all points of a run, read again only after it has progressed. The arrays must not be written to."""
    return _run_points(str(get_lab().settings.home), run.id, run.lease, str(run.state), run.progress.step or 0)


def run_spark(run: RunRecord, *, colour: str = COLOUR) -> str:
    """Return a run's accuracy curve as the data URL of a small SVG, "" if it has none or is damaged.

    It is the validation accuracy, or the test accuracy of a run that was not validated.
    """
    key = (str(get_lab().settings.home), run.id, run.lease, str(run.state), run.progress.epoch or 0)
    try:
        drawn = _run_spark(*key, colour=colour)
    except LabError:  # the run's own page reports what is wrong
        return ""
    return svg_url(drawn) if drawn else ""


@st.cache_data(max_entries=_SPARKS, show_spinner=False)
def _run_spark(home: str, run: str, lease: int, state: str, epoch: int, *, colour: str) -> str:
    metrics = (VAL_ACCURACY.id, TEST_ACCURACY.id)
    points = get_lab().holding(run).store.points.read(run, series=metrics)
    curve = next((points[metric] for metric in metrics if metric in points), None)
    return "" if curve is None else sparkline(curve.value, colour=colour)


@st.cache_resource(max_entries=_CURVES, show_spinner=False)
def _run_points(home: str, run: str, lease: int, state: str, step: int) -> Mapping[str, Series]:
    return get_lab().holding(run).store.points.read(run)
