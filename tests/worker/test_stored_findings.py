"""Runs really trained with known problems: each is diagnosed with a remedy, and the remedy solves it."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import null

from lab.config import RunConfig
from lab.findings import Outcome
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.stored_findings import fill_missing_findings
from tests.runs.runs_data import write_past_checks
from tests.worker.worker_runs import open_lab, train

PROBLEMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sgd that hardly moves": ({"optimizer": "sgd", "lr": 1e-5}, {"lr": 0.01}),
    "rmsprop that jumped": ({"optimizer": "rmsprop", "lr": 0.03}, {"lr": 0.0001}),
    "adam far too fast with smoothed labels": ({"lr": 0.5, "label_smoothing": 0.1}, {"lr": 0.001}),
    "mse on softmax, saturated": ({"loss": "mse", "output": "softmax", "lr": 0.5}, {"lr": 0.001}),
    "mse on softmax, too slow": ({"loss": "mse", "output": "softmax", "optimizer": "sgd", "lr": 1e-4}, {"lr": 0.1}),
    "nll on logits": ({"loss": "nll"}, {"loss": "cross-entropy", "output": "logits"}),
    "nll on log-softmax, too slow": ({"loss": "nll", "output": "log-softmax", "lr": 1e-6}, {"lr": 0.001}),
    "weights decayed": ({"optimizer": "sgd", "lr": 0.05, "weight_decay": 1.0}, {"weight_decay": 1e-4}),
    "sgd without a number": ({"optimizer": "sgd", "lr": 100.0}, {"lr": 0.01}),
}
BASE = RunConfig(arch="lenet5", dataset="digits", batch_size=32, epochs=6, device="cpu")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return open_lab(tmp_path)


# Each trains for seconds: one in every test run, the others among the long tests. Tests on synthetic curves cover the
# rules for all of them (`tests/diagnosis`).
_FAST = ("nll on logits",)


@pytest.mark.parametrize(
    "problem", [pytest.param(problem, marks=[] if problem in _FAST else [pytest.mark.long]) for problem in PROBLEMS]
)
def test_a_known_problem_is_diagnosed_with_one_remedy(lab: Lab, problem: str) -> None:
    changes, remedy = PROBLEMS[problem]
    run = train(lab, BASE.replace(**changes))
    assert run.outcome in (Outcome.DIVERGED, Outcome.AT_CHANCE), run.findings
    assert run.findings[0].remedy == remedy


@pytest.mark.slow
@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_remedy_of_a_problem_solves_it(lab: Lab, problem: str) -> None:
    changes, remedy = PROBLEMS[problem]
    run = train(lab, BASE.replace(**{**changes, **remedy, "epochs": 12}))  # mean squared error learns slowly
    assert run.outcome is None, run.findings


def _remove_findings(lab: Lab, run: RunRecord, notice: str) -> None:
    """Make a run as the previous release stored it: a finding among its notices, and no findings."""
    write_past_checks(lab.store, run.id, checksum=False, findings=null(), notices=[notice])


def test_opening_a_store_diagnoses_runs_of_the_previous_release_from_their_points(lab: Lab) -> None:
    stuck, sound = train(lab, BASE.replace(lr=1.0)), train(lab, BASE.replace(epochs=2))
    for run in (stuck, sound):
        _remove_findings(lab, run, "The validation loss rose from 0.1 to 0.2 while the training loss kept falling: so.")
    assert [run.findings for run in lab.store.runs.list()] == [(), ()]
    again = open_lab(lab.settings.home)
    assert again.store.runs.get(stuck.id).findings == stuck.findings
    assert [run.status for run in again.store.runs.list()] == ["finished", str(stuck.outcome)]
    assert [run.notices for run in again.store.runs.list()] == [(), ()]


@pytest.mark.long
def test_an_unreadable_row_prevents_neither_opening_the_lab_nor_diagnosing_other_runs(lab: Lab) -> None:
    first, second = train(lab), train(lab, BASE.replace(lr=1.0))
    for run in (first, second):
        _remove_findings(lab, run, "so")
    write_past_checks(lab.store, first.id, checksum=False, config={"schema": 99})
    again = open_lab(lab.settings.home)
    assert again.store.runs.get(second.id).outcome == second.outcome
    assert fill_missing_findings(again.store, budget_s=1.0) == 0
