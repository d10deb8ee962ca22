"""The trials as a table: settings, results, and the last decision on each trial."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from lab.config import FIELDS
from lab.formatting import percent_number, plural
from lab.sharing.comparison import setting_words
from lab.sweeps.records import TrialRecord, TrialState
from lab.sweeps.spec import SweepSpec
from pages.widgets.runs import STATUS_COLORS, state_width
from pages.widgets.table import NumberAsText, setting_cell, sortable

# A trial in training has the word of its run, and the others share theirs with runs, apart from two.
_COLORS = STATUS_COLORS | {str(TrialState.HELD): "orange", str(TrialState.COPY): "violet"}
_TRIAL_PX = 56  # for three digits, so that with two settings a decision is fully visible on a laptop
_DECISION_PX = 280  # for "finished after 8 epochs: 1st of 1 at that time"; by itself, the column would cut it off


def trials_table(spec: SweepSpec, trials: Sequence[TrialRecord]) -> None:
    """Draw the table, the newest trial first."""
    names = [parameter.name for parameter in spec.space]
    names += sorted({name for trial in trials for name in trial.params} - set(names))
    column = st.column_config
    st.dataframe(
        sortable([_row(trial, names) for trial in reversed(trials)]),
        hide_index=True,
        width="stretch",
        height=min(len(trials), 12) * 36 + 40,
        row_height=36,
        placeholder="–",
        column_config={
            "trial": column.NumberColumn("Trial", width=_TRIAL_PX),
            "state": column.MultiselectColumn(
                "State",
                options=list(_COLORS),
                color=list(_COLORS.values()),
                width=state_width(trial.status for trial in trials),
            ),
            "open": column.LinkColumn("Open", display_text="open"),
            **{name: FIELDS[name].label for name in names},
            "epoch": column.NumberColumn("Epoch", help="The last epoch after which the trial was evaluated."),
            "loss": column.NumberColumn("Loss", format="%.4g", help="Validation loss after that epoch."),
            "accuracy": column.NumberColumn(
                "Validation", format="%.2f %%", help="Validation accuracy after that epoch."
            ),
            "decision": column.TextColumn("Decision", width=_DECISION_PX),
            "seconds": column.NumberColumn("Seconds", format="%.1f"),
        },
        alt=f"Table of {plural(len(trials), 'trial')}: state, settings, results, and the decision",
    )


def _row(trial: TrialRecord, names: Sequence[str]) -> dict[str, Any]:
    last = trial.last
    return {
        "trial": trial.number,
        "state": [trial.status],
        "open": f"train?run={trial.run}" if trial.run else None,
        **{name: _cell(name, trial.params.get(name)) for name in names},
        "epoch": last.epoch if last else None,
        "loss": last.val_loss if last else None,
        "accuracy": percent_number(last.val_accuracy) if last else None,
        "decision": trial.problem or trial.decision,
        "seconds": trial.seconds or None,
    }


def _cell(name: str, value: Any) -> NumberAsText | str | None:
    if value is None:
        return None
    rounded = isinstance(value, float)
    text = FIELDS[name].choice_title(f"{value:.4g}") if rounded else setting_words(name, value)
    return setting_cell(name, value, text)
