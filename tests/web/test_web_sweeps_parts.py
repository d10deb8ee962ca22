"""Parts of the Sweeps page without a trained trial: ranges and values of the form, the ladder, totals and actions."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from lab.charts.style import GREY
from lab.charts.sweeps.scores import scores_at
from lab.config import RunConfig
from lab.runs.headline import HeadlineResult
from lab.service.sweeps import Best, SweepView
from lab.sweeps.records import MIN_TRIALS, Counts, Measured, SweepRecord, SweepState, TrialRecord, TrialState
from lab.sweeps.space import read_parameter
from lab.sweeps.spec import SweepSpec
from pages.cache.torch_import import require_torch
from pages.state.asking import ASKING
from pages.state.session import take_flash, value_of
from pages.state.sweeps import LOOKS, SWEEPS
from pages.state.train import TRAIN
from pages.sweeps import create, extend, ladder, pictures, table, view
from tests.charts.charts_data import run
from tests.sweeps.sweep_runs import small_spec
from tests.web.addresses import draw_alone
from tests.web.shown_components import Shown
from tests.web.web_data import Bench


@pytest.fixture(autouse=True)
def nothing_chosen() -> Iterator[None]:
    for page in (SWEEPS, ASKING, TRAIN):
        page.forget()
    yield
    for page in (SWEEPS, ASKING, TRAIN):
        page.forget()


# -- the form ----------------------------------------------------------------------------------------------------------


def _entered(draw: Callable[[], Any], **state: Any) -> Any:
    """Return the result of a part of the form, with these fields of the page entered."""
    found: list[Any] = []
    draw_alone(lambda: found.append(draw()), state={SWEEPS.state_key: replace(SWEEPS.record(), **state)})
    return found[0]


@pytest.mark.parametrize(
    ("name", "state", "spec"),
    [
        ("lr", {}, {"low": 1e-4, "high": 1e-1, "log": True}),
        ("lr", {"low": {"lr": 1e-3}, "log": {"lr": False}}, {"low": 1e-3, "high": 1e-1}),
        ("lr", {"kind": {"lr": "values"}, "values": {"lr": "0.1, ,1e-3"}}, {"values": [0.1, 1e-3]}),
        ("momentum", {"high": {"momentum": 0.8}}, {"low": 0.5, "high": 0.8}),
        ("momentum", {"log": {"momentum": True}}, {"low": 0.5, "high": 0.99, "log": True}),
        ("batch_size", {}, {"values": [16, 32, 64, 128]}),
        ("batch_size", {"kind": {"batch_size": "range"}}, {"low": 16, "high": 128}),
        ("batch_size", {"kind": {"batch_size": "range"}, "low": {"batch_size": 8.0}}, {"low": 8, "high": 128}),
        ("shuffle", {}, {"values": [False, True]}),
        ("optimizer", {"values": {"optimizer": ("sgd",)}}, {"values": ["sgd"]}),
    ],
)
def test_a_setting_varies_over_the_entered_range_else_over_the_default_one(
    name: str, state: dict[str, Any], spec: dict[str, Any]
) -> None:
    found = _entered(lambda: create._parameter(name), **state)
    assert found == spec
    assert [type(value) for value in found.values()] == [type(value) for value in spec.values()]


def test_only_settings_whose_values_can_be_listed_are_offered() -> None:
    app = draw_alone(create._space)
    (box,) = [each for each in app.multiselect if each.label == "Settings to vary"]
    assert {"Learning rate", "Batch size"} <= set(box.options)
    assert not {"Options of the network", "Init from"} & set(box.options)
    assert _entered(create._space, vary=("shuffle",)) == {"shuffle": {"values": [False, True]}}


@pytest.mark.parametrize(
    ("state", "changed"),
    [
        ({}, {}),
        ({"method": "grid"}, {"method": "grid", "trials": None}),
        ({"trials": 3, "minutes": 2.5}, {"trials": 3, "minutes": 2.5}),
        ({"halving": False, "factor": 9}, {"halving": None}),
        ({"factor": 2, "first_epochs": 3}, {"halving": {"factor": 2, "first_epochs": 3}}),
    ],
)
def test_the_effort_is_read_as_fields_of_a_sweep_spec(
    bench: Bench, state: dict[str, Any], changed: dict[str, Any]
) -> None:
    usual = {"method": "tpe", "trials": 16, "minutes": None, "halving": {"factor": 4, "first_epochs": 1}}
    assert _entered(create._effort, **state) == usual | changed


def test_the_base_is_a_preset_a_study_or_the_current_train_form() -> None:
    assert create._settings_of("form") == RunConfig().as_dict()
    study = create._settings_of("c-batch")
    assert (study["arch"], study["val_fraction"]) == ("basic-cnn", 0.1)
    assert create._settings_of("d-lenet-bn")["arch"] == "lenet-bn"
    assert create._key("c-batch") == ("c-batch", "basic-cnn", study["dataset"], str(study["epochs"]))
    titles = create._starts()
    assert titles["form"] == "The default settings"
    assert titles["c-batch"] == "Study of report C · Batch size"
    TRAIN.change(ready=True)
    assert create._starts()["form"] == "The Train form"


def test_a_study_fills_the_form_and_any_other_start_gets_enough_epochs_for_rungs() -> None:
    SWEEPS.change(start="form", values={"lr": "1"}, kind={"lr": "range"})
    create._take_start(["digits"])
    page = SWEEPS.read()
    assert (page.arch, page.dataset, page.epochs, page.taken) == ("lenet5", "digits", 8, create._key("form"))
    assert (page.vary, page.kind) == (("lr", "batch_size"), {"lr": "range"})
    SWEEPS.change(start="c-epochs")
    create._take_start(["digits"])
    page = SWEEPS.read()
    assert (page.name, page.vary, page.method, page.halving) == ("Epochs", ("epochs",), "grid", False)
    assert (page.kind, page.values) == ({"lr": "range", "epochs": "values"}, {"lr": "1", "epochs": "10, 20, 100"})
    assert page.epochs == create._settings_of("c-epochs")["epochs"]


def test_an_invalid_sweep_is_refused_in_a_sentence() -> None:
    base, space = RunConfig().as_dict(), {"lr": {"low": 1.0, "high": 0.1}}
    effort = {"trials": 2}
    app = draw_alone(lambda: create._read(base, space, effort))
    assert "low must be below high" in app.error[0].value
    SWEEPS.change(name="mine")
    found = create._read(base, {"lr": {"values": [0.1]}}, effort)
    assert found is not None
    assert (found.name, found.trials, found.base) == ("mine", 2, RunConfig())


def test_a_sweep_is_created_for_the_owner_in_the_form_and_then_opened(bench: Bench, starts: list[str]) -> None:
    def part() -> None:
        if not SWEEPS.read().sweep:
            ASKING.change(owner="ann", priority=3)
            create._create(small_spec())
        st.text(SWEEPS.read().sweep)

    app = draw_alone(part)
    (sweep,) = bench.lab.store.sweeps.list()
    assert (sweep.owner, sweep.priority, starts) == ("ann", 3, ["worker"])
    assert app.text[0].value == sweep.id
    assert app.query_params["sweep"] in (sweep.id, [sweep.id])


# -- the ladder --------------------------------------------------------------------------------------------------------


def test_the_ladder_names_each_rung_and_what_it_saves() -> None:
    halved = draw_alone(lambda: ladder.ladder(small_spec()))
    assert [caption.value for caption in halved.caption] == ["About 16 epochs instead of 32 (50\u00a0%)."]
    assert ladder._words(((1, 8), (2, 4), (4, 1))) == "8 trials to epoch 1; 4 trials to epoch 2; 1 trial to epoch 4"
    (drawn,) = [each.proto.body for each in halved.get("html")]
    assert [f"width:{share}%" in drawn for share in ("100.0", "50.0", "25.0")] == [True] * 3
    assert "<span>epoch 4</span>" in drawn
    whole = draw_alone(lambda: ladder.ladder(small_spec(halving=None)))
    assert [caption.value for caption in whole.caption] == ["32 epochs."]
    unlimited = draw_alone(lambda: ladder.ladder(small_spec(trials=None, minutes=3)))
    assert [caption.value for caption in unlimited.caption] == ["As many trials as the minutes allow."]
    assert not unlimited.get("html")
    require_torch()
    unfit = small_spec(base={**small_spec().base.as_dict(), "arch": "vgg11", "input_size": "native"})
    (message,) = [caption.value for caption in draw_alone(lambda: ladder.estimate(unfit)).caption]
    assert "smallest size that works is 32" in message


def test_the_time_of_a_sweep_is_its_share_of_the_base_runs_and_at_most_its_minutes() -> None:
    spec = small_spec()
    whole = ladder.seconds_of(replace(spec, halving=None, trials=1))
    assert ladder.seconds_of(spec) == pytest.approx(16 / 4 * whole)
    assert ladder.seconds_of(replace(spec, minutes=1e-6)) == pytest.approx(6e-5)
    assert ladder.seconds_of(replace(spec, trials=None, minutes=2.0)) == 120.0


# -- extending a sweep -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "form", "trials", "minutes"),
    [
        ({"trials": 8}, {"more_trials": 2, "more_minutes": 5.0}, 10, None),
        ({"trials": None, "minutes": 3.0}, {"more_trials": 2, "more_minutes": 1.5}, None, 4.5),
        ({"trials": 8, "minutes": 3.0}, {"more_trials": 0, "more_minutes": 1.0}, 8, 4.0),
        ({"trials": 8, "minutes": 3.0}, {"more_trials": 1, "more_minutes": 0.0}, 9, 3.0),
    ],
)
def test_extending_a_sweep_raises_only_the_limits_that_it_has(
    bench: Bench, starts: list[str], limits: dict[str, Any], form: dict[str, Any], trials: int, minutes: float
) -> None:
    made = bench.lab.sweeps.create(small_spec(**limits)).sweep
    SWEEPS.change(**form)
    extend._extend(made, made.asked.space.as_dict())
    found = bench.lab.sweeps.show(made.id).sweep.asked
    assert (found.trials, found.minutes, found.space) == (trials, minutes, made.asked.space)
    assert (starts, take_flash()) == (["worker"], "")
    assert value_of(f"closing.{extend._BOX}")


def test_a_refused_extension_is_reported_and_the_popover_stays_open(bench: Bench, starts: list[str]) -> None:
    made = bench.lab.sweeps.create(small_spec()).sweep
    st.session_state.pop(f"closing.{extend._BOX}", None)
    extend._extend(made, {"lr": {"low": 1.0, "high": 0.1}})
    assert "low must be below high" in take_flash()
    assert (starts, value_of(f"closing.{extend._BOX}")) == ([], None)
    extend._adopt(replace(made, id="deadbeef0000"))
    assert "deadbeef0000" in take_flash()
    assert value_of(f"closing.{extend._BOX}") is None
    extend._adopt(made)
    assert take_flash() == "No other run has matching settings and results."
    assert value_of(f"closing.{extend._BOX}")


@pytest.mark.parametrize(
    ("space", "state", "found"),
    [
        ({"lr": {"low": 0.1, "high": 1.0, "log": True}}, {}, {"low": 0.1, "high": 1.0, "log": True}),
        (
            {"lr": {"low": 0.1, "high": 1.0, "log": True}},
            {"low": {"id.lr": 0.2}, "high": {"id.lr": 0.5, "lr": 9.0}},
            {"low": 0.2, "high": 0.5, "log": True},
        ),
        (
            {"batch_size": {"low": 8, "high": 16, "step": 4}},
            {"high": {"id.batch_size": 12.0}},
            {"low": 8, "high": 12, "step": 4},
        ),
        (
            {"batch_size": {"values": [8, 16]}},
            {"values": {"id.batch_size": (16,), "batch_size": "8"}},
            {"values": [16]},
        ),
    ],
)
def test_a_range_is_narrowed_only_by_the_inputs_of_its_own_sweep(
    space: dict[str, Any], state: dict[str, Any], found: dict[str, Any]
) -> None:
    ((name, given),) = space.items()
    sweep = _sweep(small_spec(space=space))
    assert _entered(lambda: extend._parameter(sweep, read_parameter(name, given)), **state) == found


# -- one sweep ---------------------------------------------------------------------------------------------------------


def _sweep(spec: SweepSpec, **facts: Any) -> SweepRecord:
    return SweepRecord(**{"id": "id", "number": 1, "name": "s", "spec": spec, "state": SweepState.RUNNING} | facts)


def _trial(
    number: int, params: Mapping[str, Any], *losses: float, state: TrialState = TrialState.PAUSED
) -> TrialRecord:
    values = tuple(Measured(2**at, loss, 1 - loss, 10.0 * number) for at, loss in enumerate(losses))
    return TrialRecord(number=number, run=f"run{number}", params=params, values=values, state=state)


def _totals(seen: SweepView) -> dict[str, tuple[str, str]]:
    """Return the value and the caption of each total."""
    app = draw_alone(lambda: view._numbers(seen))
    words: dict[str, tuple[str, str]] = {}
    for block in app.main.children[0].children[0].children.values():
        metric, *rest = block.children.values()
        words[metric.label] = (metric.value, " ".join(each.value for each in rest))
    return words


def test_the_totals_of_a_sweep_count_what_was_trained_and_what_pausing_saved() -> None:
    counts = Counts(queued=1, running=2, paused=3, finished=4, failed=5, cached=6)
    trials = (
        replace(_trial(1, {"lr": 0.1}, state=TrialState.FINISHED), epochs=4),
        replace(_trial(2, {"lr": 0.1, "epochs": 12}, state=TrialState.PAUSED), epochs=8),
        _trial(3, {"lr": 0.1}, state=TrialState.COPY),
    )
    seen = SweepView(_sweep(small_spec(minutes=2.0)), trials, counts, 90.0, 12, None)
    assert _totals(seen) == {
        "Best trial": ("–", ""),
        "Trials": (
            "3 of 8",
            "4 finished, 2 in training, 1 queued, 3 paused, 5 failed; 6 of them taken from earlier runs",
        ),
        "Epochs trained": ("12", "25\u00a0% saved by pausing"),  # of 4 and 12
        "Computing time": ("1\u00a0min 30\u00a0s", "of 2\u00a0min"),
    }
    unlimited = replace(
        seen, sweep=_sweep(small_spec(trials=None, minutes=3.0)), epochs=16, counts=Counts.of(()), trials=trials[::2]
    )
    assert _totals(unlimited)["Trials"] == ("2", "")
    assert _totals(unlimited)["Epochs trained"] == ("16", "")
    assert _totals(replace(seen, sweep=_sweep(small_spec()), trials=(), epochs=0))["Epochs trained"] == ("0", "")
    assert _totals(replace(seen, sweep=_sweep(small_spec())))["Computing time"] == ("1\u00a0min 30\u00a0s", "")


def test_trials_whose_worker_does_not_respond_are_not_in_training() -> None:
    counts = Counts(queued=0, running=2, paused=0, finished=0, failed=0, cached=0, silent=1)
    assert (
        _totals(SweepView(_sweep(small_spec()), (), counts, 1.0, 1, None))["Trials"][1]
        == "1 in training, 1 not responding"
    )
    trials = [
        replace(_trial(1, {"lr": 0.1}, state=TrialState.RUNNING), run_status="not responding", responding=False),
        _trial(2, {"lr": 0.1}, state=TrialState.HELD),
    ]
    [shown] = draw_alone(lambda: table.trials_table(small_spec(), trials)).dataframe
    assert shown.value["state"].to_list() == [["held"], ["not responding"]]
    states = json.loads(shown.proto.columns)["state"]["type_config"]["options"]
    assert {one["value"] for one in states} >= {*map(str, TrialState), "not responding", "pausing", "stopping"}


def test_the_best_trial_shows_its_last_evaluation() -> None:
    best = Best(_trial(7, {"lr": 0.1}), Measured(4, 0.25, 0.875))
    app = draw_alone(lambda: view._best(best))
    words = "validation accuracy after epoch 4, its last so far; loss 0.2500"
    assert (app.metric[0].value, app.caption[0].value) == ("87.50\u00a0%", words)
    ended = replace(best, trial=replace(best.trial, state=TrialState.FINISHED))
    (caption,) = draw_alone(lambda: view._best(ended)).caption
    assert caption.value == "validation accuracy after epoch 4, its last; loss 0.2500"


def test_a_best_trial_whose_own_page_shows_another_epoch_says_so() -> None:
    def words_for(epoch: int | None) -> str:
        saved = HeadlineResult(epoch=epoch, which="best", saved=True)
        of = replace(run(epochs=4), saved=saved)
        trial = _trial(7, {"lr": 0.1}, state=TrialState.FINISHED)
        return view.best_words(Best(trial, Measured(4, 0.25, 0.875), 0.8125, of))

    tested = "Test accuracy after epoch 4, shown only at the end: 81.25 %."
    other = "Trials are compared after their last epoch; the run's own page shows epoch 3 of 4 (best)."
    assert words_for(3) == f"{tested} {other}"
    assert words_for(4) == words_for(None) == tested


def test_an_unreadable_sweep_shows_only_the_reason() -> None:
    app = draw_alone(lambda: view.show_sweep(_sweep(None, problem="Its settings are *damaged*.")))  # type: ignore[arg-type]
    assert [error.value.replace("\\", "") for error in app.error] == ["Its settings are *damaged*."]
    assert ([button.label for button in app.button], len(app.metric)) == (["All sweeps"], 0)


@pytest.mark.parametrize(
    ("action", "before", "after", "workers"),
    [
        ("pause", SweepState.RUNNING, SweepState.PAUSED, []),
        ("stop", SweepState.RUNNING, SweepState.STOPPED, []),
        ("resume", SweepState.PAUSED, SweepState.RUNNING, ["worker"]),
    ],
)
def test_a_click_requests_a_state_and_only_resuming_starts_a_worker(
    bench: Bench, starts: list[str], action: str, before: SweepState, after: SweepState, workers: list[str]
) -> None:
    sweep = bench.lab.sweeps.create(small_spec()).sweep.id
    if before is SweepState.PAUSED:
        bench.lab.sweeps.pause(sweep)
    view._ask(sweep, action)
    assert (bench.lab.sweeps.show(sweep).sweep.state, starts, take_flash()) == (after, workers, "")
    view._ask("deadbeef0000", action)
    assert "deadbeef0000" in take_flash()


# -- its pictures ------------------------------------------------------------------------------------------------------

SPEC = small_spec(
    space={"lr": {"low": 1e-3, "high": 1.0, "log": True}, "momentum": {"low": 0.0, "high": 0.9}},
    base={**small_spec().base.as_dict(), "optimizer": "sgd"},
    trials=9,
)
TRIALS = tuple(
    _trial(at, {"lr": rate, "momentum": 0.1 * (at % 3)}, 0.5 + 0.01 * at, *([0.4] * (at < 5)))
    for at, rate in enumerate((0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5), start=1)
)


def _drawn(**state: Any) -> AppTest:
    state = {SWEEPS.state_key: replace(SWEEPS.record(), **state)}
    return draw_alone(lambda: pictures.pictures(SPEC, TRIALS), state=state)


def _colours(shown: Shown, look: str) -> set[str]:
    _drawn(look=look)
    narrow = shown.data["narrow"]
    return set(re.findall(r"#[0-9a-f]{6}|rgba?\([^)]*\)", shown.data["figure"] + str(narrow and narrow["figure"])))


@pytest.mark.parametrize("look", LOOKS)
def test_a_picture_has_no_colour_of_the_other_theme(
    bench: Bench, shown: Shown, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    """The recorded texts of pages cover only the light theme."""
    light = _colours(shown, look)
    monkeypatch.setattr(type(st.context), "theme", property(lambda _: SimpleNamespace(type="dark")))
    dark = _colours(shown, look)
    assert len(light) == len(dark) > 1
    assert light & dark <= {GREY, "rgba(0, 0, 0, 0)"}


def test_importance_is_computed_at_the_shown_rung_and_needs_enough_trials_there(shown: Shown) -> None:
    assert not _drawn(look="importance").caption[-1].value.startswith("Needs")
    few = _drawn(look="importance", rung=2)
    assert [caption.value for caption in few.caption] == [
        "n = 4 trials",
        f"Needs at least {MIN_TRIALS} trials that were evaluated there.",
    ]
    assert _drawn(look="parallel", rung=7).session_state[SWEEPS.state_key].rung == 1  # of a longer sweep
    none = _drawn(look="slices", rung=3)
    assert [caption.value for caption in none.caption] == ["n = 0 trials", "No trial has been evaluated there yet."]


def test_a_surface_needs_two_settings_and_trials_that_do_not_lie_on_one_line(shown: Shown) -> None:
    def last_caption(spec: SweepSpec, trials: Sequence[TrialRecord]) -> str:
        return str(draw_alone(lambda: pictures._surface(spec, scores_at(spec, trials, 0))).caption[-1].value)

    assert last_caption(small_spec(), TRIALS) == "This sweep varies only one setting."
    assert last_caption(SPEC, TRIALS[:3]) == "A surface needs four trials that do not lie on one line."
    assert last_caption(SPEC, TRIALS).startswith("Points are trials")
    assert (shown.data["filename"], shown.data["revision"]) == ("sweep-lr-momentum", "lr momentum")
    assert shown.data["words"] == "Validation loss of 9 trials over Learning rate and Momentum"


def test_every_start_of_a_sweep_has_its_own_title() -> None:
    titles = create._starts()
    assert len(set(titles.values())) == len(titles)
    assert titles["b-wide-cnn-lr-0.01"] == "Report B · The same at lr 0.01"
