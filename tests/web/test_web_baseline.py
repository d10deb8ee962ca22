"""The baseline of a run: from the address to the live view, what it can be, and how a new run gets one."""

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from lab.config import RunConfig
from lab.runs.headline import HeadlineResult
from lab.runs.records import RunState
from pages.state.train import TRAIN, TrainState
from pages.train.baseline import baseline_input, comparison_words, read_baseline
from pages.train.run_view import _change_settings
from tests.charts.charts_data import run
from tests.web.addresses import draw_alone, open_page
from tests.web.plain_text import PLAIN
from tests.web.shown_components import Shown
from tests.web.web_data import DIGITS_CONFIG, Bench


def _address(app: AppTest) -> dict[str, str]:
    return {name: text if isinstance(text, str) else text[0] for name, text in app.query_params.items()}


pytestmark = pytest.mark.usefixtures("starts")


def test_the_run_in_the_address_is_drawn_behind_and_named_below_the_curves(bench: Bench, shown: Shown) -> None:
    before = bench.finish(bench.start())
    now = bench.finish(bench.start(DIGITS_CONFIG.replace(lr=0.01)), test_accuracy=0.9831)
    app = open_page("train", run=now.id, baseline=before.id)
    assert shown.of(f"live-{now.id}")["baseline"] == before.id
    assert app.selectbox(key=f"baseline-{now.id}").value == before.id
    (words,) = [each.value.translate(PLAIN) for each in app.caption if each.value.startswith("Grey")]
    assert (
        words
        == f"Grey: LeNet-5 on Digits (built in) ({before.id}). Changed since: lr 0.001 → 0.01. Test accuracy: +1.00 points."
    )
    app.selectbox(key=f"baseline-{now.id}").set_value("").run()
    assert _address(app) == {"run": now.id}
    assert shown.of(f"live-{now.id}")["baseline"] == ""


def test_choosing_a_baseline_writes_it_to_the_address(bench: Bench) -> None:
    before = bench.finish(bench.start())
    now = bench.finish(bench.start(DIGITS_CONFIG.replace(lr=0.01)))
    app = open_page("train", run=now.id)
    app.selectbox(key=f"baseline-{now.id}").set_value(before.id).run()
    assert _address(app) == {"run": now.id, "baseline": before.id}


def test_runs_with_curves_on_the_same_data_are_offered(bench: Bench) -> None:
    first = bench.finish(bench.start())
    own = bench.finish(bench.start(DIGITS_CONFIG.replace(lr=0.01)))
    bench.queue(DIGITS_CONFIG.replace(lr=0.02))  # has no curves yet
    app = draw_alone(lambda: baseline_input(own, None))
    (box,) = app.selectbox
    assert box.options == [
        "no other run",
        f"LeNet-5 on Digits (built in) · 97.31 % test, epoch 3 of 3 (last) · {first.id}",
    ]
    assert not draw_alone(lambda: baseline_input(run(7, dataset="mnist"), None)).selectbox


@pytest.mark.parametrize(("named", "words"), [("self", "its own baseline"), ("0123456789ab", "There is no run")])
def test_an_address_with_an_impossible_baseline_shows_the_run_without_one(bench: Bench, named: str, words: str) -> None:
    own = bench.finish(bench.start())
    found = []
    address = {"run": own.id, "baseline": own.id if named == "self" else named}
    app = draw_alone(lambda: found.append(read_baseline(own)), address=address)
    assert found == [None]
    assert words in app.error[0].value


def test_equal_settings_and_other_data_are_not_given_a_difference_they_do_not_have() -> None:
    before = replace(run(), saved=HeadlineResult(test_accuracy=0.97, saved=True))
    now = replace(run(), saved=HeadlineResult(test_accuracy=0.98, saved=True))
    assert comparison_words(now, before) == "The settings are the same. Test accuracy: +1.00 points."
    other = replace(before, config=before.config.replace(dataset="kmnist"))
    assert "Test accuracy" not in comparison_words(now, other)
    assert "Test accuracy" not in comparison_words(replace(now, state=RunState.RUNNING), before)
    assert "Test accuracy" not in comparison_words(now, replace(before, state=RunState.RUNNING))
    untested = replace(before, saved=HeadlineResult())
    assert comparison_words(now, untested) == "The settings are the same."


def test_a_run_whose_settings_are_changed_becomes_the_baseline_of_the_next(bench: Bench) -> None:
    own = bench.finish(bench.start())
    held = []

    def part() -> None:
        if TRAIN.read().baseline:  # after the rerun
            held.append(TRAIN.read().baseline)
        else:
            _change_settings(own)

    draw_alone(part)
    assert held == [own.id]
    app = open_page("train")
    app.session_state[TRAIN.state_key] = TrainState(ready=True, baseline=own.id)
    app.session_state["train.dataset"] = "digits"
    app.session_state["train.lr"] = 0.02
    app.session_state["train.epochs"] = 1
    app.session_state["train.train_limit"] = 50
    app.run()
    app.button(key="train-button").click().run()
    [made] = bench.lab.store.queue.list()
    assert _address(app) == {"run": made.id, "baseline": own.id}
    assert made.config == RunConfig.from_dict(
        {**made.config.as_dict(), "lr": 0.02, "epochs": 1, "train_limit": 50, "dataset": "digits"}
    )
