"""Parts of Runs, each drawn alone: actions on chosen runs, edits of the table, storage, reports and small print."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from lab.charts.reports import ReportRow, report_rows
from lab.runs.headline import HeadlineResult
from lab.runs.records import RunRecord, RunState, SavedFile
from lab.service.workers import Workers
from pages.runs import actions, compare, examples, reports, storage, table
from pages.state.asking import ASKING, AskingState
from pages.state.runs import RUNS, RunsSession, change_view, read_view
from pages.state.runs_view import RunsView
from pages.state.session import take_flash
from pages.widgets.runs import state_width
from tests.charts.charts_data import run
from tests.golden.page_text import shown_table
from tests.web.addresses import draw_alone
from tests.web.plain_text import PLAIN
from tests.web.test_web_queue import _write_mnist
from tests.web.web_data import DIGITS_CONFIG, Bench

# -- actions on chosen runs --------------------------------------------------------------------------------------------


def _after(
    act: Any, *, chosen: Sequence[str] = (), held: RunsSession | None = None
) -> tuple[tuple[str, ...], RunsSession, str]:
    """Return the chosen runs, the session's record and the message left after an action on these chosen runs."""
    found: list[Any] = []

    def part() -> None:
        act()
        found.extend((read_view()[0].runs, RUNS.read(), take_flash()))

    address = {"runs": ".".join(chosen)} if chosen else {}
    draw_alone(part, state={RUNS.state_key: held or RunsSession()}, address=address)
    return found[0], found[1], found[2]


def test_clearing_the_selection_and_dismissing_an_undo_do_not_affect_each_other(bench: Bench) -> None:
    runs, held, _ = _after(actions._none, chosen=["aaaa", "bbbb"], held=RunsSession(deleted=("cccc",)))
    assert (runs, held.deleted, held.table) == ((), ("cccc",), 1)
    runs, held, _ = _after(actions._dismiss, chosen=["aaaa", "bbbb"], held=RunsSession(deleted=("cccc",)))
    assert (runs, held.deleted) == (("aaaa", "bbbb"), ())


@pytest.mark.parametrize(("deleted", "words"), [(1, "1 run was deleted."), (2, "2 runs were deleted."), (0, "")])
def test_the_last_deletion_can_be_undone(deleted: int, words: str) -> None:
    held = RunsSession(deleted=tuple("ab"[:deleted]))
    app = draw_alone(actions.undo_box, state={RUNS.state_key: held})
    assert [each.value.partition("&nbsp;")[2] for each in app.markdown] == ([words] if words else [])
    assert [each.label for each in app.button] == (["Undo", "Dismiss"] if words else [])


def test_a_tag_is_added_to_existing_ones_and_a_blank_one_is_ignored(bench: Bench) -> None:
    made = bench.queue()
    bench.lab.store.edits.set_tags(made.id, ("old",))

    def tags() -> tuple[str, ...]:
        return bench.lab.store.runs.get(made.id).tags

    _, held, message = _after(lambda: actions._tag([made.id]), held=RunsSession(tag="  "))
    assert (tags(), message, held.tag, held.table) == (("old",), "", "", 0)
    _, held, message = _after(lambda: actions._tag([made.id]), held=RunsSession(tag=" new "))
    assert (tags(), message, held.tag, held.table) == (("new", "old"), "Tagged 1 run.", "", 1)
    _, held, message = _after(lambda: actions._tag([made.id]), held=RunsSession(tag="x" * 500))
    assert tags() == ("new", "old")
    assert "at most" in message


def test_a_run_that_cannot_be_deleted_stays_chosen_with_the_examples_and_is_named(bench: Bench) -> None:
    ended, live = bench.finish(bench.start()), bench.start(DIGITS_CONFIG.replace(seed=1))
    runs, held, message = _after(
        lambda: actions._delete([ended.id, live.id]), chosen=[ended.id, "example-overfit", live.id]
    )
    assert runs == (live.id, "example-overfit")
    assert (held.deleted, held.table) == ((ended.id,), 1)
    assert message == f"Run {live.id} is running, so it cannot be deleted: stop it first."
    assert [one.id for one in bench.lab.store.runs.list()] == [live.id]
    runs, held, _ = _after(actions._undo, chosen=[live.id], held=RunsSession(deleted=(ended.id,)))
    assert (runs, held.deleted, held.table) == ((ended.id,), (), 1)
    assert len(bench.lab.store.runs.list()) == 2


def test_a_run_that_can_no_longer_be_restored_does_not_keep_the_others_deleted(bench: Bench) -> None:
    gone, kept = bench.finish(bench.start()), bench.finish(bench.start(DIGITS_CONFIG.replace(seed=1)))
    for each in (gone, kept):
        bench.lab.store.removal.delete(each.id)
    runs, held, message = _after(actions._undo, held=RunsSession(deleted=("0123456789ab", kept.id)))
    assert (runs, held.deleted, held.table) == ((kept.id,), (), 1)
    assert "0123456789ab" in message
    assert [one.id for one in bench.lab.store.runs.list()] == [kept.id]


@pytest.mark.parametrize(
    ("chosen", "runs", "after"),
    [
        (["aaaa", "bbbb"], ("bbbb", "cccc"), ("aaaa", "bbbb", "cccc")),
        (["aaaa"], ("bbbb", "cccc"), ("bbbb", "cccc")),  # folds replace the runs that held out a share
        ([f"{n:04x}" for n in range(60)], ("0000", "ffff"), tuple(f"{n:04x}" for n in range(60))),
    ],
)
def test_repeats_are_added_to_the_chosen_runs_up_to_the_limit(
    bench: Bench, chosen: list[str], runs: tuple[str, ...], after: tuple[str, ...]
) -> None:
    seen: list[tuple[tuple[str, ...], int]] = []
    pending = [True]

    def part() -> None:
        seen.append((read_view()[0].runs, RUNS.read().table))
        if pending:
            pending.clear()
            actions._queued(runs)

    app = draw_alone(part, address={"runs": ".".join(chosen)}, state={"repeat-box-runs": True})
    assert seen[-1] == (after, 1)
    assert app.session_state["closing.repeat-box-runs"]


def test_choosing_or_deleting_runs_outside_the_table_replaces_it(bench: Bench) -> None:
    one, two = bench.finish(bench.start()), bench.finish(bench.start(DIGITS_CONFIG.replace(seed=1)))
    runs, held, _ = _after(lambda: table._choose_found(RunsView()))
    assert (runs, held.table) == ((two.id, one.id), 1)
    bench.lab.store.edits.set_pinned(one.id, True)
    assert _after(lambda: table._choose_found(RunsView(q="state:finished")))[0] == (one.id, two.id)
    assert _after(lambda: table._choose_found(RunsView(q="state:queued")))[0] == ()
    runs, held, _ = _after(lambda: examples._choose("example-overfit", True), chosen=["aaaa"])
    assert (runs, held.table) == (("aaaa", "example-overfit"), 1)
    runs, held, _ = _after(lambda: examples._choose("aaaa", False), chosen=["aaaa", "bbbb"])
    assert (runs, held.table) == (("bbbb",), 1)
    _, held, message = _after(lambda: table._delete(one.id))
    assert ([each.id for each in bench.lab.store.runs.list()], held.table, message) == ([two.id], 1, "")
    _, held, message = _after(lambda: table._delete(one.id))
    assert (held.table, one.id in message) == (1, True)


def test_the_page_is_drawn_again_when_a_live_run_has_ended(bench: Bench) -> None:
    made = bench.start()
    drawn: list[RunRecord] = []

    def part() -> None:
        drawn.append(bench.lab.store.runs.get(made.id))
        actions.watch(drawn[-1:])
        if len(drawn) == 1:
            bench.finish(made)
            actions.watch(drawn[-1:])

    draw_alone(part)
    assert [one.state for one in drawn] == [RunState.RUNNING, RunState.FINISHED]


# -- the table ---------------------------------------------------------------------------------------------------------


def test_each_edited_cell_is_stored_in_its_own_field(bench: Bench) -> None:
    made = bench.queue()

    def facts() -> tuple[Any, ...]:
        one = bench.lab.store.runs.get(made.id)
        return one.name, one.pinned, one.tags, one.note

    for cells, stored in (
        ({"name": "mine"}, ("mine", False, (), "")),
        ({"pinned": True}, ("mine", True, (), "")),
        ({"tags": ["a", "b"]}, ("mine", True, ("a", "b"), "")),
        ({"note": "words"}, ("mine", True, ("a", "b"), "words")),
        ({"tags": None, "note": None, "pinned": False}, ("mine", False, (), "")),
    ):
        table._apply(made.id, cells)
        assert facts() == stored
    runs, _, _ = _after(lambda: table._apply(made.id, {"chosen": True}), chosen=["aaaa"])
    assert runs == ("aaaa", made.id)
    runs, _, _ = _after(lambda: table._apply(made.id, {"chosen": False}), chosen=["aaaa", made.id])
    assert runs == ("aaaa",)


def test_an_edit_is_stored_for_the_run_of_its_row_and_a_refused_one_is_reported(bench: Bench) -> None:
    one, two = bench.queue(), bench.queue(DIGITS_CONFIG.replace(seed=1))
    messages: list[str] = []

    def part() -> None:
        table._typed("the-table", [one.id, two.id])
        messages.append(take_flash())

    cells = {0: {"tags": ["x" * 500]}, 1: {"note": "of the second"}}
    draw_alone(part, state={"the-table": {"edited_rows": cells}})
    notes = [bench.lab.store.runs.get(each.id).note for each in (one, two)]
    assert notes == ["", "of the second"]
    assert "at most" in messages[0]
    assert bench.lab.store.runs.get(one.id).tags == ()


def test_a_row_shows_the_known_facts_of_its_run(bench: Bench) -> None:
    made = bench.finish(bench.start(), images_per_second=1234.5)
    bench.lab.store.edits.set_tags(made.id, ("a",))
    other = bench.queue(DIGITS_CONFIG.replace(lr=0.5))
    runs = [bench.lab.store.runs.get(each.id) for each in (made, other)]
    damaged = replace(runs[1], id="ffff", problem="damaged", name="")
    found: list[Any] = []
    draw_alone(lambda: found.extend(table._rows([*runs, damaged], RunsView(runs=(made.id,)))))
    first, second, third = found
    assert {name: first[name] for name in ("chosen", "name", "open", "state", "network", "data", "lr", "tags")} == {
        "chosen": True,
        "name": "LeNet-5",
        "open": f"train?run={made.id}",
        "state": ["finished"],
        "network": "LeNet-5",
        "data": "Digits (built in)",
        "lr": 0.001,
        "tags": ["a"],
    }
    assert (first["test"], first["val"], first["seconds"], first["speed"]) == (97.31, 97.0, 83.0, 1234)
    assert first["line"].startswith("data:image/svg+xml;base64,")
    assert (second["chosen"], second["line"], second["lr"], second["seconds"], second["speed"]) == (
        False,
        None,
        0.5,
        None,
        None,
    )
    assert third == {"chosen": False, "name": "run ffff", "state": ["unreadable"], "tags": [], "pinned": False}


@pytest.mark.parametrize(
    ("page", "pages", "total", "search", "words", "button"),
    [
        (1, 1, 1, "", "1–1 of 1 run in total", "Compare this run"),
        (1, 1, 3, "lr<1", "1–3 of 3 runs found", "Compare all 3"),
        (2, 3, 60, "", "26–50 of 60 runs in total", "Compare all 60"),
        (3, 3, 61, "", "51–61 of 61 runs in total", "Compare the first 60"),
    ],
)
def test_below_the_table_are_the_range_that_it_shows_and_a_button_to_compare_runs(
    page: int, pages: int, total: int, search: str, words: str, button: str
) -> None:
    app = draw_alone(lambda: table._pages(RunsView(q=search), page, pages, total))
    assert app.caption[0].value == words
    assert app.button[0].label == button
    assert len(app.get("pagination")) == (pages > 1)
    assert not app.warning
    far = draw_alone(lambda: table._pages(RunsView(page=9), page, pages, total))
    assert far.warning[0].value.translate(PLAIN) == (
        f"The address has page=9, but there are only {pages}. This is page {page}."
    )


# -- storage -----------------------------------------------------------------------------------------------------------


def test_the_ten_largest_runs_are_listed() -> None:
    rows = storage.usage_rows({f"run{n}": 1_500_000 * (12 - n) for n in range(11)}, {"run0": "largest"})
    assert [row["Run"] for row in rows] == ["largest", *(f"run{n}" for n in range(1, 10))]
    assert rows[9] == {"Run": "run9", "Size": 4.5, "Open": "train?run=run9"}


def test_storage_lists_the_largest_runs_first_and_that_of_deleted_runs_can_be_freed(bench: Bench) -> None:
    made = []
    for seed in range(2):
        one = bench.start(DIGITS_CONFIG.replace(seed=seed))
        file = SavedFile(one.id, "weights", 1, 1, f"{one.id}/1", "0" * 64, 1_000_000 * (seed + 1), 1.0)
        bench.lab.store.files.add(one.id, one.lease, file)
        made.append(bench.finish(one))
    bench.lab.store.edits.rename(made[1].id, "largest")
    app = draw_alone(storage._usage)
    rows = app.dataframe[0].value
    assert rows["Size"].tolist() == [2.0, 1.0]
    assert rows["Run"].tolist() == ["largest", "LeNet-5 on Digits (built in)"]
    assert app.metric[0].value == "3.00 MB"
    assert not app.button
    bench.lab.store.removal.delete(made[0].id)
    app = draw_alone(storage._usage)
    assert app.button[0].label == "Remove 1 deleted run permanently"
    assert [each.proto.popover.label for each in app.get("popover")] == ["Free 1.00 MB"]


# -- small print of the comparison -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("live", "total", "points", "words"),
    [
        (0, 10, 10, ""),
        (0, 4_000, 2_000, "Shows 2,000 of 4,000 points; each interval keeps its minimum and maximum."),
        (1, 10, 10, "1 of these runs has not ended yet."),
        (2, 10, 10, "2 of these runs have not ended yet."),
    ],
)
def test_below_the_curves_is_a_note_on_omitted_points_and_live_runs(
    live: int, total: int, points: int, words: str
) -> None:
    runs = [run(1), *(run(n, state=RunState.RUNNING) for n in range(2, 2 + live))]
    app = draw_alone(lambda: compare._small_print(runs, total, points, ["A note."]))
    assert app.caption[0].value.translate(PLAIN) == f"{words} A note.".strip()
    assert [each.label for each in app.button] == (["Refresh curves"] if live else [])


def test_differences_count_the_settings_that_are_the_same() -> None:
    app = draw_alone(lambda: compare._differences(RunsView(), [run(1), run(2, lr=0.5), run(3, seed=4)]))
    assert shown_table(app.dataframe[0])["Learning rate"].tolist() == ["0.001", "0.5", "0.001"]
    assert app.caption[0].value.endswith(" settings are the same in all 3 runs and not shown.")
    alone = draw_alone(lambda: compare._differences(RunsView(), [run(1)]))
    assert alone.caption[0].value.endswith(" settings are the same in this run and not shown.")


def test_differences_begin_with_the_accuracies_and_leave_out_what_all_runs_share() -> None:
    def columns(*runs: RunRecord) -> list[str]:
        return list(draw_alone(lambda: compare._differences(RunsView(), runs)).dataframe[0].value.columns)

    tested = replace(run(1), saved=HeadlineResult(test_accuracy=0.9, val_accuracy=0.8))
    same = columns(tested, run(2, lr=0.5))
    assert same[:4] == ["Name", "Test accuracy", "Validation accuracy", "Learning rate"]
    assert same[-2:] == ["Run", "State"]
    assert not {"Network", "Data set"} & set(same)
    assert "Network" in columns(tested, run(2, arch="vgg11"))
    assert "Data set" in columns(tested, run(2, dataset="mnist"))


def test_runs_are_grouped_by_the_chosen_setting_else_by_the_first_that_is_not_a_repeat() -> None:
    def by(view: RunsView, *runs: RunRecord) -> str:
        return str(draw_alone(lambda: compare._groups(view, runs)).selectbox[0].value)

    assert by(RunsView(), run(1), run(2, seed=4, lr=0.5)) == "lr"
    assert by(RunsView(), run(1), run(2, seed=4)) == "seed"
    assert by(RunsView(), run(1), run(2)) == "arch"
    assert by(RunsView(by="epochs"), run(1), run(2, lr=0.5)) == "epochs"


def test_the_pareto_front_names_its_runs_and_counts_those_without_a_cost() -> None:
    def ended(number: int, accuracy: float, params: int, **changes: Any) -> RunRecord:
        return run(number, summary={"test_accuracy": accuracy, "params": params, "final_epoch": 5}, **changes)

    runs = [ended(1, 0.9, 100, lr=0.1), ended(2, 0.8, 200, lr=0.2), run(3, state=RunState.RUNNING, lr=0.3)]
    app = draw_alone(lambda: compare._pareto(RunsView(cost="params"), runs))
    words = app.caption[0].value.translate(PLAIN)
    assert words.startswith("On the Pareto front, where no other run is both better and cheaper: lr 0.1: 90.00 % test")
    assert words.endswith("Not shown, as still training or without a test accuracy or a cost: 1 of 3 runs.")
    assert "lr 0.2" not in words
    assert "Not shown" not in draw_alone(lambda: compare._pareto(RunsView(cost="params"), runs[:2])).caption[0].value
    none = draw_alone(lambda: compare._pareto(RunsView(cost="params"), runs[2:]))
    assert none.info[0].value == "None of these runs has a test accuracy and a cost yet."


# -- reports -----------------------------------------------------------------------------------------------------------


class _NoRuns:
    def find_settings(self, configs: Any) -> dict[str, tuple[RunRecord, ...]]:
        return {}


def _rows(report: str) -> list[ReportRow]:
    return list(report_rows(report, check=lambda config: config, runs=_NoRuns()))


@pytest.mark.parametrize(
    ("unknown", "words"), [([], ""), (["VGG-11"], " Not counted: VGG-11."), (["a", "b"], " Not counted: a, b.")]
)
def test_the_estimate_for_experiments_names_those_that_have_none(unknown: list[str], words: str) -> None:
    estimate = "About 2 min 05 s of training on this machine, one run after another."
    assert reports.estimate_words(125.0, unknown) == estimate + words


def test_experiments_are_queued_under_their_titles_with_their_reports_tag(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Workers, "ensure", lambda _workers: False)
    _write_mnist(bench.lab.settings.data)
    messages: list[str] = []
    for report, tags in (("C", ("report-c",)), ("lab", ())):
        rows = [row for row in _rows(report) if row.preset.id in ("c-epochs-10", "c-batch-50", "lenet5-digits")]
        pending = [True]

        def part(rows: list[ReportRow] = rows, pending: list[bool] = pending) -> None:
            messages.append(take_flash())
            if pending:
                pending.clear()
                reports._queue(rows)

        draw_alone(part, state={ASKING.state_key: AskingState(owner="ann")})
        made = bench.lab.store.queue.list()[-len(rows) :]
        assert [(one.name, one.tags, one.owner) for one in made] == [(row.preset.title, tags, "ann") for row in rows]
    assert messages == ["", "2 runs are queued and will be trained one after another.", "", "1 run is queued."]


def test_a_complete_report_says_so_and_offers_nothing(bench: Bench) -> None:
    app = draw_alone(lambda: reports._missing(RunsView(report="C"), []))
    assert app.success[0].value == "Every experiment in this table has been run or is queued."
    assert not app.button


def test_the_choice_of_experiments_is_stored_by_report_and_number_of_missing_ones(bench: Bench) -> None:
    rows = [row for row in _rows("lab") if row.preset.id == "lenet5-digits"]
    app = draw_alone(lambda: reports._missing(RunsView(report="lab"), rows))
    assert (app.button(key="runs-queue").label, app.button(key="runs-queue").disabled) == ("Queue runs", True)
    assert not app.info
    app.button(key="runs-missing-all").click().run()
    held = app.session_state[RUNS.state_key].missing
    assert held == {"lab.1": ("lenet5-digits",)}
    assert (app.button(key="runs-queue").label, app.button(key="runs-queue").disabled) == ("Queue 1 run", False)


def test_mistakes_that_are_reproduced_are_named_with_their_experiment() -> None:
    app = draw_alone(lambda: reports._mistakes(_rows("E")))
    mistakes = [row for row in _rows("E") if row.preset.mistake]
    assert len(mistakes) == 3
    assert [row.preset.title in each.value.translate(PLAIN) for row, each in zip(mistakes, app.markdown)] == [True] * 3
    assert not draw_alone(lambda: reports._mistakes(_rows("C"))).expander


def test_a_changed_view_is_remembered_as_the_last_one() -> None:
    _, held, _ = _after(lambda: change_view(runs=("aaaa",)))
    assert held.last == {"runs": "aaaa"}


@pytest.mark.parametrize(
    ("words", "width"),
    [
        ([], 28),
        (["finished"], 84),  # drawn 79 px wide, with the cell's margins
        (["finished", "interrupted", "queued"], 105),
        (["no better than guessing"], 189),
    ],
)
def test_a_column_of_states_is_wide_enough_for_the_longest_word(words: list[str], width: int) -> None:
    assert state_width(words) == width
