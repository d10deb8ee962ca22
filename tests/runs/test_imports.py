"""Imports and other long writes: short transactions, nothing visible until complete, nothing left of killed writes."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from lab.config import RunConfig
from lab.errors import LeaseLostError, StoreError
from lab.runs import imports, throttled_writer
from lab.runs.database import Database
from lab.runs.ids import new_id
from lab.runs.imports import IMPORT_LEASE_S, EndedRun, PortableRun
from lab.runs.owner import Owner
from lab.runs.records import RunRequest, RunState, SavedFile, Series
from lab.runs.run_facts import RunEnvironment, RunSummary
from lab.runs.store import RunStore
from lab.runs.tables import partial_runs, points, runs, saved_files
from tests.runs.conftest import Clock
from tests.runs.runs_data import claimed, ended, saved_file, series, submit

ROOT = Path(__file__).resolve().parents[2]
COUNT = throttled_writer.MAX_ROWS + 808


def long_curve(name: str = "batch/loss", count: int = COUNT) -> Series:
    step = np.arange(1, count + 1)
    return Series(name, step, np.sqrt(step), step * 0.5)


def rows_left(store: RunStore) -> dict[str, int]:
    with store.database.read() as connection:
        return {t.name: len(connection.execute(select(t)).all()) for t in (runs, points, saved_files, partial_runs)}


class Transactions:
    """The number of points that each transaction has written or deleted."""

    def __init__(self, store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[int] = []
        original = Database.write

        def counted(database: Database) -> Any:
            return self._count(original(database))

        monkeypatch.setattr(Database, "write", counted)

    def _count(self, context: Any) -> Any:
        outer = self

        class Counted:
            def __enter__(self) -> Any:
                self.connection = context.__enter__()
                self.before = self._points()
                return self.connection

            def __exit__(self, *error: Any) -> Any:
                if error[0] is None:
                    outer.rows.append(abs(self._points() - self.before))
                return context.__exit__(*error)

            def _points(self) -> int:
                return int(self.connection.exec_driver_sql("SELECT COUNT(*) FROM points").scalar_one())

        return Counted()


@pytest.fixture
def transactions(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> Transactions:
    monkeypatch.setattr(throttled_writer, "PAUSE_S", 0.0)
    return Transactions(store, monkeypatch)


def test_an_import_writes_in_many_short_transactions(store: RunStore, transactions: Transactions) -> None:
    curves = [long_curve("batch/loss"), long_curve("batch/accuracy")]
    (run,) = store.imports.insert([ended({one.name: one for one in curves})])
    assert sum(transactions.rows) == 2 * COUNT
    assert max(transactions.rows) <= throttled_writer.MAX_ROWS
    for one in curves:
        found = store.points.read(run.id)[one.name]
        assert np.array_equal(found.step, one.step)
        assert np.array_equal(found.value, one.value)
    assert store.integrity.verify(run.id) == ()


@pytest.mark.long
def test_copying_rewinding_and_purging_a_large_run_use_short_transactions(
    store: RunStore, me: Owner, transactions: Transactions
) -> None:
    (source,) = store.imports.insert([ended({"batch/loss": long_curve()})])
    child = claimed(store, me)
    transactions.rows.clear()
    store.history.copy(source.id, child.id, lease=child.lease)
    assert repr(store.points.read(child.id)) == repr(store.points.read(source.id))
    store.history.rewind(child.id, child.lease, 5)
    assert store.points.read(child.id)["batch/loss"].step.tolist() == [1, 2, 3, 4, 5]
    store.removal.delete(source.id)
    store.removal.purge(lambda paths: None, older_than_s=0)
    assert rows_left(store) == {"runs": 1, "points": 5, "kept": 0, "partial_runs": 0}
    assert max(transactions.rows) <= throttled_writer.MAX_ROWS
    assert sum(transactions.rows) == 3 * COUNT - 5


def test_no_run_of_an_import_is_visible_before_the_whole_import_is_complete(store: RunStore) -> None:
    (known,) = store.imports.insert([ended({"a": series("a", [1], [1.0])}, seed=1)])
    seen: list[object] = []

    def observed() -> Iterator[Series]:
        for part in range(3):
            yield series("a", [part + 1], [0.5])
            seen.append([run.id for run in store.runs.list(limit=None)])
            seen.append([run.id for run in store.runs.list(where="from", limit=None)])
            seen.append([store.runs.resolve(known.id[:8]).id] * store.runs.count())
            seen.append([run.id for found in store.runs.find_settings([known.config]).values() for run in found])
            with pytest.raises(StoreError, match="There is no run"):
                store.runs.get(new, deleted=True)
            with pytest.raises(StoreError, match="There is no run"):
                store.runs.resolve(new)

    first, new = new_id(), new_id()
    files = (saved_file(first, f"{first}/1"),)
    store.imports.insert([ended({}, id=first, files=files), ended(observed(), id=new)])
    assert seen == [[known.id]] * 12
    assert store.runs.count() == 3
    assert store.runs.get(new).number > known.number


def test_an_import_that_fails_leaves_nothing_behind(store: RunStore, clock: Clock) -> None:
    def failing() -> Iterator[Series]:
        yield long_curve(count=10)
        raise OSError("the disk with the bundle was removed")

    written: list[str] = []
    removed: list[str] = []
    id = new_id()
    files = tuple(saved_file(id, f"{id}/{n}", step=n) for n in range(40))
    with pytest.raises(OSError, match="the bundle was removed"):
        store.imports.insert(
            [ended({}), ended(failing(), id=id, files=files)],
            write_file=lambda file: written.append(file.path),
            remove=removed.extend,
        )
    assert rows_left(store) == {"runs": 0, "points": 0, "kept": 0, "partial_runs": 0}
    assert sorted(removed) == sorted(written) == sorted(file.path for file in files)


_KILLED = """
import os, signal, sys
from pathlib import Path
from types import SimpleNamespace
from lab.runs.store import RunStore
from tests.runs.test_imports import ended, saved_file, long_curve

def points():
    yield long_curve(count=5_000)
    os.kill(os.getpid(), signal.SIGKILL)

store, folder = RunStore.open(sys.argv[1], clock=lambda: float(sys.argv[3])), Path(sys.argv[2])
files = (saved_file("victim", "victim/1"), saved_file("victim", "victim/2", step=2))
write = lambda file: folder.joinpath(Path(file.path).name).write_bytes(b"weights")
store.imports.insert([ended(points(), id="victim", files=files)], write_file=write)
"""


def test_the_remains_of_a_killed_import_are_removed_after_its_lease(
    url: str, store: RunStore, clock: Clock, tmp_path: Path
) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, url, str(tmp_path), str(clock.now)], cwd=ROOT, timeout=120, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert sorted(path.name for path in tmp_path.glob("[12]")) == ["1", "2"]
    assert store.runs.count() == 0
    left = rows_left(store)
    assert left == {"runs": 0, "points": left["points"], "kept": 2, "partial_runs": 1}
    assert left["points"] >= 1_000
    assert store.files.find_orphans({"victim/1": clock.now, "victim/2": clock.now}) == ()

    def remove(paths: Sequence[str]) -> None:
        for path in paths:
            (tmp_path / Path(path).name).unlink()

    store.removal.purge(remove)  # its lease has not expired
    assert rows_left(store) == left
    clock.now += IMPORT_LEASE_S + 1
    store.removal.purge(remove)
    assert rows_left(store) == {"runs": 0, "points": 0, "kept": 0, "partial_runs": 0}
    assert list(tmp_path.glob("[12]")) == []


def test_a_stalled_import_writes_nothing_after_it_was_removed(store: RunStore, clock: Clock) -> None:
    def slow() -> Iterator[Series]:
        yield long_curve(count=10)
        clock.now += IMPORT_LEASE_S + 1
        store.removal.purge(lambda paths: None)
        yield long_curve("a", count=10)

    with pytest.raises(StoreError, match="made no progress for more than 10 minutes and was removed: import"):
        store.imports.insert([ended(slow())])
    assert rows_left(store) == {"runs": 0, "points": 0, "kept": 0, "partial_runs": 0}


@pytest.mark.long
def test_storing_one_run_renews_the_leases_of_all_runs_of_the_import(store: RunStore, clock: Clock) -> None:
    def slow(name: str) -> Iterator[Series]:
        for part in range(3):
            clock.now += IMPORT_LEASE_S - 1
            store.removal.purge(lambda paths: None)
            one = long_curve(name, count=throttled_writer.MAX_ROWS)
            yield Series(name, one.step + part * throttled_writer.MAX_ROWS, one.value, one.time_s)

    found = store.imports.insert([ended(slow("a")), ended(slow("b"), seed=1)])
    assert [store.points.read(run.id)[name].step.size for run, name in zip(found, "ab", strict=True)] == [
        3 * throttled_writer.MAX_ROWS
    ] * 2


def test_a_purge_killed_at_any_transaction_is_finished_by_the_next_purge(
    store: RunStore, me: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttled_writer, "PAUSE_S", 0.0)
    original, stop = throttled_writer.ThrottledWriter.write, [0]

    def killed(self: throttled_writer.ThrottledWriter, **rest: Any) -> Any:
        stop[0] -= 1
        if stop[0] == 0:
            raise KeyboardInterrupt
        return original(self, **rest)

    monkeypatch.setattr(throttled_writer.ThrottledWriter, "write", killed)
    for at in range(1, 6):
        id, stop[0] = f"old{at}", 0
        one = ended({"a": series("a", [1, 2], [1.0, 2.0])}, id=id, files=(saved_file(id, f"{id}/1"),))
        (run,) = store.imports.insert([one])
        store.removal.delete(run.id)
        stop[0] = at
        with pytest.raises(KeyboardInterrupt):
            store.removal.purge(lambda paths: None, older_than_s=0)
        stop[0] = 0
        store.removal.purge(lambda paths: None, older_than_s=0)
        assert rows_left(store) == {"runs": 0, "points": 0, "kept": 0, "partial_runs": 0}, at


def test_a_run_restored_before_the_purge_is_complete(store: RunStore, clock: Clock, me: Owner) -> None:
    (run,) = store.imports.insert([ended({"a": series("a", [1, 2], [1.0, 2.0])})])
    store.removal.delete(run.id)
    store.removal.undelete(run.id)
    store.removal.purge(lambda paths: None, older_than_s=0)
    assert store.points.read(run.id)["a"].step.tolist() == [1, 2]
    assert store.integrity.verify(run.id) == ()


def test_copying_stops_at_the_next_transaction_after_the_lease_is_lost(
    store: RunStore, me: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source,) = store.imports.insert([ended({"a": long_curve("a")})])
    held = claimed(store, me)
    original, count = throttled_writer.ThrottledWriter.write, [0]

    def lost(self: throttled_writer.ThrottledWriter, **rest: Any) -> Any:
        count[0] += 1
        if count[0] == 4:
            store.leases.finish(held.id, held.lease, state=RunState.STOPPED)
            store.leases.request(held.id, RunRequest.RUN)
        return original(self, **rest)

    monkeypatch.setattr(throttled_writer.ThrottledWriter, "write", lost)
    with pytest.raises(LeaseLostError, match="no longer held"):
        store.history.copy(source.id, held.id, lease=held.lease)
    assert store.files.list(held.id) == ()


def test_reading_a_growing_curve_returns_the_points_present_at_the_call(
    store: RunStore, me: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = claimed(store, me)
    both = {name: series(name, range(1, 8), [0.5] * 7) for name in ("a", "b")}
    store.points.append(run.id, run.lease, both)
    original = Database.read_in_parts

    def grows(database: Database) -> Any:
        store.points.append(run.id, run.lease, {name: series(name, [8], [1.0]) for name in ("a", "b")})
        return original(database)

    monkeypatch.setattr(Database, "read_in_parts", grows)
    found = store.points.read(run.id)
    assert {name: one.step.tolist() for name, one in found.items()} == {"a": [*range(1, 8)], "b": [*range(1, 8)]}


def test_reading_the_points_of_a_run_returns_only_its_own_curves(store: RunStore, me: Owner) -> None:
    for name in ("x", "y"):
        other = submit(store, name)
        assert other.state is RunState.QUEUED
    (many,) = store.imports.insert([ended({f"s{n}": series(f"s{n}", [1], [0.0]) for n in range(60)})])
    (one,) = store.imports.insert([ended({"s7": series("s7", [3], [2.0])}, seed=2)])
    assert list(store.points.read(one.id)) == ["s7"]
    assert len(store.points.read(many.id)) == 60


def test_an_import_of_large_files_renews_its_lease_between_them(
    store: RunStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file takes nearly as long as a lease lasts, by the store's clock and by the importer's."""
    monotonic = SimpleNamespace(now=0.0)
    monkeypatch.setattr(imports, "time", SimpleNamespace(monotonic=lambda: monotonic.now))
    id = new_id()
    files = tuple(saved_file(id, f"{id}/{step}", step=step) for step in (1, 2, 3))

    def write(_file: SavedFile) -> None:
        clock.now += IMPORT_LEASE_S - 1
        monotonic.now += IMPORT_LEASE_S - 1
        store.removal.purge(lambda paths: None)

    (run,) = store.imports.insert([ended([], id=id, files=files)], write_file=write)
    assert [file.step for file in store.files.list(run.id)] == [1, 2, 3]


def test_an_imported_run_has_every_fact_of_the_original(store: RunStore) -> None:
    run = EndedRun(
        id=new_id(),
        name="of another lab",
        config=RunConfig(dataset="digits", lr=0.25),
        fingerprint="e" * 64,
        state=RunState.STOPPED,
        reason="somebody stopped it",
        created_at=1.1e9,
        started_at=1.2e9,
        finished_at=1.3e9,
        seconds=77.5,
        device="cuda:3",
        note="two\nlines",
        tags=("a", "b"),
        notices=("first", "second"),
        summary=RunSummary.from_dict({"test_accuracy": 0.5, "best_epoch": 2, "images_per_second": 8.0}),
        environment=RunEnvironment.from_dict({"torch": "2.1", "normalization": [0.25, 0.5], "val_images": 6}),
        points={},
        files=(),
    )
    (found,) = store.imports.insert([run])
    assert store.runs.get(run.id) == found
    for one in fields(PortableRun):
        assert getattr(found, one.name) == getattr(run, one.name), one.name
    assert (found.origin, found.attempts, found.family, found.parent) == ("imported", 1, "", None)
    assert store.runs.count(where="best_epoch:2 speed:8 tag:b") == 1
    assert store.runs.find_answer(run.fingerprint) is None
