"""Findings on the pages: a run that did not learn is not green, its remedy fills the form, and curves do not move."""

from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from lab.findings import AT_CHANCE, DIVERGED, Finding
from lab.runs.records import WEIGHTS, RunRecord, RunState, SavedFile
from pages.server.routes import run_status
from pages.widgets.findings import remedy_words
from pages.widgets.runs import STATUS_COLORS
from tests.web.addresses import open_page
from tests.web.test_web_pages import _labels, _texts
from tests.web.web_data import DIGITS_CONFIG, Bench, series

STUCK = Finding(AT_CHANCE, "mistake", "No better than guessing: 9.80 % after epoch 3.", {"lr": 0.01})
LOST = Finding(DIVERGED, "mistake", "Diverged: the loss is nan from step 5 on.", {"lr": 0.0005})
RISEN = Finding(
    "overfitting", "warning", "Overfitting: the validation loss was 0.1.", {"patience": 5, "restore_best": True}
)
BELOW = Finding("training-below-validation", "hint", "In epoch 3 the training accuracy is below.")


def _finished(bench: Bench, *findings: Finding, weights: bool = False) -> RunRecord:
    run = bench.start(DIGITS_CONFIG.replace(seed=len(bench.lab.store.runs.list()), lr=0.1))
    if weights:
        file = SavedFile(run.id, WEIGHTS, 7, 1, f"{run.id}/7", "0" * 64, 1, 0.0)
        bench.lab.store.files.add(run.id, run.lease, file)
    bench.write(run, series("batch/loss", np.full(40, 2.3)))
    bench.lab.store.leases.finish(
        run.id, run.lease, state=RunState.FINISHED, findings=findings, summary={"test_accuracy": 0.098, "best_epoch": 1}
    )
    return bench.lab.store.runs.get(run.id)


@pytest.mark.parametrize(
    ("finding", "badge"),
    [
        (STUCK, ":orange-badge[:material/casino: no better than guessing]"),
        (LOST, ":red-badge[:material/trending_up: diverged]"),
    ],
)
def test_a_run_that_did_not_learn_is_not_green_on_any_page(bench: Bench, finding: Finding, badge: str) -> None:
    run = _finished(bench, finding)
    for app in (open_page(), open_page("train", run=run.id), open_page("inside", run=run.id)):
        assert badge in _texts(app)
        assert "green-badge" not in _texts(app)
    assert [list(cell) for cell in open_page("runs").dataframe[0].value["state"]] == [[run.status]]
    assert STATUS_COLORS[run.status] != "green"


def test_the_cause_comes_with_a_button_that_fills_the_form_with_the_remedy(bench: Bench) -> None:
    run = _finished(bench, STUCK)
    app = open_page("train", run=run.id)
    assert "9.80 % after epoch 3." in _texts(app)
    [again] = [button for button in app.button if button.label == "Train again with learning rate 0.01"]
    again.click().run()
    assert not app.exception
    assert app.number_input(key="train.lr").value == pytest.approx(0.01)
    assert app.selectbox(key="train.dataset").value == "digits"
    assert app.number_input(key="train.epochs").value == run.config.epochs
    assert bench.lab.store.runs.count() == 1


@pytest.mark.parametrize(("finding", "count"), [(STUCK, 1), (LOST, 1), (RISEN, 0)])
def test_a_run_that_did_not_learn_links_to_its_gradients(bench: Bench, finding: Finding, count: int) -> None:
    bare, saved = _finished(bench, finding), _finished(bench, finding, weights=True)
    for run, expected in ((bare, 0), (saved, count)):  # without weights, there is nothing to see
        links = [link.proto.query_string for link in open_page("train", run=run.id).get("page_link")]
        assert links.count(f"run={run.id}&view=gradients") == expected


def _order(app: AppTest) -> list[str]:
    """Return the kinds of the elements on the page from top to bottom, of those whose order matters here."""
    found: list[str] = []

    def walk(block: Any) -> None:
        for child in block.children.values():
            if hasattr(child, "children"):
                walk(child)
            else:
                found.append(child.type)

    walk(app.main)
    return [kind for kind in found if kind in ("bidi_component", "error", "warning", "info", "unknown")]


def test_findings_of_a_live_run_are_shown_below_its_curves(bench: Bench) -> None:
    run = bench.start()
    bench.write(run, series("batch/loss", np.full(40, 2.3)))
    bench.lab.store.findings.set(run.id, run.lease, (STUCK, RISEN, BELOW))
    bench.lab.store.leases.add_notice(run.id, run.lease, "The batch was halved.")
    order = _order(open_page("train", run=run.id))
    curves = order.index("bidi_component")
    assert order[:curves] == []
    assert order[curves:].count("error") == order[curves:].count("warning") == 1
    assert order[curves:].count("info") == 2


def test_all_findings_of_a_run_that_did_not_learn_are_above_its_curves_and_the_outcome_is_first(bench: Bench) -> None:
    order = _order(open_page("train", run=_finished(bench, RISEN, LOST, BELOW).id))
    shown = [kind for kind in order if kind != "unknown"]
    found = shown.index("error")
    assert shown[found : found + 4] == ["error", "warning", "info", "bidi_component"]


def test_findings_of_a_run_that_learned_are_below_its_curves(bench: Bench) -> None:
    order = _order(open_page("train", run=_finished(bench, RISEN).id))
    assert order.index("bidi_component", 1) < order.index("warning")


def test_a_hint_is_neither_an_error_nor_a_warning_and_has_no_button(bench: Bench) -> None:
    app = open_page("train", run=_finished(bench, BELOW).id)
    assert [e.value for e in app.error] == [w.value for w in app.warning] == []
    assert "the training accuracy is below" in _texts(app)
    assert not [label for label in _labels(app) if label.startswith("Train again with")]


def test_a_run_that_learned_has_no_finding_about_its_high_learning_rate(bench: Bench) -> None:
    assert "A learning rate of" not in _texts(open_page("train", run=_finished(bench).id))


def test_the_polled_status_of_a_run_changes_with_its_findings(bench: Bench) -> None:
    run = bench.start()
    marks = set()
    for findings in ((), (STUCK,), (STUCK, RISEN), (Finding(AT_CHANCE, "mistake", "Other numbers."),)):
        bench.lab.store.findings.set(run.id, run.lease, findings)
        marks.add(run_status(bench.lab.store.runs.get(run.id))["findings"])
    assert len(marks) == 4


@pytest.mark.parametrize(
    ("remedy", "words"),
    [
        ({"lr": 0.0005}, "learning rate 0.0005"),
        ({"patience": 5, "restore_best": True}, "patience 5, restore best"),
        ({"arch_options": {"batch_norm": True}}, "batch_norm True"),
        ({"output": "log-softmax"}, "output log-softmax"),
        ({"max_steps": 0}, "step limit none"),
    ],
)
def test_a_remedy_is_worded_with_the_labels_of_the_form(remedy: dict[str, Any], words: str) -> None:
    assert remedy_words(remedy) == words
