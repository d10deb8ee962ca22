"""What the pages show of one run: the facts above its charts, its owner and priority, and the time of a repeat."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lab.charts.live_facts import _loss, findings_mark, has_results, live_facts
from lab.config import RunConfig
from lab.findings import Finding
from lab.runs.headline import HeadlineResult
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.runs.run_facts import RunProgress
from lab.service.lineage import TreeRow
from pages.server.routes import run_status
from pages.train.queue import asked_words
from pages.train.run_view import results_words
from pages.widgets.lineage import _node
from pages.widgets.repeat import _seconds
from pages.widgets.runs import line_facts, state_badge
from tests.charts.charts_data import run
from tests.web.addresses import draw_alone

# -- the facts above the charts ----------------------------------------------------------------------------------------


def _training(state: RunState = RunState.RUNNING, **progress: Any) -> RunRecord:
    usual = {
        "step": 1_200,
        "total_steps": 4_000,
        "epoch": 2,
        "epochs": 6,
        "images_per_second": 12_345.6,
        "seconds": 65.0,
        "eta_seconds": 125.0,
        "phase": "training",
    }
    return replace(run(state=state, epochs=5), progress=RunProgress.from_dict(usual | progress))


def _facts(record: RunRecord, rate: str | None = None) -> dict[str, str]:
    return dict(live_facts(record, {} if rate is None else {"lr": (7, rate)}))


def test_a_running_run_shows_its_progress_speed_and_time() -> None:
    assert live_facts(_training(), {}) == [
        ("Epoch", "2 of 6"),
        ("Step", "1,200 of 4,000"),
        ("Images per second", "12,346"),
        ("Training time", "1 min 05 s"),
        ("Time left", "2 min 05 s"),
        ("Learning rate", "0.001"),
        ("Status", "training"),
    ]


def test_a_pending_pause_is_shown_until_the_run_is_paused() -> None:
    pending = replace(_training(), requested=RunRequest.PAUSE)
    assert (pending.status, _facts(pending)["Status"]) == ("pausing", "pausing")
    assert replace(pending, state=RunState.PAUSED).status == "paused"
    assert replace(pending, state=RunState.QUEUED).status == "queued"


def test_a_run_whose_worker_does_not_respond_shows_that_instead_of_a_time_left() -> None:
    unresponsive = replace(_training(), responding=False, heartbeat_age_s=245.0)
    facts = _facts(unresponsive)
    assert (facts["Status"], facts["Time left"]) == ("not responding", "–")
    words = run_status(unresponsive)["silence"]
    assert words.startswith("Its worker does not respond: no heartbeat for 4 min 05 s. It was stopped, ")
    assert ", and it will continue by itself once that is over. Resume gives the run to a new worker, " in words
    asked = replace(unresponsive, state=RunState.STOPPING, requested=RunRequest.STOP)
    assert ", and it will stop by itself once that is over. Resume " in run_status(asked)["silence"]
    asked = replace(unresponsive, requested=RunRequest.PAUSE)
    assert ", and it will pause by itself once that is over. Resume " in run_status(asked)["silence"]
    assert (
        run_status(_training())["silence"] == run_status(replace(unresponsive, state=RunState.QUEUED))["silence"] == ""
    )
    assert line_facts(unresponsive)[:2] == ["no heartbeat for 4 min 05 s", "step 1,200 of 4,000"]
    assert line_facts(_training())[:2] == ["", "step 1,200 of 4,000"]
    app = draw_alone(lambda: state_badge(unresponsive))
    assert [each.value for each in app.markdown] == [":red-badge[:material/sensors_off: not responding]"]


@pytest.mark.parametrize(
    ("record", "facts"),
    [
        (_training(epochs=None), {"Epoch": "2 of 5"}),  # as configured
        (_training(epoch=0), {"Epoch": "0 of 6"}),
        (_training(epoch=None), {"Epoch": "–"}),
        (_training(step=None), {"Step": "0 of 4,000"}),
        (_training(total_steps=None), {"Step": "–", "Time left": "2 min 05 s"}),
        (_training(total_steps=0, step=0), {"Step": "–", "Time left": "2 min 05 s"}),
        (_training(images_per_second=0.0), {"Images per second": "–"}),
        (_training(images_per_second=math.inf), {"Images per second": "–"}),
        (_training(step=4_000), {"Step": "4,000 of 4,000", "Time left": "–"}),  # the final evaluation
        (_training(step=3_999), {"Time left": "2 min 05 s"}),
        (_training(phase=None), {"Status": "running"}),
        (_training(RunState.PAUSED), {"Status": "paused", "Time left": "–", "Step": "1,200 of 4,000"}),
        (_training(RunState.QUEUED), {"Status": "queued", "Time left": "–"}),
    ],
)
def test_unknown_facts_of_a_running_run_are_a_dash(record: RunRecord, facts: dict[str, str]) -> None:
    assert _facts(record).items() >= facts.items()


def test_a_run_with_results_has_them_in_the_same_places() -> None:
    results = HeadlineResult(30, 3, "best", 0.97314, 0.08126, 0.96, 0.1)
    summary = {"params": 61_706, "final_epoch": 5, "epochs": 5}
    ended = replace(run(summary=summary, seconds=83.0), saved=results)
    assert live_facts(ended, {"lr": (7, "0.5")}) == [
        ("Test accuracy", "97.31 %"),
        ("Validation accuracy", "96.00 %"),
        ("Test loss", "0.0813"),
        ("Best epoch", "3 of 5"),
        ("Training time", "1 min 23 s"),
        ("Parameters", "61,706"),
        ("Learning rate", "0.001"),
        ("Epochs trained", "5 of 5"),
    ]
    for which, label in (("last", "Last epoch"), ("untested", "Stopped in epoch"), ("", "Epoch")):
        assert live_facts(replace(ended, saved=replace(results, which=which)), {})[3] == (label, "3 of 5")
    bare = replace(run(), saved=replace(results, epoch=None))
    assert [_facts(bare)[name] for name in ("Best epoch", "Parameters", "Epochs trained")] == ["–", "–", "–"]


def test_the_last_epoch_is_explained_by_the_missing_validation_or_by_its_loss() -> None:
    ended = replace(run(), saved=HeadlineResult(30, 3, "last", 0.098, saved=True))
    assert "the last one, as the run was not validated." in results_words(ended)
    lost = replace(ended, saved=replace(ended.saved, val_accuracy=0.0987))  # a NaN loss is not recorded as a number
    assert "the last one, as no validation loss is finite." in results_words(lost)


@pytest.mark.parametrize("restore_best", [False, True])
def test_an_early_stopped_run_says_so_even_if_its_best_epoch_was_restored(restore_best: bool) -> None:
    config = RunConfig(epochs=30, patience=3, restore_best=restore_best)
    summary = {"outcome": "early-stopped", "epochs": 11, "final_epoch": 8 if restore_best else 11, "test_accuracy": 0.9}
    ended = replace(run(summary=summary), config=config, saved=HeadlineResult(40, 8, "best", 0.95, saved=True))
    assert _facts(ended)["Epochs trained"] == "11 of 30 (stopped early)"
    assert results_words(ended).endswith(" It stopped early after epoch 11 of 30 (patience 3).")
    whole = replace(ended, summary=replace(ended.summary, outcome="finished"))
    assert "stopped early" not in results_words(whole) + _facts(whole)["Epochs trained"]


@pytest.mark.parametrize(
    ("schedule", "state", "newest", "shown"),
    [
        ("constant", RunState.RUNNING, "0.5", "0.01235"),
        ("cosine", RunState.RUNNING, "0.0061", "0.0061"),
        ("cosine", RunState.RUNNING, None, "–"),
        ("cosine", RunState.FINISHED, "1e-09", "0.01235 (cosine)"),
        ("constant", RunState.FINISHED, None, "0.01235"),
    ],
)
def test_the_learning_rate_is_the_latest_while_training_and_the_configured_one_at_the_end(
    schedule: str, state: RunState, newest: str | None, shown: str
) -> None:
    assert _facts(run(state=state, lr=0.0123456, schedule=schedule), newest)["Learning rate"] == shown


@pytest.mark.parametrize(
    ("state", "accuracy", "results"),
    [
        (RunState.FINISHED, None, True),
        (RunState.STOPPED, 0.9, True),
        (RunState.FAILED, 0.9, True),
        (RunState.STOPPED, None, False),
        (RunState.PAUSED, 0.9, True),
        (RunState.RUNNING, 0.9, False),
        (RunState.QUEUED, 0.9, False),
        (RunState.STOPPING, 0.9, False),
    ],
)
def test_results_are_shown_once_the_run_no_longer_trains(
    state: RunState, accuracy: float | None, results: bool
) -> None:
    assert has_results(replace(run(state=state), saved=HeadlineResult(test_accuracy=accuracy))) is results


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        ("nan", "–"),
        (0.08126, "0.0813"),
        (999.99, "999.9900"),
        (-1000.0, "-1k"),
        (1000.0, "1k"),
        (2, "2.0000"),
    ],
)
def test_a_loss_has_four_decimals_below_a_thousand(value: Any, text: str) -> None:
    assert _loss(value) == text


def test_the_mark_changes_with_new_or_reworded_findings_but_not_with_a_reworded_hint() -> None:
    def mark(*findings: tuple[str, str, str]) -> str:
        return findings_mark(replace(run(), findings=tuple(Finding(*each) for each in findings)))

    hint, warning = ("plateau", "hint", "since epoch 3"), ("overfit", "warning", "since epoch 3")
    marks = [mark(), mark(hint), mark(warning), mark(hint, warning), mark((*warning[:2], "since epoch 4"))]
    assert len(set(marks)) == 5
    assert mark((*hint[:2], "since epoch 4")) == mark(hint)
    assert mark(("another", *hint[1:])) != mark(hint)


# -- the queue, the lineage tree, repeats ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "owner", "priority", "words"),
    [
        (RunState.QUEUED, "", 0, ""),
        (RunState.QUEUED, "ann", 0, "ann"),
        (RunState.QUEUED, "", -1, "priority -1"),
        (RunState.QUEUED, "ann", 2, "ann · priority 2"),
        (RunState.RUNNING, "ann", 2, "ann"),  # no longer in the queue
    ],
)
def test_a_queued_run_shows_its_owner_and_priority(state: RunState, owner: str, priority: int, words: str) -> None:
    assert asked_words(replace(run(state=state), owner=owner, priority=priority)) == words


def test_a_node_of_the_lineage_tree_has_its_result_or_its_state() -> None:
    tested = run(1, name="mine", summary={"test_accuracy": 0.97314})
    shown = _node(TreeRow(tested, 2, "lr 0.1 → 0.2", "+0.10"), here=tested.id)
    assert (shown.title, shown.depth, shown.change, shown.result, shown.difference, shown.here) == (
        "mine",
        2,
        "lr 0.1 → 0.2",
        "97.31 % test",
        "+0.10",
        True,
    )
    other = _node(TreeRow(run(2, state=RunState.QUEUED), 0), here=tested.id)
    assert (other.title, other.result, other.here) == ("LeNet-5 on Digits (built in)", "queued", False)


def test_the_time_of_a_repeat_is_the_runs_scaled_by_the_training_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.widgets.repeat.estimate_seconds", lambda config: 7.0)
    ended = run(seconds=30.0, val_fraction=0.25)
    assert _seconds(ended, ended.config.replace(seed=3)) == 30.0
    assert _seconds(ended, ended.config.replace(folds=5, fold=2)) == pytest.approx(30.0 / 0.75 * 0.8)
    assert _seconds(run(seconds=0.0), ended.config) == 7.0
    assert _seconds(run(seconds=30.0, state=RunState.STOPPED), ended.config) == 7.0


# -- the pad -----------------------------------------------------------------------------------------------------------


def _pad() -> None:
    import streamlit as st

    from pages.state.draw import draw_page
    from pages.widgets.pad import take_newest

    page = draw_page()
    page.version = 3
    take_newest(page)
    st.text(f"{page.answered} {page.pen} {page.strokes}")


def test_the_latest_message_of_the_pad_is_applied_once_and_not_to_a_newer_drawing() -> None:
    stroke = [[16, [[1, 2]]]]

    def message(seq: int, version: int, pen: int, strokes: Any, *, demo: bool = False) -> dict[str, str]:
        sent = {"seq": seq, "version": version, "pen": pen, "strokes": strokes, "demo": demo}
        return {"ink": json.dumps(sent)}

    app = AppTest.from_function(_pad).run()
    for sent, shown in (
        (message(1, 3, 20, stroke), "1 20 [[16,[[1,2]]]]"),
        (message(1, 3, 30, []), "1 20 [[16,[[1,2]]]]"),  # the same message again
        (message(2, 2, 30, []), "2 20 [[16,[[1,2]]]]"),  # of the previous drawing
        (message(3, 3, 30, []), "3 30 []"),
        (message(4, 3, 16, stroke, demo=True), "4 30 []"),  # drawn by the pad itself
    ):
        app.session_state["draw.live"] = sent
        assert app.run().text[0].value == shown
