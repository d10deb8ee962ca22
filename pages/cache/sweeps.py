"""Cached curves of a sweep's trials."""

from collections.abc import Mapping, Sequence

import streamlit as st

from lab.metrics import VAL_ACCURACY
from lab.sweeps.records import TrialRecord
from lab.sweeps.spec import SweepSpec
from pages.cache.lab import get_lab

_ENTRIES = 8


def epoch_curves(spec: SweepSpec, trials: Sequence[TrialRecord]) -> Mapping[str, Sequence[tuple[float, float]]]:
    """Return, by run, the epochs and the value measured after each.

    Empty if the sweep also evaluates between epochs: its values cannot be told apart from those after an epoch.
    """
    if spec.base.eval_every or "eval_every" in spec.space:
        return {}
    state = str(hash(tuple((trial.run, trial.seconds) for trial in trials)))
    return _epoch_curves(str(get_lab().settings.home), spec.objective, tuple(t.run for t in trials if t.run), state)


@st.cache_data(max_entries=_ENTRIES, show_spinner=False)
def _epoch_curves(
    home: str, objective: str, runs: tuple[str, ...], state: str
) -> Mapping[str, Sequence[tuple[float, float]]]:
    found = get_lab().store.points.read_across(runs, objective)
    error = objective == VAL_ACCURACY.id
    return {
        run: [(float(at + 1), 1 - value if error else value) for at, value in enumerate(series.value[series.step > 0])]
        for run, series in found.items()
    }
