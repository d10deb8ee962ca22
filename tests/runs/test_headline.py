"""Which saved weights of a run are selected, and which accuracy belongs to them: one rule, also in older stores."""

import math
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from lab.config import RunConfig
from lab.runs.headline import HeadlineResult, SavedEpoch, choose_weights, result_of_summary
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunState
from lab.runs.run_facts import RunProgress, RunSummary
from lab.runs.store import RunStore
from tests.charts.charts_data import run
from tests.runs.runs_data import claimed, saved_file, series

INF, NAN = math.inf, math.nan
COLUMNS = ("weights_step", "weights_epoch", "weights_which", "test_accuracy", "test_loss", "val_accuracy", "val_loss")


def saved(step: int, *, val: float | None = None, test: float | None = None) -> SavedEpoch:
    return SavedEpoch(step, step // 10, test_accuracy=test, val_loss=val)


@pytest.mark.parametrize(
    ("epochs", "step", "which"),
    [
        ([saved(10, val=0.5, test=0.8), saved(20, val=0.2, test=0.9), saved(30, val=0.3, test=0.95)], 20, "best"),
        ([saved(10, val=0.2, test=0.8), saved(20, val=0.2, test=0.9)], 10, "best"),  # the earliest of equals
        ([saved(10, test=0.8), saved(20, test=0.7)], 20, "last"),  # nothing was validated
        ([saved(10, val=0.2, test=0.8), saved(15)], 10, "best"),  # stopped inside the second epoch
        ([saved(10, test=0.8), saved(15)], 10, "last"),
        ([saved(10, val=0.4, test=0.8), saved(15, val=0.1)], 10, "best"),  # validated inside the epoch, never tested
        ([saved(5)], 5, "untested"),
        ([saved(10, val=INF, test=0.1), saved(20, val=INF, test=0.1)], 20, "last"),  # diverged
        ([saved(10, val=0.3), saved(20, val=0.4)], 10, "best"),
        ([saved(30, val=0.3, test=0.9), saved(10, val=0.4, test=0.8)], 30, "best"),  # in any order
    ],
)
def test_the_rule_selects_these_weights(epochs: Sequence[SavedEpoch], step: int, which: str) -> None:
    chosen = choose_weights(epochs)
    assert chosen is not None
    assert (chosen.step, chosen.epoch, chosen.which, chosen.saved) == (step, step // 10, which, True)
    assert chosen.test_accuracy == next(one.test_accuracy for one in epochs if one.step == step)


_NUMBERS = st.one_of(st.none(), st.just(INF), st.sampled_from([0.1, 0.2, 0.3]))


@given(st.lists(st.tuples(_NUMBERS, _NUMBERS), max_size=12), st.randoms())
def test_comparing_each_new_epoch_with_the_selected_one_selects_the_best_of_all(
    measured: list[tuple[float | None, float | None]], rng: Random
) -> None:
    every = [saved(10 * (k + 1), val=val, test=test) for k, (val, test) in enumerate(measured)]
    rng.shuffle(every)
    known: HeadlineResult | None = None
    for one in every:
        selected = [each for each in every if known and each.step == known.step]
        known = choose_weights([one, *selected])
    assert known == choose_weights(every)


def test_nothing_is_selected_if_no_weights_are_saved() -> None:
    assert choose_weights([]) is None


def test_a_result_states_its_split_its_epoch_and_why_it_was_selected() -> None:
    best = HeadlineResult(300, 3, "best", test_accuracy=0.9638)
    assert best.text(5) == "96.38 % test, epoch 3 of 5 (best)"
    assert best.text(5, live=True) == "96.38 % test, epoch 3 of 5 (best so far)"
    assert HeadlineResult(300, 3, "last", test_accuracy=0.9638).text(3) == "96.38 % test, epoch 3 of 3 (last)"
    assert (
        HeadlineResult(300, 3, "last", test_accuracy=0.9638).text(5, live=True) == "96.38 % test, epoch 3 of 5 (newest)"
    )
    assert HeadlineResult(150, 2, "untested").epoch_text(3, live=True) == "2 of 3 (stopped inside it)"
    assert HeadlineResult(150, 2, "untested").text(3) == "epoch 2 of 3 (stopped inside it), not tested"
    assert HeadlineResult(test_accuracy=0.9).text(3) == "90.00 % test"  # of a record without an epoch
    assert HeadlineResult().text(3) == ""


def test_without_saved_weights_the_result_is_that_of_the_summary() -> None:
    summary = {"test_accuracy": 0.9, "val_loss": 0.3, "val_accuracy": NAN, "final_epoch": 5, "best_epoch": 3}
    assert result_of_summary(RunSummary.read(summary), restore_best=False) == HeadlineResult(
        epoch=5, which="last", test_accuracy=0.9, val_loss=0.3
    )
    restored = result_of_summary(RunSummary.read({**summary, "final_epoch": 3}), restore_best=True)
    assert (restored.epoch, restored.which) == (3, "best")
    unvalidated = RunSummary.read({"test_accuracy": 0.9, "final_epoch": 3, "best_epoch": 3})
    assert result_of_summary(unvalidated, restore_best=True).which == "last"
    assert result_of_summary(RunSummary.read({**summary, "best_epoch": 5}), restore_best=False).which == "last"
    assert result_of_summary(RunSummary(), restore_best=True) == HeadlineResult()
    damaged = RunSummary.read({"test_accuracy": "<script>", "final_epoch": 1})
    assert result_of_summary(damaged, restore_best=False) == HeadlineResult()


def record_finished_run(
    store: RunStore, me: Owner, key: str, *, val: Sequence[float], test: Sequence[float]
) -> RunRecord:
    """Return a finished run with these values after each epoch of ten steps, and the saved weights of every epoch."""
    run = claimed(store, me, key)
    steps = [10 * (k + 1) for k in range(max(len(val), len(test), 1))]
    points = {"test/accuracy": series("test/accuracy", steps[: len(test)], test)}
    points |= {"test/loss": series("test/loss", steps[: len(test)], [1 - t for t in test])}
    if len(val):
        points |= {"val/loss": series("val/loss", steps[: len(val)], val)}
        points |= {"val/accuracy": series("val/accuracy", steps[: len(val)], [1 - v for v in val])}
    store.points.append(run.id, run.lease, points)
    for step in steps:
        file = saved_file(run.id, f"{run.id}/{step}", step=step)
        store.files.add(run.id, run.lease, file)
    last = {"test_accuracy": test[-1] if len(test) else None, "best_epoch": 7, "final_epoch": len(steps)}
    return store.leases.finish(run.id, run.lease, state=RunState.FINISHED, summary=last)


def test_the_row_holds_the_result_of_the_selected_weights_and_not_of_the_last_epoch(store: RunStore, me: Owner) -> None:
    run = record_finished_run(store, me, "a", val=[0.3, 0.1, 0.2], test=[0.7, 0.8, 0.9])
    assert run.saved == store.results.headline(run.id) == run.headline
    assert (run.headline.step, run.headline.test_accuracy, run.headline.val_loss) == (20, 0.8, 0.1)
    assert run.last_result.test_accuracy == 0.9
    other = record_finished_run(store, me, "b", val=[], test=[0.85])
    assert [found.id for found in store.runs.list(order="-test")] == [other.id, run.id]
    assert store.runs.count(where="test>84%") == 1


def test_the_row_is_updated_while_a_run_trains_and_when_weights_are_removed(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    assert not store.runs.get(run.id).has_weights
    for step, loss, accuracy in ((10, 0.3, 0.7), (20, 0.1, 0.8), (30, 0.2, 0.9)):
        points = {"val/loss": series("val/loss", [step], [loss])}
        points |= {"test/accuracy": series("test/accuracy", [step], [accuracy])}
        store.points.append(run.id, run.lease, points)
        store.files.add(run.id, run.lease, saved_file(run.id, f"r/{step}", step=step))
        assert store.runs.get(run.id).headline.test_accuracy == min(accuracy, 0.8)
    store.files.remove(run.id, run.lease, ["r/20"])
    assert store.runs.get(run.id).headline.step == 30
    store.history.rewind(run.id, run.lease, 10)
    assert store.runs.get(run.id).headline.step == 10
    assert store.results.at_step(run.id, 10) == store.runs.get(run.id).headline
    assert store.results.at_step(run.id, 30) is None


def test_the_row_holds_the_best_epoch_after_each_of_many_epochs(store: RunStore, me: Owner) -> None:
    assert record_running_run(store, me, epochs=9).headline.step == 40


def record_running_run(store: RunStore, me: Owner, *, epochs: int) -> RunRecord:
    """Return a running run with the saved weights of its epochs, whose validation loss falls and rises again."""
    run = claimed(store, me)
    for epoch in range(1, epochs + 1):
        step, loss = [10 * epoch], [abs(epoch - epochs / 2) + 1]
        points = {"val/loss": series("val/loss", step, loss), "test/accuracy": series("test/accuracy", step, [0.5])}
        store.points.append(run.id, run.lease, points)
        store.files.add(run.id, run.lease, saved_file(run.id, f"r/{step[0]}", step=step[0]))
        assert store.runs.get(run.id).headline == store.results.headline(run.id)
    return store.runs.get(run.id)


def test_weights_that_are_saved_again_are_compared_by_their_latest_measurement(store: RunStore, me: Owner) -> None:
    run = record_running_run(store, me, epochs=4)
    assert store.runs.get(run.id).headline.step == 20
    store.points.append(run.id, run.lease, {"val/loss": series("val/loss", [20], [9.0])})
    store.files.add(run.id, run.lease, saved_file(run.id, "r/20", step=20))
    assert store.runs.get(run.id).headline.step == 10


def test_the_migration_of_an_older_store_computes_the_same_results(url: str, store: RunStore, me: Owner) -> None:
    curves: list[tuple[list[float], list[float]]] = [
        ([0.3, 0.1, 0.2], [0.7, 0.8, 0.9]),
        ([], [0.7, 0.9]),
        ([NAN, 0.5, -INF], [0.1, 0.2, 0.3]),
        ([INF, INF], [0.1, 0.2]),
        ([0.2, 0.2], [0.4, 0.5]),
        ([], []),
        ([0.3, 0.1], [0.7]),
    ]
    runs = [record_finished_run(store, me, str(k), val=v, test=t) for k, (v, t) in enumerate(curves)]
    bare = claimed(store, me, "without weights")
    store.leases.finish(bare.id, bare.lease, state=RunState.FINISHED, summary={"test_accuracy": 0.25, "final_epoch": 1})
    with store.database.write() as connection:
        for name in ("weights_step", "weights_epoch", "weights_which", "test_loss", "val_loss"):
            connection.execute(text(f"ALTER TABLE runs DROP COLUMN {name}"))
        for run in runs:
            last = run.summary.value("test_accuracy")
            connection.execute(text("UPDATE runs SET test_accuracy = :t WHERE id = :id"), {"t": last, "id": run.id})
        connection.execute(text("UPDATE runs SET seal = '', sums = NULL, digest = ''"))
        connection.execute(text("UPDATE lab_schema SET version = 3"))
    opened = RunStore.open(url)
    try:
        for run in runs:
            assert opened.runs.get(run.id).saved == run.saved == opened.results.headline(run.id)
            assert not opened.integrity.verify(run.id)  # the digests written when the runs ended still match
        assert opened.runs.get(bare.id).headline == HeadlineResult(epoch=1, which="last", test_accuracy=0.25)
    finally:
        opened.close()


def test_a_run_that_continues_another_has_its_result_until_its_own_first_epoch(store: RunStore, me: Owner) -> None:
    first = record_finished_run(store, me, "a", val=[0.3], test=[0.7])
    longer = claimed(store, me, "b")
    store.history.copy(first.id, longer.id, lease=longer.lease)
    assert store.runs.get(longer.id).saved == first.saved


@pytest.mark.parametrize(
    ("state", "selected", "final", "words"),
    [
        (RunState.FINISHED, 3, 5, "ended at 90.00 % test, epoch 5 of 5 (last)"),
        (RunState.STOPPED, 3, 4, "ended at 90.00 % test, epoch 4 of 5 (last)"),
        (RunState.PAUSED, 3, 4, "is at 90.00 % test, epoch 4 of 5 (newest)"),
        (RunState.INTERRUPTED, 3, 4, "is at 90.00 % test, epoch 4 of 5 (newest)"),
        (RunState.FINISHED, 5, 5, ""),
        (RunState.FINISHED, 3, None, ""),
        (RunState.RUNNING, 3, 5, ""),
        (RunState.QUEUED, 3, 5, ""),
    ],
)
def test_the_last_epoch_is_stated_if_the_selected_weights_are_of_another_epoch(
    state: RunState, selected: int, final: int | None, words: str
) -> None:
    summary = {"test_accuracy": 0.9, "final_epoch": final} if final else {}
    saved = HeadlineResult(10 * selected, selected, "best", test_accuracy=0.95, saved=True)
    ended = replace(run(state=state, summary=summary), saved=saved)
    assert ended.end_text == words
    assert ended.epoch_text == f"{selected} of 5 (best{'' if state.over else ' so far'})"


def test_only_whole_epochs_count_as_trained() -> None:
    """A run that was paused inside its 15th epoch has trained 14."""
    paused = replace(
        run(state=RunState.PAUSED, summary={"epochs": 15, "steps": 297}, epochs=40),
        progress=RunProgress(steps_per_epoch=21),
    )
    assert paused.epochs_trained == 14
    assert replace(paused, summary=replace(paused.summary, steps=294)).epochs_trained == 14
    assert replace(paused, state=RunState.FINISHED).epochs_trained == 15  # at its limit of steps
    assert replace(paused, progress=RunProgress()).epochs_trained == 15  # an older run, whose images were not counted
    assert replace(paused, summary=replace(paused.summary, epochs=None, steps=None)).epochs_trained is None


def test_a_run_ended_by_early_stopping_states_after_which_epoch() -> None:
    early = run(summary={"outcome": "early-stopped", "epochs": 11, "final_epoch": 8}, epochs=30, patience=3)
    assert early.early_text == "stopped early after epoch 11 of 30 (patience 3)"
    assert replace(early, summary=replace(early.summary, outcome="finished")).early_text == ""
    assert replace(early, summary=replace(early.summary, epochs=None)).early_text == ""


def test_the_texts_of_a_record_use_the_number_of_epochs_of_its_configuration(store: RunStore, me: Owner) -> None:
    run = record_finished_run(store, me, "a", val=[0.3, 0.1, 0.2], test=[0.7, 0.8, 0.9])
    epochs = RunConfig(dataset="digits").epochs
    assert run.headline_text == f"80.00 % test, epoch 20 of {epochs} (best)"  # the epoch of these files is their step
    assert run.epoch_text == f"20 of {epochs} (best)"
