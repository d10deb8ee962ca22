"""The Runs page: its address, its table, its comparison and the reports, without a browser."""

import json
import math
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from lab.charts.overlay import AXES
from lab.charts.smoothing import SPANS
from lab.config import RunConfig
from lab.metric_charts import list_charts
from lab.presets import get_preset
from lab.runs.records import RunRecord, RunState
from pages.runs.table import PAGE_ROWS
from pages.state.codec import encode
from pages.state.runs_view import LOOKS, MAX_RUNS, RunsView, parse_view
from tests.golden.page_text import shown_table
from tests.web.addresses import labelled, open_page
from tests.web.plain_text import PLAIN
from tests.web.web_data import DIGITS_CONFIG, Bench, series

VIEWS = st.builds(
    RunsView,
    show=st.sampled_from(["runs", "reports"]),
    q=st.sampled_from(["", "arch:lenet* lr<0.01", "tag:a,b", 'name:"x y" -test>99%']),
    sort=st.sampled_from(["-created", "name", "-lr", "test"]),
    page=st.integers(1, 999_999),
    runs=st.lists(st.text("0123456789abcdef", min_size=12, max_size=12), unique=True, max_size=8).map(tuple),
    look=st.sampled_from(list(LOOKS)),
    curves=st.lists(st.sampled_from(list(list_charts())), unique=True, min_size=1).map(tuple),
    colours=st.lists(st.integers(0, 59), unique=True, max_size=8).map(tuple),
    x=st.sampled_from(list(AXES)),
    smooth=st.sampled_from(SPANS),
    by=st.sampled_from(["", "batch_size", "lr"]),
    a=st.sampled_from(["", "0123456789ab"]),
    b=st.sampled_from(["", "example-overfit", "ab12"]),
    result=st.sampled_from(["test_accuracy", "seconds"]),
    cost=st.sampled_from(["seconds", "params"]),
    report=st.sampled_from(["A", "B", "lab"]),
    **{name: st.booleans() for name in ("raw", "logx", "logy", "fold", "test", "full", "networks")},
)


@given(VIEWS)
def test_every_view_survives_the_round_trip_through_its_address(view: RunsView) -> None:
    assert parse_view(encode(view)) == (view, ())


def test_an_address_omits_defaults() -> None:
    assert encode(RunsView()) == {}
    assert encode(RunsView(runs=("aaaa", "bbbb"), logy=True)) == {"runs": "aaaa.bbbb", "logy": "1"}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("show", "nix", "show='nix', but it must be one of runs, reports"),
        ("foo", "1", "has 'foo', which this page does not recognise"),
        ("runs", "../../etc/passwd", "must be run ids, and '', '/', '/etc/passwd' cannot be one."),
        ("a", "<script>", "a='<script>', but it must be a run id"),
        ("runs", "<script>", "must be run ids, and '<script>' cannot be one."),
        ("reprot", "D", "which this page does not recognise. Did you mean 'report'?"),
        (
            "look",
            "curve",
            "one of curves, differences, groups, verdict, parallel, pareto, tree: did you mean 'curves'?",
        ),
        ("by", "batchsize", "names: did you mean 'batch_size'?"),
        ("q", "archh:lenet5", r"The search has no key 'archh'. Did you mean 'arch'?"),
        ("sort", "colour", "cannot be sorted by 'colour'"),
        ("page", "0", "must be a page number from 1"),
        ("page", "-1", "must be a page number from 1"),
        ("page", "٣", "must be a page number from 1"),
        ("smooth", "nan", "must be a number of steps, one of 1, 2, 5"),
        ("smooth", "1e9", "must be a number of steps, one of 1, 2, 5"),
        ("colours", "60", "must be numbers from 0 to 59"),
        ("colours", "1.x", "must be numbers from 0 to 59"),
        ("logx", "yes", "must be 0 or 1"),
        ("curves", "flavour", "must be one of loss, accuracy"),
        ("by", "x" * 100, "must be one of"),
    ],
)
def test_invalid_parameters_of_an_address_are_ignored_and_reported(name: str, text: str, words: str) -> None:
    view, complaints = parse_view({"look": "pareto", name: text})
    assert view.look == ("curves" if name == "look" else "pareto")
    assert view.search == ""
    assert getattr(view, name, getattr(RunsView(), name, None)) == (
        text if name == "q" else getattr(RunsView(), name, None)
    )
    assert len(complaints) == 1
    assert words in complaints[0]


@pytest.mark.parametrize(
    ("address", "shown", "words"),
    [
        ({"runs": "aaaa.x0.bbbb"}, {"aaaa": 0, "bbbb": 2}, "and 'x0' cannot be one: the others are shown."),
        ({"runs": "x0,bbbb,cccc", "colours": "4.1.3"}, {"bbbb": 1, "cccc": 3}, "and 'x0' cannot be one: the others"),
        (
            {"runs": ".".join(f"{n:04x}" for n in range(61))},
            {f"{n:04x}": n for n in range(60)},
            "must be at most 60 run ids, not 61: the first 60 are shown.",
        ),
    ],
)
def test_a_link_with_some_invalid_runs_shows_the_others_in_their_colours(
    address: dict[str, str], shown: dict[str, int], words: str
) -> None:
    view, (complaint,) = parse_view(address)
    assert view.slots == shown
    assert words in complaint
    assert parse_view(encode(view)) == (view, ())


def test_a_link_with_some_invalid_curves_shows_the_others() -> None:
    view, (complaint,) = parse_view({"curves": "loss,flavour,accuracy"})
    assert view.curves == ("loss", "accuracy")
    assert "must be one of loss, accuracy" in complaint


def test_a_run_keeps_its_colour_while_others_change_and_the_link_stores_it() -> None:
    view = RunsView().choose(("aaaa", "bbbb", "cccc"))
    assert (view.slots, view.colours) == ({"aaaa": 0, "bbbb": 1, "cccc": 2}, ())
    without = view.choose(("bbbb", "cccc"))
    assert encode(without) == {"runs": "bbbb.cccc", "colours": "1.2"}
    shared, complaints = parse_view(encode(without.choose(("cccc", "dddd", "bbbb"))))
    assert complaints == ()
    assert shared.slots == {"cccc": 2, "dddd": 0, "bbbb": 1}
    assert encode(shared.choose(())) == {}


@pytest.mark.parametrize(("weight", "span"), [("0", 1), ("0.6", 5), ("0.9", 20), ("0.99", 200), ("20", 20)])
def test_links_of_the_previous_release_open_with_the_nearest_smoothing(weight: str, span: int) -> None:
    view, complaints = parse_view({"runs": "aaaa.bbbb", "smooth": weight, "clip": "1"})
    assert (view.smooth, view.full, complaints) == (span, False, ())


@given(st.dictionaries(st.text(max_size=400), st.text(max_size=600), max_size=6))
def test_no_address_breaks_the_page(address: dict[str, str]) -> None:
    view, complaints = parse_view(address)
    assert parse_view(encode(view))[0] == view
    assert all(isinstance(complaint, str) and len(complaint) <= 300 for complaint in complaints)


# -- the page ----------------------------------------------------------------------------------------------------------


def _open(**query: str) -> AppTest:
    return open_page("runs", **query)


def _texts(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.title, *app.success, *app.header]
    return "\n".join(part.value.translate(PLAIN) for part in parts)


def _figures(app: AppTest) -> list[dict[str, Any]]:
    parts = [json.loads(part.proto.json) for part in app.get("bidi_component")]
    return [json.loads(part["figure"]) for part in parts if "figure" in part]


def _button(app: AppTest, label: str) -> Any:
    return labelled(app.button, label)


def _open_popovers(app: AppTest) -> list[str]:
    """Return the labels of the open popovers among those whose state the page reads."""
    return [each.proto.popover.label for each in app.get("popover") if each.proto.popover.open]


def _trained(bench: Bench, **changes: Any) -> RunRecord:
    run = bench.start(DIGITS_CONFIG.replace(**changes))
    loss = np.geomspace(2.3, 0.1, 60)
    bench.write(run, series("batch/loss", loss), series("batch/accuracy", 1 - loss / 2.5))
    bench.write(run, series("val/loss", loss[19::20], first=20, every=20), series("val/accuracy", 1 - loss[19::20] / 3))
    return bench.finish(run)


@pytest.fixture
def three(bench: Bench) -> list[RunRecord]:
    """Return two runs that differ in their seed, and one with another learning rate."""
    return [_trained(bench, seed=0), _trained(bench, seed=1), _trained(bench, lr=0.01)]


def test_an_empty_lab_says_so(bench: Bench) -> None:
    bench.lab.hide_examples(True)
    assert "No runs yet" in _texts(_open())


def test_the_table_lists_runs_newest_first_with_the_settings_that_differ(bench: Bench, three: list[RunRecord]) -> None:
    app = _open()
    frame = app.dataframe[0].value
    assert list(frame["name"]) == ["LeNet-5"] * 3
    assert list(frame["lr"]) == [0.01, 0.001, 0.001]  # numbers, so that a click on the heading sorts them
    assert list(shown_table(app.dataframe[0])["seed"]) == ["0", "1", "0"]
    assert "batch_size" not in frame
    assert frame["test"].tolist() == pytest.approx([97.31] * 3)
    assert not frame["chosen"].any()
    assert "1–3 of 3 runs in total" in _texts(app)


def test_a_search_filters_the_table_and_an_invalid_one_is_reported_and_can_be_corrected(
    bench: Bench, three: list[RunRecord]
) -> None:
    app = _open(q="lr<0.005 seed:1")
    assert list(app.dataframe[0].value["open"]) == [f"train?run={three[1].id}"]
    assert "1–1 of 1 run found" in _texts(app)
    app.text_input(key="runs.q").set_value("lrr<1").run()
    assert "The search has no key 'lrr'" in _texts(app)
    assert app.text_input(key="runs.q").value == "lrr<1"
    assert "1–3 of 3 runs in total" in _texts(app)
    app.text_input(key="runs.q").set_value("tag:none").run()
    assert "No runs match this search" in _texts(app)


def test_all_runs_that_a_search_found_can_be_compared_at_once(bench: Bench, three: list[RunRecord]) -> None:
    app = _open(q="lr<0.005")
    _button(app, "Compare all 2").click().run()
    assert set(app.query_params["runs"].split(".")) == {run.id for run in three[:2]}
    assert app.dataframe[0].value["chosen"].all()


def test_chosen_runs_are_drawn_with_seeds_as_one_band(bench: Bench, three: list[RunRecord]) -> None:
    app = _open(runs=".".join(run.id for run in three))
    loss, accuracy = _figures(app)
    assert loss["layout"]["title"]["text"] == "Loss"
    assert accuracy["layout"]["title"]["text"] == "Accuracy"
    names = {trace["name"] for trace in loss["data"] if trace.get("showlegend")}
    assert names == {"lr 0.001 (2 seeds)", "lr 0.01"}
    app.toggle(key="runs.fold").set_value(False).run()
    assert len({trace["name"] for trace in _figures(app)[0]["data"] if trace.get("showlegend")}) == 3


def _without_validation(bench: Bench, seed: int) -> RunRecord:
    run = bench.start(DIGITS_CONFIG.replace(val_fraction=0.0, seed=seed))
    loss = np.geomspace(2.3, 0.1, 60)
    bench.write(run, series("batch/loss", loss), series("test/loss", loss[19::20], first=20, every=20))
    return bench.finish(run)


def test_runs_without_validation_are_drawn_with_the_test_set_until_it_is_switched_off(
    bench: Bench, three: list[RunRecord]
) -> None:
    own = [_without_validation(bench, seed).id for seed in (0, 1)]
    app = _open(runs=".".join(own))
    assert app.toggle(key="runs.test").value
    assert "None of these runs has a validation set, so the test set is shown." in _texts(app)
    assert "test" not in app.query_params
    drawn = len(_figures(app)[0]["data"])
    app.toggle(key="runs.test").set_value(False).run()
    assert app.query_params["test"] == "0"
    assert len(_figures(app)[0]["data"]) < drawn
    assert "so the test set is shown" not in _texts(app)
    assert "This run has no validation set, so the test set is shown." in _texts(_open(runs=own[0]))
    mixed = _open(runs=".".join([own[0], three[0].id]))
    assert not mixed.toggle(key="runs.test").value
    assert "so the test set is shown" not in _texts(mixed)


def test_a_run_removed_from_the_choice_loses_its_tick_in_the_table(bench: Bench, three: list[RunRecord]) -> None:
    app = _open(runs=".".join(run.id for run in three))
    table = app.dataframe[0].proto.id  # an editor with the same id would keep its ticks
    app.multiselect(key="runs.runs").set_value([three[0].id]).run()
    assert app.query_params["runs"] == three[0].id
    assert app.dataframe[0].proto.id != table
    assert app.dataframe[0].value["chosen"].tolist() == [False, False, True]


def test_values_of_widgets_are_written_to_the_address_unless_they_are_defaults(
    bench: Bench, three: list[RunRecord]
) -> None:
    app = _open(runs=three[0].id)
    app.toggle(key="runs.logy").set_value(True).run()
    app.select_slider(key="runs.smooth").set_value(100).run()
    assert dict(app.query_params) == {"runs": three[0].id, "logy": "1", "smooth": "100"}
    assert _figures(app)[0]["layout"]["yaxis"]["type"] == "log"
    app.toggle(key="runs.logy").set_value(False).run()
    assert "logy" not in app.query_params


def test_differences_omit_settings_that_are_the_same(bench: Bench, three: list[RunRecord]) -> None:
    app = _open(runs=".".join(run.id for run in three), look="differences")
    frame = app.dataframe[1].value
    assert {"Seed", "Learning rate", "Test accuracy"} <= set(frame.columns)
    assert "Batch size" not in frame.columns
    assert "settings are the same in all 3 runs" in _texts(app)


def test_groups_parallel_axes_and_the_pareto_front_are_drawn(bench: Bench, three: list[RunRecord]) -> None:
    chosen = ".".join(run.id for run in three)
    groups = _open(runs=chosen, look="groups", by="lr")
    table = shown_table(groups.dataframe[1])
    assert list(table["Learning rate"]) == ["0.001", "0.01"]
    assert list(groups.dataframe[1].value["n"]) == [2, 1]
    assert "97.31 % (n = 2)" in list(table["Test accuracy"])
    parallel = _open(runs=chosen, look="parallel")
    ticks = _figures(parallel)[0]["layout"]["xaxis"]["ticktext"]
    assert ticks[:2] == ["Seed", "Learning<br>rate"]
    front = _open(runs=chosen, look="pareto", cost="params")
    assert "On the Pareto front" in _texts(front)
    assert "Not shown" not in _texts(front)
    waiting = bench.queue(DIGITS_CONFIG.replace(lr=0.1))
    assert "cost: 1 of 4 runs" in _texts(_open(runs=f"{chosen}.{waiting.id}", look="pareto"))


def test_an_outdated_label_from_the_browser_does_not_change_the_chosen_runs(
    bench: Bench, three: list[RunRecord]
) -> None:
    """Runs are labelled by what differs among the chosen ones, so the labels change with the choice."""
    chosen = [three[0].id, three[2].id]
    app = _open(runs=".".join(chosen))
    app.multiselect(key="runs.runs").set_value([*chosen, "LeNet-5 on Digits (built in)"]).run()
    assert not app.exception, [each.value for each in app.exception]
    assert labelled(app.multiselect, "Chosen runs").value == chosen
    assert app.query_params["runs"].split(".") == chosen


def _send_outdated(app: AppTest, before: Any) -> None:
    """Run the page with a widget's state from before the browser received the page's last update."""
    states = app._tree.get_widget_states()
    others = [each for each in states.widgets if each.id != before.id]
    states.ClearField("widgets")
    states.widgets.extend([*others, before])
    app._run(states)
    assert not app.exception, [each.value for each in app.exception]


def test_an_outdated_click_does_not_revert_a_newer_choice(bench: Bench, three: list[RunRecord]) -> None:
    mine, other, example = three[0].id, three[1].id, "example-overfit"
    app = _open(runs=mine)
    shown = deepcopy(labelled(app.multiselect, "Chosen runs")._widget_state)
    emptied = deepcopy(labelled(app.multiselect, "Chosen runs").set_value([])._widget_state)
    labelled(app.multiselect, "Chosen runs").set_value([mine])
    app.button(key=f"runs-example-choose-{example}").click().run()
    assert labelled(app.multiselect, "Chosen runs").value == [mine, example]
    _send_outdated(app, shown)
    assert app.query_params["runs"].split(".") == [mine, example]
    assert labelled(app.multiselect, "Chosen runs").value == [mine, example]
    _send_outdated(app, emptied)  # cleared in a list that did not show the example yet
    assert app.query_params["runs"] == example
    labelled(app.multiselect, "Chosen runs").set_value([example, other]).run()
    assert app.query_params["runs"].split(".") == [example, other]


def test_a_missing_chosen_run_is_reported(bench: Bench, three: list[RunRecord]) -> None:
    app = _open(runs=f"{three[0].id}.{'f' * 12}")
    assert f"There is no run '{'f' * 12}'" in _texts(app)
    assert " `python -m lab runs` " in app.warning[0].value  # shown as code, not with backticks
    assert len(_figures(app)) == 2


def test_deleting_can_be_undone(bench: Bench, three: list[RunRecord]) -> None:
    app = _open(runs=".".join(run.id for run in three[:2]))
    _button(app, "Delete").click().run()
    assert "2 runs were deleted" in _texts(app)
    assert bench.lab.store.runs.count() == 1
    _button(app, "Undo").click().run()
    assert bench.lab.store.runs.count() == 3
    assert app.query_params["runs"] == ".".join(run.id for run in three[:2])


def test_a_running_run_is_not_deleted_and_the_page_says_why(bench: Bench) -> None:
    run = bench.start()
    app = _open(runs=run.id)
    _button(app, "Delete").click().run()
    assert bench.lab.store.runs.get(run.id).state is RunState.RUNNING
    assert "cannot be deleted" in "".join(toast.value for toast in app.toast)


def test_a_tag_is_added_to_all_chosen_runs(bench: Bench, three: list[RunRecord]) -> None:
    bench.lab.store.edits.set_tags(three[0].id, ["old"])
    app = _open(runs=".".join(run.id for run in three[:2]))
    app.session_state["runs-tag-box"] = True  # as a click on the button does
    assert _open_popovers(app.run()) == ["Tag"]
    app.text_input(key="runs.tag").set_value("sweep").run()
    assert _open_popovers(app) == [], "the popover closes once the tag is added"
    assert [bench.lab.store.runs.get(run.id).tags for run in three] == [("old", "sweep"), ("sweep",), ()]


def test_edits_of_a_table_row_are_stored_and_pinned_runs_come_first(bench: Bench, three: list[RunRecord]) -> None:
    from pages.runs import table as runs_table

    run = three[0]
    runs_table._apply(run.id, {"name": "<b>mine</b>", "tags": ["a", "b"], "note": "x", "pinned": True})
    found = bench.lab.store.runs.get(run.id)
    assert (found.name, found.tags, found.note, found.pinned) == ("<b>mine</b>", ("a", "b"), "x", True)
    assert next(iter(_open().dataframe[0].value["name"])) == "<b>mine</b>"  # pinned runs come first


def test_a_read_only_lab_can_be_viewed_but_not_changed(
    bench: Bench, three: list[RunRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_READ_ONLY", "1")
    app = _open(runs=three[0].id)
    assert _button(app, "Delete").disabled
    assert len(_figures(app)) == 2


def test_values_that_are_not_finite_do_not_break_the_page(bench: Bench) -> None:
    run = bench.start()
    bench.write(run, series("batch/loss", np.array([1.0, math.nan, math.inf, 2.0])))
    ended = bench.lab.store.leases.finish(
        run.id,
        run.lease,
        state=RunState.FAILED,
        summary={"test_accuracy": math.nan, "test_loss": math.inf},
        seconds=1.0,
    )
    for look in LOOKS:
        app = _open(runs=ended.id, look=look)
        assert app.dataframe[0].value["test"].isna().tolist() == [True]  # a missing number, in every look


# -- the reports -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("report", ["A", "B", "C", "D", "E", "lab"])
def test_every_report_has_its_table(bench: Bench, report: str) -> None:
    app = _open(show="reports", report=report)
    assert len(app.dataframe[0].value) >= 3
    assert set(shown_table(app.dataframe[0])["Measured"]) == {"–"}


def test_a_report_shows_measured_results_next_to_the_printed_ones(bench: Bench) -> None:
    config = bench.lab.validation.resolve(get_preset("d-lenet-bn").config()).config
    store = bench.lab.store
    for seed, accuracy in ((0, 0.97), (1, 0.99)):
        store.queue.submit(config.replace(seed=seed), fingerprint=f"f{seed}", family="")
        run = store.leases.claim(slot="cpu", owner=bench.owner)
        assert run is not None
        summary = {"test_accuracy": accuracy, "train_loss": 0.1}
        store.leases.finish(run.id, run.lease, state=RunState.FINISHED, summary=summary, seconds=20.0)
    app = _open(show="reports", report="D")
    row = shown_table(app.dataframe[0]).iloc[0]
    assert (row["Reported"], row["Measured"]) == ("97.48 %, 41 s", "98.00 % (n = 2), 20 s")
    assert row["Runs"] == "2"


def test_without_mnist_a_report_says_what_is_missing_and_queues_nothing(bench: Bench) -> None:
    app = _open(show="reports", report="C")
    assert "Some experiments need data that is not downloaded: MNIST" in _texts(app)
    (queue,) = [button for button in app.button if button.label.startswith("Queue")]
    assert queue.disabled
    assert bench.lab.store.runs.count() == 0


def test_an_address_holds_as_many_runs_as_there_are_colours_and_no_more() -> None:
    ids = [f"{number:04x}" for number in range(MAX_RUNS + 1)]
    view, complaints = parse_view({"runs": ".".join(ids[:-1])})
    assert (view.runs, complaints) == (tuple(ids[:-1]), ())
    view, complaints = parse_view({"runs": ".".join(ids)})
    assert view.runs == tuple(ids[:-1])
    assert len(complaints) == 1


@pytest.mark.parametrize(
    ("text", "page"), [("1", 1), ("999999", 999_999), ("0", None), ("1000000", None), ("-1", None)]
)
def test_a_page_number_is_from_1_to_999999(text: str, page: int | None) -> None:
    view, complaints = parse_view({"page": text})
    assert view.page == (page or 1)
    assert bool(complaints) == (page is None)


@pytest.mark.parametrize(("text", "span"), [("0", 1), ("0.0", 1), ("0.9", 20), ("20", 20), ("1000", 1000)])
def test_a_smoothing_weight_of_an_older_link_becomes_a_span(text: str, span: int) -> None:
    assert parse_view({"smooth": text})[0].smooth == span


def _finish(bench: Bench, number: int, config: RunConfig, **summary: float) -> RunRecord:
    """Finish a run of a configuration that could not be submitted again, because its result is cached."""
    store = bench.lab.store
    store.queue.submit(config.replace(seed=number), fingerprint=f"f{number}", family="")
    run = store.leases.claim(slot="cpu", owner=bench.owner)
    assert run is not None
    return store.leases.finish(run.id, run.lease, state=RunState.FINISHED, summary=summary, seconds=20.0)


def test_a_table_of_several_pages_shows_each_run_on_one_of_them(bench: Bench) -> None:
    runs = [bench.queue(DIGITS_CONFIG.replace(seed=seed)) for seed in range(PAGE_ROWS + 2)]
    newest_first = [f"train?run={run.id}" for run in reversed(runs)]
    first, second, beyond = _open(), _open(page="2"), _open(page="3")
    assert list(first.dataframe[0].value["open"]) == newest_first[:PAGE_ROWS]
    assert list(second.dataframe[0].value["open"]) == newest_first[PAGE_ROWS:]
    assert "1–25 of 27 runs" in _texts(first)
    assert "26–27 of 27 runs" in _texts(second)
    assert list(beyond.dataframe[0].value["open"]) == newest_first[PAGE_ROWS:]
    assert "has page=3, but there are only 2. This is page 2" in _texts(beyond)
    second.selectbox(key="runs.sort").set_value("created").run()  # a new order or search starts at the first page
    assert dict(second.query_params) == {"sort": "created"}
    assert list(second.dataframe[0].value["open"]) == newest_first[:1:-1]
    beyond.text_input(key="runs.q").set_value("seed:7").run()
    assert dict(beyond.query_params) == {"q": "seed:7"}


def test_a_chosen_run_that_cannot_be_deleted_stays_chosen_and_undo_restores_the_others(
    bench: Bench, three: list[RunRecord]
) -> None:
    live = bench.start(DIGITS_CONFIG.replace(seed=7))
    app = _open(runs=f"{three[0].id}.{live.id}")
    _button(app, "Delete").click().run()
    assert app.query_params["runs"] == live.id
    assert "1 run was deleted" in _texts(app)
    _button(app, "Undo").click().run()
    assert app.query_params["runs"] == three[0].id
    assert bench.lab.store.runs.get(three[0].id).id == three[0].id
    assert not app.toast


def test_the_table_of_groups_has_means_with_their_n_and_a_dash_for_missing_numbers(bench: Bench) -> None:
    config = bench.lab.validation.resolve(DIGITS_CONFIG).config
    runs = [
        _finish(bench, 0, config, test_accuracy=0.97, test_loss=0.1),
        _finish(bench, 1, config, test_accuracy=0.99, test_loss=0.3, images_per_second=1234.5),
        _finish(bench, 2, config.replace(lr=0.01), test_accuracy=0.5),
    ]
    app = _open(runs=".".join(run.id for run in runs), look="groups", by="lr")
    usual, fast = shown_table(app.dataframe[1]).to_dict("records")
    assert (usual["Test accuracy"], usual["Test loss"]) == ("98.00 % (n = 2)", "0.2000 (n = 2)")
    assert usual["Seconds"] == "20.0 (n = 2)"
    assert usual["Images per second"] == "1,234.5 (n = 1)"
    assert (fast["Test accuracy"], fast["Test loss"]) == ("50.00 %", "")


def test_reports_quote_their_printed_results(bench: Bench) -> None:
    reported = {
        row["Experiment"]: row["Reported"]
        for report in "ABCDE"
        for row in shown_table(_open(show="reports", report=report).dataframe[0]).to_dict("records")
    }
    assert reported["LeNet, up to 30 epochs with early stopping"] == "stopped in epoch 21"
    assert "11.00 %, loss 2.3" in reported.values()


def test_the_link_of_an_experiment_counts_all_its_runs_and_opens_twenty(bench: Bench) -> None:
    config = bench.lab.validation.resolve(get_preset("d-lenet-bn").config()).config
    runs = [_finish(bench, number, config, test_accuracy=0.97) for number in range(21)]
    row = _open(show="reports", report="D").dataframe[0].value.iloc[0]
    ids = row["Open"].removeprefix("runs?runs=")
    assert row["Runs"] == 21
    assert len(ids.split(".")) == 20
    assert set(ids.split(".")) <= {run.id for run in runs}
