"""A sweep as a table: one row per trial with its last values, and a column for each setting of any trial."""

import csv
import io
import math

import pytest

from lab.errors import InputError
from lab.sharing.sweep_files import SWEEP_FORMATS, get_sweep_format, trials_csv
from lab.sweeps.records import Measured, Source, TrialRecord, TrialState
from lab.sweeps.spec import read_spec

SPEC = read_spec(
    {
        "base": {"dataset": "digits", "epochs": 4},
        "space": {"lr": {"low": 0.001, "high": 0.1}, "shuffle": {"values": [True, False]}},
        "trials": 3,
    }
)


def test_a_row_has_the_last_values_and_empty_cells_for_missing_ones() -> None:
    trials = (
        TrialRecord(
            number=1,
            run="a",
            params={"lr": 0.01, "shuffle": False},
            rung=1,
            values=(Measured(1, 0.5, 0.8), Measured(4, 0.25, 0.9)),
            state=TrialState.FINISHED,
            decision='finished after 4 epochs: "1st, of 2"',
            seconds=2.5,
            epochs=4,
        ),
        TrialRecord(
            number=2,
            run="",
            params={"momentum": 0.5},
            state=TrialState.FAILED,
            source=Source.ADOPTED,
            decision="failed",
        ),
        TrialRecord(number=3, run="c", params={"lr": 0.1}, values=(Measured(1, math.nan, 0.1),)),
    )
    text = trials_csv(SPEC, "any", trials).decode("utf-8-sig")
    header, first, second, third = csv.reader(io.StringIO(text))
    assert header == (
        [
            "trial",
            "run",
            "shuffle",
            "lr",
            "momentum",
            "epoch",
            "val_loss",
            "val_accuracy",
            "rung",
            "state",
            "source",
            "epochs",
            "seconds",
            "decision",
        ]
    )
    assert first[:8] == ["1", "a", "false", "0.01", "", "4", "0.25", "0.9"]
    assert first[8:] == ["1", "finished", "suggested", "4", "2.5", 'finished after 4 epochs: "1st, of 2"']
    assert second[:8] == ["2", "", "", "", "0.5", "", "", ""]
    assert second[8:] == ["0", "failed", "adopted", "0", "0.0", "failed"]
    assert (third[5], third[7]) == ("1", "0.1")


def test_each_format_is_found_by_its_name_and_has_its_own_extension() -> None:
    assert {one: get_sweep_format(one).extension for one in SWEEP_FORMATS} == {"csv": ".csv", "optuna": ".log"}
    with pytest.raises(InputError, match=r"no format 'cvs'. Did you mean 'csv'\?"):
        get_sweep_format("cvs")
