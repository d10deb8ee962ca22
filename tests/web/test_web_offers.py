"""What pages offer: the buttons of a run and of a sweep in each state, and the inputs of an empty lab."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lab.config import FIELDS
from lab.examples.catalogue import EXAMPLES
from lab.runs.records import WEIGHTS, RunState, SavedFile
from lab.sweeps.records import SweepState
from pages.registry import list_pages
from pages.widgets.runs import run_title
from tests.sweeps.sweep_runs import small_spec
from tests.web.addresses import open_page
from tests.web.web_data import DIGITS_CONFIG, Bench

LIVE = ["Change settings", "New training"]
USE = ["Look inside", "Test with a drawing"]


def _buttons(app: AppTest, *, without: tuple[str, ...] = ("Write the file",)) -> list[str]:
    return [
        f"({button.label})" if button.disabled else button.label for button in app.button if button.label not in without
    ]


def _popovers(app: AppTest) -> list[str]:
    return [each.proto.popover.label for each in app.get("popover")]


@pytest.mark.parametrize(
    ("state", "saved", "buttons"),
    [
        (RunState.QUEUED, False, ["Pause", "Stop", *LIVE, "(Look inside)", "(Test with a drawing)"]),
        (RunState.RUNNING, False, ["Pause", "Stop", *LIVE, "(Look inside)", "(Test with a drawing)"]),
        (RunState.RUNNING, True, ["Pause", "Stop", *LIVE, *USE]),
        (RunState.PAUSED, False, ["Resume", "Stop", *LIVE]),
        (RunState.INTERRUPTED, False, ["Resume", "Stop", *LIVE]),
        (RunState.STOPPED, True, [*USE, "Resume", *LIVE]),
        (RunState.FAILED, False, ["Resume", *LIVE]),
        (RunState.FINISHED, True, [*USE, "Change settings", "Train again", "New training", "Train 4 more runs"]),
    ],
)
def test_the_page_of_a_run_offers_the_actions_that_its_state_allows(
    bench: Bench, state: RunState, saved: bool, buttons: list[str]
) -> None:
    run = bench.queue() if state is RunState.QUEUED else bench.start()
    if saved:
        bench.lab.store.files.add(run.id, run.lease, SavedFile(run.id, WEIGHTS, 7, 1, f"{run.id}/7", "0" * 64, 1, 0.0))
    if not state.live:
        bench.lab.store.leases.finish(run.id, run.lease, state=state, reason="why")
    app = open_page("train", run=run.id)
    assert _buttons(app) == buttons
    seeds = ["Repeat"] if state is RunState.FINISHED else []
    assert _popovers(app) == ["More", "Export"]
    assert [each.label for each in app.expander] == [
        *seeds,
        "Name and notes",
        "Log",
        "Epochs as a table",
        "Settings of this run",
    ]
    assert [each.value for each in app.error] == (["why"] if state is RunState.FAILED else [])
    warnings = [each.value for each in app.warning]
    assert warnings == (["why"] if state in (RunState.PAUSED, RunState.INTERRUPTED) else [])


def test_a_run_with_saved_epochs_offers_a_fork(bench: Bench) -> None:
    run = bench.start()
    store = bench.lab.store
    store.leases.set_progress(run.id, run.lease, {"steps_per_epoch": 7})
    store.files.add(run.id, run.lease, SavedFile(run.id, WEIGHTS, 7, 1, f"{run.id}/7", "0" * 64, 1, 0.0))
    bench.finish(run)
    assert "Continue from epoch …" in [each.label for each in open_page("train", run=run.id).expander]


def test_an_example_can_be_viewed_but_not_changed(bench: Bench) -> None:
    app = open_page("train", run=EXAMPLES[0].id)
    assert not {"Resume", "Stop", "Train again", "Pause"} & set(_buttons(app))
    assert set(USE) <= set(_buttons(app))
    assert _popovers(app) == ["More"]
    assert [each.label for each in app.expander] == ["Epochs as a table", "Settings of this run"]


def test_a_read_only_lab_disables_actions_that_change_something(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run = bench.start()
    sweep = bench.lab.sweeps.create(small_spec()).sweep.id
    monkeypatch.setenv("LAB_READ_ONLY", "1")
    app = open_page("train", run=run.id)
    assert _buttons(app)[:2] == ["(Pause)", "(Stop)"]
    assert "Name and notes" not in [each.label for each in app.expander]
    assert {"(Pause)", "(Stop)"} <= set(_buttons(open_page("sweeps", sweep=sweep)))
    assert _buttons(open_page("sweeps")) == ["(Start the sweep)"]


@pytest.mark.parametrize(
    ("state", "buttons"),
    [
        (SweepState.RUNNING, ["Pause", "Stop"]),
        (SweepState.PAUSED, ["Resume", "Stop"]),
        (SweepState.STOPPED, ["Resume"]),
    ],
)
def test_the_page_of_a_sweep_offers_the_actions_that_its_state_allows(
    bench: Bench, state: SweepState, buttons: list[str]
) -> None:
    sweep = bench.lab.sweeps.create(small_spec()).sweep.id
    if state is not SweepState.RUNNING:
        {SweepState.PAUSED: bench.lab.sweeps.pause, SweepState.STOPPED: bench.lab.sweeps.stop}[state](sweep)
    app = open_page("sweeps", sweep=sweep)
    shown = _buttons(app)
    assert shown[0] == "All sweeps"
    assert [label for label in shown if label in ("Pause", "Resume", "Stop")] == buttons
    metrics = {each.label: each.value for each in app.metric}
    words = "1 queued" if state is SweepState.RUNNING else "1 paused"
    assert metrics["Trials"] == "1 of 8"
    assert words in [caption.value for caption in app.caption]
    assert metrics["Epochs trained"] == "0"


def _inputs(app: AppTest) -> dict[str, list[str]]:
    kinds: dict[str, Any] = {
        "header": [each.value for each in app.header],
        "expander": [each.label for each in app.expander],
        "toggle": [each.label for each in app.toggle],
        "select": [each.label for each in app.selectbox],
        "number": [each.label for each in app.number_input],
        "several": [each.label for each in app.multiselect],
    }
    return {name: labels for name, labels in kinds.items() if labels}


def test_the_form_of_a_new_sweep_has_every_input(bench: Bench) -> None:
    assert _inputs(open_page("sweeps")) == {
        "header": ["New sweep"],
        "expander": ["Place in the queue"],
        "toggle": ["Logarithmic", "Pause weak trials early"],
        "select": ["Settings from", "Network", "Data set", "Method"],
        "number": [
            "Epochs",
            "Lowest",
            "Highest",
            "Trials",
            "Minutes of computing",
            "First rung after epoch",
            "Reduction factor",
            "Priority",
        ],
        "several": ["Settings to vary"],
    }


def test_in_a_fresh_lab_the_examples_are_compared_and_can_be_hidden(bench: Bench) -> None:
    app = open_page("runs")
    assert _inputs(app) == {
        "header": ["Compare"],
        "expander": ["Storage"],
        "toggle": [
            "Raw points",
            "Repeats as bands",
            "Test set",
            "Full range",
            "Log x",
            "Log y",
            "Show examples",
        ],
        "select": ["Sort", "X axis"],
        "several": ["Chosen runs", "Curves"],
    }
    assert _buttons(app, without=("Import the bundle",)) == ["Compare"] * len(EXAMPLES)
    assert any("No runs are chosen yet" in each.value for each in app.caption)
    app.toggle(key="runs.examples").set_value(False).run()
    assert not [each for each in app.header if each.value == "Compare"]


def test_home_offers_a_first_run_and_every_data_set(bench: Bench) -> None:
    app = open_page("home")
    shown = [link.proto.label.strip("*") for link in app.get("page_link")]
    assert [shown.count(spec.title) for spec in list_pages() if spec.teaser] == [
        int(spec.name not in ("draw", "runs")) for spec in list_pages() if spec.teaser
    ]  # links to those two are in the steps
    assert [label for label in _buttons(app) if not label.startswith("Fetch ")] == [
        "Train a LeNet on the built-in digits"
    ]
    assert len([label for label in _buttons(app) if label.startswith("Fetch ")]) == 7
    assert [each.value for each in app.header] == ["Example runs", "This machine", "Data sets"]


def test_the_device_input_has_its_help_and_the_form_its_sections(bench: Bench) -> None:
    app = open_page("train")
    assert FIELDS["device"].help in (app.selectbox(key="train.device").help or "").replace("\\", "")
    assert [each.label for each in app.expander][:4] == [
        "Data",
        "Optimizer and schedule",
        "Loss",
        "Length, seed and early stopping",
    ]


def test_the_page_of_a_run_shows_its_settings_device_owner_and_origin(bench: Bench) -> None:
    root = bench.finish(bench.start(DIGITS_CONFIG))
    changed = root.config.replace(fork_of=root.id, fork_epoch=2, lr=0.01)
    store = bench.lab.store
    queued, _ = store.queue.submit(changed, fingerprint="fork", family="", owner="ann")
    run = store.leases.claim(slot="cpu", owner=bench.owner, run=queued.id)
    assert run is not None
    store.leases.set_environment(run.id, run.lease, environment={"name": "A GPU", "steps": "captured"}, device="cuda:0")
    bench.finish(store.runs.get(run.id))
    app = open_page("train", run=run.id)
    facts = next(one.value for one in app.caption if "submitted" in one.value).replace("\\", "").split(" · ")
    assert facts[:2] == ["cuda:0 (A GPU)", f"run {run.id}"]
    assert facts[2].endswith(" by ann")
    assert facts[3:] == ["steps: captured"]
    (origin,) = [one for one in app.button if "orked from" in one.label]
    assert origin.label.replace("\\", "") == f"Forked from {run_title(root)} at epoch 2: lr 0.001 → 0.01"
    origin.click().run()
    assert app.query_params["run"] == root.id
