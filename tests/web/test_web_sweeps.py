"""The Sweeps page in `AppTest`: the form, a sweep with each of its pictures, and the actions on it."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lab.errors import ConfigError
from lab.service.lab import Lab
from lab.service.workers import Workers
from lab.settings import Settings
from lab.sweeps.records import Source, SweepState, TrialRecord, TrialState
from lab.sweeps.space import SWEEPABLE
from lab.sweeps.spec import SweepSpec
from lab.sweeps.usual_ranges import usual_range
from pages.markdown import plain
from pages.state.sweeps import LOOKS, SWEEPS
from pages.sweeps.ladder import count_trials, epochs_needed, rung_counts
from pages.sweeps.view import saved_share
from tests.golden.page_text import shown_table
from tests.sweeps.sweep_runs import run_sweep, small_spec, work_until_idle
from tests.web.addresses import go_to, open_page, set_state
from tests.web.web_data import Bench


@pytest.fixture(autouse=True)
def no_worker_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no workers: the tests train the trials themselves."""
    monkeypatch.setattr(Workers, "ensure", lambda _workers: False)


def open_sweeps(**query: str) -> AppTest:
    return open_page("sweeps", **query)


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def pictures(app: AppTest) -> list[dict[str, Any]]:
    shown = [json.loads(element.proto.json) for element in app.get("bidi_component") if element.proto.json]
    return [data for data in shown if "figure" in data]


@pytest.fixture(scope="module")
def swept_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the home, to be copied, of a lab with an ended sweep of nine trials over two settings, and its id."""
    home = tmp_path_factory.mktemp("swept") / "home"
    lab = Lab(Settings.from_env({"LAB_HOME": str(home)}))
    space = {"lr": {"low": 1e-4, "high": 1e-1, "log": True}, "momentum": {"low": 0.0, "high": 0.9}}
    base = {**small_spec().base.as_dict(), "optimizer": "sgd"}
    view = run_sweep(lab, small_spec(space=space, base=base, trials=9))
    lab.store.close()
    return home, view.sweep.id


@pytest.fixture
def swept(swept_home: tuple[Path, str], bench: Bench) -> tuple[Bench, str]:
    """Return a copy of that lab, and the sweep's id."""
    home, sweep = swept_home
    bench.lab.store.close()
    shutil.copytree(home, bench.lab.settings.home, dirs_exist_ok=True)
    return bench, sweep


def test_every_picture_of_a_sweep_is_drawn(swept: tuple[Bench, str]) -> None:
    bench, sweep = swept
    shown = bench.lab.sweeps.show(sweep)
    figures = {look: len(pictures(open_sweeps(sweep=sweep, look=look))) for look in LOOKS}
    assert figures == {"curves": 1, "best": 1, "parallel": 1, "importance": 1, "slices": 2, "surface": 1}
    app = open_sweeps(sweep=sweep)
    assert metrics(app)["Trials"] == "9 of 9"
    assert metrics(app)["Epochs trained"] == str(shown.epochs)
    assert shown.epochs < 9 * 4
    (table,) = app.dataframe
    assert list(table.value["trial"]) == list(range(9, 0, -1))
    assert list(table.value["decision"]) == [trial.decision for trial in reversed(shown.trials)]


def test_trials_are_compared_at_the_rung_in_the_address(swept: tuple[Bench, str]) -> None:
    bench, sweep = swept
    trials = bench.lab.sweeps.show(sweep).trials
    for rung, epoch in ((1, 1), (2, 2), (3, 4)):
        evaluated = sum(any(value.epoch == epoch for value in trial.values) for trial in trials)
        app = open_sweeps(sweep=sweep, look="parallel", rung=str(rung))
        assert f"n = {evaluated} trial" in " ".join(caption.value for caption in app.caption)


def shown_words(app: AppTest) -> str:
    return "\n".join(each.value.replace("\\", "") for each in (*app.caption, *app.error, *app.markdown))


def test_a_rung_chosen_on_the_page_is_written_to_the_address(swept: tuple[Bench, str]) -> None:
    bench, sweep = swept
    trials = bench.lab.sweeps.show(sweep).trials
    app = open_sweeps(sweep=sweep, look="slices")
    for rung, epoch in ((3, 4), (2, 2), (1, 1)):
        app.segmented_control(key="sweeps.rung").set_value(rung).run()
        evaluated = sum(any(value.epoch == epoch for value in trial.values) for trial in trials)
        assert f"n = {evaluated} trial" in shown_words(app)
        assert [
            f"Validation loss of {evaluated} trials against learning rate" in words for words in described(app)
        ] == [
            True,
            False,
        ]
        assert app.query_params.get("rung") in ([str(rung)], str(rung), None if rung == 1 else str(rung))
        assert app.segmented_control(key="sweeps.rung").options == ["1", "2", "4"]
    assert "rung" not in app.query_params


def described(app: AppTest) -> list[str]:
    """Return the alt text of each picture."""
    return [data["words"] for data in pictures(app)]


@pytest.mark.parametrize(
    ("look", "query", "sentence"),
    [
        ("slices", {"rung": "4"}, "The address has rung='4', but it must be a whole number from 1 to 3."),
        ("surface", {"x": "dropout"}, "The address has x='dropout', but it must be one of lr, momentum"),
        ("surface", {"x": "epochs"}, "The address has x='epochs', but it must be one of lr, momentum"),
        ("surface", {"x": "momentum", "y": "momentum"}, "The address has y='momentum', but it must be one of lr."),
    ],
)
def test_an_invalid_rung_or_setting_is_reported_and_stays_in_the_address(
    swept: tuple[Bench, str], look: str, query: dict[str, str], sentence: str
) -> None:
    app = open_sweeps(sweep=swept[1], look=look, **query)
    assert sentence in shown_words(app)
    assert {name: app.query_params[name] for name in query} == query


def test_the_two_settings_of_a_surface_are_never_the_same(swept: tuple[Bench, str]) -> None:
    app = open_sweeps(sweep=swept[1], look="surface", x="momentum", y="lr")
    assert [box.value for box in app.selectbox] == ["momentum", "lr"]
    assert "over Momentum and Learning rate" in described(app)[0]
    app.selectbox(key="sweeps.x").set_value("lr").run()
    assert [box.value for box in app.selectbox] == ["lr", "momentum"]
    assert (app.query_params["x"], app.query_params["y"]) == ("lr", "momentum")
    assert not app.error


def places(block: Any, path: tuple[int, ...] = ()) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the type and position of each element and block; the browser keeps elements whose position is the same."""
    for at, child in block.children.items():
        yield child.type, (*path, at)
        if hasattr(child, "children"):
            yield from places(child, (*path, at))


def test_the_end_of_a_sweep_moves_no_clickable_element(swept: tuple[Bench, str]) -> None:
    bench, sweep = swept
    kinds = ("metric", "page_link", "popover", "button_group", "bidi_component")
    ended = [place for place in places(open_sweeps(sweep=sweep).main) if place[0] in kinds]
    bench.lab.sweeps.extend(sweep, trials=1)
    running = [place for place in places(open_sweeps(sweep=sweep).main) if place[0] in kinds]
    assert bench.lab.sweeps.show(sweep).sweep.reason == ""
    assert {kind for kind, _ in ended} == set(kinds)
    assert running == ended


@pytest.mark.parametrize(("page", "query"), [("machines", {}), ("sweeps", {}), ("sweeps", {"sweep": "small"})])
def test_an_unknown_parameter_of_the_address_is_reported_below_the_title(
    bench: Bench, page: str, query: dict[str, str]
) -> None:
    bench.lab.sweeps.create(small_spec())
    kinds = [kind for kind, _ in places(open_page(page, **query, nonsense="1").main)]
    assert kinds.count("error") == 1
    assert kinds.index("title") < kinds.index("error")


def test_the_page_of_a_trial_links_to_its_sweep(swept: tuple[Bench, str]) -> None:
    bench, sweep = swept
    app = open_page("train", run=bench.lab.sweeps.show(sweep).trials[0].run)
    links = [link.proto.query_string for link in app.get("page_link")]
    assert f"sweep={sweep}" in links


def test_an_unknown_sweep_is_reported_and_the_list_is_shown(swept: tuple[Bench, str]) -> None:
    app = open_sweeps(sweep="deadbeef0000")
    assert any("'deadbeef0000'" in error.value for error in app.error)
    assert any(header.value == "New sweep" for header in app.header)


def test_the_form_creates_the_sweep_that_it_describes(bench: Bench) -> None:
    app = open_sweeps()
    app.multiselect(key="sweeps.vary").set_value(["lr", "optimizer"]).run()
    app.number_input(key="sweeps.high.lr").set_value(0.02).run()
    app.multiselect(key="sweeps.values.optimizer").set_value(["sgd", "adam"]).run()
    app.number_input(key="sweeps.trials").set_value(5).run()
    app.text_input(key="sweeps.name").set_value("rates").run()
    app.button(key="sweep-start").click().run()
    assert not app.exception, [e.value for e in app.exception]
    (sweep,) = bench.lab.store.sweeps.list()
    assert (sweep.name, sweep.asked.trials, sweep.state) == ("rates", 5, SweepState.RUNNING)
    assert sweep.asked.space.as_dict() == {
        "optimizer": {"values": ["sgd", "adam"]},
        "lr": {"low": 1e-4, "high": 0.02, "log": True},
    }
    assert app.query_params["sweep"] in (sweep.id, [sweep.id])
    assert [title.value for title in app.title] == ["rates"]


def test_an_invalid_range_is_reported_and_starts_nothing(bench: Bench) -> None:
    app = open_sweeps()
    app.number_input(key="sweeps.low.lr").set_value(0.5).run()
    assert any("low must be below high" in error.value for error in app.error)
    assert app.button(key="sweep-start").disabled


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("epochs", 10_001, "epochs is 10001, but"),
        ("trials", 0, "trials is 0, but it must be a whole number from 1 to 100,000"),
        ("minutes", -1.0, "minutes is -1.0, but it must be a number above 0"),
        ("first_epochs", 0, "halving.first_epochs is 0, but"),
        ("factor", 1, "halving.factor is 1, but"),
    ],
)
def test_a_number_out_of_range_is_refused_and_not_replaced_by_the_previous_one(
    bench: Bench, field: str, value: float, sentence: str
) -> None:
    app = open_sweeps()
    box = app.number_input(key=f"sweeps.{field}")
    assert (box.proto.has_min, box.proto.has_max) == (False, False)  # the browser would send nothing
    box.set_value(value).run()
    assert [error.value for error in app.error if error.value.startswith(plain(sentence))], [e.value for e in app.error]
    assert app.button(key="sweep-start").disabled


def test_bounds_of_integer_settings_are_integers(bench: Bench) -> None:
    app = open_sweeps()
    app.multiselect(key="sweeps.vary").set_value(["batch_size"]).run()
    app.segmented_control(key="sweeps.kind.batch_size").set_value("range").run()
    boxes = [app.number_input(key=f"sweeps.{end}.batch_size") for end in ("low", "high")]
    assert [(type(box.value), box.value) for box in boxes] == [(int, 16), (int, 128)]


def test_text_in_a_list_of_numbers_is_reported(bench: Bench) -> None:
    app = open_sweeps()
    app.text_input(key="sweeps.values.batch_size").set_value("16, many").run()
    assert any("many" in error.value for error in app.error)


def test_pause_resume_and_stop_reach_the_sweep(bench: Bench) -> None:
    sweep = bench.lab.sweeps.create(small_spec()).sweep.id
    app = open_sweeps(sweep=sweep)
    app.button(key="sweep-pause").click().run()
    assert bench.lab.sweeps.show(sweep).sweep.state is SweepState.PAUSED
    app.button(key="sweep-resume").click().run()
    assert bench.lab.sweeps.show(sweep).sweep.state is SweepState.RUNNING
    app.button(key="sweep-stop").click().run()
    assert bench.lab.sweeps.show(sweep).sweep.state is SweepState.STOPPED


def test_a_sweep_can_be_extended_and_narrowed(swept: tuple[Bench, str]) -> None:
    bench, sweep = swept
    app = open_sweeps(sweep=sweep)
    app.number_input(key=f"sweeps.high.{sweep}.lr").set_value(0.01).run()
    app.number_input(key="sweeps.more_trials").set_value(2).run()
    app.button(key="sweep-extend-now").click().run()
    assert not app.exception, [e.value for e in app.exception]
    work_until_idle(bench.lab)
    shown = bench.lab.sweeps.show(sweep)
    assert len(shown.trials) == 11
    assert all(trial.params["lr"] <= 0.01 for trial in shown.trials[9:])
    assert len(shown.sweep.earlier) == 1


def test_a_sweep_is_not_extended_by_a_negative_number_of_trials(swept: tuple[Bench, str]) -> None:
    bench, sweep = swept
    app = open_sweeps(sweep=sweep)
    app.number_input(key="sweeps.more_trials").set_value(-2).run()
    app.button(key="sweep-extend-now").click().run()
    assert [message.value for message in app.toast] == [
        "trials is -2, but it must be a whole number from 1 to 100,000."
    ]
    assert bench.lab.sweeps.show(sweep).sweep.asked.trials == 9


def test_more_trials_are_offered_only_if_their_number_limits_the_sweep(bench: Bench) -> None:
    space = {"lr": {"values": [0.1, 0.01]}, "optimizer": {"values": ["sgd", "adam"]}}
    grid = bench.lab.sweeps.create(small_spec(space=space, method="grid", trials=None)).sweep.id
    minutes = bench.lab.sweeps.create(small_spec(trials=None, minutes=3)).sweep.id
    trials = bench.lab.sweeps.create(small_spec()).sweep.id
    offered = {sweep: [box.label for box in open_sweeps(sweep=sweep).number_input] for sweep in (grid, minutes, trials)}
    assert offered == {
        grid: [],
        minutes: ["More minutes of computing", "Learning rate from", "Learning rate to"],
        trials: ["More trials", "Learning rate from", "Learning rate to"],
    }
    assert open_sweeps(sweep=grid).multiselect(key=f"sweeps.values.{grid}.optimizer").options == ["SGD", "Adam"]


def trial(
    number: int, state: TrialState, trained: int, source: Source = Source.SUGGESTED, **params: Any
) -> TrialRecord:
    return TrialRecord(number=number, run=f"run{number}", state=state, epochs=trained, source=source, params=params)


def test_the_saved_share_counts_only_epochs_that_paused_trials_did_not_train() -> None:
    spec = small_spec()  # of 4 epochs
    begun = [trial(1, TrialState.RUNNING, 1), trial(2, TrialState.QUEUED, 0)]
    assert saved_share(spec, begun) == 0
    assert saved_share(spec, [*begun, trial(3, TrialState.PAUSED, 1)]) == 3 / 12
    assert saved_share(spec, [trial(1, TrialState.FINISHED, 4), trial(2, TrialState.PAUSED, 2)]) == 2 / 8
    assert (
        saved_share(spec, [trial(1, TrialState.FINISHED, 8, epochs=8), trial(2, TrialState.PAUSED, 1, epochs=2)]) == 0.1
    )
    assert saved_share(spec, [trial(1, TrialState.FAILED, 1), trial(2, TrialState.STOPPED, 1)]) == 0
    untrained = trial(2, TrialState.PAUSED, 0, Source.CACHED), trial(3, TrialState.PAUSED, 0, Source.ADOPTED)
    assert saved_share(spec, [trial(1, TrialState.FINISHED, 4), *untrained, trial(4, TrialState.COPY, 0)]) == 0
    assert saved_share(spec, []) == 0


def test_an_unnamed_sweep_is_listed_and_headed_by_what_it_varies(bench: Bench) -> None:
    unnamed = bench.lab.sweeps.create(small_spec(name="")).sweep.id
    title = "Learning rate of LeNet-5 on Digits (built in)"
    (link,) = [link for link in open_sweeps().get("page_link") if unnamed in link.proto.query_string]
    assert link.proto.label.replace("\\", "") == title
    assert title in [each.value.replace("\\", "") for each in open_sweeps(sweep=unnamed).title]


def test_the_table_writes_settings_as_the_form_does(bench: Bench) -> None:
    space = {"optimizer": {"values": ["sgd"]}, "lr": {"values": [0.012345678]}, "nesterov": {"values": [True]}}
    sweep = bench.lab.sweeps.create(small_spec(space=space, method="grid", trials=None)).sweep.id
    (table,) = open_sweeps(sweep=sweep).dataframe
    assert table.value["lr"].tolist() == [0.01235]
    assert shown_table(table)[["optimizer", "lr", "nesterov"]].to_numpy().tolist() == [["SGD", "0.01235", "yes"]]


def test_earlier_runs_are_adopted_as_history(swept: tuple[Bench, str]) -> None:
    bench, sweep = swept
    spec = bench.lab.sweeps.show(sweep).sweep.spec
    other = bench.lab.sweeps.create(replace(spec, seed=5)).sweep.id
    for sentence in ("9 runs adopted as history.", "No other run has matching settings and results."):
        app = open_sweeps(sweep=other)
        app.button(key="sweep-adopt").click().run()
        assert not app.exception, [e.value for e in app.exception]
        assert sentence in {message.value for message in app.toast}
    sources = [trial.source for trial in bench.lab.sweeps.show(other).trials]
    assert sources.count(Source.ADOPTED) == 9


def test_a_new_sweep_has_no_best_trial_and_no_pictures(bench: Bench) -> None:
    sweep = bench.lab.sweeps.create(small_spec()).sweep.id
    app = open_sweeps(sweep=sweep)
    assert metrics(app)["Best trial"] == "–"
    assert pictures(app) == []


@pytest.mark.parametrize("name", [name for name in SWEEPABLE if name not in ("arch_options", "init_from", "fork_of")])
def test_every_setting_has_a_default_range(name: str) -> None:
    try:
        parameter = usual_range(name)
    except ConfigError as error:
        pytest.fail(str(error))
    assert parameter.values or parameter.bounds[0] < parameter.bounds[1]


def test_the_ladder_counts_epochs_from_rung_to_rung() -> None:
    spec: SweepSpec = small_spec()  # rungs after epochs 1, 2 and 4; every second trial continues
    counts = rung_counts(spec, 8)
    assert counts == ((1, 8), (2, 4), (4, 2))
    assert epochs_needed(counts) == 8 + 4 + 2 * 2
    assert rung_counts(spec, 1) == ((1, 1), (2, 1), (4, 1))


def test_a_grid_has_as_many_trials_as_combinations() -> None:
    space = {"lr": {"values": [0.1, 0.01]}, "batch_size": {"values": [16, 32, 64]}}
    assert count_trials(small_spec(space=space, method="grid", trials=None)) == 6
    assert count_trials(small_spec(space=space, method="grid", trials=4)) == 4
    assert count_trials(small_spec(trials=None, minutes=3)) is None


def test_the_form_remembers_what_was_entered(bench: Bench) -> None:
    app = open_sweeps()
    app.number_input(key="sweeps.trials").set_value(33).run()
    go_to(app, "runs").run()
    go_to(app, "sweeps").run()
    assert app.number_input(key="sweeps.trials").value == 33
    set_state(app, SWEEPS, vary=())
    app.run()
    assert any("space is empty" in error.value for error in app.error)


def test_a_study_of_a_report_fills_the_whole_form(bench: Bench) -> None:
    app = open_sweeps()
    app.selectbox(key="sweeps.start").set_value("c-batch").run()
    assert app.multiselect(key="sweeps.vary").value == ["batch_size"]
    assert app.text_input(key="sweeps.values.batch_size").value == "50, 100, 200"
    assert (app.selectbox(key="sweeps.arch").value, app.selectbox(key="sweeps.method").value) == ("basic-cnn", "grid")
    assert app.text_input(key="sweeps.name").value == "Batch size"
    assert not app.toggle(key="sweeps.halving").value
    assert not app.error


def test_the_base_follows_the_train_form(bench: Bench) -> None:
    app = open_sweeps()
    go_to(app, "train").run()
    app.selectbox(key="train.arch").set_value("lenet-bn").run()
    app.number_input(key="train.epochs").set_value(27).run()
    go_to(app, "sweeps").run()
    assert app.selectbox(key="sweeps.arch").value == "lenet-bn"
    assert app.number_input(key="sweeps.epochs").value == 27


def _fragment_that_leaves_a_message() -> None:
    from pages.state.session import flash
    from pages.widgets.frame import shows_errors

    shows_errors(lambda: flash("Said inside."))()


def test_a_fragment_shows_the_messages_left_by_its_callbacks() -> None:
    assert [message.value for message in AppTest.from_function(_fragment_that_leaves_a_message).run().toast] == [
        "Said inside."
    ]
