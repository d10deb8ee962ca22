"""Each click on a page that queues a run makes sure that a worker is running."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lab.runs.records import RunState
from tests.sweeps.sweep_runs import small_spec
from tests.web.addresses import open_page
from tests.web.web_data import Bench


def _press(app: AppTest, label: str) -> Any:
    (button,) = [each for each in app.button if each.label == label]
    return button.click().run()


@pytest.mark.parametrize(
    ("state", "label"),
    [(RunState.PAUSED, "Resume"), (RunState.FINISHED, "Train again"), (RunState.FINISHED, "Train 4 more runs")],
)
def test_resuming_repeating_or_retraining_a_run_starts_a_worker(
    bench: Bench, starts: list[str], state: RunState, label: str
) -> None:
    run = bench.start()
    bench.lab.store.leases.finish(run.id, run.lease, state=state, seconds=1.0, summary={"images_per_second": 1e6})
    app = open_page("train", run=run.id)
    assert starts == []
    _press(app, label)
    assert bench.lab.store.queue.count_queued() == (4 if label.startswith("Train 4") else 1)
    assert starts == ["worker"]


@pytest.mark.parametrize("label", ["Pause", "Stop"])
def test_pausing_or_stopping_a_queued_run_starts_no_worker(bench: Bench, starts: list[str], label: str) -> None:
    run = bench.queue()
    _press(open_page("train", run=run.id), label)
    assert bench.lab.store.runs.get(run.id).state in (RunState.PAUSED, RunState.STOPPED)
    assert starts == []


def test_resuming_or_extending_a_sweep_starts_a_worker(bench: Bench, starts: list[str]) -> None:
    sweep = bench.lab.sweeps.create(small_spec()).sweep.id
    app = open_page("sweeps", sweep=sweep)
    _press(app, "Pause")
    assert starts == []
    _press(app, "Resume")
    assert starts == ["worker"]
    app.number_input(key="sweeps.more_trials").set_value(2).run()
    app.button(key="sweep-extend-now").click().run()
    assert bench.lab.sweeps.show(sweep).sweep.asked.trials == 10
    assert starts == ["worker"] * 2
