"""Curves and saved files: exact, in order, each point once, and written only by the owner."""

import math
import time
from functools import partial

import numpy as np
import pytest

from lab.config.repeats import setting_key
from lab.errors import RunNotFoundError, RunStateError, StoreError, UnreadableRunError
from lab.runs import history, throttled_writer
from lab.runs.curves import sample
from lab.runs.owner import Owner
from lab.runs.records import RunState, Series
from lab.runs.store import RunStore
from lab.runs.throttled_writer import ThrottledWriter
from tests.runs.conftest import Clock
from tests.runs.runs_data import CONFIG, claimed, saved_file, series, submit


def test_points_are_read_by_series_in_step_order(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    store.points.append(run.id, run.lease, {"val/loss": series("val/loss", [4], [0.5])})
    store.points.append(run.id, run.lease, {"batch/loss": series("batch/loss", [3, 1, 2], [3.0, 1.0, 2.0])})
    found = store.points.read(run.id)
    assert list(found) == ["batch/loss", "val/loss"]
    assert found["batch/loss"].step.tolist() == [1, 2, 3]
    assert found["batch/loss"].value.tolist() == [1.0, 2.0, 3.0]
    assert found["batch/loss"].time_s.tolist() == [0.5, 1.0, 1.5]
    assert (found["val/loss"].step.dtype, found["val/loss"].value.dtype) == (np.int64, np.float64)


def test_points_can_be_read_for_some_series_and_after_a_step(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    points = {name: series(name, range(1, 6), [0.0] * 5) for name in ("a", "b")}
    store.points.append(run.id, run.lease, points)
    assert store.points.read(run.id, series=["a"], after_step=3)["a"].step.tolist() == [4, 5]
    assert list(store.points.read(run.id, series=["b", "nothing"])) == ["b"]
    assert store.points.read(run.id, after_step=5) == {}
    with pytest.raises(RunNotFoundError, match="no run 'nothing'"):
        store.points.read("nothing")


def test_a_replayed_step_replaces_the_old_point(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    store.points.append(run.id, run.lease, {"a": series("a", [1, 2, 3], [1.0, 2.0, 3.0])})
    store.points.append(run.id, run.lease, {"a": series("a", [2, 3, 4], [20.0, 30.0, 40.0])})
    assert store.points.read(run.id)["a"].value.tolist() == [1.0, 20.0, 30.0, 40.0]


def test_a_sample_of_a_curve_is_evenly_spaced_and_bounded() -> None:
    rows = np.arange(3 * 1_000, dtype=np.float64).reshape(1_000, 3)
    parts = [rows[:7], rows[7:400], rows[400:401], rows[401:]]
    assert sample(iter(parts), limit=600).tolist() == rows.tolist()
    assert sample(iter(parts), limit=100).tolist() == rows[::8].tolist()
    assert sample(iter([]), limit=100).shape == (0, 3)


def test_a_long_curve_can_be_read_as_a_sample(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    points = {"a": series("a", range(100), [float(step) for step in range(100)]), "b": series("b", [4], [0.5])}
    store.points.append(run.id, run.lease, points)
    found = store.points.sample(run.id, limit=10)
    assert {name: one.value.tolist() for name, one in found.items()} == {
        "a": [*map(float, range(0, 100, 8))],
        "b": [0.5],
    }


SPECIAL = [float("nan"), float("inf"), float("-inf"), 1e308, -1e308, 5e-324, 2.2250738585072014e-308, 0.1, 1 / 3]


def test_special_values_are_read_back_unchanged(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    store.points.append(run.id, run.lease, {"a": series("a", range(len(SPECIAL)), SPECIAL)})
    assert repr(store.points.read(run.id)["a"].value.tolist()) == repr(SPECIAL)


def test_ten_thousand_random_bit_patterns_are_read_back_bit_for_bit(store: RunStore, me: Owner) -> None:
    values = np.random.default_rng(7).integers(0, 2**64, 10_000, dtype=np.uint64).view(np.float64)
    run = claimed(store, me)
    store.points.append(run.id, run.lease, {"a": Series("a", np.arange(values.size), values, np.zeros(values.size))})
    back = store.points.read(run.id)["a"].value
    exact = ~np.isnan(values) & (values != 0)  # the contract: one quiet NaN, and -0.0 becomes 0.0
    assert np.array_equal(back[exact].view(np.uint64), values[exact].view(np.uint64))
    assert np.array_equal(np.isnan(back), np.isnan(values))
    assert 0 < np.isnan(values).sum() < 100
    assert np.array_equal(back == 0, values == 0)


def test_minus_zero_is_read_back_as_zero(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    store.points.append(run.id, run.lease, {"a": series("a", [1], [-0.0])})
    assert store.points.read(run.id)["a"].value.tolist() == [0.0]


def test_a_large_step_number_fits(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    store.points.append(run.id, run.lease, {"a": series("a", [2**40], [1.0])})
    assert store.points.read(run.id)["a"].step.tolist() == [2**40]


def test_arrays_of_different_length_are_refused_and_nothing_is_stored(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    bad = Series("b", np.arange(3), np.zeros(2), np.zeros(3))
    with pytest.raises(StoreError, match=r"'b' of run \w+ has 3 steps, 2 values and 3 times"):
        store.points.append(run.id, run.lease, {"a": series("a", [1], [1.0]), "b": bad})
    assert store.points.read(run.id) == {}


def test_points_and_progress_are_written_together(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    store.points.append(run.id, run.lease, {"a": series("a", [1], [1.0])}, progress={"step": 1, "seconds": 0.25})
    found = store.runs.get(run.id)
    assert (found.progress.as_dict(), found.seconds) == ({"step": 1, "seconds": 0.25}, 0.25)


def test_a_thousand_steps_of_two_series_are_written_in_milliseconds(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    took_s = []
    for part in range(5):
        steps = range(part * 1000, part * 1000 + 1000)
        points = {name: series(name, steps, [0.1] * 1000) for name in ("batch/loss", "batch/accuracy")}
        start = time.process_time()  # of this process: other load on the machine does not count
        store.points.append(run.id, run.lease, points)
        took_s.append(time.process_time() - start)
    # 5 ms on an idle machine; one statement per point would take ten times as long.
    assert min(took_s) < 0.05
    assert store.points.read(run.id)["batch/loss"].step.size == 5000


def test_a_run_rewound_to_a_step_has_nothing_beyond_it(store: RunStore, me: Owner) -> None:
    other = claimed(store, me, "other", slot="cuda:0")
    run = claimed(store, me)
    for each in (other, run):
        points = {name: series(name, range(1, 6), [0.5] * 5) for name in ("a", "b")}
        store.points.append(each.id, each.lease, points)
        for step in (2, 4):
            store.files.add(each.id, each.lease, saved_file(each.id, f"{each.id}/{step}", step=step))
    store.files.add(run.id, run.lease, saved_file(run.id, f"{other.id}/4", step=4))  # shared
    assert store.history.rewind(run.id, run.lease, 3) == (f"{run.id}/4",)
    assert {name: one.step.tolist() for name, one in store.points.read(run.id).items()} == {
        "a": [1, 2, 3],
        "b": [1, 2, 3],
    }
    assert [file.step for file in store.files.list(run.id)] == [2]
    assert store.points.read(other.id)["b"].step.tolist() == [1, 2, 3, 4, 5]
    assert [file.step for file in store.files.list(other.id)] == [2, 4]


def test_saved_files_are_listed_by_step_and_kind(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    files = [
        saved_file(run.id, "r/2", step=2),
        saved_file(run.id, "r/1", step=1),
        saved_file(run.id, "r/c", kind="checkpoint"),
    ]
    for file in files:
        store.files.add(run.id, run.lease, file)
    assert store.files.list(run.id) == (files[2], files[1], files[0])
    assert store.files.list(run.id, kind="weights") == (files[1], files[0])
    again = saved_file(run.id, "r/2", step=3)
    store.files.add(run.id, run.lease, again)
    assert store.files.list(run.id, kind="weights") == (files[1], again)


def test_removed_files_may_be_deleted_only_if_no_other_run_lists_them(store: RunStore, me: Owner) -> None:
    first = claimed(store, me, "a")
    for path in ("r/1", "r/2"):
        store.files.add(first.id, first.lease, saved_file(first.id, path))
    store.leases.finish(first.id, first.lease, state=RunState.FINISHED)
    second = claimed(store, me, "b")
    store.history.copy(first.id, second.id, lease=second.lease)
    store.files.add(second.id, second.lease, saved_file(second.id, "r/3"))
    assert store.files.remove(second.id, second.lease, ["r/1", "r/3"]) == ("r/3",)
    assert [file.path for file in store.files.list(second.id)] == ["r/2"]
    assert [file.path for file in store.files.list(first.id)] == ["r/1", "r/2"]


def test_only_unlisted_files_of_workers_of_this_store_are_orphans(store: RunStore, me: Owner, clock: Clock) -> None:
    run, waiting = claimed(store, me), submit(store, "never held")
    store.files.add(run.id, run.lease, saved_file(run.id, f"{run.id}/listed"))
    written = clock.now
    store.leases.finish(run.id, run.lease, state=RunState.FINISHED)
    files = dict.fromkeys(
        [f"{run.id}/listed", f"{run.id}/unlisted", "elsewhere/of another store", "outside", f"{waiting.id}/x"], written
    )
    assert store.files.find_orphans(files) == (f"{run.id}/unlisted",)
    assert store.files.find_orphans({f"{run.id}/by a newer copy of this store": written + 60.0}) == ()


def test_a_run_that_continues_another_starts_with_its_history(store: RunStore, me: Owner) -> None:
    first = claimed(store, me, "a")
    store.points.append(first.id, first.lease, {"a": series("a", [1, 2], [1.0, float("nan")])})
    store.files.add(first.id, first.lease, saved_file(first.id))
    store.leases.finish(first.id, first.lease, state=RunState.FINISHED, seconds=3.5)
    second = submit(store, "b", parent=first.id)
    store.history.copy(first.id, second.id)
    store.history.copy(first.id, second.id)
    assert store.runs.get(second.id).seconds == 3.5
    assert repr(store.points.read(second.id)) == repr(store.points.read(first.id))
    assert [file.path for file in store.files.list(second.id)] == ["r/1.safetensors"]
    assert store.files.list(second.id)[0].run == second.id
    taken = store.leases.claim(slot="cpu", owner=me)
    assert taken is not None
    with pytest.raises(RunStateError, match="is running, so only its worker may copy a history into it"):
        store.history.copy(first.id, second.id)
    store.points.append(second.id, taken.lease, {"a": series("a", [3], [3.0])})
    assert store.points.read(first.id)["a"].step.tolist() == [1, 2]


def test_a_damaged_curve_is_not_shown(store: RunStore, me: Owner) -> None:
    run = claimed(store, me)
    store.points.append(run.id, run.lease, {name: series(name, [1, 2, 3], [1.0, 2.0, 3.0]) for name in ("a", "b")})
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE points SET value = 9 WHERE step = 2 AND series = 1")
    damaged, whole = sorted(
        ("a", "b"), key=lambda name: store.points.read(run.id, series=[name], after_step=1)[name].value[0] != 9
    )
    for asked in (None, [damaged]):
        with pytest.raises(UnreadableRunError, match=f"The curve {damaged!r} of run {run.id} is damaged"):
            store.points.read(run.id, series=asked)
    assert store.points.read(run.id, series=[whole])[whole].value.tolist() == [1.0, 2.0, 3.0]


def test_runs_that_differ_in_their_seed_are_found_together_without_deleted_ones(store: RunStore, me: Owner) -> None:
    same = [submit(store, str(seed), config=CONFIG.replace(seed=seed)).id for seed in range(3)]
    other = submit(store, "other", config=CONFIG.replace(lr=0.5)).id
    store.removal.delete(same[1])
    found = store.runs.find_settings([CONFIG.replace(seed=9), CONFIG.replace(lr=0.5), CONFIG.replace(lr=0.75)])
    ids = {key: [run.id for run in records] for key, records in found.items()}
    assert ids == {
        setting_key(CONFIG): [same[0], same[2]],
        setting_key(CONFIG.replace(lr=0.5)): [other],
        setting_key(CONFIG.replace(lr=0.75)): [],
    }


@pytest.mark.parametrize("size", [2, 4])
def test_copying_and_rewinding_in_small_parts_lose_no_point_and_no_file(
    store: RunStore, me: Owner, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(throttled_writer, "MAX_ROWS", size)
    monkeypatch.setattr(throttled_writer, "PAUSE_S", 0.0)
    writer = partial(ThrottledWriter, first=size, least=size)
    monkeypatch.setattr(history, "ThrottledWriter", writer)
    first = claimed(store, me, "a")
    points = {name: series(name, range(1, 7), [float(step) for step in range(1, 7)]) for name in ("a", "b")}
    store.points.append(first.id, first.lease, points)
    for step in (2, 4, 6):
        store.files.add(first.id, first.lease, saved_file(first.id, f"r/{step}", step=step))
    store.leases.finish(first.id, first.lease, state=RunState.FINISHED)
    second = claimed(store, me, "b")
    store.history.copy(first.id, second.id, lease=second.lease)
    assert repr(store.points.read(second.id)) == repr(store.points.read(first.id))
    assert [file.step for file in store.files.list(second.id)] == [2, 4, 6]
    for step in (4, 3, 0):  # 4 is the step of a file, which stays
        store.history.rewind(second.id, second.lease, step)
        left = store.points.read(second.id)
        assert {name: one.step.tolist() for name, one in left.items()} == (
            {name: list(range(1, step + 1)) for name in ("a", "b")} if step else {}
        )
        assert [file.step for file in store.files.list(second.id)] == [one for one in (2, 4, 6) if one <= step]
        assert store.integrity.verify(second.id) == ()
    assert [file.step for file in store.files.list(first.id)] == [2, 4, 6]


def test_one_curve_of_many_runs_is_read_in_step_order_without_the_runs_that_lack_it(store: RunStore, me: Owner) -> None:
    first, second, third = (claimed(store, me, key, slot=key) for key in "abc")
    store.points.append(first.id, first.lease, {"val/loss": series("val/loss", [20, 10], [0.5, math.nan])})
    store.points.append(second.id, second.lease, {"val/loss": series("val/loss", [10], [0.25])})
    store.points.append(second.id, second.lease, {"test/loss": series("test/loss", [10], [9.0])})
    store.points.append(third.id, third.lease, {"test/loss": series("test/loss", [10], [8.0])})
    found = store.points.read_across([third.id, second.id, first.id], "val/loss")
    assert set(found) == {first.id, second.id}
    assert found[first.id].step.tolist() == [10, 20]
    assert math.isnan(found[first.id].value[0])
    assert (found[first.id].value[1], found[first.id].time_s.tolist()) == (0.5, [5.0, 10.0])
    assert found[second.id].value.tolist() == [0.25]
    assert store.points.read_across([first.id], "val/loss").keys() == {first.id}
    assert store.points.read_across([], "val/loss") == store.points.read_across([first.id], "nothing") == {}


class _Time:
    """A clock that only the test moves, in place of the module `time`. slept: the pauses in seconds."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def test_a_long_write_adapts_the_size_of_its_parts_and_pauses_as_long_as_the_last_part_took(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = _Time()
    monkeypatch.setattr(throttled_writer, "time", clock)
    writer = ThrottledWriter(store.database, first=1_600, least=100)

    def write(work_s: float, **rest: bool) -> int:
        with writer.write(**rest):
            clock.now += work_s
        return writer.size

    work_s = throttled_writer.WORK_S
    assert write(2 * work_s) == 800
    assert clock.slept == []  # no pause before the first part
    assert write(100 * work_s, sized=False) == 800  # a write of another kind does not change the size
    assert write(work_s / 1.5) == pytest.approx(1_200, abs=1)
    assert clock.slept == [throttled_writer.PAUSE_S, 100 * work_s]
    assert writer.longest_s == pytest.approx(100 * work_s)
    assert write(0.0) == pytest.approx(2_400, abs=2)  # at most twice as many
    assert write(100 * work_s) == pytest.approx(600, abs=1)  # at least a fourth
    assert [write(100 * work_s) for _ in range(3)][-1] == 100
    assert [write(0.0) for _ in range(8)][-1] == throttled_writer.MAX_ROWS
